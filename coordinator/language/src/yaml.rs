//! A YAML 1.2 document as a tree that knows where everything stands. What YAML can do beyond plain trees (anchors, tags, merge keys,
//! several documents) is refused here, so that nothing behind this file ever meets it.

mod offsets;
mod scalar;

use std::borrow::Cow;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScanError, StrInput, Tag};

use crate::report::Problems;
use crate::source::{Source, Span};
use offsets::CharOffsets;
pub use scalar::Scalar;

/// Largest file, bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 64;

/// A part of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub span: Span,
    pub kind: Kind,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

impl Node {
    /// What kind of thing it is, as a message calls it.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.describe(),
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}

/// Reads one document. None: it could not be read, and `problems` says why.
pub fn parse(problems: &mut Problems) -> Option<Node> {
    let source = Arc::clone(problems.source());
    if source.text().len() > MAX_BYTES {
        problems.error(Span::new(0, 1), "the file is larger than 1 MiB", "split it: nothing readable is that long");
        return None;
    }
    let mut builder = Builder {
        parser: Parser::new_from_str(source.text()),
        offsets: CharOffsets::of(source.text()),
        source: &source,
        problems,
    };
    builder.document().ok()
}

/// Reading can't go on; the reason has been reported.
struct Stop;

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    offsets: CharOffsets,
    source: &'a Source,
    problems: &'a mut Problems,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Node, Stop> {
        loop {
            let (event, _) = self.next()?;
            match event {
                Event::StreamStart => {}
                Event::DocumentStart(_) => break,
                _ => {
                    return Err(self.stop(
                        Span::new(0, 1),
                        "the file is empty",
                        "write a definition or a contract into it",
                    ));
                }
            }
        }
        let (event, span) = self.next()?;
        let root = self.node(event, span, 0)?;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(root),
                _ => return Err(self.stop(span, "a second document begins here", "write it into a file of its own")),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let span = Span::new(self.offsets.byte(span.start.index()), self.offsets.byte(span.end.index()));
                Ok((event, span))
            }
            Some(Err(error)) => Err(self.not_yaml(&error)),
            None => Err(self.stop(Span::new(0, 1), "the file ends too early", "close what is open at its end")),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Stop> {
        if depth > MAX_DEPTH {
            return Err(self.stop(span, format!("nested deeper than {MAX_DEPTH} levels"), "flatten it"));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let end = self.trimmed_end(span);
                let span = Span::new(span.start, end);
                self.refuse_extras(span, anchor, tag.as_ref());
                Ok(Node { span, kind: Kind::Scalar(Scalar::new(text.into_owned(), style)) })
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_extras(span, anchor, tag.as_ref());
                self.list(span, depth)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_extras(span, anchor, tag.as_ref());
                self.map(span, depth)
            }
            _ => Err(self.stop(span, "anchors and aliases are refused", "write the value out where it is used")),
        }
    }

    fn list(&mut self, start: Span, depth: usize) -> Result<Node, Stop> {
        let mut items: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                let end = items.first().map_or(span.end, |item| item.span.end);
                return Ok(Node { span: Span::new(start.start, end), kind: Kind::List(items) });
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Result<Node, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::BTreeMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                let end = entries.first().map_or(span.end, |entry| entry.key_span.end);
                return Ok(Node { span: Span::new(start.start, end), kind: Kind::Map(entries) });
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let Some(name) = self.key(&key) else { continue };
            if let Some(first) = seen.insert(name.clone(), key.span) {
                let (line, _) = self.source.line_column(first.start);
                let help = format!("it stands in line {line} already: keep one of the two");
                self.problems.error(key.span, format!("the key `{name}` stands twice"), help);
                continue;
            }
            entries.push(Entry { key: name, key_span: key.span, value });
        }
    }

    /// The text of a key; none: it was refused.
    fn key(&mut self, node: &Node) -> Option<String> {
        let Kind::Scalar(scalar) = &node.kind else {
            self.problems.error(node.span, "a key must be text", "quote it, if it is meant as text");
            return None;
        };
        if scalar.is_plain() && scalar.text() == "<<" {
            self.problems.error(node.span, "merge keys are refused", "write the keys out where they are used");
            return None;
        }
        if scalar.is_plain() && scalar.text().is_empty() {
            self.problems.error(node.span, "a key is missing before the `:`", "write KEY: VALUE");
            return None;
        }
        Some(scalar.text().to_owned())
    }

    fn refuse_extras(&mut self, span: Span, anchor: usize, tag: Option<&Cow<'_, Tag>>) {
        if let Some(tag) = tag {
            let handle = if tag.is_yaml_core_schema() { "!!" } else { &tag.handle };
            let message = format!("`{handle}{}` is a YAML tag here, and tags are refused", tag.suffix);
            let help = "quote it, if it is an expression or text: a plain value can't begin with `!`";
            self.problems.error(self.tag_span(span), message, help);
        } else if anchor > 0 {
            let help = "write the value out where it is used; quote it, if it is text that begins with `&`";
            self.problems.error(span, "anchors and aliases are refused", help);
        }
    }

    /// From the `!` on: the event's own span begins behind the tag.
    fn tag_span(&self, span: Span) -> Span {
        let text = self.source.text();
        let line_start = text[..self.source.floor(span.start)].rfind('\n').map_or(0, |newline| newline + 1);
        match text[line_start..span.end].rfind('!') {
            Some(at) => Span::new(line_start + at, span.end.max(line_start + at + 1)),
            None => span,
        }
    }

    /// The end of a scalar without the blanks and line ends that the scanner counts in.
    fn trimmed_end(&self, span: Span) -> usize {
        span.start + self.source.text()[span.start..span.end].trim_end().len()
    }

    fn not_yaml(&mut self, error: &ScanError) -> Stop {
        let at = self.source.floor(self.offsets.byte(error.marker().index()));
        let help = way_out(error.info(), self.source.line_at(at));
        self.stop(Span::new(at, at + 1), format!("this is not YAML: {}", error.info()), help)
    }

    fn stop(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) -> Stop {
        self.problems.error(span, message, help);
        Stop
    }
}

/// What a person most likely meant where the scanner gave up.
fn way_out(info: &str, line: &str) -> &'static str {
    if info.contains("tab") {
        "indent with blanks, never with tabs"
    } else if info.contains("recursion") {
        "flatten it"
    } else if info.contains("mapping values") {
        "quote it: a plain value can't hold `: ` or `? `"
    } else if line.contains("${") && line.contains(['{', '[']) {
        "quote it: inside { } and [ ] an expression is written \"${...}\""
    } else if line.contains(" ? ") || line.matches(": ").count() > 1 {
        "quote it: a plain value can't hold `: ` or `? `"
    } else if line.contains(['!', '&', '*', '%', '@', '`']) {
        "quote it: a plain value can't begin with ! & * % @ or `"
    } else {
        "look at the line above, too: an open quote or bracket shows only where the next thing begins"
    }
}

#[cfg(test)]
mod tests;
