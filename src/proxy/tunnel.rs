//! Bytes both ways between a client and an instance, without looking into them.

use std::time::Duration;

use crate::model::Reason;
use crate::proxy::session::Session;
use crate::proxy::upstream::Choice;
use crate::runtime::{Chunk, Either, is_shortage, race, try_join};
use crate::transport::{Activity, Broken, Receiver, Sender, relay};

/// One connection of a tunnel.
pub struct End {
    receiver: Receiver,
    sender: Sender,
    early: Option<Chunk>,
}

impl End {
    /// A connection from which `early` was received before the tunnel began.
    pub fn of((receiver, sender): (Receiver, Sender), early: Option<Chunk>) -> End {
        End { receiver, sender, early }
    }
}

/// The silence that ends a tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    /// How long it lasts.
    pub limit: Duration,
    /// What it is called.
    pub reason: Reason,
}

/// What a tunnel has carried until its end.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    /// Bytes from the client.
    pub received_bytes: u64,
    /// Bytes to the client.
    pub sent_bytes: u64,
    /// Why it ended, if not because both ends had said all.
    pub failed: Option<Reason>,
}

/// Which end a tunnel broke at.
enum BrokenEnd {
    Client,
    Instance,
    /// Neither: its time with scarce buffers is over.
    Shortage,
}

/// Moves bytes until both ends have said their last, one breaks, nothing moves for too long, or the instance's time to
/// finish is over. A half that has ended is passed on as such; a broken end is passed on as a reset.
pub async fn run(session: &Session, client: End, instance: End, choice: &Choice, silence: Silence) -> Carried {
    let activity = Activity::new(&session.core.io);
    let End { receiver: mut from_client, sender: mut to_client, early: client_said } = client;
    let End { receiver: mut from_instance, sender: mut to_instance, early: instance_said } = instance;
    let ended = {
        let there = one_way(session, &mut from_client, client_said, &mut to_instance, &activity);
        let back = one_way(session, &mut from_instance, instance_said, &mut to_client, &activity);
        let there = async { there.await.map_err(|broken| broken_end(&broken, true)) };
        let back = async { back.await.map_err(|broken| broken_end(&broken, false)) };
        let over = race(activity.until_idle(silence.limit), choice.cut());
        race(try_join(there, back), over).await
    };
    let cells = session.cells();
    let (received_bytes, sent_bytes) = (from_client.take_received(), to_client.take_sent());
    cells.received_bytes.add(received_bytes);
    cells.sent_bytes.add(sent_bytes);
    let reason = match ended {
        Either::First(Ok(((), ()))) => return Carried { received_bytes, sent_bytes, failed: None },
        Either::First(Err(BrokenEnd::Client)) => Reason::TunnelClientReset,
        Either::First(Err(BrokenEnd::Instance)) => Reason::TunnelBackendReset,
        Either::First(Err(BrokenEnd::Shortage)) => Reason::BufferShortage,
        Either::Second(Either::First(())) => silence.reason,
        Either::Second(Either::Second(())) => Reason::DrainTimeout,
    };
    session.count_failure(reason);
    to_client.socket().reset_on_close();
    to_instance.socket().reset_on_close();
    Carried { received_bytes, sent_bytes, failed: Some(reason) }
}

async fn one_way(
    session: &Session,
    source: &mut Receiver,
    early: Option<Chunk>,
    sink: &mut Sender,
    activity: &Activity,
) -> Result<(), Broken> {
    if let Some(chunk) = early {
        sink.send(chunk).await.map_err(Broken::Sink)?;
    }
    relay(&session.core.io, source, sink, activity, session.core.may_splice).await
}

fn broken_end(broken: &Broken, source_is_client: bool) -> BrokenEnd {
    match (broken, source_is_client) {
        (Broken::Sink(error), _) if is_shortage(error) => BrokenEnd::Shortage,
        (Broken::Source(_), true) | (Broken::Sink(_), false) => BrokenEnd::Client,
        (Broken::Source(_), false) | (Broken::Sink(_), true) => BrokenEnd::Instance,
    }
}
