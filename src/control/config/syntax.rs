//! From text to a table of spanned values. Parsing goes on after an error, so that one run shows them all.

use std::collections::HashSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::section::{object_of_element, object_of_key};
use super::{Problem, Source};

/// A file with more broken lines than this is not TOML; to list them all would help nobody.
const MOST_BROKEN_LINES: usize = 100;

/// A parsed file.
pub(super) struct Document<'a> {
    table: Spanned<DeTable<'a>>,
    problems: Vec<Problem>,
    is_sound: bool,
}

impl<'a> Document<'a> {
    /// What was understood of the file.
    pub(super) fn table(&self) -> &Spanned<DeTable<'a>> {
        &self.table
    }

    /// Whether the table holds everything that was written. A key that is there twice does no harm to the rest.
    pub(super) fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// What breaks TOML's rules.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

/// Parses the text of `source`.
pub(super) fn parse(source: &Source) -> Document<'_> {
    let (table, errors) = DeTable::parse_recoverable(source.text());
    let is_sound = errors.iter().all(is_duplicate);
    let mut problems = Vec::new();
    let mut lines = HashSet::new();
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        if !lines.insert(source.position(span.start).line) {
            continue;
        }
        if problems.len() == MOST_BROKEN_LINES {
            problems.push(Problem::error(span, "", "more lines from here on are not TOML"));
            break;
        }
        let object = object_at(&table, source.text(), span.start);
        problems.push(Problem::error(span, object, message(error, source.text())));
    }
    Document { table, problems, is_sound }
}

/// Of the problems found in a document with syntax errors, those that are no consequence of them: about something
/// that is there, and not on a line that could not be read.
pub(super) fn credible(problems: Vec<Problem>, document: &Document<'_>, source: &Source) -> Vec<Problem> {
    let line_of = |problem: &Problem| source.position(problem.span().start).line;
    let broken: HashSet<usize> = document.problems.iter().map(line_of).collect();
    let is_credible = |problem: &Problem| !problem.is_absence() && !broken.contains(&line_of(problem));
    problems.into_iter().filter(is_credible).collect()
}

fn is_duplicate(error: &Error) -> bool {
    error.message() == "duplicate key"
}

/// The parser's message; the name of a key that is there twice is added.
fn message(error: &Error, text: &str) -> String {
    let key = error.span().filter(|_| is_duplicate(error)).and_then(|span| text.get(span));
    match key {
        Some(key) => format!("duplicate key \"{}\"", key.trim_matches(['"', '\''])),
        None => error.message().to_owned(),
    }
}

/// What the table around `offset` is called: the last that begins before it and, if it has an end, is not over.
fn object_at(root: &Spanned<DeTable<'_>>, text: &str, offset: usize) -> String {
    let mut innermost = (0, String::new());
    visit_tables(root.get_ref(), "", &mut |span, object| {
        let is_header = text.get(span.clone()).is_some_and(|table| table.starts_with('['));
        let is_around = span.start <= offset && (is_header || offset < span.end);
        if is_around && span.start >= innermost.0 {
            innermost = (span.start, object.to_owned());
        }
    });
    innermost.1
}

/// Calls `visit` with the place and the name of every table below `table`. The parser bounds how deep they nest.
fn visit_tables(table: &DeTable<'_>, object: &str, visit: &mut dyn FnMut(Range<usize>, &str)) {
    for (key, value) in table.iter() {
        match value.get_ref() {
            DeValue::Table(inner) => {
                let object = object_of_key(object, key.get_ref());
                visit(value.span(), &object);
                visit_tables(inner, &object, visit);
            }
            DeValue::Array(array) => {
                for (index, element) in array.iter().enumerate() {
                    let DeValue::Table(inner) = element.get_ref() else { continue };
                    let object = object_of_element(object, key.get_ref(), index);
                    visit(element.span(), &object);
                    visit_tables(inner, &object, visit);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn problems(text: &str) -> Vec<(usize, String, String)> {
        let source = Source::new(Path::new("a.toml"), text.to_owned());
        let problems = parse(&source).into_problems();
        let shown = |problem: &Problem| {
            let line = source.position(problem.span().start).line;
            (line, problem.object().to_owned(), problem.message().to_owned())
        };
        problems.iter().map(shown).collect()
    }

    #[test]
    fn each_broken_line_is_named_with_the_table_around_it() {
        let text = "[node]\nzone = rack\n[load_balancers.web]\nlisteners = [\n  { port = 1 },\n  \
                    { port = 2, port = 3 },\n]\nx = \n";
        assert_eq!(
            problems(text),
            [
                (2, "node".into(), "string values must be quoted, expected literal string".into()),
                (6, "load_balancers.web, listener 2".into(), "duplicate key \"port\"".into()),
                (8, "load_balancers.web".into(), "string values must be quoted, expected literal string".into()),
            ]
        );
    }

    #[test]
    fn garbage_is_cut_short_and_deep_nesting_is_survived() {
        assert_eq!(problems(&"@\n".repeat(5000)).len(), MOST_BROKEN_LINES + 1);
        assert!(!problems(&format!("a = {}", "[".repeat(100_000))).is_empty());
        assert!(!problems(&format!("{}a = 1", "a.".repeat(100_000))).is_empty());
    }
}
