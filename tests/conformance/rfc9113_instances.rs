//! RFC 9113: what Elbow is as a client, to instances that are asked in HTTP/2. They are made of PyPI's `h2`, which ends the
//! connection of a client that breaks a rule.

use crate::harness::{Balancer, python, python_server};

/// Allows so many streams at once, and says so only after a while; answers to every request, a while after its end, how
/// many there are meanwhile on its connection. Arguments: address; streams allowed; both whiles, in seconds.
const STRICT: &str = r#"
import contextlib, sys, threading, time
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.settings import SettingCodes
from peers import Server, listen
allowed, before_settings, before_answer = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
def talk(stream):
    server = Server(stream, {SettingCodes.MAX_CONCURRENT_STREAMS: allowed})
    lock, lengths = threading.Lock(), {}
    silent_until = time.monotonic() + before_settings
    greeting = server.data_to_send()
    def send():
        nonlocal greeting
        with lock, contextlib.suppress(OSError):
            if greeting and time.monotonic() >= silent_until:
                stream.sendall(greeting)
                greeting = b''
            if not greeting:
                server.send()
    def answer(number):
        with lock:
            server.send_headers(number, [(':status', '200')])
            server.send_data(number, b'%d of %d;' % (lengths.pop(number), server.open_inbound_streams), end_stream=True)
        send()
    threading.Timer(before_settings, send).start()
    while received := stream.recv(65536):
        with lock:
            for event in server.receive_data(received):
                if isinstance(event, RequestReceived):
                    lengths[event.stream_id] = 0
                elif isinstance(event, DataReceived):
                    lengths[event.stream_id] += len(event.data)
                    server.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, StreamEnded):
                    threading.Timer(before_settings + before_answer, answer, [event.stream_id]).start()
        send()
listen(talk, sys.argv[1])
"#;

/// Posts once, after a moment twenty times more side by side, then another twenty, all on one connection; prints the
/// statuses, and the largest number of streams that an answer told of. Argument: address.
const CLIENT: &str = r#"
import sys, time
from h2.events import DataReceived, ResponseReceived, StreamEnded
from peers import Client
client, statuses, bodies = Client(sys.argv[1]), {}, {}
def post():
    client.send_data(client.ask('POST', '/'), b'x' * 1000, end_stream=True)
    client.send()
def hear(answers):
    while answers:
        event = next(client.events)
        if isinstance(event, ResponseReceived):
            status = dict(event.headers)[':status']
            statuses[status] = statuses.get(status, 0) + 1
        elif isinstance(event, DataReceived):
            bodies[event.stream_id] = bodies.get(event.stream_id, b'') + event.data
        elif isinstance(event, StreamEnded):
            answers -= 1
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
import sys
from h2.events import RequestReceived
from peers import Server, listen
def talk(stream):
    server = Server(stream)
    for event in server.events:
        if isinstance(event, RequestReceived):
            server.send_headers(event.stream_id, [(':status', '200')])
            if dict(event.headers)[':path'] == '/tiny':
                for index in range(6000):
                    server.send_data(event.stream_id, b'%d' % (index % 10))
            server.end_stream(event.stream_id)
listen(talk, sys.argv[1])
"#;

/// Asks for tiny pieces with a window for a thousand of them, does without the rest for a while, asks for something else
/// meanwhile, then takes all; prints whether that was whole, and in how many frames it came. Argument: address.
const SLOW_CLIENT: &str = r#"
import sys, time
from h2.events import DataReceived, ResponseReceived, StreamEnded
from h2.settings import SettingCodes
from peers import Client
client = Client(sys.argv[1], settings={SettingCodes.INITIAL_WINDOW_SIZE: 1000})
body, frames, ended, statuses = b'', 0, set(), {}
def until(what):
    global body, frames
    while not what():
        event = next(client.events)
        if isinstance(event, ResponseReceived):
            statuses[event.stream_id] = dict(event.headers)[':status']
        elif isinstance(event, DataReceived) and event.data:
            body += event.data
            frames += 1
        elif isinstance(event, StreamEnded):
            ended.add(event.stream_id)
tiny = client.ask('GET', '/tiny', end_stream=True)
until(lambda: len(body) == 1000)
time.sleep(1)
other = client.ask('GET', '/', end_stream=True)
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
