//! Floor 2: when an instance counts as healthy. Thresholds, schedule, what a good answer is; no I/O.
