//! Placeholder until the room it tests stands.
