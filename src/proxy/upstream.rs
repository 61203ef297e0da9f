//! Finding an instance for a request and connecting to it.

use std::net::SocketAddr;

use crate::balance::{Lease, Unavailable};
use crate::model::Reason;
use crate::proxy::failure;
use crate::proxy::session::Session;
use crate::registry::Target;
use crate::runtime::Socket;
use crate::telemetry::InstanceCells;
use crate::transport::dial;

/// Attempts for one request, the first included: three instances may be down at once before a client notices.
const ATTEMPTS: usize = 4;

/// The search for an instance that takes one request.
pub struct Search<'a> {
    session: &'a Session,
    excluded: Vec<u64>,
    attempts: usize,
    last: Option<Reason>,
}

impl<'a> Search<'a> {
    /// A search that has not begun.
    pub fn new(session: &'a Session) -> Search<'a> {
        Search { session, excluded: Vec::new(), attempts: 0, last: None }
    }

    /// The next instance to try; it counts as busy until the choice is dropped.
    ///
    /// # Errors
    /// Why there is none: how the last attempt failed, or else why nobody can be chosen.
    pub fn choose(&mut self) -> Result<Choice, Reason> {
        if let Some(reason) = self.last.filter(|_| self.attempts >= ATTEMPTS) {
            return Err(reason);
        }
        self.attempts += 1;
        let excluded = |target: &std::sync::Arc<Target>| self.excluded.contains(&target.id());
        let chosen = self.session.entry.candidates().choose(self.session.core.number, excluded);
        match chosen {
            Ok(chosen) => Ok(Choice { lease: chosen.lease, core: self.session.core.number }),
            Err(unavailable) => Err(self.last.unwrap_or_else(|| Unavailable::reason(unavailable))),
        }
    }

    /// Leaves out an instance that failed.
    pub fn exclude(&mut self, choice: &Choice, reason: Reason) {
        self.excluded.push(choice.target());
        self.failed(reason);
    }

    /// Takes note of a failure that does not speak against the instance.
    pub fn failed(&mut self, reason: Reason) {
        self.last = Some(reason);
    }
}

/// An instance that was chosen, counted as busy while this lives.
pub struct Choice {
    lease: Lease<Target>,
    core: usize,
}

impl Choice {
    /// Names the instance and its port among the idle connections of a core.
    pub fn target(&self) -> u64 {
        self.lease.record().id()
    }

    /// What this core counts about the instance.
    pub fn cells(&self) -> &InstanceCells {
        self.lease.record().cells().core(self.core)
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.lease.record().address()
    }

    /// Connects to it.
    ///
    /// # Errors
    /// Why it could not be reached.
    pub async fn dial(&self, session: &Session) -> Result<Socket, Reason> {
        let began = session.now();
        let dialled = dial(&session.core.io, self.address(), session.connect_timeout()).await;
        let cells = self.cells();
        match dialled {
            Ok(socket) => {
                cells.connections_new.increment();
                cells.connect_duration.record(session.now().since(began));
                Ok(socket)
            }
            Err(error) => {
                cells.connection_errors.increment();
                let reason = failure::of_dial(&error);
                session.count_failure(reason);
                Err(reason)
            }
        }
    }
}
