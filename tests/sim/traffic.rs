//! The proxy under mixed traffic and faults: HTTP and TCP clients, a node on several cores, back ends, and an operator that
//! takes instances out of service.

use std::cell::Cell;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use elbow::base::random::Random;
use elbow::runtime::{Io, ListenOptions, Listener, Socket};

use crate::faults::Faults;
use crate::flows::{Stop, cut_short, serve};
use crate::hardship::Hardship;
use crate::http::backend::{BackEnd, Expected};
use crate::http::client::{Ending, Visit, visit};
use crate::http::ledger::Ledger;
use crate::http::plan::{Kinds, Plan};
use crate::network::host;
use crate::node::{Node, Start};
use crate::seeds::Run;
use crate::simulation::{Simulation, Verdict};
use crate::tcp::{self, Streams};

/// The listeners' ports.
const HTTP: u16 = 80;
const TCP: u16 = 90;

/// Client connections that the node admits.
const LIMIT: usize = 10_000;

/// How long a node that is being stopped lets what is in flight finish.
const DRAIN: Duration = Duration::from_secs(600);

/// What a seed decides.
#[derive(Clone, Debug)]
struct Setting {
    cores: u64,
    back_ends: u64,
    /// HTTP clients, their connections one after the other, and the most requests on each.
    visitors: u64,
    visits: u64,
    requests: u64,
    kinds: Kinds,
    /// TCP connections.
    streams: u64,
    /// Back ends may fail.
    troubled: bool,
    /// One client in so many leaves in the middle of things; 0 for none.
    leaving: u64,
    /// Clients send garbage at times.
    garbage: bool,
    /// Instances go out of service and come back.
    outages: bool,
    /// The node is told to drain while there is traffic.
    drained: bool,
    buffers: u16,
    may_splice: bool,
    requests_per_connection: u64,
    faults: Faults,
    /// Nothing happens that any request may suffer from.
    perfect: bool,
}

/// Everything that one run consists of.
struct Traffic {
    setting: Setting,
    random: Random,
    simulation: Simulation,
    hardship: Rc<Hardship>,
    ledger: Rc<Ledger>,
    streams: Rc<Streams>,
    clients: Io,
    servers: Io,
    servers_address: IpAddr,
    node_address: IpAddr,
    /// Clients that have not ended.
    under_way: Rc<Cell<u64>>,
    stop: Stop,
}

/// One run.
pub fn scenario(run: Run) -> Verdict {
    let setting = Setting::drawn(run.seed);
    if run.verbose {
        println!("{setting:?}");
    }
    let mut traffic = Traffic::new(setting, run);
    let node = traffic.start_node();
    for _ in 0..traffic.setting.visitors {
        traffic.start_visitor();
    }
    for _ in 0..traffic.setting.streams {
        traffic.start_stream();
    }
    if traffic.setting.outages {
        let (io, hardship, seed) = (&traffic.servers, traffic.hardship.clone(), traffic.random.next_u64());
        io.spawn(operate(io.clone(), node.clone(), hardship, traffic.setting.back_ends, seed));
    }
    traffic.run(&node)
}

impl Setting {
    fn drawn(seed: u64) -> Setting {
        let random = &mut Random::new(seed);
        let (harmful, troubled) = (random.chance(1, 2), random.chance(1, 2));
        let faults = if harmful { Faults::any(random) } else { Faults::harmless(random) };
        let leaving = if random.chance(1, 2) { 0 } else { 1 << random.below(4) };
        let (outages, drained) = (random.chance(1, 4), random.chance(1, 4));
        Setting {
            cores: 1 + random.below(3),
            back_ends: 1 + random.below(4),
            visitors: 1 + random.below(8),
            visits: 1 + random.below(3),
            requests: 1 << random.below(5),
            kinds: Kinds::drawn(random, troubled),
            streams: if random.chance(1, 2) { random.below(6) } else { 0 },
            troubled,
            leaving,
            garbage: random.chance(1, 4),
            outages,
            drained,
            buffers: 64 << random.below(3),
            may_splice: random.chance(3, 4),
            requests_per_connection: if random.chance(1, 4) { 1 + random.below(8) } else { 100_000 },
            faults,
            perfect: !harmful && !troubled && leaving == 0 && !outages && !drained,
        }
    }

    /// The configuration file of a node with these back ends.
    fn file(&self, node: IpAddr, http: &[SocketAddr], tcp: &[SocketAddr]) -> String {
        let mut file = String::new();
        for (name, protocol, port, back_ends) in [("web", "HTTP", HTTP, http), ("raw", "TCP", TCP, tcp)] {
            let listener = format!("protocol = \"{protocol}\", address = \"{node}\", port = {port}, instance_port = 1");
            let instances: Vec<String> = back_ends.iter().map(|address| format!("\"{address}\"")).collect();
            let (instances, limit) = (instances.join(", "), self.requests_per_connection);
            write!(
                file,
                "[load_balancers.{name}]\nlisteners = [{{ {listener} }}]\ninstances = [{instances}]\n\
                 limits = {{ requests_per_connection = {limit} }}\n"
            )
            .expect("memory");
        }
        file
    }
}

impl Traffic {
    fn new(setting: Setting, run: Run) -> Traffic {
        let mut simulation = Simulation::new(run.seed, setting.faults.clone(), run.verbose);
        let hardship = Rc::new(Hardship::new(simulation.world()));
        let ledger = Rc::new(Ledger::new(simulation.world(), &hardship));
        let streams = Rc::new(Streams::new(simulation.world(), &hardship));
        let (clients, _) = simulation.add_core(1024);
        let (servers, servers_address) = simulation.add_core(1024);
        Traffic {
            setting,
            random: Random::new(!run.seed),
            simulation,
            hardship,
            ledger,
            streams,
            clients,
            servers,
            servers_address,
            node_address: host(2),
            under_way: Rc::default(),
            stop: Stop::default(),
        }
    }

    /// Starts back ends and a node in front of them, and waits until it accepts.
    fn start_node(&mut self) -> Rc<Node> {
        let expected = Expected { client: host(0), port: HTTP };
        let ledger = self.ledger.clone();
        let http =
            self.start_back_ends(move |socket, seed| BackEnd::new(ledger.clone(), socket, expected, seed).serve());
        let streams = self.streams.clone();
        let tcp = self.start_back_ends(move |socket, seed| tcp::be_back_end(streams.clone(), socket, seed));
        let buffers = self.setting.buffers;
        let cores: Vec<Io> = (0..self.setting.cores).map(|_| self.simulation.add_core(buffers).0).collect();
        let file = self.setting.file(self.node_address, &http, &tcp);
        let may_splice = self.setting.may_splice;
        let node = Rc::new(Node::start(&Start { file: &file, cores: &cores, limit: LIMIT, may_splice }));
        self.simulation.run_until(|| node.is_open());
        node
    }

    fn start_back_ends<F>(&mut self, flow: impl Fn(Socket, u64) -> F + Clone + 'static) -> Vec<SocketAddr>
    where
        F: Future<Output = ()> + 'static,
    {
        let start = |_| {
            let options = ListenOptions { address: SocketAddr::new(self.servers_address, 0), backlog: 256 };
            let listener = Listener::open(&self.servers, &options).expect("it listens");
            let address = listener.address().expect("it listens");
            self.hardship.add_back_end(address);
            let (io, seed, flow) = (self.servers.clone(), Cell::new(self.random.next_u64()), flow.clone());
            self.servers.spawn(serve(io.clone(), listener, self.stop.clone(), move |socket| {
                seed.set(seed.get().wrapping_add(1));
                io.spawn(flow(socket, seed.get()));
            }));
            address
        };
        (0..self.setting.back_ends).map(start).collect()
    }

    /// Starts an HTTP client with its connections.
    fn start_visitor(&mut self) {
        let visits: Vec<Visit> = (0..self.setting.visits).map(|_| self.plan_visit()).collect();
        let target = SocketAddr::new(self.node_address, HTTP);
        let (io, ledger) = (self.clients.clone(), self.ledger.clone());
        self.start_client(async move {
            for planned in visits {
                visit(io.clone(), ledger.clone(), target, planned).await;
            }
        });
    }

    fn plan_visit(&mut self) -> Visit {
        let random = &mut self.random;
        let plans: Vec<Plan> = (0..=random.below(self.setting.requests))
            .map(|_| {
                let plan = Plan::drawn(self.ledger.len(), &self.setting.kinds, random);
                self.ledger.enter(plan.clone());
                plan
            })
            .collect();
        let ending = match random.below(8) {
            0 if self.setting.garbage => Ending::Garbage(garbage(random)),
            1 | 2 => Ending::HalfClose,
            _ => Ending::Close,
        };
        Visit { plans, depth: 1 << random.below(4), ending, seed: random.next_u64() }
    }

    /// Starts a TCP client with its connection.
    fn start_stream(&mut self) {
        let number = self.streams.len();
        self.streams.enter(tcp::Plan::drawn(number, self.setting.troubled, &mut self.random));
        let target = SocketAddr::new(self.node_address, TCP);
        self.start_client(tcp::be_client(self.clients.clone(), self.streams.clone(), number, target));
    }

    /// Starts a client that may leave in the middle of things.
    fn start_client(&mut self, client: impl Future<Output = ()> + 'static) {
        let leaving = self.setting.leaving > 0 && self.random.chance(1, self.setting.leaving);
        let polls = if leaving { self.random.below(60) } else { u64::MAX };
        let under_way = self.under_way.clone();
        under_way.set(under_way.get() + 1);
        self.clients.spawn(async move {
            cut_short(client, polls).await;
            under_way.set(under_way.get() - 1);
        });
    }

    /// Runs to the end: of the traffic, of the node, of everything.
    fn run(mut self, node: &Node) -> Verdict {
        let under_way = self.under_way.clone();
        let traffic_has_ended = || under_way.get() == 0;
        match self.setting.drained {
            true => self.simulation.run_until_or(traffic_has_ended, Duration::from_micros(1 << self.random.below(24))),
            false => self.simulation.run_until(traffic_has_ended),
        }
        self.hardship.drain();
        let deadline = self.hardship.now() + DRAIN;
        node.drain(deadline);
        self.simulation.run_until(|| node.has_ended());
        if self.simulation.is_clean() && self.hardship.now() < deadline {
            node.left_over().into_iter().for_each(|left| self.ledger.find(left));
        }
        self.simulation.run_until(traffic_has_ended);
        self.stop.now();
        self.simulation.run_for(Duration::from_secs(1));
        if self.simulation.is_clean() {
            self.ledger.judge(self.setting.perfect);
            self.streams.judge(self.setting.perfect);
        }
        self.simulation.finish()
    }
}

/// Takes instances out of service and back, at random times; at times all of them.
async fn operate(io: Io, node: Rc<Node>, hardship: Rc<Hardship>, back_ends: u64, seed: u64) {
    let random = &mut Random::new(seed);
    for _ in 0..random.below(12) {
        let reach = 1 << random.below(22);
        io.sleep(Duration::from_micros(random.below(reach))).await;
        let good = random.below(1 << back_ends);
        hardship.set_outage(good == 0);
        node.set_in_service(|instance| good >> (instance as u64 % back_ends) & 1 == 1);
    }
    node.set_in_service(|_| true);
    hardship.set_outage(false);
}

/// Bytes that are not a request, with or without an end.
fn garbage(random: &mut Random) -> Vec<u8> {
    const KNOWN: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        b"GET / HTTP/2.5\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /unfinished HTTP/1.1\r\nHo",
    ];
    match random.below(8) {
        known @ 0..6 => KNOWN[known as usize].to_vec(),
        _ => {
            let mut bytes: Vec<u8> = (0..random.below(300)).map(|_| random.next_u64() as u8).collect();
            bytes.insert(0, 0);
            bytes.extend_from_slice(b"\r\n\r\n");
            bytes
        }
    }
}
