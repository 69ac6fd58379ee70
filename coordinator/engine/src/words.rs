//! The six words: what a definition says where a step was refused, failed or waited in vain, where people chose, a guard does not hold or
//! the world turned. Meaning and places: docs/definitions.md. A word is acted on when the saga decides; until then it is owed.

use sagaline_definition::model::{BackTo, Reaction, Verb, Word};
use sagaline_schemas::record::End;

use crate::fact::Fact;
use crate::saga::{
    Cause, Direction, Effect, Goal, Held, Loop, LoopFrom, Phase, PlaceState, StepState, StepWord, Stuck,
};
use crate::turn::{At, Turn};

impl<'a> Turn<'a> {
    /// Something happened at a place that asks for a word. Acts at once where the saga decides.
    pub fn owe(&mut self, at: At, cause: Cause, effect: Option<u32>) {
        match self.saga.direction() {
            Some(Direction::Forward | Direction::Aside { .. }) => {}
            Some(Direction::Back { .. } | Direction::Ensure { .. } | Direction::Over { .. }) | None => return,
        }
        self.disarm_waits(at);
        self.place(at).state = PlaceState::Owed { cause, effect };
        if self.saga.goes_forward() {
            self.pay(at);
        }
    }

    /// Acts on the word that is owed.
    pub fn pay(&mut self, at: At) {
        let PlaceState::Owed { cause, effect } = self.place(at).state.clone() else { return };
        match self.word_for(at.step, &cause) {
            Some((which, word)) => self.act(at, which, word, cause, effect),
            None => self.stuck_at(at, cause),
        }
    }

    /// What the definition says of a cause at a step, and as which of its words. None: it says nothing of such a thing there.
    fn word_for(&self, step: u32, cause: &Cause) -> Option<(StepWord, &'a Word)> {
        let step = self.definition.steps.get(step as usize)?;
        if let Cause::Guard { .. } = cause {
            return step.guard.as_ref().map(|guard| (StepWord::Guard, &guard.otherwise));
        }
        Some(match (&step.verb, cause) {
            (Verb::Call(call), Cause::Refused { code, .. }) => match call.refused.get(code) {
                Some(word) => (StepWord::Refused { code: code.clone() }, word),
                None => (StepWord::RefusedElse, &call.refused_else),
            },
            (Verb::Call(call), Cause::Failed { .. }) => (StepWord::Failed, &call.failed),
            (Verb::Saga(child), Cause::Failed { .. } | Cause::Refused { .. } | Cause::Child { .. }) => {
                (StepWord::Failed, &child.failed)
            }
            (Verb::Wait(wait), Cause::TimedOut { .. }) => (StepWord::InVain, &wait.patience.otherwise),
            (Verb::Until(until), Cause::TimedOut { .. }) => (StepWord::InVain, &until.patience.otherwise),
            (Verb::Approve(approve), Cause::TimedOut { .. }) => (StepWord::InVain, &approve.patience.otherwise),
            (Verb::Approve(approve), Cause::Chosen { choice, .. }) => {
                (StepWord::Choice { choice: choice.clone() }, approve.choices.get(choice)?)
            }
            _ => return None,
        })
    }

    fn act(&mut self, at: At, which: StepWord, word: &Word, cause: Cause, effect: Option<u32>) {
        match word {
            Word::Continue => self.settle(at, PlaceState::Continued),
            Word::Skip => self.make_void(&[at]),
            // The pivot's boundary is its decision: with a branch beside it, only the log's order says which came first.
            Word::Compensate | Word::BackTo(_) if self.pivot_decided().is_some() => self.stuck_at(at, cause),
            Word::Compensate => self.turn_back(cause),
            Word::BackTo(back) => match self.may_loop(LoopFrom::Step { step: at.step, word: which.clone() }, back) {
                true => self.step_aside(Goal::Again { step: back.step as u32, cause }),
                false => self.act(at, which, &back.otherwise, cause, effect),
            },
            Word::Hold => {
                let spot = self.spot(at);
                self.fact(Fact::Held { spot, cause: cause.clone() });
                self.place(at).state = PlaceState::Held { cause, effect };
            }
            Word::Stuck => self.stuck_at(at, cause),
        }
    }

    fn stuck_at(&mut self, at: At, cause: Cause) {
        let spot = self.spot(at);
        self.become_stuck(Stuck::Step { spot, cause });
    }

    /// Counts a loop, if the definition allows one more.
    pub fn may_loop(&mut self, from: LoopFrom, back: &BackTo) -> bool {
        match self.saga.loops.iter_mut().find(|known| known.from == from) {
            Some(known) if known.times >= back.at_most => return false,
            Some(known) => known.times += 1,
            None if back.at_most == 0 => return false,
            None => self.saga.loops.push(Loop { from, times: 1 }),
        }
        true
    }

    /// Each time a condition on the world turns true, or is true when its part of the saga begins. Whether anything moved.
    pub fn react(&mut self) -> bool {
        let mut moved = false;
        for (number, rule) in self.definition.react.iter().enumerate() {
            if !self.may_react() {
                break;
            }
            // Outside its part of the saga a condition is not looked at: what it was before still counts.
            if !self.is_between(rule.between) {
                continue;
            }
            let holds = match rule.condition.holds(&self.names()) {
                Ok(holds) => holds,
                Err(error) => {
                    self.stuck_at_expression(None, error.to_string());
                    return true;
                }
            };
            let Some(held) = self.saga.reactions.get_mut(number) else { continue };
            let held = std::mem::replace(held, holds);
            if holds && !held {
                self.react_to(number as u32, rule);
                moved = true;
            }
        }
        moved
    }

    /// Until it has ended, also while it looks at what must hold before it may be called completed; not while it undoes.
    fn may_react(&self) -> bool {
        self.saga.goes_forward()
            || matches!(self.saga.phase, Phase::Running { direction: Direction::Ensure { cause: None, .. } })
    }

    fn is_between(&self, between: Option<(usize, usize)>) -> bool {
        let begun = |step: usize| self.saga.steps.get(step).is_some_and(|run| !matches!(run.state, StepState::Waiting));
        between.is_none_or(|(first, last)| begun(first) && !begun(last))
    }

    fn react_to(&mut self, number: u32, rule: &Reaction) {
        self.fact(Fact::Reacted { rule: number });
        let word = if self.pivot_decided().is_some() { &rule.after_pivot } else { &rule.then };
        self.act_on_reaction(number, rule, word);
    }

    fn act_on_reaction(&mut self, number: u32, rule: &Reaction, word: &Word) {
        let cause = Cause::Reaction { condition: rule.condition.source().to_owned() };
        match word {
            Word::Continue | Word::Skip => {}
            Word::Compensate if self.pivot_decided().is_none() => self.turn_back(cause),
            Word::BackTo(back) if self.pivot_decided().is_none() => {
                match self.may_loop(LoopFrom::Reaction { rule: number }, back) {
                    true => self.step_aside(Goal::Again { step: back.step as u32, cause }),
                    false => self.act_on_reaction(number, rule, &back.otherwise),
                }
            }
            Word::Hold => {
                let (by, since) = (rule.condition.source().to_owned(), self.moment.log_time);
                let held = Held { by, reason: "the definition says so".to_owned(), since };
                self.saga.held.get_or_insert(held);
            }
            Word::Compensate | Word::BackTo(_) | Word::Stuck => self.become_stuck(Stuck::Reaction { rule: number }),
        }
    }

    /// The step whose pivot is decided and not refused: from then on the saga only goes forward.
    pub fn pivot_decided(&self) -> Option<u32> {
        let decided = |effect: &&Effect| self.step(effect.step).pivot && effect.may_stand();
        self.saga.effects.iter().find(decided).map(|effect| effect.step)
    }

    /// Whether the saga is past going forward.
    pub fn goes_back_or_ended(&self) -> bool {
        match self.saga.direction() {
            Some(Direction::Forward | Direction::Aside { .. }) => false,
            Some(Direction::Back { .. } | Direction::Ensure { .. } | Direction::Over { .. }) | None => true,
        }
    }

    /// Whether the saga undoes everything, or has: then nothing that may stand is left out.
    pub fn went_back(&self) -> bool {
        match &self.saga.phase {
            Phase::Ended { end, cause, .. } => *end != End::Closed && cause.is_some(),
            Phase::Running { direction } | Phase::Stuck { direction, .. } => match direction {
                Direction::Back { .. } => true,
                Direction::Ensure { cause, .. } | Direction::Over { cause, .. } => cause.is_some(),
                Direction::Forward | Direction::Aside { .. } => false,
            },
        }
    }

    /// Whether people ended it: what becomes known after that only enters the ledger.
    pub fn is_closed(&self) -> bool {
        matches!(self.saga.phase, Phase::Ended { end: End::Closed, .. })
    }
}
