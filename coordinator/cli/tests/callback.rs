//! A partner brings the outcome: a participant hands its callback token out, and whoever holds it ends the step through the API. Once.

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

mod common;

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime};

use common::{Coordinator, wait_until};
use sagaline_participant::effects::{MemoryRows, Store};
use sagaline_participant::{Config, Effect, HandlerError, Idempotence, Known, Participant};
use sagaline_schemas::Token;
use sagaline_schemas::callback::Callback;
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

sagaline_participant::payload! {
    /// Money to be paid out.
    pub struct Payout {
        /// How much, in cents.
        pub amount: i64,
    }

    /// What the bank says of it.
    pub struct Booked {
        /// The bank's own number.
        pub reference: String,
    }
}

const DEFINITION: &str = r#"
saga: payout
version: 1.0.0
owner: team-money
use: [bank]
types:
  Request: { type: record, fields: [{ name: id, type: string }, { name: amount, type: long }] }
start: { topic: payouts, key: event.id, type: Request }
deadline: { after: 1h, else: compensate }
steps:
  - step: transfer
    call: bank.transfer
    with: { amount: "${input.amount}" }
  - step: book
    pivot: true
    call: bank.book
    with: { amount: "${input.amount}" }
"#;

type Handed = Sender<(String, String)>;

/// Every operation goes to a partner, who gets the token.
fn bank(handed: &Handed) -> Participant {
    let through = |handed: Handed| {
        move |_: Payout, effect: Effect| {
            let outcome = hand_on(&handed, &effect);
            async move { outcome }
        }
    };
    let recalled = handed.clone();
    Participant::new("bank")
        .version("1.0.0")
        .owner("team-bank")
        .on("transfer", Idempotence::ByKey, through(handed.clone()))
        .on("book", Idempotence::ByKey, through(handed.clone()))
        .refuses(&["Closed"])
        .compensate("transfer", "recall", move |_: Payout, _: Known<Booked>, effect: Effect| {
            let outcome = hand_on(&recalled, &effect);
            async move { outcome }
        })
}

fn hand_on(handed: &Handed, effect: &Effect) -> Result<Booked, HandlerError> {
    handed.send((effect.operation().to_owned(), effect.callback())).map_err(HandlerError::failed)?;
    Err(HandlerError::working(SystemTime::now() + Duration::from_secs(600)))
}

/// A coordinator, the bank, and its partner's desk.
struct Stage {
    dir: tempfile::TempDir,
    dev: Coordinator,
    handed: Receiver<(String, String)>,
    agent: ureq::Agent,
    _runtime: Runtime,
}

fn stage() -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let (hand, handed) = channel();
    let bank = bank(&hand);
    std::fs::create_dir_all(dir.path().join("definitions/contracts")).unwrap();
    std::fs::write(dir.path().join("definitions/payout.yaml"), DEFINITION).unwrap();
    std::fs::write(dir.path().join("definitions/contracts/bank.yaml"), bank.contract().unwrap()).unwrap();
    let dev = Coordinator::dev(dir.path(), &["--partitions", "2"]);
    let config = Config {
        log: sagaline_log::connect(&dev.log, &Default::default()).unwrap(),
        store: Store::Local(Box::new(MemoryRows::new())),
        prefix: String::new(),
        instance: "1".to_owned(),
        in_flight: 8,
        retention: Duration::from_secs(86_400),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(bank.run_until(config, std::future::pending()));
    let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
    Stage { dir, dev, handed, agent, _runtime: runtime }
}

impl Stage {
    fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn start(&self, key: &str) {
        self.dev.json(self.dir(), &["start", "payout", key, r#"{"id": "P", "amount": 5}"#]);
    }

    /// What the partner gets next.
    fn token(&self, operation: &str) -> String {
        let (handed, token) = self.handed.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(handed, operation);
        token
    }

    fn call_back(&self, token: &str, said: &Json) -> (u16, Json) {
        let mut answer = self.agent.post(format!("{}/v1/callbacks/{token}", self.dev.api)).send_json(said).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
    }

    fn noted(&self, token: &str, said: &Json) {
        let (status, answer) = self.call_back(token, said);
        assert!(status == 202 && answer["offset"].is_i64(), "{status} {answer}");
    }

    fn shown(&self, key: &str) -> Json {
        self.dev.json(self.dir(), &["show", &format!("payout/{key}")])
    }

    fn wait_for_status(&self, key: &str, status: &str) {
        wait_until(|| self.shown(key)["saga"]["status"] == status);
    }
}

fn succeeded(reference: &str) -> Json {
    json!({ "succeeded": { "reference": reference } })
}

#[test]
fn a_callback_ends_the_step_and_a_second_one_changes_nothing() {
    let stage = stage();
    stage.start("P-1");
    let transfer = stage.token("transfer");
    stage.noted(&transfer, &succeeded("first"));
    stage.noted(&stage.token("book"), &succeeded("booked"));
    stage.wait_for_status("P-1", "completed");
    let before = stage.shown("P-1");
    stage.noted(&transfer, &succeeded("second"));
    stage.noted(&transfer, &json!({ "failed": { "error": "we lost it" } }));
    folded_behind(&stage, &transfer);
    let after = stage.shown("P-1");
    assert_eq!((&after["saga"]["report"], &after["history"]), (&before["saga"]["report"], &before["history"]));
    assert_eq!(after["saga"]["report"]["effects"][0]["detail"], json!({ "reference": "first" }), "{after}");
    assert_eq!(parked(&stage), Vec::<Json>::new());
}

#[test]
fn a_forged_token_is_set_aside_and_the_true_one_still_counts() {
    let stage = stage();
    stage.start("P-1");
    let token = stage.token("transfer");
    let mut forged: Callback = token.parse().unwrap();
    forged.token = Token([0; 16]);
    stage.noted(&forged.to_string(), &succeeded("forged"));
    wait_until(|| parked(&stage).len() == 1);
    assert_eq!(parked(&stage)[0]["reason"], "Unproven");
    assert_eq!(stage.shown("P-1")["saga"]["status"], "running");
    stage.noted(&token, &succeeded("true"));
    stage.token("book");
    // A command leaves before what decided it is committed, and so to be seen.
    wait_until(|| stage.shown("P-1")["saga"]["report"]["effects"][0]["detail"] == json!({ "reference": "true" }));
}

#[test]
fn a_partner_can_refuse_and_can_undo() {
    let stage = stage();
    stage.start("P-1");
    stage.noted(&stage.token("transfer"), &succeeded("sent"));
    stage.noted(&stage.token("book"), &json!({ "refused": { "code": "Closed", "detail": "on Sundays" } }));
    let recall = stage.token("recall");
    let (status, refused) = stage.call_back(&recall, &json!({ "refused": { "code": "Closed" } }));
    assert_eq!((status, &refused["error"]["message"]), (400, &json!("a compensation can't be refused")));
    stage.noted(&recall, &succeeded("back"));
    stage.wait_for_status("P-1", "compensated");
}

#[test]
fn what_is_no_callback_is_told_what_is_wrong() {
    let stage = stage();
    stage.start("P-1");
    let token = stage.token("transfer");
    let mut elsewhere: Callback = token.parse().unwrap();
    elsewhere.partition = 9;
    let bad = |token: &str, said: &Json| {
        let (status, answer) = stage.call_back(token, said);
        assert!(status == 400 && answer["error"]["help"].is_string(), "{status} {answer}");
        answer["error"]["message"].as_str().unwrap().to_owned()
    };
    let said = succeeded("x");
    assert_eq!(bad("hello", &said), "a callback token begins with sgl1.");
    assert_eq!(bad(&format!("{token}="), &said), "the callback token is not base64url without padding: is it whole?");
    let cut = bad(&token[.."sgl1.".len() + 8], &said);
    assert!(cut.starts_with("the callback token holds no address: is it whole?"), "{cut}");
    assert_eq!(bad(&elsewhere.to_string(), &said), "the callback token names partition 9 of 2");
    for said in
        [json!({}), json!({ "done": 1 }), json!({ "refused": "Closed" }), json!({ "succeeded": 1, "failed": 2 })]
    {
        assert!(bad(&token, &said).starts_with("the body: "), "{said}");
    }
}

fn parked(stage: &Stage) -> Vec<Json> {
    stage.dev.json(stage.dir(), &["parked"])["parked"].as_array().unwrap().clone()
}

/// Waits until the fold of the token's partition has passed what lies there now.
fn folded_behind(stage: &Stage, token: &str) {
    let partition = u64::from(token.parse::<Callback>().unwrap().partition);
    let status = || -> Json {
        let mut answer = stage.agent.get(format!("{}/v1/status", stage.dev.api)).call().unwrap();
        answer.body_mut().read_json().unwrap()
    };
    let of = |status: &Json| -> (i64, i64) {
        let one = status["partitions"].as_array().unwrap().iter().find(|one| one["partition"] == partition).unwrap();
        (one["position"].as_i64().unwrap(), one["log_end"].as_i64().unwrap())
    };
    let (_, end) = of(&status());
    wait_until(|| of(&status()).0 >= end);
}
