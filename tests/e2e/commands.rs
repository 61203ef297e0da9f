//! The commands, as a user types them.

use crate::harness::{Backend, Balancer, Elbow, PATIENCE, curl, elbow_command, free_address, run_elbow};
use nix::sys::signal::Signal;

#[test]
fn without_arguments_help_starts_with_the_demo() {
    let output = run_elbow(&[]);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(text.contains("elbow demo"), "{text}");
    let demo = text.find("elbow demo").expect("found");
    let run = text.find("elbow run").unwrap_or(usize::MAX);
    assert!(demo < run, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn a_bad_file_is_shown_with_a_caret_and_ends_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("elbow.toml");
    std::fs::write(&path, "[admin]\nadress = \"127.0.0.1:9900\"\n").expect("a file");
    let path = path.to_str().expect("UTF-8");
    for command in ["run", "check"] {
        let output = run_elbow(&[command, "-c", path]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
        assert!(text.contains(&format!("{path}:2:1")), "{command}: {text}");
        assert!(text.contains("adress = \"127.0.0.1:9900\""), "{command}: {text}");
        assert!(text.lines().any(|line| line.trim_start_matches([' ', '|']).starts_with('^')), "{command}: {text}");
        assert!(text.contains("address"), "{command} does not say what was meant: {text}");
        assert!(!text.contains("\u{1b}["), "{command}: colours without a terminal: {text}");
    }
}

#[test]
fn a_file_that_is_not_there_cannot_be_read() {
    let output = run_elbow(&["check", "-c", "/nowhere/elbow.toml"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/elbow.toml"), "{output:?}");
    assert!(!run_elbow(&["run", "-c", "/nowhere/elbow.toml"]).status.success());
}

#[test]
fn the_effective_file_is_a_good_file_again() {
    let text = Balancer::http([free_address()]).text(free_address(), free_address());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("elbow.toml");
    std::fs::write(&path, text).expect("a file");
    let effective = run_elbow(&["check", "--effective", "-c", path.to_str().expect("UTF-8")]);
    assert!(effective.status.success(), "{effective:?}");
    let shown = String::from_utf8(effective.stdout).expect("UTF-8");
    assert!(shown.contains("idle_timeout = 60"), "defaults are filled in: {shown}");

    let again = folder.path().join("again.toml");
    std::fs::write(&again, &shown).expect("a file");
    let repeated = run_elbow(&["check", "--effective", "-c", again.to_str().expect("UTF-8")]);
    assert_eq!(String::from_utf8(repeated.stdout).expect("UTF-8"), shown);
}

#[test]
fn what_could_not_be_written_was_not_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("elbow.toml");
    std::fs::write(&path, Balancer::http([free_address()]).text(free_address(), free_address())).expect("a file");
    for output in ["--effective", "--json"] {
        let mut command = elbow_command(&["check", output, "-c", path.to_str().expect("UTF-8")]);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has one");
        let ended = command.stdout(full).output().expect("started");
        assert_eq!(ended.status.code(), Some(1), "{output}");
        assert!(String::from_utf8_lossy(&ended.stderr).contains("standard output: No space left"), "{ended:?}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind(free_address()).expect("a listener");
    let address = taken.local_addr().expect("its address");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("elbow.toml");
    std::fs::write(&path, Balancer::http([free_address()]).text(address, free_address())).expect("a file");
    let output = run_elbow(&["run", "-c", path.to_str().expect("UTF-8")]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(&address.to_string()), "{text}");
    assert!(text.to_lowercase().contains("in use"), "{text}");
}

#[test]
fn ready_names_the_listeners() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let log = elbow.log();
    let ready: Vec<&String> = log.iter().filter(|line| line.starts_with("ready")).collect();
    assert_eq!(ready.len(), 1, "{log:?}");
    assert!(ready[0].contains(&elbow.address().to_string()), "{ready:?}");
}

#[test]
fn a_balancer_runs_without_a_file() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let (listener, admin) = (free_address(), free_address());
    let arguments = [
        "run",
        "--listen",
        &format!("http://{listener}"),
        "--to",
        &one.address().to_string(),
        "--to",
        &two.address().to_string(),
        "--admin",
        &admin.to_string(),
    ];
    let mut elbow = Elbow::start_command(elbow_command(&arguments), vec![listener], admin);
    elbow.admin().wait_in_service();
    let url = format!("http://{listener}/");
    let answers: Vec<String> = (0..10).map(|_| curl(&[&url])).collect();
    assert!(answers.contains(&"one".into()) && answers.contains(&"two".into()), "{answers:?}");
    elbow.signal(Signal::SIGTERM);
    assert!(elbow.wait_exit(PATIENCE).success());
}

#[test]
fn a_log_format_that_is_none_is_named() {
    let (listener, admin) = (free_address(), free_address());
    let (url, to, admin) = (format!("http://{listener}"), free_address().to_string(), admin.to_string());
    let mut command = elbow_command(&["run", "--listen", &url, "--to", &to, "--admin", &admin]);
    let output = command.env("ELBOW_LOG_FORMAT", "jsno").output().expect("started");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("ELBOW_LOG_FORMAT: unknown log format \"jsno\""), "{said}");
}

/// A free port of 127.0.0.1 itself, where the demo listens.
fn loopback_port() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

#[test]
fn the_demo_serves() {
    let (listener, admin) = (loopback_port(), free_address());
    let arguments = ["demo", "--port", &listener.port().to_string(), "--admin", &admin.to_string()];
    let mut elbow = Elbow::start_command(elbow_command(&arguments), vec![listener], admin);
    let url = format!("http://{}/", elbow.address());
    let answers: std::collections::BTreeSet<String> = (0..20).map(|_| curl(&[&url])).collect();
    assert_eq!(answers.len(), 2, "two back ends, two answers: {answers:?}");
    let said = elbow.output().join("\n");
    assert!(said.contains(&format!("curl -i http://127.0.0.1:{}", listener.port())), "{said}");
    elbow.signal(Signal::SIGINT);
    assert!(elbow.wait_exit(PATIENCE).success());
}
