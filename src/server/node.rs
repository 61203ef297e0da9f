//! The node while it serves: what signals and commands make it do, what it says of itself, and its drain.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;

use crate::control::access_log::AccessLogs;
use crate::control::admin::command::{Command, Done, Refused};
use crate::control::admin::{AdminSource, Readiness};
use crate::registry::{Lifecycle, Registry};
use crate::runtime::{self, Features};
use crate::server::admin::AdminSocket;
use crate::server::api::{self, Answering};
use crate::server::notify::{State, notify};
use crate::server::publisher::Publisher;
use crate::server::reload::Reloader;
use crate::server::signals::{Asked, Signals};
use crate::server::status::{self, NodeFacts};
use crate::server::upgrade::upgrade;
use crate::server::workers::Workers;
use crate::server::{RunError, drain};
use crate::telemetry::log::Log;
use crate::telemetry::{FlightRecorder, Reading};

/// How often the control thread looks whether the data-plane threads have ended.
pub(super) const JOIN_INTERVAL: Duration = Duration::from_millis(10);

/// The node as it serves.
pub(super) struct Node {
    pub reloader: Reloader,
    pub publisher: Publisher,
    pub admin: AdminSocket,
    pub api: Option<Answering>,
    pub recorder: Arc<FlightRecorder>,
    pub registry: Registry,
    pub cpus: Vec<usize>,
    pub features: Features,
    pub log: Log,
    /// Another process is being started that takes over, or has.
    pub is_handing_over: Cell<bool>,
}

/// Why a node serves no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was told to stop.
    Stopped,
    /// Another process has succeeded it.
    Succeeded,
}

impl Node {
    /// Does what signals ask for, until one of them says to stop or another process has taken over.
    ///
    /// # Errors
    /// When nobody carries traffic any more.
    pub(super) async fn until_ended(
        self: &Rc<Node>,
        signals: &mut Signals,
        workers: &Workers,
        logs: &mut AccessLogs,
    ) -> Result<Ended, RunError> {
        let mut upgrading: Option<JoinHandle<bool>> = None;
        loop {
            logs.follow(self.registry.snapshot().access_logs().cloned());
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop => {
                        upgrading.inspect(JoinHandle::abort);
                        return Ok(Ended::Stopped);
                    }
                    Asked::ReopenLogs => logs.reopen(),
                    Asked::Reload => self.reload_by_signal().await,
                    Asked::Upgrade if upgrading.is_some() => tracing::warn!("an upgrade is under way already"),
                    Asked::Upgrade => {
                        self.is_handing_over.set(true);
                        let node = self.clone();
                        upgrading = Some(tokio::task::spawn_local(async move { upgrade(&node).await }));
                    }
                },
                done = finished(&mut upgrading) => {
                    if done {
                        return Ok(Ended::Succeeded);
                    }
                    upgrading = None;
                    self.is_handing_over.set(false);
                }
                () = self.publisher.published() => {}
                () = workers.wait(JOIN_INTERVAL) => {
                    return Err(RunError::Start("every data-plane thread has ended; see the log".to_owned()));
                }
            }
        }
    }

    async fn reload_by_signal(&self) {
        if self.is_handing_over.get() {
            return tracing::error!("not reloaded: an upgrade is under way, which reads the file as well");
        }
        notify(State::Reloading);
        // The log says what came of it.
        let _ = self.reloader.reload().await;
        notify(State::Ready);
    }

    /// Takes no new connections, and waits until those there are have ended: all of them, or for as long as they may
    /// take, or until a signal.
    pub(super) async fn drain(&self, signals: &mut Signals, workers: &Workers) {
        let limit = self.drain_limit();
        tracing::info!(limit_seconds = limit.as_secs(), "draining");
        self.registry.advance(Lifecycle::Draining { deadline: runtime::monotonic_now() + limit });
        tokio::select! {
            () = workers.wait(JOIN_INTERVAL) => tracing::info!("drained"),
            () = signals.stop() => tracing::warn!("stopped before the drain was over"),
        }
    }

    /// What the admin pages are made from.
    pub(super) fn source(self: Rc<Self>) -> AdminSource {
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
        let is_change = !matches!(command, Command::Plan(_) | Command::Explain(_) | Command::Export);
        if is_change && self.is_handing_over.get() {
            let message = "an upgrade is under way: ask again when it is over\n".to_owned();
            return Err(Refused { status: http::StatusCode::SERVICE_UNAVAILABLE, message });
        }
        let service = self.api.as_ref().map(|api| &**api.service());
        match command {
            Command::Reload => self.reloader.reload().await,
            Command::Plan(text) => self.reloader.plan(text).await,
            Command::Drain(name) => drain::set(&self.registry.snapshot(), &name, true),
            Command::Undrain(name) => drain::set(&self.registry.snapshot(), &name, false),
            Command::Explain(id) => explain(&self.recorder, id.trim()),
            Command::Import(name) => api::import(service, name.trim()).await,
            Command::Export => api::export(service),
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

    /// What is said when every listener accepts.
    pub(super) fn ready_line(&self) -> String {
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

/// Waits for the end of an upgrade under way, and forever without one.
async fn finished(upgrading: &mut Option<JoinHandle<bool>>) -> bool {
    match upgrading {
        // One that panicked has let go of nothing.
        Some(upgrading) => upgrading.await.unwrap_or(false),
        None => std::future::pending().await,
    }
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
