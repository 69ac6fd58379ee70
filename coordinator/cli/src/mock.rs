//! `dev --mock P`: answers P's commands from its contract, so that a definition can be tried before any service exists. It remembers nothing:
//! an effect's answer is a function of its id and input, so a repeat gets the same.

mod plausible;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use sagaline_definition::Contract;
use sagaline_log::{Fetched, GroupEvent, GroupReader, Log, LogError, Producer, Record};
use sagaline_node::Names;
use sagaline_schemas::command::Command;
use sagaline_schemas::proof::{open_command, unsealed};
use sagaline_schemas::record::{Answer, Body, Compensated, Failed, Happened, Kind, Probed, Refused, Reply, Succeeded};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Value, schema};

/// Commands asked for at once, and how long one look may take.
const AT_ONCE: usize = 200;
const LOOK: Duration = Duration::from_millis(100);

/// A mocked participant; ends when dropped.
pub struct Mock {
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Mock {
    /// Begins to answer.
    ///
    /// # Errors
    /// When the log can't be read or written.
    pub fn start(log: Arc<dyn Log>, names: &Names, contract: Contract) -> Result<Self, LogError> {
        let topic = names.of_channel(&format!("commands.{}", contract.participant));
        let group = names.of_channel(&format!("mock.{}", contract.participant));
        let reader = log.join(&group, "mock", &[topic])?;
        let producer = log.producer()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let answering =
            Answering { log, reader, producer, contract, ends: BTreeMap::new(), stopped: Arc::clone(&stopped) };
        let name = format!("mock-{}", answering.contract.participant);
        let thread = Builder::new().name(name.clone()).spawn(move || answering.run());
        let thread = thread.map_err(|error| LogError::Io { place: name, detail: error.to_string() })?;
        Ok(Self { stopped, thread: Some(thread) })
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a mock's thread panicked");
        }
    }
}

struct Answering {
    log: Arc<dyn Log>,
    reader: Box<dyn GroupReader>,
    producer: Box<dyn Producer>,
    contract: Contract,
    /// Per partition: the offset behind the last command read.
    ends: BTreeMap<(Arc<str>, u32), i64>,
    stopped: Arc<AtomicBool>,
}

impl Answering {
    fn run(mut self) {
        while !self.stopped.load(Ordering::Acquire) {
            if let Err(error) = self.turn() {
                tracing::warn!(participant = self.contract.participant, %error, "the mock goes on");
            }
        }
    }

    fn turn(&mut self) -> Result<(), LogError> {
        let mut events = Vec::new();
        self.reader.poll(AT_ONCE, LOOK, &mut events)?;
        for event in events {
            if let GroupEvent::Record(record) = event {
                self.ends.insert((Arc::clone(&record.topic), record.partition), record.offset + 1);
                self.answer(&record)?;
            }
        }
        self.settle()
    }

    fn answer(&mut self, record: &Fetched) -> Result<(), LogError> {
        let command = match open_command(&record.record.value) {
            Ok(command) => command,
            Err(error) => {
                tracing::warn!(offset = record.offset, %error, "the mock passes over what is no command");
                return Ok(());
            }
        };
        let body = Body::Reply(Reply {
            address: command.address.clone(),
            token: command.token,
            answer: answer(&self.contract, &command),
            instance: "mock".to_owned(),
            time: self.log.wall_clock(),
        });
        let reply = Record { key: Vec::new(), value: unsealed(schema::INBOX.fingerprint, &body), headers: Vec::new() };
        self.producer.append(&command.reply_topic, command.reply_partition, &reply, 0)
    }

    /// Replies are durable before their commands are dealt with.
    fn settle(&mut self) -> Result<(), LogError> {
        let mut answers = Vec::new();
        while self.producer.in_flight() > 0 && !self.stopped.load(Ordering::Acquire) {
            self.producer.poll(LOOK, &mut answers);
        }
        for answer in answers {
            answer.outcome?;
        }
        for ((topic, partition), end) in std::mem::take(&mut self.ends) {
            self.reader.commit(&topic, partition, end)?;
        }
        Ok(())
    }
}

fn answer(contract: &Contract, command: &Command) -> Answer {
    let failed = |error: String| Answer::Failed(Failed { error, retry_after: None, outage: false });
    let Some(operation) = contract.operations.get(&command.operation) else {
        return failed(format!("the contract of {} has no operation {}", contract.participant, command.operation));
    };
    let input = match Value::parse(&command.input) {
        Ok(input) => input,
        Err(error) => return failed(format!("the input is no JSON: {error}")),
    };
    let wanted = contract.type_of(&operation.input);
    if let (Kind::Do | Kind::Ask, Some(Err(mismatch))) =
        (command.address.kind, wanted.map(|wanted| wanted.check(&input)))
    {
        return Answer::Refused(Refused { code: "BadInput".to_owned(), detail: mismatch.to_string() });
    }
    let output = operation.output.as_ref().and_then(|name| contract.type_of(name));
    let result = output.map_or(Value::Null, |output| plausible::value(&output, &input, command.effect_id));
    let result = Bytes(result.to_json());
    match command.address.kind {
        Kind::Do | Kind::Ask => Answer::Succeeded(Succeeded { result }),
        Kind::Compensate => Answer::Compensated(Compensated { result: Some(result) }),
        Kind::Probe => {
            let found = Some(result.clone());
            Answer::Probed(Probed { happened: Happened::Yes, result: Some(result), found })
        }
    }
}
