//! Output for people and for programs: tables whose columns fit, words with colours on terminals, JSON. A reader that goes away, as `head`
//! does, is no error.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use anstyle::{AnsiColor, Style};
use sagaline_node::api::model::Status;
use sagaline_node::calendar::rfc3339;
use serde::Serialize;

use crate::exit::{Exit, Failure};

/// The wall clock, milliseconds since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A text that may hold what a stranger wrote, fit for a terminal: of its control characters only those that give our words their colours stay, and line
/// breaks where `lines`; nor does anything turn the direction of writing.
fn tame(text: &str, lines: bool) -> Cow<'_, str> {
    let harmless = |c: char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.chars().all(harmless) {
        return text.into();
    }
    let mut tame = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let styled = style_at(rest);
        if styled > 0 {
            tame.push_str(&rest[..styled]);
        } else {
            tame.push(if harmless(c) || (lines && matches!(c, '\n' | '\t')) { c } else { '\u{fffd}' });
        }
        rest = &rest[styled.max(c.len_utf8())..];
    }
    tame.into()
}

/// How long the style is that a text begins with: `ESC [ numbers m`; 0: it begins with none.
fn style_at(text: &str) -> usize {
    let Some(numbers) = text.strip_prefix("\u{1b}[") else { return 0 };
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';');
    end.filter(|end| numbers[*end..].starts_with('m')).map_or(0, |end| 2 + end + 1)
}

/// Prints a text, as far as it does a terminal no harm.
///
/// # Errors
/// When it can't be written, for another reason than that nobody reads on.
pub fn text(text: &str) -> Result<(), Failure> {
    drawn("", text)
}

/// Prints a text in the place of another: `moves` says where the cursor goes first.
///
/// # Errors
/// As `text`.
pub fn drawn(moves: &str, text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let written = out.write_all(moves.as_bytes()).and_then(|()| out.write_all(tame(text, true).as_bytes()));
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(Exit::Refused, format_args!("the output can't be written: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Prints a line.
///
/// # Errors
/// As `text`.
pub fn line(line: impl std::fmt::Display) -> Result<(), Failure> {
    text(&format!("{line}\n"))
}

/// Prints JSON: one document, indented.
///
/// # Errors
/// As `text`.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value).expect("answers have text keys and finite numbers only");
    line(json)
}

/// A word with a style.
pub fn styled(style: Style, word: &str) -> String {
    format!("{style}{word}{style:#}")
}

/// A heading.
pub fn bold(word: &str) -> String {
    styled(Style::new().bold(), word)
}

/// What matters less.
pub fn dim(word: &str) -> String {
    styled(Style::new().dimmed(), word)
}

/// What needs a person.
pub fn red(word: &str) -> String {
    styled(AnsiColor::Red.on_default(), word)
}

/// A status in its colour.
pub fn status(status: Status) -> String {
    let colour = match status {
        Status::Running => AnsiColor::Blue,
        Status::Compensating | Status::Compensated | Status::Cancelled | Status::NotStarted => AnsiColor::Yellow,
        Status::Held | Status::Stuck => AnsiColor::Red,
        Status::Completed => AnsiColor::Green,
        Status::Closed => AnsiColor::Cyan,
    };
    styled(colour.on_default(), status.word())
}

/// A table: a heading, then rows. Every column is as wide as its widest cell, styles not counted.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns.
    pub fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|name| bold(name)).collect()] }
    }

    /// One more row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| tame(cell, false).into_owned()).collect());
    }

    /// As text.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows.iter().map(|row| aligned(row, &widths)).collect()
    }
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, wanted) in row.iter().zip(widths) {
        line.push_str(cell);
        line.push_str(&" ".repeat(wanted.saturating_sub(width(cell)) + 2));
    }
    format!("{}\n", line.trim_end())
}

fn width(cell: &str) -> usize {
    anstream::adapter::strip_str(cell).to_string().chars().count()
}

/// A span of milliseconds, as far as it matters: `350 ms`, `12 s`, `5 min`, `3 h`, `12 d`.
pub fn span(millis: i64) -> String {
    let millis = millis.max(0);
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{} s", millis / 1_000),
        120_000..7_200_000 => format!("{} min", millis / 60_000),
        7_200_000..172_800_000 => format!("{} h", millis / 3_600_000),
        _ => format!("{} d", millis / 86_400_000),
    }
}

/// A time of day in UTC: `2026-11-21 04:29:07.120`.
pub fn time(millis: i64) -> String {
    rfc3339(millis).replace('T', " ").replace('Z', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_their_widest_cell_without_its_colours() {
        let mut table = Table::new(&["a", "b"]);
        table.row(vec![red("wide"), "x".to_owned()]);
        let plain = anstream::adapter::strip_str(&table.text()).to_string();
        assert_eq!(plain, "a     b\nwide  x\n");
    }

    #[test]
    fn what_a_stranger_wrote_moves_nothing_on_the_terminal() {
        let key = "o-1\u{1b}]52;c;ZXZpbA==\u{7}\r\u{1b}[2J\u{9b}2J\nSAGA 2\u{202e}";
        assert_eq!(tame(key, true), "o-1\u{fffd}]52;c;ZXZpbA==\u{fffd}\u{fffd}\u{fffd}[2J\u{fffd}2J\nSAGA 2\u{fffd}");
        assert!(!tame(key, false).contains('\n'));
        let ours = format!("{} \u{e9}\t{}", red("held"), bold("b"));
        assert_eq!(tame(&ours, true), ours);
        assert_eq!(tame("\u{1b}[31", true), "\u{fffd}[31");
        let mut table = Table::new(&["a", "b"]);
        table.row(vec!["x\ny".to_owned(), "z".to_owned()]);
        assert_eq!(table.text().lines().count(), 2, "a row stays one");
    }

    #[test]
    fn times_are_told_as_people_read_them() {
        assert_eq!(time(0), "1970-01-01 00:00:00.000");
        assert_eq!(time(1_795_235_347_120), "2026-11-21 04:29:07.120");
        assert_eq!([999, 1_000, 120_000, 7_200_000, 172_800_000].map(span), ["999 ms", "1 s", "2 min", "2 h", "2 d"]);
    }
}
