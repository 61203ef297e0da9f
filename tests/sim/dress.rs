//! What the two sides of the node speak beside HTTP/1.1 and TCP in the clear.

use std::io;
use std::rc::Rc;

use elbow::base::random::Random;
use elbow::runtime::Socket;

use crate::line::{Line, Servers};

/// The protocols of one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dress {
    /// Clients speak TLS.
    pub front_tls: bool,
    /// Some clients speak HTTP/2.
    pub front_streams: bool,
    /// Back ends speak TLS.
    pub instance_tls: bool,
    /// HTTP back ends speak HTTP/2.
    pub instance_streams: bool,
}

impl Dress {
    /// Any but the plainest.
    pub fn drawn(seed: u64) -> Dress {
        let drawn = 1 + Random::new(seed.wrapping_add(1) << 20).below(15);
        let [front_tls, front_streams, instance_tls, instance_streams] = [1, 2, 4, 8].map(|bit| drawn & bit > 0);
        Dress { front_tls, front_streams, instance_tls, instance_streams }
    }

    /// How back ends take a connection, to speak `protocols` on it.
    pub fn servers(&self, protocols: &[&[u8]]) -> Reception {
        Reception { tls: self.instance_tls.then(|| Rc::new(Servers::new(protocols))) }
    }
}

/// How back ends take connections.
#[derive(Clone)]
pub struct Reception {
    tls: Option<Rc<Servers>>,
}

impl Reception {
    /// Shakes hands, where that is the custom.
    ///
    /// # Errors
    /// When no connection comes about.
    pub async fn accept(&self, socket: Socket) -> io::Result<Line> {
        match &self.tls {
            Some(servers) => servers.accept(socket).await,
            None => Ok(socket.into()),
        }
    }
}
