//! The words: what a definition says where a step was refused, failed, or the time is up. Meaning: docs/definitions.md.

use sagaline_definition::model::Word;

use crate::fact::Fact;
use crate::ledger::Outcome;
use crate::saga::{Cause, StepState, Stuck};
use crate::turn::Turn;

impl Turn<'_> {
    /// A participant refused an effect.
    pub fn step_refused(&mut self, effect: u32, code: String) {
        let word = {
            let call = self.call(effect);
            *call.refused.get(&code).unwrap_or(&call.refused_else)
        };
        let cause = self.cause_refused(effect, code);
        self.effect_word(effect, word, cause);
    }

    /// Attempts are used up: it is not known what became of the effect.
    pub fn step_failed(&mut self, effect: u32, error: String) {
        let word = self.call(effect).failed;
        let cause = self.cause_failed(effect, error);
        self.effect_word(effect, word, cause);
    }

    /// Acts at once where the saga decides; owes the word where it does not.
    fn effect_word(&mut self, effect: u32, word: Word, cause: Cause) {
        let step = self.effect(effect).step;
        if self.saga.steps[step as usize] != (StepState::Active { effect }) || self.goes_back_or_ended() {
            return;
        }
        if !self.saga.goes_forward() {
            self.effect(effect).owed = true;
            return;
        }
        self.effect(effect).owed = false;
        self.word(step, word, cause);
    }

    /// A step could not even be decided: no effect of it exists.
    pub fn step_word_failed(&mut self, step: u32, cause: Cause) {
        let sagaline_definition::model::Verb::Call(call) = &self.step(step).verb;
        let word = call.failed;
        self.word(step, word, cause);
    }

    fn word(&mut self, step: u32, word: Word, cause: Cause) {
        match word {
            Word::Continue => {
                self.saga.steps[step as usize] = StepState::Continued;
                self.fact(Fact::Continued { step });
                self.advance();
            }
            // The pivot's boundary is its decision: with a branch beside it, only the log's order says which came first.
            Word::Compensate if self.pivot_decided() => self.become_stuck(Stuck::Step { step, cause }),
            Word::Compensate => self.turn_back(cause),
            Word::Stuck => self.become_stuck(Stuck::Step { step, cause }),
        }
    }

    /// A word that was owed while the saga was about something else.
    pub fn pay_word(&mut self, effect: u32) {
        match self.effect(effect).outcome.clone() {
            Outcome::Refused { code, .. } => self.step_refused(effect, code),
            Outcome::Unknown { error } => self.step_failed(effect, error),
            Outcome::Decided | Outcome::Sent | Outcome::Succeeded { .. } | Outcome::Contradicted { .. } => {
                self.effect(effect).owed = false;
            }
        }
    }

    pub fn deadline_word(&mut self, word: Word) {
        match word {
            Word::Compensate => self.turn_back(Cause::Deadline),
            Word::Stuck | Word::Continue => self.become_stuck(Stuck::Deadline),
        }
    }

    /// Whether a pivot is decided and not refused: from then on the saga only goes forward.
    pub fn pivot_decided(&self) -> bool {
        self.saga.effects.iter().any(|effect| self.step(effect.step).pivot && effect.outcome.may_stand())
    }
}
