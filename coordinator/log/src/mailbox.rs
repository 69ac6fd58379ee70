//! Where a log's own thread leaves acknowledgements for a producer to collect.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::{Acknowledgement, LogError, Ticket};

/// One producer's acknowledgements.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    waiting: Mutex<Vec<Acknowledgement>>,
    came: Condvar,
}

impl Mailbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn put(&self, acknowledgements: impl IntoIterator<Item = Acknowledgement>) {
        self.waiting.lock().expect("nothing panics with the mailbox in hand").extend(acknowledgements);
        self.came.notify_one();
    }

    /// Says of each append that nobody knows what became of it.
    pub(crate) fn put_unknown(&self, tickets: impl IntoIterator<Item = Ticket>, detail: &str) {
        let unknown =
            |ticket| Acknowledgement { ticket, outcome: Err(LogError::OutcomeUnknown { detail: detail.to_owned() }) };
        self.put(tickets.into_iter().map(unknown));
    }

    /// Moves what is there into `into`; waits at most `wait` for the first. How many came.
    pub(crate) fn collect(&self, wait: Duration, into: &mut Vec<Acknowledgement>) -> usize {
        let waiting = self.waiting.lock().expect("nothing panics with the mailbox in hand");
        let (mut waiting, _) = self
            .came
            .wait_timeout_while(waiting, wait, |waiting| waiting.is_empty())
            .expect("nothing panics with the mailbox in hand");
        let count = waiting.len();
        into.append(&mut waiting);
        count
    }
}
