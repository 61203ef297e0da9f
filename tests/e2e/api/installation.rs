//! A balancer with an API, and a client that signs its calls. Its state stays when it is killed.

use crate::harness::{Elbow, Message, Peer, elbow_command, free_address};
use aws_lc_rs::{digest, hmac};
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

pub const KEY: &str = "LOCALKEY";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// A key that may only read, with the same secret.
pub const READ_KEY: &str = "READKEY";

/// A directory with a configuration, a secret and the state.
pub struct Installation {
    folder: TempDir,
    api: SocketAddr,
    admin: SocketAddr,
    lines: String,
}

impl Installation {
    /// One whose file says `tables` beside what the API needs.
    pub fn new(tables: &str) -> Installation {
        Installation::with_api(tables, "")
    }

    /// As [`Installation::new`], with these lines in `[api]`.
    pub fn with_api(tables: &str, lines: &str) -> Installation {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secret = folder.path().join("elbow.secret");
        std::fs::write(&secret, SECRET).expect("a file");
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        let (api, admin) = (free_address(), free_address());
        let installation = Installation { folder, api, admin, lines: lines.to_owned() };
        installation.write(tables);
        installation
    }

    /// Has `lines` in `[api]` from the next writing on.
    pub fn say(&mut self, lines: &str) {
        self.lines = lines.to_owned();
    }

    /// Writes the file anew with other `tables`.
    pub fn write(&self, tables: &str) {
        let Installation { api, admin, lines, .. } = self;
        let text = format!(
            r#"
[node]
state_dir = "state"
[admin]
address = "{admin}"
[api]
address = "{api}"
access_keys = [
  {{ id = "{KEY}", secret_file = "elbow.secret" }},
  {{ id = "{READ_KEY}", secret_file = "elbow.secret", access = "read_only" }},
]
{lines}
{tables}"#
        );
        std::fs::write(self.file(), text).expect("a file");
    }

    /// The command that runs the balancer.
    pub fn command(&self) -> Command {
        elbow_command(&["run", "-c", &self.file()])
    }

    /// Starts the balancer on what is there, and waits until it is ready.
    pub fn start(&self) -> Elbow {
        self.start_on(&self.file())
    }

    /// As [`Installation::start`], with another file that has the same addresses.
    pub fn start_on(&self, file: &str) -> Elbow {
        Elbow::start_command(elbow_command(&["run", "-c", file]), vec![self.api], self.admin)
    }

    /// The directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of the configuration file.
    pub fn file(&self) -> String {
        self.folder().join("elbow.toml").display().to_string()
    }

    /// The address of the API.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// The admin address.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.api)
    }

    /// A client with a connection of its own.
    pub fn client(&self) -> Client {
        Client { api: self.api, key: KEY, peer: None }
    }
}

/// Signs calls, and keeps its connection from one to the next.
pub struct Client {
    api: SocketAddr,
    key: &'static str,
    peer: Option<Peer>,
}

impl Client {
    /// The same client with another key.
    pub fn with_key(self, key: &'static str) -> Client {
        Client { key, ..self }
    }

    /// What `Action=…&Version=…&parameters` is answered with.
    ///
    /// # Errors
    /// The connection broke: whether the call was carried out is not known.
    pub fn try_call(&mut self, action: &str, parameters: &str) -> io::Result<Message> {
        let request = signed(self.api, self.key, &format!("Action={action}&Version=2012-06-01&{parameters}"));
        let mut peer = match self.peer.take() {
            Some(peer) => peer,
            None => Peer::try_connect(self.api)?,
        };
        peer.try_send(request)?;
        let answer = peer.try_read_message()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.peer = Some(peer);
        Ok(answer)
    }

    /// The body of a successful answer.
    #[track_caller]
    pub fn call(&mut self, action: &str, parameters: &str) -> String {
        let answer = self.try_call(action, parameters).unwrap_or_else(|error| panic!("{action}: {error}"));
        assert_eq!(answer.status(), 200, "{action} {parameters}: {}", answer.text());
        answer.text().to_owned()
    }
}

/// The texts of all elements of this name.
pub fn texts(xml: &str, element: &str) -> Vec<String> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).map(str::to_owned).collect()
}

/// A POST of `body` with a Signature Version 4 over the headers `host` and `x-amz-date`.
fn signed(host: SocketAddr, id: &str, body: &str) -> String {
    let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let (day, region, service) = (&stamp[..8], "us-east-1", "elasticloadbalancing");
    let canonical = format!("POST\n/\n\nhost:{host}\nx-amz-date:{stamp}\n\nhost;x-amz-date\n{}", hash(body.as_bytes()));
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hash(canonical.as_bytes()));
    let seed = format!("AWS4{SECRET}").into_bytes();
    let key = [day, region, service, "aws4_request"].iter().fold(seed, |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &text));
    format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nX-Amz-Date: {stamp}\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential={id}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("room");
        text
    })
}
