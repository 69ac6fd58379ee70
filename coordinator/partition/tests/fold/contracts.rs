//! What a contract says, through the fold: where commands go, by which operation an effect is undone, how many are under way and how fast they
//! come; and whose a step is. Whatever becomes of a command.

use std::fmt::Write;

use expect_test::{Expect, expect};
use sagaline_definition::contract::Limits;
use sagaline_definition::model::{Verb, Word};
use sagaline_schemas::output::{Notice, NoticeBody};
use sagaline_schemas::record::{Answer, Genesis, Refused, Succeeded};
use sagaline_schemas::settings::{Events, Settings};
use sagaline_schemas::wire::{Bytes, Wire};
use sagaline_schemas::{proof, schema};

use crate::stage::{Stage, chain, genesis, reply};

fn no() -> Answer {
    Answer::Refused(Refused { code: "No".to_owned(), detail: String::new() })
}

fn yes() -> Answer {
    Answer::Succeeded(Succeeded { result: Bytes::from("{}") })
}

/// Which operations were commanded, each with the channel of its participant.
fn commanded(stage: &Stage) -> String {
    let commands = stage.outputs.iter().filter(|output| output.channel.starts_with("commands."));
    let channels = commands.map(|output| output.channel.strip_prefix("commands.").unwrap());
    let both = channels.zip(stage.commands()).map(|(channel, command)| format!("{channel}.{}", command.operation));
    both.collect::<Vec<_>>().join(" ")
}

// shows: contract.participant, compensate.call x success, refusal, timeout, late success, cancel
#[test]
fn commands_go_to_their_participant_and_effects_are_undone_by_their_operation() {
    let begun = || {
        let mut stage = Stage::new(&["a", "b"]);
        stage.start("k");
        stage.ok("a");
        stage.progress();
        stage
    };
    let mut stage = begun();
    stage.ok("b");
    assert_eq!(commanded(&stage), "p.a p.b");

    let mut stage = begun();
    stage.answer("b", no());
    stage.undone("un-a");
    assert_eq!(commanded(&stage), "p.a p.b p.un-a");
    assert!(stage.phase("k").contains("end: Compensated"), "{}", stage.phase("k"));

    let mut stage = begun();
    stage.pass(25_000, 500);
    assert_eq!(commanded(&stage), "p.a p.b p.b p.un-b");
    // b was done after all, which changes nothing: it is being undone.
    stage.ok("b");
    stage.undone("un-b");
    stage.undone("un-a");
    assert_eq!(commanded(&stage), "p.a p.b p.b p.un-b p.un-a");
    assert!(stage.phase("k").contains("end: Compensated"), "{}", stage.phase("k"));

    let mut stage = begun();
    stage.cancel(1, "k");
    stage.ok("b");
    stage.undone("un-b");
    stage.undone("un-a");
    assert_eq!(commanded(&stage), "p.a p.b p.un-b p.un-a");
    assert!(stage.phase("k").contains("end: Cancelled"), "{}", stage.phase("k"));
}

fn limited(limits: Limits, deadline: i64) -> Stage {
    let (mut definition, mut contract) = chain(&["a", "b"]);
    definition.deadline.after = deadline;
    contract.limits = limits;
    definition.contracts.insert("p".to_owned(), contract.digest());
    Stage::of(genesis(), &[definition], &contract)
}

/// A refusal leaves a seat, and so does an attempt that is given up; its answer, when it comes all the same, leaves no second one.
// shows: limits.in_flight x refusal, timeout, late success
#[test]
fn every_command_leaves_its_seat_once() {
    let mut stage = limited(Limits { in_flight: Some(1), rate: None }, 3_600_000);
    for key in ["k", "l", "m"] {
        stage.start(key);
    }
    assert_eq!(stage.operations(), "a");
    stage.answer("a", no());
    assert_eq!(stage.operations(), "a a", "l's turn has come");
    assert!(stage.phase("k").contains("end: Compensated"), "{}", stage.phase("k"));
    stage.progress();
    let silent = stage.command("a");
    stage.pass(10_000, 10_000);
    assert_eq!(stage.operations(), "a a a", "m's turn has come: l is silent");
    stage.raw(reply(&silent, yes()));
    assert_eq!(stage.operations(), "a a a", "l goes on when m leaves its seat");
    stage.ok("a");
    assert_eq!(stage.operations(), "a a a b");
    stage.refolds_alike();
}

/// Whatever makes many sagas go back at once, their undoing keeps the pace.
// shows: limits.rate x refusal, timeout, late success, cancel
#[test]
fn undoing_keeps_the_pace() {
    let begun = |deadline: i64| {
        let mut stage = limited(Limits { in_flight: None, rate: Some(5) }, deadline);
        stage.progress();
        for number in 0..10 {
            stage.start(&format!("k{number}"));
        }
        stage.pass(4_000, 100);
        for command in stage.commands() {
            stage.raw(reply(&command, yes()));
        }
        stage.pass(4_000, 100);
        assert_eq!(stage.operations(), format!("{}{}", "a ".repeat(10), "b ".repeat(10)).trim_end());
        stage
    };
    // How many commands there are after each second.
    let paced = |mut stage: Stage| {
        let mut sent = vec![stage.commands().len() - 20];
        for _ in 0..3 {
            stage.pass(1_000, 100);
            sent.push(stage.commands().len() - 20);
        }
        stage.refolds_alike();
        sent
    };
    let all_of_b = |stage: &Stage| stage.commands().split_off(10);

    let mut refused = begun(3_600_000);
    for command in all_of_b(&refused) {
        refused.raw(reply(&command, no()));
    }
    assert_eq!(paced(refused), [5, 10, 10, 10]);

    let mut cancelled = begun(3_600_000);
    for number in 0..10 {
        cancelled.cancel(number, &format!("k{number}"));
    }
    // Late successes: what is known by then changes what an undoing says, not when it may.
    for command in all_of_b(&cancelled) {
        cancelled.raw(reply(&command, yes()));
    }
    assert_eq!(paced(cancelled), [5, 10, 10, 10]);

    // The time of all is up at once.
    let mut late = begun(9_000);
    assert_eq!(late.commands().len(), 20);
    late.pass(1_100, 1_100);
    assert_eq!(paced(late), [5, 10, 10, 10]);
}

/// What `events` tells of steps, with whose it is.
fn told(stage: &Stage) -> String {
    let mut told = String::new();
    for output in stage.outputs.iter().filter(|output| output.channel == "events") {
        let mut reader = proof::open_single_object(schema::EVENT.fingerprint, &output.output.value).unwrap();
        if let NoticeBody::Saga(event) = Notice::decode(&mut reader).unwrap().body
            && let Some(step) = event.step
        {
            writeln!(told, "{:?} {step}: {}", event.kind, event.owner).unwrap();
        }
    }
    told
}

// shows: owner x success, refusal, timeout, late success, cancel
#[test]
fn what_happens_to_a_step_is_told_with_its_owner() {
    let check = |failed: Word, play: fn(&mut Stage), expected: Expect| {
        let (mut definition, contract) = chain(&["a", "b"]);
        for step in &mut definition.steps {
            step.owner = format!("team-{}", step.step);
            let Verb::Call(call) = &mut step.verb else { unreachable!() };
            (call.failed, call.refused_else) = (failed.clone(), failed.clone());
        }
        let settings = Settings { events: Events::Steps, ..Settings::default() };
        let mut stage = Stage::of(Genesis { settings, ..genesis() }, &[definition], &contract);
        stage.start("k");
        stage.ok("a");
        stage.progress();
        play(&mut stage);
        expected.assert_eq(&told(&stage));
    };
    check(
        Word::Hold,
        |stage| _ = stage.ok("b"),
        expect![[r#"
        StepDone a: team-a
        StepDone b: team-b
    "#]],
    );
    check(
        Word::Hold,
        |stage| _ = stage.answer("b", no()),
        expect![[r#"
        StepDone a: team-a
        StepRefused b: team-b
        Held b: team-b
    "#]],
    );
    check(
        Word::Hold,
        |stage| stage.pass(30_000, 500),
        expect![[r#"
        StepDone a: team-a
        StepFailed b: team-b
        Held b: team-b
    "#]],
    );
    check(
        Word::Compensate,
        |stage| {
            stage.pass(30_000, 500);
            stage.ok("b");
            stage.undone("un-b");
            stage.undone("un-a");
        },
        expect![[r#"
            StepDone a: team-a
            StepFailed b: team-b
            StepCompensated b: team-b
            StepCompensated a: team-a
        "#]],
    );
    check(
        Word::Compensate,
        |stage| {
            stage.cancel(1, "k");
            stage.undone("un-b");
            stage.undone("un-a");
        },
        expect![[r#"
            StepDone a: team-a
            StepCompensated b: team-b
            StepCompensated a: team-a
        "#]],
    );
}
