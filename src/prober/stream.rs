//! The connection of a probe, in the clear or inside TLS. Never verifies: ELB's health checks do not either.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::base;
use crate::tls::{Alpn, BackendTrust, ClientSettings, ClientTls, MAX_RECORD, Session, TlsFault, WallClock};

/// An open connection.
pub(super) struct ProbeStream {
    tcp: TcpStream,
    tls: Option<Box<Tls>>,
}

struct Tls {
    session: Session,
    /// Received and not yet consumed by the session: less than a record.
    unread: Vec<u8>,
}

impl ProbeStream {
    /// In the clear.
    pub(super) fn plain(tcp: TcpStream) -> ProbeStream {
        ProbeStream { tcp, tls: None }
    }

    /// Shakes hands on `tcp`. Every probe makes a whole handshake, so that it shows whether the instance still can.
    ///
    /// # Errors
    /// Of the connection, or of the session, as [`io::ErrorKind::InvalidData`].
    pub(super) async fn secure(tcp: TcpStream) -> io::Result<ProbeStream> {
        let settings = ClientSettings {
            trust: &BackendTrust::Anyone,
            server_name: None,
            alpn: Alpn::Off,
            clock: WallClock::System,
        };
        let client = ClientTls::new(settings).map_err(io::Error::other)?;
        let mut greeting = Vec::new();
        let session = Session::client(&client, &mut greeting).map_err(invalid)?;
        let mut stream = ProbeStream { tcp, tls: Some(Box::new(Tls { session, unread: Vec::new() })) };
        stream.tcp.write_all(&greeting).await?;
        let mut early = Vec::new();
        while stream.is_handshaking() {
            stream.receive(&mut early).await?;
        }
        Ok(stream)
    }

    /// Sends all of `bytes`.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return self.tcp.write_all(bytes).await };
        let mut sealed = Vec::new();
        tls.session.seal(&[bytes], base::Instant::ZERO, &mut sealed).map_err(invalid)?;
        self.tcp.write_all(&sealed).await
    }

    /// Appends what comes next to `received`, perhaps nothing; `UnexpectedEof` at the end.
    pub(super) async fn receive(&mut self, received: &mut Vec<u8>) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return match self.tcp.read_buf(received).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            };
        };
        tls.unread.reserve(MAX_RECORD);
        if tls.session.is_peer_closed() || self.tcp.read_buf(&mut tls.unread).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut answer = Vec::new();
        let fed = tls.session.feed(&mut tls.unread, &mut answer, |piece| received.extend_from_slice(piece));
        // An alert, too: it says why.
        self.tcp.write_all(&answer).await?;
        tls.unread.drain(..fed.map_err(invalid)?.consumed);
        Ok(())
    }

    /// The connection underneath, on which the session is ended.
    pub(super) async fn into_tcp(mut self) -> TcpStream {
        let mut goodbye = Vec::new();
        if let Some(tls) = &mut self.tls {
            tls.session.close_notify(&mut goodbye);
            // Whether the instance hears it or not, the verdict stands.
            let _ = self.tcp.write_all(&goodbye).await;
        }
        self.tcp
    }

    fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.session.is_handshaking())
    }
}

fn invalid(fault: TlsFault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}
