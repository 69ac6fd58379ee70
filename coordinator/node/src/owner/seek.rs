//! Who panics at an input, twice, looks through the rest of the log for a person's word about it: a piece each turn, so that the node goes
//! on answering meanwhile. What counts as one is the partition's to say.

use std::time::Duration;

use sagaline_log::{LogError, Reader};
use sagaline_partition::{Ahead, LogRecord, LookAhead};
use sagaline_schemas::Offset;

use super::Owner;
use super::fold::READ_AT_ONCE;
use crate::BootTime;
use crate::owner::stop::Stop;

/// A log that holds more and gives nothing for so long is opened anew.
const PATIENCE: Duration = Duration::from_secs(30);

/// A look ahead that is under way.
pub struct Seeking {
    ahead: LookAhead,
    reader: Box<dyn Reader>,
    /// What panics, and what it said.
    input: (Offset, u32),
    panic: String,
    next: Offset,
    pub(super) end: Offset,
    /// When the last record came; none: the first is still asked for.
    heard_at: Option<BootTime>,
}

impl Owner {
    /// Nothing is folded until it is over.
    pub(super) fn begin_seeking(&mut self, offset: Offset, timer: u32, panic: String) -> Result<(), Stop> {
        let partition = self.options.partition;
        let known = self.options.faults.contains_key(&(offset, timer));
        let ahead = self.partition.look_ahead(offset, timer).filter(|_| !known);
        let Some(ahead) = ahead else { return Err(Stop::Panicked { partition, offset, timer, panic }) };
        let next = offset + 1;
        let mut reader = self.log.reader(&self.inbox, partition, next).map_err(Stop::Log)?;
        let (_, end) = reader.bounds().map_err(Stop::Log)?;
        self.seeking = Some(Seeking { ahead, reader, input: (offset, timer), panic, next, end, heard_at: None });
        Ok(())
    }

    /// The next piece. False: the log can't be read at the moment.
    pub(super) fn seek(&mut self, now: BootTime, wait: Duration) -> Result<bool, Stop> {
        let Some(mut seeking) = self.seeking.take() else { return Ok(true) };
        let mut records = Vec::new();
        if seeking.next < seeking.end
            && let Err(error) = seeking.reader.poll(READ_AT_ONCE, wait, &mut records)
        {
            self.seeking = Some(seeking);
            return self.hear(Err(error));
        }
        let heard_at = *seeking.heard_at.get_or_insert(now);
        if !records.is_empty() {
            seeking.heard_at = Some(now);
        } else if seeking.next < seeking.end && now.saturating_sub(heard_at) >= PATIENCE {
            let detail = "it holds more records and gives none".to_owned();
            return Err(Stop::Log(LogError::Io { place: self.inbox.clone(), detail }));
        }
        let (partition, (offset, timer)) = (self.options.partition, seeking.input);
        for fetched in records {
            seeking.next = fetched.offset + 1;
            let (at, timestamp) = (fetched.offset, fetched.timestamp);
            match seeking.ahead.take(LogRecord { offset: at, timestamp, value: &fetched.record.value }) {
                Ahead::Nothing => {}
                Ahead::Vouched => {
                    return Err(Stop::PanicsAlone { partition, offset, timer, panic: seeking.panic, at });
                }
                Ahead::Fault(note) => {
                    self.options.faults.insert((offset, timer), note.clone());
                    self.partition.learn_fault(offset, timer, note);
                    return Ok(true);
                }
            }
        }
        if seeking.next >= seeking.end {
            return Err(Stop::Panicked { partition, offset, timer, panic: seeking.panic });
        }
        self.seeking = Some(seeking);
        Ok(true)
    }
}
