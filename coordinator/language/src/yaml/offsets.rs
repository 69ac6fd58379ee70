//! From the scanner's characters to bytes of the file, and from bytes of a scalar's value to bytes of the file.

use saphyr_parser::ScalarStyle;

use super::{Kind, Node};
use crate::source::{Source, Span};

/// The byte at which each character begins.
pub struct CharOffsets {
    /// Empty: the text is ASCII, both are the same.
    bytes: Vec<usize>,
}

impl CharOffsets {
    pub fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self { bytes: Vec::new() };
        }
        Self { bytes: text.char_indices().map(|(at, _)| at).chain([text.len()]).collect() }
    }

    pub fn byte(&self, index: usize) -> usize {
        match self.bytes.last() {
            Some(last) => self.bytes.get(index).copied().unwrap_or(*last),
            None => index,
        }
    }
}

impl Node {
    /// Where a stretch of a scalar's value stands in the file, past quotes, escapes and folded lines. The whole scalar if it can't be told.
    pub fn span_within(&self, source: &Source, offset: usize, length: usize) -> Span {
        let Kind::Scalar(scalar) = &self.kind else { return self.span };
        let Some(raw) = source.text().get(self.span.start..self.span.end) else { return self.span };
        let starts = alignment(raw, scalar.text(), scalar.style());
        let place = |at: usize| starts.iter().find(|(value, _)| *value >= at).map(|(_, raw)| *raw);
        match (place(offset), place(offset + length.max(1))) {
            (Some(start), Some(end)) => Span::new(self.span.start + start, self.span.start + end.max(start + 1)),
            _ => self.span,
        }
    }
}

/// For each character of the value, and its end: (byte in the value, byte in the raw text). Empty: they don't match.
fn alignment(raw: &str, value: &str, style: ScalarStyle) -> Vec<(usize, usize)> {
    let mut places = Vec::with_capacity(value.len() + 1);
    let mut at = content_start(style);
    for (offset, c) in value.char_indices() {
        // A folded line: one blank or line end of the value is any white space of the file.
        if c != '\n' && c != ' ' {
            at += raw[at..].len() - raw[at..].trim_start().len();
        }
        places.push((offset, at));
        match written(&raw[at..], c, style) {
            Some(length) => at += length,
            None => return Vec::new(),
        }
    }
    places.push((value.len(), at));
    places
}

fn content_start(style: ScalarStyle) -> usize {
    match style {
        // The scanner's span of a block begins behind its `|` or `>`.
        ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => 0,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
    }
}

/// Bytes that one character of the value takes in the file; none: it does not stand there.
fn written(raw: &str, c: char, style: ScalarStyle) -> Option<usize> {
    if style == ScalarStyle::DoubleQuoted && raw.starts_with('\\') {
        let digits = match raw.as_bytes().get(1)? {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => 0,
        };
        return Some(2 + digits).filter(|length| raw.is_char_boundary(*length));
    }
    if style == ScalarStyle::SingleQuoted && raw.starts_with("''") {
        return Some(2);
    }
    if raw.starts_with(c) {
        return Some(c.len_utf8());
    }
    // The blank or line end that a fold left, or a line end that the file does not have.
    let folded = c == ' ' || c == '\n';
    folded.then(|| raw.len() - raw.trim_start().len())
}
