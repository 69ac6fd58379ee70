//! Whether this instance may run handlers: with effects on local disk only while it holds every partition. And the tap: no records while it may not, or is full.

use std::time::{Duration, Instant};

use sagaline_log::{GroupReader, Log, LogError};

use super::RunError;
use super::prefix::Prefixes;
use crate::effects::Reach;

/// How long a part of the partitions is put up with: a group needs a while to see that a member is gone.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Membership {
    topic: String,
    reach: Reach,
    held: Vec<u32>,
    partitions: u32,
    open: bool,
    partial_since: Option<Instant>,
}

impl Membership {
    pub fn new(topic: String, reach: Reach) -> Self {
        Self { topic, reach, held: Vec::new(), partitions: 0, open: true, partial_since: None }
    }

    /// Other partitions are assigned. What was paused of them is not any more.
    pub fn changed(&mut self, log: &dyn Log, prefixes: &Prefixes) -> Result<(), LogError> {
        self.partitions = log.topic(&self.topic)?.map_or(0, |topic| topic.partitions);
        self.held = prefixes.assigned().map(|(_, partition)| partition).collect();
        self.open = true;
        tracing::info!(topic = self.topic, held = self.held.len(), partitions = self.partitions, "assigned");
        Ok(())
    }

    pub fn may_run(&self) -> bool {
        match self.reach {
            Reach::ThisInstance => self.partitions > 0 && self.held.len() == self.partitions as usize,
            Reach::AllInstances => !self.held.is_empty(),
        }
    }

    /// Holding nothing is waiting for one's turn; holding a part means that another instance works.
    pub fn check(&mut self, now: Instant) -> Result<(), RunError> {
        if self.may_run() || self.held.is_empty() {
            self.partial_since = None;
            return Ok(());
        }
        let error =
            || RunError::NotAlone { topic: self.topic.clone(), held: self.held.len(), partitions: self.partitions };
        match self.partial_since {
            None => {
                tracing::warn!(error = %error(), "no handler runs");
                self.partial_since = Some(now);
                Ok(())
            }
            Some(since) if now < since + PATIENCE => Ok(()),
            Some(_) => Err(error()),
        }
    }

    /// Opens or closes the tap of every partition that is held.
    pub fn flow(&mut self, open: bool, group: &mut dyn GroupReader) -> Result<(), LogError> {
        if open != self.open {
            self.open = open;
            for partition in &self.held {
                if open { group.resume(&self.topic, *partition)? } else { group.pause(&self.topic, *partition)? }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sagaline_log::simulated::Simulation;
    use sagaline_log::{Log, NewTopic};

    use super::*;

    fn member(reach: Reach, held: &[u32]) -> Membership {
        let log = Simulation::new(1).log();
        let topic = NewTopic { name: "commands.payment".into(), partitions: 2, replicas: 1, settings: vec![] };
        log.create_topic(&topic).unwrap();
        let mut prefixes = Prefixes::default();
        held.iter().for_each(|partition| prefixes.assign("commands.payment".into(), *partition, 0));
        let mut member = Membership::new("commands.payment".into(), reach);
        member.changed(&log, &prefixes).unwrap();
        member
    }

    #[test]
    fn effects_on_local_disk_need_every_partition() {
        let may_run = |reach, held: &[u32]| member(reach, held).may_run();
        assert!(may_run(Reach::ThisInstance, &[0, 1]));
        assert!(!may_run(Reach::ThisInstance, &[1]));
        assert!(!may_run(Reach::ThisInstance, &[]));
        assert!(may_run(Reach::AllInstances, &[1]));
    }

    #[test]
    fn a_part_is_put_up_with_for_a_while_and_nothing_for_ever() {
        let start = Instant::now();
        let (mut waiting, mut sharing) = (member(Reach::ThisInstance, &[]), member(Reach::ThisInstance, &[1]));
        assert!(waiting.check(start).is_ok() && waiting.check(start + 2 * PATIENCE).is_ok());
        assert!(sharing.check(start).is_ok() && sharing.check(start + PATIENCE / 2).is_ok());
        let error = sharing.check(start + PATIENCE).unwrap_err();
        assert!(matches!(error, RunError::NotAlone { held: 1, partitions: 2, .. }), "{error}");
    }
}
