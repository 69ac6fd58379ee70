//! What happens in the simulation and when: appends under way, faults, virtual time. One thread, no clock, no surprise: the
//! same calls with the same seed give the same log.

use std::collections::BTreeMap;

use sagaline_schemas::{Millis, Offset, Partition, TopicId};

use super::Faults;
use super::broker::{Taking, Topics};
use super::chance::Chance;
use super::groups::Groups;
use crate::{Acknowledgement, LogError, Record, Ticket};

/// Names a producer.
pub(super) type ProducerId = u64;

/// A record under way to the broker.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    /// Who waits for it; none: its producer has given it up or is gone.
    sender: Option<(ProducerId, Ticket)>,
    topic: String,
    /// The topic it was meant for: one of the same name that was made later does not take it.
    id: TopicId,
    partition: Partition,
    record: Record,
    sent: Millis,
}

#[derive(Debug)]
enum Event {
    Land(Flight),
    Tell(ProducerId, Acknowledgement),
}

/// A producer as the simulation knows it.
#[derive(Debug, Default)]
struct Sender {
    told: Vec<Acknowledgement>,
    /// When the last record of each partition lands: a later one lands later.
    lands: BTreeMap<(String, Partition), Millis>,
    /// When the last acknowledgement comes.
    tells: Millis,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Millis,
    /// The broker's clock minus `now`.
    pub(super) broker_skew: Millis,
    pub(super) chance: Chance,
    pub(super) faults: Faults,
    pub(super) topics: Topics,
    pub(super) groups: Groups,
    pub(super) cluster: TopicId,
    senders: BTreeMap<ProducerId, Sender>,
    events: BTreeMap<(Millis, u64), Event>,
    /// Records of stalled topics, in the order in which they came.
    stalled: Vec<Flight>,
    numbered: u64,
}

impl World {
    pub(super) fn new(seed: u64, now: Millis) -> Self {
        let mut chance = Chance::new(seed);
        let cluster = random_id(&mut chance);
        Self {
            now,
            broker_skew: 0,
            chance,
            faults: Faults::default(),
            topics: Topics::default(),
            groups: Groups::default(),
            cluster,
            senders: BTreeMap::new(),
            events: BTreeMap::new(),
            stalled: Vec::new(),
            numbered: 0,
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }

    pub(super) fn new_id(&mut self) -> TopicId {
        random_id(&mut self.chance)
    }

    /// Lets pass what is due.
    pub(super) fn settle(&mut self) {
        self.pass_until(self.now);
    }

    /// Lets everything happen that happens until `end`, each at its time, and stops there.
    pub(super) fn pass_until(&mut self, end: Millis) {
        while let Some(due) = self.next_event().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let (_, event) = self.events.pop_first().expect("next_event has just seen it");
            match event {
                Event::Land(flight) => self.land(flight),
                Event::Tell(producer, acknowledgement) => self.tell(producer, acknowledgement),
            }
        }
        self.now = self.now.max(end);
        self.groups.expire(self.now);
    }

    /// When the next thing happens by itself.
    pub(super) fn next_event(&self) -> Option<Millis> {
        self.events.first_key_value().map(|((due, _), _)| *due)
    }

    fn schedule(&mut self, due: Millis, event: Event) {
        let number = self.number();
        self.events.insert((due, number), event);
    }

    pub(super) fn add_producer(&mut self) -> ProducerId {
        let id = self.number();
        self.senders.insert(id, Sender::default());
        id
    }

    /// Sends a record on its way.
    pub(super) fn send(
        &mut self,
        producer: ProducerId,
        topic: &str,
        partition: Partition,
        record: &Record,
        ticket: Ticket,
    ) -> Result<(), LogError> {
        let there = self.topics.partition(topic, partition)?;
        there.settings.check_size(topic, record)?;
        let (sender, id, sent) = (Some((producer, ticket)), there.info.id, self.now);
        let flight = Flight { sender, topic: topic.to_owned(), id, partition, record: record.clone(), sent };
        let earliest = self.now + self.chance.within(&self.faults.landing_ms);
        let lands = &mut self.sender(producer).lands;
        let last = lands.entry((topic.to_owned(), partition)).or_insert(earliest);
        *last = earliest.max(*last);
        let due = *last;
        self.schedule(due, Event::Land(flight));
        Ok(())
    }

    fn sender(&mut self, producer: ProducerId) -> &mut Sender {
        self.senders.get_mut(&producer).expect("a producer is known until it is dropped")
    }

    /// What a producer has been told since it last asked.
    pub(super) fn take_told(&mut self, producer: ProducerId) -> Vec<Acknowledgement> {
        std::mem::take(&mut self.sender(producer).told)
    }

    fn land(&mut self, flight: Flight) {
        let Ok(topic) = self.topics.require(&flight.topic) else { return self.bounce(&flight) };
        if topic.info.id != flight.id {
            return self.bounce(&flight);
        }
        match topic.taking.clone() {
            Taking::Stalled => self.stalled.push(flight),
            Taking::Refused(error) => self.answer(&flight, Err(error)),
            Taking::All => self.arrive(flight),
        }
    }

    /// The record has reached a broker that takes it: now the faults have their say.
    fn arrive(&mut self, flight: Flight) {
        let faults = self.faults.clone();
        if self.chance.strikes(faults.unknown_lost) {
            return self.answer(&flight, Err(unknown("the broker never got it")));
        }
        let offset = self.put(&flight);
        // A repeat is not repeated: it has no sender.
        if flight.sender.is_some() && self.chance.strikes(faults.duplicated) {
            let again = Flight { sender: None, ..flight.clone() };
            let due = self.now + self.chance.within(&faults.landing_ms);
            self.schedule(due, Event::Land(again));
        }
        let outcome = match self.chance.strikes(faults.unknown_landed) {
            true => Err(unknown("the broker's answer was lost")),
            false => Ok(offset),
        };
        self.answer(&flight, outcome);
    }

    fn put(&mut self, flight: &Flight) -> Offset {
        let appended = self.now + self.broker_skew;
        let topic = self.topics.require_mut(&flight.topic).expect("land has just found it");
        let timestamp = if topic.settings.append_time { appended } else { flight.sent };
        topic.land(flight.partition, timestamp, flight.record.clone())
    }

    fn bounce(&mut self, flight: &Flight) {
        self.answer(flight, Err(LogError::NoTopic { topic: flight.topic.clone() }));
    }

    fn answer(&mut self, flight: &Flight, outcome: Result<Offset, LogError>) {
        let Some((producer, ticket)) = flight.sender else { return };
        let earliest = self.now + self.chance.within(&self.faults.acknowledgement_ms);
        let sender = self.sender(producer);
        sender.tells = earliest.max(sender.tells);
        let due = sender.tells;
        self.schedule(due, Event::Tell(producer, Acknowledgement { ticket, outcome }));
    }

    fn tell(&mut self, producer: ProducerId, acknowledgement: Acknowledgement) {
        if let Some(sender) = self.senders.get_mut(&producer) {
            sender.told.push(acknowledgement);
        }
    }

    /// A producer gives up all that it has not heard of: what is under way may land all the same.
    pub(super) fn purge(&mut self, producer: ProducerId) {
        self.settle();
        let mut tickets = Vec::new();
        let lost = self.faults.orphan_lost;
        for (key, event) in std::mem::take(&mut self.events) {
            match event {
                Event::Land(flight) => {
                    if let Some(flight) = orphan(flight, producer, lost, &mut self.chance, &mut tickets) {
                        self.events.insert(key, Event::Land(flight));
                    }
                }
                Event::Tell(to, acknowledgement) if to == producer => tickets.push(acknowledgement.ticket),
                Event::Tell(..) => {
                    self.events.insert(key, event);
                }
            }
        }
        for flight in std::mem::take(&mut self.stalled) {
            self.stalled.extend(orphan(flight, producer, lost, &mut self.chance, &mut tickets));
        }
        tickets.sort_unstable();
        for ticket in tickets {
            self.tell(producer, Acknowledgement { ticket, outcome: Err(unknown("given up")) });
        }
    }

    /// A producer dies: nobody waits for its records any more.
    pub(super) fn remove_producer(&mut self, producer: ProducerId) {
        self.purge(producer);
        self.senders.remove(&producer);
    }

    /// Changes how a topic takes appends; what was stalled goes on.
    pub(super) fn set_taking(&mut self, topic: &str, taking: Taking) -> Result<(), LogError> {
        self.settle();
        self.topics.require_mut(topic)?.taking = taking;
        for flight in std::mem::take(&mut self.stalled) {
            self.land(flight);
        }
        Ok(())
    }

    /// Whether a read is to fail.
    pub(super) fn read_fails(&mut self, topic: &str) -> Result<(), LogError> {
        if !self.chance.strikes(self.faults.read_error) {
            return Ok(());
        }
        Err(LogError::Io { place: topic.to_owned(), detail: "the simulated broker did not answer".to_owned() })
    }
}

/// Takes a flight from its producer. None: it was this producer's, and is lost.
fn orphan(
    mut flight: Flight,
    producer: ProducerId,
    lost: u32,
    chance: &mut Chance,
    tickets: &mut Vec<Ticket>,
) -> Option<Flight> {
    let Some((_, ticket)) = flight.sender.filter(|(sender, _)| *sender == producer) else { return Some(flight) };
    tickets.push(ticket);
    flight.sender = None;
    (!chance.strikes(lost)).then_some(flight)
}

fn unknown(detail: &str) -> LogError {
    LogError::OutcomeUnknown { detail: detail.to_owned() }
}

fn random_id(chance: &mut Chance) -> TopicId {
    TopicId(uuid::Builder::from_random_bytes(chance.bytes()).into_uuid())
}
