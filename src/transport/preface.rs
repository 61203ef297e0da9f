//! Reading the PROXY protocol header that a connection begins with.

use std::future::poll_fn;
use std::io;

use crate::transport::PlainReceiver;
use crate::wire::proxy_protocol::{self, Origin, Preface, PrefaceFault};

/// Why there is no header.
#[derive(Debug)]
pub enum PrefaceError {
    /// The peer closed before it had said anything, as many health checks do.
    Silent,
    /// The peer closed inside the header.
    Truncated,
    /// The connection broke.
    Broken(io::Error),
    /// What arrived is no header.
    Fault(PrefaceFault),
}

/// Reads the header and answers what it says. What was received behind it is what comes next.
///
/// # Errors
/// Why there is no header; the connection must be closed.
pub async fn read_preface(receiver: &mut PlainReceiver) -> Result<Origin, PrefaceError> {
    // At most the longest header and one buffer: a longer header is a fault.
    let mut gathered = Vec::new();
    loop {
        let before = gathered.len();
        let mut chunk = match poll_fn(|context| receiver.poll_receive(context)).await {
            Ok(Some(chunk)) => chunk,
            Ok(None) if before == 0 => return Err(PrefaceError::Silent),
            Ok(None) => return Err(PrefaceError::Truncated),
            Err(error) => return Err(PrefaceError::Broken(error)),
        };
        gathered.extend_from_slice(&chunk);
        match proxy_protocol::decode(&gathered).map_err(PrefaceError::Fault)? {
            Preface::Partial => {}
            Preface::Complete { length, origin } => {
                chunk.advance(length.saturating_sub(before));
                receiver.put_back(chunk);
                return Ok(origin);
            }
        }
    }
}
