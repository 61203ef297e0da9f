//! From a connected socket to a TLS connection. How long that may take is the caller's business.

use std::future::poll_fn;
use std::io;

use crate::base::Instant;
use crate::runtime::Socket;
use crate::tls::{Agreed, ApplicationProtocol, ClientIdentity, ClientTls, ServerTls, Session, TlsFault};
use crate::transport::halves::tls_halves;
use crate::transport::tls_stream::{TlsLink, TlsReceiver};
use crate::transport::{PlainReceiver, Receiver, Sender};

/// A client that has shaken hands.
pub struct Accepted {
    /// Its connection.
    pub halves: (Receiver, Sender),
    /// When its first byte arrived.
    pub began: Instant,
    /// What protects it.
    pub agreed: Option<Agreed>,
    /// Whether it came back: an earlier session was resumed.
    pub is_resumed: bool,
    /// Who it proved to be, if it was asked and has shown a certificate.
    pub identity: Option<ClientIdentity>,
    /// What it speaks inside, if it was asked (ALPN).
    pub protocol: Option<ApplicationProtocol>,
}

/// Why there is no TLS connection.
#[derive(Debug)]
pub enum HandshakeError {
    /// The peer closed before its first byte.
    NothingSaid,
    /// The handshake failed; the peer has been told why.
    Fault(TlsFault),
    /// The connection broke.
    Broken(io::Error),
}

/// Shakes hands with a client that has connected, from what `receiver` receives next.
///
/// # Errors
/// Why it failed.
pub async fn accept_tls(mut receiver: PlainReceiver, tls: &ServerTls) -> Result<Accepted, HandshakeError> {
    let socket = receiver.socket().clone();
    let io = socket.io().clone();
    let first = poll_fn(|context| receiver.poll_receive(context)).await.map_err(HandshakeError::Broken)?;
    let first = first.ok_or(HandshakeError::NothingSaid)?;
    let began = io.now();
    let session = Session::server(tls).map_err(HandshakeError::Fault)?;
    let link = TlsLink::new(socket, session, Vec::new());
    let halves = shake_hands(TlsReceiver::new(receiver, link.clone(), Some(first))).await?;
    Ok(Accepted {
        halves,
        began,
        agreed: link.agreed(),
        is_resumed: link.is_resumed(),
        identity: link.client_identity(),
        protocol: link.application_protocol(),
    })
}

/// Shakes hands with a server that has accepted.
///
/// # Errors
/// Why it failed.
pub async fn connect_tls(socket: Socket, tls: &ClientTls) -> Result<(Receiver, Sender), HandshakeError> {
    let mut greeting = Vec::new();
    let session = Session::client(tls, &mut greeting).map_err(HandshakeError::Fault)?;
    let link = TlsLink::new(socket.clone(), session, greeting);
    link.flushed().await.map_err(HandshakeError::Broken)?;
    shake_hands(TlsReceiver::new(PlainReceiver::new(socket), link, None)).await
}

/// A client may send its request together with the end of the handshake: it is kept for the receiver.
async fn shake_hands(mut receiver: TlsReceiver) -> Result<(Receiver, Sender), HandshakeError> {
    let link = receiver.link().clone();
    while link.is_handshaking() {
        match poll_fn(|context| receiver.poll_progress(context)).await {
            Ok(true) => {}
            Ok(false) => return Err(HandshakeError::Fault(TlsFault::HandshakeAbandoned)),
            Err(error) => {
                // The alert is worth a wait, a second failure is not worth a word.
                let _ = link.flushed().await;
                return Err(of(error));
            }
        }
    }
    Ok(tls_halves(Box::new(receiver)))
}

fn of(error: io::Error) -> HandshakeError {
    match error.get_ref().and_then(|cause| cause.downcast_ref::<TlsFault>()) {
        Some(fault) => HandshakeError::Fault(*fault),
        None => HandshakeError::Broken(error),
    }
}
