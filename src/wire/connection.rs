//! What a connection outlives and what it does not: persistence and the `Connection` field (RFC 9110 section
//! 7.6.1, RFC 9112 section 9.3).

use crate::wire::head::FieldName;
use crate::wire::token::list_members;

/// Whether a connection may carry another message after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Kept open.
    KeepAlive,
    /// Closed after this message.
    Close,
}

/// The options that the `Connection` lines of one head name, gathered as they are parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionOptions {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    nominates: bool,
}

impl ConnectionOptions {
    /// Adds the options of one `Connection` line.
    pub fn add(&mut self, value: &[u8]) {
        for option in list_members(value) {
            if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if may_be_nominated(option) {
                self.nominates = true;
            }
        }
    }

    /// Whether `close` was among them.
    pub fn close(self) -> bool {
        self.close
    }

    /// Whether `upgrade` was among them.
    pub fn upgrade(self) -> bool {
        self.upgrade
    }

    /// Whether they name fields to be removed beyond those that always are.
    pub fn nominates(self) -> bool {
        self.nominates
    }

    /// Persistence of an HTTP/1.1 message: kept unless `close` is named.
    pub fn persistence_http11(self) -> Persistence {
        if self.close { Persistence::Close } else { Persistence::KeepAlive }
    }

    /// Persistence of an HTTP/1.0 message: closed unless `keep-alive` is named and `close` is not.
    pub fn persistence_http10(self) -> Persistence {
        if self.keep_alive && !self.close { Persistence::KeepAlive } else { Persistence::Close }
    }
}

/// Whether a `Connection` option may take the field of that name away.
///
/// RFC 9110 forbids options that name fields meant for all recipients, but does not say what a gateway does
/// with them. Obeyed, they let a client strip what back ends rely on (`Connection: close, X-Forwarded-For`),
/// so these are ignored: every field Elbow acts upon, and the end-to-end fields below.
pub fn may_be_nominated(option: &[u8]) -> bool {
    const END_TO_END: [&[u8]; 14] = [
        b"accept",
        b"age",
        b"authorization",
        b"cache-control",
        b"date",
        b"etag",
        b"expires",
        b"forwarded",
        b"location",
        b"origin",
        b"range",
        b"referer",
        b"vary",
        b"via",
    ];
    const END_TO_END_FAMILIES: [&[u8]; 7] =
        [b"accept-", b"access-control-", b"content-", b"if-", b"sec-", b"x-forwarded-", b"x-real-"];
    FieldName::classify(option) == FieldName::Other
        && !END_TO_END.iter().any(|name| option.eq_ignore_ascii_case(name))
        && !END_TO_END_FAMILIES
            .iter()
            .any(|family| option.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(lines: &[&str]) -> ConnectionOptions {
        let mut options = ConnectionOptions::default();
        for line in lines {
            options.add(line.as_bytes());
        }
        options
    }

    #[test]
    fn close_wins_over_keep_alive_in_every_version() {
        for lines in [&["close, keep-alive"][..], &["Keep-Alive", "CLOSE"]] {
            assert_eq!(options(lines).persistence_http11(), Persistence::Close);
            assert_eq!(options(lines).persistence_http10(), Persistence::Close);
        }
    }

    #[test]
    fn the_default_depends_on_the_version() {
        assert_eq!(options(&[]).persistence_http11(), Persistence::KeepAlive);
        assert_eq!(options(&[]).persistence_http10(), Persistence::Close);
        assert_eq!(options(&["keep-alive"]).persistence_http10(), Persistence::KeepAlive);
    }

    #[test]
    fn essentials_cannot_be_nominated() {
        for name in ["Host", "content-length", "X-Forwarded-For", "x-forwarded-host", "Cookie", "If-Match"] {
            assert!(!may_be_nominated(name.as_bytes()), "{name}");
            assert!(!options(&[name]).nominates(), "{name}");
        }
        assert!(options(&["close, x-hop"]).nominates());
    }
}
