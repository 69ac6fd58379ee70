//! Sagas through the fold: from the event to the end, and what a second start, a late answer and a person's request do.

use sagaline_schemas::record::{Answer, Body, Refused};

use crate::stage::Stage;

#[test]
fn a_chain_of_calls_completes() {
    let mut stage = Stage::new(&["a", "b"]);
    stage.start("k");
    stage.ok("a");
    stage.ok("b");
    assert_eq!(stage.operations(), "a b");
    assert!(stage.phase("k").contains("end: Completed"), "{}", stage.phase("k"));
}

// shows: compensate.call x success, refusal
#[test]
fn a_late_failure_is_undone_in_reverse() {
    let mut stage = Stage::new(&["a", "b", "c"]);
    stage.start("k");
    stage.ok("a");
    stage.ok("b");
    stage.answer("c", Answer::Refused(Refused { code: "No".to_owned(), detail: String::new() }));
    stage.undone("un-b");
    stage.undone("un-a");
    assert_eq!(stage.operations(), "a b c un-b un-a");
    assert!(stage.phase("k").contains("end: Compensated"), "{}", stage.phase("k"));
}

#[test]
fn the_same_start_twice_is_one_saga() {
    let mut stage = Stage::new(&["a"]);
    stage.start("k");
    stage.start("k");
    assert_eq!(stage.operations(), "a");
    assert_eq!(stage.partition.meta().unwrap().counters.repeated_starts, 1);
}

#[test]
fn a_repeated_event_is_no_news_and_a_hole_is_not_jumped() {
    let mut stage = Stage::new(&["a"]);
    stage.start("k");
    let repeat = stage.event(-1, 0, "other");
    stage.body(&Body::Event(repeat));
    assert_eq!(stage.partition.meta().unwrap().counters.repeated_events, 1);
    let jump = stage.event(5, 6, "other");
    stage.body(&Body::Event(jump));
    assert_eq!(stage.phase("other"), "none");
    assert_eq!(format!("{:?}", stage.parked()[0].reason), "Gap");
}

// shows: compensate.call x cancel
#[test]
fn a_request_is_taken_once() {
    let mut stage = Stage::new(&["a", "b"]);
    stage.start("k");
    stage.ok("a");
    stage.cancel(1, "k");
    stage.cancel(1, "k");
    assert_eq!(stage.operations(), "a b un-b");
    assert_eq!(stage.partition.meta().unwrap().counters.repeated_requests, 1);
}

#[test]
fn an_ended_saga_is_forgotten_after_its_time_and_not_before() {
    let mut stage = Stage::new(&["a"]);
    stage.start("k");
    stage.ok("a");
    stage.progress();
    let keep = stage.partition.meta().unwrap().settings.keep_ended;
    stage.now += keep - 1;
    stage.progress();
    assert!(stage.phase("k").contains("Completed"));
    stage.now += 2;
    stage.progress();
    assert_eq!(stage.phase("k"), "none");
    stage.start("k");
    assert_eq!(stage.operations(), "a a");
}
