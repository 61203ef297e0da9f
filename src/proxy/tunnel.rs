//! Bytes both ways between a client and an instance, without looking into them.

use std::future::pending;
use std::io;
use std::time::Duration;

use crate::model::Reason;
use crate::proxy::backend::Backend;
use crate::proxy::session::Session;
use crate::proxy::upstream::Choice;
use crate::runtime::{Chunk, Either, is_shortage, race, try_join};
use crate::transport::{
    Activity, Broken, Data, Http2Cancellation, Http2Reader, Http2Writer, Piece, Receiver, Sender, relay,
};

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

    /// A connection to an instance that has agreed on another protocol.
    pub fn of_backend(mut backend: Backend) -> End {
        let early = backend.reader.take_unread();
        End { receiver: backend.reader.into_receiver(), sender: backend.writer.into_sender(), early }
    }
}

/// One side of a tunnel that is not between two connections.
pub enum Side<'a> {
    /// A connection.
    Connection(&'a mut End),
    /// A stream of a connection with others.
    Stream(&'a mut Http2Reader, &'a mut Http2Writer),
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

impl BrokenEnd {
    fn reason(self) -> Reason {
        match self {
            BrokenEnd::Client => Reason::TunnelClientReset,
            BrokenEnd::Instance => Reason::TunnelBackendReset,
            BrokenEnd::Shortage => Reason::BufferShortage,
        }
    }
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
        Either::First(Err(broken)) => broken.reason(),
        Either::Second(Either::First(())) => silence.reason,
        Either::Second(Either::Second(())) => Reason::DrainTimeout,
    };
    session.count_failure(reason);
    to_client.socket().reset_on_close();
    to_instance.socket().reset_on_close();
    Carried { received_bytes, sent_bytes, failed: Some(reason) }
}

/// As [`run`], where one side is a stream or both are. The bytes of a stream are counted by its connection.
pub async fn run_streams(
    session: &Session,
    client: Side<'_>,
    instance: Side<'_>,
    choice: &Choice,
    silence: Silence,
) -> Carried {
    let activity = Activity::new(&session.core.io);
    let ((mut from_client, mut to_client), (mut from_instance, mut to_instance)) = (client.halves(), instance.halves());
    let (client_left, instance_left) = (left(to_client.cancellation()), left(to_instance.cancellation()));
    let ended = {
        let there = pass(&mut from_client, &mut to_instance, &activity);
        let back = pass(&mut from_instance, &mut to_client, &activity);
        let there = async { there.await.map_err(|broken| broken_end(&broken, true)) };
        let back = async { back.await.map_err(|broken| broken_end(&broken, false)) };
        let over = race(activity.until_idle(silence.limit), choice.cut());
        race(try_join(there, back), race(race(client_left, instance_left), over)).await
    };
    let (received_bytes, sent_bytes) = (from_client.take_received(), to_client.take_sent());
    let cells = session.cells();
    cells.received_bytes.add(received_bytes);
    cells.sent_bytes.add(sent_bytes);
    let reason = match ended {
        Either::First(Ok(((), ()))) => return Carried { received_bytes, sent_bytes, failed: None },
        Either::First(Err(broken)) => broken.reason(),
        Either::Second(Either::First(Either::First(()))) => BrokenEnd::Client.reason(),
        Either::Second(Either::First(Either::Second(()))) => BrokenEnd::Instance.reason(),
        Either::Second(Either::Second(Either::First(()))) => silence.reason,
        Either::Second(Either::Second(Either::Second(()))) => Reason::DrainTimeout,
    };
    session.count_failure(reason);
    to_client.reset();
    to_instance.reset();
    Carried { received_bytes, sent_bytes, failed: Some(reason) }
}

impl<'a> Side<'a> {
    fn halves(self) -> (Inward<'a>, Outward<'a>) {
        match self {
            Side::Connection(End { receiver, sender, early }) => {
                (Inward::Connection(receiver, early.take()), Outward::Connection(sender))
            }
            Side::Stream(reader, writer) => (Inward::Stream(reader), Outward::Stream(writer)),
        }
    }
}

/// What comes from one side.
enum Inward<'a> {
    /// What was received before the tunnel began is in front.
    Connection(&'a mut Receiver, Option<Chunk>),
    Stream(&'a mut Http2Reader),
}

impl Inward<'_> {
    /// The next bytes; `None` when the side has said its last.
    async fn next(&mut self) -> io::Result<Option<Data>> {
        match self {
            Inward::Connection(receiver, early) => match early.take() {
                Some(early) => Ok(Some(Data::Chunk(early))),
                None => Ok(receiver.receive().await?.map(Data::Chunk)),
            },
            Inward::Stream(reader) => match reader.next_piece().await {
                Ok(Piece::Data(data)) => Ok(Some(data)),
                Ok(Piece::End) => Ok(None),
                Err(_) => Err(io::ErrorKind::ConnectionReset.into()),
            },
        }
    }

    fn take_received(&mut self) -> u64 {
        match self {
            Inward::Connection(receiver, _) => receiver.take_received(),
            Inward::Stream(_) => 0,
        }
    }
}

/// What goes to one side.
enum Outward<'a> {
    Connection(&'a mut Sender),
    Stream(&'a mut Http2Writer),
}

impl Outward<'_> {
    async fn send(&mut self, data: Data) -> io::Result<()> {
        match self {
            Outward::Connection(sender) => sender.send(data).await.map(drop),
            Outward::Stream(writer) => writer.send_at_once(data, false).await,
        }
    }

    async fn end(&mut self) -> io::Result<()> {
        match self {
            Outward::Connection(sender) => sender.end().await,
            Outward::Stream(writer) => writer.finish(None).await,
        }
    }

    /// What tells that the side gave its stream up; of a connection that is seen where it is received from.
    fn cancellation(&self) -> Option<Http2Cancellation> {
        match self {
            Outward::Connection(_) => None,
            Outward::Stream(writer) => Some(writer.cancellation()),
        }
    }

    fn reset(&mut self) {
        match self {
            Outward::Connection(sender) => sender.socket().reset_on_close(),
            Outward::Stream(writer) => writer.reset(),
        }
    }

    fn take_sent(&mut self) -> u64 {
        match self {
            Outward::Connection(sender) => sender.take_sent(),
            Outward::Stream(_) => 0,
        }
    }
}

async fn left(cancellation: Option<Http2Cancellation>) {
    match cancellation {
        Some(cancellation) => cancellation.wait().await,
        None => pending().await,
    }
}

async fn pass(from: &mut Inward<'_>, to: &mut Outward<'_>, activity: &Activity) -> Result<(), Broken> {
    while let Some(data) = from.next().await.map_err(Broken::Source)? {
        activity.note();
        to.send(data).await.map_err(Broken::Sink)?;
        activity.note();
    }
    to.end().await.map_err(Broken::Sink)
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
