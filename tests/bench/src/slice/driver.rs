//! Keeps a fixed number of sagas running, and sees to it that each ends as its number says: a wrong end is no figure.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sagaline_log::Log;
use sagaline_node::Names;
use sagaline_schemas::output::{Notice, NoticeBody, SagaEventKind};
use sagaline_schemas::wire::Wire;
use sagaline_schemas::{proof, schema};

use crate::latency::micros;
use crate::raw::pipe::{Pipe, Through};
use crate::work::{PAYLOAD, Work};

/// Longest wait for any saga to end.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

/// What ended during a run.
pub struct Seen {
    pub elapsed: Duration,
    /// Of each saga, in microseconds.
    pub latencies: Vec<u32>,
}

/// What ended in all.
#[derive(Clone, Copy)]
pub struct All {
    pub sagas: u32,
    pub steps: u32,
}

pub struct Driver {
    pipe: Through,
    work: Work,
    orders: String,
    partitions: u32,
    /// By number: when a saga was started; none: it has ended.
    started: Vec<Option<Instant>>,
    ended: All,
    received: Vec<Vec<u8>>,
}

impl Driver {
    pub fn new(log: &dyn Log, names: &Names, work: Work, in_flight: u32) -> Result<Self> {
        let orders = work.topic(names);
        let partitions = log.topic(&orders)?.context("the coordinator makes the topic of orders")?.partitions;
        let mut driver = Self {
            pipe: Through::open(log, &names.of_channel("events"))?,
            work,
            orders,
            partitions,
            started: Vec::new(),
            ended: All { sagas: 0, steps: 0 },
            received: Vec::new(),
        };
        for _ in 0..in_flight {
            driver.start()?;
        }
        Ok(driver)
    }

    fn start(&mut self) -> Result<()> {
        let number = u32::try_from(self.started.len())?;
        self.started.push(Some(Instant::now()));
        self.pipe.send(&self.orders, number % self.partitions, &self.work.event(number, PAYLOAD))
    }

    /// A saga is started for each that ends.
    pub fn run(&mut self, duration: Duration) -> Result<Seen> {
        let begin = Instant::now();
        let mut latencies = Vec::new();
        while begin.elapsed() < duration {
            let known = latencies.len();
            self.receive(&mut latencies)?;
            for _ in known..latencies.len() {
                self.start()?;
            }
        }
        Ok(Seen { elapsed: begin.elapsed(), latencies })
    }

    /// Waits for the last ones.
    pub fn drain(mut self) -> Result<All> {
        while self.ended.sagas < u32::try_from(self.started.len())? {
            self.receive(&mut Vec::new())?;
        }
        Ok(self.ended)
    }

    /// Waits for sagas to end, if only for a moment.
    fn receive(&mut self, latencies: &mut Vec<u32>) -> Result<()> {
        let mut received = std::mem::take(&mut self.received);
        self.pipe.receive(LOOK, &mut received)?;
        if received.is_empty() {
            let oldest = self.started.iter().flatten().min();
            ensure!(oldest.is_none_or(|oldest| oldest.elapsed() < PATIENCE), "sagas do not end any more");
        }
        for value in received.drain(..) {
            latencies.extend(self.take(&value)?);
        }
        self.received = received;
        Ok(())
    }

    /// The latency of a saga whose end this is. Ends that are told again count once.
    fn take(&mut self, value: &[u8]) -> Result<Option<u32>> {
        let notice = Notice::decode(&mut proof::open_single_object(schema::EVENT.fingerprint, value)?)?;
        let NoticeBody::Saga(event) = notice.body else { return Ok(None) };
        match event.kind {
            SagaEventKind::Ended => {}
            SagaEventKind::Stuck => bail!("saga {} is stuck: {}", event.key, String::from_utf8_lossy(&event.detail)),
            _ => return Ok(None),
        }
        // Of another kind: it was begun before, and waits.
        let Some(number) = self.work.number(&event.key) else { return Ok(None) };
        let slot = self.started.get_mut(usize::try_from(number)?);
        let slot = slot.with_context(|| format!("{} was never started", event.key))?;
        let Some(started) = slot.take() else { return Ok(None) };
        let (end, steps) = self.work.end(number);
        ensure!(event.end == Some(end), "saga {} ended as {:?}, not as {end:?}", event.key, event.end);
        self.ended.sagas += 1;
        self.ended.steps += steps;
        Ok(Some(micros(started.elapsed())))
    }
}
