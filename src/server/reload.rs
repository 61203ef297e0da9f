//! Takes the configuration file again while the node runs: in process, by difference, all or nothing.
//!
//! Whatever can be wrong is found out before anything changes: the file, names that cannot be looked up, addresses that
//! somebody else listens on, settings that only a start can change. Then one pointer is published, and every thread goes
//! over to it at its next turn.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{Mutex, Notify};

use crate::control::admin::command::{Done, Refused};
use crate::control::config::{self, ConfigErrors, Loaded, Report};
use crate::control::difference::Difference;
use crate::model::{Configuration, Layer};
use crate::proxy::admission::Admission;
use crate::registry::{CompileError, Registry};
use crate::runtime;
use crate::server::sticky_key;
use crate::telemetry::Reloads;

/// The configuration that the node goes by, and the way to the next one.
pub(super) struct Reloader {
    /// Where it was read; `None`: it was made from flags.
    file: Option<PathBuf>,
    configuration: RefCell<Rc<Configuration>>,
    registry: Registry,
    admission: Arc<Admission>,
    /// Open files that the process may have.
    descriptors: u64,
    /// Reloads wait for each other, or the second would compare with what the first is about to replace.
    turn: Mutex<()>,
    counts: Cell<Reloads>,
    reloaded: Notify,
}

impl Reloader {
    /// The first configuration, which `registry` was made from.
    pub(super) fn new(
        file: Option<PathBuf>,
        configuration: Configuration,
        registry: Registry,
        descriptors: u64,
    ) -> Reloader {
        Reloader {
            file,
            admission: Admission::new(connection_limit(&configuration, descriptors)),
            configuration: RefCell::new(Rc::new(configuration)),
            registry,
            descriptors,
            turn: Mutex::new(()),
            counts: Cell::default(),
            reloaded: Notify::new(),
        }
    }

    /// What the node goes by now.
    pub(super) fn configuration(&self) -> Rc<Configuration> {
        self.configuration.borrow().clone()
    }

    /// The room for client connections, as the configuration wants it.
    pub(super) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// How many reloads there were.
    pub(super) fn counts(&self) -> Reloads {
        self.counts.get()
    }

    /// Waits for the next reload, or for one that nobody has waited for yet.
    pub(super) async fn reloaded(&self) {
        self.reloaded.notified().await;
    }

    /// Reads the file again and goes by it. Answers what changed.
    pub(super) async fn reload(&self) -> Done {
        let _turn = self.turn.lock().await;
        let done = self.try_reload().await;
        let mut counts = self.counts.get();
        match &done {
            Ok(difference) => {
                counts.applied += 1;
                let (removed, added) = difference.counts();
                tracing::info!(removed, added, "reloaded");
            }
            Err(refused) => {
                counts.refused += 1;
                tracing::error!(reason = refused.message, "reload refused, the configuration stays");
            }
        }
        self.counts.set(counts);
        self.reloaded.notify_one();
        done.map(|difference| difference.to_string())
    }

    async fn try_reload(&self) -> Result<Difference, Refused> {
        let loaded = self.load().await?;
        let difference = self.difference(&loaded)?;
        let current = self.configuration();
        let (registry, next) = (self.registry.clone(), loaded.configuration.clone());
        let new_addresses = new_addresses(&current, &next);
        // Looks names up and may wait for an address, which the probes on this thread must not.
        let applied = aside(move || {
            require_free(new_addresses).map_err(|error| unavailable(error.to_string()))?;
            let key =
                sticky_key::load(&next).map_err(|error| unavailable(format!("key for sticky cookies: {error}")))?;
            key.into_iter().for_each(|key| registry.provide_key(key));
            registry.apply(&next).map_err(|errors| unavailable(join(&errors)))
        });
        applied.await?;
        self.admission.set_limit(connection_limit(&loaded.configuration, self.descriptors));
        self.configuration.replace(Rc::new(loaded.configuration));
        Ok(difference)
    }

    /// What a reload would change; with a text, if that were the file.
    pub(super) async fn plan(&self, text: Option<String>) -> Done {
        let loaded = match text {
            Some(text) => {
                let path = self.file.clone().unwrap_or_else(|| PathBuf::from("plan"));
                let parsed = aside(move || config::parse(&text, &path).map_err(|report| invalid(&report)));
                parsed.await?
            }
            None => self.load().await?,
        };
        self.difference(&loaded).map(|difference| difference.to_string())
    }

    async fn load(&self) -> Result<Loaded, Refused> {
        let Some(file) = self.file.clone() else {
            return Err(Refused::wrong("the balancer runs without a file, so there is none to read again\n"));
        };
        let loaded = aside(move || config::load(&file).map_err(|errors| unreadable(&errors))).await?;
        if loaded.warnings.counts() != (0, 0) {
            tracing::warn!(warnings = %loaded.warnings, "doubtful configuration");
        }
        Ok(loaded)
    }

    fn difference(&self, loaded: &Loaded) -> Result<Difference, Refused> {
        let (current, next) = (self.configuration(), &loaded.configuration);
        let fixed = [
            ("[node] cores", current.node.cores == next.node.cores),
            ("[node] state_dir", current.node.state_dir == next.node.state_dir),
            ("[node] sticky_key_file", current.node.sticky_key_file == next.node.sticky_key_file),
            ("[admin] address", current.admin == next.admin),
            ("[api]", current.api == next.api),
        ];
        match fixed.iter().find(|(_, same)| !same) {
            Some((what, _)) => Err(Refused::wrong(format!("{what} changes only with a restart\n"))),
            None => Ok(Difference::between(&current, next)),
        }
    }
}

/// Runs `work` away from the control thread.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refused> + Send + 'static) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(unavailable(error.to_string())))
}

fn unavailable(message: String) -> Refused {
    Refused { status: StatusCode::SERVICE_UNAVAILABLE, message: format!("{message}\n") }
}

fn unreadable(errors: &ConfigErrors) -> Refused {
    match errors {
        ConfigErrors::Invalid(report) => invalid(report),
        ConfigErrors::Unreadable { .. } => unavailable(errors.to_string()),
    }
}

fn invalid(report: &Report) -> Refused {
    Refused::wrong(report.render(config::Paint::Plain))
}

fn join(errors: &[CompileError]) -> String {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
}

/// Where `next` listens and `current` does not. A port that is held already on another address, such as the wildcard, is
/// left out: only the kernel can tell whether both go together.
fn new_addresses(current: &Configuration, next: &Configuration) -> Vec<SocketAddr> {
    let held: HashSet<u16> = listener_addresses(current).map(|address| address.port()).collect();
    listener_addresses(next).filter(|address| !held.contains(&address.port())).collect()
}

/// Every listener's address.
pub(super) fn listener_addresses(configuration: &Configuration) -> impl Iterator<Item = SocketAddr> {
    let listeners = configuration.load_balancers.values().flat_map(|balancer| &balancer.listeners);
    listeners.map(|listener| listener.socket_address())
}

/// A listener's address may be shared by the threads of this process, but not with another process that happens to
/// share it: half of the traffic would go there. After a crash, or a reload just before, old listeners linger for some
/// milliseconds. Blocks for up to a second.
pub(super) fn require_free(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<()> {
    const TRIES: u32 = 20;
    for address in addresses {
        for attempt in 1..=TRIES {
            match runtime::probe_address(address) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < TRIES => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(io::Error::new(error.kind(), format!("listener {address}: {error}"))),
            }
        }
    }
    Ok(())
}

/// The most client connections at once. By default what the limit on descriptors leaves room for: a TCP connection
/// needs two, an HTTP connection one and a share of the kept connections to instances.
fn connection_limit(configuration: &Configuration, descriptors: u64) -> usize {
    if let Some(limit) = configuration.node.max_connections {
        return limit.get() as usize;
    }
    let mut listeners = configuration.load_balancers.values().flat_map(|balancer| &balancer.listeners);
    let for_clients = match listeners.any(|listener| listener.protocols.layer() == Layer::Four) {
        true => descriptors / 2,
        false => descriptors / 10 * 9,
    };
    usize::try_from(for_clients.saturating_sub(100).max(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn text(listeners: &[u16], node: &str) -> String {
        let listeners: Vec<String> = listeners
            .iter()
            .map(|port| format!("{{ protocol = \"HTTP\", address = \"127.0.0.1\", port = {port}, instance_port = 1 }}"))
            .collect();
        let listeners = listeners.join(", ");
        format!("[node]\n{node}\n[load_balancers.web]\nlisteners = [{listeners}]\ninstances = [\"127.0.0.1:9\"]\n")
    }

    fn configuration(text: &str) -> Configuration {
        config::parse(text, Path::new("elbow.toml")).expect("a good file").configuration
    }

    /// A reloader of a file with one listener, and that file.
    fn reloader(port: u16) -> (Reloader, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let first = configuration(&text(&[port], "max_connections = 7"));
        let registry = Registry::new(&first, 1).expect("resolvable");
        (Reloader::new(Some(file.path().to_owned()), first, registry, 1_000), file)
    }

    fn write(file: &tempfile::NamedTempFile, text: &str) {
        std::fs::write(file.path(), text).expect("written");
    }

    #[tokio::test]
    async fn a_good_file_is_gone_by_and_a_bad_one_changes_nothing() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let taken = taken.local_addr().expect("an address").port();
        let (reloader, file) = reloader(8_001);
        for (bad, status) in [
            ("[nonsense", StatusCode::UNPROCESSABLE_ENTITY),
            (&text(&[8_001], "cores = [0]"), StatusCode::UNPROCESSABLE_ENTITY),
            (&text(&[8_001, taken], ""), StatusCode::SERVICE_UNAVAILABLE),
        ] {
            write(&file, bad);
            let refused = reloader.reload().await.expect_err("bad");
            assert_eq!(refused.status, status, "{}", refused.message);
            assert_eq!(reloader.registry.snapshot().version(), 1, "nothing was published");
        }
        write(&file, &text(&[8_001], "max_connections = 9"));
        let planned = reloader.plan(None).await.expect("good");
        assert_eq!(reloader.registry.snapshot().version(), 1, "a plan is only a plan");
        assert_eq!(reloader.reload().await, Ok(planned.clone()));
        assert!(planned.contains("+ max_connections = 9"), "{planned}");
        assert_eq!(reloader.registry.snapshot().version(), 2);
        assert_eq!(reloader.plan(None).await.as_deref(), Ok("nothing changes\n"));
        let counts = reloader.counts();
        assert_eq!((counts.applied, counts.refused), (1, 3));
    }

    #[tokio::test]
    async fn a_plan_can_be_made_for_a_text() {
        let (reloader, _file) = reloader(8_002);
        let planned = reloader.plan(Some(text(&[8_002], "zone = \"attic\""))).await.expect("good");
        assert!(planned.contains("+ zone = \"attic\""), "{planned}");
    }
}
