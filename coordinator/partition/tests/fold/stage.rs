//! One inbox partition on a memory store, with a hand that writes its records and a world that answers its commands. After every record the
//! node dies: the partition is opened again on its store.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use sagaline_definition::contract::{Contract, Idempotence, Operation};
use sagaline_definition::model::{
    Again, Call, Compensate, Deadline, Definition, Ensure, Jitter, Policy, Start, Step, Template, Verb, Word,
};
use sagaline_engine::Saga;
use sagaline_partition::state::RequestOutcome;
use sagaline_partition::store::{Batch, Entry, Family, Read, Reader, Store, StoreError};
use sagaline_partition::{Faults, Folded, Halt, KnownRules, LogRecord, Partition, Published, view};
use sagaline_schemas::command::Command;
use sagaline_schemas::output::{Notice, NoticeBody, Parked, ParticipantEvent};
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{
    Acked, Answer, Body, ClauseKind, Compensated, ContractRecord, DefinitionRecord, Event, EventOrigin, Genesis,
    Progress, Reply, Succeeded, Target,
};
use sagaline_schemas::request::{CancelRequest, KeyTarget, Request, RequestBody, RequestTarget};
use sagaline_schemas::settings::Settings;
use sagaline_schemas::wire::{Bytes, Wire};
use sagaline_schemas::{Digest, LogId, RequestId, TopicId, Value, schema};
use sagaline_store::MemoryStore;

pub const LOG: LogId = LogId([9; 16]);
pub const T0: i64 = 1_700_000_000_000;

pub fn key() -> Key {
    Key::new("test", [1; 32])
}

/// A chain of calls to participant `p`; each undone by `un-NAME`; two attempts of ten seconds, a second between them.
pub fn chain(names: &[&str]) -> (Definition, Contract) {
    let retry = Policy {
        attempts: 2,
        backoff: 1_000,
        cap: 1_000,
        factor_percent: 200,
        jitter: Jitter::None,
        attempt_timeout: 10_000,
        within: None,
    };
    let operation = |undo: Option<String>| Operation {
        input: "Any".to_owned(),
        output: None,
        idempotent: Idempotence::ByKey,
        compensate: undo,
        probe: None,
        refuses: vec![],
        reads: false,
    };
    let mut operations = BTreeMap::new();
    for name in names {
        operations.insert((*name).to_owned(), operation(Some(format!("un-{name}"))));
        operations.insert(format!("un-{name}"), operation(None));
    }
    let contract = Contract {
        participant: "p".to_owned(),
        version: "1.0.0".to_owned(),
        owner: "team".to_owned(),
        limits: Default::default(),
        types: BTreeMap::from([("Any".to_owned(), Value::from("null"))]),
        operations,
    };
    let call = |name: &str| Call {
        participant: "p".to_owned(),
        operation: name.to_owned(),
        with: Template::Literal(Value::Null),
        retry,
        refused: BTreeMap::new(),
        refused_else: Word::Compensate,
        failed: Word::Compensate,
        compensate: Compensate::By { operation: format!("un-{name}"), retry, with: None },
        probe: None,
    };
    let steps = names.iter().enumerate().map(|(i, name)| step(i, name, Verb::Call(call(name))));
    let definition = Definition {
        saga: "test".to_owned(),
        version: "1.0.0".to_owned(),
        owner: "team".to_owned(),
        contracts: BTreeMap::from([("p".to_owned(), contract.digest())]),
        start: Start {
            topic: Some("orders".to_owned()),
            condition: None,
            key: None,
            input: None,
            shape: None,
            again: Again::Never,
        },
        deadline: Deadline { after: 3_600_000, otherwise: Word::Compensate, after_pivot: Word::Stuck },
        facts: vec![],
        react: vec![],
        steps: steps.collect(),
        ensure: Ensure::default(),
        result: None,
        calendars: BTreeMap::new(),
        rehearsal: None,
    };
    (definition, contract)
}

/// A step behind the one before it, which does this and nothing else.
pub fn step(number: usize, name: &str, verb: Verb) -> Step {
    Step {
        step: name.to_owned(),
        owner: "team".to_owned(),
        after: number.checked_sub(1).into_iter().collect(),
        at_least: None,
        condition: None,
        for_each: None,
        guard: None,
        verb,
        pivot: false,
        expected: None,
        alias: BTreeMap::new(),
    }
}

/// One partition, its log, and what it wants published.
pub struct Stage {
    pub partition: Partition,
    store: Kept,
    pub genesis: Genesis,
    pub log: Vec<(i64, Vec<u8>)>,
    pub definition: Digest,
    pub outputs: Vec<Published>,
    pub now: i64,
    pub claim: i64,
    events: i64,
    mailed: usize,
}

impl Stage {
    /// Genesis, contract and definition are folded, a claim is made.
    pub fn new(names: &[&str]) -> Self {
        let (definition, contract) = chain(names);
        Self::of(genesis(), &[definition], &contract)
    }

    /// As `new`, of any definitions; events and requests are the first one's.
    pub fn of(genesis: Genesis, definitions: &[Definition], contract: &Contract) -> Self {
        Self::with(genesis, definitions, std::slice::from_ref(contract))
    }

    /// As `of`, with any contracts.
    pub fn with(genesis: Genesis, definitions: &[Definition], contracts: &[Contract]) -> Self {
        let store = Kept::default();
        let mut stage = Self {
            partition: open_at(genesis.partition, Box::new(store.clone())),
            store,
            genesis: genesis.clone(),
            log: vec![],
            definition: definitions[0].digest(),
            outputs: vec![],
            now: T0,
            claim: 0,
            events: 0,
            mailed: 0,
        };
        stage.body(&Body::Genesis(genesis));
        contracts.iter().for_each(|contract| stage.apply_contract(contract));
        definitions.iter().for_each(|definition| stage.apply(definition));
        stage.claim =
            stage.body(&Body::Progress(Progress { wall: T0, since: None, acked: vec![], node: "n".to_owned() }));
        stage
    }

    fn apply_contract(&mut self, contract: &Contract) {
        let record = ContractRecord {
            digest: contract.digest(),
            normal_form: Bytes(contract.normal_form()),
            command_partitions: 4,
            by: "ada".to_owned(),
        };
        self.body(&Body::Contract(record));
    }

    /// A definition becomes known.
    pub fn apply(&mut self, definition: &Definition) {
        let record = DefinitionRecord {
            digest: definition.digest(),
            normal_form: Bytes(definition.normal_form()),
            contracts: definition.contracts.values().copied().collect(),
            by: "ada".to_owned(),
        };
        self.body(&Body::Definition(record));
    }

    /// Appends a sealed record and folds it.
    pub fn body(&mut self, body: &Body) -> i64 {
        self.raw(proof::seal(schema::INBOX.fingerprint, &key(), LOG, self.genesis.partition, body))
    }

    /// Messages made since the last call: to which partition, and the record.
    pub fn take_mail(&mut self) -> Vec<(u32, Vec<u8>)> {
        let new = self.outputs[self.mailed..].iter().filter(|output| output.channel.starts_with("inbox."));
        let mail = new.map(|output| (output.output.partition.unwrap(), output.output.value.0.clone())).collect();
        self.mailed = self.outputs.len();
        mail
    }

    /// An event with these targets.
    pub fn tell(&mut self, topic: &str, data: &str, targets: &[Target]) -> i64 {
        self.events += 1;
        let event = self.event(self.events - 2, self.events - 1, "");
        let (topic, data, targets) = (topic.to_owned(), Bytes::from(data), targets.to_vec());
        self.body(&Body::Event(Event { topic, data, targets, ..event }))
    }

    /// A clause of the first definition, and the key that it gives.
    pub fn target(&self, clause: ClauseKind, name: &str, key: &str) -> Target {
        let (definition, name, key) = (self.definition, name.to_owned(), key.to_owned());
        Target { definition, clause, name, key, via: None }
    }

    /// Ada asks something about the saga of a key; what became of it.
    pub fn ask(&mut self, id: u8, key: &str, body: RequestBody) -> String {
        let target = RequestTarget::Key(KeyTarget { definition: "test".to_owned(), key: key.to_owned() });
        self.request(id, target, body)
    }

    /// Ada, who is a manager, asks something; what became of it.
    pub fn request(&mut self, id: u8, target: RequestTarget, body: RequestBody) -> String {
        let id = RequestId::from_bytes([id; 16]);
        let (by, roles, issued) = ("ada".to_owned(), vec!["role/manager".to_owned()], self.now);
        self.body(&Body::Request(Request { id, by, roles, issued, target, body }));
        self.partition.commit().unwrap();
        match view::request(self.partition.reader().as_ref(), id).unwrap().map(|answered| answered.outcome) {
            Some(RequestOutcome::Taken { .. }) => "taken".to_owned(),
            Some(RequestOutcome::Exists { .. }) => "exists".to_owned(),
            Some(RequestOutcome::Done) => "done".to_owned(),
            Some(RequestOutcome::Refused { reason }) => format!("refused: {reason}"),
            None => "forgotten".to_owned(),
        }
    }

    /// The newest saga of a key.
    pub fn saga(&mut self, key: &str) -> Saga {
        self.partition.commit().unwrap();
        view::saga_of_key(self.partition.reader().as_ref(), "test", key).unwrap().expect("there is such a saga")
    }

    /// Time passes in steps, each ending with a Progress.
    pub fn pass(&mut self, duration: i64, step: i64) {
        let end = self.now + duration;
        while self.now < end {
            self.now = (self.now + step).min(end);
            self.progress();
        }
    }

    /// What `events` tells of participants, oldest first.
    pub fn outages(&self) -> Vec<ParticipantEvent> {
        let told = self.outputs.iter().filter(|output| output.channel == "events");
        let notices = told.map(|output| {
            let mut reader = proof::open_single_object(schema::EVENT.fingerprint, &output.output.value).unwrap();
            Notice::decode(&mut reader).unwrap()
        });
        let of_participants = |notice: Notice| match notice.body {
            NoticeBody::Participant(event) => Some(event),
            NoticeBody::Saga(_) => None,
        };
        notices.filter_map(of_participants).collect()
    }

    /// Whoever folds the same log has the same state and outputs, wherever batches end (I8).
    pub fn refolds_alike(&mut self) {
        let digest = self.digest();
        for (every, budget) in [(1, 1_000), (1, 1), (3, 2)] {
            let (again, outputs) = self.refold(every, budget);
            assert_eq!(again, digest, "every {every}, budget {budget}");
            assert!(outputs == self.outputs, "every {every}, budget {budget}: other outputs");
        }
    }

    /// Appends bytes and folds them.
    pub fn raw(&mut self, value: Vec<u8>) -> i64 {
        self.try_raw(value).expect("the fold goes on")
    }

    pub fn try_raw(&mut self, value: Vec<u8>) -> Result<i64, Halt> {
        let offset = self.log.len() as i64;
        self.log.push((self.now, value));
        let (timestamp, value) = self.log.last().expect("just pushed");
        while self.partition.fold(LogRecord { offset, timestamp: *timestamp, value }, 1_000)? == Folded::More {}
        self.outputs.extend(self.partition.take_published());
        self.partition.commit().unwrap();
        self.partition = self.reopened();
        Ok(offset)
    }

    /// What another node finds in the store.
    fn reopened(&self) -> Partition {
        open_at(self.genesis.partition, Box::new(self.store.clone()))
    }

    /// What a program with these rules finds in the store.
    pub fn reopened_as(&self, known: KnownRules) -> Result<Partition, Halt> {
        Partition::open_as(known, self.genesis.partition, Box::new(self.store.clone()), key(), Faults::new())
    }

    /// The event that starts a saga of this key.
    pub fn start(&mut self, key: &str) -> i64 {
        self.events += 1;
        let event = self.event(self.events - 2, self.events - 1, key);
        self.body(&Body::Event(event))
    }

    /// An event number that was used by hand.
    pub fn skip_event(&mut self) {
        self.events += 1;
    }

    pub fn event(&self, prev: i64, at: i64, key: &str) -> Event {
        Event {
            origin: EventOrigin { topic_id: TopicId::from_bytes([3; 16]), partition: 0, generation: 0, prev, at },
            topic: "orders".to_owned(),
            timestamp: T0,
            data: Bytes::from("{}"),
            content_type: "application/json".to_owned(),
            traceparent: None,
            targets: vec![Target {
                definition: self.definition,
                clause: ClauseKind::Start,
                name: String::new(),
                key: key.to_owned(),
                via: None,
            }],
            skipped: None,
        }
    }

    /// Everything published so far is acknowledged; both clocks stand at `now`.
    pub fn progress(&mut self) -> i64 {
        let progress = self.progress_record();
        self.body(&Body::Progress(progress))
    }

    pub fn progress_record(&self) -> Progress {
        let mut newest: BTreeMap<&str, &Published> = BTreeMap::new();
        for output in &self.outputs {
            newest.insert(&output.channel, output);
        }
        let acked = newest.values().map(|output| Acked {
            channel: output.channel.clone(),
            through: output.position,
            hash: output.output.hash,
        });
        Progress { wall: self.now, since: Some(self.claim), acked: acked.collect(), node: "n".to_owned() }
    }

    /// Commands published so far, oldest first.
    pub fn commands(&self) -> Vec<Command> {
        self.outputs
            .iter()
            .filter(|output| output.channel.starts_with("commands."))
            .map(|output| {
                let mut reader = proof::open_single_object(schema::COMMAND.fingerprint, &output.output.value).unwrap();
                Command::decode(&mut reader).unwrap()
            })
            .collect()
    }

    /// The newest command for this operation.
    pub fn command(&self, operation: &str) -> Command {
        let found = self.commands().into_iter().rfind(|command| command.operation == operation);
        found.unwrap_or_else(|| panic!("no command for {operation}"))
    }

    pub fn answer(&mut self, operation: &str, answer: Answer) -> i64 {
        let value = reply(&self.command(operation), answer);
        self.raw(value)
    }

    pub fn ok(&mut self, operation: &str) -> i64 {
        self.answer(operation, Answer::Succeeded(Succeeded { result: Bytes::from("{}") }))
    }

    pub fn undone(&mut self, operation: &str) -> i64 {
        self.answer(operation, Answer::Compensated(Compensated { result: None }))
    }

    pub fn cancel(&mut self, id: u8, key: &str) -> i64 {
        let request = Request {
            id: RequestId::from_bytes([id; 16]),
            by: "ada".to_owned(),
            roles: vec![],
            issued: self.now,
            target: RequestTarget::Key(KeyTarget { definition: "test".to_owned(), key: key.to_owned() }),
            body: RequestBody::Cancel(CancelRequest { reason: "why not".to_owned() }),
        };
        self.body(&Body::Request(request))
    }

    pub fn parked(&self) -> Vec<Parked> {
        self.outputs
            .iter()
            .filter(|output| output.channel == "parked")
            .map(|output| {
                let mut reader = proof::open_single_object(schema::PARKED.fingerprint, &output.output.value).unwrap();
                Parked::decode(&mut reader).unwrap()
            })
            .collect()
    }

    /// Operations commanded so far, oldest first.
    pub fn operations(&self) -> String {
        let commands = self.commands();
        commands.iter().map(|command| command.operation.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// What the saga of a key is about.
    pub fn phase(&mut self, key: &str) -> String {
        self.partition.commit().unwrap();
        let reader = self.partition.reader();
        view::saga_of_key(reader.as_ref(), "test", key)
            .unwrap()
            .map_or("none".to_owned(), |saga| format!("{:?}", saga.phase))
    }

    /// The digest over everything, at the offset where the partition stands.
    pub fn digest(&mut self) -> Digest {
        self.partition.commit().unwrap();
        sagaline_partition::digest::digest(self.partition.reader().as_ref()).unwrap()
    }

    /// What a fresh partition makes of the same log, a batch every `every` steps, at most `budget` timers a step.
    pub fn refold(&self, every: usize, budget: u32) -> (Digest, Vec<Published>) {
        let mut partition = open_at(self.genesis.partition, Box::new(MemoryStore::new()));
        let (mut outputs, mut steps) = (vec![], 0);
        for (offset, (timestamp, value)) in (0..).zip(&self.log) {
            loop {
                let folded = partition.fold(LogRecord { offset, timestamp: *timestamp, value }, budget).unwrap();
                outputs.extend(partition.take_published());
                steps += 1;
                if steps % every == 0 {
                    partition.commit().unwrap();
                }
                if folded == Folded::Whole {
                    break;
                }
            }
        }
        partition.commit().unwrap();
        (sagaline_partition::digest::digest(partition.reader().as_ref()).unwrap(), outputs)
    }
}

/// A store that outlives the partition that it was opened for.
#[derive(Clone, Default)]
struct Kept(Arc<RwLock<MemoryStore>>);

impl Read for Kept {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.read().unwrap().get(family, key)
    }

    fn scan(&self, family: Family, from: &[u8], to: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, StoreError> {
        self.0.read().unwrap().scan(family, from, to, max)
    }
}

impl Store for Kept {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.0.write().unwrap().commit(batch)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.0.write().unwrap().flush()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.0.read().unwrap().reader()
    }
}

pub fn open_at(number: u32, store: Box<dyn Store>) -> Partition {
    Partition::open(number, store, key(), Faults::new()).unwrap()
}

pub fn genesis() -> Genesis {
    Genesis {
        log_id: LOG,
        partition: 0,
        partitions: 1,
        topic: "inbox".to_owned(),
        rules_version: sagaline_partition::RULES_VERSION,
        settings: Settings::default(),
        key_id: "test".to_owned(),
        key_fingerprint: key().fingerprint(),
        wall: T0,
    }
}

pub fn reply(to: &Command, answer: Answer) -> Vec<u8> {
    let reply = Reply { address: to.address.clone(), token: to.token, answer, instance: "i".to_owned(), time: T0 };
    proof::unsealed(schema::INBOX.fingerprint, &Body::Reply(reply))
}
