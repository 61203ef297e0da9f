//! A run: executors over one world, taking turns in seeded order until the scenario is over, and what must hold then.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use elbow::runtime::{BufferPool, Executor, Io};

use crate::faults::Faults;
use crate::kernel::SimKernel;
use crate::network::host;
use crate::world::{Shared, World};

/// Turns of a run before it counts as spinning.
const TURNS: u64 = 1_000_000;

/// Virtual time of a run before it counts as hanging.
const TIME: Duration = Duration::from_secs(6 * 3600);

/// How long closing an executor may take: every cancellation and late completion is through by then.
const CLOSING: Duration = Duration::from_secs(1);

/// Executors in one world.
pub struct Simulation {
    world: Shared,
    cores: Vec<Executor>,
    turns: u64,
}

/// What a run has shown.
pub struct Verdict {
    /// What was wrong; empty for a good run.
    pub findings: Vec<String>,
    /// Equal for equal histories.
    pub digest: u64,
    /// Lines of history.
    pub lines: u64,
}

impl Simulation {
    /// A world without executors. `verbose` prints its history.
    pub fn new(seed: u64, faults: Faults, verbose: bool) -> Simulation {
        Simulation { world: World::new(seed, faults, verbose), cores: Vec::new(), turns: TURNS }
    }

    /// Adds an executor with at most `buffers` receive buffers; its sockets connect from the address returned.
    pub fn add_core(&mut self, buffers: u16) -> (Io, IpAddr) {
        let pool = BufferPool::new(buffers).expect("address space");
        let kernel = SimKernel::new(&self.world, pool.clone());
        let address = host(kernel.ring());
        let core = Executor::new(Box::new(kernel), pool).expect("a mailbox");
        let io = core.io().clone();
        self.cores.push(core);
        (io, address)
    }

    /// After so many turns a run counts as spinning.
    pub fn limit_turns(&mut self, turns: u64) {
        self.turns = turns;
    }

    /// The world, to look into and to meddle with.
    pub fn world(&self) -> &Shared {
        &self.world
    }

    /// Runs turns until `done`, until something is found wrong, or until the run spins or hangs.
    pub fn run_until(&mut self, done: impl Fn() -> bool) {
        let start = self.world.borrow().stage.now();
        // Whoever calls this may have woken tasks.
        self.world.borrow_mut().rouse();
        for _ in 0..self.turns {
            if done() || !self.is_clean() {
                return;
            }
            if self.world.borrow().stage.now().since(start) > TIME {
                return self.find("the run hangs: it does not end");
            }
            let Some(core) = self.next_core() else { continue };
            self.turn(core);
        }
        self.find("the run spins: too many turns");
    }

    /// Runs turns until `duration` of virtual time has passed.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until_or(|| false, duration);
    }

    /// Runs turns until `done`, but no longer than `duration` of virtual time.
    pub fn run_until_or(&mut self, done: impl Fn() -> bool, duration: Duration) {
        let io = self.cores[0].io().clone();
        let over = Rc::new(Cell::new(false));
        let place = over.clone();
        let end = self.world.borrow().stage.now() + duration;
        io.clone().spawn(async move {
            io.sleep_until(end).await;
            place.set(true);
        });
        self.run_until(|| done() || over.get());
    }

    /// Whether nothing has been found wrong so far. A run that was ended by a finding leaves much behind.
    pub fn is_clean(&self) -> bool {
        self.world.borrow().stage.findings().is_empty()
    }

    /// Closes every executor, in seeded order, and looks for what is left behind.
    pub fn finish(mut self) -> Verdict {
        let mut order: Vec<usize> = (0..self.cores.len()).collect();
        while !order.is_empty() {
            let chosen = self.world.borrow_mut().stage.random().below(order.len() as u64) as usize;
            self.close(order.swap_remove(chosen));
        }
        let clean = self.is_clean();
        let mut world = self.world.borrow_mut();
        if clean {
            world.left_over().into_iter().for_each(|left| world.stage.find(left));
        }
        let stage = &world.stage;
        let (findings, trace) = (stage.findings().to_vec(), stage.trace());
        Verdict { findings, digest: trace.digest(), lines: trace.len() }
    }

    fn next_core(&self) -> Option<usize> {
        let mut world = self.world.borrow_mut();
        let runnable = world.runnable();
        let chosen = world.stage.random().below(runnable.len() as u64) as usize;
        runnable.get(chosen).copied()
    }

    fn turn(&mut self, core: usize) {
        if let Err(error) = self.cores[core].turn(true) {
            self.find(&format!("core {core}: a turn failed: {error}"));
        }
    }

    fn close(&mut self, core: usize) {
        self.world.borrow_mut().leave_alone(Some(core));
        let clean = self.cores[core].close(CLOSING);
        let panics = self.cores[core].io().counts().panics;
        self.world.borrow_mut().leave_alone(None);
        if panics > 0 {
            self.find(&format!("core {core}: {panics} tasks panicked"));
        }
        if !clean || self.cores[core].population() != (0, 0, 0) {
            let (tasks, operations, timers) = self.cores[core].population();
            let left = format!("{tasks} tasks, {operations} operations and {timers} timers");
            self.find(&format!("core {core}: closing left {left}"));
        }
    }

    fn find(&self, finding: &str) {
        self.world.borrow_mut().stage.find(finding.to_owned());
    }
}
