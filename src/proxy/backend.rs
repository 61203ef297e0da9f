//! One HTTP/1.1 connection to an instance.

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

    /// Makes the close a reset: the instance shall not take a cut request for a whole one.
    pub fn abort(self) {
        self.writer.socket().reset_on_close();
    }
}
