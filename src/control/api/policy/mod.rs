//! ELB's policies as lists of attributes: what each type takes ([`schema`]), and the way to a
//! [`Policy`](crate::model::Policy) of the model and back.

mod attributes;
pub mod schema;

pub use attributes::{attributes, description, policy};
