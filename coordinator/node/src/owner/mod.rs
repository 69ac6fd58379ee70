//! The owner of one inbox partition: reads it, folds it, publishes what the fold decides, and appends what time it is and what was
//! acknowledged. One turn after the other; it never sleeps, and lets time pass only as its caller and the log's clock say.

pub(crate) mod fold;
mod headers;
pub mod opening;
mod pace;
mod publisher;
mod run;
pub mod seek;
pub mod status;
pub mod stop;
mod term;
pub mod watch;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sagaline_log::{Acknowledgement, Fetched, Log, Producer, Reader};
use sagaline_partition::state::Folding;
use sagaline_partition::store::{Reader as StoreReader, Store};
use sagaline_partition::{Faults, Halt, KnownRules, Partition};
use sagaline_schemas::proof::Key;
use sagaline_schemas::settings::Settings;
use sagaline_schemas::{LogId, Millis, Offset};
use sagaline_store::Trail;
use serde::Serialize;

use crate::owner::opening::{Expected, Origin};
use crate::owner::seek::Seeking;
use crate::owner::status::{ChannelStatus, PartitionStatus, Standing};
use crate::owner::stop::Stop;
pub use crate::owner::term::Role;
use crate::owner::term::{Own, Term};
use crate::owner::watch::{Keep, Watch};
use crate::window::lane_and_number;
use crate::{BootTime, Names, fail_point};

/// Two turns that lie further apart than this: the machine slept, or somebody else has taken over.
const LONGEST_GAP: Duration = Duration::from_secs(10);
/// The lane of the owner's own records: claims and Progresses.
const OWN_LANE: u64 = 0;
/// What is folded is committed, and seen by others, after so long where nothing more comes,
const COMMIT_IDLE: Duration = Duration::from_millis(20);
/// or after so long where it does: a saga that took several turns meanwhile is written once, and what came and went never.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// Or after so many bytes of the log.
const COMMIT_BYTES: usize = 8 << 20;
/// What is folded is flushed after so many bytes of the log,
const FLUSH_BYTES: usize = 64 << 20;
/// or after so long.
const FLUSH_EVERY: Duration = Duration::from_secs(10);
/// How often the log is asked for its end: status, and whether it still holds our position.
const BOUNDS_EVERY: Duration = Duration::from_secs(5);
/// How long a reader that fails is left alone.
const READ_BACKOFF: Duration = Duration::from_millis(200);

/// While so many outputs are under way, there is much to do;
const BUSY: usize = 16;
/// then what comes within so long is folded, committed and sent together: a turn, a request and an answer cost more than what a few records bring.
const GATHER: Duration = Duration::from_millis(4);

/// What an owner is told about itself.
#[derive(Clone, Debug)]
pub struct OwnerOptions {
    /// Which partition.
    pub partition: u32,
    /// What the topics are called.
    pub names: Names,
    /// The log's key.
    pub key: Key,
    /// The log's identity, by which this node seals what it appends.
    pub log_id: LogId,
    /// Who this is, for people.
    pub node: String,
    /// One replica is enough: development.
    pub single_broker: bool,
    /// Inputs to be passed over, learnt from Fault records that an earlier fold of this log met.
    pub faults: Faults,
    /// Which rules this program folds by.
    pub rules: KnownRules,
}

/// What a turn brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turned {
    /// Something was read, folded, published or acknowledged.
    pub worked: bool,
    /// The next turn should wait for so long: the log can't be read, or more is worth being gathered.
    pub pause: Duration,
}

/// The owner of one inbox partition.
pub struct Owner {
    options: OwnerOptions,
    log: Arc<dyn Log>,
    inbox: String,
    /// This partition, as headers name it.
    source: String,
    partition: Partition,
    reader: Box<dyn Reader>,
    producer: Box<dyn Producer>,
    /// Read and not folded.
    backlog: VecDeque<Fetched>,
    /// Where the log ended when it was last asked.
    log_end: Offset,
    /// Where it began then.
    log_start: Offset,
    bounds_at: BootTime,
    role: Role,
    /// When the group made it the owner, until it has published something.
    given: Option<BootTime>,
    term: Term,
    own: Own,
    next_lane: u64,
    last_turn: Option<(BootTime, Millis)>,
    /// Where the fold has panicked since the store was opened, and no record behind it was folded.
    panicked: Option<(Offset, u32)>,
    /// The furthest place at which it has.
    furthest: Option<(Offset, u32)>,
    /// It has panicked twice: the log ahead is looked through, and nothing is folded.
    seeking: Option<Seeking>,
    /// The last life ended in a death: where this one folds is written down until it has caught up.
    watch: Option<Watch>,
    dirty: bool,
    /// Bytes of the log that are folded and not committed.
    uncommitted: usize,
    committed_at: BootTime,
    unflushed: usize,
    flushed_at: BootTime,
    /// Own Progresses in a row whose two clocks disagree, and how far those of the last one lay apart, milliseconds.
    clock_faults: u32,
    apart: u64,
    trouble: Option<String>,
    /// The log could not be read.
    failure: Option<Failure>,
    restorable: Restorable,
    arrived: Vec<Acknowledgement>,
}

/// A reader that failed, and is to be made anew.
struct Failure {
    again_at: BootTime,
    pause: Duration,
}

/// What is known of a partition's verified checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Restorable {
    /// None are kept, or there is none.
    #[default]
    Never,
    /// Nobody has looked yet.
    Unknown,
    /// Stores can be made anew from the newest verified one.
    From {
        /// They go on at this offset.
        position: Offset,
        /// When it was taken: milliseconds since 1970.
        taken_at: Millis,
    },
}

impl Owner {
    /// Opens the partition on its store, if store and log fit together. Gives what is to be remembered beside the store. It is the only one
    /// until `take_role` says otherwise.
    ///
    /// # Errors
    /// Why it may not be folded.
    pub fn open(
        options: OwnerOptions,
        store: Box<dyn Store>,
        known: &Origin,
        log: Arc<dyn Log>,
    ) -> Result<(Self, Origin), Stop> {
        let info = opening::check_inbox(&*log, &options.names, options.single_broker)?;
        let OwnerOptions { partition, rules, key, faults, log_id, .. } = options.clone();
        let partition = Partition::open_as(rules, partition, store, key, faults)?;
        let origin = opening::check_store(
            &*log,
            &info,
            &partition,
            &Expected { partition: options.partition, log_id, origin: known },
        )?;
        let mut reader = log.reader(&info.name, options.partition, partition.next()).map_err(Stop::Log)?;
        let (log_start, log_end) = reader.bounds().map_err(Stop::Log)?;
        tracing::info!(partition = options.partition, "store at {}, log at {log_end}", partition.next());
        let owner = Self {
            producer: log.producer().map_err(Stop::Log)?,
            source: format!("/{}/{}", info.name, options.partition),
            inbox: info.name,
            partition,
            reader,
            backlog: VecDeque::new(),
            log_end,
            log_start,
            bounds_at: Duration::ZERO,
            role: Role::Owner,
            given: None,
            term: Term::Following { claim_at: Duration::ZERO },
            own: Own::default(),
            next_lane: OWN_LANE + 1,
            last_turn: None,
            panicked: None,
            furthest: None,
            seeking: None,
            watch: None,
            dirty: false,
            uncommitted: 0,
            committed_at: Duration::ZERO,
            unflushed: 0,
            flushed_at: Duration::ZERO,
            clock_faults: 0,
            apart: 0,
            trouble: None,
            failure: None,
            restorable: Restorable::default(),
            arrived: Vec::new(),
            options,
            log,
        };
        Ok((owner, origin))
    }

    /// The last life that had the store died, there or somewhere: until the log's end of now is folded, this one writes down where it is.
    pub fn watch(&mut self, last: Trail, keep: Keep) {
        self.watch = Some(Watch::begin(last, self.log_end, keep));
    }

    /// Reads, folds, publishes, reports: at most about a second of work. Waits at most `wait` for the next record where there is none.
    ///
    /// # Errors
    /// Why the partition is given up. What was folded since the last commit is lost, which costs nothing but folding it again.
    pub fn turn(&mut self, now: BootTime, wait: Duration) -> Result<Turned, Stop> {
        let wall = self.log.wall_clock();
        self.notice_gap(now, wall);
        let answered = self.take_answers(now, wall)?;
        let wait = self.patience(now, wall, wait)?;
        let read = if self.seeking.is_some() { self.seek(now, wait)? } else { self.read(now, wait)? };
        // It may have slept while it waited.
        self.notice_gap(now, self.log.wall_clock());
        let folded = self.fold_backlog()?;
        self.heed_claims(now)?;
        let published = self.act(now, wall)?;
        // What was appended goes, together.
        self.producer.poll(Duration::ZERO, &mut self.arrived);
        self.settle(now, folded)?;
        let worked = answered || folded || published || !self.backlog.is_empty() || self.seeking.is_some();
        let pause = match (read, self.producer.in_flight() >= BUSY && self.backlog.is_empty()) {
            (false, _) => READ_BACKOFF,
            (true, true) => GATHER,
            (true, false) => Duration::ZERO,
        };
        Ok(Turned { worked, pause })
    }

    /// Publishes no more; commits and flushes what is folded.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn close(&mut self) -> Result<(), Stop> {
        self.fall_silent(BootTime::MAX);
        self.partition.commit()?;
        Ok(self.partition.flush()?)
    }

    /// Commits and flushes what is folded, if the fold stands between two records: then the disk holds the state at the offset that it gives,
    /// whole, and nothing behind it. None: a record is half folded, or the fold has just panicked; ask after the next turn.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn rest(&mut self, now: BootTime) -> Result<Option<Offset>, Stop> {
        let between = self.partition.meta().is_some_and(|meta| meta.folding == Folding::Between);
        if !between || self.panicked.is_some() || self.seeking.is_some() {
            return Ok(None);
        }
        self.partition.commit()?;
        self.partition.flush()?;
        (self.dirty, self.uncommitted, self.unflushed) = (false, 0, 0);
        (self.committed_at, self.flushed_at) = (now, now);
        Ok(Some(self.partition.next()))
    }

    /// From which offset on a verified checkpoint goes on: a log that begins no later is in order.
    pub fn learn_restorable(&mut self, restorable: Restorable) {
        self.restorable = restorable;
    }

    /// What is committed, for other threads.
    pub fn reader(&self) -> Arc<dyn StoreReader> {
        self.partition.reader()
    }

    /// Every record before this offset is folded, committed, and seen by `reader`.
    pub fn committed(&self) -> Offset {
        self.partition.committed()
    }

    /// The record that is folded next.
    pub fn position(&self) -> Offset {
        self.partition.next()
    }

    /// A machine that slept, or a thread that stood still, may have been succeeded long ago.
    pub(super) fn notice_gap(&mut self, now: BootTime, wall: Millis) {
        if let Some((last_boot, last_wall)) = self.last_turn {
            let apart = now.saturating_sub(last_boot).max(Duration::from_millis(wall.abs_diff(last_wall)));
            if apart > LONGEST_GAP && !matches!(self.term, Term::Following { .. }) {
                tracing::warn!(partition = self.options.partition, ?apart, "silent: two turns lay too far apart");
                self.fall_silent(now);
            }
        }
        self.last_turn = Some((now, wall));
    }

    fn take_answers(&mut self, now: BootTime, wall: Millis) -> Result<bool, Stop> {
        let mut arrived = std::mem::take(&mut self.arrived);
        self.producer.poll(Duration::ZERO, &mut arrived);
        let some = !arrived.is_empty();
        for Acknowledgement { ticket, outcome } in arrived.drain(..) {
            match lane_and_number(ticket) {
                (OWN_LANE, number) => self.own_answered(number, outcome, now),
                (lane, number) => {
                    if let Term::Live { publisher, .. } = &mut self.term {
                        publisher.answered(lane, number, &outcome, now, wall);
                    }
                }
            }
        }
        self.arrived = arrived;
        if some
            && let Term::Live { publisher, .. } = &self.term
            && publisher.has_news()
        {
            fail_point::pass(fail_point::AFTER_PUBLISH);
        }
        Ok(some)
    }

    /// How long the reader may be waited for: acknowledgements and timers come meanwhile.
    fn patience(&mut self, now: BootTime, wall: Millis, wait: Duration) -> Result<Duration, Stop> {
        const ANSWERS: Duration = Duration::from_millis(2);
        if !self.backlog.is_empty() {
            return Ok(Duration::ZERO);
        }
        let until_commit = COMMIT_IDLE.saturating_sub(now.saturating_sub(self.committed_at));
        let wait = if self.dirty { wait.min(until_commit) } else { wait };
        let wait = if self.producer.in_flight() > 0 { wait.min(ANSWERS) } else { wait };
        let Term::Live { publisher, pace, .. } = &self.term else { return Ok(wait) };
        let wait = if publisher.has_news() { wait.min(Duration::from_millis(20)) } else { wait };
        let Some(due) = self.partition.next_due()? else { return Ok(wait) };
        // Not before it may fire, and never in a circle that eats a processor.
        let until_due = Duration::from_millis(due.saturating_sub(wall).max(1) as u64);
        Ok(wait.min(until_due.max(pace.until_fire(now))))
    }

    /// Everything folded is taken whole by the store now and then, and more seldom by the disk.
    fn settle(&mut self, now: BootTime, folded: bool) -> Result<(), Stop> {
        let long_ago = now.saturating_sub(self.flushed_at) >= FLUSH_EVERY;
        let flushes = self.unflushed >= FLUSH_BYTES || (long_ago && self.unflushed > 0);
        let patience = if folded { COMMIT_EVERY } else { COMMIT_IDLE };
        let commits = now.saturating_sub(self.committed_at) >= patience || self.uncommitted >= COMMIT_BYTES;
        if self.dirty && (commits || flushes) {
            self.partition.commit()?;
            self.dirty = false;
            self.uncommitted = 0;
            self.committed_at = now;
        }
        if flushes {
            self.partition.flush()?;
            self.unflushed = 0;
            self.flushed_at = now;
        }
        Ok(())
    }

    /// What people are told.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn status(&self) -> Result<PartitionStatus, Stop> {
        let mut status = PartitionStatus::opening(self.options.partition);
        status.position = self.partition.committed();
        status.log_end = self.log_end.max(status.position);
        status.trouble = self.trouble.clone().or_else(|| self.own.trouble.clone());
        status.trouble = status.trouble.or_else(|| self.clock_trouble()).or_else(|| self.trimmed());
        (status.standing, status.claim) = match &self.term {
            Term::Following { .. } if self.role == Role::Standby => (Standing::Standby, None),
            Term::Following { .. } => (Standing::Following, None),
            Term::Claiming => (Standing::Claiming, None),
            Term::Live { claim, .. } => (Standing::Live, Some(*claim)),
        };
        if let Some(meta) = self.partition.meta() {
            status.log_time = meta.log_time;
            status.claimed_by = meta.claimed_by.clone();
            status.clock_fault = meta.clock_fault.clone();
            status.counters = meta.counters.clone();
        }
        for (channel, state) in self.partition.channels().clone() {
            let (in_flight, down) = match &self.term {
                Term::Live { publisher, .. } => publisher.state_of(&channel),
                Term::Following { .. } | Term::Claiming => (0, None),
            };
            status.channels.push(ChannelStatus { channel, outbox: state.length, in_flight, down });
        }
        Ok(status)
    }

    /// How far this node's clock and the broker's lie apart, milliseconds, while that keeps it silent; none: it does not.
    pub fn clocks_apart(&self) -> Option<u64> {
        let silent = !matches!(self.term, Term::Live { .. });
        (silent && self.clock_faults > 0).then_some(self.apart)
    }

    fn clock_trouble(&self) -> Option<String> {
        let apart = self.clocks_apart()?;
        Some(format!(
            "this node's clock and the broker's lie {apart} ms apart: no time can pass, so nothing is published here. Set both by NTP; \
             it then goes on by itself"
        ))
    }

    /// The log has lost its beginning, and no verified checkpoint takes its place: what is folded stands, and nobody can fold it again.
    fn trimmed(&self) -> Option<String> {
        let (partition, start) = (self.options.partition, self.log_start);
        let in_order = match self.restorable {
            Restorable::Never => start == 0,
            Restorable::Unknown => true,
            Restorable::From { position, .. } => start <= position,
        };
        (!in_order).then(|| {
            format!(
                "the log of inbox partition {partition} begins at offset {start}: the records before it were deleted. All goes on, but no store can be \
                 made anew from this log. Take a checkpoint and have it verified (`sagaline checkpoint take`, then `verify`), or keep the stores of a \
                 stopped node as a copy, and find out who deletes records"
            )
        })
    }

    /// The settings in force; none: not known before the first record.
    pub fn settings(&self) -> Option<&Settings> {
        self.partition.meta().map(|meta| &meta.settings)
    }
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

#[cfg(test)]
mod tests;
