//! Faults planted in the engine, each found on an example, and told by a short story. A checker that can't find them proves nothing.

mod build;

use std::fmt::Write;
use std::time::Instant;

use build::{approve, back_to, call, call_of, calls, chain, explore, fact, pivot, reaction, sleeping, until, wait};
use sagaline_checker::{Search, real};
use sagaline_definition::Definition;
use sagaline_definition::model::{Step, Verb, Word};
use sagaline_engine::{
    Cause, Direction, Fact, Input, Limits, Moment, Outcome, Outgoing, Phase, PlaceState, Rejected, Saga, StepState,
    TimerKind, Transition, Undo,
};
use sagaline_schemas::Value;
use sagaline_schemas::record::{Answer, End, Kind};

/// A fault, the definition on which it is looked for, and what it breaks.
struct Planted {
    definition: Definition,
    rule: &'static str,
    engine: fn(&Definition, &mut Saga, Input, Moment, Limits) -> Transition,
}

type Plant = fn() -> Planted;

/// What each is called, and how it is planted.
const FAULTS: [(&str, Plant); 20] = [
    ("a compensation is forgotten", a_compensation_is_forgotten),
    ("compensations in the wrong order", compensations_in_the_wrong_order),
    ("a command after compensation began", a_command_after_compensation_began),
    ("a late success counts as nothing", a_late_success_counts_as_nothing),
    ("an attempt's timer is forgotten", an_attempts_timer_is_forgotten),
    ("a wait without its timer", a_wait_without_its_timer),
    ("an approval is taken twice", an_approval_is_taken_twice),
    ("an old vote counts", an_old_vote_counts),
    ("a refusal is taken for silence", a_refusal_is_taken_for_silence),
    ("nothing there is taken for never", nothing_there_is_taken_for_never),
    ("a cancellation is taken after the pivot", a_cancellation_is_taken_after_the_pivot),
    ("a skipped step is not undone", a_skipped_step_is_not_undone),
    ("a step is begun twice", a_step_is_begun_twice),
    ("an early event is lost", an_early_event_is_lost),
    ("an end comes too early", an_end_comes_too_early),
    ("news of a fact is lost", news_of_a_fact_is_lost),
    ("a cancellation is lost", a_cancellation_is_lost),
    ("work goes back without undoing", work_goes_back_without_undoing),
    ("a saga waits for ever", a_saga_waits_for_ever),
    ("a timer fires for ever", a_timer_fires_for_ever),
];

/// Lines of the longest story.
const LONGEST: usize = 8;

#[test]
fn every_fault_is_found_and_told_shortly() {
    let mut table =
        format!("{:<45} | {:<40} | {:<6} | {:>5} | {:>7}\n", "fault", "found on", "breaks", "steps", "time");
    for (name, plant) in FAULTS {
        let Planted { definition, rule, engine } = plant();
        let sound = explore(&definition, 2, Search::Reduced, &real);
        assert!(sound.stories.is_empty(), "{name}: the engine itself: {sound}");
        let began = Instant::now();
        let proof = explore(&definition, 2, Search::Reduced, &engine);
        let took = began.elapsed();
        let Some(story) = proof.stories.first() else { panic!("{name}: the fault is not found: {proof}") };
        assert_eq!(story.violation.rule, rule, "{name}: {proof}");
        assert!(story.lines.len() <= LONGEST, "{name}: {story}");
        println!("{name}\n{story}");
        let (on, steps) = (in_short(&definition), story.lines.len());
        let _ = writeln!(table, "{name:<45} | {on:<40} | {rule:<6} | {steps:>5} | {:>4} ms", took.as_millis());
    }
    println!("{table}");
}

/// The steps of a definition in a line.
fn in_short(definition: &Definition) -> String {
    let verb = |step: &Step| match &step.verb {
        Verb::Call(_) if step.pivot => "pivot",
        Verb::Call(_) => "call",
        Verb::Saga(_) => "saga",
        Verb::Sleep(_) => "sleep",
        Verb::Wait(_) => "wait",
        Verb::Until(_) => "until",
        Verb::Approve(_) => "approve",
        Verb::Decide(_) => "decide",
    };
    let words = |step: &Step| match &step.verb {
        Verb::Call(call) if call.failed == Word::Skip => " (failed: skip)",
        Verb::Call(call) if matches!(call.refused_else, Word::BackTo(_)) => " (refused: back)",
        _ => "",
    };
    let steps = definition.steps.iter().map(|step| format!("{} {}{}", verb(step), step.step, words(step)));
    let reacts = definition.react.iter().map(|rule| format!("react: {}", rule.condition));
    steps.chain(reacts).collect::<Vec<String>>().join(", ")
}

fn planted(
    definition: Definition,
    rule: &'static str,
    engine: fn(&Definition, &mut Saga, Input, Moment, Limits) -> Transition,
) -> Planted {
    Planted { definition, rule, engine }
}

fn undoings(transition: &Transition) -> Vec<u32> {
    let undoing = |out: &Outgoing| match out {
        Outgoing::Command { effect, kind: Kind::Compensate, .. } => Some(*effect),
        _ => None,
    };
    transition.out.iter().filter_map(undoing).collect()
}

fn a_compensation_is_forgotten() -> Planted {
    planted(calls(&["a", "b"]), "I2", |definition, saga, input, moment, limits| {
        let mut transition = real(definition, saga, input, moment, limits);
        for effect in undoings(&transition) {
            if saga.effects[effect as usize].step == 0 {
                saga.effects[effect as usize].undo = Undo::Compensated { result: None };
                transition.out.clear();
                saga.timers.clear();
                let cause = Some(Cause::Deadline);
                saga.phase = Phase::Ended { end: End::Compensated, at: moment.log_time, cause };
            }
        }
        transition
    })
}

fn compensations_in_the_wrong_order() -> Planted {
    planted(calls(&["a", "b"]), "I2", |definition, saga, input, moment, limits| {
        let before = saga.undoes();
        let transition = real(definition, saga, input, moment, limits);
        if !before && saga.undoes() && saga.effects.len() == 2 && saga.effects[0].undo == Undo::Listed {
            saga.effects[0].undo = Undo::Decided;
            saga.effects[0].undo_tries = saga.effects[1].undo_tries.clone();
            saga.effects[1].undo = Undo::Listed;
            saga.effects[1].undo_tries = Default::default();
            let first = Outgoing::Command { effect: 0, kind: Kind::Compensate, attempt: 1, deadline: 0 };
            return Transition { out: vec![first], ..transition };
        }
        transition
    })
}

fn a_command_after_compensation_began() -> Planted {
    planted(calls(&["a", "b"]), "I3", |definition, saga, input, moment, limits| {
        let mut transition = real(definition, saga, input, moment, limits);
        if !undoings(&transition).is_empty() && saga.effects.len() == 1 {
            saga.effects[0].tries.count += 1;
            let attempt = saga.effects[0].tries.count;
            transition.out.push(Outgoing::Command { effect: 0, kind: Kind::Do, attempt, deadline: 0 });
        }
        transition
    })
}

fn a_late_success_counts_as_nothing() -> Planted {
    planted(calls(&["a"]), "I2", |definition, saga, input, moment, limits| {
        let late = |saga: &Saga, effect: u32| {
            let undo = &saga.effects[effect as usize].undo;
            *undo != Undo::No
        };
        match &input {
            Input::Answer { effect, kind: Kind::Do, answer: Answer::Succeeded(_), .. } if late(saga, *effect) => {
                Transition::default()
            }
            _ => real(definition, saga, input, moment, limits),
        }
    })
}

fn an_attempts_timer_is_forgotten() -> Planted {
    planted(calls(&["a", "b"]), "I1", |definition, saga, input, moment, limits| {
        let second = matches!(input, Input::Sent { effect: 1, kind: Kind::Do, .. });
        let transition = real(definition, saga, input, moment, limits);
        if second {
            saga.timers.retain(|timer| timer.kind != TimerKind::Attempt);
        }
        transition
    })
}

fn a_wait_without_its_timer() -> Planted {
    planted(chain(vec![call("a"), wait("w", Word::Compensate)]), "engine", |definition, saga, input, moment, limits| {
        let transition = real(definition, saga, input, moment, limits);
        saga.timers.retain(|timer| timer.kind != TimerKind::Within);
        transition
    })
}

fn an_approval_is_taken_twice() -> Planted {
    planted(chain(vec![approve("approval"), call("a")]), "I6", |definition, saga, input, moment, limits| {
        let asked = saga.steps.first().map(|step| step.state.clone());
        let transition = real(definition, saga, input, moment, limits);
        let chosen = transition.facts.iter().any(|fact| matches!(fact, Fact::Chosen { .. }));
        if let (true, Some(StepState::Begun { places }), true) = (chosen, asked, saga.goes_forward()) {
            saga.steps[0].state = StepState::Begun { places };
            let within = sagaline_engine::Spot { step: 0, items: vec![], round: 0 };
            let start = sagaline_engine::TimerStart::Waiting { duration: 1 };
            saga.timers.push(sagaline_engine::Timer { kind: TimerKind::Within, at: Some(within), start });
        }
        transition
    })
}

fn an_old_vote_counts() -> Planted {
    planted(chain(vec![approve("approval"), call("a")]), "I6", |definition, saga, input, moment, limits| {
        let mut transition = real(definition, saga, input, moment, limits);
        if matches!(transition.rejected, Some(Rejected::Request(ref why)) if why.contains("version")) {
            transition.rejected = None;
        }
        transition
    })
}

fn a_refusal_is_taken_for_silence() -> Planted {
    planted(calls(&["a", "b"]), "I2", |definition, saga, input, moment, limits| {
        let refused = matches!(&input, Input::Answer { effect: 1, kind: Kind::Do, answer: Answer::Refused(_), .. });
        if refused {
            saga.effects[1].outcome = Outcome::Unknown { error: "lost".to_owned() };
            return Transition::default();
        }
        real(definition, saga, input, moment, limits)
    })
}

fn nothing_there_is_taken_for_never() -> Planted {
    // The tombstone is not believed: it is undone once more.
    planted(calls(&["a", "b"]), "I2", |definition, saga, input, moment, limits| {
        let nothing = matches!(&input, Input::Answer { kind: Kind::Compensate, answer: Answer::NothingThere(_), .. });
        if nothing {
            return Transition::default();
        }
        real(definition, saga, input, moment, limits)
    })
}

fn a_cancellation_is_taken_after_the_pivot() -> Planted {
    planted(chain(vec![call("a"), pivot("b"), call("c")]), "I3", |definition, saga, input, moment, limits| {
        let mut broken = definition.clone();
        broken.steps[1].pivot = false;
        if matches!(input, Input::Request { .. }) {
            return real(&broken, saga, input, moment, limits);
        }
        real(definition, saga, input, moment, limits)
    })
}

fn a_skipped_step_is_not_undone() -> Planted {
    let mut definition = calls(&["a", "b"]);
    call_of(&mut definition.steps[0]).failed = Word::Skip;
    planted(definition, "I2", |definition, saga, input, moment, limits| {
        let mut transition = real(definition, saga, input, moment, limits);
        if matches!(saga.phase, Phase::Running { direction: Direction::Aside { .. } }) {
            saga.effects[0].undo = Undo::No;
            saga.effects[0].undo_tries = Default::default();
            let StepState::Begun { places } = &mut saga.steps[0].state else { return transition };
            places[0].state = PlaceState::Skipped;
            saga.phase = Phase::Running { direction: Direction::Forward };
            transition = real(definition, saga, Input::Admitted, moment, limits);
        }
        transition
    })
}

fn a_step_is_begun_twice() -> Planted {
    planted(calls(&["a", "b"]), "I4", |definition, saga, input, moment, limits| {
        let mut transition = real(definition, saga, input, moment, limits);
        let first = transition
            .out
            .iter()
            .any(|out| matches!(out, Outgoing::Command { effect: 1, kind: Kind::Do, attempt: 1, .. }));
        if first {
            let twin = saga.effects[1].clone();
            saga.effects.push(twin);
            transition.out.push(Outgoing::Command { effect: 2, kind: Kind::Do, attempt: 1, deadline: 0 });
        }
        transition
    })
}

fn an_early_event_is_lost() -> Planted {
    planted(chain(vec![call("a"), wait("w", Word::Compensate)]), "I1", |definition, saga, input, moment, limits| {
        let transition = real(definition, saga, input, moment, limits);
        saga.letters.clear();
        transition
    })
}

fn an_end_comes_too_early() -> Planted {
    planted(calls(&["a", "b"]), "engine", |definition, saga, input, moment, limits| {
        let transition = real(definition, saga, input, moment, limits);
        if saga.goes_forward() && saga.effects.len() == 2 {
            saga.phase = Phase::Ended { end: End::Completed, at: moment.log_time, cause: None };
            saga.timers.clear();
        }
        transition
    })
}

fn news_of_a_fact_is_lost() -> Planted {
    let mut definition = chain(vec![call("a"), until("u", "facts.ready", Word::Compensate)]);
    definition.facts.push(fact("ready", Value::Bool(false)));
    planted(definition, "I1", |definition, saga, input, moment, limits| match input {
        Input::Told { .. } if saga.effects.len() == 1 => Transition::default(),
        input => real(definition, saga, input, moment, limits),
    })
}

fn a_cancellation_is_lost() -> Planted {
    planted(chain(vec![sleeping("s"), call("a")]), "I1", |definition, saga, input, moment, limits| match input {
        Input::Request { .. } if saga.effects.is_empty() => {
            Transition { rejected: Some(Rejected::Request("not now".to_owned())), ..Transition::default() }
        }
        input => real(definition, saga, input, moment, limits),
    })
}

fn work_goes_back_without_undoing() -> Planted {
    let mut definition = calls(&["a", "b"]);
    call_of(&mut definition.steps[1]).refused_else = back_to(0);
    planted(definition, "I4", |definition, saga, input, moment, limits| {
        let transition = real(definition, saga, input, moment, limits);
        if let Phase::Running { direction: Direction::Aside { .. } } = &saga.phase
            && saga.effects.len() == 2
        {
            saga.effects[0].undo = Undo::No;
            saga.effects[0].undo_tries = Default::default();
            saga.timers.retain(|timer| timer.kind == TimerKind::Deadline);
            return real(definition, saga, Input::Admitted, moment, limits);
        }
        transition
    })
}

fn a_saga_waits_for_ever() -> Planted {
    let mut definition = calls(&["a", "b"]);
    definition.facts.push(fact("stop", Value::Bool(false)));
    definition.react.push(reaction("facts.stop", Word::Compensate));
    planted(definition, "I1", |definition, saga, input, moment, limits| {
        let failed = matches!(&input, Input::Answer { effect: 0, kind: Kind::Do, answer: Answer::Failed(_), .. });
        let transition = real(definition, saga, input, moment, limits);
        if failed {
            saga.timers.retain(|timer| timer.kind != TimerKind::Backoff);
        }
        transition
    })
}

fn a_timer_fires_for_ever() -> Planted {
    planted(chain(vec![sleeping("s"), call("a")]), "I5", |definition, saga, input, moment, limits| {
        let timers = saga.timers.clone();
        let slept = matches!(input, Input::Timer { kind: TimerKind::Sleep, .. });
        let transition = real(definition, saga, input, moment, limits);
        if slept {
            saga.timers = timers;
        }
        transition
    })
}
