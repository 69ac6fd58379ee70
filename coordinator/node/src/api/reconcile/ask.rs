//! Asking beside the fold: questions into the command topics, answers out of the topic `reconcile`. Whoever may write there may write anything:
//! an answer counts once, for a question that is open, by the token that the question carried. All else is counted and passed over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sagaline_log::{Log, LogError, Producer, Reader, Record};
use sagaline_partition::channel_of_commands;
use sagaline_schemas::proof::{self, write_single_object};
use sagaline_schemas::record::{Answer, Body, Happened, Probed, Reply};
use sagaline_schemas::{CommandId, Token, Value, hash, schema};

use super::super::model::Ignored;
use super::pick::Picked;
use crate::{Names, sealed};

/// One look at the topic.
const LOOK: Duration = Duration::from_millis(20);
/// Answers read at once.
const AT_ONCE: usize = 500;
/// Longest time for a page, however the answers trickle in.
const LONGEST: Duration = Duration::from_secs(60);
/// Most bytes of what a probe found; and of what a participant says for people.
const MOST_FOUND: usize = 64 << 10;
const MOST_SAID: usize = 500;

/// What became of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The participant has looked.
    Probed { happened: Happened, found: Option<Value> },
    /// It has not, or not said so in time.
    Nothing { why: Option<String> },
}

/// Asks all at once, and waits until no answer has come for `patience`. Gives what became of each, in order.
pub fn ask(
    log: &dyn Log,
    names: &Names,
    topic: &str,
    picked: &[Picked],
    patience: Duration,
    stopping: &dyn Fn() -> bool,
) -> Result<(Vec<Said>, Ignored), LogError> {
    let mut answers = Answers::to(picked);
    if picked.is_empty() {
        return Ok((answers.said, answers.ignored));
    }
    // From here on: an answer that lies there already answers nothing that is asked now.
    let mut reader = log.reader(topic, 0, sealed::bounds(log, topic, 0)?.1)?;
    let mut producer = log.producer()?;
    for (ticket, picked) in (0..).zip(picked) {
        if let Err(error) = send(producer.as_mut(), names, picked, ticket) {
            answers.unsent(ticket, &error);
        }
    }
    answers.collect(producer.as_mut(), reader.as_mut(), patience, stopping)?;
    Ok((answers.said, answers.ignored))
}

fn send(producer: &mut dyn Producer, names: &Names, picked: &Picked, ticket: u64) -> Result<(), LogError> {
    let question = &picked.question;
    let topic = names.of_channel(&channel_of_commands(&question.participant));
    let record = Record {
        // As the saga's own commands: those of one saga keep their order.
        key: question.command.address.saga.as_bytes().to_vec(),
        value: write_single_object(schema::COMMAND.fingerprint, &question.command),
        headers: Vec::new(),
    };
    producer.append(&topic, question.partition, &record, ticket)
}

struct Answers {
    said: Vec<Said>,
    /// Questions without an answer: the place in `said`, and the token that an answer must return.
    open: BTreeMap<CommandId, (usize, Token)>,
    commands: Vec<CommandId>,
    ignored: Ignored,
}

impl Answers {
    fn to(picked: &[Picked]) -> Self {
        let commands: Vec<CommandId> = picked.iter().map(|picked| picked.question.command.command_id).collect();
        let tokens = picked.iter().map(|picked| picked.question.command.token);
        let open = commands.iter().copied().zip((0..).zip(tokens)).collect();
        Self { said: vec![Said::Nothing { why: None }; picked.len()], open, commands, ignored: Ignored::default() }
    }

    /// The question can't be asked.
    fn unsent(&mut self, ticket: u64, error: &LogError) {
        let place = usize::try_from(ticket).ok().and_then(|at| Some((at, *self.commands.get(at)?)));
        if let Some((at, command)) = place
            && self.open.remove(&command).is_some()
        {
            self.said[at] = Said::Nothing { why: Some(format!("it could not be asked: {error}")) };
        }
    }

    fn collect(
        &mut self,
        producer: &mut dyn Producer,
        reader: &mut dyn Reader,
        patience: Duration,
        stopping: &dyn Fn() -> bool,
    ) -> Result<(), LogError> {
        let began = Instant::now();
        let mut last = began;
        let (mut acknowledged, mut records) = (Vec::new(), Vec::new());
        while !self.open.is_empty() && last.elapsed() < patience && began.elapsed() < LONGEST && !stopping() {
            producer.poll(Duration::ZERO, &mut acknowledged);
            for acknowledgement in acknowledged.drain(..) {
                if let Err(error) = acknowledgement.outcome {
                    self.unsent(acknowledgement.ticket, &error);
                }
            }
            reader.poll(AT_ONCE, LOOK, &mut records)?;
            for fetched in records.drain(..) {
                if self.take(&fetched.record.value) {
                    last = Instant::now();
                }
            }
        }
        Ok(())
    }

    /// Whether it answers a question.
    fn take(&mut self, value: &[u8]) -> bool {
        let Ok(proof::Opened { inbox, .. }) = proof::open(schema::INBOX.fingerprint, value) else {
            self.ignored.unreadable += 1;
            return false;
        };
        let Body::Reply(Reply { address, token, answer, .. }) = inbox.body else {
            self.ignored.unreadable += 1;
            return false;
        };
        let command = hash::addressed_command(&address);
        let Some((at, expected)) = self.open.get(&command).copied() else {
            self.ignored.not_awaited += 1;
            return false;
        };
        if token != expected {
            self.ignored.unproven += 1;
            return false;
        }
        let said = match answer {
            Answer::Probed(probed) => said(probed),
            Answer::Failed(failed) => Some(Said::Nothing { why: Some(shortened(failed.error)) }),
            Answer::Working(_) => {
                self.said[at] = Said::Nothing { why: Some("it says that it is looking".to_owned()) };
                return true;
            }
            Answer::Succeeded(_)
            | Answer::Refused(_)
            | Answer::Compensated(_)
            | Answer::NothingThere(_)
            | Answer::Mark(_) => None,
        };
        let Some(said) = said else {
            self.ignored.unfit += 1;
            return false;
        };
        self.said[at] = said;
        self.open.remove(&command);
        true
    }
}

/// None: what it says that it found is no JSON, or too much.
fn said(probed: Probed) -> Option<Said> {
    let found = match probed.found {
        None => None,
        Some(found) if found.len() > MOST_FOUND => return None,
        Some(found) => Some(Value::parse(&found).ok()?),
    };
    Some(Said::Probed { happened: probed.happened, found })
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MOST_SAID) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}
