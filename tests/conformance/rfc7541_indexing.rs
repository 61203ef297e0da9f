//! RFC 7541 section 7.1.3: secrets that could be guessed by the size of compressed heads are never indexed. The instance is
//! made of PyPI's `h2` and `hpack`.

use crate::harness::{Balancer, PATIENCE, Process, curl, eventually, free_address, python_command};
use std::net::{SocketAddr, TcpStream};

/// Says in the body how the fields of a request were written. Argument: address.
const SERVER: &str = r#"
import json, socketserver, sys, h2.config, h2.connection, h2.events
class Connection(socketserver.BaseRequestHandler):
    def handle(self):
        config = h2.config.H2Configuration(client_side=False, normalize_inbound_headers=False)
        server = h2.connection.H2Connection(config)
        server.initiate_connection()
        self.request.sendall(server.data_to_send())
        while received := self.request.recv(65536):
            for event in server.receive_data(received):
                if isinstance(event, h2.events.RequestReceived):
                    told = [[f[0].decode(), f[1].decode(), 'open' if f.indexable else 'secret'] for f in event.headers]
                    server.send_headers(event.stream_id, [(':status', '200')])
                    server.send_data(event.stream_id, json.dumps(told).encode(), end_stream=True)
            self.request.sendall(server.data_to_send())
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
host, port = sys.argv[1].rsplit(':', 1)
Server((host, int(port)), Connection).serve_forever()
"#;

/// An HTTP/2 server, as soon as it listens.
fn server() -> (SocketAddr, Process) {
    let address = free_address();
    let process = Process::start(python_command(SERVER, &[&address.to_string()]));
    eventually("the HTTP/2 server listens", PATIENCE, || TcpStream::connect(address).ok());
    (address, process)
}

#[test]
fn section_7_1_3_secrets_that_could_be_guessed_are_never_indexed() {
    let (address, _server) = server();
    let elbow = Balancer::http([address]).listener("http2 = true").start();
    let url = format!("http://{}/", elbow.address());
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for (field, how) in [
            ("Authorization: Bearer of-some-length-that-is-not-short", "secret"),
            ("Cookie: of-twenty-bytes=1234", "open"),
            ("Cookie: of-nineteen-bytes=1", "secret"),
            ("X-Other: short", "open"),
        ] {
            let told = curl(&[version, "--header", field, &url]);
            let (name, value) = field.split_once(": ").expect("a field");
            let expected = format!("[\"{}\", \"{value}\", \"{how}\"]", name.to_lowercase());
            assert!(told.contains(&expected), "{version} {field}: {told}");
        }
    }
}
