//! Whether this instance may run handlers: with effects on local disk only while it holds every partition. And the tap: no records while it may not, or is full.

use std::time::{Duration, Instant};

use sagaline_log::{GroupReader, Log, LogError};

use super::RunError;
use super::prefix::Prefixes;
use crate::effects::Reach;

/// How long a part of the partitions is put up with by who had them all: a second instance gives up before.
const PATIENCE: Duration = Duration::from_secs(60);
/// And by who never had them all: a group needs a while to see that its last member is gone.
const PATIENCE_AT_START: Duration = Duration::from_secs(20);

pub struct Membership {
    topic: String,
    reach: Reach,
    held: Vec<u32>,
    partitions: u32,
    /// How the tap of every partition that is held stands; none: not of all alike.
    open: Option<bool>,
    /// Whether this instance was once alone.
    whole: bool,
    partial_since: Option<Instant>,
}

impl Membership {
    pub fn new(topic: String, reach: Reach) -> Self {
        Self { topic, reach, held: Vec::new(), partitions: 0, open: Some(true), whole: false, partial_since: None }
    }

    /// Other partitions are assigned. Those that come are open; those that stay are as they were.
    pub fn changed(&mut self, log: &dyn Log, prefixes: &Prefixes) -> Result<(), LogError> {
        self.partitions = log.topic(&self.topic)?.map_or(0, |topic| topic.partitions);
        self.held = prefixes.assigned().map(|(_, partition)| partition).collect();
        self.open = None;
        self.whole |= self.partitions > 0 && self.held.len() == self.partitions as usize;
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
        let patience = if self.whole { PATIENCE } else { PATIENCE_AT_START };
        let error =
            || RunError::NotAlone { topic: self.topic.clone(), held: self.held.len(), partitions: self.partitions };
        match self.partial_since {
            None => {
                tracing::warn!(error = %error(), "no handler runs");
                self.partial_since = Some(now);
                Ok(())
            }
            Some(since) if now < since + patience => Ok(()),
            Some(_) => Err(error()),
        }
    }

    /// Opens or closes the tap of every partition that is held.
    pub fn flow(&mut self, open: bool, group: &mut dyn GroupReader) -> Result<(), LogError> {
        if self.open != Some(open) {
            self.open = Some(open);
            for partition in &self.held {
                if open { group.resume(&self.topic, *partition)? } else { group.pause(&self.topic, *partition)? }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sagaline_log::simulated::{SimulatedLog, Simulation};
    use sagaline_log::{GroupEvent, Log, NewTopic};
    use sagaline_schemas::{Offset, Partition};

    use super::*;

    fn stage(held: &[u32]) -> (SimulatedLog, String, Prefixes) {
        let log = Simulation::new(1).log();
        let topic = NewTopic { name: "commands.payment".into(), partitions: 2, replicas: 1, settings: vec![] };
        log.create_topic(&topic).unwrap();
        let mut prefixes = Prefixes::default();
        held.iter().for_each(|partition| prefixes.assign("commands.payment".into(), *partition, 0));
        (log, topic.name, prefixes)
    }

    fn member(reach: Reach, held: &[u32]) -> Membership {
        let (log, topic, prefixes) = stage(held);
        let mut member = Membership::new(topic, reach);
        member.changed(&log, &prefixes).unwrap();
        member
    }

    /// Taps by partition.
    struct Taps(BTreeMap<u32, bool>);

    impl GroupReader for Taps {
        fn poll(&mut self, _: usize, _: Duration, _: &mut Vec<GroupEvent>) -> Result<(), LogError> {
            Ok(())
        }
        fn commit(&mut self, _: &str, _: Partition, _: Offset) -> Result<(), LogError> {
            Ok(())
        }
        fn seek(&mut self, _: &str, _: Partition, _: Offset) -> Result<(), LogError> {
            Ok(())
        }
        fn pause(&mut self, _: &str, partition: Partition) -> Result<(), LogError> {
            self.0.insert(partition, false);
            Ok(())
        }
        fn resume(&mut self, _: &str, partition: Partition) -> Result<(), LogError> {
            self.0.insert(partition, true);
            Ok(())
        }
    }

    #[test]
    fn a_partition_that_stays_through_a_rebalance_flows_again() {
        let mut taps = Taps(BTreeMap::from([(0, true)]));
        let (log, topic, part) = stage(&[0]);
        let mut member = Membership::new(topic, Reach::ThisInstance);
        member.changed(&log, &part).unwrap();
        member.flow(member.may_run(), &mut taps).unwrap();
        assert_eq!(taps.0, BTreeMap::from([(0, false)]));
        let (_, _, all) = stage(&[0, 1]);
        taps.0.insert(1, true);
        member.changed(&log, &all).unwrap();
        member.flow(member.may_run(), &mut taps).unwrap();
        assert_eq!(taps.0, BTreeMap::from([(0, true), (1, true)]));
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
        assert!(sharing.check(start).is_ok() && sharing.check(start + PATIENCE_AT_START / 2).is_ok());
        let error = sharing.check(start + PATIENCE_AT_START).unwrap_err();
        assert!(matches!(error, RunError::NotAlone { held: 1, partitions: 2, .. }), "{error}");
    }

    #[test]
    fn the_newcomer_gives_up_before_who_was_alone() {
        let (log, topic, prefixes) = stage(&[0, 1]);
        let mut first = Membership::new(topic.clone(), Reach::ThisInstance);
        first.changed(&log, &prefixes).unwrap();
        let (_, _, part) = stage(&[0]);
        first.changed(&log, &part).unwrap();
        let start = Instant::now();
        assert!(!first.may_run() && first.check(start).is_ok());
        assert!(first.check(start + PATIENCE_AT_START).is_ok(), "the second one has given up by now");
        assert!(first.check(start + PATIENCE).is_err());
        first.changed(&log, &prefixes).unwrap();
        assert!(first.may_run() && first.check(start + 2 * PATIENCE).is_ok());
    }
}
