//! For tests: a file that says everything, and arbitrary configurations.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::model::*;

/// The file of the documentation with every key there is. The files it names are to be in its directory: see
/// [`NAMED_FILES`].
pub(super) const FULL_FILE: &str = r#"
[node]
cores = [0, 1]
zone = "rack-a"
max_connections = 100000
state_dir = "/var/lib/elbow"
sticky_key_file = "sticky.key"
pid_file = "elbow.pid"
ticket_key_file = "ticket.key"

[admin]
address = "unix:/run/elbow/admin.sock"

[api]
address = "127.0.0.1:9901"
region = "us-east-1"
access_keys = [{ id = "LOCALKEY", secret_file = "elbow.secret" }, { id = "READER", secret_file = "elbow.secret", access = "read_only" }]
certificate = { chain = "web.crt", key = "web.key" }
dns_suffix = "lb.example.org"
internet_facing_address = "192.0.2.1"
internal_address = "10.0.0.1"

[inventory.instances.web-9]
address = "10.0.0.19"
zone = "rack-a"
[inventory.certificates.shop]
chain = "shop.crt"
key = "shop.key"
[inventory.subnets.subnet-a]
zone = "rack-a"
[inventory.security_groups.sg-office]
allow = ["10.0.0.0/8", "192.0.2.7"]

[load_balancers.web]
zones = ["rack-a", "rack-b"]
listeners = [
  { protocol = "HTTP", address = "0.0.0.0", port = 80, instance_protocol = "HTTP", instance_port = 8080 },
  { protocol = "HTTPS", port = 443, instance_protocol = "HTTPS", instance_port = 8443, http2 = true, strict_sni = true, client_certificates = { verify = "optional", ca_file = "clients.pem" }, certificates = [{ chain = "web.crt", key = "web.key" }], policies = ["modern", "sticky"], max_connections = 1000, allow = ["10.0.0.0/8"], deny = ["10.1.0.0/16"], proxy_protocol_from = ["10.0.0.1"] },
  { protocol = "SSL", address = "::1", port = 444, instance_protocol = "SSL", instance_port = 9000, instance_certificates = { ca_file = "instances.pem", server_name = "back.example" }, certificates = [{ chain = "web.crt", key = "web.key" }], policies = ["exact"] },
]
instances = [
  "10.0.0.11",
  "[2001:db8::1]:8081",
  "web-5.example:8080",
  { id = "web-2", address = "10.0.0.12:9001", zone = "rack-b", weight = 2 },
]

[load_balancers.web.health_check]
target = "HTTPS:8443/ping"
interval = 0.5
timeout = 0.25
healthy_threshold = 3
unhealthy_threshold = 4

[load_balancers.web.attributes]
idle_timeout = 61
cross_zone = true
draining = { enabled = true, timeout = 301 }
desync_mitigation = "strictest"
access_log = { path = "web.log", format = "json", rotate_size = 1000000, rotate_interval = 3600, keep = 7 }
routing = "round_robin"
slow_start = 31
outlier_detection = { consecutive_5xx = 6, consecutive_connect_failures = 0, base_ejection_time = 32, max_ejection_time = 302, max_ejection_percent = 20 }
proxy_status = true

[load_balancers.web.limits]
request_line = 16385
header = 16386
headers_total = 65537
surge_queue = 0
client_header_timeout = 11
tls_handshake_timeout = 12
connect_timeout = 6
requests_per_connection = 100001
instance_connections = 7
queue_timeout = 8
first_byte_timeout = 62
client_body_timeout = 63
client_body_minimum_rate = 241
tunnel_timeout = 3601
connections_per_client = 9
requests_per_second_per_client = 10

[load_balancers.web.policies.sticky]
type = "LBCookieStickinessPolicyType"
cookie_expiration_period = 3600

[load_balancers.web.policies.app]
type = "AppCookieStickinessPolicyType"
cookie_name = "SID"

[load_balancers.web.policies.modern]
type = "SSLNegotiationPolicyType"
reference_security_policy = "ELBSecurityPolicy-TLS-1-2-2017-01"

[load_balancers.web.policies.exact]
type = "SSLNegotiationPolicyType"
protocol_tlsv1_2 = true
protocol_tlsv1_1 = false
server_defined_cipher_order = true
ecdhe_rsa_aes128_gcm_sha256 = true

[load_balancers.web.policies.proxy]
type = "ProxyProtocolPolicyType"
proxy_protocol = true
version = 2

[load_balancers.web.policies.key]
type = "PublicKeyPolicyType"
public_key = "MAMCAQU="

[load_balancers.web.policies.trust]
type = "BackendServerAuthenticationPolicyType"
public_key_policy_name = "key"

[load_balancers.web.backend_policies]
8443 = ["proxy", "trust"]
"#;

/// The files that [`FULL_FILE`] reads.
pub(super) const NAMED_FILES: [&str; 9] = [
    "sticky.key",
    "ticket.key",
    "elbow.secret",
    "shop.crt",
    "shop.key",
    "web.crt",
    "web.key",
    "clients.pem",
    "instances.pem",
];

/// Any configuration whose files are all `file`, which exists.
pub(super) fn configuration(file: &Path) -> impl Strategy<Value = Configuration> + use<> {
    let file = file.to_owned();
    let load_balancers = vec(load_balancer(file.clone()), 0..4);
    let management = (admin(), proptest::option::of(api(file.clone())));
    (node(file.clone()), management, inventory(file), load_balancers).prop_map(
        |(node, (admin, api), inventory, load_balancers)| {
            let named = load_balancers.into_iter().enumerate().map(|(index, parts)| numbered(index, parts));
            let parts = ConfigurationParts { node, admin, api, inventory, load_balancers: named.collect() };
            Configuration::new(parts).expect("addresses are distinct by their ports")
        },
    )
}

/// The load balancer under a name and ports that none of the others has.
fn numbered(index: usize, mut parts: LoadBalancerParts) -> (LoadBalancerName, LoadBalancer) {
    parts.name = made(LoadBalancerName::new(&format!("lb-{index}")));
    for (position, listener) in parts.listeners.iter_mut().enumerate() {
        listener.port = Port::of(1000 + 100 * index as u16 + position as u16);
    }
    (parts.name.clone(), LoadBalancer::new(parts).expect("parts that agree by construction"))
}

fn made<T>(value: Result<T, Invalid>) -> T {
    value.expect("a strategy for valid values")
}

fn count<const MIN: u32, const MAX: u32>() -> impl Strategy<Value = Count<MIN, MAX>> {
    (MIN..=MAX).prop_map(Count::of)
}

fn seconds<const MIN_MS: u32, const MAX_MS: u32>() -> impl Strategy<Value = Seconds<MIN_MS, MAX_MS>> {
    (MIN_MS..=MAX_MS).prop_map(Seconds::of_ms)
}

fn unlimited() -> impl Strategy<Value = Unlimited> {
    proptest::option::of(count())
}

fn keyword<K: Keyword + std::fmt::Debug>() -> impl Strategy<Value = K> {
    select(K::ALL)
}

fn zone() -> impl Strategy<Value = Zone> {
    "[!#-+\\--\\[\\]-~]{1,12}".prop_map(|text| made(Zone::new(&text)))
}

fn nets() -> impl Strategy<Value = Vec<ipnet::IpNet>> {
    let net = (any::<std::net::IpAddr>(), 0_u8..=128).prop_map(|(address, prefix)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        ipnet::IpNet::new(address, prefix.min(longest)).expect("a prefix in range").trunc()
    });
    vec(net, 0..4)
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let name = "[a-z][a-z0-9-]{0,8}[a-z](\\.[a-z]{1,5})?".prop_map(|text| Host::Name(made(HostName::new(&text))));
    let host = prop_oneof![any::<std::net::IpAddr>().prop_map(Host::Ip), name];
    (host, proptest::option::of(1_u16..)).prop_map(|(host, port)| Endpoint { host, port: port.map(Port::of) })
}

fn node(file: PathBuf) -> impl Strategy<Value = Node> {
    let list = btree_set(0_u16..8192, 1..5);
    let list = list.prop_map(|numbers| Cores::List(made(CoreList::new(numbers.into_iter().collect()))));
    let cores = prop_oneof![Just(Cores::Auto), list];
    let key = || proptest::option::of(Just(file.clone()));
    let pid_file = proptest::option::of("/[a-z]{1,20}".prop_map(PathBuf::from));
    (cores, zone(), unlimited(), "/[ -~]{1,20}", key(), pid_file, key()).prop_map(
        |(cores, zone, max_connections, state_dir, sticky_key_file, pid_file, ticket_key_file)| Node {
            cores,
            zone,
            max_connections,
            state_dir: state_dir.into(),
            sticky_key_file,
            pid_file,
            ticket_key_file,
        },
    )
}

fn admin() -> impl Strategy<Value = AdminAddress> {
    let unix = "/[ -~]{1,40}".prop_map(|path| AdminAddress::Unix(path.into()));
    prop_oneof![Just(AdminAddress::DEFAULT), unix]
}

fn api(file: PathBuf) -> impl Strategy<Value = ApiSettings> {
    let keys = btree_map("[A-Z0-9]{1,20}", select(Access::ALL), 1..4);
    let suffix = proptest::option::of("[a-z]{1,8}\\.example");
    let region = "[a-z]{2}-[a-z]{2,9}-[0-9]";
    (region, keys, suffix, any::<bool>(), any::<[IpAddr; 2]>()).prop_map(
        move |(region, keys, suffix, is_secure, [internet_facing_address, internal_address])| {
            let key = |(id, access): (String, Access)| AccessKey {
                id: made(AccessKeyId::new(&id)),
                secret_file: file.clone(),
                access,
            };
            ApiSettings {
                region: made(Region::new(&region)),
                certificate: is_secure.then(|| CertificateFiles { chain: file.clone(), key: file.clone() }),
                dns_suffix: suffix.map(|suffix| made(HostName::new(&suffix))),
                internet_facing_address,
                internal_address,
                ..ApiSettings::new(keys.into_iter().map(key).collect())
            }
        },
    )
}

fn inventory(file: PathBuf) -> impl Strategy<Value = Inventory> {
    let name = || "[!#-+\\--\\[\\]-~]{1,12}".prop_map(|text| made(ResourceName::new(&text)));
    let id = "[a-z0-9.:-]{1,12}".prop_map(|text| made(InstanceId::new(&text)));
    let instance = (endpoint(), zone()).prop_map(|(address, zone)| InventoryInstance { address, zone });
    let certificate = Just(CertificateFiles { chain: file.clone(), key: file });
    (
        btree_map(id, instance, 0..3),
        btree_map(name(), certificate, 0..3),
        btree_map(name(), zone(), 0..3),
        btree_map(name(), nets(), 0..3),
    )
        .prop_map(|(instances, certificates, subnets, security_groups)| Inventory {
            instances,
            certificates,
            subnets,
            security_groups,
        })
}

fn load_balancer(file: PathBuf) -> impl Strategy<Value = LoadBalancerParts> {
    let listeners = vec(listener(file.clone()), 1..4);
    let traffic = (listeners, instances(), health_check());
    let settings = (attributes(file), limits(), policies(), any::<bool>());
    (btree_set(zone(), 1..4), traffic, settings).prop_map(
        |(zones, (listeners, instances, health_check), (attributes, limits, policies, on_port))| {
            let takes_policies = |listener: &&Listener| {
                listener.protocols.back().is_secure() && listener.instance_certificates.is_none()
            };
            let secure = listeners.iter().find(takes_policies);
            let trust = |listener: &Listener| (listener.instance_port, named(&["trust", "proxy"]));
            let backend_policies = match on_port {
                true => secure.map(trust).into_iter().chain([(Port::of(7), named(&["proxy"]))]).collect(),
                false => BTreeMap::new(),
            };
            LoadBalancerParts {
                name: made(LoadBalancerName::new("unnumbered")),
                zones,
                listeners,
                instances,
                health_check,
                attributes,
                limits,
                policies,
                backend_policies,
            }
        },
    )
}

fn named(names: &[&str]) -> Vec<PolicyName> {
    names.iter().map(|name| made(PolicyName::new(name))).collect()
}

/// Ports that are reached by TLS are odd, the others even, so that listeners agree about them.
fn listener(file: PathBuf) -> impl Strategy<Value = Listener> {
    let protocols = (keyword::<Protocol>(), any::<bool>()).prop_map(|(front, secure)| {
        let back = match (front.layer(), secure) {
            (Layer::Seven, true) => Protocol::Https,
            (Layer::Four, true) => Protocol::Ssl,
            _ => front.default_instance_protocol(),
        };
        made(ProtocolPair::new(front, back))
    });
    let sticky = select(vec![None, Some("lb"), Some("app")]);
    let tls = select(vec![None, Some("tls"), Some("custom"), Some("ELBSecurityPolicy-2015-05")]);
    let rules = (unlimited(), nets(), nets(), nets());
    let verify = (any::<bool>(), proptest::option::of(keyword::<ClientVerification>()));
    (protocols, any::<std::net::IpAddr>(), 1_u16..30_000, sticky, (tls, verify), 1_usize..3, rules).prop_map(
        move |(protocols, address, port, sticky, (tls, (strict_sni, verify)), certificates, rules)| {
            let (max_connections, allow, deny, proxy_protocol_from) = rules;
            let front = protocols.front();
            let sticky = sticky.filter(|_| front.layer() == Layer::Seven);
            let tls = tls.filter(|_| front.is_secure());
            let certificate = CertificateFiles { chain: file.clone(), key: file.clone() };
            let certificates = if front.is_secure() { vec![certificate; certificates] } else { Vec::new() };
            let instance_http = match (front.layer(), port % 2) {
                (Layer::Seven, 0) => InstanceHttp::Http2,
                _ => InstanceHttp::Http1,
            };
            let instance_port = Port::of(2 * port + u16::from(protocols.back().is_secure()));
            let unknown_name = match strict_sni && front.is_secure() {
                true => UnknownName::Refuse,
                false => UnknownName::ServeDefault,
            };
            let verify = verify.filter(|_| front.is_secure());
            let client_certificates = verify.map(|verify| ClientCertificates { verify, ca_file: file.clone() });
            let is_asked = protocols.back().is_secure() && port % 3 == 0;
            let server_name = (port % 2 == 0).then(|| "back.example".parse().expect("a host"));
            let instance_certificates = is_asked.then(|| InstanceCertificates { ca_file: file.clone(), server_name });
            let policies = named(&sticky.into_iter().chain(tls).collect::<Vec<_>>());
            let port = Port::HTTP;
            Listener {
                protocols,
                address,
                port,
                instance_port,
                instance_http,
                certificates,
                unknown_name,
                client_certificates,
                instance_certificates,
                policies,
                max_connections,
                allow,
                deny,
                proxy_protocol_from,
            }
        },
    )
}

fn instances() -> impl Strategy<Value = Vec<Instance>> {
    let each = (btree_set(endpoint(), 0..6), vec((any::<bool>(), zone(), count()), 6));
    each.prop_map(|(endpoints, others)| {
        let all = endpoints.into_iter().zip(others).enumerate();
        all.map(|(index, (endpoint, (by_address, zone, weight)))| {
            let id = if by_address { endpoint.to_string() } else { format!("i-{index}") };
            let Endpoint { host, port } = endpoint;
            Instance { id: made(InstanceId::new(&id)), host, port, zone, weight }
        })
        .collect()
    })
}

fn health_check() -> impl Strategy<Value = HealthCheck> {
    let target = prop_oneof![
        (1_u16..).prop_map(|port| HealthTarget::Tcp { port: Port::of(port) }),
        (1_u16..).prop_map(|port| HealthTarget::Ssl { port: Port::of(port) }),
        (1_u16.., "/[!-\"$-~]{0,20}")
            .prop_map(|(port, path)| HealthTarget::Https { port: Port::of(port), path: made(HealthPath::new(&path)) }),
    ];
    (target, seconds::<100, 300_000>(), 0.0..1.0, count(), count()).prop_map(
        |(target, interval, part, healthy, unhealthy)| {
            let longest = f64::from(interval.as_ms() - 1).min(60_000.0);
            let timeout = Timeout::of_ms((10.0 + (longest - 10.0) * part) as u32);
            made(HealthCheck::new(target, interval, timeout, healthy, unhealthy))
        },
    )
}

fn attributes(file: PathBuf) -> impl Strategy<Value = Attributes> {
    let draining = (any::<bool>(), seconds()).prop_map(|(enabled, timeout)| Draining { enabled, timeout });
    let rotation = (proptest::option::of(count()), proptest::option::of(seconds()), count());
    let rotation = rotation.prop_map(|(size, interval, keep)| Rotation { size, interval, keep });
    let access_log =
        (keyword(), rotation).prop_map(move |(format, rotation)| AccessLog { path: file.clone(), format, rotation });
    let access_log = proptest::option::of(access_log);
    let routing = proptest::option::of(keyword());
    let beyond = (proptest::option::of(seconds()), proptest::option::of(outlier_detection()), any::<bool>());
    (seconds(), any::<bool>(), draining, keyword(), access_log, routing, beyond).prop_map(
        |(idle_timeout, cross_zone, draining, desync_mitigation, access_log, routing, beyond)| Attributes {
            idle_timeout,
            cross_zone,
            draining,
            desync_mitigation,
            access_log,
            routing,
            slow_start: beyond.0,
            outlier_detection: beyond.1,
            proxy_status: beyond.2,
        },
    )
}

fn outlier_detection() -> impl Strategy<Value = OutlierDetection> {
    let thresholds = (proptest::option::of(count()), proptest::option::of(count()));
    (thresholds, seconds(), seconds(), count()).prop_map(
        |((consecutive_5xx, consecutive_connect_failures), one, other, max_ejection_percent)| OutlierDetection {
            consecutive_5xx,
            consecutive_connect_failures,
            base_ejection_time: one.min(other),
            max_ejection_time: one.max(other),
            max_ejection_percent,
        },
    )
}

fn limits() -> impl Strategy<Value = TrafficLimits> {
    let sizes = (count(), count(), count(), count(), count());
    let times = (seconds(), seconds(), seconds(), seconds(), proptest::option::of(seconds()), seconds(), seconds());
    let caps = (unlimited(), unlimited(), unlimited(), unlimited());
    (sizes, times, caps).prop_map(|(sizes, times, caps)| TrafficLimits {
        request_line: sizes.0,
        header: sizes.1,
        headers_total: sizes.2,
        surge_queue: sizes.3,
        requests_per_connection: sizes.4,
        client_header_timeout: times.0,
        tls_handshake_timeout: times.1,
        connect_timeout: times.2,
        queue_timeout: times.3,
        first_byte_timeout: times.4,
        client_body_timeout: times.5,
        tunnel_timeout: times.6,
        instance_connections: caps.0,
        connections_per_client: caps.1,
        requests_per_second_per_client: caps.2,
        client_body_minimum_rate: caps.3,
    })
}

/// One policy of each type under a name that the strategies above use.
fn policies() -> impl Strategy<Value = BTreeMap<PolicyName, Policy>> {
    let versions = subsequence(TlsVersion::ALL.to_vec(), 1..=TlsVersion::ALL.len());
    let ciphers = subsequence(Cipher::all().collect::<Vec<_>>(), 1..10);
    let custom = (versions, ciphers, any::<bool>()).prop_map(|(versions, ciphers, server_order)| {
        let (versions, ciphers): (BTreeSet<_>, BTreeSet<_>) =
            (versions.into_iter().collect(), ciphers.into_iter().collect());
        SecurityPolicy::Custom(made(CustomPolicy::new(versions, ciphers, server_order)))
    });
    let version = select(vec![ProxyProtocolVersion::V1, ProxyProtocolVersion::V2]);
    (unlimited(), "[!#$&*A-Za-z]{1,20}", keyword(), custom, any::<bool>(), version).prop_map(
        |(cookie_expiration_period, cookie_name, predefined, custom, enabled, version)| {
            let policies = [
                ("lb", Policy::LbCookieStickiness { cookie_expiration_period }),
                ("app", Policy::AppCookieStickiness { cookie_name: made(CookieName::new(&cookie_name)) }),
                ("tls", Policy::SslNegotiation(SecurityPolicy::Predefined(predefined))),
                ("custom", Policy::SslNegotiation(custom)),
                ("proxy", Policy::ProxyProtocol { enabled, version }),
                ("key", Policy::PublicKey(made(PublicKey::new("MAMC\nAQU=")))),
                ("trust", Policy::BackendServerAuthentication { public_key_policies: named(&["key"]) }),
            ];
            policies.map(|(name, policy)| (made(PolicyName::new(name)), policy)).into()
        },
    )
}
