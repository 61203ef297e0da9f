//! Two futures in one task: the first to finish, or both.
//!
//! Written as types and not as `async fn`s: those keep an argument twice, and flows are built of many of these.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// Which of two futures finished first.
#[derive(Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first.
    First(A),
    /// The second.
    Second(B),
}

/// Waits for whichever finishes first and drops the other. When both are ready the first wins.
pub fn race<A: Future, B: Future>(first: A, second: B) -> Race<A, B> {
    Race { first, second }
}

/// Waits for both to succeed, or for the first to fail; the other is then dropped. Fails with the error of whichever
/// failed first.
pub fn try_join<A, B, E, F, G>(first: F, second: G) -> TryJoin<F, G, A, B>
where
    F: Future<Output = Result<A, E>>,
    G: Future<Output = Result<B, E>>,
{
    TryJoin { first, second, of_first: None, of_second: None }
}

pin_project! {
    /// What [`race`] answers.
    pub struct Race<A, B> {
        #[pin]
        first: A,
        #[pin]
        second: B,
    }
}

impl<A: Future, B: Future> Future for Race<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.first.poll(context) {
            return Poll::Ready(Either::First(output));
        }
        this.second.poll(context).map(Either::Second)
    }
}

pin_project! {
    /// What [`try_join`] answers.
    pub struct TryJoin<F, G, A, B> {
        #[pin]
        first: F,
        #[pin]
        second: G,
        of_first: Option<A>,
        of_second: Option<B>,
    }
}

impl<A, B, E, F, G> Future for TryJoin<F, G, A, B>
where
    F: Future<Output = Result<A, E>>,
    G: Future<Output = Result<B, E>>,
{
    type Output = Result<(A, B), E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.of_first.is_none()
            && let Poll::Ready(output) = this.first.poll(context)?
        {
            *this.of_first = Some(output);
        }
        if this.of_second.is_none()
            && let Poll::Ready(output) = this.second.poll(context)?
        {
            *this.of_second = Some(output);
        }
        match (this.of_first.take(), this.of_second.take()) {
            (Some(first), Some(second)) => Poll::Ready(Ok((first, second))),
            (first, second) => {
                (*this.of_first, *this.of_second) = (first, second);
                Poll::Pending
            }
        }
    }
}
