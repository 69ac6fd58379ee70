//! Just enough of Rust's form to tell code from comments and texts, tests from the rest, and where a function ends.
//! No parser: it never judges whether a source compiles.

use std::ops::RangeInclusive;

/// A Rust source with its comments and texts blanked out.
pub struct Source {
    /// As long as the original, byte by byte; comments and texts are spaces.
    code: Vec<u8>,
    /// First and last line of every item under `#[cfg(test)]`.
    tests: Vec<RangeInclusive<usize>>,
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// First and last line, from 1.
    pub lines: RangeInclusive<usize>,
}

impl Source {
    /// Reads a source.
    pub fn new(text: &str) -> Self {
        let mut source = Self { code: blank(text.as_bytes()), tests: Vec::new() };
        let attribute = b"#[cfg(test)]";
        let starts: Vec<usize> = source.find(attribute).collect();
        source.tests = starts
            .into_iter()
            .map(|at| source.line(at)..=source.line(source.item_end(at + attribute.len()).unwrap_or(source.code.len())))
            .collect();
        source
    }

    /// Whether the line, from 1, belongs to an item under `#[cfg(test)]`.
    pub fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// Lines of the code, from 1, blanked.
    pub fn lines(&self) -> impl Iterator<Item = (usize, String)> {
        self.code
            .split(|b| *b == b'\n')
            .enumerate()
            .map(|(i, line)| (i + 1, String::from_utf8_lossy(line).into_owned()))
    }

    /// Every function that has a body and a name.
    pub fn functions(&self) -> Vec<Function> {
        self.find(b"fn ")
            .filter(|at| *at == 0 || !is_word(self.code[at - 1]))
            .filter_map(|at| self.function(at))
            .collect()
    }

    fn function(&self, at: usize) -> Option<Function> {
        let name: Vec<u8> = self.code[at + 3..].iter().copied().take_while(|b| is_word(*b)).collect();
        let end = self.item_end(at)?;
        if name.is_empty() || self.code[end] != b'}' {
            return None;
        }
        let lines = self.line(at)..=self.line(end);
        Some(Function { name: String::from_utf8_lossy(&name).into_owned(), lines })
    }

    /// Where the item that begins at `from` ends: its closing brace, or the semicolon of an item without a body.
    fn item_end(&self, from: usize) -> Option<usize> {
        let mut depth = 0usize;
        for (i, byte) in self.code.iter().enumerate().skip(from) {
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            let item_is_over = matches!(byte, b'}' | b';') && depth == 0;
            if item_is_over {
                return Some(i);
            }
        }
        None
    }

    fn find<'a>(&'a self, what: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        self.code.windows(what.len()).enumerate().filter(move |(_, window)| *window == what).map(|(at, _)| at)
    }

    fn line(&self, at: usize) -> usize {
        1 + self.code[..at.min(self.code.len())].iter().filter(|b| **b == b'\n').count()
    }
}

/// Whether `word` stands in `code` by itself, not as a part of a longer name.
pub fn has_word(code: &str, word: &str) -> bool {
    // A word that ends with a sign, like `todo!`, can't go on behind it.
    let joined = |left: Option<u8>, right: Option<u8>| left.is_some_and(is_word) && right.is_some_and(is_word);
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (code[..at].bytes().next_back(), code[at + word.len()..].bytes().next());
        let (first, last) = (word.bytes().next(), word.bytes().next_back());
        !joined(before, first) && !joined(last, after)
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Comments and texts as spaces, line ends kept.
fn blank(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    while out.len() < text.len() {
        let at = out.len();
        let skipped = opaque_length(text, at);
        if skipped == 0 {
            out.push(if text[at].is_ascii() { text[at] } else { b' ' });
        }
        out.extend(text[at..at + skipped].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
    }
    out
}

/// Length of the comment, text or character that begins at `at`; 0: none does.
fn opaque_length(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    let in_word = at > 0 && is_word(text[at - 1]);
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment_length(rest),
        [b'"', ..] => quoted_length(rest),
        [b'b' | b'c', b'"', ..] if !in_word => 1 + quoted_length(&rest[1..]),
        [b'r', ..] if !in_word => raw_length(rest),
        [b'b' | b'c', b'r', ..] if !in_word && raw_length(&rest[1..]) > 0 => 1 + raw_length(&rest[1..]),
        [b'\'', ..] => character_length(rest),
        _ => 0,
    }
}

fn block_comment_length(rest: &[u8]) -> usize {
    let mut depth = 0usize;
    let mut i = 0;
    while i < rest.len() {
        match &rest[i..] {
            [b'/', b'*', ..] => (depth, i) = (depth + 1, i + 2),
            [b'*', b'/', ..] if depth == 1 => return i + 2,
            [b'*', b'/', ..] => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
    }
    rest.len()
}

fn quoted_length(rest: &[u8]) -> usize {
    let mut i = 1;
    while i < rest.len() {
        match rest[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    rest.len()
}

/// `r"..."`, `r#"..."#`; 0 for a raw identifier or a name that begins with r.
fn raw_length(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = 2 + hashes;
    let end = rest[body..].windows(close.len()).position(|window| window == close);
    end.map_or(rest.len(), |end| body + end + close.len())
}

/// `'x'`, `'\n'`; 0 for a lifetime.
fn character_length(rest: &[u8]) -> usize {
    let escaped = rest.get(1) == Some(&b'\\');
    let close = rest.iter().take(12).skip(if escaped { 3 } else { 2 }).position(|b| *b == b'\'');
    match (escaped, close) {
        (true, Some(more)) => 4 + more,
        // A character has at most four bytes; `'a, 'b` are two lifetimes.
        (false, Some(more)) if more == 0 || (more < 4 && !rest[1].is_ascii()) => 3 + more,
        _ => 0,
    }
}
