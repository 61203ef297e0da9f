//! A back end as a process: it listens, serves whoever connects, dies with all its connections, and comes back.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;

use elbow::runtime::{Either, Io, ListenOptions, Listener, Socket, race};

use crate::flows::{Stop, serve};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 256;

/// What a back end does with a connection; the number is a seed for it.
pub type Flow = Rc<dyn Fn(Socket, u64) -> Pin<Box<dyn Future<Output = ()>>>>;

/// A back end and its present life.
pub struct BackEnd {
    io: Io,
    address: SocketAddr,
    flow: Flow,
    seed: Cell<u64>,
    life: RefCell<Rc<Life>>,
    /// The run is over: whoever is connected is served, nobody else.
    stop: Stop,
}

/// From a start to a death.
#[derive(Default)]
struct Life {
    death: Stop,
    is_over: Cell<bool>,
    connections: RefCell<Vec<Rc<Connection>>>,
}

/// One that was accepted in a life.
#[derive(Default)]
struct Connection {
    death: Stop,
    /// The death shows as a reset, not as an end.
    reset: Cell<bool>,
}

impl BackEnd {
    /// Starts one that listens at `address`; port 0 is any.
    pub fn start(io: &Io, address: SocketAddr, seed: u64, flow: Flow, stop: &Stop) -> Rc<BackEnd> {
        let listener = listen(io, address);
        let back_end = Rc::new(BackEnd {
            io: io.clone(),
            address: listener.address().expect("it listens"),
            flow,
            seed: Cell::new(seed),
            life: RefCell::default(),
            stop: stop.clone(),
        });
        back_end.live(listener);
        back_end
    }

    /// Where it listens whenever it is alive.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is alive.
    pub fn is_alive(&self) -> bool {
        !self.life.borrow().is_over.get()
    }

    /// Kills it. Each of its connections ends, or is reset where `resets` says so.
    pub fn die(&self, mut resets: impl FnMut() -> bool) {
        let life = self.life.borrow().clone();
        life.is_over.set(true);
        life.death.now();
        for connection in life.connections.take() {
            connection.reset.set(resets());
            connection.death.now();
        }
    }

    /// Starts it again.
    pub fn revive(self: &Rc<BackEnd>) {
        self.life.replace(Rc::default());
        self.live(listen(&self.io, self.address));
    }

    fn live(self: &Rc<BackEnd>, listener: Listener) {
        let (this, life) = (self.clone(), self.life.borrow().clone());
        let serving = serve(self.io.clone(), listener, self.stop.clone(), move |socket| this.accept(socket));
        self.io.spawn(async move {
            // Dropped in the middle of accepting: what waits in the queue is reset.
            race(life.death.wait(), serving).await;
        });
    }

    fn accept(&self, socket: Socket) {
        let connection = Rc::new(Connection::default());
        self.life.borrow().connections.borrow_mut().push(connection.clone());
        self.seed.set(self.seed.get().wrapping_add(1));
        let flow = (self.flow)(socket.clone(), self.seed.get());
        self.io.spawn(async move {
            if let Either::First(()) = race(connection.death.wait(), flow).await
                && connection.reset.get()
            {
                socket.reset_on_close();
            }
        });
    }
}

fn listen(io: &Io, address: SocketAddr) -> Listener {
    Listener::open(io, &ListenOptions { address, backlog: BACKLOG }).expect("it listens")
}
