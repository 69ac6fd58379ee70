//! What would be undone, and in which order, if a step failed: played through the engine, with good answers up to that step.

use std::collections::BTreeMap;

use sagaline_definition::model::{Compensate, Definition, Verb, Word};
use sagaline_definition::{Contract, model::StepIndex};
use sagaline_engine::{Fact, Outgoing, Phase, PlaceState, TimerKind};
use sagaline_schemas::Value;
use sagaline_schemas::record::{End, Kind};

use crate::event::{Event, place};
use crate::live::Live;
use crate::moves::{Search, facts_waited_for, moves};
use crate::scene::{Scene, Setting, real};
use crate::shortened;
use crate::surroundings::Surroundings;
use crate::world::Said;

/// Values of results, and of news, that are combined.
const VALUES: usize = 4;
/// Courses that are tried for each input.
const COURSES: usize = VALUES * VALUES;
/// Happenings before a course is given up.
const MOST: usize = 2_000;

/// What follows the failure of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The step that fails.
    pub failed: StepIndex,
    /// What was commanded before, in order.
    pub before: Vec<String>,
    /// What is undone then, in order: the place, its step, and the operation.
    pub undone: Vec<(String, StepIndex, String)>,
    /// What stays, though it was done.
    pub stays: Vec<String>,
    /// How it ends, or where it rests.
    pub end: String,
}

/// Plays it. None: with no input that was tried does the saga come to that step.
pub fn plan(definition: &Definition, contracts: &BTreeMap<String, Contract>, failed: StepIndex) -> Option<Plan> {
    plan_with(definition, contracts, failed, None)
}

/// The same with this input.
pub fn plan_with(
    definition: &Definition,
    contracts: &BTreeMap<String, Contract>,
    failed: StepIndex,
    input: Option<&Value>,
) -> Option<Plan> {
    let definition = &shortened(definition);
    let mut around = Surroundings::alike(definition, contracts);
    if let Some(input) = input {
        around.inputs = vec![input.clone()];
    }
    let around = &around;
    let live = &Live::of(definition);
    let setting = Setting { definition, around, live, engine: &real };
    let all = (0..COURSES).flat_map(|course| (0..around.inputs.len()).map(move |input| (input, course)));
    all.into_iter().find_map(|(input, course)| follow(&setting, input, failed, course))
}

fn follow(setting: &Setting, input: usize, failed: StepIndex, number: usize) -> Option<Plan> {
    let mut scene = Scene::new();
    let mut plan = Plan { failed, before: vec![], undone: vec![], stays: vec![], end: String::new() };
    let mut event = Some(Event::Start(input));
    let (mut seen, mut failing) = (0, false);
    while let Some(next) = event.filter(|_| seen < MOST) {
        seen += 1;
        failing |= is_failure(&scene, &next, failed);
        let happening = scene.play(setting, &next);
        // What is expected at once fails without a happening of its own.
        failing |= happening.transitions.iter().flat_map(|transition| &transition.facts).any(|fact| match fact {
            Fact::WaitedInVain { spot } => spot.step as usize == failed,
            _ => false,
        });
        for out in happening.transitions.iter().flat_map(|transition| &transition.out) {
            note(setting.definition, &scene, out, &mut plan);
        }
        event = course(setting, &scene, failed, (number, seen));
    }
    failing.then(|| {
        plan.end = match &scene.saga.phase {
            Phase::Ended { end, .. } => format!("{end:?}").to_lowercase(),
            Phase::Stuck { .. } => "stuck: it waits for a person".to_owned(),
            Phase::Running { .. } => "held: the step waits for a person".to_owned(),
        };
        plan.stays = stays(setting.definition, &scene);
        plan
    })
}

fn note(definition: &Definition, scene: &Scene, out: &Outgoing, plan: &mut Plan) {
    use sagaline_engine::ChildWord;
    let (effect, undoes, attempt) = match out {
        Outgoing::Command { effect, kind, attempt, .. } => (*effect, *kind == Kind::Compensate, *attempt),
        Outgoing::Child { effect, word: ChildWord::Start { .. } } => (*effect, false, 1),
        Outgoing::Child { effect, word: ChildWord::Cancel { .. } | ChildWord::Compensate } => (*effect, true, 1),
        _ => return,
    };
    let spot = scene.saga.effects[effect as usize].spot();
    let name = place(definition, &spot);
    let step = spot.step as usize;
    let operation = match &definition.steps[step].verb {
        Verb::Call(call) => match &call.compensate {
            Compensate::By { operation, .. } => format!("{}.{operation}", call.participant),
            Compensate::Never | Compensate::Reads => String::new(),
        },
        Verb::Saga(child) => format!("saga {}", child.saga),
        Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => String::new(),
    };
    match (undoes, attempt) {
        (true, 1) => plan.undone.push((name, step, operation)),
        (false, 1) => plan.before.push(name),
        _ => {}
    }
}

/// The next happening on the good course; at the step that fails, its failing. None: it has ended, or rests.
fn course(setting: &Setting, scene: &Scene, failed: StepIndex, (number, turn): (usize, usize)) -> Option<Event> {
    if !matches!(scene.saga.phase, Phase::Running { .. }) {
        return None;
    }
    let fails = |event: &Event| match event {
        Event::Answer(effect, Kind::Do, _) => scene.saga.effects[*effect as usize].step as usize == failed,
        Event::Child(effect, ..) => scene.saga.effects[*effect as usize].step as usize == failed,
        Event::Letter(step, _) => *step as usize == failed,
        Event::Vote(spot, ..) => spot.step as usize == failed,
        // Whatever is told may be what it waits for.
        Event::Told(..) => awaits(scene, failed),
        _ => false,
    };
    let all = moves(setting, Search::Reduced, scene);
    // Everything else goes on before it fails: the longest way back.
    let people = |event: &Event| matches!(event, Event::Retry(_) | Event::Release | Event::Close | Event::Cancel);
    let is_good = |(event, cost): &&(Event, u8)| *cost == 0 && !fails(event) && !people(event) && !is_late(event);
    // Of what is the same but for its value, another value on each course.
    let first = all.iter().find(is_good);
    let alike: Vec<_> =
        all.iter().filter(is_good).filter(|one| first.is_some_and(|first| is_alike(&one.0, &first.0))).collect();
    // News and answers are combined: each has digits of its own in the course's number.
    let digit = if matches!(first, Some((Event::Told(..), _))) { number / VALUES } else { number };
    let good = digit.checked_rem(alike.len()).map(|at| alike[at]);
    let bad = all.iter().find(|(event, _)| is_failure(scene, event, failed));
    good.or(bad).map(|(event, _)| event.clone()).or_else(|| news(setting, scene, turn, all))
}

/// Where only news can help, each in its turn, until what is waited for holds.
fn news(setting: &Setting, scene: &Scene, turn: usize, all: Vec<(Event, u8)>) -> Option<Event> {
    let wanted = facts_waited_for(setting.definition, &scene.saga);
    let is_wanted = |event: &Event| match event {
        Event::Told(fact, _) => wanted.contains(&setting.definition.facts[*fact as usize].fact),
        _ => false,
    };
    let mut news: Vec<Event> = all.into_iter().map(|(event, _)| event).filter(is_wanted).collect();
    let at = turn.checked_rem(news.len())?;
    Some(news.swap_remove(at))
}

/// Whether by this event the step fails: an answer, a child's end, a wait in vain.
fn is_failure(scene: &Scene, event: &Event, failed: StepIndex) -> bool {
    let at = |effect: u32| scene.saga.effects[effect as usize].step as usize == failed;
    match event {
        Event::Answer(effect, Kind::Do, Said::Failed) => at(*effect),
        Event::Child(effect, End::Compensated, _) => at(*effect),
        Event::Timer(TimerKind::Within, Some(spot)) => spot.step as usize == failed,
        _ => false,
    }
}

fn awaits(scene: &Scene, step: StepIndex) -> bool {
    let places = scene.saga.steps[step].state.places();
    places.iter().any(|place| matches!(place.state, PlaceState::Awaiting { .. }))
}

fn is_alike(one: &Event, other: &Event) -> bool {
    match (one, other) {
        (Event::Answer(a, Kind::Do, _), Event::Answer(b, Kind::Do, _)) => a == b,
        (Event::Told(a, _), Event::Told(b, _)) | (Event::Letter(a, _), Event::Letter(b, _)) => a == b,
        (one, other) => one == other,
    }
}

fn is_late(event: &Event) -> bool {
    matches!(event, Event::Late(..) | Event::Again(..))
}

fn stays(definition: &Definition, scene: &Scene) -> Vec<String> {
    let stands = scene.saga.effects.iter().zip(&scene.world.deeds).filter(|(_, deed)| deed.stands() == Some(true));
    let changes = stands.filter(|(effect, _)| match &definition.steps[effect.step as usize].verb {
        Verb::Call(call) => call.compensate != Compensate::Reads,
        _ => true,
    });
    changes.map(|(effect, _)| place(definition, &effect.spot())).collect()
}

impl Plan {
    /// For people.
    pub fn text(&self, definition: &Definition) -> String {
        let step = &definition.steps[self.failed];
        let mut text = format!("If {} fails:\n", step.step);
        for (number, (name, _, operation)) in (1..).zip(&self.undone) {
            text.push_str(&format!("{number:>4}. {name} is undone by {operation}\n"));
        }
        if self.undone.is_empty() {
            text.push_str("      nothing is undone\n");
        }
        if !self.stays.is_empty() {
            text.push_str(&format!("      what stays: {}\n", self.stays.join(", ")));
        }
        text.push_str(&format!("      and then: {}\n", self.end));
        if let Verb::Call(call) = &step.verb
            && call.failed != Word::Compensate
            && !self.undone.is_empty()
        {
            text.push_str("      (once it is known that it did not happen; before that, its `failed` decides)\n");
        }
        text
    }
}
