//! No file: a balancer from a few flags. They become the shortest file that says the same, and that file is read like
//! any other, so that flags and files cannot mean different things.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Loaded, Report, parse};
use crate::model::{AdminAddress, CertificateFiles, Endpoint, Host, Invalid, Keyword, Port, Protocol};

/// What `elbow run` takes instead of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flags {
    /// Where clients arrive; at least one.
    pub listen: Vec<ListenUrl>,
    /// The instances.
    pub to: Vec<Endpoint>,
    /// For the secure listeners.
    pub certificate: Option<CertificateFiles>,
    /// Where the admin pages are, unless where they always are.
    pub admin: Option<AdminAddress>,
}

/// `http://127.0.0.1:8080`: the protocol, address and port of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenUrl {
    /// What clients speak.
    pub protocol: Protocol,
    /// Where they arrive.
    pub address: std::net::IpAddr,
    /// The port.
    pub port: Port,
}

impl FromStr for ListenUrl {
    type Err = Invalid;

    /// The scheme is `http`, `https`, `tcp` or `ssl`; HTTP and HTTPS have ports of their own.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let expected = || Invalid::new("expected SCHEME://ADDRESS:PORT with scheme http, https, tcp or ssl");
        let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
        let protocol = Protocol::from_word(scheme).ok_or_else(expected)?;
        let Endpoint { host, port } = rest.strip_suffix('/').unwrap_or(rest).parse()?;
        let Host::Ip(address) = host else {
            return Err(Invalid::new("expected an IP address to listen on, such as 127.0.0.1 or 0.0.0.0"));
        };
        let port = port.or(default_port(protocol)).ok_or_else(expected)?;
        Ok(Self { protocol, address, port })
    }
}

fn default_port(protocol: Protocol) -> Option<Port> {
    match protocol {
        Protocol::Http => Some(Port::HTTP),
        Protocol::Https => Some(Port::HTTPS),
        Protocol::Tcp | Protocol::Ssl => None,
    }
}

/// The shortest file that says what the flags say, and what it means. Its relative paths relate to the current
/// directory, as those of flags do.
pub fn from_flags(flags: &Flags) -> (String, Result<Loaded, Report>) {
    let file = equivalent_file(flags);
    let loaded = parse(&file, Path::new("elbow.toml"));
    (file, loaded)
}

fn equivalent_file(flags: &Flags) -> String {
    let mut file = String::new();
    if let Some(admin) = &flags.admin {
        // Writing to a String cannot fail.
        let _ = writeln!(file, "[admin]\naddress = {}\n", toml::Value::String(admin.to_string()));
    }
    file.push_str("[load_balancers.main]\nlisteners = [\n");
    for listen in &flags.listen {
        let _ = writeln!(file, "  {{ {} }},", listener(listen, flags));
    }
    let instances: Vec<String> = flags.to.iter().map(|endpoint| format!("\"{endpoint}\"")).collect();
    let _ = writeln!(file, "]\ninstances = [{}]", instances.join(", "));
    file
}

fn listener(listen: &ListenUrl, flags: &Flags) -> String {
    let ListenUrl { protocol, address, port } = listen;
    let instance_port = flags.to.iter().find_map(|endpoint| endpoint.port).unwrap_or(*port);
    let mut keys = format!("protocol = \"{protocol}\", address = \"{address}\", port = {port}");
    let _ = write!(keys, ", instance_port = {instance_port}");
    if let (true, Some(certificate)) = (protocol.is_secure(), &flags.certificate) {
        let text = |path: &PathBuf| toml::Value::String(path.display().to_string());
        let (chain, key) = (text(&certificate.chain), text(&certificate.key));
        let _ = write!(keys, ", certificates = [{{ chain = {chain}, key = {key} }}]");
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(listen: &[&str], to: &[&str]) -> Flags {
        Flags {
            listen: listen.iter().map(|url| url.parse().unwrap()).collect(),
            to: to.iter().map(|address| address.parse().unwrap()).collect(),
            certificate: None,
            admin: None,
        }
    }

    #[test]
    fn flags_become_the_shortest_file_that_says_the_same() {
        let flags = flags(&["http://127.0.0.1:8080", "tcp://[::1]:5432"], &["127.0.0.1:9001", "127.0.0.1:9002"]);
        let (file, loaded) = from_flags(&flags);
        let expected = "[load_balancers.main]\n\
            listeners = [\n  \
              { protocol = \"HTTP\", address = \"127.0.0.1\", port = 8080, instance_port = 9001 },\n  \
              { protocol = \"TCP\", address = \"::1\", port = 5432, instance_port = 9001 },\n\
            ]\n\
            instances = [\"127.0.0.1:9001\", \"127.0.0.1:9002\"]\n";
        assert_eq!(file, expected);
        let loaded = loaded.unwrap();
        assert!(loaded.warnings.is_empty());
        assert_eq!(loaded.configuration.load_balancers["main"].instances.len(), 2);
    }

    #[test]
    fn instances_without_a_port_are_reached_on_the_listeners() {
        let (file, _) = from_flags(&flags(&["http://0.0.0.0"], &["10.0.0.1", "web.example"]));
        assert!(file.contains("port = 80, instance_port = 80 }"), "{file}");
    }

    #[test]
    fn secure_listeners_take_the_certificate() {
        let certificate = CertificateFiles { chain: "a \"b\".crt".into(), key: "a.key".into() };
        let flags = Flags { certificate: Some(certificate), ..flags(&["https://0.0.0.0", "http://0.0.0.0"], &["::1"]) };
        let (file, _) = from_flags(&flags);
        assert_eq!(file.matches("certificates = [{ chain = 'a \"b\".crt', key = \"a.key\" }]").count(), 1, "{file}");
    }

    #[test]
    fn the_admin_address_is_said_when_it_is_asked_for() {
        let admin = Some("127.0.0.1:7000".parse().unwrap());
        let (file, loaded) = from_flags(&Flags { admin: admin.clone(), ..flags(&["http://127.0.0.1"], &["::1"]) });
        assert!(file.starts_with("[admin]\naddress = \"127.0.0.1:7000\"\n\n[load_balancers.main]\n"), "{file}");
        assert_eq!(Some(loaded.unwrap().configuration.admin.clone()), admin);
    }

    #[test]
    fn what_is_no_address_to_listen_on() {
        let form = "expected SCHEME://ADDRESS:PORT with scheme http, https, tcp or ssl";
        for (text, message) in [
            ("127.0.0.1:8080", form),
            ("udp://127.0.0.1:53", form),
            ("tcp://127.0.0.1", form),
            ("http://localhost:8080", "expected an IP address to listen on, such as 127.0.0.1 or 0.0.0.0"),
            ("http://127.0.0.1:0", "expected a port from 1 to 65535"),
            ("http://127.0.0.1:80/path", "expected \"host\" or \"host:port\""),
        ] {
            assert_eq!(text.parse::<ListenUrl>().unwrap_err().to_string(), message, "{text}");
        }
    }
}
