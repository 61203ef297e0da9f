//! The two halves of a connection, in the clear or inside TLS.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use crate::runtime::{Chunk, Direction, Outgoing, Sending, Socket};
use crate::tls::ApplicationProtocol;
use crate::transport::PlainReceiver;
use crate::transport::tls_stream::{TlsLink, TlsReceiver};

/// The receiving half. It owns the receive in flight: waits may be dropped and repeated without losing bytes.
pub struct Receiver {
    half: ReceivingHalf,
    received: u64,
}

enum ReceivingHalf {
    Plain(PlainReceiver),
    Tls(Box<TlsReceiver>),
}

/// Both halves of a connection in the clear.
pub fn plain_halves(receiver: PlainReceiver) -> (Receiver, Sender) {
    let socket = receiver.socket().clone();
    let receiver = Receiver { half: ReceivingHalf::Plain(receiver), received: 0 };
    (receiver, Sender { half: SendingHalf::Plain(socket), sent: 0 })
}

/// Both halves of a connection inside TLS.
pub(in crate::transport) fn tls_halves(receiver: Box<TlsReceiver>) -> (Receiver, Sender) {
    let link = receiver.link().clone();
    let receiver = Receiver { half: ReceivingHalf::Tls(receiver), received: 0 };
    (receiver, Sender { half: SendingHalf::Tls(link), sent: 0 })
}

impl Receiver {
    /// Starts to receive without waiting. Idempotent.
    pub fn arm(&mut self) {
        self.plain_mut().arm();
    }

    /// What comes next; `None` at the end of the stream, and from then on.
    ///
    /// # Errors
    /// As recv(2). Inside TLS also `UnexpectedEof` when the stream ends without the peer having said so, which may be
    /// somebody else's cut (RFC 8446 section 6.1), and `InvalidData` with the fault as its cause.
    pub async fn receive(&mut self) -> io::Result<Option<Chunk>> {
        poll_fn(|context| self.poll_receive(context)).await
    }

    /// As [`Receiver::receive`].
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Chunk>>> {
        let received = ready!(match &mut self.half {
            ReceivingHalf::Plain(plain) => plain.poll_receive(context),
            ReceivingHalf::Tls(tls) => tls.poll_receive(context),
        });
        if let Ok(Some(chunk)) = &received {
            self.received += chunk.len() as u64;
        }
        Poll::Ready(received)
    }

    /// Whether something has happened on an idle connection that was armed: the peer closed it or broke the protocol.
    /// What TLS says to itself is no news.
    pub fn has_news(&mut self) -> bool {
        match &mut self.half {
            ReceivingHalf::Plain(plain) => plain.has_news(),
            ReceivingHalf::Tls(tls) => tls.poll_receive(&mut Context::from_waker(Waker::noop())).is_ready(),
        }
    }

    /// Whether bytes may be taken from the socket by other means: it is in the clear and no receive is in flight.
    pub fn is_spliceable(&self) -> bool {
        matches!(&self.half, ReceivingHalf::Plain(plain) if !plain.is_armed())
    }

    /// Bytes received since the last call, without TLS's own.
    pub fn take_received(&mut self) -> u64 {
        std::mem::take(&mut self.received)
    }

    /// Adds bytes that were taken from the socket by other means.
    pub fn count_received(&mut self, count: u64) {
        self.received += count;
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        match &self.half {
            ReceivingHalf::Plain(plain) => plain.socket(),
            ReceivingHalf::Tls(tls) => tls.plain().socket(),
        }
    }

    fn plain_mut(&mut self) -> &mut PlainReceiver {
        match &mut self.half {
            ReceivingHalf::Plain(plain) => plain,
            ReceivingHalf::Tls(tls) => tls.plain_mut(),
        }
    }
}

/// The sending half.
pub struct Sender {
    half: SendingHalf,
    sent: u64,
}

enum SendingHalf {
    Plain(Socket),
    Tls(Rc<TlsLink>),
}

impl Sender {
    /// Sends all of `bytes`; gives written memory back for reuse.
    ///
    /// # Errors
    /// As send(2); inside TLS also when the session has ended.
    pub async fn send(&mut self, bytes: impl Into<Outgoing>) -> io::Result<Option<Vec<u8>>> {
        self.send_as(bytes.into(), Socket::send).await
    }

    /// Starts to send all of `bytes` where that is the kernel's business alone: in the clear. Inside TLS gives them back.
    pub(in crate::transport) fn start(&mut self, bytes: Vec<u8>) -> Result<Sending, Vec<u8>> {
        match &self.half {
            SendingHalf::Plain(socket) => {
                self.sent += bytes.len() as u64;
                Ok(socket.send(bytes))
            }
            SendingHalf::Tls(_) => Err(bytes),
        }
    }

    /// As [`Sender::send`], for the last bytes before the stream is ended, which has to follow at once.
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub async fn send_last(&mut self, bytes: impl Into<Outgoing>) -> io::Result<Option<Vec<u8>>> {
        self.send_as(bytes.into(), Socket::send_last).await
    }

    async fn send_as(
        &mut self,
        bytes: Outgoing,
        send: impl Fn(&Socket, Outgoing) -> Sending,
    ) -> io::Result<Option<Vec<u8>>> {
        self.sent += bytes.len() as u64;
        match &self.half {
            SendingHalf::Plain(socket) => send(socket, bytes).await,
            SendingHalf::Tls(link) => {
                link.seal(&bytes.slices())?;
                let memory = bytes.recycle();
                link.flushed().await.map(|()| memory)
            }
        }
    }

    /// Tells a TLS peer that nothing more comes, so that it knows the end of the stream for ours; nothing in the clear.
    ///
    /// # Errors
    /// As send(2).
    pub async fn say_goodbye(&mut self) -> io::Result<()> {
        match &self.half {
            SendingHalf::Plain(_) => Ok(()),
            SendingHalf::Tls(link) => {
                link.close_notify();
                link.flushed().await
            }
        }
    }

    /// Says that nothing more comes and ends the stream.
    ///
    /// # Errors
    /// As send(2); the stream has ended all the same.
    pub async fn end(&mut self) -> io::Result<()> {
        let said = self.say_goodbye().await;
        self.socket().shutdown(Direction::Write);
        said
    }

    /// Whether bytes may go to the socket by other means.
    pub fn is_spliceable(&self) -> bool {
        matches!(self.half, SendingHalf::Plain(_))
    }

    /// The protocol that was agreed on by ALPN, inside TLS.
    pub fn application_protocol(&self) -> Option<ApplicationProtocol> {
        self.tls().and_then(|link| link.application_protocol())
    }

    /// Whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.tls().is_some()
    }

    /// What both halves share inside TLS.
    pub(in crate::transport) fn tls(&self) -> Option<&Rc<TlsLink>> {
        match &self.half {
            SendingHalf::Plain(_) => None,
            SendingHalf::Tls(link) => Some(link),
        }
    }

    /// Bytes sent since the last call, without TLS's own.
    pub fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }

    /// Adds bytes that went to the socket by other means.
    pub fn count_sent(&mut self, count: u64) {
        self.sent += count;
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        match &self.half {
            SendingHalf::Plain(socket) => socket,
            SendingHalf::Tls(link) => link.socket(),
        }
    }
}
