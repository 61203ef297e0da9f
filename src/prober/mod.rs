//! Floor 4: health probes, once per node, on the control thread.
//!
//! Owns: when which instance is probed ([`Prober`]) and what is asked of it over which connection (`probe`). Does not
//! own: by which rules it is believed ([`Probing`](crate::registry::Probing)), what the results add up to (`health`), who
//! reads the outcome (`registry`).
//!
//! A [`Prober`] runs until the node stops or it is dropped, which closes every connection it has open at once. It
//! follows the registry: what is registered is probed at once, what is no longer registered is forgotten. It uses the
//! tokio runtime it is run on, which is the control thread's; data-plane threads learn of health through the live
//! records alone.

mod http2;
mod probe;
mod rounds;
mod stream;
#[cfg(test)]
mod tests;

pub use rounds::Prober;
