//! The PROXY protocol: said to instances as their policies ask, believed of trusted senders only.

use crate::harness::{Backend, Balancer, Elbow, PATIENCE, Peer, curl};
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Version 2, PROXY, TCP over IPv4, from 192.0.2.7:1234 to 198.51.100.9:443, with a field to be skipped (type 0x04).
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x11\xc0\x00\x02\x07\xc6\x33\x64\x09\x04\xd2\x01\xbb\x04\x00\x02ab";
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.9 1234 443\r\n";

fn policy(version: u8) -> String {
    format!(
        "[load_balancers.web.backend_policies]\n1 = [\"proxy\"]\n[load_balancers.web.policies.proxy]\n\
         type = \"ProxyProtocolPolicyType\"\nproxy_protocol = true\nversion = {version}"
    )
}

fn errors(elbow: &Elbow, reason: &str) -> f64 {
    elbow.admin().metrics().sum("elbow_errors_total", &[("reason", reason)])
}

/// Tells all that it hears on a connection that says something.
fn listening() -> (Backend, Receiver<Vec<u8>>) {
    let (report, reported) = mpsc::channel();
    let backend = Backend::start(move |peer, _| {
        let (heard, _) = peer.read_to_end();
        if !heard.is_empty() {
            report.send(heard).expect("a test that waits");
        }
        Ok(())
    });
    (backend, reported)
}

/// What the instance hears when a client says `bytes` and no more; the client's address.
fn relayed(elbow: &Elbow, heard: &Receiver<Vec<u8>>, bytes: &[u8]) -> (Vec<u8>, SocketAddr) {
    let mut client = Peer::connect_and_send(elbow.address(), bytes);
    let address = client.stream().local_addr().expect("an address");
    client.finish();
    client.read_to_end();
    (heard.recv_timeout(PATIENCE).expect("the instance's report"), address)
}

#[test]
fn version_1_goes_before_the_first_byte() {
    let (backend, heard) = listening();
    let elbow = Balancer::tcp([backend.address()]).tables(&policy(1)).start();
    let (heard, client) = relayed(&elbow, &heard, b"hello");
    let (listener, from) = (elbow.address(), client.ip());
    let expected = format!("PROXY TCP4 {from} {} {} {}\r\nhello", listener.ip(), client.port(), listener.port());
    assert_eq!(String::from_utf8_lossy(&heard), expected);
}

#[test]
fn version_2_says_the_same_in_binary() {
    let (backend, heard) = listening();
    let elbow = Balancer::tcp([backend.address()]).tables(&policy(2)).start();
    let (heard, client) = relayed(&elbow, &heard, b"hello");
    let SocketAddr::V4(listener) = elbow.address() else { panic!("IPv4") };
    let SocketAddr::V4(client) = client else { panic!("IPv4") };
    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    expected.extend_from_slice(&client.ip().octets());
    expected.extend_from_slice(&listener.ip().octets());
    expected.extend_from_slice(&client.port().to_be_bytes());
    expected.extend_from_slice(&listener.port().to_be_bytes());
    expected.extend_from_slice(b"hello");
    assert_eq!(heard, expected);
}

#[test]
fn a_trusted_senders_word_goes_on_to_the_instance() {
    let (backend, heard) = listening();
    let trusting = r#"proxy_protocol_from = ["127.0.0.0/8"]"#;
    let elbow = Balancer::tcp([backend.address()]).listener(trusting).tables(&policy(1)).start();
    for header in [V1, V2] {
        let (heard, _) = relayed(&elbow, &heard, &[header, b"hello"].concat());
        assert_eq!(String::from_utf8_lossy(&heard), format!("{}hello", String::from_utf8_lossy(V1)));
    }
}

#[test]
fn headers_and_rules_see_the_client_of_a_trusted_sender() {
    let backend = Backend::saying("ok");
    let rules = r#"proxy_protocol_from = ["127.0.0.0/8"], deny = ["203.0.113.0/24"]"#;
    let elbow = Balancer::http([backend.address()]).listener(rules).start();
    // Byte by byte, and together with the request.
    let mut slow = Peer::connect(elbow.address());
    V1.iter().for_each(|byte| slow.send([*byte]));
    assert_eq!(slow.ask(GET).status(), 200);
    assert_eq!(Peer::connect_and_send(elbow.address(), [V2, GET.as_bytes()].concat()).read_message().status(), 200);
    let seen = backend.seen().requests.lock().expect("not poisoned").clone();
    assert!(seen.iter().all(|request| request.head.get("x-forwarded-for") == Some("192.0.2.7")), "{seen:?}");

    let denied = b"PROXY TCP4 203.0.113.5 198.51.100.9 1234 443\r\n";
    let mut denied = Peer::connect_and_send(elbow.address(), [denied, GET.as_bytes()].concat());
    assert_eq!(denied.read_to_end().0, b"");
    assert_eq!(errors(&elbow, "address_denied"), 1.0);

    let url = format!("http://{}/", elbow.address());
    assert_eq!(curl(&["--haproxy-protocol", &url]), "ok", "as another program says it");
}

#[test]
fn what_is_no_header_is_refused_of_trusted_senders() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()])
        .listener(r#"proxy_protocol_from = ["127.0.0.0/8"]"#)
        .limit("client_header_timeout = 0.5")
        .start();
    for (wrong, reason) in [
        (GET, "proxy_header_malformed"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", "proxy_header_malformed"),
        ("PROXY TCP4 1.2.", "proxy_header_timeout"),
    ] {
        let before = errors(&elbow, reason);
        let mut client = Peer::connect_and_send(elbow.address(), wrong);
        assert_eq!(client.read_to_end().0, b"", "{wrong:?}");
        elbow.admin().wait_metric("elbow_errors_total", &[("reason", reason)], |count| count == before + 1.0);
    }
    // A health check of the sender's is no failure.
    drop(Peer::connect(elbow.address()));
    elbow.admin().wait_metric("elbow_connections_total", &[], |count| count == 4.0);
    assert_eq!(elbow.admin().metrics().sum("elbow_errors_total", &[]), 3.0);
    assert_eq!(backend.request_count(), 0);
}

#[test]
fn nobody_else_is_believed() {
    let backend = Backend::saying("ok");
    let trusting = r#"proxy_protocol_from = ["10.0.0.0/8"]"#;
    let elbow = Balancer::http([backend.address()]).listener(trusting).start();
    assert_eq!(curl(&[&format!("http://{}/", elbow.address())]), "ok", "who says nothing is as welcome as ever");
    for header in [V1, V2] {
        let mut client = Peer::connect_and_send(elbow.address(), [header, GET.as_bytes()].concat());
        assert_eq!(client.read_to_end().0, b"");
    }
    assert_eq!(errors(&elbow, "proxy_header_untrusted"), 2.0);
    assert_eq!(backend.request_count(), 1);
}

#[test]
fn an_instance_inside_tls_is_told_before_the_handshake() {
    let (backend, heard) = listening();
    let to_tls = r#"instance_protocol = "SSL""#;
    let elbow = Balancer::tcp([backend.address()])
        .listener(to_tls)
        .limit("tls_handshake_timeout = 1")
        .tables(&policy(1))
        .start();
    let (heard, client) = relayed(&elbow, &heard, b"hello");
    let expected = format!("PROXY TCP4 {} {} ", client.ip(), elbow.address().ip());
    assert!(heard.starts_with(expected.as_bytes()), "{heard:?}");
    let end = heard.iter().position(|byte| *byte == b'\n').expect("a line");
    // A handshake record (RFC 8446 section 5.1).
    assert_eq!(heard[end + 1..end + 3], [22, 3]);
}
