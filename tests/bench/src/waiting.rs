//! Sagas that wait: what each costs on disk and in memory, and how soon a coordinator is back that has so many.

use anyhow::{Result, ensure};
use sagaline_log::{Log, Record};
use sagaline_node::api::events;
use serde::Serialize;

use crate::place::Place;
use crate::slice::installation::{Installation, Plan, Stores};
use crate::work::{PAYLOAD, Work};

/// Events handed to the log at once.
const AT_ONCE: u32 = 10_000;

/// So many that wait.
#[derive(Serialize)]
pub struct Waiting {
    pub sagas: u32,
    /// Bytes of RocksDB's tables as a clean stop leaves them.
    pub table_bytes: u64,
    /// Bytes of the coordinator in memory, before there was a saga,
    pub resident_before: u64,
    /// and when all had come and nothing moved any more.
    pub resident_after: u64,
    /// From starting the program to its partitions being live, with the store kept.
    pub restart_seconds: f64,
}

impl Waiting {
    pub fn bytes_each(&self) -> f64 {
        self.table_bytes as f64 / f64::from(self.sagas)
    }

    pub fn growth(&self) -> u64 {
        self.resident_after.saturating_sub(self.resident_before)
    }
}

/// Each has one step done at once, and waits for an event.
///
/// # Errors
/// When the log does not answer, a process ends early, or not all of them come to wait.
pub fn measure(place: &Place, sagas: u32) -> Result<Waiting> {
    let plan = Plan { place: place.clone(), partitions: 4, work: vec![Work::Waiting], every_step: false };
    let mut installation = Installation::start(plan)?;
    let resident_before = installation.resident()?;
    begin(&mut installation, sagas)?;
    let resident_after = installation.resident()?;
    installation.stop()?;
    let table_bytes = installation.table_bytes()?;
    let restart_seconds = installation.restart(Stores::Kept)?.as_secs_f64();
    let started = installation.status()?.started;
    ensure!(started == i64::from(sagas), "{started} of {sagas} sagas are there after a restart");
    Ok(Waiting { sagas, table_bytes, resident_before, resident_after, restart_seconds })
}

/// Begins so many, and returns when all wait.
///
/// # Errors
/// When the log does not take their events, or not all of them come to wait.
pub fn begin(installation: &mut Installation, sagas: u32) -> Result<()> {
    let before = installation.status()?.folded;
    let topic = Work::Waiting.topic(&installation.names());
    send(installation.log()?, &topic, sagas)?;
    let records = installation.wait_at_rest(sagas)?.folded - before;
    // An event and a reply each: whoever has had its reply waits.
    ensure!(records >= 2 * i64::from(sagas), "{records} records are too few for {sagas} sagas that wait");
    Ok(())
}

fn send(log: &dyn Log, topic: &str, sagas: u32) -> Result<()> {
    let mut sent = 0;
    while sent < sagas {
        let end = sagas.min(sent + AT_ONCE);
        let records: Vec<Record> = (sent..end).map(record).collect();
        events::append(log, topic, &records)?;
        sent = end;
    }
    Ok(())
}

fn record(number: u32) -> Record {
    let (key, value) = (Work::Waiting.key(number).into_bytes(), Work::Waiting.event(number, PAYLOAD));
    Record { key, value, headers: Vec::new() }
}
