//! From the accept to the first byte of the client's protocol: limits, access rules, and whose connection it is.
//!
//! The node's and the listener's limits hold for whoever connects. The rules for addresses hold for the client, which on
//! a connection of a trusted sender is known only after its PROXY protocol header. Somebody who is not trusted cannot
//! speak for others: a header is then the first bytes of a request, which are refused, or of a stream, which are nothing
//! but bytes.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::model::{Layer, Reason};
use crate::proxy::account::{self, Party};
use crate::proxy::core::{Core, Hold};
use crate::proxy::session::{Ends, Session};
use crate::proxy::{http1, secure, tcp};
use crate::registry::{ListenerEntry, Place, TurnedAway, Visit};
use crate::runtime::Socket;
use crate::transport::{PlainReceiver, PrefaceError, Receiver, Sender, plain_halves, read_preface};
use crate::wire::proxy_protocol::Origin;

/// What a connection takes of node and listener until it ends.
pub struct Seat {
    _node: Place,
    _listener: Place,
}

/// Starts the flow of a connection just accepted, or counts why there is none.
pub fn enter(core: &Rc<Core>, entry: &Arc<ListenerEntry>, socket: Socket) {
    entry.cells.core(core.number).connections_total.increment();
    // Without an address the client is gone already.
    let Ok(peer) = socket.peer_address() else { return };
    let seat = match take_seat(core, entry) {
        Ok(seat) => seat,
        Err(reason) => {
            return account::close_failed(&Party::unknown(core, entry, peer), reason);
        }
    };
    let arrival = Arrival { core: core.hold(), entry: entry.clone(), seat, receiver: PlainReceiver::new(socket) };
    match entry.listener.trusts(peer.ip()) {
        true => core.io.spawn(arrival.introduce(peer)),
        false => arrival.admit(Ends { client: peer, destination: None }),
    }
}

/// Starts the flow of a connection that is ready to carry what its listener serves.
pub fn serve(session: Session, halves: (Receiver, Sender)) {
    let io = session.core.io.clone();
    match session.entry.listener.protocols.layer() {
        Layer::Seven => io.spawn(http1::serve(session, halves)),
        Layer::Four => io.spawn(tcp::serve(session, halves)),
    }
}

fn take_seat(core: &Rc<Core>, entry: &ListenerEntry) -> Result<Seat, Reason> {
    let node = core.admit().ok_or(Reason::NodeConnectionLimit)?;
    let limit = entry.listener.max_connections.map_or(usize::MAX, |limit| limit.get() as usize);
    let listener = entry.places.take(limit).ok_or(Reason::ListenerConnectionLimit)?;
    Ok(Seat { _node: node, _listener: listener })
}

/// A connection whose client is not known yet.
struct Arrival {
    core: Hold,
    entry: Arc<ListenerEntry>,
    seat: Seat,
    receiver: PlainReceiver,
}

impl Arrival {
    /// Lets a trusted `sender` say whose connection it brings.
    async fn introduce(mut self, sender: SocketAddr) {
        self.receiver.expect_more();
        let deadline = self.core.io.now() + self.entry.rules.limits.client_header_timeout.get();
        let read = self.core.io.within(deadline, read_preface(&mut self.receiver)).await;
        match read {
            Ok(Ok(Origin::Proxied { source, destination })) => {
                self.admit(Ends { client: source, destination: Some(destination) });
            }
            Ok(Ok(Origin::Direct)) => self.admit(Ends { client: sender, destination: None }),
            Ok(Err(PrefaceError::Silent | PrefaceError::Broken(_))) => {}
            Ok(Err(PrefaceError::Truncated | PrefaceError::Fault(_))) => {
                self.refuse(sender, Reason::ProxyHeaderMalformed);
            }
            Err(_elapsed) => self.refuse(sender, Reason::ProxyHeaderTimeout),
        }
    }

    /// Starts the flow for a client that may enter.
    fn admit(self, mut ends: Ends) {
        if self.entry.proxy_protocol.is_some() && ends.destination.is_none() {
            // Without an address the client is gone already.
            let Ok(ours) = self.receiver.socket().local_address() else { return };
            ends.destination = Some(ours);
        }
        let visit = match self.visit(&ends) {
            Ok(visit) => visit,
            Err(reason) => return self.refuse(ends.client, reason),
        };
        let Arrival { core, entry, seat, mut receiver } = self;
        let speaks_first = entry.tls.is_some() || entry.listener.protocols.layer() == Layer::Seven;
        if speaks_first {
            receiver.expect_more();
        }
        let session = Session::new(core, entry, ends, seat, visit);
        // A connection is to TCP what a request is to HTTP.
        if session.entry.listener.protocols.layer() == Layer::Four
            && let Err(reason) = session.may_request()
        {
            return account::close_failed(&session.party(), reason);
        }
        match session.entry.tls.is_some() {
            true => session.core.io.clone().spawn(secure::serve(session, receiver)),
            false => serve(session, plain_halves(receiver)),
        }
    }

    fn visit(&self, ends: &Ends) -> Result<Option<Visit>, Reason> {
        let rules = &self.entry.rules;
        if !self.entry.listener.lets_in(ends.client.ip()) {
            return Err(Reason::AddressDenied);
        }
        let limit = rules.limits.connections_per_client.map(|limit| limit.get());
        if limit.is_none() && rules.limits.requests_per_second_per_client.is_none() {
            return Ok(None);
        }
        match rules.clients.enter(ends.client.ip(), limit, self.core.io.now()) {
            Ok(visit) => Ok(Some(visit)),
            Err(TurnedAway::TooManyConnections) => Err(Reason::ClientConnectionLimit),
            Err(TurnedAway::TooManyClients) => Err(Reason::ResourcesExhausted),
        }
    }

    fn refuse(&self, client: SocketAddr, reason: Reason) {
        account::close_failed(&Party::unknown(&self.core, &self.entry, client), reason);
    }
}
