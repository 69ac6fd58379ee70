//! A coordinator that is not let begin: its store, log and key do not fit together. What it was told to do about it is then done, and a good
//! saga completes in the same partition.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use sagaline_log::NewTopic;
use serde_json::Value as Json;

use crate::common::{Coordinator, failed, ok};
use crate::{Ends, NO_PORTS, Row, masked};

const REBUILT: &str = "after `sagaline rebuild` a good saga completes";

const CASES: [fn(&Path) -> Row; 12] = [
    another_version,
    another_cluster,
    another_topic,
    cut,
    cut_and_written_anew,
    another_key,
    open_key,
    |dir| unsafe_inbox(dir, "an inbox with CreateTime", "create-time", ("message.timestamp.type", "CreateTime")),
    |dir| unsafe_inbox(dir, "an inbox with retention", "retention", ("retention.ms", "604800000")),
    |dir| unsafe_inbox(dir, "an inbox that forgets all but the newest", "compact", ("cleanup.policy", "compact")),
    |dir| {
        let unclean = ("unclean.leader.election.enable", "true");
        unsafe_inbox(dir, "an inbox that may lose what was acknowledged", "unclean", unclean)
    },
    |dir| unsafe_inbox(dir, "an inbox that takes small records only", "small", ("max.message.bytes", "1048588")),
];

/// Each case has a data directory of its own: they run side by side.
pub fn rows(dir: &Path) -> Vec<Row> {
    thread::scope(|scope| {
        let cases = CASES.map(|case| scope.spawn(move || case(dir)));
        cases.into_iter().map(|case| case.join().unwrap()).collect()
    })
}

/// A coordinator begins, a good saga completes, the coordinator stops.
fn lives(dir: &Path, data: &str, key: &str, more: &[&str]) {
    let arguments = ["--partitions", "1", "--data", data, "--mock", "flights", "--mock", "hotels"];
    let mut dev = Coordinator::dev(dir, &[&arguments[..], more].concat());
    let good = dev.json(dir, &["start", "book-trip", key, "@trip.json", "--wait"]);
    assert_eq!((&good["status"], &good["partition"]), (&"completed".into(), &0.into()), "{data}: {good}");
    assert_eq!(dev.stop(), Some(0));
}

fn refused(dir: &Path, what: &'static str, data: &str, more: &[&str], then: &'static str) -> Row {
    let (code, told) = failed(dir, &[&NO_PORTS[..], &["--partitions", "1", "--data", data], more].concat());
    Row { what, ends: Ends::Code(code), told: masked(&told), then }
}

/// The way out that the message names is one.
fn rebuilt(dir: &Path, what: &'static str, data: &str) -> Row {
    let row = refused(dir, what, data, &[], REBUILT);
    assert!(row.told.contains("`sagaline rebuild`"), "{}", row.told);
    ok(dir, &["rebuild", "--data", data]);
    lives(dir, data, "after", &[]);
    row
}

fn another_version(dir: &Path) -> Row {
    lives(dir, "version", "before", &[]);
    fs::write(dir.join("version/store/partition-0/FORMAT"), "sagaline store, layout 0, entries 0\n").unwrap();
    rebuilt(dir, "a data directory of another version", "version")
}

fn another_cluster(dir: &Path) -> Row {
    lives(dir, "cluster", "before", &[]);
    fs::remove_dir_all(dir.join("cluster/log")).unwrap();
    rebuilt(dir, "a log made anew under its store", "cluster")
}

/// As after a topic was deleted and made again: the store remembers another one of that name.
fn another_topic(dir: &Path) -> Row {
    lives(dir, "topic", "before", &[]);
    let file = dir.join("topic/store/partition-0/local.json");
    let mut remembered: Json = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(remembered["topic_id"].is_string(), "{remembered}");
    remembered["topic_id"] = "00000000-0000-4000-8000-000000000000".into();
    fs::write(&file, remembered.to_string()).unwrap();
    rebuilt(dir, "an inbox deleted and made again under its store", "topic")
}

fn cut(dir: &Path) -> Row {
    let data = dir.join("cut");
    lives(dir, "cut", "before", &[]);
    copy(&data.join("log"), &data.join("old"));
    lives(dir, "cut", "lost", &[]);
    replace(&data.join("old"), &data.join("log"));
    rebuilt(dir, "an inbox that lost its end under its store", "cut")
}

fn cut_and_written_anew(dir: &Path) -> Row {
    let data = dir.join("anew");
    lives(dir, "anew", "before", &[]);
    copy(&data.join("log"), &data.join("old"));
    lives(dir, "anew", "lost", &[]);
    replace(&data.join("old"), &data.join("log"));
    fs::rename(data.join("store"), data.join("kept")).unwrap();
    // More than was lost.
    for key in ["other-1", "other-2", "other-3"] {
        lives(dir, "anew", key, &[]);
    }
    replace(&data.join("kept"), &data.join("store"));
    rebuilt(dir, "an inbox that lost its end and was written on", "anew")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn replace(from: &Path, to: &Path) {
    fs::remove_dir_all(to).unwrap();
    fs::rename(from, to).unwrap();
}

fn another_key(dir: &Path) -> Row {
    ok(dir, &["init", "elsewhere"]);
    lives(dir, "key", "before", &[]);
    let key = ["--key-file", "elsewhere/sagaline.key"];
    let row =
        refused(dir, "another key than the log's", "key", &key, "with the key that made it a good saga completes");
    lives(dir, "key", "after", &[]);
    row
}

fn open_key(dir: &Path) -> Row {
    let key = dir.join("open.key");
    fs::copy(dir.join("sagaline.key"), &key).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let given = ["--key-file", "open.key"];
    let row = refused(dir, "a key that others can read", "open", &given, "after `chmod 600` a good saga completes");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    lives(dir, "open", "after", &given);
    row
}

/// An inbox that somebody made by hand, with one setting that is wrong; and one with the same setting as the message wants it.
fn unsafe_inbox(dir: &Path, what: &'static str, data: &str, (name, value): (&str, &str)) -> Row {
    let mut settings = BTreeMap::from([
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("cleanup.policy", "delete"),
        ("message.timestamp.type", "LogAppendTime"),
        ("unclean.leader.election.enable", "false"),
        ("max.message.bytes", "1114112"),
    ]);
    let wanted = settings.insert(name, value).unwrap();
    inbox(&dir.join(data).join("log"), &settings);
    let row = refused(dir, what, data, &[], "in an inbox with that setting a good saga completes");
    assert!(row.told.contains(&format!("--add-config {name}={wanted}")), "{}", row.told);
    fs::remove_dir_all(dir.join(data)).unwrap();
    settings.insert(name, wanted);
    inbox(&dir.join(data).join("log"), &settings);
    lives(dir, data, "after", &[]);
    row
}

fn inbox(log: &Path, settings: &BTreeMap<&str, &str>) {
    fs::create_dir_all(log).unwrap();
    let log = sagaline_log::connect(&format!("embedded:{}", log.display()), &BTreeMap::new()).unwrap();
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    log.create_topic(&NewTopic { name: "inbox".to_owned(), partitions: 1, replicas: 1, settings }).unwrap();
}
