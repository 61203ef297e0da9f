//! Whatever an attacker sends, a victim behind the same balancer gets its own answer, and the back end hears no request
//! that the balancer did not mean. Attacker and victim share one core, and so its kept back-end connections.

use crate::harness::{Backend, Balancer, Message, Peer, answer_ok};

/// The request that each attack tries to slip past the balancer.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Name, and what the attacker sends.
fn attacks() -> Vec<(&'static str, String)> {
    let post = |fields: &str, body: &str| format!("POST /attack HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}");
    let length = SMUGGLED.len();
    let ended = format!("0\r\n\r\n{SMUGGLED}");
    let both = |coding: &str| post(&format!("Content-Length: {}\r\n{coding}", ended.len()), &ended);
    vec![
        ("CL.TE", both("Transfer-Encoding: chunked")),
        (
            "TE.CL",
            post("Transfer-Encoding: chunked\r\nContent-Length: 4", &format!("{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n")),
        ),
        ("TE with a space before the colon", both("Transfer-Encoding : chunked")),
        ("TE behind a tab", both("Transfer-Encoding:\tchunked")),
        ("TE behind a vertical tab", both("Transfer-Encoding: \x0bchunked")),
        ("TE that is not chunked", both("Transfer-Encoding: xchunked")),
        ("TE with identity", both("Transfer-Encoding: chunked, identity")),
        ("TE twice", both("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity")),
        ("TE with an underscore", both("Transfer_Encoding: chunked")),
        ("TE folded", both("Transfer-Encoding:\r\n chunked")),
        ("TE behind a fold", both("X: y\r\n Transfer-Encoding: chunked")),
        ("TE behind a bare LF", both("X: y\nTransfer-Encoding: chunked")),
        ("TE behind a bare CR", both("X: y\rTransfer-Encoding: chunked")),
        ("TE with a NUL", both("Transfer-Encoding: chunked\0")),
        ("TE in quotes", both("Transfer-Encoding: \"chunked\"")),
        ("lengths that differ", post(&format!("Content-Length: 0\r\nContent-Length: {length}"), SMUGGLED)),
        ("lengths in a list", post(&format!("Content-Length: 0, {length}"), SMUGGLED)),
        ("a signed length", post("Content-Length: +0", SMUGGLED)),
        ("a negative length", post("Content-Length: -1", SMUGGLED)),
        ("a hexadecimal length", post("Content-Length: 0x10", SMUGGLED)),
        ("a length with a space", post("Content-Length: 1 0", SMUGGLED)),
        ("a length over 64 bits", post("Content-Length: 18446744073709551616", SMUGGLED)),
        ("a length named with a space", post(&format!("Content-Length : {length}"), SMUGGLED)),
        ("a chunk size with a sign", post("Transfer-Encoding: chunked", &format!("+0\r\n\r\n{SMUGGLED}"))),
        ("a chunk size with 0x", post("Transfer-Encoding: chunked", &format!("0x0\r\n\r\n{SMUGGLED}"))),
        ("a chunk size over 64 bits", post("Transfer-Encoding: chunked", &format!("10000000000000000\r\n{SMUGGLED}"))),
        ("a chunk size behind a bare LF", post("Transfer-Encoding: chunked", &format!("0\n\n{SMUGGLED}"))),
        (
            "a chunk extension with a bare LF",
            post("Transfer-Encoding: chunked", &format!("2;\nxx\r\n0\r\n\r\n{SMUGGLED}")),
        ),
        ("a chunk without its end", post("Transfer-Encoding: chunked", &format!("1\r\nab0\r\n\r\n{SMUGGLED}"))),
        ("TE in HTTP/1.0", format!("POST /attack HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{ended}")),
        ("a second host", format!("GET /attack HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n{SMUGGLED}")),
        ("a space in the target", format!("GET /attack /smuggled HTTP/1.1\r\nHost: a\r\n\r\n{SMUGGLED}")),
        ("a line break in the target", format!("GET /attack\rGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n{SMUGGLED}")),
    ]
}

#[test]
fn no_attack_reaches_a_victim() {
    let backend = Backend::answering(|request: &Message| answer_ok(request.head.target()));
    let elbow = Balancer::http([backend.address()]).node("cores = [0]").start();
    let mut victim = Peer::connect(elbow.address());
    for (name, attack) in attacks() {
        let mut attacker = Peer::connect(elbow.address());
        let _ = attacker.try_send(&attack);
        let answer = attacker.read_message();
        assert!(matches!(answer.status(), 400 | 413 | 501), "{name}: {:?}", answer.head);
        assert_eq!(attacker.read_to_end().0, b"", "{name}: the connection goes on after {:?}", answer.head);
        for target in ["/victim", "/again"] {
            let own = victim.ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(own.text(), target, "{name}: the victim got another's answer");
        }
    }
    let requests = backend.seen().requests.lock().expect("not poisoned");
    let others: Vec<&Message> =
        requests.iter().filter(|request| !matches!(request.head.target(), "/victim" | "/again")).collect();
    assert!(others.is_empty(), "the back end heard {others:?}");
}

#[test]
fn a_request_inside_a_body_stays_a_body() {
    let backend = Backend::answering(|request: &Message| answer_ok(request.head.target()));
    let elbow = Balancer::http([backend.address()]).node("cores = [0]").start();
    let mut client = Peer::connect(elbow.address());
    let length = SMUGGLED.len();
    let bodies = [
        format!("Content-Length: {length}\r\n\r\n{SMUGGLED}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
    ];
    for body in bodies {
        let answer = client.ask(format!("POST /outer HTTP/1.1\r\nHost: a\r\n{body}"));
        assert_eq!(answer.text(), "/outer");
    }
    let requests = backend.seen().requests.lock().expect("not poisoned");
    assert!(requests.iter().all(|request| request.head.target() == "/outer" && request.text() == SMUGGLED));
}

#[test]
fn an_absolute_target_decides_the_host_for_the_back_end_too() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    client.ask("GET http://real.example/path?q HTTP/1.1\r\nHost: other.example\r\n\r\n");
    let head = backend.only_request().head;
    assert_eq!((head.target(), head.get("host")), ("/path?q", Some("real.example")));
}

#[test]
fn what_the_back_end_gets_is_written_anew_byte_for_byte() {
    let backend = Backend::answering(|request: &Message| answer_ok(request.head.target()));
    let elbow = Balancer::http([backend.address()]).start();
    let port = elbow.address().port();
    let forwarded = format!("X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: {port}\r\n");
    let cases = [
        (
            "\r\nGET /a HTTP/1.1\r\nhOST:  a  \r\nX-Empty:\r\n\r\n".to_string(),
            format!("GET /a HTTP/1.1\r\nhOST: a\r\nX-Empty: \r\n{forwarded}Connection: keep-alive\r\n\r\n"),
        ),
        (
            "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 0002\r\nConnection: x-gone\r\nX-Gone: 1\r\n\r\nhi"
                .to_string(),
            format!("POST /b HTTP/1.1\r\nHost: a\r\n{forwarded}Content-Length: 2\r\nConnection: keep-alive\r\n\r\n"),
        ),
    ];
    let mut client = Peer::connect(elbow.address());
    for (sent, _) in &cases {
        assert_eq!(client.ask(sent).status(), 200);
    }
    let requests = backend.seen().requests.lock().expect("not poisoned");
    for (request, (_, expected)) in requests.iter().zip(&cases) {
        // Its value is new with every request.
        let id = format!("X-Request-Id: {}\r\n", request.head.get("x-request-id").expect("an id"));
        assert_eq!(String::from_utf8_lossy(&request.head.bytes).replacen(&id, "", 1), *expected);
    }
    assert_eq!(requests.len(), cases.len());
}
