//! Which Faults count: who folds up to one and who looks ahead for it find the same.

use sagaline_partition::{Ahead, Halt, LogRecord};
use sagaline_schemas::record::{Body, Fault, Progress};

use crate::stage::Stage;

/// What lies between the input that is to be passed over and the Fault.
type Between = fn(&mut Stage);

fn claim(stage: &mut Stage) {
    let progress = Progress { wall: stage.now, since: None, acked: vec![], node: "m".to_owned() };
    stage.claim = stage.body(&Body::Progress(progress));
}

/// One that was under way when the input came.
fn earlier_outputs(stage: &mut Stage) {
    let input = stage.log.len() as i64 - 1;
    let all = stage.outputs.clone();
    stage.outputs.retain(|output| output.position.offset < input);
    let progress = stage.progress_record();
    stage.outputs = all;
    assert!(!progress.acked.is_empty(), "it is to confirm something");
    stage.body(&Body::Progress(progress));
}

fn empty(stage: &mut Stage) {
    let progress = Progress { acked: vec![], ..stage.progress_record() };
    stage.body(&Body::Progress(progress));
}

fn its_outputs(stage: &mut Stage) {
    stage.progress();
}

/// Of an owner that claimed behind the input: it has folded up to its claim.
fn claimed_and_went_on(stage: &mut Stage) {
    claim(stage);
    empty(stage);
}

/// By whom the Fault is taken: who has folded the input, and who panicked at it.
fn found(between: Between) -> (bool, bool) {
    let mut stage = Stage::new(&["a"]);
    stage.start("before");
    stage.ok("a");
    let input = stage.start("killer");
    let ahead = stage.partition.look_ahead(input, 0);
    between(&mut stage);
    let fault = Fault { offset: input, timer: 0, by: "ada".to_owned(), reason: "it kills the fold".to_owned() };
    let value = sagaline_schemas::proof::seal(
        sagaline_schemas::schema::INBOX.fingerprint,
        &crate::stage::key(),
        crate::stage::LOG,
        0,
        &Body::Fault(fault),
    );
    let folded = stage.try_raw(value);
    assert!(matches!(folded, Ok(_) | Err(Halt::PassedOver { .. })), "{folded:?}");
    let mut ahead = ahead.unwrap();
    let behind = (0..).zip(&stage.log).skip(input as usize + 1);
    let mut said =
        behind.map(|(offset, (timestamp, value))| ahead.take(LogRecord { offset, timestamp: *timestamp, value }));
    let taken = matches!(said.find(|ahead| *ahead != Ahead::Nothing), Some(Ahead::Fault(note)) if note.by == "ada");
    (folded.is_err(), taken)
}

#[test]
fn who_folds_and_who_looks_ahead_decide_the_same() {
    let cases: [(&str, Between, bool); 6] = [
        ("nothing", |_| {}, true),
        ("a claim", claim, true),
        ("a Progress that confirms earlier outputs", earlier_outputs, true),
        ("a Progress that confirms nothing", empty, true),
        ("a Progress that confirms outputs of the input", its_outputs, false),
        ("a Progress of an owner that claimed behind it", claimed_and_went_on, false),
    ];
    for (what, between, taken) in cases {
        assert_eq!(found(between), (taken, taken), "between input and Fault: {what}");
    }
}

#[test]
fn only_what_is_proven_counts_ahead() {
    let mut stage = Stage::new(&["a"]);
    let input = stage.start("killer");
    let mut ahead = stage.partition.look_ahead(input, 0).unwrap();
    let fault = |offset, timer| {
        Body::Fault(Fault { offset, timer, by: "ada".to_owned(), reason: "it kills the fold".to_owned() })
    };
    let (schema, log) = (sagaline_schemas::schema::INBOX.fingerprint, crate::stage::LOG);
    let stranger = sagaline_schemas::proof::Key::new("test", [2; 32]);
    let forged = sagaline_schemas::proof::seal(schema, &stranger, log, 0, &fault(input, 0));
    let unproven = sagaline_schemas::proof::unsealed(schema, &fault(input, 0));
    let other = sagaline_schemas::proof::seal(schema, &crate::stage::key(), log, 0, &fault(input, 1));
    for value in [&forged[..], &unproven, &other, b"no record"] {
        assert_eq!(ahead.take(LogRecord { offset: input + 1, timestamp: 0, value }), Ahead::Nothing);
    }
}
