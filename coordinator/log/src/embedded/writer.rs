//! The writer: one thread that takes everything that has gathered, writes it with one call, syncs once and only then tells who
//! waits. While it syncs the next lot gathers: that is the whole of group commit.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex};

use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Millis, Offset, Partition};

use super::entry::{Appended, Committed, Entry, Trimmed};
use super::journal::Appender;
use super::topics::{Catalog, Topic, made};
use crate::clock::SteadyClock;
use crate::mailbox::Mailbox;
use crate::{Acknowledgement, LogError, Ticket, TopicInfo};

/// Bytes written with one sync, about: more waits for the next.
const BATCH_BYTES: usize = 8 << 20;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Task {
    /// Append a record.
    Append(Append),
    /// Make a topic, and tell.
    Make(TopicInfo, SyncSender<Result<(), LogError>>),
    /// Remember a group's offset.
    Commit(Committed),
    /// Show readers nothing below an offset of a partition, and tell.
    Trim(Arc<Topic>, Partition, Offset, SyncSender<Result<(), LogError>>),
}

/// A record on its way.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) topic: Arc<Topic>,
    pub(super) partition: Partition,
    /// In the crate's binary form.
    pub(super) record: Vec<u8>,
    pub(super) ticket: Ticket,
    pub(super) mailbox: Arc<Mailbox>,
}

/// What waits for the writer.
#[derive(Debug, Default)]
struct Gathered {
    tasks: VecDeque<Task>,
    bytes: usize,
    closed: bool,
    /// Why nothing is taken any more.
    failed: Option<LogError>,
}

/// Between those who ask and the writer.
#[derive(Debug)]
pub(super) struct Queue {
    gathered: Mutex<Gathered>,
    changed: Condvar,
    /// Bytes of records that may wait.
    limit: usize,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { gathered: Mutex::default(), changed: Condvar::new(), limit }
    }

    fn gathered(&self) -> std::sync::MutexGuard<'_, Gathered> {
        self.gathered.lock().expect("nothing panics with the queue in hand")
    }

    /// Takes a task, unless the log has failed or too much waits.
    pub(super) fn put(&self, task: Task) -> Result<(), LogError> {
        let mut gathered = self.gathered();
        if let Some(failed) = &gathered.failed {
            return Err(failed.clone());
        }
        if let Task::Append(append) = &task {
            if gathered.bytes + append.record.len() > self.limit {
                return Err(LogError::QueueFull { place: append.topic.name.to_string() });
            }
            gathered.bytes += append.record.len();
        }
        gathered.tasks.push_back(task);
        drop(gathered);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes back what one producer has asked for and the writer has not begun.
    pub(super) fn purge(&self, mailbox: &Arc<Mailbox>) {
        let mut gathered = self.gathered();
        let mut given_up = Vec::new();
        let mut bytes = 0;
        gathered.tasks.retain(|task| match task {
            Task::Append(append) if Arc::ptr_eq(&append.mailbox, mailbox) => {
                given_up.push(append.ticket);
                bytes += append.record.len();
                false
            }
            Task::Append(_) | Task::Make(..) | Task::Commit(_) | Task::Trim(..) => true,
        });
        gathered.bytes -= bytes;
        drop(gathered);
        mailbox.put_unknown(given_up, "given up before it was written");
    }

    /// How many tasks the writer has not begun.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.gathered().tasks.len()
    }

    /// Lets the writer end once it has done what it was asked.
    pub(super) fn close(&self) {
        self.gathered().closed = true;
        self.changed.notify_one();
    }

    /// Waits for tasks; none: closed, and nothing is left.
    fn take(&self) -> Option<Vec<Task>> {
        let gathered = self.gathered();
        let mut gathered = self
            .changed
            .wait_while(gathered, |gathered| gathered.tasks.is_empty() && !gathered.closed)
            .expect("nothing panics with the queue in hand");
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES
            && let Some(task) = gathered.tasks.pop_front()
        {
            if let Task::Append(append) = &task {
                bytes += append.record.len();
            }
            batch.push(task);
        }
        gathered.bytes -= bytes;
        (!batch.is_empty()).then_some(batch)
    }

    /// Takes nothing any more; gives back what waits.
    fn fail(&self, error: &LogError) -> Vec<Task> {
        let mut gathered = self.gathered();
        gathered.failed = Some(error.clone());
        gathered.bytes = 0;
        std::mem::take(&mut gathered.tasks).into()
    }
}

/// The thread's own state.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) appender: Appender,
    pub(super) queue: Arc<Queue>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) clock: Arc<SteadyClock>,
    /// The last time given to a record.
    pub(super) latest: Millis,
}

/// A task that lies in the staged bytes.
enum Staged {
    Append { append: Append, offset: Offset, position: u64 },
    Make(Arc<Topic>, SyncSender<Result<(), LogError>>),
    Commit,
    Trim(Arc<Topic>, Partition, Offset, SyncSender<Result<(), LogError>>),
}

/// What the entries of one batch add to the catalog.
#[derive(Default)]
struct Ends {
    next: BTreeMap<(u32, Partition), (Arc<Topic>, Offset)>,
    made: BTreeSet<String>,
}

impl Ends {
    /// The offset of the batch's next record in this partition.
    fn take_offset(&mut self, topic: &Arc<Topic>, partition: Partition) -> Offset {
        let begin = || (topic.clone(), topic.end(partition));
        let (_, next) = self.next.entry((topic.number, partition)).or_insert_with(begin);
        *next += 1;
        *next - 1
    }
}

/// Who asked may have gone: what was done stays done.
fn answer(tell: &SyncSender<Result<(), LogError>>, outcome: Result<(), LogError>) {
    let _gone = tell.send(outcome);
}

impl Writer {
    /// Works until the queue is closed or the disk fails.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.queue.take() {
            if let Err((error, staged)) = self.write(batch) {
                tracing::error!(%error, "the embedded log takes nothing any more");
                return self.fail(&error, staged);
            }
        }
        if let Err(error) = self.appender.seal(self.latest) {
            tracing::error!(%error, "the embedded log was closed without its last mark: nothing is lost");
        }
    }

    fn write(&mut self, batch: Vec<Task>) -> Result<(), (LogError, Vec<Staged>)> {
        self.latest = self.latest.max(self.clock.now());
        let rolled = self.appender.roll(self.latest);
        let mut ends = Ends::default();
        let staged: Vec<Staged> = batch.into_iter().filter_map(|task| self.stage(&mut ends, task)).collect();
        match rolled.and_then(|()| self.appender.commit()) {
            Ok(()) => self.publish(&ends, staged),
            Err(error) => return Err((error, staged)),
        }
        Ok(())
    }

    /// None: refused, and told so.
    fn stage(&mut self, ends: &mut Ends, task: Task) -> Option<Staged> {
        match task {
            Task::Append(mut append) => {
                let offset = ends.take_offset(&append.topic, append.partition);
                let position = self.appender.stage(&Entry::Appended(Appended {
                    topic: append.topic.number,
                    partition: append.partition,
                    offset,
                    timestamp: self.latest,
                    record: Bytes(std::mem::take(&mut append.record)),
                }));
                Some(Staged::Append { append, offset, position })
            }
            Task::Make(info, tell) => {
                if self.catalog.topic(&info.name).is_some() || !ends.made.insert(info.name.clone()) {
                    answer(&tell, Err(LogError::TopicExists { topic: info.name }));
                    return None;
                }
                self.appender.stage(&Entry::Made(made(&info)));
                let number = self.catalog.count() + ends.made.len() as u32 - 1;
                Some(Staged::Make(Arc::new(Topic::new(number, info)), tell))
            }
            Task::Commit(committed) => {
                self.appender.stage(&Entry::Committed(committed));
                Some(Staged::Commit)
            }
            Task::Trim(topic, partition, start, tell) => {
                self.appender.stage_trim(Trimmed { topic: topic.number, partition, start }, self.latest);
                Some(Staged::Trim(topic, partition, start, tell))
            }
        }
    }

    /// Shows what is durable to readers, then tells who waits.
    fn publish(&self, ends: &Ends, staged: Vec<Staged>) {
        for done in &staged {
            if let Staged::Append { append, position, .. } = done {
                append.topic.publish(append.partition, *position);
            }
        }
        for ((_, partition), (topic, _)) in &ends.next {
            topic.wake(*partition);
        }
        for done in staged {
            match done {
                Staged::Append { append, offset, .. } => {
                    append.mailbox.put([Acknowledgement { ticket: append.ticket, outcome: Ok(offset) }]);
                }
                Staged::Make(topic, tell) => {
                    self.catalog.add(topic);
                    answer(&tell, Ok(()));
                }
                Staged::Commit => {}
                Staged::Trim(topic, partition, start, tell) => {
                    topic.trim(partition, start);
                    answer(&tell, Ok(()));
                }
            }
        }
    }

    /// The disk failed: of what was being written nobody knows anything, what waits was not written.
    fn fail(self, error: &LogError, staged: Vec<Staged>) {
        let waiting = self.queue.fail(error);
        for lost in staged {
            match lost {
                Staged::Append { append, .. } => append.mailbox.put_unknown([append.ticket], &error.to_string()),
                Staged::Make(_, tell) | Staged::Trim(.., tell) => answer(&tell, Err(error.clone())),
                Staged::Commit => {}
            }
        }
        for task in waiting {
            match task {
                Task::Append(Append { ticket, mailbox, .. }) => {
                    mailbox.put([Acknowledgement { ticket, outcome: Err(error.clone()) }]);
                }
                Task::Make(_, tell) | Task::Trim(.., tell) => answer(&tell, Err(error.clone())),
                Task::Commit(_) => {}
            }
        }
    }
}
