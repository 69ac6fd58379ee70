//! The one journal in which everything lies: files of frames, named by the position of their first byte. Appending is the
//! writer's alone; reading is anyone's, of what was synced. What the entries mean is not known here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use sagaline_schemas::TopicId;

use super::disk::{Disk, DiskFile};
use super::entry::{Entry, FORMAT, Sealed, TRIMMED_FORMAT, Trimmed, put_frame, read_body};
use super::window::Window;
use crate::LogError;

const SUFFIX: &str = ".journal";

/// One file of the journal.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Position of its first byte.
    pub(super) base: u64,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
}

impl Segment {
    fn open(disk: &dyn Disk, dir: &Path, base: u64) -> Result<Self, LogError> {
        let path = dir.join(format!("{base:020}{SUFFIX}"));
        let file = disk.open(&path).map_err(|error| io_error(&path, &error))?;
        Ok(Self { base, file, path })
    }

    pub(super) fn corrupt(&self, position: u64, detail: impl Into<String>) -> LogError {
        let place = format!("{} at byte {}", self.path.display(), position - self.base);
        LogError::Corrupt { place, detail: detail.into() }
    }

    pub(super) fn io(&self, error: &io::Error) -> LogError {
        io_error(&self.path, error)
    }
}

pub(super) fn io_error(path: &Path, error: &io::Error) -> LogError {
    LogError::Io { place: path.display().to_string(), detail: error.to_string() }
}

/// The journal as readers see it.
#[derive(Debug)]
pub(super) struct Journal {
    segments: RwLock<Vec<Segment>>,
    /// Everything below was synced, and never changes.
    durable: AtomicU64,
}

impl Journal {
    /// The file that holds `position`, and the position up to which that file may be read.
    pub(super) fn locate(&self, position: u64) -> (Segment, u64) {
        let durable = self.durable.load(Ordering::Acquire);
        let segments = self.segments.read().expect("nothing panics with the list of files in hand");
        let after = segments.partition_point(|segment| segment.base <= position);
        let end = segments.get(after).map_or(durable, |next| next.base.min(durable));
        (segments[after.saturating_sub(1)].clone(), end)
    }

    fn push(&self, segment: Segment) {
        self.segments.write().expect("nothing panics with the list of files in hand").push(segment);
    }
}

/// The journal as its one writer sees it.
#[derive(Debug)]
pub(super) struct Appender {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    journal: Arc<Journal>,
    segment: Segment,
    cluster: TopicId,
    /// The journal's form from here on.
    format: u32,
    segment_bytes: u64,
    /// Where the next frame goes: everything below is in `segment` or `staged`.
    end: u64,
    staged: Vec<u8>,
}

/// What a scan has found.
pub(super) struct Scanned {
    pub(super) journal: Arc<Journal>,
    pub(super) appender: Appender,
}

impl Appender {
    /// Reads the journal in `dir` from its first byte, hands each entry to `visit`, cuts off a torn end, ready to be
    /// sealed. `cluster`: the identity of a log that is only now begun.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        segment_bytes: u64,
        cluster: TopicId,
        mut visit: impl FnMut(u64, Entry) -> Result<(), String>,
    ) -> Result<Scanned, LogError> {
        let mut segments = Vec::new();
        for base in segment_bases(disk.as_ref(), dir)? {
            segments.push(Segment::open(disk.as_ref(), dir, base)?);
        }
        if segments.is_empty() {
            segments.push(Segment::open(disk.as_ref(), dir, 0)?);
        }
        let mut end = 0;
        let (mut identity, mut format) = (cluster, FORMAT);
        for (index, segment) in segments.iter().enumerate() {
            if segment.base != end {
                return Err(segment.corrupt(segment.base, format!("the file before it ends at {end}, not here")));
            }
            let last = index + 1 == segments.len();
            end = scan(segment, last, &mut |position, entry| {
                if let Entry::Sealed(sealed) = &entry {
                    check_format(sealed.format)?;
                    (identity, format) = (sealed.cluster, sealed.format);
                }
                visit(position, entry)
            })?;
        }
        let segment = segments.last().expect("there is at least one").clone();
        let journal = Arc::new(Journal { segments: RwLock::new(segments), durable: AtomicU64::new(end) });
        let appender = Self {
            disk,
            dir: dir.to_owned(),
            journal: journal.clone(),
            segment,
            cluster: identity,
            format,
            segment_bytes,
            end,
            staged: Vec::new(),
        };
        Ok(Scanned { journal, appender })
    }

    /// The identity of the log.
    pub(super) fn cluster(&self) -> TopicId {
        self.cluster
    }

    /// Makes durable all that lies here, and writes that down. What a scan saw may be in the system's memory only.
    pub(super) fn seal(&mut self, at: i64) -> Result<(), LogError> {
        self.stage_seal(at);
        self.commit()?;
        self.disk.sync_dir(&self.dir).map_err(|error| io_error(&self.dir, &error))
    }

    fn stage_seal(&mut self, at: i64) {
        self.stage(&Entry::Sealed(Sealed { format: self.format, cluster: self.cluster, at }));
    }

    /// Takes a trim into the next commit. Before the first one stands a seal that says so: who can't read it refuses the journal.
    pub(super) fn stage_trim(&mut self, trimmed: Trimmed, at: i64) {
        if self.format < TRIMMED_FORMAT {
            self.format = TRIMMED_FORMAT;
            self.stage_seal(at);
        }
        self.stage(&Entry::Trimmed(trimmed));
    }

    /// Begins a new file when the present one is long enough. Only between a commit and the first `stage` after it.
    pub(super) fn roll(&mut self, at: i64) -> Result<(), LogError> {
        debug_assert!(self.staged.is_empty(), "a frame lies in one file");
        if self.end - self.segment.base < self.segment_bytes {
            return Ok(());
        }
        self.segment = Segment::open(self.disk.as_ref(), &self.dir, self.end)?;
        self.disk.sync_dir(&self.dir).map_err(|error| io_error(&self.dir, &error))?;
        self.journal.push(self.segment.clone());
        self.stage_seal(at);
        Ok(())
    }

    /// Takes an entry into the next commit, and tells its position.
    pub(super) fn stage(&mut self, entry: &Entry) -> u64 {
        let position = self.end + self.staged.len() as u64;
        put_frame(&mut self.staged, position, self.end, entry);
        position
    }

    /// Makes durable what was staged: one write, one sync. After an error the journal must not be written any more: what a file
    /// holds after a failed sync can't be known.
    pub(super) fn commit(&mut self) -> Result<(), LogError> {
        let segment = &self.segment;
        segment.file.write(&self.staged, self.end - segment.base).map_err(|error| segment.io(&error))?;
        segment.file.sync().map_err(|error| segment.io(&error))?;
        self.end += self.staged.len() as u64;
        self.staged.clear();
        self.journal.durable.store(self.end, Ordering::Release);
        Ok(())
    }
}

fn check_format(format: u32) -> Result<(), String> {
    match format {
        FORMAT | TRIMMED_FORMAT => Ok(()),
        other => Err(format!("the journal has form {other}, this program reads forms {FORMAT} and {TRIMMED_FORMAT}")),
    }
}

fn segment_bases(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, LogError> {
    let names = disk.list(dir).map_err(|error| io_error(dir, &error))?;
    let mut bases: Vec<u64> = names.iter().filter_map(|name| name.strip_suffix(SUFFIX)?.parse().ok()).collect();
    bases.sort_unstable();
    Ok(bases)
}

/// Reads one file and returns the position of its end, after cutting off what a crash has torn.
fn scan(
    segment: &Segment,
    last: bool,
    visit: &mut dyn FnMut(u64, Entry) -> Result<(), String>,
) -> Result<u64, LogError> {
    let length = segment.file.length().map_err(|error| segment.io(&error))?;
    let end = segment.base + length;
    let mut window = Window::scanning();
    let mut at = segment.base;
    while at < end {
        let Some(frame) = window.frame(segment, at, end)? else { break };
        let next = at + frame.size;
        let (_, entry) = read_body(frame.body).map_err(|error| segment.corrupt(at, error.to_string()))?;
        visit(at, entry).map_err(|detail| segment.corrupt(at, detail))?;
        at = next;
    }
    if at < end {
        if !last {
            return Err(segment.corrupt(at, "no record begins here, and later files go on"));
        }
        cut(segment, at, end)?;
    }
    Ok(at)
}

/// Only what was never acknowledged can be torn: if a later frame says that the journal was synced beyond `at`, the bytes were
/// changed by something else.
fn cut(segment: &Segment, at: u64, end: u64) -> Result<(), LogError> {
    let mut window = Window::scanning();
    for later in at + 1..end {
        let Some(frame) = window.frame(segment, later, end)? else { continue };
        let durable = read_body(frame.body).map(|(durable, _)| durable);
        if durable.is_ok_and(|durable| durable > at) {
            return Err(segment.corrupt(at, "these bytes are not what was written: restore the file from a copy"));
        }
    }
    tracing::warn!(file = %segment.path.display(), bytes = end - at, "cut off an append that a crash has torn");
    segment.file.truncate(at - segment.base).map_err(|error| segment.io(&error))
}
