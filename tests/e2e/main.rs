//! End to end: the real binary between real clients and real back ends, over real sockets.

mod harness;
