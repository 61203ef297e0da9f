//! One HTTP/1.1 connection to an instance.

use crate::runtime::Socket;
use crate::transport::{Http1Reader, Http1Writer, Receiver, Sender};

/// Both halves of the connection. Between two requests its receive is armed, so that a close by the instance is seen.
pub struct Backend {
    /// What the instance answers.
    pub reader: Http1Reader,
    /// What it is asked.
    pub writer: Http1Writer,
}

impl Backend {
    /// A connection just made.
    pub fn new((receiver, sender): (Receiver, Sender)) -> Backend {
        Backend { reader: Http1Reader::new(receiver), writer: Http1Writer::new(sender) }
    }

    /// Whether the connection can carry another request: nothing has arrived on it unasked, and it is open as far as is
    /// known.
    pub fn is_fit(&mut self) -> bool {
        !self.reader.has_unread() && !self.reader.receiver().has_news()
    }
}

/// A request under way on a connection. Dropped before it is finished, whoever gave up, it makes the connection's close
/// a reset: the instance shall not take a cut request for a whole one, nor go on with an answer that nobody wants.
pub struct Unfinished {
    socket: Option<Socket>,
}

impl Unfinished {
    /// Begins a request on `backend`.
    pub fn new(backend: &Backend) -> Unfinished {
        Unfinished { socket: Some(backend.writer.socket().clone()) }
    }

    /// The request has been answered.
    pub fn finish(mut self) {
        self.socket = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.socket.iter().for_each(Socket::reset_on_close);
    }
}
