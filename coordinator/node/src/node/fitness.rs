//! Whether the inbox is still a topic that sagas may live by, looked at while the node runs: a setting may be changed under it, a partition added, the
//! topic made anew. What is found halts every partition until it is mended. While it is whole, copies of what it began with are kept. Losses of
//! records each partition sees by itself (`owner/fold.rs`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sagaline_log::LogError;
use sagaline_log::clock::{Clock, SystemClock};

use super::{Common, IDLE};
use crate::owner::opening::{check_count, check_inbox, check_size};
use crate::owner::stop::Stop;
use crate::sealed;

/// A broker deletes what its settings no longer keep after some minutes: they are looked at more often than that.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What was found, for all threads.
#[derive(Default)]
pub struct Fitness(Mutex<Found>);

#[derive(Default)]
struct Found {
    looks: u64,
    unfit: Option<Stop>,
}

impl Fitness {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why no partition may be folded, as last seen.
    pub fn unfit(&self) -> Option<Stop> {
        self.found().unfit.clone()
    }

    /// How often it was looked.
    pub fn looks(&self) -> u64 {
        self.found().looks
    }

    /// Whether all was found well after so many looks.
    pub fn is_fit_after(&self, looks: u64) -> bool {
        let found = self.found();
        found.looks > looks && found.unfit.is_none()
    }

    fn note(&self, outcome: Result<(), Stop>) {
        let unfit = match outcome {
            Ok(()) => None,
            // Nobody answers: nothing is known, and each partition notices by itself.
            Err(Stop::Log(error)) => return tracing::debug!(%error, "the inbox was not looked at"),
            Err(stop) => Some(stop),
        };
        let mut found = self.found();
        if found.unfit != unfit {
            match &unfit {
                Some(stop) => tracing::error!(reason = %stop, "the inbox is not fit for sagas"),
                None => tracing::info!("the inbox is fit for sagas again"),
            }
        }
        (found.looks, found.unfit) = (found.looks + 1, unfit);
    }
}

/// Looks until the node stops.
pub fn run(common: &Common) {
    let mut topic_id = None;
    while !common.stopping() {
        let outcome = look(common, &mut topic_id);
        let is_fit = outcome.is_ok();
        common.fitness.note(outcome);
        let next = Instant::now() + LOOK_EVERY;
        if is_fit && let Err(error) = keep_copies(common, next) {
            tracing::warn!(%error, "no copy is kept of what the inbox began with: tried again a little later");
        }
        while !common.stopping() && Instant::now() < next {
            thread::park_timeout(next.saturating_duration_since(Instant::now()));
        }
    }
}

/// Copies what the inbox began with, of each partition of which no copy lies in the registry: before anybody deletes a record, on purpose or not. The
/// next look waits for nothing here.
fn keep_copies(common: &Common, until: Instant) -> Result<(), LogError> {
    let goes_on = || !common.stopping() && Instant::now() < until;
    // Who has not read it to its end, and lately, does not know what it lacks.
    let confirmed = |at| SystemClock.since_boot().saturating_sub(at) < LOOK_EVERY;
    while !common.registry.confirmed_at().is_some_and(confirmed) {
        if !goes_on() {
            return Ok(());
        }
        thread::park_timeout(IDLE);
    }
    let kept = common.registry.catalogue();
    let missing = (0..common.inbox.partitions).filter(|partition| !kept.begun.contains(partition));
    sealed::copy_geneses(&*common.log, &common.names, &common.options.key, missing, &goes_on)
}

/// `topic_id` is the topic's as it was first seen.
fn look(common: &Common, topic_id: &mut Option<String>) -> Result<(), Stop> {
    let info = check_inbox(&*common.log, &common.names, common.options.single_broker)?;
    let found = info.id.to_string();
    let stored = topic_id.get_or_insert_with(|| found.clone()).clone();
    if stored != found {
        return Err(Stop::OtherLog { partition: 0, what: "topic", stored, found });
    }
    check_count(&info, common.inbox.partitions)?;
    let largest = common.boards.iter().filter_map(|board| board.settings()).max_by_key(|settings| settings.max_record);
    largest.map_or(Ok(()), |settings| check_size(&info, &settings))
}
