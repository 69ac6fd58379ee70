//! A durable log on local disk: what `sagaline dev` runs on. One process, one directory, one journal for all topics, so that one
//! sync acknowledges everything that has gathered. Files are touched through `disk` alone.

mod disk;
mod entry;
mod journal;
mod producer;
mod reader;
#[cfg(test)]
mod tests;
mod topics;
mod window;
mod writer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use sagaline_schemas::{Millis, Offset, Partition};

pub use self::disk::{Disk, DiskFile, LocalDisk, Lock};
use self::journal::{Appender, Journal, Scanned, io_error};
use self::producer::QueueProducer;
use self::reader::{Member, PartitionReader};
use self::topics::{Catalog, Replay};
use self::writer::{Queue, Task, Writer};
use crate::clock::{Clock, SteadyClock, SystemClock};
use crate::settings::{new_topic, random_id};
use crate::{GroupReader, Log, LogError, NewTopic, Producer, Reader, TopicInfo};

/// What an embedded log is built on, and its limits.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Bytes after which a new file is begun.
    pub segment_bytes: u64,
    /// Bytes of records that may wait to be written.
    pub queue_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            disk: Arc::new(LocalDisk),
            clock: Arc::new(SystemClock),
            segment_bytes: 256 << 20,
            queue_bytes: 64 << 20,
        }
    }
}

/// A log in one directory of this machine. Clones are the same log; it is closed with the last of them and of its readers and
/// producers.
#[derive(Clone)]
pub struct EmbeddedLog {
    core: Arc<Core>,
}

/// What the log's handles share.
#[derive(Debug)]
struct Core {
    dir: PathBuf,
    cluster: String,
    journal: Arc<Journal>,
    catalog: Arc<Catalog>,
    clock: Arc<SteadyClock>,
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
    /// Given back last.
    _lock: Box<dyn Lock>,
}

impl Drop for Core {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!(dir = %self.dir.display(), "the embedded log's writer panicked");
        }
    }
}

impl EmbeddedLog {
    /// Opens the log in `dir`, or begins one there.
    ///
    /// # Errors
    /// `InUse`: another process has it open. `Corrupt`: a file is not what was written. `Io`: the disk refuses.
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        Self::open_with(dir, Options::default())
    }

    /// Opens the log with limits, disk and clocks of one's own.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(dir: &Path, options: Options) -> Result<Self, LogError> {
        let Options { disk, clock, segment_bytes, queue_bytes } = options;
        disk.create_dir(dir).map_err(|error| io_error(dir, &error))?;
        let lock = take_lock(disk.as_ref(), dir)?;
        let mut replay = Replay::default();
        let Scanned { journal, mut appender } =
            Appender::open(disk, dir, segment_bytes, random_id()?, |position, entry| replay.apply(position, entry))?;
        let clock = Arc::new(SteadyClock::start(clock, replay.latest));
        appender.seal(clock.now())?;

        let cluster = appender.cluster().to_string();
        let catalog = Arc::new(replay.catalog);
        let queue = Arc::new(Queue::new(queue_bytes));
        let writer = Writer {
            appender,
            queue: queue.clone(),
            catalog: catalog.clone(),
            clock: clock.clone(),
            latest: replay.latest,
        };
        let thread = std::thread::Builder::new().name("embedded-log".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(|error| io_error(dir, &error))?;
        let dir = dir.to_owned();
        let core = Core { dir, cluster, journal, catalog, clock, queue, writer: Some(thread), _lock: lock };
        Ok(Self { core: Arc::new(core) })
    }
}

fn take_lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Lock>, LogError> {
    let path = dir.join("LOCK");
    disk.lock(&path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => LogError::InUse { place: dir.display().to_string() },
        _ => io_error(&path, &error),
    })
}

impl fmt::Debug for EmbeddedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedLog").field("dir", &self.core.dir).finish_non_exhaustive()
    }
}

impl Log for EmbeddedLog {
    fn name(&self) -> String {
        format!("embedded in {}", self.core.dir.display())
    }

    fn cluster_id(&self) -> Result<String, LogError> {
        Ok(self.core.cluster.clone())
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        Ok(self.core.catalog.topic(name).map(|topic| topic.info.clone()))
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<TopicInfo, LogError> {
        let info = new_topic(topic, random_id()?)?;
        let (tell, told) = sync_channel(1);
        self.core.queue.put(Task::Make(info.clone(), tell))?;
        let gone = |_| LogError::OutcomeUnknown { detail: "the embedded log's writer has ended".to_owned() };
        told.recv().map_err(gone)??;
        Ok(info)
    }

    /// The records are gone for every reader, also after a restart. Their bytes stay in the journal, which holds all topics in one.
    fn delete_below(&self, topic: &str, partition: Partition, offset: Offset) -> Result<Offset, LogError> {
        let topic = self.core.catalog.require(topic)?;
        topic.check(partition)?;
        let (start, end) = topic.bounds(partition);
        if offset > end {
            return Err(LogError::OutOfRange { topic: topic.name.to_string(), partition, offset, start, end });
        }
        if offset > start {
            let (tell, told) = sync_channel(1);
            self.core.queue.put(Task::Trim(topic.clone(), partition, offset, tell))?;
            let gone = |_| LogError::OutcomeUnknown { detail: "the embedded log's writer has ended".to_owned() };
            told.recv().map_err(gone)??;
        }
        Ok(topic.bounds(partition).0)
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(QueueProducer::new(&self.core)))
    }

    fn reader(&self, topic: &str, partition: Partition, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(PartitionReader::open(&self.core, topic, partition, from)?))
    }

    fn join(&self, group: &str, _member: &str, topics: &[String]) -> Result<Box<dyn GroupReader>, LogError> {
        Ok(Box::new(Member::join(&self.core, group, topics)?))
    }

    fn wall_clock(&self) -> Millis {
        self.core.clock.now()
    }
}
