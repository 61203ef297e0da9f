//! A line as the byte stream that the `h2` crate drives.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use elbow::base::random::Random;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::flows::timely;
use crate::line::Line;
use crate::message::Pace;

type Pending<T> = Option<Pin<Box<dyn Future<Output = io::Result<T>>>>>;

/// A line of a peer that sends at its own pace.
pub struct Duplex {
    line: Line,
    pace: Pace,
    random: Random,
    receiving: Pending<Option<Vec<u8>>>,
    unread: Vec<u8>,
    sending: Pending<()>,
    /// Something is being sent.
    busy: Rc<Cell<bool>>,
    /// Its end is being sent or was.
    ends: bool,
}

impl Duplex {
    /// The stream of `line`'s bytes.
    pub fn new(line: Line, pace: Pace, seed: u64) -> Duplex {
        Duplex {
            line,
            pace,
            random: Random::new(seed),
            receiving: None,
            unread: Vec::new(),
            sending: None,
            busy: Rc::default(),
            ends: false,
        }
    }

    /// Tells whether something is being sent.
    pub fn busy(&self) -> Rc<Cell<bool>> {
        self.busy.clone()
    }

    fn begin(&mut self, sending: impl Future<Output = io::Result<()>> + 'static, context: &mut Context<'_>) {
        self.sending = Some(Box::pin(sending));
        self.busy.set(true);
        // It goes on by itself from here; how it ended is told to whoever sends next.
        if let Some(sending) = &mut self.sending
            && let Poll::Ready(sent) = sending.as_mut().poll(context)
        {
            self.busy.set(false);
            self.sending = sent.is_err().then(|| -> Pin<Box<dyn Future<Output = _>>> { Box::pin(async { sent }) });
        }
    }

    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(sending) = &mut self.sending {
            let sent = ready!(sending.as_mut().poll(context));
            self.sending = None;
            self.busy.set(false);
            return Poll::Ready(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.unread.is_empty() {
            let line = &this.line;
            let receiving = this.receiving.get_or_insert_with(|| Box::pin(receive(line.clone())));
            let received = ready!(receiving.as_mut().poll(context));
            this.receiving = None;
            this.unread = received?.unwrap_or_default();
        }
        let length = this.unread.len().min(buffer.remaining());
        buffer.put_slice(&this.unread[..length]);
        this.unread.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_sent(context))?;
        let piece = this.pace.piece.max(64);
        let length = bytes.len().min(1 + this.random.below(piece) as usize);
        let (line, bytes) = (this.line.clone(), bytes[..length].to_vec());
        this.begin(async move { timely(line.socket().io(), line.send(bytes)).await }, context);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_sent(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(context))?;
        if !self.ends {
            self.ends = true;
            let line = self.line.clone();
            self.begin(async move { timely(line.socket().io(), line.end()).await }, context);
        }
        self.poll_sent(context)
    }
}

async fn receive(line: Line) -> io::Result<Option<Vec<u8>>> {
    let mut heard = Vec::new();
    let goes_on = timely(line.socket().io(), line.receive(&mut heard)).await?;
    Ok(goes_on.then_some(heard))
}
