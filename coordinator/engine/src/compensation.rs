//! Going back: every effect without a recorded refusal is undone, in the exact reverse of the order in which they were decided,
//! one at a time over the whole saga. Nothing is left out because it came late.

use sagaline_definition::model::Compensate;
use sagaline_schemas::record::{End, Kind};

use crate::fact::Fact;
use crate::ledger::Undo;
use crate::saga::{Cause, Direction, Phase, Stuck, TimerKind};
use crate::turn::Turn;

impl Turn<'_> {
    /// From here on nothing is done any more, only undone.
    pub fn turn_back(&mut self, cause: Cause) {
        self.fact(Fact::TurnedBack { cause: cause.clone() });
        self.saga.phase = Phase::Running { direction: Direction::Back { cause } };
        for effect in 0..self.saga.effects.len() as u32 {
            self.stop_clock(effect, Kind::Do);
            self.effect(effect).owed = false;
            let listed = self.effect(effect).undo == Undo::No && self.effect(effect).outcome.may_stand();
            if listed && self.compensable(effect) {
                self.effect(effect).undo = Undo::Listed;
            }
        }
        self.undo_next();
    }

    pub fn compensable(&self, effect: u32) -> bool {
        match self.call(effect).compensate {
            Compensate::By { .. } => true,
            Compensate::Never | Compensate::Reads => false,
        }
    }

    /// The newest that is listed, if none is under way. When none is left, the saga ends.
    pub fn undo_next(&mut self) {
        let effects = &self.saga.effects;
        let open = effects.iter().position(|e| matches!(e.undo, Undo::Decided | Undo::Sent | Undo::UsedUp));
        if let Some(open) = open {
            // Its next attempt fell due while the saga was stuck and decided nothing.
            if effects[open].undo_tries.resting && effects[open].undo != Undo::UsedUp {
                self.effect(open as u32).undo_tries.begun = None;
                self.attempt(open as u32, Kind::Compensate);
            }
            return;
        }
        match effects.iter().rposition(|effect| effect.undo == Undo::Listed) {
            Some(effect) => {
                let effect = effect as u32;
                self.effect(effect).undo = Undo::Decided;
                self.attempt(effect, Kind::Compensate);
            }
            None => self.end_back(),
        }
    }

    fn end_back(&mut self) {
        let Phase::Running { direction: Direction::Back { cause } } = self.saga.phase.clone() else {
            return;
        };
        let end = match &cause {
            Cause::Cancelled { .. } => End::Cancelled,
            Cause::Deadline | Cause::Refused { .. } | Cause::Failed { .. } => End::Compensated,
        };
        self.end(end, Some(cause));
    }

    /// An effect is undone, or was never there. A saga that was stuck at it goes on by itself.
    pub fn undone(&mut self, effect: u32) {
        if let Phase::Stuck {
            direction,
            stuck: Stuck::Compensation { effect: at, .. } | Stuck::LateSuccess { effect: at },
        } = &self.saga.phase
            && *at == effect
        {
            let direction = direction.clone();
            self.fact(Fact::Resumed { because: "the effect is undone after all".to_owned() });
            self.saga.phase = Phase::Running { direction };
        }
        if self.saga.goes_back() {
            self.undo_next();
        }
    }

    /// A person wants the undoing tried again.
    pub fn undo_again(&mut self, effect: u32) {
        self.fresh_attempts(effect, Kind::Compensate);
        self.effect(effect).undo = Undo::Decided;
        self.disarm(TimerKind::UndoBackoff, Some(effect));
        self.attempt(effect, Kind::Compensate);
    }
}
