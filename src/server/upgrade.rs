//! The upgrade of the binary, as the process sees it that is to be succeeded: starts the executable anew, hands it every
//! listening socket, and lets go when it serves. Until then whatever goes wrong leaves everything as it was.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use crate::control::upgrade::{Estate, Predecessor, Purpose, Successor, hear, say};
use crate::runtime::{HandoverChannel, Remaining, Slot};
use crate::server::inheritance::known;
use crate::server::node::Node;
use crate::server::notify::{State, notify};

/// For a new process to read its configuration.
const PREPARING: Duration = Duration::from_secs(15);

/// For a new process to serve, once it has everything: it may have to look names up.
const STARTING: Duration = Duration::from_secs(60);

/// For a new process to take in what it is sent.
const TAKING: Duration = Duration::from_secs(10);

/// For the end of a process that has closed its stream.
const ENDING: Duration = Duration::from_secs(2);

/// Hands the node over to a new process. Answers whether that succeeded; says so in the log, and to systemd.
pub(super) async fn upgrade(node: &Node) -> bool {
    notify(State::Upgrading);
    let reloading = node.reloader.hold().await;
    let done = hand_over(node).await;
    drop(reloading);
    match done {
        Ok(successor) => {
            tracing::info!(successor, "upgraded");
            true
        }
        Err(reason) => {
            tracing::error!(reason, "upgrade failed, this process goes on serving");
            notify(State::Ready);
            false
        }
    }
}

async fn hand_over(node: &Node) -> Result<u32, String> {
    let mut heir = Heir::start()?;
    tracing::info!(successor = heir.child.id(), "upgrading");
    match heir.hear(PREPARING).await? {
        Successor::Prepared => {}
        Successor::Serving(_) => return Err(NONSENSE.to_owned()),
    }
    if let Some(api) = &node.api {
        api.pause().await;
    }
    let done = bequeath(node, &mut heir).await;
    if done.is_err()
        && let Some(api) = &node.api
    {
        // The store is free again when nobody of the other process is left.
        heir.end();
        api.resume().await.unwrap_or_else(|error| tracing::error!(%error, "the API cannot go on"));
    }
    done
}

const NONSENSE: &str = "the new process says what makes no sense";

/// Sends all there is, and lets go of it when the other process serves.
async fn bequeath(node: &Node, heir: &mut Heir) -> Result<u32, String> {
    let failed = |error: io::Error| format!("handing over: {error}");
    let (slots, sockets, estate) = estate(node).map_err(failed)?;
    heir.say(Predecessor::Estate(estate), sockets).await?;
    let Successor::Serving(taken) = heir.hear(STARTING).await? else { return Err(NONSENSE.to_owned()) };
    let taken: Vec<Slot> = taken.iter().filter_map(|place| slots.get(*place)).copied().collect();
    let successor = heir.child.id();
    // Said first: the other process says that it is ready as soon as it knows.
    notify(State::MainProcess(successor));
    if let Err(error) = heir.say(Predecessor::Yours, Vec::new()).await {
        notify(State::MainProcess(std::process::id()));
        return Err(error);
    }
    heir.has_succeeded = true;
    node.publisher.sockets().leave_to_others(&taken);
    node.admin.leave_to_others();
    Ok(successor)
}

/// The sockets of listeners by core and address, all sockets, and what goes with them. Those of the listeners come first.
fn estate(node: &Node) -> io::Result<(Vec<Slot>, Vec<OwnedFd>, Estate)> {
    let (mut slots, mut sockets, mut purposes) = (Vec::new(), Vec::new(), Vec::new());
    for (slot, socket, remaining) in node.publisher.sockets().duplicate()? {
        let supervised = remaining == Remaining::Others;
        purposes.push(Purpose::Listener { core: slot.core, address: slot.address, supervised });
        sockets.push(socket);
        slots.push(slot);
    }
    purposes.push(Purpose::Admin);
    sockets.push(node.admin.duplicate()?);
    if let Some(api) = &node.api {
        purposes.push(Purpose::Api);
        sockets.push(api.duplicate()?);
    }
    let instances = node.registry.standings().into_iter().map(known).collect();
    let estate = Estate { sockets: purposes, instances, ticket_keys: node.registry.ticket_keys() };
    Ok((slots, sockets, estate))
}

/// The process that is to succeed this one. It is killed when this is dropped before it has.
struct Heir {
    channel: Arc<HandoverChannel>,
    child: Child,
    has_succeeded: bool,
}

impl Heir {
    /// Starts the executable that this process was started from, or what has taken its place, with the same arguments.
    fn start() -> Result<Heir, String> {
        let program = program().map_err(|error| format!("the executable cannot be found: {error}"))?;
        let mut command = Command::new(&program);
        command.args(std::env::args_os().skip(1));
        let started = HandoverChannel::start(&mut command);
        let (channel, child) = started.map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        Ok(Heir { channel: Arc::new(channel), child, has_succeeded: false })
    }

    /// Waits for its next word.
    async fn hear(&mut self, patience: Duration) -> Result<Successor, String> {
        let channel = self.channel.clone();
        match aside(move || hear(&channel, patience)).await {
            Ok(Some((word, _))) => Ok(word),
            Ok(None) => Err(self.how_it_ended().await),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(format!("the new process was silent for {} seconds", patience.as_secs()))
            }
            Err(error) => Err(format!("hearing of the new process: {error}")),
        }
    }

    async fn say(&mut self, word: Predecessor, sockets: Vec<OwnedFd>) -> Result<(), String> {
        let channel = self.channel.clone();
        let said = aside(move || say(&channel, &word, &sockets, TAKING)).await;
        said.map_err(|error| format!("the new process does not take what it is sent: {error}"))
    }

    async fn how_it_ended(&mut self) -> String {
        let step = Duration::from_millis(10);
        for _ in 0..ENDING.as_millis() / step.as_millis() {
            match self.child.try_wait() {
                Ok(Some(status)) => return format!("the new process ended with {status}"),
                Ok(None) => tokio::time::sleep(step).await,
                Err(error) => return format!("the new process: {error}"),
            }
        }
        "the new process closed its end and goes on".to_owned()
    }

    /// Ends it, unless it has succeeded.
    fn end(&mut self) {
        if !self.has_succeeded {
            // Failing, it has ended already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        self.end();
    }
}

/// Does `work`, which waits, away from the control thread.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// By the name that this process was started with, which may be a link that now leads elsewhere; if that is no path, by
/// the path of the executable itself.
fn program() -> io::Result<PathBuf> {
    let name = std::env::args_os().next().unwrap_or_default();
    if Path::new(&name).components().count() > 1 {
        return Ok(name.into());
    }
    let path = std::env::current_exe()?;
    // What proc(5) says of an executable that was replaced.
    let text = path.to_string_lossy().into_owned();
    Ok(text.strip_suffix(" (deleted)").map_or(path, PathBuf::from))
}
