//! The commands for Kafka, on a real one: topics, serve, apply, events straight to the broker, a clean stop, verify.

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

mod common;

use common::{Coordinator, failed, ok, wait_until};
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
