//! The binary is replaced while traffic flows: no request is lost, and a new one that is no good changes nothing.

use crate::harness::{
    Authority, Backend, Balancer, Elbow, H2load, Http2Load, Load, Nginx, PATIENCE, Peer, Upgradable, alone, answer_ok,
    elbow_command, eventually, free_address, h2load, openssl, run_elbow, runs, wrk,
};
use crate::reload::GET_AND_CLOSE;
use nix::sys::signal::{Signal, kill};
use rcgen::PKCS_ECDSA_P256_SHA256;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Echoes every byte.
fn echoing() -> Backend {
    Backend::start(|peer, _| {
        while let Ok(byte) = peer.try_read_exact(1) {
            peer.try_send(byte)?;
        }
        Ok(())
    })
}

/// A balancer with a file of its own.
struct Node {
    running: Upgradable,
    listener: SocketAddr,
    admin: SocketAddr,
    folder: TempDir,
}

impl Node {
    fn start(balancer: &Balancer) -> Node {
        Node::start_by(balancer, |command| command)
    }

    fn start_by(balancer: &Balancer, change: impl FnOnce(Command) -> Command) -> Node {
        let node = Node::run(balancer, change);
        node.running.elbow.admin().wait_in_service();
        node
    }

    /// Ready, its instances perhaps not in service.
    fn start_early(balancer: &Balancer) -> Node {
        Node::run(balancer, |command| command)
    }

    fn run(balancer: &Balancer, change: impl FnOnce(Command) -> Command) -> Node {
        let (listener, admin) = (free_address(), free_address());
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("elbow.toml");
        std::fs::write(&file, balancer.text(listener, admin)).expect("a file");
        let command = change(elbow_command(&["run", "-c", file.to_str().expect("UTF-8")]));
        let running = Upgradable::start(&command, vec![listener], admin);
        Node { running, listener, admin, folder }
    }

    fn write(&self, balancer: &Balancer) {
        self.write_text(&balancer.text(self.listener, self.admin));
    }

    fn write_text(&self, text: &str) {
        std::fs::write(self.folder.path().join("elbow.toml"), text).expect("a file");
    }
}

/// Runs h2load again and again, as it does not connect again when it is told to go elsewhere (GOAWAY). What all runs
/// counted together.
fn h2load_until(enough: &Arc<AtomicBool>, listener: SocketAddr) -> JoinHandle<H2load> {
    let (enough, url) = (enough.clone(), format!("http://{listener}/"));
    std::thread::spawn(move || {
        let mut total = H2load::default();
        while !enough.load(Ordering::SeqCst) {
            let run = h2load(&["-t", "1", "-c", "4", "-m", "8", "-D", "1", &url]);
            total.succeeded += run.succeeded;
            total.failed += run.failed;
            total.bad_statuses += run.bad_statuses;
        }
        total
    })
}

#[test]
fn ten_upgrades_under_load_cost_no_request() {
    let _turn = alone();
    let nginx = Nginx::start("one");
    let node = Node::start(&Balancer::http([nginx.address()]));
    let listener = node.listener;
    let enough = Arc::new(AtomicBool::new(false));
    let http1 = std::thread::spawn(move || wrk(listener, 32, Duration::from_secs(25)));
    let http2 = Http2Load::start(listener, 4);
    let h2load = h2load_until(&enough, listener);
    // Connects anew for each request, so that some connection is always in the queue of a listener.
    let knocking = Load::start(listener, 4, GET_AND_CLOSE);
    for _ in 0..10 {
        knocking.wait_for_more(20);
        node.running.replace();
        node.running.upgrade();
    }
    assert!(!http1.is_finished(), "the upgrades took longer than the load");
    enough.store(true, Ordering::SeqCst);
    let (http1, http2, knocked) = (http1.join().expect("wrk"), http2.stop(), knocking.stop());
    let h2load = h2load.join().expect("h2load");
    assert_eq!(http1.failures(), 0, "{http1:?}");
    assert_eq!(http2.failures, [""; 0], "{http2:?}");
    // What it had queued and not sent when it was told to go elsewhere counts as failed there, without a status.
    assert_eq!(h2load.bad_statuses, 0, "{h2load:?}");
    assert!(http1.requests > 1_000 && http2.good > 1_000 && h2load.succeeded > 1_000, "{http1:?} {http2:?} {h2load:?}");
    assert!(http2.connections >= 4 * 10, "every upgrade meant another connection: {http2:?}");
    assert_eq!((knocked.failures, knocked.refused), (Vec::new(), 0), "of {} good answers", knocked.good);
}

#[test]
fn a_new_binary_that_is_no_good_changes_nothing() {
    let backend = Backend::saying("ok");
    let balancer = Balancer::http([backend.address()]);
    let node = Node::start(&balancer);
    let mut client = Peer::connect(node.listener);
    for (script, reason) in [("exit 3", "exit status: 3"), ("kill -9 $$", "signal: 9"), ("sleep 60", "silent for 15")] {
        node.running.replace_by_script(script);
        node.running.fail_to_upgrade(reason);
        assert_eq!(client.ask(GET).status(), 200, "{script}: the same connection");
        assert_eq!(Peer::connect(node.listener).ask(GET).status(), 200, "{script}");
    }
    std::fs::remove_file(node.running.program()).expect("removed");
    node.running.fail_to_upgrade("cannot be started");
    node.running.replace();
    node.write_text("[nonsense");
    node.running.fail_to_upgrade("the new process ended with exit status: 1");
    // Good in itself, but somebody else listens there: found out when everything has been handed over.
    let taken = TcpListener::bind(free_address()).expect("free");
    node.write(&balancer.clone().also_at(taken.local_addr().expect("an address")));
    node.running.fail_to_upgrade("the new process ended with exit status: 1");
    assert_eq!(client.ask(GET).status(), 200, "the same connection");
    assert_eq!(Peer::connect(node.listener).ask(GET).status(), 200);

    node.write(&balancer);
    let old = node.running.upgrade();
    assert_eq!(Peer::connect(node.listener).ask(GET).status(), 200);
    node.running.wait_end(old);
}

#[test]
fn a_long_connection_lives_on_in_the_old_process_until_its_time_is_over() {
    let backend = echoing();
    let balancer = Balancer::tcp([backend.address()]).attribute("draining = { enabled = true, timeout = 4 }");
    let node = Node::start(&balancer);
    let mut client = Peer::connect_and_send(node.listener, "a");
    assert_eq!(client.read_exact(1), b"a");
    let mut finishes = Peer::connect_and_send(node.listener, "a");
    assert_eq!(finishes.read_exact(1), b"a");
    let old = node.running.upgrade();
    let mut other = Peer::connect_and_send(node.listener, "b");
    assert_eq!(other.read_exact(1), b"b");
    for byte in [b"c", b"d"] {
        client.send(byte);
        assert_eq!(client.read_exact(1), byte);
    }
    finishes.finish();
    assert_eq!(finishes.read_to_end().0, b"");
    assert!(runs(old), "it has a connection still");
    client.read_to_end();
    node.running.wait_end(old);
    other.send("e");
    assert_eq!(other.read_exact(1), b"e", "the new process has nothing to do with that");
    node.running.elbow.admin().wait_metric("elbow_connections_active", &[], |count| count == 1.0);
}

#[test]
fn a_websocket_lives_on_in_the_old_process() {
    let backend = Backend::start(|peer, _| {
        if peer.try_read_head()?.is_some() {
            peer.try_send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")?;
        }
        while let Ok(byte) = peer.try_read_exact(1) {
            peer.try_send(byte)?;
        }
        Ok(())
    });
    let node = Node::start(&Balancer::http([backend.address()]));
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut client = Peer::connect_and_send(node.listener, upgrade);
    assert_eq!(client.read_head().status(), 101);
    let old = node.running.upgrade();
    client.send("x");
    assert_eq!(client.read_exact(1), b"x");
    assert!(runs(old));
    client.finish();
    client.read_to_end();
    node.running.wait_end(old);
}

#[test]
fn cores_and_listeners_may_be_others_in_the_new_process() {
    let backend = Backend::saying("ok");
    let (goes, comes) = (free_address(), free_address());
    let balancer = Balancer::http([backend.address()]);
    let node = Node::start(&balancer.clone().also_at(goes).node("cores = [0, 1]"));
    let stays = Load::start(node.listener, 4, GET_AND_CLOSE);
    let leaves = Load::start(goes, 2, GET_AND_CLOSE);
    stays.wait_for_more(20);
    leaves.wait_for_more(20);
    node.write(&balancer.clone().also_at(comes).node("cores = [0]"));
    let old = node.running.upgrade();
    node.running.wait_end(old);
    assert_eq!(Peer::connect(comes).ask(GET).status(), 200);
    eventually("the listener that is no more is closed", PATIENCE, || Peer::try_connect(goes).is_err().then_some(()));
    let left = leaves.stop();
    assert_eq!(left.failures, [""; 0], "of {} good answers", left.good);

    node.write(&balancer.also_at(comes).node("cores = [0, 1]"));
    let old = node.running.upgrade();
    node.running.wait_end(old);
    stays.wait_for_more(20);
    let stayed = stays.stop();
    assert_eq!((stayed.failures, stayed.refused), (Vec::new(), 0), "of {} good answers", stayed.good);
}

#[test]
fn what_is_known_of_instances_goes_over() {
    let hangs = Arc::new(AtomicBool::new(false));
    let hanging = hangs.clone();
    let good = Backend::answering(move |request| {
        while request.head.start_line.contains("/ping") && hanging.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        answer_ok("good")
    });
    let (drained, dead) = (Backend::saying("drained"), free_address());
    let balancer = Balancer::http([good.address(), drained.address(), dead]);
    let check = "target = \"HTTP:1/ping\"\ninterval = 30\ntimeout = 20\nunhealthy_threshold = 2\nhealthy_threshold = 2";
    let node = Node::start_early(&balancer.checking(check));
    let admin = node.running.elbow.admin();
    eventually("two instances are in service", PATIENCE, || {
        let states = admin.instance_states();
        states.iter().take(2).all(|(_, state)| state == "InService").then_some(())
    });
    let name = format!("web/{}", drained.address());
    let told = run_elbow(&["drain", &name, "--admin", &node.admin.to_string()]);
    assert!(told.status.success(), "{told:?}");

    // A probe of the new process would have to wait for this one's answer.
    hangs.store(true, Ordering::SeqCst);
    node.running.upgrade();
    for _ in 0..10 {
        let answer = Peer::connect(node.listener).ask(GET);
        assert_eq!((answer.status(), answer.text()), (200, "good"));
    }
    let status = admin.status();
    let instances = &status["load_balancers"][0]["instances"];
    let of = |index: usize| (&instances[index]["state"], &instances[index]["draining"]);
    assert_eq!(of(0), (&"InService".into(), &false.into()));
    assert_eq!(of(1), (&"InService".into(), &true.into()));
    assert_eq!(of(2), (&"OutOfService".into(), &false.into()));
    hangs.store(false, Ordering::SeqCst);
}

#[test]
fn tls_sessions_are_resumed_by_the_new_process() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let backend = Backend::saying("ok");
    let node = Node::start(&Balancer::https([backend.address()], &[&certificate]));
    let address = node.listener.to_string();
    let shake_hands =
        |more: &[&str]| openssl(&[&["s_client", "-connect", &address, "-ign_eof"], more].concat(), GET_AND_CLOSE);
    let session = authority.folder().join("session").display().to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        let first = shake_hands(&[version, "-sess_out", &session]);
        assert!(first.contains("New, TLSv1"), "{first}");
        node.running.upgrade();
        let next = shake_hands(&[version, "-sess_in", &session]);
        assert!(next.contains("Reused, TLSv1"), "{version}: {next}");
    }
}

/// What is sent to `NOTIFY_SOCKET` until this comes: the first assignment of each datagram, and whether it has the time.
fn told(socket: &UnixDatagram, last: &str) -> Vec<String> {
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut told = Vec::new();
    let mut datagram = [0; 4096];
    while told.last().is_none_or(|said| said != last) {
        let length = socket.recv(&mut datagram).unwrap_or_else(|error| panic!("{error} after {told:?}"));
        let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
        let first = text.lines().next().unwrap_or_default().to_owned();
        assert_eq!(text.contains("\nMONOTONIC_USEC="), first == "RELOADING=1", "{text}");
        told.push(first);
    }
    told
}

#[test]
fn the_supervisor_is_told_whose_process_it_is() {
    let backend = Backend::saying("ok");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    let pid_file = folder.path().join("elbow.pid");
    let written = || std::fs::read_to_string(&pid_file).unwrap_or_default();
    let balancer = Balancer::http([backend.address()]).node(&format!("pid_file = {pid_file:?}"));
    let node = Node::start_by(&balancer, |mut command| {
        command.env("NOTIFY_SOCKET", &path);
        command
    });
    assert_eq!(told(&socket, "READY=1"), ["READY=1"]);
    node.running.replace_by_script("exit 3");
    node.running.fail_to_upgrade("exit status: 3");
    assert_eq!(told(&socket, "READY=1"), ["RELOADING=1", "READY=1"]);
    node.running.replace();
    let old = node.running.upgrade();
    let successor = format!("MAINPID={}", node.running.pid());
    assert_eq!(told(&socket, "READY=1"), ["RELOADING=1", &successor, "READY=1"]);
    node.running.wait_end(old);
    assert_eq!(written(), format!("{}\n", node.running.pid()));
    kill(node.running.pid(), Signal::SIGTERM).expect("it runs");
    assert_eq!(told(&socket, "STOPPING=1"), ["STOPPING=1"], "the old process said nothing of an end");
    node.running.wait_end(node.running.pid());
    assert!(!pid_file.exists());
}

/// `command` with `socket` as the only one that the supervisor opened (sd_listen_fds(3)).
fn activated(command: &Command, socket: TcpListener) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3<&0 0</dev/null"#]);
    shell.arg(command.get_program()).args(command.get_args()).stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
    shell
}

#[test]
fn a_socket_of_the_supervisor_is_served_by_all_cores_and_outlives_the_process() {
    let backend = Backend::saying("ok");
    let socket = TcpListener::bind(free_address()).expect("free");
    let (listener, admin) = (socket.local_addr().expect("an address"), free_address());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("elbow.toml");
    std::fs::write(&file, Balancer::http([backend.address()]).text(listener, admin)).expect("a file");
    let command = elbow_command(&["run", "-c", file.to_str().expect("UTF-8")]);
    let start = || {
        let handed = socket.try_clone().expect("a descriptor");
        Elbow::start_command(activated(&command, handed), vec![listener], admin)
    };
    let mut elbow = start();
    elbow.admin().wait_in_service();
    assert!((0..50).all(|_| Peer::connect(listener).ask(GET).status() == 200));
    elbow.signal(Signal::SIGTERM);
    elbow.wait_exit(PATIENCE);
    // Waits in the supervisor's socket for the next process.
    let mut early = Peer::connect_and_send(listener, GET);
    let elbow = start();
    assert_eq!(early.read_message().status(), 200);
    drop(elbow);
}
