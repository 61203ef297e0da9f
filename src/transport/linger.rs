//! Closing a connection on which the peer may still be sending.
//!
//! Closing with unread bytes makes the kernel send RST, and an RST can overtake the answer just sent. So: say that
//! nothing more comes, read and drop what is under way, then close (RFC 9112 section 9.6).

use std::time::Duration;

use crate::transport::{Receiver, Sender};

/// How long a peer may take to notice.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much of a refused body is read and dropped.
const DROPPED_AT_MOST: u64 = 1024 * 1024;

/// Ends a connection on which nothing is under way: a TLS peer is told that the end is meant, a plain one sees it by
/// itself.
pub async fn close(mut sender: Sender) {
    let io = sender.socket().io().clone();
    // Whether the peer could be told or not, the connection goes now.
    let _ = io.within(io.now() + PATIENCE, sender.say_goodbye()).await;
}

/// Ends a connection without losing what was sent on it.
pub async fn linger(mut receiver: Receiver, mut sender: Sender) {
    let io = receiver.socket().io().clone();
    let mut dropped = 0;
    let drained = async {
        if sender.end().await.is_err() {
            return;
        }
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
