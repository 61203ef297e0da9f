//! What one configuration changes in another: what `elbow reload --plan` shows and what the log says of a reload.
//!
//! Both are written out with every default filled in and compared block by block, so that nothing that can be
//! configured can change without being shown.

use std::collections::BTreeMap;
use std::fmt;

use crate::control::config::effective;
use crate::model::Configuration;

/// The blocks that are not the same in both, in the order of their titles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    blocks: Vec<Block>,
}

/// A part of the file under one title, with the lines that only one of the two has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    title: String,
    removed: Vec<String>,
    added: Vec<String>,
}

/// Lines by the title of their block.
type Blocks = BTreeMap<String, Vec<String>>;

impl Difference {
    /// What there is in `after` and not in `before`, and the other way round.
    pub fn between(before: &Configuration, after: &Configuration) -> Difference {
        let (before, after) = (blocks(&effective(before)), blocks(&effective(after)));
        let titles = before.keys().chain(after.keys().filter(|title| !before.contains_key(*title)));
        let mut changed: Vec<Block> = titles
            .map(|title| Block {
                title: title.clone(),
                removed: only_in(before.get(title), after.get(title)),
                added: only_in(after.get(title), before.get(title)),
            })
            .filter(|block| !block.removed.is_empty() || !block.added.is_empty())
            .collect();
        changed.sort_by(|one, other| one.title.cmp(&other.title));
        Difference { blocks: changed }
    }

    /// Whether both say the same.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// How many lines are gone and how many are new.
    pub fn counts(&self) -> (usize, usize) {
        let sum = |lines: fn(&Block) -> usize| self.blocks.iter().map(lines).sum();
        (sum(|block| block.removed.len()), sum(|block| block.added.len()))
    }
}

/// As a diff: titles in brackets, `-` before what is gone, `+` before what is new.
impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(formatter, "nothing changes");
        }
        for Block { title, removed, added } in &self.blocks {
            writeln!(formatter, "[{title}]")?;
            removed.iter().try_for_each(|line| writeln!(formatter, "- {line}"))?;
            added.iter().try_for_each(|line| writeln!(formatter, "+ {line}"))?;
        }
        Ok(())
    }
}

/// The lines of `one` that `other` does not have.
fn only_in(one: Option<&Vec<String>>, other: Option<&Vec<String>>) -> Vec<String> {
    let other: std::collections::HashSet<&String> = other.into_iter().flatten().collect();
    one.into_iter().flatten().filter(|line| !other.contains(line)).cloned().collect()
}

/// Cuts an effective file into blocks. Listeners stand in a list there; here each is named by its address.
fn blocks(file: &str) -> Blocks {
    let mut blocks = Blocks::new();
    let mut close = |title: String, lines: Vec<String>| {
        let title = match (value(&lines, "address"), value(&lines, "port")) {
            (Some(address), Some(port)) if title.ends_with(".listeners") => format!("{title} {address} port {port}"),
            _ => title,
        };
        blocks.entry(title).or_default().extend(lines);
    };
    let (mut title, mut lines) = (String::new(), Vec::new());
    for line in file.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')).filter(|_| line != "[]") {
            Some(next) => {
                let next = next.trim_matches(['[', ']']).to_owned();
                close(std::mem::replace(&mut title, next), std::mem::take(&mut lines));
            }
            None if matches!(line, "]" | "instances = [") => {}
            None => lines.push(line.to_owned()),
        }
    }
    close(title, lines);
    blocks
}

fn value<'a>(lines: &'a [String], key: &str) -> Option<&'a str> {
    let value = lines.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
    Some(value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::config::parse;
    use std::path::Path;

    fn configuration(instances: &str, port: u16, more: &str) -> Configuration {
        let text = format!(
            "[load_balancers.web]\nlisteners = [\n  {{ protocol = \"HTTP\", port = 80, instance_port = 8080 }},\n  \
             {{ protocol = \"TCP\", port = {port}, instance_port = 8080 }},\n]\ninstances = [{instances}]\n{more}"
        );
        parse(&text, Path::new("elbow.toml")).expect("a good file").configuration
    }

    #[test]
    fn what_changes_is_shown_where_it_stands() {
        let before = configuration("\"10.0.0.1\", \"10.0.0.2\"", 81, "");
        let after =
            configuration("\"10.0.0.2\", \"10.0.0.3\"", 82, "[load_balancers.web.limits]\nconnect_timeout = 7\n");
        let difference = Difference::between(&before, &after);
        let shown = difference.to_string();
        let lines: Vec<&str> = shown.lines().collect();
        let expected = [
            "[load_balancers.web]",
            r#"- { id = "10.0.0.1", address = "10.0.0.1", zone = "default", weight = 1 },"#,
            r#"+ { id = "10.0.0.3", address = "10.0.0.3", zone = "default", weight = 1 },"#,
            "[load_balancers.web.limits]",
            "- connect_timeout = 5",
            "+ connect_timeout = 7",
        ];
        assert!(expected.iter().all(|line| lines.contains(line)), "{shown}");
        assert!(lines.contains(&"[load_balancers.web.listeners 0.0.0.0 port 81]"), "{shown}");
        assert!(lines.contains(&"[load_balancers.web.listeners 0.0.0.0 port 82]"), "{shown}");
        assert!(!shown.contains("port 80]"), "what stays is not shown: {shown}");
    }

    #[test]
    fn order_is_no_difference() {
        let before = configuration("\"10.0.0.1\", \"10.0.0.2\"", 81, "");
        let after = configuration("\"10.0.0.2\", \"10.0.0.1\"", 81, "");
        let difference = Difference::between(&before, &after);
        assert!(difference.is_empty() && difference.counts() == (0, 0), "{difference}");
        assert_eq!(difference.to_string(), "nothing changes\n");
    }
}
