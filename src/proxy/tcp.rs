//! A TCP client's connection: one connection to one instance, and bytes both ways.

use std::future::pending;

use crate::model::Reason;
use crate::proxy::account::{Account, Attempt};
use crate::proxy::failure;
use crate::proxy::session::Session;
use crate::proxy::tunnel::{self, End, Silence};
use crate::proxy::upstream::{Choice, Search};
use crate::transport::{Receiver, Sender};

/// Serves one connection to its end.
pub async fn serve(session: Session, client: (Receiver, Sender)) {
    let mut account = Account::new(session.now());
    account.id = session.core.own_id();
    match connect(&session, &mut account).await {
        Ok((instance, choice)) => {
            let (client, instance) = (End::of(client, None), End::of(instance, None));
            let silence = Silence { limit: session.idle_timeout(), reason: Reason::IdleTimeout };
            let carried = tunnel::run(&session, client, instance, &choice, silence).await;
            account.note_carried(&carried);
        }
        Err(reason) => {
            session.count_failure(reason);
            account.failed = Some(reason);
            // A plain close would read as an empty but complete answer.
            client.1.socket().reset_on_close();
        }
    }
    account.close_connection(&session.party());
}

/// Connects to an instance; one that cannot be reached leaves its place to the next.
async fn connect(session: &Session, account: &mut Account) -> Result<((Receiver, Sender), Choice), Reason> {
    let mut search = Search::new(session);
    loop {
        // Its first bytes are for the instance: that a client has left shows when they are read.
        let choice = search.choose(None, pending()).await?;
        let sent_at = session.now();
        account.note_choice(choice.address(), sent_at);
        match choice.dial(session).await {
            Ok(halves) => {
                account.note_connection(false, session.now());
                account.attempt = Some(Attempt { instance: choice.address(), sent_at, answered_at: session.now() });
                return Ok((halves, choice));
            }
            Err(reason) => {
                account.note_failure(reason, session.now());
                match search.lost(choice, reason, failure::lost_in_connecting(reason)) {
                    Some(_) => session.count_failure(reason),
                    None => return Err(reason),
                }
            }
        }
    }
}
