//! The whole table as a person calls it, on the embedded log and for a second a piece: its figures are no evidence here, but that each is there,
//! that what is counted and not timed is right, and that the files are what they are called.

use std::process::Command;

use serde_json::Value;

#[test]
fn one_command_gives_every_figure_a_plot_and_a_file() {
    let place = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_sagaline-bench"))
        .args([
            "all",
            "--log",
            "embedded",
            "--in-flight",
            "1,16",
            "--seconds",
            "1",
            "--warm-up",
            "0",
            "--waiting",
            "300",
        ])
        .args(["--commit", "abc1234", "--out"])
        .arg(place.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let table = String::from_utf8(run.stdout).unwrap();
    assert!(table.contains("commit abc1234") && table.contains("On the embedded log"), "{table}");
    assert!(!table.contains('\u{1b}'), "colours in a pipe: {table}");

    let bench: Value = serde_json::from_slice(&std::fs::read(place.path().join("bench.json")).unwrap()).unwrap();
    let figures = bench["logs"][0]["figures"].as_array().unwrap();
    let names: Vec<&str> = figures.iter().map(|figure| figure["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["R1", "R2", "R3", "R4", "R4", "R4", "R5", "R5", "R6", "R6", "R7"]);
    for figure in figures {
        assert!(figure["median"].as_f64().unwrap() > 0.0, "{figure}");
        assert!(table.contains(figure["meaning"].as_str().unwrap()), "{table}");
    }
    let run = &bench["logs"][0]["runs"][0];
    // What R6 folds anew is all that the last load has left: an event, and a reply each step.
    assert!(run["refold"]["records"].as_i64().unwrap() > 100, "{run}");
    assert_eq!(run["refold"]["raw"]["records"], run["refold"]["records"]);
    assert_eq!(run["waiting"]["sagas"], 300);
    // Every step told of is at least a record more for each.
    let every = &run["every_step"];
    let told = every["records_per_step_with_events"].as_f64().unwrap() - every["records_per_step"].as_f64().unwrap();
    assert!((1.0..2.0).contains(&told), "{every}");

    let plot = std::fs::read_to_string(place.path().join("latency-embedded.svg")).unwrap();
    assert!(plot.starts_with("<svg ") && plot.contains("sagas in flight") && plot.contains("abc1234"), "{plot}");
}

#[test]
fn a_log_that_is_none_is_refused_before_anything_is_started() {
    let run = Command::new(env!("CARGO_BIN_EXE_sagaline-bench"))
        .args(["all", "--log", "embedded,localhost:9092", "--out", "/nowhere"])
        .output();
    let run = run.unwrap();
    assert_eq!(run.status.code(), Some(2));
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(told.contains("a log is `embedded` or kafka://HOST:PORT"), "{told}");
}
