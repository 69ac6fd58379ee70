//! Events that come before their saga, or before the alias by which they name it, is there: kept in order, a bounded number for each key, for
//! a bounded time. Never lost within these bounds; beyond them set aside, or counted when their time is over.

use sagaline_schemas::Millis;
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::record::{Event, Target};

use crate::fold::{LogRecord, Partition};
use crate::halt::Halt;
use crate::keys::{self, TimerKey, TimerOf};
use crate::overlay::decode;
use crate::reply::Unfit;
use crate::state::EarlyEvent;
use crate::store::{Family, StoreError};

/// Whom an event names that is not there yet.
#[derive(Clone, Copy)]
pub(crate) enum Absent<'a> {
    /// The saga of a key.
    Key {
        /// The definition's name.
        definition: &'a str,
        /// The key.
        key: &'a str,
    },
    /// The saga of an alias.
    Alias {
        /// The definition's name.
        definition: &'a str,
        /// The alias.
        alias: &'a str,
        /// Its value.
        value: &'a str,
    },
}

impl Absent<'_> {
    /// Everything kept for them begins with this; alone it holds how many there are.
    fn prefix(self) -> Vec<u8> {
        match self {
            Self::Key { definition, key } => keys::early(0, &[definition, key]),
            Self::Alias { definition, alias, value } => keys::early(1, &[definition, alias, value]),
        }
    }
}

impl Partition {
    /// Keeps an event for one of its targets. All targets of one event for one saga are one entry.
    pub(crate) fn keep_early(
        &mut self,
        record: LogRecord<'_>,
        absent: Absent<'_>,
        event: &Event,
        target: &Target,
    ) -> Result<Result<(), Unfit>, StoreError> {
        let prefix = absent.prefix();
        let place = [prefix.as_slice(), &record.offset.to_be_bytes()].concat();
        if let Some(mut kept) = self.over.read::<EarlyEvent>(Family::Early, &place)? {
            kept.event.targets.push(target.clone());
            self.over.write(Family::Early, place, &kept);
            return Ok(Ok(()));
        }
        let (count, most) = (self.early_count(&prefix)?, self.begun().settings.max_mailbox);
        if count >= most {
            let detail = format!("{most} events wait for {:?} already, the settings allow no more", target.key);
            return Ok(Err((ParkedReason::Refused, detail)));
        }
        // Log time may stand far back: an event must not be dropped before its time.
        let due = self.now().max(record.timestamp).saturating_add(self.begun().settings.keep_early_events.max(1));
        let event = Event { targets: vec![target.clone()], ..event.clone() };
        self.over.write(Family::Early, place.clone(), &EarlyEvent { event, at: self.now(), due });
        self.over.write(Family::Early, prefix, &(count + 1));
        self.arm(early_timer(place, due));
        Ok(Ok(()))
    }

    /// Whoever they name is there: the events, oldest first, each with the log time when it came.
    pub(crate) fn take_early(&mut self, absent: Absent<'_>) -> Result<Vec<(Event, Millis)>, StoreError> {
        let prefix = absent.prefix();
        if self.early_count(&prefix)? == 0 {
            return Ok(Vec::new());
        }
        let to = keys::after_prefix(&prefix);
        let entries = self.over.scan(Family::Early, &[&prefix[..], &[0]].concat(), to.as_deref(), usize::MAX)?;
        self.over.delete(Family::Early, prefix);
        let mut events = Vec::new();
        for (place, bytes) in entries {
            let EarlyEvent { event, at, due } = decode(Family::Early, &bytes)?;
            self.disarm(early_timer(place.clone(), due));
            self.over.delete(Family::Early, place);
            events.push((event, at));
        }
        Ok(events)
    }

    /// Nobody came for it in time.
    pub(crate) fn drop_early(&mut self, place: Vec<u8>) -> Result<(), Halt> {
        let prefix = place[..place.len().saturating_sub(8)].to_vec();
        match self.early_count(&prefix)? {
            0 | 1 => self.over.delete(Family::Early, prefix),
            count => self.over.write(Family::Early, prefix, &(count - 1)),
        }
        self.over.delete(Family::Early, place);
        self.meta_mut().counters.early_dropped += 1;
        Ok(())
    }

    fn early_count(&self, prefix: &[u8]) -> Result<u32, StoreError> {
        Ok(self.over.read(Family::Early, prefix)?.unwrap_or(0))
    }
}

fn early_timer(place: Vec<u8>, due: Millis) -> Vec<u8> {
    TimerKey { due, of: TimerOf::Early { place } }.to_key()
}
