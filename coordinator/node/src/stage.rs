//! A stage for tests: a simulated log in virtual time, a definition of two steps, a participant that answers by script, and stores that
//! lose what was not flushed. Nothing here waits. For whole nodes with their threads: the same log, in the machine's time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sagaline_definition::{Contract, Definition};
use sagaline_engine::Saga;
use sagaline_language::Contracts;
use sagaline_log::simulated::{EPOCH, Simulation};
use sagaline_log::{Log, Producer, Record};
use sagaline_partition::store::{Batch, Entry, Family, Read, Reader, Store, StoreError};
use sagaline_partition::{Faults, KnownRules, view};
use sagaline_schemas::command::Command;
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{Answer, Body, Refused, Reply, Succeeded};
use sagaline_schemas::request::{KeyTarget, Request, RequestBody, RequestTarget, StartRequest};
use sagaline_schemas::settings::Settings;
use sagaline_schemas::wire::{Bytes, Wire};
use sagaline_schemas::{CommandId, Digest, Offset, RequestId, schema};
use sagaline_store::MemoryStore;

use crate::owner::opening::Origin;
use crate::owner::stop::Stop;
use crate::owner::{Owner, OwnerOptions};
use crate::registry::{Apply, ApplyOptions, Registry, RegistryReader, Seal};
use crate::topics::{self, Inbox, Wanted};
use crate::{BootTime, Names, sealed};

const CONTRACT: &str = r"
participant: desk
version: 1.0.0
owner: team-desk
types:
  Work: { type: record, fields: [{ name: order, type: string }] }
  Done: { type: record, fields: [{ name: receipt, type: string }] }
operations:
  book: { in: Work, out: Done, idempotent: by_key, compensate: unbook, refuses: [Full] }
  unbook: { in: Work, idempotent: by_key }
  seal: { in: Work, out: Done, idempotent: by_key, refuses: [Torn] }
";

const DEFINITION: &str = r"
saga: errand
version: 1.0.0
owner: team-desk
use: [desk]
types:
  Order: { type: record, fields: [{ name: order, type: string }] }
start: { topic: orders, if: event.type == 'placed', key: event.order, type: Order }
deadline: { after: 14d, else: compensate }
steps:
  - { step: booked, call: desk.book, with: { order: '${input.order}' } }
  - { step: sealed, pivot: true, call: desk.seal, with: { order: '${input.order}' } }
";

/// A log with topics, and the definition applied.
pub struct Stage {
    pub simulation: Simulation,
    pub log: Arc<dyn Log>,
    pub names: Names,
    pub key: Key,
    pub inbox: Inbox,
    pub definition: Digest,
}

impl Stage {
    /// Topics are made; nothing is applied.
    pub fn bare(partitions: u32) -> Self {
        let simulation = Simulation::new(7);
        let log: Arc<dyn Log> = Arc::new(simulation.log());
        let (names, key) = (Names::new("t."), Key::new("test", [7; 32]));
        let inbox = topics::create(&*log, &names, &key, &wanted(partitions)).unwrap();
        Self { simulation, log, names, key, inbox, definition: definition().digest() }
    }

    /// Topics are made, the definition is active.
    pub fn new(partitions: u32) -> Self {
        let stage = Self::bare(partitions);
        stage.apply(&[contract()], &[definition()]).unwrap();
        stage
    }

    pub fn apply(&self, contracts: &[Contract], definitions: &[Definition]) -> Result<(), crate::registry::ApplyError> {
        let registry = Registry::default();
        self.registry_reader(&registry).turn(self.now()).unwrap();
        let topics = wanted(self.inbox.partitions);
        let by = "a test".to_owned();
        let options = ApplyOptions { contracts: contracts.to_vec(), definitions: definitions.to_vec(), topics, by };
        let log = Arc::clone(&self.log);
        let mut apply = Apply::begin(log, &self.names, &self.key, &self.inbox, &registry.catalogue(), &options)?;
        for _ in 0..1_000 {
            if apply.turn(Duration::ZERO, &mut |_, _, _| Ok(true))?.is_some() {
                return Ok(());
            }
            self.simulation.advance(10);
        }
        panic!("an apply ends within ten seconds")
    }

    pub fn seal(&self) -> Seal {
        Seal { key: self.key.clone(), log_id: self.inbox.log_id }
    }

    pub fn registry_reader(&self, registry: &Registry) -> RegistryReader {
        RegistryReader::new(Arc::clone(&self.log), &self.names, self.seal(), registry.clone())
    }

    pub fn now(&self) -> BootTime {
        Duration::from_millis((self.simulation.now() - EPOCH) as u64)
    }

    pub fn options(&self, node: &str) -> OwnerOptions {
        OwnerOptions {
            partition: 0,
            names: self.names.clone(),
            key: self.key.clone(),
            log_id: self.inbox.log_id,
            node: node.to_owned(),
            single_broker: true,
            faults: Faults::new(),
            rules: KnownRules::OWN,
        }
    }

    pub fn try_owner(&self, node: &str, disk: &Disk, known: &Origin) -> Result<(Owner, Origin), Stop> {
        Owner::open(self.options(node), Box::new(disk.clone()), known, Arc::clone(&self.log))
    }

    pub fn owner(&self, node: &str, disk: &Disk) -> Owner {
        self.try_owner(node, disk, &Origin::default()).unwrap().0
    }

    /// Asks for a saga. Its key must belong to partition 0.
    pub fn start(&self, key: &str) -> Offset {
        let start = StartRequest { definition: self.definition, input: input(key), traceparent: None };
        let target = RequestTarget::Key(KeyTarget { definition: "errand".to_owned(), key: key.to_owned() });
        let id = request_id(key);
        let (by, issued) = ("a test".to_owned(), self.log.wall_clock());
        self.put(&Body::Request(Request { id, by, roles: vec![], issued, target, body: RequestBody::Start(start) }))
    }

    /// A record in inbox partition 0, proved.
    pub fn put(&self, body: &Body) -> Offset {
        let record = sealed::record(&self.key, self.inbox.log_id, 0, body);
        self.simulation.put(&self.names.inbox(), 0, record).unwrap()
    }

    /// Lets the owners turn, the participants answer and time pass, until it is as wanted; at most five minutes.
    pub fn run(&self, owners: &mut [&mut Owner], desk: &mut Desk, until: impl Fn(&[&mut Owner]) -> bool) {
        for _ in 0..15_000 {
            for owner in owners.iter_mut() {
                owner.turn(self.now(), Duration::ZERO).unwrap();
            }
            desk.answer();
            if until(owners) {
                return;
            }
            self.simulation.advance(20);
        }
        let statuses: Vec<_> = owners.iter().map(|owner| owner.status().unwrap()).collect();
        panic!(
            "five minutes have passed: {statuses:#?}, sagas {:#?}",
            owners.iter().map(|owner| sagas(owner)).collect::<Vec<_>>()
        );
    }
}

pub fn wanted(partitions: u32) -> Wanted {
    let settings = Settings { activation_delay: 0, ..Settings::default() };
    Wanted { partitions, replicas: 1, single_broker: true, participants: Vec::new(), settings }
}

pub fn contract() -> Contract {
    sagaline_language::contract("desk.yaml", CONTRACT).unwrap_or_else(|report| panic!("{}", report.plain())).value
}

pub fn definition() -> Definition {
    definition_of(DEFINITION)
}

/// Another version, with another text in it.
pub fn definition_with(from: &str, to: &str) -> Definition {
    definition_replacing(&[(from, to)])
}

/// With several other texts.
pub fn definition_replacing(texts: &[(&str, &str)]) -> Definition {
    definition_of(&texts.iter().fold(DEFINITION.to_owned(), |text, (from, to)| text.replace(from, to)))
}

fn definition_of(text: &str) -> Definition {
    let contracts: Contracts = [contract()].into_iter().collect();
    sagaline_language::definition("errand.yaml", text, &contracts)
        .unwrap_or_else(|report| panic!("{}", report.plain()))
        .value
}

fn request_id(key: &str) -> RequestId {
    RequestId(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, key.as_bytes()))
}

fn input(key: &str) -> Bytes {
    Bytes(format!(r#"{{"order":"{key}"}}"#).into_bytes())
}

pub fn sagas(owner: &Owner) -> Vec<Saga> {
    view::sagas(&*owner.reader(), None, 10_000).unwrap()
}

pub fn ended(owner: &Owner) -> usize {
    sagas(owner).iter().filter(|saga| saga.is_ended()).count()
}

/// A participant that answers every command once it is asked, and counts how often each came.
pub struct Desk {
    log: Arc<dyn Log>,
    topic: String,
    partitions: u32,
    producer: Box<dyn Producer>,
    next: Vec<Offset>,
    /// How often each command came.
    pub seen: BTreeMap<CommandId, u32>,
    /// Commands that are not the first attempt.
    pub retries: usize,
    /// Operations, in the order in which they first came.
    pub done: Vec<String>,
    /// Operations that it refuses.
    pub refuses: Option<(&'static str, &'static str)>,
    pub silent: bool,
}

impl Desk {
    pub fn new(stage: &Stage) -> Self {
        Self::on(Arc::clone(&stage.log), stage.names.of_channel("commands.desk"))
    }

    pub fn on(log: Arc<dyn Log>, topic: String) -> Self {
        let partitions = log.topic(&topic).unwrap().unwrap().partitions;
        Self {
            producer: log.producer().unwrap(),
            log,
            topic,
            partitions,
            next: vec![0; partitions as usize],
            seen: BTreeMap::new(),
            retries: 0,
            done: Vec::new(),
            refuses: None,
            silent: false,
        }
    }

    /// Answers what has come.
    pub fn answer(&mut self) {
        for partition in 0..self.partitions {
            let mut reader = self.log.reader(&self.topic, partition, self.next[partition as usize]).unwrap();
            let mut records = Vec::new();
            while !self.silent && reader.poll(1_000, Duration::ZERO, &mut records).is_ok() && !records.is_empty() {
                for fetched in records.drain(..) {
                    self.next[partition as usize] = fetched.offset + 1;
                    self.take(&fetched.record.value);
                }
            }
        }
        self.producer.poll(Duration::ZERO, &mut Vec::new());
    }

    fn take(&mut self, value: &[u8]) {
        let mut input = proof::open_single_object(schema::COMMAND.fingerprint, value).unwrap();
        let command = Command::decode(&mut input).unwrap();
        self.retries += usize::from(command.address.attempt > 1);
        let times = self.seen.entry(command.command_id).or_default();
        *times += 1;
        if *times == 1 {
            self.done.push(command.operation.clone());
        }
        let answer = match self.refuses {
            Some((operation, code)) if operation == command.operation => {
                Answer::Refused(Refused { code: code.to_owned(), detail: String::new() })
            }
            _ if command.operation == "unbook" => {
                Answer::Compensated(sagaline_schemas::record::Compensated { result: None })
            }
            _ => Answer::Succeeded(Succeeded { result: Bytes::from(r#"{"receipt":"r"}"#) }),
        };
        let reply =
            Reply { address: command.address, token: command.token, answer, instance: "desk-1".to_owned(), time: 0 };
        let value = proof::unsealed(schema::INBOX.fingerprint, &Body::Reply(reply));
        let record = Record { key: Vec::new(), value, headers: Vec::new() };
        self.producer.append(&command.reply_topic, command.reply_partition, &record, 0).unwrap();
    }
}

/// A store in memory that survives its owner: a restart finds what was committed, a crash what was flushed.
#[derive(Clone, Default)]
pub struct Disk {
    store: Arc<Mutex<MemoryStore>>,
    /// Whoever asks for this request panics, so many times.
    mine: Arc<Mutex<Option<(RequestId, u32)>>>,
    /// Each question after a request takes so long.
    slow: Arc<Mutex<Option<(Simulation, u64)>>>,
    /// It takes nothing more.
    full: Arc<AtomicBool>,
}

impl Disk {
    /// Folding the request for this saga panics, so many times.
    pub fn mine(&self, key: &str, times: u32) {
        *self.mine.lock().unwrap() = Some((request_id(key), times));
    }

    /// Whether it takes nothing more.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    fn check_room(&self) -> Result<(), StoreError> {
        let (place, detail) = ("the disk".to_owned(), "No space left on device".to_owned());
        if self.full.load(Ordering::Relaxed) { Err(StoreError::Io { place, detail }) } else { Ok(()) }
    }

    /// Folding a request takes so many milliseconds.
    pub fn slow_down(&self, simulation: &Simulation, ms: u64) {
        *self.slow.lock().unwrap() = Some((simulation.clone(), ms));
    }

    fn step_on(&self, family: Family, key: &[u8]) {
        if let Some((simulation, ms)) = &*self.slow.lock().unwrap()
            && family == Family::Requests
        {
            simulation.advance(*ms);
        }
        let mut mine = self.mine.lock().unwrap();
        if let Some((request, times @ 1..)) = mine.as_mut()
            && family == Family::Requests
            && key == request.as_bytes()
        {
            *times -= 1;
            drop(mine);
            panic!("a mine, as the test wants");
        }
    }

    pub fn crash(&self) {
        let mut store = self.store.lock().unwrap();
        *store = std::mem::take(&mut *store).crash();
    }
}

impl Read for Disk {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.step_on(family, key);
        self.store.lock().unwrap().get(family, key)
    }
    fn scan(&self, family: Family, from: &[u8], to: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, StoreError> {
        self.store.lock().unwrap().scan(family, from, to, max)
    }
}

impl Store for Disk {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.check_room()?;
        self.store.lock().unwrap().commit(batch)
    }
    fn flush(&mut self) -> Result<(), StoreError> {
        self.check_room()?;
        self.store.lock().unwrap().flush()
    }
    fn reader(&self) -> Arc<dyn Reader> {
        self.store.lock().unwrap().reader()
    }
}

/// A simulated log whose time is that of this machine: several nodes may share it.
pub struct Passing {
    pub log: Arc<dyn Log>,
    stopping: Arc<AtomicBool>,
    clock: Option<JoinHandle<()>>,
}

impl Passing {
    pub fn begin() -> Self {
        let simulation = Simulation::new(11);
        let log: Arc<dyn Log> = Arc::new(simulation.log());
        let stopping = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stopping);
        let clock = thread::spawn(move || {
            let (began, mut passed) = (Instant::now(), 0);
            while !until.load(Ordering::Relaxed) {
                let now = began.elapsed().as_millis() as u64;
                simulation.advance(now - passed);
                passed = now;
                thread::park_timeout(Duration::from_millis(1));
            }
        });
        Self { log, stopping, clock: Some(clock) }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.clock.take().map(JoinHandle::join);
    }
}
