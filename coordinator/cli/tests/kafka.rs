//! The commands for Kafka, on a real one: topics, serve, apply, events straight to the broker, a clean stop, verify.

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Coordinator, failed, ok, output, wait_until};
use sagaline_integration::kafka::{Broker, unique};
use serde_json::Value as Json;

#[test]
fn an_installation_from_its_topics_to_its_first_sagas() {
    let broker = Broker::shared();
    let (prefix, domain) = (format!("{}.", unique("cli")), unique("trips"));
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &["init", "trips"]);
    let dir = &dir.path().join("trips");
    let config = format!(
        "prefix = '{prefix}'\nkey_file = 'sagaline.key'\ndata = 'stores'\n[api]\nport = 0\n[kafka]\nbootstrap = '{}'\n\
         single_broker = true\n[topics]\npartitions = 2\nreplicas = 1\nactivation_delay = 0\n",
        broker.bootstrap()
    );
    std::fs::write(dir.join("kafka.toml"), config).unwrap();
    let configured = |command: &[&'static str]| [command, &["--config", "kafka.toml"]].concat();
    let missing = format!("sagaline: there is no topic \"{prefix}inbox\": make it with `sagaline topics create`");
    assert_eq!(failed(dir, &configured(&["topics", "check"])), (1, missing.clone()));
    assert_eq!(failed(dir, &configured(&["serve"])), (1, missing));
    let create = [&configured(&["topics", "create"])[..], &["--participant", "hotels", "--domain", &domain]].concat();
    let made = ok(dir, &create);
    assert!(made.starts_with(&format!("there: {prefix}inbox with 2 partitions, log ")), "{made}");
    assert_eq!(ok(dir, &create), made, "what is there is left alone");
    ok(dir, &configured(&["topics", "check"]));

    let mut node = Coordinator::serve(dir, "kafka.toml");
    let definition = dir.join("definitions/book-trip.yaml");
    let text = std::fs::read_to_string(&definition).unwrap().replace("topic: trips", &format!("topic: {domain}"));
    std::fs::write(&definition, text).unwrap();
    let applied = node.json(dir, &["apply", "definitions"]);
    assert_eq!(applied["definitions"][0][0], "book-trip");
    let sent = ok(dir, &["send", &domain, "events.jsonl", "--key", "trip_id", "--bootstrap", broker.bootstrap()]);
    assert_eq!(sent, format!("sent: 4 events to {domain}\n"));
    let sagas = |node: &Coordinator| node.json(dir, &["ps"])["sagas"].as_array().unwrap().len();
    wait_until(|| sagas(&node) == 2);
    assert_eq!(node.stop(), Some(0));

    let verified: Json = serde_json::from_str(&ok(dir, &[&configured(&["verify"])[..], &["--json"]].concat())).unwrap();
    assert!(verified.as_array().unwrap().iter().all(|partition| partition["same"] == true), "{verified}");
    ok(dir, &configured(&["rebuild"]));
    let mut again = Coordinator::serve(dir, "kafka.toml");
    assert_eq!(sagas(&again), 2, "the log was folded anew");
    assert_eq!(again.stop(), Some(0));
}

/// What the doctor says of each thing, by its name; and its exit code.
fn examined(dir: &Path, config: &str) -> (BTreeMap<String, (String, String)>, i32) {
    let out = output(dir, &["doctor", "--config", config, "--json"]);
    let findings: Vec<Json> = serde_json::from_slice(&out.stdout).unwrap();
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let said = |one: &Json| (text(&one["what"]), (text(&one["verdict"]), text(&one["says"])));
    (findings.iter().map(said).collect(), out.status.code().unwrap())
}

#[test]
fn the_doctor_names_what_is_wrong_first_and_its_way_out() {
    let (one, other) = (format!("{}.", unique("doctor")), format!("{}.", unique("doctor")));
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let write = |file: &str, prefix: &str, bootstrap: &str| {
        let config = format!(
            "prefix = '{prefix}'\nkey_file = 'trips/sagaline.key'\ndata = 'stores'\n[api]\nport = 0\n[kafka]\nbootstrap = '{bootstrap}'\n\
             single_broker = true\n[topics]\npartitions = 2\nreplicas = 1\n"
        );
        std::fs::write(dir.join(file), config).unwrap();
    };
    let wrong = |file: &str, what: &str, words: &str| {
        let (said, code) = examined(dir, file);
        let (verdict, says) = &said[what];
        assert!(verdict == "wrong" && says.contains(words), "{what}: {verdict}: {says}");
        assert_eq!(said.values().filter(|(verdict, _)| verdict == "wrong").count(), 1, "{said:?}");
        assert_eq!(code, 4);
    };
    std::fs::write(dir.join("bad.toml"), "prefixx = 'a'").unwrap();
    wrong("bad.toml", "configuration", "prefix");
    write("nobody.toml", &one, "127.0.0.1:1");
    wrong("nobody.toml", "key", "`sagaline init` makes one");
    ok(dir, &["init", "trips"]);
    wrong("nobody.toml", "broker", "no broker answers at 127.0.0.1:1");
    write("one.toml", &one, Broker::shared().bootstrap());
    wrong("one.toml", "topics", "`sagaline topics create`");
    ok(dir, &["topics", "create", "--config", "one.toml"]);
    let (said, code) = examined(dir, "one.toml");
    assert!(code == 0 && said.values().all(|(verdict, _)| verdict == "well"), "{said:?}");
    assert!(said["stores"].1.starts_with("none yet"), "{said:?}");

    let mut node = Coordinator::serve(dir, "one.toml");
    let (said, code) = examined(dir, "one.toml");
    assert!(code == 0 && said["clocks"].1.starts_with("nodes and brokers lie at most"), "{said:?}");
    assert!(said["stores"].1.starts_with("2 of 2, folded from this log"), "{said:?}");
    assert_eq!(node.stop(), Some(0));
    let lines = ok(dir, &["doctor", "--config", "one.toml"]);
    assert!(lines.lines().count() == said.len() && lines.lines().all(|line| line.starts_with("well ")), "{lines}");

    write("other.toml", &other, Broker::shared().bootstrap());
    ok(dir, &["topics", "create", "--config", "other.toml"]);
    wrong("other.toml", "stores", "was folded from another log");
}
