//! The coordinator's side: commands to `payment` as it would send them, repeats and compensations among them, and the answers. And instances of the
//! participant as processes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sagaline_integration::kafka::{Broker, unique};
use sagaline_integration::process::{Process, wait_until};
use sagaline_integration::tables::{Payments, count};
use sagaline_integration::topic::append_all;
use sagaline_log::kafka::KafkaLog;
use sagaline_log::{Log, NewTopic, Producer, Reader};
use sagaline_schemas::command::{Command, Known, KnownOutcome, KnownUnknown};
use sagaline_schemas::proof::{open, write_single_object};
use sagaline_schemas::record::{Address, Answer, Body, Kind};
use sagaline_schemas::schema::{COMMAND, INBOX};
use sagaline_schemas::{SagaId, Token, hash};
use sagaline_test_postgres::{Server, schema};
use serde_json::Value;
use tempfile::TempDir;

/// Of the command topic.
pub const PARTITIONS: usize = 4;
/// One saga in so many goes back.
const UNDONE: usize = 3;
const PATIENCE: Duration = Duration::from_secs(180);

pub struct Bank {
    dir: TempDir,
    prefix: String,
    /// The effect store's in PostgreSQL.
    pub schema: String,
    producer: Box<dyn Producer>,
    inbox: Box<dyn Reader>,
    sagas: Vec<Saga>,
    commands: usize,
    answers: usize,
    /// By saga and kind: an answer that is final came.
    answered: BTreeMap<(SagaId, bool), usize>,
}

struct Saga {
    id: SagaId,
    undone: bool,
}

impl Bank {
    pub fn open() -> Result<Self> {
        let prefix = format!("{}.", unique("instances"));
        let log = KafkaLog::connect(Broker::shared().bootstrap(), &BTreeMap::new())?;
        for (name, partitions) in [("commands.payment", PARTITIONS as u32), ("inbox", 1)] {
            let name = format!("{prefix}{name}");
            log.create_topic(&NewTopic { name, partitions, replicas: 1, settings: vec![] })?;
        }
        Ok(Self {
            dir: TempDir::with_prefix("sagaline-instances-")?,
            schema: schema(),
            producer: log.producer()?,
            inbox: log.reader(&format!("{prefix}inbox"), 0, 0)?,
            prefix,
            sagas: Vec::new(),
            commands: 0,
            answers: 0,
            answered: BTreeMap::new(),
        })
    }

    /// A command line for PostgreSQL, where the instance is known by its name.
    pub fn on_postgres(&self, more: &str) -> String {
        self.on(Server::shared(), more)
    }

    /// A command line for this PostgreSQL.
    pub fn on(&self, server: &Server, more: &str) -> String {
        format!("--postgres {} --postgres-schema {} {more}", server.url(), self.schema)
    }

    /// A command line for an effect store on local disk. The ledger is one for all.
    pub fn on_disk(&self, data: &str) -> String {
        format!("--data {data} --ledger payment.jsonl")
    }

    pub fn sagas(&self) -> usize {
        self.sagas.len()
    }

    pub fn commands(&self) -> usize {
        self.commands
    }

    pub fn answers(&self) -> usize {
        self.answers
    }

    /// So many more sagas. Each charge comes twice, as two owners of a partition would send it; some sagas go back, and each refund comes twice.
    pub fn send(&mut self, sagas: usize) -> Result<()> {
        let first = self.sagas.len();
        let mut commands = Vec::new();
        for number in first..first + sagas {
            let undone = number.is_multiple_of(UNDONE);
            let saga = Saga { id: saga_id(number), undone };
            commands.extend([self.command(number, Kind::Do, 1), self.command(number, Kind::Do, 1)]);
            if undone {
                commands.extend([self.command(number, Kind::Compensate, 1), self.command(number, Kind::Compensate, 2)]);
            }
            self.sagas.push(saga);
        }
        self.append(&commands)
    }

    /// So many more sagas, one charge each.
    pub fn send_plain(&mut self, sagas: usize) -> Result<()> {
        let first = self.sagas.len();
        let numbers = first..first + sagas;
        self.sagas.extend(numbers.clone().map(|number| Saga { id: saga_id(number), undone: false }));
        let commands: Vec<Command> = numbers.map(|number| self.command(number, Kind::Do, 1)).collect();
        self.append(&commands)
    }

    fn append(&mut self, commands: &[Command]) -> Result<()> {
        let topic = format!("{}commands.payment", self.prefix);
        let values: Vec<(u32, Vec<u8>)> = commands
            .iter()
            .map(|command| {
                let partition = u32::from(command.address.saga.as_bytes()[15]) % PARTITIONS as u32;
                (partition, write_single_object(COMMAND.fingerprint, command))
            })
            .collect();
        let values = values.iter().map(|(partition, value)| (*partition, value.as_slice()));
        append_all(self.producer.as_mut(), &topic, values)?;
        self.commands += commands.len();
        Ok(())
    }

    fn command(&self, number: usize, kind: Kind, attempt: u32) -> Command {
        let saga = saga_id(number);
        let address = Address { saga, step: "charge".into(), items: vec![], round: 0, kind, attempt };
        let operation = if kind == Kind::Compensate { "refund" } else { "charge" };
        let input = format!(
            r#"{{"account":"account-{}","amount":{},"currency":"EUR","simulate":null}}"#,
            number % 7,
            amount(number)
        );
        let known = (kind == Kind::Compensate).then_some(Known { outcome: KnownOutcome::Unknown(KnownUnknown {}) });
        Command {
            command_id: hash::addressed_command(&address),
            effect_id: hash::effect_id(saga, &address.step, &[], 0),
            token: Token([7; 16]),
            content: hash::content(operation, input.as_bytes()),
            operation: operation.into(),
            input: input.as_str().into(),
            known,
            decided: 1_000,
            first: if kind == Kind::Compensate { 2_000 } else { 1_000 },
            deadline: 60_000,
            reply_topic: format!("{}inbox", self.prefix),
            reply_partition: 0,
            saga: format!("order/{number}"),
            traceparent: None,
            address,
        }
    }

    /// Reads what answers there are.
    fn look(&mut self) -> Result<()> {
        let mut fetched = Vec::new();
        self.inbox.poll(10_000, Duration::from_millis(20), &mut fetched)?;
        for fetched in fetched {
            let Body::Reply(reply) = open(INBOX.fingerprint, &fetched.record.value)?.inbox.body else {
                anyhow::bail!("a participant wrote something else than a reply");
            };
            self.answers += 1;
            let undone = match reply.answer {
                Answer::Succeeded(_) => false,
                Answer::Compensated(_) | Answer::NothingThere(_) => true,
                // What was cut off comes again; a charge behind its refund is only marked.
                Answer::Failed(_) | Answer::Mark(_) => continue,
                other @ (Answer::Refused(_) | Answer::Working(_) | Answer::Probed(_)) => {
                    anyhow::bail!("unexpected: {other:?}")
                }
            };
            *self.answered.entry((reply.address.saga, undone)).or_default() += 1;
        }
        Ok(())
    }

    fn is_answered(&self, saga: &Saga) -> bool {
        self.answered.contains_key(&(saga.id, false)) && (!saga.undone || self.answered.contains_key(&(saga.id, true)))
    }

    /// Waits until every command has an answer that is final.
    pub fn wait_answered(&mut self) -> Result<()> {
        let mut open = 0;
        wait_until("an answer to every command", PATIENCE, || {
            self.look()?;
            while open < self.sagas.len() && self.is_answered(&self.sagas[open]) {
                open += 1;
            }
            Ok((open == self.sagas.len()).then_some(()))
        })
        .with_context(|| format!("{open} of {} sagas are answered", self.sagas.len()))
    }

    pub fn wait_some_answered(&mut self) -> Result<()> {
        wait_until("the first answers", PATIENCE, || {
            self.look()?;
            Ok((self.answers > 0).then_some(()))
        })
    }

    /// What the ledger file of a participant on local disk says.
    pub fn ledger(&self) -> Result<Payments> {
        let mut payments = Payments::new();
        for line in std::fs::read_to_string(self.dir.path().join("payment.jsonl"))?.lines() {
            let line: Value = serde_json::from_str(line)?;
            let effect = line["effect_id"].as_str().context("a line names its effect")?;
            count(&mut payments, effect, line["what"].as_str().unwrap_or_default());
        }
        Ok(payments)
    }

    /// Where the business is not as the commands say.
    pub fn differences(&self, payments: &Payments) -> Vec<String> {
        let mut wrong = Vec::new();
        for saga in &self.sagas {
            let effect = hash::effect_id(saga.id, "charge", &[], 0).to_string();
            let (charged, refunded) = payments.get(&effect).copied().unwrap_or_default();
            if (charged, refunded) != (1, usize::from(saga.undone)) {
                wrong.push(format!(
                    "{effect}: charged {charged} times, refunded {refunded} times, undone: {}",
                    saga.undone
                ));
            }
        }
        if payments.len() > self.sagas.len() {
            wrong.push(format!("{} effects, {} were asked for", payments.len(), self.sagas.len()));
        }
        wrong
    }
}

fn amount(number: usize) -> usize {
    1 + number % 50
}

fn saga_id(number: usize) -> SagaId {
    SagaId::from_bytes((number as u128 + 1).to_be_bytes())
}

/// One instance of the participant.
pub struct Instance {
    /// Its name in the group, and in the database.
    pub name: &'static str,
    words: String,
    process: Process,
}

impl Instance {
    pub fn new(bank: &Bank, name: &'static str) -> Result<Self> {
        let words = format!(
            "--log kafka://{} --prefix {} --instance {name} --json --balance 1000000000",
            Broker::shared().bootstrap(),
            bank.prefix
        );
        let process = Process::new(&format!("payment-{name}"), "sagaline-payment", bank.dir.path())?;
        Ok(Self { name, words, process })
    }

    /// In the group it goes by this name.
    #[must_use]
    pub fn called(mut self, name: &str) -> Self {
        self.words = self.words.replacen(&format!("--instance {}", self.name), &format!("--instance {name}"), 1);
        self
    }

    pub fn start(&mut self, more: &str) -> Result<()> {
        let named = more.replacen("user=postgres", &format!("user=postgres&application_name={}", self.name), 1);
        let words = format!("{} {named}", self.words);
        self.process.start(&words.split_whitespace().collect::<Vec<_>>(), None)
    }

    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    pub fn stop(&mut self) -> Result<()> {
        self.process.stop()
    }

    pub fn stall(&self) -> Result<()> {
        self.process.stall()
    }

    pub fn wake(&self) -> Result<()> {
        self.process.wake()
    }

    pub fn log(&self) -> Result<String> {
        self.process.log()
    }

    /// What it has said in this life, line by line; the last one may still be being written.
    fn lines(&self) -> Result<Vec<Value>> {
        Ok(self.log()?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// How many partitions it had when it last spoke of them.
    pub fn holds(&self) -> Result<Option<usize>> {
        let lines = self.lines()?;
        let assigned = lines.iter().rev().find(|line| line["fields"]["message"] == "assigned");
        Ok(assigned.and_then(|line| line["fields"]["held"].as_u64()).and_then(|held| usize::try_from(held).ok()))
    }

    /// Transactions that the server ended while it was stalled.
    pub fn transactions_lost(&self) -> Result<usize> {
        let lost = |line: &&Value| {
            let said = line["fields"]["message"].as_str().unwrap_or_default();
            said.starts_with("the transaction is gone") || said.starts_with("tried again")
        };
        Ok(self.lines()?.iter().filter(lost).count())
    }

    /// Whether it runs still.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.process.ended()?.is_none())
    }

    /// Waits until it ends by itself, and gives what it said.
    pub fn wait_refusal(&mut self) -> Result<String> {
        let what = format!("the refusal of instance {}", self.name);
        let status = wait_until(&what, PATIENCE, || self.process.ended())?;
        ensure!(status.code() == Some(1), "it ended with {status}");
        self.log()
    }
}
