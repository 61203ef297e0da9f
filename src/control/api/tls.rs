//! TLS on the API address: what callers shake hands with, and a connection that carries plain bytes over it.

use crate::base::Instant;
use crate::model::{CertificateFiles, PredefinedPolicy, SecurityPolicy, UnknownName};
use crate::registry::read_certificate;
use crate::tls::{Alpn, ClientAuth, ServerSettings, ServerTls, Session, TicketRing, TlsFault, TlsPolicy, WallClock};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Plaintext sealed at a time: a record.
const PIECE: usize = 16 << 10;

/// What callers of the API are shown, under Elbow's own policy: TLS 1.2 and 1.3. The files are read once.
///
/// # Errors
///
/// The certificate is no good. The message names its chain.
pub fn server_tls(files: &CertificateFiles) -> io::Result<ServerTls> {
    let refuse = |cause: String| io::Error::other(format!("certificate {}: {cause}", files.chain.display()));
    let certificate = read_certificate(files).map_err(|error| refuse(error.to_string()))?;
    let policy = TlsPolicy::of(&SecurityPolicy::Predefined(PredefinedPolicy::DEFAULT));
    let policy = policy.negotiable().map_err(|error| refuse(error.to_string()))?;
    let tickets = TicketRing::random(WallClock::System).map_err(|fault| refuse(fault.to_string()))?;
    ServerTls::new(ServerSettings {
        policy: &policy,
        certificates: &[certificate],
        unknown_name: UnknownName::ServeDefault,
        client_auth: ClientAuth::Off,
        alpn: Alpn::Http1,
        tickets: &Arc::new(tickets),
        clock: WallClock::System,
    })
    .map_err(|fault| refuse(fault.to_string()))
}

/// The server's end of a TLS connection. Shakes hands while it is read from.
pub(super) struct TlsStream {
    tcp: TcpStream,
    session: Session,
    /// Received and not yet consumed by the session: less than a record.
    unread: Vec<u8>,
    /// Decrypted and not yet read.
    plain: Unsent,
    /// Sealed and not yet sent.
    sealed: Unsent,
}

/// Bytes that go out from the front.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    gone: usize,
}

impl Unsent {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.gone..).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.gone += count;
        if self.rest().is_empty() {
            self.bytes.clear();
            self.gone = 0;
        }
    }
}

impl TlsStream {
    /// TLS on a connection that was just accepted.
    ///
    /// # Errors
    ///
    /// The library has no session for it.
    pub(super) fn new(tcp: TcpStream, tls: &ServerTls) -> io::Result<Self> {
        let session = Session::server(tls).map_err(invalid)?;
        Ok(Self { tcp, session, unread: Vec::new(), plain: Unsent::default(), sealed: Unsent::default() })
    }

    /// Sends what is sealed.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.sealed.rest().is_empty() {
            match ready!(Pin::new(&mut self.tcp).poll_write(context, self.sealed.rest()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sealed.consume(sent),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Receives once. An end that the caller has not announced is an error.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unread.reserve(PIECE);
        loop {
            ready!(self.tcp.poll_read_ready(context))?;
            match self.tcp.try_read_buf(&mut self.unread) {
                Ok(0) => return Poll::Ready(self.session.handle_end().map_err(invalid)),
                Ok(_) => return Poll::Ready(self.unseal()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn unseal(&mut self) -> io::Result<()> {
        let plain = &mut self.plain.bytes;
        let fed = self.session.feed(&mut self.unread, &mut self.sealed.bytes, |piece| plain.extend_from_slice(piece));
        match fed {
            Ok(progress) => drop(self.unread.drain(..progress.consumed)),
            Err(fault) => {
                // The alert says why. Whoever does not take it at once has gone.
                let _ = self.tcp.try_write(self.sealed.rest());
                return Err(invalid(fault));
            }
        }
        Ok(())
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.plain.rest().is_empty() {
            // Our side of the handshake. While it does not go out, what comes in is still to be read.
            if let Poll::Ready(Err(error)) = self.poll_send(context) {
                return Poll::Ready(Err(error));
            }
            if self.session.is_peer_closed() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_receive(context))?;
        }
        let count = buffer.remaining().min(self.plain.rest().len());
        buffer.put_slice(self.plain.rest().get(..count).unwrap_or_default());
        self.plain.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(context))?;
        let this = &mut *self;
        let piece = bytes.get(..PIECE).unwrap_or(bytes);
        this.session.seal(&[piece], Instant::ZERO, &mut this.sealed.bytes).map_err(invalid)?;
        // What does not go out now goes before the next piece, or at the flush.
        match self.poll_send(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(piece.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.session.close_notify(&mut this.sealed.bytes);
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

fn invalid(fault: TlsFault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}
