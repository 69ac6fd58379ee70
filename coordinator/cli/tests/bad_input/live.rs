//! A coordinator that runs, with one inbox partition: what is asked of it, and what lies in its topics. After each a good saga completes
//! in that partition.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sagaline_log::{Log, Record};
use sagaline_node::api::events::append;
use sagaline_schemas::command::Command;
use sagaline_schemas::proof::{Key, open_command, seal, unsealed};
use sagaline_schemas::record::{Address, Answer, Body, Fault, Kind, NothingThere, Reply, Succeeded};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{LogId, SagaId, Token, schema};
use serde_json::Value as Json;

use crate::common::{Coordinator, failed, output, wait_until};
use crate::{Ends, GOES_ON, NO_PORTS, Row, masked, why};

/// Longer than the settings of any log allow a payload to be.
const TOO_LONG: usize = 300_000;

pub fn rows(dir: &Path) -> Vec<Row> {
    let mut running = Running::start(dir);
    write_what_is_wrong(dir);
    running.files();
    running.what_is_in_the_way();
    running.requests();
    running.records();
    running.replies();
    running.events();
    assert_eq!(running.dev.stop(), Some(0));
    running.rows
}

/// A coordinator, its log as a participant reaches it, and how many records were set aside so far.
struct Running {
    dir: PathBuf,
    dev: Coordinator,
    log: Arc<dyn Log>,
    parked: usize,
    rows: Vec<Row>,
}

impl Running {
    fn start(dir: &Path) -> Self {
        let mocks = ["--mock", "flights", "--mock", "hotels"];
        let dev = Coordinator::dev(dir, &[&["--partitions", "1", "--data", "runs"], &mocks[..]].concat());
        let log = sagaline_log::connect(&dev.log, &BTreeMap::new()).unwrap();
        Self { dir: dir.to_owned(), dev, log, parked: 0, rows: Vec::new() }
    }

    fn parked(&self) -> Vec<Json> {
        self.dev.json(&self.dir, &["parked"])["parked"].as_array().unwrap().clone()
    }

    /// The saga of that name; null: there is none yet.
    fn saga(&self, name: &str) -> Json {
        let shown = self.dev.ask(&self.dir, &["show", name, "--json"]);
        serde_json::from_slice::<Json>(&shown.stdout).unwrap_or_default()["saga"].take()
    }

    fn row(&mut self, what: &'static str, ends: Ends, told: &str) {
        let key = format!("good-{}", self.rows.len());
        let good = self.dev.json(&self.dir, &["start", "book-trip", &key, "@trip.json", "--wait"]);
        assert_eq!((&good["status"], &good["partition"]), (&"completed".into(), &0.into()), "after {what}: {good}");
        assert_eq!(self.parked().len(), self.parked, "after {what}");
        self.rows.push(Row { what, ends, told: masked(told), then: GOES_ON });
    }

    /// Asks for something that is refused.
    fn refuses(&mut self, what: &'static str, arguments: &[&str]) {
        let (code, told) = why(&self.dev.ask(&self.dir, arguments));
        self.row(what, Ends::Code(code), &told);
    }

    /// Puts a record into a topic that is set aside with a reason.
    fn sets_aside(&mut self, what: &'static str, topic: &str, value: Vec<u8>) {
        append(&*self.log, topic, &[Record { value, ..Record::default() }]).unwrap();
        self.parked += 1;
        wait_until(|| self.parked().len() >= self.parked);
        let newest = self.parked().pop().unwrap();
        let told = format!("parked, {}: {}", newest["reason"].as_str().unwrap(), newest["detail"].as_str().unwrap());
        self.row(what, Ends::SetAside, &told);
    }

    fn files(&mut self) {
        self.refuses("a definition with many mistakes", &["apply", "wrong/many.yaml"]);
        let told: Json =
            serde_json::from_slice(&output(&self.dir, &["check", "wrong/many.yaml", "--json"]).stdout).unwrap();
        let placed = told["diagnostics"].as_array().unwrap().iter().filter(|found| found["line"].is_u64()).count();
        assert!(placed >= 10, "all mistakes at once, each with its place: {told}");
        self.refuses("an expression of 6 KB", &["apply", "wrong/long.yaml"]);
        self.refuses("another definition under a version that is known", &["apply", "wrong/again.yaml"]);
        self.refuses("a configuration with a typo", &["serve", "--config", "wrong/typo.toml"]);
        self.refuses("a file of events with a broken line", &["send", "trips", "wrong/events.jsonl"]);
    }

    fn what_is_in_the_way(&mut self) {
        self.refuses("no broker", &["serve", "--config", "wrong/nobody.toml"]);
        let (code, told) = failed(&self.dir, &["ps"]);
        self.row("no coordinator", Ends::Code(code), &told);
        let port = self.dev.api.rsplit(':').next().unwrap().to_owned();
        self.refuses("a port in use", &["dev", "--port", &port, "--log-port", "0", "--data", "port"]);
        self.refuses("a data directory in use", &[&NO_PORTS[..], &["--data", "runs"]].concat());
        let trains = ["--mock", "trains", "--data", "trains"];
        self.refuses("a mock without a contract", &[&NO_PORTS[..], &trains].concat());
    }

    fn requests(&mut self) {
        self.refuses("a start of an unknown definition", &["start", "book-trips", "T", "@trip.json"]);
        self.refuses("a start whose input does not fit", &["start", "book-trip", "T", "{\"traveller\": 7}", "--wait"]);
        std::fs::write(self.dir.join("wrong/long.json"), format!("{:?}", "x".repeat(TOO_LONG))).unwrap();
        self.refuses("a start whose input is too large", &["start", "book-trip", "L", "@wrong/long.json"]);
    }

    fn records(&mut self) {
        let fault = Body::Fault(Fault { offset: 1, timer: 0, by: "nobody".to_owned(), reason: "forged".to_owned() });
        let stranger = Key::new("key-1", [7; 32]);
        let forged = seal(schema::INBOX.fingerprint, &stranger, LogId([7; 16]), 0, &fault);
        let mut cut = unproven(&fault);
        cut.truncate(cut.len() - 4);
        self.sets_aside("bytes that are no record", "inbox", b"no record".to_vec());
        self.sets_aside("a record of an unknown schema", "inbox", [&[0xc3, 0x01][..], &[9; 20]].concat());
        self.sets_aside("a record that ends early", "inbox", cut);
        self.sets_aside("a record without its MAC", "inbox", unproven(&fault));
        self.sets_aside("a record with a forged MAC", "inbox", forged);
    }

    fn replies(&mut self) {
        let command = self.first_command();
        let nobody = Address { saga: SagaId::from_bytes([9; 16]), ..command.address.clone() };
        let nothing = || Answer::NothingThere(NothingThere {});
        let result = |json: String| Answer::Succeeded(Succeeded { result: Bytes(json.into_bytes()) });
        let to = |address: &Address, token, answer| reply(address.clone(), token, answer);
        let known = |answer| to(&command.address, command.token, answer);
        let later = Address { attempt: 7, ..command.address.clone() };
        self.sets_aside("a reply that nobody waits for", "inbox", to(&nobody, command.token, nothing()));
        self.sets_aside("a reply to a command that was never sent", "inbox", to(&later, command.token, nothing()));
        self.sets_aside(
            "a reply without its command's token",
            "inbox",
            to(&command.address, Token([0; 16]), nothing()),
        );
        self.sets_aside("a reply that answers something else", "inbox", known(nothing()));
        self.sets_aside("a reply whose result is no JSON", "inbox", known(result("{".to_owned())));
        self.sets_aside("a reply that is too large", "inbox", known(result(format!("{:?}", "x".repeat(TOO_LONG)))));
    }

    /// As its participant reads it: with the token.
    fn first_command(&self) -> Command {
        let mut records = Vec::new();
        let mut reader = self.log.reader("commands.flights", 0, 0).unwrap();
        reader.poll(1, Duration::from_secs(10), &mut records).unwrap();
        let command = open_command(&records.first().expect("a saga has run").record.value).unwrap();
        assert_eq!(command.address.kind, Kind::Do);
        command
    }

    fn events(&mut self) {
        let mut event = |what, text: &str| self.sets_aside(what, "trips", text.as_bytes().to_vec());
        event("an event that is no JSON", "{\"type\": ");
        event("an event whose key is no text", r#"{"type": "requested", "trip_id": 7}"#);
        event("an event without the key", r#"{"type": "requested"}"#);
        let long = format!(r#"{{"type": "requested", "trip_id": "T", "x": "{}"}}"#, "x".repeat(TOO_LONG));
        event("an event that is too large", &long);
        let unfit = r#"{"type": "requested", "trip_id": "U", "nights": "two"}"#;
        self.sets_aside("an event that does not fit the saga's type", "trips", unfit.as_bytes().to_vec());
        self.broken_headers();
    }

    /// What the fold reads is the value alone: headers are copies for others.
    fn broken_headers(&mut self) {
        let value = br#"{"type": "requested", "trip_id": "H", "traveller": "Ada", "to": "Oslo", "nights": 1}"#.to_vec();
        let broken: [(&str, &[u8]); 4] =
            [("traceparent", b"\xff\xfe"), ("traceparent", b"00-"), ("", b"\0"), ("ce_specversion", b"\xc3\x28")];
        let headers = broken.map(|(name, value)| (name.to_owned(), value.to_vec())).to_vec();
        append(&*self.log, "trips", &[Record { key: Vec::new(), value, headers }]).unwrap();
        wait_until(|| self.saga("book-trip/H")["status"] == "completed");
        self.row(
            "an event with broken headers",
            Ends::Taken,
            "nothing: the event's value is whole, its saga completes",
        );
    }
}

fn reply(address: Address, token: Token, answer: Answer) -> Vec<u8> {
    unproven(&Body::Reply(Reply { address, token, answer, instance: "a test".to_owned(), time: 0 }))
}

fn unproven(body: &Body) -> Vec<u8> {
    unsealed(schema::INBOX.fingerprint, body)
}

fn write_what_is_wrong(dir: &Path) {
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    std::fs::create_dir_all(dir.join("wrong/contracts")).unwrap();
    let good = std::fs::read_to_string(dir.join("definitions/book-trip.yaml")).unwrap();
    for contract in ["contracts/flights.yaml", "contracts/hotels.yaml"] {
        std::fs::copy(dir.join("definitions").join(contract), dir.join("wrong").join(contract)).unwrap();
    }
    let mistakes = [
        ("owner:", "ower:"),
        ("1h", "1 hour"),
        ("event.trip_id", "event.tripid"),
        ("flights.book", "flights.bok"),
        ("hotels.book", "hotel.book"),
        ("input.nights", "input.night"),
        ("retry: patient", "retry: patent"),
        ("pivot: true", "pivot: yes"),
        ("version: 1.0.0", "version: one"),
    ];
    let many = mistakes.iter().fold(good.clone(), |text, (right, wrong)| text.replace(right, wrong));
    write("wrong/many.yaml", &many);
    write("wrong/long.yaml", &good.replace("event.type == 'requested'", &format!("1{} == 1", "+1".repeat(3000))));
    write("wrong/again.yaml", &good.replace("after: 1h", "after: 2h"));
    write("wrong/typo.toml", "[kafka]\nbootstap = '127.0.0.1:9092'\n");
    write("wrong/nobody.toml", "[kafka]\nbootstrap = '127.0.0.1:1'\n");
    write("wrong/events.jsonl", "{\"type\": \"requested\"}\n{\"type\": \n");
}
