//! What a connection has to say when many tasks say it: written at any time, sent together once per turn.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::base::Instant;
use crate::runtime::Socket;
use crate::transport::Sender;
use crate::transport::outbox::Outbox;
use crate::transport::tls_stream::TlsLink;

/// Written bytes that may wait for the send before them: as much as one send usually takes. With those under way a peer
/// that reads nothing costs twice this.
const ROOM: usize = 64 * 1024;

/// The sending half in the hands of whoever polls.
pub(in crate::transport) struct Outlet {
    sender: Sender,
    way: Way,
}

enum Way {
    Plain(Socket, Outbox),
    Tls(Rc<TlsLink>),
}

impl Outlet {
    /// For `sender`, on which nothing is under way.
    pub fn new(sender: Sender) -> Outlet {
        let way = match sender.tls() {
            Some(link) => Way::Tls(link.clone()),
            None => Way::Plain(sender.socket().clone(), Outbox::default()),
        };
        Outlet { sender, way }
    }

    /// Whether more may be written before something has been sent.
    pub fn has_room(&self) -> bool {
        let waiting = match &self.way {
            Way::Plain(_, outbox) => outbox.waiting.len(),
            Way::Tls(link) => link.waiting(),
        };
        waiting < ROOM
    }

    /// Writes `pieces`; nothing is sent yet.
    ///
    /// # Errors
    /// When the TLS session has ended.
    pub fn write(&mut self, pieces: &[&[u8]]) -> io::Result<()> {
        match &mut self.way {
            Way::Plain(_, outbox) => pieces.iter().for_each(|piece| outbox.waiting.extend_from_slice(piece)),
            Way::Tls(link) => link.seal(pieces)?,
        }
        self.sender.count_sent(pieces.iter().map(|piece| piece.len() as u64).sum());
        Ok(())
    }

    /// Sends what was written; ready when the kernel has taken it all.
    pub fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Plain(socket, outbox) => outbox.poll_sent(socket, context),
            Way::Tls(link) => link.poll_flushed(context),
        }
    }

    /// Since when the kernel has been taking what it was given last.
    pub fn sending_since(&self) -> Option<Instant> {
        match &self.way {
            Way::Plain(_, outbox) => outbox.sending_since(),
            Way::Tls(link) => link.sending_since(),
        }
    }

    /// The half underneath.
    pub fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// Gives the half back; what is under way is cancelled.
    pub fn into_sender(self) -> Sender {
        self.sender
    }
}
