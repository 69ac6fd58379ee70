//! Going forward: which steps are ready, which places begin. What a verb does then has a file of its own: `call.rs`, `child.rs`, `wait.rs`,
//! `approve.rs`; sleeping, deciding and awaiting need no more than a line.

use std::collections::BTreeSet;

use sagaline_definition::model::{Verb, Word};
use sagaline_schemas::Value;
use sagaline_schemas::record::End;
use sagaline_schemas::wire::Bytes;

use crate::fact::Fact;
use crate::saga::{Cause, Direction, Phase, Place, PlaceState, Spot, StepRun, StepState, Stuck, TimerKind};
use crate::text::shortened;
use crate::told::Told;
use crate::turn::{At, Turn};

impl Turn<'_> {
    pub fn start(&mut self, told: Vec<(u32, Told)>) {
        let steps = self.definition.steps.iter();
        self.saga.steps = steps.map(|_| StepRun { round: 0, state: StepState::Waiting }).collect();
        self.fact(Fact::Started);
        self.arm_after(TimerKind::Deadline, None, self.definition.deadline.after);
        self.begin_facts(told);
    }

    /// Runs to rest: reactions, then steps in file order, again and again until nothing moves.
    pub fn advance(&mut self) {
        if !self.is_in_order() {
            return;
        }
        self.pay_what_is_owed();
        while self.saga.goes_forward() {
            let mut moved = self.react();
            for step in 0..self.saga.steps.len() as u32 {
                moved |= self.saga.goes_forward() && self.look_at_step(step);
            }
            if !moved {
                break;
            }
        }
        if self.saga.goes_forward() && self.saga.held.is_none() && self.is_settled() {
            self.finish(End::Completed, None);
        }
    }

    /// Words that were owed while the saga decided nothing come first: what they undo need not be tried again before.
    fn pay_what_is_owed(&mut self) {
        for step in 0..self.saga.steps.len() as u32 {
            for item in 0..self.saga.steps[step as usize].state.places().len() {
                if self.has_place(At { step, item }) {
                    self.pay(At { step, item });
                }
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.saga.steps.iter().all(|step| step.state.is_settled())
    }

    /// Whether anything moved.
    fn look_at_step(&mut self, step: u32) -> bool {
        match &self.saga.steps[step as usize].state {
            StepState::Waiting if self.saga.held.is_none() && self.is_ready(step) => {
                self.enter(step);
                true
            }
            StepState::Waiting | StepState::Skipped => false,
            StepState::Begun { places } => {
                let count = places.len();
                let reviewed = self.review_approval(step);
                let enough = self.saga.goes_forward() && self.look_whether_enough(step);
                self.look_at_places(step, count) | reviewed | enough
            }
        }
    }

    /// In order, as many at once as `at_once` of `for_each` allows. Whether anything moved.
    fn look_at_places(&mut self, step: u32, count: usize) -> bool {
        let mut seats = self.free_seats(step);
        let mut moved = false;
        for item in 0..count {
            let at = At { step, item };
            // The saga may go another way by now, this step with it.
            if !self.has_place(at) {
                break;
            }
            let begins = match &self.place(at).state {
                PlaceState::Waiting | PlaceState::Guarded | PlaceState::Queued => true,
                PlaceState::Active { .. }
                | PlaceState::Awaiting { .. }
                | PlaceState::Asking { .. }
                | PlaceState::Owed { .. }
                | PlaceState::Held { .. }
                | PlaceState::Done { .. }
                | PlaceState::Known { .. }
                | PlaceState::Skipped
                | PlaceState::Continued => false,
            };
            if !begins {
                moved |= self.look_at_place(at);
            } else if seats > 0 && self.saga.held.is_none() {
                moved |= self.begin(at);
                let took = self.has_place(at) && self.place(at).state.takes_seat();
                seats -= usize::from(took);
            }
        }
        moved
    }

    fn free_seats(&self, step: u32) -> usize {
        let Some(each) = &self.step(step).for_each else { return 1 };
        let places = self.saga.steps[step as usize].state.places();
        let taken = places.iter().filter(|place| place.state.is_under_way()).count();
        (each.at_once as usize).saturating_sub(taken)
    }

    fn has_place(&self, at: At) -> bool {
        self.saga.goes_forward() && at.item < self.saga.steps[at.step as usize].state.places().len()
    }

    fn is_ready(&self, step: u32) -> bool {
        let step = self.step(step);
        let settled = step.after.iter().filter(|before| self.saga.steps[**before].state.is_settled()).count();
        settled >= step.at_least.map_or(step.after.len(), |enough| enough as usize)
    }

    /// Condition and list, each looked at once.
    fn enter(&mut self, number: u32) {
        let step = self.step(number);
        let names = self.names();
        let holds = step.condition.as_ref().map_or(Ok(true), |condition| condition.holds(&names));
        let items = match (&step.for_each, &holds) {
            (Some(each), Ok(true)) => each.list.eval(&names).map_err(|error| error.to_string()).and_then(|list| {
                let Value::List(items) = list else { return Err(format!("{}: this is no list", each.list.source())) };
                Ok(items)
            }),
            _ => Ok(Vec::new()),
        };
        match (holds, items) {
            (Err(error), _) => self.stuck_at_expression(Some(number), error.to_string()),
            (_, Err(error)) => self.stuck_at_expression(Some(number), error),
            (Ok(false), _) => {
                self.saga.steps[number as usize].state = StepState::Skipped;
                self.fact(Fact::Skipped { step: number });
            }
            (Ok(true), Ok(items)) => match &step.for_each {
                Some(each) if items.len() > each.most as usize => self.refuse_list(number, items.len(), each.most),
                Some(_) | None => self.open_places(number, items),
            },
        }
    }

    /// A list that is too long is a failure of the step, like whatever can't be decided: one place without an item stands for it.
    fn refuse_list(&mut self, number: u32, count: usize, most: u32) {
        let run = &mut self.saga.steps[number as usize];
        let place = Place { item: None, input: None, round: run.round, state: PlaceState::Waiting };
        run.state = StepState::Begun { places: vec![place] };
        let step = self.step(number).step.clone();
        let error = format!("the list has {count} items, `most` allows {most}");
        self.owe(At { step: number, item: 0 }, Cause::Failed { step, error }, None);
    }

    /// Whether the place is that one.
    pub fn stands_for_list(&mut self, at: At) -> bool {
        self.step(at.step).for_each.is_some() && self.place(at).item.is_none()
    }

    fn open_places(&mut self, number: u32, items: Vec<Value>) {
        let step = self.step(number);
        let round = self.saga.steps[number as usize].round;
        let place = |item| Place { item, input: None, round, state: PlaceState::Waiting };
        let places = match step.for_each {
            Some(_) => items.iter().map(|item| place(Some(Bytes(item.to_json())))).collect(),
            None => vec![place(None)],
        };
        self.saga.steps[number as usize].state = StepState::Begun { places };
        if let Some(expected) = step.expected {
            let whole = Spot { step: number, items: vec![], round };
            self.arm_after(TimerKind::Expected, Some(whole), expected);
        }
        self.step_may_be_settled(number);
    }

    pub fn stuck_at_expression(&mut self, step: Option<u32>, error: String) {
        self.become_stuck(Stuck::Expression { step, error: shortened(error) });
    }

    /// What has begun may go on. Whether anything moved.
    fn look_at_place(&mut self, at: At) -> bool {
        match &self.place(at).state {
            PlaceState::Active { effect } => {
                let effect = *effect;
                self.attempt_that_rests(effect)
            }
            PlaceState::Awaiting { .. } => self.look_at_wait(at),
            PlaceState::Asking { .. } => self.look_at_approval(at),
            PlaceState::Waiting
            | PlaceState::Guarded
            | PlaceState::Queued
            | PlaceState::Owed { .. }
            | PlaceState::Held { .. }
            | PlaceState::Done { .. }
            | PlaceState::Known { .. }
            | PlaceState::Skipped
            | PlaceState::Continued => false,
        }
    }

    /// The guard is looked at, then the verb begins. Whether anything moved.
    fn begin(&mut self, at: At) -> bool {
        if !self.guard_holds(at) {
            return self.guard_fails(at);
        }
        match &self.step(at.step).verb {
            Verb::Call(call) => return self.begin_call(at, call),
            Verb::Saga(child) => self.begin_child(at, child),
            Verb::Sleep(sleep) => self.begin_sleep(at, sleep),
            Verb::Wait(wait) => self.begin_wait(at, &wait.patience),
            Verb::Until(until) => self.begin_until(at, until),
            Verb::Approve(approve) => self.ask_people(at, approve),
            Verb::Decide(decide) => self.decide(at, decide),
        }
        true
    }

    /// Whether the guard holds; one that has no value does not, and the saga is stuck at it.
    pub fn guard_holds(&mut self, at: At) -> bool {
        let Some(guard) = &self.step(at.step).guard else { return true };
        let names = self.names_at(at);
        match guard.condition.holds(&names) {
            Ok(holds) => holds,
            Err(error) => {
                self.stuck_at_expression(Some(at.step), error.to_string());
                false
            }
        }
    }

    /// `hold` waits for the world to change; any other word is acted on.
    pub fn guard_fails(&mut self, at: At) -> bool {
        let guard = self.step(at.step).guard.as_ref();
        if !self.saga.goes_forward() {
            return false;
        }
        let effect = match self.place(at).state {
            PlaceState::Active { effect } => Some(effect),
            _ => None,
        };
        if guard.is_some_and(|guard| guard.otherwise == Word::Hold) {
            let new = effect.is_none() && self.place(at).state != PlaceState::Guarded;
            if new {
                self.place(at).state = PlaceState::Guarded;
                let spot = self.spot(at);
                self.fact(Fact::Guarded { spot });
            }
            return new;
        }
        let step = self.step(at.step).step.clone();
        self.owe(at, Cause::Guard { step }, effect);
        true
    }

    /// A place is done with, and its step may be.
    pub fn settle(&mut self, at: At, state: PlaceState) {
        self.settle_place(at, state);
        self.step_may_be_settled(at.step);
    }

    /// A place is done with. Whoever settles many looks at their steps afterwards.
    pub fn settle_place(&mut self, at: At, state: PlaceState) {
        self.disarm_waits(at);
        let spot = self.spot(at);
        let fact = match &state {
            PlaceState::Skipped => Fact::Voided { spot },
            PlaceState::Continued => Fact::Continued { spot },
            _ => Fact::Settled { spot },
        };
        self.fact(fact);
        self.place(at).state = state;
    }

    /// The place waits for nothing any more.
    pub fn disarm_waits(&mut self, at: At) {
        let spot = Some(self.spot(at));
        let waits = [TimerKind::Sleep, TimerKind::Within, TimerKind::Remind, TimerKind::Escalate];
        self.saga.timers.retain(|timer| timer.at != spot || !waits.contains(&timer.kind));
    }

    pub fn steps_may_be_settled(&mut self, steps: impl Iterator<Item = u32>) {
        for step in steps.collect::<BTreeSet<u32>>() {
            self.step_may_be_settled(step);
        }
    }

    /// What follows once all places of a step are settled.
    fn step_may_be_settled(&mut self, number: u32) {
        let run = &self.saga.steps[number as usize];
        if !run.state.is_settled() {
            return;
        }
        let whole = Spot { step: number, items: vec![], round: run.round };
        let has_result = run.state.places().iter().any(|place| place.state.has_result());
        self.disarm(TimerKind::Expected, Some(&whole));
        if has_result {
            self.bind_aliases(number);
        }
    }

    /// `enough` of `for_each`: the rest is skipped, and what it did made void.
    fn look_whether_enough(&mut self, number: u32) -> bool {
        let Some(enough) = self.step(number).for_each.as_ref().and_then(|each| each.enough) else { return false };
        let places = self.saga.steps[number as usize].state.places();
        let done = places.iter().filter(|place| place.state.has_result()).count();
        let open: Vec<usize> = (0..places.len()).filter(|item| !places[*item].state.is_settled()).collect();
        if done < enough as usize || open.is_empty() {
            return false;
        }
        let at = |item: &usize| At { step: number, item: *item };
        self.make_void(&open.iter().map(at).collect::<Vec<_>>());
        true
    }

    /// Everything is settled, or undone: what must hold before such an end is looked at first.
    pub fn finish(&mut self, end: End, cause: Option<Cause>) {
        if end == End::Completed
            && let Err(error) = self.result()
        {
            return self.stuck_at_expression(None, error);
        }
        let ensure = &self.definition.ensure;
        let check = if end == End::Completed { &ensure.completed } else { &ensure.compensated };
        match check {
            None => self.end(end, cause),
            Some(check) => {
                self.saga.phase = Phase::Running { direction: Direction::Ensure { end, cause } };
                self.begin_to_ensure(check);
            }
        }
    }

    /// The deadline has passed.
    pub fn deadline_passed(&mut self) {
        let aside = matches!(self.saga.phase, Phase::Running { direction: Direction::Aside { .. } });
        if !self.saga.goes_forward() && !aside {
            self.saga.overdue = true;
            return self.fact(Fact::Overdue { step: None });
        }
        let deadline = &self.definition.deadline;
        let word = if self.pivot_decided().is_some() { &deadline.after_pivot } else { &deadline.otherwise };
        match word {
            Word::Compensate => self.turn_back(Cause::Deadline),
            Word::Stuck | Word::Continue | Word::Skip | Word::BackTo(_) | Word::Hold => {
                self.become_stuck(Stuck::Deadline);
            }
        }
    }
}
