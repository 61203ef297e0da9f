//! Floor 0: what every room stands on. Time, timers, slots and seeded random; no word of load balancing.
//!
//! Nothing here does I/O: time comes from the kernel seam of `runtime` and is passed in.

pub mod clock;
pub mod random;
pub mod slab;
pub mod wheel;

pub use clock::Instant;
