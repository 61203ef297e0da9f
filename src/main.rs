//! The `elbow` binary: see [`elbow::cli`].

fn main() {}
