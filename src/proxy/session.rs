//! One client connection: who the client is, where it arrived, and under which rules.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::Instant;
use crate::model::{InstanceHttp, Reason};
use crate::proxy::account::Party;
use crate::proxy::core::Hold;
use crate::proxy::entrance::Seat;
use crate::registry::{ListenerEntry, Visit};
use crate::runtime::is_shortage;
use crate::telemetry::{AnswerSource, ListenerCells};
use crate::tls::Agreed;
use crate::wire::desync::{self, Action, Class};
use crate::wire::forward::{ClientCertificate, Scheme};
use crate::wire::head::{HeadLimits, RequestHead};

/// A client connection as every flow on it sees it. The rules are those of the snapshot that the connection, or its
/// latest request, began under.
///
/// Every idle connection holds one, so what most have no use for is kept apart, for all streams of the connection.
pub struct Session {
    /// The core that owns the connection.
    pub core: Hold,
    /// The listener and the load balancer behind it.
    pub entry: Arc<ListenerEntry>,
    /// The client's address. In two parts, which are smaller than a `SocketAddr`.
    client_ip: IpAddr,
    client_port: u16,
    /// The version of the snapshot that the rules are of.
    version: u32,
    more: Option<Rc<More>>,
    tenure: Tenure,
}

/// What only some connections have.
#[derive(Clone, Debug, Default)]
struct More {
    destination: Option<SocketAddr>,
    agreed: Option<Agreed>,
    client_certificate: Option<ClientCertificate>,
}

/// Whose a session is.
enum Tenure {
    /// The connection's: it is counted as active.
    Connection { _seat: Seat, visit: Option<Visit> },
    /// One stream's on a connection that carries several requests at once.
    Stream { connection: Rc<Session> },
}

/// Between whom a connection is, as the client sees it.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The client.
    pub client: SocketAddr,
    /// What it connected to, where that is asked for: what somebody in front of us says, else our end of the connection.
    pub destination: Option<SocketAddr>,
}

impl Session {
    /// A connection to the listener of `entry`, counted as active until this is dropped.
    ///
    /// `visit` is what counts the client's connections and requests, where those are limited.
    pub fn new(core: Hold, entry: Arc<ListenerEntry>, ends: Ends, seat: Seat, visit: Option<Visit>) -> Session {
        let Ends { client, destination } = ends;
        let session = Session {
            version: core.version(),
            core,
            entry,
            client_ip: client.ip(),
            client_port: client.port(),
            more: destination.map(|_| Rc::new(More { destination, ..More::default() })),
            tenure: Tenure::Connection { _seat: seat, visit },
        };
        session.cells().connections_active.increment();
        session
    }

    /// The same client's session for one stream of its connection, under the core's present rules.
    pub fn for_stream(self: &Rc<Session>) -> Session {
        let mut session = Session {
            core: self.core.hold(),
            entry: self.entry.clone(),
            client_ip: self.client_ip,
            client_port: self.client_port,
            version: self.version,
            more: self.more.clone(),
            tenure: Tenure::Stream { connection: self.clone() },
        };
        session.refresh();
        session
    }

    /// The client's address.
    pub fn client(&self) -> SocketAddr {
        SocketAddr::new(self.client_ip, self.client_port)
    }

    /// What the client connected to, where that was asked for.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.more.as_ref()?.destination
    }

    /// Whose accounts are kept here.
    pub fn party(&self) -> Party<'_> {
        let (agreed, certificate) = (self.agreed(), self.client_certificate());
        Party { core: &self.core, entry: &self.entry, client: self.client(), agreed, certificate }
    }

    /// What protects the connection, if it is inside TLS.
    pub fn agreed(&self) -> Option<Agreed> {
        self.more.as_ref()?.agreed
    }

    /// Who the client proved to be, if it was asked and has shown a certificate.
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.more.as_ref()?.client_certificate.as_ref()
    }

    /// Takes note of what protects the connection from now on, and of who the client proved to be.
    pub fn note_handshake(&mut self, agreed: Option<Agreed>, certificate: Option<ClientCertificate>) {
        let more = Rc::make_mut(self.more.get_or_insert_default());
        more.agreed = agreed;
        more.client_certificate = certificate;
    }

    /// Time at the start of this turn.
    pub fn now(&self) -> Instant {
        self.core.io.now()
    }

    /// Goes over to the rules of the core's present snapshot; a listener that is no more keeps its last ones.
    pub fn refresh(&mut self) {
        let version = self.core.version();
        if self.version != version
            && let Some(entry) = self.core.listener(self.entry.listener.socket_address())
        {
            self.version = version;
            self.entry = entry;
        }
    }

    /// Whether the connection carries nothing more than what it is at: the node drains, or the listener is no more.
    pub fn is_leaving(&self) -> bool {
        self.core.draining_since().is_some() || self.has_lost_listener()
    }

    /// Whether the listener is no more: the connection may finish what it is at.
    pub fn has_lost_listener(&self) -> bool {
        self.version != self.core.version() && self.core.listener(self.entry.listener.socket_address()).is_none()
    }

    /// Counts one more request (TCP: connection) of the client.
    ///
    /// # Errors
    /// When it sends more of them than it may.
    pub fn may_request(&self) -> Result<(), Reason> {
        let rate = self.entry.rules.limits.requests_per_second_per_client;
        let visit = match &self.tenure {
            Tenure::Connection { visit, .. } => visit,
            Tenure::Stream { connection } => return connection.may_request(),
        };
        match (visit, rate.and_then(|rate| NonZeroU32::new(rate.get()))) {
            (Some(visit), Some(rate)) if !visit.may_request(rate, self.now()) => Err(Reason::ClientRateLimit),
            _ => Ok(()),
        }
    }

    /// What desync mitigation does with a request that was accepted; what does not follow the RFC is counted.
    pub fn judge(&self, request: &RequestHead) -> Action {
        let verdict = desync::of_accepted(request);
        self.count_class(verdict.class());
        verdict.action(self.entry.rules.attributes.desync_mitigation)
    }

    /// Counts a request by its desync class.
    pub fn count_class(&self, class: Class) {
        let counters = &self.cells().desync;
        match class {
            Class::Compliant => {}
            Class::Acceptable => counters.acceptable.increment(),
            Class::Ambiguous => counters.ambiguous.increment(),
            Class::Severe => counters.severe.increment(),
        }
    }

    /// What the listener counts on this core.
    pub fn cells(&self) -> &ListenerCells {
        self.entry.cells.core(self.core.number)
    }

    /// Counts a final answer.
    pub fn count_answer(&self, status: u16, source: AnswerSource) {
        self.cells().requests.record(status, source);
    }

    /// Counts a failure.
    pub fn count_failure(&self, reason: Reason) {
        self.cells().errors.record(reason);
    }

    /// Waits until the client has taken what is being sent.
    ///
    /// # Errors
    /// When its connection broke or it took nothing for the idle timeout.
    pub async fn client_takes(&self, sending: Pin<&mut impl Future<Output = io::Result<()>>>) -> Result<(), Reason> {
        match self.core.io.within(self.now() + self.idle_timeout(), sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if is_shortage(&error) => Err(Reason::BufferShortage),
            Ok(Err(_)) => Err(Reason::ClientReset),
            Err(_elapsed) => Err(Reason::ClientSendTimeout),
        }
    }

    /// What the client spoke to the listener.
    pub fn scheme(&self) -> Scheme {
        if self.entry.listener.protocols.front().is_secure() { Scheme::Https } else { Scheme::Http }
    }

    /// Whether instances are asked in HTTP/2.
    pub fn asks_in_http2(&self) -> bool {
        self.entry.listener.instance_http == InstanceHttp::Http2
    }

    /// The listener's port.
    pub fn listener_port(&self) -> u16 {
        self.entry.listener.port.get()
    }

    /// Silence on a connection after which it is closed.
    pub fn idle_timeout(&self) -> Duration {
        self.entry.rules.attributes.idle_timeout.get()
    }

    /// How long a TLS handshake may take, a client's from the accept on, an instance's from the connect on.
    pub fn tls_handshake_timeout(&self) -> Duration {
        self.entry.rules.limits.tls_handshake_timeout.get()
    }

    /// How long a request head may take from its first byte on.
    pub fn client_header_timeout(&self) -> Duration {
        self.entry.rules.limits.client_header_timeout.get()
    }

    /// Silence inside a request body after which the request is given up.
    pub fn client_body_timeout(&self) -> Duration {
        self.entry.rules.limits.client_body_timeout.get()
    }

    /// Bytes a second that a request body has to bring on average.
    pub fn client_body_minimum_rate(&self) -> Option<NonZeroU32> {
        self.entry.rules.limits.client_body_minimum_rate.and_then(|rate| NonZeroU32::new(rate.get()))
    }

    /// How long an instance may take from the end of the request to the first byte of its answer.
    pub fn first_byte_timeout(&self) -> Duration {
        self.entry.rules.first_byte_timeout
    }

    /// How long a connection to an instance may take to come about.
    pub fn connect_timeout(&self) -> Duration {
        self.entry.rules.limits.connect_timeout.get()
    }

    /// How long a request may wait in the surge queue.
    pub fn queue_timeout(&self) -> Duration {
        self.entry.rules.limits.queue_timeout.get()
    }

    /// Silence on an upgraded connection after which it is closed.
    pub fn tunnel_timeout(&self) -> Duration {
        self.entry.rules.limits.tunnel_timeout.get()
    }

    /// The most requests on one client connection.
    pub fn requests_per_connection(&self) -> u64 {
        u64::from(self.entry.rules.limits.requests_per_connection.get())
    }

    /// Limits on the heads of requests.
    pub fn request_limits(&self) -> HeadLimits {
        let limits = &self.entry.rules.limits;
        HeadLimits {
            request_line: limits.request_line.get() as usize,
            header: limits.header.get() as usize,
            headers_total: limits.headers_total.get() as usize,
            ..HeadLimits::default()
        }
    }

    /// Limits on the heads of answers: the same, with room for a long `Set-Cookie`.
    pub fn response_limits(&self) -> HeadLimits {
        self.request_limits()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Tenure::Connection { .. } = self.tenure {
            self.cells().connections_active.decrement();
        }
    }
}
