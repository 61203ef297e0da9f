//! WebSockets over HTTP/2 (RFC 8441): PyPI's `h2` and `websockets` as client, `websockets` as back end.

use crate::harness::{
    Authority, Backend, Balancer, Elbow, PATIENCE, Process, eventually, free_address, python, python_command,
};
use rcgen::PKCS_ECDSA_P256_SHA256;
use std::net::{SocketAddr, TcpStream};

/// Says back what it hears; refuses `/forbidden`, and `/count` says how many others are open. Argument: address.
const SERVER: &str = r#"
import sys
from websockets.sync.server import serve
open_sockets = set()
def talk(socket):
    if socket.request.path == '/count':
        socket.send(str(len(open_sockets)))
        return
    open_sockets.add(socket)
    try:
        socket.send(f"{socket.request.path} {socket.request.headers['X-Forwarded-For']} {socket.subprotocol}")
        for message in socket:
            socket.send(message)
    finally:
        open_sockets.discard(socket)
def refuse(socket, request):
    if request.path == '/forbidden':
        return socket.respond(403, 'not you')
host, port = sys.argv[1].rsplit(':', 1)
with serve(talk, host, int(port), process_request=refuse, subprotocols=['chat'], max_size=2**21) as server:
    server.serve_forever()
"#;

/// Connections and streams for the programs below. Arguments: address; for TLS also the authority's certificate.
const CLIENT: &str = r#"
import socket, ssl, sys, time, h2.config, h2.connection, h2.events, h2.settings
from websockets.protocol import Protocol, Side, OPEN
from websockets.frames import Opcode
host, port = sys.argv[1].rsplit(':', 1)
stream = socket.create_connection((host, int(port)), timeout=15)
if len(sys.argv) > 2:
    context = ssl.create_default_context(cafile=sys.argv[2])
    context.set_alpn_protocols(['h2'])
    stream = context.wrap_socket(stream, server_hostname='web.test')
client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding='utf-8'))
client.initiate_connection()
stream.sendall(client.data_to_send())
heads, data, ended, resets = {}, {}, set(), {}
def turn():
    stream.sendall(client.data_to_send())
    received = stream.recv(65536)
    if not received:
        sys.exit('closed')
    for event in client.receive_data(received):
        if isinstance(event, h2.events.ResponseReceived):
            heads[event.stream_id] = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            data[event.stream_id] = data.get(event.stream_id, b'') + event.data
            client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            ended.add(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            resets[event.stream_id] = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            sys.exit(repr(event))
    stream.sendall(client.data_to_send())
def until(what):
    while not what():
        turn()
def check(what, got, expected):
    if got != expected:
        sys.exit(f'{what}: {got!r}, expected {expected!r}')
def ask(path, protocol='websocket', more=()):
    number = client.get_next_available_stream_id()
    pseudo = [(':method', 'CONNECT'), (':protocol', protocol), (':scheme', 'https'), (':authority', 'a'), (':path', path)]
    client.send_headers(number, pseudo + [('sec-websocket-version', '13'), *more])
    until(lambda: number in heads or number in resets)
    return number

# Before the server has said so, nobody may ask for it (RFC 8441 section 4).
until(lambda: client.remote_settings.max_concurrent_streams == 128)

class WebSocket:
    def __init__(self, path, more=()):
        self.number, self.frames = ask(path, more=[('sec-websocket-protocol', 'chat'), *more]), []
        check('opened', heads.get(self.number, {}).get(':status'), '200')
        self.protocol = Protocol(Side.CLIENT, state=OPEN, max_size=2**21)
    def push(self):
        for piece in self.protocol.data_to_send():
            while piece:
                until(lambda: client.local_flow_control_window(self.number) > 0)
                room = min(client.local_flow_control_window(self.number), client.max_outbound_frame_size)
                client.send_data(self.number, piece[:room])
                piece = piece[room:]
    def hear(self):
        while not self.frames:
            if self.number in data:
                self.protocol.receive_data(data.pop(self.number))
                self.frames += self.protocol.events_received()
            elif self.number in ended or self.number in resets:
                sys.exit('no more frames')
            else:
                turn()
        return self.frames.pop(0)
    def hear_message(self):
        frame = self.hear()
        whole = frame.data
        while not frame.fin:
            frame = self.hear()
            whole += frame.data
        return whole
"#;

const CONVERSATION: &str = r#"
check('announced', client.remote_settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL], 1)
first = WebSocket('/one?two', [('sec-websocket-key', 'forged')])
check('greeting', first.hear_message(), b'/one?two 127.0.0.1 chat')
check('subprotocol', heads[first.number].get('sec-websocket-protocol'), 'chat')
for gone in ('sec-websocket-accept', 'upgrade', 'connection'):
    check(gone, heads[first.number].get(gone), None)
second = WebSocket('/other')
check('side by side', second.hear_message(), b'/other 127.0.0.1 chat')
for index in range(50):
    for end in (first, second):
        end.protocol.send_text(b'%d' % index)
        end.push()
    for end in (first, second):
        check('echo', end.hear_message(), b'%d' % index)
large = bytes(range(256)) * 4000
first.protocol.send_binary(large)
first.push()
check('large', first.hear_message() == large, True)
second.protocol.send_ping(b'are you there')
second.push()
frame = second.hear()
check('pong', (frame.opcode, frame.data), (Opcode.PONG, b'are you there'))
# One is closed in order, the other given up; neither disturbs the connection.
first.protocol.send_close(1000, 'bye')
first.push()
check('close', first.hear().opcode, Opcode.CLOSE)
client.end_stream(first.number)
until(lambda: first.number in ended)
client.reset_stream(second.number, 8)
for _ in range(100):
    third = WebSocket('/count')
    if third.hear_message() == b'0':
        break
    time.sleep(0.05)
else:
    sys.exit('the instance still has them')
forbidden = ask('/forbidden')
until(lambda: forbidden in ended)
check('refused by the instance', (heads[forbidden][':status'], data[forbidden]), ('403', b'not you'))
check('another protocol', heads[ask('/', 'connect-udp')][':status'], '400')
print('all well')
"#;

/// A WebSocket server, as soon as it listens.
fn server() -> (SocketAddr, Process) {
    let address = free_address();
    let process = Process::start(python_command(SERVER, &[&address.to_string()]));
    eventually("the WebSocket server listens", PATIENCE, || TcpStream::connect(address).ok());
    (address, process)
}

#[track_caller]
fn tell(elbow: &Elbow, program: &str, more: &[&str]) {
    let address = elbow.address().to_string();
    let told = python(&[CLIENT, program].concat(), &[&[address.as_str()], more].concat());
    assert_eq!(told.trim(), "all well");
}

#[test]
fn streams_of_one_connection_carry_websockets_to_http1_instances() {
    let (address, _server) = server();
    let elbow = Balancer::http([address]).start();
    tell(&elbow, CONVERSATION, &[]);
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 0.0);
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    tell(&Balancer::https([address], &[&certificate]).start(), CONVERSATION, &[&authority.path()]);
}

#[test]
fn a_silent_websocket_is_given_up_after_the_tunnel_timeout() {
    let (address, _server) = server();
    let elbow = Balancer::http([address]).attribute("idle_timeout = 1").limit("tunnel_timeout = 2").start();
    let program = r#"
silent, busy = WebSocket('/silent'), WebSocket('/busy')
for _ in range(8):
    busy.protocol.send_text(b'still here')
    busy.push()
    busy.hear_message()
    time.sleep(0.5)
until(lambda: silent.number in resets)
busy.protocol.send_text(b'still here')
busy.push()
check('busy', busy.hear_message(), b'still here')
print('all well')
"#;
    tell(&elbow, program, &[]);
    assert_eq!(elbow.admin().metrics().sum("elbow_errors_total", &[("reason", "tunnel_timeout")]), 1.0);
}

#[test]
fn an_instance_that_does_not_open_a_websocket_cannot_be_mistaken_for_one() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    ];
    for answer in answers {
        let backend = Backend::answering(|_| answer.as_bytes().to_vec());
        let elbow = Balancer::http([backend.address()]).start();
        tell(&elbow, "check('status', heads[ask('/')][':status'], '502')\nprint('all well')", &[]);
    }
}

#[test]
fn where_instances_speak_http2_none_is_offered() {
    let (address, _server) = server();
    let elbow = Balancer::http([address]).listener("http2 = true").start();
    let program = r#"
check('announced', client.remote_settings.get(h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL, 0), 0)
print('all well')
"#;
    tell(&elbow, program, &[]);
}
