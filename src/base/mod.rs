//! Floor 0: ids, limits, clock, timer wheel, seeded random. No word of load balancing here.
