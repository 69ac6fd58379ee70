//! Where commands are read from: the store must be the one that was used so far, and a topic that does not hold what comes next is gone on from
//! where it holds something.

use std::sync::Arc;

use sagaline_log::LogError;
use sagaline_schemas::{Offset, Partition};

use super::error::passing;
use super::{RunError, Runner};

impl Runner {
    /// The topic does not hold the commands that come next: it is gone on from where it begins or ends. Nothing is lost by that: an effect whose command
    /// was not answered is commanded again by the coordinator, whose attempt times out.
    pub(super) fn find_place(
        &mut self,
        topic: &Arc<str>,
        partition: Partition,
        offset: Offset,
        (start, end): (Offset, Offset),
    ) -> Result<(), LogError> {
        let to = if offset < start { start } else { end };
        tracing::error!(
            topic = &**topic,
            partition,
            offset,
            to,
            "commands were deleted before they were read: their sagas wait for their next attempt"
        );
        self.group.seek(topic, partition, to).or_else(passing)?;
        self.prefixes.revoke(topic, partition);
        let prefixes = &self.prefixes;
        self.queue.retain(|held| prefixes.is_assigned(&held.place));
        self.prefixes.go_on_at(Arc::clone(topic), partition, to);
        Ok(())
    }

    pub(super) fn may_run(&self) -> bool {
        self.taken_up && self.membership.may_run()
    }

    /// An empty store where commands were handled before is not the one that was used until now. Looked at once, before any handler runs: nothing is
    /// committed by then, and whoever shares the store has marked it before it committed anything.
    pub(super) fn take_up(&mut self) -> Result<(), RunError> {
        if !self.effects.in_use(&self.handlers)? {
            for (topic, partition, offset) in self.prefixes.beginnings().filter(|(.., offset)| *offset > 0) {
                match self.log.reader(topic, partition, offset).and_then(|mut reader| reader.bounds()) {
                    Ok((first, _)) if offset > first => {
                        return Err(RunError::EmptyStore { topic: topic.to_string(), partition, offset });
                    }
                    // What its topic has dropped can't be told from what was never handled.
                    Ok(_) | Err(LogError::OutOfRange { .. }) => {}
                    // It is looked at again, and nothing runs until then.
                    Err(error) => return passing(error).map_err(RunError::from),
                }
            }
            self.effects.begin_use(&self.handlers)?;
        }
        self.taken_up = true;
        Ok(())
    }
}
