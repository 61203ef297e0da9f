//! WebSockets over HTTP/2 (RFC 8441) at either side or both: PyPI's `h2` and `websockets` as clients and as instances.

use crate::harness::{Authority, Backend, Balancer, Elbow, Nginx, Peer, curl, python, python_server};
use rcgen::PKCS_ECDSA_P256_SHA256;

/// Says back what it hears; refuses `/forbidden`, and `/count` says how many others are open. Argument: address.
const SERVER: &str = r#"
import sys
from peers import host_and_port
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
with serve(talk, *host_and_port(sys.argv[1]), process_request=refuse, subprotocols=['chat'], max_size=2**21) as server:
    server.serve_forever()
"#;

/// The same over HTTP/2. Arguments: address; for TLS also certificate and key.
const HTTP2_SERVER: &str = r#"
import sys
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from peers import Server, listen
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, OPEN
open_sockets = set()
class Connection(Server):
    def __init__(self, stream):
        super().__init__(stream, {SettingCodes.ENABLE_CONNECT_PROTOCOL: 1, SettingCodes.MAX_CONCURRENT_STREAMS: 100})
        self.talks, self.messages, self.unsent = {}, {}, {}
    def serve(self):
        try:
            for event in self.events:
                self.take(event)
        finally:
            for number in self.talks:
                open_sockets.discard((self, number))
    def take(self, event):
        number = getattr(event, 'stream_id', None)
        if isinstance(event, RequestReceived):
            self.answer(number, dict(event.headers))
        elif isinstance(event, DataReceived):
            self.acknowledge_received_data(event.flow_controlled_length, number)
            if number in self.talks:
                self.hear(number, event.data)
        elif isinstance(event, StreamEnded) and number in self.talks:
            self.talks[number].receive_eof()
        elif isinstance(event, StreamReset):
            self.talks.pop(number, None)
            self.unsent.pop(number, None)
            open_sockets.discard((self, number))
    def answer(self, number, head):
        def say(status, body, more=()):
            self.send_headers(number, [(':status', status), *more])
            self.unsent[number] = body + [b''] if body is not None else []
        path, asked = head[':path'], head.get('sec-websocket-protocol')
        if ':protocol' not in head:
            return say('200', [b'a request like any other'])
        if (head[':method'], head[':protocol'], head['sec-websocket-version']) != ('CONNECT', 'websocket', '13'):
            return say('400', [b'not like that'])
        if any(field in head for field in ('sec-websocket-key', 'upgrade', 'connection', 'host')):
            return say('400', [b'a field too many'])
        if path == '/forbidden':
            return say('403', [b'not you'])
        say('200', None, [('sec-websocket-protocol', asked)] if asked else [])
        talk = self.talks[number] = Protocol(Side.SERVER, state=OPEN, max_size=2**21)
        if path == '/count':
            talk.send_text(str(len(open_sockets)).encode())
            return talk.send_close(1000)
        open_sockets.add((self, number))
        talk.send_text(f"{path} {head['x-forwarded-for']} {asked}".encode())
    def hear(self, number, data):
        talk = self.talks[number]
        talk.receive_data(data)
        for frame in talk.events_received():
            if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                opcode, parts = self.messages.setdefault(number, (frame.opcode, []))
                parts.append(frame.data)
                if frame.fin:
                    del self.messages[number]
                    (talk.send_text if opcode is Opcode.TEXT else talk.send_binary)(b''.join(parts))
    def send(self):
        for number, talk in self.talks.items():
            self.unsent.setdefault(number, []).extend(talk.data_to_send())
        for number, pieces in list(self.unsent.items()):
            while pieces:
                room = self.room(number)
                if pieces[0] == b'':
                    self.end_stream(number)
                    pieces.clear()
                    self.talks.pop(number, None)
                    del self.unsent[number]
                    open_sockets.discard((self, number))
                elif room == 0:
                    break
                else:
                    self.send_data(number, pieces[0][:room])
                    pieces[0] = pieces[0][room:]
                    if not pieces[0]:
                        pieces.pop(0)
        super().send()
listen(lambda stream: Connection(stream).serve(), *sys.argv[1:])
"#;

/// Opens WebSockets by upgrade, and prints what does not hold. Argument: address.
const HTTP1_CLIENT: &str = r#"
import contextlib, socket, sys, time
from peers import check
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
def opened(path):
    return connect(f'ws://{sys.argv[1]}{path}', subprotocols=['chat'], open_timeout=15, max_size=2**21)
kept = contextlib.ExitStack()
first, second = [kept.enter_context(opened(path)) for path in ('/one?two', '/other')]
check('greeting', first.recv(15), '/one?two 127.0.0.1 chat')
check('side by side', second.recv(15), '/other 127.0.0.1 chat')
check('subprotocol', first.subprotocol, 'chat')
check('agreed', (first.response.status_code, first.response.headers.get_all('Upgrade')), (101, ['websocket']))
for index in range(50):
    for end in (first, second):
        end.send(str(index))
    for end in (first, second):
        check('echo', end.recv(15), str(index))
large = bytes(range(256)) * 4000
first.send(large)
check('large', first.recv(15) == large, True)
check('pong', second.ping().wait(15), True)
first.close(1000, 'bye')
check('close', (first.close_code, first.close_reason), (1000, 'bye'))
# The other is given up without a word.
second.socket.shutdown(socket.SHUT_RDWR)
for _ in range(100):
    with opened('/count') as third:
        if third.recv(15) == '0':
            break
    time.sleep(0.05)
else:
    sys.exit('the instance still has them')
try:
    kept.enter_context(opened('/forbidden'))
    sys.exit('opened')
except InvalidStatus as refusal:
    check('refused by the instance', (refusal.response.status_code, refusal.response.body), (403, b'not you'))
print('all well')
"#;

/// Connections and streams for the programs below. Arguments: address; for TLS also the authority's certificate.
const CLIENT: &str = r#"
import sys, time
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from peers import Client, check
from websockets.protocol import Protocol, Side, OPEN
from websockets.frames import Opcode
client = Client(*sys.argv[1:], fatal=ConnectionTerminated)
heads, data, ended, resets = {}, {}, set(), set()
def turn():
    event = next(client.events)
    if isinstance(event, ResponseReceived):
        heads[event.stream_id] = dict(event.headers)
    elif isinstance(event, DataReceived):
        data[event.stream_id] = data.get(event.stream_id, b'') + event.data
        client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
    elif isinstance(event, StreamEnded):
        ended.add(event.stream_id)
    elif isinstance(event, StreamReset):
        resets.add(event.stream_id)
def until(what):
    while not what():
        turn()
def ask(path, protocol='websocket', more=()):
    fields = [(':protocol', protocol), ('sec-websocket-version', '13'), *more]
    number = client.ask('CONNECT', path, fields, scheme='https')
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
                until(lambda: client.room(self.number) > 0)
                room = client.room(self.number)
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
check('announced', client.remote_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL], 1)
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

#[track_caller]
fn tell(elbow: &Elbow, program: &str, more: &[&str]) {
    let address = elbow.address().to_string();
    let told = python(&[CLIENT, program].concat(), &[&[address.as_str()], more].concat());
    assert_eq!(told.trim(), "all well");
}

#[test]
fn streams_of_one_connection_carry_websockets_to_http1_instances() {
    let (address, _server) = python_server(SERVER, &[]);
    let elbow = Balancer::http([address]).start();
    tell(&elbow, CONVERSATION, &[]);
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 0.0);
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    tell(&Balancer::https([address], &[&certificate]).start(), CONVERSATION, &[&authority.path()]);
}

#[test]
fn a_silent_websocket_is_given_up_after_the_tunnel_timeout() {
    let (address, _server) = python_server(SERVER, &[]);
    let elbow = Balancer::http([address]).attribute("idle_timeout = 1").limit("tunnel_timeout = 2").start();
    let (http2_address, _http2_server) = python_server(HTTP2_SERVER, &[]);
    let both = Balancer::http([http2_address])
        .listener("http2 = true")
        .attribute("idle_timeout = 1")
        .limit("tunnel_timeout = 2")
        .start();
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
    for elbow in [elbow, both] {
        tell(&elbow, program, &[]);
        assert_eq!(elbow.admin().metrics().sum("elbow_errors_total", &[("reason", "tunnel_timeout")]), 1.0);
    }
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
fn instances_asked_in_http2_are_opened_websockets_to() {
    let (address, _server) = python_server(HTTP2_SERVER, &[]);
    let elbow = Balancer::http([address]).listener("http2 = true").start();
    tell(&elbow, CONVERSATION, &[]);
    assert_eq!(python(HTTP1_CLIENT, &[&elbow.address().to_string()]).trim(), "all well");
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 0.0);
    let told = curl(&[&UPGRADE[..5], &[&format!("http://{}/", elbow.address())]].concat());
    assert_eq!(told, "a request like any other", "without a key it opens nothing");
}

#[test]
fn instances_asked_in_http2_are_opened_websockets_to_inside_tls() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let (chain, key) = (certificate.chain.display().to_string(), certificate.key.display().to_string());
    let (address, _server) = python_server(HTTP2_SERVER, &[&chain, &key]);
    let secure =
        |balancer: Balancer| balancer.listener("instance_protocol = \"HTTPS\"").listener("http2 = true").start();
    tell(&secure(Balancer::https([address], &[&certificate])), CONVERSATION, &[&authority.path()]);
    let elbow = secure(Balancer::http([address]));
    assert_eq!(python(HTTP1_CLIENT, &[&elbow.address().to_string()]).trim(), "all well");
}

#[test]
fn a_websocket_whose_instance_dies_ends() {
    let (address, mut server) = python_server(HTTP2_SERVER, &[]);
    let elbow = Balancer::http([address]).listener("http2 = true").start();
    let open = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut client = Peer::connect(elbow.address());
    client.send(open);
    let head = client.try_read_head().expect("a head").expect("a head");
    assert_eq!(head.status(), 101);
    server.child().kill().expect("a process of our own");
    while client.try_read_some().is_ok_and(|bytes| !bytes.is_empty()) {}
    elbow.admin().wait_metric("elbow_errors_total", &[("reason", "tunnel_backend_reset")], |count| count == 1.0);
}

/// What curl says to open a WebSocket; whether it is opened does not depend on the key.
const UPGRADE: [&str; 7] = [
    "--http1.1",
    "--header",
    "connection: upgrade",
    "--header",
    "upgrade: websocket",
    "--header",
    "sec-websocket-key: a",
];

#[test]
fn where_instances_speak_http2_but_open_no_websockets_clients_are_told() {
    let nginx = Nginx::start_http2("http2");
    let elbow = Balancer::http([nginx.address()]).listener("http2 = true").attribute("proxy_status = true").start();
    tell(&elbow, "check('status', heads[ask('/')][':status'], '502')\nprint('all well')", &[]);
    let url = format!("http://{}/", elbow.address());
    let told = curl(&[&["--include", &url], &UPGRADE[..]].concat());
    assert!(told.starts_with("HTTP/1.1 502") && told.contains("details=\"websocket_unsupported\""), "{told}");
    assert!(curl(&["--http1.1", "--include", &url]).starts_with("HTTP/1.1 200"), "it serves whatever else is asked");
}

#[test]
fn an_instance_that_does_not_say_whether_it_opens_websockets_is_waited_for_as_for_a_connection() {
    let mute = Backend::start(|peer, _| {
        while !peer.try_read_some()?.is_empty() {}
        Ok(())
    });
    let elbow = Balancer::http([mute.address()])
        .listener("http2 = true")
        .attribute("proxy_status = true")
        .limit("connect_timeout = 0.3")
        .start();
    let url = format!("http://{}/", elbow.address());
    let told = curl(&[&["--include", &url], &UPGRADE[..]].concat());
    assert!(told.starts_with("HTTP/1.1 504") && told.contains("details=\"connect_timeout\""), "{told}");
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 0.0);
}
