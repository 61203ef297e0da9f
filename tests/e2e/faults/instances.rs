//! What instances do wrong.

use super::{GET, Injected, POST, Row, Stage, falls_silent_after, hear_out, row, silent};
use crate::harness::{Authority, Backend, Balancer, Nginx, Peer, free_address, python_server};
use crate::tls_backends::public_key;
use rcgen::PKCS_ECDSA_P256_SHA256;
use socket2::{Domain, Socket, Type};
use std::io;
use std::time::Duration;

pub const ROWS: &[Row] = &[
    row("connect_refused", Some(504), |stage| {
        let gone = Backend::saying("gone");
        let elbow = stage.start(Balancer::http([gone.address()]));
        drop(gone);
        Injected::by_saying(elbow, GET, ())
    }),
    row("connect_timeout", Some(504), does_not_accept),
    row("backend_reset", Some(504), |stage| {
        answering(stage, |peer| {
            peer.reset_when_dropped();
            Ok(())
        })
    }),
    row("backend_closed_early", Some(504), |stage| answering(stage, |_| Ok(()))),
    row("backend_closed_in_head", Some(504), |stage| says(stage, "HTTP/1.1 200 OK\r\nContent-Len")),
    row("backend_unprocessed", Some(504), refuses_every_stream),
    row("first_byte_timeout", Some(504), |stage| {
        let silent = silent();
        let elbow = stage.start(Balancer::http([silent.address()]).limit("first_byte_timeout = 0.3"));
        Injected::by_saying(elbow, POST, silent)
    }),
    row("response_malformed", Some(502), |stage| says(stage, "HTTP/1.1 2x0 OK\r\n\r\n")),
    row("response_framing_ambiguous", Some(502), |stage| {
        says(stage, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok")
    }),
    row("response_headers_too_large", Some(502), |stage| {
        says(stage, &format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(17_000)))
    }),
    row("upgrade_unrequested", Some(502), |stage| {
        says(stage, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    }),
    row("websocket_unsupported", Some(502), |stage| {
        // It greets with SETTINGS that allow nothing beside what everybody may do.
        let plain = Backend::start(|peer, _| {
            peer.try_send([0, 0, 0, 4, 0, 0, 0, 0, 0])?;
            while peer.try_read_some().is_ok_and(|bytes| !bytes.is_empty()) {}
            Ok(())
        });
        let elbow = stage.start(Balancer::http([plain.address()]).listener("http2 = true"));
        let opening = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        Injected::by_saying(elbow, opening, plain)
    }),
    row("interim_flood", Some(502), |stage| says(stage, &"HTTP/1.1 102 Processing\r\n\r\n".repeat(40))),
    row("response_truncated", Some(200), |stage| says(stage, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")),
    row("response_reset", Some(200), |stage| {
        answering(stage, |peer| {
            peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")?;
            // A reset overtakes what has not been read.
            std::thread::sleep(Duration::from_millis(300));
            peer.reset_when_dropped();
            Ok(())
        })
    }),
    row("response_body_malformed", Some(200), |stage| {
        says(stage, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
    }),
    row("response_idle_timeout", Some(200), |stage| {
        let stalled = falls_silent_after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        let elbow = stage.start(Balancer::http([stalled.address()]).attribute("idle_timeout = 1"));
        Injected::by_saying(elbow, POST, stalled)
    }),
    row("backend_send_timeout", Some(504), takes_no_body),
    row("backend_tls_failed", Some(502), |stage| {
        let plain = Backend::start(|peer, _| match peer.try_read_some()?.is_empty() {
            true => Ok(()),
            false => peer.try_send("HTTP/1.1 400 Bad Request\r\n\r\n"),
        });
        let elbow = stage.start(Balancer::http([plain.address()]).listener("instance_protocol = \"HTTPS\""));
        Injected::by_saying(elbow, POST, plain)
    }),
    row("backend_tls_timeout", Some(504), |stage| {
        let mute = Backend::start(|peer, _| {
            while peer.try_read_some().is_ok_and(|bytes| !bytes.is_empty()) {}
            Ok(())
        });
        let balancer = Balancer::http([mute.address()]).listener("instance_protocol = \"HTTPS\"");
        let elbow = stage.start(balancer.limit("tls_handshake_timeout = 0.3"));
        Injected::by_saying(elbow, POST, mute)
    }),
    row("backend_key_untrusted", Some(502), holds_another_key),
    row("tunnel_backend_reset", None, |stage| {
        let resetting = Backend::start(|peer, _| {
            if !peer.try_read_some()?.is_empty() {
                peer.reset_when_dropped();
            }
            Ok(())
        });
        let elbow = stage.start(Balancer::tcp([resetting.address()]));
        let mut client = Peer::connect_and_send(elbow.address(), "hello");
        while client.try_read_some().is_ok_and(|bytes| !bytes.is_empty()) {}
        Injected::new(elbow, &client, None, resetting)
    }),
];

/// An instance that reads each request and then does as `script` says.
fn answering(stage: &Stage, script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Injected {
    let backend = Backend::start(move |peer, _| match peer.try_read_message()? {
        Some(_) => script(peer),
        None => Ok(()),
    });
    let elbow = stage.start(Balancer::http([backend.address()]));
    Injected::by_saying(elbow, POST, backend)
}

/// An instance that says `text` to each request and closes.
fn says(stage: &Stage, text: &str) -> Injected {
    let text = text.to_owned();
    answering(stage, move |peer| peer.try_send(&text))
}

/// Refuses every request before it begins on it, as RFC 9113 section 8.7 allows. Argument: address.
const REFUSING: &str = r#"
import sys
from h2.errors import ErrorCodes
from h2.events import RequestReceived
from peers import Server, listen
def talk(stream):
    server = Server(stream)
    for event in server.events:
        if isinstance(event, RequestReceived):
            server.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
listen(talk, sys.argv[1])
"#;

/// An instance that speaks HTTP/2 and begins on nothing.
fn refuses_every_stream(stage: &Stage) -> Injected {
    let (address, instance) = python_server(REFUSING, &[]);
    let elbow = stage.start(Balancer::http([address]).listener("http2 = true"));
    Injected::by_saying(elbow, POST, instance)
}

/// A full backlog: the kernel drops further connections, as a machine that is gone would.
fn does_not_accept(stage: &Stage) -> Injected {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let (listener, address) = (socket(), free_address());
    listener.bind(&address.into()).expect("a free address");
    listener.listen(1).expect("listening");
    let elbow = stage.start(Balancer::http([address]).limit("connect_timeout = 0.3"));
    let fillers: Vec<Socket> = (0..4)
        .map(|_| {
            let filler = socket();
            filler.set_nonblocking(true).expect("non-blocking");
            // It is underway.
            let _ = filler.connect(&address.into());
            filler
        })
        .collect();
    Injected::by_saying(elbow, GET, (listener, fillers))
}

/// An instance that accepts and reads nothing.
fn takes_no_body(stage: &Stage) -> Injected {
    const BODY: usize = 64 << 20;
    let listener = crate::harness::free_listener();
    let address = listener.local_addr().expect("an address");
    let balancer = Balancer::http([address]).attribute("idle_timeout = 1").limit("client_body_timeout = 1");
    let elbow = stage.start(balancer);
    let mut client = Peer::connect(elbow.address());
    let mut sending = client.another_handle();
    let sender = std::thread::spawn(move || {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n");
        sending.try_send(head).and_then(|()| sending.try_send(vec![b'x'; BODY]))
    });
    let status = hear_out(&mut client);
    let _ = client.stream().shutdown(std::net::Shutdown::Both);
    // It ends with the connection.
    let _ = sender.join();
    Injected::new(elbow, &client, status, listener)
}

/// An instance whose certificate is not the one that the policy names.
fn holds_another_key(stage: &Stage) -> Injected {
    let authority = Authority::new();
    let issue = |name| authority.issue(name, "back.test", &PKCS_ECDSA_P256_SHA256);
    let nginx = Nginx::start_secure("secure", &issue("back"));
    let tables = format!(
        "[load_balancers.web.policies.key]\ntype = \"PublicKeyPolicyType\"\npublic_key = \"{}\"\n\
         [load_balancers.web.policies.auth]\ntype = \"BackendServerAuthenticationPolicyType\"\n\
         public_key_policy_name = \"key\"\n[load_balancers.web.backend_policies]\n1 = [\"auth\"]\n",
        public_key(&issue("other"))
    );
    let balancer = Balancer::http([nginx.address()]).listener("instance_protocol = \"HTTPS\"").tables(&tables);
    let elbow = stage.start(balancer);
    Injected::by_saying(elbow, POST, (nginx, authority))
}
