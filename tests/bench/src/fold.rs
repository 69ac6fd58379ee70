//! The fold alone: a log of the order workload is made once, then folded from an empty store, so that only the fold is on the clock.
//! Nothing is sent and nobody waits; scripts/instructions counts instructions per folded step.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use sagaline_partition::store::Store;
use sagaline_partition::{Faults, Folded, LogRecord, Partition, Published, RULES_VERSION, digest};
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{
    Acked, Answer, Body, ClauseKind, ContractRecord, DefinitionRecord, Event, EventOrigin, Genesis, Progress, Reply,
    Target,
};
use sagaline_schemas::settings::{Events, Settings};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, LogId, TopicId, schema};
use sagaline_store::{Memory, MemoryStore, RocksStore, Shared};
use serde::Serialize;

use crate::work::{self, Work};

const LOG: LogId = LogId([5; 16]);
const TOPIC: &str = "orders";
const T0: i64 = 1_700_000_000_000;

/// `fold`
#[derive(clap::Args)]
pub struct Options {
    /// Sagas in the log, one in ten refused at its fourth step
    #[arg(long, default_value_t = 20_000)]
    sagas: u32,
    /// Sagas under way at once
    #[arg(long, default_value_t = 512)]
    in_flight: u32,
    /// Bytes of each payload
    #[arg(long, default_value_t = 256)]
    payload: usize,
    /// Records folded between two commits
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// Folder for RocksDB; none: a store in memory
    #[arg(long)]
    rocks: Option<PathBuf>,
    /// Also writes the figures to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Serialize)]
struct Figures {
    store: &'static str,
    records: usize,
    steps: u32,
    steps_per_second: f64,
    records_per_second: f64,
    us_per_step: f64,
    digest: Digest,
}

/// A log as it was recorded: timestamp and value of each record.
type Recorded = Vec<(i64, Vec<u8>)>;

/// Folds a log and prints the figures.
///
/// # Errors
/// When the workload does not end as it should, or the store fails.
pub fn run(options: &Options) -> Result<()> {
    let (log, steps) = record(options)?;
    let (name, store): (_, Box<dyn Store>) = match &options.rocks {
        None => ("memory", Box::new(MemoryStore::new())),
        Some(place) => ("rocksdb", Box::new(RocksStore::open(place, &Shared::new(Memory::default()))?)),
    };
    let mut partition = Partition::open(0, store, key(), Faults::new())?;
    let began = Instant::now();
    let outputs = fold(&mut partition, &log, options.batch)?;
    let seconds = began.elapsed().as_secs_f64();
    let figures = Figures {
        store: name,
        records: log.len(),
        steps,
        steps_per_second: f64::from(steps) / seconds,
        records_per_second: log.len() as f64 / seconds,
        us_per_step: seconds * 1e6 / f64::from(steps),
        digest: digest::digest(partition.reader().as_ref())?,
    };
    println!(
        "{name}: {} records, {steps} steps, {outputs} outputs in {seconds:.3} s: {:.0} steps/s, {:.0} records/s, {:.2} us a step; digest {}",
        figures.records, figures.steps_per_second, figures.records_per_second, figures.us_per_step, figures.digest,
    );
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&figures)?).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// All that is measured. scripts/instructions knows it by its name.
#[inline(never)]
fn fold(partition: &mut Partition, log: &Recorded, batch: usize) -> Result<usize> {
    let mut outputs = 0;
    for (offset, (timestamp, value)) in (0..).zip(log) {
        while partition.fold(LogRecord { offset, timestamp: *timestamp, value }, 1_000)? == Folded::More {}
        outputs += partition.take_published().len();
        if offset as usize % batch == batch - 1 {
            partition.commit()?;
        }
    }
    partition.commit()?;
    Ok(outputs)
}

/// Plays the workload once, the world answering at once, and keeps the log. Also counts the steps in it.
fn record(options: &Options) -> Result<(Recorded, u32)> {
    let mut player = Player::new()?;
    let mut waiting: std::collections::VecDeque<Published> = Default::default();
    let (mut started, mut ended, mut steps) = (0, 0, 0);
    while ended < options.sagas {
        while started < options.sagas && started - ended < options.in_flight {
            player.start(started, options.payload)?;
            started += 1;
        }
        waiting.extend(player.outputs.drain(..));
        let Some(output) = waiting.pop_front() else { break };
        player.newest.insert(output.channel.clone(), (output.position, output.output.hash));
        if output.output.command.is_some() {
            steps += u32::from(player.answer(&output, options.payload)?);
        }
        ended = player.partition.meta().map_or(0, |meta| meta.counters.ended as u32);
        if player.log.len() % 256 == 0 {
            player.progress()?;
        }
    }
    ensure!(ended == options.sagas, "{ended} of {} sagas ended", options.sagas);
    Ok((player.log, steps))
}

struct Player {
    partition: Partition,
    log: Recorded,
    outputs: Vec<Published>,
    newest: BTreeMap<String, (sagaline_schemas::Position, sagaline_schemas::OutputHash)>,
    definition: Digest,
    claim: i64,
    now: i64,
}

impl Player {
    fn new() -> Result<Self> {
        let contract = work::contract(&[Work::Order]);
        let definition = Work::Order.definition(TOPIC, contract.digest());
        let partition = Partition::open(0, Box::new(MemoryStore::new()), key(), Faults::new())?;
        let mut player = Self {
            partition,
            log: vec![],
            outputs: vec![],
            newest: BTreeMap::new(),
            definition: definition.digest(),
            claim: 3,
            now: T0,
        };
        let settings = Settings { events: Events::Nothing, ..Settings::default() };
        player.body(&Body::Genesis(Genesis {
            log_id: LOG,
            partition: 0,
            partitions: 1,
            topic: "inbox".to_owned(),
            rules_version: RULES_VERSION,
            settings,
            key_id: "bench".to_owned(),
            key_fingerprint: key().fingerprint(),
            wall: T0,
        }))?;
        let normal_form = Bytes(contract.normal_form());
        player.body(&Body::Contract(ContractRecord {
            digest: contract.digest(),
            normal_form,
            command_partitions: 4,
            by: "bench".to_owned(),
        }))?;
        player.body(&Body::Definition(DefinitionRecord {
            digest: definition.digest(),
            normal_form: Bytes(definition.normal_form()),
            contracts: vec![contract.digest()],
            by: "bench".to_owned(),
        }))?;
        player.body(&Body::Progress(Progress { wall: T0, since: None, acked: vec![], node: "bench".to_owned() }))?;
        Ok(player)
    }

    fn body(&mut self, body: &Body) -> Result<()> {
        self.raw(proof::seal(schema::INBOX.fingerprint, &key(), LOG, 0, body))
    }

    fn raw(&mut self, value: Vec<u8>) -> Result<()> {
        let offset = self.log.len() as i64;
        while self.partition.fold(LogRecord { offset, timestamp: self.now, value: &value }, 1_000)? == Folded::More {}
        self.log.push((self.now, value));
        self.outputs.extend(self.partition.take_published());
        Ok(())
    }

    fn start(&mut self, number: u32, payload: usize) -> Result<()> {
        let at = i64::from(number);
        let target = Target {
            definition: self.definition,
            clause: ClauseKind::Start,
            name: String::new(),
            key: Work::Order.key(number),
            via: None,
        };
        self.body(&Body::Event(Event {
            origin: EventOrigin {
                topic_id: TopicId::from_bytes([1; 16]),
                partition: 0,
                generation: 0,
                prev: at - 1,
                at,
            },
            topic: TOPIC.to_owned(),
            timestamp: self.now,
            data: Bytes(Work::Order.event(number, payload)),
            content_type: "application/json".to_owned(),
            traceparent: None,
            targets: vec![target],
            skipped: None,
        }))
    }

    /// Answers a command; tells whether a step was carried out by it.
    fn answer(&mut self, output: &Published, payload: usize) -> Result<bool> {
        let command = proof::open_command(&output.output.value)?;
        let answer = work::answer(&command, payload);
        let carried_out = !matches!(answer, Answer::Refused(_));
        let reply =
            Reply { address: command.address, token: command.token, answer, instance: "1".to_owned(), time: self.now };
        self.raw(proof::unsealed(schema::INBOX.fingerprint, &Body::Reply(reply)))?;
        Ok(carried_out)
    }

    fn progress(&mut self) -> Result<()> {
        self.now += 20;
        let acked = self.newest.iter().map(|(channel, (through, hash))| Acked {
            channel: channel.clone(),
            through: *through,
            hash: *hash,
        });
        let acked = acked.collect();
        self.body(&Body::Progress(Progress {
            wall: self.now,
            since: Some(self.claim),
            acked,
            node: "bench".to_owned(),
        }))
        .context("a Progress over what was answered")
    }
}

fn key() -> Key {
    Key::new("bench", [8; 32])
}
