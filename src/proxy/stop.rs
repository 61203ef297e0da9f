//! Tells one task of this core to stop.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

#[derive(Default)]
struct Shared {
    stopped: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

/// Stops the task when dropped.
pub struct StopHandle(Rc<Shared>);

/// What the task waits for.
pub struct Stopped(Rc<Shared>);

/// A handle and what it ends.
pub fn stop_pair() -> (StopHandle, Stopped) {
    let shared = Rc::new(Shared::default());
    (StopHandle(shared.clone()), Stopped(shared))
}

impl Stopped {
    /// Waits until the handle is dropped.
    pub async fn wait(self) {
        poll_fn(|context| match self.0.stopped.get() {
            true => Poll::Ready(()),
            false => {
                *self.0.waiting.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await;
    }
}

impl Drop for StopHandle {
    fn drop(&mut self) {
        self.0.stopped.set(true);
        let waiting = self.0.waiting.borrow_mut().take();
        waiting.into_iter().for_each(Waker::wake);
    }
}
