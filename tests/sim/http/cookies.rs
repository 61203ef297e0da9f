//! What a client remembers of its session.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use elbow::base::Instant;

/// The cookie of sticky sessions.
const NAME: &str = "AWSELB=";

/// A session as its client knows it.
#[derive(Clone, Debug)]
pub struct Bond {
    cookie: String,
    /// The back end that answered with the cookie.
    pub back_end: SocketAddr,
    /// When the answer came.
    pub since: Instant,
}

/// The cookies of one client. Clones are handles to the same ones.
#[derive(Clone, Debug, Default)]
pub struct Jar {
    bond: Rc<RefCell<Option<Bond>>>,
}

impl Jar {
    /// The client's session.
    pub fn bond(&self) -> Option<Bond> {
        self.bond.borrow().clone()
    }

    /// Keeps the cookie that `values` of `Set-Cookie` bring from `back_end`.
    pub fn keep<'a>(&self, values: impl Iterator<Item = &'a str>, back_end: SocketAddr, now: Instant) {
        for value in values.filter(|value| value.starts_with(NAME)) {
            let cookie = value.split(';').next().unwrap_or_default().to_owned();
            *self.bond.borrow_mut() = Some(Bond { cookie, back_end, since: now });
        }
    }
}

impl Bond {
    /// The field that names the session.
    pub fn field(&self) -> String {
        format!("Cookie: other=1; {}\r\n", self.cookie)
    }
}
