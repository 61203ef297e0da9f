//! The configuration of one load balancer in a test: what it does not say is the default that suits most tests.

use super::{CertificatePaths, Elbow, free_address};
use std::fmt::Write;
use std::net::SocketAddr;

/// A load balancer to be started.
#[derive(Debug, Clone)]
pub struct Balancer {
    protocol: &'static str,
    instances: Vec<String>,
    node: String,
    health_check: String,
    attributes: String,
    limits: String,
    listener: String,
    more_addresses: Vec<SocketAddr>,
    tables: String,
}

impl Balancer {
    /// One HTTP listener in front of `instances`.
    pub fn http(instances: impl IntoIterator<Item = SocketAddr>) -> Balancer {
        Balancer::over("HTTP", instances)
    }

    /// One TCP listener in front of `instances`.
    pub fn tcp(instances: impl IntoIterator<Item = SocketAddr>) -> Balancer {
        Balancer::over("TCP", instances)
    }

    /// One HTTPS listener in front of `instances`.
    pub fn https(instances: impl IntoIterator<Item = SocketAddr>, certificates: &[&CertificatePaths]) -> Balancer {
        Balancer::over("HTTPS", instances).showing(certificates)
    }

    /// One SSL listener in front of `instances`.
    pub fn ssl(instances: impl IntoIterator<Item = SocketAddr>, certificates: &[&CertificatePaths]) -> Balancer {
        Balancer::over("SSL", instances).showing(certificates)
    }

    fn showing(self, certificates: &[&CertificatePaths]) -> Balancer {
        let certificates: Vec<String> = certificates.iter().map(|paths| paths.text()).collect();
        self.listener(&format!("certificates = [{}]", certificates.join(", ")))
    }

    /// A further listener, as the first one.
    pub fn also_at(mut self, address: SocketAddr) -> Balancer {
        self.more_addresses.push(address);
        self
    }

    /// A key of every listener.
    pub fn listener(mut self, pair: &str) -> Balancer {
        write!(self.listener, ", {pair}").expect("room");
        self
    }

    /// Lines behind everything else: tables of the load balancer.
    pub fn tables(mut self, text: &str) -> Balancer {
        writeln!(self.tables, "{text}").expect("room");
        self
    }

    fn over(protocol: &'static str, instances: impl IntoIterator<Item = SocketAddr>) -> Balancer {
        Balancer {
            protocol,
            instances: instances.into_iter().map(|address| format!("{:?}", address.to_string())).collect(),
            node: String::new(),
            // One probe at the start and then hardly any: the first success brings an instance into service.
            health_check: "target = \"TCP:1\"\ninterval = 60\ntimeout = 5\n".into(),
            attributes: String::new(),
            limits: String::new(),
            listener: String::new(),
            more_addresses: Vec::new(),
            tables: String::new(),
        }
    }

    /// One more instance, with a weight.
    pub fn weighted(mut self, address: SocketAddr, weight: u32) -> Balancer {
        self.instances.push(format!("{{ id = \"{address}\", address = \"{address}\", weight = {weight} }}"));
        self
    }

    /// A line of `[node]`.
    pub fn node(mut self, line: &str) -> Balancer {
        writeln!(self.node, "{line}").expect("room");
        self
    }

    /// A line of `attributes`.
    pub fn attribute(mut self, line: &str) -> Balancer {
        writeln!(self.attributes, "{line}").expect("room");
        self
    }

    /// A line of `limits`.
    pub fn limit(mut self, line: &str) -> Balancer {
        writeln!(self.limits, "{line}").expect("room");
        self
    }

    /// Probes this target (the port is each instance's own) twice a second.
    pub fn probing(mut self, target: &str) -> Balancer {
        self.health_check = format!(
            "target = {target:?}\ninterval = 0.5\ntimeout = 0.4\nhealthy_threshold = 2\nunhealthy_threshold = 2\n"
        );
        self
    }

    /// Lines of its health check, instead of all others.
    pub fn checking(mut self, lines: &str) -> Balancer {
        self.health_check = format!("{lines}\n");
        self
    }

    /// The text of its file.
    pub fn text(&self, listener: SocketAddr, admin: SocketAddr) -> String {
        let Balancer { protocol, instances, node, health_check, attributes, limits, tables, .. } = self;
        let listeners = std::iter::once(&listener).chain(&self.more_addresses).map(|listener| {
            let (address, port, extra) = (listener.ip(), listener.port(), &self.listener);
            format!("{{ protocol = \"{protocol}\", address = \"{address}\", port = {port}, instance_port = 1{extra} }}")
        });
        let listeners = listeners.collect::<Vec<String>>().join(", ");
        let instances = instances.join(", ");
        format!(
            r#"
[node]
{node}
[admin]
address = "{admin}"

[load_balancers.web]
listeners = [{listeners}]
instances = [{instances}]

[load_balancers.web.health_check]
{health_check}
[load_balancers.web.attributes]
{attributes}
[load_balancers.web.limits]
{limits}
{tables}"#
        )
    }

    /// Starts the balancer; ready, its instances perhaps not yet in service.
    pub fn start_early(&self) -> Elbow {
        let (listener, admin) = (free_address(), free_address());
        Elbow::start(&self.text(listener, admin), vec![listener], admin)
    }

    /// As [`Balancer::start`], with its listener at an address of the test's choice.
    #[track_caller]
    pub fn start_at(&self, listener: SocketAddr) -> Elbow {
        let admin = free_address();
        let elbow = Elbow::start(&self.text(listener, admin), vec![listener], admin);
        elbow.admin().wait_in_service();
        elbow
    }

    /// Starts the balancer and waits until all its instances are in service.
    #[track_caller]
    pub fn start(&self) -> Elbow {
        let elbow = self.start_early();
        elbow.admin().wait_in_service();
        elbow
    }

    /// As [`Balancer::start`], with at most `descriptors` open files.
    #[track_caller]
    pub fn start_with_descriptors(&self, descriptors: usize) -> Elbow {
        let (listener, admin) = (free_address(), free_address());
        let text = self.text(listener, admin);
        let elbow = Elbow::start_limited(&text, vec![listener], admin, Some(descriptors));
        elbow.admin().wait_in_service();
        elbow
    }
}
