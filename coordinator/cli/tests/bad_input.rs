//! What is wrong outside of Sagaline, what a person is told, and how the program ends: the table of docs/bad-input.md is made here. After each
//! bad record, a good saga in the same partition completes.

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{Coordinator, failed, ok, wait_until};
use sagaline_log::{Log, NewTopic, Record};
use sagaline_node::api::events::append;
use sagaline_schemas::proof::{seal, unsealed};
use sagaline_schemas::record::{Address, Answer, Body, Fault, Kind, NothingThere, Reply};
use sagaline_schemas::{LogId, SagaId, Token, schema};

const NO_PORTS: [&str; 5] = ["dev", "--port", "0", "--log-port", "0"];

/// A row of the table: what is wrong, how the program ends (none: it goes on), what is told.
type Row = (&'static str, Option<i32>, String);

#[test]
fn the_table_is_what_happens() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &["init", "trips"]);
    let dir = dir.path().join("trips");
    let mut rows = before_it_runs(&dir);
    rows.extend(while_it_stands_still(&dir));
    rows.extend(while_it_runs(&dir));
    expect_test::expect_file!["../../../docs/bad-input.md"].assert_eq(&page(&rows));
}

fn page(rows: &[Row]) -> String {
    let row = |(what, exit, told): &Row| {
        let exit = exit.map_or_else(|| "goes on".to_owned(), |exit| exit.to_string());
        format!("| {what} | {exit} | {} |\n", told.replace('|', "\\|"))
    };
    let rows: String = rows.iter().map(row).collect();
    format!(
        "# Bad input\n\nWhat is wrong, how `sagaline` ends, and what it tells. This table is made by `coordinator/cli/tests/bad_input.rs`; after each record \
         that is set aside, a good saga\nin the same inbox partition completes. The codes: [operations.md](operations.md#exit-codes).\n\n\
         | what is wrong | exit code | what is told |\n|---|---|---|\n{rows}"
    )
}

fn row(what: &'static str, dir: &Path, arguments: &[&str]) -> Row {
    let (code, told) = failed(dir, arguments);
    // How long a connection took to fail is nobody's business.
    let told = told.split(" (after ").next().unwrap_or_default();
    (what, Some(code), masked(told))
}

/// Ids and ports differ from run to run.
fn masked(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches([',', ':', '.', ';']);
        let digits = bare.chars().filter(char::is_ascii_hexdigit).count();
        let is_id = digits >= 16 && bare.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let port = bare
            .strip_prefix("127.0.0.1:")
            .is_some_and(|port| port.len() > 1 && port.bytes().all(|b| b.is_ascii_digit()));
        match (is_id, port) {
            (true, _) => word.replace(bare, "ID"),
            (_, true) => word.replace(bare, "127.0.0.1:PORT"),
            (false, false) => word.to_owned(),
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn before_it_runs(dir: &Path) -> Vec<Row> {
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    std::fs::create_dir_all(dir.join("wrong/contracts")).unwrap();
    let good = std::fs::read_to_string(dir.join("definitions/book-trip.yaml")).unwrap();
    for contract in ["flights.yaml", "hotels.yaml"] {
        std::fs::copy(dir.join("definitions/contracts").join(contract), dir.join("wrong/contracts").join(contract))
            .unwrap();
    }
    write(
        "wrong/many.yaml",
        &good
            .replace("owner:", "ower:")
            .replace("1h", "1 hour")
            .replace("event.trip_id", "event.tripid")
            .replace("flights.book", "flights.bok")
            .replace("hotels.book", "hotel.book")
            .replace("input.nights", "input.night")
            .replace("retry: patient", "retry: patent")
            .replace("pivot: true", "pivot: yes")
            .replace("version: 1.0.0", "version: one"),
    );
    write("wrong/long.yaml", &good.replace("event.type == 'requested'", &format!("1{} == 1", "+1".repeat(3000))));
    write("wrong/typo.toml", "[kafka]\nbootstap = '127.0.0.1:9092'\n");
    write("wrong/nobody.toml", "[kafka]\nbootstrap = '127.0.0.1:1'\n");
    write("wrong/events.jsonl", "{\"type\": \"requested\"}\n{\"type\": \n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    vec![
        row("a definition with many mistakes", dir, &["check", "wrong/many.yaml"]),
        row("an expression of 6 KB", dir, &["check", "wrong/long.yaml"]),
        row("a configuration with a typo", dir, &["serve", "--config", "wrong/typo.toml"]),
        row("no broker", dir, &["serve", "--config", "wrong/nobody.toml"]),
        row("no coordinator", dir, &["ps"]),
        row("a file of events with a broken line", dir, &["send", "trips", "wrong/events.jsonl"]),
        row("a port in use", dir, &["dev", "--port", &port, "--log-port", "0", "--data", "port"]),
        row("a mock without a contract", dir, &[&NO_PORTS[..], &["--mock", "trains", "--data", "mock"]].concat()),
    ]
}

fn while_it_stands_still(dir: &Path) -> Vec<Row> {
    let dev = |data: &'static str| [&NO_PORTS[..], &["--partitions", "1", "--data", data]].concat();
    let once = |data: &str| assert_eq!(Coordinator::dev(dir, &["--partitions", "1", "--data", data]).stop(), Some(0));
    once("format");
    std::fs::write(dir.join("format/store/partition-0/FORMAT"), "sagaline store, layout 0, entries 0\n").unwrap();
    once("lost");
    std::fs::remove_dir_all(dir.join("lost/log")).unwrap();
    once("key");
    inbox(&dir.join("create-time/log"), &[("message.timestamp.type", "CreateTime")]);
    inbox(&dir.join("retention/log"), &[("message.timestamp.type", "LogAppendTime"), ("retention.ms", "604800000")]);
    let _held = Coordinator::dev(dir, &["--data", "held"]);
    std::fs::write(dir.join("open.key"), "key-1:00").unwrap();
    ok(dir, &["init", "elsewhere"]);
    let with_key = |key: &'static str| [&dev("key")[..], &["--key-file", key]].concat();
    let other_version = row("a data directory of another version", dir, &dev("format"));
    // The way out that it names is one.
    ok(dir, &["rebuild", "--data", "format"]);
    once("format");
    vec![
        other_version,
        row("a topic that was made anew under its store", dir, &dev("lost")),
        row("another key than the log's", dir, &with_key("elsewhere/sagaline.key")),
        row("a key that others can read", dir, &with_key("open.key")),
        row("an inbox with CreateTime", dir, &dev("create-time")),
        row("an inbox with retention", dir, &dev("retention")),
        row("a data directory in use", dir, &dev("held")),
    ]
}

/// An inbox that somebody made by hand.
fn inbox(log: &Path, own: &[(&str, &str)]) {
    std::fs::create_dir_all(log).unwrap();
    let log = sagaline_log::connect(&format!("embedded:{}", log.display()), &BTreeMap::new()).unwrap();
    let settings = [("retention.ms", "-1"), ("retention.bytes", "-1"), ("cleanup.policy", "delete")];
    let settings: BTreeMap<&str, &str> = settings.iter().chain(own).copied().collect();
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    log.create_topic(&NewTopic { name: "inbox".to_owned(), partitions: 1, replicas: 1, settings }).unwrap();
}

/// A running node, its log, and how many records were set aside so far.
struct Running {
    dir: PathBuf,
    dev: Coordinator,
    log: std::sync::Arc<dyn Log>,
    parked: usize,
}

impl Running {
    /// Puts one bad record into a topic: it is set aside with a reason, and a good saga completes after it.
    fn row(&mut self, what: &'static str, topic: &str, value: Vec<u8>) -> Row {
        append(&*self.log, topic, &[Record { value, ..Record::default() }]).unwrap();
        self.parked += 1;
        let parked = || self.dev.json(&self.dir, &["parked"])["parked"].as_array().unwrap().clone();
        wait_until(|| parked().len() >= self.parked);
        let newest = parked().pop().unwrap();
        let key = format!("good-{}", self.parked);
        let good = self.dev.json(&self.dir, &["start", "book-trip", &key, "@trip.json", "--wait"]);
        assert_eq!(good["status"], "completed", "after {what}: {good}");
        assert_eq!(parked().len(), self.parked, "{what}");
        let told = format!("parked, {}: {}", newest["reason"].as_str().unwrap(), newest["detail"].as_str().unwrap());
        (what, None, masked(&told))
    }
}

fn while_it_runs(dir: &Path) -> Vec<Row> {
    let dev = Coordinator::dev(dir, &["--partitions", "1", "--data", "runs", "--mock", "flights", "--mock", "hotels"]);
    let log = sagaline_log::connect(&dev.log, &BTreeMap::new()).unwrap();
    let mut running = Running { dir: dir.to_owned(), dev, log, parked: 0 };
    let schema = schema::INBOX.fingerprint;
    let fault = Body::Fault(Fault { offset: 1, timer: 0, by: "nobody".to_owned(), reason: "forged".to_owned() });
    let stranger = sagaline_schemas::proof::Key::new("key-1", [7; 32]);
    let stranger_saga = SagaId::from_bytes([9; 16]);
    let begun = running.dev.json(dir, &["start", "book-trip", "first", "@trip.json", "--wait"]);
    let saga: SagaId = begun["id"].as_str().unwrap().parse().unwrap();
    let mut truncated = unsealed(schema, &reply(stranger_saga));
    truncated.truncate(40);
    let event = |text: &str| text.as_bytes().to_vec();
    vec![
        running.row("bytes that are no record", "inbox", b"no record".to_vec()),
        running.row("a record of an unknown schema", "inbox", [&[0xc3, 0x01][..], &[9; 20]].concat()),
        running.row("a record that ends early", "inbox", truncated),
        running.row("a record without its MAC", "inbox", unsealed(schema, &fault)),
        running.row("a record with a forged MAC", "inbox", seal(schema, &stranger, LogId([7; 16]), 0, &fault)),
        running.row("a reply that nobody waits for", "inbox", unsealed(schema, &reply(stranger_saga))),
        running.row("a reply without its command's token", "inbox", unsealed(schema, &reply(saga))),
        running.row("an event that is no JSON", "trips", event("{\"type\": ")),
        running.row("an event whose key is no text", "trips", event(r#"{"type": "requested", "trip_id": 7}"#)),
        running.row("an event without the key", "trips", event(r#"{"type": "requested"}"#)),
        running.row(
            "an event that is too large",
            "trips",
            event(&format!(r#"{{"type": "requested", "trip_id": "T", "x": "{}"}}"#, "x".repeat(300_000))),
        ),
    ]
}

fn reply(saga: SagaId) -> Body {
    let step = "flight".to_owned();
    let address = Address { saga, step, items: Vec::new(), round: 0, kind: Kind::Do, attempt: 1 };
    let answer = Answer::NothingThere(NothingThere {});
    Body::Reply(Reply { address, token: Token([0; 16]), answer, instance: "a test".to_owned(), time: 0 })
}
