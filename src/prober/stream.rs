//! The connection of a probe, in the clear or inside TLS, as one stream of bytes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::base;
use crate::tls::{ApplicationProtocol, ClientTls, Session, TlsFault};

/// Received at a time.
const RECEIVED_BYTES: usize = 4096;

/// An open connection.
pub(super) struct ProbeStream {
    tcp: TcpStream,
    tls: Option<Box<Tls>>,
}

struct Tls {
    session: Session,
    /// Received and not yet consumed by the session: less than a record and what was received last.
    unread: Vec<u8>,
    /// Opened and not yet read.
    opened: BytesMut,
    /// Sealed and not yet sent.
    sealed: Vec<u8>,
}

impl ProbeStream {
    /// In the clear.
    pub(super) fn plain(tcp: TcpStream) -> ProbeStream {
        ProbeStream { tcp, tls: None }
    }

    /// Shakes hands on `tcp`.
    ///
    /// # Errors
    /// Of the connection; of the session as [`io::ErrorKind::InvalidData`] around its [`TlsFault`].
    pub(super) async fn secure(tcp: TcpStream, client: &ClientTls) -> io::Result<ProbeStream> {
        let mut sealed = Vec::new();
        let session = Session::client(client, &mut sealed).map_err(invalid)?;
        let mut tls = Box::new(Tls { session, unread: Vec::new(), opened: BytesMut::new(), sealed });
        let mut tcp = tcp;
        poll_fn(|context| tls.poll_handshake(&mut tcp, context)).await?;
        Ok(ProbeStream { tcp, tls: Some(tls) })
    }

    /// Whether TLS is spoken.
    pub(super) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// What was agreed on by ALPN.
    pub(super) fn application_protocol(&self) -> Option<ApplicationProtocol> {
        self.tls.as_ref().and_then(|tls| tls.session.alpn())
    }

    /// The connection underneath, on which the session is ended.
    pub(super) async fn into_tcp(mut self) -> TcpStream {
        if let Some(tls) = &mut self.tls {
            tls.session.close_notify(&mut tls.sealed);
            // Whether the instance hears it or not, the verdict stands.
            let _ = self.tcp.write_all(&tls.sealed).await;
        }
        self.tcp
    }
}

impl Tls {
    fn poll_handshake(&mut self, tcp: &mut TcpStream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(tcp, context))?;
        while self.session.is_handshaking() {
            ready!(self.poll_receive(tcp, context))?;
        }
        self.poll_send(tcp, context)
    }

    /// Gives the session what comes next, which may open nothing. What it has to say is sent as far as there is room.
    fn poll_receive(&mut self, tcp: &mut TcpStream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; RECEIVED_BYTES];
        let mut received = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut *tcp).poll_read(context, &mut received))?;
        if received.filled().is_empty() {
            return Poll::Ready(
                self.session.handle_end().map_err(invalid).and(Err(io::ErrorKind::UnexpectedEof.into())),
            );
        }
        self.unread.extend_from_slice(received.filled());
        let opened = &mut self.opened;
        let fed = self.session.feed(&mut self.unread, &mut self.sealed, |piece| opened.extend_from_slice(piece));
        // An alert, too: it says why. Nobody waits for it.
        let _ = self.poll_send(tcp, context)?;
        self.unread.drain(..fed.map_err(invalid)?.consumed);
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, tcp: &mut TcpStream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.sealed.is_empty() {
            let sent = ready!(Pin::new(&mut *tcp).poll_write(context, &self.sealed))?;
            self.sealed.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ProbeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { tcp, tls } = &mut *self;
        let Some(tls) = tls else { return Pin::new(tcp).poll_read(context, buffer) };
        while tls.opened.is_empty() && !tls.session.is_peer_closed() {
            ready!(tls.poll_receive(tcp, context))?;
        }
        let length = tls.opened.len().min(buffer.remaining());
        buffer.put_slice(&tls.opened[..length]);
        tls.opened.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ProbeStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { tcp, tls } = &mut *self;
        let Some(tls) = tls else { return Pin::new(tcp).poll_write(context, bytes) };
        ready!(tls.poll_send(tcp, context))?;
        tls.session.seal(&[bytes], base::Instant::ZERO, &mut tls.sealed).map_err(invalid)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { tcp, tls } = &mut *self;
        match tls {
            Some(tls) => tls.poll_send(tcp, context),
            None => Pin::new(tcp).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { tcp, tls } = &mut *self;
        if let Some(tls) = tls {
            tls.session.close_notify(&mut tls.sealed);
            ready!(tls.poll_send(tcp, context))?;
        }
        Pin::new(tcp).poll_shutdown(context)
    }
}

fn invalid(fault: TlsFault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}
