//! What the tests of this room share: certificates made on the spot, and two sessions joined in memory.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm,
};

use super::*;
use crate::model::UnknownName;

/// PEM files.
pub struct Files {
    pub chain: String,
    pub key: String,
}

impl Files {
    pub fn load(&self) -> Certificate {
        Certificate::from_pem(self.chain.as_bytes(), self.key.as_bytes()).expect("a good certificate")
    }
}

/// An authority and what it issues.
pub struct TestAuthority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl TestAuthority {
    pub fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        Self { pem: certificate.pem(), issuer: Issuer::new(parameters, key) }
    }

    /// A certificate for these names, with the first as common name.
    pub fn issue(&self, names: &[&str], kind: &'static SignatureAlgorithm) -> Files {
        self.issue_with(names, kind, |_| ())
    }

    pub fn issue_with(
        &self,
        names: &[&str],
        kind: &'static SignatureAlgorithm,
        adjust: impl FnOnce(&mut CertificateParams),
    ) -> Files {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let common_name = names.first().cloned().unwrap_or_default();
        let mut parameters = CertificateParams::new(names).expect("good names");
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, common_name);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        adjust(&mut parameters);
        let key = KeyPair::generate_for(kind).expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        Files { chain: certificate.pem(), key: key.serialize_pem() }
    }

    pub fn authorities(&self) -> Authorities {
        Authorities::from_pem(self.pem.as_bytes()).expect("an authority")
    }
}

/// An authority, and its certificates for `web.test`; making RSA keys is slow.
pub struct Web {
    pub authority: TestAuthority,
    pub ecdsa: Files,
    pub rsa: Files,
}

pub static WEB: LazyLock<Web> = LazyLock::new(|| {
    let authority = TestAuthority::new("Test Authority");
    let ecdsa = authority.issue(&["web.test", "*.web.test"], &PKCS_ECDSA_P256_SHA256);
    let rsa = authority.issue(&["web.test", "*.web.test"], &PKCS_RSA_SHA256);
    Web { authority, ecdsa, rsa }
});

/// A listener with one setting changed here and there.
pub struct Server {
    pub policy: Negotiable,
    pub certificates: Vec<Certificate>,
    pub unknown_name: UnknownName,
    pub client_auth: ClientAuth,
    pub alpn: Alpn,
    pub tickets: Arc<TicketRing>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            policy: policy(TlsPolicy::ELBOW_TLS_1_2),
            certificates: vec![WEB.ecdsa.load()],
            unknown_name: UnknownName::ServeDefault,
            client_auth: ClientAuth::Off,
            alpn: Alpn::Off,
            tickets: Arc::new(TicketRing::random(WallClock::System).expect("a ring")),
        }
    }
}

impl Server {
    pub fn tls(&self) -> ServerTls {
        ServerTls::new(ServerSettings {
            policy: &self.policy,
            certificates: &self.certificates,
            unknown_name: self.unknown_name,
            client_auth: self.client_auth.clone(),
            alpn: self.alpn,
            tickets: &self.tickets,
            clock: WallClock::System,
        })
        .expect("good settings")
    }
}

pub fn policy(name: &str) -> Negotiable {
    TlsPolicy::predefined(name).expect("a known policy").negotiable().expect("something negotiable")
}

pub fn client(trust: &BackendTrust, server_name: Option<&str>, alpn: Alpn) -> ClientTls {
    ClientTls::new(ClientSettings { trust, server_name, alpn, clock: WallClock::System }).expect("good settings")
}

/// A client that verifies `web.test`.
pub fn web_client() -> ClientTls {
    client(&BackendTrust::Authorities(WEB.authority.authorities()), Some("web.test"), Alpn::Off)
}

/// One end of a connection in memory: a session, what it has to send and what it has received.
pub struct End {
    pub session: Session,
    pub out: Vec<u8>,
    pub plaintext: Vec<u8>,
    unread: Vec<u8>,
}

impl End {
    pub fn server(tls: &ServerTls) -> Self {
        let session = Session::server(tls).expect("a session");
        Self { session, out: Vec::new(), plaintext: Vec::new(), unread: Vec::new() }
    }

    pub fn client(tls: &ClientTls) -> Self {
        let mut out = Vec::new();
        let session = Session::client(tls, &mut out).expect("a session");
        Self { session, out, plaintext: Vec::new(), unread: Vec::new() }
    }

    /// Gives the session these bytes behind those it left last time.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Progress, TlsFault> {
        self.unread.extend_from_slice(bytes);
        let plaintext = &mut self.plaintext;
        let sink = |piece: &[u8]| plaintext.extend_from_slice(piece);
        let progress = self.session.feed(&mut self.unread, &mut self.out, sink)?;
        self.unread.drain(..progress.consumed);
        assert!(self.unread.len() <= MAX_RECORD);
        Ok(progress)
    }

    pub fn send(&mut self, plaintext: &[u8]) {
        self.session.seal(&[plaintext], crate::base::Instant::ZERO, &mut self.out).expect("sealed");
    }
}

/// Carries bytes both ways until neither end has any more. Faults come from the end that found them.
pub fn exchange(server: &mut End, client: &mut End) -> Result<(), TlsFault> {
    while !(server.out.is_empty() && client.out.is_empty()) {
        let flight = std::mem::take(&mut client.out);
        let _ = server.receive(&flight)?;
        let flight = std::mem::take(&mut server.out);
        let _ = client.receive(&flight)?;
    }
    Ok(())
}

/// Two ends after their handshake.
pub fn connect(server: &ServerTls, client: &ClientTls) -> Result<(End, End), TlsFault> {
    let (mut server, mut client) = (End::server(server), End::client(client));
    exchange(&mut server, &mut client)?;
    assert!(!server.session.is_handshaking() && !client.session.is_handshaking());
    Ok((server, client))
}

/// Runs the openssl command with this standard input and returns its standard output.
pub fn openssl(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the openssl command is installed");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success(), "openssl {arguments:?}");
    String::from_utf8(output.stdout).expect("text")
}
