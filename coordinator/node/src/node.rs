//! The threads of one process: one for each inbox partition, one for ingress, one for its membership among the coordinators, one that looks at
//! the inbox topic, one for what people ask. The only place here that starts threads and asks the machine for the time; what they do is decided elsewhere.

mod appender;
mod apply;
mod board;
mod fitness;
mod halted;
mod keeper;
mod membership;
mod past;
mod poison;
mod seat;
mod settings;
mod upgrade;
mod withdrawal;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sagaline_log::clock::{Clock, SystemClock};
use sagaline_log::{Log, LogError, Record};
use sagaline_partition::KnownRules;
use sagaline_partition::store::StoreError;
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{Body, Fault, Reply};
use sagaline_schemas::{Offset, Partition, schema};
use sagaline_store::{Memory, Shared};

use crate::checkpoint::{CheckpointError, Keeping};
use crate::ingress::{Ingress, IngressOptions, IngressStatus};
use crate::owner::Restorable;
use crate::owner::stop::Stop;
use crate::registry::{ApplyError, Registry};
use crate::topics::{self, Inbox, TopicsError};
use crate::{Names, Standing, sealed};
use appender::Appender;
use board::Board;
pub use board::PartitionHandle;
use fitness::Fitness;
use membership::Membership;
pub use past::{Moment, Past, PastError};
use seat::Seat;
pub use settings::SetError;
pub use upgrade::RaiseError;
use withdrawal::Withdrawal;

/// The fold's stack: expressions and definitions are bounded, this holds their worst case many times over (protocol review F6).
const FOLD_STACK: usize = 16 << 20;
/// Longest wait for a record while nothing else is to be done: also how long a stop may take.
const IDLE: Duration = Duration::from_millis(50);
/// How long partitions may take to open before the node counts as started.
const OPENING: Duration = Duration::from_secs(60);

/// What a node is told about itself.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Where the stores lie; none: in memory.
    pub data_dir: Option<PathBuf>,
    /// What all topics begin with.
    pub prefix: String,
    /// The log's key.
    pub key: Key,
    /// Who this is, for people.
    pub name: String,
    /// One replica is enough: development.
    pub single_broker: bool,
    /// What all stores may use together.
    pub memory: Memory,
    /// Which rules it folds by.
    pub rules: KnownRules,
    /// How it keeps checkpoints; none: it keeps none.
    pub checkpoints: Option<Keeping>,
    /// After how many panics, each on a store opened anew, an input is passed over without a person; none: never.
    pub skip_poison: Option<NonZeroU32>,
}

impl NodeOptions {
    /// A node whose stores lie in memory, and that asks for nothing: one broker is enough, no checkpoints are kept, no input is passed over.
    #[must_use]
    pub fn new(prefix: &str, key: Key, name: &str) -> Self {
        Self {
            data_dir: None,
            prefix: prefix.to_owned(),
            key,
            name: name.to_owned(),
            single_broker: true,
            memory: Memory::default(),
            rules: KnownRules::OWN,
            checkpoints: None,
            skip_poison: None,
        }
    }
}

/// What goes wrong with a node.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The topics are not as they should be.
    #[error(transparent)]
    Topics(#[from] TopicsError),
    /// The log does not do what it should.
    #[error(transparent)]
    Log(#[from] LogError),
    /// No partition can be opened; the first one's reason.
    #[error(transparent)]
    Stopped(Stop),
    /// The log's rules were raised beyond what this program knows.
    #[error("this node takes nothing more: {0}")]
    Outdated(Stop),
    /// A store does not do what it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Applying went wrong.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// Checkpoints do not do what they should.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// There is no such partition at this node.
    #[error("this node has no inbox partition {partition}: it has {count}")]
    NoPartition {
        /// What was asked for.
        partition: Partition,
        /// How many there are.
        count: u32,
    },
    /// It is not known yet what became of it.
    #[error(
        "inbox partition {partition} has not folded offset {offset} in time: ask again, `sagaline ps` shows where it stands"
    )]
    NotFolded {
        /// Inbox partition.
        partition: Partition,
        /// What was waited for.
        offset: Offset,
    },
    /// The node is being stopped.
    #[error("the node is being stopped")]
    Stopping,
    /// The system gives no thread.
    #[error("the system gives no thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// What all threads share.
struct Common {
    options: NodeOptions,
    names: Names,
    inbox: Inbox,
    log: Arc<dyn Log>,
    boards: Vec<Arc<Board>>,
    ingress: Mutex<IngressStatus>,
    /// What hinders this node's membership among the coordinators.
    membership: Mutex<Option<String>>,
    fitness: Fitness,
    registry: Registry,
    /// One checkpoint of this node's at a time is taken.
    taking: Mutex<()>,
    stopping: AtomicBool,
}

impl Common {
    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn crowded(&self) -> BTreeSet<String> {
        self.boards.iter().flat_map(|board| board.crowded()).collect()
    }

    /// Before the first trim of a partition. What is kept is read anew: afterwards it is too late.
    fn keep_genesis(&self, partition: Partition) -> Result<(), LogError> {
        sealed::keep_genesis(&*self.log, &self.names, &self.options.key, self.inbox.log_id, [partition])
    }
}

/// A running node.
pub struct Node {
    common: Arc<Common>,
    appender: Appender,
    /// One change of the settings or the rules at a time.
    setting: Mutex<()>,
    /// One page of questions beside the folds at a time.
    reconciling: Mutex<()>,
    /// One past at a time is made.
    remembering: Mutex<()>,
    partitions: Vec<JoinHandle<Result<(), Stop>>>,
    /// The other threads, in the order in which they were started: the last is stopped first.
    others: Vec<(&'static str, JoinHandle<()>)>,
}

impl Node {
    /// Checks the topics, opens all partitions and starts. Partitions that can't be folded are shown as halted; the others go on, and so
    /// does the node when there are none: what a halted fold waits for is asked of the node.
    ///
    /// # Errors
    /// When the topics are not as they should be, or no partition can be opened: the way out of that is for a stopped node.
    pub fn start(options: NodeOptions, log: Arc<dyn Log>) -> Result<Self, NodeError> {
        let names = Names::new(options.prefix.clone());
        let inbox = topics::check(&*log, &names, &options.key, options.single_broker)?;
        // Until somebody has looked into the vault.
        let restorable = options.checkpoints.as_ref().map_or(Restorable::Never, |_| Restorable::Unknown);
        let boards = (0..inbox.partitions).map(|number| Arc::new(Board::new(number, restorable))).collect();
        let common = Arc::new(Common {
            names,
            inbox,
            boards,
            ingress: Mutex::default(),
            membership: Mutex::default(),
            fitness: Fitness::default(),
            registry: Registry::default(),
            taking: Mutex::default(),
            stopping: AtomicBool::new(false),
            log: Arc::clone(&log),
            options,
        });
        let mut node = Self {
            appender: Appender::start(log.producer()?)?,
            setting: Mutex::default(),
            reconciling: Mutex::default(),
            remembering: Mutex::default(),
            partitions: Vec::new(),
            others: Vec::new(),
            common,
        };
        node.start_partitions()?;
        if let Err(stop) = node.wait_opened() {
            node.stop()?;
            return Err(NodeError::Stopped(stop));
        }
        // Only now, for who is given a partition is to be able to fold it.
        node.spawn("membership", run_membership)?;
        node.spawn("fitness", fitness::run)?;
        node.start_ingress()?;
        if node.common.options.checkpoints.is_some() {
            node.spawn("checkpoints", keeper::keep)?;
            node.spawn("verifier", keeper::verify)?;
        }
        Ok(node)
    }

    fn start_partitions(&mut self) -> Result<(), NodeError> {
        let shared = Shared::new(self.common.options.memory);
        for board in &self.common.boards {
            let seat = Seat::new(Arc::clone(&self.common), Arc::clone(board), shared.clone());
            let name = format!("partition-{}", board.number);
            let thread = thread::Builder::new().name(name).stack_size(FOLD_STACK).spawn(move || seat.run())?;
            self.partitions.push(thread);
        }
        Ok(())
    }

    /// Until every partition is open or halted. An error if none could be opened.
    fn wait_opened(&self) -> Result<(), Stop> {
        let deadline = Instant::now() + OPENING;
        let boards = &self.common.boards;
        boards.iter().for_each(|board| board.wait_opened(deadline));
        let closed: Option<Vec<Stop>> = boards.iter().map(|board| board.never_opened()).collect();
        closed.and_then(|stops| stops.into_iter().next()).map_or(Ok(()), Err)
    }

    fn spawn(&mut self, name: &'static str, run: impl FnOnce(&Common) + Send + 'static) -> Result<(), NodeError> {
        let common = Arc::clone(&self.common);
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(FOLD_STACK).spawn(move || run(&common))?;
        self.others.push((name, thread));
        Ok(())
    }

    fn start_ingress(&mut self) -> Result<(), NodeError> {
        let common = Arc::clone(&self.common);
        let options = IngressOptions {
            names: common.names.clone(),
            key: common.options.key.clone(),
            inbox: common.inbox.clone(),
            member: common.options.name.clone(),
        };
        let ingress = Ingress::new(options, common.registry.clone(), Arc::clone(&common.log))?;
        self.spawn("ingress", move |common| run_ingress(common, ingress))
    }

    /// Every inbox partition at this node, by number.
    pub fn partitions(&self) -> Vec<PartitionHandle> {
        self.common.boards.iter().map(|board| PartitionHandle::new(Arc::clone(board))).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn partition(&self, partition: Partition) -> Result<PartitionHandle, NodeError> {
        let count = self.common.inbox.partitions;
        let board = self.common.boards.get(partition as usize).ok_or(NodeError::NoPartition { partition, count })?;
        Ok(PartitionHandle::new(Arc::clone(board)))
    }

    /// The inbox: its identity and size.
    pub fn inbox(&self) -> &Inbox {
        &self.common.inbox
    }

    /// What the topics are called.
    pub fn names(&self) -> &Names {
        &self.common.names
    }

    /// The log.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.common.log
    }

    /// What is known and active.
    pub fn registry(&self) -> &Registry {
        &self.common.registry
    }

    /// What ingress does.
    pub fn ingress(&self) -> IngressStatus {
        self.common.ingress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What hinders this node's membership among the coordinators; none: nothing.
    pub fn membership_trouble(&self) -> Option<String> {
        self.common.membership.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Channels whose outbox is over the logged limit at one partition or more: starts that need them are to be refused.
    pub fn crowded(&self) -> BTreeSet<String> {
        self.common.crowded()
    }

    /// The log's key: what is asked beside the folds is proven by it, too.
    pub(crate) fn key(&self) -> &Key {
        &self.common.options.key
    }

    /// Whoever asks beside the folds does so alone, while this is held.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        self.reconciling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the node is being stopped: nothing is waited for any more.
    pub(crate) fn is_stopping(&self) -> bool {
        self.common.stopping()
    }

    /// Appends a record to an inbox partition, proved by the log's key. Durable once this returns. After an error it may lie there all
    /// the same: requests are to be repeated under the same id, which is asking once.
    ///
    /// # Errors
    /// When the log refuses, or says nothing within 30 s.
    pub fn append(&self, partition: Partition, body: &Body) -> Result<Offset, NodeError> {
        self.partition(partition)?;
        self.refuse_if_outdated()?;
        let record = sealed::record(&self.common.options.key, self.common.inbox.log_id, partition, body);
        self.append_to(&self.common.names.inbox(), partition, record)
    }

    /// Appends what somebody says of an effect, proved by its token alone. Durable once this returns.
    ///
    /// # Errors
    /// When the log refuses, or says nothing within 30 s.
    pub fn append_reply(&self, partition: Partition, reply: Reply) -> Result<Offset, NodeError> {
        self.partition(partition)?;
        self.refuse_if_outdated()?;
        let value = proof::unsealed(schema::INBOX.fingerprint, &Body::Reply(reply));
        self.append_to(&self.common.names.inbox(), partition, Record { value, ..Record::default() })
    }

    /// Has an input passed over, as a person says. A partition that has halted there goes on.
    ///
    /// # Errors
    /// When the log refuses, or says nothing within 30 s.
    pub fn skip(&self, partition: Partition, fault: Fault) -> Result<Offset, NodeError> {
        let offset = self.append(partition, &Body::Fault(fault))?;
        self.common.boards[partition as usize].tell();
        Ok(offset)
    }

    /// Appends a record to any topic, as it is. Durable once this returns.
    ///
    /// # Errors
    /// When the log refuses, or says nothing within 30 s.
    pub fn append_to(&self, topic: &str, partition: Partition, record: Record) -> Result<Offset, NodeError> {
        if self.common.stopping() {
            return Err(NodeError::Stopping);
        }
        Ok(self.appender.append(topic, partition, record)?)
    }

    /// Waits until a record is folded and to be seen by readers.
    ///
    /// # Errors
    /// `NotFolded` when that takes longer.
    pub fn wait_folded(&self, partition: Partition, offset: Offset, timeout: Duration) -> Result<(), NodeError> {
        let handle = self.partition(partition)?;
        if handle.wait_folded(offset, timeout) { Ok(()) } else { Err(NodeError::NotFolded { partition, offset }) }
    }

    /// Stops cleanly: ingress first, then each partition publishes no more, commits and flushes.
    ///
    /// # Errors
    /// The first partition's that could not be flushed. A halted one is no error: its reason was told.
    pub fn stop(mut self) -> Result<(), NodeError> {
        self.halt_threads()
    }

    fn halt_threads(&mut self) -> Result<(), NodeError> {
        self.common.stopping.store(true, Ordering::Relaxed);
        for (name, thread) in self.others.drain(..).rev() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread {name} had panicked");
            }
        }
        self.partitions.iter().for_each(|partition| partition.thread().unpark());
        let mut outcome = Ok(());
        for partition in self.partitions.drain(..) {
            let closed = partition.join().unwrap_or(Ok(()));
            outcome = outcome.and(closed);
        }
        outcome.map_err(NodeError::Stopped)
    }
}

/// A node that is dropped is stopped, too; `stop` tells what came of it.
impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.halt_threads() {
            tracing::error!(%error, "the node was not stopped cleanly");
        }
    }
}

fn run_membership(common: &Common) {
    let (group, member) = (common.names.coordinators_group(), common.options.name.clone());
    let mut membership = Membership::new(Arc::clone(&common.log), group, member, common.names.inbox());
    let mut withdrawal = Withdrawal::default();
    while !common.stopping() {
        let withdrawn = withdrawal.look(&common.sights(&membership), Instant::now());
        let turned = match common.outdated().or(withdrawn) {
            Some(stop) => membership.leave(&stop),
            None => membership.turn(IDLE),
        };
        for board in &common.boards {
            board.give_role(membership.role(board.number));
        }
        common.membership.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&membership.trouble);
        if !turned {
            thread::park_timeout(IDLE);
        }
    }
}

fn run_ingress(common: &Common, mut ingress: Ingress) {
    while !common.stopping() {
        if let Some(stop) = common.outdated() {
            ingress.rest(&stop);
            common.ingress.lock().unwrap_or_else(PoisonError::into_inner).clone_from(ingress.status());
            thread::park_timeout(IDLE);
            continue;
        }
        ingress.set_crowded(common.crowded());
        ingress.set_settings(common.boards.iter().map(|board| board.settings()));
        if let Err(error) = ingress.turn(SystemClock.since_boot(), IDLE) {
            tracing::warn!(%error, "ingress: the log does not do what it should");
            thread::park_timeout(IDLE);
        } else if ingress.status().topics.is_empty() {
            // Nothing to wait for but the registry.
            thread::park_timeout(IDLE);
        }
        common.ingress.lock().unwrap_or_else(PoisonError::into_inner).clone_from(ingress.status());
    }
    if let Err(error) = ingress.commit() {
        tracing::warn!(%error, "ingress: the last offsets are not committed; a little is read again");
    }
}

/// Whether a partition that stands like this is open.
fn is_opened(standing: &Standing) -> bool {
    match standing {
        Standing::Opening => false,
        Standing::Standby
        | Standing::Following
        | Standing::Claiming
        | Standing::Live
        | Standing::Stopped
        | Standing::Halted { .. } => true,
    }
}

#[cfg(test)]
mod tests;
