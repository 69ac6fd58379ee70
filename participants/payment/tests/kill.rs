//! The real binary over loopback, killed between effect and answer: its ledger is the witness. And the proof that the witness can see a double.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_log::embedded::EmbeddedLog;
use sagaline_log::loopback::{Server, serve};
use sagaline_log::{Log, NewTopic, Reader, Record};
use sagaline_schemas::command::Command;
use sagaline_schemas::proof::{open, write_single_object};
use sagaline_schemas::record::{Address, Answer, Body, Kind};
use sagaline_schemas::schema::{COMMAND, INBOX};
use sagaline_schemas::{SagaId, Token, hash};

const PATIENCE: Duration = Duration::from_secs(60);
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

fn charge(n: u8, attempt: u32, simulate: &str) -> Command {
    let saga = SagaId::from_bytes([n; 16]);
    let address = Address { saga, step: "charge".into(), items: vec![], round: 0, kind: Kind::Do, attempt };
    let input = format!(r#"{{"account":"a{n}","amount":{n},"currency":"EUR","simulate":"{simulate}"}}"#);
    Command {
        command_id: hash::addressed_command(&address),
        effect_id: hash::effect_id(saga, &address.step, &[], 0),
        token: Token([n; 16]),
        content: hash::content("charge", input.as_bytes()),
        operation: "charge".into(),
        input: input.as_str().into(),
        known: None,
        decided: 1_000,
        first: 1_000,
        deadline: 60_000,
        reply_topic: "inbox".into(),
        reply_partition: 0,
        saga: format!("order/{n}"),
        traceparent: None,
        address,
    }
}

/// The coordinator's side, and where the service keeps its things.
struct Bench {
    directory: tempfile::TempDir,
    server: Server,
    log: Arc<dyn Log>,
    inbox: Box<dyn Reader>,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(&directory.path().join("log")).unwrap());
        for name in ["commands.payment", "inbox"] {
            log.create_topic(&NewTopic { name: name.into(), partitions: 1, replicas: 1, settings: vec![] }).unwrap();
        }
        let server = serve(TcpListener::bind("127.0.0.1:0").unwrap(), Arc::clone(&log)).unwrap();
        let inbox = log.reader("inbox", 0, 0).unwrap();
        Self { directory, server, log, inbox }
    }

    fn send(&self, commands: &[Command]) {
        let mut producer = self.log.producer().unwrap();
        for (ticket, command) in (0..).zip(commands) {
            let value = write_single_object(COMMAND.fingerprint, command);
            producer.append("commands.payment", 0, &Record { value, ..Record::default() }, ticket).unwrap();
        }
        let mut acknowledged = Vec::new();
        while acknowledged.len() < commands.len() {
            producer.poll(Duration::from_millis(100), &mut acknowledged);
        }
        assert!(acknowledged.iter().all(|one| one.outcome.is_ok()), "{acknowledged:?}");
    }

    fn start(&self, more: &[&str]) -> Child {
        let path = |name: &str| self.directory.path().join(name);
        let mut process = Process::new(env!("CARGO_BIN_EXE_sagaline-payment"));
        process.arg("--log").arg(format!("loopback://{}", self.server.address()));
        process.arg("--data").arg(path("data")).arg("--ledger").arg(self.ledger());
        process.args(more).stderr(Stdio::null()).spawn().unwrap()
    }

    fn ledger(&self) -> PathBuf {
        self.directory.path().join("payment.jsonl")
    }

    /// Runs the service, again after each death, until that many answers have come. Tells them and how often it was killed.
    fn serve_until(&mut self, count: usize, more: &[&str]) -> (Vec<Answer>, usize) {
        let deadline = Instant::now() + PATIENCE;
        let (mut child, mut fetched, mut kills) = (self.start(more), Vec::new(), 0);
        while fetched.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} answers came, after {kills} deaths", fetched.len());
            self.inbox.poll(count - fetched.len(), Duration::from_millis(50), &mut fetched).unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                assert_eq!(status.signal(), Some(SIGKILL), "it died of something else: {status}");
                kills += 1;
                child = self.start(more);
            }
        }
        let mut status = stop(child);
        // What was sent twice may have killed it once more. Who has just been started may be asked to end before it listens.
        while status.signal() == Some(SIGKILL) {
            assert!(Instant::now() < deadline, "all answers came, but it can't be stopped: {kills} deaths");
            kills += 1;
            status = stop(self.start(more));
            if status.signal() == Some(SIGTERM) {
                status = std::process::ExitStatus::default();
            }
        }
        assert!(status.success(), "after SIGTERM: {status}");
        let answers = fetched.into_iter().map(|fetched| {
            match open(INBOX.fingerprint, &fetched.record.value).unwrap().inbox.body {
                Body::Reply(reply) => reply.answer,
                other => panic!("a participant wrote {other:?}"),
            }
        });
        (answers.collect(), kills)
    }

    /// How often each effect was charged.
    fn charged(&self) -> BTreeMap<String, usize> {
        let mut charged = BTreeMap::new();
        for line in std::fs::read_to_string(self.ledger()).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["what"], "charged");
            *charged.entry(line["saga"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        charged
    }
}

fn stop(mut child: Child) -> std::process::ExitStatus {
    let asked = Process::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    child.wait().unwrap()
}

fn all_succeeded(answers: &[Answer]) -> bool {
    answers.iter().all(|answer| matches!(answer, Answer::Succeeded(_)))
}

#[test]
fn killed_between_effect_and_answer_it_charges_once() {
    let mut bench = Bench::new();
    let commands: Vec<Command> = (1..=6).map(|n| charge(n, 1, if n % 2 == 0 { "charge=crash" } else { "" })).collect();
    bench.send(&commands);
    let (answers, kills) = bench.serve_until(6, &[]);
    assert!(all_succeeded(&answers), "{answers:?}");
    // Effects that run side by side may die together.
    assert!((1..=3).contains(&kills), "{kills}");
    assert_eq!(bench.charged().into_values().collect::<Vec<_>>(), [1; 6]);
}

#[test]
fn a_lost_answer_is_given_again_and_nothing_is_charged_again() {
    let mut bench = Bench::new();
    bench.send(&[
        charge(1, 1, "charge=lose-reply"),
        charge(1, 2, "charge=lose-reply"),
        charge(2, 1, "charge=fail:1"),
        charge(2, 2, "charge=fail:1"),
    ]);
    let (answers, _) = bench.serve_until(3, &[]);
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Answer::Failed(_))).count(), 1);
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Answer::Succeeded(_))).count(), 2);
    assert_eq!(bench.charged().into_values().collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn without_deduplication_the_ledger_shows_doubles() {
    let mut bench = Bench::new();
    bench.send(&[charge(1, 1, "charge=crash"), charge(2, 1, ""), charge(2, 1, "")]);
    let (_, kills) = bench.serve_until(3, &["--without-deduplication"]);
    assert_eq!(kills, 1);
    let charged = bench.charged();
    assert!(charged["order/1"] > 1 && charged["order/2"] > 1, "{charged:?}");
}
