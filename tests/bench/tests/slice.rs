//! The slice as a person calls it, for a second: its figures are no evidence here, but that each saga ended as it should, that nothing was
//! parked, and what a step costs in records is counted, not timed.

use std::process::Command;

use serde_json::Value;

#[test]
fn the_slice_on_the_embedded_log_counts_two_records_a_step() {
    let place = tempfile::tempdir().unwrap();
    let json = place.path().join("figures.json");
    let run = Command::new(env!("CARGO_BIN_EXE_sagaline-bench"))
        .args(["slice", "--log", "embedded", "--in-flight", "16", "--seconds", "1", "--warm-up", "0", "--json"])
        .arg(&json)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let levels: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let slice = &levels[0]["slice"];
    let figure = |name: &str| slice[name].as_f64().unwrap_or_else(|| panic!("no {name} in {slice}"));
    assert!(figure("steps_per_second") > 0.0 && figure("step_p50_us") > 0.0, "{slice}");
    // A command and a reply. Progress comes by the clock: the slower the machine, the more of it on each step, but never a whole record.
    let (without, with) = (figure("records_per_step"), figure("records_per_step_with_events"));
    assert!((2.0..3.0).contains(&without), "{without} records a step");
    // A start and an end for five steps; for seven the turning back, too.
    let events = with - without;
    assert!((0.399..0.43).contains(&events), "{events} events a step");
}

#[test]
fn a_log_that_is_none_is_refused_before_anything_is_started() {
    let run = Command::new(env!("CARGO_BIN_EXE_sagaline-bench")).args(["slice", "--log", "localhost:9092"]).output();
    let run = run.unwrap();
    assert_eq!(run.status.code(), Some(2));
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(told.contains("a log is `embedded` or kafka://HOST:PORT"), "{told}");
}
