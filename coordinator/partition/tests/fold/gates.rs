//! Outages, pauses and limits through the fold: nothing is used up, nothing floods, everything goes on by itself.

use std::collections::BTreeMap;

use expect_test::expect;
use sagaline_definition::contract::Limits;
use sagaline_definition::model::Verb;
use sagaline_definition::{Contract, Definition};
use sagaline_engine::{Cause, Phase, Saga};
use sagaline_partition::view;
use sagaline_schemas::command::Command;
use sagaline_schemas::hash::partition_of;
use sagaline_schemas::record::{Answer, Compensated, End, Failed, Genesis, Kind, Succeeded};
use sagaline_schemas::request::{PauseRequest, RequestBody, RequestTarget, ResumeRequest, ScopeTarget};
use sagaline_schemas::wire::Bytes;

use crate::mail::Post;
use crate::stage::{Stage, chain, genesis, reply};

const HOUR: i64 = 3_600_000;

fn limited(limits: Limits) -> Stage {
    let (mut definition, mut contract) = chain(&["a", "b"]);
    contract.limits = limits;
    definition.contracts.insert("p".to_owned(), contract.digest());
    Stage::of(genesis(), &[definition], &contract)
}

/// Two calls with a day's patience, three attempts each.
fn patient() -> (Definition, Contract) {
    let (mut definition, contract) = chain(&["a", "b"]);
    definition.deadline.after = 48 * HOUR;
    for step in &mut definition.steps {
        let Verb::Call(call) = &mut step.verb else { unreachable!() };
        call.retry.attempts = 3;
    }
    (definition, contract)
}

/// A participant that answers every command of the stage, from some time on.
#[derive(Default)]
struct Participant {
    seen: usize,
    /// Commands answered, by round.
    answered: Vec<usize>,
    /// What it needs itself is away: it says so to each.
    is_out: bool,
}

impl Participant {
    fn answer_all(&mut self, stage: &mut Stage) {
        let commands: Vec<Command> = stage.commands()[self.seen..].to_vec();
        self.seen += commands.len();
        self.answered.push(commands.len());
        for command in commands {
            let answer = match command.address.kind {
                _ if self.is_out => outage(None),
                Kind::Compensate => Answer::Compensated(Compensated { result: None }),
                Kind::Do | Kind::Probe | Kind::Ask => Answer::Succeeded(Succeeded { result: Bytes::from("{}") }),
            };
            stage.raw(reply(&command, answer));
        }
    }
}

fn outage(retry_after: Option<i64>) -> Answer {
    Answer::Failed(Failed { error: "the bank is down".to_owned(), retry_after, outage: true })
}

fn gate(stage: &mut Stage, subject: &str) -> Option<sagaline_partition::gate::Gate> {
    stage.partition.commit().unwrap();
    view::gates(stage.partition.reader().as_ref()).unwrap().remove(subject)
}

fn ended(stage: &mut Stage) -> BTreeMap<String, usize> {
    stage.partition.commit().unwrap();
    let sagas = view::sagas(stage.partition.reader().as_ref(), None, usize::MAX).unwrap();
    let mut ends = BTreeMap::new();
    for saga in sagas {
        let phase = format!("{:?}", saga.phase);
        let end = phase.split([',', '{']).take(2).collect::<String>().trim().to_owned();
        *ends.entry(end).or_default() += 1;
    }
    ends
}

// shows: contract.owner x timeout
#[test]
fn four_hours_without_a_participant_use_up_nothing_and_end_without_a_flood() {
    let (definition, contract) = patient();
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    let mut participant = Participant::default();
    for number in 0..300 {
        stage.start(&format!("k{number}"));
    }
    participant.answer_all(&mut stage);
    stage.progress();
    // Down: 300 commands are under way, and 300 more sagas begin meanwhile.
    for number in 300..600 {
        stage.start(&format!("k{number}"));
    }
    let sent = stage.commands().len();
    stage.pass(4 * HOUR, 1_000);
    let tries = stage.commands().len() - sent;
    assert!(tries < 5 + 4 * 60 + 10, "it is tried once a minute, not {tries} times in four hours");
    let held = gate(&mut stage, "participant/p").unwrap();
    assert!(held.is_down());
    assert_eq!(held.held, 600);
    // Back: it answers all that lies in its topic, and what comes then.
    participant.answered.clear();
    for _ in 0..200 {
        participant.answer_all(&mut stage);
        stage.pass(100, 100);
    }
    let flood = participant.answered[1..].iter().max();
    assert!(flood <= Some(&50), "so many at once: {:?}", participant.answered);
    expect![[r#"{"Ended  end: Completed": 600}"#]].assert_eq(&format!("{:?}", ended(&mut stage)));
    assert!(gate(&mut stage, "participant/p").is_none(), "{:?}", gate(&mut stage, "participant/p"));
    let told: Vec<String> = stage
        .outages()
        .iter()
        .map(|outage| format!("{:?} of {} ({}): {} held", outage.kind, outage.participant, outage.owner, outage.held))
        .collect();
    expect![[r#"
        CircuitOpened of p (team): 0 held
        CircuitClosed of p (team): 600 held"#]]
    .assert_eq(&told.join("\n"));
    stage.refolds_alike();
}

/// The participant answers, but what it needs itself is away for four hours.
#[test]
fn four_hours_without_what_a_participant_needs_use_up_nothing_and_end_without_a_flood() {
    let (definition, contract) = patient();
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    let mut participant = Participant { is_out: true, ..Participant::default() };
    for number in 0..300 {
        stage.start(&format!("k{number}"));
    }
    let first = stage.commands()[0].clone();
    stage.raw(reply(&first, outage(None)));
    assert!(gate(&mut stage, "participant/p").is_some_and(|gate| gate.is_down()), "one word is enough");
    participant.answer_all(&mut stage);
    for number in 300..600 {
        stage.start(&format!("k{number}"));
    }
    let sent = stage.commands().len();
    assert_eq!(sent, 300, "who comes later is not sent into it");
    for _ in 0..4 * 3_600 {
        stage.pass(1_000, 1_000);
        participant.answer_all(&mut stage);
    }
    let tries = stage.commands().len() - sent;
    assert!((4 * 60..4 * 60 + 10).contains(&tries), "it is tried once a minute, not {tries} times in four hours");
    assert_eq!(gate(&mut stage, "participant/p").map(|gate| gate.held), Some(600));
    let used_up = |saga: &Saga| saga.effects.iter().map(|effect| effect.tries.count - effect.tries.forgiven).max();
    assert_eq!(used_up(&stage.saga("k0")), Some(0), "no attempt is used up");
    participant.is_out = false;
    participant.answered.clear();
    for _ in 0..1_200 {
        participant.answer_all(&mut stage);
        stage.pass(100, 100);
    }
    assert!(participant.answered.iter().max() <= Some(&50), "so many at once: {:?}", participant.answered);
    expect![[r#"{"Ended  end: Completed": 600}"#]].assert_eq(&format!("{:?}", ended(&mut stage)));
    assert!(gate(&mut stage, "participant/p").is_none(), "{:?}", gate(&mut stage, "participant/p"));
    let told: Vec<String> = stage.outages().iter().map(|told| format!("{:?}: {}", told.kind, told.reason)).collect();
    expect![[r#"
        CircuitOpened: the bank is down
        CircuitClosed: it answers"#]]
    .assert_eq(&told.join("\n"));
    stage.refolds_alike();
}

/// What says for ever that it is out holds its sagas no longer than their deadline; undoing gets its turn between the tries.
#[test]
fn an_outage_without_an_end_is_given_up_at_the_deadline() {
    let (mut definition, contract) = patient();
    definition.deadline.after = HOUR;
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    for key in ["k", "l"] {
        stage.start(key);
    }
    let mut seen = 0;
    for _ in 0..720 {
        let commands: Vec<Command> = stage.commands()[seen..].to_vec();
        seen += commands.len();
        for command in commands {
            let answer = match command.address.kind {
                Kind::Compensate => Answer::Compensated(Compensated { result: None }),
                Kind::Do | Kind::Probe | Kind::Ask => outage(Some(300_000)),
            };
            stage.raw(reply(&command, answer));
        }
        stage.pass(10_000, 10_000);
    }
    for key in ["k", "l"] {
        let saga = stage.saga(key);
        let Phase::Ended { end: End::Compensated, at, cause: Some(Cause::Deadline) } = saga.phase else {
            panic!("{:?}", saga.phase)
        };
        assert!(at - saga.started_at <= HOUR + 600_000, "{key} ended {} ms after it began", at - saga.started_at);
    }
    stage.refolds_alike();
}

/// As long as it asks for, at most an hour.
#[test]
fn who_is_out_says_when_to_ask_again() {
    for (wish, tried_after) in [(600_000, 600_000), (48 * HOUR, HOUR)] {
        let (definition, contract) = patient();
        let mut stage = Stage::of(genesis(), &[definition], &contract);
        stage.start("k");
        stage.progress();
        stage.answer("a", outage(Some(wish)));
        stage.pass(tried_after - 1_000, 1_000);
        assert_eq!(stage.operations(), "a", "not before {wish}");
        stage.pass(2_000, 1_000);
        assert_eq!(stage.operations(), "a a");
    }
}

#[test]
fn a_probe_finds_the_seat_of_the_attempts_that_it_asks_about() {
    let (mut definition, mut contract) = chain(&["a"]);
    contract.limits = Limits { in_flight: Some(1), rate: None };
    definition.contracts.insert("p".to_owned(), contract.digest());
    let Verb::Call(call) = &mut definition.steps[0].verb else { unreachable!() };
    (call.probe, call.retry.attempts) = (Some("status".to_owned()), 2);
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    stage.start("k");
    stage.pass(600_000, 5_000);
    let kinds: Vec<Kind> = stage.commands().iter().map(|command| command.address.kind).collect();
    assert!(kinds.starts_with(&[Kind::Do, Kind::Do, Kind::Probe]), "{kinds:?}");
    stage.refolds_alike();
}

/// What the log says late of an attempt that has failed for good begins no clock, whether this node has been started anew or not.
#[test]
fn a_last_attempt_that_failed_before_its_progress_is_probed_once() {
    let (mut definition, contract) = chain(&["a"]);
    let Verb::Call(call) = &mut definition.steps[0].verb else { unreachable!() };
    (call.probe, call.retry.attempts) = (Some("status".to_owned()), 1);
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    stage.start("k");
    stage.answer("a", Answer::Failed(Failed { error: "broken".to_owned(), retry_after: None, outage: false }));
    stage.progress();
    stage.pass(600_000, 5_000);
    stage.refolds_alike();
}

#[test]
fn who_fails_is_there() {
    for retry_after in [None, Some(1)] {
        let (mut definition, contract) = patient();
        let Verb::Call(call) = &mut definition.steps[0].verb else { unreachable!() };
        call.retry.attempts = 100;
        let mut stage = Stage::of(genesis(), &[definition], &contract);
        stage.start("k");
        for _ in 0..8 {
            let command = stage.commands().pop().unwrap();
            stage.raw(reply(
                &command,
                Answer::Failed(Failed { error: "broken".to_owned(), retry_after, outage: false }),
            ));
            stage.pass(2_000, 1_000);
        }
        assert!(!gate(&mut stage, "participant/p").is_some_and(|gate| gate.is_down()));
    }
}

#[test]
fn a_lone_saga_waits_four_hours_with_six_attempts() {
    let (mut definition, contract) = patient();
    let Verb::Call(call) = &mut definition.steps[0].verb else { unreachable!() };
    call.retry.attempts = 6;
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    stage.start("k");
    stage.progress();
    stage.pass(4 * HOUR, 5_000);
    assert!(stage.phase("k").contains("Running { direction: Forward }"), "{}", stage.phase("k"));
    assert!(stage.commands().last().map(|command| command.address.attempt) > Some(100), "it is tried once a minute");
    stage.ok("a");
    stage.pass(1_000, 1_000);
    stage.ok("b");
    assert!(stage.phase("k").contains("Completed"), "{}", stage.phase("k"));
    assert!(stage.saga("k").effects.iter().all(|effect| effect.outcome.may_stand()));
    stage.refolds_alike();
}

/// Some commands can't succeed: they fail whenever they come. They must not keep the participant down for the others, and must be given
/// up in the end though nobody else has anything to say.
#[test]
fn commands_that_fail_for_ever_hold_nobody_else_and_are_given_up() {
    let (definition, contract) = patient();
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    for number in 0..20 {
        stage.start(&format!("k{number}"));
    }
    let poisoned = |command: &Command| {
        ["test/k0", "test/k1", "test/k2"].contains(&command.saga.as_str()) && command.operation == "a"
    };
    let mut seen = 0;
    let mut silent = true;
    for round in 0..1_000 {
        let commands: Vec<Command> = stage.commands()[seen..].to_vec();
        seen += commands.len();
        for command in commands {
            let answer = match command.address.kind {
                _ if silent => continue,
                Kind::Do if poisoned(&command) => {
                    Answer::Failed(Failed { error: "no".to_owned(), retry_after: None, outage: false })
                }
                Kind::Compensate => Answer::Compensated(Compensated { result: None }),
                Kind::Do | Kind::Probe | Kind::Ask => Answer::Succeeded(Succeeded { result: Bytes::from("{}") }),
            };
            stage.raw(reply(&command, answer));
        }
        silent &= round < 100;
        stage.pass(1_000, 500);
    }
    let ends = ended(&mut stage);
    expect![[r#"{"Ended  end: Compensated": 3, "Ended  end: Completed": 17}"#]].assert_eq(&format!("{ends:?}"));
    stage.refolds_alike();
}

#[test]
fn compensation_waits_for_its_participant_too() {
    let (definition, contract) = patient();
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    for number in 0..6 {
        stage.start(&format!("k{number}"));
    }
    for command in stage.commands() {
        stage.raw(reply(&command, Answer::Succeeded(Succeeded { result: Bytes::from("{}") })));
    }
    stage.progress();
    stage.pass(60_000, 1_000);
    assert!(gate(&mut stage, "participant/p").unwrap().is_down());
    stage.cancel(1, "k0");
    stage.pass(HOUR, 10_000);
    let mut participant = Participant::default();
    for _ in 0..20 {
        participant.answer_all(&mut stage);
        stage.pass(1_000, 1_000);
    }
    assert!(stage.phase("k0").contains("Cancelled"), "{}", stage.phase("k0"));
    assert!(stage.phase("k5").contains("Completed"), "{}", stage.phase("k5"));
    stage.refolds_alike();
}

// shows: limits.in_flight x success
#[test]
fn no_more_in_flight_than_the_contract_allows() {
    let mut stage = limited(Limits { in_flight: Some(3), rate: None });
    for number in 0..10 {
        stage.start(&format!("k{number}"));
    }
    assert_eq!(stage.commands().len(), 3);
    assert_eq!(gate(&mut stage, "participant/p").unwrap().held, 7);
    let mut participant = Participant::default();
    participant.answer_all(&mut stage);
    assert_eq!(stage.commands().len(), 6, "each answer makes room for one, at once");
    for _ in 0..10 {
        participant.answer_all(&mut stage);
    }
    assert!(participant.answered.iter().all(|answered| *answered <= 3), "{:?}", participant.answered);
    assert_eq!(stage.commands().len(), 20);
    assert!(gate(&mut stage, "participant/p").is_none());
    assert_eq!(ended(&mut stage).len(), 1, "{:?}", ended(&mut stage));
    stage.refolds_alike();
}

/// Sagas of all partitions of an inbox, twenty in each, before a participant with these limits; and how many commands each has sent.
fn shared_out(partitions: u32, limits: Limits) -> (Post, Vec<usize>) {
    let (mut definition, mut contract) = chain(&["a", "b"]);
    contract.limits = limits;
    definition.contracts.insert("p".to_owned(), contract.digest());
    let mut post = Post::new(partitions, &[definition], &contract);
    post.stages.iter_mut().for_each(|stage| _ = stage.progress());
    let mut begun = vec![0; partitions as usize];
    let keys: Vec<String> = (0..1_000).map(|number| format!("k{number}")).collect();
    for key in &keys {
        let begun = &mut begun[partition_of(key, partitions) as usize];
        if *begun < 20 {
            *begun += 1;
            post.home(key).start(key);
        }
    }
    let sent = sent(&post);
    (post, sent)
}

fn sent(post: &Post) -> Vec<usize> {
    post.stages.iter().map(|stage| stage.commands().len()).collect()
}

// shows: limits.in_flight x success
#[test]
fn all_partitions_together_have_no_more_in_flight_than_the_contract_allows() {
    let (mut post, first) = shared_out(2, Limits { in_flight: Some(5), rate: None });
    assert_eq!(first, [3, 2]);
    let mut answered = [0, 0];
    while answered != [40, 40] {
        for (stage, answered) in post.stages.iter_mut().zip(&mut answered) {
            let Some(command) = stage.commands().get(*answered).cloned() else { continue };
            *answered += 1;
            stage.raw(reply(&command, Answer::Succeeded(Succeeded { result: Bytes::from("{}") })));
        }
        let sent: usize = sent(&post).iter().sum();
        assert!(sent - answered.iter().sum::<usize>() <= 5, "{sent} sent, {answered:?} answered");
    }
    for stage in &mut post.stages {
        assert_eq!(format!("{:?}", ended(stage)), r#"{"Ended  end: Completed": 20}"#);
        stage.refolds_alike();
    }
}

/// One each: a partition that might send nothing would stand still for ever.
#[test]
fn each_partition_has_one_in_flight_where_the_contract_allows_fewer_than_there_are() {
    let (_, sent) = shared_out(4, Limits { in_flight: Some(2), rate: None });
    assert_eq!(sent, [1, 1, 1, 1]);
}

// shows: limits.rate x success
#[test]
fn all_partitions_together_send_no_more_a_second_than_the_contract_allows() {
    let (mut post, first) = shared_out(2, Limits { in_flight: None, rate: Some(5) });
    assert_eq!(first, [2, 2], "no half commands");
    let mut together = Vec::new();
    for _ in 0..6 {
        post.stages.iter_mut().for_each(|stage| stage.pass(1_000, 100));
        together.push(sent(&post).iter().sum::<usize>());
    }
    assert_eq!(together, [10, 14, 20, 24, 30, 34], "two and a half a second in each");
    post.stages.iter_mut().for_each(Stage::refolds_alike);
}

#[test]
fn an_outage_leaves_no_seat_taken() {
    let mut stage = limited(Limits { in_flight: Some(6), rate: Some(100) });
    let mut participant = Participant::default();
    for number in 0..30 {
        stage.start(&format!("k{number}"));
    }
    participant.answer_all(&mut stage);
    stage.progress();
    stage.pass(HOUR / 2, 1_000);
    assert!(gate(&mut stage, "participant/p").unwrap().is_down());
    stage.cancel(1, "k7");
    for _ in 0..60 {
        participant.answer_all(&mut stage);
        stage.pass(1_000, 500);
    }
    let end = gate(&mut stage, "participant/p").unwrap();
    assert_eq!((end.is_down(), end.in_flight, end.held, end.due), (false, 0, 0, None), "{:?}", ended(&mut stage));
    assert!(ended(&mut stage).keys().all(|end| end.starts_with("Ended")), "{:?}", ended(&mut stage));
    stage.refolds_alike();
}

#[test]
fn who_ends_while_it_waits_is_held_no_longer() {
    let mut stage = Stage::new(&["a"]);
    scope(&mut stage, 1, "participant/p", 1, true);
    stage.start("k");
    assert_eq!(gate(&mut stage, "participant/p").unwrap().held, 1);
    stage.cancel(2, "k");
    assert!(stage.phase("k").contains("Cancelled"), "{}", stage.phase("k"));
    assert_eq!(gate(&mut stage, "participant/p").unwrap().held, 0);
}

// shows: limits.in_flight x timeout, cancel
#[test]
fn a_seat_is_free_again_when_its_time_is_up_or_its_saga_ends() {
    let mut stage = limited(Limits { in_flight: Some(1), rate: None });
    stage.start("k");
    stage.start("l");
    assert_eq!(stage.operations(), "a");
    stage.progress();
    stage.pass(10_000, 10_000);
    assert_eq!(stage.operations(), "a a", "l's turn has come");
    let gate_of = |stage: &mut Stage| gate(stage, "participant/p").unwrap();
    assert_eq!(gate_of(&mut stage).in_flight, 1);
    stage.cancel(1, "l");
    assert_eq!(gate_of(&mut stage).in_flight, 1, "its compensation has its seat");
    stage.undone("un-a");
    stage.pass(2_000, 1_000);
    assert_eq!(stage.operations(), "a a un-a a", "k's second attempt");
    stage.refolds_alike();
}

// shows: limits.rate x success
#[test]
fn no_more_a_second_than_the_contract_allows() {
    let mut stage = limited(Limits { in_flight: None, rate: Some(5) });
    stage.progress();
    for number in 0..30 {
        stage.start(&format!("k{number}"));
    }
    let mut sent = vec![stage.commands().len()];
    for _ in 0..5 {
        stage.pass(1_000, 100);
        sent.push(stage.commands().len());
    }
    assert_eq!(sent, [5, 10, 15, 20, 25, 30]);
    stage.refolds_alike();
}

fn scope(stage: &mut Stage, id: u8, subject: &str, version: i64, pause: bool) -> String {
    let reason = "maintenance".to_owned();
    let body = match pause {
        true => RequestBody::Pause(PauseRequest { version, reason }),
        false => RequestBody::Resume(ResumeRequest { version, reason }),
    };
    stage.request(id, RequestTarget::Scope(ScopeTarget { subject: subject.to_owned() }), body)
}

#[test]
fn people_hold_a_participant_a_definition_or_all_and_let_them_go() {
    for subject in ["participant/p", "definition/test", "all"] {
        let mut stage = Stage::new(&["a", "b"]);
        stage.start("k");
        assert_eq!(scope(&mut stage, 1, subject, 1, true), "done");
        stage.ok("a");
        stage.start("l");
        assert_eq!(stage.operations(), "a", "{subject}");
        let held = gate(&mut stage, subject).unwrap();
        assert_eq!((held.held, held.paused.map(|paused| paused.by)), (2, Some("ada".to_owned())), "{subject}");
        stage.pass(HOUR / 2, 60_000);
        assert_eq!(stage.operations(), "a", "{subject}");
        assert_eq!(scope(&mut stage, 2, subject, 1, false), "refused: version 1 is known: give a higher one");
        assert_eq!(scope(&mut stage, 3, subject, 2, false), "done");
        assert!(stage.partition.needs_time(stage.now + 1).unwrap(), "who waits is called by time: {subject}");
        stage.pass(1_000, 1_000);
        assert_eq!(stage.operations(), "a b a", "{subject}");
        stage.refolds_alike();
    }
    let mut stage = Stage::new(&["a"]);
    assert_eq!(
        scope(&mut stage, 1, "world", 1, true),
        "refused: \"world\" is no scope: write participant/NAME, definition/NAME or all"
    );
    scope(&mut stage, 2, "participant/other", 1, true);
    scope(&mut stage, 3, "definition/other", 1, true);
    stage.start("k");
    assert_eq!(stage.operations(), "a", "other scopes are no matter");
}

#[test]
fn a_word_spoken_in_one_partition_is_heard_in_all() {
    let (definition, contract) = chain(&["a"]);
    let of = |partition| {
        Stage::of(Genesis { partition, partitions: 2, ..genesis() }, std::slice::from_ref(&definition), &contract)
    };
    let (mut here, mut there) = (of(0), of(1));
    scope(&mut here, 1, "participant/p", 1, true);
    for (to, value) in here.take_mail() {
        assert_eq!(to, 1);
        there.raw(value);
    }
    assert!(gate(&mut there, "participant/p").unwrap().paused.is_some());
    assert_eq!(scope(&mut there, 1, "participant/p", 1, true), "done", "the same word again is in force already");
    assert_eq!(there.take_mail(), vec![]);
}
