//! Faults planted in the engine, each found on an example, and told by a short story. A checker that can't find them proves nothing.

mod build;

use build::{approve, back_to, call, call_of, calls, chain, explore, fact, pivot, reaction, sleeping, until, wait};
use sagaline_checker::{Search, real};
use sagaline_definition::Definition;
use sagaline_definition::model::Word;
use sagaline_engine::{
    Cause, Direction, Fact, Input, Limits, Moment, Outcome, Outgoing, Phase, PlaceState, Rejected, Saga, StepState,
    TimerKind, Transition, Undo,
};
use sagaline_schemas::Value;
use sagaline_schemas::record::{Answer, End, Kind};

/// Explores the definition with the broken engine. The shortest story must tell of the rule, in few lines.
#[track_caller]
fn found(
    definition: &Definition,
    rule: &str,
    engine: impl Fn(&Definition, &mut Saga, Input, Moment, Limits) -> Transition,
) {
    let sound = explore(definition, 2, Search::Reduced, &real);
    assert!(sound.stories.is_empty(), "the engine itself: {sound}");
    let proof = explore(definition, 2, Search::Reduced, &engine);
    let Some(story) = proof.stories.first() else { panic!("the fault is not found: {proof}") };
    assert_eq!(story.violation.rule, rule, "{proof}");
    assert!(story.lines.len() <= 8, "{story}");
    println!("{story}");
}

fn undoings(transition: &Transition) -> Vec<u32> {
    let undoing = |out: &Outgoing| match out {
        Outgoing::Command { effect, kind: Kind::Compensate, .. } => Some(*effect),
        _ => None,
    };
    transition.out.iter().filter_map(undoing).collect()
}

#[test]
fn a_compensation_is_forgotten() {
    found(&calls(&["a", "b"]), "I2", |definition, saga, input, moment, limits| {
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
    });
}

#[test]
fn compensations_in_the_wrong_order() {
    found(&calls(&["a", "b"]), "I2", |definition, saga, input, moment, limits| {
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
    });
}

#[test]
fn a_command_after_compensation_began() {
    found(&calls(&["a", "b"]), "I3", |definition, saga, input, moment, limits| {
        let mut transition = real(definition, saga, input, moment, limits);
        if !undoings(&transition).is_empty() && saga.effects.len() == 1 {
            saga.effects[0].tries.count += 1;
            let attempt = saga.effects[0].tries.count;
            transition.out.push(Outgoing::Command { effect: 0, kind: Kind::Do, attempt, deadline: 0 });
        }
        transition
    });
}

#[test]
fn a_late_success_counts_as_nothing() {
    found(&calls(&["a"]), "I2", |definition, saga, input, moment, limits| {
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
    });
}

#[test]
fn an_attempts_timer_is_forgotten() {
    found(&calls(&["a", "b"]), "I1", |definition, saga, input, moment, limits| {
        let second = matches!(input, Input::Sent { effect: 1, kind: Kind::Do, .. });
        let transition = real(definition, saga, input, moment, limits);
        if second {
            saga.timers.retain(|timer| timer.kind != TimerKind::Attempt);
        }
        transition
    });
}

#[test]
fn a_wait_without_its_timer() {
    found(&chain(vec![call("a"), wait("w", Word::Compensate)]), "engine", |definition, saga, input, moment, limits| {
        let transition = real(definition, saga, input, moment, limits);
        saga.timers.retain(|timer| timer.kind != TimerKind::Within);
        transition
    });
}

#[test]
fn an_approval_is_taken_twice() {
    found(&chain(vec![approve("approval"), call("a")]), "I6", |definition, saga, input, moment, limits| {
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
    });
}

#[test]
fn an_old_vote_counts() {
    found(&chain(vec![approve("approval"), call("a")]), "I6", |definition, saga, input, moment, limits| {
        let mut transition = real(definition, saga, input, moment, limits);
        if matches!(transition.rejected, Some(Rejected::Request(ref why)) if why.contains("version")) {
            transition.rejected = None;
        }
        transition
    });
}

#[test]
fn a_refusal_is_taken_for_silence() {
    found(&calls(&["a", "b"]), "I2", |definition, saga, input, moment, limits| {
        let refused = matches!(&input, Input::Answer { effect: 1, kind: Kind::Do, answer: Answer::Refused(_), .. });
        if refused {
            saga.effects[1].outcome = Outcome::Unknown { error: "lost".to_owned() };
            return Transition::default();
        }
        real(definition, saga, input, moment, limits)
    });
}

#[test]
fn nothing_there_is_taken_for_never() {
    // The tombstone is not believed: it is undone once more.
    found(&calls(&["a", "b"]), "I2", |definition, saga, input, moment, limits| {
        let nothing = matches!(&input, Input::Answer { kind: Kind::Compensate, answer: Answer::NothingThere(_), .. });
        if nothing {
            return Transition::default();
        }
        real(definition, saga, input, moment, limits)
    });
}

#[test]
fn a_cancellation_is_taken_after_the_pivot() {
    found(&chain(vec![call("a"), pivot("b"), call("c")]), "I3", |definition, saga, input, moment, limits| {
        let mut broken = definition.clone();
        broken.steps[1].pivot = false;
        if matches!(input, Input::Request { .. }) {
            return real(&broken, saga, input, moment, limits);
        }
        real(definition, saga, input, moment, limits)
    });
}

#[test]
fn a_skipped_step_is_not_undone() {
    let mut definition = calls(&["a", "b"]);
    call_of(&mut definition.steps[0]).failed = Word::Skip;
    found(&definition, "I2", |definition, saga, input, moment, limits| {
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
    });
}

#[test]
fn a_step_is_begun_twice() {
    found(&calls(&["a", "b"]), "I4", |definition, saga, input, moment, limits| {
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
    });
}

#[test]
fn an_early_event_is_lost() {
    found(&chain(vec![call("a"), wait("w", Word::Compensate)]), "I1", |definition, saga, input, moment, limits| {
        let transition = real(definition, saga, input, moment, limits);
        saga.letters.clear();
        transition
    });
}

#[test]
fn an_end_comes_too_early() {
    found(&calls(&["a", "b"]), "engine", |definition, saga, input, moment, limits| {
        let transition = real(definition, saga, input, moment, limits);
        if saga.goes_forward() && saga.effects.len() == 2 {
            saga.phase = Phase::Ended { end: End::Completed, at: moment.log_time, cause: None };
            saga.timers.clear();
        }
        transition
    });
}

#[test]
fn news_of_a_fact_is_lost() {
    let mut definition = chain(vec![call("a"), until("u", "facts.ready", Word::Compensate)]);
    definition.facts.push(fact("ready", Value::Bool(false)));
    found(&definition, "I1", |definition, saga, input, moment, limits| match input {
        Input::Told { .. } if saga.effects.len() == 1 => Transition::default(),
        input => real(definition, saga, input, moment, limits),
    });
}

#[test]
fn a_cancellation_is_lost() {
    found(&chain(vec![sleeping("s"), call("a")]), "I1", |definition, saga, input, moment, limits| match input {
        Input::Request { .. } if saga.effects.is_empty() => {
            Transition { rejected: Some(Rejected::Request("not now".to_owned())), ..Transition::default() }
        }
        input => real(definition, saga, input, moment, limits),
    });
}

#[test]
fn work_goes_back_without_undoing() {
    let mut definition = calls(&["a", "b"]);
    call_of(&mut definition.steps[1]).refused_else = back_to(0);
    found(&definition, "I4", |definition, saga, input, moment, limits| {
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
    });
}

#[test]
fn a_saga_waits_for_ever() {
    let mut definition = calls(&["a", "b"]);
    definition.facts.push(fact("stop", Value::Bool(false)));
    definition.react.push(reaction("facts.stop", Word::Compensate));
    found(&definition, "I1", |definition, saga, input, moment, limits| {
        let failed = matches!(&input, Input::Answer { effect: 0, kind: Kind::Do, answer: Answer::Failed(_), .. });
        let transition = real(definition, saga, input, moment, limits);
        if failed {
            saga.timers.retain(|timer| timer.kind != TimerKind::Backoff);
        }
        transition
    });
}

#[test]
fn a_timer_fires_for_ever() {
    found(&chain(vec![sleeping("s"), call("a")]), "I5", |definition, saga, input, moment, limits| {
        let timers = saga.timers.clone();
        let slept = matches!(input, Input::Timer { kind: TimerKind::Sleep, .. });
        let transition = real(definition, saga, input, moment, limits);
        if slept {
            saga.timers = timers;
        }
        transition
    });
}
