//! A small stage for tests that play one scene: a node on one core, scripted back ends behind it and scripted clients
//! before it, in a perfect world unless the scene wants a fault.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use elbow::runtime::{Io, Socket};

use crate::back_end::{BackEnd, Flow};
use crate::faults::Faults;
use crate::flows::Stop;
use crate::message::{Head, Hearer, Pace};
use crate::network::host;
use crate::node::{Balancer, Node, Start};
use crate::operator::keep_order;
use crate::simulation::Simulation;

/// How long a scene may take.
const SCENE: Duration = Duration::from_secs(600);

/// How long a node drains.
const DRAIN: Duration = Duration::from_secs(30);

/// A scene.
pub struct Script {
    pub simulation: Simulation,
    pub node: Rc<Node>,
    pub back_ends: Vec<Rc<BackEnd>>,
    pub clients: Io,
    /// The node's.
    pub cores: Vec<Io>,
    /// Where the node listens.
    pub target: SocketAddr,
    balancer: Balancer,
    actors: Rc<Cell<usize>>,
}

/// What a scene is played on.
pub struct Stage {
    /// The node's cores.
    pub cores: usize,
    /// Receive buffers of every core.
    pub buffers: u16,
    /// Client connections at once.
    pub connections: usize,
    /// What stands in the limits of the load balancer.
    pub limits: &'static str,
    /// Back ends speak HTTP/2.
    pub http2: bool,
    /// Clients come back to the instance that answered them first.
    pub sticky: bool,
}

impl Default for Stage {
    fn default() -> Stage {
        Stage { cores: 1, buffers: 256, connections: 100, limits: "", http2: false, sticky: false }
    }
}

/// One end of a connection in a scene.
pub struct Peer {
    pub socket: Socket,
    pub hearer: Hearer,
}

/// What a back end of a scene does with a connection.
pub fn role<F: Future<Output = ()> + 'static>(play: impl Fn(Peer) -> F + 'static) -> Flow {
    Rc::new(move |socket, _| -> Pin<Box<dyn Future<Output = ()>>> { Box::pin(play(Peer::new(socket))) })
}

impl Script {
    /// An HTTP listener with one back end per role.
    pub fn new(faults: Faults, roles: Vec<Flow>) -> Script {
        Script::seeded(1, faults, roles)
    }

    /// As [`Script::new`], with faults that follow from `seed`.
    pub fn seeded(seed: u64, faults: Faults, roles: Vec<Flow>) -> Script {
        Script::staged(seed, faults, roles, &Stage::default())
    }

    /// As [`Script::seeded`], on another stage than the usual.
    pub fn staged(seed: u64, faults: Faults, roles: Vec<Flow>, stage: &Stage) -> Script {
        let mut simulation = Simulation::new(seed, faults, false);
        let (clients, _) = simulation.add_core(stage.buffers);
        let (servers, address) = simulation.add_core(stage.buffers);
        let cores: Vec<_> = (0..stage.cores).map(|_| simulation.add_core(stage.buffers)).collect();
        let node_address = cores[0].1;
        let cores: Vec<Io> = cores.into_iter().map(|(core, _)| core).collect();
        let (stop, anywhere) = (Stop::default(), SocketAddr::new(address, 0));
        let start = |role: Flow| BackEnd::start(&servers, anywhere, 0, role, &stop);
        let back_ends: Vec<Rc<BackEnd>> = roles.into_iter().map(start).collect();
        let instances = back_ends.iter().map(|back_end| back_end.address()).collect();
        let balancer = Balancer {
            name: "web",
            protocol: "HTTP",
            port: 80,
            instance_protocol: "HTTP",
            http2: stage.http2,
            instances,
            limits: stage.limits.to_owned(),
            sticky: stage.sticky,
            draining: 300,
        };
        let balancers = [balancer.clone()];
        let (limit, may_splice) = (stage.connections, true);
        let start = Start { address: node_address, balancers: &balancers, cores: &cores, limit, may_splice };
        let node = Rc::new(Node::start(&start));
        servers.spawn(keep_order(servers.clone(), node.clone()));
        simulation.run_until(|| node.is_open());
        let target = SocketAddr::new(host(2), balancer.port);
        Script { simulation, node, back_ends, clients, cores, target, balancer, actors: Rc::default() }
    }

    /// Starts a client that has connected; the scene lasts until it is done.
    pub fn client<F: Future<Output = ()>>(&self, play: impl FnOnce(Peer) -> F + 'static) {
        let (io, target, actors) = (self.clients.clone(), self.target, self.actors.clone());
        actors.set(actors.get() + 1);
        self.clients.spawn(async move {
            let socket = Socket::connect(&io, target).await.expect("connected");
            play(Peer::new(socket)).await;
            actors.set(actors.get() - 1);
        });
    }

    /// Starts somebody who connects and whose end is not waited for.
    pub fn extra<F: Future<Output = ()>>(&self, play: impl FnOnce(Peer) -> F + 'static) {
        let (io, target) = (self.clients.clone(), self.target);
        self.clients.spawn(async move {
            if let Ok(socket) = Socket::connect(&io, target).await {
                play(Peer::new(socket)).await;
            }
        });
    }

    /// Plays until every client is done.
    pub fn play(&mut self) {
        let actors = self.actors.clone();
        self.simulation.run_until_or(|| actors.get() == 0, SCENE);
        assert_eq!(actors.get(), 0, "a client is not done");
    }

    /// Tells the node to drain.
    pub fn drain(&self) {
        let deadline = self.simulation.world().borrow().stage.now() + DRAIN;
        self.node.drain(deadline);
    }

    /// Registers the back ends of these numbers and no other, all in service; waits until the node goes by that.
    pub fn register(&mut self, numbers: &[usize]) {
        let instances = numbers.iter().map(|number| self.back_ends[*number].address()).collect();
        self.node.publish(self.target.ip(), &[Balancer { instances, ..self.balancer.clone() }]);
        self.node.set_in_service(|_| true);
        let node = self.node.clone();
        self.simulation.run_until_or(|| node.is_settled(), SCENE);
        assert!(self.node.is_settled(), "a core does not go by what was published");
    }

    /// Ends the scene: nothing is left behind, nothing was wrong.
    pub fn finish(mut self) {
        self.drain();
        let node = self.node.clone();
        self.simulation.run_until(|| node.has_ended());
        assert_eq!(self.node.left_over(), [""; 0]);
        assert_eq!(self.simulation.finish().findings, [""; 0]);
    }
}

impl Peer {
    fn new(socket: Socket) -> Peer {
        Peer { hearer: Hearer::new(socket.clone().into(), Pace::BRISK, 0), socket }
    }

    /// Sends bytes. That the other end takes no more is no surprise in a scene.
    pub async fn say(&self, bytes: impl Into<Vec<u8>>) {
        let _ = self.socket.send(bytes.into()).await;
    }

    /// Waits for so many milliseconds.
    pub async fn wait(&self, milliseconds: u64) {
        self.socket.io().sleep(Duration::from_millis(milliseconds)).await;
    }

    /// The next head; `None` at the end.
    pub async fn head(&mut self) -> Option<Head> {
        self.hearer.head().await.ok().flatten()
    }

    /// The first line of the next head; empty at the end.
    pub async fn line(&mut self) -> String {
        self.head().await.map(|head| head.line).unwrap_or_default()
    }
}
