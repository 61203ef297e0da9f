//! A back end as people run them: Debian's nginx, one process, a folder of its own.

use super::process::Process;
use super::{CertificatePaths, PATIENCE, eventually, free_address};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A running nginx. Dropping it kills it.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    address: SocketAddr,
    folder: TempDir,
}

impl Nginx {
    /// Says its `name` for every path; serves files of its folder under `/files/`; says what it was sent under
    /// `/echo`, and who the client is under `/client`.
    pub fn start(name: &str) -> Nginx {
        Nginx::start_at(free_address(), name)
    }

    /// As [`Nginx::start`], at an address of the test's choice.
    pub fn start_at(address: SocketAddr, name: &str) -> Nginx {
        Nginx::start_with(address, name, "")
    }

    /// As [`Nginx::start`], speaking HTTP/2 by prior knowledge.
    pub fn start_http2(name: &str) -> Nginx {
        let address = free_address();
        Nginx::start_with(address, name, &format!("listen {address} http2;"))
    }

    /// As [`Nginx::start`], inside TLS; says under `/tls` which version, and `r` if the session was resumed.
    pub fn start_secure(name: &str, certificate: &CertificatePaths) -> Nginx {
        Nginx::start_secure_at(free_address(), name, certificate)
    }

    /// As [`Nginx::start_secure`], at an address of the test's choice.
    pub fn start_secure_at(address: SocketAddr, name: &str, certificate: &CertificatePaths) -> Nginx {
        let (chain, key) = (certificate.chain.display(), certificate.key.display());
        let lines = format!(
            "listen {address} ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {chain}; ssl_certificate_key {key};"
        );
        Nginx::start_with(address, name, &lines)
    }

    fn start_with(address: SocketAddr, name: &str, listen: &str) -> Nginx {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let configuration = folder.path().join("nginx.conf");
        std::fs::write(&configuration, text(folder.path(), address, name, listen)).expect("a file");
        std::fs::create_dir(folder.path().join("files")).expect("a folder");
        let mut command = Command::new(program());
        command.arg("-p").arg(folder.path()).arg("-c").arg(&configuration).args(["-e", "stderr"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::start(command);
        eventually("nginx listens", PATIENCE, || TcpStream::connect(address).ok());
        Nginx { process, address, folder }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Puts a file under `/files/`.
    pub fn put_file(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.path().join("files").join(name), bytes).expect("a file");
    }
}

/// Debian keeps it where only root looks.
fn program() -> &'static str {
    let usual = "/usr/sbin/nginx";
    if Path::new(usual).exists() { usual } else { "nginx" }
}

fn text(folder: &Path, address: SocketAddr, name: &str, listen: &str) -> String {
    let listen = if listen.is_empty() { format!("listen {address} backlog=4096;") } else { listen.to_string() };
    let folder = folder.display();
    format!(
        r#"
daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type text/plain;
    keepalive_requests 1000;
    server {{
        {listen}
        location / {{ return 200 "{name}\n"; }}
        location /files/ {{ root {folder}; }}
        location /tls {{ return 200 "$ssl_protocol $ssl_session_reused\n"; }}
        location /client {{
            return 200 "subject=$http_x_amzn_mtls_clientcert_subject\nissuer=$http_x_amzn_mtls_clientcert_issuer\nserial=$http_x_amzn_mtls_clientcert_serial_number\nleaf=$http_x_amzn_mtls_clientcert_leaf\nboth=$http_x_forwarded_client_cert\n";
        }}
        location /echo {{
            return 200 "host=$http_host\nfor=$http_x_forwarded_for\nproto=$http_x_forwarded_proto\nport=$http_x_forwarded_port\nversion=$server_protocol\nuri=$request_uri\n";
        }}
    }}
}}
"#
    )
}
