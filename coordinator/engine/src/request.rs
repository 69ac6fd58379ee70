//! What people may ask of a saga: cancel, retry, close. Each is taken whole or refused with the reason; both stand in the history.

use sagaline_schemas::RequestId;
use sagaline_schemas::record::{End, Kind};

use crate::fact::Fact;
use crate::ledger::{Outcome, Undo};
use crate::saga::{Cause, Direction, Phase, StepState, Stuck};
use crate::turn::{Rejected, Turn};

/// What a person asks of a live saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Go back.
    Cancel {
        /// Why.
        reason: String,
    },
    /// Go on where it is stuck.
    Retry {
        /// Why.
        reason: String,
    },
    /// End it by hand.
    Close {
        /// Why.
        reason: String,
    },
}

impl Asked {
    fn words(&self) -> (&'static str, &String) {
        match self {
            Self::Cancel { reason } => ("cancel", reason),
            Self::Retry { reason } => ("retry", reason),
            Self::Close { reason } => ("close", reason),
        }
    }
}

impl Turn<'_> {
    pub fn request(&mut self, request: RequestId, by: String, asked: Asked) {
        let refused = match &asked {
            Asked::Cancel { .. } => self.why_not_cancel(),
            Asked::Retry { .. } => self.why_not_retry(),
            Asked::Close { .. } => self.why_not_close(),
        };
        let (what, reason) = asked.words();
        let (what, reason) = (what.to_owned(), reason.clone());
        self.fact(Fact::Asked { request, by: by.clone(), what, reason: reason.clone(), refused: refused.clone() });
        if let Some(why) = refused {
            self.out.rejected = Some(Rejected::Request(why));
            return;
        }
        match asked {
            Asked::Cancel { .. } => self.turn_back(Cause::Cancelled { by, reason }),
            Asked::Retry { .. } => self.retry(&by),
            Asked::Close { .. } => self.end(End::Closed, Some(Cause::Cancelled { by, reason })),
        }
    }

    fn why_not_cancel(&self) -> Option<String> {
        match &self.saga.phase {
            Phase::Ended { end, .. } => Some(format!("the saga has ended already: {end:?}")),
            Phase::Running { direction: Direction::Back { .. } } => Some("the saga is going back already".to_owned()),
            Phase::Stuck { direction: Direction::Back { .. }, .. } => {
                Some("the saga is stuck on its way back: retry it, or close it".to_owned())
            }
            Phase::Running { direction: Direction::Forward } | Phase::Stuck { direction: Direction::Forward, .. } => {
                self.pivot_decided()
                    .then(|| format!("the pivot {:?} is decided: the saga only goes forward", self.pivot_name()))
            }
        }
    }

    fn pivot_name(&self) -> &str {
        self.definition.steps.iter().find(|step| step.pivot).map_or("", |step| &step.step)
    }

    fn why_not_retry(&self) -> Option<String> {
        match &self.saga.phase {
            Phase::Ended { end, .. } => Some(format!("the saga has ended already: {end:?}")),
            Phase::Running { .. } => Some("the saga is not stuck: there is nothing to retry".to_owned()),
            Phase::Stuck { stuck: Stuck::Contradiction { .. }, direction: Direction::Forward } => Some(
                "the participant contradicts itself: find out what is true, then cancel or close the saga".to_owned(),
            ),
            Phase::Stuck { .. } => None,
        }
    }

    fn why_not_close(&self) -> Option<String> {
        match &self.saga.phase {
            Phase::Ended { end, .. } => Some(format!("the saga has ended already: {end:?}")),
            Phase::Running { .. } => {
                Some("the saga is not stuck: cancel it instead, and its effects are undone".to_owned())
            }
            Phase::Stuck { .. } => None,
        }
    }

    /// The saga goes on in its direction. What it was stuck at gets a fresh set of attempts.
    fn retry(&mut self, by: &str) {
        let Phase::Stuck { direction, stuck } = self.saga.phase.clone() else {
            return;
        };
        self.fact(Fact::Resumed { because: format!("{by} asked") });
        self.saga.phase = Phase::Running { direction: direction.clone() };
        match direction {
            Direction::Forward => self.retry_forward(&stuck),
            Direction::Back { .. } => self.retry_back(),
        }
    }

    fn retry_forward(&mut self, stuck: &Stuck) {
        if let Stuck::Step { step, .. } = stuck
            && let StepState::Active { effect } = self.saga.steps[*step as usize]
        {
            self.effect(effect).owed = false;
            match self.effect(effect).outcome {
                // Not known: the same effect once more, never another one beside it (model check 2, f-hold-new).
                Outcome::Unknown { .. } => self.try_again(effect),
                Outcome::Refused { .. } => self.begin_again(effect),
                Outcome::Decided | Outcome::Sent | Outcome::Succeeded { .. } | Outcome::Contradicted { .. } => {}
            }
        }
        self.resume_forward();
    }

    fn try_again(&mut self, effect: u32) {
        self.fresh_attempts(effect, Kind::Do);
        self.effect(effect).outcome = Outcome::Decided;
        self.attempt(effect, Kind::Do);
    }

    fn retry_back(&mut self) {
        match self.saga.effects.iter().rposition(|effect| effect.undo == Undo::UsedUp) {
            Some(effect) => self.undo_again(effect as u32),
            None => self.undo_next(),
        }
    }
}
