//! What participants really did, in one file each: a line for every effect that was done, and for every one that was undone. It is the witness
//! against the coordinator's reports, and is asked for nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use sagaline_schemas::EffectId;
use serde::{Deserialize, Serialize};

/// What was done to an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// It was done.
    Done,
    /// It was undone.
    Undone,
}

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// The effect.
    pub effect: EffectId,
    /// For people: the saga, and the operation.
    pub saga: String,
    /// The operation.
    pub operation: String,
    /// What was done.
    pub act: Act,
}

/// A participant's ledger.
#[derive(Debug)]
pub struct Ledger {
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    file: File,
    acts: BTreeSet<(EffectId, Act)>,
}

impl Ledger {
    /// A new one.
    ///
    /// # Errors
    /// When the file can't be made.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Self { written: Mutex::new(Written { file, acts: BTreeSet::new() }) })
    }

    /// Does it, once under the effect's id. What was never done is not undone, and what is undone is not done again: the id is closed.
    ///
    /// # Errors
    /// When the line can't be written.
    pub fn act(&self, line: &Line) -> Result<(), std::io::Error> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let is = |act| written.acts.contains(&(line.effect, act));
        let news = match line.act {
            Act::Done => !is(Act::Done) && !is(Act::Undone),
            Act::Undone => is(Act::Done) && !is(Act::Undone),
        };
        if news {
            let text = serde_json::to_string(line)? + "\n";
            written.file.write_all(text.as_bytes())?;
            written.acts.insert((line.effect, line.act));
        }
        Ok(())
    }
}

/// What lies in a file: by effect, how often it was done and undone, and a line for people.
///
/// # Errors
/// When it can't be read.
pub fn read(path: &Path, into: &mut BTreeMap<EffectId, (u32, u32, Line)>) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    ensure!(text.is_empty() || text.ends_with('\n'), "{} ends in the middle of a line", path.display());
    for text in text.lines() {
        let line: Line = serde_json::from_str(text)?;
        let counts = into.entry(line.effect).or_insert((0, 0, line.clone()));
        match line.act {
            Act::Done => counts.0 += 1,
            Act::Undone => counts.1 += 1,
        }
    }
    Ok(())
}
