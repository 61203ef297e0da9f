//! A configuration as a file with every default filled in. The file parses back to the same configuration.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};
use std::path::Path;

use super::read::policy::{SERVER_ORDER, attribute_key};
use crate::model::{
    ApiSettings, Attributes, CertificateFiles, Cipher, ClientCertificates, Configuration, Cores, Endpoint, HealthCheck,
    Instance, InstanceCertificates, InstanceHttp, Inventory, Keyword, Listener, LoadBalancerParts, Node,
    OutlierDetection, Policy, PolicyName, Port, Rotation, SecurityPolicy, TlsVersion, TrafficLimits, UnknownName,
    Unlimited,
};

/// The file that says all that `configuration` is. Paths are as the configuration holds them: absolute, if it was
/// read from a file.
pub fn effective(configuration: &Configuration) -> String {
    let mut file = File::default();
    file.node(&configuration.node);
    file.table("admin");
    file.text("address", &configuration.admin);
    if let Some(api) = &configuration.api {
        file.api(api);
    }
    file.inventory(&configuration.inventory);
    for load_balancer in configuration.load_balancers.values() {
        file.load_balancer(load_balancer);
    }
    file.0
}

/// One load balancer of such a file.
pub(super) fn load_balancer(parts: &LoadBalancerParts) -> String {
    let mut file = File::default();
    file.load_balancer(parts);
    file.0
}

/// The file while it is written. Lines are added; nothing can fail.
#[derive(Default)]
struct File(String);

impl File {
    fn table(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        self.line(format_args!("{gap}[{name}]"));
    }

    fn value(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = {value}"));
    }

    fn text(&mut self, key: &str, value: impl Display) {
        self.value(key, quoted(value));
    }

    fn texts(&mut self, key: &str, values: impl IntoIterator<Item = impl Display>) {
        let values: Vec<String> = values.into_iter().map(quoted).collect();
        self.value(key, format_args!("[{}]", values.join(", ")));
    }

    fn path(&mut self, key: &str, path: &Path) {
        self.text(key, path.display());
    }

    fn limit(&mut self, key: &str, limit: Unlimited) {
        self.value(key, limit.map_or(0, |limit| limit.get()));
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn node(&mut self, node: &Node) {
        self.table("node");
        match &node.cores {
            Cores::Auto => self.text("cores", "auto"),
            Cores::List(list) => self.value("cores", format_args!("{:?}", list.as_slice())),
        }
        self.text("zone", &node.zone);
        match node.max_connections {
            Some(limit) => self.value("max_connections", limit),
            None => self.line(format_args!("max_connections = 0 # from the limit on open files")),
        }
        self.path("state_dir", &node.state_dir);
        match &node.sticky_key_file {
            Some(path) => self.path("sticky_key_file", path),
            None => self.line(format_args!("# sticky_key_file: a key of this node's own, in state_dir")),
        }
        match &node.pid_file {
            Some(path) => self.path("pid_file", path),
            None => self.line(format_args!("# pid_file: none")),
        }
        match &node.ticket_key_file {
            Some(path) => self.path("ticket_key_file", path),
            None => self.line(format_args!("# ticket_key_file: random keys of this node's own")),
        }
    }

    fn api(&mut self, api: &ApiSettings) {
        self.table("api");
        self.text("address", api.address);
        match &api.certificate {
            Some(files) => self.value("certificate", inline(files)),
            None => self.line(format_args!("# certificate: none, so calls are signed and not encrypted")),
        }
        self.text("region", &api.region);
        match &api.dns_suffix {
            Some(suffix) => self.text("dns_suffix", suffix),
            None => self.line(format_args!("# dns_suffix: {}.elb.internal", api.region)),
        }
        self.text("internet_facing_address", api.internet_facing_address);
        self.text("internal_address", api.internal_address);
        for key in &api.access_keys {
            self.line(format_args!("\n[[api.access_keys]]"));
            self.text("id", &key.id);
            self.path("secret_file", &key.secret_file);
            self.text("access", key.access);
        }
    }

    fn inventory(&mut self, inventory: &Inventory) {
        for (id, instance) in &inventory.instances {
            self.table(&format!("inventory.instances.{}", quoted(id)));
            self.text("address", &instance.address);
            self.text("zone", &instance.zone);
        }
        for (name, certificate) in &inventory.certificates {
            self.table(&format!("inventory.certificates.{}", quoted(name)));
            self.path("chain", &certificate.chain);
            self.path("key", &certificate.key);
        }
        for (name, zone) in &inventory.subnets {
            self.table(&format!("inventory.subnets.{}", quoted(name)));
            self.text("zone", zone);
        }
        for (name, allow) in &inventory.security_groups {
            self.table(&format!("inventory.security_groups.{}", quoted(name)));
            self.texts("allow", allow);
        }
    }

    fn load_balancer(&mut self, load_balancer: &LoadBalancerParts) {
        let root = format!("load_balancers.{}", load_balancer.name);
        self.table(&root);
        self.texts("zones", &load_balancer.zones);
        self.instances(&load_balancer.instances);
        for listener in &load_balancer.listeners {
            self.line(format_args!("\n[[{root}.listeners]]"));
            self.listener(listener);
        }
        self.table(&format!("{root}.health_check"));
        self.health_check(&load_balancer.health_check);
        self.table(&format!("{root}.attributes"));
        self.attributes(&load_balancer.attributes);
        self.table(&format!("{root}.limits"));
        self.limits(&load_balancer.limits);
        for (name, policy) in &load_balancer.policies {
            self.table(&format!("{root}.policies.{name}"));
            self.text("type", policy.policy_type());
            self.policy(policy);
        }
        if !load_balancer.backend_policies.is_empty() {
            self.table(&format!("{root}.backend_policies"));
            self.backend_policies(&load_balancer.backend_policies);
        }
    }

    fn instances(&mut self, instances: &[Instance]) {
        self.line(format_args!("instances = ["));
        for Instance { id, host, port, zone, weight } in instances {
            let (id, zone) = (quoted(id), quoted(zone));
            let address = quoted(Endpoint { host: host.clone(), port: *port });
            self.line(format_args!("  {{ id = {id}, address = {address}, zone = {zone}, weight = {weight} }},"));
        }
        self.line(format_args!("]"));
    }

    fn listener(&mut self, listener: &Listener) {
        self.text("protocol", listener.protocols.front());
        self.text("address", listener.address);
        self.value("port", listener.port);
        self.text("instance_protocol", listener.protocols.back());
        self.value("instance_port", listener.instance_port);
        self.value("http2", listener.instance_http == InstanceHttp::Http2);
        self.certificates(&listener.certificates);
        self.value("strict_sni", listener.unknown_name == UnknownName::Refuse);
        match &listener.client_certificates {
            Some(ClientCertificates { verify, ca_file }) => {
                let (verify, ca_file) = (quoted(verify), quoted(ca_file.display()));
                self.value("client_certificates", format_args!("{{ verify = {verify}, ca_file = {ca_file} }}"));
            }
            None => self.line(format_args!("# client_certificates: none is asked for")),
        }
        match &listener.instance_certificates {
            Some(InstanceCertificates { ca_file, server_name }) => {
                let server_name = server_name.as_ref().map(|name| format!(", server_name = {}", quoted(name)));
                let (ca_file, server_name) = (quoted(ca_file.display()), server_name.unwrap_or_default());
                self.value("instance_certificates", format_args!("{{ ca_file = {ca_file}{server_name} }}"));
            }
            None => self.line(format_args!("# instance_certificates: as the policies of the instance port say")),
        }
        self.texts("policies", &listener.policies);
        self.limit("max_connections", listener.max_connections);
        self.texts("allow", &listener.allow);
        self.texts("deny", &listener.deny);
        self.texts("proxy_protocol_from", &listener.proxy_protocol_from);
    }

    fn certificates(&mut self, certificates: &[CertificateFiles]) {
        let certificates: Vec<String> = certificates.iter().map(inline).collect();
        self.value("certificates", format_args!("[{}]", certificates.join(", ")));
    }

    fn health_check(&mut self, check: &HealthCheck) {
        self.text("target", check.target());
        self.value("interval", check.interval());
        self.value("timeout", check.timeout());
        self.value("healthy_threshold", check.healthy_threshold());
        self.value("unhealthy_threshold", check.unhealthy_threshold());
    }

    fn attributes(&mut self, attributes: &Attributes) {
        let draining = attributes.draining;
        self.value("idle_timeout", attributes.idle_timeout);
        self.value("cross_zone", attributes.cross_zone);
        let (enabled, timeout) = (draining.enabled, draining.timeout);
        self.value("draining", format_args!("{{ enabled = {enabled}, timeout = {timeout} }}"));
        self.text("desync_mitigation", attributes.desync_mitigation);
        match &attributes.access_log {
            Some(log) => {
                let (path, format) = (quoted(log.path.display()), quoted(log.format));
                let Rotation { size, interval, keep } = log.rotation;
                let (size, interval) = (or_zero(size), or_zero(interval));
                self.value(
                    "access_log",
                    format_args!(
                        "{{ path = {path}, format = {format}, rotate_size = {size}, rotate_interval = {interval}, keep = {keep} }}"
                    ),
                );
            }
            None => self.line(format_args!("# access_log: none")),
        }
        match attributes.routing {
            Some(routing) => self.text("routing", routing),
            None => {
                self.line(format_args!("# routing: least_outstanding for HTTP and HTTPS, round_robin for TCP and SSL"))
            }
        }
        self.value("slow_start", or_zero(attributes.slow_start));
        match &attributes.outlier_detection {
            Some(detection) => self.outlier_detection(detection),
            None => self.line(format_args!("# outlier_detection: none")),
        }
        self.value("proxy_status", attributes.proxy_status);
    }

    fn outlier_detection(&mut self, detection: &OutlierDetection) {
        let (errors, failures) = (or_zero(detection.consecutive_5xx), or_zero(detection.consecutive_connect_failures));
        let (base, max) = (detection.base_ejection_time, detection.max_ejection_time);
        let percent = detection.max_ejection_percent;
        self.value(
            "outlier_detection",
            format_args!(
                "{{ consecutive_5xx = {errors}, consecutive_connect_failures = {failures}, base_ejection_time = {base}, \
                 max_ejection_time = {max}, max_ejection_percent = {percent} }}"
            ),
        );
    }

    fn limits(&mut self, limits: &TrafficLimits) {
        self.value("request_line", limits.request_line);
        self.value("header", limits.header);
        self.value("headers_total", limits.headers_total);
        self.value("surge_queue", limits.surge_queue);
        self.value("client_header_timeout", limits.client_header_timeout);
        self.value("tls_handshake_timeout", limits.tls_handshake_timeout);
        self.value("connect_timeout", limits.connect_timeout);
        self.value("requests_per_connection", limits.requests_per_connection);
        self.limit("instance_connections", limits.instance_connections);
        self.value("queue_timeout", limits.queue_timeout);
        match limits.first_byte_timeout {
            Some(timeout) => self.value("first_byte_timeout", timeout),
            None => self.line(format_args!("# first_byte_timeout: the idle timeout")),
        }
        self.value("client_body_timeout", limits.client_body_timeout);
        self.limit("client_body_minimum_rate", limits.client_body_minimum_rate);
        self.value("tunnel_timeout", limits.tunnel_timeout);
        self.limit("connections_per_client", limits.connections_per_client);
        self.limit("requests_per_second_per_client", limits.requests_per_second_per_client);
    }

    fn policy(&mut self, policy: &Policy) {
        match policy {
            Policy::LbCookieStickiness { cookie_expiration_period } => {
                self.limit("cookie_expiration_period", *cookie_expiration_period);
            }
            Policy::AppCookieStickiness { cookie_name } => self.text("cookie_name", cookie_name),
            Policy::SslNegotiation(policy) => self.security_policy(policy),
            Policy::ProxyProtocol { enabled, version } => {
                self.value("proxy_protocol", enabled);
                self.value("version", version.number());
            }
            Policy::PublicKey(key) => self.text("public_key", key.as_str()),
            Policy::BackendServerAuthentication { public_key_policies } => {
                self.texts("public_key_policy_name", public_key_policies);
            }
        }
    }

    /// Attributes that are off are left out: 93 lines of `false` would hide the few that count.
    fn security_policy(&mut self, policy: &SecurityPolicy) {
        let custom = match policy {
            SecurityPolicy::Predefined(policy) => return self.text("reference_security_policy", policy),
            SecurityPolicy::Custom(custom) => custom,
        };
        let versions = custom.versions().iter().copied().map(TlsVersion::as_str);
        let ciphers = custom.ciphers().iter().copied().map(Cipher::name);
        self.value(&attribute_key(SERVER_ORDER), custom.server_order());
        for name in versions.chain(ciphers) {
            self.value(&attribute_key(name), true);
        }
    }

    fn backend_policies(&mut self, policies: &BTreeMap<Port, Vec<PolicyName>>) {
        for (port, names) in policies {
            self.texts(&port.to_string(), names);
        }
    }
}

/// The two files of a certificate as a table in one line.
fn inline(certificate: &CertificateFiles) -> String {
    let (chain, key) = (quoted(certificate.chain.display()), quoted(certificate.key.display()));
    format!("{{ chain = {chain}, key = {key} }}")
}

/// What is switched off is written as 0.
fn or_zero(value: Option<impl Display>) -> String {
    value.map_or_else(|| "0".to_owned(), |value| value.to_string())
}

/// A value as a TOML string.
fn quoted(value: impl Display) -> String {
    toml::Value::String(value.to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::{Source, lower, testing};
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    #[test]
    fn every_configuration_is_read_back_as_it_was() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "a secret of more than thirty-two bytes").unwrap();
        let strategy = testing::configuration(file.path());
        let property = |configuration: Configuration| {
            let text = effective(&configuration);
            let source = Source::new(Path::new("elbow.toml"), text.clone());
            match lower(source, Vec::new(), |_| Vec::new()) {
                Ok(loaded) => prop_assert_eq!(loaded.configuration, configuration),
                Err(report) => prop_assert!(false, "{report}\n{text}"),
            }
            Ok(())
        };
        TestRunner::default().run(&strategy, property).unwrap();
    }

    #[test]
    fn defaults_are_written_out() {
        let short = "[load_balancers.web]\nlisteners = [{ protocol = \"http\", port = 80, instance_port = 8080 }]\n\
                     instances = [\"10.0.0.1\"]\n";
        let loaded = super::super::parse(short, Path::new("elbow.toml")).unwrap();
        let file = effective(&loaded.configuration);
        for line in [
            "cores = \"auto\"",
            "zone = \"default\"",
            "address = \"127.0.0.1:9900\"",
            "zones = [\"default\"]",
            "  { id = \"10.0.0.1\", address = \"10.0.0.1\", zone = \"default\", weight = 1 },",
            "protocol = \"HTTP\"",
            "address = \"0.0.0.0\"",
            "instance_protocol = \"HTTP\"",
            "target = \"TCP:8080\"",
            "interval = 30",
            "healthy_threshold = 10",
            "draining = { enabled = false, timeout = 300 }",
            "surge_queue = 1024",
        ] {
            assert!(file.lines().any(|written| written == line), "{line}\n{file}");
        }
    }
}
