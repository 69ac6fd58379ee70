//! What no log on this machine can be made to do while it is read: to lose its end, to be made anew, to have a clock of its own. An owner on
//! a simulated log halts its partition; once that is mended a good saga completes there. Nothing here waits.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sagaline_language::Loaded;
use sagaline_log::Log;
use sagaline_log::simulated::{EPOCH, Simulation};
use sagaline_node::owner::opening::Origin;
use sagaline_node::owner::stop::Stop;
use sagaline_node::owner::{Owner, OwnerOptions};
use sagaline_node::topics::{self, Inbox, Wanted};
use sagaline_node::{Names, sealed};
use sagaline_partition::{Faults, KnownRules, view};
use sagaline_schemas::proof::{Key, open_command, unsealed};
use sagaline_schemas::record::{Answer, Body, ContractRecord, DefinitionRecord, Reply, Succeeded};
use sagaline_schemas::request::{KeyTarget, Request, RequestBody, RequestTarget, StartRequest};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Millis, RequestId, schema};
use sagaline_store::MemoryStore;

use crate::{Ends, Row, masked};

/// Looks within which a saga has ended and an owner has stopped: two minutes of the simulation.
const LOOKS: u32 = 6_000;
const LOOK_MS: u64 = 20;
/// What every operation gives.
const RESULT: &str = r#"{"booking":"B-1","price":100,"reservation":"R-1","ticket":"K-1"}"#;

pub fn rows(dir: &Path) -> Vec<Row> {
    vec![lost_its_end(Stage::new(dir)), made_anew(Stage::new(dir)), clocks_apart(Stage::new(dir))]
}

fn lost_its_end(mut stage: Stage) -> Row {
    let mut owner = stage.owner(0);
    stage.completes(&mut owner);
    stage.simulation.truncate("inbox", 0, owner.position() - 1).unwrap();
    let stop = stage.stop_of(&mut owner);
    stage.completes(&mut stage.owner(0));
    row("an inbox that loses its end while it is read", &stop, "folded anew, a good saga completes")
}

fn made_anew(mut stage: Stage) -> Row {
    let mut owner = stage.owner(0);
    stage.completes(&mut owner);
    stage.simulation.recreate("inbox").unwrap();
    let stop = stage.stop_of(&mut owner);
    stage.make_inbox();
    stage.completes(&mut stage.owner(0));
    row("an inbox made anew while it is read", &stop, "with a new inbox and an empty store a good saga completes")
}

fn clocks_apart(mut stage: Stage) -> Row {
    let mut owner = stage.owner(3_600_000);
    stage.begin("T-0");
    let told = (0..LOOKS).find_map(|_| {
        stage.turn(&mut owner).unwrap();
        owner.status().unwrap().trouble
    });
    stage.simulation.set_broker_skew(3_600_000);
    stage.completes(&mut owner);
    Row {
        what: "a clock that is an hour ahead of the broker's",
        ends: Ends::Waits,
        told: masked(&format!("inbox partition 0: {}", told.unwrap())),
        then: "once both clocks agree a good saga completes",
    }
}

fn row(what: &'static str, stop: &Stop, then: &'static str) -> Row {
    Row { what, ends: Ends::Halts, told: masked(&format!("inbox partition 0 is halted: {stop}")), then }
}

/// A log with one inbox partition, in virtual time, and participants that do what they are told.
struct Stage {
    simulation: Simulation,
    key: Key,
    inbox: Inbox,
    loaded: Loaded,
    /// Sagas begun so far.
    begun: u8,
}

impl Stage {
    fn new(dir: &Path) -> Self {
        let loaded = sagaline_language::load(&[dir.join("definitions")]).unwrap();
        let (simulation, key) = (Simulation::new(7), Key::new("key-1", [7; 32]));
        let inbox = topics(&simulation, &key);
        let stage = Self { simulation, key, inbox, loaded, begun: 0 };
        stage.define();
        stage
    }

    /// After the inbox is gone.
    fn make_inbox(&mut self) {
        self.inbox = topics(&self.simulation, &self.key);
        self.define();
    }

    fn define(&self) {
        for contract in self.loaded.contracts.iter() {
            let normal_form = Bytes(contract.normal_form());
            self.put(&Body::Contract(ContractRecord {
                digest: contract.digest(),
                normal_form,
                command_partitions: 1,
                by: by(),
            }));
        }
        for definition in self.loaded.definitions.values() {
            let contracts = definition.contracts.values().copied().collect();
            let (digest, normal_form) = (definition.digest(), Bytes(definition.normal_form()));
            self.put(&Body::Definition(DefinitionRecord { digest, normal_form, contracts, by: by() }));
        }
    }

    fn put(&self, body: &Body) {
        self.simulation.put("inbox", 0, sealed::record(&self.key, self.inbox.log_id, 0, body)).unwrap();
    }

    /// On an empty store, at a machine whose clock is `ahead`.
    fn owner(&self, ahead: Millis) -> Owner {
        let log: Arc<dyn Log> = Arc::new(self.simulation.log_with_clock(ahead));
        let options = OwnerOptions {
            partition: 0,
            names: Names::new(""),
            key: self.key.clone(),
            log_id: self.inbox.log_id,
            node: "one".to_owned(),
            single_broker: true,
            faults: Faults::new(),
            rules: KnownRules::OWN,
        };
        Owner::open(options, Box::new(MemoryStore::new()), &Origin::default(), log).unwrap().0
    }

    fn turn(&self, owner: &mut Owner) -> Result<(), Stop> {
        let now = Duration::from_millis((self.simulation.now() - EPOCH) as u64);
        owner.turn(now, Duration::ZERO)?;
        self.simulation.advance(LOOK_MS);
        Ok(())
    }

    fn stop_of(&self, owner: &mut Owner) -> Stop {
        let stopped = (0..LOOKS).find_map(|_| self.turn(owner).err());
        stopped.unwrap_or_else(|| panic!("the owner goes on: {:#?}", owner.status()))
    }

    /// One more saga begins, its commands are answered, it ends.
    fn completes(&mut self, owner: &mut Owner) {
        self.begun += 1;
        let key = format!("T-{}", self.begun);
        self.begin(&key);
        let mut answered = [0, 0];
        for _ in 0..LOOKS {
            self.turn(owner).unwrap();
            for (topic, answered) in ["commands.flights", "commands.hotels"].into_iter().zip(&mut answered) {
                *answered += self.answer(topic, *answered);
            }
            if view::saga_of_key(&*owner.reader(), "book-trip", &key).unwrap().is_some_and(|saga| saga.is_ended()) {
                return;
            }
        }
        panic!("the saga {key} does not end: {:#?}", owner.status());
    }

    fn begin(&self, key: &str) {
        let definition = self.loaded.definitions.values().next().unwrap().digest();
        let input = format!(r#"{{"trip_id":"{key}","traveller":"Ada","to":"Rome","nights":1}}"#);
        let start = StartRequest { definition, input: Bytes(input.into_bytes()), traceparent: None };
        let target = RequestTarget::Key(KeyTarget { definition: "book-trip".to_owned(), key: key.to_owned() });
        let (id, issued) = (RequestId::from_bytes([self.begun; 16]), self.simulation.now());
        self.put(&Body::Request(Request {
            id,
            by: by(),
            roles: vec![],
            issued,
            target,
            body: RequestBody::Start(start),
        }));
    }

    /// Answers the commands behind the first `done`; gives how many.
    fn answer(&self, topic: &str, done: usize) -> usize {
        let commands = self.simulation.records(topic, 0).unwrap();
        for command in &commands[done..] {
            let command = open_command(&command.record.value).unwrap();
            let answer = Answer::Succeeded(Succeeded { result: Bytes::from(RESULT) });
            let (address, token) = (command.address, command.token);
            let reply = Body::Reply(Reply { address, token, answer, instance: "a test".to_owned(), time: 0 });
            let value = unsealed(schema::INBOX.fingerprint, &reply);
            self.simulation.put("inbox", 0, sagaline_log::Record { value, ..Default::default() }).unwrap();
        }
        commands.len() - done
    }
}

fn topics(simulation: &Simulation, key: &Key) -> Inbox {
    let participants = ["flights", "hotels"].map(str::to_owned).to_vec();
    let wanted = Wanted { partitions: 1, replicas: 1, single_broker: true, participants, ..Wanted::default() };
    topics::create(&simulation.log(), &Names::new(""), key, &wanted).unwrap()
}

fn by() -> String {
    "ada".to_owned()
}
