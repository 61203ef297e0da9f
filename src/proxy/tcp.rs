//! A TCP client's connection: one connection to one instance, and bytes both ways.

use crate::balance::Lost;
use crate::model::Reason;
use crate::proxy::session::Session;
use crate::proxy::tunnel::{self, End};
use crate::proxy::upstream::{Choice, Search};
use crate::runtime::Socket;
use crate::transport::Receiver;

/// Serves one connection to its end.
pub async fn serve(session: Session, socket: Socket) {
    match connect(&session).await {
        Ok((instance, choice)) => {
            let client = End::of(Receiver::new(socket), None);
            let instance = End::of(Receiver::new(instance), None);
            let timeout = session.idle_timeout();
            tunnel::run(&session, client, instance, timeout, Reason::IdleTimeout).await;
            drop(choice);
        }
        Err(reason) => {
            session.count_failure(reason);
            // A plain close would read as an empty but complete answer.
            socket.reset_on_close();
        }
    }
}

/// Connects to an instance; one that cannot be reached leaves its place to the next.
async fn connect(session: &Session) -> Result<(Socket, Choice), Reason> {
    let mut search = Search::new(session);
    loop {
        let choice = search.choose()?;
        match choice.dial(session).await {
            Ok(socket) => return Ok((socket, choice)),
            Err(reason) => match search.lost(choice, reason, Lost::Connecting) {
                Some(_) => session.count_failure(reason),
                None => return Err(reason),
            },
        }
    }
}
