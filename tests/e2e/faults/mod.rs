//! Faults injected from outside, one row each: every one has a reason of its own, the same in the metric, in the access
//! log and in what `elbow explain` tells of the client.

mod balancers;
mod clients;
mod connections;
mod instances;

use crate::harness::{Backend, Balancer, Elbow, PATIENCE, Peer, elbow_command, eventually, free_address, run_elbow};
use serde_json::Value;
use std::any::Any;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;

/// A request that must not be done twice.
pub const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
/// One that may.
pub const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Rows checked at a time: most of them wait for a timeout.
const AT_ONCE: usize = 6;

/// One fault.
#[derive(Clone, Copy)]
pub struct Row {
    /// What it is called, everywhere.
    reason: &'static str,
    /// What the client is answered; `None`: nothing.
    status: Option<u16>,
    /// Makes it happen.
    inject: fn(&Stage) -> Injected,
}

/// Where one fault happens.
pub struct Stage {
    folder: tempfile::TempDir,
}

/// What a fault leaves behind.
pub struct Injected {
    elbow: Elbow,
    /// Whose request or connection it was.
    client: SocketAddr,
    /// What that was answered.
    status: Option<u16>,
    /// What has to live until all has been looked at.
    _held: Box<dyn Any>,
}

/// A row of the table.
pub const fn row(reason: &'static str, status: Option<u16>, inject: fn(&Stage) -> Injected) -> Row {
    Row { reason, status, inject }
}

impl Stage {
    fn new() -> Stage {
        Stage { folder: tempfile::tempdir().expect("a folder") }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("web.log")
    }

    fn logging(&self, balancer: Balancer) -> Balancer {
        balancer.attribute(&format!("access_log = {{ path = {:?}, format = \"json\" }}", self.log()))
    }

    /// Starts the balancer with an access log, its instances in service.
    pub fn start(&self, balancer: Balancer) -> Elbow {
        self.logging(balancer).start()
    }

    /// The same, with a variable in its environment.
    pub fn start_with(&self, balancer: Balancer, name: &str, value: &str) -> Elbow {
        let (listener, admin) = (free_address(), free_address());
        let path = self.folder.path().join("elbow.toml");
        std::fs::write(&path, self.logging(balancer).text(listener, admin)).expect("a file");
        let mut command = elbow_command(&["run", "-c", path.to_str().expect("UTF-8")]);
        command.env(name, value);
        let elbow = Elbow::start_command(command, vec![listener], admin);
        elbow.admin().wait_in_service();
        elbow
    }

    /// The same, without waiting for its instances.
    pub fn start_early(&self, balancer: Balancer) -> Elbow {
        self.logging(balancer).start_early()
    }
}

impl Injected {
    /// What came of a client's own doing, or of its saying `bytes` and hearing the answer out.
    pub fn new(elbow: Elbow, client: &Peer, status: Option<u16>, held: impl Any) -> Injected {
        let client = client.stream().local_addr().expect("an address");
        Injected { elbow, client, status, _held: Box::new(held) }
    }

    /// What comes of a client that says `bytes` and hears the answer out.
    pub fn by_saying(elbow: Elbow, bytes: impl AsRef<[u8]>, held: impl Any) -> Injected {
        let mut client = Peer::connect(elbow.address());
        // The answer may come, and the connection end, before all is sent.
        let _ = client.try_send(bytes);
        let status = hear_out(&mut client);
        let injected = Injected::new(elbow, &client, status, ());
        Injected { _held: Box::new((client, held)), ..injected }
    }
}

/// The status of the final answer, if there is one. What the instance began to answer is read to its end.
pub fn hear_out(client: &mut Peer) -> Option<u16> {
    loop {
        match client.try_read_head() {
            Ok(Some(head)) if head.status() < 200 && head.status() != 101 => {}
            Ok(Some(head)) => {
                let is_cut_later = head.status() < 300;
                while is_cut_later && client.try_read_some().is_ok_and(|bytes| !bytes.is_empty()) {}
                return Some(head.status());
            }
            Ok(None) | Err(_) => return None,
        }
    }
}

/// An instance that takes a request and does not answer for as long as it is asked.
pub fn silent() -> Backend {
    Backend::start(|peer, seen| {
        if let Some(request) = peer.try_read_message()? {
            seen.requests.lock().expect("not poisoned").push(request);
            while peer.try_read_some().is_ok_and(|bytes| !bytes.is_empty()) {}
        }
        Ok(())
    })
}

/// An instance that answers a request with `words` and then says no more until the connection ends.
pub fn falls_silent_after(words: &'static str) -> Backend {
    Backend::start(move |peer, _| {
        if peer.try_read_message()?.is_some() {
            peer.try_send(words)?;
            peer.try_read_some()?;
        }
        Ok(())
    })
}

/// Waits until an instance has been asked so many times.
pub fn wait_asked(backend: &Backend, count: usize) {
    eventually("the instance is asked", PATIENCE, || (backend.request_count() >= count).then_some(()));
}

/// What is wrong with what is said of a fault; nothing if all is well.
fn check(row: &Row) -> Result<(), String> {
    let stage = Stage::new();
    let injected = (row.inject)(&stage);
    let Injected { elbow, client, status, .. } = &injected;
    let reason = [("reason", row.reason)];
    eventually(&format!("{} is counted", row.reason), PATIENCE, || {
        (elbow.admin().metrics().sum("elbow_errors_total", &[]) >= 1.0).then_some(())
    });
    let metrics = elbow.admin().metrics();
    let others = metrics.sum("elbow_errors_total", &[]) - metrics.sum("elbow_errors_total", &reason);
    if others != 0.0 {
        return Err(format!("{others} errors are counted under another reason"));
    }
    if *status != row.status {
        return Err(format!("answered {status:?} and not {:?}", row.status));
    }
    let line = eventually(&format!("{} of {client} in the access log", row.reason), PATIENCE, || {
        let text = std::fs::read_to_string(stage.log()).unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["client"] == client.to_string() && line["reason"] == row.reason)
    });
    let own_answer = status.filter(|status| *status >= 300);
    if own_answer.is_some_and(|status| line["status"] != status) {
        return Err(format!("the access log has another status: {line}"));
    }
    for asked in [client.to_string(), line["id"].as_str().unwrap_or_default().to_owned()] {
        let told = run_elbow(&["explain", &asked, "--admin", &elbow.admin().0.to_string()]);
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        if !told.contains(&format!(": {};", row.reason)) {
            return Err(format!("explain {asked} says {told:?}"));
        }
    }
    Ok(())
}

#[test]
fn every_fault_has_its_own_reason_wherever_it_is_told() {
    let tables = [instances::ROWS, clients::ROWS, balancers::ROWS, connections::ROWS];
    let mut rows: Vec<&Row> = tables.into_iter().flatten().collect();
    let names: std::collections::BTreeSet<_> = rows.iter().map(|row| row.reason).collect();
    assert!(names.len() == rows.len() && rows.len() >= 30, "{} reasons in {} rows", names.len(), rows.len());
    rows.reverse();
    let (waiting, wrong) = (Mutex::new(rows), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("not poisoned").pop();
                    let Some(row) = next else { return };
                    let checked = std::panic::catch_unwind(|| check(row));
                    let result = checked.unwrap_or_else(|_| Err("a step failed, see above".to_owned()));
                    if let Err(error) = result {
                        wrong.lock().expect("not poisoned").push(format!("{}: {error}", row.reason));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("not poisoned");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
