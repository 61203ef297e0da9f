//! Floor 5: builds every part once, in order; shuts down in reverse.
