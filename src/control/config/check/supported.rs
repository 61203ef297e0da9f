//! What the file may say and the data plane does not do yet. Refused rather than ignored: a balancer that says
//! nothing about a rule and does not keep it is worse than one that does not start.
//!
//! When a feature lands, its line in [`NOT_YET`] goes.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::Problem;
use super::super::section::{object_of_element, object_of_key};

/// A value of the file that asks for something that does not exist yet.
#[derive(Debug)]
pub(in super::super) struct NotYet {
    /// Its keys from the root; `*` stands for every name or element.
    path: &'static str,
    /// Which of its values ask for it.
    when: fn(&DeValue<'_>) -> bool,
    /// What it is called.
    what: &'static str,
}

/// Everything that is refused.
pub(in super::super) const NOT_YET: &[NotYet] = &[
    NotYet { path: "node.sticky_key_file", when: always, what: "stickiness" },
    NotYet { path: "load_balancers.*.attributes.cross_zone", when: is_set, what: "cross-zone balancing" },
    NotYet { path: "load_balancers.*.attributes.draining.enabled", when: is_set, what: "connection draining" },
    NotYet {
        path: "load_balancers.*.attributes.desync_mitigation",
        when: is_other_mode,
        what: "modes other than defensive",
    },
    NotYet { path: "load_balancers.*.attributes.access_log", when: always, what: "the access log" },
    NotYet { path: "load_balancers.*.limits.instance_connections", when: is_set, what: "a limit per instance" },
    NotYet { path: "load_balancers.*.policies.*.type", when: is_stickiness, what: "stickiness" },
];

/// A problem for every value that asks for something in `not_yet`.
pub(in super::super) fn unsupported(table: &Spanned<DeTable<'_>>, not_yet: &[NotYet]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for entry in not_yet {
        let path: Vec<&str> = entry.path.split('.').collect();
        in_table(table.get_ref(), &path, "", entry, &mut problems);
    }
    problems
}

fn in_table(table: &DeTable<'_>, path: &[&str], object: &str, entry: &NotYet, problems: &mut Vec<Problem>) {
    let Some((step, rest)) = path.split_first() else { return };
    for (key, value) in table.iter().filter(|(key, _)| *step == "*" || key.get_ref() == step) {
        in_value(value, rest, object, key.get_ref(), entry, problems);
    }
}

/// Looks into the value of `key` in `object`.
fn in_value(
    value: &Spanned<DeValue<'_>>,
    path: &[&str],
    object: &str,
    key: &str,
    entry: &NotYet,
    problems: &mut Vec<Problem>,
) {
    match (value.get_ref(), path.split_first()) {
        (wanted, None) if (entry.when)(wanted) => {
            let message = format!("{key}: not supported yet: {}", entry.what);
            problems.push(Problem::error(value.span(), object, message));
        }
        (DeValue::Table(table), Some(_)) => in_table(table, path, &object_of_key(object, key), entry, problems),
        (DeValue::Array(array), Some((_, rest))) => {
            for (index, element) in array.iter().enumerate() {
                let DeValue::Table(table) = element.get_ref() else { continue };
                in_table(table, rest, &object_of_element(object, key, index), entry, problems);
            }
        }
        _ => {}
    }
}

fn always(_: &DeValue<'_>) -> bool {
    true
}

/// Not empty, not false, not zero.
fn is_set(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Array(array) => !array.is_empty(),
        DeValue::Boolean(truth) => *truth,
        DeValue::Integer(number) => number.as_str() != "0",
        _ => true,
    }
}

fn is_other_mode(value: &DeValue<'_>) -> bool {
    is_one_of(value.as_str(), &["monitor", "strictest"])
}

fn is_stickiness(value: &DeValue<'_>) -> bool {
    is_one_of(value.as_str(), &["LBCookieStickinessPolicyType", "AppCookieStickinessPolicyType"])
}

fn is_one_of(word: Option<&str>, words: &[&str]) -> bool {
    word.is_some_and(|word| words.iter().any(|known| word.eq_ignore_ascii_case(known)))
}
