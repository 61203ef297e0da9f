//! What a change changes, for the audit log.

use serde_json::Value;
use std::collections::BTreeMap;

/// Characters of a difference that are shown. One instance is a hundred; a whole load balancer some thousand.
const SHOWN_MAX: usize = 16_384;

/// What is in one of two documents only: `-path: value` for what went, `+path: value` for what came. Elements of lists
/// are compared as a set, so that one that goes does not change all behind it. Empty when nothing changed.
pub fn difference(before: &Value, after: &Value) -> String {
    let mut lines: BTreeMap<String, isize> = BTreeMap::new();
    flatten(before, String::new(), &mut |line| *lines.entry(line).or_default() -= 1);
    flatten(after, String::new(), &mut |line| *lines.entry(line).or_default() += 1);
    let mut shown = String::new();
    for (line, count) in lines.into_iter().filter(|(_, count)| *count != 0) {
        if shown.len() + line.len() > SHOWN_MAX {
            shown.push_str(" and more");
            break;
        }
        let gap = if shown.is_empty() { "" } else { " " };
        let sign = if count < 0 { '-' } else { '+' };
        shown.push_str(&format!("{gap}{sign}{line}"));
    }
    shown
}

/// Calls `line` for every leaf. An element of a list is a leaf.
fn flatten(value: &Value, path: String, line: &mut impl FnMut(String)) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (key, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(value, format!("{path}{dot}{key}"), line);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| line(format!("{path}: {element}"))),
        leaf => line(format!("{path}: {leaf}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_shown() {
        let before = json!({"a": {"b": 1, "c": "x"}, "list": [{"id": 1}, {"id": 2}, {"id": 2}]});
        let after = json!({"a": {"b": 1, "c": "y"}, "list": [{"id": 2}, {"id": 3}], "new": null});
        let expected = "-a.c: \"x\" +a.c: \"y\" -list: {\"id\":1} -list: {\"id\":2} +list: {\"id\":3}";
        assert_eq!(difference(&before, &after), expected);
        assert_eq!(difference(&after, &after), "");
        assert_eq!(difference(&Value::Null, &json!({"a": 1})), "+a: 1");
        let long = difference(&Value::Null, &json!({"a": "x".repeat(SHOWN_MAX)}));
        assert_eq!(long, " and more");
    }
}
