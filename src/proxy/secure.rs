//! A client's TLS handshake, before anything is served.

use bytes::Bytes;

use crate::model::Reason;
use crate::proxy::session::Session;
use crate::proxy::{account, entrance, http2};
use crate::tls::{ApplicationProtocol, ClientIdentity};
use crate::transport::{Accepted, HandshakeError, PlainReceiver, accept_tls, linger, plain_halves};
use crate::wire::forward::ClientCertificate;

/// Shakes hands with a client of a secure listener and serves it, or counts why not.
pub async fn serve(mut session: Session, receiver: PlainReceiver) {
    let Some(tls) = &session.entry.tls else { return };
    let socket = receiver.socket().clone();
    let deadline = session.now() + session.tls_handshake_timeout();
    let reason = match session.core.io.within(deadline, accept_tls(receiver, &tls.server)).await {
        Ok(Ok(Accepted { halves, began, agreed, is_resumed, identity, protocol })) => {
            session.note_handshake(agreed, identity.map(client_certificate));
            let cells = session.cells();
            cells.tls_handshake_duration.record(session.now().since(began));
            if let Some(agreed) = agreed {
                cells.tls_handshakes.record(agreed.cipher, is_resumed);
            }
            return match protocol {
                Some(ApplicationProtocol::Http2) => http2::start(session, halves, Bytes::new()),
                Some(ApplicationProtocol::Http1) | None => entrance::serve(session, halves),
            };
        }
        // Connections opened ahead of need, and the probes of others.
        Ok(Err(HandshakeError::NothingSaid)) => return,
        Ok(Err(HandshakeError::Fault(fault))) => {
            tracing::debug!(client = %session.client(), %fault, "TLS handshake failed");
            fault.client_reason()
        }
        Ok(Err(HandshakeError::Broken(_))) => Reason::TlsHandshakeFailed,
        Err(_elapsed) => Reason::TlsHandshakeTimeout,
    };
    account::close_failed(&session.party(), reason);
    // The client may still be sending; a reset would overtake the alert.
    let (receiver, sender) = plain_halves(PlainReceiver::new(socket));
    linger(receiver, sender).await;
}

/// What instances are told of a client.
fn client_certificate(identity: ClientIdentity) -> ClientCertificate {
    let ClientIdentity { subject, issuer, serial, fingerprint } = identity;
    ClientCertificate { subject, issuer, serial, fingerprint: fingerprint.to_string() }
}
