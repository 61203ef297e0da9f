//! What a call asks: the AWS Query encoding, from bytes to typed values. [`form`] decodes names and values,
//! [`Parameters`] is the tree that dotted names describe, [`Reader`] takes values out of it and notes every problem.

pub mod form;
mod parameters;
mod reader;

pub use parameters::Parameters;
pub use reader::{Reader, Unfit, boolean, count, keyword, number, seconds};
