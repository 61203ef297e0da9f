//! Closing a connection on which the peer may still be sending.
//!
//! Closing with unread bytes makes the kernel send RST, and an RST can overtake the answer just sent. So: say that
//! nothing more comes, read and drop what is under way, then close (RFC 9112 section 9.6).

use std::time::Duration;

use crate::runtime::Direction;
use crate::transport::Receiver;

/// How long a peer may take to notice.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much of a refused body is read and dropped.
const DROPPED_AT_MOST: u64 = 1024 * 1024;

/// Ends the connection of `receiver` without losing what was sent on it.
pub async fn linger(mut receiver: Receiver) {
    let io = receiver.socket().io().clone();
    receiver.socket().shutdown(Direction::Write);
    let mut dropped = 0;
    let drained = async {
        while let Ok(Some(chunk)) = receiver.receive().await {
            dropped += chunk.len() as u64;
            if dropped > DROPPED_AT_MOST {
                return;
            }
        }
    };
    // Whether the peer was done in time or not, the connection goes now.
    let _ = io.within(io.now() + PATIENCE, drained).await;
}
