//! Answers on their way into inboxes. One that was not acknowledged is sent again; a command counts as answered only by its acknowledgement.
//! After a failure nothing new is sent until what is in flight has come back: then the failed ones go first, in order.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use sagaline_log::{Acknowledgement, LogError, Producer, Record, Ticket};
use sagaline_schemas::command::FIRST_ATTEMPT_BESIDE;
use sagaline_schemas::proof::unsealed;
use sagaline_schemas::record::{Answer, Body, Compensated, Failed, Refused, Reply};
use sagaline_schemas::schema::INBOX;

use super::prefix::Place;

/// An answer and where it goes.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The inbox topic.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// The answer.
    pub reply: Reply,
    /// W3C trace context of the command.
    pub traceparent: Option<String>,
    /// The command that it answers for good; none: it says that the work goes on.
    pub answers: Option<Place>,
}

/// Appends answers until the log has them.
pub struct Replies {
    producer: Box<dyn Producer>,
    waiting: VecDeque<Outgoing>,
    flying: BTreeMap<Ticket, Outgoing>,
    failed: BTreeMap<Ticket, Outgoing>,
    next: Ticket,
    backoff: Duration,
    resend_at: Option<Instant>,
}

const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// Bytes of a refusal's or a failure's words that every inbox takes.
const FEW: usize = 1024;

impl Replies {
    /// Over this producer.
    pub fn new(producer: Box<dyn Producer>) -> Self {
        Self {
            producer,
            waiting: VecDeque::new(),
            flying: BTreeMap::new(),
            failed: BTreeMap::new(),
            next: 0,
            backoff: FIRST_BACKOFF,
            resend_at: None,
        }
    }

    /// An answer is to be sent.
    pub fn push(&mut self, outgoing: Outgoing) {
        self.waiting.push_back(outgoing);
    }

    /// Answers without an acknowledgement.
    pub fn pending(&self) -> usize {
        self.waiting.len() + self.flying.len() + self.failed.len()
    }

    /// Sends what may be sent and collects acknowledgements. Tells the commands that are answered for good.
    pub fn work(&mut self, now: Instant) -> Vec<Place> {
        let mut answered = Vec::new();
        self.begin_run(now);
        while self.resend_at.is_none() {
            let Some(outgoing) = self.waiting.pop_front() else { break };
            self.append(now, outgoing, &mut answered);
        }
        if !self.flying.is_empty() {
            let mut acknowledgements = Vec::new();
            self.producer.poll(Duration::ZERO, &mut acknowledgements);
            for acknowledgement in acknowledgements {
                self.acknowledge(now, acknowledgement, &mut answered);
            }
        }
        answered
    }

    /// A run begins when nothing is in flight and its time has come.
    fn begin_run(&mut self, now: Instant) {
        if self.flying.is_empty() && self.resend_at.is_some_and(|at| at <= now) {
            self.resend_at = None;
            while let Some((_, outgoing)) = self.failed.pop_last() {
                self.waiting.push_front(outgoing);
            }
        }
    }

    fn append(&mut self, now: Instant, outgoing: Outgoing, answered: &mut Vec<Place>) {
        let ticket = self.next;
        self.next += 1;
        match self.producer.append(&outgoing.topic, outgoing.partition, &record(&outgoing), ticket) {
            Ok(()) => drop(self.flying.insert(ticket, outgoing)),
            Err(error) => self.fail(now, ticket, outgoing, &error, answered),
        }
    }

    fn acknowledge(&mut self, now: Instant, acknowledgement: Acknowledgement, answered: &mut Vec<Place>) {
        let Some(outgoing) = self.flying.remove(&acknowledgement.ticket) else { return };
        match acknowledgement.outcome {
            Ok(_) => {
                self.backoff = FIRST_BACKOFF;
                answered.extend(outgoing.answers);
            }
            Err(error) => self.fail(now, acknowledgement.ticket, outgoing, &error, answered),
        }
    }

    /// What can never be sent is given up, openly: the effect store keeps the outcome, and the saga's next attempt asks for it again.
    fn fail(&mut self, now: Instant, ticket: Ticket, outgoing: Outgoing, error: &LogError, answered: &mut Vec<Place>) {
        let (topic, partition) = (&outgoing.topic, outgoing.partition);
        match error {
            LogError::TooLarge { .. } if let Some(answer) = smaller(&outgoing.reply.answer, error) => {
                tracing::error!(%error, topic, partition, "the answer is too large: what is left is said");
                let reply = Reply { answer, ..outgoing.reply };
                self.waiting.push_front(Outgoing { reply, ..outgoing });
            }
            LogError::TooLarge { .. } | LogError::NoTopic { .. } => {
                tracing::error!(%error, topic, partition, "the answer can't be sent and is given up; it is given again when asked for");
                answered.extend(outgoing.answers);
            }
            // Who asks beside the log asks again, and its topic is another one than the sagas': what must not be written there must hold up nothing.
            LogError::Forbidden { .. } if outgoing.reply.address.attempt >= FIRST_ATTEMPT_BESIDE => {
                tracing::error!(%error, topic, partition, "the answer to a question beside the log is given up");
                answered.extend(outgoing.answers);
            }
            LogError::Unreachable { .. }
            | LogError::TopicExists { .. }
            | LogError::OutOfRange { .. }
            | LogError::Rewritten { .. }
            | LogError::Forbidden { .. }
            | LogError::OutcomeUnknown { .. }
            | LogError::Corrupt { .. }
            | LogError::InUse { .. }
            | LogError::Io { .. }
            | LogError::QueueFull { .. }
            | LogError::Address { .. } => {
                tracing::warn!(%error, topic, partition, "the answer is sent again");
                self.failed.insert(ticket, outgoing);
                if self.resend_at.is_none() {
                    self.resend_at = Some(now + self.backoff);
                    self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
                }
            }
        }
    }
}

/// What can be said in less: a refusal and a failure in fewer words, a compensation without its result, and of everything else that it is too large. None: less there is not.
fn smaller(answer: &Answer, error: &LogError) -> Option<Answer> {
    match answer {
        Answer::Refused(Refused { code, detail }) if detail.len() > FEW => {
            Some(Answer::Refused(Refused { code: code.clone(), detail: fewer(detail) }))
        }
        Answer::Failed(failed) if failed.error.len() > FEW => {
            Some(Answer::Failed(Failed { error: fewer(&failed.error), ..failed.clone() }))
        }
        Answer::Failed(_) => None,
        // That it is undone says all that matters.
        Answer::Compensated(Compensated { result: Some(_) }) => Some(Answer::Compensated(Compensated { result: None })),
        Answer::Succeeded(_)
        | Answer::Refused(_)
        | Answer::Working(_)
        | Answer::Compensated(_)
        | Answer::NothingThere(_)
        | Answer::Probed(_)
        | Answer::Mark(_) => {
            Some(Answer::Failed(Failed { error: error.to_string(), retry_after: None, outage: false }))
        }
    }
}

/// At most `FEW` bytes of them, so that it is not asked for less again.
fn fewer(words: &str) -> String {
    const CUT: &str = "...";
    format!("{}{CUT}", &words[..words.floor_char_boundary(FEW - CUT.len())])
}

fn record(outgoing: &Outgoing) -> Record {
    let trace = outgoing.traceparent.iter().map(|trace| ("traceparent".to_owned(), trace.clone().into_bytes()));
    Record {
        key: outgoing.reply.address.saga.as_bytes().to_vec(),
        value: unsealed(INBOX.fingerprint, &Body::Reply(outgoing.reply.clone())),
        headers: trace.collect(),
    }
}

#[cfg(test)]
mod tests;
