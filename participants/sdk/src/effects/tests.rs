//! The table as a snapshot, cell by cell, and what a handler's outcome makes of a row. `world.rs` asks whether the table is right.

use std::time::Duration;

use expect_test::{Expect, expect};
use sagaline_schemas::command::{FIRST_ATTEMPT_BESIDE, Known, KnownOutcome, KnownSucceeded, KnownUnknown};
use sagaline_schemas::record::{Address, Compensated, Happened, Mark, MarkKind, NothingThere, Refused, Succeeded};
use sagaline_schemas::{CommandId, Content, SagaId, Token};

use super::*;
use crate::handler::HandlerError;

pub(crate) fn command(kind: Kind, known: Option<KnownOutcome>, decided: Millis, first: Millis) -> Command {
    let address =
        Address { saga: SagaId::from_bytes([1; 16]), step: "charge".into(), items: vec![], round: 0, kind, attempt: 1 };
    Command {
        address,
        command_id: CommandId::from_bytes([2; 16]),
        effect_id: EffectId::from_bytes([3; 16]),
        token: Token([4; 16]),
        content: Content([5; 16]),
        operation: "charge".into(),
        input: "{}".into(),
        known: known.map(|outcome| Known { outcome }),
        decided,
        first,
        deadline: 0,
        reply_topic: "inbox".into(),
        reply_partition: 0,
        saga: "order/1".into(),
        traceparent: None,
    }
}

fn inbox() -> ReplyPartition {
    ReplyPartition { topic: "inbox".into(), partition: 0 }
}

fn succeeded() -> KnownOutcome {
    KnownOutcome::Succeeded(KnownSucceeded { result: r#""told""#.into() })
}

fn unknown() -> KnownOutcome {
    KnownOutcome::Unknown(KnownUnknown {})
}

/// A store that holds this state for the effect, or has this horizon.
fn store(state: Option<RowState>, horizon: Option<Millis>) -> (EffectStore, MemoryRows) {
    let mut rows = MemoryRows::new();
    if let Some(horizon) = horizon {
        let other = Row { inbox: inbox(), kept: horizon, state: RowState::Intent(Intent {}) };
        rows.put(EffectId::from_bytes([9; 16]), &other).unwrap();
        rows.drop_through(&inbox(), horizon, 1).unwrap();
    }
    if let Some(state) = state {
        rows.put(EffectId::from_bytes([3; 16]), &Row { inbox: inbox(), kept: 1, state }).unwrap();
    }
    (EffectStore::new(Box::new(rows.clone()), Duration::from_secs(1)), rows)
}

fn answer_text(answer: &Answer) -> String {
    match answer {
        Answer::Succeeded(done) => format!("Succeeded {:?}", done.result),
        Answer::Refused(refused) => format!("Refused {}", refused.code),
        Answer::Failed(failed) if failed.outage => format!("Out {} {:?}", failed.error, failed.retry_after),
        Answer::Failed(failed) => format!("Failed {} {:?}", failed.error, failed.retry_after),
        Answer::Working(_) => "Working".into(),
        Answer::Compensated(done) => format!("Compensated {:?}", done.result),
        Answer::NothingThere(_) => "NothingThere".into(),
        Answer::Probed(probed) => format!("{:?} {:?}, found {:?}", probed.happened, probed.result, probed.found),
        Answer::Mark(mark) => format!("Mark {:?}", mark.mark),
    }
}

fn row_text(rows: &MemoryRows) -> String {
    rows.row(EffectId::from_bytes([3; 16])).unwrap().map_or("no row".into(), |row| {
        let state = match row.state {
            RowState::Intent(_) => "Intent",
            RowState::Succeeded(_) => "Succeeded",
            RowState::Refused(_) => "Refused",
            RowState::Tombstone(_) => "Tombstone",
            RowState::Compensated(_) => "Compensated",
        };
        format!("{state} kept by {}", row.kept)
    })
}

fn states() -> [(&'static str, Option<RowState>, Option<Millis>); 7] {
    [
        ("Succeeded", Some(RowState::Succeeded(Succeeded { result: "1".into() })), None),
        ("Refused", Some(RowState::Refused(Refused { code: "No".into(), detail: String::new() })), None),
        ("Tombstone", Some(RowState::Tombstone(NothingThere {})), None),
        ("Compensated", Some(RowState::Compensated(Compensated { result: Some("2".into()) })), None),
        ("Intent", Some(RowState::Intent(Intent {})), None),
        ("none", None, Some(4)),
        ("forgotten", None, Some(5)),
    ]
}

/// As `sagaline reconcile` asks: answers go to a topic of its own, and `first` is the time of a wall clock.
pub(super) fn beside(decided: Millis) -> Command {
    let mut probe = command(Kind::Probe, None, decided, 90);
    probe.address.attempt = FIRST_ATTEMPT_BESIDE + 7;
    probe.reply_topic = "reconcile".into();
    probe
}

fn check_table(kind: Kind, known: Option<KnownOutcome>, decided: Millis, first: Millis, expected: &Expect) {
    check_command(&command(kind, known, decided, first), expected);
}

fn check_command(command: &Command, expected: &Expect) {
    let mut table = String::new();
    for (name, state, horizon) in states() {
        let says = [Idempotence::ByKey, Idempotence::None, Idempotence::Transaction].map(|declared| {
            let (mut store, rows) = store(state.clone(), horizon);
            let begun = match store.begin(command, declared).unwrap() {
                Begin::Answer(answer) => answer_text(&answer),
                Begin::Run(run) => format!("{:?}, known {:?}", run.task, run.known_result()),
            };
            format!("{begun}; {}", row_text(&rows))
        });
        let [by_key, none, transaction] = says;
        assert_eq!(none, transaction, "an open intent of another version is nobody's to settle");
        table += &format!("{name}: {by_key}\n");
        if none != by_key {
            table += &format!("{name}, not idempotent: {none}\n");
        }
    }
    expected.assert_eq(&table);
}

// shows: operations.idempotent x timeout, late success
#[test]
fn a_do() {
    check_table(
        Kind::Do,
        None,
        5,
        5,
        &expect![[r#"
            Succeeded: Succeeded 1; Succeeded kept by 5
            Refused: Refused No; Refused kept by 5
            Tombstone: Mark Tombstoned; Tombstone kept by 5
            Compensated: Mark AlreadyCompensated; Compensated kept by 5
            Intent: Again, known None; Intent kept by 5
            Intent, not idempotent: Failed an earlier attempt ended without a recorded outcome, and the operation is not safe to repeat: a person has to look None; Intent kept by 5
            none: First, known None; Intent kept by 5
            forgotten: Mark Forgotten; no row
        "#]],
    );
}

#[test]
fn a_compensation_of_what_is_known_to_have_happened() {
    check_table(
        Kind::Compensate,
        Some(succeeded()),
        2,
        5,
        &expect![[r#"
            Succeeded: Undo, known Some(1); Succeeded kept by 5
            Refused: Undo, known Some(\"told\"); Refused kept by 5
            Tombstone: NothingThere; Tombstone kept by 5
            Compensated: Compensated Some(2); Compensated kept by 5
            Intent: Undo, known Some(\"told\"); Intent kept by 5
            none: Undo, known Some(\"told\"); no row
            forgotten: Mark Forgotten; no row
        "#]],
    );
}

// shows: operations.idempotent x cancel
#[test]
fn a_compensation_of_what_may_have_happened() {
    check_table(
        Kind::Compensate,
        Some(unknown()),
        5,
        8,
        &expect![[r#"
            Succeeded: Undo, known Some(1); Succeeded kept by 8
            Refused: NothingThere; Refused kept by 8
            Tombstone: NothingThere; Tombstone kept by 8
            Compensated: Compensated Some(2); Compensated kept by 8
            Intent: Undo, known None; Intent kept by 8
            Intent, not idempotent: Mark Forgotten; Intent kept by 8
            none: NothingThere; Tombstone kept by 8
            forgotten: Mark Forgotten; no row
        "#]],
    );
}

#[test]
fn a_probe() {
    check_table(
        Kind::Probe,
        None,
        5,
        8,
        &expect![[r#"
            Succeeded: Probe(Yes), known Some(1); Succeeded kept by 8
            Refused: Probe(No), known None; Refused kept by 8
            Tombstone: Probe(No), known None; Tombstone kept by 8
            Compensated: Probe(No), known None; Compensated kept by 8
            Intent: Probe(Unknown), known None; Intent kept by 8
            none: Probe(No), known None; Tombstone kept by 8
            forgotten: Probe(Unknown), known None; no row
        "#]],
    );
}

#[test]
fn a_probe_beside_the_log_changes_nothing_and_knows_every_horizon() {
    check_command(
        &beside(5),
        &expect![[r#"
            Succeeded: Probe(Yes), known Some(1); Succeeded kept by 1
            Refused: Probe(No), known None; Refused kept by 1
            Tombstone: Probe(No), known None; Tombstone kept by 1
            Compensated: Probe(No), known None; Compensated kept by 1
            Intent: Probe(Unknown), known None; Intent kept by 1
            none: Probe(No), known None; no row
            forgotten: Probe(Unknown), known None; no row
        "#]],
    );
}

#[test]
fn what_is_asked_beside_the_log_makes_no_time_pass_in_the_store() {
    let (mut store, mut rows) = store(None, None);
    let other = Row { inbox: ReplyPartition::of(&beside(5)), kept: 50, state: RowState::Tombstone(NothingThere {}) };
    rows.put(EffectId::from_bytes([9; 16]), &other).unwrap();
    rows.drop_through(&other.inbox, 50, 1).unwrap();
    let Begin::Run(run) = store.begin(&beside(5), Idempotence::ByKey).unwrap() else { panic!("it must run") };
    assert_eq!(run.task, Task::Probe(Happened::No), "the answers' own topic has no effects");
    store.finish(run, Ok("null".into())).unwrap();
    let own = Row { kept: -5_000, ..other };
    rows.put(EffectId::from_bytes([9; 16]), &own).unwrap();
    assert_eq!(store.drop_expired(10).unwrap(), 0, "nothing is old by the clock of who asks");
}

fn outcomes() -> [HandlerOutcome; 7] {
    [
        Ok("7".into()),
        Err(HandlerError::refused("No", "nothing left")),
        Err(HandlerError::retry(Duration::from_secs(2), "busy")),
        Err(HandlerError::failed("broken")),
        Err(HandlerError::refused("Gone", "for good")),
        Err(HandlerError::Working { until: 9 }),
        Err(HandlerError::Unavailable {
            error: "the bank is down".to_owned(),
            retry_after: Some(Duration::from_secs(3)),
        }),
    ]
}

fn check_outcomes(kind: Kind, known: Option<KnownOutcome>, state: Option<RowState>, expected: &Expect) {
    let mut table = String::new();
    for outcome in outcomes() {
        let (mut store, rows) = store(state.clone(), None);
        let promise = Promise { idempotence: Idempotence::ByKey, refuses_for_good: Arc::new(["Gone".to_owned()]) };
        let Begin::Run(run) = store.begin(&command(kind, known.clone(), 5, 5), promise).unwrap() else {
            panic!("it must run")
        };
        let answer = store.finish(run, outcome.clone()).unwrap();
        table += &format!("{}; {}\n", answer_text(&answer), row_text(&rows));
    }
    expected.assert_eq(&table);
}

#[test]
fn outcomes_of_a_first_run() {
    check_outcomes(
        Kind::Do,
        None,
        None,
        &expect![[r#"
            Succeeded 7; Succeeded kept by 5
            Refused No; Refused kept by 5
            Failed busy Some(2000); no row
            Failed broken None; Intent kept by 5
            Refused Gone; Refused kept by 5
            Working; Intent kept by 5
            Out the bank is down Some(3000); Intent kept by 5
        "#]],
    );
}

// shows: operations.idempotent x refusal
#[test]
fn outcomes_of_a_repeat() {
    check_outcomes(
        Kind::Do,
        None,
        Some(RowState::Intent(Intent {})),
        &expect![[r#"
            Succeeded 7; Succeeded kept by 5
            Failed No (nothing left), but an earlier attempt without an outcome may have gone through None; Intent kept by 5
            Failed busy Some(2000); Intent kept by 5
            Failed broken None; Intent kept by 5
            Refused Gone; Refused kept by 5
            Working; Intent kept by 5
            Out the bank is down Some(3000); Intent kept by 5
        "#]],
    );
}

#[test]
fn outcomes_of_a_compensation() {
    let done = Some(RowState::Succeeded(Succeeded { result: "1".into() }));
    check_outcomes(
        Kind::Compensate,
        Some(succeeded()),
        done,
        &expect![[r#"
            Compensated Some(7); Compensated kept by 5
            Failed a compensation can't be refused, but the handler says No: nothing left None; Succeeded kept by 5
            Failed busy Some(2000); Succeeded kept by 5
            Failed broken None; Succeeded kept by 5
            Failed a compensation can't be refused, but the handler says Gone: for good None; Succeeded kept by 5
            Working; Succeeded kept by 5
            Out the bank is down Some(3000); Succeeded kept by 5
        "#]],
    );
}

#[test]
fn outcomes_of_a_probe() {
    let done = Some(RowState::Succeeded(Succeeded { result: "1".into() }));
    check_outcomes(
        Kind::Probe,
        None,
        done,
        &expect![[r#"
        Yes Some(1), found Some(7); Succeeded kept by 5
        Failed a probe can't be refused, but the handler says No: nothing left None; Succeeded kept by 5
        Failed busy Some(2000); Succeeded kept by 5
        Failed broken None; Succeeded kept by 5
        Failed a probe can't be refused, but the handler says Gone: for good None; Succeeded kept by 5
        Working; Succeeded kept by 5
        Out the bank is down Some(3000); Succeeded kept by 5
    "#]],
    );
    let undone = Some(RowState::Compensated(Compensated { result: None }));
    check_outcomes(
        Kind::Probe,
        None,
        undone,
        &expect![[r#"
        No None, found Some(7); Compensated kept by 5
        Failed a probe can't be refused, but the handler says No: nothing left None; Compensated kept by 5
        Failed busy Some(2000); Compensated kept by 5
        Failed broken None; Compensated kept by 5
        Failed a probe can't be refused, but the handler says Gone: for good None; Compensated kept by 5
        Working; Compensated kept by 5
        Out the bank is down Some(3000); Compensated kept by 5
    "#]],
    );
}

#[test]
fn a_probes_handler_is_told_which_effect_is_meant() {
    let (mut store, _) = store(None, None);
    let probe = command(Kind::Probe, None, 5, 5);
    let Begin::Run(run) = store.begin(&probe, Idempotence::ByKey).unwrap() else { panic!("it must run") };
    assert_eq!(run.input(&probe), r#"{"effect_id":"03030303-0303-0303-0303-030303030303"}"#.into());
}

#[test]
fn a_question_leaves_no_trace() {
    check_outcomes(
        Kind::Ask,
        None,
        None,
        &expect![[r#"
            Succeeded 7; no row
            Refused No; no row
            Failed busy Some(2000); no row
            Failed broken None; no row
            Refused Gone; no row
            Working; no row
            Out the bank is down Some(3000); no row
        "#]],
    );
}

#[test]
fn commands_of_one_effect_come_one_after_the_other() {
    let (mut store, _) = store(None, None);
    let begun = store.begin(&command(Kind::Do, None, 5, 5), Idempotence::ByKey).unwrap();
    let error = store.begin(&command(Kind::Compensate, Some(unknown()), 5, 6), Idempotence::ByKey).unwrap_err();
    assert!(matches!(error, EffectStoreError::Running { .. }));
    let Begin::Run(run) = begun else { panic!("it must run") };
    store.finish(run, Ok("1".into())).unwrap();
    assert!(store.begin(&command(Kind::Compensate, Some(unknown()), 5, 6), Idempotence::ByKey).is_ok());
}

#[test]
fn rows_are_dropped_by_the_newest_time_seen() {
    let (mut store, rows) = store(None, None);
    let probe = store.begin(&command(Kind::Probe, None, 1_000, 1_000), Idempotence::ByKey).unwrap();
    let Begin::Run(run) = probe else { panic!("it must run") };
    store.finish(run, Ok("null".into())).unwrap();
    assert_eq!(store.drop_expired(10).unwrap(), 0);
    let later = Command { effect_id: EffectId::from_bytes([6; 16]), ..command(Kind::Probe, None, 2_000, 2_000) };
    store.begin(&later, Idempotence::ByKey).unwrap();
    assert_eq!(store.drop_expired(10).unwrap(), 1);
    assert_eq!(rows.horizon(&inbox()).unwrap(), Some(1_000));
    let Begin::Answer(answer) = store.begin(&command(Kind::Do, None, 1_000, 1_000), Idempotence::ByKey).unwrap() else {
        panic!("what is forgotten must not run")
    };
    assert_eq!(answer, Answer::Mark(Mark { mark: MarkKind::Forgotten }));
}
