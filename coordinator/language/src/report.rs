//! What was found in a file, each thing with its place and a way out. How it is shown lives in `render`.

use std::sync::Arc;

use crate::source::{Source, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// It works, but perhaps not as meant.
    Warning,
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub(crate) source: Arc<Source>,
    pub(crate) span: Span,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Diagnostic {
    /// The file it stands in.
    pub fn file(&self) -> &str {
        self.source.name()
    }

    /// Line and column of its first character, both from 1.
    pub fn line_column(&self) -> (usize, usize) {
        self.source.line_column(self.span.start)
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What would be right.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

/// All that was found, by place. As an error it holds at least one [`Severity::Error`].
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.plain())]
pub struct Report {
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// What was found.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Whether the file is refused.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }

    /// Takes in what was found elsewhere.
    pub fn extend(&mut self, other: Report) {
        self.diagnostics.extend(other.diagnostics);
    }
}

/// What a file means, and what is worth a second look in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked<T> {
    /// What it means.
    pub value: T,
    /// Warnings only.
    pub warnings: Report,
}

/// Gathers what is found in one file, so that no mistake hides another.
pub(crate) struct Problems {
    source: Arc<Source>,
    found: Vec<Diagnostic>,
}

impl Problems {
    pub fn new(file: &str, text: &str) -> Self {
        Self { source: Arc::new(Source::new(file, text)), found: Vec::new() }
    }

    /// For what is only looked over: nobody reads what is found.
    pub fn nowhere() -> Self {
        Self::new("", "")
    }

    /// The same, over a text.
    pub fn nowhere_in(text: &str) -> Self {
        Self::new("", text)
    }

    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// A mistake: what is wrong, and what would be right.
    pub fn error(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, span, message.into(), Some(help.into()));
    }

    /// A mistake whose message says what would be right.
    pub fn bare_error(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Error, span, message.into(), None);
    }

    /// Something worth a second look.
    pub fn warning(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, span, message.into(), Some(help.into()));
    }

    /// Whether the file is refused already.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Beside a mistake, a warning is mostly its shadow.
    pub fn drop_shadows(&mut self) {
        if self.has_errors() {
            self.found.retain(|diagnostic| diagnostic.severity == Severity::Error);
        }
    }

    fn push(&mut self, severity: Severity, span: Span, message: String, help: Option<String>) {
        let diagnostic = Diagnostic { source: Arc::clone(&self.source), span, severity, message, help };
        if !self.found.contains(&diagnostic) {
            self.found.push(diagnostic);
        }
    }

    /// The value with its warnings, when it is there and nothing is wrong.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<Checked<T>, Report> {
        self.found.sort_by_key(|d| d.span);
        let report = Report { diagnostics: self.found };
        match value {
            Some(value) if !report.has_errors() => Ok(Checked { value, warnings: report }),
            _ => Err(report),
        }
    }
}
