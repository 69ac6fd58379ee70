//! Going back, and stepping aside: every effect that may stand is undone, in the exact reverse of the order in which they were decided,
//! one at a time over the whole saga. Nothing is left out because it came late.

use std::collections::BTreeSet;

use sagaline_definition::model::Compensate;
use sagaline_schemas::record::{End, Kind};
use sagaline_schemas::wire::Bytes;

use crate::fact::Fact;
use crate::ledger::Undo;
use crate::names::SagaNames;
use crate::saga::{Cause, Direction, Goal, Phase, PlaceState, Spot, StepState, Stuck, TimerKind};
use crate::turn::{At, Deed, Turn};

impl Turn<'_> {
    /// From here on nothing is done any more, only undone.
    pub fn turn_back(&mut self, cause: Cause) {
        self.fact(Fact::TurnedBack { cause: cause.clone() });
        self.saga.phase = Phase::Running { direction: Direction::Back { cause } };
        let undoing = [TimerKind::Deadline, TimerKind::UndoAttempt, TimerKind::UndoBackoff];
        self.saga.timers.retain(|timer| undoing.contains(&timer.kind));
        for effect in 0..self.saga.effects.len() as u32 {
            self.list(effect);
        }
    }

    /// Some effects are undone, then the saga goes forward again.
    pub fn step_aside(&mut self, goal: Goal) {
        self.fact(Fact::SteppedAside { goal: goal.clone() });
        self.saga.went_aside = true;
        for effect in 0..self.saga.effects.len() as u32 {
            let spot = self.effect(effect).spot();
            let concerned = match &goal {
                Goal::Void { spots } => spots.contains(&spot),
                Goal::Again { step, .. } => self.from_here(*step).contains(&spot.step),
            };
            if concerned {
                self.list(effect);
            }
        }
        self.saga.phase = Phase::Running { direction: Direction::Aside { goal } };
    }

    /// Places are void: what they did is undone first, where they did anything.
    pub fn make_void(&mut self, places: &[At]) {
        let mut spots = Vec::new();
        for at in places {
            let effect = match self.place(*at).state {
                PlaceState::Active { effect } => Some(effect),
                PlaceState::Owed { effect, .. } | PlaceState::Held { effect, .. } => effect,
                _ => None,
            };
            match effect {
                Some(effect) if self.effect(effect).may_stand() && self.compensable(effect) => {
                    spots.push(self.spot(*at));
                }
                Some(effect) => {
                    self.stop_clock(effect, Kind::Do);
                    self.settle(*at, PlaceState::Skipped);
                }
                None => self.settle(*at, PlaceState::Skipped),
            }
        }
        if !spots.is_empty() {
            self.step_aside(Goal::Void { spots });
        }
    }

    fn list(&mut self, effect: u32) {
        self.stop_clock(effect, Kind::Do);
        self.stop_clock(effect, Kind::Probe);
        let of = self.effect(effect);
        let listed = of.undo == Undo::No && of.may_stand();
        if listed && self.compensable(effect) {
            self.effect(effect).undo = Undo::Listed;
        }
    }

    pub fn compensable(&self, effect: u32) -> bool {
        match self.deed(effect) {
            Deed::Call(call) => match call.compensate {
                Compensate::By { .. } => true,
                Compensate::Never | Compensate::Reads => false,
            },
            Deed::Child(child) => child.compensate,
        }
    }

    /// The step and all that stand after it.
    fn from_here(&self, step: u32) -> BTreeSet<u32> {
        let mut found = BTreeSet::from([step]);
        loop {
            let before = found.len();
            for (number, step) in (0..).zip(&self.definition.steps) {
                if step.after.iter().any(|after| found.contains(&(*after as u32))) {
                    found.insert(number);
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    /// The newest that is listed, if none is under way. When none is left, the saga ends, or goes forward again.
    pub fn undo_next(&mut self) {
        if !self.saga.undoes() {
            return;
        }
        let effects = &self.saga.effects;
        let open = effects.iter().position(|e| matches!(e.undo, Undo::Decided | Undo::Sent | Undo::UsedUp));
        if let Some(open) = open {
            // Its next attempt fell due while nothing could be decided.
            if effects[open].undo_tries.resting && effects[open].undo != Undo::UsedUp {
                self.effect(open as u32).undo_tries.begun = None;
                self.attempt(open as u32, Kind::Compensate);
            }
            return;
        }
        match effects.iter().rposition(|effect| effect.undo == Undo::Listed) {
            Some(effect) => self.undo(effect as u32),
            None => self.all_is_undone(),
        }
    }

    fn undo(&mut self, effect: u32) {
        if let Err(error) = self.undo_input(effect) {
            let step = self.effect(effect).step;
            return self.stuck_at_expression(Some(step), error);
        }
        self.effect(effect).undo = Undo::Decided;
        self.attempt(effect, Kind::Compensate);
    }

    /// A compensation's own input: looked at once, when it is decided.
    fn undo_input(&mut self, effect: u32) -> Result<(), String> {
        let Deed::Call(call) = self.deed(effect) else { return Ok(()) };
        let Compensate::By { with: Some(with), .. } = &call.compensate else { return Ok(()) };
        let spot = self.effect(effect).spot();
        let names = SagaNames::of_effect(self.definition, self.saga, self.moment.log_time, &spot, effect);
        let input = Bytes(with.eval(&names).map_err(|error| error.to_string())?.to_json());
        self.effect(effect).undo_input = Some(input);
        Ok(())
    }

    fn all_is_undone(&mut self) {
        let Phase::Running { direction } = self.saga.phase.clone() else { return };
        match direction {
            Direction::Back { cause } => {
                let end = match &cause {
                    Cause::Cancelled { .. } => End::Cancelled,
                    _ => End::Compensated,
                };
                self.finish(end, Some(cause));
            }
            Direction::Aside { goal } => self.go_forward_again(goal),
            Direction::Forward | Direction::Ensure { .. } => {}
        }
    }

    fn go_forward_again(&mut self, goal: Goal) {
        self.saga.phase = Phase::Running { direction: Direction::Forward };
        self.fact(Fact::Resumed { because: "what had to be undone is undone".to_owned() });
        match goal {
            Goal::Void { spots } => {
                for spot in spots {
                    if let Some(at) = self.at(&spot) {
                        self.settle(at, PlaceState::Skipped);
                    }
                }
            }
            Goal::Again { step, .. } => {
                for step in self.from_here(step) {
                    self.begin_anew(step);
                }
            }
        }
    }

    /// The step has not begun, in a new round.
    fn begin_anew(&mut self, step: u32) {
        let run = &mut self.saga.steps[step as usize];
        let places = run.state.places().iter().map(|place| place.round);
        run.round = places.chain([run.round]).max().unwrap_or(run.round) + 1;
        run.state = StepState::Waiting;
        let is_place = |at: &Spot, kind: TimerKind| match kind {
            TimerKind::Sleep | TimerKind::Within | TimerKind::Remind | TimerKind::Escalate | TimerKind::Expected => {
                at.step == step
            }
            _ => false,
        };
        self.saga.timers.retain(|timer| timer.at.as_ref().is_none_or(|at| !is_place(at, timer.kind)));
    }

    /// An effect is undone, or was never there. A saga that was stuck at it goes on by itself.
    pub fn undone(&mut self, effect: u32) {
        if let Phase::Stuck { stuck: Stuck::Compensation { effect: at, .. } | Stuck::LateSuccess { effect: at }, .. } =
            &self.saga.phase
            && *at == effect
        {
            self.resume("the effect is undone after all".to_owned());
        }
    }

    /// A person wants the undoing tried again.
    pub fn undo_again(&mut self, effect: u32) {
        self.fresh_attempts(effect, Kind::Compensate);
        self.effect(effect).undo = Undo::Decided;
        self.stop_clock(effect, Kind::Compensate);
        self.attempt(effect, Kind::Compensate);
    }
}
