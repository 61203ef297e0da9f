//! The proxy under mixed traffic and faults: HTTP and TCP clients, in the clear or inside TLS, a node on several cores,
//! back ends that die and revive, and an operator who takes instances out of service, registers and deregisters them.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use elbow::base::random::Random;
use elbow::runtime::Io;

use crate::back_end::{BackEnd, Flow};
use crate::dress::Dress;
use crate::faults::Faults;
use crate::flows::{Stop, cut_short};
use crate::hardship::Hardship;
use crate::http::backend::{Exchanges, Expected};
use crate::http::client::{Door, Ending, Visit, visit};
use crate::http::cookies::Jar;
use crate::http::h2_backend;
use crate::http::ledger::Ledger;
use crate::http::plan::{Kinds, Plan};
use crate::line::Clients;
use crate::network::host;
use crate::node::{Balancer, Node, Start};
use crate::operator::{Habits, Operator, keep_order};
use crate::rules::Rules;
use crate::seeds::Run;
use crate::simulation::{Simulation, Verdict};
use crate::tcp::{self, Streams};

/// The listeners' ports.
pub const HTTP: u16 = 80;
pub const TCP: u16 = 90;

/// Client connections that the node admits.
const LIMIT: usize = 10_000;

/// How long a node that is being stopped lets what is in flight finish.
const DRAIN: Duration = Duration::from_secs(600);

/// Seconds of draining that nothing in a perfect run outlasts.
const LONG_DRAINING: u64 = 3_000;

/// What a seed decides.
#[derive(Clone, Debug)]
struct Setting {
    dress: Dress,
    rules: Rules,
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
    /// Clients that leave do so with a reset.
    resetting: bool,
    habits: Habits,
    /// Seconds that what is in flight on an instance that leaves may take; 0: draining is off.
    draining: u64,
    /// The node is told to drain while there is traffic.
    drained: bool,
    buffers: u16,
    may_splice: bool,
    requests_per_connection: u64,
    faults: Faults,
    /// Nothing happens that any request may suffer from.
    perfect: bool,
}

/// How long a client stays, and how it leaves.
#[derive(Clone, Copy, Debug)]
struct Stay {
    /// After so many polls it is gone.
    polls: u64,
    /// Its close is a reset.
    resets: bool,
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
    /// The node's.
    cores: Vec<Io>,
    servers_address: IpAddr,
    node_address: IpAddr,
    /// How clients shake hands.
    tls: Rc<Clients>,
    /// Clients that have not ended.
    under_way: Rc<Cell<u64>>,
    stop: Stop,
}

/// One run in the clear, with one request at a time on each connection.
pub fn scenario(run: Run) -> Verdict {
    play(Setting::drawn(run.seed, Dress::default(), Rules::default()), run)
}

/// One run with TLS or HTTP/2 on one side of the node or on both.
pub fn dressed(run: Run) -> Verdict {
    play(Setting::drawn(run.seed, Dress::drawn(run.seed), Rules::default()), run)
}

/// One run with sticky sessions, or with a limit on what an instance has at once and a queue.
pub fn governed(run: Run) -> Verdict {
    let dress = match Random::new(run.seed << 22).chance(1, 8) {
        true => Dress::drawn(run.seed),
        false => Dress::default(),
    };
    play(Setting::drawn(run.seed, dress, Rules::drawn(run.seed)), run)
}

fn play(setting: Setting, run: Run) -> Verdict {
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
    traffic.run(&node)
}

impl Setting {
    fn drawn(seed: u64, dress: Dress, rules: Rules) -> Setting {
        let random = &mut Random::new(seed);
        let (harmful, troubled) = (random.chance(1, 2), random.chance(1, 2));
        let faults = if harmful { Faults::any(random) } else { Faults::harmless(random) };
        let leaving = if random.chance(1, 2) { 0 } else { 1 << random.below(4) };
        let (outages, drained) = (random.chance(1, 4), random.chance(1, 4));
        let (kills, publications) = (random.chance(1, 4), random.chance(1, 3));
        let draining = [0, 1, LONG_DRAINING][random.below(3) as usize];
        let habits = Habits { kills, outages, publications };
        Setting {
            dress,
            rules,
            cores: 1 + random.below(3),
            back_ends: 1 + random.below(4),
            visitors: 1 + random.below(8),
            visits: 1 + random.below(3),
            requests: 1 << random.below(5),
            kinds: Kinds::drawn(random, troubled),
            // They have no limit of their own, and what is looked at is the fullest of all instances.
            streams: if random.chance(1, 2) && rules.instance_connections.is_none() { random.below(6) } else { 0 },
            troubled,
            leaving,
            garbage: random.chance(1, 4),
            resetting: random.chance(1, 2),
            habits,
            draining,
            drained,
            buffers: 64 << random.below(3),
            may_splice: random.chance(3, 4),
            requests_per_connection: if random.chance(1, 4) { 1 + random.below(8) } else { 100_000 },
            faults,
            perfect: !harmful
                && !troubled
                && leaving == 0
                && !outages
                && !kills
                && !drained
                && (!publications || draining == LONG_DRAINING),
        }
    }

    /// The load balancers in front of these back ends.
    fn balancers(&self, http: &[Rc<BackEnd>], tcp: &[Rc<BackEnd>]) -> Vec<Balancer> {
        let limits = format!("requests_per_connection = {}", self.requests_per_connection);
        let web_limits = limits.clone() + &self.rules.limits();
        let Dress { front_tls, instance_tls, instance_streams, .. } = self.dress;
        let [[http_front, http_instance], [tcp_front, tcp_instance]] =
            [["HTTP", "HTTPS"], ["TCP", "SSL"]].map(|of| [of[usize::from(front_tls)], of[usize::from(instance_tls)]]);
        let listeners = [
            ("web", http_front, HTTP, http_instance, instance_streams, http, &web_limits),
            ("raw", tcp_front, TCP, tcp_instance, false, tcp, &limits),
        ];
        let balancers = listeners.map(|(name, protocol, port, instance_protocol, http2, back_ends, limits)| Balancer {
            name,
            protocol,
            port,
            instance_protocol,
            http2,
            instances: back_ends.iter().map(|back_end| back_end.address()).collect(),
            limits: limits.clone(),
            sticky: self.rules.sticky && port == HTTP,
            draining: self.draining,
        });
        balancers.into()
    }
}

impl Traffic {
    fn new(setting: Setting, run: Run) -> Traffic {
        let mut simulation = Simulation::new(run.seed, setting.faults.clone(), run.verbose);
        let patience = Duration::from_secs(setting.draining);
        let hardship = Rc::new(Hardship::new(simulation.world(), patience));
        let Dress { front_tls, instance_tls, instance_streams, .. } = setting.dress;
        let ledger =
            Rc::new(Ledger::new(simulation.world(), &hardship, instance_tls || instance_streams, setting.rules));
        let streams = Rc::new(Streams::new(simulation.world(), &hardship, [front_tls, instance_tls]));
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
            cores: Vec::new(),
            servers_address,
            node_address: host(2),
            tls: Rc::default(),
            under_way: Rc::default(),
            stop: Stop::default(),
        }
    }

    /// Starts back ends, a node in front of them, and whoever operates both; waits until the node accepts.
    fn start_node(&mut self) -> Rc<Node> {
        let dress = self.setting.dress;
        let expected = Expected {
            client: host(0),
            port: HTTP,
            scheme: if dress.front_tls { "https" } else { "http" },
            version: if dress.instance_streams { "HTTP/2.0" } else { "HTTP/1.1" },
        };
        let (ledger, streams) = (self.ledger.clone(), self.streams.clone());
        let servers = dress.servers(if dress.instance_streams { &[b"h2"] } else { &[] });
        let http = self.start_back_ends(
            HTTP,
            Rc::new(move |socket, seed| {
                let (servers, ledger) = (servers.clone(), ledger.clone());
                Box::pin(async move {
                    let Ok(line) = servers.accept(socket).await else { return };
                    if dress.instance_streams {
                        h2_backend::serve(ledger, line, expected, seed).await;
                    } else if let Some(exchanges) = Exchanges::new(ledger, line, expected, seed) {
                        exchanges.serve().await;
                    }
                })
            }),
        );
        let servers = dress.servers(&[]);
        let tcp = self.start_back_ends(
            TCP,
            Rc::new(move |socket, seed| {
                let (servers, streams) = (servers.clone(), streams.clone());
                Box::pin(async move {
                    if let Ok(line) = servers.accept(socket).await {
                        tcp::be_back_end(streams, line, seed).await;
                    }
                })
            }),
        );
        let buffers = self.setting.buffers;
        let cores: Vec<Io> = (0..self.setting.cores).map(|_| self.simulation.add_core(buffers).0).collect();
        self.cores.clone_from(&cores);
        let balancers = self.setting.balancers(&http, &tcp);
        let (address, may_splice) = (self.node_address, self.setting.may_splice);
        let node =
            Rc::new(Node::start(&Start { address, balancers: &balancers, cores: &cores, limit: LIMIT, may_splice }));
        self.simulation.run_until(|| node.is_open());
        let operator = Operator {
            io: self.servers.clone(),
            node: node.clone(),
            node_address: address,
            balancers,
            back_ends: vec![http, tcp],
            hardship: self.hardship.clone(),
            random: Random::new(self.random.next_u64()),
        };
        self.servers.spawn(operator.work(self.setting.habits));
        self.servers.spawn(keep_order(self.servers.clone(), node.clone()));
        node
    }

    fn start_back_ends(&mut self, port: u16, flow: Flow) -> Vec<Rc<BackEnd>> {
        let address = SocketAddr::new(self.servers_address, 0);
        let start = |_| {
            let seed = self.random.next_u64();
            let back_end = BackEnd::start(&self.servers, address, seed, flow.clone(), &self.stop);
            self.hardship.add_back_end(back_end.address(), port);
            back_end
        };
        (0..self.setting.back_ends).map(start).collect()
    }

    /// Starts an HTTP client with its connections.
    fn start_visitor(&mut self) {
        let stay = self.draw_stay();
        let jar = Jar::default();
        let visits: Vec<Visit> = (0..self.setting.visits).map(|_| self.plan_visit(stay.resets, &jar)).collect();
        let door = self.door(HTTP);
        let (io, ledger) = (self.clients.clone(), self.ledger.clone());
        self.start_client(stay, async move {
            for planned in visits {
                visit(io.clone(), ledger.clone(), door.clone(), planned).await;
            }
        });
    }

    fn plan_visit(&mut self, resets: bool, jar: &Jar) -> Visit {
        let random = &mut self.random;
        let streams = self.setting.dress.front_streams && random.chance(3, 4);
        let plans: Vec<Plan> = (0..=random.below(self.setting.requests))
            .map(|_| {
                let plan = Plan::drawn(self.ledger.len(), &self.setting.kinds, random);
                let plan = if streams { plan.for_stream() } else { plan };
                self.ledger.enter(plan.clone());
                plan
            })
            .collect();
        let ending = match random.below(8) {
            0 if self.setting.garbage => Ending::Garbage(garbage(random)),
            1 | 2 => Ending::HalfClose,
            _ => Ending::Close,
        };
        let fickle = if streams { self.setting.leaving } else { 0 };
        let old_tls = self.setting.dress.front_tls && random.chance(1, 4);
        let (depth, jar) = (1 << random.below(4), jar.clone());
        Visit { plans, depth, ending, resets, streams, old_tls, fickle, jar, seed: random.next_u64() }
    }

    fn door(&self, port: u16) -> Door {
        let tls = self.setting.dress.front_tls.then(|| self.tls.clone());
        Door { target: SocketAddr::new(self.node_address, port), tls }
    }

    /// Starts a TCP client with its connection.
    fn start_stream(&mut self) {
        let number = self.streams.len();
        let stay = self.draw_stay();
        let plan = tcp::Plan::drawn(number, self.setting.troubled, &mut self.random);
        self.streams.enter(tcp::Plan { resets: stay.resets, ..plan });
        let (io, streams, door) = (self.clients.clone(), self.streams.clone(), self.door(TCP));
        self.start_client(stay, tcp::be_client(io, streams, number, door));
    }

    /// How long a client stays: some leave in the middle of things.
    fn draw_stay(&mut self) -> Stay {
        let leaves = self.setting.leaving > 0 && self.random.chance(1, self.setting.leaving);
        let polls = if leaves { self.random.below(60) } else { u64::MAX };
        Stay { polls, resets: leaves && self.setting.resetting }
    }

    fn start_client(&mut self, stay: Stay, client: impl Future<Output = ()> + 'static) {
        let under_way = self.under_way.clone();
        under_way.set(under_way.get() + 1);
        self.clients.spawn(async move {
            cut_short(client, stay.polls).await;
            under_way.set(under_way.get() - 1);
        });
    }

    /// Runs to the end: of the traffic, of the node, of everything.
    fn run(mut self, node: &Node) -> Verdict {
        let under_way = self.under_way.clone();
        let most = self.setting.rules.instance_connections.unwrap_or(u64::MAX);
        let ledger = self.ledger.clone();
        // Looked at in every turn.
        let traffic_has_ended = || {
            if node.most_in_flight() > most {
                ledger.find(format!("an instance has more than {most} requests at once"));
            }
            under_way.get() == 0
        };
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
        node.errors().into_iter().for_each(|error| self.ledger.say(|| error));
        self.stop.now();
        self.simulation.run_for(Duration::from_secs(1));
        if self.simulation.is_clean() {
            let is_short = self.cores.iter().any(|core| core.counts().taken_back > 0);
            if is_short {
                self.hardship.set_scarcity();
            }
            let perfect = self.setting.perfect && !is_short;
            self.ledger.judge(perfect);
            self.streams.judge(perfect);
        }
        self.simulation.finish()
    }
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
