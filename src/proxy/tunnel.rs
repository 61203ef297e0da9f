//! Bytes both ways between a client and an instance, without looking into them.

use std::time::Duration;

use crate::model::Reason;
use crate::proxy::session::Session;
use crate::proxy::upstream::Choice;
use crate::runtime::{Chunk, Either, race, try_join};
use crate::transport::{Activity, Broken, Data, Http2Reader, Http2Writer, Piece, Receiver, Sender, relay};

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
        Either::Second(Either::First(())) => silence.reason,
        Either::Second(Either::Second(())) => Reason::DrainTimeout,
    };
    session.count_failure(reason);
    to_client.socket().reset_on_close();
    to_instance.socket().reset_on_close();
    Carried { received_bytes, sent_bytes, failed: Some(reason) }
}

/// As [`run`], for a client whose end is a stream of a connection with others; that connection counts its bytes.
pub async fn run_stream(
    session: &Session,
    (from_client, to_client): (&mut Http2Reader, &mut Http2Writer),
    instance: End,
    choice: &Choice,
    silence: Silence,
) {
    let activity = Activity::new(&session.core.io);
    let cancellation = to_client.cancellation();
    let End { receiver: mut from_instance, sender: mut to_instance, early } = instance;
    let ended = {
        let there = stream_to_instance(from_client, &mut to_instance, &activity);
        let back = instance_to_stream(early, &mut from_instance, to_client, &activity);
        let over = race(activity.until_idle(silence.limit), choice.cut());
        race(try_join(there, back), race(cancellation.wait(), over)).await
    };
    let reason = match ended {
        Either::First(Ok(((), ()))) => return,
        Either::First(Err(BrokenEnd::Client)) | Either::Second(Either::First(())) => Reason::TunnelClientReset,
        Either::First(Err(BrokenEnd::Instance)) => Reason::TunnelBackendReset,
        Either::Second(Either::Second(Either::First(()))) => silence.reason,
        Either::Second(Either::Second(Either::Second(()))) => Reason::DrainTimeout,
    };
    session.count_failure(reason);
    to_client.reset();
    to_instance.socket().reset_on_close();
}

async fn stream_to_instance(source: &mut Http2Reader, sink: &mut Sender, activity: &Activity) -> Result<(), BrokenEnd> {
    while let Piece::Data(piece) = source.next_piece().await.map_err(|_| BrokenEnd::Client)? {
        activity.note();
        sink.send(piece).await.map_err(|_| BrokenEnd::Instance)?;
        activity.note();
    }
    sink.end().await.map_err(|_| BrokenEnd::Instance)
}

async fn instance_to_stream(
    early: Option<Chunk>,
    source: &mut Receiver,
    sink: &mut Http2Writer,
    activity: &Activity,
) -> Result<(), BrokenEnd> {
    let mut next = early;
    loop {
        if let Some(chunk) = next {
            activity.note();
            sink.send_piece(Data::Chunk(chunk), false).await.map_err(|_| BrokenEnd::Client)?;
            activity.note();
        }
        next = source.receive().await.map_err(|_| BrokenEnd::Instance)?;
        if next.is_none() {
            return sink.finish(None).map_err(|_| BrokenEnd::Client);
        }
    }
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
        (Broken::Source(_), true) | (Broken::Sink(_), false) => BrokenEnd::Client,
        (Broken::Source(_), false) | (Broken::Sink(_), true) => BrokenEnd::Instance,
    }
}
