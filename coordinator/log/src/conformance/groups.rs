//! Checks of consumer groups.

use std::collections::BTreeSet;

use sagaline_schemas::{Offset, Partition};

use super::{LOOK, SecondMember, Subject, numbered};
use crate::{Fetched, GroupEvent, GroupReader, LogError};

/// A member and what it has been told.
struct Listener {
    member: Box<dyn GroupReader>,
    held: BTreeSet<Partition>,
    begins: Vec<(Partition, Offset)>,
    records: Vec<Fetched>,
}

impl Listener {
    fn join(subject: &Subject, group: &str, topic: &str) -> Self {
        // A member that has just left may take a moment to be gone.
        let member = subject.until("the group to be free", || {
            let joined = subject.log.join(&subject.named(group), "member-a", &[topic.to_owned()]);
            if matches!(joined, Err(LogError::InUse { .. })) { None } else { Some(joined.unwrap()) }
        });
        Self::new(member)
    }

    fn new(member: Box<dyn GroupReader>) -> Self {
        Self { member, held: BTreeSet::new(), begins: Vec::new(), records: Vec::new() }
    }

    fn listen(&mut self) {
        self.poll().unwrap();
    }

    fn poll(&mut self) -> Result<(), LogError> {
        let mut events = Vec::new();
        let polled = self.member.poll(100, LOOK, &mut events);
        for event in events {
            match event {
                GroupEvent::Record(fetched) => {
                    assert!(self.held.contains(&fetched.partition), "a record of a partition that is not assigned");
                    self.records.push(fetched);
                }
                GroupEvent::Assigned(places) => {
                    self.held.extend(places.iter().map(|(_, partition, _)| *partition));
                    self.begins.extend(places.into_iter().map(|(_, partition, offset)| (partition, offset)));
                }
                GroupEvent::Revoked(places) => {
                    for (_, partition) in places {
                        assert!(self.held.remove(&partition), "revoked what was not assigned");
                    }
                }
            }
        }
        polled
    }

    /// The next that goes wrong.
    fn failure(&mut self, subject: &Subject) -> LogError {
        subject.until("a failure", || self.poll().err())
    }

    fn hear(&mut self, subject: &Subject, count: usize) {
        subject.until("the group's records", || {
            self.listen();
            (self.records.len() >= count).then_some(())
        });
    }

    fn offsets(&self, partition: Partition) -> Vec<Offset> {
        let of_it = self.records.iter().filter(|fetched| fetched.partition == partition);
        of_it.map(|fetched| fetched.offset).collect()
    }
}

/// A lone member reads every partition from the start, in order; who joins after it goes on at what it committed.
pub fn a_member_is_given_all_and_goes_on_at_its_commit(subject: &Subject) {
    let topic = subject.topic("grouped", 3, &[]);
    for partition in 0..3 {
        subject.append(&topic, partition, &numbered(10));
    }
    let mut first = Listener::join(subject, "resuming", &topic);
    first.hear(subject, 30);
    assert!(first.held.iter().copied().eq(0..3));
    for partition in 0..3 {
        assert!(first.offsets(partition).into_iter().eq(0..10), "partition {partition}");
    }
    first.member.commit(&topic, 0, 4).unwrap();
    first.member.commit(&topic, 0, 7).unwrap();
    first.member.commit(&topic, 1, 10).unwrap();
    drop(first);

    let mut second = Listener::join(subject, "resuming", &topic);
    second.hear(subject, 13);
    assert_eq!(second.offsets(0), [7, 8, 9]);
    assert_eq!(second.offsets(1), [0; 0]);
    assert!(second.offsets(2).into_iter().eq(0..10), "what was not committed is read again");
    second.begins.sort_unstable();
    assert_eq!(second.begins, [(0, 7), (1, 10), (2, 0)]);

    let mut other = Listener::join(subject, "another-group", &topic);
    other.hear(subject, 30);
}

/// A paused partition gives nothing until it is resumed, the others go on; after a seek, forwards or back, reading goes on there.
pub fn a_member_pauses_and_seeks(subject: &Subject) {
    let topic = subject.topic("paused", 2, &[]);
    let mut listener = Listener::join(subject, "pausing", &topic);
    subject.until("both partitions", || {
        listener.listen();
        (listener.held.len() == 2).then_some(())
    });
    listener.member.pause(&topic, 0).unwrap();
    subject.append(&topic, 0, &numbered(5));
    subject.append(&topic, 1, &numbered(5));
    listener.hear(subject, 5);
    assert_eq!(listener.offsets(0), [0; 0]);
    listener.member.seek(&topic, 1, 3).unwrap();
    listener.hear(subject, 7);
    assert_eq!(listener.offsets(1), [0, 1, 2, 3, 4, 3, 4]);
    assert_eq!(listener.offsets(0), [0; 0]);
    listener.member.seek(&topic, 0, 2).unwrap();
    listener.member.resume(&topic, 0).unwrap();
    listener.hear(subject, 10);
    assert_eq!(listener.offsets(0), [2, 3, 4]);
}

/// Commits, seeks and pauses of what is not assigned are refused.
pub fn a_member_touches_only_its_own(subject: &Subject) {
    let topic = subject.topic("owned", 1, &[]);
    let mut listener = Listener::join(subject, "owning", &topic);
    subject.until("the partition", || {
        listener.listen();
        (listener.held.len() == 1).then_some(())
    });
    let member = &mut listener.member;
    for (name, partition) in [(topic.as_str(), 1), ("another", 0)] {
        assert!(member.commit(name, partition, 0).is_err());
        assert!(member.seek(name, partition, 0).is_err());
        assert!(member.pause(name, partition).is_err());
        assert!(member.resume(name, partition).is_err());
    }
}

/// A group's partitions belong to one member each: a second one gets a share, or nothing. Who stays takes over from who leaves.
pub fn a_second_member_shares_or_is_refused(subject: &Subject) {
    let topic = subject.topic("shared", 2, &[]);
    let mut first = Listener::join(subject, "sharing", &topic);
    subject.until("both partitions", || {
        first.listen();
        (first.held.len() == 2).then_some(())
    });
    let second = subject.log.join(&subject.named("sharing"), "member-b", std::slice::from_ref(&topic));
    let mut second = match subject.second_member {
        SecondMember::Refused => {
            assert!(matches!(second.err(), Some(LogError::InUse { .. })));
            drop(first);
            Listener::join(subject, "sharing", &topic)
        }
        SecondMember::Shares => {
            let mut second = Listener::new(second.unwrap());
            subject.until("one partition each", || {
                first.listen();
                second.listen();
                (first.held.len() == 1 && second.held.len() == 1).then_some(())
            });
            assert!(first.held.is_disjoint(&second.held));
            drop(first);
            second
        }
    };
    subject.until("all partitions", || {
        second.listen();
        (second.held.len() == 2).then_some(())
    });
    subject.append(&topic, 0, &numbered(1));
    subject.append(&topic, 1, &numbered(1));
    second.hear(subject, 2);
}

/// A member that asks for a topic before it is there is given it once it is.
pub fn a_topic_is_joined_when_it_appears(subject: &Subject) {
    let mut listener = Listener::join(subject, "early", &subject.named("late"));
    listener.listen();
    assert_eq!(listener.held.len(), 0);
    let topic = subject.topic("late", 1, &[]);
    subject.append(&topic, 0, &numbered(3));
    listener.hear(subject, 3);
    assert_eq!(listener.offsets(0), [0, 1, 2]);
}

fn lost(topic: &str, offset: Offset, start: Offset, end: Offset) -> LogError {
    LogError::OutOfRange { topic: topic.to_owned(), partition: 0, offset, start, end }
}

/// A member whose place is not in the log hears so again and again, while its other partitions go on; after a seek to a place that is there, all is well.
pub fn a_member_that_loses_its_place_hears_of_it_until_it_goes_elsewhere(subject: &Subject) {
    let topic = subject.topic("astray", 2, &[]);
    subject.append(&topic, 0, &numbered(5));
    subject.append(&topic, 1, &numbered(5));
    let mut listener = Listener::join(subject, "straying", &topic);
    listener.hear(subject, 10);
    listener.member.seek(&topic, 0, 1_000).unwrap();
    for _ in 0..3 {
        assert_eq!(listener.failure(subject), lost(&topic, 1_000, 0, 5));
    }
    subject.append(&topic, 1, &numbered(5));
    subject.until("the other partition's records", || {
        let failed = listener.poll().err();
        assert!(failed.is_none_or(|error| error == lost(&topic, 1_000, 0, 5)));
        (listener.records.len() >= 15).then_some(())
    });
    assert!(listener.offsets(1).into_iter().eq(0..10));
    assert_eq!(listener.failure(subject), lost(&topic, 1_000, 0, 5));
    listener.member.seek(&topic, 0, 3).unwrap();
    listener.hear(subject, 17);
    assert_eq!(listener.offsets(0), [0, 1, 2, 3, 4, 3, 4]);
}

/// A member that rested for longer than its log keeps records hears of each place that is gone, each time that it joins, until it goes on at the log's start.
pub fn a_member_whose_commits_were_trimmed_hears_of_them_and_goes_on_at_the_start(subject: &Subject) {
    let topic = subject.topic("rested", 3, &[]);
    (0..3).for_each(|partition| drop(subject.append(&topic, partition, &numbered(10))));
    let mut first = Listener::join(subject, "resting", &topic);
    first.hear(subject, 30);
    (0..3).for_each(|partition| first.member.commit(&topic, partition, 3).unwrap());
    drop(first);
    for partition in 0..2 {
        assert_eq!(subject.log.delete_below(&topic, partition, 7), Ok(7));
    }

    let gone = |error| match error {
        LogError::OutOfRange { partition, offset: 3, start: 7, end: 10, .. } if partition < 2 => partition,
        error => panic!("{error}"),
    };
    let mut second = Listener::join(subject, "resting", &topic);
    gone(second.failure(subject));
    gone(second.failure(subject));
    second.begins.sort_unstable();
    assert_eq!(second.begins, [(0, 3), (1, 3), (2, 3)]);
    drop(second);
    let mut third = Listener::join(subject, "resting", &topic);
    subject.until("all that is there", || {
        if let Some(partition) = third.poll().err().map(gone) {
            third.member.seek(&topic, partition, 7).unwrap();
        }
        (third.records.len() >= 13).then_some(())
    });
    subject.append(&topic, 0, &numbered(1));
    subject.append(&topic, 2, &numbered(1));
    third.hear(subject, 15);
    let read = [0, 1, 2].map(|partition| third.offsets(partition));
    assert_eq!(read, [vec![7, 8, 9, 10], vec![7, 8, 9], (3..11).collect()]);
}
