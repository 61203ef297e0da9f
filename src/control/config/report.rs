//! Problems as people and programs read them: text with the line and a caret, or JSON.

use std::fmt;

use serde_json::{Value, json};

use super::{Position, Problem, Severity, Source};

/// The widest piece of a source line that is shown; a longer one is cut around the caret.
const WIDEST_EXCERPT: usize = 120;

/// The problems of one file, in the order of the file.
#[derive(Debug, Clone)]
pub struct Report {
    source: Source,
    problems: Vec<Problem>,
}

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Never: not a terminal, or `NO_COLOR` is set.
    Plain,
    /// By ANSI escapes.
    Ansi,
}

impl Report {
    /// A report on `source`.
    pub(super) fn new(source: Source, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.span().start, problem.severity()));
        Self { source, problems }
    }

    /// Everything that was found.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The file that it is about.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many errors and how many warnings there are.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.problems.iter().filter(|problem| problem.is_error()).count();
        (errors, self.problems.len() - errors)
    }

    /// The report as text, one paragraph per problem.
    pub fn render(&self, paint: Paint) -> String {
        self.problems.iter().map(|problem| self.paragraph(problem, paint)).collect()
    }

    /// The report as JSON: `valid`, then `errors` and `warnings`, each with its place, object, message and hint.
    pub fn to_json(&self) -> Value {
        let of = |severity| -> Vec<Value> {
            let problems = self.problems.iter().filter(|problem| problem.severity() == severity);
            problems.map(|problem| self.problem_json(problem)).collect()
        };
        let errors = of(Severity::Error);
        json!({ "valid": errors.is_empty(), "errors": errors, "warnings": of(Severity::Warning) })
    }

    fn problem_json(&self, problem: &Problem) -> Value {
        let Position { line, column } = self.source.position(problem.span().start);
        json!({
            "file": self.source.path().to_string_lossy(),
            "line": line,
            "column": column,
            "object": problem.object(),
            "message": problem.message(),
            "hint": problem.hint(),
        })
    }

    fn paragraph(&self, problem: &Problem, paint: Paint) -> String {
        let position = self.source.position(problem.span().start);
        let excerpt = Excerpt::of(&self.source, problem);
        let (bold, colour, reset) = match (paint, problem.severity()) {
            (Paint::Plain, _) => ("", "", ""),
            (Paint::Ansi, Severity::Error) => ("\x1b[1m", "\x1b[31m", "\x1b[0m"),
            (Paint::Ansi, Severity::Warning) => ("\x1b[1m", "\x1b[33m", "\x1b[0m"),
        };
        let severity = match problem.severity() {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        let object = match problem.object() {
            "" => String::new(),
            object => format!("{object}: "),
        };
        let hint = problem.hint().map(|hint| format!(" {hint}")).unwrap_or_default();
        let number = position.line.to_string();
        format!(
            "{bold}{path}:{line}:{column}:{reset} {colour}{severity}{reset}{object}{message}\n \
             {number} | {shown}\n \
             {blank} | {indent}{colour}{carets}{hint}{reset}\n",
            path = self.source.path().display(),
            line = position.line,
            column = position.column,
            message = printable(problem.message()),
            object = printable(&object),
            hint = printable(&hint),
            shown = excerpt.text,
            blank = " ".repeat(number.len()),
            indent = " ".repeat(excerpt.indent),
            carets = "^".repeat(excerpt.carets),
        )
    }
}

/// Plain text: colour is for those who ask [`Report::render`] for it.
impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(Paint::Plain))
    }
}

/// The part of a source line that is shown, and where the carets stand below it.
struct Excerpt {
    text: String,
    indent: usize,
    carets: usize,
}

impl Excerpt {
    /// The piece of the line around the beginning of `problem`. Takes no longer for a longer line, since a file may
    /// be one line of ten thousand errors.
    fn of(source: &Source, problem: &Problem) -> Self {
        let span = problem.span();
        let line = source.line(span.start);
        let at = source.offset_in_line(span.start).min(line.len());
        let (before, after) = line.split_at_checked(at).unwrap_or((line, ""));
        let is_long = line.len() > WIDEST_EXCERPT;
        let start = match before.char_indices().rev().nth(WIDEST_EXCERPT / 2 - 1) {
            Some((start, _)) if is_long => start,
            _ => 0,
        };
        let room = WIDEST_EXCERPT - before[start..].chars().count().min(WIDEST_EXCERPT / 2);
        let end = after.char_indices().nth(room).map_or(after.len(), |(end, _)| end);
        let (left, right) = (if start > 0 { "…" } else { "" }, if end < after.len() { "…" } else { "" });
        let (before, after) = (printable(&before[start..]), printable(&after[..end]));
        let marked = source.text().get(span).and_then(|marked| marked.lines().next()).unwrap_or_default();
        Self {
            indent: left.chars().count() + before.chars().count(),
            carets: marked.chars().take(WIDEST_EXCERPT).count().clamp(1, after.chars().count().max(1)),
            text: format!("{left}{before}{after}{right}"),
        }
    }
}

/// The text with every control character made visible or harmless, character by character, so that a file cannot
/// drive the terminal and carets stay in place.
fn printable(text: &str) -> String {
    let harmless = |character: char| match character {
        '\t' => ' ',
        control if control.is_control() => '\u{fffd}',
        other => other,
    };
    text.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn report(text: &str, problem: Problem) -> Report {
        Report::new(Source::new(Path::new("a.toml"), text.to_owned()), vec![problem])
    }

    #[test]
    fn a_paragraph_has_place_object_message_line_and_caret() {
        let problem = Problem::error(13..17, "node", "unknown key \"cors\"")
            .with_hint(Some("did you mean \"cores\"?".to_owned()));
        let report = report("[node]\nx = 1 cors = 2\n", problem);
        let expected =
            "a.toml:2:7: node: unknown key \"cors\"\n 2 | x = 1 cors = 2\n   |       ^^^^ did you mean \"cores\"?\n";
        assert_eq!(report.to_string(), expected);
        assert!(report.render(Paint::Ansi).starts_with("\x1b[1ma.toml:2:7:\x1b[0m "));
        assert_eq!(
            report.to_json(),
            json!({"valid": false, "warnings": [], "errors": [{
                "file": "a.toml", "line": 2, "column": 7, "object": "node",
                "message": "unknown key \"cors\"", "hint": "did you mean \"cores\"?"}]})
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}BAD{}", "a".repeat(500), "b".repeat(500));
        let report = report(&text, Problem::warning(500..503, "", "bad")).to_string();
        let lines: Vec<&str> = report.lines().collect();
        assert_eq!(lines[0], "a.toml:1:501: warning: bad");
        let shown: Vec<char> = lines[1].chars().collect();
        assert!(shown.len() < 130 && shown.contains(&'…'));
        let caret = lines[2].chars().position(|character| character == '^').unwrap();
        assert_eq!(shown[caret..caret + 3], ['B', 'A', 'D']);
    }

    #[test]
    fn control_characters_of_the_file_do_not_reach_the_terminal() {
        let report = report("\ta = \"\x1b[31m\"", Problem::error(5..6, "\x07", "\x1b[0m")).to_string();
        assert!(!report.chars().any(|character| character.is_control() && character != '\n'), "{report:?}");
    }

    #[test]
    fn a_span_at_or_beyond_the_end_still_has_a_caret() {
        for span in [5..5, 5..9, 40..50] {
            assert!(report("a = 1", Problem::error(span, "", "x")).to_string().contains('^'));
        }
    }
}
