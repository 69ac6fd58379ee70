//! What can happen next, and what of it is trouble. Trouble is anything but the good answer in time; how much of it a path may hold is
//! the search's bound. What only people or the good course of things bring costs nothing.

use std::collections::BTreeSet;

use sagaline_definition::model::{Approve, Definition, Reaction, Step, Verb, Word};
use sagaline_engine::{Direction, Phase, PlaceState, Saga, Spot, TimerKind};
use sagaline_schemas::record::{End, Kind};

use crate::event::{Event, codes};
use crate::scene::{Scene, Setting, places};
use crate::world::{ChildIs, Deed, Row, Said, slot};

/// How much trouble an event is.
pub type Cost = u8;

/// How much is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Orders that lead to the same are one: see `key.rs`. What changes nothing is left out.
    Reduced,
    /// Every order, each by itself.
    Exhaustive,
}

/// Everything that can happen, the harmless first.
pub fn moves(setting: &Setting, search: Search, scene: &Scene) -> Vec<(Event, Cost)> {
    let mut moves = Moves { setting, search, scene, found: Vec::new() };
    if scene.offset == 0 {
        return (0..setting.around.inputs.len()).map(|input| (Event::Start(input), 0)).collect();
    }
    if matches!(scene.saga.phase, Phase::Ended { end: End::Closed, .. }) {
        // People have seen the world: what becomes known after that only enters the ledger.
        return moves.found;
    }
    for (effect, deed) in (0..).zip(&scene.world.deeds) {
        moves.of_effect(effect, deed);
    }
    if !scene.saga.is_ended() {
        moves.timers();
        moves.people();
        if search == Search::Exhaustive || !matches!(scene.saga.direction(), Some(Direction::Back { .. })) {
            moves.places();
            moves.letters();
            moves.news();
        }
    }
    moves.found.sort_by_key(|(_, cost)| *cost);
    moves.found
}

struct Moves<'a> {
    setting: &'a Setting<'a>,
    search: Search,
    scene: &'a Scene,
    found: Vec<(Event, Cost)>,
}

impl Moves<'_> {
    fn can(&mut self, event: Event, cost: Cost) {
        self.found.push((event, cost));
    }

    fn of_effect(&mut self, effect: u32, deed: &Deed) {
        self.child(effect, deed);
        for kind in [Kind::Do, Kind::Compensate, Kind::Probe] {
            let open = deed.open[slot(kind)];
            if open.unsent {
                self.can(Event::Acknowledged(effect, kind), 0);
            }
            if open.newest {
                self.newest(effect, deed, kind);
            }
            if open.older {
                self.can(Event::Late(effect, kind), 0);
            }
            if deed.commanded[slot(kind)] && deed.child == ChildIs::Nothing && !open.newest {
                self.can(Event::Again(effect, kind), 1);
            }
        }
    }

    fn newest(&mut self, effect: u32, deed: &Deed, kind: Kind) {
        let step = self.scene.saga.effects[effect as usize].step as usize;
        let results = self.setting.around.results[step].len() as u8;
        // Trouble that goes on is one trouble: the next attempt at the same thing fails for free.
        let again = self.attempts(effect, kind) > 1;
        let trouble = u8::from(!again);
        match kind {
            Kind::Do | Kind::Ask if deed.row == Row::Empty => {
                (0..results).for_each(|result| self.can(Event::Answer(effect, kind, Said::Done(result)), 0));
                let codes = codes(self.setting.definition, step).len() as u8;
                (0..=codes).for_each(|code| self.can(Event::Answer(effect, kind, Said::Refused(code)), 1));
            }
            Kind::Do | Kind::Ask | Kind::Compensate => self.can(Event::Answer(effect, kind, Said::Done(0)), 0),
            Kind::Probe => {
                match deed.row {
                    Row::Done(_) => {
                        (0..results).for_each(|found| self.can(Event::Answer(effect, kind, Said::Yes(found)), 0))
                    }
                    _ => self.can(Event::Answer(effect, kind, Said::No), 0),
                }
                self.can(Event::Answer(effect, kind, Said::Unknown), trouble);
            }
        }
        self.can(Event::Answer(effect, kind, Said::Failed), trouble);
        if self.has_clock(effect, kind) {
            self.can(Event::Silence(effect, kind, false), trouble);
            if deed.row == Row::Empty || kind == Kind::Compensate {
                self.can(Event::Silence(effect, kind, true), trouble);
            }
        }
    }

    fn attempts(&self, effect: u32, kind: Kind) -> u32 {
        let tries = self.scene.saga.effects[effect as usize].tries(kind);
        tries.map_or(0, |tries| tries.count.saturating_sub(tries.forgiven))
    }

    fn has_clock(&self, effect: u32, kind: Kind) -> bool {
        let clock = match kind {
            Kind::Do | Kind::Ask => TimerKind::Attempt,
            Kind::Compensate => TimerKind::UndoAttempt,
            Kind::Probe => TimerKind::ProbeAttempt,
        };
        let spot = self.scene.saga.effects[effect as usize].spot();
        self.scene.saga.timers.iter().any(|timer| timer.kind == clock && timer.at.as_ref() == Some(&spot))
    }

    fn child(&mut self, effect: u32, deed: &Deed) {
        let step = self.scene.saga.effects[effect as usize].step as usize;
        let results = self.setting.around.results[step].len() as u8;
        match deed.child {
            ChildIs::Nothing | ChildIs::Completed | ChildIs::Over => {}
            ChildIs::Running => {
                (0..results).for_each(|result| self.can(Event::Child(effect, End::Completed, result), 0));
                [End::Compensated, End::Cancelled, End::Closed, End::NotStarted]
                    .into_iter()
                    .for_each(|end| self.can(Event::Child(effect, end, 0), 1));
            }
            ChildIs::Cancelling => {
                self.can(Event::Child(effect, End::Cancelled, 0), 0);
                [End::Completed, End::Closed, End::NotStarted]
                    .into_iter()
                    .for_each(|end| self.can(Event::Child(effect, end, 0), 1));
            }
            ChildIs::Undoing => {
                self.can(Event::Child(effect, End::Compensated, 0), 0);
                [End::Completed, End::Closed].into_iter().for_each(|end| self.can(Event::Child(effect, end, 0), 1));
            }
        }
    }

    fn timers(&mut self) {
        let all = self.search == Search::Exhaustive;
        for timer in &self.scene.saga.timers {
            let cost = match timer.kind {
                TimerKind::Backoff | TimerKind::UndoBackoff | TimerKind::ProbeBackoff | TimerKind::Sleep => 0,
                TimerKind::Deadline | TimerKind::Within | TimerKind::Escalate | TimerKind::Ensure => 1,
                // They tell somebody, and change nothing.
                TimerKind::Remind | TimerKind::Expected if all => 1,
                TimerKind::Remind | TimerKind::Expected => continue,
                // An attempt's time is up in silence; a fact may be answered at any time, asked or not.
                TimerKind::Attempt
                | TimerKind::UndoAttempt
                | TimerKind::ProbeAttempt
                | TimerKind::AskFact
                | TimerKind::AskTime
                | TimerKind::Forget => continue,
            };
            self.can(Event::Timer(timer.kind, timer.at.clone()), cost);
        }
    }

    fn places(&mut self) {
        let definition = self.setting.definition;
        for (spot, state) in places(definition, &self.scene.saga) {
            match (state, &definition.steps[spot.step as usize].verb) {
                (PlaceState::Asking { approval }, Verb::Approve(approve)) => {
                    let person = approval.votes.len();
                    self.votes(&spot, approve, person);
                }
                (PlaceState::Known { .. } | PlaceState::Owed { .. }, Verb::Approve(approve)) => {
                    if let Some(choice) = approve.choices.keys().next() {
                        self.can(Event::LateVote(spot.clone(), choice.clone()), 1);
                    }
                }
                (PlaceState::Held { .. }, _) => {
                    self.can(Event::Retry(Some(spot.clone())), 0);
                    self.can(Event::Skip(spot.clone()), 1);
                }
                _ => {}
            }
        }
    }

    fn votes(&mut self, spot: &Spot, approve: &Approve, person: usize) {
        for (choice, word) in &approve.choices {
            let cost = u8::from(*word != Word::Continue);
            self.can(Event::Vote(spot.clone(), choice.clone(), person), cost);
        }
        if let Some(choice) = approve.choices.keys().next() {
            self.can(Event::LateVote(spot.clone(), choice.clone()), 1);
        }
    }

    /// An event that its step awaits is the good course; one that comes too early or too late is trouble.
    fn letters(&mut self) {
        for (number, step) in (0..).zip(&self.setting.definition.steps) {
            let Verb::Wait(_) = &step.verb else { continue };
            let run = &self.scene.saga.steps[number as usize].state;
            let awaited = run.places().iter().any(|place| matches!(place.state, PlaceState::Awaiting { .. }));
            let lying = self.scene.saga.letters.iter().filter(|letter| letter.step == number).count();
            if lying < 2 {
                let events = self.setting.around.events[number as usize].len();
                (0..events).for_each(|event| self.can(Event::Letter(number, event), u8::from(!awaited)));
            }
        }
    }

    /// The first news of a fact that something waits for is the good course.
    fn news(&mut self) {
        let definition = self.setting.definition;
        let waiting = facts_waited_for(definition, &self.scene.saga);
        for (fact, state) in (0..).zip(&self.scene.saga.facts) {
            let clause = &definition.facts[fact as usize];
            let wanted = state.told_at.is_none() && waiting.contains(&clause.fact);
            for (number, news) in self.setting.around.news[fact as usize].iter().enumerate() {
                if clause.ask.is_some() || news.to_json() != state.value.0 {
                    self.can(Event::Told(fact, number), u8::from(!wanted));
                }
            }
        }
    }

    fn people(&mut self) {
        let saga = &self.scene.saga;
        if saga.held.is_some() {
            self.can(Event::Release, 0);
        }
        if let Phase::Stuck { stuck, .. } = &saga.phase {
            self.can(Event::Retry(None), 0);
            self.can(Event::Close, 0);
            if let sagaline_engine::Stuck::Step { spot, .. } = stuck {
                self.can(Event::Skip(spot.clone()), 1);
            }
            for (effect, deed) in (0..).zip(&self.scene.world.deeds) {
                let unknown = saga.effects[effect as usize].outcome.is_undecided() && deed.commanded[0];
                if deed.child == ChildIs::Nothing && (unknown || deed.undoing) {
                    self.can(Event::Confirm(effect), 1);
                }
            }
        }
        if self.search == Search::Exhaustive || !matches!(saga.direction(), Some(Direction::Back { .. })) {
            self.can(Event::Cancel, 1);
        }
    }
}

/// Facts that a place waits for: it wants a condition on them to hold.
pub fn facts_waited_for(definition: &Definition, saga: &Saga) -> BTreeSet<String> {
    let waiting = places(definition, saga).filter_map(|(spot, state)| {
        let step = &definition.steps[spot.step as usize];
        match (state, &step.verb, &step.guard) {
            (PlaceState::Guarded, _, Some(guard)) => Some(&guard.condition),
            (PlaceState::Awaiting { .. }, Verb::Until(until), _) => Some(&until.condition),
            _ => None,
        }
    });
    waiting.filter_map(|condition| condition.members("facts")).flatten().collect()
}

/// Where no more trouble may come, good answers to different effects lead to the same in whatever order they come: only those to the first
/// effect are kept. Not so where one may come late or to nobody, where something looks at what is done beside it, or where an answer may turn the saga.
pub fn one_after_the_other(setting: &Setting, scene: &Scene, moves: &mut Vec<(Event, Cost)>) {
    if !scene.saga.goes_forward() || scene.saga.held.is_some() || looks_aside(setting.definition) {
        return;
    }
    let waits =
        |effect: u32| places(setting.definition, &scene.saga).any(|(_, state)| *state == PlaceState::Active { effect });
    let late = (0..).zip(&scene.world.deeds).any(|(effect, deed)| {
        let forlorn = deed.open[slot(Kind::Do)].newest && !waits(effect);
        forlorn || deed.open.iter().any(|open| open.older || open.unsent)
    });
    let first = moves.iter().find_map(|(event, cost)| match event {
        Event::Answer(effect, Kind::Do, Said::Done(_)) if *cost == 0 => Some(*effect),
        _ => None,
    });
    if let Some(first) = first.filter(|_| !late) {
        let answers =
            |event: &Event| matches!(event, Event::Answer(effect, Kind::Do, Said::Done(_)) if *effect == first);
        moves.retain(|(event, cost)| *cost > 0 || answers(event));
    }
}

/// Whether the course of a branch may depend on how far another one is, or good answers may turn the saga.
fn looks_aside(definition: &Definition) -> bool {
    let facts_only = |rule: &Reaction| rule.condition.names().iter().all(|name| name == "facts" || name == "input");
    let joins_some =
        |step: &Step| step.at_least.is_some() || step.for_each.as_ref().is_some_and(|each| each.enough.is_some());
    let may_turn = |step: &Step| {
        let guarded = step.guard.as_ref().is_some_and(|guard| guard.otherwise != Word::Hold);
        let expects = matches!(&step.verb, Verb::Until(until) if until.patience.within == 0);
        guarded || expects || matches!(&step.verb, Verb::Approve(approve) if approve.void_if.is_some())
    };
    !definition.react.iter().all(facts_only) || definition.steps.iter().any(|step| joins_some(step) || may_turn(step))
}
