//! One thread's life with one partition: opens the store, lets the owner turn in the role that the group gave, shows how it goes, and closes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sagaline_log::clock::{Clock, SystemClock};
use sagaline_partition::store::{Store, StoreError};
use sagaline_partition::{Faults, view};
use sagaline_schemas::Offset;
use sagaline_store::checkpoint::Checkpointer;
use sagaline_store::{MemoryStore, RocksStore, Shared, Sidecar, Trail};

use super::board::Board;
use super::halted::{Halted, Told};
use super::poison::Poison;
use super::{Common, IDLE};
use crate::checkpoint::CheckpointError;
use crate::owner::opening::Origin;
use crate::owner::stop::{Stop, log_may_pass};
use crate::owner::{Owner, OwnerOptions};
use crate::{BootTime, Standing, sealed};

/// How often the status is copied out.
const SHOW_EVERY: Duration = Duration::from_millis(200);
/// How long a log that does not answer is left alone.
const REOPEN: Duration = Duration::from_secs(1);
/// How long a store that can't be written is left alone at most.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// How long readers may hold a store that is to be made anew.
const DROP_PATIENCE: u32 = 1_000;

/// One partition's place in this process.
pub struct Seat {
    common: Arc<Common>,
    board: Arc<Board>,
    shared: Shared,
    /// Inputs that are passed over by a store which has not folded past their Faults yet.
    faults: Faults,
    poison: Poison,
    /// It was open before.
    lived: bool,
}

impl Seat {
    pub fn new(common: Arc<Common>, board: Arc<Board>, shared: Shared) -> Self {
        Self { common, board, shared, faults: Faults::new(), poison: Poison::default(), lived: false }
    }

    /// Until the node stops or the partition is given up. An error only where closing failed: everything else is shown.
    pub fn run(mut self) -> Result<(), Stop> {
        let mut pause = REOPEN;
        loop {
            let began = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| self.live()));
            self.board.show_reader(None);
            self.lived = true;
            let stop = match outcome {
                Ok(Ok(closed)) => {
                    self.board.show_standing(Standing::Stopped);
                    return closed;
                }
                Ok(Err(stop)) => stop,
                Err(_) => {
                    let panic = "the thread panicked outside of the fold: see the log of this process".to_owned();
                    let (partition, offset) = (self.board.number, -1);
                    return self.give_up(&Stop::Panicked {
                        partition,
                        offset,
                        timer: 0,
                        panic,
                        heard: 0,
                        unsaid: None,
                    });
                }
            };
            pause = if began.elapsed() > LONGEST_REST { REOPEN } else { pause };
            if !self.may_open_again(stop, &mut pause)? {
                return Ok(());
            }
        }
    }

    /// Whether the partition is to be opened again, once what its stop asks for is done or has passed. False: it is given up, or the node stops.
    fn may_open_again(&mut self, stop: Stop, pause: &mut Duration) -> Result<bool, Stop> {
        let partition = self.board.number;
        match stop {
            Stop::Refold { offset, timer, fault, note, .. } => match self.drop_for_refold(offset, fault) {
                Ok(()) => {
                    tracing::warn!(partition, offset, timer, "an input is passed over: the store is made anew");
                    self.faults.insert((offset, timer), note);
                }
                // The store is kept, and the fault not: with it, this store would go on as if it had passed the input over.
                Err(stop) => return self.may_open_again(stop, pause),
            },
            Stop::Log(error) if log_may_pass(&error) && !self.common.stopping() => {
                tracing::warn!(partition, %error, "opened again a little later");
                self.board.show_trouble(error.to_string());
                thread::park_timeout(REOPEN);
            }
            stop @ Stop::Panicked { .. } if self.poison.is_tried_again(&self.common, &stop) => {
                tracing::error!(reason = %stop, "the store is opened anew, and the input folded once more");
                self.board.show_opening();
            }
            // What it has not folded is gone, on purpose or not: a checkpoint may reach further.
            Stop::AheadOfLog { position, start, .. }
                if position < start && self.common.options.checkpoints.is_some() =>
            {
                tracing::warn!(partition, position, start, "the log begins behind the store");
                self.board.show_opening();
            }
            stop @ Stop::Panicked { .. } => {
                self.give_up(&stop)?;
                self.pass_over(&stop);
                match Halted::at(&self.common, &self.board, stop).wait() {
                    Told::GoOn => {}
                    // Started again on purpose, it is tried again.
                    Told::Stopping => return self.leave(None).map(|()| false),
                    Told::Alone(stop) => return self.give_up(&stop).map(|()| false),
                }
            }
            stop @ Stop::Unsafe { .. } => {
                let looks = self.common.fitness.looks();
                self.give_up(&stop)?;
                return Ok(self.wait_mended(looks));
            }
            stop if stop.may_pass() => {
                self.give_up(&stop)?;
                let rested = self.rest(*pause);
                *pause = (*pause * 2).min(LONGEST_REST);
                return Ok(rested);
            }
            stop => return self.give_up(&stop).map(|()| false),
        }
        Ok(true)
    }

    /// Without a person, where that is wanted and harms nobody.
    fn pass_over(&mut self, stop: &Stop) {
        match self.poison.pass_over(&self.common, self.board.role(), stop) {
            Ok(Some(fault)) => {
                tracing::error!(partition = self.board.number, fault, reason = %stop, "passed over, as skip_poison says");
                self.board.tell();
            }
            Ok(None) => {}
            Err(error) => tracing::error!(partition = self.board.number, %error, "not passed over: a person must"),
        }
    }

    fn give_up(&self, stop: &Stop) -> Result<(), Stop> {
        tracing::error!(partition = self.board.number, reason = %stop, "halted");
        self.board.show_stop(stop);
        Ok(())
    }

    /// It is shown as halted meanwhile, and until its store is open again. False: the node stops first.
    fn rest(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while !self.common.stopping() && Instant::now() < until {
            thread::park_timeout(until.saturating_duration_since(Instant::now()));
        }
        !self.common.stopping()
    }

    /// Until a look after those finds that sagas may live by the topic. False: the node stops first.
    fn wait_mended(&self, looks: u64) -> bool {
        while !self.common.stopping() {
            if self.common.fitness.is_fit_after(looks) {
                self.board.show_opening();
                return true;
            }
            thread::park_timeout(REOPEN);
        }
        false
    }

    fn place(&self) -> Option<PathBuf> {
        let directory = self.common.options.data_dir.as_ref()?;
        Some(directory.join(format!("partition-{}", self.board.number)))
    }

    /// The inner result is that of closing.
    fn live(&mut self) -> Result<Result<(), Stop>, Stop> {
        let (mut owner, checkpointer) = self.open()?;
        let opened_at = owner.status()?.log_end;
        self.board.show_opening();
        owner.take_role(self.board.role(), SystemClock.since_boot());
        owner.learn_restorable(self.board.restorable());
        self.board.show_reader(Some(owner.reader()));
        self.show(&owner)?;
        let (mut shown_at, mut committed) = (Duration::ZERO, -1);
        while !self.common.stopping() {
            if let Some(stop) = self.common.fitness.unfit() {
                owner.close()?;
                return Err(stop.of(self.board.number));
            }
            let now = SystemClock.since_boot();
            owner.take_role(self.board.role(), now);
            owner.learn_restorable(self.board.restorable());
            let turned = owner.turn(now, IDLE)?;
            if let Some(place) = self.board.wanted_checkpoint() {
                self.leave_checkpoint(&mut owner, checkpointer.as_ref(), &place, now)?;
            }
            if owner.committed() != committed {
                committed = owner.committed();
                self.board.show_committed(committed);
                self.forget_faults(committed, opened_at);
            }
            if now.saturating_sub(shown_at) >= SHOW_EVERY {
                shown_at = now;
                self.show(&owner)?;
            }
            if !turned.pause.is_zero() {
                thread::park_timeout(turned.pause);
            }
        }
        Ok(owner.close().and_then(|()| self.leave(None)))
    }

    /// An earlier life has met every Fault that is known here, so all of them lie before the log's end at the opening. Who has folded past that needs
    /// none any more: a verified checkpoint from behind a Fault was folded with it, and a store from before one meets it again, at worst for another
    /// refold. Kept for ever, the oldest would forbid every checkpoint behind its input.
    fn forget_faults(&mut self, committed: Offset, opened_at: Offset) {
        if committed >= opened_at {
            self.faults.clear();
        }
    }

    /// What the next life with this store is to know; none: this one ended cleanly.
    fn leave(&self, trail: Option<&Trail>) -> Result<(), Stop> {
        self.place().map_or(Ok(()), |place| Ok(Trail::save(trail, place)?))
    }

    fn show(&self, owner: &Owner) -> Result<(), Stop> {
        self.board.show_status(owner.status()?, owner.settings());
        Ok(())
    }

    /// Some milliseconds of work; what then becomes of the checkpoint is for another thread. That the disk refuses one stops no fold.
    fn leave_checkpoint(
        &self,
        owner: &mut Owner,
        checkpointer: Option<&Checkpointer>,
        place: &Path,
        now: BootTime,
    ) -> Result<(), Stop> {
        let Some(checkpointer) = checkpointer else {
            self.board.show_checkpoint(Err("its store lies in memory only".to_owned()));
            return Ok(());
        };
        if let Some(position) = owner.rest(now)? {
            let made = checkpointer.make(place).map(|()| position).map_err(|error| error.to_string());
            self.board.show_checkpoint(made);
        }
        Ok(())
    }

    fn open(&self) -> Result<(Owner, Option<Checkpointer>), Stop> {
        let place = self.place();
        let (store, known, checkpointer): (Box<dyn Store>, Origin, Option<Checkpointer>) = match &place {
            None => (Box::new(MemoryStore::new()), Origin::default(), None),
            Some(place) => {
                self.prepare(place)?;
                let store = self.open_store(place)?;
                let Sidecar { cluster_id, topic_id, .. } = Sidecar::load(place)?;
                let checkpointer = store.checkpointer();
                (Box::new(store), Origin { cluster_id, topic_id }, Some(checkpointer))
            }
        };
        let options = OwnerOptions {
            partition: self.board.number,
            names: self.common.names.clone(),
            key: self.common.options.key.clone(),
            log_id: self.common.inbox.log_id,
            node: self.common.options.name.clone(),
            single_broker: self.common.options.single_broker,
            faults: self.faults.clone(),
            rules: self.common.options.rules,
        };
        let (mut owner, origin) = Owner::open(options, store, &known, Arc::clone(&self.common.log))?;
        if let Some(place) = &place
            && origin != known
        {
            Sidecar { cluster_id: origin.cluster_id, topic_id: origin.topic_id, halted: None }.save(place)?;
        }
        if let Some(place) = place {
            let last = Trail::load(&place)?;
            Trail::save(Some(&last.unwrap_or(Trail::Open)), &place)?;
            if let Some(last) = last {
                owner.watch(last, Box::new(move |trail| Trail::save(Some(trail), &place)));
            }
        }
        Ok((owner, checkpointer))
    }

    /// Makes a store of a checkpoint where there is none, or where the log no longer reaches back to the one that there is. An empty store is
    /// one: whoever made it wants the log to be folded.
    fn prepare(&self, place: &Path) -> Result<(), Stop> {
        let (partition, inbox) = (self.board.number, self.common.names.inbox());
        let (start, _) = sealed::bounds(&*self.common.log, &inbox, partition).map_err(Stop::Log)?;
        let there = RocksStore::is_at(place);
        if there && (start == 0 || self.position_at(place)? >= start) {
            return Ok(());
        }
        let below = self.below();
        if there {
            self.check_base(below)?;
            self.drop_store()?;
        }
        let why = match self.common.restore(partition, place, below) {
            Ok(Ok(kept)) => {
                tracing::warn!(partition, checkpoint = kept.id, "the store was made anew from a checkpoint");
                return Ok(());
            }
            Ok(Err(why)) => why,
            // A log that is whole needs no checkpoint.
            Err(error) if start > 0 => return Err(self.not_restored(start, error)),
            Err(error) => error.to_string(),
        };
        if start > 0 {
            return Err(Stop::Beheaded { partition, start, why });
        }
        tracing::info!(partition, why, "the log is folded from its first record");
        Ok(())
    }

    /// No input at or behind it may be in what a store is made anew from.
    fn below(&self) -> Offset {
        self.faults.keys().map(|(offset, _)| *offset).min().unwrap_or(Offset::MAX)
    }

    /// Whether a store can be made anew: the log is whole, or a checkpoint takes the place of its beginning.
    fn check_base(&self, below: Offset) -> Result<(), Stop> {
        let partition = self.board.number;
        let (start, _) = sealed::bounds(&*self.common.log, &self.common.names.inbox(), partition).map_err(Stop::Log)?;
        if start == 0 {
            return Ok(());
        }
        let restorable =
            self.common.is_restorable(partition, below).map_err(|error| self.not_restored(start, error))?;
        restorable.map_err(|why| {
            let why = format!("the store that is there is kept, and can't be made anew: {why}");
            Stop::Beheaded { partition, start, why }
        })
    }

    /// A checkpoint could not be brought here, or asked for. What may pass is tried again.
    fn not_restored(&self, start: Offset, error: CheckpointError) -> Stop {
        let (partition, place) = (self.board.number, self.place().unwrap_or_default().display().to_string());
        match error {
            CheckpointError::Log(error) if log_may_pass(&error) => Stop::Log(error),
            CheckpointError::Store(error) => Stop::Store(error),
            CheckpointError::Disk { place, detail } => Stop::Store(StoreError::Io { place, detail }),
            error if error.may_pass() => {
                let detail = format!("it can't be made anew from a checkpoint at the moment: {error}");
                Stop::Store(StoreError::Io { place, detail })
            }
            error => Stop::Beheaded { partition, start, why: error.to_string() },
        }
    }

    /// Drops the store, so that the input at this offset is not in the one that is made anew, if one can be made: else all would be lost. And the
    /// checkpoints that hold the input and not the Fault: whoever went on from one would meet the Fault, and need one from before the input.
    fn drop_for_refold(&self, input: Offset, fault: Offset) -> Result<(), Stop> {
        self.check_base(self.below().min(input))?;
        let partition = self.board.number;
        match self.common.remove_checkpoints(partition, input, fault) {
            Ok(0) => {}
            Ok(removed) => tracing::warn!(partition, removed, "checkpoints that hold what is passed over were removed"),
            // They are in nobody's way but that of who makes a store anew, who comes here again.
            Err(error) => tracing::error!(partition, %error, "checkpoints that hold what is passed over stay for now"),
        }
        Ok(self.drop_store()?)
    }

    fn position_at(&self, place: &Path) -> Result<Offset, Stop> {
        let store = self.open_store(place)?;
        let meta = view::meta(&store).map_err(Stop::Store)?;
        Ok(meta.map_or(0, |meta| meta.next))
    }

    /// A store that this process had open may be held by readers for a moment; any other is somebody else's.
    fn open_store(&self, place: &Path) -> Result<RocksStore, StoreError> {
        let mut outcome = RocksStore::open(place, &self.shared);
        for _ in 0..if self.lived { DROP_PATIENCE } else { 0 } {
            if !matches!(outcome, Err(StoreError::InUse { .. })) {
                break;
            }
            thread::park_timeout(Duration::from_millis(10));
            outcome = RocksStore::open(place, &self.shared);
        }
        outcome
    }

    /// Readers in other threads hold a store for a moment only.
    fn drop_store(&self) -> Result<(), StoreError> {
        let Some(place) = self.place() else { return Ok(()) };
        let mut outcome = RocksStore::destroy(&place);
        for _ in 0..DROP_PATIENCE {
            if !matches!(outcome, Err(StoreError::InUse { .. })) {
                break;
            }
            thread::park_timeout(Duration::from_millis(10));
            outcome = RocksStore::destroy(&place);
        }
        outcome
    }
}
