//! Floor 2: which instance gets the next request, as pure decisions over live counters.
