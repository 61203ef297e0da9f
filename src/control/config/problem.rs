//! One thing that is wrong with a file, or doubtful.

use std::ops::Range;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used; it may not do what was meant.
    Warning,
}

/// A problem: where it is in the text, what it concerns and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    severity: Severity,
    span: Range<usize>,
    object: String,
    message: String,
    hint: Option<String>,
    is_absence: bool,
}

impl Problem {
    /// An error at `span`, in the `object` of that name (empty: the file as a whole).
    pub fn error(span: Range<usize>, object: impl Into<String>, message: impl Into<String>) -> Self {
        let (object, message) = (object.into(), message.into());
        Self { severity: Severity::Error, span, object, message, hint: None, is_absence: false }
    }

    /// A warning at `span`.
    pub fn warning(span: Range<usize>, object: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, object, message) }
    }

    /// The same with a remark that is shown beside the caret.
    pub fn with_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// The same, marked as something that is not there rather than wrong. In a file with syntax errors such a
    /// problem proves nothing: the parser may have skipped what is missed.
    pub fn absence(self) -> Self {
        Self { is_absence: true, ..self }
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Whether the file cannot be used because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Whether it is about something that is missing.
    pub fn is_absence(&self) -> bool {
        self.is_absence
    }

    /// The bytes of the text that it is about.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What it concerns: `load_balancers.web, listener 2`; empty for the file as a whole.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// What is wrong and what was expected.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A remark beside the caret: `did you mean "port"?`.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}
