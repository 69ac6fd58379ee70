//! How a report is shown: plain for pipes, drawn for terminals, JSON for programs.

use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde_json::json;

use crate::report::{Diagnostic, Report, Severity};

impl Report {
    /// One line per thing, `FILE:LINE:COLUMN: error: MESSAGE`, with a second one for the way out.
    pub fn plain(&self) -> String {
        self.diagnostics.iter().map(plain).collect()
    }

    /// Drawn into the text of the file; with colours if the terminal has them.
    pub fn graphical(&self, colours: bool, width: usize) -> String {
        let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(width);
        let mut out = String::new();
        for diagnostic in &self.diagnostics {
            handler.render_report(&mut out, &Drawn::new(diagnostic)).expect("writing to a string never fails");
        }
        out
    }

    /// A list of `{file, line, column, severity, message, help}`.
    pub fn json(&self) -> serde_json::Value {
        self.diagnostics
            .iter()
            .map(|d| {
                let (line, column) = d.line_column();
                json!({
                    "file": d.file(), "line": line, "column": column,
                    "severity": d.severity.name(), "message": d.message, "help": d.help,
                })
            })
            .collect()
    }
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

fn plain(diagnostic: &Diagnostic) -> String {
    let (line, column) = diagnostic.line_column();
    let severity = diagnostic.severity.name();
    let mut out = format!("{}:{line}:{column}: {severity}: {}\n", diagnostic.file(), diagnostic.message);
    if let Some(help) = &diagnostic.help {
        out.push_str(&format!("    help: {help}\n"));
    }
    out
}

/// A diagnostic in miette's terms.
#[derive(Debug)]
struct Drawn<'a> {
    diagnostic: &'a Diagnostic,
    source: NamedSource<String>,
}

impl<'a> Drawn<'a> {
    fn new(diagnostic: &'a Diagnostic) -> Self {
        let source = &diagnostic.source;
        Self { diagnostic, source: NamedSource::new(source.name(), source.text().to_owned()) }
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.diagnostic.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.diagnostic.span;
        let label = LabeledSpan::new_primary_with_span(Some("here".to_owned()), span.start..span.end);
        Some(Box::new(std::iter::once(label)))
    }
}

#[cfg(test)]
mod tests;
