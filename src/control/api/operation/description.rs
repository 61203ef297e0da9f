//! One load balancer in DescribeLoadBalancers.

use super::health_check;
use crate::control::api::answer::Xml;
use crate::control::api::settings::Settings;
use crate::control::api::state::{Record, Scheme};
use crate::model::{Listener, LoadBalancerName, Policy, PolicyName};
use aws_lc_rs::digest;

/// What ELB calls the zone of its DNS names in Route 53. There is none here: a constant, so that it can be asked for.
const HOSTED_ZONE_ID: &str = "Z00000000ELBOW";

/// The name of the source security group when there is none.
const NO_GROUP: &str = "default";

/// Writes every field of a load balancer. Lists are there even when they are empty.
pub(super) fn write(xml: &mut Xml, record: &Record, settings: &Settings) {
    let facts = record.facts();
    let dns_name = dns_name(settings, record);
    xml.text("LoadBalancerName", &record.name);
    xml.text("DNSName", &dns_name);
    let hosted_name = (facts.scheme == Scheme::InternetFacing).then_some(&dns_name);
    xml.optional("CanonicalHostedZoneName", hosted_name);
    xml.text("CanonicalHostedZoneNameID", HOSTED_ZONE_ID);
    xml.list("ListenerDescriptions", &record.listeners, |xml, listener| write_listener(xml, record, listener));
    xml.element("Policies", |xml| write_policies(xml, record));
    let ports = record.backend_policies.iter().filter(|(_, names)| !names.is_empty());
    xml.list("BackendServerDescriptions", ports, |xml, (port, names)| {
        xml.text("InstancePort", port);
        xml.texts("PolicyNames", names);
    });
    xml.texts("AvailabilityZones", &record.zones);
    xml.texts("Subnets", facts.subnets.keys());
    xml.list("Instances", &record.instances, |xml, instance| xml.text("InstanceId", &instance.id));
    health_check::write(xml, &record.health_check);
    xml.element("SourceSecurityGroup", |xml| {
        xml.text("OwnerAlias", &settings.account);
        let first = facts.security_groups.first();
        xml.text("GroupName", first.map_or(NO_GROUP, |(id, _)| id.as_str()));
    });
    xml.texts("SecurityGroups", facts.security_groups.iter().map(|(id, _)| id));
    xml.text("CreatedTime", facts.created.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"));
    xml.text("Scheme", facts.scheme.as_str());
}

/// The name under which a load balancer is to be found. It follows from its name alone, so that it is the same on every
/// node and after the load balancer was made again.
pub(super) fn dns_name(settings: &Settings, record: &Record) -> String {
    let prefix = match record.facts().scheme {
        Scheme::InternetFacing => "",
        Scheme::Internal => "internal-",
    };
    let (name, number) = (&record.name, dns_number(&record.name));
    match &settings.dns_suffix {
        Some(suffix) => format!("{prefix}{name}-{number}.{suffix}"),
        None => format!("{prefix}{name}-{number}.{}.elb.internal", settings.region),
    }
}

/// Ten digits.
fn dns_number(name: &LoadBalancerName) -> u64 {
    let hash = digest::digest(&digest::SHA256, name.as_str().as_bytes());
    let number = hash.as_ref().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    1_000_000_000 + number % 9_000_000_000
}

fn write_listener(xml: &mut Xml, record: &Record, listener: &Listener) {
    xml.element("Listener", |xml| {
        xml.text("Protocol", listener.protocols.front());
        xml.text("LoadBalancerPort", listener.port);
        xml.text("InstanceProtocol", listener.protocols.back());
        xml.text("InstancePort", listener.instance_port);
        xml.optional("SSLCertificateId", record.facts().certificates.get(&listener.port));
    });
    xml.texts("PolicyNames", &listener.policies);
}

/// Newest first.
fn write_policies(xml: &mut Xml, record: &Record) {
    let mut app_cookies = Vec::new();
    let mut lb_cookies = Vec::new();
    let mut others: Vec<&PolicyName> = Vec::new();
    for facts in record.facts().policies.iter().rev() {
        match record.policies.get(&facts.name) {
            Some(Policy::AppCookieStickiness { cookie_name }) => app_cookies.push((&facts.name, cookie_name)),
            Some(Policy::LbCookieStickiness { cookie_expiration_period }) => {
                lb_cookies.push((&facts.name, cookie_expiration_period));
            }
            Some(_) | None => others.push(&facts.name),
        }
    }
    xml.list("AppCookieStickinessPolicies", app_cookies, |xml, (name, cookie)| {
        xml.text("PolicyName", name);
        xml.text("CookieName", cookie);
    });
    xml.list("LBCookieStickinessPolicies", lb_cookies, |xml, (name, period)| {
        xml.text("PolicyName", name);
        xml.optional("CookieExpirationPeriod", period.as_ref());
    });
    xml.texts("OtherPolicies", others);
}
