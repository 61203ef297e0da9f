//! Floor 2: one thread, one ring, one executor. The home of `io_uring` and the only room with `unsafe`.
