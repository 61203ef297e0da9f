//! The proxy under mixed traffic and faults: clients, a node on several cores, back ends, and an operator that takes
//! instances out of service.

use std::cell::Cell;
use std::fmt::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use elbow::base::random::Random;
use elbow::runtime::{Io, ListenOptions, Listener};

use crate::faults::Faults;
use crate::flows::{Stop, cut_short, serve};
use crate::http::backend::{BackEnd, Expected};
use crate::http::client::{Ending, Visit, visit};
use crate::http::ledger::Ledger;
use crate::http::plan::{Kinds, Plan};
use crate::network::host;
use crate::node::{Node, Start};
use crate::seeds::Run;
use crate::simulation::{Simulation, Verdict};

/// The listener's port.
const HTTP: u16 = 80;

/// How long a node that is being stopped lets requests finish.
const DRAIN: Duration = Duration::from_secs(600);

/// What a seed decides.
#[derive(Clone, Debug)]
struct Setting {
    cores: u64,
    back_ends: u64,
    visitors: u64,
    visits: u64,
    requests: u64,
    kinds: Kinds,
    /// One visitor in so many leaves in the middle of things; 0 for none.
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

    fn visit(&self, ledger: &Ledger, random: &mut Random) -> Visit {
        let plans: Vec<Plan> = (0..=random.below(self.requests))
            .map(|_| {
                let plan = Plan::drawn(ledger.len(), &self.kinds, random);
                ledger.enter(plan.clone());
                plan
            })
            .collect();
        let ending = match random.below(8) {
            0 if self.garbage => Ending::Garbage(garbage(random)),
            1 | 2 => Ending::HalfClose,
            _ => Ending::Close,
        };
        Visit { plans, depth: 1 << random.below(4), ending, seed: random.next_u64() }
    }

    /// The configuration file of a node with these back ends.
    fn file(&self, node: SocketAddr, back_ends: &[SocketAddr]) -> String {
        let mut file = format!(
            "[load_balancers.web]\nlisteners = [{{ protocol = \"HTTP\", address = \"{}\", port = {}, \
             instance_port = 1 }}]\ninstances = [",
            node.ip(),
            node.port(),
        );
        back_ends.iter().for_each(|address| write!(file, "\"{address}\", ").expect("memory"));
        let limit = self.requests_per_connection;
        write!(file, "]\n[load_balancers.web.limits]\nrequests_per_connection = {limit}\n").expect("memory");
        file
    }
}

/// One run.
pub fn scenario(run: Run) -> Verdict {
    let setting = Setting::drawn(run.seed);
    if run.verbose {
        println!("{setting:?}");
    }
    let random = &mut Random::new(!run.seed);
    let mut simulation = Simulation::new(run.seed, setting.faults.clone(), run.verbose);
    let ledger = Rc::new(Ledger::new(simulation.world()));
    let (clients, client_address) = simulation.add_core(1024);
    let (servers, server_address) = simulation.add_core(1024);
    let cores: Vec<Io> = (0..setting.cores).map(|_| simulation.add_core(setting.buffers).0).collect();
    let target = SocketAddr::new(host(2), HTTP);
    let expected = Expected { client: client_address, port: HTTP };

    let stop = Stop::default();
    let back_ends: Vec<SocketAddr> = (0..setting.back_ends)
        .map(|_| {
            open_back_end(&servers, SocketAddr::new(server_address, 0), &ledger, expected, &stop, random.next_u64())
        })
        .collect();
    let file = setting.file(target, &back_ends);
    let (limit, may_splice) = (10_000, setting.may_splice);
    let node = Rc::new(Node::start(&Start { file: &file, cores: &cores, limit, may_splice }));

    simulation.run_until(|| node.is_open());

    let visiting = Rc::new(Cell::new(setting.visitors));
    for _ in 0..setting.visitors {
        let visits: Vec<Visit> = (0..setting.visits).map(|_| setting.visit(&ledger, random)).collect();
        let leaving = setting.leaving > 0 && random.chance(1, setting.leaving);
        let polls = if leaving { random.below(60) } else { u64::MAX };
        let (io, ledger, visiting) = (clients.clone(), ledger.clone(), visiting.clone());
        clients.spawn(async move {
            for planned in visits {
                cut_short(visit(io.clone(), ledger.clone(), target, planned), polls).await;
            }
            visiting.set(visiting.get() - 1);
        });
    }
    if setting.outages {
        servers.spawn(operate(servers.clone(), node.clone(), ledger.clone(), setting.back_ends, random.next_u64()));
    }
    if setting.drained {
        simulation.run_until_or(|| visiting.get() == 0, Duration::from_micros(1 << random.below(24)));
    } else {
        simulation.run_until(|| visiting.get() == 0);
    }
    ledger.drain();
    node.drain(ledger.now(), DRAIN);
    simulation.run_until(|| visiting.get() == 0 && node.has_ended());
    stop.now();
    simulation.run_for(Duration::from_secs(1));
    if simulation.is_clean() {
        ledger.judge(setting.perfect);
        node.left_over().into_iter().for_each(|left| ledger.find(left));
    }
    simulation.finish()
}

fn open_back_end(
    io: &Io,
    address: SocketAddr,
    ledger: &Rc<Ledger>,
    expected: Expected,
    stop: &Stop,
    seed: u64,
) -> SocketAddr {
    let listener = Listener::open(io, &ListenOptions { address, backlog: 256 }).expect("it listens");
    let address = listener.address().expect("it listens");
    ledger.add_back_end(address);
    let (spawner, ledger, random) = (io.clone(), ledger.clone(), Cell::new(seed));
    io.spawn(serve(io.clone(), listener, stop.clone(), move |socket| {
        random.set(random.get().wrapping_add(1));
        spawner.spawn(BackEnd::new(ledger.clone(), socket, expected, random.get()).serve());
    }));
    address
}

/// Takes instances out of service and back, at random times; at times all of them.
async fn operate(io: Io, node: Rc<Node>, ledger: Rc<Ledger>, back_ends: u64, seed: u64) {
    let random = &mut Random::new(seed);
    for _ in 0..random.below(12) {
        let reach = 1 << random.below(22);
        io.sleep(Duration::from_micros(random.below(reach))).await;
        let good = random.below(1 << back_ends);
        ledger.set_outage(good == 0);
        node.set_in_service(|instance| good >> instance & 1 == 1);
    }
    node.set_in_service(|_| true);
    ledger.set_outage(false);
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
