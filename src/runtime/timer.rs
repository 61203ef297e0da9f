//! Waiting for a point in time, and bounding a wait for something else.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::base::Instant;
use crate::base::slab::Key;
use crate::runtime::executor::Io;

/// The time given for something has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// Ready at or after its deadline.
pub struct Sleep {
    io: Io,
    deadline: Instant,
    armed: Option<Key>,
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
    pub async fn within<T>(&self, deadline: Instant, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        let mut work = pin!(work);
        let mut sleep = self.sleep_until(deadline);
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            Pin::new(&mut sleep).poll(context).map(|()| Err(Elapsed))
        })
        .await
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
        if let Some(key) = self.armed.take() {
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
        // A timer that fired for an earlier deadline has left the wheel, and disarming its stale key does nothing.
        if self.armed.is_none() || self.io.timer_is_gone(self.armed) {
            let key = self.io.arm_timer(self.deadline, context.waker().clone());
            self.armed = Some(key);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}
