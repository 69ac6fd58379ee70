//! All channels of one term. A channel that fails keeps to itself: the others go on. Dropping the publisher is falling silent.

use std::collections::BTreeMap;

use sagaline_log::LogError;
use sagaline_partition::store::StoreError;
use sagaline_partition::{Partition, Published};
use sagaline_schemas::Millis;
use sagaline_schemas::record::Acked;

use crate::owner::run::{Run, Tools};
use crate::owner::status::Down;
use crate::{BootTime, Names, fail_point};

/// All channels of one term.
#[derive(Debug)]
pub struct Publisher {
    names: Names,
    runs: Vec<Run>,
    by_channel: BTreeMap<String, usize>,
    /// Lane of the first run: those of earlier terms lie below.
    first_lane: u64,
    /// The run that is pumped first: whoever a long turn did not reach comes first in the next.
    next: usize,
}

impl Publisher {
    /// Begins at the first entry of every outbox.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn begin(names: Names, partition: &Partition, first_lane: u64) -> Result<Self, StoreError> {
        let mut publisher = Self { names, runs: Vec::new(), by_channel: BTreeMap::new(), first_lane, next: 0 };
        for channel in partition.channels().keys() {
            let run = publisher.run_of(channel);
            if fail_point::is_armed(fail_point::NO_REPUBLISHING) {
                run.leave_outbox(partition)?;
            }
        }
        Ok(publisher)
    }

    /// The first lane that this term has not used.
    pub fn lanes_end(&self) -> u64 {
        self.first_lane + self.runs.len() as u64
    }

    fn run_of(&mut self, channel: &str) -> &mut Run {
        let index = match self.by_channel.get(channel) {
            Some(index) => *index,
            None => {
                let (index, lane) = (self.runs.len(), self.lanes_end());
                self.runs.push(Run::new(channel.to_owned(), self.names.of_channel(channel), lane));
                self.by_channel.insert(channel.to_owned(), index);
                index
            }
        };
        &mut self.runs[index]
    }

    /// The fold has made outputs.
    pub fn offer(&mut self, outputs: Vec<Published>) {
        for output in outputs {
            self.run_of(&output.channel).offer(output);
        }
    }

    /// Hands over what every channel's window has room for.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn pump(&mut self, tools: &mut Tools<'_>) -> Result<(), StoreError> {
        let count = self.runs.len();
        for index in (0..count).map(|nth| (self.next + nth) % count) {
            self.runs[index].pump(tools)?;
            if tools.is_over() {
                self.next = index + 1;
                break;
            }
        }
        Ok(())
    }

    /// The log says what became of an append. Of another term: nobody asks any more.
    pub fn answered(&mut self, lane: u64, number: u64, outcome: &Result<i64, LogError>, now: BootTime, wall: Millis) {
        let index = lane.checked_sub(self.first_lane).and_then(|index| usize::try_from(index).ok());
        if let Some(run) = index.and_then(|index| self.runs.get_mut(index)) {
            run.answered(number, outcome, now, wall);
        }
    }

    /// What the next Progress is to say.
    pub fn news(&self) -> Vec<Acked> {
        self.runs.iter().filter_map(Run::news).collect()
    }

    /// Whether there is something for it to say.
    pub fn has_news(&self) -> bool {
        self.runs.iter().any(Run::has_news)
    }

    /// A Progress that says so is folded.
    pub fn reported(&mut self, acked: &[Acked]) {
        for acked in acked {
            self.run_of(&acked.channel).reported(acked.through);
        }
    }

    /// Appends without an answer, and since when and why nothing goes through.
    pub fn state_of(&self, channel: &str) -> (usize, Option<Down>) {
        self.by_channel.get(channel).map_or((0, None), |index| (self.runs[*index].in_flight, self.runs[*index].down()))
    }
}
