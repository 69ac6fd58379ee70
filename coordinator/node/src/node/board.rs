//! What a partition's thread shows to all others: status, what is committed, how far it has come; and what they tell it: its role, a person's word
//! about a halt.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sagaline_partition::EVENTS;
use sagaline_partition::store::Reader;
use sagaline_schemas::settings::{Events, Settings};
use sagaline_schemas::{Offset, Partition};

use super::is_opened;
use crate::owner::stop::Stop;
use crate::owner::{Restorable, Role};
use crate::{ChannelStatus, PartitionStatus, Standing};

struct Shown {
    status: PartitionStatus,
    reader: Option<Arc<dyn Reader>>,
    /// Every record below is committed.
    committed: Offset,
    crowded: BTreeSet<String>,
    settings: Option<Settings>,
    stop: Option<Stop>,
    /// Its store and log were found to fit together.
    opened: bool,
    /// A person has said what is to become of the input at which it halted.
    told: bool,
    /// What the group has given this node to do with it.
    role: Role,
    /// Where its thread is to leave a checkpoint.
    wanted: Option<PathBuf>,
    /// What came of that.
    made: Option<Result<Offset, String>>,
    /// What is wrong with its checkpoints: a person must look.
    refuted: Option<String>,
    /// What hinders keeping them, by the thread that is hindered.
    keeping: BTreeMap<&'static str, String>,
}

/// What one partition shows.
pub struct Board {
    pub number: Partition,
    shown: Mutex<Shown>,
    changed: Condvar,
}

impl Board {
    pub fn new(number: Partition, restorable: Restorable) -> Self {
        let status = PartitionStatus { restorable, ..PartitionStatus::opening(number) };
        let shown = Shown {
            status,
            reader: None,
            committed: 0,
            crowded: BTreeSet::new(),
            settings: None,
            stop: None,
            opened: false,
            told: false,
            role: Role::Standby,
            wanted: None,
            made: None,
            refuted: None,
            keeping: BTreeMap::new(),
        };
        Self { number, shown: Mutex::new(shown), changed: Condvar::new() }
    }

    /// Whole values are written only: a thread that panicked left nothing half done.
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.shown());
        self.changed.notify_all();
    }

    pub fn show_reader(&self, reader: Option<Arc<dyn Reader>>) {
        self.change(|shown| {
            shown.opened |= reader.is_some();
            shown.reader = reader;
        });
    }

    pub fn show_committed(&self, committed: Offset) {
        self.change(|shown| shown.committed = committed);
    }

    pub fn show_status(&self, status: PartitionStatus, settings: Option<&Settings>) {
        let over = |outbox: i64| settings.is_some_and(|settings| outbox > i64::from(settings.max_outbox));
        // Nothing is added there any more: what is left of before hinders nobody.
        let rests =
            |channel: &str| channel == EVENTS && settings.is_some_and(|settings| settings.events == Events::Nothing);
        let crowds = |channel: &&ChannelStatus| over(channel.outbox) && !rests(&channel.channel);
        let crowded = status.channels.iter().filter(crowds).map(|channel| channel.channel.clone()).collect();
        self.change(|shown| {
            let restorable = shown.status.restorable;
            shown.status = PartitionStatus { restorable, ..status };
            shown.crowded = crowded;
            if shown.settings.as_ref() != settings {
                shown.settings = settings.cloned();
            }
        });
    }

    pub fn show_settings(&self, settings: Settings) {
        self.change(|shown| shown.settings = Some(settings));
    }

    pub fn show_standing(&self, standing: Standing) {
        self.change(|shown| shown.status.standing = standing);
    }

    pub fn show_trouble(&self, trouble: String) {
        self.change(|shown| shown.status.trouble = Some(trouble));
    }

    /// What this node is to do with it. Said again it wakes nobody.
    pub fn give_role(&self, role: Role) {
        if self.role() != role {
            self.change(|shown| shown.role = role);
        }
    }

    pub fn role(&self) -> Role {
        self.shown().role
    }

    /// The partition is given up.
    pub fn show_stop(&self, stop: &Stop) {
        self.change(|shown| {
            shown.status.standing = Standing::Halted { reason: stop.to_string() };
            shown.status.claim = None;
            shown.stop = Some(stop.clone());
        });
    }

    /// What made it give up is mended.
    pub fn show_opening(&self) {
        self.change(|shown| (shown.stop, shown.status.standing) = (None, Standing::Opening));
    }

    /// A person has said what is to become of an input: who halted there may go on. Who has not halted finds the word in the log.
    pub fn tell(&self) {
        self.change(|shown| shown.told = shown.stop.is_some());
    }

    /// Waits for a person's word, which is then used up. False: none came.
    pub fn wait_told(&self, timeout: Duration) -> bool {
        let told = self.wait(timeout, |shown| shown.told);
        self.change(|shown| {
            if told {
                (shown.told, shown.stop, shown.status.standing) = (false, None, Standing::Opening);
            }
        });
        told
    }

    pub fn standing(&self) -> Standing {
        self.shown().status.standing.clone()
    }

    /// Every record below is committed.
    pub fn committed(&self) -> Offset {
        self.shown().committed
    }

    /// What is committed; none: its store is not open.
    pub fn reader(&self) -> Option<Arc<dyn Reader>> {
        self.shown().reader.clone()
    }

    /// Its thread is to leave a checkpoint there.
    pub fn want_checkpoint(&self, place: PathBuf) {
        self.change(|shown| (shown.wanted, shown.made) = (Some(place), None));
    }

    /// Where its thread is to leave one; none: nowhere.
    pub fn wanted_checkpoint(&self) -> Option<PathBuf> {
        self.shown().wanted.clone()
    }

    /// It lies there, or why not.
    pub fn show_checkpoint(&self, made: Result<Offset, String>) {
        self.change(|shown| (shown.wanted, shown.made) = (None, Some(made)));
    }

    /// Waits for the checkpoint that is wanted. None: it does not come so soon.
    pub fn wait_checkpoint(&self, timeout: Duration) -> Option<Result<Offset, String>> {
        self.wait(timeout, |shown| shown.made.is_some());
        self.shown().made.take()
    }

    /// It is wanted no more.
    pub fn forget_checkpoint(&self) {
        self.change(|shown| (shown.wanted, shown.made) = (None, None));
    }

    /// What was found out about its checkpoints.
    pub fn show_kept(&self, restorable: Restorable, refuted: Option<String>) {
        self.change(|shown| (shown.status.restorable, shown.refuted) = (restorable, refuted));
    }

    /// What hinders one of the threads that keep checkpoints.
    pub fn show_keeping(&self, thread: &'static str, trouble: Option<String>) {
        self.change(|shown| {
            match trouble {
                Some(trouble) => shown.keeping.insert(thread, trouble),
                None => shown.keeping.remove(thread),
            };
        });
    }

    /// From where on stores can be made anew, as last found.
    pub fn restorable(&self) -> Restorable {
        self.shown().status.restorable
    }

    pub fn crowded(&self) -> BTreeSet<String> {
        self.shown().crowded.clone()
    }

    /// The settings in force when it was last open.
    pub fn settings(&self) -> Option<Settings> {
        self.shown().settings.clone()
    }

    /// Whose the newest claim is that was folded.
    pub fn claimed_by(&self) -> String {
        self.shown().status.claimed_by.clone()
    }

    pub fn stop(&self) -> Option<Stop> {
        self.shown().stop.clone()
    }

    /// Whether it was given up before it could fold anything: its store, or its log, is not what it should be.
    pub fn never_opened(&self) -> Option<Stop> {
        let shown = self.shown();
        shown.stop.clone().filter(|_| !shown.opened)
    }

    pub fn wait_opened(&self, deadline: Instant) {
        self.wait(deadline.saturating_duration_since(Instant::now()), |shown| is_opened(&shown.status.standing));
    }

    fn wait(&self, timeout: Duration, until: impl Fn(&Shown) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.shown(), timeout, |shown| !until(shown));
        let (shown, _) = waited.unwrap_or_else(PoisonError::into_inner);
        until(&shown)
    }
}

/// One partition, for readers in other threads.
#[derive(Clone)]
pub struct PartitionHandle {
    /// Which.
    pub number: Partition,
    board: Arc<Board>,
}

impl PartitionHandle {
    pub(super) fn new(board: Arc<Board>) -> Self {
        Self { number: board.number, board }
    }

    /// What is committed; none: its store is not open. To be dropped soon: a store that is to be made anew waits for its readers.
    pub fn reader(&self) -> Option<Arc<dyn Reader>> {
        self.board.shown().reader.clone()
    }

    /// Where it stands.
    pub fn status(&self) -> PartitionStatus {
        let shown = self.board.shown();
        let mut status = shown.status.clone();
        status.position = status.position.max(shown.committed);
        status.log_end = status.log_end.max(status.position);
        status
    }

    /// What is wrong with its checkpoints, so that a person must look; none: nothing is known to be.
    pub fn refuted(&self) -> Option<String> {
        self.board.shown().refuted.clone()
    }

    /// What hinders keeping checkpoints of it at the moment.
    pub fn keeping_trouble(&self) -> Option<String> {
        self.board.shown().keeping.values().next().cloned()
    }

    /// Why it was given up; none: it goes on.
    pub fn stop(&self) -> Option<Stop> {
        self.board.stop()
    }

    /// Waits until the record at `offset` is folded and to be seen by readers. False: it takes longer.
    pub fn wait_folded(&self, offset: Offset, timeout: Duration) -> bool {
        self.board.wait(timeout, |shown| shown.committed > offset)
    }

    /// Waits until its status is as wanted. False: it takes longer.
    pub fn wait_status(&self, timeout: Duration, wanted: impl Fn(&PartitionStatus) -> bool) -> bool {
        self.board.wait(timeout, |shown| wanted(&shown.status))
    }
}
