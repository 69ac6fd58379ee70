//! Keeping checkpoints while the node runs: two threads beside the folds. One takes them, clears old ones away and trims the log; the other
//! verifies those that others took. Both give way to everything else, and what hinders them is told and tried again.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use sagaline_partition::view;
use sagaline_schemas::{Offset, Partition};
use sagaline_store::checkpoint::discard;

use super::board::Board;
use super::{Common, IDLE, Node, NodeError};
use crate::checkpoint::{
    About, Check, CheckpointError, Found, Keeping, Kept, Place, Restorer, Shelf, Standing as Word, bound, upload,
};
use crate::owner::Restorable;
use crate::owner::opening::Identity;
use crate::{Standing, sealed};

/// How long the owner of a store may take to leave a checkpoint: it does so between two of its turns.
const LEAVE: Duration = Duration::from_secs(60);
/// The vault is looked at so often, at most and at least.
const LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A checkpoint that this node took itself waits so long for another node to verify it, at most.
const OTHERS_FIRST: Duration = Duration::from_secs(600);
/// One that could not be verified is tried again after so long.
const AGAIN: Duration = Duration::from_secs(600);

impl Common {
    fn shelf<'a>(&'a self, keeping: &'a Keeping, partition: Partition) -> Shelf<'a> {
        Shelf { vault: &keeping.vault, key: &self.options.key, log_id: self.inbox.log_id, partition }
    }

    pub(super) fn restorer<'a>(&'a self, keeping: &'a Keeping, partition: Partition) -> Restorer<'a> {
        let shelf = self.shelf(keeping, partition);
        Restorer { shelf, log: &*self.log, names: &self.names, rules: self.options.rules }
    }

    /// Makes a store of a checkpoint of no record at or behind `below`, where there is none. The inner result: which one, or why of none.
    pub(super) fn restore(
        &self,
        partition: Partition,
        place: &Path,
        below: Offset,
    ) -> Result<Result<Kept, String>, CheckpointError> {
        match &self.options.checkpoints {
            None => Ok(Err(CheckpointError::NotKept.to_string())),
            Some(keeping) => self.restorer(keeping, partition).restore(place, below),
        }
    }

    /// Whether there is a checkpoint that `restore` could use; the inner error says why there is none.
    ///
    /// # Errors
    /// When that can't be found out at the moment.
    pub(super) fn is_restorable(
        &self,
        partition: Partition,
        below: Offset,
    ) -> Result<Result<(), String>, CheckpointError> {
        let Some(keeping) = &self.options.checkpoints else { return Ok(Err(CheckpointError::NotKept.to_string())) };
        let choice = self.restorer(keeping, partition).choose(below)?;
        if choice.usable.is_empty() { choice.into_why().map(Err) } else { Ok(Ok(())) }
    }

    /// Removes the checkpoints that hold the input at `input` and nothing of the record at `fault`. Gives how many.
    pub(super) fn remove_checkpoints(
        &self,
        partition: Partition,
        input: Offset,
        fault: Offset,
    ) -> Result<usize, CheckpointError> {
        let Some(keeping) = &self.options.checkpoints else { return Ok(0) };
        self.shelf(keeping, partition).remove_between(input, fault)
    }

    /// A folder beside the stores.
    pub(super) fn beside(&self, name: String) -> Result<PathBuf, CheckpointError> {
        Ok(self.options.data_dir.as_ref().ok_or(CheckpointError::NotKept)?.join(name))
    }

    /// Takes a checkpoint of a partition as it is now.
    fn take(&self, partition: Partition) -> Result<Kept, CheckpointError> {
        let keeping = self.options.checkpoints.as_ref().ok_or(CheckpointError::NotKept)?;
        let _alone = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let board = &self.boards[partition as usize];
        let not_made = |why: String| CheckpointError::NotMade { partition, why };
        if let Standing::Halted { reason } = board.standing() {
            return Err(not_made(format!("it is halted: {reason}")));
        }
        let place = self.beside(format!("checkpoint-{partition}"))?;
        board.want_checkpoint(place.clone());
        self.wait_left(board)?.map_err(not_made)?;
        let taken = self
            .about()
            .and_then(|about| upload(&self.shelf(keeping, partition), &place, &about, &|| !self.stopping()));
        discard(&place)?;
        taken
    }

    /// Until the owner of the store has left the checkpoint; the inner error is why it has not.
    fn wait_left(&self, board: &Board) -> Result<Result<Offset, String>, CheckpointError> {
        let began = Instant::now();
        while !self.stopping() {
            if let Some(left) = board.wait_checkpoint(IDLE) {
                return Ok(left);
            }
            if began.elapsed() >= LEAVE {
                board.forget_checkpoint();
                return Ok(Err("its store is not open, or a record is folded for very long".to_owned()));
            }
        }
        board.forget_checkpoint();
        Err(CheckpointError::GivenUp)
    }

    fn about(&self) -> Result<About, CheckpointError> {
        Ok(About {
            identity: Identity::of(&*self.log, &self.names.inbox())?,
            node: self.options.name.clone(),
            now: self.log.wall_clock(),
        })
    }
}

impl Node {
    /// Takes a checkpoint of a partition as it is now. Blocks until it lies in the vault.
    ///
    /// # Errors
    /// When there is no such partition, this node keeps no checkpoints, or the object store refuses.
    pub fn take_checkpoint(&self, partition: Partition) -> Result<Kept, NodeError> {
        self.partition(partition)?;
        if self.common.stopping() {
            return Err(NodeError::Stopping);
        }
        Ok(self.common.take(partition)?)
    }

    /// Whether this node keeps checkpoints.
    pub fn keeps_checkpoints(&self) -> bool {
        self.common.options.checkpoints.is_some()
    }

    /// Where checkpoints lie, and those of every partition, by its number.
    ///
    /// # Errors
    /// When this node keeps none, or the object store does not say.
    pub fn checkpoints(&self) -> Result<(String, Vec<Vec<Found>>), NodeError> {
        let keeping = self.common.options.checkpoints.as_ref().ok_or(CheckpointError::NotKept)?;
        let mut all = Vec::new();
        for partition in 0..self.common.inbox.partitions {
            all.push(self.common.shelf(keeping, partition).list()?);
        }
        Ok((keeping.vault.url().to_owned(), all))
    }
}

/// Takes, clears, trims, until the node stops.
pub fn keep(common: &Common) {
    let Some(keeping) = &common.options.checkpoints else { return };
    give_way();
    let began = Instant::now();
    each_round(common, keeping, "keeping", |board| keep_one(common, keeping, board, began));
}

/// Verifies, until the node stops.
pub fn verify(common: &Common) {
    let Some(keeping) = &common.options.checkpoints else { return };
    give_way();
    let mut tried = BTreeMap::new();
    each_round(common, keeping, "verifying", |board| verify_one(common, keeping, board, &mut tried));
}

fn each_round(
    common: &Common,
    keeping: &Keeping,
    thread: &'static str,
    mut act: impl FnMut(&Board) -> Result<(), CheckpointError>,
) {
    let pause = keeping.every.map_or(LOOK.1, |every| every / 4).clamp(LOOK.0, LOOK.1);
    while !common.stopping() {
        for board in &common.boards {
            if common.stopping() {
                return;
            }
            // A panic of a fold that is made anew must not end the thread.
            let acted = catch_unwind(AssertUnwindSafe(|| act(board)));
            match acted.unwrap_or_else(|_| Err(panicked(board.number))) {
                Ok(()) => board.show_keeping(thread, None),
                Err(CheckpointError::GivenUp) => return,
                Err(error) => {
                    tracing::warn!(partition = board.number, %error, "checkpoints: tried again a little later");
                    board.show_keeping(thread, Some(format!("{thread} checkpoints: {error}")));
                }
            }
        }
        thread::park_timeout(pause);
    }
}

fn panicked(partition: Partition) -> CheckpointError {
    let why = "the fold panicked: the log of this process says at what".to_owned();
    CheckpointError::NotMade { partition, why }
}

fn keep_one(common: &Common, keeping: &Keeping, board: &Board, began: Instant) -> Result<(), CheckpointError> {
    let restorer = common.restorer(keeping, board.number);
    let shelf = restorer.shelf;
    let kept = shelf.kept()?;
    tell(board, &kept);
    if board.standing() != Standing::Live {
        return Ok(());
    }
    if is_due(common, keeping, board, kept.first(), began) {
        let taken = common.take(board.number)?;
        tracing::info!(partition = board.number, checkpoint = taken.id, "a checkpoint was taken");
    }
    let usable = restorer.sift()?;
    let start = trim(common, keeping, board, &usable)?;
    shelf.clear(&usable, keeping.keep, start, common.log.wall_clock())?;
    Ok(())
}

/// The newest verified one is where stores can go on from; one that was refuted is for a person.
fn tell(board: &Board, kept: &[Kept]) {
    let newest = kept.iter().find(|kept| kept.is_verified());
    let refuted = kept.iter().find_map(|kept| match &kept.standing {
        Word::Refuted(verdict) => Some(format!(
            "the checkpoint {} is not what its log says, {} found: it is not used. Run `sagaline verify` on the stopped node {:?}, and compare both builds",
            kept.id, verdict.by, kept.manifest.taken_by
        )),
        Word::Unverified | Word::Verified(_) => None,
    });
    let from = |kept: &Kept| Restorable::From { position: kept.position(), taken_at: kept.manifest.taken_at };
    board.show_kept(newest.map_or(Restorable::Never, from), refuted);
}

/// Of a partition without any, the first is due when the node has run for so long.
fn is_due(common: &Common, keeping: &Keeping, board: &Board, newest: Option<&Kept>, began: Instant) -> bool {
    let Some(every) = keeping.every else { return false };
    let Some(newest) = newest else { return began.elapsed() >= every && board.committed() > 0 };
    let age = common.log.wall_clock().saturating_sub(newest.manifest.taken_at);
    u128::try_from(age).is_ok_and(|age| age >= every.as_millis()) && board.committed() > newest.position()
}

/// Deletes what no store needs any more, where that is wanted. Gives where the log begins.
fn trim(common: &Common, keeping: &Keeping, board: &Board, usable: &[Kept]) -> Result<Offset, CheckpointError> {
    let inbox = common.names.inbox();
    let (start, _) = sealed::bounds(&*common.log, &inbox, board.number)?;
    let Some(reader) = board.reader().filter(|_| keeping.trim) else { return Ok(start) };
    let vouched = view::meta(&*reader)?.and_then(|meta| meta.vouched);
    drop(reader);
    let Some(below) = bound(usable, Place { start, vouched }) else { return Ok(start) };
    if start == 0 {
        common.keep_genesis(board.number)?;
    }
    let start = common.log.delete_below(&inbox, board.number, below)?;
    tracing::info!(partition = board.number, start, "the inbox was trimmed: verified checkpoints hold what was before");
    Ok(start)
}

fn verify_one(
    common: &Common,
    keeping: &Keeping,
    board: &Board,
    tried: &mut BTreeMap<String, Instant>,
) -> Result<(), CheckpointError> {
    let kept = common.shelf(keeping, board.number).kept()?;
    // An older one that nobody has verified is of no more use once a newer one is.
    let newest = kept.iter().find(|kept| kept.standing == Word::Unverified || kept.is_verified());
    let Some(newest) = newest.filter(|newest| newest.standing == Word::Unverified) else { return Ok(()) };
    let own = newest.manifest.taken_by == common.options.name;
    let patience = keeping.every.unwrap_or(OTHERS_FIRST).min(OTHERS_FIRST).as_millis();
    let age = u128::try_from(common.log.wall_clock().saturating_sub(newest.manifest.taken_at)).unwrap_or(0);
    if own && age < patience || tried.get(&newest.id).is_some_and(|at| at.elapsed() < AGAIN) {
        return Ok(());
    }
    tried.retain(|_, at| at.elapsed() < AGAIN);
    tried.insert(newest.id.clone(), Instant::now());
    let scratch = common.beside(format!("verify-checkpoint-{}", board.number))?;
    let by = format!("node {}", common.options.name);
    let watch = |_| !common.stopping();
    let restorer = common.restorer(keeping, board.number);
    let checked = Check { restorer, scratch: &scratch, by: &by, watch: &watch }.check(newest)?;
    match &checked.standing {
        Word::Refuted(_) => {
            tracing::error!(partition = board.number, checkpoint = checked.id, "REFUTED: it is not what its log says")
        }
        Word::Verified(_) | Word::Unverified => {
            tracing::info!(partition = board.number, checkpoint = checked.id, "the checkpoint was verified");
        }
    }
    Ok(())
}

/// Whoever has something else to do comes first.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "setpriority touches no memory")]
fn give_way() {
    // SAFETY: it takes three integers; on Linux, 0 is the thread that calls. Where it is refused, nothing changes.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}
