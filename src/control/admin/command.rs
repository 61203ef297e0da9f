//! What a running balancer can be told over its admin address.

use http::{HeaderMap, StatusCode};
use std::net::IpAddr;
use std::pin::Pin;

/// The field that every command carries. A page of another site can make a browser send a simple POST here, but not
/// with a field of its own choosing: for that the browser asks first (Fetch standard, CORS-preflight), and gets a 405.
pub const COMMAND_FIELD: &str = "x-elbow-command";

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Read the configuration file again and go by it.
    Reload,
    /// Say what a reload would change; with a text, as if that were the file.
    Plan(Option<String>),
    /// Give an instance, named `LOAD-BALANCER/INSTANCE`, no more new work.
    Drain(String),
    /// Give it work again.
    Undrain(String),
    /// Say what became of the requests with this id.
    Explain(String),
    /// Make a load balancer of the configuration file one that calls of the ELB API change.
    Import(String),
    /// Say what the load balancers of the ELB API are as a configuration file.
    Export,
}

/// A command that was not carried out: nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Whose fault: 4xx what was asked for, 5xx what could not be done here and now.
    pub status: StatusCode,
    /// For people.
    pub message: String,
}

/// What came of a command: a text for people.
pub type Done = Result<String, Refused>;

/// The work that a command is.
pub type Carrying = Pin<Box<dyn Future<Output = Done>>>;

impl Refused {
    /// What was asked for makes no sense.
    pub fn wrong(message: impl Into<String>) -> Refused {
        Refused { status: StatusCode::UNPROCESSABLE_ENTITY, message: message.into() }
    }
}

/// Why a request with this head must not command anything.
///
/// Besides [`COMMAND_FIELD`], `Host` has to be an address or `localhost`: a browser that was led here by a name of
/// somebody else's (DNS rebinding) says that name.
pub(super) fn forbidden(head: &HeaderMap) -> Option<&'static str> {
    if !head.contains_key(COMMAND_FIELD) {
        return Some("commands carry the field X-Elbow-Command\n");
    }
    let host = head.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let authority: Option<http::uri::Authority> = host.parse().ok();
    let name = authority.as_ref().map_or("", |authority| authority.host()).trim_matches(['[', ']']);
    let is_ours = name == "localhost" || name.parse::<IpAddr>().is_ok();
    (!is_ours).then_some("commands are sent to an address or to localhost, not to a name\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_cannot_be_made_to_command() {
        for (field, host, allowed) in [
            (true, "127.0.0.1:9900", true),
            (true, "[::1]:9900", true),
            (true, "localhost", true),
            (false, "127.0.0.1:9900", false),
            (true, "evil.example:9900", false),
            (true, "127.0.0.1.evil.example", false),
            (true, "", false),
        ] {
            let mut head = HeaderMap::new();
            head.insert(http::header::HOST, host.parse().expect("a value"));
            if field {
                head.insert(COMMAND_FIELD, "1".parse().expect("a value"));
            }
            assert_eq!(forbidden(&head).is_none(), allowed, "{field} {host}");
        }
    }
}
