//! Which certificate a client gets: the exact name it asks for, then the wildcard over it, then the default; and
//! among several for one name the best that the client can verify. Immutable: a changed certificate makes a new
//! resolver in a new configuration, which new connections use.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::model::UnknownName;

use super::certificate::Certificate;

/// The certificates of one listener by name.
#[derive(Debug)]
pub(super) struct Resolver {
    exact: HashMap<String, Candidates>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Candidates>,
    default: Candidates,
}

impl Resolver {
    /// A resolver over `certificates`; the first is the default, together with those of another kind of key that
    /// cover all its names. Of two for one name and one kind of key, the one listed first is served.
    pub(super) fn new(certificates: &[Certificate], unknown_name: UnknownName) -> Self {
        let mut exact: HashMap<String, Candidates> = HashMap::new();
        let mut wildcard: HashMap<String, Candidates> = HashMap::new();
        for certificate in certificates {
            for name in certificate.names() {
                match name.strip_prefix("*.") {
                    Some(parent) => wildcard.entry(parent.to_owned()).or_default().add(certificate),
                    None => exact.entry(name.clone()).or_default().add(certificate),
                }
            }
        }
        let mut default = Candidates::default();
        if unknown_name == UnknownName::ServeDefault
            && let Some(first) = certificates.first()
        {
            let covers = |other: &&Certificate| first.names().iter().all(|name| other.names().contains(name));
            certificates.iter().filter(covers).for_each(|certificate| default.add(certificate));
        }
        Self { exact, wildcard, default }
    }

    /// The candidates for a lower-case server name. A wildcard stands for exactly one label (RFC 9525 section 6.3).
    fn candidates(&self, name: Option<&str>) -> &Candidates {
        let named = name.and_then(|name| {
            let parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
            self.exact.get(name).or_else(parent)
        });
        named.unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let key = self.candidates(hello.server_name()).best(&hello);
        let lookup = Lookup { name: hello.server_name().map(Box::from), found: key.is_some() };
        LAST_LOOKUP.set(Some(lookup));
        key
    }
}

/// Certificates for one name, the kind of key to prefer first.
#[derive(Debug, Default)]
struct Candidates(Vec<Certificate>);

impl Candidates {
    fn add(&mut self, certificate: &Certificate) {
        let kind = certificate.key_kind();
        let at = self.0.partition_point(|known| known.key_kind() <= kind);
        self.0.insert(at, certificate.clone());
    }

    /// The first whose signature the client can verify. If it can verify none, the last: the handshake then fails
    /// with the alert and the reason that fit.
    fn best(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let verifiable =
            |certificate: &&Certificate| certificate.key().key.choose_scheme(hello.signature_schemes()).is_some();
        let best = self.0.iter().find(verifiable).or(self.0.last());
        best.map(|certificate| certificate.key().clone())
    }
}

/// What a resolver was asked and whether it had an answer.
#[derive(Debug)]
pub(super) struct Lookup {
    /// The server name the client sent, in lower case.
    pub name: Option<Box<str>>,
    /// Whether there was a certificate to serve.
    pub found: bool,
}

thread_local! {
    static LAST_LOOKUP: RefCell<Option<Lookup>> = const { RefCell::new(None) };
}

/// Takes the lookup made on this thread since the last call. The library calls the resolver while it processes the
/// ClientHello, on the same thread, and its unbuffered connection keeps the server name to itself.
pub(super) fn take_last_lookup() -> Option<Lookup> {
    LAST_LOOKUP.take()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::{Files, WEB};
    use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519};

    fn subjects(resolver: &Resolver, name: Option<&str>) -> Vec<String> {
        resolver.candidates(name).0.iter().map(|certificate| certificate.subject().to_owned()).collect()
    }

    #[test]
    fn exact_names_go_before_wildcards_and_these_before_the_default() {
        let certificates: Vec<Certificate> =
            [&["first.test"][..], &["*.wild.test"], &["a.wild.test"], &["*.first.test"]]
                .iter()
                .map(|names| WEB.authority.issue(names, &PKCS_ECDSA_P256_SHA256).load())
                .collect();
        let lenient = Resolver::new(&certificates, UnknownName::ServeDefault);
        let strict = Resolver::new(&certificates, UnknownName::Refuse);
        for (name, expected) in [
            (Some("first.test"), Some("CN=first.test")),
            (Some("a.wild.test"), Some("CN=a.wild.test")),
            (Some("b.wild.test"), Some("CN=*.wild.test")),
            (Some("www.first.test"), Some("CN=*.first.test")),
            (Some("a.b.wild.test"), None),
            (Some("wild.test"), None),
            (Some("other.test"), None),
            (Some("test"), None),
            (None, None),
        ] {
            let found: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(subjects(&strict, name), found, "{name:?}, strict");
            assert_eq!(subjects(&lenient, name), [expected.unwrap_or("CN=first.test")], "{name:?}");
        }
    }

    #[test]
    fn candidates_come_ecdsa_first_and_of_equals_the_first_listed() {
        let rsa = WEB.rsa.load();
        let ecdsa = WEB.ecdsa.load();
        let second = WEB.authority.issue(&["web.test", "*.web.test"], &PKCS_ECDSA_P256_SHA256).load();
        let edwards = WEB.authority.issue(&["web.test", "*.web.test"], &PKCS_ED25519).load();
        let narrow: Files = WEB.authority.issue(&["web.test"], &PKCS_ECDSA_P256_SHA256);
        let all = [rsa.clone(), narrow.load(), edwards.clone(), ecdsa.clone(), second.clone()];
        let resolver = Resolver::new(&all, UnknownName::ServeDefault);
        let fingerprints =
            |name| -> Vec<_> { resolver.candidates(name).0.iter().map(Certificate::fingerprint).collect() };
        let by_wildcard = [&ecdsa, &second, &edwards, &rsa].map(Certificate::fingerprint);
        assert_eq!(fingerprints(Some("www.web.test")), by_wildcard);
        assert_eq!(fingerprints(None), by_wildcard, "the narrow one does not cover the default's names");
        assert_eq!(fingerprints(Some("web.test"))[0], narrow.load().fingerprint());
    }
}
