//! What a process and the one that succeeds it say to each other when the binary is upgraded, and in which order.
//!
//! 1. The successor has read its configuration and says [`Successor::Prepared`].
//! 2. The predecessor closes what only one process may have open and sends its [`Estate`], with every listening socket.
//! 3. The successor accepts on them and says [`Successor::Serving`]: which of them it took.
//! 4. The predecessor answers [`Predecessor::Yours`], and drains. A stream that ends here says the same.
//!
//! Until then a stream that ends, a silence, or a message that is none of these leaves everything with the predecessor.
//! The two may be of different releases: fields are added, never given another meaning.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::runtime::HandoverChannel;

/// What the successor says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Successor {
    /// Its configuration is good.
    Prepared,
    /// It accepts connections on these sockets, by their place in [`Estate::sockets`], and has closed the others.
    Serving(Vec<usize>),
}

/// What the predecessor says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predecessor {
    /// What it leaves.
    Estate(Estate),
    /// From now on the successor answers for the node.
    Yours,
}

/// What one process leaves to the next. It holds secrets, and is only ever sent from one to the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estate {
    /// What the descriptors are that come along, in their order.
    pub sockets: Vec<Purpose>,
    /// What is known of instances.
    #[serde(default)]
    pub instances: Vec<KnownInstance>,
    /// The keys of TLS session tickets, in the form of [`crate::tls::TicketRing::export`].
    #[serde(default)]
    pub ticket_keys: Vec<u8>,
}

/// What a listening socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A listener's, on one core.
    Listener {
        /// The core, counted from 0.
        core: usize,
        /// Where.
        address: SocketAddr,
        /// Whether the supervisor opened it and goes on with it when nobody else does.
        #[serde(default)]
        supervised: bool,
    },
    /// The admin pages'.
    Admin,
    /// The API's.
    Api,
}

/// How an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownInstance {
    /// The load balancer it is registered with.
    pub load_balancer: String,
    /// What it is called there.
    pub id: String,
    /// Where it is.
    pub ip: IpAddr,
    /// Its own port, if it has one.
    pub port: Option<u16>,
    /// What probes found, if anything.
    pub in_service: Option<bool>,
    /// Whether the operator wants it to get no new work.
    pub draining: bool,
    /// Whether its share of the traffic still grows.
    #[serde(default)]
    pub newcomer: bool,
}

/// Says something, with these descriptors.
///
/// # Errors
/// The other side has gone, or does not take it within `patience`.
pub fn say(
    channel: &HandoverChannel,
    word: &impl Serialize,
    sockets: &[OwnedFd],
    patience: Duration,
) -> io::Result<()> {
    channel.send(&serde_json::to_vec(word)?, sockets, patience)
}

/// Waits for what the other side says next; `None` when it has gone.
///
/// # Errors
/// Nothing comes within `patience`, or something else.
pub fn hear<T: DeserializeOwned>(
    channel: &HandoverChannel,
    patience: Duration,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let Some((message, sockets)) = channel.receive(patience)? else { return Ok(None) };
    Ok(Some((serde_json::from_slice(&message)?, sockets)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_another_release_are_understood() {
        let older: Predecessor = serde_json::from_str(r#"{"estate":{"sockets":["admin"]}}"#).expect("an estate");
        assert_eq!(older, Predecessor::Estate(Estate { sockets: vec![Purpose::Admin], ..Estate::default() }));
        let newer = r#"{"estate":{"sockets":[{"listener":{"core":1,"address":"[::1]:80","speed":9}}],"more":[]}}"#;
        let socket = Purpose::Listener { core: 1, address: "[::1]:80".parse().expect("one"), supervised: false };
        let estate = Estate { sockets: vec![socket], ..Estate::default() };
        assert_eq!(serde_json::from_str::<Predecessor>(newer).expect("an estate"), Predecessor::Estate(estate));
        assert!(serde_json::from_str::<Successor>("\"ready\"").is_err());
    }
}
