//! What callers name and the inventory has: instances, certificates, subnets, security groups.

use crate::control::api::error::{ApiError, ErrorCode};
use crate::model::{
    CertificateFiles, DEFAULT_WEIGHT, Endpoint, Host, Instance, InstanceId, Inventory, ResourceName, Zone,
};
use ipnet::IpNet;

/// The machine that `id` means: one of the inventory, or a literal `host` or `host:port` in `node_zone`.
///
/// A literal host is an address, `localhost`, or a name with a dot or a port: any other word is taken for a name of the
/// inventory, so that a slip of the pen is not looked up in the DNS. An EC2 id is never a host.
///
/// # Errors
///
/// `InvalidInstance` when there is none.
pub fn instance(inventory: &Inventory, node_zone: &Zone, id: &InstanceId) -> Result<Instance, ApiError> {
    let (endpoint, zone) = match inventory.instances.get(id) {
        Some(known) => (known.address.clone(), known.zone.clone()),
        None => (literal(id.as_str()).ok_or_else(|| unknown_instance(id.as_str()))?, node_zone.clone()),
    };
    Ok(Instance { id: id.clone(), host: endpoint.host, port: endpoint.port, zone, weight: DEFAULT_WEIGHT })
}

/// The error for an id that means nothing here.
pub fn unknown_instance(id: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidInstance, format!("Could not find EC2 instance {id}."))
}

fn literal(id: &str) -> Option<Endpoint> {
    let ec2 = id.strip_prefix("i-").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let endpoint: Endpoint = id.parse().ok().filter(|_| !ec2)?;
    let plain = match &endpoint.host {
        Host::Ip(_) => true,
        Host::Name(name) => endpoint.port.is_some() || name.as_str().contains('.') || name.as_str() == "localhost",
    };
    plain.then_some(endpoint)
}

/// The files of the certificate that `arn` names, by its last part: `arn:aws:iam::000000000000:server-certificate/shop`
/// is `shop`. Account, region and partition are not looked at, so that scripts written for AWS keep theirs.
///
/// # Errors
///
/// `CertificateNotFound` when there is none.
pub fn certificate<'a>(inventory: &'a Inventory, arn: &str) -> Result<&'a CertificateFiles, ApiError> {
    let name = arn.strip_prefix("arn:").filter(|rest| rest.matches(':').count() >= 4);
    let name = name.and_then(|rest| rest.rsplit('/').next());
    name.and_then(|name| inventory.certificates.get(name)).ok_or_else(|| {
        let message = format!("Server Certificate not found for the key: {arn}");
        ApiError::new(ErrorCode::CertificateNotFound, message)
    })
}

/// The zone that a subnet stands for.
///
/// # Errors
///
/// `SubnetNotFound` when there is none.
pub fn subnet(inventory: &Inventory, id: &str) -> Result<(ResourceName, Zone), ApiError> {
    let known = inventory.subnets.get_key_value(id);
    known
        .map(|(id, zone)| (id.clone(), zone.clone()))
        .ok_or_else(|| ApiError::new(ErrorCode::SubnetNotFound, format!("The subnet ID '{id}' does not exist")))
}

/// The clients that a security group allows.
///
/// # Errors
///
/// `InvalidSecurityGroup` when there is none.
pub fn security_group(inventory: &Inventory, id: &str) -> Result<(ResourceName, Vec<IpNet>), ApiError> {
    let known = inventory.security_groups.get_key_value(id);
    known
        .map(|(id, allow)| (id.clone(), allow.clone()))
        .ok_or_else(|| ApiError::new(ErrorCode::InvalidSecurityGroup, format!("Security group '{id}' does not exist")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InventoryInstance;

    #[test]
    fn ids_are_of_the_inventory_or_literal() {
        let known = InventoryInstance { address: "10.0.0.9:80".parse().unwrap(), zone: Zone::new("b").unwrap() };
        let ids = ["i-0aa11bb22cc33dd44", "web-9"].map(|id| (InstanceId::new(id).unwrap(), known.clone()));
        let inventory = Inventory { instances: ids.into(), ..Inventory::default() };
        let address = |id: &str| {
            let found = instance(&inventory, &Zone::default(), &InstanceId::new(id).unwrap());
            found.map(|found| format!("{} {}", Endpoint { host: found.host, port: found.port }, found.zone))
        };
        for (id, expected) in [
            ("web-9", "10.0.0.9:80 b"),
            ("i-0aa11bb22cc33dd44", "10.0.0.9:80 b"),
            ("10.0.0.1", "10.0.0.1 default"),
            ("[::1]:8080", "[::1]:8080 default"),
            ("localhost", "localhost default"),
            ("web-8:80", "web-8:80 default"),
            ("web-8.example", "web-8.example default"),
        ] {
            assert_eq!(address(id).as_deref(), Ok(expected));
        }
        for id in ["i-0aa11bb22cc33dd45", "i-1", "web-8", "10.0.0.300", "10.0.0.1:0", "http://a.b", "<x>"] {
            let message = format!("Could not find EC2 instance {id}.");
            assert_eq!(address(id), Err(ApiError::new(ErrorCode::InvalidInstance, message)));
        }
    }

    #[test]
    fn certificates_go_by_the_last_part_of_their_arn() {
        let files = CertificateFiles { chain: "c".into(), key: "k".into() };
        let certificates = [(ResourceName::new("shop").unwrap(), files)].into();
        let inventory = Inventory { certificates, ..Inventory::default() };
        for arn in [
            "arn:aws:iam::000000000000:server-certificate/shop",
            "arn:aws:iam::123456789012:server-certificate/some/path/shop",
            "arn:aws-cn:acm:cn-north-1:1:certificate/shop",
        ] {
            assert!(certificate(&inventory, arn).is_ok(), "{arn}");
        }
        for arn in ["", "shop", "/shop", "arn:shop", "arn:aws:iam::000000000000:server-certificate/other"] {
            assert_eq!(certificate(&inventory, arn).map_err(|error| error.code), Err(ErrorCode::CertificateNotFound));
        }
    }
}
