//! Events that a domain topic lost before they were read. They are gone for good, so ingress goes on where the topic is, and says how many it has missed:
//! whoever waits for them instead hears of no later event either.

use std::time::Duration;

use sagaline_log::LogError;
use sagaline_schemas::{Millis, Offset, Partition};
use serde::Serialize;

use super::Ingress;
use crate::BootTime;

/// How long a loss counts as trouble: whoever looks at the health now and then is to see it once.
const TROUBLE: Duration = Duration::from_secs(600);
/// Losses that are remembered, the newest.
const REMEMBERED: usize = 100;

/// Events that a domain topic lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Topic and partition.
    pub place: String,
    /// How many were never read; none: nobody can tell.
    pub events: Option<u64>,
    /// When that was noticed: milliseconds since 1970.
    pub at: Millis,
    /// What happened, and what a person can do.
    pub why: String,
}

/// All losses since the start, also those that are remembered no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LostInAll {
    /// How often something was lost.
    pub losses: u64,
    /// Events that were never read, of the losses where that can be told.
    pub events: u64,
    /// Losses of which nobody can tell how many events they were.
    pub uncounted: u64,
}

impl LostInAll {
    fn add(&mut self, events: Option<u64>) {
        self.losses += 1;
        match events {
            Some(events) => self.events = self.events.saturating_add(events),
            None => self.uncounted += 1,
        }
    }
}

impl Ingress {
    /// The topic does not hold what comes next there: it is gone on from where the topic begins or ends.
    pub(super) fn find_place(
        &mut self,
        topic: &str,
        partition: Partition,
        bounds: (Offset, Offset),
        now: BootTime,
    ) -> Result<(), LogError> {
        let Some(group) = self.group.as_mut() else { return Ok(()) };
        let Some(source) = self.sources.iter_mut().find(|source| source.is(topic, partition)) else { return Ok(()) };
        let missing = || LogError::NoTopic { topic: topic.to_owned() };
        let id = self.log.topic(topic)?.ok_or_else(missing)?.id;
        let ((start, end), from, place) = (bounds, source.next(), format!("{topic}/{partition}"));
        let (to, events, why) = if id != source.topic_id {
            let why =
                format!("{topic} was made anew: of what it held before, nothing more is read. All of the new one is");
            (start, None, why)
        } else if from < start {
            let events = start.abs_diff(from);
            let why = format!(
                "{events} events of {place}, offsets {from} to {}, were deleted before they were read: no saga hears of them. Look at the topic's \
                 retention, and at how long no node ran",
                start - 1
            );
            (start, Some(events), why)
        } else {
            let why = format!(
                "{place} has lost its end: offset {from} was to come next, and it ends at {end}. What is written there below {from} counts as read already \
                 and starts nothing: send it again afterwards"
            );
            (end, None, why)
        };
        group.seek(topic, partition, to)?;
        if id == source.topic_id && from < start {
            source.skip_to(to);
        } else {
            source.begin_anew(self.next_lane, id, to);
            self.next_lane += 1;
        }
        self.note_loss(place, events, why, now);
        Ok(())
    }

    /// Remembers a loss, and says so.
    pub(super) fn note_loss(&mut self, place: String, events: Option<u64>, why: String, now: BootTime) {
        tracing::error!(place, events, why, "ingress: events are lost");
        self.lost_at = Some(now);
        self.status.lost_in_all.add(events);
        self.status.lost.push(Lost { place, events, at: self.log.wall_clock(), why });
        let over = self.status.lost.len().saturating_sub(REMEMBERED);
        self.status.lost.drain(..over);
    }

    /// The newest loss, while it is news.
    pub(super) fn fresh_loss(&self, now: BootTime) -> Option<String> {
        self.lost_at.filter(|at| now.saturating_sub(*at) < TROUBLE)?;
        self.status.lost.last().map(|lost| lost.why.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingress::IngressOptions;
    use crate::registry::Registry;
    use crate::stage::Stage;

    #[test]
    fn the_newest_losses_are_remembered_and_all_are_counted() {
        let stage = Stage::bare(1);
        let (names, key, inbox) = (stage.names.clone(), stage.key.clone(), stage.inbox.clone());
        let options = IngressOptions { names, key, inbox, member: "one".to_owned() };
        let mut ingress = Ingress::new(options, Registry::default(), stage.log.clone()).unwrap();
        ingress.note_loss("orders/0".to_owned(), None, "made anew".to_owned(), Duration::ZERO);
        for events in 0..200 {
            ingress.note_loss("orders/0".to_owned(), Some(events), "deleted".to_owned(), Duration::ZERO);
        }
        let status = ingress.status();
        assert_eq!((status.lost.len(), status.lost[0].events), (REMEMBERED, Some(100)));
        assert_eq!(status.lost_in_all, LostInAll { losses: 201, events: 19_900, uncounted: 1 });
    }
}
