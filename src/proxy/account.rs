//! What becomes of one request, or of one connection whose bytes are not looked into: what its line in the access log
//! says.

use std::net::SocketAddr;
use std::time::Duration;

use crate::balance::ATTEMPTS_MAX;
use crate::base::Instant;
use crate::model::{Keyword, Reason};
use crate::proxy::core::Core;
use crate::proxy::failure;
use crate::proxy::session::Session;
use crate::proxy::tunnel::Carried;
use crate::registry::ListenerEntry;
use crate::telemetry::{
    AccessCertificate, AccessExchange, AccessRecord, AccessRequestLine, AccessTls, FlightAttempt, FlightPhases,
    FlightRecord, RequestId, Times,
};
use crate::tls::Agreed;
use crate::wire::forward::{ClientCertificate, Scheme};
use crate::wire::head::{FieldName, RequestHead};

/// Filled in as things happen; cheap enough to be kept when there is no log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// When the first byte came; TCP: when the connection did.
    pub began: Instant,
    /// What it is called.
    pub id: RequestId,
    /// The instance that answered (TCP: was connected), and when.
    pub attempt: Option<Attempt>,
    /// The status that the instance gave; 0: none.
    pub backend_status: u16,
    /// Bytes of the request's body; TCP: everything received.
    pub received_bytes: u64,
    /// Bytes of the answer's body; TCP: everything sent.
    pub sent_bytes: u64,
    /// Why it failed.
    pub failed: Option<Reason>,
    tries: [Option<Try>; ATTEMPTS_MAX],
    tried: usize,
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

/// One instance that was chosen.
#[derive(Clone, Copy, Debug)]
struct Try {
    instance: SocketAddr,
    chosen_at: Instant,
    connected_at: Option<Instant>,
    kept: bool,
    failed: Option<(Reason, Instant)>,
}

/// Whose account it is, and where it is written.
#[derive(Clone, Copy)]
pub struct Party<'a> {
    /// The core that serves the client.
    pub core: &'a Core,
    /// What it came to.
    pub entry: &'a ListenerEntry,
    /// The client.
    pub client: SocketAddr,
    /// What protects its connection.
    pub agreed: Option<Agreed>,
    /// Who it proved to be.
    pub certificate: Option<&'a ClientCertificate>,
}

impl<'a> Party<'a> {
    /// A client that has not shaken hands.
    pub fn unknown(core: &'a Core, entry: &'a ListenerEntry, client: SocketAddr) -> Party<'a> {
        Party { core, entry, client, agreed: None, certificate: None }
    }
}

/// Counts and writes down a connection that failed for `reason` before it carried anything.
pub fn close_failed(party: &Party<'_>, reason: Reason) {
    party.entry.cells.core(party.core.number).errors.record(reason);
    let mut account = Account::new(party.core.io.now());
    (account.id, account.failed) = (party.core.own_id(), Some(reason));
    account.close_connection(party);
}

impl Account {
    /// An account of what began at `began`.
    pub fn new(began: Instant) -> Account {
        Account { began, ..Account::default() }
    }

    /// Takes note that `instance` was chosen.
    pub fn note_choice(&mut self, instance: SocketAddr, now: Instant) {
        if let Some(place) = self.tries.get_mut(self.tried) {
            *place = Some(Try { instance, chosen_at: now, connected_at: None, kept: false, failed: None });
            self.tried += 1;
        }
    }

    /// Takes note that there is a connection to the instance chosen last, made before or just now.
    pub fn note_connection(&mut self, kept: bool, now: Instant) {
        self.last_try().into_iter().for_each(|last| (last.kept, last.connected_at) = (kept, Some(now)));
    }

    /// Takes note of what a connection has carried, and how it ended.
    pub fn note_carried(&mut self, carried: &Carried) {
        let Carried { received_bytes, sent_bytes, failed } = *carried;
        (self.received_bytes, self.sent_bytes, self.failed) = (received_bytes, sent_bytes, failed);
    }

    /// Takes note that the attempt with the instance chosen last has failed.
    pub fn note_failure(&mut self, reason: Reason, now: Instant) {
        self.last_try().into_iter().for_each(|last| last.failed = Some((reason, now)));
    }

    /// Closes the account of a request that was answered, or refused before `request` could be read: remembers it, and
    /// writes its line.
    pub fn close_request(&self, session: &Session, request: &RequestHead) {
        let status = match (self.backend_status, self.failed) {
            (0, Some(reason)) => failure::answer(reason).map_or(0, |answer| answer.status()),
            (status, _) => status,
        };
        let party = session.party();
        self.remember(&party, (request.method(), request.path()), status);
        // Most balancers keep no log, and then a request shall cost nothing more.
        if session.entry.rules.access_log.is_none() {
            return;
        }
        let is_read = !request.method().is_empty();
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
        self.log(&party, Some(exchange));
    }

    /// Closes the account of a connection whose bytes are not looked into, or that carried none: remembers it, and writes
    /// its line.
    pub fn close_connection(&self, party: &Party<'_>) {
        let protocol = party.entry.listener.protocols.front().as_str();
        self.remember(party, (protocol.as_bytes(), b""), 0);
        self.log(party, None);
    }

    fn remember(&self, party: &Party<'_>, (method, path): (&[u8], &[u8]), status: u16) {
        let Party { core, entry, client, .. } = *party;
        let now = core.io.now();
        let none = FlightAttempt { instance: client, kept: false, failed: None, took: Duration::ZERO };
        let mut attempts = [none; ATTEMPTS_MAX];
        for (place, tried) in attempts.iter_mut().zip(self.tries.iter().flatten()) {
            let (failed, until) = tried.failed.map_or((None, now), |(reason, at)| (Some(reason), at));
            let took = until.since(tried.chosen_at);
            *place = FlightAttempt { instance: tried.instance, kept: tried.kept, failed, took };
        }
        core.remember(&FlightRecord {
            id: self.id,
            began: core.wall_clock(self.began),
            client,
            load_balancer: entry.rules.name.as_str(),
            listener_port: entry.listener.port.get(),
            method,
            path,
            status,
            backend_status: self.backend_status,
            reason: self.failed,
            phases: self.phases(now),
            attempts: attempts.get(..self.tried).unwrap_or_default(),
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
        });
    }

    /// How long each part took, with the instance chosen last.
    fn phases(&self, now: Instant) -> FlightPhases {
        let last = self.tried.checked_sub(1).and_then(|index| self.tries.get(index).copied().flatten());
        let Some(last) = last else { return FlightPhases::default() };
        let answered = self.attempt.map(|attempt| (attempt.sent_at, attempt.answered_at));
        FlightPhases {
            queue: Some(last.chosen_at.since(self.began)),
            connect: last.connected_at.map(|at| at.since(last.chosen_at)),
            send: answered.zip(last.connected_at).map(|((sent, _), connected)| sent.since(connected)),
            first_byte: answered.map(|(sent, began)| began.since(sent)),
            rest: answered.map(|(_, began)| now.since(began)),
        }
    }

    fn last_try(&mut self) -> Option<&mut Try> {
        let index = self.tried.checked_sub(1)?;
        self.tries.get_mut(index)?.as_mut()
    }

    fn log(&self, party: &Party<'_>, exchange: Option<AccessExchange<'_>>) {
        let Party { core, entry, client, agreed, certificate } = *party;
        let Some(log) = &entry.rules.access_log else { return };
        let record = AccessRecord {
            id: self.id.as_str(),
            received_at: core.wall_clock(self.began),
            load_balancer: entry.rules.name.as_str(),
            listener_port: entry.listener.port.get(),
            client,
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
            tls: agreed.map(|agreed| AccessTls { cipher: agreed.cipher.as_str(), protocol: agreed.protocol.name() }),
            client_certificate: certificate.map(|certificate| AccessCertificate {
                subject: &certificate.subject,
                fingerprint: &certificate.fingerprint,
            }),
            reason: self.failed.map(|reason| reason.as_str()),
        };
        core.log(log, |out| record.write(log.format(), out));
    }
}
