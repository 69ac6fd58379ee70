//! Somebody with write access to the inbox of a real Kafka and without the log's key: forges every kind of record, repeats old ones, sends nonsense,
//! floods. Nothing of it changes a saga; what is no repeat is set aside, with its reason. `SAGALINE_PROVE=1` runs the whole form.

#[path = "hostile/messages.rs"]
mod messages;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use sagaline_integration::coordinator::{Seen, get};
use sagaline_integration::form::whole;
use sagaline_integration::kafka::Broker;
use sagaline_integration::stack::Stack;
use sagaline_integration::topic::{append_all, read_all};
use sagaline_log::kafka::KafkaLog;
use sagaline_log::{Fetched, Log, Producer};
use sagaline_schemas::proof::{Key, open, seal, unsealed};
use sagaline_schemas::record::{Body, EngineVersion, Fault, Reply};
use sagaline_schemas::schema::INBOX;
use sagaline_schemas::{LogId, Token};
use serde_json::Value;

/// As `Stack::start` makes them.
const PARTITIONS: u32 = 4;
/// Of the second 20 orders, so many come to shipping.
const WAITING: u64 = 18;
/// What was done until then: for the first 20 orders 57 things (17 of them whole), for those that wait a reservation and a charge, and for the one
/// that is not charged a reservation and its release.
const EFFECTS: usize = 57 + 2 * WAITING as usize + 2;
/// Of each kind of record so many are taken as models.
const MODELS: usize = 3;

/// What must become of a hostile record beside that no saga changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is set aside.
    Parked,
    /// It is set aside for its proof.
    Unproven,
    /// It came before: it is set aside, or leaves no trace.
    Repeat,
}

struct Attack {
    what: String,
    partition: u32,
    value: Vec<u8>,
    fate: Fate,
}

/// The one who attacks: a plain client that has read the whole inbox.
struct Attacker {
    inbox: String,
    producer: Box<dyn Producer>,
    read: Vec<Fetched>,
    log_id: LogId,
}

impl Attacker {
    fn new(stack: &Stack) -> Result<Self> {
        let log = KafkaLog::connect(Broker::shared().bootstrap(), &BTreeMap::new())?;
        let inbox = format!("{}inbox", stack.prefix());
        let read = read_all(&log, &inbox)?;
        let Body::Genesis(genesis) =
            open(INBOX.fingerprint, &read.first().context("it is not empty")?.record.value)?.inbox.body
        else {
            anyhow::bail!("an inbox begins with its genesis");
        };
        Ok(Self { producer: log.producer()?, inbox, read, log_id: genesis.log_id })
    }

    /// The first few records of each kind, with what they say.
    fn models(&self) -> Result<Vec<(&Fetched, Body)>> {
        let mut models: BTreeMap<String, Vec<(&Fetched, Body)>> = BTreeMap::new();
        for fetched in &self.read {
            let body = open(INBOX.fingerprint, &fetched.record.value)?.inbox.body;
            let of_kind = models.entry(kind(&body)).or_default();
            if of_kind.len() < MODELS {
                of_kind.push((fetched, body));
            }
        }
        Ok(models.into_values().flatten().collect())
    }

    fn attacks(&self) -> Result<Vec<Attack>> {
        let mut attacks = Vec::new();
        for (model, body) in self.models()? {
            attacks.extend(self.forgeries(model, &body));
            attacks.extend(repeats(model, &body));
        }
        let fault = Fault { offset: 5, timer: 0, by: "mallory".into(), reason: "pass it over".into() };
        for body in [Body::Fault(fault), Body::EngineVersion(EngineVersion { version: 9, by: "mallory".into() })] {
            let value = seal(INBOX.fingerprint, &wrong_key(), self.log_id, 0, &body);
            attacks.push(Attack { what: format!("forged {}", kind(&body)), partition: 0, value, fate: Fate::Parked });
        }
        for (partition, body) in messages::forged(&self.read)? {
            attacks.extend(self.forged_message(partition, &body));
        }
        let model = &self.read[self.read.len() / 2].record.value;
        let nonsense: [(&str, Vec<u8>); 6] = [
            ("nothing", Vec::new()),
            ("a text", b"hello".to_vec()),
            ("a schema that nobody knows", [&[0xc3, 1][..], &[7; 8], b"what follows"].concat()),
            ("a record cut short", model[..model.len() / 2].to_vec()),
            ("a record and more", [&model[..], b"more"].concat()),
            ("many zeros", vec![0; 900_000]),
        ];
        for (what, value) in nonsense {
            attacks.push(Attack { what: what.to_owned(), partition: 2, value, fate: Fate::Parked });
        }
        Ok(attacks)
    }

    /// No saga here has a child or an alias, so that partitions have nothing to tell each other: these have no model in the log.
    fn forged_message(&self, partition: u32, body: &Body) -> [Attack; 2] {
        let what = messages::name(body);
        let attack =
            |how: &str, value| Attack { what: format!("{what} {how}"), partition, value, fate: Fate::Unproven };
        [
            attack("without a proof", unsealed(INBOX.fingerprint, body)),
            attack("with another key", seal(INBOX.fingerprint, &wrong_key(), self.log_id, partition, body)),
        ]
    }

    fn forgeries(&self, model: &Fetched, body: &Body) -> Vec<Attack> {
        let (partition, value) = (model.partition, &model.record.value);
        let elsewhere = (partition + 1) % PARTITIONS;
        let mut forged = vec![
            ("without a proof", partition, unsealed(INBOX.fingerprint, body)),
            ("with another key", partition, seal(INBOX.fingerprint, &wrong_key(), self.log_id, partition, body)),
            ("with a byte of its end changed", partition, changed(value)),
            ("copied from another partition", elsewhere, value.clone()),
        ];
        if let Body::Reply(reply) = body {
            // Its proof is the token that its command carried.
            let other = Body::Reply(Reply { token: Token([9; 16]), ..reply.clone() });
            forged = vec![
                ("with another token", partition, unsealed(INBOX.fingerprint, &other)),
                ("copied from another partition", elsewhere, value.clone()),
            ];
        }
        forged
            .into_iter()
            .map(|(how, partition, value)| Attack {
                what: format!("{} {how}", kind(body)),
                partition,
                value,
                fate: Fate::Parked,
            })
            .collect()
    }

    /// Sends all, and waits until they are in the log. Gives where each of them lies.
    fn send(&mut self, attacks: &[Attack]) -> Result<Vec<(u32, i64)>> {
        let values = attacks.iter().map(|attack| (attack.partition, attack.value.as_slice()));
        append_all(self.producer.as_mut(), &self.inbox, values)
    }
}

fn wrong_key() -> Key {
    Key::new("test", [1; 32])
}

/// The same record with its last byte but one changed: in its proof, where it has one.
fn changed(value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    let at = value.len() - 2;
    value[at] ^= 1;
    value
}

fn repeats(model: &Fetched, body: &Body) -> Vec<Attack> {
    let (what, value) = (format!("{} once more", kind(body)), model.record.value.clone());
    vec![Attack { what, partition: model.partition, value, fate: Fate::Repeat }]
}

fn kind(body: &Body) -> String {
    let text = format!("{body:?}");
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// Everything that people are told of sagas: reports and histories.
fn told(stack: &Stack, api: &str) -> Result<BTreeMap<String, (Value, Value)>> {
    let mut told = BTreeMap::new();
    let page = get(&format!("{api}/v1/sagas?limit=500"))?;
    ensure!(page["next"].is_null(), "more sagas than one page: {}", stack.orders.len());
    for line in page["sagas"].as_array().into_iter().flatten() {
        let id = line["id"].as_str().context("a saga has an id")?;
        let mut saga = get(&format!("{api}/v1/sagas/{id}"))?;
        // How far the partition has come is told beside the saga.
        saga.as_object_mut().map(|saga| saga.remove("fresh"));
        let mut history = get(&format!("{api}/v1/sagas/{id}/history"))?;
        history.as_object_mut().map(|history| history.remove("fresh"));
        told.insert(id.to_owned(), (saga, history));
    }
    Ok(told)
}

/// Where records were set aside, and why.
fn parked(api: &str) -> Result<BTreeMap<(u32, i64), String>> {
    let page = get(&format!("{api}/v1/parked?limit=1000"))?;
    let lines = page["parked"].as_array().context("a page has lines")?;
    lines
        .iter()
        .map(|line| {
            let number = |name: &str| line[name].as_i64().with_context(|| format!("a line has its {name}"));
            let place = (u32::try_from(number("partition")?)?, number("offset")?);
            Ok((
                place,
                format!(
                    "{}: {}",
                    line["reason"].as_str().unwrap_or_default(),
                    line["detail"].as_str().unwrap_or_default()
                ),
            ))
        })
        .collect()
}

/// Waits until the node has folded what lies there.
fn wait_folded(stack: &mut Stack, places: &[(u32, i64)]) -> Result<()> {
    stack.wait("the fold of what was sent", |stack| {
        let seen = stack.coordinators[0].partitions()?;
        let folded = |(partition, offset): &(u32, i64)| seen[*partition as usize].position > *offset;
        Ok(places.iter().all(folded).then_some(()))
    })
}

#[test]
fn what_is_forged_or_repeated_changes_no_saga() -> Result<()> {
    let mut stack = Stack::start(&[])?;
    let api = stack.wait_ready()?;
    stack.sagaline(&["settings", "set", "keep_ended=40d", "--api", &api])?;
    stack.send_more(20)?;
    stack.wait_ended(&api)?;
    stack.sagaline(&["note", "order/order-00001", "--reason", "looked at", "--api", &api])?;
    // Others wait for shipping, which stalls: commands are out, and an answer to them would be believed if it were proven.
    stack.instance("shipping", 0)?.stall()?;
    stack.send_more(20)?;
    stack.wait("sagas that wait for shipping", |stack| Ok((stack.effects()? == EFFECTS).then_some(())))?;
    let quiet = stack.wait("quiet", |stack| {
        let silent = stack.coordinators[0].partitions()?.iter().all(Seen::has_said_all);
        let (before, again) = (told(stack, &api)?, told(stack, &api)?);
        Ok((before == again && silent && stack.under_way_at(&api)? == WAITING).then_some(before))
    })?;

    let mut attacker = Attacker::new(&stack)?;
    let attacks = attacker.attacks()?;
    let places = attacker.send(&attacks)?;
    wait_folded(&mut stack, &places)?;
    ensure!(told(&stack, &api)? == quiet, "a saga is no longer what it was");
    let set_aside = stack.wait("what was set aside", |_| {
        let parked = parked(&api)?;
        let missing = attacks
            .iter()
            .zip(&places)
            .any(|(attack, place)| attack.fate != Fate::Repeat && !parked.contains_key(place));
        Ok((!missing).then_some(parked))
    })?;
    for (attack, place) in attacks.iter().zip(&places).filter(|(attack, _)| attack.fate == Fate::Unproven) {
        let why = &set_aside[place];
        ensure!(why.starts_with("Unproven: "), "{}: {why}", attack.what);
    }
    let mut kinds = BTreeSet::new();
    for (attack, place) in attacks.iter().zip(&places) {
        let fate = set_aside.get(place).map_or("left no trace", String::as_str);
        if kinds.insert((attack.what.clone(), fate.to_owned())) {
            println!("{}: {fate}", attack.what);
        }
    }

    // Now under load: one record in a hundred is poison, and repeats come in floods.
    let (orders, floods) = if whole() { (2_000, 40) } else { (100, 2) };
    for _ in 0..floods {
        stack.send_more(orders / floods)?;
        attacker.send(&attacks)?;
    }
    stack.instance("shipping", 0)?.wake()?;
    stack.wait_ended(&api)?;
    let wrong = stack.differences(&api)?;
    ensure!(wrong.is_empty(), "{} differences: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    stack.stop_coordinator()?;
    let said = stack.sagaline(&["verify", "--config", "coordinator.toml"])?;
    ensure!(said.lines().all(|line| line.starts_with("same: ")), "{said}");
    println!(
        "{} orders ended as they should, among {} hostile records",
        stack.orders.len(),
        attacks.len() * (1 + floods)
    );
    stack.done();
    Ok(())
}

/// A client that writes in transactions, as one may that means well: each leaves a record and, when it ends, a marker, which takes an offset and is
/// given to no reader.
struct Transactions {
    inbox: String,
    producer: BaseProducer,
}

impl Transactions {
    fn new(inbox: String) -> Result<Self> {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", Broker::shared().bootstrap())
            .set("transactional.id", format!("means-well-{inbox}"))
            .create()?;
        producer.init_transactions(PATIENCE)?;
        Ok(Self { inbox, producer })
    }

    /// One that is committed and one that is not, each over all partitions.
    fn write(&self) -> Result<()> {
        for commits in [true, false] {
            self.producer.begin_transaction()?;
            for partition in 0..PARTITIONS as i32 {
                let record = BaseRecord::<(), _>::to(&self.inbox).partition(partition).payload("well meant");
                self.producer.send(record).map_err(|(error, _)| error)?;
            }
            self.producer.flush(PATIENCE)?;
            if commits {
                self.producer.commit_transaction(PATIENCE)?;
            } else {
                self.producer.abort_transaction(PATIENCE)?;
            }
        }
        Ok(())
    }
}

/// Longer than the broker takes for anything.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn transactions_in_the_inbox_stop_no_partition() -> Result<()> {
    let mut stack = Stack::start(&[])?;
    let api = stack.wait_ready()?;
    stack.send_more(8)?;
    stack.wait_ended(&api)?;
    let transactions = Transactions::new(format!("{}inbox", stack.prefix()))?;
    transactions.write()?;
    stack.send_more(8)?;
    stack.wait_ended(&api)?;
    stack.stop_coordinator()?;
    // Now the log ends with markers, and whoever takes the partitions has to see that it has read them all.
    transactions.write()?;
    stack.start_coordinator(None)?;
    let api = stack.wait_ready()?;
    stack.send_more(8)?;
    stack.wait_ended(&api)?;
    let wrong = stack.differences(&api)?;
    ensure!(wrong.is_empty(), "{} differences: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    let set_aside = parked(&api)?;
    ensure!(set_aside.len() == 4 * PARTITIONS as usize, "each record is set aside, and no marker: {set_aside:?}");
    ensure!(set_aside.values().all(|why| why.starts_with("Undecodable: ")), "{set_aside:?}");
    stack.stop_coordinator()?;
    let said = stack.sagaline(&["verify", "--config", "coordinator.toml"])?;
    ensure!(said.lines().all(|line| line.starts_with("same: ")), "{said}");
    stack.done();
    Ok(())
}
