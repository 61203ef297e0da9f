//! Floor 4: the data plane.
