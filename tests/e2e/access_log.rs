//! The access log says what happened, line by line, and never stands in the way of traffic.

use crate::harness::{Backend, Balancer, Elbow, PATIENCE, Peer, alone, answer_ok, curl, eventually, free_address, wrk};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn logging(path: &Path, format: &str) -> String {
    format!("access_log = {{ path = {path:?}, format = {format:?} }}")
}

fn log_file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("web.log");
    (folder, path)
}

/// The lines of a log, as soon as there are so many.
#[track_caller]
fn lines(path: &Path, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines in {}", path.display()), PATIENCE, || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    })
}

/// A line's fields; what stands in quotes is one.
fn fields(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        match index % 2 {
            0 => fields.extend(part.split(' ').filter(|field| !field.is_empty()).map(str::to_owned)),
            _ => fields.push(part.to_owned()),
        }
    }
    fields
}

fn dropped(elbow: &Elbow) -> f64 {
    elbow.admin().metrics().sum("elbow_access_log_lines_dropped_total", &[])
}

#[test]
fn a_request_is_a_line_of_elbs_fifteen_fields() {
    let (_folder, path) = log_file();
    let backend = Backend::answering(|_| answer_ok("hello"));
    let elbow = Balancer::http([backend.address()]).attribute(&logging(&path, "elb")).start();
    let url = format!("http://{}/cart?id=7", elbow.address());
    curl(&["--data", "0123456789ab", "--user-agent", "curl \"x\"", &url]);
    let line = lines(&path, 1).remove(0);
    // The quotes in the user agent are escaped: cut them out before counting fields.
    assert!(line.contains(r#" "curl \"x\"" - -"#), "{line}");
    let fields = fields(&line.replace(r#"\"x\""#, "x"));
    assert_eq!(fields.len(), 15, "{line}");
    let time = &fields[0];
    assert!(time.len() == 27 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    assert_eq!(fields[1], "web");
    assert!(fields[2].starts_with("127.0.0.1:"), "{line}");
    assert_eq!(fields[3], backend.address().to_string());
    for time in &fields[4..7] {
        let (seconds, fraction) = time.split_once('.').expect("a fraction");
        assert!(seconds == "0" && fraction.len() == 6, "{line}");
    }
    assert_eq!(fields[7..11], ["200", "200", "12", "5"], "{line}");
    assert_eq!(fields[11], format!("POST {url} HTTP/1.1"));
}

#[test]
fn what_elbow_answers_itself_is_told_apart() {
    let (_folder, path) = log_file();
    let dead = free_address();
    let elbow = Balancer::http([dead]).probing("TCP:1").attribute(&logging(&path, "elb")).start_early();
    elbow.admin().wait_states(&["OutOfService"]);
    Peer::connect(elbow.address()).ask("GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    Peer::connect(elbow.address()).ask("nonsense\r\n\r\n");
    let lines = lines(&path, 2);
    let has = |words: &str| lines.iter().any(|line| line.contains(words));
    let port = elbow.address().port();
    assert!(
        has(&format!(" - -1 -1 -1 503 0 0 0 \"GET http://shop.example:{port}/a HTTP/1.1\" \"-\" - -")),
        "{lines:?}"
    );
    assert!(has(&format!(" - -1 -1 -1 400 0 0 0 \"- http://-:{port}- \" \"-\" - -")), "{lines:?}");
}

#[test]
fn a_tcp_connection_is_a_line_when_it_has_ended() {
    let (_folder, path) = log_file();
    let backend = Backend::start(|peer, _| {
        let (heard, _) = peer.read_to_end();
        if heard.is_empty() { Ok(()) } else { peer.try_send("12345678") }
    });
    let elbow = Balancer::tcp([backend.address()]).attribute(&logging(&path, "elb")).start();
    let mut client = Peer::connect_and_send(elbow.address(), "12345");
    client.finish();
    assert_eq!(client.read_to_end().0, b"12345678");
    let line = lines(&path, 1).remove(0);
    assert!(line.contains(&format!(" {} 0.", backend.address())), "{line}");
    assert!(line.ends_with(" - - 5 8 \"- - - \" \"-\" - -"), "{line}");
}

#[test]
fn json_says_the_same_and_why_it_failed() {
    let (_folder, path) = log_file();
    let backend = Backend::saying("hello");
    let elbow = Balancer::http([backend.address()]).attribute(&logging(&path, "json")).start();
    curl(&[&format!("http://{}/x", elbow.address())]);
    Peer::connect(elbow.address()).ask("nonsense\r\n\r\n");
    let lines: Vec<Value> = lines(&path, 2).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |status: u64| lines.iter().find(|line| line["status"] == status).expect("a line");
    let (good, bad) = (of(200), of(400));
    assert_eq!(good["instance"], backend.address().to_string());
    assert_eq!((&good["method"], &good["sent_bytes"]), (&Value::from("GET"), &Value::from(5)));
    assert_eq!(bad["reason"], "malformed_request");
}

#[test]
fn no_line_is_lost_over_load_rotation_and_the_end() {
    let _turn = alone();
    let (folder, path) = log_file();
    let nginx = crate::harness::Nginx::start("one");
    let mut elbow = Balancer::http([nginx.address()]).attribute(&logging(&path, "elb")).start();
    let rotated = folder.path().join("web.log.1");
    let address = elbow.address();
    let load = std::thread::spawn(move || wrk(address, 16, Duration::from_secs(3)));
    lines(&path, 1_000);
    std::fs::rename(&path, &rotated).expect("renamed");
    elbow.signal(Signal::SIGUSR1);
    lines(&path, 1_000);
    let counted = load.join().expect("wrk");
    elbow.admin().wait_metric("elbow_connections_active", &[], |count| count == 0.0);
    let answered = elbow.admin().metrics().sum("elbow_requests_total", &[]) as usize;
    assert_eq!(dropped(&elbow), 0.0);
    elbow.signal(Signal::SIGTERM);
    assert!(elbow.wait_exit(PATIENCE).success());
    let written: usize =
        [&path, &rotated].into_iter().map(|path| std::fs::read_to_string(path).expect("a log").lines().count()).sum();
    assert!(answered as u64 >= counted.requests);
    // A client that left in the middle is a line without an answer.
    assert!((answered..=answered + 16).contains(&written), "{written} lines for {answered} answers");
}

#[test]
fn a_log_rotates_by_size_under_load_and_no_line_is_lost() {
    let _turn = alone();
    let (folder, path) = log_file();
    let nginx = crate::harness::Nginx::start("one");
    let log = format!("access_log = {{ path = {path:?}, rotate_size = 1000000, keep = 1000 }}");
    let mut elbow = Balancer::http([nginx.address()]).attribute(&log).start();
    wrk(elbow.address(), 16, Duration::from_secs(2));
    elbow.admin().wait_metric("elbow_connections_active", &[], |count| count == 0.0);
    let answered = elbow.admin().metrics().sum("elbow_requests_total", &[]) as usize;
    elbow.signal(Signal::SIGTERM);
    assert!(elbow.wait_exit(PATIENCE).success());
    let files: Vec<String> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| std::fs::read_to_string(entry.expect("a file").path()).expect("a log"))
        .collect();
    assert!(files.len() >= 2, "{answered} lines in {} files", files.len());
    assert!(files.iter().all(|file| file.len() < 1_200_000 && (file.is_empty() || file.ends_with('\n'))));
    let written: usize = files.iter().map(|file| file.lines().count()).sum();
    assert!((answered..=answered + 16).contains(&written), "{written} lines for {answered} answers");
}

#[test]
fn a_log_rotates_by_the_clock_and_keeps_so_many_files() {
    let (folder, path) = log_file();
    let backend = Backend::saying("hello");
    let log = format!("access_log = {{ path = {path:?}, rotate_interval = 1, keep = 2 }}");
    let elbow = Balancer::http([backend.address()]).attribute(&log).start();
    let aside = |number: u32| folder.path().join(format!("web.log.{number}"));
    eventually("two files are put aside", PATIENCE, || {
        Peer::connect(elbow.address()).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        std::thread::sleep(Duration::from_millis(200));
        aside(2).exists().then_some(())
    });
    let (newest, before) = (lines(&aside(1), 1), lines(&aside(2), 1));
    assert!(before.last() < newest.first(), "{before:?} and then {newest:?}");
    eventually("the last is overwritten", PATIENCE, || {
        Peer::connect(elbow.address()).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        std::thread::sleep(Duration::from_millis(200));
        (lines(&aside(2), 1) != before).then_some(())
    });
    assert!(!aside(3).exists());
}

#[test]
fn a_full_disk_costs_lines_and_no_request() {
    let backend = Backend::saying("hello");
    let elbow = Balancer::http([backend.address()]).attribute(&logging(Path::new("/dev/full"), "elb")).start();
    let url = format!("http://{}/", elbow.address());
    for _ in 0..10 {
        assert_eq!(curl(&[&url]), "hello");
    }
    elbow.admin().wait_metric("elbow_access_log_lines_dropped_total", &[], |count| count == 10.0);
    assert!(elbow.log().iter().any(|line| line.contains("access log lines are lost")), "{:?}", elbow.log());
}
