//! What participants really did to the world: the truth that reports are compared with. The coordinator and the effect store never read it.

use std::collections::BTreeMap;

use sagaline_schemas::{EffectId, SagaId};

/// One effect in the world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deed {
    /// The saga that wanted it.
    pub saga: Option<SagaId>,
    /// How often it was done.
    pub done: u32,
    /// How often it was undone.
    pub undone: u32,
    /// Number of its undoing among all of the run.
    pub undone_at: Option<u64>,
    /// Its outcome lies in the effect store: the business no longer knows its key, so that doing it again does it twice.
    recorded: bool,
    /// Undone or made void: the key takes nothing any more.
    closed: bool,
}

impl Deed {
    /// It stands in the world.
    pub fn stands(&self) -> bool {
        self.done > self.undone
    }

    /// Whatever comes, it will not be done any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

/// The business of all participants.
#[derive(Default)]
pub struct Business {
    deeds: BTreeMap<EffectId, Deed>,
    undone: u64,
}

impl Business {
    /// Does it. Safe to repeat only until the outcome is recorded, which is all that `by_key` promises. False: the key is closed.
    pub fn act(&mut self, effect: EffectId, saga: SagaId) -> bool {
        let deed = self.deeds.entry(effect).or_default();
        deed.saga = Some(saga);
        if deed.closed {
            return false;
        }
        if deed.done == 0 || deed.recorded {
            deed.done += 1;
        }
        true
    }

    /// Undoes it, if it is there, and closes its key.
    pub fn undo(&mut self, effect: EffectId, saga: SagaId) {
        let deed = self.deeds.entry(effect).or_default();
        deed.saga = Some(saga);
        if deed.done > 0 && !deed.closed {
            self.undone += 1;
            deed.undone += 1;
            deed.undone_at = Some(self.undone);
        }
        deed.closed = true;
    }

    /// The effect store remembers the outcome from here on.
    pub fn recorded(&mut self, effect: EffectId) {
        if let Some(deed) = self.deeds.get_mut(&effect) {
            deed.recorded = true;
        }
    }

    /// Every effect that anything was done about.
    pub fn deeds(&self) -> impl Iterator<Item = (&EffectId, &Deed)> {
        self.deeds.iter()
    }

    /// One effect.
    pub fn deed(&self, effect: EffectId) -> Deed {
        self.deeds.get(&effect).cloned().unwrap_or_default()
    }
}
