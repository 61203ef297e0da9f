//! A configuration that changes while traffic flows costs no request and no connection, and a wrong one changes nothing.

use crate::harness::{
    Backend, Balancer, Elbow, Load, Nginx, PATIENCE, Peer, alone, curl, elbow_command, eventually, free_address,
    h2load, run_elbow, under_limit, wrk,
};
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
pub const GET_AND_CLOSE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Rounds of reloads before memory is compared: until then the load, and records of it, touch some for the first time.
const WARM_UP: usize = 25;

/// A balancer whose file the test can write again.
pub struct Reloadable {
    pub elbow: Elbow,
    pub listener: SocketAddr,
    admin: SocketAddr,
    folder: TempDir,
}

impl Reloadable {
    pub fn start(balancer: &Balancer) -> Reloadable {
        Reloadable::start_by(balancer, |command| command)
    }

    /// With a hard limit of open files.
    pub fn start_with_descriptors(balancer: &Balancer, descriptors: usize) -> Reloadable {
        Reloadable::start_by(balancer, |command| under_limit(descriptors, &command))
    }

    /// As `change` makes of the command that runs it.
    pub fn start_by(balancer: &Balancer, change: impl FnOnce(Command) -> Command) -> Reloadable {
        let (listener, admin) = (free_address(), free_address());
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("elbow.toml");
        std::fs::write(&path, balancer.text(listener, admin)).expect("a file");
        let command = elbow_command(&["run", "-c", path.to_str().expect("UTF-8")]);
        let elbow = Elbow::start_command(change(command), vec![listener], admin);
        elbow.admin().wait_in_service();
        Reloadable { elbow, listener, admin, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("elbow.toml")
    }

    pub fn write(&self, balancer: &Balancer) {
        std::fs::write(self.path(), balancer.text(self.listener, self.admin)).expect("a file");
    }

    /// Runs a command on the balancer.
    pub fn tell(&self, arguments: &[&str]) -> Output {
        run_elbow(&[arguments, &["--admin", &self.admin.to_string()]].concat())
    }

    #[track_caller]
    pub fn reload(&self, balancer: &Balancer) -> String {
        self.write(balancer);
        let output = self.tell(&["reload"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn count(&self, result: &str) -> f64 {
        self.elbow.admin().metrics().sum("elbow_reloads_total", &[("result", result)])
    }
}

#[test]
fn a_hundred_reloads_under_load_cost_no_request() {
    let _turn = alone();
    let (stays, comes_and_goes) = (Nginx::start("one"), Nginx::start("two"));
    let extra = free_address();
    let few = Balancer::http([stays.address()]);
    let many = Balancer::http([stays.address(), comes_and_goes.address()]).also_at(extra);
    let running = Reloadable::start(&few);
    let listener = running.listener;
    let http1 = std::thread::spawn(move || wrk(listener, 32, Duration::from_secs(40)));
    let http2 = std::thread::spawn(move || {
        let url = format!("http://{listener}/");
        // So many that none carries the most requests that a connection may: the client would not make another.
        h2load(&["-t", "1", "-c", "16", "-m", "2", "-D", "40", &url])
    });
    // Connects anew for each request, so that some connection is always in the queue of a listener that closes.
    let knocking = Load::start(extra, 8, GET_AND_CLOSE);
    let mut memory = Vec::new();
    for _ in 0..WARM_UP + 50 {
        running.reload(&many);
        running.elbow.admin().wait_in_service();
        running.reload(&few);
        memory.push(running.elbow.process().resident_bytes());
    }
    assert!(!http1.is_finished() && !http2.is_finished(), "the reloads took longer than the load");
    let (http1, http2, knocked) = (http1.join().expect("wrk"), http2.join().expect("h2load"), knocking.stop());
    assert_eq!(http1.failures(), 0, "{http1:?}");
    assert_eq!(http2.failed, 0, "{http2:?}");
    assert!(http1.requests > 1_000 && http2.succeeded > 1_000, "{http1:?} {http2:?}");
    assert_eq!(knocked.failures, [""; 0], "of {} good answers", knocked.good);
    assert!(knocked.good > 0 && knocked.refused > 0, "the listener came and went: {knocked:?}");
    assert_eq!(running.count("applied"), 2.0 * memory.len() as f64);
    let measured = &memory[WARM_UP..];
    let (settled, last) = (median(&measured[..10]), median(&measured[40..]));
    assert!(last * 20 <= settled * 21, "memory grew from {settled} to {last}: {memory:?}");
}

fn median(readings: &[u64]) -> u64 {
    let mut sorted = readings.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[test]
fn a_wrong_file_is_refused_and_nothing_changes() {
    let backend = Backend::saying("ok");
    let balancer = Balancer::http([backend.address()]);
    let running = Reloadable::start(&balancer);
    let mut client = Peer::connect(running.listener);
    assert_eq!(client.ask(GET).status(), 200);

    std::fs::write(running.path(), "[node]\nzoen = \"a\"\n").expect("a file");
    let output = running.tell(&["reload"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text.contains("elbow.toml:2:1") && text.contains("zone"), "{text}");

    running.write(&balancer.clone().node("cores = [0]"));
    let output = running.tell(&["reload"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("cores"), "{text}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    running.write(&balancer.clone().also_at(taken.local_addr().expect("an address")));
    let output = running.tell(&["reload"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("in use"), "{text}");

    assert_eq!(client.ask(GET).status(), 200, "the same connection, the same configuration");
    assert_eq!((running.count("applied"), running.count("refused")), (0.0, 3.0));
}

#[test]
fn a_plan_shows_what_a_reload_then_does() {
    let (old, new) = (Backend::saying("old"), Backend::saying("new"));
    let running = Reloadable::start(&Balancer::http([old.address()]));
    let mut client = Peer::connect(running.listener);
    assert_eq!(client.ask(GET).text(), "old");

    let next = Balancer::http([new.address()]).limit("connect_timeout = 7");
    running.write(&next);
    let output = running.tell(&["reload", "--plan"]);
    let plan = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(plan.contains(&format!("- {{ id = {:?}", old.address().to_string())), "{plan}");
    assert!(plan.contains(&format!("+ {{ id = {:?}", new.address().to_string())), "{plan}");
    assert!(plan.contains("+ connect_timeout = 7"), "{plan}");
    assert_eq!(client.ask(GET).text(), "old", "a plan is only a plan");

    running.elbow.signal(Signal::SIGHUP);
    eventually("the reload", PATIENCE, || (running.count("applied") == 1.0).then_some(()));
    running.elbow.admin().wait_in_service();
    assert_eq!(client.ask(GET).text(), "new", "the client's connection stays");
    let output = running.tell(&["reload", "--plan", "-c", running.path().to_str().expect("UTF-8")]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "nothing changes\n");
    running.elbow.admin().wait_metric("elbow_connections_active", &[], |count| count == 1.0);
}

#[test]
fn idle_connections_to_an_instance_that_left_are_closed() {
    let (stays, leaves) = (
        Backend::saying("ok"),
        Backend::start(|peer, seen| {
            seen.in_flight.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let answered = peer.try_read_message().and_then(|_| peer.try_send(crate::harness::answer_ok("ok")));
            let _ = peer.read_to_end();
            seen.in_flight.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            answered
        }),
    );
    let running = Reloadable::start(&Balancer::http([leaves.address()]).node("cores = [0]"));
    assert_eq!(Peer::connect(running.listener).ask(GET).status(), 200);
    leaves.wait_in_flight(1);
    running.reload(&Balancer::http([stays.address()]).node("cores = [0]"));
    leaves.wait_in_flight(0);
}

#[test]
fn a_tcp_connection_outlives_its_instance_and_its_listener() {
    let backend = Backend::start(|peer, _| {
        while let Ok(byte) = peer.try_read_exact(1) {
            peer.try_send(byte)?;
        }
        Ok(())
    });
    let (other, moved) = (Backend::saying(""), free_address());
    let draining = "draining = { enabled = true, timeout = 300 }";
    let mut running = Reloadable::start(&Balancer::tcp([backend.address()]).attribute(draining));
    let mut client = Peer::connect_and_send(running.listener, "a");
    assert_eq!(client.read_exact(1), b"a");
    let first = std::mem::replace(&mut running.listener, moved);
    running.reload(&Balancer::tcp([other.address()]).attribute(draining));
    eventually("the old listener is closed", PATIENCE, || Peer::try_connect(first).is_err().then_some(()));
    client.send("b");
    assert_eq!(client.read_exact(1), b"b");
    assert!(Peer::try_connect(moved).is_ok());
}

#[test]
fn a_drained_instance_finishes_what_it_has_and_gets_nothing_new() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let running = Reloadable::start(&Balancer::http([one.address(), two.address()]));
    let name = format!("web/{}", one.address());
    let output = running.tell(&["drain", &name]);
    assert!(output.status.success(), "{output:?}");
    let asked = one.request_count();
    for _ in 0..20 {
        assert_eq!(curl(&[&format!("http://{}/", running.listener)]), "two");
    }
    assert_eq!(one.request_count(), asked);
    let shown = String::from_utf8(running.tell(&["status"]).stdout).expect("UTF-8");
    let line = |state: &str, address: SocketAddr| {
        shown.lines().any(|line| line.contains(state) && line.contains(&address.to_string()))
    };
    assert!(line("Draining", one.address()) && line("InService", two.address()), "{shown}");

    // A reload does not forget it.
    running.reload(&Balancer::http([one.address(), two.address()]).limit("connect_timeout = 7"));
    assert_eq!(running.elbow.admin().status()["load_balancers"][0]["instances"][0]["draining"], true);

    assert!(running.tell(&["drain", "--undo", &name]).status.success());
    let answers: Vec<String> = (0..20).map(|_| curl(&[&format!("http://{}/", running.listener)])).collect();
    assert!(answers.contains(&"one".to_owned()), "{answers:?}");
    let unknown = running.tell(&["drain", "web/nobody"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
}
