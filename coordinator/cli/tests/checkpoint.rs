//! Checkpoints from the command line, beside a running `dev`: taken by the node, verified by another process, and a saga as it was.

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

mod common;

use std::path::Path;

use common::{Coordinator, failed, ok, output, text, wait_until};
use serde_json::Value as Json;

#[test]
fn help_teaches() {
    let dir = tempfile::tempdir().unwrap();
    expect_test::expect_file!["checkpoint-help.txt"].assert_eq(&ok(dir.path(), &["checkpoint", "--help"]));
}

/// Runs what is to succeed beside the coordinator, and reads its JSON.
fn json(dir: &Path, arguments: &[&str]) -> Json {
    serde_json::from_str(&ok(dir, &[arguments, &["--json"]].concat())).unwrap()
}

fn begun() -> (tempfile::TempDir, std::path::PathBuf, Coordinator) {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &["init", "trips"]);
    let trips = dir.path().join("trips");
    let dev = Coordinator::dev(&trips, &["--partitions", "1", "--mock", "flights", "--mock", "hotels"]);
    (dir, trips, dev)
}

fn complete(dev: &Coordinator, dir: &Path, key: &str) {
    let saga = dev.json(dir, &["start", "book-trip", key, "@trip.json", "--wait"]);
    assert_eq!(saga["status"], "completed", "{saga}");
}

#[test]
fn another_process_verifies_what_a_running_node_took() {
    let (_dir, dir, mut dev) = begun();
    let dir = dir.as_path();
    let none = text(&dev.ask(dir, &["checkpoint", "list"]).stdout);
    assert!(none.contains("no checkpoint yet"), "{none}");
    let watched = text(&dev.ask(dir, &["watch", "--times", "1"]).stdout);
    assert!(watched.contains("; no verified checkpoint of partition 0"), "{watched}");
    complete(&dev, dir, "T-1");
    let taken = dev.json(dir, &["checkpoint", "take"]);
    assert_eq!((&taken[0]["word"], &taken[0]["holds"]["taken_by"]), (&"unverified".into(), &"dev".into()), "{taken}");
    let log = dev.log.clone();
    let beside = ["--data", "sagaline-data", "--log", &log];
    let verified = json(dir, &[&["checkpoint", "verify"], &beside[..]].concat());
    assert_eq!((&verified[0]["word"], &verified[0]["holds"]["judged_from"]), (&"verified".into(), &0.into()));
    let again = ok(dir, &[&["checkpoint", "verify"], &beside[..]].concat());
    assert!(again.starts_with("nothing to verify"), "{again}");
    let all = json(dir, &[&["checkpoint", "verify", "--all"], &beside[..]].concat());
    assert_eq!(all[0]["word"], "verified");
    let listed = json(dir, &[&["checkpoint", "list"], &beside[..]].concat());
    assert_eq!(listed["checkpoints"], dev.json(dir, &["checkpoint", "list"])["checkpoints"]);
    let (code, why) = failed(dir, &[&["checkpoint", "verify", "7"], &beside[..]].concat());
    assert_eq!((code, why.as_str()), (2, "sagaline: there is no inbox partition 7: there are 1"));

    // A stopped node's stores are made of it at once, or at the next start.
    assert_eq!(dev.stop(), Some(0));
    let rebuilt = ok(dir, &["rebuild", "--data", "sagaline-data", "--from", "checkpoint"]);
    assert!(rebuilt.contains("from verified checkpoints"), "{rebuilt}");
    let same = ok(dir, &["verify", "--data", "sagaline-data"]);
    assert!(same.starts_with("same: inbox partition 0"), "{same}");
    for from in [&["--from", "log"][..], &[]] {
        ok(dir, &[&["rebuild", "--data", "sagaline-data"], from].concat());
        let mut dev = Coordinator::dev(dir, &["--partitions", "1", "--mock", "flights", "--mock", "hotels"]);
        let shown = dev.json(dir, &["show", "book-trip/T-1"]);
        assert_eq!(shown["saga"]["status"], "completed", "{shown}");
        let newest = || dev.json(dir, &["watch", "--times", "1"])["checkpoints"][0].clone();
        wait_until(|| newest()["position"] == taken[0]["holds"]["position"]);
        let (newest, taken_at) = (newest(), &taken[0]["holds"]["taken_at"]);
        assert!(newest["taken_at"] == *taken_at && newest["age_ms"].as_i64().unwrap() > 0, "{newest}");
        assert_eq!(dev.stop(), Some(0));
    }
}

#[test]
fn a_saga_is_shown_as_it_was() {
    let (_dir, dir, dev) = begun();
    let dir = dir.as_path();
    complete(&dev, dir, "T-1");
    let now = dev.json(dir, &["show", "book-trip/T-1"]);
    let id = now["saga"]["id"].as_str().unwrap();
    let history = now["history"].as_array().unwrap();
    let offset = |happening: &Json| happening["offset"].as_i64().unwrap();
    let first = offset(&history[0]);
    let at = |moment: &str| dev.ask(dir, &["show", id, "--at", moment, "--json"]);
    let seen = |moment: &str| -> Json { serde_json::from_slice(&at(moment).stdout).unwrap() };
    let begun = seen(&first.to_string());
    assert_eq!((&begun["saga"]["status"], &begun["folded_from"]), (&"running".into(), &0.into()), "{begun}");
    let then: Vec<&Json> = history.iter().filter(|happening| offset(happening) <= first).collect();
    assert_eq!(begun["history"].as_array().unwrap().iter().collect::<Vec<_>>(), then);
    let last = offset(history.last().unwrap());
    assert_eq!(seen(&last.to_string())["history"], now["history"]);
    assert_eq!(seen(&(last - 1).to_string())["saga"]["status"], "running");

    // The time of a happening is that of its record, to the millisecond; a year later all has happened.
    assert_eq!(seen("2099-01-01T00:00:00Z")["history"], now["history"]);
    for (moment, told) in [
        ((first - 1).to_string(), "there was no saga"),
        ("1999-01-01T00:00:00Z".to_owned(), "had no record then"),
        ("999999".to_owned(), "has no record at offset 999999 yet"),
    ] {
        let refused = at(&moment);
        let why = text(&refused.stderr);
        assert!(refused.status.code() == Some(1) && why.contains(told), "{moment}: {why}");
    }
    let wrong = output(dir, &["show", id, "--at", "yesterday"]);
    assert!(wrong.status.code() == Some(2) && text(&wrong.stderr).contains("neither an offset nor a time"));

    // From a verified checkpoint on, the log need not be folded from its first record.
    let taken = dev.json(dir, &["checkpoint", "take"]);
    let log = dev.log.clone();
    ok(dir, &["checkpoint", "verify", "--data", "sagaline-data", "--log", &log]);
    complete(&dev, dir, "T-2");
    let later = dev.json(dir, &["show", "book-trip/T-2"]);
    let last = offset(later["history"].as_array().unwrap().last().unwrap());
    let shown = dev.json(dir, &["show", "book-trip/T-2", "--at", &last.to_string()]);
    assert_eq!((&shown["folded_from"], &shown["history"]), (&taken[0]["holds"]["position"], &later["history"]));
    let page = text(&dev.ask(dir, &["show", "book-trip/T-2", "--at", &last.to_string()]).stdout);
    assert!(page.starts_with("THEN as it was behind offset") && page.contains("THE WORLD THEN"), "{page}");
}
