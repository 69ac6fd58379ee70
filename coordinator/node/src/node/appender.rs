//! One producer for everything that people ask: its thread hands records over and tells each asker what became of it.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sagaline_log::{LogError, Producer, Record, Ticket};
use sagaline_schemas::{Offset, Partition};

/// How long an asker waits.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the log is waited for while others may come and ask.
const POLL: Duration = Duration::from_millis(1);

type Outcome = Result<Offset, LogError>;

struct Errand {
    topic: String,
    partition: Partition,
    record: Record,
    asker: Sender<Outcome>,
}

/// Appends for others. Dropped: what is under way is waited for, then the thread ends.
pub struct Appender {
    errands: Option<Sender<Errand>>,
    thread: Option<JoinHandle<()>>,
}

impl Appender {
    pub fn start(producer: Box<dyn Producer>) -> std::io::Result<Self> {
        let (errands, waiting) = channel();
        let thread = thread::Builder::new().name("appender".to_owned()).spawn(move || run(producer, &waiting))?;
        Ok(Self { errands: Some(errands), thread: Some(thread) })
    }

    pub fn append(&self, topic: &str, partition: Partition, record: Record) -> Outcome {
        let unknown = |detail: &str| LogError::OutcomeUnknown { detail: format!("{topic}/{partition}: {detail}") };
        let (asker, answer) = channel();
        let errand = Errand { topic: topic.to_owned(), partition, record, asker };
        let sent = self.errands.as_ref().is_some_and(|errands| errands.send(errand).is_ok());
        if !sent {
            return Err(unknown("the node is being stopped"));
        }
        answer.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(unknown("no answer within 30 s")))
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.errands = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the appender had panicked");
        }
    }
}

fn run(mut producer: Box<dyn Producer>, errands: &Receiver<Errand>) {
    let mut askers: BTreeMap<Ticket, Sender<Outcome>> = BTreeMap::new();
    let mut next: Ticket = 0;
    let mut answers = Vec::new();
    loop {
        match next_errand(errands, askers.is_empty()) {
            Ok(Some(errand)) => {
                match producer.append(&errand.topic, errand.partition, &errand.record, next) {
                    Ok(()) => drop(askers.insert(next, errand.asker)),
                    Err(error) => tell(&errand.asker, Err(error)),
                }
                next += 1;
                continue;
            }
            Ok(None) => {}
            Err(Gone) if askers.is_empty() => return,
            Err(Gone) => {}
        }
        producer.poll(POLL, &mut answers);
        for answer in answers.drain(..) {
            if let Some(asker) = askers.remove(&answer.ticket) {
                tell(&asker, answer.outcome);
            }
        }
    }
}

struct Gone;

/// With nothing under way the thread sleeps until somebody asks.
fn next_errand(errands: &Receiver<Errand>, idle: bool) -> Result<Option<Errand>, Gone> {
    if idle {
        return match errands.recv_timeout(Duration::from_secs(1)) {
            Ok(errand) => Ok(Some(errand)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Gone),
        };
    }
    match errands.try_recv() {
        Ok(errand) => Ok(Some(errand)),
        Err(TryRecvError::Empty) => Ok(None),
        Err(TryRecvError::Disconnected) => Err(Gone),
    }
}

fn tell(asker: &Sender<Outcome>, outcome: Outcome) {
    if asker.send(outcome).is_err() {
        tracing::debug!("who asked has not waited for the answer");
    }
}
