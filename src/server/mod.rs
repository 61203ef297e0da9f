//! Floor 5: builds every part once, in order; shuts down in reverse.
//!
//! Owns the order of things: descriptors, registry, admin address, probes, data-plane threads, readiness; then signals,
//! reloads, the upgrade, the drain, and the end. Does not own what any of the parts does.
//!
//! The control thread is the one that [`run`] is called on. It runs on tokio-uring, and meets the data plane only in
//! the registry and in the cells of `telemetry`.

mod admin;
mod api;
mod certificates;
mod drain;
mod inheritance;
mod node;
mod notify;
mod pid_file;
mod publisher;
mod reload;
mod sample;
mod signals;
mod status;
mod sticky_key;
mod upgrade;
mod workers;

pub use sample::start as start_sample_backend;

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use crate::control::access_log::AccessLogs;
use crate::control::admin::serve as serve_pages;
use crate::model::{Configuration, Cores};
use crate::prober::Prober;
use crate::registry::{CompileError, Lifecycle, Registry};
use crate::runtime::{self, Features};
use crate::server::admin::AdminSocket;
use crate::server::inheritance::Inheritance;
use crate::server::node::{Ended, JOIN_INTERVAL, Node};
use crate::server::notify::{State, notify};
use crate::server::pid_file::PidFile;
use crate::server::publisher::Publisher;
use crate::server::reload::Reloader;
use crate::server::signals::Signals;
use crate::server::workers::Workers;
use crate::telemetry::FlightRecorder;
use crate::telemetry::log::{Format, Log};

/// How long the `ready` line waits for the first answers of the instances. One that is slower is out of service until
/// it answers.
const FIRST_ROUND: Duration = Duration::from_secs(1);

/// Why the node did not start, or ended without being told to.
#[derive(Debug)]
pub enum RunError {
    /// A part could not be built.
    Start(String),
    /// The configuration cannot be brought into effect.
    Compile(Vec<CompileError>),
}

impl std::fmt::Display for RunError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RunError::Start(reason) => formatter.write_str(reason),
            RunError::Compile(errors) => formatter.write_str(&CompileError::join(errors)),
        }
    }
}

impl std::error::Error for RunError {}

/// Serves `configuration`, which was read from `file` if there is one, until a signal ends it. `announce` gets the
/// `ready` line.
///
/// # Errors
/// When a part cannot be built; nothing has been served then.
pub fn run(configuration: Configuration, file: Option<PathBuf>, announce: impl FnOnce(&str)) -> Result<(), RunError> {
    let directives = std::env::var("ELBOW_LOG").unwrap_or_else(|_| "info".to_owned());
    let format = std::env::var("ELBOW_LOG_FORMAT").map_or(Ok(Format::Text), |word| word.parse());
    let format = format.map_err(|error| RunError::Start(format!("ELBOW_LOG_FORMAT: {error}")))?;
    // First of all: descriptors that were left open are known by their numbers.
    let mut inheritance = Inheritance::claim()?;
    let log = Log::start(format, &directives).map_err(|error| RunError::Start(format!("log: {error}")))?;
    let features = workers::probe_ring()?;
    if let Err(error) = runtime::forgo_huge_pages() {
        tracing::warn!(%error, "memory comes in huge pages");
    }
    let descriptors = runtime::raise_descriptor_limit().unwrap_or(1024);
    let cpus = cpus(&configuration)?;
    let of_file = configuration.clone();
    let (configuration, api) = api::prepare(configuration)?;
    let key = sticky_key::load(&configuration)
        .map_err(|error| RunError::Start(format!("key for sticky cookies: {error}")))?;
    let registry = Registry::with_keys(&configuration, cpus.len(), key, &inheritance.ticket_keys);
    let registry = registry.map_err(RunError::Compile)?;
    registry.resume(&inheritance.standings());
    let publisher = Publisher::new(registry.clone(), &configuration, cpus.len(), descriptors);
    publisher.listen(&mut inheritance)?;
    let foundation = Foundation { inheritance, file, of_file, api, publisher, registry, cpus, features, log };
    tokio_uring::start(foundation.serve(announce))
}

/// Everything that was built before the control thread began to wait.
struct Foundation {
    inheritance: Inheritance,
    file: Option<PathBuf>,
    of_file: Configuration,
    api: Option<api::Prepared>,
    publisher: Publisher,
    registry: Registry,
    cpus: Vec<usize>,
    features: Features,
    log: Log,
}

impl Foundation {
    async fn serve(self, announce: impl FnOnce(&str)) -> Result<(), RunError> {
        let Foundation { mut inheritance, file, of_file, api, publisher, registry, cpus, features, log } = self;
        let failed = |what: &'static str| move |error: io::Error| RunError::Start(format!("{what}{error}"));
        let mut signals = Signals::new().map_err(failed("signals: "))?;
        let handed = inheritance.take_admin(&of_file.admin);
        let listener = admin::listen(&of_file.admin, handed).await.map_err(failed(""))?;
        let admin = AdminSocket::of(&listener).map_err(failed("admin address: "))?;
        let api = match api {
            Some(api) => {
                let handed = inheritance.take_api(api.address());
                Some(api.start(&registry, &publisher, handed).await?)
            }
            None => None,
        };
        let (prober, first_round) = Prober::new(&registry);
        let probing = tokio::task::spawn_local(prober.run());
        let watching = tokio::task::spawn_local(certificates::watch(registry.clone()));
        let cutting = tokio::task::spawn_local(drain::cut_overdue(registry.clone()));
        // An instance that does not answer must not keep the node from serving with the others. Whoever connects
        // meanwhile waits in the queues of the listeners, or is served by the process before.
        let _ = tokio::time::timeout(FIRST_ROUND, first_round).await;
        let recorder = Arc::new(FlightRecorder::new(seed(), cpus.len()));
        let workers = Workers::start(&registry, &cpus, &publisher, &recorder)?;
        inheritance.succeed()?;
        let pid_file = of_file.node.pid_file.as_deref().and_then(PidFile::write);
        let service = api.as_ref().map(|api| api.service().clone());
        let reloader = Reloader::new(file, of_file, publisher.clone(), service);
        let is_handing_over = Cell::default();
        let node =
            Rc::new(Node { reloader, publisher, admin, api, registry, recorder, cpus, features, log, is_handing_over });
        let (stop, stopped) = oneshot::channel::<()>();
        let mut stop_admin = Some(stop);
        let pages = tokio::task::spawn_local(serve_pages(listener, node.clone().source(), async move {
            // Ends when the other half is dropped, too.
            let _ = stopped.await;
        }));
        if let Some(api) = &node.api {
            api.resume().await.map_err(failed("[api]: "))?;
        }
        node.registry.advance(Lifecycle::Serving);
        announce(&node.ready_line());
        notify(State::Ready);

        let mut logs = AccessLogs::default();
        let ended = node.until_ended(&mut signals, &workers, &mut logs).await;
        match &ended {
            // The successor answers for the node.
            Ok(Ended::Succeeded) => stop_admin = None,
            Ok(Ended::Stopped) | Err(_) => notify(State::Stopping),
        }
        if ended.is_ok() {
            node.drain(&mut signals, &workers).await;
        }
        if let Some(api) = &node.api {
            api.pause().await;
        }
        node.registry.advance(Lifecycle::Stopped);
        workers.wait(JOIN_INTERVAL).await;
        logs.finish().await;
        drop(pid_file);
        probing.abort();
        watching.abort();
        cutting.abort();
        // A page that is being sent gets a moment; see `admin::serve`.
        drop(stop_admin);
        let _ = pages.await;
        ended.map(|_| ())
    }
}

/// Another number at every start of every node: nothing about it has to be secret.
fn seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since.as_nanos() as u64).rotate_left(20) ^ u64::from(std::process::id())
}

fn cpus(configuration: &Configuration) -> Result<Vec<usize>, RunError> {
    let allowed = runtime::allowed_cpus().map_err(|error| RunError::Start(format!("CPUs: {error}")))?;
    let Cores::List(list) = &configuration.node.cores else { return Ok(allowed) };
    let wanted: Vec<usize> = list.as_slice().iter().map(|cpu| usize::from(*cpu)).collect();
    match wanted.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(cpu) => {
            Err(RunError::Start(format!("[node] cores: CPU {cpu} is not one this process may use ({allowed:?})")))
        }
        None => Ok(wanted),
    }
}
