//! Lines 4 to 6: time passes only here, and what the log has acknowledged leaves the outbox only here.
//! Two clocks must agree before time passes; a claim and its proof are one record (protocol review F2, M2; model check 2, B).

use sagaline_engine::Input;
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::record::{Acked, Progress};
use sagaline_schemas::{Millis, SagaId};

use crate::fold::{FaultNote, Folded, LogRecord, Partition};
use crate::halt::Halt;
use crate::keys::{self, TimerKey, TimerOf};
use crate::outbox::position_of;
use crate::overlay::unreadable;
use crate::state::{ClockFault, CommandRef, Folding, Output};
use crate::store::Family;

/// How far the owner's clock and the broker's may lie apart, milliseconds.
const CLOCK_TOLERANCE: Millis = 60_000;

/// What comparing a Progress with our own outputs gives.
enum Compared {
    Same,
    Differs { channel: String, through: String },
}

impl Partition {
    pub(crate) fn progress(&mut self, record: LogRecord<'_>, progress: Progress) -> Result<(), Halt> {
        self.vouch(record.offset, &progress);
        if let Some(detail) = self.why_not_progress(record, &progress) {
            return self.park(record.value, ParkedReason::Refused, detail);
        }
        if let Compared::Differs { channel, through } = self.compare(&progress.acked)? {
            if progress.since >= self.begun().newest_claim {
                return Err(Halt::Diverged { partition: self.number, offset: record.offset, channel, through });
            }
            let detail = format!(
                "an older publisher confirms other outputs on {channel} through {through} than this fold makes"
            );
            return self.park(record.value, ParkedReason::Diverged, detail);
        }
        let meta = self.meta_mut();
        if progress.since.is_none() {
            meta.newest_claim = Some(record.offset);
            meta.claimed_by = progress.node;
        }
        let base = self.pass_time(record, progress.wall);
        for acked in &progress.acked {
            self.trim(acked, base)?;
        }
        if let Some(base) = base {
            self.meta_mut().folding = Folding::Beginning { base };
        }
        Ok(())
    }

    fn why_not_progress(&self, record: LogRecord<'_>, progress: &Progress) -> Option<String> {
        let newest = self.begun().newest_claim;
        match progress.since {
            None if !progress.acked.is_empty() => return Some("a claim acknowledges nothing".to_owned()),
            Some(since) if newest.is_none_or(|newest| since > newest) => {
                return Some(format!("it names the claim {since}, which is not in this log"));
            }
            None | Some(_) => {}
        }
        let ahead = progress.acked.iter().find(|acked| acked.through.offset >= record.offset)?;
        Some(format!("it acknowledges {} through {}, which lies behind it", ahead.channel, ahead.through))
    }

    /// Every hash must be our own, before anything is trimmed. What is trimmed already was compared then.
    fn compare(&self, acked: &[Acked]) -> Result<Compared, Halt> {
        for acked in acked {
            let trimmed = self.channel(&acked.channel).trimmed;
            if trimmed.is_some_and(|trimmed| acked.through <= trimmed) {
                continue;
            }
            let own = self.over.read::<Output>(Family::Outbox, &keys::outbox(&acked.channel, acked.through))?;
            if own.is_none_or(|own| own.hash != acked.hash) {
                let (channel, through) = (acked.channel.clone(), acked.through.to_string());
                return Ok(Compared::Differs { channel, through });
            }
        }
        Ok(Compared::Same)
    }

    /// Line 4. Gives when durations begin; none: no time passes.
    fn pass_time(&mut self, record: LogRecord<'_>, wall: Millis) -> Option<Millis> {
        let meta = self.meta_mut();
        if wall.abs_diff(record.timestamp) > CLOCK_TOLERANCE as u64 {
            meta.clock_fault = Some(ClockFault { offset: record.offset, wall, timestamp: record.timestamp });
            return None;
        }
        meta.clock_fault = None;
        meta.log_time = meta.log_time.max(wall.min(record.timestamp));
        Some(meta.log_time.max(wall).max(record.timestamp))
    }

    /// Line 5: what is acknowledged leaves the outbox; commands without an answer are SENT and their clocks begin.
    fn trim(&mut self, acked: &Acked, base: Option<Millis>) -> Result<(), Halt> {
        let trimmed = self.channel(&acked.channel).trimmed;
        if trimmed >= Some(acked.through) {
            return Ok(());
        }
        let from = keys::outbox_behind(&acked.channel, trimmed);
        let to = keys::outbox_behind(&acked.channel, Some(acked.through));
        let entries = self.over.scan_as(Family::Outbox, &from, Some(&to), Output::command_in)?;
        let state = self.channel_mut(&acked.channel);
        state.trimmed = Some(acked.through);
        state.length -= entries.len() as i64;
        for (key, command) in entries {
            let command = command.map_err(|error| unreadable(Family::Outbox, &error))?;
            self.leave_outbox(position_of(&key)?, key);
            if let Some(command) = command
                && self.unanswered.remove(&command.attempt())
            {
                self.sent(&command, base)?;
            }
        }
        Ok(())
    }

    fn sent(&mut self, command: &CommandRef, base: Option<Millis>) -> Result<(), Halt> {
        let input = Input::Sent { effect: command.effect, kind: command.kind, attempt: command.attempt, base };
        self.turn(command.saga, input)?;
        Ok(())
    }

    /// The rest of a Progress, as much of it as the budget allows.
    pub(crate) fn go_on_with_timers(&mut self, budget: u32) -> Result<Folded, Halt> {
        let mut left = budget;
        loop {
            match self.begun().folding.clone() {
                Folding::Between => return Ok(Folded::Whole),
                Folding::Beginning { base } => match self.begin_durations(base, left.max(1))? {
                    0 => self.meta_mut().folding = Folding::Firing { timers: 0 },
                    begun => {
                        left = left.saturating_sub(begun);
                        if left == 0 && budget > 0 {
                            return Ok(Folded::More);
                        }
                    }
                },
                Folding::Firing { .. } | Folding::Telling { .. } if left == 0 => return Ok(Folded::More),
                Folding::Firing { timers } => {
                    if !self.fire_next(timers + 1)? {
                        let meta = self.meta_mut();
                        meta.fired_through = meta.log_time;
                        meta.folding = Folding::Between;
                        return Ok(Folded::Whole);
                    }
                    self.call_for_freed()?;
                    self.meta_mut().folding = Folding::Firing { timers: timers + 1 };
                    left -= 1;
                }
                Folding::Telling { news, after, told } => {
                    if !self.tell_next(news, after, told)? {
                        self.meta_mut().folding = Folding::Between;
                        return Ok(Folded::Whole);
                    }
                    self.call_for_freed()?;
                    left -= 1;
                }
            }
        }
    }

    /// Line 5: durations begun by earlier inputs, of so many sagas at most. Gives of how many; 0: none is left.
    fn begin_durations(&mut self, base: Millis, most: u32) -> Result<u32, Halt> {
        let waiting: Vec<SagaId> = self.waiting.iter().copied().take(most as usize).collect();
        for saga in &waiting {
            self.change_saga(*saga, |_, saga| saga.begin_durations(base))?;
        }
        Ok(waiting.len() as u32)
    }

    /// Line 6: the next timer that is due, by (due, saga, step path, round, kind). False: none is.
    fn fire_next(&mut self, number: u32) -> Result<bool, Halt> {
        let from = self.fire_from.take().unwrap_or_else(|| keys::timers_from(self.begun().fired_through));
        let to = keys::timers_from(self.begun().log_time.saturating_add(1));
        let Some((key, _)) = self.over.scan(Family::Timers, &from, Some(&to), 1)?.pop() else {
            return Ok(false);
        };
        self.at = sagaline_schemas::Position { offset: self.at.offset, timer: number, index: 0 };
        let timer = TimerKey::from_key(&key).map_err(|_| corrupt("timers"))?;
        let fault = self.faults.get(&(self.at.offset, number)).cloned();
        self.fire_from = Some([key.as_slice(), &[0]].concat());
        self.fire(key, timer, fault)?;
        Ok(true)
    }

    fn fire(&mut self, key: Vec<u8>, timer: TimerKey, fault: Option<FaultNote>) -> Result<(), Halt> {
        match timer.of {
            TimerOf::Request { id } => {
                self.disarm(key);
                self.over.delete(Family::Requests, id.as_bytes().to_vec());
                Ok(())
            }
            TimerOf::Gate { subject } => {
                self.disarm(key);
                self.gate_due(&subject)
            }
            TimerOf::Early { place } => {
                self.disarm(key);
                self.drop_early(place)
            }
            TimerOf::Saga { saga, step, items, round, kind } => {
                self.fire_saga(key, saga, (&step, &items, round), kind, fault)
            }
        }
    }

    /// Whether time must pass for something to happen: a duration waits to begin, or a timer is due by the clock given.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn needs_time(&mut self, wall: Millis) -> Result<bool, crate::store::StoreError> {
        if !self.waiting.is_empty() {
            return Ok(true);
        }
        Ok(self.next_due()?.is_some_and(|due| due <= wall))
    }

    /// When the next timer is due, log time.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn next_due(&mut self) -> Result<Option<Millis>, crate::store::StoreError> {
        if let Some(known) = self.next_due {
            return Ok(known);
        }
        let from = keys::timers_from(self.meta.as_ref().map_or(0, |meta| meta.fired_through));
        let first = self.over.scan(Family::Timers, &from, None, 1)?.pop();
        let due = first.and_then(|(key, _)| TimerKey::from_key(&key).ok()).map(|timer| timer.due);
        self.next_due = Some(due);
        Ok(due)
    }
}

pub(crate) fn corrupt(family: &str) -> crate::store::StoreError {
    crate::store::StoreError::Corrupt {
        place: format!("family {family}"),
        detail: "a key that is none of ours".to_owned(),
    }
}
