//! Reconciling in front of a whole node on the embedded log: participants that agree, differ, don't know, keep silent, and such as lie.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sagaline_engine::Phase;
use sagaline_language::Contracts;
use sagaline_log::embedded::EmbeddedLog;
use sagaline_log::{Log, Record};
use sagaline_partition::view;
use sagaline_schemas::command::Command;
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{
    Answer, Body as InboxBody, Compensated, Failed, Kind, Probed, Refused, Reply, Succeeded,
};
use sagaline_schemas::request::{KeyTarget, Request, RequestBody, RequestTarget, StartRequest};
use sagaline_schemas::settings::Settings;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, RequestId, Token, Value, hash, schema};

use super::*;
use crate::api::model::Ignored;
use crate::api::sagas;
use crate::registry::ApplyOptions;
use crate::topics::Wanted;
use crate::{Names, Node, NodeOptions};

const DESK: &str = r"
participant: desk
version: 1.0.0
owner: team-desk
limits: { in_flight: 3 }
types:
  Work: { type: record, fields: [{ name: order, type: string }] }
  Seen: { type: record, fields: [{ name: booked, type: boolean }] }
  EffectKey: { type: record, fields: [{ name: effect_id, type: string }] }
operations:
  book: { in: Work, idempotent: by_key, compensate: unbook, probe: look }
  unbook: { in: Work, idempotent: by_key }
  look: { in: EffectKey, out: Seen, reads: true }
  pack: { in: Work, idempotent: by_key, compensate: unpack }
  unpack: { in: Work, idempotent: by_key }
";

const COURIER: &str = r"
participant: courier
version: 1.0.0
owner: team-courier
limits: { in_flight: 2 }
types:
  Work: { type: record, fields: [{ name: order, type: string }] }
  Seen: { type: record, fields: [{ name: sent, type: boolean }] }
  EffectKey: { type: record, fields: [{ name: effect_id, type: string }] }
operations:
  send: { in: Work, idempotent: by_key, probe: trace, refuses: [Nowhere] }
  trace: { in: EffectKey, out: Seen, reads: true }
";

const DEFINITION: &str = r"
saga: errand
version: 1.0.0
owner: team-desk
use: [desk, courier]
types:
  Order: { type: record, fields: [{ name: order, type: string }] }
start: { topic: orders, if: event.type == 'placed', key: event.order, type: Order }
deadline: { after: 14d, else: compensate }
steps:
  - { step: booked, call: desk.book, with: { order: '${input.order}' } }
  - { step: packed, call: desk.pack, with: { order: '${input.order}' } }
  - { step: sent, pivot: true, call: courier.send, with: { order: '${input.order}' } }
";

/// What a participant says when it is asked what became of an effect.
type Probes = Arc<dyn Fn(&Command) -> Vec<Reply> + Send + Sync>;

/// A node, a desk and a courier that do what they are told; sagas whose key begins with X are refused by the courier, and go back.
struct Stage {
    api: Api,
    definition: Digest,
    desk: Participant,
    courier: Participant,
    _dir: tempfile::TempDir,
}

struct Participant {
    probes: Arc<Mutex<Probes>>,
    /// Probes that came.
    asked: Arc<Mutex<Vec<Command>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Participant {
    fn start(log: Arc<dyn Log>, topic: String) -> Self {
        let probes: Arc<Mutex<Probes>> = Arc::new(Mutex::new(Arc::new(|command| vec![probed(command, Happened::Yes)])));
        let (asked, over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (script, seen, stop) = (Arc::clone(&probes), Arc::clone(&asked), Arc::clone(&over));
        let thread = std::thread::spawn(move || work(&*log, &topic, &script, &seen, &stop));
        Self { probes, asked, over, thread: Some(thread) }
    }

    fn says(&self, probes: impl Fn(&Command) -> Vec<Reply> + Send + Sync + 'static) {
        *self.probes.lock().unwrap() = Arc::new(probes);
    }

    fn asked(&self) -> Vec<Command> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn work(log: &dyn Log, topic: &str, script: &Mutex<Probes>, seen: &Mutex<Vec<Command>>, over: &AtomicBool) {
    let partitions = log.topic(topic).unwrap().unwrap().partitions;
    let mut readers: Vec<_> = (0..partitions).map(|partition| log.reader(topic, partition, 0).unwrap()).collect();
    let mut producer = log.producer().unwrap();
    let mut records = Vec::new();
    while !over.load(Ordering::Relaxed) {
        for reader in &mut readers {
            reader.poll(100, Duration::from_millis(2), &mut records).unwrap();
        }
        for fetched in records.drain(..) {
            let command = proof::open_command(&fetched.record.value).unwrap();
            let replies = match command.address.kind {
                Kind::Do if command.operation == "send" && command.saga.starts_with("errand/X") => {
                    let refused = Refused { code: "Nowhere".to_owned(), detail: String::new() };
                    vec![reply(&command, Answer::Refused(refused))]
                }
                Kind::Do | Kind::Ask => {
                    vec![reply(&command, Answer::Succeeded(Succeeded { result: Bytes::from("null") }))]
                }
                Kind::Compensate => vec![reply(&command, Answer::Compensated(Compensated { result: None }))],
                Kind::Probe => {
                    seen.lock().unwrap().push(command.clone());
                    let probes = Arc::clone(&script.lock().unwrap());
                    probes(&command)
                }
            };
            for reply in replies {
                let value = proof::unsealed(schema::INBOX.fingerprint, &InboxBody::Reply(reply));
                let record = Record { value, ..Record::default() };
                producer.append(&command.reply_topic, command.reply_partition, &record, 0).unwrap();
            }
        }
    }
}

fn reply(command: &Command, answer: Answer) -> Reply {
    Reply { address: command.address.clone(), token: command.token, answer, instance: "test".to_owned(), time: 0 }
}

fn probed(command: &Command, happened: Happened) -> Reply {
    let found = Some(Bytes::from(r#"{"seen":true}"#));
    reply(command, Answer::Probed(Probed { happened, result: None, found }))
}

/// What is true of the stage's own sagas: those that went back have nothing left.
fn truth(command: &Command) -> Vec<Reply> {
    let back = command.saga.starts_with("errand/X");
    vec![probed(command, if back { Happened::No } else { Happened::Yes })]
}

fn opposite(command: &Command) -> Vec<Reply> {
    let back = command.saga.starts_with("errand/X");
    vec![probed(command, if back { Happened::Yes } else { Happened::No })]
}

impl Stage {
    /// With sagas of these keys, all ended.
    fn with(keys: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(dir.path()).unwrap());
        let (names, key) = (Names::new("t."), Key::new("test", [7; 32]));
        let settings = Settings { activation_delay: 0, ..Settings::default() };
        let topics = Wanted { partitions: 2, replicas: 1, single_broker: true, settings, ..Wanted::default() };
        topics::create(&*log, &names, &key, &topics).unwrap();
        let node = Arc::new(Node::start(NodeOptions::new("t.", key, "test"), Arc::clone(&log)).unwrap());
        let contract = |text| sagaline_language::contract("contract.yaml", text).unwrap().value;
        let contracts = [contract(DESK), contract(COURIER)];
        let known: Contracts = contracts.iter().cloned().collect();
        let definition = sagaline_language::definition("errand.yaml", DEFINITION, &known).unwrap().value;
        let digest = definition.digest();
        let by = "a test".to_owned();
        let definitions = vec![definition];
        let apply = ApplyOptions { contracts: contracts.to_vec(), definitions, topics: topics.clone(), by };
        node.apply(&apply).unwrap();
        let start = |participant: &str| {
            Participant::start(Arc::clone(&log), names.of_channel(&format!("commands.{participant}")))
        };
        let (desk, courier) = (start("desk"), start("courier"));
        let api = Api { node, name: "test".to_owned(), topics, dev: true };
        let stage = Self { api, definition: digest, desk, courier, _dir: dir };
        keys.iter().for_each(|key| stage.start(key));
        stage.wait_ended(keys.len() as u64);
        stage
    }

    fn start(&self, key: &str) {
        let input = Bytes(format!(r#"{{"order":"{key}"}}"#).into_bytes());
        let body = RequestBody::Start(StartRequest { definition: self.definition, input, traceparent: None });
        let target = RequestTarget::Key(KeyTarget { definition: "errand".to_owned(), key: key.to_owned() });
        let id = RequestId(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, key.as_bytes()));
        let issued = self.api.node.log().wall_clock();
        let request = Request { id, by: "a test".to_owned(), roles: vec![], issued, target, body };
        let partition = hash::partition_of(key, 2);
        self.api.append(partition, &InboxBody::Request(request)).unwrap();
    }

    fn wait_ended(&self, wanted: u64) {
        let begun = Instant::now();
        loop {
            let counts = sagas::count(&self.api).unwrap().by_status;
            let ended: u64 = counts.iter().filter(|(status, _)| status.is_ended()).map(|(_, count)| count).sum();
            if ended == wanted {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{counts:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait_past(&self, moment: i64) {
        while self.api.node.log().wall_clock() <= moment {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn page(&self, wanted: &Reconcile) -> ReconcilePage {
        page(&self.api, wanted).unwrap()
    }

    /// What people read of a page: participant, key, step, both words.
    fn told(&self, wanted: &Reconcile) -> Vec<String> {
        let mut told: Vec<String> = self.page(wanted).told.iter().map(line).collect();
        told.sort();
        told
    }

    /// What the fold has made of all this so far: its positions, and what it set aside.
    fn folds(&self) -> Vec<(i64, i64)> {
        let status = |handle: &crate::PartitionHandle| handle.status();
        let one = |status: crate::PartitionStatus| (status.counters.started, status.counters.parked);
        self.api.node.partitions().iter().map(status).map(one).collect()
    }
}

fn line(told: &Reconciled) -> String {
    let Reconciled { verdict, key, step, report, participant, says, .. } = told;
    let says = says.map_or("nothing".to_owned(), |says| format!("{says:?}"));
    format!("{verdict:?}: {key} {step} {report:?}, {participant} says {says}")
}

fn tally(page: &ReconcilePage, participant: &str) -> Tally {
    page.participants.get(participant).copied().unwrap_or_default()
}

fn of(participant: &str) -> Reconcile {
    Reconcile { participant: Some(participant.to_owned()), ..Reconcile::default() }
}

/// Patience of a test that waits for somebody who never answers.
const SHORT: Option<u64> = Some(300);

#[test]
fn what_participants_confirm_is_counted_and_not_told() {
    let stage = Stage::with(&["A-1", "X-1"]);
    stage.desk.says(truth);
    stage.courier.says(truth);
    let before = stage.folds();
    let page = stage.page(&Reconcile::default());
    assert_eq!(page.told, []);
    let two = Tally { same: 2, ..Tally::default() };
    assert_eq!((tally(&page, "desk"), tally(&page, "courier")), (two, two));
    assert_eq!((page.sagas, page.no_probe, page.next), (2, 2, None), "nobody can be asked after what was packed");
    assert_eq!(page.ignored, Ignored::default());
    assert_eq!(stage.folds(), before);
}

#[test]
fn where_report_and_participant_differ_both_words_are_told() {
    let stage = Stage::with(&["A-1", "X-1"]);
    stage.desk.says(opposite);
    stage.courier.says(truth);
    let page = stage.page(&Reconcile::default());
    let mut told: Vec<String> = page.told.iter().map(line).collect();
    told.sort();
    assert_eq!(told, ["Differs: A-1 booked Applied, desk says No", "Differs: X-1 booked Void, desk says Yes"]);
    assert_eq!(tally(&page, "desk"), Tally { differs: 2, ..Tally::default() });
    assert_eq!(tally(&page, "courier"), Tally { same: 2, ..Tally::default() });
    let one = &page.told[0];
    assert_eq!(one.effect, hash::effect_id(one.saga, "booked", &[], 0));
    assert_eq!(one.found, Some(Value::parse(br#"{"seen":true}"#).unwrap()), "what the business knows is told, too");
    let (_, saga) = sagas::find_key(&stage.api, "errand", &one.key).unwrap();
    assert_eq!(saga, one.saga);
    // Asked again, it is the same: nothing was decided by it.
    assert_eq!(stage.told(&Reconcile::default()), told);
}

#[test]
fn who_does_not_know_and_who_does_not_answer_is_told() {
    let stage = Stage::with(&["A-1"]);
    stage.desk.says(|command| vec![probed(command, Happened::Unknown)]);
    stage.courier.says(|_| vec![]);
    let page = stage.page(&Reconcile { patience: SHORT, ..Reconcile::default() });
    let mut told: Vec<String> = page.told.iter().map(line).collect();
    told.sort();
    assert_eq!(
        told,
        ["Silent: A-1 sent Applied, courier says nothing", "Unknown: A-1 booked Applied, desk says Unknown"]
    );
    // An attempt that fails, or goes on, is no answer; why is told.
    let failed = Failed { error: "its disk is full".to_owned(), retry_after: None, outage: false };
    stage.courier.says(move |command| vec![reply(command, Answer::Failed(failed.clone()))]);
    let page = stage.page(&of("courier"));
    let why: Vec<Option<&str>> = page.told.iter().map(|told| told.why.as_deref()).collect();
    assert_eq!((why, tally(&page, "courier").silent), (vec![Some("its disk is full")], 1));
}

/// Whoever may write to the topic of answers can lie there, but not be believed.
#[test]
fn answers_that_prove_nothing_are_counted_and_ignored() {
    let stage = Stage::with(&["A-1"]);
    let (log, topic) = (Arc::clone(stage.api.node.log()), stage.api.node.names().reconcile());
    stage.desk.says(move |command| {
        let noise = Record { value: b"noise".to_vec(), ..Record::default() };
        let mut producer = log.producer().unwrap();
        producer.append(&topic, 0, &noise, 0).unwrap();
        while producer.in_flight() > 0 {
            producer.poll(Duration::from_millis(10), &mut Vec::new());
        }
        let forged = Reply { token: Token([9; 16]), ..probed(command, Happened::No) };
        let mut other = probed(command, Happened::No);
        other.address.attempt = 1;
        let unfit = reply(command, Answer::Succeeded(Succeeded { result: Bytes::from("null") }));
        let no_json = Some(Bytes::from("{"));
        let broken = reply(command, Answer::Probed(Probed { happened: Happened::No, result: None, found: no_json }));
        vec![forged, other, unfit, broken, probed(command, Happened::Yes)]
    });
    let page = stage.page(&of("desk"));
    assert_eq!(page.told, []);
    assert_eq!(tally(&page, "desk"), Tally { same: 1, ..Tally::default() });
    let ignored = Ignored { unreadable: 1, not_awaited: 1, unproven: 1, unfit: 2 };
    assert_eq!(page.ignored, ignored);
}

#[test]
fn an_answer_counts_for_the_page_that_asked_for_it_only() {
    let stage = Stage::with(&["A-1"]);
    let late: Arc<Mutex<Vec<Command>>> = Arc::default();
    let kept = Arc::clone(&late);
    stage.desk.says(move |command| {
        kept.lock().unwrap().push(command.clone());
        vec![]
    });
    let patient = Reconcile { patience: SHORT, ..of("desk") };
    assert_eq!(stage.told(&patient), ["Silent: A-1 booked Applied, desk says nothing"]);
    let earlier = late.lock().unwrap().clone();
    stage.desk.says(move |command| {
        earlier.iter().map(|old| probed(old, Happened::No)).chain([probed(command, Happened::Yes)]).collect()
    });
    let page = stage.page(&patient);
    assert_eq!((page.told, page.ignored.not_awaited), (vec![], 1));
}

#[test]
fn pages_ask_after_each_effect_once_and_for_no_more_than_a_contract_allows() {
    let keys = ["A-1", "A-2", "A-3", "A-4", "X-1"];
    let stage = Stage::with(&keys);
    stage.courier.says(truth);
    stage.desk.says(truth);
    // The desk did each saga's first effect, the courier each saga's third: pages end before a saga, and in the middle of one.
    for (participant, limit) in [("courier", 2), ("desk", 3)] {
        let (mut pages, mut same, mut sagas) = (0, 0, 0);
        let mut wanted = of(participant);
        loop {
            let page = stage.page(&wanted);
            let tally = tally(&page, participant);
            assert!(tally.same <= limit, "{participant} takes {limit} commands at once");
            (pages, same, sagas) = (pages + 1, same + tally.same, sagas + page.sagas);
            wanted.cursor = page.next;
            if wanted.cursor.is_none() {
                break;
            }
        }
        assert_eq!((same, sagas), (5, 5), "{participant}");
        assert!(pages >= 5_u64.div_ceil(limit), "{pages} pages of {limit} at most");
    }
    let mut asked: Vec<_> = stage.courier.asked().iter().map(|command| command.effect_id).collect();
    asked.sort();
    asked.dedup();
    assert_eq!((asked.len(), stage.courier.asked().len(), stage.desk.asked().len()), (5, 5, 5));
    // No saga ever asks under such a number, and answers don't go where the fold reads.
    let apart =
        |command: &Command| command.address.attempt >= FIRST_ATTEMPT_BESIDE && command.reply_topic == "t.reconcile";
    assert!(stage.courier.asked().iter().all(apart));
}

#[test]
fn only_what_is_wanted_is_asked_after() {
    let stage = Stage::with(&["A-1"]);
    let without = Reconcile { without: vec!["courier".to_owned()], ..Reconcile::default() };
    let page = stage.page(&without);
    assert_eq!(tally(&page, "courier"), Tally { left_out: 1, ..Tally::default() });
    assert_eq!((stage.desk.asked().len(), stage.courier.asked().len()), (1, 0));

    let (_, saga) = sagas::find_key(&stage.api, "errand", "A-1").unwrap();
    let handle = sagas::find(&stage.api, saga).unwrap();
    let ended = view::saga(&*handle.reader().unwrap(), saga).unwrap().unwrap().phase;
    let Phase::Ended { at, .. } = ended else { panic!("{ended:?}") };
    let since = |ago: i64| Reconcile { ended_within: Some(ago), ..Reconcile::default() };
    let recent = stage.page(&since(stage.api.node.log().wall_clock() - at + 60_000));
    assert_eq!((tally(&recent, "desk").same, recent.sagas), (1, 1));
    stage.wait_past(at + 2);
    assert_eq!(stage.page(&since(1)).participants, BTreeMap::new());
}

#[test]
fn what_nobody_has_is_refused() {
    let stage = Stage::with(&[]);
    let refused = |wanted: Reconcile| page(&stage.api, &wanted).unwrap_err().to_string();
    assert_eq!(refused(of("curier")), r#"there is no contract of a participant "curier": did you mean "courier"?"#);
    let cursor = |text: &str| Reconcile { cursor: Some(text.to_owned()), ..Reconcile::default() };
    for text in ["", "7", "0..x", "0.no-saga.0"] {
        assert_eq!(refused(cursor(text)), "that is no cursor");
    }
    assert_eq!(stage.page(&Reconcile::default()), ReconcilePage::default());
}
