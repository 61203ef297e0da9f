//! Finding an instance for a request and connecting to it.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use crate::balance::{Full, Lost, NoRetry, Retry, Unavailable};
use crate::model::{EjectionCause, ProxyProtocolVersion, Reason, Side};
use crate::proxy::failure;
use crate::proxy::session::Session;
use crate::registry::{Assignment, Live, TargetId, Tried, Turn, Waiting, Wish};
use crate::runtime::{Either, Socket, race};
use crate::telemetry::{InstanceCells, ListenerCells};
use crate::tls::ClientTls;
use crate::transport::{HandshakeError, PlainReceiver, Receiver, Sender, connect_tls, dial, plain_halves};
use crate::wire::proxy_protocol::{v1, v2};

/// The search for an instance that takes one request.
pub struct Search<'a> {
    session: &'a Session,
    tried: Tried,
    attempts: usize,
    failed: Option<Reason>,
    /// The instance to try again.
    same: Option<Choice>,
}

impl<'a> Search<'a> {
    /// A search that has not begun.
    pub fn new(session: &'a Session) -> Search<'a> {
        session.core.retry_budget.borrow_mut().earn();
        Search { session, tried: Tried::none(), attempts: 0, failed: None, same: None }
    }

    /// The next instance to try, the one that the client is `bound` to if that takes work; it counts as busy until the
    /// choice is dropped. Where it, or all, have as many as they may have, a turn is waited for, until `leaving` ends: the
    /// client has left, then for this reason.
    ///
    /// # Errors
    /// Why there is none: how the last attempt failed, or else why nobody can be chosen.
    pub async fn choose(
        &mut self,
        bound: Option<&Arc<Live>>,
        leaving: impl Future<Output = Reason>,
    ) -> Result<Choice, Reason> {
        self.attempts += 1;
        if let Some(choice) = self.same.take().filter(|choice| choice.live().takes_work()) {
            return Ok(choice);
        }
        let bound = bound.filter(|live| live.takes_work());
        let chosen = match self.choose_at_once(bound) {
            // Boxed: those who need not wait do not carry its room.
            Err(Unavailable::AtCapacity) => Box::pin(self.wait(bound, leaving)).await,
            chosen => chosen.map_err(Unavailable::reason),
        };
        chosen.map(|assignment| self.choice(assignment)).map_err(|reason| self.failed.unwrap_or(reason))
    }

    fn choose_at_once(&self, bound: Option<&Arc<Live>>) -> Result<Assignment, Unavailable> {
        let targets = &self.session.entry.targets;
        if self.must_queue() {
            // Nobody is waited for in vain: the place in the queue is another's.
            let is_any_left = targets.is_any_left(&self.tried);
            return Err(if is_any_left { Unavailable::AtCapacity } else { Unavailable::NoneInService });
        }
        match bound {
            None => self.choose_any(),
            Some(live) => match targets.assign(live) {
                Some(assignment) => Ok(assignment),
                None if targets.are_limited() => Err(Unavailable::AtCapacity),
                // It has just gone out of service.
                None => self.choose_any(),
            },
        }
    }

    /// An instance that takes a request now; those that this core just failed to connect to are its last choice.
    fn choose_any(&self) -> Result<Assignment, Unavailable> {
        let Session { core, entry, .. } = self.session;
        let mut shunned = core.shunned.borrow_mut();
        match shunned.is_any(self.session.now()) {
            false => entry.targets.choose(core.number, &self.tried),
            true => entry.targets.choose_beside(core.number, &self.tried, |live| shunned.contains(live)),
        }
    }

    /// Whether others wait, who must not be overtaken.
    fn must_queue(&self) -> bool {
        let entry = &self.session.entry;
        entry.targets.are_limited() && !entry.rules.surge_queue.is_empty()
    }

    /// Waits in the surge queue.
    async fn wait(
        &self,
        bound: Option<&Arc<Live>>,
        leaving: impl Future<Output = Reason>,
    ) -> Result<Assignment, Reason> {
        let session = self.session;
        let cells = session.cells();
        let wish = bound.map_or_else(|| Wish::Untried(self.tried.clone()), |live| Wish::Bound(live.clone()));
        let waiting = Waiting::enter(&session.entry, session.core.number, wish).map_err(|Full| {
            cells.spillover.increment();
            Reason::SurgeQueueFull
        })?;
        let _queued = Queued::in_cells(cells);
        let turn = poll_fn(|context| waiting.poll_assignment(context.waker()));
        let deadline = session.now() + session.queue_timeout();
        match session.core.io.within(deadline, race(turn, leaving)).await {
            Ok(Either::First(assignment)) => Ok(assignment),
            Ok(Either::Second(left)) => Err(left),
            Err(_elapsed) => Err(Reason::QueueTimeout),
        }
    }

    fn choice(&self, assignment: Assignment) -> Choice {
        let entry = &self.session.entry;
        let turn = entry.targets.are_limited().then(|| Turn::of(&entry.rules.surge_queue));
        Choice { assignment, core: self.session.core.number, _turn: turn }
    }

    /// Takes note of a failed attempt. Whether and how to try again; `None`: not.
    pub fn lost(&mut self, choice: Choice, reason: Reason, lost: Lost) -> Option<Retry> {
        let mut budget = self.session.core.retry_budget.borrow_mut();
        let retry = lost.retry(self.attempts, &mut budget, self.session.now());
        let cells = self.session.cells();
        match retry {
            Ok(_) => cells.retries.increment(),
            Err(NoRetry::OverBudget) => cells.retries_denied.increment(),
            Err(NoRetry::TriedOut | NoRetry::Unsafe) => {}
        }
        self.failed = Some(reason);
        match retry {
            Ok(Retry::Same) => self.same = Some(choice),
            Ok(Retry::Elsewhere) => self.tried.add(choice.live()),
            Ok(Retry::Any) | Err(_) => {}
        }
        retry.ok()
    }
}

/// An instance that was chosen, counted as busy while this lives.
pub struct Choice {
    assignment: Assignment,
    core: usize,
    /// Behind the assignment: what that gives back goes to whoever waits.
    _turn: Option<Turn>,
}

/// Counts a request as waiting until it is dropped.
struct Queued<'a>(&'a ListenerCells);

impl<'a> Queued<'a> {
    fn in_cells(cells: &'a ListenerCells) -> Queued<'a> {
        cells.surge_queue_length.increment();
        Queued(cells)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.surge_queue_length.decrement();
    }
}

impl Choice {
    /// Names the instance and its port among the idle connections of a core.
    pub fn target(&self) -> TargetId {
        self.assignment.target()
    }

    /// Where it is reached.
    pub fn address(&self) -> SocketAddr {
        self.assignment.address
    }

    /// The instance.
    pub fn live(&self) -> &Arc<Live> {
        self.assignment.lease.record()
    }

    /// Whether what is in flight on the instance is to be given up. When that changes, every flow is polled once more.
    pub fn is_cut(&self) -> bool {
        self.assignment.lease.record().is_cut()
    }

    /// Waits until what is in flight on the instance is to be given up.
    pub async fn cut(&self) {
        poll_fn(|_| if self.is_cut() { Poll::Ready(()) } else { Poll::Pending }).await
    }

    /// What this core counts about the instance.
    pub fn cells(&self) -> &InstanceCells {
        self.assignment.lease.record().cells(self.core)
    }

    /// Takes note of what it answered to a request, where instances that fail them are ejected.
    pub fn note_answer(&self, session: &Session, status: u16) {
        match status {
            500.. => session.entry.note_failure(self.live(), EjectionCause::ServerErrors),
            _ => session.entry.note_success(self.live(), EjectionCause::ServerErrors),
        }
    }

    /// Takes note that it gave no answer, for `reason`, which may be another's doing. A kept connection that it closes
    /// in that moment is nobody's fault, nor is what it says it has not begun on.
    pub fn note_no_answer(&self, session: &Session, reason: Reason, lost: Lost) {
        if reason.fault().side == Side::Backend && !matches!(lost, Lost::Sent { kept: true, .. } | Lost::Unsent { .. })
        {
            session.entry.note_failure(self.live(), EjectionCause::ServerErrors);
        }
    }

    /// Connects to it; first comes the PROXY protocol header, then TLS, each if the listener says so.
    ///
    /// # Errors
    /// Why it could not be reached.
    pub async fn dial(&self, session: &Session) -> Result<(Receiver, Sender), Reason> {
        let dialled = self.try_dial(session).await;
        match &dialled {
            Ok(_) => session.entry.note_success(self.live(), EjectionCause::ConnectFailures),
            Err(reason) if reason.fault().side == Side::Backend => {
                session.entry.note_failure(self.live(), EjectionCause::ConnectFailures);
            }
            Err(_) => {}
        }
        dialled
    }

    async fn try_dial(&self, session: &Session) -> Result<(Receiver, Sender), Reason> {
        let socket = self.connect(session).await?;
        if let Some(version) = session.entry.proxy_protocol {
            self.announce(session, version, &socket).await?;
        }
        let Some(tls) = session.entry.targets.tls_of(&self.assignment) else {
            return Ok(plain_halves(PlainReceiver::new(socket)));
        };
        // Boxed: those who connect in the clear do not carry its room.
        Box::pin(self.secure(session, socket, tls)).await
    }

    /// Tells the instance whose connection it is, and to what it was made.
    async fn announce(&self, session: &Session, version: ProxyProtocolVersion, socket: &Socket) -> Result<(), Reason> {
        let Some(destination) = session.destination() else { return Ok(()) };
        let client = session.client();
        let mut header = Vec::new();
        match version {
            ProxyProtocolVersion::V1 => v1::write(client, destination, &mut header),
            ProxyProtocolVersion::V2 => v2::write(client, destination, &mut header),
        }
        let deadline = session.now() + session.connect_timeout();
        let reason = match session.core.io.within(deadline, socket.send(header)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(_)) => Reason::TunnelBackendReset,
            Err(_elapsed) => Reason::ConnectTimeout,
        };
        self.cells().connection_errors.increment();
        Err(reason)
    }

    async fn secure(&self, session: &Session, socket: Socket, tls: &ClientTls) -> Result<(Receiver, Sender), Reason> {
        let deadline = session.now() + session.tls_handshake_timeout();
        let reason = match session.core.io.within(deadline, connect_tls(socket, tls)).await {
            Ok(Ok(halves)) => return Ok(halves),
            Ok(Err(HandshakeError::Fault(fault))) => {
                tracing::debug!(instance = %self.assignment.address, %fault, "TLS handshake with an instance failed");
                fault.backend_reason()
            }
            Ok(Err(HandshakeError::NothingSaid | HandshakeError::Broken(_))) => Reason::BackendTlsFailed,
            Err(_elapsed) => Reason::BackendTlsTimeout,
        };
        self.cells().connection_errors.increment();
        Err(reason)
    }

    async fn connect(&self, session: &Session) -> Result<Socket, Reason> {
        let began = session.now();
        let dialled = dial(&session.core.io, self.assignment.address, session.connect_timeout()).await;
        let (cells, live) = (self.cells(), self.target().live);
        match dialled {
            Ok(socket) => {
                session.core.shunned.borrow_mut().remove(live);
                cells.connections_new.increment();
                cells.connect_duration.record(session.now().since(began));
                Ok(socket)
            }
            Err(error) => {
                cells.connection_errors.increment();
                let reason = failure::of_dial(&error);
                if matches!(reason, Reason::ConnectRefused | Reason::ConnectTimeout | Reason::ConnectUnreachable) {
                    session.core.shunned.borrow_mut().add(live, session.now());
                }
                Err(reason)
            }
        }
    }
}
