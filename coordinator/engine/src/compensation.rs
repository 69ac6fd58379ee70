//! Going back, and stepping aside: every effect that may stand is undone, in the exact reverse of the order in which they were decided,
//! one at a time over the whole saga. Nothing is left out because it came late.

use std::collections::BTreeSet;

use sagaline_definition::model::Compensate;
use sagaline_schemas::record::{End, Kind};
use sagaline_schemas::wire::Bytes;

use crate::fact::Fact;
use crate::ledger::Undo;
use crate::loops;
use crate::saga::{Cause, Direction, Goal, Phase, PlaceState, Spot, StepState, Stuck, TimerKind};
use crate::turn::{At, Deed, Turn};

impl Turn<'_> {
    /// From here on nothing is done any more, only undone.
    pub fn turn_back(&mut self, cause: Cause) {
        self.fact(Fact::TurnedBack { cause: cause.clone() });
        self.saga.phase = Phase::Running { direction: Direction::Back { cause } };
        // The world goes on, and so does the undoing that stepping aside began.
        let stay = [TimerKind::Deadline, TimerKind::UndoAttempt, TimerKind::UndoBackoff];
        self.saga.timers.retain(|timer| stay.contains(&timer.kind) || timer.kind.is_of_fact());
        for effect in 0..self.saga.effects.len() as u32 {
            self.list(effect);
        }
    }

    /// Some effects are undone, then the saga goes forward again.
    pub fn step_aside(&mut self, goal: Goal) {
        self.fact(Fact::SteppedAside { goal: goal.clone() });
        self.saga.went_aside = true;
        let again = match &goal {
            Goal::Void { .. } => BTreeSet::new(),
            Goal::Again { step, .. } => loops::from_here(self.definition, *step),
        };
        let void: BTreeSet<&Spot> = match &goal {
            Goal::Void { spots } => spots.iter().collect(),
            Goal::Again { .. } => BTreeSet::new(),
        };
        for effect in 0..self.saga.effects.len() as u32 {
            let spot = self.effect(effect).spot();
            if again.contains(&spot.step) || void.contains(&spot) {
                self.list(effect);
            }
        }
        // What these steps awaited means nothing any more; their results are still read by what undoes them.
        self.saga
            .timers
            .retain(|timer| !(is_of_place(timer.kind) && timer.step().is_some_and(|at| again.contains(&at))));
        self.saga.phase = Phase::Running { direction: Direction::Aside { goal } };
    }

    /// Whether the saga steps aside to let this step run again.
    pub fn is_redone(&self, step: u32) -> bool {
        match self.saga.direction() {
            Some(Direction::Aside { goal: Goal::Again { step: from, .. } }) => {
                loops::from_here(self.definition, *from).contains(&step)
            }
            _ => false,
        }
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
                    self.abandon(effect);
                    self.settle_place(*at, PlaceState::Skipped);
                }
                None => self.settle_place(*at, PlaceState::Skipped),
            }
        }
        match spots.is_empty() {
            true => self.steps_may_be_settled(places.iter().map(|at| at.step)),
            false => self.step_aside(Goal::Void { spots }),
        }
    }

    fn list(&mut self, effect: u32) {
        self.abandon(effect);
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

    /// The newest that is listed, if none is under way. When none is left, the saga ends, or goes forward again.
    pub fn undo_next(&mut self) {
        if !self.saga.undoes() {
            return;
        }
        let effects = &self.saga.effects;
        let open = effects.iter().position(|e| matches!(e.undo, Undo::Decided | Undo::Sent | Undo::UsedUp));
        match open.map(|open| (open as u32, effects[open].undo == Undo::UsedUp, effects[open].undo_tries.resting)) {
            // Whoever turned the saga back did not ask for more attempts at this one.
            Some((effect, true, _)) => {
                let error = "its attempts were used up before".to_owned();
                self.become_stuck(Stuck::Compensation { effect, error });
            }
            // Its next attempt fell due while nothing could be decided.
            Some((effect, false, true)) => self.attempt(effect, Kind::Compensate),
            Some((_, false, false)) => {}
            None => match effects.iter().rposition(|effect| effect.undo == Undo::Listed) {
                Some(effect) => self.undo(effect as u32),
                None => self.all_is_undone(),
            },
        }
    }

    /// Until its participant takes the command it stays on the list: no answer to an earlier one can be taken for this one's.
    fn undo(&mut self, effect: u32) {
        let input = match self.undo_input(effect) {
            Ok(input) => input,
            Err(error) => {
                let step = self.effect(effect).step;
                return self.stuck_at_expression(Some(step), error);
            }
        };
        match self.deed(effect) {
            Deed::Call(call) if !self.admits(&call.participant) => {}
            Deed::Call(_) => {
                self.effect(effect).undo = Undo::Decided;
                self.effect(effect).undo_input = input;
                self.send_attempt(effect, Kind::Compensate);
            }
            Deed::Child(_) => {
                self.effect(effect).undo = Undo::Decided;
                self.tell_child(effect, Kind::Compensate);
            }
        }
    }

    /// A compensation's own input, where it has one: looked at when it is decided, the same for every attempt.
    fn undo_input(&mut self, effect: u32) -> Result<Option<Bytes>, String> {
        let Deed::Call(call) = self.deed(effect) else { return Ok(None) };
        let Compensate::By { with: Some(with), .. } = &call.compensate else { return Ok(None) };
        let input = Bytes(with.eval_json(&self.names_of_effect(effect)).map_err(|error| error.to_string())?);
        let limit = self.limits.max_payload as usize;
        if input.len() > limit {
            return Err(format!("the compensation's input has {} bytes, the settings allow {limit}", input.len()));
        }
        Ok(Some(input))
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
            Direction::Forward | Direction::Ensure { .. } | Direction::Over { .. } => {}
        }
    }

    fn go_forward_again(&mut self, goal: Goal) {
        self.saga.phase = Phase::Running { direction: Direction::Forward };
        self.fact(Fact::Resumed { because: "what had to be undone is undone".to_owned() });
        match goal {
            Goal::Void { spots } => {
                for spot in &spots {
                    if let Some(at) = self.at(spot) {
                        self.settle_place(at, PlaceState::Skipped);
                    }
                }
                self.steps_may_be_settled(spots.iter().map(|spot| spot.step));
            }
            Goal::Again { step, .. } => {
                for step in loops::from_here(self.definition, step) {
                    self.begin_step_anew(step);
                }
            }
        }
    }

    /// The step has not begun, in a new round: what it looks at once, it looks at once more.
    pub fn begin_step_anew(&mut self, step: u32) {
        let run = &mut self.saga.steps[step as usize];
        let places = run.state.places().iter().map(|place| place.round);
        run.round = places.chain([run.round]).max().unwrap_or(run.round) + 1;
        run.state = StepState::Waiting;
    }

    /// An effect is undone, or was never there. A saga that was stuck at it goes on by itself.
    pub fn undone(&mut self, effect: u32) {
        if let Phase::Stuck {
            stuck: Stuck::Compensation { effect: at, .. } | Stuck::LateSuccess { effect: at }, ..
        } = &self.saga.phase
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

/// Timers of a place that waits, or of a step that is expected to be done.
fn is_of_place(kind: TimerKind) -> bool {
    match kind {
        TimerKind::Sleep | TimerKind::Within | TimerKind::Remind | TimerKind::Escalate | TimerKind::Expected => true,
        TimerKind::Deadline
        | TimerKind::Attempt
        | TimerKind::Backoff
        | TimerKind::UndoAttempt
        | TimerKind::UndoBackoff
        | TimerKind::Forget
        | TimerKind::ProbeAttempt
        | TimerKind::ProbeBackoff
        | TimerKind::Ensure
        | TimerKind::AskFact
        | TimerKind::AskTime => false,
    }
}
