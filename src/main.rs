//! The `elbow` binary: see [`elbow::cli`].
//!
//! SIGPIPE is ignored, as Rust programs start: a peer that has gone is an error of one write, not the end of the
//! process.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    elbow::cli::main()
}
