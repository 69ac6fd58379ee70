//! What a demonstration service did, by effect id: an append-only file of JSON lines, synced line by line, and what follows from it.
//! Every real effect is one line. The SDK never reads it: it is the witness against which the SDK is judged.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sagaline_participant::{Effect, HandlerError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// One line: something that really happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line<D> {
    /// The effect.
    pub effect_id: String,
    /// The saga's definition and correlation id.
    pub saga: String,
    /// The operation that ran.
    pub operation: String,
    /// What happened: one of the service's `Words`.
    pub what: String,
    /// What it was about.
    #[serde(flatten)]
    pub details: D,
    /// Wall clock, milliseconds since 1970.
    pub at: u64,
}

/// What a service calls its effects.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// An effect happened: `charged`.
    pub done: &'static str,
    /// It was undone: `refunded`.
    pub undone: &'static str,
}

/// The word for a key that was closed before anything happened under it.
const CLOSED: &str = "closed";

/// What the book can't do.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The disk fails.
    #[error("the ledger {place}: {error}")]
    Io {
        /// The file.
        place: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A line is not what this service writes.
    #[error("line {line} of the ledger {place} is not this service's: {error}. Give it another --ledger")]
    Line {
        /// The file.
        place: String,
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        error: serde_json::Error,
    },
}

/// What became of an attempt at an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It happened now; this is the first line of the effect.
    First,
    /// It happened now, again: only without deduplication.
    Again,
    /// It had happened before.
    Before,
}

/// What became of an undoing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo<D> {
    /// The effect was undone now.
    Undone(D),
    /// It had been undone, or there was nothing: its key is closed.
    Nothing,
}

/// The lines of one effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing<D> {
    /// What it was about; none: its key was closed before it happened.
    pub details: Option<D>,
    /// How often it happened.
    pub done: u32,
    /// How often it was undone.
    pub undone: u32,
    /// Whether its key is closed.
    pub closed: bool,
}

impl<D> Default for Standing<D> {
    fn default() -> Self {
        Self { details: None, done: 0, undone: 0, closed: false }
    }
}

/// The book of one service.
pub struct Book<D> {
    /// None: nothing has happened yet, and so there is no file.
    file: Option<File>,
    /// A line could not be written, and nobody knows how much of it is there: the file is read again before anything happens.
    doubtful: bool,
    path: PathBuf,
    words: Words,
    by_key: bool,
    standings: BTreeMap<String, Standing<D>>,
}

impl<D: Clone + Serialize + DeserializeOwned> Book<D> {
    /// Reads the file, where there is one: the first line makes it. A last line that was torn never happened: its effect was not yet done.
    ///
    /// # Errors
    /// When the file can't be read or written, or holds another service's lines.
    pub fn open(path: &Path, words: Words, by_key: bool) -> Result<Self, BookError> {
        let (path, standings) = (path.to_owned(), BTreeMap::new());
        let mut book = Self { file: None, doubtful: false, path, words, by_key, standings };
        book.read_anew()?;
        Ok(book)
    }

    /// What stands follows from the file alone.
    fn read_anew(&mut self) -> Result<(), BookError> {
        let before = std::mem::take(&mut self.standings);
        self.file = None;
        let read = match OpenOptions::new().read(true).append(true).open(&self.path) {
            Ok(file) => self.read(file),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.io(error)),
        };
        if read.is_err() {
            self.standings = before;
        }
        read
    }

    fn read(&mut self, file: File) -> Result<(), BookError> {
        let mut reader = BufReader::new(&file);
        let (mut whole, mut number, mut text) = (0, 0, Vec::new());
        // A line may be torn in the middle of a character.
        while reader.read_until(b'\n', &mut text).map_err(|error| self.io(error))? > 0 && text.ends_with(b"\n") {
            number += 1;
            whole += text.len() as u64;
            let line: Line<D> = serde_json::from_slice(&text).map_err(|error| BookError::Line {
                place: self.path.display().to_string(),
                line: number,
                error,
            })?;
            self.count(&line);
            text.clear();
        }
        // What an earlier life could not sync counts from now on: it must be there for good.
        file.set_len(whole).and_then(|()| file.sync_data()).map_err(|error| self.io(error))?;
        self.file = Some(file);
        Ok(())
    }

    fn io(&self, error: std::io::Error) -> BookError {
        BookError::Io { place: self.path.display().to_string(), error }
    }

    /// Every effect that the book knows.
    pub fn standings(&self) -> impl Iterator<Item = &Standing<D>> {
        self.standings.values()
    }

    /// What the book says of an effect.
    pub fn standing(&self, effect_id: &str) -> Standing<D> {
        self.standings.get(effect_id).cloned().unwrap_or_default()
    }

    /// The effect happens, unless it has: `by_key`.
    ///
    /// # Errors
    /// When its key is closed, or the line can't be written.
    pub fn act(&mut self, effect: &Effect, details: D) -> Result<Act, HandlerError> {
        self.be_sure()?;
        let standing = self.standing(&effect.id().to_string());
        if self.by_key && standing.closed {
            return Err(HandlerError::failed("the key is closed: the effect was compensated"));
        }
        if self.by_key && standing.done > 0 {
            return Ok(Act::Before);
        }
        self.write(effect, self.words.done, details)?;
        Ok(if standing.done == 0 { Act::First } else { Act::Again })
    }

    /// The effect is undone, unless it has been, and its key is closed. `details` are for a key that is closed before anything happened.
    ///
    /// # Errors
    /// When the line can't be written.
    pub fn undo(&mut self, effect: &Effect, details: D) -> Result<Undo<D>, HandlerError> {
        self.be_sure()?;
        let standing = self.standing(&effect.id().to_string());
        if self.by_key && standing.closed {
            return Ok(Undo::Nothing);
        }
        match standing.details {
            Some(details) => {
                self.write(effect, self.words.undone, details.clone())?;
                Ok(Undo::Undone(details))
            }
            None => {
                self.write(effect, CLOSED, details)?;
                Ok(Undo::Nothing)
            }
        }
    }

    fn write(&mut self, effect: &Effect, what: &str, details: D) -> Result<(), HandlerError> {
        let line = Line {
            effect_id: effect.id().to_string(),
            saga: effect.saga_name().to_owned(),
            operation: effect.operation().to_owned(),
            what: what.to_owned(),
            details,
            at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        Ok(self.keep(&line, &text)?)
    }

    fn keep(&mut self, line: &Line<D>, text: &[u8]) -> Result<(), BookError> {
        self.doubtful = true;
        self.append(text).map_err(|error| self.io(error))?;
        self.doubtful = false;
        self.count(line);
        Ok(())
    }

    /// Whether a line that failed is there or not says the file.
    fn be_sure(&mut self) -> Result<(), BookError> {
        if self.doubtful {
            self.read_anew()?;
            self.doubtful = false;
        }
        Ok(())
    }

    fn append(&mut self, text: &[u8]) -> std::io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new().append(true).create(true).open(&self.path)?,
        };
        let file = self.file.insert(file);
        file.write_all(text)?;
        file.sync_data()
    }

    fn count(&mut self, line: &Line<D>) {
        let standing = self.standings.entry(line.effect_id.clone()).or_default();
        if line.what == self.words.done {
            standing.done += 1;
            standing.details = Some(line.details.clone());
        } else if line.what == self.words.undone {
            standing.undone += 1;
            standing.closed = true;
        } else {
            standing.closed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words = Words { done: "charged", undone: "refunded" };

    fn open(path: &Path) -> Book<BTreeMap<String, String>> {
        Book::open(path, WORDS, true).unwrap()
    }

    /// A line, and as it is written.
    fn line(effect_id: &str, whose: &str) -> (Line<BTreeMap<String, String>>, Vec<u8>) {
        let (operation, saga, what) = ("charge".to_owned(), "order/1".to_owned(), WORDS.done.to_owned());
        let details = [("account".to_owned(), whose.to_owned())].into();
        let line = Line { effect_id: effect_id.to_owned(), saga, operation, what, details, at: 0 };
        let mut text = serde_json::to_vec(&line).unwrap();
        text.push(b'\n');
        (line, text)
    }

    #[test]
    fn a_line_that_was_torn_in_the_middle_of_a_character_never_happened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.jsonl");
        let ((_, whole), (_, torn)) = (line("a", "ann"), line("b", "\u{e9}"));
        let middle = torn.iter().position(|byte| *byte == 0xc3).unwrap() + 1;
        std::fs::write(&path, [whole.as_slice(), &torn[..middle]].concat()).unwrap();
        let book = open(&path);
        assert_eq!((book.standing("a").done, book.standing("b").done), (1, 0));
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn whether_a_line_that_failed_has_happened_says_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.jsonl");
        let (first, text) = line("a", "ann");
        // Nothing, half of it, all of it but the sync.
        for (there, done) in [(0, 0), (text.len() / 2, 0), (text.len(), 1)] {
            std::fs::write(&path, "").unwrap();
            let mut book = open(&path);
            book.file = Some(File::open(&path).unwrap());
            assert!(book.keep(&first, &text).is_err(), "a file that is only read takes nothing");
            assert_eq!(book.standing("a").done, 0);
            std::fs::write(&path, &text[..there]).unwrap();
            book.be_sure().unwrap();
            assert_eq!(book.standing("a").done, done, "{there} bytes");
            let (second, text) = line("b", "ben");
            book.keep(&second, &text).unwrap();
            assert_eq!((open(&path).standing("a").done, open(&path).standing("b").done), (done, 1));
        }
    }
}
