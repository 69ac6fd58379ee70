//! One channel's outbox on its way to its topic: in order, from the first output that is not acknowledged. The first error ends the run;
//! once nothing is in flight a new one begins where the acknowledged prefix ends (records.md section 2, design section 4).

use std::collections::VecDeque;
use std::time::Duration;

use sagaline_log::{Log, LogError, Producer, Record};
use sagaline_partition::store::StoreError;
use sagaline_partition::{Partition, Published};
use sagaline_schemas::record::Acked;
use sagaline_schemas::{Millis, OutputHash, Position};

use crate::BootTime;
use crate::owner::headers;
use crate::owner::status::Down;
use crate::window::{Window, ticket};

/// Most outputs of one channel in flight: one stalled topic must not fill the client's queue for all others.
const MAX_IN_FLIGHT: usize = 2_000;
/// Most bytes of one channel in flight.
const MAX_BYTES_IN_FLIGHT: usize = 8 << 20;
/// Outputs kept in memory between fold and append. What is beyond is read from the outbox when its turn comes.
const MAX_TAIL: usize = 4_000;
/// Outputs read from the outbox at once.
const PAGE: usize = 500;
/// Nothing more is handed over in a turn that has lasted so long, milliseconds.
const TURN: u64 = 900;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(10);

/// An output on its way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    position: Position,
    hash: OutputHash,
    bytes: usize,
}

/// A run that was ended by an error.
#[derive(Debug)]
struct Ended {
    since: Millis,
    why: String,
    attempts: u32,
    again_at: BootTime,
}

/// What a run works with while it is pumped.
pub struct Tools<'a> {
    /// The inbox partition, as headers name it.
    pub source: &'a str,
    /// This node's name.
    pub node: &'a str,
    pub partition: &'a Partition,
    pub log: &'a dyn Log,
    pub producer: &'a mut dyn Producer,
    pub now: BootTime,
    pub wall: Millis,
}

impl Tools<'_> {
    /// Whether this turn has taken so long that the rest is for the next.
    pub fn is_over(&self) -> bool {
        self.log.wall_clock().abs_diff(self.wall) >= TURN
    }
}

/// One channel, published in runs.
#[derive(Debug)]
pub struct Run {
    pub channel: String,
    topic: String,
    /// Partitions of the topic, for outputs that go by their key; asked when first needed.
    partitions: Option<u32>,
    lane: u64,
    window: Window<Flight>,
    /// Appends without an answer, those of ended runs included.
    pub in_flight: usize,
    bytes_in_flight: usize,
    /// The last output handed over in this run.
    cursor: Option<Position>,
    /// Outputs behind the cursor, while `at_tail`: all of them.
    tail: VecDeque<Published>,
    at_tail: bool,
    /// The last output that `tail` ever had: after a discarded batch the fold makes the same ones again.
    newest: Option<Position>,
    acknowledged: Option<(Position, OutputHash)>,
    reported: Option<Position>,
    ended: Option<Ended>,
    /// Whether the run goes: false while an ended one is waited for.
    runs: bool,
}

impl Run {
    /// Begins at the first entry of the outbox.
    pub fn new(channel: String, topic: String, lane: u64) -> Self {
        Self {
            channel,
            topic,
            partitions: None,
            lane,
            window: Window::default(),
            in_flight: 0,
            bytes_in_flight: 0,
            cursor: None,
            tail: VecDeque::new(),
            at_tail: false,
            newest: None,
            acknowledged: None,
            reported: None,
            ended: None,
            runs: true,
        }
    }

    /// Loses what the outbox holds: for the fail point that a test must see.
    pub fn leave_outbox(&mut self, partition: &Partition) -> Result<(), StoreError> {
        while let Some(last) = partition.outbox(&self.channel, self.cursor, PAGE)?.last() {
            self.cursor = Some(last.position);
        }
        Ok(())
    }

    /// The fold has made an output of this channel.
    pub fn offer(&mut self, output: Published) {
        if !self.at_tail || self.newest >= Some(output.position) {
            return;
        }
        if self.tail.len() >= MAX_TAIL {
            self.at_tail = false;
            return;
        }
        self.newest = Some(output.position);
        self.tail.push_back(output);
    }

    /// Hands over what the window has room for.
    pub fn pump(&mut self, tools: &mut Tools<'_>) -> Result<(), StoreError> {
        if !self.runs && !self.begin_again(tools.now) {
            return Ok(());
        }
        while self.runs
            && !tools.is_over()
            && self.window.len() < MAX_IN_FLIGHT
            && self.bytes_in_flight < MAX_BYTES_IN_FLIGHT
        {
            let Some(mut output) = self.next(tools.partition)? else { break };
            match self.append(&mut output, tools) {
                Ok(()) => {}
                Err(LogError::QueueFull { .. }) => {
                    self.tail.push_front(output);
                    break;
                }
                Err(error) => self.end(&error, tools.now, tools.wall),
            }
        }
        Ok(())
    }

    fn next(&mut self, partition: &Partition) -> Result<Option<Published>, StoreError> {
        if self.tail.is_empty() && !self.at_tail {
            let page = partition.outbox(&self.channel, self.cursor, PAGE)?;
            self.at_tail = page.len() < PAGE;
            self.newest = page.last().map(|last| last.position).max(self.newest);
            self.tail.extend(page);
        }
        Ok(self.tail.pop_front())
    }

    /// The output keeps its bytes where it is not taken.
    fn append(&mut self, published: &mut Published, tools: &mut Tools<'_>) -> Result<(), LogError> {
        let headers = headers::of(published, tools.source, tools.node);
        let output = &mut published.output;
        let partition = match output.partition {
            Some(partition) => partition,
            None => self.by_key(&output.key, tools.log)?,
        };
        let (key, value) = (std::mem::take(&mut output.key.0), std::mem::take(&mut output.value.0));
        let record = Record { key, value, headers };
        let number = self.window.next_number();
        let appended = tools.producer.append(&self.topic, partition, &record, ticket(self.lane, number));
        if let Err(error) = appended {
            (output.key.0, output.value.0) = (record.key, record.value);
            return Err(error);
        }
        let flight = Flight { position: published.position, hash: output.hash, bytes: record.value.len() };
        self.bytes_in_flight += flight.bytes;
        self.in_flight += 1;
        self.cursor = Some(flight.position);
        self.window.push(flight);
        Ok(())
    }

    fn by_key(&mut self, key: &[u8], log: &dyn Log) -> Result<u32, LogError> {
        let partitions = match self.partitions {
            Some(known) => known,
            None => {
                let missing = || LogError::NoTopic { topic: self.topic.clone() };
                log.topic(&self.topic)?.ok_or_else(missing)?.partitions
            }
        };
        self.partitions = Some(partitions);
        Ok((xxhash_rust::xxh3::xxh3_64(key) % u64::from(partitions.max(1))) as u32)
    }

    /// The log says what became of an append.
    pub fn answered(&mut self, number: u64, outcome: &Result<i64, LogError>, now: BootTime, wall: Millis) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if !self.runs {
            return;
        }
        match outcome {
            Ok(_) => {
                self.window.landed(number);
                while let Some(flight) = self.window.take_acknowledged() {
                    self.bytes_in_flight -= flight.bytes;
                    self.acknowledged = Some((flight.position, flight.hash));
                    self.ended = None;
                }
            }
            Err(error) => self.end(error, now, wall),
        }
    }

    fn end(&mut self, error: &LogError, now: BootTime, wall: Millis) {
        let (since, attempts) = self.ended.as_ref().map_or((wall, 0), |ended| (ended.since, ended.attempts));
        let wait = FIRST_BACKOFF.saturating_mul(1 << attempts.min(16)).min(LAST_BACKOFF);
        if attempts == 0 {
            tracing::warn!(channel = self.channel, %error, "channel down: its outputs are kept and sent again");
        }
        self.ended = Some(Ended { since, why: error.to_string(), attempts: attempts + 1, again_at: now + wait });
        self.runs = false;
        self.window.void();
        self.bytes_in_flight = 0;
        self.tail.clear();
        self.at_tail = false;
    }

    fn begin_again(&mut self, now: BootTime) -> bool {
        let over = self.ended.as_ref().is_none_or(|ended| now >= ended.again_at);
        if self.in_flight == 0 && over {
            self.cursor = self.acknowledged.map(|(position, _)| position);
            self.partitions = None;
            self.runs = true;
        }
        self.runs
    }

    /// Whether acknowledgements have moved since the last Progress.
    pub fn has_news(&self) -> bool {
        self.acknowledged.is_some_and(|(through, _)| self.reported < Some(through))
    }

    /// What the next Progress is to say of this channel; none: nothing new.
    pub fn news(&self) -> Option<Acked> {
        let (through, hash) = self.acknowledged.filter(|_| self.has_news())?;
        Some(Acked { channel: self.channel.clone(), through, hash })
    }

    /// A Progress that says so is folded.
    pub fn reported(&mut self, through: Position) {
        self.reported = self.reported.max(Some(through));
    }

    /// Since when and why the topic takes nothing.
    pub fn down(&self) -> Option<Down> {
        self.ended.as_ref().map(|ended| Down { since: ended.since, why: ended.why.clone() })
    }
}
