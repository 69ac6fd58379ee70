//! What a text must keep to before any parser sees it: parsers recurse, and a stack that overflows ends the process.
//! Every lexical form that this scan does not know is refused, so that it and the parser never disagree about where a text literal ends.

use super::ExprError;

/// Longest text, bytes.
pub(super) const MAX_LENGTH: usize = 4 * 1024;
/// Most tokens.
pub(super) const MAX_TOKENS: usize = 512;
/// Deepest brackets.
pub(super) const MAX_BRACKETS: usize = 24;
/// Most `? :`.
pub(super) const MAX_TERNARIES: usize = 24;

/// Refuses what the parser must not be given.
pub(super) fn admit(source: &str) -> Result<(), ExprError> {
    if source.len() > MAX_LENGTH {
        let message = format!("an expression has at most {MAX_LENGTH} bytes, this has {}", source.len());
        return Err(ExprError { message, offset: MAX_LENGTH });
    }
    let mut scan = Scan { bytes: source.as_bytes(), at: 0, tokens: 0, brackets: 0, ternaries: 0 };
    while scan.token()? {}
    if scan.tokens == 0 {
        return Err(ExprError { message: "an expression is missing here".into(), offset: 0 });
    }
    Ok(())
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    tokens: usize,
    brackets: usize,
    ternaries: usize,
}

impl Scan<'_> {
    /// Passes over one token; false at the end.
    fn token(&mut self) -> Result<bool, ExprError> {
        while self.peek(0).is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
        let Some(first) = self.peek(0) else { return Ok(false) };
        self.tokens += 1;
        if self.tokens > MAX_TOKENS {
            return Err(self.error(format!("an expression has at most {MAX_TOKENS} words and signs")));
        }
        match first {
            b'\'' | b'"' => self.text(first)?,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => self.word()?,
            _ => self.sign(first)?,
        }
        Ok(true)
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn error(&self, message: impl Into<String>) -> ExprError {
        ExprError { message: message.into(), offset: self.at }
    }

    fn word(&mut self) -> Result<(), ExprError> {
        let start = self.at;
        while self.peek(0).is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.at += 1;
        }
        if matches!(self.peek(0), Some(b'\'' | b'"')) {
            self.at = start;
            return Err(
                self.error("raw texts and bytes are left out here: write plain quotes, with `\\\\` for a backslash")
            );
        }
        Ok(())
    }

    fn text(&mut self, quote: u8) -> Result<(), ExprError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek(0) {
                Some(b) if b == quote => break,
                Some(b'\\') => self.escape()?,
                Some(b'\n' | b'\r') | None => {
                    self.at = start;
                    return Err(self.error("this text has no closing quote on its line"));
                }
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        if matches!(self.peek(0), Some(b'\'' | b'"')) {
            return Err(self.error("a quote right behind a text: triple quotes are left out here, and `+` joins texts"));
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), ExprError> {
        let digits = match self.peek(1) {
            Some(b'\\' | b'\'' | b'"' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err(self.error("an escape is one of \\\\ \\' \\\" \\n \\r \\t \\uXXXX")),
        };
        for ahead in 2..2 + digits {
            if !self.peek(ahead).is_some_and(|b| b.is_ascii_hexdigit()) {
                return Err(self.error("\\u takes four hexadecimal digits"));
            }
        }
        self.at += 2 + digits;
        Ok(())
    }

    fn sign(&mut self, first: u8) -> Result<(), ExprError> {
        let pair = (first, self.peek(1));
        let length = match pair {
            (b'/', Some(b'/')) => return Err(self.error("comments are left out here: YAML has `#`")),
            (b'=' | b'!' | b'<' | b'>', Some(b'=')) | (b'&', Some(b'&')) | (b'|', Some(b'|')) => 2,
            (b'=', _) => return Err(self.error("`=` assigns nothing here: compare with `==`")),
            (b'&' | b'|', _) => return Err(self.error("write `&&` for and, `||` for or")),
            (b'(' | b'[' | b'{', _) => self.open()?,
            (b')' | b']' | b'}', _) => self.close(),
            (b'?', _) => self.ternary()?,
            (b'.' | b',' | b':' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'!', _) => 1,
            _ => return Err(self.error("this sign has no meaning in an expression; texts stand in quotes")),
        };
        self.at += length;
        Ok(())
    }

    fn open(&mut self) -> Result<usize, ExprError> {
        self.brackets += 1;
        if self.brackets > MAX_BRACKETS {
            return Err(self.error(format!("brackets may be {MAX_BRACKETS} deep")));
        }
        Ok(1)
    }

    fn close(&mut self) -> usize {
        self.brackets = self.brackets.saturating_sub(1);
        1
    }

    fn ternary(&mut self) -> Result<usize, ExprError> {
        // The parser takes `[?a]` for `[a]` without a word.
        if self.bytes[..self.at].trim_ascii_end().last().is_none_or(|before| b"[{(,.?:".contains(before)) {
            return Err(self.error("optional members are left out here: ask with has()"));
        }
        self.ternaries += 1;
        if self.ternaries > MAX_TERNARIES {
            return Err(self.error(format!("an expression may choose {MAX_TERNARIES} times with `? :`")));
        }
        Ok(1)
    }
}
