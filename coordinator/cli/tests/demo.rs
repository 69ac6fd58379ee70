//! `sagaline demo` as somebody meets it who has the programs and nothing else: what it says when it can't begin, and that it comes to its end.

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

mod common;

use std::process::{Command, Stdio};

use common::{failed, output, text};
use sagaline_integration::process::program;
use serde_json::{Value as Json, json};

#[test]
fn without_the_services_it_says_how_to_get_them() {
    let dir = tempfile::tempdir().unwrap();
    let alone = dir.path().join("sagaline");
    if std::fs::hard_link(env!("CARGO_BIN_EXE_sagaline"), &alone).is_err() {
        std::fs::copy(env!("CARGO_BIN_EXE_sagaline"), &alone).unwrap();
    }
    let output = Command::new(&alone).arg("demo").stdin(Stdio::null()).output().unwrap();
    let why = text(&output.stderr);
    let place = dir.path().display();
    assert!(why.contains(&format!("there is no {place}/sagaline-inventory, no {place}/sagaline-payment, ")), "{why}");
    assert!(why.contains("`cargo build --workspace --bins`"), "{why}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_is_in_the_way_is_told() {
    services();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "").unwrap();
    let (code, why) = failed(dir.path(), &["demo", "--keep", "."]);
    assert_eq!((code, &*why), (1, "sagaline: . is not empty: name another directory"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let (code, why) = failed(dir.path(), &["demo", "--keep", "kept", "--kafka", "127.0.0.1:1"]);
    assert_eq!(code, 3, "{why}");
    assert!(why.starts_with("sagaline: no broker answers at 127.0.0.1:1"), "{why}");
}

#[test]
fn every_order_ends_and_the_ledgers_say_what_the_reports_say() {
    services();
    let dir = tempfile::tempdir().unwrap();
    let output = output(dir.path(), &["demo", "--keep", "kept", "--json"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let tally: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(tally["ends"], json!({ "compensated": 67, "completed": 253 }), "{tally}");
    assert_eq!(tally["differences"], json!([]));
    assert!(tally["restarts"].as_u64() > Some(0), "nobody was killed: {tally}");
    for kept in ["coordinator.log", "payment.jsonl", "reports.json", "definitions/order.yaml"] {
        assert!(dir.path().join("kept").join(kept).is_file(), "{kept}");
    }
}

/// Cargo builds the services' programs only together with their own packages.
fn services() {
    for service in ["sagaline-inventory", "sagaline-payment", "sagaline-shipping"] {
        program(service).unwrap();
    }
}
