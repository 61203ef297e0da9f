//! The four protocols of a listener and the rule that a front end and its back end are of one layer.

use super::Invalid;
use super::keyword::keyword;

keyword! {
    /// What is spoken on one side of a listener.
    pub enum Protocol {
        /// Parsed HTTP, in the clear.
        Http = "HTTP",
        /// Parsed HTTP inside TLS.
        Https = "HTTPS",
        /// A byte stream.
        Tcp = "TCP",
        /// A byte stream inside TLS.
        Ssl = "SSL",
    }
}

/// How much of the traffic is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Bytes: one back-end connection per client connection.
    Four,
    /// Requests: many clients share few back-end connections.
    Seven,
}

impl Protocol {
    /// HTTP and HTTPS are layer 7, TCP and SSL layer 4.
    pub const fn layer(self) -> Layer {
        match self {
            Self::Http | Self::Https => Layer::Seven,
            Self::Tcp | Self::Ssl => Layer::Four,
        }
    }

    /// Whether TLS is spoken: HTTPS and SSL.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Https | Self::Ssl)
    }

    /// What the back end speaks when nothing is said: the plain protocol of the same layer, as in ELB.
    pub const fn default_instance_protocol(self) -> Self {
        match self.layer() {
            Layer::Seven => Self::Http,
            Layer::Four => Self::Tcp,
        }
    }
}

/// The protocols of both sides of a listener, of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProtocolPair {
    front: Protocol,
    back: Protocol,
}

impl ProtocolPair {
    /// Both protocols, if they are of one layer.
    pub fn new(front: Protocol, back: Protocol) -> Result<Self, Invalid> {
        if front.layer() == back.layer() {
            return Ok(Self { front, back });
        }
        let allowed = match front.layer() {
            Layer::Seven => "HTTP or HTTPS",
            Layer::Four => "TCP or SSL",
        };
        Err(Invalid::new(format!(
            "protocol {front} and instance protocol {back} are of different layers, expected {allowed}"
        )))
    }

    /// What clients speak.
    pub const fn front(self) -> Protocol {
        self.front
    }

    /// What instances speak.
    pub const fn back(self) -> Protocol {
        self.back
    }

    /// The layer that both share.
    pub const fn layer(self) -> Layer {
        self.front.layer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Keyword;

    #[test]
    fn exactly_the_pairs_of_one_layer_exist() {
        for &front in Protocol::ALL {
            for &back in Protocol::ALL {
                assert_eq!(ProtocolPair::new(front, back).is_ok(), front.layer() == back.layer(), "{front} {back}");
            }
            assert!(ProtocolPair::new(front, front.default_instance_protocol()).is_ok());
        }
    }

    #[test]
    fn letter_case_does_not_matter_when_reading() {
        assert_eq!("https".parse(), Ok(Protocol::Https));
        assert_eq!("Tcp".parse(), Ok(Protocol::Tcp));
        let error = "UDP".parse::<Protocol>().unwrap_err();
        assert_eq!(error.to_string(), r#"expected "HTTP", "HTTPS", "TCP" or "SSL""#);
    }
}
