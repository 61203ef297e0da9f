//! Every request has a name, by which its client and its instance know it, and `elbow explain` what became of it.

use crate::harness::{Backend, Balancer, Elbow, Message, PATIENCE, Peer, curl, eventually, run_elbow};

const GET: &str = "GET /cart?id=7 HTTP/1.1\r\nHost: a\r\n\r\n";

/// What the command says of a request.
#[track_caller]
fn explain(elbow: &Elbow, id: &str) -> String {
    let output = run_elbow(&["explain", id, "--admin", &elbow.admin().0.to_string()]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn id_of(answer: &Message) -> String {
    answer.head.get("x-request-id").expect("an id").to_owned()
}

#[test]
fn client_and_instance_get_one_id_and_it_explains_the_request() {
    let backend = Backend::answering(|_| {
        // An instance that names requests itself does not confuse anybody.
        b"HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 5\r\n\r\nhello".to_vec()
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    let (first, second) = (client.ask(GET), client.ask(GET));
    let (id, other) = (id_of(&first), id_of(&second));
    assert_ne!(id, other);
    assert_eq!(first.head.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-request-id")).count(), 1);
    let seen = backend.seen().requests.lock().expect("not poisoned").clone();
    assert_eq!(seen[0].head.get("x-request-id"), Some(id.as_str()));
    let told = explain(&elbow, &id);
    assert!(told.starts_with(&format!("request {id}\n")), "{told}");
    for words in [
        "GET /cart?id=7",
        "answered 200 by the instance",
        "body 0 bytes in, 5 bytes out",
        &format!("tried {}, new connection", backend.address()),
        "ms first byte",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(explain(&elbow, &other).contains("kept connection"));
    assert!(!run_elbow(&["explain", "nobody", "--admin", &elbow.admin().0.to_string()]).status.success());
}

#[test]
fn a_clients_own_id_is_kept_unless_it_is_harmful() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let ask = |id: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: {id}\r\n\r\n");
        id_of(&Peer::connect(elbow.address()).ask(request))
    };
    assert_eq!(ask("order-66"), "order-66");
    assert!(explain(&elbow, "order-66").contains("answered 200"));
    for harmful in ["a b", "<script>", &"x".repeat(40)] {
        assert_ne!(ask(harmful), harmful);
    }
}

#[test]
fn what_elbow_answers_itself_is_explained_with_every_instance_tried() {
    // They are in service, and close every connection that says something.
    let closing = || Backend::start(|peer, _| peer.try_read_message().map(drop));
    let (one, two) = (closing(), closing());
    let elbow = Balancer::http([one.address(), two.address()]).start();
    let answer = Peer::connect(elbow.address()).ask(GET);
    assert_eq!(answer.status(), 504);
    let told = explain(&elbow, &id_of(&answer));
    assert!(told.contains("answered 504 by the balancer: backend_closed_early"), "{told}");
    for backend in [&one, &two] {
        assert!(told.contains(&format!("tried {}", backend.address())), "{told}");
    }

    let answer = Peer::connect(elbow.address()).ask("nonsense\r\n\r\n");
    let told = explain(&elbow, &id_of(&answer));
    assert!(told.contains("answered 400 by the balancer: malformed_request"), "{told}");

    let nobody = Balancer::http([]).start();
    let answer = Peer::connect(nobody.address()).ask(GET);
    assert!(explain(&nobody, &id_of(&answer)).contains("answered 503 by the balancer: no_instance"));
}

#[test]
fn requests_over_http_2_are_explained_too() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let url = |path: &str| format!("http://{}{path}", elbow.address());
    let id_in = |heads: &str| {
        let line = heads.lines().find_map(|line| line.strip_prefix("x-request-id: "));
        line.expect("an id").trim().to_owned()
    };
    let over_http_2 = ["--http2-prior-knowledge", "--dump-header", "-", "--output", "/dev/null"];
    let heads = curl(&[&over_http_2[..], &[&url("/two")]].concat());
    assert!(heads.starts_with("HTTP/2 200"), "{heads}");
    let told = explain(&elbow, &id_in(&heads));
    assert!(told.contains("GET /two") && told.contains("answered 200 by the instance"), "{told}");
    assert_eq!(backend.only_request().head.get("x-request-id"), Some(id_in(&heads).as_str()));

    drop(backend);
    let heads = curl(&[&over_http_2[..], &[&url("/gone")]].concat());
    assert!(heads.starts_with("HTTP/2 504"), "{heads}");
    assert!(explain(&elbow, &id_in(&heads)).contains("answered 504 by the balancer"), "{heads}");
}

/// What the instance hears in place of a request's `fields`, and the id that the client is told.
fn traced(elbow: &Elbow, backend: &Backend, fields: &str) -> (Message, String) {
    let before = backend.request_count();
    let answer = Peer::connect(elbow.address()).ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    assert_eq!(answer.status(), 200);
    let heard = backend.seen().requests.lock().expect("not poisoned")[before].clone();
    (heard, id_of(&answer))
}

#[test]
fn a_trace_is_kept_and_extended_and_finds_its_request() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let root = "1-67891233-abcdef012345678912345678";
    let (heard, id) = traced(&elbow, &backend, &format!("X-Amzn-Trace-Id: Root={root};CalledFrom=app\r\n"));
    let extended = heard.head.get("x-amzn-trace-id").expect("kept").to_owned();
    let own =
        extended.strip_prefix("Self=1-").and_then(|rest| rest.strip_suffix(&format!(";Root={root};CalledFrom=app")));
    assert!(own.is_some_and(|own| own.len() == 33 && own.as_bytes()[8] == b'-'), "{extended}");
    assert_eq!((id.as_str(), heard.head.get("x-request-id")), (root, Some(root)));
    assert!(explain(&elbow, root).contains("answered 200 by the instance"));

    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let fields = format!("traceparent: 00-{trace}-{parent}-01\r\ntracestate: a=b\r\n");
    let parts = |heard: &Message| {
        let value = heard.head.get("traceparent").expect("kept").to_owned();
        value.split('-').map(str::to_owned).collect::<Vec<_>>()
    };
    let ((one, id), (two, _)) = (traced(&elbow, &backend, &fields), traced(&elbow, &backend, &fields));
    let (one, two) = (parts(&one), parts(&two));
    for parts in [&one, &two] {
        assert_eq!([&parts[0], &parts[1], &parts[3]], ["00", trace, "01"]);
        assert!(parts[2].len() == 16 && parts[2] != parent, "{parts:?}");
    }
    assert!(one[2] != two[2], "each request is a span of its own");
    assert_eq!(id, trace);
    assert_eq!(explain(&elbow, trace).matches("answered 200").count(), 2);

    for unreadable in ["traceparent: 00-nonsense\r\n", "traceparent: a\r\ntraceparent: b\r\n", "X-Amzn-Trace-Id: x\r\n"]
    {
        let (heard, _) = traced(&elbow, &backend, unreadable);
        let kept = unreadable.lines().all(|line| {
            let (name, value) = line.split_once(": ").expect("a field");
            heard.head.all(name).contains(&value)
        });
        assert!(kept, "{unreadable}: {heard:?}");
    }
    let (heard, _) = traced(&elbow, &backend, "");
    assert!(heard.head.get("traceparent").is_none() && heard.head.get("x-amzn-trace-id").is_none());
    let (_, id) = traced(&elbow, &backend, &format!("{fields}X-Request-Id: mine\r\n"));
    assert_eq!(id, "mine");
}

#[test]
fn proxy_status_says_why_where_it_is_wanted() {
    for (wanted, status) in
        [(true, Some("elbow; error=destination_unavailable; details=\"no_instance\"")), (false, None)]
    {
        let elbow = Balancer::http([]).attribute(&format!("proxy_status = {wanted}")).start();
        let answer = Peer::connect(elbow.address()).ask(GET);
        assert_eq!((answer.status(), answer.head.get("proxy-status")), (503, status));
        let url = format!("http://{}/", elbow.address());
        let heads = curl(&["--http2-prior-knowledge", "--dump-header", "-", "--output", "/dev/null", &url]);
        let line = status.map(|status| format!("\r\nproxy-status: {status}\r\n"));
        assert!(line.is_none_or(|line| heads.contains(&line)) && heads.contains("proxy-status") == wanted, "{heads}");
    }
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).attribute("proxy_status = true").start();
    assert_eq!(Peer::connect(elbow.address()).ask(GET).head.get("proxy-status"), None, "all is well");
}

#[test]
fn a_tcp_connection_is_found_by_its_clients_address() {
    let (gone, backend) = (
        Backend::saying("gone"),
        Backend::start(|peer, _| {
            let (heard, _) = peer.read_to_end();
            if heard.is_empty() { Ok(()) } else { peer.try_send("12345678") }
        }),
    );
    let elbow = Balancer::tcp([gone.address(), backend.address()]).start();
    let dead = gone.address();
    drop(gone);
    let told: Vec<String> = (0..2)
        .map(|_| {
            let mut client = Peer::connect_and_send(elbow.address(), "12345");
            client.finish();
            assert_eq!(client.read_to_end().0, b"12345678");
            let address = client.stream().local_addr().expect("an address").to_string();
            eventually("it is explained", PATIENCE, || {
                let output = run_elbow(&["explain", &address, "--admin", &elbow.admin().0.to_string()]);
                output.status.success().then(|| String::from_utf8(output.stdout).expect("UTF-8"))
            })
        })
        .collect();
    for told in &told {
        assert!(
            told.starts_with("connection ") && told.contains("carried to its end; 5 bytes in, 8 bytes out"),
            "{told}"
        );
        assert!(told.contains(&format!("tried {}, new connection", backend.address())), "{told}");
    }
    let has_tried_both = |told: &String| told.contains(&format!("tried {dead}")) && told.contains("connect_refused");
    assert!(told.iter().any(has_tried_both), "{told:?}");
}
