//! Clients stay with their instance: by a cookie of the balancer's, or as long as the application's cookie lives.

use crate::harness::{Backend, Balancer, Elbow, Message, Peer, answer_ok, curl, free_address};
use std::collections::HashSet;
use std::net::SocketAddr;

fn duration(seconds: u32) -> String {
    format!(
        "[load_balancers.web.policies.sticky]\ntype = \"LBCookieStickinessPolicyType\"\n\
         cookie_expiration_period = {seconds}"
    )
}

const APPLICATION: &str =
    "[load_balancers.web.policies.sticky]\ntype = \"AppCookieStickinessPolicyType\"\ncookie_name = \"SESSION\"";

/// A sticky balancer that keeps its key in this folder.
fn sticky(instances: &[SocketAddr], state: &tempfile::TempDir, policy: &str) -> Balancer {
    let state = format!("state_dir = {:?}", state.path());
    Balancer::http(instances.iter().copied()).node(&state).listener(r#"policies = ["sticky"]"#).tables(policy)
}

/// Three instances that say `a`, `b`, `c`; at `/login` they set the application's cookie, at `/logout` they end it.
fn backends() -> Vec<Backend> {
    ["a", "b", "c"].into_iter().map(|name| Backend::answering(move |request| application(name, request))).collect()
}

fn application(name: &str, request: &Message) -> Vec<u8> {
    let cookie = match request.head.target() {
        "/login" => "Set-Cookie: SESSION=42; Path=/shop_1; HttpOnly\r\n",
        "/logout" => "Set-Cookie: SESSION=; Path=/shop_1; Max-Age=0\r\n",
        _ => return answer_ok(name),
    };
    format!("HTTP/1.1 200 OK\r\n{cookie}Content-Length: 1\r\n\r\n{name}").into_bytes()
}

fn ask(elbow: &Elbow, path: &str, cookies: &str) -> Message {
    let field = if cookies.is_empty() { String::new() } else { format!("Cookie: {cookies}\r\n") };
    Peer::connect(elbow.address()).ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{field}\r\n"))
}

/// The two cookies that an answer sets, as `Set-Cookie` values.
fn set(answer: &Message) -> Vec<String> {
    let fields = answer.head.all("set-cookie").into_iter().filter(|value| value.starts_with("AWSELB"));
    fields.map(str::to_owned).collect()
}

/// `AWSELB=...` of the first of them.
fn pair(answer: &Message) -> String {
    set(answer).first().expect("a cookie").split(';').next().expect("a pair").to_owned()
}

#[test]
fn a_client_with_the_cookie_stays_and_gets_no_second_one() {
    let (backends, state) = (backends(), tempfile::tempdir().expect("a folder"));
    let addresses: Vec<SocketAddr> = backends.iter().map(Backend::address).collect();
    let elbow = sticky(&addresses, &state, &duration(900)).start();
    let first = ask(&elbow, "/", "");
    let cookies = set(&first);
    let value = pair(&first).strip_prefix("AWSELB=").expect("a value").to_owned();
    assert_eq!(cookies[0], format!("AWSELB={value};PATH=/;MAX-AGE=900"));
    assert_eq!(cookies[1], format!("AWSELBCORS={value};PATH=/;MAX-AGE=900;SECURE;SAMESITE=None"));
    assert!(value.len() == 64 && value.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')), "{value}");
    for name in ["AWSELB", "AWSELBCORS"] {
        for _ in 0..20 {
            let answer = ask(&elbow, "/", &format!("x=1; {name}={value}"));
            assert_eq!((answer.text(), set(&answer).len()), (first.text(), 0));
        }
    }
    // Without it, requests are spread as ever; a forged one is none, and a better one comes back.
    let spread: HashSet<String> = (0..30).map(|_| ask(&elbow, "/", "").text().to_string()).collect();
    assert_eq!(spread.len(), 3, "{spread:?}");
    let forged = format!("AWSELB={}{}", &value[1..], &value[..1]);
    let answers: Vec<Message> = (0..30).map(|_| ask(&elbow, "/", &forged)).collect();
    assert!(answers.iter().all(|answer| set(answer).len() == 2));
    assert_eq!(answers.iter().map(|answer| answer.text().to_string()).collect::<HashSet<_>>().len(), 3);
}

#[test]
fn a_browser_stays_and_the_cookie_outlives_a_restart() {
    let (backends, state) = (backends(), tempfile::tempdir().expect("a folder"));
    let addresses: Vec<SocketAddr> = backends.iter().map(Backend::address).collect();
    let jar = state.path().join("cookies.txt");
    let jar = jar.to_str().expect("UTF-8");
    let mut answers = HashSet::new();
    let listener = free_address();
    for _ in 0..2 {
        let admin = free_address();
        let text = sticky(&addresses, &state, &duration(900)).text(listener, admin);
        let elbow = Elbow::start(&text, vec![listener], admin);
        elbow.admin().wait_in_service();
        let url = format!("http://{listener}/");
        answers.extend((0..10).map(|_| curl(&["--cookie", jar, "--cookie-jar", jar, &url])));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[test]
fn who_loses_the_instance_stays_with_the_next() {
    let (mut backends, state) = (backends(), tempfile::tempdir().expect("a folder"));
    let addresses: Vec<SocketAddr> = backends.iter().map(Backend::address).collect();
    let elbow = sticky(&addresses, &state, &duration(0)).probing("TCP:1").start();
    let first = ask(&elbow, "/", "");
    assert!(set(&first)[0].ends_with(";PATH=/"), "a cookie for as long as the browser runs");
    let lost = ["a", "b", "c"].iter().position(|name| *name == first.text()).expect("one of them");
    let address = backends[lost].address();
    drop(backends.remove(lost));
    // At once, before any probe has noticed.
    let second = ask(&elbow, "/", &pair(&first));
    assert_ne!(second.text(), first.text());
    let moved = pair(&second);
    assert_ne!(moved, pair(&first));

    let name = first.text().to_string();
    let _back = Backend::start_at(address, move |peer, _| {
        while let Some(request) = peer.try_read_message()? {
            peer.try_send(application(&name, &request))?;
        }
        Ok(())
    });
    elbow.admin().wait_in_service();
    for _ in 0..10 {
        assert_eq!(ask(&elbow, "/", &moved).text(), second.text());
    }
}

#[test]
fn the_applications_cookie_is_followed() {
    let (backends, state) = (backends(), tempfile::tempdir().expect("a folder"));
    let addresses: Vec<SocketAddr> = backends.iter().map(Backend::address).collect();
    let elbow = sticky(&addresses, &state, APPLICATION).start();
    assert!(set(&ask(&elbow, "/", "")).is_empty(), "no session, no cookie");
    let login = ask(&elbow, "/login", "");
    let ours = pair(&login);
    let value = ours.strip_prefix("AWSELB=").expect("a value");
    assert_eq!(
        set(&login),
        [
            format!("AWSELB={value};PATH=/shop%5F1;HTTPONLY"),
            format!("AWSELBCORS={value};PATH=/shop%5F1;HTTPONLY;SECURE;SAMESITE=None"),
        ]
    );
    let both = format!("SESSION=42; {ours}");
    for _ in 0..20 {
        let answer = ask(&elbow, "/", &both);
        assert_eq!((answer.text(), set(&answer).len()), (login.text(), 0));
    }
    let without: HashSet<String> = (0..30).map(|_| ask(&elbow, "/", &ours).text().to_string()).collect();
    assert_eq!(without.len(), 3, "without the application's cookie ours binds nobody");
    let logout = ask(&elbow, "/logout", &both);
    assert!(set(&logout).iter().all(|cookie| cookie.contains(";MAX-AGE=0")), "{:?}", set(&logout));
}

#[test]
fn a_session_whose_instance_is_drained_goes_on_elsewhere_for_good() {
    let (backends, state) = (backends(), tempfile::tempdir().expect("a folder"));
    let addresses: Vec<SocketAddr> = backends.iter().map(Backend::address).collect();
    let elbow = sticky(&addresses, &state, APPLICATION).start();
    let login = ask(&elbow, "/login", "");
    let at = ["a", "b", "c"].iter().position(|name| *name == login.text()).expect("one of them");
    let admin = elbow.admin().0.to_string();
    let name = format!("web/{}", addresses[at]);
    assert!(crate::harness::run_elbow(&["drain", &name, "--admin", &admin]).status.success());
    let moved = ask(&elbow, "/", &format!("SESSION=42; {}", pair(&login)));
    assert_ne!(moved.text(), login.text());
    let ours = pair(&moved);
    assert!(crate::harness::run_elbow(&["drain", "--undo", &name, "--admin", &admin]).status.success());
    for _ in 0..10 {
        assert_eq!(ask(&elbow, "/", &format!("SESSION=42; {ours}")).text(), moved.text());
    }
}
