//! One partition on its way through a connection. What is appended waits here until its sender polls, and longer while anything of the partition is under
//! way: then all that waits goes at once, in one request. librdkafka would send each record as it comes, and look at what it may not send yet without
//! pause, on a core of its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode as Code;
use sagaline_schemas::Partition;

use super::connection::{Arrived, Errand, Outcomes};
use super::error::unsent;
use super::ffi::{self, Headers, Topic};
use super::native;
use crate::{LogError, Record};

/// What the lanes of a connection hold, and whether somebody must come back for it.
#[derive(Default)]
pub(super) struct Pressure {
    held: AtomicUsize,
    state: Mutex<Pressed>,
    changed: Condvar,
}

#[derive(Default)]
struct Pressed {
    /// A lane holds what its sender has polled for: whoever sent it need not do so again.
    wanted: bool,
    over: bool,
}

impl Pressure {
    fn state(&self) -> MutexGuard<'_, Pressed> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_some(&self) -> bool {
        self.held.load(Ordering::Acquire) > 0
    }

    /// What a lane keeps must go on without its sender.
    pub(super) fn want(&self) {
        let mut state = self.state();
        if !state.wanted {
            state.wanted = true;
            self.changed.notify_one();
        }
    }

    /// Nobody need come back while nothing is held.
    pub(super) fn rest(&self) {
        self.state().wanted = self.is_some();
    }

    /// For a while, or until nobody ever will have to come back.
    pub(super) fn pause(&self, pause: Duration) {
        let paused = self.changed.wait_timeout_while(self.state(), pause, |state| !state.over);
        drop(paused.unwrap_or_else(PoisonError::into_inner));
    }

    /// Until somebody must come back. False: nobody ever will have to.
    pub(super) fn wait(&self) -> bool {
        let waiting = self.changed.wait_while(self.state(), |state| !state.wanted && !state.over);
        !waiting.unwrap_or_else(PoisonError::into_inner).over
    }

    pub(super) fn end(&self) {
        self.state().over = true;
        self.changed.notify_one();
    }
}

/// What became of what a lane holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    /// Nothing is held any more.
    All,
    /// It goes when what is under way has its answer.
    Waits,
    /// The client's queue is full with what others sent.
    Refused,
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
    /// Since when, or since the last of their answers, as time since the machine was started.
    since: Duration,
    /// Whether the log has ever taken a record.
    heard: bool,
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

    /// Holds a record. Whether it is alone there: nothing else is held, and nothing under way.
    pub(super) fn hold(&self, record: &Record, errand: Box<Errand>) -> bool {
        let headers = Headers::of(&record.headers);
        let mut queue = self.queue();
        queue.held.push_back(Held { key: record.key.clone(), value: record.value.clone(), headers, errand });
        self.pressure.held.fetch_add(1, Ordering::AcqRel);
        queue.under_way == 0 && queue.held.len() == 1
    }

    /// A record that was under way has its outcome; `said`: the log has it. Whether what is held may go.
    pub(super) fn answered(&self, said: bool, now: Duration) -> bool {
        let mut queue = self.queue();
        queue.under_way = queue.under_way.saturating_sub(1);
        queue.since = now;
        queue.heard |= said;
        queue.under_way == 0 && !queue.held.is_empty()
    }

    /// Whether the log has taken a record here.
    pub(super) fn was_heard(&self) -> bool {
        self.queue().heard
    }

    /// For how long something has been under way without an answer.
    pub(super) fn unanswered(&self, now: Duration) -> Duration {
        let queue = self.queue();
        if queue.under_way > 0 { now.saturating_sub(queue.since) } else { Duration::ZERO }
    }

    /// Hands over what is held, unless something is under way: its answer is waited for.
    pub(super) fn go(&self, client: &Client<Outcomes>, now: Duration) -> Went {
        let mut queue = self.queue();
        if queue.under_way > 0 {
            return if queue.held.is_empty() { Went::All } else { Went::Waits };
        }
        queue.since = now;
        while let Some(mut next) = queue.held.pop_front() {
            let to = (&*self.topic, native(self.partition));
            match ffi::produce(client, to, (&next.key, &next.value), &mut next.headers, next.errand) {
                Ok(()) => queue.under_way += 1,
                Err((Code::QueueFull, errand)) => {
                    queue.held.push_front(Held { errand, ..next });
                    return if queue.under_way > 0 { Went::Waits } else { Went::Refused };
                }
                // Not in the log; whoever sent it does not know what became of those before.
                Err((code, errand)) => errand.fail(unsent(code, &self.topic.name())),
            }
            self.pressure.held.fetch_sub(1, Ordering::AcqRel);
        }
        Went::All
    }

    /// As a person would look it up.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.topic.name(), self.partition)
    }

    /// Gives up what is held of one sender's.
    pub(super) fn give_up(&self, sender: &Arc<Arrived>) {
        let mut queue = self.queue();
        let before = queue.held.len();
        queue.held.retain(|held| {
            let keeps = !Arc::ptr_eq(&held.errand.sender, sender);
            if !keeps {
                held.errand.fail(LogError::OutcomeUnknown { detail: "given up before it was sent".to_owned() });
            }
            keeps
        });
        self.pressure.held.fetch_sub(before - queue.held.len(), Ordering::AcqRel);
    }
}

impl Errand {
    fn fail(&self, error: LogError) {
        self.sender.put(self.ticket, Err(error));
    }
}
