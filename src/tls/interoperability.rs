//! Sessions of ours against OpenSSL's command line over loopback: versions, ciphers, resumption, server names, the
//! choice of certificate, client certificates.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rcgen::PKCS_ECDSA_P256_SHA256;
use tempfile::TempDir;

use super::testing::*;
use super::*;
use crate::base::Instant;
use crate::model::{Keyword, PredefinedPolicy, SecurityPolicy};

const QUESTION: &str = "question\n";
const PATIENCE: Duration = Duration::from_secs(20);

/// A session on a blocking socket.
struct Pump {
    stream: TcpStream,
    session: Session,
    out: Vec<u8>,
    unread: Vec<u8>,
    plaintext: Vec<u8>,
}

impl Pump {
    fn new(stream: TcpStream, session: Session, out: Vec<u8>) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { stream, session, out, unread: Vec::new(), plaintext: Vec::new() }
    }

    /// Sends what there is to send and feeds what comes until `enough`, a fault or the end of the stream.
    fn run(&mut self, enough: impl Fn(&Self) -> bool) -> Result<(), TlsFault> {
        loop {
            self.stream.write_all(&std::mem::take(&mut self.out)).ok();
            if enough(self) {
                return Ok(());
            }
            let mut buffer = [0; 3000];
            let count = self.stream.read(&mut buffer).unwrap_or(0);
            if count == 0 {
                return self.session.handle_end();
            }
            self.unread.extend_from_slice(buffer.get(..count).unwrap_or_default());
            let plaintext = &mut self.plaintext;
            let sink = |piece: &[u8]| plaintext.extend_from_slice(piece);
            match self.session.feed(&mut self.unread, &mut self.out, sink) {
                Ok(progress) => drop(self.unread.drain(..progress.consumed)),
                Err(fault) => {
                    self.stream.write_all(&self.out).ok();
                    return Err(fault);
                }
            }
        }
    }

    fn send(&mut self, plaintext: &[u8]) {
        self.session.seal(&[plaintext], Instant::ZERO, &mut self.out).expect("sealed");
    }
}

/// What our server saw of one connection.
#[derive(Debug)]
struct Seen {
    fault: Option<TlsFault>,
    protocol: Option<Protocol>,
    cipher: Option<&'static str>,
    server_name: Option<String>,
    alpn: Option<ApplicationProtocol>,
    client: Option<String>,
    resumed: bool,
}

/// Serves one connection on a thread: answers a line and says goodbye.
fn serve(tls: &ServerTls) -> (SocketAddr, JoinHandle<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let session = Session::server(tls).expect("a session");
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut pump = Pump::new(stream, session, Vec::new());
        let result = pump.run(|pump| pump.plaintext.ends_with(b"\n")).and_then(|()| {
            pump.send(b"answer to ");
            let question = pump.plaintext.clone();
            pump.send(&question);
            pump.session.close_notify(&mut pump.out);
            pump.run(|pump| pump.session.is_peer_closed())
        });
        let session = &pump.session;
        Seen {
            fault: result.err(),
            protocol: session.protocol(),
            cipher: session.cipher().map(Keyword::as_str),
            server_name: session.server_name().map(str::to_owned),
            alpn: session.alpn(),
            client: session.client_identity().map(|identity| identity.subject),
            resumed: session.is_resumed(),
        }
    });
    (address, thread)
}

/// Runs `openssl s_client` against our server and returns what each side saw.
fn ask(tls: &ServerTls, arguments: &[&str]) -> (Seen, String) {
    let (address, server) = serve(tls);
    let mut child = Command::new("openssl")
        .args(["s_client", "-ign_eof", "-connect", &address.to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the openssl command is installed");
    child.stdin.take().expect("a pipe").write_all(QUESTION.as_bytes()).ok();
    let output = child.wait_with_output().expect("an end");
    (server.join().expect("no panic"), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Files for OpenSSL.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A path for the command line, with this content if there is any.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        if !content.is_empty() {
            std::fs::write(&path, content).expect("written");
        }
        path.to_str().expect("a plain path").to_owned()
    }
}

#[test]
fn openssl_verifies_us_and_resumes_in_both_versions() {
    let folder = Folder::new();
    let authority = folder.file("authority.pem", &WEB.authority.pem);
    for (flag, protocol) in [("-tls1_2", Protocol::TlsV1_2), ("-tls1_3", Protocol::TlsV1_3)] {
        for files in [&WEB.ecdsa, &WEB.rsa] {
            let settings = Server { certificates: vec![files.load()], ..Server::default() };
            let session = folder.file(&format!("session{flag}"), "");
            let verify = ["-CAfile", &authority, "-verify_return_error", "-verify_hostname", "web.test", flag];
            let full = [&verify[..], &["-servername", "web.test", "-sess_out", &session]].concat();
            let resumed = [&verify[..], &["-servername", "web.test", "-sess_in", &session]].concat();
            for (arguments, is_resumed) in [(full, false), (resumed, true)] {
                let (seen, told) = ask(&settings.tls(), &arguments);
                assert_eq!(seen.fault, None, "{told}");
                assert_eq!((seen.protocol, seen.resumed), (Some(protocol), is_resumed));
                assert_eq!(seen.server_name.as_deref(), Some("web.test"));
                assert!(told.contains("answer to question"), "{told}");
                assert!(told.contains(if is_resumed { "Reused, " } else { "New, " }), "{told}");
                assert!(told.contains(&format!("Cipher is {}", seen.cipher.unwrap_or_default())), "{told}");
            }
        }
    }
}

#[test]
fn openssl_resumes_tls_1_2_by_session_id_too() {
    let folder = Folder::new();
    let tls = Server::default().tls();
    let session = folder.file("session", "");
    for (flag, is_resumed) in [("-sess_out", false), ("-sess_in", true)] {
        let (seen, told) = ask(&tls, &["-tls1_2", "-no_ticket", flag, &session]);
        assert_eq!((seen.fault, seen.resumed), (None, is_resumed), "{told}");
    }
}

#[test]
fn every_policy_of_elb_with_something_left_serves_each_of_its_ciphers_and_no_other() {
    let certificates = vec![WEB.ecdsa.load(), WEB.rsa.load()];
    for policy in PredefinedPolicy::ALL.iter().filter(|policy| policy.is_of_elb()) {
        let tls_policy = TlsPolicy::of(&SecurityPolicy::Predefined(*policy));
        let Ok(negotiable) = tls_policy.negotiable() else { continue };
        let tls = Server { policy: negotiable, certificates: certificates.clone(), ..Server::default() }.tls();
        for cipher in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"] {
            let (seen, told) = ask(&tls, &["-tls1_2", "-cipher", cipher]);
            assert_eq!((seen.fault, seen.cipher), (None, Some(cipher)), "{policy}: {told}");
        }
        let (seen, _) = ask(&tls, &["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"]);
        assert_eq!(seen.fault, Some(TlsFault::NoSharedCipher), "{policy}");
        let (seen, _) = ask(&tls, &["-tls1_3"]);
        assert_eq!(seen.fault, Some(TlsFault::NoSharedProtocol), "{policy}: Classic ELB has no TLS 1.3");
    }
}

#[test]
fn tls_1_1_is_refused() {
    let (seen, _) = ask(&Server::default().tls(), &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    assert_eq!(seen.fault, Some(TlsFault::NoSharedProtocol));
}

#[test]
fn the_name_and_what_the_client_verifies_choose_the_certificate() {
    let other = WEB.authority.issue(&["*.other.test"], &PKCS_ECDSA_P256_SHA256);
    let certificates = vec![WEB.rsa.load(), WEB.ecdsa.load(), other.load()];
    let tls = Server { certificates, ..Server::default() }.tls();
    let cases: [(&[&str], &str, &str); 6] = [
        (&["-servername", "web.test"], "CN = web.test", "Peer signature type: ECDSA"),
        (&["-servername", "WEB.test", "-tls1_2"], "CN = web.test", "Peer signature type: ECDSA"),
        (&["-servername", "a.other.test"], "CN = *.other.test", "Peer signature type: ECDSA"),
        (&["-noservername"], "CN = web.test", "Peer signature type: ECDSA"),
        (&["-servername", "web.test", "-sigalgs", "RSA-PSS+SHA256"], "CN = web.test", "Peer signature type: RSA-PSS"),
        (
            &["-servername", "web.test", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
            "CN = web.test",
            "Peer signature type: RSA-PSS",
        ),
    ];
    for (arguments, subject, signature) in cases {
        let (seen, told) = ask(&tls, arguments);
        assert_eq!(seen.fault, None, "{arguments:?}: {told}");
        assert!(told.contains(&format!("subject={subject}")) && told.contains(signature), "{arguments:?}: {told}");
    }
}

#[test]
fn openssl_agrees_on_an_application_protocol_and_shows_its_certificate() {
    let folder = Folder::new();
    let alice = WEB.authority.issue(&["alice"], &PKCS_ECDSA_P256_SHA256);
    let (chain, key) = (folder.file("alice.crt", &alice.chain), folder.file("alice.key", &alice.key));
    let client_auth = ClientAuth::Required(WEB.authority.authorities());
    let tls = Server { alpn: Alpn::Http2OrHttp1, client_auth, ..Server::default() }.tls();
    for flag in ["-tls1_2", "-tls1_3"] {
        let (seen, told) = ask(&tls, &[flag, "-alpn", "http/1.1,h2", "-cert", &chain, "-key", &key]);
        assert_eq!(seen.fault, None, "{told}");
        assert_eq!(seen.alpn, Some(ApplicationProtocol::Http2), "our order counts");
        assert_eq!(seen.client.as_deref(), Some("CN=alice"));
        let (seen, _) = ask(&tls, &[flag]);
        assert_eq!(seen.fault, Some(TlsFault::CertificateMissing));
    }
}

/// `openssl s_server`, which sends back each line reversed.
struct OpensslServer {
    child: Child,
    address: SocketAddr,
}

impl OpensslServer {
    fn start(folder: &Folder, files: &Files, arguments: &[&str]) -> Self {
        let (chain, key) = (folder.file("server.crt", &files.chain), folder.file("server.key", &files.key));
        let mut child = Command::new("openssl")
            .args(["s_server", "-rev", "-accept", "127.0.0.1:0", "-cert", &chain, "-key", &key])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the openssl command is installed");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let address = loop {
            let line = lines.next().expect("a line with the address").expect("text");
            if let Some(address) = line.strip_prefix("ACCEPT ") {
                break address.parse().expect("an address");
            }
        };
        thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn ask(&self, tls: &ClientTls) -> Result<Pump, TlsFault> {
        let mut out = Vec::new();
        let session = Session::client(tls, &mut out)?;
        let stream = TcpStream::connect(self.address).expect("a connection");
        let mut pump = Pump::new(stream, session, out);
        pump.run(|pump| !pump.session.is_handshaking())?;
        pump.send(QUESTION.as_bytes());
        pump.run(|pump| pump.plaintext.ends_with(b"\n"))?;
        assert_eq!(pump.plaintext, b"noitseuq\n");
        pump.session.close_notify(&mut pump.out);
        pump.run(|_| true)?;
        Ok(pump)
    }
}

impl Drop for OpensslServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn we_verify_openssl_and_resume_in_both_versions() {
    for (flag, protocol) in [("-tls1_2", Protocol::TlsV1_2), ("-tls1_3", Protocol::TlsV1_3)] {
        for files in [&WEB.ecdsa, &WEB.rsa] {
            let folder = Folder::new();
            let server = OpensslServer::start(&folder, files, &[flag]);
            let tls = web_client();
            for round in 0..3 {
                let pump = server.ask(&tls).expect("an answer");
                assert_eq!(pump.session.protocol(), Some(protocol));
                assert_eq!(pump.session.is_resumed(), round > 0, "{flag}, round {round}");
            }
            let strangers = BackendTrust::Authorities(TestAuthority::new("Strangers").authorities());
            let refused = server.ask(&client(&strangers, Some("web.test"), Alpn::Off)).map(|_| ());
            assert_eq!(refused, Err(TlsFault::CertificateUntrusted));
        }
    }
}

#[test]
fn we_speak_to_a_back_end_that_only_has_p_256_after_one_retry() {
    let folder = Folder::new();
    let server = OpensslServer::start(&folder, &WEB.ecdsa, &["-tls1_3", "-groups", "P-256"]);
    let tls = client(&BackendTrust::Anyone, None, Alpn::Off);
    for _ in 0..2 {
        let pump = server.ask(&tls).expect("an answer");
        assert_eq!(pump.session.group(), Some("secp256r1"));
    }
}
