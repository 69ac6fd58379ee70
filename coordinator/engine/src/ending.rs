//! Stopping and ending: where a saga waits for a person, which way it goes on from there, and what is left when it is over.

use sagaline_schemas::record::End;
use sagaline_schemas::wire::Bytes;

use crate::fact::Fact;
use crate::ledger::{Outcome, Undo};
use crate::saga::{Cause, Direction, Effect, Goal, Phase, Probing, Stuck, TimerKind};
use crate::turn::{ChildWord, Deed, Outgoing, Turn};

impl Turn<'_> {
    /// It waits for a person. An end that turns out to be wrong ends no longer, unless people made it: they have seen the world.
    /// Of two reasons the first stays, but for a contradiction: no retry mends that one.
    pub fn become_stuck(&mut self, stuck: Stuck) {
        let contradiction = matches!(stuck, Stuck::Contradiction { .. });
        let direction = match &self.saga.phase {
            Phase::Running { direction } => direction.clone(),
            Phase::Stuck { stuck: Stuck::Contradiction { .. }, .. } => return,
            Phase::Stuck { direction, .. } if contradiction => direction.clone(),
            // What was passed over stands in the history even where the saga waits already.
            Phase::Stuck { .. } if matches!(stuck, Stuck::Fault { .. }) => return self.fact(Fact::Stuck { stuck }),
            Phase::Stuck { .. } | Phase::Ended { end: End::Closed, .. } => return,
            Phase::Ended { end, cause, .. } => Direction::Over { end: *end, cause: cause.clone() },
        };
        self.disarm(TimerKind::Forget, None);
        self.fact(Fact::Stuck { stuck: stuck.clone() });
        self.saga.phase = Phase::Stuck { direction, stuck };
    }

    /// A saga that was stuck decides again.
    pub fn resume(&mut self, because: String) {
        if let Phase::Stuck { direction, .. } = &self.saga.phase {
            let direction = self.undoing_first(direction.clone());
            self.saga.went_aside |= matches!(direction, Direction::Aside { .. });
            self.saga.phase = Phase::Running { direction };
            self.fact(Fact::Resumed { because });
        }
    }

    /// The direction itself, unless something is listed that it would leave standing: that is undone first, even from an end.
    pub fn undoing_first(&self, direction: Direction) -> Direction {
        let listed = self.saga.effects.iter().any(|effect| effect.undo == Undo::Listed);
        match direction {
            Direction::Ensure { cause: Some(cause), .. } | Direction::Over { cause: Some(cause), .. } if listed => {
                Direction::Back { cause }
            }
            Direction::Forward | Direction::Ensure { cause: None, .. } | Direction::Over { cause: None, .. }
                if listed =>
            {
                Direction::Aside { goal: Goal::Void { spots: vec![] } }
            }
            other => other,
        }
    }

    /// Whether nothing is left for a person to look at that the saga was stuck at something else for; it is stuck where something is.
    pub fn is_in_order(&mut self) -> bool {
        self.is_uncontradicted() && self.is_found_by_its_names()
    }

    /// Whether people have settled every contradiction about what stands; the saga is stuck at the first that they have not.
    pub fn is_uncontradicted(&mut self) -> bool {
        let unsettled =
            |effect: &Effect| matches!(effect.outcome, Outcome::Contradicted { .. }) && effect.undo == Undo::No;
        match self.saga.effects.iter().position(unsettled) {
            None => true,
            Some(effect) => {
                self.become_stuck(Stuck::Contradiction { effect: effect as u32 });
                false
            }
        }
    }

    /// What had ended before a person had to look is over again, once nothing about it is contradicted any more.
    pub fn end_again(&mut self, end: End, cause: Option<Cause>) {
        if cause.is_some() || self.is_uncontradicted() {
            self.end(end, cause);
        }
    }

    /// Whatever the phase, nothing is under way any more.
    pub fn end(&mut self, end: End, cause: Option<Cause>) {
        let reason = cause.as_ref().map_or_else(String::new, |cause| format!("{cause}"));
        self.saga.phase = Phase::Ended { end, at: self.moment.log_time, cause };
        self.saga.timers.clear();
        self.saga.letters.clear();
        for effect in &mut self.saga.effects {
            effect.probing = Probing::No;
            effect.tries.resting = false;
            effect.undo_tries.resting = false;
            effect.probe_tries.resting = false;
        }
        self.fact(Fact::Ended { end });
        if self.saga.parent.is_some() {
            let result = if end == End::Completed {
                self.result().unwrap_or_else(|_| Bytes::from("null"))
            } else {
                Bytes::from("null")
            };
            self.out.out.push(Outgoing::Ended { end, result, reason });
        }
        self.let_go();
    }

    /// A child that completed is kept for its parent, which may still undo it, and keeps its own children for that. Everybody else
    /// forgets in time.
    pub fn let_go(&mut self) {
        let kept = self.saga.parent.as_ref().is_some_and(|parent| !parent.released);
        let completed = matches!(self.saga.phase, Phase::Ended { end: End::Completed, .. });
        if !self.saga.is_ended() || (kept && completed) {
            return;
        }
        for effect in 0..self.saga.effects.len() as u32 {
            self.release_child(effect);
        }
        self.arm_after(TimerKind::Forget, None, self.limits.keep_ended);
    }

    /// A child that has completed, and that nobody will undo any more, is told so. One that has not ended is told when it has.
    pub fn release_child(&mut self, effect: u32) {
        let of = self.effect(effect);
        let happened = matches!(of.outcome, Outcome::Succeeded { .. } | Outcome::Contradicted { .. });
        if of.child.is_some() && happened && !of.undo.is_void() && matches!(self.deed(effect), Deed::Child(_)) {
            self.out.out.push(Outgoing::Child { effect, word: ChildWord::Release });
        }
    }

    /// The saga that waits for this one wants nothing more of it.
    pub fn released(&mut self) {
        let Some(parent) = &mut self.saga.parent else { return };
        let again = std::mem::replace(&mut parent.released, true);
        if !again {
            self.let_go();
        }
    }
}
