//! The ELB Query API: no bytes of a caller bring down the form decoder, the signature parser or an operation, and
//! whatever an operation makes is stored and read back as it was.

use std::cell::RefCell;
use std::path::Path;

use elbow::control::api::Settings;
use elbow::control::api::operation::{Call, Operation};
use elbow::control::api::query::{Parameters, form};
use elbow::control::api::signature::{self, KeyRing, SignedRequest};
use elbow::control::api::state::{Record, State, Surroundings};
use elbow::control::api::store::codec;
use elbow::control::config;
use elbow::model::{
    Access, AccessKey, AccessKeyId, ApiSettings, Configuration, Inventory, InventoryInstance, Node, Region,
    ResourceName, Zone,
};
use http::{HeaderMap, HeaderValue, Method};

use crate::corpus;

/// Any bytes as the form of a call; without an action that exists, their number chooses one.
pub fn fuzz_api_call(input: &[u8]) {
    let Ok(pairs) = form::decode(input) else { return };
    assert_eq!(form::decode(encode(&pairs).as_bytes()).as_ref(), Ok(&pairs), "encoding changed the meaning");
    let Ok(parameters) = Parameters::new(pairs) else { return };
    let named = parameters.text("Action").and_then(Operation::from_name);
    let operation = named.unwrap_or(Operation::ALL[input.len() % Operation::ALL.len()]);
    WORLD.with_borrow_mut(|world| world.run(operation, &parameters));
}

/// Any bytes as an `Authorization` header, and behind a line feed a query: of one request each way of signing. Whoever
/// gets in has shown the signature that only the secret makes.
pub fn fuzz_api_signature(input: &[u8]) {
    let (header, query) = match input.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &b""[..]),
    };
    let query = String::from_utf8_lossy(query);
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("127.0.0.1:9901"));
    if is_let_in(&Method::GET, &query, &headers, b"") {
        assert!(query.to_ascii_lowercase().contains(PRESIGNED), "{query}");
    }
    headers.insert("x-amz-date", HeaderValue::from_static("20260102T030405Z"));
    if let Ok(value) = HeaderValue::from_bytes(header) {
        headers.insert("authorization", value);
        if is_let_in(&Method::POST, "", &headers, CALL) {
            let shown = String::from_utf8_lossy(header).to_ascii_lowercase();
            assert!(shown.contains(SIGNED), "{shown}");
        }
        // Both at once: the header counts.
        is_let_in(&Method::POST, &query, &headers, CALL);
    }
}

/// What is signed in the corpus: in the body with [`SIGNED`], in the query of a GET with [`PRESIGNED`]; by botocore.
const CALL: &[u8] = b"Action=DescribeLoadBalancers&Version=2012-06-01";
const SIGNED: &str = "1115fab6722030e07f5bf09b67b0cdb9c0989c675cf5503586d3e2eb9a702075";
const PRESIGNED: &str = "7076c05359cf1c41fb989bae3a43377a3766bb9c8c5aabb17b263af9ae6552d5";

fn is_let_in(method: &Method, query: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let request = SignedRequest { method, query, headers, body };
    let now = "2026-01-02T03:04:10Z".parse().expect("a time");
    match KEYS.with(|keys| signature::verify(&request, keys, &Region::default(), now)) {
        Ok(caller) => caller.key.as_str() == "LOCALKEY",
        Err(error) => {
            assert!(error.code.status().is_client_error(), "{error}");
            false
        }
    }
}

thread_local! {
    static KEYS: KeyRing = {
        let secret = tempfile::NamedTempFile::new().expect("a file for its owner alone");
        std::fs::write(&secret, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY").expect("written");
        let id = AccessKeyId::new("LOCALKEY").expect("an id");
        let key = AccessKey { id, secret_file: secret.path().to_owned(), access: Access::Full };
        KeyRing::load(&[key]).expect("a key")
    };
}

fn encode(pairs: &[(String, String)]) -> String {
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    pairs.iter().map(|(name, value)| format!("{}={}&", escape(name), escape(value))).collect()
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

/// What calls are made on: it takes their changes in, so that later ones meet what earlier ones made.
struct World {
    file: Configuration,
    settings: Settings,
    zone: Zone,
    state: State,
    runs: u32,
}

/// Runs after which the world begins anew, so that a failure depends on few before it.
const RUNS_PER_WORLD: u32 = 100;

impl World {
    fn new() -> Self {
        let file = "[load_balancers.filed]\nlisteners = [{ protocol = \"TCP\", port = 9000, instance_port = 1 }]\n";
        let file = config::parse(file, "elbow.toml".as_ref()).expect("a good file").configuration;
        let zone = Zone::new("a").expect("a zone");
        let resource = |name| ResourceName::new(name).expect("a name");
        let known = InventoryInstance { address: "10.0.0.9:80".parse().expect("an address"), zone: zone.clone() };
        let files = elbow::model::CertificateFiles { chain: "c".into(), key: "k".into() };
        let mut parts = file.into_parts();
        parts.inventory = Inventory {
            instances: [(elbow::model::InstanceId::new("web-9").expect("an id"), known)].into(),
            certificates: [(resource("shop"), files)].into(),
            subnets: [(resource("subnet-a"), zone.clone())].into(),
            security_groups: [(resource("sg-office"), Vec::new())].into(),
        };
        let file = Configuration::new(parts).expect("no conflicts");
        let settings = Settings::new(&ApiSettings::new(Vec::new()), &Node::default());
        let around = Surroundings { settings: &settings, inventory: &file.inventory, node_zone: &zone };
        let state = State::new(&file, [], around).expect("nothing stored");
        Self { file, settings, zone, state, runs: 0 }
    }

    fn run(&mut self, operation: Operation, parameters: &Parameters) {
        self.runs += 1;
        if self.runs == RUNS_PER_WORLD {
            *self = Self::new();
        }
        let inventory = &self.file.inventory;
        let around = Surroundings { settings: &self.settings, inventory, node_zone: &self.zone };
        let now = "2026-01-02T03:04:05Z".parse().expect("a time");
        let call = Call { parameters, state: &self.state, around, now, health: &|_| Vec::new() };
        let Ok(done) = operation.run(&call) else { return };
        std::str::from_utf8(&done.result.into_bytes()).expect("UTF-8");
        let Some(change) = done.change else { return };
        assert!(operation.is_change(), "{operation:?} changed something");
        if let Some(record) = &change.after {
            let (draft, origin) = codec::decode(&codec::encode(record).expect("bytes")).expect("a record");
            assert_eq!(Record::settle(draft, origin, around).as_ref(), Ok(&**record), "storing changed the record");
        }
        let next = self.state.with(&change);
        if next.configuration(&self.file).is_ok() {
            self.state = next;
        }
    }
}

#[test]
fn api_calls() {
    corpus::run("api_call", fuzz_api_call);
}

#[test]
fn api_signatures() {
    corpus::run("api_signature", fuzz_api_signature);
}

#[test]
fn the_good_signatures_of_the_corpus_are_let_in() {
    let kept = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/api_signature").join(name);
        std::fs::read_to_string(path).expect("a text")
    };
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("127.0.0.1:9901"));
    assert!(is_let_in(&Method::GET, kept("presigned").trim(), &headers, b""));
    headers.insert("x-amz-date", HeaderValue::from_static("20260102T030405Z"));
    headers.insert("authorization", kept("header").trim().parse().expect("a value"));
    assert!(is_let_in(&Method::POST, "", &headers, CALL));
    assert!(!is_let_in(&Method::POST, "", &headers, b""));
}
