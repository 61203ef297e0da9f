//! A connection of the simulation's own peers, in the clear or inside TLS. TLS is spoken through another interface of the
//! library than the code under test uses.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use elbow::runtime::{Direction, Socket};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};

use crate::flows::timely;

/// The certificate of every secure end in the simulation, and its key. Its signatures are of one length, so that a
/// handshake has the same number of bytes whatever its random numbers are.
pub const CHAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/certificate/chain.pem");
pub const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/certificate/key.pem");

/// The name in the certificate.
const NAME: &str = "sim.test";

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(CryptoProvider { kx_groups: vec![kx_group::X25519], ..default_provider() }));

/// What a client offers in its handshake.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// TLS 1.2 and nothing newer.
    pub old: bool,
    /// The application protocols.
    pub protocols: &'static [&'static [u8]],
}

/// How clients of one run shake hands; they resume each other's sessions.
pub struct Clients {
    configs: [Arc<ClientConfig>; 2],
}

impl Default for Clients {
    fn default() -> Clients {
        let mut roots = RootCertStore::empty();
        roots.add(certificate()).expect("a good certificate");
        let config = |versions| {
            let builder = ClientConfig::builder_with_provider(PROVIDER.clone()).with_protocol_versions(versions);
            let builder = builder.expect("versions of the library").with_root_certificates(roots.clone());
            Arc::new(builder.with_no_client_auth())
        };
        Clients { configs: [config(&[&TLS12]), config(&[&TLS13])] }
    }
}

impl Clients {
    /// Shakes hands with the node.
    ///
    /// # Errors
    /// When the connection breaks, or something about the node's TLS is wrong.
    pub async fn connect(&self, socket: Socket, offer: Offer) -> io::Result<Line> {
        let mut config = ClientConfig::clone(&self.configs[usize::from(!offer.old)]);
        config.alpn_protocols = offer.protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(NAME).expect("a good name");
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        shake_hands(socket, connection.into()).await
    }
}

/// How secure back ends of one run shake hands.
pub struct Servers {
    config: Arc<ServerConfig>,
}

impl Servers {
    /// For back ends that speak `protocols` inside.
    pub fn new(protocols: &[&[u8]]) -> Servers {
        let key = PrivateKeyDer::from_pem_file(KEY).expect("a good key");
        let builder = ServerConfig::builder_with_provider(PROVIDER.clone()).with_protocol_versions(&[&TLS12, &TLS13]);
        let builder = builder.expect("versions of the library").with_no_client_auth();
        let mut config = builder.with_single_cert(vec![certificate()], key).expect("a good certificate");
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Servers { config: Arc::new(config) }
    }

    /// Shakes hands with the node.
    ///
    /// # Errors
    /// As [`Clients::connect`].
    pub async fn accept(&self, socket: Socket) -> io::Result<Line> {
        let connection = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        shake_hands(socket, connection.into()).await
    }
}

/// A connection. Clones are handles to the same one: one may receive while another sends.
#[derive(Clone)]
pub struct Line {
    socket: Socket,
    tls: Option<Rc<RefCell<Tls>>>,
}

struct Tls {
    connection: Connection,
    /// Plaintext that nobody has heard: what a client says together with the end of its handshake.
    early: Vec<u8>,
}

impl From<Socket> for Line {
    /// In the clear.
    fn from(socket: Socket) -> Line {
        Line { socket, tls: None }
    }
}

impl Line {
    /// What carries it.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether it is inside TLS.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The application protocol agreed on.
    pub fn protocol(&self) -> Option<Vec<u8>> {
        self.tls.as_ref()?.borrow().connection.alpn_protocol().map(<[u8]>::to_vec)
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// As send(2).
    pub async fn send(&self, bytes: Vec<u8>) -> io::Result<()> {
        let bytes = match &self.tls {
            None => bytes,
            Some(tls) => {
                let connection = &mut tls.borrow_mut().connection;
                connection.writer().write_all(&bytes)?;
                sealed(connection)?
            }
        };
        self.socket.send(bytes).await.map(drop)
    }

    /// Adds what comes next to `heard`; false at the end of the stream. One that is cut ends with an error inside TLS.
    ///
    /// # Errors
    /// As recv(2), and what breaks TLS.
    pub async fn receive(&self, heard: &mut Vec<u8>) -> io::Result<bool> {
        let Some(tls) = &self.tls else {
            let received = self.socket.receive_once().await?;
            received.iter().for_each(|chunk| heard.extend_from_slice(chunk));
            return Ok(received.is_some());
        };
        let before = heard.len();
        heard.append(&mut tls.borrow_mut().early);
        loop {
            let goes_on = open(&mut tls.borrow_mut().connection, heard)?;
            if heard.len() > before || !goes_on {
                return Ok(heard.len() > before);
            }
            let Some(chunk) = self.socket.receive_once().await? else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            take_in(&mut tls.borrow_mut().connection, &chunk, heard)?;
        }
    }

    /// Says that nothing more comes, where that can be said without ending the stream.
    ///
    /// # Errors
    /// As send(2).
    pub async fn say_goodbye(&self) -> io::Result<()> {
        let Some(tls) = &self.tls else { return Ok(()) };
        let sealed = {
            let connection = &mut tls.borrow_mut().connection;
            connection.send_close_notify();
            sealed(connection)?
        };
        self.socket.send(sealed).await.map(drop)
    }

    /// Ends the stream, with a goodbye.
    ///
    /// # Errors
    /// As send(2); the stream has ended all the same.
    pub async fn end(&self) -> io::Result<()> {
        let said = self.say_goodbye().await;
        self.socket.shutdown(Direction::Write);
        said
    }
}

async fn shake_hands(socket: Socket, mut connection: Connection) -> io::Result<Line> {
    // Whoever uses the line flushes what it says.
    connection.set_buffer_limit(None);
    let mut early = Vec::new();
    loop {
        let sealed = sealed(&mut connection)?;
        if !sealed.is_empty() {
            timely(socket.io(), socket.send(sealed)).await?;
        }
        if !connection.is_handshaking() {
            return Ok(Line { socket, tls: Some(Rc::new(RefCell::new(Tls { connection, early }))) });
        }
        let received = timely(socket.io(), socket.receive_once()).await?;
        let Some(chunk) = received else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        take_in(&mut connection, &chunk, &mut early)?;
    }
}

/// Gives received bytes to TLS; what they hold goes to `heard`.
fn take_in(connection: &mut Connection, mut bytes: &[u8], heard: &mut Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        connection.read_tls(&mut bytes)?;
        connection.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        open(connection, heard)?;
    }
    Ok(())
}

/// Adds plaintext that is there to `heard`; false when the peer has said that no more comes.
fn open(connection: &mut Connection, heard: &mut Vec<u8>) -> io::Result<bool> {
    match connection.reader().read_to_end(heard) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}

fn sealed(connection: &mut Connection) -> io::Result<Vec<u8>> {
    let mut sealed = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut sealed)?;
    }
    Ok(sealed)
}

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_file(Path::new(CHAIN)).expect("a good certificate")
}
