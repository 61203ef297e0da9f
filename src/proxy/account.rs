//! What becomes of one request, or of one connection whose bytes are not looked into: what its line in the access log
//! says.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::base::Instant;
use crate::model::{Keyword, Reason};
use crate::proxy::failure;
use crate::proxy::session::Session;
use crate::telemetry::{AccessExchange, AccessRecord, AccessRequestLine, AccessTls, Times};
use crate::wire::forward::Scheme;
use crate::wire::head::{FieldName, RequestHead};

/// Filled in as things happen; cheap enough to be kept when there is no log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// When the first byte came; TCP: when the connection did.
    pub began: Instant,
    /// The instance tried last, when what was sent to it was sent, and when its answer began.
    pub attempt: Option<Attempt>,
    /// The status that the instance gave; 0: none.
    pub backend_status: u16,
    /// Bytes of the request's body; TCP: everything received.
    pub received_bytes: u64,
    /// Bytes of the answer's body; TCP: everything sent.
    pub sent_bytes: u64,
    /// Why it failed.
    pub failed: Option<Reason>,
}

/// One attempt that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Where the instance is.
    pub instance: SocketAddr,
    /// When it had been sent what it was to answer; TCP: when it began to be connected.
    pub sent_at: Instant,
    /// When its answer began; TCP: when it was connected.
    pub answered_at: Instant,
}

impl Account {
    /// An account of what began at `began`.
    pub fn new(began: Instant) -> Account {
        Account { began, ..Account::default() }
    }

    /// Writes the line of a request that was answered, or refused before `request` could be read.
    pub fn log_request(&self, session: &Session, request: &RequestHead) {
        // Most balancers keep no log, and then a request shall cost nothing more.
        if session.entry.rules.access_log.is_none() {
            return;
        }
        let is_read = !request.method().is_empty();
        let status = match (self.backend_status, self.failed) {
            (0, Some(reason)) => failure::answer(reason).map_or(0, |answer| answer.status()),
            (status, _) => status,
        };
        let line =
            AccessRequestLine { method: request.method(), path: request.path(), version: request.version().name() };
        let exchange = AccessExchange {
            status,
            backend_status: self.backend_status,
            scheme: match session.scheme() {
                Scheme::Http => "http",
                Scheme::Https => "https",
            },
            host: request.host().unwrap_or(b"-"),
            line: is_read.then_some(line),
            user_agent: request.get(FieldName::UserAgent),
        };
        self.log(session, Some(exchange));
    }

    /// Writes the line of a connection.
    pub fn log_stream(&self, session: &Session) {
        self.log(session, None);
    }

    fn log(&self, session: &Session, exchange: Option<AccessExchange<'_>>) {
        let Some(log) = &session.entry.rules.access_log else { return };
        let now = session.now();
        let record = AccessRecord {
            received_at: SystemTime::now() - now.since(self.began),
            load_balancer: session.entry.rules.name.as_str(),
            listener_port: session.listener_port(),
            client: session.ends.client,
            instance: self.attempt.map(|attempt| attempt.instance),
            times: self.attempt.map(|attempt| Times {
                request: attempt.sent_at.since(self.began),
                backend: attempt.answered_at.since(attempt.sent_at),
                // The head is sent on in the turn in which it was read.
                response: Duration::ZERO,
            }),
            exchange,
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
            tls: session
                .agreed
                .as_ref()
                .map(|agreed| AccessTls { cipher: agreed.cipher, protocol: agreed.protocol.name() }),
            reason: self.failed.map(|reason| reason.as_str()),
        };
        session.core.log(log, |out| record.write(log.format(), out));
    }
}
