//! Waiting for a point in time, and bounding a wait for something else.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::base::Instant;
use crate::base::slab::Key;
use crate::runtime::io::Io;

/// The time given for something has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// Ready at or after its deadline.
pub struct Sleep {
    io: Io,
    deadline: Instant,
    /// The timer and whom it wakes.
    armed: Option<(Key, Waker)>,
}

impl Io {
    /// Waits until `deadline`.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep { io: self.clone(), deadline, armed: None }
    }

    /// Waits for `duration`.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// Waits for `work`, but not past `deadline`. The work is dropped when the time is up; what it had in flight is cancelled.
    pub fn within<F: Future>(&self, deadline: Instant, work: F) -> Within<F> {
        Within { work, sleep: self.sleep_until(deadline) }
    }

    /// Lets other ready tasks run first.
    pub async fn give_way(&self) {
        let mut gave_way = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut gave_way, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

pin_project! {
    /// What [`Io::within`] answers: the output of the work, or that the time was up.
    pub struct Within<F> {
        #[pin]
        work: F,
        sleep: Sleep,
    }
}

impl<F: Future> Future for Within<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.work.poll(context) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(this.sleep).poll(context).map(|()| Err(Elapsed))
    }
}

impl Sleep {
    /// Moves the deadline. The armed timer stays if the new deadline is later: it is armed again when it fires, which
    /// makes pushing a deadline back on every byte cost nothing.
    pub fn reset(&mut self, deadline: Instant) {
        if deadline < self.deadline {
            self.disarm();
        }
        self.deadline = deadline;
    }

    fn disarm(&mut self) {
        if let Some((key, _)) = self.armed.take() {
            self.io.disarm_timer(key);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.io.now() >= self.deadline {
            self.disarm();
            return Poll::Ready(());
        }
        // A timer that fired for an earlier deadline has left the wheel; one that another task armed wakes that task.
        let wakes_us = |(key, waker): &(Key, Waker)| waker.will_wake(context.waker()) && self.io.timer_is_armed(*key);
        if !self.armed.as_ref().is_some_and(wakes_us) {
            self.disarm();
            let waker = context.waker();
            self.armed = Some((self.io.arm_timer(self.deadline, waker.clone()), waker.clone()));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}
