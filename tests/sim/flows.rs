//! Straight-line flows over the runtime's sockets that several scenarios share.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use elbow::runtime::{Arrival, Direction, Either, Interest, Io, Listener, Manner, Moved, Pipe, Socket, race, try_join};

/// How long a flow waits for its peer.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Bytes asked of one splice.
const SPLICE: usize = 1024 * 1024;

/// How long an acceptor waits after an error.
const PAUSE: Duration = Duration::from_millis(20);

/// Lets flows on any executor of the thread wait until something they share has changed as they wish.
#[derive(Default)]
pub struct Watch {
    waiting: RefCell<Vec<Waker>>,
}

impl Watch {
    /// Waits until `wish` holds. Whoever makes it hold says so with [`Watch::changed`].
    pub async fn until(&self, wish: impl Fn() -> bool) {
        poll_fn(|context| {
            if wish() {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.last().is_some_and(|last| last.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Lets everybody look again.
    pub fn changed(&self) {
        self.waiting.take().into_iter().for_each(Waker::wake);
    }
}

/// A word that flows should end.
#[derive(Clone, Default)]
pub struct Stop {
    shared: Rc<(Cell<bool>, Watch)>,
}

impl Stop {
    /// Gives the word.
    pub fn now(&self) {
        self.shared.0.set(true);
        self.shared.1.changed();
    }

    /// Waits for the word.
    pub async fn wait(&self) {
        self.shared.1.until(|| self.shared.0.get()).await;
    }
}

/// Waits for both.
pub async fn both<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> (A, B) {
    let first = async { Ok::<A, Infallible>(first.await) };
    let second = async { Ok(second.await) };
    match try_join(first, second).await {
        Ok(both) => both,
        Err(never) => match never {},
    }
}

/// Accepts until told to stop, and hands every connection to `flow`; then empties the accept queue.
pub async fn serve(io: Io, mut listener: Listener, stop: Stop, flow: impl Fn(Socket)) {
    loop {
        match race(stop.wait(), listener.accept()).await {
            Either::First(()) => break,
            Either::Second(Ok(socket)) => flow(socket),
            Either::Second(Err(_)) => io.sleep(PAUSE).await,
        }
    }
    listener.stop().await.into_iter().for_each(flow);
}

/// Moves bytes through receive buffers until the stream ends, then ends the other.
pub async fn copy(from: &Socket, to: &Socket) -> io::Result<u64> {
    let io = from.io();
    let mut copied = 0;
    while let Some(chunk) = timely(io, from.receive_once()).await? {
        copied += chunk.len() as u64;
        timely(io, to.send(chunk)).await?;
    }
    to.shutdown(Direction::Write);
    Ok(copied)
}

/// As [`copy`], with one receive that goes on and on.
pub async fn copy_repeatedly(from: &Socket, to: &Socket) -> io::Result<u64> {
    let io = from.io();
    let mut copied = 0;
    let mut receiving = from.receive(Manner::Repeatedly);
    loop {
        match timely(io, receiving.next()).await? {
            Arrival::Chunk(chunk) => {
                copied += chunk.len() as u64;
                timely(io, to.send(chunk)).await?;
            }
            Arrival::Over => receiving = from.receive(Manner::Repeatedly),
            Arrival::End => break,
        }
    }
    to.shutdown(Direction::Write);
    Ok(copied)
}

/// Moves bytes through a pipe until the stream ends, then ends the other. Copies when no pipe is to be had.
pub async fn splice(from: &Socket, to: &Socket) -> io::Result<u64> {
    let io = from.io();
    let Some(mut pipe) = io.pipes().take(io) else { return copy(from, to).await };
    let moved = splice_through(&mut pipe, from, to).await;
    io.pipes().give_back(pipe);
    to.shutdown(Direction::Write);
    moved
}

async fn splice_through(pipe: &mut Pipe, from: &Socket, to: &Socket) -> io::Result<u64> {
    let io = from.io();
    let mut moved = 0;
    loop {
        match pipe.fill(from, SPLICE)? {
            Moved::Bytes(count) => moved += count as u64,
            Moved::End => return Ok(moved),
            Moved::NotReady if pipe.held() == 0 => timely(io, from.ready(Interest::Readable)).await?,
            Moved::NotReady => {}
        }
        empty(pipe, to).await?;
    }
}

async fn empty(pipe: &mut Pipe, to: &Socket) -> io::Result<()> {
    while pipe.held() > 0 {
        if pipe.empty(to)? == Moved::NotReady {
            timely(to.io(), to.ready(Interest::Writable)).await?;
        }
    }
    Ok(())
}

/// The work, or an error when it takes longer than [`PATIENCE`].
pub async fn timely<T>(io: &Io, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match io.within(io.now() + PATIENCE, work).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Polls `work` so many times, then drops it where it stands: `None`.
pub fn cut_short<T>(work: impl Future<Output = T> + 'static, polls: u64) -> CutShort<T> {
    CutShort { work: Some(Box::pin(work)), polls }
}

/// See [`cut_short`].
pub struct CutShort<T> {
    work: Option<Pin<Box<dyn Future<Output = T>>>>,
    polls: u64,
}

impl<T> Future for CutShort<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        if self.polls == 0 {
            self.work = None;
        }
        self.polls = self.polls.saturating_sub(1);
        match &mut self.work {
            Some(work) => work.as_mut().poll(context).map(Some),
            None => Poll::Ready(None),
        }
    }
}
