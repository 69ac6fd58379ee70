//! Going forward: which steps are ready, and what is decided for them. Effects are registered before their command leaves.

use sagaline_definition::model::Verb;
use sagaline_schemas::Value;
use sagaline_schemas::record::{End, Kind};
use sagaline_schemas::wire::Bytes;

use crate::fact::Fact;
use crate::ledger::{Outcome, Undo};
use crate::names::SagaNames;
use crate::saga::{Cause, Direction, Effect, Phase, StepState, Stuck, TimerKind, Tries};
use crate::text::shortened;
use crate::turn::Turn;

/// What there is to do for a step that is ready.
enum Ready {
    Skip,
    Call(Value),
}

impl Turn<'_> {
    /// Runs to rest: ready steps in file order, again and again until none is ready.
    pub fn advance(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            for step in 0..self.saga.steps.len() {
                if self.saga.goes_forward() && self.is_ready(step) {
                    self.enter(step as u32);
                    moved = true;
                }
            }
            moved &= self.saga.goes_forward();
        }
        if self.saga.goes_forward() && self.saga.steps.iter().all(StepState::is_settled) {
            self.end(End::Completed, None);
        }
    }

    fn is_ready(&self, step: usize) -> bool {
        self.saga.steps[step] == StepState::Waiting
            && self.definition.steps[step].after.iter().all(|before| self.saga.steps[*before].is_settled())
    }

    fn enter(&mut self, step: u32) {
        match self.look_at(step) {
            Err(error) => self.become_stuck(Stuck::Expression { step: Some(step), error: shortened(error) }),
            Ok(Ready::Skip) => {
                self.saga.steps[step as usize] = StepState::Skipped;
                self.fact(Fact::Skipped { step });
            }
            Ok(Ready::Call(input)) => self.begin(step, &input, 0),
        }
    }

    /// Condition and input, each looked at once.
    fn look_at(&self, step: u32) -> Result<Ready, String> {
        let names = SagaNames { definition: self.definition, saga: self.saga, now: self.moment.log_time };
        let step = self.step(step);
        if let Some(condition) = &step.condition {
            match condition.eval(&names).map_err(|error| error.to_string())? {
                Value::Bool(true) => {}
                Value::Bool(false) => return Ok(Ready::Skip),
                other => return Err(format!("{}: expected a bool, got {other}", condition.source())),
            }
        }
        let Verb::Call(call) = &step.verb;
        call.with.eval(&names).map(Ready::Call).map_err(|error| error.to_string())
    }

    /// The step's effect is registered, then its first command decided.
    fn begin(&mut self, step: u32, input: &Value, round: u32) {
        let input = Bytes(input.to_json());
        let limit = self.limits.max_payload as usize;
        let full = self.saga.effects.len() >= self.limits.max_effects as usize;
        let name = self.step(step).step.clone();
        if input.len() > limit {
            let error = format!("its input has {} bytes, the settings allow {limit}", input.len());
            return self.step_word_failed(step, Cause::Failed { step: name, error });
        }
        if full {
            let error = format!("the saga has {} effects, the settings allow no more", self.limits.max_effects);
            return self.become_stuck(Stuck::Step { step, cause: Cause::Failed { step: name, error } });
        }
        let effect = self.register(step, input, round);
        self.attempt(effect, Kind::Do);
    }

    fn register(&mut self, step: u32, input: Bytes, round: u32) -> u32 {
        let effect = self.saga.effects.len() as u32;
        self.saga.effects.push(Effect {
            step,
            items: Vec::new(),
            round,
            decided: self.moment.offset,
            decided_at: self.moment.log_time,
            input,
            outcome: Outcome::Decided,
            tries: Tries::default(),
            undo: Undo::No,
            undo_tries: Tries::default(),
            owed: false,
            repeats: 0,
        });
        self.saga.steps[step as usize] = StepState::Active { effect };
        effect
    }

    /// The step begins anew with a new effect: what it wanted before was refused.
    pub fn begin_again(&mut self, effect: u32) {
        let (step, round) = (self.effect(effect).step, self.effect(effect).round);
        let input = self.effect(effect).input.clone();
        let effect = self.register(step, input, round + 1);
        self.attempt(effect, Kind::Do);
    }

    /// An effect happened. Its step goes on if it waits for this very effect, and the saga decides.
    pub fn step_succeeded(&mut self, effect: u32) {
        let step = self.effect(effect).step as usize;
        self.effect(effect).owed = false;
        if self.saga.steps[step] != (StepState::Active { effect }) || self.goes_back_or_ended() {
            return;
        }
        self.saga.steps[step] = StepState::Done { effect };
        if self.saga.goes_forward() {
            self.advance();
        }
    }

    /// Whether the saga is past going forward.
    pub fn goes_back_or_ended(&self) -> bool {
        match &self.saga.phase {
            Phase::Running { direction } | Phase::Stuck { direction, .. } => *direction != Direction::Forward,
            Phase::Ended { .. } => true,
        }
    }

    /// Whether people ended it: what becomes known after that only enters the ledger.
    pub fn is_closed(&self) -> bool {
        matches!(self.saga.phase, Phase::Ended { end: End::Closed, .. })
    }

    /// What a person's retry, or a word that was owed, brings back to life.
    pub fn resume_forward(&mut self) {
        for effect in 0..self.saga.effects.len() as u32 {
            if self.saga.goes_forward() && self.effect(effect).tries.resting {
                self.effect(effect).tries.begun = None;
                self.attempt(effect, Kind::Do);
            }
            if self.saga.goes_forward() && self.effect(effect).owed {
                self.pay_word(effect);
            }
        }
        if self.saga.goes_forward() {
            self.advance();
        }
    }

    /// The deadline has passed.
    pub fn deadline_passed(&mut self) {
        self.disarm(TimerKind::Deadline, None);
        if !self.saga.goes_forward() {
            self.saga.overdue = true;
            return self.fact(Fact::Overdue);
        }
        let deadline = &self.definition.deadline;
        let word = if self.pivot_decided() { deadline.after_pivot } else { deadline.otherwise };
        self.deadline_word(word);
    }
}
