//! What every log must do, as checks that run against any of them: `conformance_tests!` makes a test of each. Nothing here may
//! know which log it has before it; where logs rightly differ, the `Subject` says how.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a check says that it failed by panicking")]

mod appending;
mod groups;
mod reading;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_schemas::{Offset, Partition};

pub use self::appending::*;
pub use self::groups::*;
pub use self::reading::*;
use crate::{Acknowledgement, Fetched, Log, NewTopic, Producer, Record};

/// A call that waits for something to come, waits so long; then the check looks again.
const LOOK: Duration = Duration::from_millis(50);
/// A check that has not seen what it waits for after so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a second member of a group meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondMember {
    /// `InUse`.
    Refused,
    /// Its share of the partitions.
    Shares,
}

/// A log to be checked.
pub struct Subject {
    /// The log.
    pub log: Arc<dyn Log>,
    /// In front of every topic and group: a log that outlives the test gets another one each time.
    pub prefix: String,
    /// How it treats a second member of a group.
    pub second_member: SecondMember,
    /// Lets time pass, for a log that does not wait by itself.
    pub tick: Box<dyn Fn()>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Subject {
    /// A topic of this check.
    fn topic(&self, name: &str, partitions: u32, settings: &[(&str, &str)]) -> String {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let topic = NewTopic { name: self.named(name), partitions, replicas: 1, settings };
        self.log.create_topic(&topic).unwrap();
        topic.name
    }

    fn named(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Looks until `look` has something.
    fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
            (self.tick)();
        }
    }

    /// Acknowledgements of all that is in flight.
    fn acknowledgements(&self, producer: &mut dyn Producer) -> Vec<Acknowledgement> {
        let mut acknowledged = Vec::new();
        self.until("acknowledgements", || {
            if producer.in_flight() > 0 {
                producer.poll(LOOK, &mut acknowledged);
            }
            (producer.in_flight() == 0).then_some(())
        });
        acknowledged
    }

    /// Appends to one partition with a producer of its own; the offsets, in order.
    fn append(&self, topic: &str, partition: Partition, records: &[Record]) -> Vec<Offset> {
        let mut producer = self.log.producer().unwrap();
        for (ticket, record) in (0..).zip(records) {
            producer.append(topic, partition, record, ticket).unwrap();
        }
        let mut acknowledged = self.acknowledgements(producer.as_mut());
        acknowledged.sort_by_key(|acknowledgement| acknowledgement.ticket);
        acknowledged.into_iter().map(|acknowledgement| acknowledgement.outcome.unwrap()).collect()
    }

    /// The next `count` records from `from`.
    fn read(&self, topic: &str, partition: Partition, from: Offset, count: usize) -> Vec<Fetched> {
        let mut reader = self.log.reader(topic, partition, from).unwrap();
        let mut records = Vec::new();
        self.until("records", || {
            reader.poll(count - records.len(), LOOK, &mut records).unwrap();
            (records.len() >= count).then_some(())
        });
        assert_eq!(records.len(), count, "a reader gives no more than it was asked for");
        records
    }
}

fn record(text: &str) -> Record {
    Record { value: text.as_bytes().to_vec(), ..Record::default() }
}

fn numbered(count: usize) -> Vec<Record> {
    (0..count).map(|n| record(&n.to_string())).collect()
}

fn text(fetched: &Fetched) -> String {
    String::from_utf8(fetched.record.value.clone()).unwrap()
}

/// Bytes that no compression makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let blocks = (0u64..).flat_map(|n| *blake3::hash(&n.to_be_bytes()).as_bytes());
    blocks.take(length).collect()
}

/// Makes a test of every check. `$subject` gives a fresh `Subject`; a fixture that must outlive it goes into its `tick`.
#[macro_export]
macro_rules! conformance_tests {
    ($subject:expr) => {
        $crate::conformance_tests! { @each
            $subject;
            a_topic_keeps_its_identity,
            a_topic_that_is_not_there_is_named,
            what_is_acknowledged_can_be_read,
            nothing_of_a_record_is_lost,
            appends_keep_their_order,
            producers_are_told_of_their_own,
            a_record_that_is_too_large_is_refused,
            a_purge_answers_for_everything,
            a_purge_leaves_the_others_alone,
            append_times_never_go_back,
            a_reader_begins_anywhere_and_no_further,
            a_reader_sees_what_comes,
            readers_leave_each_other_alone,
            a_partition_is_read_again_from_elsewhere,
            deleted_records_are_gone_and_no_others,
            a_member_is_given_all_and_goes_on_at_its_commit,
            a_member_pauses_and_seeks,
            a_member_touches_only_its_own,
            a_member_that_loses_its_place_hears_of_it_until_it_goes_elsewhere,
            a_member_whose_commits_were_trimmed_hears_of_them_and_goes_on_at_the_start,
            a_second_member_shares_or_is_refused,
            a_topic_is_joined_when_it_appears,
        }
    };
    (@each $subject:expr; $($check:ident),* $(,)?) => {
        $(
            #[test]
            fn $check() {
                $crate::conformance::$check(&$subject());
            }
        )*
    };
}
