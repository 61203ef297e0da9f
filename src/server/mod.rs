//! Floor 5: builds every part once, in order; shuts down in reverse.
//!
//! Owns the order of things: descriptors, registry, admin address, probes, data-plane threads, readiness; then signals,
//! reloads, the drain, and the end. Does not own what any of the parts does.
//!
//! The control thread is the one that [`run`] is called on. It runs on tokio-uring, and meets the data plane only in
//! the registry and in the cells of `telemetry`.

mod api;
mod certificates;
mod drain;
mod notify;
mod publisher;
mod reload;
mod sample;
mod signals;
mod status;
mod sticky_key;
mod workers;

pub use sample::start as start_sample_backend;

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use crate::base::Instant;
use crate::control::access_log::AccessLogs;
use crate::control::admin::command::{Command, Done, Refused};
use crate::control::admin::{self, AdminListener, AdminSource, Readiness};
use crate::control::api::Service;
use crate::model::{Configuration, Cores};
use crate::prober::Prober;
use crate::registry::{CompileError, Lifecycle, Registry};
use crate::runtime::{self, Features};
use crate::server::publisher::Publisher;
use crate::server::reload::Reloader;
use crate::server::signals::{Asked, Signals};
use crate::server::status::NodeFacts;
use crate::server::workers::Workers;
use crate::telemetry::log::{Format, Log};
use crate::telemetry::{FlightRecorder, Reading};

/// How long the `ready` line waits for the first answers of the instances. One that is slower is out of service until
/// it answers.
const FIRST_ROUND: Duration = Duration::from_secs(1);

/// How often the control thread looks whether the data-plane threads have ended.
const JOIN_INTERVAL: Duration = Duration::from_millis(10);

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
    let registry = Registry::with_sticky_key(&configuration, cpus.len(), key).map_err(RunError::Compile)?;
    publisher::require_free(publisher::listener_addresses(&configuration))
        .map_err(|error| RunError::Start(error.to_string()))?;
    let publisher = Publisher::new(registry.clone(), &configuration, descriptors);
    let foundation = Foundation { file, of_file, api, publisher, registry, cpus, features, log };
    tokio_uring::start(foundation.serve(announce))
}

/// Everything that was built before the control thread began to wait.
struct Foundation {
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
        let Foundation { file, of_file, api, publisher, registry, cpus, features, log } = self;
        let mut signals = Signals::new().map_err(|error| RunError::Start(format!("signals: {error}")))?;
        let admin = AdminListener::bind(&of_file.admin).await;
        let admin = admin.map_err(|error| RunError::Start(error.to_string()))?;
        let (calls, service) = match api {
            Some(api) => Some(api.start(&registry, &publisher).await?).unzip(),
            None => (None, None),
        };
        let (prober, first_round) = Prober::new(&registry);
        let probing = tokio::task::spawn_local(prober.run());
        let watching = tokio::task::spawn_local(certificates::watch(registry.clone()));
        let cutting = tokio::task::spawn_local(drain::cut_overdue(registry.clone()));
        let recorder = Arc::new(FlightRecorder::new(seed(), cpus.len()));
        let workers = Workers::start(&registry, &cpus, publisher.admission(), &recorder)?;
        let (stop_admin, stopped) = oneshot::channel::<()>();
        let reloader = Reloader::new(file, of_file, publisher.clone(), service.clone());
        let node =
            Rc::new(Node { reloader, publisher, service: service.clone(), registry, recorder, cpus, features, log });
        let pages = tokio::task::spawn_local(admin::serve(admin, node.clone().source(), async move {
            // Ends when the other half is dropped, too.
            let _ = stopped.await;
        }));
        let (stop_api, api_stopped) = oneshot::channel::<()>();
        let answering = calls.zip(service).map(|(listener, service)| {
            tokio::task::spawn_local(crate::control::api::serve(listener, service, async move {
                let _ = api_stopped.await;
            }))
        });
        // An instance that does not answer must not keep the node from serving with the others.
        let _ = tokio::time::timeout(FIRST_ROUND, first_round).await;
        node.registry.advance(Lifecycle::Serving);
        announce(&node.ready_line());
        notify::notify(notify::READY);

        let mut logs = AccessLogs::default();
        let ended = node.until_stopped(&mut signals, &workers, &mut logs).await;
        notify::notify(notify::STOPPING);
        drop(stop_api);
        node.registry.advance(Lifecycle::Stopped);
        workers.wait(JOIN_INTERVAL).await;
        logs.finish().await;
        probing.abort();
        watching.abort();
        cutting.abort();
        drop(stop_admin);
        if let Some(answering) = answering {
            let _ = answering.await;
        }
        // A page that is being sent gets a moment; see `admin::serve`.
        let _ = pages.await;
        ended
    }
}

/// The node as it serves.
struct Node {
    reloader: Reloader,
    publisher: Publisher,
    service: Option<Rc<Service>>,
    recorder: Arc<FlightRecorder>,
    registry: Registry,
    cpus: Vec<usize>,
    features: Features,
    log: Log,
}

impl Node {
    /// Reloads when told to, until the signal to stop; then waits for the drain: to its end, its limit, or a second
    /// signal.
    async fn until_stopped(
        &self,
        signals: &mut Signals,
        workers: &Workers,
        logs: &mut AccessLogs,
    ) -> Result<(), RunError> {
        loop {
            logs.follow(self.registry.snapshot().access_logs().cloned());
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop => break,
                    Asked::ReopenLogs => logs.reopen(),
                    Asked::Reload => {
                        notify::reloading();
                        // The log says what came of it.
                        let _ = self.reloader.reload().await;
                        notify::notify(notify::READY);
                    }
                },
                () = self.publisher.published() => {}
                () = workers.wait(JOIN_INTERVAL) => {
                    return Err(RunError::Start("every data-plane thread has ended; see the log".to_owned()));
                }
            }
        }
        let limit = self.drain_limit();
        tracing::info!(limit_seconds = limit.as_secs(), "draining");
        self.registry.advance(Lifecycle::Draining { deadline: now() + limit });
        tokio::select! {
            () = workers.wait(JOIN_INTERVAL) => tracing::info!("drained"),
            () = signals.stop() => tracing::warn!("stopped before the drain was over"),
        }
        Ok(())
    }

    /// What the admin pages are made from.
    fn source(self: Rc<Self>) -> AdminSource {
        let started = SystemTime::now();
        let (for_readiness, for_reading, for_commands) = (self.clone(), self.clone(), self.clone());
        AdminSource {
            started,
            readiness: Box::new(move || for_readiness.readiness()),
            reading: Box::new(move || {
                let reloads = for_reading.reloader.counts();
                Reading { reloads, ..for_reading.registry.reading() }
            }),
            status: Box::new(move || {
                let facts = NodeFacts {
                    started,
                    readiness: self.readiness(),
                    cpus: &self.cpus,
                    features: &self.features,
                    log_lines_dropped: self.log.lines_dropped(),
                };
                status::status(&facts, &self.registry)
            }),
            command: Box::new(move |command| {
                let node = for_commands.clone();
                let carrying = tokio::task::spawn_local(async move { node.carry_out(command).await });
                Box::pin(async { carrying.await.unwrap_or_else(|error| Err(Refused::wrong(error.to_string()))) })
            }),
        }
    }

    async fn carry_out(&self, command: Command) -> Done {
        match command {
            Command::Reload => self.reloader.reload().await,
            Command::Plan(text) => self.reloader.plan(text).await,
            Command::Drain(name) => drain::set(&self.registry.snapshot(), &name, true),
            Command::Undrain(name) => drain::set(&self.registry.snapshot(), &name, false),
            Command::Explain(id) => explain(&self.recorder, id.trim()),
            Command::Import(name) => api::import(self.service.as_deref(), name.trim()).await,
            Command::Export => api::export(self.service.as_deref()),
        }
    }

    fn readiness(&self) -> Readiness {
        match self.registry.lifecycle() {
            Lifecycle::Starting => Readiness::Starting,
            Lifecycle::Serving => Readiness::Serving,
            Lifecycle::Draining { .. } | Lifecycle::Stopped => Readiness::Draining,
        }
    }

    /// How long connections may take to end when the node stops: the longest that any load balancer grants.
    fn drain_limit(&self) -> Duration {
        let snapshot = self.registry.snapshot();
        let limits = snapshot.load_balancers().iter().map(|entry| entry.rules.attributes.draining.timeout.get());
        limits.max().unwrap_or_default()
    }

    fn ready_line(&self) -> String {
        let snapshot = self.registry.snapshot();
        let listeners: Vec<String> = snapshot
            .listeners()
            .iter()
            .map(|entry| {
                let scheme = entry.listener.protocols.front().to_string().to_ascii_lowercase();
                format!("{scheme}://{}", entry.listener.socket_address())
            })
            .collect();
        format!("ready {}", listeners.join(" "))
    }
}

/// Another number at every start of every node: nothing about it has to be secret.
fn seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since.as_nanos() as u64).rotate_left(20) ^ u64::from(std::process::id())
}

fn explain(recorder: &FlightRecorder, id: &str) -> Done {
    match recorder.explain(id).join("\n") {
        told if told.is_empty() => Err(Refused {
            status: http::StatusCode::NOT_FOUND,
            message: format!("{id}: no such request is remembered; it may have been too long ago\n"),
        }),
        told => Ok(told),
    }
}

/// Time as the data plane tells it.
fn now() -> Instant {
    runtime::monotonic_now()
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
