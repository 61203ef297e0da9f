//! A TLS session as bytes in and out, client or server: the one file that knows the library's unbuffered API
//! (rustls 0.23; 0.24 replaces it). Reads and writes nothing, and keeps no buffer while the connection is idle.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus};
use rustls::{CommonState, Error, HandshakeKind, InvalidMessage};

use crate::base::Instant;
use crate::model::TlsSuite;

use super::cipher::{Protocol, suite_name};
use super::client_auth::ClientIdentity;
use super::fault::TlsFault;
use super::pieces::Pieces;
use super::record_size::{LARGE, RecordSize};
use super::resolver::take_last_lookup;
use super::settings::{ApplicationProtocol, ClientTls, ServerTls};

/// The largest record on the wire: header, payload, and what protection may add (RFC 5246 section 6.2.3). A caller
/// never has to keep more than this of input that [`Session::feed`] left.
pub const MAX_RECORD: usize = HEADER + LARGE + 2048;

/// The most a handshake message spread over several records may make a session hold. Certificate chains stay far
/// below; the library allows 64 KiB of message, but each of its fragments may be a byte in a record.
const MAX_HELD: usize = 64 * 1024;

const HEADER: usize = 5;

/// Bytes a record has beside its payload, at most: header, explicit nonce (TLS 1.2), content type (TLS 1.3), tag.
const RECORD_OVERHEAD: usize = HEADER + 8 + 1 + 16;

/// One end of a TLS connection. After a fault it only repeats that fault; bytes it left in `out` are still to be
/// sent, since they tell the peer why.
pub struct Session {
    side: Side,
    /// Records of an incomplete handshake message, decrypted in place and to be presented to the library again; and
    /// what followed them. Empty but for peers that fragment handshake messages.
    held: Vec<u8>,
    record_size: RecordSize,
    server_name: Option<Box<str>>,
    stage: Stage,
    peer_closed: bool,
}

enum Side {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has been understood yet: the peer may not be speaking TLS.
    Greeting,
    Handshake,
    Traffic,
    /// We have said goodbye.
    Closed,
    Failed(TlsFault),
}

/// What came of a [`Session::feed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Progress {
    /// Bytes of the input that are done with. The rest is the beginning of a record: present it again, unchanged,
    /// in front of what follows.
    pub consumed: usize,
    /// Bytes known to be missing until that record is whole; 0 if the input ended with a record.
    pub missing: usize,
}

/// What a connection is protected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The protocol version.
    pub protocol: Protocol,
    /// The cipher.
    pub cipher: TlsSuite,
}

impl Session {
    /// The server's end of a new connection.
    pub fn server(tls: &ServerTls) -> Result<Self, TlsFault> {
        let connection = UnbufferedServerConnection::new(tls.0.clone()).map_err(|error| TlsFault::from(&error))?;
        Ok(Self::new(Side::Server(Box::new(connection)), None))
    }

    /// The client's end of a new connection; its first message is appended to `out`.
    pub fn client(tls: &ClientTls, out: &mut Vec<u8>) -> Result<Self, TlsFault> {
        let connection = UnbufferedClientConnection::new(tls.config.clone(), tls.server_name.clone())
            .map_err(|error| TlsFault::from(&error))?;
        let server_name = tls.config.enable_sni.then(|| tls.server_name.to_str().into());
        let mut session = Self::new(Side::Client(Box::new(connection)), server_name);
        let Progress { .. } = session.feed(&mut [], out, |_| ())?;
        Ok(session)
    }

    fn new(side: Side, server_name: Option<Box<str>>) -> Self {
        Self {
            side,
            held: Vec::new(),
            record_size: RecordSize::default(),
            server_name,
            stage: Stage::Greeting,
            peer_closed: false,
        }
    }

    /// Takes bytes from the peer, which are decrypted in place. Plaintext is handed to `sink` piece by piece, in
    /// order; what must be sent (handshake, tickets, alerts) is appended to `out`, also when it fails.
    ///
    /// Send `out` at once, unless this call handed out plaintext and the answer to it will follow at once: then the
    /// bytes (our tickets) may go with the answer. A server that stays silent after the handshake makes clients with
    /// Nagle's algorithm on wait for its delayed acknowledgement.
    pub fn feed(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<Progress, TlsFault> {
        if let Stage::Failed(fault) = self.stage {
            return Err(fault);
        }
        let mut held = std::mem::take(&mut self.held);
        let result = match held.is_empty() {
            true => self.feed_input(input, &mut held, out, &mut sink),
            false => self.feed_held(input, &mut held, out, &mut sink),
        };
        self.held = held;
        result.map_err(|fault| self.fail(fault, out))
    }

    fn feed_input(
        &mut self,
        input: &mut [u8],
        held: &mut Vec<u8>,
        out: &mut Vec<u8>,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<Progress, TlsFault> {
        let consumed = self.process(input, out, sink)?;
        let rest = input.get(consumed..).unwrap_or_default();
        if !starts_with_whole_record(rest) {
            return Ok(Progress { consumed, missing: missing_bytes(rest) });
        }
        hold(held, rest)?;
        Ok(Progress { consumed: input.len(), missing: 0 })
    }

    fn feed_held(
        &mut self,
        input: &mut [u8],
        held: &mut Vec<u8>,
        out: &mut Vec<u8>,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<Progress, TlsFault> {
        hold(held, input)?;
        let consumed = self.process(held, out, sink)?;
        held.drain(..consumed);
        if held.is_empty() {
            *held = Vec::new();
        }
        Ok(Progress { consumed: input.len(), missing: 0 })
    }

    /// Runs the library over `input` until it needs more. Returns how much of it is done with.
    fn process(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<usize, TlsFault> {
        let mut consumed = 0;
        loop {
            let rest = input.get_mut(consumed..).unwrap_or_default();
            let (done, step) = self.side.step(rest, out, sink);
            consumed += done;
            self.note_lookup(&step)?;
            match step {
                Step::Again => {}
                Step::PeerClosed => self.peer_closed = true,
                Step::Idle => break,
                Step::Failed(error) => return Err(self.classify(&error)),
            }
        }
        self.advance(consumed);
        // What follows a goodbye does not matter (RFC 8446 section 6.1).
        Ok(if self.peer_closed { input.len() } else { consumed })
    }

    fn advance(&mut self, consumed: usize) {
        match self.stage {
            Stage::Greeting | Stage::Handshake if !self.common().is_handshaking() => self.stage = Stage::Traffic,
            Stage::Greeting if consumed > 0 => self.stage = Stage::Handshake,
            _ => {}
        }
    }

    /// Learns the server name a client asked for, and whether we had a certificate for it.
    fn note_lookup(&mut self, step: &Step) -> Result<(), TlsFault> {
        if let (Side::Server(_), Stage::Greeting | Stage::Handshake) = (&self.side, self.stage)
            && let Some(lookup) = take_last_lookup()
        {
            self.server_name = lookup.name;
            if !lookup.found && matches!(step, Step::Failed(_)) {
                return Err(TlsFault::UnknownServerName);
            }
        }
        Ok(())
    }

    fn classify(&self, error: &Error) -> TlsFault {
        use InvalidMessage::{InvalidContentType, MessageTooLarge, UnknownProtocolVersion};
        match (self.stage, error) {
            (Stage::Greeting, Error::InvalidMessage(InvalidContentType | MessageTooLarge | UnknownProtocolVersion)) => {
                TlsFault::NotTls
            }
            _ => TlsFault::from(error),
        }
    }

    /// Ends the session with `fault`; the alert that tells the peer goes to `out`, unless we have said goodbye.
    fn fail(&mut self, fault: TlsFault, out: &mut Vec<u8>) -> TlsFault {
        let said_goodbye = self.stage == Stage::Closed;
        self.stage = Stage::Failed(fault);
        self.held = Vec::new();
        while !said_goodbye && self.common().wants_write() {
            let (_, Step::Again) = self.side.step(&mut [], out, &mut |_| ()) else { break };
        }
        fault
    }

    /// Encrypts `plaintext`, the concatenation of its pieces, and appends the records to `out`; their size depends on
    /// how busy the connection has been up to `now`. Only once [`Self::is_handshaking`] is over.
    pub fn seal(&mut self, plaintext: &[&[u8]], now: Instant, out: &mut Vec<u8>) -> Result<(), TlsFault> {
        match self.stage {
            Stage::Traffic => {}
            Stage::Failed(fault) => return Err(fault),
            _ => return Err(TlsFault::Internal),
        }
        self.record_size.begin_write(now);
        let length = plaintext.iter().map(|piece| piece.len()).sum::<usize>();
        out.reserve(length + length.div_ceil(self.record_size.limit()) * RECORD_OVERHEAD);
        let write = Write::Records(Pieces::new(plaintext), &mut self.record_size);
        self.side.write(&mut self.held, write, out).map_err(|fault| self.fail(fault, out))
    }

    /// Says goodbye: appends the close_notify alert to `out` (RFC 8446 section 6.1). Nothing can be sealed after it;
    /// what the peer still sends can be fed. Before the end of the handshake, and the second time, does nothing.
    pub fn close_notify(&mut self, out: &mut Vec<u8>) {
        if self.stage != Stage::Traffic {
            return;
        }
        self.stage = Stage::Closed;
        if let Err(fault) = self.side.write(&mut self.held, Write::Goodbye, out) {
            self.fail(fault, out);
        }
    }

    /// To be asked when the peer's bytes end: whether that is an end it announced, or the data may be cut short.
    pub fn handle_end(&self) -> Result<(), TlsFault> {
        match self.stage {
            Stage::Failed(fault) => Err(fault),
            _ if self.peer_closed => Ok(()),
            Stage::Greeting | Stage::Handshake => Err(TlsFault::HandshakeAbandoned),
            Stage::Traffic | Stage::Closed => Err(TlsFault::Truncated),
        }
    }

    /// Whether the peer has announced that it sends no more.
    pub fn is_peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Whether the handshake is still going on.
    pub fn is_handshaking(&self) -> bool {
        matches!(self.stage, Stage::Greeting | Stage::Handshake)
    }

    /// The protocol version, once agreed.
    pub fn protocol(&self) -> Option<Protocol> {
        self.common().protocol_version().and_then(Protocol::negotiated)
    }

    /// The cipher, once agreed.
    pub fn cipher(&self) -> Option<TlsSuite> {
        self.common().negotiated_cipher_suite().and_then(|suite| suite_name(suite.suite()))
    }

    /// Protocol and cipher together, once agreed.
    pub fn agreed(&self) -> Option<Agreed> {
        self.protocol().zip(self.cipher()).map(|(protocol, cipher)| Agreed { protocol, cipher })
    }

    /// The key exchange group, once the handshake is over; none in a resumed TLS 1.2 session.
    pub fn group(&self) -> Option<&'static str> {
        self.common().negotiated_key_exchange_group().and_then(|group| group.name().as_str())
    }

    /// The application protocol agreed on by ALPN.
    pub fn alpn(&self) -> Option<ApplicationProtocol> {
        self.common().alpn_protocol().and_then(ApplicationProtocol::named)
    }

    /// The server name asked for, in lower case.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Whether an earlier session was resumed.
    pub fn is_resumed(&self) -> bool {
        self.common().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Who the client proved to be, if the listener asked and it has shown a certificate.
    pub fn client_identity(&self) -> Option<ClientIdentity> {
        match &self.side {
            Side::Server(connection) => connection.peer_certificates()?.first().and_then(ClientIdentity::of),
            Side::Client(_) => None,
        }
    }

    fn common(&self) -> &CommonState {
        match &self.side {
            Side::Server(connection) => connection,
            Side::Client(connection) => connection,
        }
    }
}

impl Side {
    fn step(&mut self, input: &mut [u8], out: &mut Vec<u8>, sink: &mut impl FnMut(&[u8])) -> (usize, Step) {
        match self {
            Self::Server(connection) => handle_state(connection.process_tls_records(input), out, sink),
            Self::Client(connection) => handle_state(connection.process_tls_records(input), out, sink),
        }
    }

    /// `held` is what the library has been shown before and still refers to.
    fn write(&mut self, held: &mut [u8], write: Write<'_, '_>, out: &mut Vec<u8>) -> Result<(), TlsFault> {
        match self {
            Self::Server(connection) => handle_write(connection.process_tls_records(held), write, out),
            Self::Client(connection) => handle_write(connection.process_tls_records(held), write, out),
        }
    }
}

/// What the library wants next.
enum Step {
    Again,
    PeerClosed,
    Idle,
    Failed(Error),
}

/// Serves one state of the library. Returns how much of its input is done with.
fn handle_state<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    out: &mut Vec<u8>,
    sink: &mut impl FnMut(&[u8]),
) -> (usize, Step) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = match state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    sink(record.payload);
                }
                Some(Err(error)) => break Step::Failed(error),
                None => break Step::Again,
            }
        },
        Ok(ConnectionState::EncodeTlsData(data)) => encode(data, out),
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Step::Again
        }
        Ok(ConnectionState::PeerClosed) => Step::PeerClosed,
        Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake | ConnectionState::Closed) => {
            Step::Idle
        }
        Ok(state) => Step::Failed(Error::General(format!("unexpected {state:?}"))),
        Err(error) => Step::Failed(error),
    };
    (discard, step)
}

/// Appends a message of the handshake to `out`. Offered no room, the library says how much it needs.
fn encode<Data>(mut data: EncodeTlsData<'_, Data>, out: &mut Vec<u8>) -> Step {
    let start = out.len();
    if let Err(EncodeError::InsufficientSize(needed)) = data.encode(&mut []) {
        out.resize(start + needed.required_size, 0);
        if data.encode(out.get_mut(start..).unwrap_or_default()).is_ok() {
            return Step::Again;
        }
    }
    Step::Failed(Error::EncryptError)
}

/// What to write once the library lets us.
enum Write<'a, 'p> {
    Records(Pieces<'p>, &'a mut RecordSize),
    Goodbye,
}

/// Writes. Everything the library itself had to send went out with the last feed, so it is always ready for this.
fn handle_write<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    write: Write<'_, '_>,
    out: &mut Vec<u8>,
) -> Result<(), TlsFault> {
    let mut traffic = match status.state {
        Ok(ConnectionState::WriteTraffic(traffic)) => traffic,
        Ok(_) => return Err(TlsFault::Internal),
        Err(error) => return Err(TlsFault::from(&error)),
    };
    match write {
        Write::Goodbye => append(out, RECORD_OVERHEAD, |target| traffic.queue_close_notify(target)),
        Write::Records(mut pieces, size) => {
            while let Some(payload) = pieces.next(size.limit()) {
                append(out, payload.len() + RECORD_OVERHEAD, |target| traffic.encrypt(payload, target))?;
                size.record_sealed(payload.len());
            }
            Ok(())
        }
    }
}

/// Lets `write` put at least `room` bytes behind those of `out`; more if it says it needs more (a key update that goes
/// before the record).
fn append(
    out: &mut Vec<u8>,
    mut room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), TlsFault> {
    let start = out.len();
    loop {
        out.resize(start + room, 0);
        let result = write(out.get_mut(start..).unwrap_or_default());
        out.truncate(start + result.as_ref().map_or(0, |written| *written));
        match result {
            Ok(_) => return Ok(()),
            Err(EncryptError::InsufficientSize(needed)) if needed.required_size > room => room = needed.required_size,
            Err(EncryptError::InsufficientSize(_)) => return Err(TlsFault::Internal),
            Err(EncryptError::EncryptExhausted) => return Err(TlsFault::KeysExhausted),
        }
    }
}

fn hold(held: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TlsFault> {
    if held.len() + bytes.len() > MAX_HELD {
        return Err(TlsFault::HandshakeTooLarge);
    }
    held.extend_from_slice(bytes);
    Ok(())
}

/// The library leaves a whole record only when it holds a part of a handshake message, to which it refers by position.
fn starts_with_whole_record(rest: &[u8]) -> bool {
    !rest.is_empty() && missing_bytes(rest) == 0
}

/// What the record at the front of `rest` lacks, as far as its header tells (RFC 8446 section 5.1).
fn missing_bytes(rest: &[u8]) -> usize {
    match rest {
        [] => 0,
        [_, _, _, high, low, body @ ..] => usize::from(u16::from_be_bytes([*high, *low])).saturating_sub(body.len()),
        _ => HEADER - rest.len(),
    }
}

#[cfg(test)]
mod tests;
