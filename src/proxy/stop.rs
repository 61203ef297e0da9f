//! Tells an acceptor of this core to stop, and how.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::runtime::Remaining;

#[derive(Default)]
struct Shared {
    told: Cell<Option<Remaining>>,
    waiting: RefCell<Option<Waker>>,
}

/// Stops the acceptor when dropped; unless told otherwise, nobody goes on with its socket.
pub struct StopHandle(Rc<Shared>);

/// What the acceptor waits for.
pub struct Stopped(Rc<Shared>);

/// A handle and what it ends.
pub fn stop_pair() -> (StopHandle, Stopped) {
    let shared = Rc::new(Shared::default());
    (StopHandle(shared.clone()), Stopped(shared))
}

impl StopHandle {
    /// Stops the acceptor, whose socket `remaining` go on with.
    pub fn stop(self, remaining: Remaining) {
        self.0.told.set(Some(remaining));
    }
}

impl Stopped {
    /// Waits until the handle is dropped; answers who goes on with the socket.
    pub async fn wait(self) -> Remaining {
        poll_fn(|context| match self.0.told.get() {
            Some(remaining) => Poll::Ready(remaining),
            None => {
                *self.0.waiting.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

impl Drop for StopHandle {
    fn drop(&mut self) {
        self.0.told.set(self.0.told.get().or(Some(Remaining::Nobody)));
        let waiting = self.0.waiting.borrow_mut().take();
        waiting.into_iter().for_each(Waker::wake);
    }
}
