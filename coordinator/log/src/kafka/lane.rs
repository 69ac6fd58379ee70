//! One partition on its way through a connection. librdkafka has no more than a few records of a partition under way with an idempotent client, and
//! looks at what is queued behind them without pause, on a core of its own, until they are answered. So what would have to wait there waits
//! here: it goes all at once when nothing is under way any more, which is when librdkafka would have sent it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode as Code;
use sagaline_schemas::Partition;

use super::connection::{Arrived, Errand, Outcomes};
use super::ffi::{self, Headers, Topic};
use super::native;
use crate::{LogError, Record};

/// So many records librdkafka takes for granted: it sends more while fewer are under way (`RD_KAFKA_IDEMP_MAX_INFLIGHT`).
const UNDER_WAY: usize = 5;

/// Whether any lane of a connection holds something: whoever sent it need not come back for it.
#[derive(Default)]
pub(super) struct Pressure {
    state: Mutex<Pressed>,
    changed: Condvar,
}

#[derive(Default)]
struct Pressed {
    held: usize,
    over: bool,
}

impl Pressure {
    fn state(&self) -> MutexGuard<'_, Pressed> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self) {
        let mut state = self.state();
        state.held += 1;
        if state.held == 1 {
            self.changed.notify_one();
        }
    }

    fn sub(&self, count: usize) {
        self.state().held -= count;
    }

    pub(super) fn is_some(&self) -> bool {
        self.state().held > 0
    }

    /// Until something is held. False: nothing ever will be.
    pub(super) fn wait(&self) -> bool {
        let waiting = self.changed.wait_while(self.state(), |state| state.held == 0 && !state.over);
        !waiting.unwrap_or_else(PoisonError::into_inner).over
    }

    pub(super) fn end(&self) {
        self.state().over = true;
        self.changed.notify_one();
    }
}

/// One partition of a connection.
pub(super) struct Lane {
    topic: Arc<Topic>,
    partition: Partition,
    pressure: Arc<Pressure>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Handed to librdkafka and not answered.
    under_way: usize,
    held: VecDeque<Held>,
}

struct Held {
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Headers,
    errand: Box<Errand>,
}

impl Lane {
    pub(super) fn new(topic: Arc<Topic>, partition: Partition, pressure: Arc<Pressure>) -> Self {
        Self { topic, partition, pressure, queue: Mutex::default() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a record would be held.
    pub(super) fn is_full(&self) -> bool {
        self.queue().is_full()
    }

    /// # Errors
    /// When it is not queued.
    pub(super) fn send(&self, client: &Client<Outcomes>, record: &Record, errand: Box<Errand>) -> Result<(), Code> {
        let headers = Headers::of(&record.headers);
        let mut queue = self.queue();
        if queue.is_full() {
            queue.held.push_back(Held { key: record.key.clone(), value: record.value.clone(), headers, errand });
            self.pressure.add();
            return Ok(());
        }
        let to = (&*self.topic, native(self.partition));
        ffi::produce(client, to, (&record.key, &record.value), headers, errand).map_err(|(code, _)| code)?;
        queue.under_way += 1;
        Ok(())
    }

    /// A record that was under way has its outcome. Whether what is held may go.
    pub(super) fn answered(&self) -> bool {
        let mut queue = self.queue();
        queue.under_way = queue.under_way.saturating_sub(1);
        queue.under_way == 0 && !queue.held.is_empty()
    }

    /// Hands over what is held. What librdkafka does not take is not in the log; whoever sent it does not know what became of those before.
    pub(super) fn go_on(&self, client: &Client<Outcomes>) {
        let mut queue = self.queue();
        self.pressure.sub(queue.held.len());
        while let Some(Held { key, value, headers, errand }) = queue.held.pop_front() {
            let to = (&*self.topic, native(self.partition));
            match ffi::produce(client, to, (&key, &value), headers, errand) {
                Ok(()) => queue.under_way += 1,
                Err((code, errand)) => errand.fail(&code.to_string()),
            }
        }
    }

    /// Gives up what is held of one sender's.
    pub(super) fn give_up(&self, sender: &Arc<Arrived>) {
        let mut queue = self.queue();
        let before = queue.held.len();
        queue.held.retain(|held| {
            let keeps = !Arc::ptr_eq(&held.errand.sender, sender);
            if !keeps {
                held.errand.fail("given up before it was sent");
            }
            keeps
        });
        self.pressure.sub(before - queue.held.len());
    }
}

impl Queue {
    fn is_full(&self) -> bool {
        self.under_way >= UNDER_WAY || !self.held.is_empty()
    }
}

impl Errand {
    fn fail(&self, detail: &str) {
        self.sender.put(self.ticket, Err(LogError::OutcomeUnknown { detail: detail.to_owned() }));
    }
}
