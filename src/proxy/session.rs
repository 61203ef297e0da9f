//! One client connection: who the client is, where it arrived, and under which rules.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::Instant;
use crate::model::{InstanceHttp, Reason};
use crate::proxy::core::{ConnectionGuard, Core};
use crate::registry::ListenerEntry;
use crate::telemetry::{AnswerSource, ListenerCells};
use crate::wire::forward::Scheme;
use crate::wire::head::HeadLimits;

/// A client connection as every flow on it sees it. The rules are those of the snapshot that the connection, or its
/// latest request, began under.
pub struct Session {
    /// The core that owns the connection.
    pub core: Rc<Core>,
    /// The listener and the load balancer behind it.
    pub entry: Arc<ListenerEntry>,
    /// The client's address.
    pub client: SocketAddr,
    /// The version of the snapshot that the rules are of.
    version: u32,
    tenure: Tenure,
}

/// Whose a session is.
enum Tenure {
    /// The connection's: it is counted as active.
    Connection { _guard: ConnectionGuard },
    /// One stream's on a connection that carries several requests at once.
    Stream { _connection: Rc<Session> },
}

impl Session {
    /// A connection of `client` to the listener of `entry`, counted as active until this is dropped.
    pub fn new(core: Rc<Core>, entry: Arc<ListenerEntry>, client: SocketAddr, guard: ConnectionGuard) -> Session {
        let tenure = Tenure::Connection { _guard: guard };
        let session = Session { version: core.version(), core, entry, client, tenure };
        session.cells().connections_active.increment();
        session
    }

    /// The same client's session for one stream of its connection, under the core's present rules.
    pub fn for_stream(self: &Rc<Session>) -> Session {
        let mut session = Session {
            core: self.core.clone(),
            entry: self.entry.clone(),
            client: self.client,
            version: self.version,
            tenure: Tenure::Stream { _connection: self.clone() },
        };
        session.refresh();
        session
    }

    /// Time at the start of this turn.
    pub fn now(&self) -> Instant {
        self.core.io.now()
    }

    /// Goes over to the rules of the core's present snapshot; a listener that is no more keeps its last ones.
    pub fn refresh(&mut self) {
        let version = self.core.version();
        if self.version != version {
            self.version = version;
            self.entry = self.core.listener(self.entry.listener.socket_address()).unwrap_or_else(|| self.entry.clone());
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
    pub async fn client_takes(&self, sending: impl Future<Output = io::Result<()>>) -> Result<(), Reason> {
        match self.core.io.within(self.now() + self.idle_timeout(), sending).await {
            Ok(Ok(())) => Ok(()),
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

    /// How long an instance may take from the end of the request to the first byte of its answer.
    pub fn first_byte_timeout(&self) -> Duration {
        self.entry.rules.first_byte_timeout
    }

    /// How long a connection to an instance may take to come about.
    pub fn connect_timeout(&self) -> Duration {
        self.entry.rules.limits.connect_timeout.get()
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
