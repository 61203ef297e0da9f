//! RFC 7541 sections 6.2.3 and 7.1.3: a field that its sender had never indexed goes on like that, and so do secrets that
//! could be guessed. The other two ends are PyPI's `h2` and `hpack`.

use crate::harness::{Balancer, curl, python, python_server};

/// Says in the body how the fields of a request were written, its trailers included; has secrets of its own in an interim
/// head, the head or the trailers where the path names that. Argument: address.
const SERVER: &str = r#"
import json, sys
from h2.events import RequestReceived, StreamEnded, TrailersReceived
from hpack import HeaderTuple, NeverIndexedHeaderTuple as Secret
from peers import Server, listen
def talk(stream):
    server, seen = Server(stream, normalize_inbound_headers=False), {}
    for event in server.events:
        if isinstance(event, (RequestReceived, TrailersReceived)):
            told = [[*field, 'open' if field.indexable else 'secret'] for field in event.headers]
            seen.setdefault(event.stream_id, []).extend(told)
        elif isinstance(event, StreamEnded):
            number = event.stream_id
            told = seen.pop(number)
            path = next(value for name, value, _ in told if name == ':path')
            field = lambda part, name: Secret(name, 's') if path == part else HeaderTuple(name, 'v')
            server.send_headers(number, [(':status', '103'), field('/hint', 'x-hint')])
            server.send_headers(number, [(':status', '200'), field('/head', 'x-key'), ('x-plain', 'p')])
            server.send_data(number, json.dumps(told).encode())
            server.send_headers(number, [field('/trailers', 'x-sum')], end_stream=True)
listen(talk, sys.argv[1])
"#;

/// Asks several times on one connection, with secrets here and there; prints what does not hold. Argument: address.
const CLIENT: &str = r#"
import json, sys
from h2.events import DataReceived, StreamEnded
from hpack import NeverIndexedHeaderTuple as Secret
from peers import Client, check
client = Client(sys.argv[1])
def ask(path, fields, trailers):
    number, body, heads = client.ask('POST', path, fields), b'', {}
    client.send_data(number, b'body')
    client.send_headers(number, trailers, end_stream=True)
    for event in client.events:
        if isinstance(event, DataReceived):
            body += event.data
        elif isinstance(event, StreamEnded):
            break
        elif hasattr(event, 'headers'):
            heads |= {field[0]: 'open' if field.indexable else 'secret' for field in event.headers}
    asked = {name: how for name, value, how in json.loads(body)}
    return asked, heads
late, secret_late = [('x-late', 'l')], [Secret('x-late', 'm')]
cookies = [('cookie', 'a-cookie-longer-than-twenty=1'), ('cookie', 'another-cookie-longer-than-twenty=1')]
# Secrets do not stick to what comes behind them on the connection.
for _ in range(2):
    asked, heads = ask('/', [('x-token', 'a'), *cookies], late)
    check('nothing asked', [asked[name] for name in ('x-token', 'cookie', 'x-late')], ['open', 'open', 'open'])
    check('nothing answered', [heads[name] for name in ('x-hint', 'x-key', 'x-plain', 'x-sum')], ['open'] * 4)
    asked, _ = ask('/', [Secret('x-token', 'b'), *cookies], late)
    check('asked', asked['x-token'], 'secret')
    asked, _ = ask('/', [('x-token', 'a'), Secret('cookie', 'yet-another-that-is-longer=1')], late)
    check('cookie', asked['cookie'], 'secret')
    asked, _ = ask('/', [('x-token', 'a')], secret_late)
    check('trailers asked', asked['x-late'], 'secret')
    _, heads = ask('/hint', [], late)
    check('hint', heads['x-hint'], 'secret')
    _, heads = ask('/head', [], late)
    check('head', heads['x-key'], 'secret')
    _, heads = ask('/trailers', [], late)
    check('trailers', heads['x-sum'], 'secret')
print('all well')
"#;

#[test]
fn section_6_2_3_what_was_never_indexed_stays_so_both_ways() {
    let (address, _server) = python_server(SERVER, &[]);
    let elbow = Balancer::http([address]).listener("http2 = true").start();
    assert_eq!(python(CLIENT, &[&elbow.address().to_string()]).trim(), "all well");
}

#[test]
fn section_7_1_3_secrets_that_could_be_guessed_are_never_indexed() {
    let (address, _server) = python_server(SERVER, &[]);
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
