//! For tests: a service over memory, and signed requests for it.

use super::ledger::Publish;
use super::restore::Restored;
use super::service::{Received, Service};
use super::settings::Settings;
use super::signature::KeyRing;
use super::signature::testing::{SECRET, authorization};
use super::store::MemoryStore;
use crate::control::config;
use crate::model::{Access, AccessKey, AccessKeyId, ApiSettings, Node};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;
use std::sync::Arc;

/// What the file says: one load balancer.
const FILE: &str = r#"
[load_balancers.filed]
listeners = [{ protocol = "TCP", port = 9000, instance_port = 9001 }]
"#;

/// A call that creates a load balancer.
pub(super) const CREATE: &str = "Action=CreateLoadBalancer&Version=2012-06-01&LoadBalancerName=web\
    &AvailabilityZones.member.1=default&Listeners.member.1.Protocol=HTTP&Listeners.member.1.LoadBalancerPort=80\
    &Listeners.member.1.InstancePort=8080";

/// A call that changes nothing.
pub(super) const DESCRIBE: &str = "Action=DescribeLoadBalancers&Version=2012-06-01";

/// A service that publishes through `publish`, for the keys `LOCALKEY` and `READKEY`.
pub(super) fn service(publish: Box<Publish>) -> Rc<Service> {
    let directory = tempfile::tempdir().unwrap();
    let secret_file = directory.path().join("secret");
    fs::write(&secret_file, SECRET).unwrap();
    fs::set_permissions(&secret_file, Permissions::from_mode(0o600)).unwrap();
    let key = |id, access| AccessKey { id: AccessKeyId::new(id).unwrap(), secret_file: secret_file.clone(), access };
    let keys = KeyRing::load(&[key("LOCALKEY", Access::Full), key("READKEY", Access::ReadOnly)]).unwrap();
    let settings = Settings::new(&ApiSettings::new(Vec::new()), &Node::default());
    let restored = Restored::read(settings, Arc::new(MemoryStore::default()), config::for_tests(FILE)).unwrap();
    Service::new(restored, keys, publish, Box::new(|_| Vec::new()))
}

/// The headers of a signed POST of `body`.
pub(super) fn signed_headers(key: &str, body: &str) -> HeaderMap {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("elbow"));
    headers.insert("x-amz-date", now.parse().unwrap());
    let value = authorization(key, &now, &headers, body.as_bytes());
    headers.insert("authorization", value.parse().unwrap());
    headers
}

/// A signed POST of `body`.
pub(super) fn request(key: &str, body: &str) -> Received {
    Received {
        method: Method::POST,
        uri: "/".parse().unwrap(),
        headers: signed_headers(key, body),
        body: Bytes::copy_from_slice(body.as_bytes()),
        source: SocketAddr::from(([192, 0, 2, 7], 1234)),
    }
}
