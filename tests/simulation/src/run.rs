//! One run: a world is set up, the plan befalls it, then everything is mended and time passes until nothing is left to do. One thread.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use sagaline_definition::Definition;
use sagaline_definition::model::Verb;
use sagaline_log::simulated::Faults;
use sagaline_log::{Log, LogError, NewTopic, Record};
use sagaline_node::registry::{Apply, ApplyOptions, Catalogue};
use sagaline_node::topics::{self, Inbox, Wanted};
use sagaline_node::{Names, sealed};
use sagaline_partition::{RULES_VERSION, view};
use sagaline_schemas::hash::partition_of;
use sagaline_schemas::proof::Key;
use sagaline_schemas::record::{Body, Genesis};
use sagaline_schemas::request::{CancelRequest, KeyTarget, Request, RequestBody, RequestTarget, RetryRequest};
use sagaline_schemas::settings::Settings;
use sagaline_schemas::{LogId, Millis, Offset, Partition, RequestId};

use crate::business::Business;
use crate::courier::Courier;
use crate::forger::Forger;
use crate::judge;
use crate::node::Node;
use crate::participant::Participant;
use crate::plan::{Act, BREAKABLE, Plan};
use crate::scene::{Mutation, Scene, Totals, Violation};

const PARTICIPANTS: [&str; 3] = ["inventory", "payment", "shipping"];
const COMMAND_PARTITIONS: u32 = 2;
/// How long a mended world may take to come to rest: all retries of the definition lie within six hours.
const PATIENCE: Millis = 48 * 3_600_000;
/// Longest step: less than the gap after which an owner falls silent.
const LONGEST_STEP: Millis = 4_000;
/// How often, in calm, rest is looked for and a person has a look at stuck sagas.
const LOOK_EVERY: Millis = 10_000;

/// How often a person has a stuck saga tried again.
const MOST_RETRIES: u32 = 2;

/// The value of an output, and the partition where that is fixed.
pub(crate) type Addressed = (Option<Partition>, Vec<u8>);

/// One run's world.
pub struct World {
    /// What all share.
    pub scene: Scene,
    pub(crate) key: Key,
    pub(crate) inbox: Inbox,
    pub(crate) definition: Definition,
    pub(crate) nodes: Vec<Node>,
    pub(crate) business: Business,
    /// Forged records, by inbox partition and offset, with what they are.
    pub(crate) forged: BTreeMap<(Partition, Offset), &'static str>,
    /// Values of the topics, as they are looked at.
    topics: BTreeMap<(String, Partition), BTreeSet<Vec<u8>>>,
    /// What refolds make: by channel, the partition where it is fixed, and the value.
    pub(crate) decided: BTreeMap<String, BTreeSet<Addressed>>,
    /// Orders that were placed.
    pub(crate) placed: BTreeMap<String, u32>,
    participants: Vec<Participant>,
    courier: Courier,
    requests: Vec<(Partition, Record)>,
    /// How often a person had a stuck saga tried again.
    retried: BTreeMap<String, u32>,
    plan: Plan,
}

/// Plays the seed's plan and looks at everything.
///
/// # Errors
/// The first property that does not hold.
pub fn simulate(seed: u64, mutation: Option<Mutation>) -> Result<Totals, Violation> {
    let mut scene = Scene::new(seed, mutation);
    let plan = Plan::draw(&mut scene.chance);
    play(seed, scene, plan)
}

/// Plays an outage of four hours with the answers of `orders` sagas in the backlog.
///
/// # Errors
/// The first property that does not hold.
pub fn simulate_outage(seed: u64, orders: usize) -> Result<Totals, Violation> {
    play(seed, Scene::new(seed, None), Plan::outage(orders))
}

fn play(seed: u64, scene: Scene, plan: Plan) -> Result<Totals, Violation> {
    let mut world = World::new(scene, plan);
    let judged = world.run().and_then(|()| judge::judge(&mut world));
    let lasted = world.scene.elapsed();
    world.scene.totals.lasted = lasted;
    judged.map_err(|what| Violation { seed, what, trail: world.scene.trail() })?;
    Ok(world.scene.totals)
}

impl World {
    fn new(mut scene: Scene, plan: Plan) -> Self {
        let key = Key::new("simulated", [7; 32]);
        let log = scene.simulation.log();
        let inbox = make_topics(&mut scene, &key, plan.partitions);
        let definition = apply(&scene, &key, &inbox);
        let nodes = plan.skews.iter().enumerate();
        let nodes = nodes.map(|(n, skew)| Node::new(["ada", "bob"][n], *skew, &key, &inbox, &scene)).collect();
        Self {
            nodes,
            participants: PARTICIPANTS.iter().map(|name| Participant::new(name, COMMAND_PARTITIONS, &scene)).collect(),
            courier: Courier::new(&log),
            business: Business::default(),
            forged: BTreeMap::new(),
            placed: BTreeMap::new(),
            topics: BTreeMap::new(),
            decided: BTreeMap::new(),
            requests: Vec::new(),
            retried: BTreeMap::new(),
            scene,
            key,
            inbox,
            definition,
            plan,
        }
    }

    /// What lies in a topic's partition.
    pub(crate) fn published(&mut self, topic: &str, partition: Partition) -> &BTreeSet<Vec<u8>> {
        let simulation = &self.scene.simulation;
        self.topics.entry((topic.to_owned(), partition)).or_insert_with(|| {
            let records = simulation.records(topic, partition).unwrap_or_default();
            records.into_iter().map(|fetched| fetched.record.value).collect()
        })
    }

    fn run(&mut self) -> Result<(), String> {
        self.scene.simulation.set_faults(self.plan.faults.clone());
        let mut step = 1;
        let mut look_at = 0;
        loop {
            self.act()?;
            let worked = self.turn()?;
            if self.scene.calm && self.scene.elapsed() >= look_at {
                look_at = self.scene.elapsed() + LOOK_EVERY;
                if self.look()? {
                    return Ok(());
                }
            }
            step = if worked { self.scene.chance.within(1..=8) } else { (step * 2).min(LONGEST_STEP) };
            self.pass(step);
        }
    }

    /// Time passes, but not past what is planned.
    fn pass(&mut self, step: Millis) {
        let elapsed = self.scene.elapsed();
        let next = self.plan.acts.first_key_value().map(|((time, _), _)| *time).unwrap_or(Millis::MAX);
        let next = if self.scene.calm { next } else { next.min(self.plan.calm_at) };
        let step = step.min((next - elapsed).max(1));
        self.scene.simulation.advance(step as u64);
    }

    fn turn(&mut self) -> Result<bool, String> {
        let mut worked = !self.courier.turn().is_empty();
        for node in &mut self.nodes {
            worked |= node.turn(&mut self.scene)?;
        }
        for participant in &mut self.participants {
            worked |= participant.turn(&mut self.scene, &mut self.business);
        }
        Ok(worked)
    }

    fn act(&mut self) -> Result<(), String> {
        let elapsed = self.scene.elapsed();
        while let Some(entry) = self.plan.acts.first_entry().filter(|entry| entry.key().0 <= elapsed) {
            let act = entry.remove();
            self.carry_out(act);
        }
        if !self.scene.calm && elapsed >= self.plan.calm_at {
            self.mend_all();
        }
        if elapsed > self.plan.calm_at + PATIENCE {
            return Err(format!("I1: no rest after {} h of calm: {}", PATIENCE / 3_600_000, self.why_no_rest()));
        }
        Ok(())
    }

    fn mend_all(&mut self) {
        self.scene.note("all is mended");
        self.scene.calm = true;
        self.scene.simulation.set_faults(Faults { landing_ms: 0..=3, acknowledgement_ms: 0..=3, ..Faults::default() });
        self.scene.simulation.set_broker_skew(0);
        self.mend();
    }

    fn mend(&mut self) {
        for topic in BREAKABLE {
            self.scene.simulation.mend(topic).expect("the topic is there");
        }
    }

    fn carry_out(&mut self, act: Act) {
        let now = self.scene.now();
        match act {
            Act::Order(number) => self.place(number),
            Act::Nonsense => self.place_nonsense(),
            Act::Cancel(number) => self.cancel(number),
            Act::RepeatRequest => self.repeat_request(),
            Act::Crash { node, millis } => self.nodes[node].crash(&mut self.scene, now + millis),
            Act::Sleep { node, millis } => self.nodes[node].nod_off(&mut self.scene, now + millis),
            Act::CrashIngress { node } => self.nodes[node].crash_ingress(&mut self.scene),
            Act::Outage { millis } => {
                for node in &mut self.nodes {
                    node.crash(&mut self.scene, now + millis);
                }
            }
            Act::Down { participant, millis } => self.participants[participant].go_down(&mut self.scene, now + millis),
            Act::BrokerClock { skew } => {
                self.scene.strike("broker's clock set", format!("{skew} ms ahead"));
                self.scene.simulation.set_broker_skew(skew);
            }
            Act::Refuse { topic } => {
                self.scene.strike("topic refuses", BREAKABLE[topic]);
                let error = LogError::Forbidden { topic: BREAKABLE[topic].to_owned(), detail: "simulated".to_owned() };
                self.scene.simulation.refuse(BREAKABLE[topic], error).expect("the topic is there");
            }
            Act::Stall { topic } => {
                self.scene.strike("topic stalls", BREAKABLE[topic]);
                self.scene.simulation.stall(BREAKABLE[topic]).expect("the topic is there");
            }
            Act::Mend => self.mend(),
            Act::Forge => {
                let forger = Forger { key: &self.key, inbox: &self.inbox };
                if let Some((place, what)) = forger.forge(&mut self.scene) {
                    self.forged.insert(place, what);
                }
            }
            Act::Echo => Forger { key: &self.key, inbox: &self.inbox }.echo(&mut self.scene),
        }
    }

    fn place(&mut self, number: usize) {
        let key = order_key(number);
        *self.placed.entry(key.clone()).or_default() += 1;
        self.scene.note(format!("order {key}"));
        let event = format!(
            r#"{{"type":"placed","order_id":"{key}","account":"a{number}","sku":"tea","quantity":2,"total":1000,"currency":"EUR","address":{{"street":"High Street 1","country":"DE"}}}}"#
        );
        self.send_order(event.into_bytes());
    }

    fn place_nonsense(&mut self) {
        let nonsense =
            [r#"{"type":"placed"}"#, "no json", r#"{"type":"placed","order_id":""}"#, r#"{"type":"viewed"}"#];
        let event = nonsense[self.scene.chance.index(nonsense.len())];
        self.scene.strike("nonsense in a domain topic", event);
        self.send_order(event.as_bytes().to_vec());
    }

    fn send_order(&mut self, value: Vec<u8>) {
        let partition = self.scene.chance.index(2) as u32;
        self.courier.send("orders", partition, Record { key: Vec::new(), value, headers: Vec::new() }, 0);
    }

    fn cancel(&mut self, number: usize) {
        let body = RequestBody::Cancel(CancelRequest { reason: "changed my mind".to_owned() });
        self.request(&order_key(number), body);
    }

    fn request(&mut self, key: &str, body: RequestBody) {
        self.scene.note(format!("request for {key}: {body:?}"));
        let target = KeyTarget { definition: self.definition.saga.clone(), key: key.to_owned() };
        let request = Request {
            id: RequestId::from_bytes(self.scene.chance.bytes()),
            by: "eve".to_owned(),
            roles: vec![],
            issued: self.scene.now(),
            target: RequestTarget::Key(target),
            body,
        };
        let partition = partition_of(key, self.inbox.partitions);
        let record = sealed::record(&self.key, self.inbox.log_id, partition, &Body::Request(request));
        self.requests.push((partition, record.clone()));
        self.courier.send("inbox", partition, record, 0);
    }

    fn repeat_request(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let index = self.scene.chance.index(self.requests.len());
        let (partition, record) = self.requests[index].clone();
        self.scene.strike("request repeated", "");
        self.courier.send("inbox", partition, record, 0);
    }

    /// A person retries what is stuck; tells whether there is nothing left to wait for.
    fn look(&mut self) -> Result<bool, String> {
        let mut stuck = Vec::new();
        let mut rest = self.plan.acts.is_empty() && self.why_no_rest().is_empty();
        for partition in 0..self.inbox.partitions {
            for saga in self.sagas(partition)? {
                if matches!(saga.phase, sagaline_engine::Phase::Stuck { .. }) {
                    stuck.push(saga.key.clone());
                }
                rest &= !saga.goes_forward() && !saga.undoes();
            }
        }
        for key in stuck {
            // Then it is left as it is: being stuck for ever is allowed, as long as it shows.
            let retried = self.retried.entry(key.clone()).or_default();
            if *retried < MOST_RETRIES {
                *retried += 1;
                rest = false;
                let retry = RetryRequest { step: None, input: None, reason: "again".to_owned() };
                self.request(&key, RequestBody::Retry(retry));
            }
        }
        Ok(rest)
    }

    fn sagas(&self, partition: Partition) -> Result<Vec<sagaline_engine::Saga>, String> {
        let owner = self.nodes[0].seats[partition as usize].owner.as_ref();
        let Some(owner) = owner else { return Ok(Vec::new()) };
        view::sagas(owner.reader().as_ref(), None, usize::MAX).map_err(|error| error.to_string())
    }

    fn end_of_inbox(&self, partition: Partition) -> Offset {
        let reader = self.scene.simulation.log().reader("inbox", partition, 0);
        reader.and_then(|mut reader| reader.bounds()).expect("nothing goes wrong in calm").1
    }

    /// What is still awaited; empty: nothing, as far as the log and the machines show.
    fn why_no_rest(&self) -> String {
        let mut reasons = Vec::new();
        if !self.courier.is_idle() {
            reasons.push("letters are under way".to_owned());
        }
        reasons.extend(self.participants.iter().filter(|p| !p.is_idle()).map(|p| format!("{} is at work", p.name())));
        for partition in 0..self.inbox.partitions {
            if !self.nodes.iter().any(|node| node.is_live(partition)) {
                reasons.push(format!("nobody publishes partition {partition}"));
            }
            let end = self.end_of_inbox(partition);
            for owner in self.nodes.iter().map(|node| node.seats[partition as usize].owner.as_ref()) {
                let Some(owner) = owner else {
                    reasons.push(format!("partition {partition} is not open everywhere"));
                    continue;
                };
                if owner.position() != end {
                    reasons.push(format!("partition {partition} is folded to {} of {end}", owner.position()));
                }
                let channels = view::channels(owner.reader().as_ref()).unwrap_or_default();
                reasons.extend(
                    channels
                        .iter()
                        .filter(|(_, state)| state.length > 0)
                        .map(|(name, state)| format!("{name} of partition {partition} holds {} outputs", state.length)),
                );
            }
        }
        let lives = |key: &&String| {
            let sagas = self.sagas(partition_of(key, self.inbox.partitions)).unwrap_or_default();
            !sagas.iter().any(|saga| saga.key == **key)
        };
        for partition in 0..self.inbox.partitions {
            let sagas = self.sagas(partition).unwrap_or_default();
            let running = sagas.iter().filter(|saga| saga.goes_forward() || saga.undoes());
            reasons
                .extend(running.map(|saga| format!("{} runs: {:?}, timers {:?}", saga.key, saga.effects, saga.timers)));
        }
        reasons.extend(self.placed.keys().filter(lives).map(|key| format!("{key} has no saga")));
        reasons.join("; ")
    }
}

fn order_key(number: usize) -> String {
    format!("o-{number}")
}

fn make_topics(scene: &mut Scene, key: &Key, partitions: u32) -> Inbox {
    let log = scene.simulation.log();
    let settings = Settings { activation_delay: 0, ..Settings::default() };
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let inbox = NewTopic {
        name: "inbox".to_owned(),
        partitions,
        replicas: 1,
        settings: vec![
            setting("retention.ms", "-1"),
            setting("retention.bytes", "-1"),
            setting("cleanup.policy", "delete"),
            setting("message.timestamp.type", "LogAppendTime"),
            setting("unclean.leader.election.enable", "false"),
            setting("max.message.bytes", "1114112"),
        ],
    };
    log.create_topic(&inbox).expect("a new log takes a topic");
    // The log id is the seed's, so that two runs of it are the same to the byte.
    let log_id = LogId(scene.chance.bytes());
    for partition in 0..partitions {
        let genesis = Genesis {
            log_id,
            partition,
            partitions,
            topic: "inbox".to_owned(),
            rules_version: RULES_VERSION,
            settings: settings.clone(),
            key_id: key.id().to_owned(),
            key_fingerprint: key.fingerprint(),
            wall: scene.now(),
        };
        let record = sealed::record(key, log_id, partition, &Body::Genesis(genesis));
        scene.simulation.put("inbox", partition, record).expect("the topic was just made");
    }
    let orders = NewTopic { name: "orders".to_owned(), partitions: 2, replicas: 1, settings: Vec::new() };
    log.create_topic(&orders).expect("a new log takes a topic");
    let wanted = Wanted { partitions, replicas: 1, single_broker: true, participants: Vec::new(), settings };
    topics::create(&log, &Names::new(""), key, &wanted).expect("a new log takes all topics")
}

/// The order example of the documentation, active from the start.
fn apply(scene: &Scene, key: &Key, inbox: &Inbox) -> Definition {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/order-fulfilment");
    let loaded = sagaline_language::load(&[folder]).unwrap_or_else(|error| panic!("{error}"));
    let mut definition = loaded.definitions.values().next().expect("the folder holds one definition").clone();
    if scene.mutation == Some(Mutation::ShortAttempts) {
        for step in &mut definition.steps {
            if let Verb::Call(call) = &mut step.verb {
                call.retry.attempt_timeout = call.retry.attempt_timeout * 2 / 3;
            }
        }
    }
    let options = ApplyOptions {
        contracts: loaded.contracts.iter().cloned().collect(),
        definitions: vec![definition.clone()],
        topics: Wanted { partitions: COMMAND_PARTITIONS, replicas: 1, single_broker: true, ..Wanted::default() },
        by: "the simulation".to_owned(),
    };
    let log = std::sync::Arc::new(scene.simulation.log());
    let begun = Apply::begin(log, &Names::new(""), key, inbox, &Catalogue::default(), &options);
    let mut apply = begun.expect("nothing is known that could speak against it");
    while apply.turn(Duration::ZERO).expect("nothing goes wrong yet").is_none() {
        scene.simulation.advance(1);
    }
    definition
}
