//! A TCP client's connection: one connection to one instance, and bytes both ways.

use crate::balance::Lost;
use crate::model::{ProxyProtocolVersion, Reason};
use crate::proxy::account::{Account, Attempt};
use crate::proxy::session::Session;
use crate::proxy::tunnel::{self, End};
use crate::proxy::upstream::{Choice, Search};
use crate::runtime::{Chunk, Socket};
use crate::transport::Receiver;
use crate::wire::proxy_protocol::{v1, v2};

/// Serves one connection, of which `early` was received already, to its end.
pub async fn serve(session: Session, socket: Socket, early: Option<Chunk>) {
    let mut account = Account::new(session.now());
    let connected = async {
        let (instance, choice) = connect(&session, &mut account).await?;
        announce(&session, &socket, &instance).await?;
        Ok((instance, choice))
    };
    match connected.await {
        Ok((instance, choice)) => {
            let early_bytes = early.as_ref().map_or(0, |early| early.len() as u64);
            let client = End::of(Receiver::new(socket), early);
            let instance = End::of(Receiver::new(instance), None);
            let timeout = session.idle_timeout();
            let carried = tunnel::run(&session, client, instance, timeout, Reason::IdleTimeout).await;
            account.received_bytes = early_bytes + carried.received_bytes;
            account.sent_bytes = carried.sent_bytes;
            account.failed = carried.failed;
            drop(choice);
        }
        Err(reason) => {
            session.count_failure(reason);
            account.failed = Some(reason);
            // A plain close would read as an empty but complete answer.
            socket.reset_on_close();
        }
    }
    account.log_stream(&session);
}

/// Tells the instance by a PROXY protocol header whose connection it is, where the policies of its port ask for that.
async fn announce(session: &Session, client: &Socket, instance: &Socket) -> Result<(), Reason> {
    let Some(version) = session.entry.proxy_protocol else { return Ok(()) };
    let ours = || client.local_address().map_err(|_| Reason::TunnelClientReset);
    let destination = session.ends.destination.map_or_else(ours, Ok)?;
    let mut header = Vec::new();
    match version {
        ProxyProtocolVersion::V1 => v1::write(session.ends.client, destination, &mut header),
        ProxyProtocolVersion::V2 => v2::write(session.ends.client, destination, &mut header),
    }
    let deadline = session.now() + session.idle_timeout();
    match session.core.io.within(deadline, instance.send(header)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(Reason::TunnelBackendReset),
        Err(_elapsed) => Err(Reason::IdleTimeout),
    }
}

/// Connects to an instance; one that cannot be reached leaves its place to the next.
async fn connect(session: &Session, account: &mut Account) -> Result<(Socket, Choice), Reason> {
    let mut search = Search::new(session);
    loop {
        let choice = search.choose()?;
        let sent_at = session.now();
        match choice.dial(session).await {
            Ok(socket) => {
                account.attempt = Some(Attempt { instance: choice.address(), sent_at, answered_at: session.now() });
                return Ok((socket, choice));
            }
            Err(reason) => match search.lost(choice, reason, Lost::Connecting) {
                Some(_) => {}
                None => return Err(reason),
            },
        }
    }
}
