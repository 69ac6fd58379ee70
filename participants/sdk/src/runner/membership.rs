//! Whether this instance may run handlers: with effects on local disk only while it holds every partition. And the tap: no records while it may not, or is full.

use std::time::{Duration, Instant};

use sagaline_log::{GroupReader, LogError, TopicInfo};

use super::RunError;
use super::prefix::Prefixes;
use crate::effects::Reach;

/// How long a part of the partitions is put up with by who had them all: a second instance gives up before.
const PATIENCE: Duration = Duration::from_secs(60);
/// And by who never had them all: a group needs a while to see that its last member is gone.
const PATIENCE_AT_START: Duration = Duration::from_secs(20);

/// Between two questions how many partitions there are, while nobody answers.
const ASK_AGAIN: Duration = Duration::from_secs(1);

pub struct Membership {
    topic: String,
    reach: Reach,
    held: Vec<u32>,
    /// How many the topic has. None: not known since the last change, as while no broker answers.
    partitions: Option<u32>,
    ask_at: Option<Instant>,
    /// How the tap of every partition that is held stands; none: not of all alike.
    open: Option<bool>,
    /// Whether this instance was once alone.
    whole: bool,
    partial_since: Option<Instant>,
}

impl Membership {
    pub fn new(topic: String, reach: Reach) -> Self {
        let (held, open) = (Vec::new(), Some(true));
        Self { topic, reach, held, partitions: None, ask_at: None, open, whole: false, partial_since: None }
    }

    /// Other partitions are assigned. Those that come are open; those that stay are as they were.
    pub fn changed(&mut self, prefixes: &Prefixes) {
        self.held = prefixes.assigned().map(|(_, partition)| partition).collect();
        (self.open, self.partitions, self.ask_at) = (None, None, None);
        tracing::info!(topic = self.topic, held = self.held.len(), "assigned");
    }

    pub fn may_run(&self) -> bool {
        match self.reach {
            Reach::ThisInstance => self.partitions.is_some_and(|all| all > 0 && self.held.len() == all as usize),
            Reach::AllInstances => !self.held.is_empty(),
        }
    }

    /// Looks how many partitions there are, where that matters: a partition may have been added since the last change.
    pub fn learn(
        &mut self,
        now: Instant,
        ask: impl FnOnce(&str) -> Result<Option<TopicInfo>, LogError>,
    ) -> Result<(), LogError> {
        let matters = self.reach == Reach::ThisInstance && !self.held.is_empty() && self.partitions.is_none();
        if !matters || self.ask_at.is_some_and(|at| now < at) {
            return Ok(());
        }
        self.ask_at = Some(now + ASK_AGAIN);
        self.partitions = Some(ask(&self.topic)?.map_or(0, |topic| topic.partitions));
        self.whole |= self.may_run();
        Ok(())
    }

    /// Holding nothing is waiting for one's turn; holding a part means that another instance works.
    pub fn check(&mut self, now: Instant) -> Result<(), RunError> {
        let Some(partitions) = self.partitions.filter(|_| !self.may_run() && !self.held.is_empty()) else {
            self.partial_since = None;
            return Ok(());
        };
        let patience = if self.whole { PATIENCE } else { PATIENCE_AT_START };
        let error = || RunError::NotAlone { topic: self.topic.clone(), held: self.held.len(), partitions };
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

    use sagaline_log::GroupEvent;
    use sagaline_schemas::{Offset, Partition, TopicId};

    use super::*;

    const TOPIC: &str = "commands.payment";

    fn prefixes(held: &[u32]) -> Prefixes {
        let mut prefixes = Prefixes::default();
        held.iter().for_each(|partition| prefixes.assign(TOPIC.into(), *partition, 0));
        prefixes
    }

    fn member(reach: Reach, held: &[u32]) -> Membership {
        let mut member = Membership::new(TOPIC.to_owned(), reach);
        change(&mut member, held);
        member
    }

    fn change(member: &mut Membership, held: &[u32]) {
        member.changed(&prefixes(held));
        member.learn(Instant::now(), two).unwrap();
    }

    /// The topic has two partitions.
    fn two(name: &str) -> Result<Option<TopicInfo>, LogError> {
        let (id, settings) = (TopicId::from_bytes([0; 16]), BTreeMap::new());
        Ok(Some(TopicInfo { name: name.to_owned(), id, partitions: 2, settings, replicas: 1 }))
    }

    fn nobody(_: &str) -> Result<Option<TopicInfo>, LogError> {
        Err(LogError::Unreachable { address: "here".into(), detail: "refused".into() })
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
        let mut member = member(Reach::ThisInstance, &[0]);
        member.flow(member.may_run(), &mut taps).unwrap();
        assert_eq!(taps.0, BTreeMap::from([(0, false)]));
        taps.0.insert(1, true);
        change(&mut member, &[0, 1]);
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
    fn while_no_broker_answers_nothing_runs_and_nobody_gives_up() {
        let (mut member, start) = (Membership::new(TOPIC.to_owned(), Reach::ThisInstance), Instant::now());
        member.changed(&prefixes(&[0, 1]));
        assert!(member.learn(start, nobody).is_err());
        assert!(!member.may_run() && member.check(start + 2 * PATIENCE).is_ok());
        member.learn(start + ASK_AGAIN / 2, nobody).expect("it is not asked again at once");
        member.learn(start + ASK_AGAIN, two).unwrap();
        assert!(member.may_run() && member.whole);
        member.changed(&prefixes(&[]));
        member.learn(start + 2 * ASK_AGAIN, nobody).expect("who has nothing asks nothing");
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
        let mut first = member(Reach::ThisInstance, &[0, 1]);
        change(&mut first, &[0]);
        let start = Instant::now();
        assert!(!first.may_run() && first.check(start).is_ok());
        assert!(first.check(start + PATIENCE_AT_START).is_ok(), "the second one has given up by now");
        assert!(first.check(start + PATIENCE).is_err());
        change(&mut first, &[0, 1]);
        assert!(first.may_run() && first.check(start + 2 * PATIENCE).is_ok());
    }
}
