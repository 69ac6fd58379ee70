//! The API over a socket, in front of a whole node on the embedded log: what it answers, what it refuses, and that asking twice is asking once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_log::embedded::EmbeddedLog;
use sagaline_log::{Fetched, Log, NewTopic, Record};
use sagaline_partition::KnownRules;
use sagaline_schemas::callback::Callback;
use sagaline_schemas::proof::{Key, open};
use sagaline_schemas::record::{Address, Body as InboxBody, EngineVersion, Kind};
use sagaline_schemas::schema::INBOX;
use sagaline_schemas::settings::Settings;
use sagaline_schemas::{SagaId, Token};
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use super::{Api, bind, serve};
use crate::registry::ApplyOptions;
use crate::stage::{Passing, contract, definition};
use crate::topics::{self, Wanted};
use crate::{Names, Node, NodeOptions, sealed};

const ORDER: &str = r#"{"order": "A-1"}"#;

/// A node with its API; nobody answers its commands.
struct Stage {
    base: String,
    agent: ureq::Agent,
    node: Arc<Node>,
    _runtime: Runtime,
    /// What the log lives by.
    _log: Box<dyn std::any::Any>,
}

fn stage() -> Stage {
    staged(|_, _| {}, Settings { activation_delay: 0, ..Settings::default() }, true)
}

fn staged(prepare: impl Fn(&dyn Log, &Names), settings: Settings, dev: bool) -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(dir.path()).unwrap());
    staged_on(log, Box::new(dir), prepare, settings, dev)
}

fn staged_on(
    log: Arc<dyn Log>,
    kept: Box<dyn std::any::Any>,
    prepare: impl Fn(&dyn Log, &Names),
    settings: Settings,
    dev: bool,
) -> Stage {
    let (names, key) = (Names::new("t."), Key::new("test", [7; 32]));
    let wanted = Wanted { partitions: 2, replicas: 1, single_broker: true, settings, ..Wanted::default() };
    topics::create(&*log, &names, &key, &wanted).unwrap();
    prepare(&*log, &names);
    let options = NodeOptions { rules: KnownRules::up_to(2), ..NodeOptions::new("t.", key, "test") };
    let node = Arc::new(Node::start(options, log).unwrap());
    let apply = ApplyOptions {
        contracts: vec![contract()],
        definitions: vec![definition()],
        topics: wanted.clone(),
        by: "a test".to_owned(),
    };
    node.apply(&apply).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(bind(0)).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let api = Api { node: Arc::clone(&node), name: "test".to_owned(), topics: wanted, dev };
    runtime.spawn(serve(listener, api, std::future::pending()));
    let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
    Stage { base, agent, node, _runtime: runtime, _log: kept }
}

impl Stage {
    fn get(&self, path: &str) -> (u16, Json) {
        read(self.agent.get(format!("{}{path}", self.base)).call())
    }

    fn post(&self, path: &str, body: &Json) -> (u16, Json) {
        read(self.agent.post(format!("{}{path}", self.base)).send_json(body))
    }

    fn ask(&self, id: &str, body: &Json) -> (u16, Json) {
        read(self.agent.post(format!("{}/v1/requests", self.base)).header("idempotency-key", id).send_json(body))
    }

    fn start(&self, key: &str) -> String {
        let (status, asked) = self.ask(key, &start(key));
        assert_eq!((status, &asked["outcome"]["is"]), (200, &json!("taken")), "{asked}");
        asked["outcome"]["saga"].as_str().unwrap().to_owned()
    }

    fn wait_for(&self, path: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        let begun = Instant::now();
        loop {
            let (_, answer) = self.get(path);
            if wanted(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{path} still says {answer}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Json) {
    let mut answer = answer.unwrap();
    (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
}

fn start(key: &str) -> Json {
    json!({ "kind": "start", "by": "ada", "definition": "errand", "key": key, "input": { "order": key } })
}

fn error(answer: &(u16, Json)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or("no error"))
}

#[test]
fn a_start_is_taken_and_shown() {
    let stage = stage();
    let id = stage.start("A-1");
    let (status, saga) = stage.get(&format!("/v1/sagas/{id}"));
    assert_eq!(status, 200);
    let shown =
        json!([saga["definition"], saga["key"], saga["status"], saga["waiting_on"], saga["steps"], saga["input"]]);
    assert_eq!(shown, json!(["errand", "A-1", "running", ["desk"], ["booked"], { "order": "A-1" }]));
    assert_eq!(saga["report"]["effects"][0]["input"].to_string(), ORDER.replace(' ', ""));
    assert_eq!(stage.get("/v1/sagas/by-key?definition=errand&key=A-1").1["id"], json!(id));
    let (_, history) = stage.get(&format!("/v1/sagas/{id}/history"));
    let told: Vec<&str> =
        history["history"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(told, ["started", "booked: do decided, attempt 1"]);
    assert!(saga["fresh"]["log_end"].as_i64() >= saga["fresh"]["position"].as_i64());
}

#[test]
fn what_holds_sagas_back_is_listed_until_it_does_no_more() {
    let stage = stage();
    assert_eq!(stage.get("/v1/gates"), (200, json!([])));
    let scope =
        |kind: &str| json!({ "kind": kind, "by": "ada", "subject": "participant/desk", "reason": "a new desk" });
    assert_eq!(stage.ask("hold it", &scope("pause")).0, 200);
    stage.start("A-1");
    let held = |gates: &Json| gates[0]["held"] == json!(1) && gates[0]["paused"]["by"] == json!("ada");
    let gates = stage.wait_for("/v1/gates", held);
    let shown = json!([gates[0]["subject"], gates[0]["paused"]["reason"], gates[0]["down"], gates[1]]);
    assert_eq!(shown, json!(["participant/desk", "a new desk", null, null]));
    assert_eq!(stage.ask("let it go on", &scope("resume")).0, 200);
    stage.wait_for("/v1/gates", |gates| {
        gates.as_array().unwrap().iter().all(|gate| gate["paused"].is_null() && gate["held"] == json!(0))
    });
}

#[test]
fn asking_twice_is_asking_once() {
    let stage = stage();
    let first = stage.ask("my own words", &start("A-1"));
    assert_eq!(stage.ask("my own words", &start("A-1")), first);
    let id = first.1["id"].as_str().unwrap();
    assert_eq!(stage.get(&format!("/v1/requests/{id}")), first);
    let (status, other) = stage.ask("other words", &start("A-1"));
    assert_eq!((status, &other["outcome"]), (200, &json!({ "is": "exists", "saga": first.1["outcome"]["saga"] })));
    assert_eq!(stage.get("/v1/sagas/counts").1["by_status"]["running"], json!(1));
}

#[test]
fn the_rules_are_raised_where_the_node_knows_them_and_never_lowered() {
    let stage = stage();
    let page = stage.wait_for("/v1/upgrade", |page| {
        let lines = page["partitions"].as_array().unwrap();
        lines.iter().all(|line| line["version"] == 1 && line["published_by"] == "test")
    });
    let told = |page: &Json| {
        json!([page["node"], page["oldest"], page["newest"], page["in_force"], page["raise_to"], page["others"]])
    };
    assert_eq!(told(&page), json!(["test", 1, 2, 1, 2, []]));
    let raise = |by: &str, to: u32| stage.post("/v1/upgrade", &json!({ "by": by, "to": to }));
    assert_eq!(error(&raise("", 2)), (400, "bad_request"));
    let refused = raise("ada", 3);
    assert_eq!(error(&refused), (409, "refused"));
    assert!(refused.1["error"]["message"].as_str().unwrap().contains("this node knows the rules up to version 2"));
    let (status, raised) = raise("ada", 2);
    assert_eq!((status, told(&raised)), (200, json!(["test", 1, 2, 2, null, []])), "{raised}");
    assert_eq!(raise("ada", 2), (200, raised), "asked again it changes nothing");
    assert_eq!(error(&raise("ada", 1)), (409, "refused"));
    stage.start("A-1");
}

#[test]
fn a_request_that_is_not_folded_in_time_is_accepted_and_answered_later() {
    let stage = stage();
    let (status, asked) = stage.post("/v1/requests?wait=0", &start("A-1"));
    assert!(status == 202 && asked["outcome"].is_null() || status == 200, "{status} {asked}");
    let path = format!("/v1/requests/{}", asked["id"].as_str().unwrap());
    let answer = stage.wait_for(&path, |answer| answer["outcome"].is_object());
    assert_eq!(answer["outcome"]["is"], json!("taken"));
}

#[test]
fn what_is_refused_says_why() {
    let stage = stage();
    let id = stage.start("A-1");
    let (status, refused) = stage.ask("r", &json!({ "kind": "retry", "by": "ada", "saga": id }));
    assert_eq!(status, 409);
    assert_eq!(
        refused["outcome"]["reason"],
        json!("the saga is not stuck, and no such step is held: there is nothing to retry")
    );
    let cancel =
        json!({ "kind": "cancel", "by": "ada", "definition": "errand", "key": "A-1", "reason": "changed her mind" });
    assert_eq!(stage.ask("c", &cancel).1["outcome"], json!({ "is": "taken", "saga": id }));
    let (_, saga) = stage.get(&format!("/v1/sagas/{id}"));
    assert_eq!(json!([saga["status"], saga["why"]]), json!(["compensating", "ada asked: changed her mind"]));
}

#[test]
fn a_page_goes_on_where_the_last_one_ended_over_all_partitions() {
    let stage = stage();
    let mut ids: Vec<String> = (0..7).map(|number| stage.start(&format!("A-{number}"))).collect();
    ids.sort();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let (_, page) = stage.get(&format!("/v1/sagas?limit=3{cursor}"));
        let sagas = page["sagas"].as_array().unwrap();
        assert!(sagas.len() <= 3, "{page}");
        seen.extend(sagas.iter().map(|saga| saga["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let partitions: std::collections::BTreeSet<_> =
        (0..7).map(|number| sagaline_schemas::hash::partition_of(&format!("A-{number}"), 2)).collect();
    assert_eq!(partitions.len(), 2, "both partitions are to have sagas");
}

#[test]
fn filters_take_what_they_say() {
    let stage = stage();
    stage.start("A-1");
    let count = |query: &str| stage.get(&format!("/v1/sagas?{query}")).1["sagas"].as_array().unwrap().len();
    let taken =
        ["status=running", "live=true", "definition=errand", "owner=team-desk", "waiting_on=desk", "older_than=0"];
    let left = ["status=stuck", "definition=other", "owner=nobody", "waiting_on=payment", "older_than=86400000"];
    assert_eq!(taken.map(count), [1; 6]);
    assert_eq!(left.map(count), [0; 5]);
}

#[test]
fn a_question_that_is_not_well_formed_is_told_what_would_be() {
    let stage = stage();
    let unknown = "00000000-0000-0000-0000-000000000000";
    let ask = |body: Json| stage.post("/v1/requests", &body);
    let cases = [
        (stage.get("/v1/nothing"), (404, "not_found")),
        (stage.get("/v1/sagas/nobody"), (400, "bad_request")),
        (stage.get(&format!("/v1/sagas/{unknown}")), (404, "not_found")),
        (stage.get(&format!("/v1/requests/{unknown}")), (404, "not_found")),
        (stage.get("/v1/sagas?colour=red"), (400, "bad_request")),
        (stage.get("/v1/sagas/by-key?definition=errand&key=nobody"), (404, "not_found")),
        (ask(json!({ "kind": "start", "by": "ada" })), (400, "bad_request")),
        (ask(json!({ "kind": "start", "by": "", "definition": "errand", "key": "A-1" })), (400, "bad_request")),
        (ask(json!({ "kind": "start", "by": "ada", "definition": "errnd", "key": "A-1" })), (404, "not_found")),
        (
            ask(json!({ "kind": "start", "by": "ada", "definition": "errand", "key": "A-1", "colour": 1 })),
            (400, "bad_request"),
        ),
        (ask(json!({ "kind": "cancel", "by": "ada" })), (400, "bad_request")),
        (ask(json!({ "kind": "cancel", "by": "ada", "saga": unknown })), (404, "not_found")),
        (stage.post("/v1/definitions", &json!({ "by": "ada" })), (400, "bad_request")),
        (
            stage.post("/v1/faults", &json!({ "partition": 9, "offset": 1, "by": "ada", "reason": "r" })),
            (404, "not_found"),
        ),
        (stage.post("/v1/requests", &json!({ "by": "x".repeat(2 << 20) })), (413, "too_large")),
    ];
    for (answer, wanted) in cases {
        assert_eq!(error(&answer), wanted, "{}", answer.1);
        assert!(answer.1["error"]["help"].as_str().is_some_and(|help| !help.is_empty()), "{}", answer.1);
    }
    let long = ask(json!({ "kind": "cancel", "by": "ada", "saga": unknown, "reason": "x".repeat(5_000) }));
    assert_eq!(long.1["error"]["message"], json!("`reason` has 5000 bytes, at most 4096 are taken"));
    let near = ask(json!({ "kind": "start", "by": "ada", "definition": "errnd", "key": "A-1" }));
    assert_eq!(near.1["error"]["message"], json!("there is no active definition \"errnd\": did you mean \"errand\"?"));
}

#[test]
fn only_programs_of_this_machine_are_let_in() {
    let stage = stage();
    let url = format!("{}/v1/status", stage.base);
    let foreign = read(stage.agent.get(&url).header("host", "evil.example").call());
    assert_eq!(error(&foreign), (403, "forbidden"));
    let form = stage.agent.post(format!("{}/v1/requests", stage.base)).header("content-type", "text/plain");
    assert_eq!(error(&read(form.send(start("A-1").to_string()))), (400, "bad_request"));
}

#[test]
fn events_are_taken_by_dev_and_lead_to_sagas() {
    let stage = stage();
    let events = json!({ "topic": "orders", "key": "order", "events": [{ "type": "placed", "order": "A-1" }, { "type": "asked", "order": "A-2" }] });
    assert_eq!(stage.post("/v1/events", &events), (200, json!({ "sent": 2 })));
    let page = stage.wait_for("/v1/sagas", |page| page["sagas"].as_array().is_some_and(|sagas| !sagas.is_empty()));
    assert_eq!(page["sagas"][0]["key"], json!("A-1"));
    let own = stage.post("/v1/events", &json!({ "topic": "t.inbox", "events": [] }));
    assert_eq!(error(&own), (409, "refused"));
    let keyless = stage.post("/v1/events", &json!({ "topic": "orders", "key": "colour", "events": [{}] }));
    assert_eq!(error(&keyless), (400, "bad_request"));
}

#[test]
fn events_are_refused_beside_a_kafka() {
    let stage = staged(|_, _| {}, Settings { activation_delay: 0, ..Settings::default() }, false);
    let answer = stage.post("/v1/events", &json!({ "topic": "orders", "events": [{}] }));
    assert_eq!(error(&answer), (409, "refused"));
}

#[test]
fn a_record_that_nobody_can_use_is_shown_as_parked_and_the_partition_goes_on() {
    let stage = stage();
    let garbage = Record { value: b"no record".to_vec(), ..Record::default() };
    stage.node.append_to("t.inbox", 0, garbage).unwrap();
    let parked = stage.wait_for("/v1/parked", |page| page["total"].as_i64() == Some(1));
    assert_eq!(json!([parked["parked"][0]["reason"], parked["parked"][0]["length"]]), json!(["Undecodable", 9]));
    (0..3).for_each(|number| drop(stage.start(&format!("A-{number}"))));
}

#[test]
fn what_was_set_aside_is_shown_also_where_older_records_are_gone() {
    let passing = Passing::begin();
    let log = Arc::clone(&passing.log);
    let settings = Settings { activation_delay: 0, ..Settings::default() };
    let stage = staged_on(Arc::clone(&log), Box::new(passing), |_, _| {}, settings, true);
    let park = || {
        let garbage = Record { value: b"no record".to_vec(), ..Record::default() };
        stage.node.append_to("t.inbox", 0, garbage).unwrap()
    };
    let offsets = [park(), park(), park()];
    stage.wait_for("/v1/parked", |page| page["total"] == json!(3));
    log.delete_below("t.parked", 0, 2).unwrap();
    let (status, page) = stage.get("/v1/parked");
    let shown: Vec<&Json> = page["parked"].as_array().unwrap().iter().map(|line| &line["offset"]).collect();
    assert_eq!((status, &page["total"], shown), (200, &json!(1), vec![&json!(offsets[2])]), "{page}");
    log.delete_below("t.parked", 0, 3).unwrap();
    assert_eq!(stage.get("/v1/parked"), (200, json!({ "parked": [], "total": 0 })));
    park();
    stage.wait_for("/v1/parked", |page| page["total"] == json!(1));
}

#[test]
fn a_node_whose_program_does_not_know_the_rules_takes_no_callback() {
    let stage = stage();
    let address = Address {
        saga: SagaId(uuid::Uuid::nil()),
        step: "booked".to_owned(),
        items: vec![],
        round: 0,
        kind: Kind::Do,
        attempt: 1,
    };
    let callback = Callback { partition: 1, address, token: Token([7; 16]) };
    let redeem = || stage.post(&format!("/v1/callbacks/{callback}"), &json!({ "succeeded": { "receipt": "r" } }));
    assert_eq!(redeem().0, 202, "it is the fold that judges the token");
    // The stage's node knows the versions 1 and 2. The other partition is the one that halts.
    let raise = InboxBody::EngineVersion(EngineVersion { version: 3, by: "ada".to_owned() });
    stage.node.append(0, &raise).unwrap();
    stage.wait_for("/v1/status", |status| status["partitions"][0]["standing"]["is"] == json!("halted"));
    let replies = || {
        let log = &**stage.node.log();
        let (start, end) = sealed::bounds(log, "t.inbox", 1).unwrap();
        let records = sealed::read(log, "t.inbox", 1, start, end).unwrap();
        let body = |fetched: &Fetched| open(INBOX.fingerprint, &fetched.record.value).unwrap().inbox.body;
        records.iter().filter(|fetched| matches!(body(fetched), InboxBody::Reply(_))).count()
    };
    assert_eq!(replies(), 1);
    let refused = redeem();
    assert_eq!(error(&refused), (503, "halted"), "{}", refused.1);
    let message = refused.1["error"]["message"].as_str().unwrap();
    assert!(message.contains("have version 3, this program knows versions 1 to 2: run a build"), "{message}");
    assert!(refused.1["error"]["help"].as_str().unwrap().contains("another node"), "{}", refused.1);
    assert_eq!(replies(), 1, "nothing more is in the log");
}

#[test]
fn a_partition_that_has_halted_hides_no_saga_of_the_others() {
    let stage = stage();
    let asked = |key: &str| stage.ask(key, &start(key)).1;
    let id = (0..100).map(|n| asked(&format!("A-{n}"))).find(|asked| asked["partition"] == json!(1)).unwrap();
    let id = id["outcome"]["saga"].as_str().unwrap().to_owned();
    let raise = InboxBody::EngineVersion(EngineVersion { version: 3, by: "ada".to_owned() });
    stage.node.append(0, &raise).unwrap();
    stage.wait_for("/v1/status", |status| status["partitions"][0]["standing"]["is"] == json!("halted"));

    assert_eq!(stage.get(&format!("/v1/sagas/{id}")).1["status"], json!("running"));
    assert_eq!(stage.get(&format!("/v1/sagas/{id}/history")).0, 200);
    // What is nowhere to be seen may lie where nobody can look.
    let nowhere = uuid::Uuid::nil();
    for path in [format!("/v1/sagas/{nowhere}"), format!("/v1/requests/{nowhere}")] {
        let answer = stage.get(&path);
        assert_eq!(error(&answer), (503, "halted"), "{}", answer.1);
    }
}

#[test]
fn a_pause_that_is_asked_again_does_not_undo_what_came_between() {
    let stage = stage();
    let scope = |kind: &str| json!({ "kind": kind, "by": "ada", "subject": "participant/desk", "reason": kind });
    let first = stage.ask("one", &scope("pause"));
    assert_eq!(first.0, 200);
    assert_eq!(stage.ask("two", &scope("resume")).0, 200);
    let again = stage.ask("one", &scope("pause"));
    assert_eq!((again.0, &again.1["outcome"]), (200, &first.1["outcome"]));
    let (_, gates) = stage.get("/v1/gates");
    assert!(gates.as_array().unwrap().iter().all(|gate| gate["paused"].is_null()), "{gates}");
}

#[test]
fn nothing_is_started_that_needs_a_crowded_channel() {
    let tight = |log: &dyn Log, names: &Names| {
        let settings = vec![("max.message.bytes".to_owned(), "10".to_owned())];
        let name = names.of_channel("commands.desk");
        log.create_topic(&NewTopic { name, partitions: 1, replicas: 1, settings }).unwrap();
    };
    let stage = staged(tight, Settings { activation_delay: 0, max_outbox: 0, ..Settings::default() }, true);
    stage.start("A-1");
    let crowded = |status: &Json| {
        let channels =
            status["partitions"].as_array().into_iter().flatten().filter_map(|one| one["channels"].as_array());
        channels.flatten().any(|channel| channel["channel"] == "commands.desk" && channel["down"].is_object())
    };
    stage.wait_for("/v1/status", crowded);
    let answer = stage.ask("second", &start("A-2"));
    assert_eq!(error(&answer), (503, "busy"), "{}", answer.1);
}

#[test]
fn what_is_known_is_listed_and_more_can_be_applied() {
    let stage = stage();
    let (_, definitions) = stage.get("/v1/definitions");
    assert_eq!(
        json!([definitions[0]["name"], definitions[0]["active"], definitions[0]["steps"][0]]),
        json!(["errand", true, "booked: desk.book"])
    );
    assert_eq!(stage.get("/v1/contracts").1[0]["operations"], json!(["book", "seal", "unbook"]));
    let mut next = definition();
    next.version = "1.1.0".to_owned();
    let applied = stage.post("/v1/definitions", &json!({ "by": "ada", "definitions": [next] }));
    assert_eq!((applied.0, &applied.1["definitions"][0][0]), (200, &json!("errand")));
    let active: Vec<(Json, Json)> = stage
        .get("/v1/definitions")
        .1
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["version"].clone(), line["active"].clone()))
        .collect();
    assert_eq!(active, [(json!("1.0.0"), json!(false)), (json!("1.1.0"), json!(true))]);
    next.owner = "team-other".to_owned();
    let other = stage.post("/v1/definitions", &json!({ "by": "ada", "definitions": [next] }));
    assert_eq!(error(&other), (409, "refused"));
}

#[test]
fn health_is_good_once_every_partition_is_live() {
    let stage = stage();
    let health = stage.wait_for("/v1/health", |health| health["healthy"] == json!(true));
    assert_eq!(health["why"], json!([]));
    let (_, status) = stage.get("/v1/status");
    assert_eq!(status["partitions"].as_array().unwrap().len(), 2);
    let skip = json!({ "partition": 1, "offset": 99, "by": "ada", "reason": "kills the fold" });
    assert!(stage.post("/v1/faults", &skip).1["fault"].is_i64());
}

#[test]
fn settings_are_changed_in_every_partition_and_fold_ingress_and_apply_go_by_them() {
    let stage = stage();
    stage.wait_for("/v1/health", |health| health["healthy"] == json!(true));
    let before = stage.get("/v1/settings").1;
    assert_eq!(json!([before["version"], before["settings"]["max_payload"]]), json!([0, 262_144]));
    let wanted = json!({ "by": "ada", "set": { "max_payload": "2KiB", "activation_delay": "1s" } });
    let (status, set) = stage.post("/v1/settings", &wanted);
    let all = json!([{ "partition": 0, "version": 1 }, { "partition": 1, "version": 1 }]);
    assert_eq!((status, &set["settings"]["max_payload"], &set["partitions"]), (200, &json!(2_048), &all), "{set}");
    assert_eq!(stage.post("/v1/settings", &wanted), (200, set), "asked again");

    let large = |key: &str| json!({ "type": "placed", "order": key, "x": "x".repeat(3_000) });
    stage.post("/v1/events", &json!({ "topic": "orders", "events": [large("A-1")] }));
    let parked = stage.wait_for("/v1/parked", |page| page["total"] == json!(1));
    assert!(parked["parked"][0]["detail"].as_str().unwrap().ends_with("the settings allow 2048"), "{parked}");
    let ask = json!({ "kind": "start", "by": "ada", "definition": "errand", "key": "A-2", "input": large("A-2") });
    let (status, refused) = stage.ask("large", &ask);
    let reason = refused["outcome"]["reason"].as_str().unwrap();
    assert!(status == 409 && reason.ends_with("bytes, the settings allow 2048"), "{refused}");

    let mut next = definition();
    next.version = "1.1.0".to_owned();
    let begun = Instant::now();
    assert_eq!(stage.post("/v1/definitions", &json!({ "by": "ada", "definitions": [next] })).0, 200);
    assert!(begun.elapsed() >= Duration::from_secs(1), "the activation delay is the one in force");
}

#[test]
fn settings_that_are_none_change_nothing() {
    let stage = stage();
    stage.wait_for("/v1/health", |health| health["healthy"] == json!(true));
    let set = |by: &str, set: Json| stage.post("/v1/settings", &json!({ "by": by, "set": set }));
    assert_eq!(error(&set("", json!({ "max_effects": 5 }))), (400, "bad_request"));
    assert_eq!(error(&set("ada", json!({}))), (400, "bad_request"));
    assert_eq!(error(&set("ada", json!({ "max_effects": 5, "max_effect": 5 }))), (400, "bad_request"));
    assert_eq!(error(&set("ada", json!({ "max_record": "16MiB" }))), (409, "refused"), "the topics take smaller ones");
    assert_eq!(stage.get("/v1/settings").1["version"], json!(0));
}
