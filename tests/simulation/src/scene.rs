//! What all actors of a run share: the simulated log, chance, the account of what happened, and what is broken on purpose.

use std::collections::{BTreeMap, VecDeque};

use sagaline_log::simulated::{EPOCH, Simulation};
use sagaline_schemas::{Digest, Millis};

use crate::chance::Chance;

/// Events kept for a failure's account.
const TRAIL: usize = 80;

/// Something that is broken on purpose: the checks must see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Participants run their handler for every command that comes.
    NoDeduplication,
    /// Participants say "nothing there" and leave no tombstone.
    NoTombstones,
    /// Publishers never see what earlier terms and failed runs have left in the outbox.
    NoRepublishing,
    /// An append whose outcome is unknown is taken for acknowledged.
    UnknownIsAcknowledged,
    /// One byte of a node's store is changed.
    TamperedStore,
    /// The forger holds the log's key.
    StolenKey,
    /// Attempts last a third less than the checks are told.
    ShortAttempts,
}

/// A property that did not hold, and how the run came there.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed}: {what}\nlast events:\n{trail}\n{texts}\nagain: SEED={seed} cargo test -p sagaline-simulation")]
pub struct Violation {
    /// The run.
    pub seed: u64,
    /// What does not hold.
    pub what: String,
    /// What happened before, a line each.
    pub trail: String,
    /// The definitions and contracts that were drawn.
    pub texts: String,
}

/// What a run brought.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// How often each kind of fault struck.
    pub faults: BTreeMap<&'static str, u64>,
    /// How often what is worth knowing was seen.
    pub seen: BTreeMap<&'static str, u64>,
    /// State digests of the inbox partitions at the end.
    pub digests: Vec<Digest>,
    /// Sagas by how they ended, or that they are stuck.
    pub ends: BTreeMap<String, u64>,
    /// Definitions and contracts that were drawn, by name.
    pub texts: BTreeMap<String, String>,
    /// Keywords and words by place that were drawn.
    pub said: BTreeMap<String, u64>,
    /// Records in the inbox.
    pub inputs: u64,
    /// Outputs of the fold.
    pub outputs: u64,
    /// Virtual milliseconds.
    pub lasted: Millis,
}

impl Totals {
    /// Sagas of the run.
    pub fn sagas(&self) -> u64 {
        self.ends.values().sum()
    }

    /// Faults of all kinds.
    pub fn struck(&self) -> u64 {
        self.faults.values().sum()
    }
}

/// What all actors of a run share.
pub struct Scene {
    /// The log, and time.
    pub simulation: Simulation,
    /// What the seed gives.
    pub chance: Chance,
    /// What is broken on purpose.
    pub mutation: Option<Mutation>,
    /// Nothing goes wrong any more.
    pub calm: bool,
    /// What the run brought so far.
    pub totals: Totals,
    trail: VecDeque<String>,
}

impl Scene {
    /// A quiet world.
    pub fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        Self {
            simulation: Simulation::new(seed),
            chance: Chance::new(seed ^ 0x5a6a),
            mutation,
            calm: false,
            totals: Totals::default(),
            trail: VecDeque::new(),
        }
    }

    /// Virtual time, milliseconds since 1970.
    pub fn now(&self) -> Millis {
        self.simulation.now()
    }

    /// Virtual time since the beginning, milliseconds.
    pub fn elapsed(&self) -> Millis {
        self.now() - EPOCH
    }

    /// Something happened.
    pub fn note(&mut self, what: impl AsRef<str>) {
        if self.trail.len() == TRAIL {
            self.trail.pop_front();
        }
        let elapsed = self.elapsed();
        self.trail.push_back(format!("  {:>10}.{:03} s  {}", elapsed / 1000, elapsed % 1000, what.as_ref()));
    }

    /// A fault strikes.
    pub fn strike(&mut self, kind: &'static str, detail: impl AsRef<str>) {
        *self.totals.faults.entry(kind).or_default() += 1;
        self.note(format!("{kind}: {}", detail.as_ref()));
    }

    /// Something worth knowing was seen so many times.
    pub fn see(&mut self, kind: &'static str, times: u64) {
        *self.totals.seen.entry(kind).or_default() += times;
    }

    /// While the storm lasts: true `per_mille` times in a thousand.
    pub fn unlucky(&mut self, per_mille: u32) -> bool {
        !self.calm && self.chance.strikes(per_mille)
    }

    /// The last events, a line each.
    pub fn trail(&self) -> String {
        self.trail.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}
