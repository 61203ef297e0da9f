//! gRPC through HTTP/2 on both sides, with PyPI's `grpcio` as client and server: calls of every kind, errors,
//! cancellations.

use crate::harness::{Authority, Backend, Balancer, Nginx, PATIENCE, curl, eventually, python, python_server};
use rcgen::PKCS_ECDSA_P256_SHA256;

/// Serves `/test.Echo/*` with bytes for messages. Arguments: address; for TLS also chain and key.
const SERVER: &str = r#"
import sys, time, grpc
from concurrent import futures

def unary(request, context):
    context.set_trailing_metadata((('x-sum', str(len(request))),))
    if request == b'fail':
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, 'not today')
    return request[::-1]

def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()

def add(requests, context):
    return str(sum(len(request) for request in requests)).encode()

def talk(requests, context):
    for request in requests:
        yield b'you said ' + request

def endless(request, context):
    open_calls[0] += 1
    context.add_callback(lambda: open_calls.__setitem__(0, open_calls[0] - 1))
    while context.is_active():
        yield b'x' * 1000
        time.sleep(0.01)

def feed(requests, context):
    for number in range(15):
        yield str(number).encode()
        time.sleep(0.3)

def stall(request, context):
    yield b'one moment'
    time.sleep(20)

open_calls = [0]
handlers = {
    'Unary': grpc.unary_unary_rpc_method_handler(unary),
    'Count': grpc.unary_stream_rpc_method_handler(count),
    'Add': grpc.stream_unary_rpc_method_handler(add),
    'Talk': grpc.stream_stream_rpc_method_handler(talk),
    'Feed': grpc.stream_stream_rpc_method_handler(feed),
    'Stall': grpc.unary_stream_rpc_method_handler(stall),
    'Endless': grpc.unary_stream_rpc_method_handler(endless),
    'Open': grpc.unary_unary_rpc_method_handler(lambda request, context: str(open_calls[0]).encode()),
}
server = grpc.server(futures.ThreadPoolExecutor(16))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('test.Echo', handlers),))
# grpc.health.v1: SERVING.
well = {'Check': grpc.unary_unary_rpc_method_handler(lambda request, context: b'\x08\x01')}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('grpc.health.v1.Health', well),))
if len(sys.argv) > 2:
    chain, key = (open(path, 'rb').read() for path in sys.argv[2:4])
    server.add_secure_port(sys.argv[1], grpc.ssl_server_credentials([(key, chain)]))
else:
    server.add_insecure_port(sys.argv[1])
server.start()
server.wait_for_termination()
"#;

/// Makes calls of every kind and prints what does not hold. Arguments: address; for TLS also the authority's certificate.
const CLIENT: &str = r#"
import queue, sys, time, grpc
from peers import check
if len(sys.argv) > 2:
    credentials = grpc.ssl_channel_credentials(open(sys.argv[2], 'rb').read())
    channel = grpc.secure_channel(sys.argv[1], credentials, (('grpc.ssl_target_name_override', 'web.test'),))
else:
    channel = grpc.insecure_channel(sys.argv[1])

unary = channel.unary_unary('/test.Echo/Unary')
answer, call = unary.with_call(b'hello', timeout=15, metadata=(('x-client', 'a'),))
check('unary', answer, b'olleh')
check('trailing metadata', dict(call.trailing_metadata()).get('x-sum'), '5')
large = bytes(range(256)) * 8192
check('large unary', unary(large, timeout=15), large[::-1])
try:
    unary(b'fail', timeout=15)
    sys.exit('no error')
except grpc.RpcError as error:
    check('status', (error.code(), error.details()), (grpc.StatusCode.FAILED_PRECONDITION, 'not today'))
try:
    channel.unary_unary('/test.Echo/Missing')(b'', timeout=15)
    sys.exit('no error')
except grpc.RpcError as error:
    check('trailers only', error.code(), grpc.StatusCode.UNIMPLEMENTED)
count = channel.unary_stream('/test.Echo/Count')
check('server streaming', [int(part) for part in count(b'1000', timeout=15)], list(range(1000)))
add = channel.stream_unary('/test.Echo/Add')
check('client streaming', add((b'x' * 1000 for _ in range(1000)), timeout=15), b'1000000')
# Each side waits for the other: nothing may be held back.
said = queue.Queue()
talk = channel.stream_stream('/test.Echo/Talk')(iter(said.get, None), timeout=15)
for index in range(20):
    said.put(b'%d' % index)
    check('talk', next(talk), b'you said %d' % index)
said.put(None)
check('end of talk', list(talk), [])
check('side by side', [call.result(15) for call in [unary.future(b'%d' % n) for n in range(100)]], [(b'%d' % n)[::-1] for n in range(100)])
# A call that is given up ends at the server too.
endless = channel.unary_stream('/test.Echo/Endless')(b'')
next(endless)
endless.cancel()
opened = channel.unary_unary('/test.Echo/Open')
for _ in range(100):
    if opened(b'', timeout=15) == b'0':
        break
    time.sleep(0.05)
else:
    sys.exit('the call goes on')
try:
    list(channel.unary_stream('/test.Echo/Endless')(b'', timeout=0.5))
    sys.exit('no deadline')
except grpc.RpcError as error:
    check('deadline', error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
print('all well')
"#;

/// Streams on which one side or both are silent, with idle timeout 2, `client_body_timeout` 1.5 and `tunnel_timeout` 4
/// seconds; prints what does not hold. Argument: address.
const SILENT_CLIENT: &str = r#"
import queue, sys, time, grpc
from peers import check
channel = grpc.insecure_channel(sys.argv[1])
def ends(what, answers, least, most):
    began = time.monotonic()
    try:
        next(answers)
        sys.exit(f'{what}: an answer')
    except grpc.RpcError as error:
        took = time.monotonic() - began
        if not least <= took <= most:
            sys.exit(f'{what}: cut after {took}, {error}')

said = queue.Queue()
talk = channel.stream_stream('/test.Echo/Talk')(iter(said.get, None), timeout=20)
for word in (b'a', b'b', b'c'):
    said.put(word)
    check('talk', next(talk), b'you said ' + word)
    time.sleep(2.5)
said.put(b'd')
check('talk', next(talk), b'you said d')
ends('both silent', talk, 3, 10)
heard = channel.stream_stream('/test.Echo/Feed')(iter(queue.Queue().get, None), timeout=20)
check('only the server speaks', [int(part) for part in heard], list(range(15)))
stalled = channel.unary_stream('/test.Echo/Stall')(b'', timeout=20)
check('stall', next(stalled), b'one moment')
ends('request whole', stalled, 1.5, 10)
ends('nobody has begun', channel.stream_stream('/test.Echo/Talk')(iter(queue.Queue().get, None), timeout=20), 1, 10)
print('all well')
"#;

#[test]
fn calls_of_every_kind_pass_in_the_clear() {
    let (address, _server) = python_server(SERVER, &[]);
    let elbow = Balancer::http([address]).listener("http2 = true").start();
    assert_eq!(python(CLIENT, &[&elbow.address().to_string()]).trim(), "all well");
    let metrics = elbow.admin().metrics();
    assert!(metrics.sum("elbow_backend_connections_total", &[("reused", "true")]) > 100.0, "connections are shared");
    let made = metrics.sum("elbow_backend_connections_total", &[("reused", "false")]);
    assert!(made < 20.0, "{made} connections to the instance");
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 0.0);
}

#[test]
fn calls_of_every_kind_pass_inside_tls() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let (chain, key) = (certificate.chain.display().to_string(), certificate.key.display().to_string());
    let (address, _server) = python_server(SERVER, &[&chain, &key]);
    let elbow = Balancer::https([address], &[&certificate])
        .listener("instance_protocol = \"HTTPS\"")
        .listener("http2 = true")
        .start();
    assert_eq!(python(CLIENT, &[&elbow.address().to_string(), &authority.path()]).trim(), "all well");
}

#[test]
fn a_stream_lives_while_either_side_may_be_waiting_for_the_other() {
    let (address, _server) = python_server(SERVER, &[]);
    let elbow = Balancer::http([address])
        .listener("http2 = true")
        .attribute("idle_timeout = 2")
        .limit("client_body_timeout = 1.5\ntunnel_timeout = 4")
        .start();
    assert_eq!(python(SILENT_CLIENT, &[&elbow.address().to_string()]).trim(), "all well");
    let metrics = elbow.admin().metrics();
    for reason in ["tunnel_timeout", "response_idle_timeout", "client_body_timeout"] {
        assert_eq!(metrics.sum("elbow_errors_total", &[("reason", reason)]), 1.0, "{reason}");
    }
}

#[test]
fn http1_clients_are_served_by_http2_instances() {
    let (address, _server) = python_server(SERVER, &[]);
    let elbow = Balancer::http([address]).listener("http2 = true").start();
    let url = format!("http://{}/test.Echo/Missing", elbow.address());
    let fields = ["--header", "content-type: application/grpc", "--header", "te: trailers"];
    let told = curl(&[&["--http1.1", "--include", "--data", "", &url], &fields[..]].concat());
    assert!(told.starts_with("HTTP/1.1 200") && told.to_lowercase().contains("grpc-status: 12"), "{told}");
}

#[test]
fn instances_that_speak_nothing_but_http2_pass_their_probes() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let (chain, key) = (certificate.chain.display().to_string(), certificate.key.display().to_string());
    let (plain, _plain) = python_server(SERVER, &[]);
    let (secure, _secure) = python_server(SERVER, &[&chain, &key]);
    let in_tls = "instance_protocol = \"HTTPS\"";
    for (address, target, pairs) in
        [(plain, "HTTP", &["http2 = true"][..]), (secure, "HTTPS", &[in_tls, "http2 = true"])]
    {
        let balancer = pairs.iter().fold(Balancer::http([address]), |all, pair| all.listener(pair));
        let elbow = balancer.clone().probing(&format!("{target}:1/grpc.health.v1.Health/Check")).start();
        let url = format!("http://{}/test.Echo/Missing", elbow.address());
        let fields = ["--header", "content-type: application/grpc", "--header", "te: trailers"];
        let told = curl(&[&["--http1.1", "--include", "--data", "", &url], &fields[..]].concat());
        assert!(told.to_lowercase().contains("grpc-status: 12"), "{target}: {told}");
        // It takes no GET, and lets up to a second pass before it says so.
        let times = "interval = 4\ntimeout = 3.9\nhealthy_threshold = 2\nunhealthy_threshold = 2";
        let elbow = balancer.checking(&format!("target = \"{target}:1/\"\n{times}")).start_early();
        let fails = |line: &String| line.contains("request given up by the instance");
        eventually("probes fail", PATIENCE, || elbow.log().iter().any(fails).then_some(()));
    }
    // A handshake in which nothing else is offered is enough for an SSL check.
    Balancer::http([secure]).listener(in_tls).listener("http2 = true").probing("SSL:1").start();
}

#[test]
fn an_instance_that_knows_no_http2_fails_the_probes_of_a_listener_that_speaks_it() {
    let authority = Authority::new();
    let nginx = Nginx::start_secure("back", &authority.issue("back", "back.test", &PKCS_ECDSA_P256_SHA256));
    let balancer = Balancer::http([nginx.address()]).listener("instance_protocol = \"HTTPS\", http2 = true");
    let elbow = balancer.probing("HTTPS:1/").start_early();
    let says = |line: &String| line.contains("HTTP/2 not agreed on");
    eventually("the reason", PATIENCE, || elbow.log().iter().any(says).then_some(()));
}

#[test]
fn an_instance_that_speaks_no_http2_is_a_gateway_error() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).listener("http2 = true").start();
    let url = format!("http://{}/", elbow.address());
    let told = curl(&["--output", "/dev/null", "--write-out", "%{http_code}", &url]);
    assert!(["502", "504"].contains(&told.as_str()), "{told}");
}
