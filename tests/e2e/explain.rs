//! Every request has a name, by which its client and its instance know it, and `elbow explain` what became of it.

use crate::harness::{Backend, Balancer, Elbow, Peer, run_elbow};

const GET: &str = "GET /cart?id=7 HTTP/1.1\r\nHost: a\r\n\r\n";

/// What the command says of a request.
#[track_caller]
fn explain(elbow: &Elbow, id: &str) -> String {
    let output = run_elbow(&["explain", id, "--admin", &elbow.admin().0.to_string()]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn id_of(answer: &crate::harness::Message) -> String {
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
