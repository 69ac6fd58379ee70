//! A member of a consumer group. Rebalances arrive in callbacks, which only note them; `poll` looks up where to begin and takes the
//! partitions. Nothing is committed that the caller has not named. A member that is fenced joins anew: only one that is fenced again and again shares
//! its name with another process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, Message, Offset as Position, TopicPartitionList};
use sagaline_schemas::{Offset, Partition};

use super::error::{LastWord, failed, heard, is_connection, log};
use super::reader::watermarks;
use super::{PATIENCE, fetched, native, ours, whole_millis};
use crate::{Fetched, GroupEvent, GroupReader, LogError};

type Place = (Arc<str>, Partition);

/// What the group decided, in order.
enum Change {
    Given(Vec<(String, i32)>),
    Taken(Vec<(String, i32)>),
}

#[derive(Default)]
struct Rebalances {
    changes: Mutex<Vec<Change>>,
    /// The consumer is being dropped: nobody will poll any more.
    closing: Mutex<bool>,
    last_word: LastWord,
}

impl Rebalances {
    fn note(&self, change: Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }

    fn take(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_closing(&self) -> bool {
        *self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        heard(&self.last_word, &error, reason);
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let places = list.elements().iter().map(|e| (e.topic().to_owned(), e.partition())).collect();
        let answered = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.note(Change::Given(places));
            if self.is_closing() { assign(consumer, list) } else { Ok(()) }
        } else {
            self.note(Change::Taken(places));
            unassign(consumer, list)
        };
        if let Err(error) = answered {
            tracing::error!(target: "kafka", %error, "a rebalance was not taken");
        }
    }
}

fn assign(consumer: &BaseConsumer<Rebalances>, list: &TopicPartitionList) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(list),
    }
}

/// Partitions that were given and not yet taken over can't be given back one by one: then all are, and the group gives anew.
fn unassign(consumer: &BaseConsumer<Rebalances>, list: &TopicPartitionList) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list).or_else(|_| consumer.unassign()),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
    }
}

/// So often in a row a member is fenced before another process is said to have its name. A broker that comes back late, with the answer to a join
/// lost on the way, fences a member that is alone: its own second try puts out its first.
const FENCES: u32 = 3;
/// Fences further apart than this are not in a row.
const IN_A_ROW: Duration = Duration::from_secs(60);

/// How often in a row this member was fenced. Of two processes with one name, each puts out the other in turn, and the first one reaches the limit first.
#[derive(Default)]
struct Fences {
    count: u32,
    last: Option<Instant>,
}

impl Fences {
    /// Once more. Whether it is to join again.
    fn again(&mut self, now: Instant) -> bool {
        let in_a_row = self.last.is_some_and(|last| now.duration_since(last) < IN_A_ROW);
        self.count = if in_a_row { self.count + 1 } else { 1 };
        self.last = Some(now);
        self.count < FENCES
    }
}

pub(super) struct KafkaGroupReader {
    config: ClientConfig,
    consumer: BaseConsumer<Rebalances>,
    fences: Fences,
    bootstrap: String,
    group: String,
    topics: BTreeSet<Arc<str>>,
    /// This member's partitions and the offset that comes next.
    assigned: BTreeMap<Place, Offset>,
    /// Paused by the caller: librdkafka keeps that beyond the assignment, and its next one is to begin as any other does.
    paused: BTreeSet<Place>,
    /// Given, and not yet taken over: where to begin is not known.
    given: Vec<Vec<(String, i32)>>,
    /// Met behind records, so told by the next poll.
    error: Option<LogError>,
    /// Partitions whose offset the log does not have: the client fetches nothing of them until they are sought or given anew.
    lost: BTreeMap<Place, LogError>,
    /// The client has told of a loss, and whose it is was not found yet.
    looking: bool,
}

impl KafkaGroupReader {
    pub(super) fn new(
        config: &ClientConfig,
        bootstrap: &str,
        group: &str,
        topics: &[String],
    ) -> Result<Self, LogError> {
        let topics: BTreeSet<Arc<str>> = topics.iter().map(|name| name.as_str().into()).collect();
        Ok(Self {
            config: config.clone(),
            consumer: subscribed(config, bootstrap, group, &topics)?,
            fences: Fences::default(),
            bootstrap: bootstrap.to_owned(),
            group: group.to_owned(),
            topics,
            assigned: BTreeMap::new(),
            paused: BTreeSet::new(),
            given: Vec::new(),
            error: None,
            lost: BTreeMap::new(),
            looking: false,
        })
    }

    /// A client that was fenced is of no more use. What it had is given up; nothing that was read is lost, for it was not committed.
    fn join_again(&mut self, into: &mut Vec<GroupEvent>) -> Result<(), LogError> {
        self.leave();
        let had: Vec<Place> = std::mem::take(&mut self.assigned).into_keys().collect();
        self.lost.clear();
        self.paused.clear();
        self.looking = false;
        if !had.is_empty() {
            into.push(GroupEvent::Revoked(had));
        }
        self.consumer = subscribed(&self.config, &self.bootstrap, &self.group, &self.topics)?;
        Ok(())
    }

    /// A consumer closes only when every rebalance has its answer.
    fn leave(&mut self) {
        *self.consumer.context().closing.lock().unwrap_or_else(PoisonError::into_inner) = true;
        let noted = self.consumer.context().take().into_iter().filter_map(|change| match change {
            Change::Given(places) => Some(places),
            Change::Taken(_) => None,
        });
        for places in self.given.drain(..).chain(noted) {
            let mut list = TopicPartitionList::with_capacity(places.len());
            for (topic, partition) in &places {
                list.add_partition(topic, *partition);
            }
            if let Err(error) = assign(&self.consumer, &list) {
                tracing::warn!(target: "kafka", %error, "a rebalance was left unanswered while leaving the group");
            }
        }
    }

    fn place(&self, (topic, partition): &(String, i32)) -> Place {
        let topic = self.topics.get(topic.as_str()).cloned().unwrap_or_else(|| topic.as_str().into());
        (topic, ours(*partition))
    }

    fn receive(&self, wait: Duration) -> Option<KafkaResult<Fetched>> {
        let message = self.consumer.poll(wait)?;
        Some(message.map(|message| {
            let topic = self.topics.get(message.topic()).cloned().unwrap_or_else(|| message.topic().into());
            fetched(&topic, &message)
        }))
    }

    /// Records of a partition that was taken meanwhile are its next owner's.
    fn hand_over(&mut self, record: Fetched, into: &mut Vec<GroupEvent>) {
        if let Some(next) = self.assigned.get_mut(&(Arc::clone(&record.topic), record.partition)) {
            *next = record.offset + 1;
            into.push(GroupEvent::Record(record));
        }
    }

    /// Tells the caller what the callbacks noted, and takes over what was given.
    fn settle(&mut self, into: &mut Vec<GroupEvent>) -> Result<(), LogError> {
        for change in self.consumer.context().take() {
            match change {
                Change::Given(places) => self.given.push(places),
                Change::Taken(places) => self.give_up(&places, into),
            }
        }
        while let Some(places) = self.given.first() {
            let list = self.beginnings(places)?;
            assign(&self.consumer, &list).map_err(|e| self.failed(&e))?;
            self.given.remove(0);
            let mut begun = Vec::new();
            for element in list.elements() {
                let (topic, partition) = self.place(&(element.topic().to_owned(), element.partition()));
                let offset = element.offset().to_raw().unwrap_or_default();
                self.lost.remove(&(Arc::clone(&topic), partition));
                if self.paused.remove(&(Arc::clone(&topic), partition)) {
                    let list = self.place_at(&topic, partition, offset)?;
                    self.consumer.resume(&list).map_err(|e| self.failed(&e))?;
                }
                self.assigned.insert((Arc::clone(&topic), partition), offset);
                begun.push((topic, partition, offset));
            }
            if !begun.is_empty() {
                into.push(GroupEvent::Assigned(begun));
            }
        }
        Ok(())
    }

    fn give_up(&mut self, places: &[(String, i32)], into: &mut Vec<GroupEvent>) {
        for given in &mut self.given {
            given.retain(|place| !places.contains(place));
        }
        let mut taken: Vec<Place> = places.iter().map(|place| self.place(place)).collect();
        taken.retain(|place| self.assigned.remove(place).is_some());
        taken.iter().for_each(|place| drop(self.lost.remove(place)));
        if !taken.is_empty() {
            into.push(GroupEvent::Revoked(taken));
        }
    }

    /// The group's committed offsets, or the first offset held where there is none.
    fn beginnings(&self, places: &[(String, i32)]) -> Result<TopicPartitionList, LogError> {
        let mut asked = TopicPartitionList::with_capacity(places.len());
        for (topic, partition) in places {
            asked.add_partition(topic, *partition);
        }
        if places.is_empty() {
            return Ok(asked);
        }
        let mut list = self.consumer.committed_offsets(asked, PATIENCE).map_err(|e| self.failed(&e))?;
        for (topic, partition) in places {
            let committed = list.find_partition(topic, *partition).map(|element| element.offset());
            if !matches!(committed, Some(Position::Offset(_))) {
                let (start, _) = watermarks(&self.consumer, topic, ours(*partition), &self.bootstrap)?;
                list.set_partition_offset(topic, *partition, Position::Offset(start)).map_err(|e| self.failed(&e))?;
            }
        }
        Ok(list)
    }

    fn failed(&self, error: &KafkaError) -> LogError {
        failed(error, &format!("group {}", self.group), &self.bootstrap, &self.consumer.context().last_word)
    }

    /// None: the client deals with it by itself.
    fn judge(&mut self, error: &KafkaError) -> Option<LogError> {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                self.looking = true;
                self.look_for_lost()
            }
            // Topics are joined when they appear.
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => None,
            Some(code) if is_connection(code) => None,
            _ => Some(self.failed(error)),
        }
    }

    /// librdkafka says once that a place is lost, and not whose; then it is silent about that partition. So it is looked for until the log has answered.
    fn look_for_lost(&mut self) -> Option<LogError> {
        match self.lost() {
            Ok(found) => {
                self.looking = false;
                found
            }
            Err(error) => Some(error),
        }
    }

    /// Which partitions have lost their place. If none of them has, and the client is silent about one all the same, that one's log was cut and written
    /// anew: it goes on where it is. If none is silent, the loss was found before it was told.
    fn lost(&mut self) -> Result<Option<LogError>, LogError> {
        let mut places = Vec::new();
        for (place, &offset) in self.assigned.iter().filter(|(place, _)| !self.lost.contains_key(*place)) {
            places.push((place.clone(), offset, watermarks(&self.consumer, &place.0, place.1, &self.bootstrap)?));
        }
        let (mut there, mut found) = (Vec::new(), None);
        for (place, offset, (start, end)) in places {
            let (topic, partition) = (place.0.to_string(), place.1);
            if (start..=end).contains(&offset) {
                there.push((topic, partition, offset));
                continue;
            }
            let error = LogError::OutOfRange { topic, partition, offset, start, end };
            tracing::error!(target: "kafka", group = self.group, %error, "a partition is read no more until it is told where to go on");
            self.lost.insert(place, error.clone());
            found.get_or_insert(error);
        }
        if found.is_some() {
            return Ok(found);
        }
        let mut silent = Vec::new();
        for (topic, partition, offset) in there {
            if !self.seek_if_read(&topic, partition, offset)? {
                self.read_again(&topic, partition, offset)?;
                silent.push(format!("{topic}/{partition}"));
            }
        }
        Ok((!silent.is_empty()).then(|| LogError::Rewritten { places: silent.join(", ") }))
    }

    /// False: the client reads this partition no more, and so takes no seek.
    fn seek_if_read(&self, topic: &str, partition: Partition, offset: Offset) -> Result<bool, LogError> {
        let list = self.place_at(topic, partition, offset)?;
        let sought = self.consumer.seek_partitions(list, PATIENCE).map_err(|e| self.failed(&e))?;
        match sought.elements().first().map_or(Ok(()), |element| element.error()) {
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::State) => Ok(false),
            sought => sought.map(|()| true).map_err(|e| self.failed(&e)),
        }
    }

    /// Only a new assignment has the client read on where it has lost its place.
    fn read_again(&self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError> {
        let list = self.place_at(topic, partition, offset)?;
        let assigned = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => {
                if let Err(error) = self.consumer.incremental_unassign(&list) {
                    tracing::warn!(target: "kafka", %error, topic, partition, "was not read, and is assigned again");
                }
                self.consumer.incremental_assign(&list)
            }
            RebalanceProtocol::Eager | RebalanceProtocol::None => {
                let mut all = list;
                let mut others = self.assigned.iter().filter(|(place, _)| (&*place.0, place.1) != (topic, partition));
                others
                    .try_for_each(|(place, next)| {
                        all.add_partition_offset(&place.0, native(place.1), Position::Offset(*next))
                    })
                    .and_then(|()| self.consumer.assign(&all))
            }
        };
        assigned.map_err(|e| self.failed(&e))
    }

    fn place_at(&self, topic: &str, partition: Partition, offset: Offset) -> Result<TopicPartitionList, LogError> {
        let mut list = TopicPartitionList::with_capacity(1);
        let added = list.add_partition_offset(topic, native(partition), Position::Offset(offset));
        added.map(|()| list).map_err(|e| self.failed(&e))
    }

    fn assigned(&self, topic: &str, partition: Partition) -> Result<TopicPartitionList, LogError> {
        if !self.assigned.contains_key(&(Arc::from(topic), partition)) {
            return Err(LogError::Io {
                place: format!("group {}", self.group),
                detail: format!("{topic}/{partition} is not assigned to this member"),
            });
        }
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, native(partition));
        Ok(list)
    }
}

impl GroupReader for KafkaGroupReader {
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<GroupEvent>) -> Result<(), LogError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let (empty, full) = (into.len(), into.len() + max);
        let (mut wait, mut over) = (whole_millis(wait), false);
        while into.len() < full {
            let polled = self.receive(wait);
            // A failure here comes after what was received: nothing that was read is dropped.
            let settled = self.settle(into);
            match polled {
                None => over = true,
                Some(Ok(record)) => {
                    self.hand_over(record, into);
                    wait = Duration::ZERO;
                }
                Some(Err(error)) => self.error = self.judge(&error),
            }
            if let Err(error) = settled {
                self.error = Some(error);
            }
            if over || self.error.is_some() {
                break;
            }
        }
        if let Some(LogError::InUse { .. }) = self.error
            && self.fences.again(Instant::now())
        {
            tracing::warn!(target: "kafka", group = self.group, "fenced: joined anew, in case that was this member's own doing");
            self.error = self.join_again(into).err();
        }
        if into.len() > empty {
            return Ok(());
        }
        if self.error.is_none() && self.looking {
            self.error = self.look_for_lost();
        }
        let error = self.error.take().or_else(|| self.lost.values().next().cloned());
        error.map_or(Ok(()), Err)
    }

    fn commit(&mut self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError> {
        let mut list = self.assigned(topic, partition)?;
        list.set_all_offsets(Position::Offset(offset))
            .and_then(|()| self.consumer.commit(&list, CommitMode::Sync))
            .map_err(|e| self.failed(&e))
    }

    fn seek(&mut self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError> {
        self.assigned(topic, partition)?;
        if !self.seek_if_read(topic, partition, offset)? {
            self.read_again(topic, partition, offset)?;
        }
        let place: Place = (topic.into(), partition);
        self.lost.remove(&place);
        self.assigned.insert(place, offset);
        Ok(())
    }

    fn pause(&mut self, topic: &str, partition: Partition) -> Result<(), LogError> {
        let list = self.assigned(topic, partition)?;
        self.paused.insert((topic.into(), partition));
        self.consumer.pause(&list).map_err(|e| self.failed(&e))
    }

    fn resume(&mut self, topic: &str, partition: Partition) -> Result<(), LogError> {
        let list = self.assigned(topic, partition)?;
        self.paused.remove(&(topic.into(), partition));
        self.consumer.resume(&list).map_err(|e| self.failed(&e))
    }
}

impl Drop for KafkaGroupReader {
    fn drop(&mut self) {
        self.leave();
    }
}

fn subscribed(
    config: &ClientConfig,
    bootstrap: &str,
    group: &str,
    topics: &BTreeSet<Arc<str>>,
) -> Result<BaseConsumer<Rebalances>, LogError> {
    let told = |error: KafkaError| failed(&error, group, bootstrap, &LastWord::default());
    let consumer: BaseConsumer<Rebalances> = config.create_with_context(Rebalances::default()).map_err(told)?;
    let names: Vec<&str> = topics.iter().map(|name| &**name).collect();
    consumer.subscribe(&names).map_err(told)?;
    Ok(consumer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_fenced_now_and_then_joins_again_and_who_is_fenced_in_a_row_does_not() {
        let (mut fences, start) = (Fences::default(), Instant::now());
        assert!(fences.again(start));
        assert!(fences.again(start + IN_A_ROW / 2));
        assert!(fences.again(start + 2 * IN_A_ROW), "that was a while ago");
        assert!(fences.again(start + 2 * IN_A_ROW));
        assert!(!fences.again(start + 2 * IN_A_ROW));
    }
}
