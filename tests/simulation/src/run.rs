//! One run: a world is set up, the plan befalls it, then everything is mended and time passes until nothing is left to do. One thread.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::Definition;
use sagaline_definition::model::{Again, Step};
use sagaline_engine::{Phase, PlaceState, Saga};
use sagaline_log::simulated::EPOCH;
use sagaline_log::simulated::Faults;
use sagaline_log::{Log, LogError, Record};
use sagaline_node::sealed;
use sagaline_node::topics::Inbox;

use sagaline_partition::view;
use sagaline_schemas::hash::partition_of;
use sagaline_schemas::proof::Key;
use sagaline_schemas::record::Body;
use sagaline_schemas::request::{CancelRequest, KeyTarget, Request, RequestBody, RequestTarget};
use sagaline_schemas::{Digest, Millis, Offset, Partition, RequestId, SagaId};

use crate::business::Business;
use crate::courier::Courier;
use crate::definitions::PARENT;
use crate::forger::Forger;
use crate::judge;
use crate::node::Node;
use crate::participant::Participant;
use crate::plan::{Act, BREAKABLE, News, Plan};
use crate::scene::{Mutation, Scene, Totals, Violation};
use crate::setup::{self, Story};

const PARTICIPANTS: [&str; 3] = ["inventory", "payment", "shipping"];
pub(crate) const COMMAND_PARTITIONS: u32 = 2;
/// How long a mended world may take to come to rest: all retries of the definition lie within six hours.
const PATIENCE: Millis = 48 * 3_600_000;
/// Longest step: less than the gap after which an owner falls silent.
const LONGEST_STEP: Millis = 4_000;
/// How often, in calm, rest is looked for and a person has a look at stuck sagas.
const LOOK_EVERY: Millis = 10_000;

/// The value of an output, and the partition where that is fixed.
pub(crate) type Addressed = (Option<Partition>, Vec<u8>);

/// One run's world.
pub struct World {
    /// What all share.
    pub scene: Scene,
    pub(crate) key: Key,
    pub(crate) inbox: Inbox,
    /// By digest.
    pub(crate) definitions: BTreeMap<Digest, Definition>,
    /// Whose sagas orders begin.
    pub(crate) started: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) business: Business,
    /// Forged records, by inbox partition and offset, with what they are.
    pub(crate) forged: BTreeMap<(Partition, Offset), &'static str>,
    /// Values of the topics, as they are looked at.
    topics: BTreeMap<(String, Partition), BTreeSet<Vec<u8>>>,
    /// What refolds make: by channel, the partition where it is fixed, and the value.
    pub(crate) decided: BTreeMap<String, BTreeSet<Addressed>>,
    /// Orders that were placed, and how often.
    pub(crate) placed: BTreeMap<String, u32>,
    /// Sagas that orders began.
    pub(crate) begun: BTreeMap<String, u32>,
    participants: Vec<Participant>,
    courier: Courier,
    requests: Vec<(Partition, Record)>,
    /// How often, in calm, people had a look at a saga that needs them.
    pub(crate) helped: BTreeMap<SagaId, u32>,
    /// Versions of what people say of scopes.
    pub(crate) words: i64,
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
    judged.map_err(|what| {
        let texts = world.scene.totals.texts.values().cloned().collect::<Vec<_>>().join("\n");
        Violation { seed, what, trail: world.scene.trail(), texts }
    })?;
    Ok(world.scene.totals)
}

impl World {
    fn new(mut scene: Scene, plan: Plan) -> Self {
        let key = Key::new("simulated", [7; 32]);
        let log = scene.simulation.log();
        let inbox = setup::make_topics(&mut scene, &key, plan.partitions);
        let definitions = setup::apply(&mut scene, &key, &inbox, plan.story);
        let started = match plan.story {
            Story::Orders => "order-fulfilment",
            Story::Drawn => PARENT,
        };
        let nodes = plan.skews.iter().enumerate();
        let nodes = nodes.map(|(n, skew)| Node::new(["ada", "bob"][n], *skew, &key, &inbox, &scene)).collect();
        Self {
            nodes,
            participants: PARTICIPANTS.iter().map(|name| Participant::new(name, COMMAND_PARTITIONS, &scene)).collect(),
            courier: Courier::new(&log),
            business: Business::default(),
            forged: BTreeMap::new(),
            placed: BTreeMap::new(),
            begun: BTreeMap::new(),
            topics: BTreeMap::new(),
            decided: BTreeMap::new(),
            requests: Vec::new(),
            helped: BTreeMap::new(),
            words: 0,
            scene,
            key,
            inbox,
            definitions,
            started: started.to_owned(),
            plan,
        }
    }

    /// What a saga runs by.
    pub(crate) fn definition(&self, saga: &Saga) -> Result<&Definition, String> {
        self.definitions
            .get(&saga.definition)
            .ok_or_else(|| format!("{} runs by a definition that nobody applied", saga.key))
    }

    /// Whether one of its words, or a person's, undoes something and goes on: then effects are undone in more than one sequence.
    pub(crate) fn goes_aside(&self, saga: &Saga) -> bool {
        let text = self.scene.totals.texts.values();
        let drawn = text.clone().count() > 0;
        saga.went_aside || drawn && text.into_iter().any(|text| text.contains("skip") || text.contains("back_to"))
    }

    /// Whether another saga may begin where the last of its key has ended.
    pub(crate) fn begins_again(&self) -> bool {
        self.definitions.values().any(|definition| definition.start.again == Again::Ended)
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
            Act::Tell(news) => self.tell(&news),
            Act::Person => self.somebody_acts(),
            Act::Word { pause } => self.say_of_scope(pause),
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
            Act::Out { participant, millis } => self.participants[participant].go_out(&mut self.scene, now + millis),
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
        let event = match self.plan.story {
            Story::Orders => format!(
                r#"{{"type":"placed","order_id":"{key}","account":"a{number}","sku":"tea","quantity":2,"total":1000,"currency":"EUR","address":{{"street":"High Street 1","country":"DE"}}}}"#
            ),
            // The same number, the same order.
            Story::Drawn => format!(
                r#"{{"type":"placed","order_id":"{key}","product":"p{}","count":{},"open":{},"things":{},"starts_at":{}}}"#,
                number % 3,
                number % 5,
                number.is_multiple_of(2),
                [r#"["x","y"]"#, r#"["x"]"#, "[]", r#"["x","y","z"]"#][number % 4],
                EPOCH + 20_000 * number as Millis,
            ),
        };
        self.send("orders", event);
    }

    fn tell(&mut self, news: &News) {
        let (topic, event) = match news {
            News::State { order, state, seq } => {
                ("news", format!(r#"{{"kind":"state","id":"{}","state":"{state}","seq":{seq}}}"#, order_key(*order)))
            }
            News::Level { product, level, seq } => {
                ("rates", format!(r#"{{"product":"p{product}","level":{level},"seq":{seq}}}"#))
            }
            News::Letter { order, n } => ("letters", format!(r#"{{"id":"{}","n":{n}}}"#, order_key(*order))),
            News::Reference { order } => ("refs", format!(r#"{{"ref":"r{}"}}"#, order_key(*order))),
        };
        self.scene.see("events told", 1);
        self.scene.note(format!("told in {topic}: {event}"));
        self.send(topic, event);
    }

    fn place_nonsense(&mut self) {
        let nonsense =
            [r#"{"type":"placed"}"#, "no json", r#"{"type":"placed","order_id":""}"#, r#"{"type":"viewed"}"#];
        let event = nonsense[self.scene.chance.index(nonsense.len())];
        self.scene.strike("nonsense in a domain topic", event);
        self.send("orders", event.to_owned());
    }

    fn send(&mut self, topic: &str, event: String) {
        let partitions = setup::DOMAIN.iter().find(|(name, _)| *name == topic).map_or(1, |(_, partitions)| *partitions);
        let partition = self.scene.chance.index(partitions as usize) as u32;
        let record = Record { key: Vec::new(), value: event.into_bytes(), headers: Vec::new() };
        self.courier.send(topic, partition, record, 0);
    }

    fn cancel(&mut self, number: usize) {
        let body = RequestBody::Cancel(CancelRequest { reason: "changed my mind".to_owned() });
        let key = order_key(number);
        let target = KeyTarget { definition: self.started.clone(), key: key.clone() };
        self.request(partition_of(&key, self.inbox.partitions), RequestTarget::Key(target), body);
    }

    pub(crate) fn request(&mut self, partition: Partition, target: RequestTarget, body: RequestBody) {
        self.scene.note(format!("request to {partition}, {target:?}: {body:?}"));
        let (by, roles) =
            [("eve", ""), ("ann", ""), ("bo", "role/clerk"), ("cy", "role/head")][self.scene.chance.index(4)];
        let request = Request {
            id: RequestId::from_bytes(self.scene.chance.bytes()),
            by: by.to_owned(),
            roles: (!roles.is_empty()).then(|| roles.to_owned()).into_iter().collect(),
            issued: self.scene.now(),
            target,
            body,
        };
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

    /// People look after what needs them; tells whether there is nothing left to wait for.
    fn look(&mut self) -> Result<bool, String> {
        let mut rest = self.plan.acts.is_empty() && self.what_is_under_way().is_empty();
        let mut keys = BTreeSet::new();
        for partition in 0..self.inbox.partitions {
            for saga in self.sagas(partition)? {
                rest &= !self.help(partition, &saga) && !self.runs(&saga);
                keys.insert(saga.key);
            }
        }
        Ok(rest && self.placed.keys().all(|key| keys.contains(key)))
    }

    /// Whether it goes on by itself, some time.
    fn runs(&self, saga: &Saga) -> bool {
        matches!(saga.phase, Phase::Running { .. })
            && !self.definition(saga).is_ok_and(|definition| rests_held(definition, saga))
    }

    pub(crate) fn sagas(&self, partition: Partition) -> Result<Vec<Saga>, String> {
        let owner = self.nodes[0].seats[partition as usize].owner.as_ref();
        let Some(owner) = owner else { return Ok(Vec::new()) };
        view::sagas(owner.reader().as_ref(), None, usize::MAX).map_err(|error| error.to_string())
    }

    fn end_of_inbox(&self, partition: Partition) -> Offset {
        let reader = self.scene.simulation.log().reader("inbox", partition, 0);
        reader.and_then(|mut reader| reader.bounds()).expect("nothing goes wrong in calm").1
    }

    /// What is still awaited, by sagas and by machines.
    fn why_no_rest(&self) -> String {
        let mut reasons = self.what_is_under_way();
        let mut keys = BTreeSet::new();
        for partition in 0..self.inbox.partitions {
            for saga in self.sagas(partition).unwrap_or_default() {
                if self.runs(&saga) {
                    let Saga { id, key, phase, held, timers, .. } = &saga;
                    let places: Vec<_> =
                        saga.steps.iter().map(|step| step.state.places().iter().map(|place| &place.state)).collect();
                    let places: Vec<Vec<_>> = places.into_iter().map(Iterator::collect).collect();
                    let open: Vec<_> = saga.effects.iter().filter(|effect| effect.outcome.is_undecided()).collect();
                    reasons.push(format!(
                        "{id} {key} runs: {phase:?}, held {held:?}, places {places:?}, open {open:?}, timers {timers:?}"
                    ));
                }
                keys.insert(saga.key);
            }
        }
        let absent = self.placed.keys().filter(|key| !keys.contains(*key));
        reasons.extend(absent.map(|key| format!("{key} has no saga")));
        reasons.join("; ")
    }

    /// Empty: nothing, as far as the log and the machines show.
    fn what_is_under_way(&self) -> Vec<String> {
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
                let gates = view::gates(owner.reader().as_ref()).unwrap_or_default();
                let held = gates.iter().filter(|(_, gate)| gate.held > 0);
                reasons.extend(held.map(|(subject, gate)| format!("{} wait before {subject}: {gate:?}", gate.held)));
                reasons.extend(
                    channels
                        .iter()
                        .filter(|(_, state)| state.length > 0)
                        .map(|(name, state)| format!("{name} of partition {partition} holds {} outputs", state.length)),
                );
            }
        }
        reasons
    }
}

/// Whether nothing is left to happen, because it or a place of it waits for a person, or behind its guard for the world to change: visibly, and
/// perhaps for ever.
pub(crate) fn rests_held(definition: &Definition, saga: &Saga) -> bool {
    let steps = definition.steps.iter().zip(&saga.steps);
    let places: Vec<_> =
        steps.flat_map(|(step, run)| run.state.places().iter().map(move |place| (step, place))).collect();
    let waits = |step: &Step, state: &PlaceState| match state {
        PlaceState::Held { .. } | PlaceState::Guarded => true,
        PlaceState::Active { effect } => step.guard.is_some() && saga.effects[*effect as usize].tries.resting,
        _ => false,
    };
    saga.goes_forward()
        && saga.timers.iter().all(|timer| timer.kind.is_of_fact())
        && (saga.held.is_some() || places.iter().any(|(step, place)| waits(step, &place.state)))
        && !places.iter().any(|(step, place)| place.state.takes_seat() && !waits(step, &place.state))
}

fn order_key(number: usize) -> String {
    format!("o-{number}")
}
