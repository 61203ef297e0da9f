//! RFC 9113: what Elbow is as a client, to instances that are asked in HTTP/2. They are made of PyPI's `h2`, which ends the
//! connection of a client that breaks a rule.

use crate::harness::{Balancer, python, python_server};

/// Allows so many streams at once, and says so only after a while; answers to every request, a while after its end, how
/// many there are meanwhile on its connection. Arguments: address; streams allowed; both whiles, in seconds.
const STRICT: &str = r#"
import socketserver, sys, threading, time, h2.config, h2.connection, h2.events
from h2.settings import SettingCodes, Settings
allowed, before_settings, before_answer = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
class Connection(socketserver.BaseRequestHandler):
    def handle(self):
        server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        server.local_settings = Settings(client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: allowed})
        server.initiate_connection()
        lock, lengths = threading.Lock(), {}
        greeting = server.data_to_send()
        silent_until = time.monotonic() + before_settings
        def send():
            nonlocal greeting
            with lock:
                if greeting and time.monotonic() >= silent_until:
                    self.request.sendall(greeting)
                    greeting = b''
                if not greeting:
                    self.request.sendall(server.data_to_send())
        def answer(stream):
            with lock:
                server.send_headers(stream, [(':status', '200')])
                server.send_data(stream, b'%d of %d;' % (lengths.pop(stream), server.open_inbound_streams), end_stream=True)
            send()
        threading.Timer(before_settings, send).start()
        while received := self.request.recv(65536):
            with lock:
                for event in server.receive_data(received):
                    if isinstance(event, h2.events.RequestReceived):
                        lengths[event.stream_id] = 0
                    elif isinstance(event, h2.events.DataReceived):
                        lengths[event.stream_id] += len(event.data)
                        server.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        threading.Timer(before_settings + before_answer, answer, [event.stream_id]).start()
            send()
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128
host, port = sys.argv[1].rsplit(':', 1)
Server((host, int(port)), Connection).serve_forever()
"#;

/// Posts once, after a moment twenty times more side by side, then another twenty, all on one connection; prints the
/// statuses, and the largest number of streams that an answer told of. Argument: address.
const CLIENT: &str = r#"
import socket, sys, time, h2.config, h2.connection, h2.events
host, port = sys.argv[1].rsplit(':', 1)
stream = socket.create_connection((host, int(port)), timeout=15)
client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding='utf-8'))
client.initiate_connection()
statuses, bodies, asked = {}, {}, 0
def post():
    number = client.get_next_available_stream_id()
    client.send_headers(number, [(':method', 'POST'), (':scheme', 'http'), (':authority', 'a'), (':path', '/')])
    client.send_data(number, b'x' * 1000, end_stream=True)
    stream.sendall(client.data_to_send())
def hear(ended):
    while ended:
        received = stream.recv(65536)
        if not received:
            sys.exit('closed')
        for event in client.receive_data(received):
            if isinstance(event, h2.events.ResponseReceived):
                status = dict(event.headers)[':status']
                statuses[status] = statuses.get(status, 0) + 1
            elif isinstance(event, h2.events.DataReceived):
                bodies[event.stream_id] = bodies.get(event.stream_id, b'') + event.data
            elif isinstance(event, h2.events.StreamEnded):
                ended -= 1
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                sys.exit(repr(event))
        stream.sendall(client.data_to_send())
post()
time.sleep(0.1)
for _ in range(20):
    post()
hear(21)
for _ in range(20):
    post()
hear(20)
lengths = {body.split()[0] for body in bodies.values()}
print(statuses, lengths, max(int(body.split()[2].rstrip(b';')) for body in bodies.values()))
"#;

/// Answers `/tiny` with as many bytes as frames, `/` at once. Argument: address.
const CRUMBLING: &str = r#"
import socketserver, sys, h2.config, h2.connection, h2.events
class Connection(socketserver.BaseRequestHandler):
    def handle(self):
        server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding='utf-8'))
        server.initiate_connection()
        self.request.sendall(server.data_to_send())
        while received := self.request.recv(65536):
            for event in server.receive_data(received):
                if isinstance(event, h2.events.RequestReceived):
                    server.send_headers(event.stream_id, [(':status', '200')])
                    if dict(event.headers)[':path'] == '/tiny':
                        for index in range(6000):
                            server.send_data(event.stream_id, b'%d' % (index % 10))
                    server.end_stream(event.stream_id)
            self.request.sendall(server.data_to_send())
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
host, port = sys.argv[1].rsplit(':', 1)
Server((host, int(port)), Connection).serve_forever()
"#;

/// Asks for tiny pieces with a window for a thousand of them, does without the rest for a while, asks for something else
/// meanwhile, then takes all; prints whether that was whole, and in how many frames it came. Argument: address.
const SLOW_CLIENT: &str = r#"
import socket, sys, time, h2.config, h2.connection, h2.events
from h2.settings import SettingCodes, Settings
host, port = sys.argv[1].rsplit(':', 1)
stream = socket.create_connection((host, int(port)), timeout=15)
client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding='utf-8'))
client.local_settings = Settings(client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: 1000})
client.initiate_connection()
body, frames, ended, statuses = b'', 0, set(), {}
def ask(path):
    number = client.get_next_available_stream_id()
    request = [(':method', 'GET'), (':scheme', 'http'), (':authority', 'a'), (':path', path)]
    client.send_headers(number, request, end_stream=True)
    return number
def until(what):
    global body, frames
    while not what():
        stream.sendall(client.data_to_send())
        received = stream.recv(65536)
        if not received:
            sys.exit('closed')
        for event in client.receive_data(received):
            if isinstance(event, h2.events.ResponseReceived):
                statuses[event.stream_id] = dict(event.headers)[':status']
            elif isinstance(event, h2.events.DataReceived) and event.data:
                body += event.data
                frames += 1
            elif isinstance(event, h2.events.StreamEnded):
                ended.add(event.stream_id)
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                sys.exit(repr(event))
tiny = ask('/tiny')
until(lambda: len(body) == 1000)
time.sleep(1)
other = ask('/')
until(lambda: other in ended)
client.increment_flow_control_window(6000, tiny)
until(lambda: tiny in ended)
print(statuses[tiny], statuses[other], body == b'0123456789' * 600, frames)
"#;

#[test]
fn section_5_1_2_an_instance_is_asked_no_more_at_once_than_it_allows() {
    for allowed in [1, 2, 30] {
        let (address, _instance) = python_server(STRICT, &[&allowed.to_string(), "0.4", "0.1"]);
        let elbow = Balancer::http([address]).listener("http2 = true").start();
        let told = python(CLIENT, &[&elbow.address().to_string()]);
        let (answers, most) = told.trim().rsplit_once(' ').expect("a number");
        assert_eq!(answers, "{'200': 41} {b'1000'}", "{allowed} allowed");
        let most: u32 = most.parse().expect("a number");
        assert!(most <= allowed && (allowed == 1 || most > 1), "{most} at once where {allowed} are allowed");
    }
}

#[test]
fn section_5_2_a_slow_client_of_an_instance_that_sends_crumbs_harms_nobody() {
    let (address, _instance) = python_server(CRUMBLING, &[]);
    let elbow = Balancer::http([address]).listener("http2 = true").start();
    let told = python(SLOW_CLIENT, &[&elbow.address().to_string()]);
    let (answers, frames) = told.trim().rsplit_once(' ').expect("a number");
    assert_eq!(answers, "200 200 True");
    let frames: u32 = frames.parse().expect("a number");
    assert!(frames < 600, "6000 bytes in {frames} frames");
}
