//! The runtime alone under faults: clients send numbered patterns through a relay on two cores to an echo server and check
//! what comes back, byte for byte. Flows are dropped at random await points.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use elbow::base::random::Random;
use elbow::runtime::{Direction, Io, ListenOptions, Listener, Socket};

use crate::faults::Faults;
use crate::flows::{Stop, both, copy, copy_repeatedly, cut_short, serve, splice, timely};
use crate::pattern::Pattern;
use crate::seeds::Run;
use crate::simulation::{Simulation, Verdict};
use crate::world::Shared;

/// Cores of the relay.
const CORES: u64 = 2;

/// A stream of so many bytes never waits for room.
const SMALLEST_WINDOW: u64 = 200;

/// What a seed decides about the traffic.
#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    clients: u64,
    /// Most bytes of a stream.
    longest: u64,
    /// Most bytes of one send.
    piece: u64,
    /// Receive buffers of each core.
    buffers: u16,
    /// One flow in so many is dropped on its way; 0 for none.
    dropped: u64,
    way: Way,
    /// The run ends in the middle of things.
    abrupt: bool,
    faults: Faults,
    /// Nothing may go wrong: no fault that shows, no flow dropped.
    perfect: bool,
}

/// How the relay moves bytes.
#[derive(Clone, Copy, Debug)]
enum Way {
    Copy,
    CopyRepeatedly,
    Splice,
}

impl Plan {
    fn drawn(seed: u64) -> Plan {
        let random = &mut Random::new(seed);
        let harmful = random.chance(1, 2);
        let faults = if harmful { Faults::any(random) } else { Faults::harmless(random) };
        let abrupt = random.chance(1, 8);
        let dropped = if random.chance(1, 2) { 0 } else { 1 + random.below(4) };
        let (clients, longest, buffers) = (1 + random.below(12), 1 << random.below(18), 1 << random.below(8));
        Plan {
            seed,
            clients,
            longest,
            // Not so small that a long stream takes more turns than a run may have.
            piece: (1 << (4 + random.below(14))).max(longest >> 11),
            buffers,
            dropped,
            way: [Way::Copy, Way::CopyRepeatedly, Way::Splice][random.below(3) as usize],
            abrupt,
            faults,
            // Flows that hold every buffer while they wait for room to send wait for each other.
            perfect: !harmful
                && !abrupt
                && dropped == 0
                && (longest <= SMALLEST_WINDOW || u64::from(buffers) >= 2 * clients),
        }
    }
}

/// Shared by all flows of a run.
struct Test {
    world: Shared,
    plan: Plan,
    finished: Cell<u64>,
    complete: Cell<u64>,
}

/// One run.
pub fn scenario(run: Run) -> Verdict {
    let plan = Plan::drawn(run.seed);
    if run.verbose {
        println!("{plan:?}");
    }
    let mut simulation = Simulation::new(run.seed, plan.faults.clone(), run.verbose);
    let (client, _) = simulation.add_core(plan.buffers);
    let stop = Stop::default();
    let (finished, complete) = (Cell::new(0), Cell::new(0));
    let test = Rc::new(Test { world: simulation.world().clone(), plan, finished, complete });

    let (server, address) = simulation.add_core(test.plan.buffers);
    let echo = listen(&server, SocketAddr::new(address, 0));
    let echo_address = echo.address().expect("it listens");
    let (io, of_echo) = (server.clone(), test.clone());
    server.spawn(serve(server.clone(), echo, stop.clone(), move |socket| {
        of_echo.spawn(&io, async move { copy(&socket, &socket).await });
    }));

    let mut relay_address = None;
    for _ in 0..CORES {
        let (relay, own) = simulation.add_core(test.plan.buffers);
        let listener = listen(&relay, relay_address.unwrap_or(SocketAddr::new(own, 0)));
        relay_address = listener.address().ok();
        let (io, of_relay) = (relay.clone(), test.clone());
        relay.spawn(serve(relay.clone(), listener, stop.clone(), move |socket| {
            let flow = forward(io.clone(), socket, echo_address, of_relay.plan.way);
            of_relay.spawn(&io, flow);
        }));
    }
    let target = relay_address.expect("a relay listens");
    for number in 0..test.plan.clients {
        client.spawn(be_client(client.clone(), test.clone(), number, target));
    }

    if test.plan.abrupt {
        simulation.run_for(Duration::from_micros(1 << (run.seed % 20)));
        return simulation.finish();
    }
    simulation.run_until(|| test.finished.get() == test.plan.clients);
    stop.now();
    simulation.run_for(Duration::from_secs(1));
    if test.plan.perfect && test.complete.get() < test.plan.clients {
        let finding = format!("{} of {} streams came through", test.complete.get(), test.plan.clients);
        test.world.borrow_mut().stage.find(finding);
    }
    simulation.finish()
}

impl Test {
    /// Spawns a flow that the plan may have dropped on its way.
    fn spawn<T: 'static>(&self, io: &Io, flow: impl Future<Output = T> + 'static) {
        let mut world = self.world.borrow_mut();
        let random = world.stage.random();
        let polls = match self.plan.dropped > 0 && random.chance(1, self.plan.dropped) {
            true => random.below(40),
            false => u64::MAX,
        };
        io.spawn(async move { drop(cut_short(flow, polls).await) });
    }
}

fn listen(io: &Io, address: SocketAddr) -> Listener {
    Listener::open(io, &ListenOptions { address, backlog: 64 }).expect("it listens")
}

async fn forward(io: Io, front: Socket, to: SocketAddr, way: Way) -> io::Result<u64> {
    let back = timely(&io, Socket::connect(&io, to)).await?;
    let (there, here) = match way {
        Way::Copy => both(copy(&front, &back), copy(&back, &front)).await,
        Way::CopyRepeatedly => both(copy_repeatedly(&front, &back), copy_repeatedly(&back, &front)).await,
        Way::Splice => both(splice(&front, &back), splice(&back, &front)).await,
    };
    there.and(here)
}

async fn be_client(io: Io, test: Rc<Test>, number: u64, target: SocketAddr) {
    let whole = {
        let mut world = test.world.borrow_mut();
        world.stage.random().below(test.plan.longest) + 1
    };
    if exchange(&io, &test, number, whole, target).await.is_ok_and(|received| received == whole) {
        test.complete.set(test.complete.get() + 1);
    }
    test.finished.set(test.finished.get() + 1);
}

/// Sends a whole pattern and reads what comes back. How much came; a wrong byte is a finding.
async fn exchange(io: &Io, test: &Test, number: u64, whole: u64, target: SocketAddr) -> io::Result<u64> {
    let socket = timely(io, Socket::connect(io, target)).await?;
    let (sent, received) =
        both(send_pattern(&socket, test, number, whole), receive_pattern(&socket, test, number)).await;
    sent?;
    received
}

async fn send_pattern(socket: &Socket, test: &Test, number: u64, whole: u64) -> io::Result<()> {
    let random = &mut Random::new(test.plan.seed ^ number << 32);
    let mut offset = 0;
    while offset < whole {
        let end = whole.min(offset + 1 + random.below(test.plan.piece));
        timely(socket.io(), socket.send(Pattern(number).bytes(offset, end))).await?;
        offset = end;
        if random.chance(1, 16) {
            socket.io().sleep(Duration::from_millis(random.below(100))).await;
        }
    }
    socket.shutdown(Direction::Write);
    Ok(())
}

async fn receive_pattern(socket: &Socket, test: &Test, number: u64) -> io::Result<u64> {
    let mut offset = 0;
    while let Some(chunk) = timely(socket.io(), socket.receive_once()).await? {
        if !Pattern(number).matches(offset, &chunk) {
            test.world.borrow_mut().stage.find(format!("client {number}: a wrong byte at or after {offset}"));
        }
        offset += chunk.len() as u64;
    }
    Ok(offset)
}
