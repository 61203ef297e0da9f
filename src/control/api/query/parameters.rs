//! The parameters of a call as the tree that their dotted names describe: `Listeners.member.1.Protocol` is three steps
//! down from the root.

use crate::control::api::error::{ApiError, ErrorCode};
use std::collections::BTreeMap;

/// Steps in a name. ELB's deepest, `LoadBalancerAttributes.AdditionalAttributes.member.1.Key`, has five.
const DEPTH_MAX: usize = 8;

/// The parameters of one call.
#[derive(Debug, Default)]
pub struct Parameters {
    pub(super) root: Node,
}

/// One step of a name: what stands there, and what lies below.
#[derive(Debug, Default)]
pub(super) struct Node {
    value: Option<String>,
    below: BTreeMap<String, Node>,
}

impl Parameters {
    /// The tree of these names and values.
    ///
    /// # Errors
    ///
    /// `MalformedQueryString` when a name is given twice, has an empty step, or more than eight.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, ApiError> {
        let mut parameters = Self::default();
        for (name, value) in pairs {
            parameters.insert(&name, value)?;
        }
        Ok(parameters)
    }

    /// What stands at the top under `name`; an empty text counts as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.root.child(name).and_then(Node::text).filter(|text| !text.is_empty())
    }

    fn insert(&mut self, name: &str, value: String) -> Result<(), ApiError> {
        let malformed =
            |what: &str| Err(ApiError::new(ErrorCode::MalformedQueryString, format!("The parameter {name} {what}")));
        let mut node = &mut self.root;
        for (depth, step) in name.split('.').enumerate() {
            if step.is_empty() {
                return malformed("has an empty part in its name");
            }
            if depth == DEPTH_MAX {
                return malformed("is nested too deeply");
            }
            node = node.below.entry(step.to_owned()).or_default();
        }
        if node.value.replace(value).is_some() {
            return malformed("is given twice");
        }
        Ok(())
    }
}

impl Node {
    pub(super) fn child(&self, step: &str) -> Option<&Self> {
        self.below.get(step)
    }

    /// The value, as it was sent.
    pub(super) fn text(&self) -> Option<&str> {
        self.value.as_deref()
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.below.is_empty()
    }

    /// The members of a list by their numbers, or the first step that is no number from 1 up. Gaps are allowed.
    pub(super) fn members(&self) -> Result<Vec<(u32, &Self)>, &str> {
        let mut members = Vec::new();
        for (step, node) in self.child("member").into_iter().flat_map(|list| &list.below) {
            match step.parse() {
                Ok(number @ 1..) if step.starts_with(|first: char| first != '+') => members.push((number, node)),
                _ => return Err(step),
            }
        }
        members.sort_unstable_by_key(|(number, _)| *number);
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(names: &[&str]) -> Result<Parameters, ApiError> {
        Parameters::new(names.iter().map(|name| (name.to_string(), "x".to_owned())))
    }

    #[test]
    fn members_are_in_the_order_of_their_numbers() {
        let tree = parameters(&["L.member.10", "L.member.2", "L.member.1"]).unwrap();
        let numbers = |tree: &Parameters| {
            let members = tree.root.child("L").unwrap().members();
            members.map(|members| members.iter().map(|(number, _)| *number).collect::<Vec<_>>()).map_err(str::to_owned)
        };
        assert_eq!(numbers(&tree), Ok(vec![1, 2, 10]));
        for step in ["0", "-1", "+1", "one", "4294967296"] {
            assert_eq!(numbers(&parameters(&[&format!("L.member.{step}")]).unwrap()), Err(step.to_owned()));
        }
    }

    #[test]
    fn names_that_describe_no_tree_are_refused() {
        for (names, what) in [
            (&["a", "a"][..], "The parameter a is given twice"),
            (&["a..b"], "The parameter a..b has an empty part in its name"),
            (&["."], "The parameter . has an empty part in its name"),
            (&["a.b.c.d.e.f.g.h.i"], "The parameter a.b.c.d.e.f.g.h.i is nested too deeply"),
        ] {
            assert_eq!(parameters(names).unwrap_err(), ApiError::new(ErrorCode::MalformedQueryString, what));
        }
        assert!(parameters(&["a.b.c.d.e.f.g.h", "a"]).is_ok());
    }
}
