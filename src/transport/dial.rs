//! Connecting to a back end within a time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::runtime::{Io, Socket};

/// Why there is no connection.
#[derive(Debug)]
pub enum DialError {
    /// The peer did not answer in time.
    TimedOut,
    /// The kernel's answer.
    Failed(io::Error),
}

/// Connects to `address` within `timeout`.
///
/// # Errors
/// When the time is up, and as connect(2) and socket(2).
pub async fn dial(io: &Io, address: SocketAddr, timeout: Duration) -> Result<Socket, DialError> {
    match io.within(io.now() + timeout, Socket::connect(io, address)).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Err(DialError::TimedOut),
        Ok(Err(error)) => Err(DialError::Failed(error)),
        Err(_elapsed) => Err(DialError::TimedOut),
    }
}
