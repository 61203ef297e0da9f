//! HTTP/2 with the clients that others wrote: by ALPN inside TLS, by prior knowledge in the clear.

use crate::harness::{
    Authority, Backend, Balancer, CertificatePaths, Nginx, alone, answer_ok, block, curl, fingerprint, h2load, nghttp,
    python,
};
use rcgen::PKCS_ECDSA_P256_SHA256;

fn web() -> (Authority, CertificatePaths) {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    (authority, certificate)
}

/// Says which version a client got, behind the answer.
const VERSION: [&str; 2] = ["--write-out", "HTTP/%{http_version}"];

#[test]
fn clients_get_the_version_they_agree_on_and_the_instance_hears_of_the_client() {
    let (authority, certificate) = web();
    let nginx = Nginx::start("plain");
    let elbow = Balancer::https([nginx.address()], &[&certificate]).start();
    let (port, ca) = (elbow.address().port(), authority.path());
    let resolve = format!("web.test:{port}:{}", elbow.address().ip());
    let url = format!("https://web.test:{port}/echo");
    for (option, version) in [("--http2", "HTTP/2"), ("--http1.1", "HTTP/1.1"), ("--no-alpn", "HTTP/1.1")] {
        let told = curl(&[&["--cacert", &ca, "--resolve", &resolve, option, &url], &VERSION[..]].concat());
        assert!(told.ends_with(version), "{option}: {told}");
        assert!(told.contains(&format!("host=web.test:{port}\n")), "{option}: {told}");
        assert!(told.contains(&format!("proto=https\nport={port}\nversion=HTTP/1.1\n")), "{option}: {told}");
    }
    let metrics = elbow.admin().metrics();
    assert_eq!(metrics.sum("elbow_requests_total", &[("code", "2xx"), ("source", "backend")]), 3.0);
    assert_eq!(metrics.sum("elbow_request_duration_seconds_count", &[]), 3.0);
}

#[test]
fn long_bodies_arrive_whole_both_ways() {
    let (authority, certificate) = web();
    let folder = authority.folder();
    let body: Vec<u8> = (0..256).flat_map(block).collect();
    let (sent, got) = (folder.join("body"), folder.join("got").display().to_string());
    std::fs::write(&sent, &body).expect("a file");
    let expected = fingerprint(&body);
    let nginx = Nginx::start("plain");
    nginx.put_file("body", &body);
    let backend = Backend::answering(|request| {
        let seen = fingerprint(&request.body.bytes);
        answer_ok(&format!("{} {:?}", seen.length, seen.digest))
    });
    let clear = |address| (Balancer::http([address]), "http", "--http2-prior-knowledge");
    let secure = |address| (Balancer::https([address], &[&certificate]), "https", "--http2");
    for (downloading, uploading) in
        [(clear(nginx.address()), clear(backend.address())), (secure(nginx.address()), secure(backend.address()))]
    {
        let (balancer, scheme, option) = downloading;
        let elbow = balancer.start();
        let url = format!("{scheme}://{}/files/body", elbow.address());
        let told = curl(&[&["--insecure", option, "--output", &got, &url], &VERSION[..]].concat());
        assert_eq!(told, "HTTP/2");
        assert_eq!(fingerprint(&std::fs::read(&got).expect("a file")), expected, "{scheme}");

        let (balancer, scheme, option) = uploading;
        let elbow = balancer.start();
        let (url, upload) = (format!("{scheme}://{}/", elbow.address()), sent.display().to_string());
        for how in [["--data-binary", &format!("@{upload}")], ["--upload-file", &upload]] {
            let told = curl(&[&["--insecure", option, &url], &how[..]].concat());
            assert_eq!(told, format!("{} {:?}", expected.length, expected.digest), "{scheme} {how:?}");
        }
    }
}

#[test]
fn nghttp_gets_trailers_and_early_hints() {
    let backend = Backend::answering(|_| {
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
          Trailer: X-Sum\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n2\r\nok\r\n0\r\nX-Sum: abc\r\n\r\n"
            .to_vec()
    });
    let elbow = Balancer::http([backend.address()]).start();
    let told = nghttp(&["--verbose", "--no-dep", &format!("http://{}/", elbow.address())]);
    let lines = told.lines().filter_map(|line| line.split_once("recv (stream_id=1) "));
    let lines: Vec<&str> = lines.map(|(_, line)| line).filter(|line| !line.starts_with("x-request-id: ")).collect();
    assert_eq!(lines, [":status: 103", "link: </a>", ":status: 200", "trailer: X-Sum", "x-sum: abc"], "{told}");
}

#[test]
fn h2load_loses_no_request() {
    let _turn = alone();
    let (_authority, certificate) = web();
    let nginx = Nginx::start("one");
    for (balancer, scheme) in
        [(Balancer::http([nginx.address()]), "http"), (Balancer::https([nginx.address()], &[&certificate]), "https")]
    {
        let elbow = balancer.start();
        let load = h2load(&["-n", "10000", "-c", "16", "-m", "10", &format!("{scheme}://{}/", elbow.address())]);
        assert_eq!((load.succeeded, load.failed), (10_000, 0), "{scheme}");
        let metrics = elbow.admin().metrics();
        assert_eq!(metrics.sum("elbow_requests_total", &[("code", "2xx")]), 10_000.0);
        let connections = metrics.sum("elbow_backend_connections_total", &[("reused", "false")]);
        assert!(connections <= 400.0, "{connections} connections to the instance");
    }
}

#[test]
fn a_connection_that_has_carried_its_share_is_replaced_without_a_loss() {
    let nginx = Nginx::start("one");
    let (_authority, certificate) = web();
    let elbow = Balancer::https([nginx.address()], &[&certificate]).limit("requests_per_connection = 100").start();
    // By ALPN: curl 7.88 fails with a second request on a connection of prior knowledge, whoever the server is.
    let urls = format!("https://{}/?[1-250]", elbow.address());
    let told = curl(&["--http2", "--insecure", "--write-out", "%{http_code} ", &urls]);
    assert_eq!(told.matches("200").count(), 250, "{told}");
    let connections = elbow.admin().metrics().sum("elbow_connections_total", &[]);
    assert!((3.0..10.0).contains(&connections), "{connections} connections");
}

#[test]
fn another_library_sends_and_gets_many_bodies_at_once() {
    let backend = Backend::answering(|request| {
        let body = &request.body.bytes;
        let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len());
        [head.as_bytes(), body, b"\r\n0\r\nX-Sum: abc\r\n\r\n"].concat()
    });
    let elbow = Balancer::http([backend.address()]).start();
    let told = python(MANY_BODIES, &[&elbow.address().to_string()]);
    assert_eq!(told.trim(), "20 of 20");
}

/// Sends twenty bodies of 150 KB side by side with PyPI's `h2` and compares what comes back, trailers included. Argument:
/// address.
const MANY_BODIES: &str = r#"
import sys
from h2.events import DataReceived, TrailersReceived
from peers import Client
client = Client(sys.argv[1])
sent = {client.ask('POST', '/'): bytes([index]) * 150_000 for index in range(20)}
left, got, good = dict(sent), dict.fromkeys(sent, b''), []
while len(good) < 20:
    for number in list(left):
        while left[number] and (room := client.room(number)) > 0:
            client.send_data(number, left[number][:room])
            left[number] = left[number][room:]
        if not left[number]:
            client.end_stream(number)
            del left[number]
    event = next(client.events)
    if isinstance(event, DataReceived):
        got[event.stream_id] += event.data
        client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
    elif isinstance(event, TrailersReceived):
        good.append(got[event.stream_id] == sent[event.stream_id] and ('x-sum', 'abc') in event.headers)
print(sum(good), 'of 20')
"#;
