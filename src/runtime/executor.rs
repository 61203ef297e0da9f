//! One thread's executor: tasks, operations and timers over one kernel.
//!
//! A turn: submit and sleep in one system call, take completions, fire timers, run ready tasks (at most a budget).
//! Nothing in here is `Send`; other threads reach a task only through its waker, which goes by way of the mailbox.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use crate::base::slab::Key;
use crate::base::wheel::Wheel;
use crate::runtime::buffers::BufferPool;
use crate::runtime::in_flight::InFlight;
use crate::runtime::io::{Io, Shared};
use crate::runtime::kernel::{Completion, Kernel, Wait};
use crate::runtime::mailbox::{Claim, Mail};
use crate::runtime::pipe::PipePool;
use crate::runtime::scarcity::LOOK;
use crate::runtime::tasks::Tasks;
use crate::runtime::waker;

/// The executor itself, in the hands of whoever runs the thread.
pub struct Executor {
    shared: Rc<Shared>,
    io: Io,
    completions: Vec<Completion>,
}

impl Executor {
    /// An executor over `kernel` with at most `buffers` receive buffers. Must be made on the thread that will run it.
    ///
    /// # Errors
    /// When the buffers' address space cannot be reserved or more than a thousand executors are alive.
    pub fn new(kernel: Box<dyn Kernel>, buffers: BufferPool) -> io::Result<Executor> {
        let mailbox = Claim::new(kernel.doorbell()).ok_or_else(|| io::Error::other("too many executors"))?;
        let now = kernel.now();
        let shared = Rc::new(Shared {
            tasks: Tasks::default(),
            in_flight: InFlight::new(kernel, buffers),
            timers: RefCell::new(Wheel::new(now)),
            pipes: PipePool::default(),
            block: RefCell::default(),
            now: Cell::new(now),
            mailbox,
            next_look: Cell::new(now),
            turns: Cell::default(),
            completions: Cell::default(),
        });
        Ok(Executor { io: Io::new(&shared), shared, completions: Vec::new() })
    }

    /// The handle that flows use.
    pub fn io(&self) -> &Io {
        &self.io
    }

    /// Runs turns until `main` is done, then returns its output. Other tasks stay where they are.
    ///
    /// # Errors
    /// When the kernel cannot be entered at all.
    pub fn run<T: 'static>(&mut self, main: impl Future<Output = T> + 'static) -> io::Result<T> {
        let output = Rc::new(Cell::new(None));
        let place = output.clone();
        self.io.spawn(async move { place.set(Some(main.await)) });
        loop {
            self.turn(true)?;
            if let Some(output) = output.take() {
                return Ok(output);
            }
        }
    }

    /// One turn. Sleeps only when `may_sleep`, nothing is ready and no mail has come.
    ///
    /// # Errors
    /// When the kernel cannot be entered.
    pub fn turn(&mut self, may_sleep: bool) -> io::Result<()> {
        let Executor { shared, io, completions } = self;
        let previous = waker::set_current(Some(io.clone()));
        shared.in_flight.lend_buffers();
        let sleeping = may_sleep && !shared.tasks.has_ready() && shared.mailbox.park();
        let is_scarce = shared.in_flight.lending().is_scarce();
        let look = is_scarce.then(|| shared.next_look.get());
        let wait = match shared.timers.borrow().next().into_iter().chain(look).min() {
            _ if !sleeping => Wait::No,
            Some(deadline) => Wait::Until(deadline),
            None => Wait::Forever,
        };
        let entered = shared.in_flight.kernel().turn(wait, completions);
        shared.mailbox.unpark();
        shared.now.set(shared.in_flight.kernel().now());
        shared.turns.set(shared.turns.get() + 1);
        shared.completions.set(shared.completions.get() + completions.len() as u64);
        completions.drain(..).for_each(|completion| shared.in_flight.handle(completion));
        match shared.mailbox.collect(|task| shared.tasks.wake(Key::from_bits(task))) {
            Mail::Delivered => {}
            Mail::Everything => shared.tasks.wake_all(),
        }
        shared.timers.borrow_mut().fire(shared.now.get(), Waker::wake);
        if is_scarce && shared.now.get() >= shared.next_look.get() {
            shared.next_look.set(shared.now.get() + LOOK);
            shared.tasks.wake_all();
        }
        shared.tasks.run_ready(shared.mailbox.number());
        waker::set_current(previous);
        entered
    }

    /// Drops every task and waits until the kernel has given back all operations, at most for `patience`. True when
    /// nothing was left behind.
    pub fn close(&mut self, patience: Duration) -> bool {
        let deadline = self.shared.in_flight.kernel().now() + patience;
        self.shared.tasks.clear();
        self.shared.pipes.clear();
        loop {
            if self.shared.in_flight.len() == 0 {
                return true;
            }
            let alarm = self.io.arm_timer(deadline, Waker::noop().clone());
            let entered = self.turn(true);
            self.io.disarm_timer(alarm);
            if entered.is_err() || self.io.now() >= deadline {
                return false;
            }
        }
    }

    /// Whether a task waits to be polled.
    pub fn has_ready_tasks(&self) -> bool {
        self.shared.tasks.has_ready()
    }

    /// Number of tasks, operations in flight and armed timers, for tests that look for leaks.
    pub fn population(&self) -> (usize, usize, usize) {
        let Shared { tasks, in_flight, timers, .. } = &*self.shared;
        (tasks.len(), in_flight.len(), timers.borrow().len())
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.shared.tasks.clear();
        self.shared.pipes.clear();
        // What is still in flight refers to this executor; taking it out here breaks the circle. The ring itself goes
        // last, with the kernel, and its memory stays valid until then.
        self.shared.in_flight.leak();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;
    use crate::runtime::in_flight::RECEIVED_AHEAD;
    use crate::runtime::lending::LENT_AT_FIRST;
    use crate::runtime::{Arrival, Direction, Interest, ListenOptions, Listener, Manner, Receiving, Ring, Socket};

    fn executor(buffers: u16) -> Executor {
        let pool = BufferPool::new(buffers).expect("address space");
        let ring = Ring::new(&pool).map_err(|error| crate::runtime::Features::explain(&error)).expect("a ring");
        Executor::new(Box::new(ring), pool).expect("an executor")
    }

    fn listener(io: &Io) -> Listener {
        let address = "127.0.0.1:0".parse().expect("an address");
        Listener::open(io, &ListenOptions { address, backlog: 64 }).expect("a listener")
    }

    async fn pair(io: &Io) -> (Socket, Socket) {
        let mut listener = listener(io);
        let address = listener.address().expect("its address");
        let client = Socket::connect(io, address).await.expect("connected");
        (client, listener.accept().await.expect("accepted"))
    }

    async fn next(receiving: &mut Receiving) -> Vec<u8> {
        match receiving.next().await {
            Ok(Arrival::Chunk(chunk)) => chunk.to_vec(),
            other => panic!("no bytes but {other:?}"),
        }
    }

    #[test]
    fn a_repeating_receive_stops_when_nobody_takes_and_loses_nothing() {
        let mut executor = executor(64);
        let io = executor.io().clone();
        executor
            .run(async move {
                let (client, server) = pair(&io).await;
                let mut receiving = server.receive(Manner::Repeatedly);
                for number in 0..20u8 {
                    client.send(vec![number]).await.expect("sent");
                    io.sleep(Duration::from_millis(1)).await;
                }
                assert!(io.buffers().in_use() <= LENT_AT_FIRST + RECEIVED_AHEAD + 1);
                let mut all = Vec::new();
                while all.len() < 20 {
                    match receiving.next().await.expect("received") {
                        Arrival::Chunk(chunk) => all.extend_from_slice(&chunk),
                        Arrival::Over => receiving = server.receive(Manner::Repeatedly),
                        Arrival::End => panic!("the connection is open"),
                    }
                }
                assert!(all.into_iter().eq(0..20));
            })
            .expect("ran");
        assert!(executor.close(Duration::from_secs(1)));
    }

    #[test]
    fn bytes_cross_a_connection_and_nothing_is_left() {
        let mut executor = executor(64);
        let io = executor.io().clone();
        executor
            .run(async move {
                let (client, server) = pair(&io).await;
                client.send(b"hello".to_vec()).await.expect("sent");
                assert_eq!(next(&mut server.receive(Manner::Now)).await, b"hello");
                server.shutdown(Direction::Write);
                assert!(matches!(client.receive(Manner::Now).next().await, Ok(Arrival::End)));
                client.ready(Interest::Writable).await.expect("writable");
            })
            .expect("ran");
        assert!(executor.close(Duration::from_secs(1)));
        assert_eq!(executor.population(), (0, 0, 0));
    }

    #[test]
    fn a_dropped_receive_is_cancelled_and_the_connection_lives_on() {
        let mut executor = executor(64);
        let io = executor.io().clone();
        executor
            .run(async move {
                let (client, server) = pair(&io).await;
                let mut receiving = server.receive(Manner::Little);
                let deadline = io.now() + Duration::from_millis(10);
                assert!(io.within(deadline, receiving.next()).await.is_err());
                client.send(b"late".to_vec()).await.expect("sent");
                assert_eq!(next(&mut receiving).await, b"late");
                drop(server.receive(Manner::Little));
                io.sleep(Duration::from_millis(5)).await;
                client.send(b"again".to_vec()).await.expect("sent");
                assert_eq!(next(&mut server.receive(Manner::Now)).await, b"again");
            })
            .expect("ran");
        assert!(executor.close(Duration::from_secs(1)));
    }

    #[test]
    fn a_refused_connect_and_a_stopped_listener_say_so() {
        let mut executor = executor(64);
        let io = executor.io().clone();
        executor
            .run(async move {
                let listener = listener(&io);
                let address = listener.address().expect("its address");
                let waiting = Socket::connect(&io, address).await.expect("queued");
                let accepted = listener.stop().await;
                assert_eq!(accepted.len(), 1);
                let error = Socket::connect(&io, address).await.expect_err("nobody listens");
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
                drop(waiting);
            })
            .expect("ran");
    }

    #[test]
    fn starved_receives_go_on_when_buffers_return() {
        let mut executor = executor(1);
        let io = executor.io().clone();
        let counts = executor
            .run(async move {
                let (client, server) = pair(&io).await;
                let (other_client, other_server) = pair(&io).await;
                client.send(b"first".to_vec()).await.expect("sent");
                other_client.send(b"second".to_vec()).await.expect("sent");
                let Ok(Arrival::Chunk(held)) = server.receive(Manner::Now).next().await else {
                    panic!("nothing received")
                };
                let mut waiting = other_server.receive(Manner::Now);
                let deadline = io.now() + Duration::from_millis(10);
                assert!(io.within(deadline, waiting.next()).await.is_err());
                drop(held);
                io.give_way().await;
                assert_eq!(next(&mut waiting).await, b"second");
                io.counts()
            })
            .expect("ran");
        assert!(counts.starved >= 1 && counts.turns < 100, "{counts:?}");
    }

    #[test]
    fn what_is_spread_over_buffers_can_be_copied_together_when_all_others_are_lent() {
        let mut executor = executor(16);
        let io = executor.io().clone();
        let copied = executor.run(async move {
            io.give_way().await;
            assert!(io.buffers().spare() < 16, "nothing is lent");
            io.buffers().copy(b"a record").is_some()
        });
        assert!(copied.expect("ran"));
    }

    #[test]
    fn another_thread_wakes_a_sleeping_executor() {
        let mut executor = executor(1);
        let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
        let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let raised = flag.clone();
        let thread = std::thread::spawn(move || {
            let waker = receiver.recv().expect("a waker");
            flag.store(true, std::sync::atomic::Ordering::SeqCst);
            waker.wake();
        });
        let mut sent = false;
        executor
            .run(std::future::poll_fn(move |context| {
                if !std::mem::replace(&mut sent, true) {
                    sender.send(context.waker().clone()).expect("the thread lives");
                }
                match raised.load(std::sync::atomic::Ordering::SeqCst) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            }))
            .expect("ran");
        thread.join().expect("joined");
    }

    #[test]
    fn a_panicking_task_ends_alone() {
        let mut executor = executor(1);
        let io = executor.io().clone();
        let ended = Rc::new(Cell::new(false));
        let guard = ended.clone();
        let counts = executor
            .run(async move {
                io.spawn(async move {
                    let _guard = Dropped(guard);
                    panic!("a bug in one flow");
                });
                io.sleep(Duration::from_millis(5)).await;
                io.counts()
            })
            .expect("ran");
        assert_eq!((counts.panics, ended.get()), (1, true));
    }

    struct Dropped(Rc<Cell<bool>>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
}
