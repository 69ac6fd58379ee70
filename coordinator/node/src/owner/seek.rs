//! Who panics at an input, twice, looks through the rest of the log for a person's word about it: a piece each turn, so that the node goes
//! on answering meanwhile. Who has halted listens on for one. What counts as a word is the partition's to say.

use std::collections::VecDeque;
use std::time::Duration;

use sagaline_log::{Fetched, Log, LogError, Reader};
use sagaline_partition::{Ahead, FaultNote, LogRecord, LookAhead};
use sagaline_schemas::{Offset, Partition};

use super::Owner;
use super::fold::READ_AT_ONCE;
use crate::BootTime;
use crate::owner::stop::Stop;
use crate::owner::term::Term;

/// A log that holds more and gives nothing for so long is opened anew.
const PATIENCE: Duration = Duration::from_secs(30);

/// A look through the log behind an input.
pub struct Search {
    ahead: LookAhead,
    reader: Box<dyn Reader>,
    /// Read and not looked at.
    read: VecDeque<Fetched>,
    next: Offset,
}

/// What a piece of the log says about the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// There is none at the moment.
    Silence,
    /// Nothing.
    Nothing,
    /// It is to be passed over.
    Word {
        /// Where the word lies.
        at: Offset,
        /// Whose it is, and why.
        note: FaultNote,
    },
    /// Somebody has folded it and published behind it.
    Vouched {
        /// The Progress that shows it.
        at: Offset,
    },
}

impl Search {
    /// Begins right behind the input at this offset.
    ///
    /// # Errors
    /// When the log can't be read there.
    pub fn behind(
        offset: Offset,
        ahead: LookAhead,
        log: &dyn Log,
        inbox: &str,
        partition: Partition,
    ) -> Result<Self, LogError> {
        let next = offset + 1;
        Ok(Self { ahead, reader: log.reader(inbox, partition, next)?, read: VecDeque::new(), next })
    }

    /// The first record that was not looked at.
    pub fn position(&self) -> Offset {
        self.next
    }

    /// The newest claim behind the input, of those that were looked at.
    pub fn claimed(&self) -> Option<Offset> {
        self.ahead.claimed()
    }

    /// The next piece, up to the first record that says something.
    ///
    /// # Errors
    /// When the log can't be read at the moment.
    pub fn go_on(&mut self, wait: Duration) -> Result<Heard, LogError> {
        if self.read.is_empty() {
            let mut records = Vec::new();
            let outcome = self.reader.poll(READ_AT_ONCE, wait, &mut records);
            self.read.extend(records);
            if self.read.is_empty() {
                return outcome.map(|()| Heard::Silence);
            }
        }
        while let Some(fetched) = self.read.pop_front() {
            let (at, timestamp) = (fetched.offset, fetched.timestamp);
            self.next = at + 1;
            match self.ahead.take(LogRecord { offset: at, timestamp, value: &fetched.record.value }) {
                Ahead::Nothing => {}
                Ahead::Vouched => return Ok(Heard::Vouched { at }),
                Ahead::Fault(note) => return Ok(Heard::Word { at, note }),
            }
        }
        Ok(Heard::Nothing)
    }
}

/// A look ahead that is under way.
pub struct Seeking {
    search: Search,
    /// What panics, and what it said.
    input: (Offset, u32),
    panic: String,
    /// See `Stop::Panicked`.
    unsaid: Option<Offset>,
    pub(super) end: Offset,
    /// When the last record came; none: the first is still asked for.
    heard_at: Option<BootTime>,
}

impl Owner {
    /// Nothing is folded until it is over.
    pub(super) fn begin_seeking(&mut self, offset: Offset, timer: u32, panic: String) -> Result<(), Stop> {
        let partition = self.options.partition;
        let ahead = self.partition.look_ahead(offset, timer);
        let known = self.options.faults.contains_key(&(offset, timer));
        let unsaid = self.unsaid(offset, timer);
        let (_, end) = self.reader.bounds().map_err(Stop::Log)?;
        let Some(ahead) = ahead.filter(|_| !known) else {
            return Err(Stop::Panicked { partition, offset, timer, panic, heard: end, unsaid });
        };
        let search = Search::behind(offset, ahead, &*self.log, &self.inbox, partition).map_err(Stop::Log)?;
        self.seeking = Some(Seeking { search, input: (offset, timer), panic, unsaid, end, heard_at: None });
        Ok(())
    }

    /// The claim under which nobody can have said anything of what the input would decide: this owner's own, older than the input, newer than any other
    /// before it, in a term in which it never came past the input (docs/adr/0015).
    fn unsaid(&self, offset: Offset, timer: u32) -> Option<Offset> {
        let Term::Live { claim, .. } = &self.term else { return None };
        let newest = self.partition.meta().and_then(|meta| meta.newest_claim);
        let first_there = self.furthest == Some((offset, timer));
        (newest == Some(*claim) && *claim < offset && first_there).then_some(*claim)
    }

    /// The next piece. False: the log can't be read at the moment.
    pub(super) fn seek(&mut self, now: BootTime, wait: Duration) -> Result<bool, Stop> {
        let Some(mut seeking) = self.seeking.take() else { return Ok(true) };
        let more = seeking.search.next < seeking.end;
        let piece = if more { seeking.search.go_on(wait) } else { Ok(Heard::Silence) };
        let heard = match piece {
            Ok(heard) => heard,
            Err(error) => {
                self.seeking = Some(seeking);
                return self.hear(Err(error));
            }
        };
        let (partition, (offset, timer)) = (self.options.partition, seeking.input);
        let heard_at = *seeking.heard_at.get_or_insert(now);
        match heard {
            Heard::Silence if more && now.saturating_sub(heard_at) >= PATIENCE => {
                let detail = "it holds more records and gives none".to_owned();
                return Err(Stop::Log(LogError::Io { place: self.inbox.clone(), detail }));
            }
            Heard::Silence => {}
            Heard::Nothing => seeking.heard_at = Some(now),
            Heard::Vouched { at } => {
                return Err(Stop::PanicsAlone { partition, offset, timer, panic: seeking.panic, at });
            }
            Heard::Word { note, .. } => {
                self.options.faults.insert((offset, timer), note.clone());
                self.partition.learn_fault(offset, timer, note);
                return Ok(true);
            }
        }
        let next = seeking.search.next;
        if next >= seeking.end {
            let Seeking { panic, unsaid, .. } = seeking;
            return Err(Stop::Panicked { partition, offset, timer, panic, heard: next, unsaid });
        }
        self.seeking = Some(seeking);
        Ok(true)
    }
}
