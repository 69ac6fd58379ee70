//! Looks at everything that a node needs, one thing after the other, and says what to do: for `sagaline doctor`. It changes nothing, and runs beside
//! a node or without one.

mod rules;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sagaline_log::{Fetched, Log, LogError};
use sagaline_partition::KnownRules;
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{Body, Progress};
use sagaline_schemas::{Millis, Offset, Partition, schema};
use sagaline_store::{Sidecar, readable};
use serde::Serialize;

use crate::checkpoint::{Found, Shelf, Standing, Vault};
use crate::owner::opening::{Identity, Origin, check_origin};
use crate::topics::{self, Inbox, TopicsError};
use crate::{Names, sealed};

/// Less room than this on the disk of the stores is told.
const LITTLE_ROOM: u64 = 2 << 30;
/// Clocks that lie further apart than this are told; at a minute no time can pass.
const CLOCKS_APART: u64 = 5_000;
/// The last records of all partitions together are waited for so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many records from the end of a partition are looked through for a node's last word.
const LAST_RECORDS: i64 = 200;

/// What came of looking at one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, and where it is wrong: the way out.
    pub says: String,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Well,
    /// Nothing stops by it, but a person should look.
    Look,
    /// A node can't run so, or must not.
    Wrong,
}

impl Finding {
    /// As it should be.
    pub fn well(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Well, says: says.into() }
    }

    /// A person should look.
    pub fn look(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Look, says: says.into() }
    }

    /// It must be mended.
    pub fn wrong(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Wrong, says: says.into() }
    }
}

/// What an owner said last in a partition.
enum LastWord {
    /// The records did not come in time.
    Unread,
    /// Nothing lately.
    Silent,
    /// This, at the time that the broker gave it.
    Said(Millis, Progress),
}

/// What is looked at.
pub struct Patient<'a> {
    /// The log.
    pub log: &'a dyn Log,
    /// What its topics are called.
    pub names: &'a Names,
    /// Its key.
    pub key: &'a Key,
    /// One replica is enough.
    pub single_broker: bool,
    /// The folder of the stores.
    pub data: &'a Path,
    /// Where checkpoints lie; none: none are kept.
    pub vault: Option<&'a Vault>,
    /// The versions of the rules that this program folds by.
    pub rules: KnownRules,
}

/// The folder of the stores: whether it can be written, and how much room there is.
pub fn disk(data: &Path) -> Finding {
    const WHAT: &str = "disk";
    let place = data.display();
    let there = existing(data);
    let Ok(metadata) = fs::metadata(&there) else {
        return Finding::wrong(
            WHAT,
            format!("{} can't be looked at: make it, or set `data` to another folder", there.display()),
        );
    };
    if metadata.permissions().readonly() {
        return Finding::wrong(WHAT, format!("{} can't be written: the stores lie there", there.display()));
    }
    match room(&there) {
        None => Finding::look(WHAT, format!("the system does not say how much room {place} has")),
        Some(free) if free < LITTLE_ROOM => {
            let says = format!(
                "{place} has {} MiB left: a node stops when its disk is full. Make room, or move `data`",
                free >> 20
            );
            Finding::look(WHAT, says)
        }
        Some(free) => Finding::well(WHAT, format!("{place} has {} GiB left", free >> 30)),
    }
}

/// The folder, or the nearest one above it that is there.
fn existing(place: &Path) -> PathBuf {
    let whole = std::path::absolute(place).unwrap_or_else(|_| place.to_owned());
    whole.ancestors().find(|folder| folder.exists()).unwrap_or(place).to_owned()
}

/// Bytes that may still be written there.
#[allow(unsafe_code, reason = "statvfs fills a struct that it is given; nothing of it is read where it fails")]
fn room(place: &Path) -> Option<u64> {
    let path = CString::new(place.as_os_str().as_bytes()).ok()?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` ends with a zero byte and outlives the call; `found` is as large as statvfs wants it.
    let filled = unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } == 0;
    // SAFETY: statvfs has filled it.
    let found = filled.then(|| unsafe { found.assume_init() })?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

impl Patient<'_> {
    /// All that needs the log, in the order in which it is to be mended.
    pub fn examine(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let cluster = match self.log.cluster_id() {
            Ok(cluster) => cluster,
            Err(error) => return vec![Finding::wrong("broker", error.to_string())],
        };
        findings.push(Finding::well("broker", format!("{} answers, cluster {cluster}", self.log.name())));
        let inbox = match topics::check(self.log, self.names, self.key, self.single_broker) {
            Ok(inbox) => inbox,
            Err(error) => {
                findings.push(topic_trouble(&error));
                return findings;
            }
        };
        let says = format!("{} with {} partitions, made with this key", self.names.inbox(), inbox.partitions);
        findings.push(Finding::well("topics", says));
        findings.push(self.rules_in_force(inbox.partitions));
        let (checkpoints, restorable) = self.checkpoints(&inbox);
        let (records, clocks) = self.partitions(&inbox, &restorable, Instant::now() + PATIENCE);
        findings.extend([records, clocks, self.stores(&inbox)]);
        findings.extend(checkpoints);
        findings
    }

    /// What checkpoints there are, and the newest verified one's position of each partition.
    fn checkpoints(&self, inbox: &Inbox) -> (Option<Finding>, BTreeMap<Partition, Offset>) {
        const WHAT: &str = "checkpoints";
        let mut restorable = BTreeMap::new();
        let Some(vault) = self.vault else { return (None, restorable) };
        let mut wrong = Vec::new();
        for partition in 0..inbox.partitions {
            let shelf = Shelf { vault, key: self.key, log_id: inbox.log_id, partition };
            let found = match shelf.list() {
                Ok(found) => found,
                Err(error) => return (Some(Finding::wrong(WHAT, error.to_string())), restorable),
            };
            for Found { id, outcome } in &found {
                match outcome {
                    Ok(kept) if kept.is_verified() => {
                        restorable.entry(partition).or_insert(kept.position());
                    }
                    Ok(kept) if matches!(kept.standing, Standing::Refuted(_)) => {
                        wrong.push(format!("{id} of partition {partition} was refuted"));
                    }
                    Ok(_) => {}
                    Err(error) => wrong.push(format!("{id} of partition {partition}: {error}")),
                }
            }
        }
        let (some, all, url) = (restorable.len(), inbox.partitions as usize, vault.url());
        let finding = if !wrong.is_empty() {
            let says = format!("{}. They are not used; `sagaline checkpoint list` shows the others", wrong.join("; "));
            Finding::look(WHAT, says)
        } else if some < all {
            let says = format!(
                "{some} of {all} partitions have a verified checkpoint at {url}: `sagaline checkpoint take`, then `sagaline checkpoint verify`"
            );
            Finding::look(WHAT, says)
        } else {
            Finding::well(WHAT, format!("every partition has verified checkpoints at {url}"))
        };
        (Some(finding), restorable)
    }

    /// Whether the logs are whole, and how far the clocks of nodes and brokers lay apart when a node last spoke.
    fn partitions(
        &self,
        inbox: &Inbox,
        restorable: &BTreeMap<Partition, Offset>,
        deadline: Instant,
    ) -> (Finding, Finding) {
        let (mut trimmed, mut unread) = (0, 0);
        let (mut begin_late, mut unreadable, mut apart) = (Vec::new(), Vec::new(), Vec::new());
        for partition in 0..inbox.partitions {
            match self.last_word(partition, deadline) {
                Ok((start, heard)) => {
                    if start > 0 && restorable.get(&partition).is_some_and(|position| *position >= start) {
                        trimmed += 1;
                    } else if start > 0 {
                        begin_late.push(format!("partition {partition} at offset {start}"));
                    }
                    match heard {
                        LastWord::Unread => unread += 1,
                        LastWord::Silent => {}
                        LastWord::Said(at, progress) => apart.push((at, progress)),
                    }
                }
                Err(error) => unreadable.push(error.to_string()),
            }
        }
        let records = if let Some(error) = unreadable.first() {
            Finding::wrong("records", error.clone())
        } else if unread > 0 {
            let says = format!(
                "the last records of {unread} of {} logs did not come in {PATIENCE:?}: look at the brokers, and at the way to them",
                inbox.partitions
            );
            Finding::look("records", says)
        } else if begin_late.is_empty() && trimmed > 0 {
            let says = format!(
                "{trimmed} of {} logs were trimmed; verified checkpoints hold what was before",
                inbox.partitions
            );
            Finding::well("records", says)
        } else if begin_late.is_empty() {
            Finding::well("records", "every partition's log is there from its first record on")
        } else {
            let says = format!(
                "the log begins late in {}: records were deleted, and no store can be made anew from it. Keep the stores of a stopped node as a copy",
                begin_late.join(", ")
            );
            Finding::look("records", says)
        };
        (records, clocks(apart))
    }

    /// Where a partition's log begins, and the newest word of an owner.
    fn last_word(&self, partition: Partition, deadline: Instant) -> Result<(Offset, LastWord), LogError> {
        let topic = self.names.inbox();
        let (start, end) = sealed::bounds(self.log, &topic, partition)?;
        let stretch = (start.max(end - LAST_RECORDS), end);
        let Some(records) = sealed::read_by(self.log, &topic, partition, stretch, deadline)? else {
            return Ok((start, LastWord::Unread));
        };
        let word = |fetched: &Fetched| {
            let opened = proof::open(schema::INBOX.fingerprint, &fetched.record.value).ok()?;
            let Body::Progress(progress) = opened.inbox.body else { return None };
            Some(LastWord::Said(fetched.timestamp, progress))
        };
        Ok((start, records.iter().rev().find_map(word).unwrap_or(LastWord::Silent)))
    }

    /// Whether the stores that are there were folded from this log, by a program of this form.
    fn stores(&self, inbox: &Inbox) -> Finding {
        const WHAT: &str = "stores";
        let found = match Identity::of(self.log, &self.names.inbox()) {
            Ok(found) => Origin::from(found),
            Err(error) => return Finding::wrong(WHAT, error.to_string()),
        };
        let mut there = 0;
        for partition in 0..inbox.partitions {
            let place = self.data.join(format!("partition-{partition}"));
            if !place.exists() {
                continue;
            }
            there += 1;
            let Sidecar { cluster_id, topic_id, .. } = match readable(&place).and_then(|()| Sidecar::load(&place)) {
                Ok(sidecar) => sidecar,
                Err(error) => return Finding::wrong(WHAT, error.to_string()),
            };
            if check_origin(partition, &Origin { cluster_id, topic_id }, &found).is_err() {
                let says = format!(
                    "the store in {} was folded from another log: set `data` to a folder of its own, or run `sagaline rebuild` if that log is gone for good",
                    place.display()
                );
                return Finding::wrong(WHAT, says);
            }
        }
        let says = match there {
            0 => "none yet: the first start folds the log into them".to_owned(),
            _ => format!(
                "{there} of {}, folded from this log; `sagaline verify` looks into them while the node is stopped",
                inbox.partitions
            ),
        };
        Finding::well(WHAT, says)
    }
}

fn topic_trouble(error: &TopicsError) -> Finding {
    let way_out = match error {
        TopicsError::Log(LogError::NoTopic { .. }) | TopicsError::NoGenesis { .. } => {
            ": `sagaline topics create` makes what is missing"
        }
        _ => "",
    };
    Finding::wrong("topics", format!("{error}{way_out}"))
}

/// The broker's time of a record, and the wall clock that its node wrote into it.
fn clocks(words: Vec<(Millis, Progress)>) -> Finding {
    const WHAT: &str = "clocks";
    let furthest = words
        .iter()
        .map(|(broker, progress)| (broker.abs_diff(progress.wall), progress))
        .max_by_key(|(apart, _)| *apart);
    match furthest {
        None => Finding::well(WHAT, "no node has spoken lately: nothing to compare"),
        Some((apart, progress)) if apart >= CLOCKS_APART => {
            let says = format!(
                "the clocks of node {:?} and its broker lay {apart} ms apart: at 60000 ms no time passes for sagas. Set both by NTP",
                progress.node
            );
            Finding::look(WHAT, says)
        }
        Some((apart, _)) => Finding::well(WHAT, format!("nodes and brokers lie at most {apart} ms apart")),
    }
}
