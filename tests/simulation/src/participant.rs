//! A participant as the SDK makes them, in one thread and virtual time: commands in order, the real effect store, answers at least once,
//! positions committed behind them. Its misfortunes are those that the protocol allows; it never lies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sagaline_log::{Fetched, Log, Record};
use sagaline_participant::effects::{Begin, EffectRows, EffectStore, MemoryRows};
use sagaline_participant::{HandlerError, HandlerOutcome, Idempotence};
use sagaline_schemas::command::Command;
use sagaline_schemas::record::{Answer, Body, Compensated, Failed, Kind, Refused, Reply, Succeeded, Working};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Millis, Offset, Partition, proof, schema};

use crate::business::Business;
use crate::courier::Courier;
use crate::scene::{Mutation, Scene};

/// Rows are kept for longer than any run lasts.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// Commands taken at once.
const AT_ONCE: usize = 50;

/// Where a process dies while it handles a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Death {
    BeforeIntent,
    AfterHandler,
    BeforeSync,
    BeforeAnswer,
}

/// What goes wrong in a handler.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mishap {
    FailsBefore,
    ComesAgain,
    FailsAfter,
}

/// One partition of the command topic.
struct Lane {
    partition: Partition,
    next: Offset,
    committed: Offset,
    /// Handled, and not yet answered.
    open: BTreeSet<Offset>,
}

impl Lane {
    fn done(&mut self, offset: Offset) {
        self.open.remove(&offset);
        self.committed = self.open.first().copied().unwrap_or(self.next);
    }
}

/// An answer that leaves later.
struct Late {
    lane: usize,
    offset: Offset,
    topic: String,
    partition: Partition,
    record: Record,
}

/// One participant.
pub struct Participant {
    name: String,
    topic: String,
    lanes: Vec<Lane>,
    rows: MemoryRows,
    store: EffectStore,
    courier: Courier,
    /// By when they leave, and a number.
    late: BTreeMap<(Millis, u64), Late>,
    /// Letters under way: the lane and offset that they answer.
    answering: BTreeMap<u64, (usize, Offset)>,
    number: u64,
    down_until: Millis,
    /// What all its handlers need is away until then.
    out_until: Millis,
}

impl Participant {
    /// Reads its command topic from the beginning.
    pub fn new(name: &str, partitions: u32, scene: &Scene) -> Self {
        let rows = MemoryRows::new();
        let lane = |partition| Lane { partition, next: 0, committed: 0, open: BTreeSet::new() };
        Self {
            name: name.to_owned(),
            topic: format!("commands.{name}"),
            lanes: (0..partitions).map(lane).collect(),
            store: EffectStore::new(Box::new(rows.clone()), RETENTION),
            rows,
            courier: Courier::new(&scene.simulation.log()),
            late: BTreeMap::new(),
            answering: BTreeMap::new(),
            number: 0,
            down_until: 0,
            out_until: 0,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes nothing and answers nothing until then; what it held in memory is lost.
    pub fn go_down(&mut self, scene: &mut Scene, until: Millis) {
        scene.strike("participant down", format!("{} for {} ms", self.name, until - scene.now()));
        self.restart(scene);
        self.down_until = until;
    }

    /// Answers every command with an outage until then: what all its handlers need is away.
    pub fn go_out(&mut self, scene: &mut Scene, until: Millis) {
        scene.strike("participant out", format!("{} for {} ms", self.name, until - scene.now()));
        self.out_until = until;
    }

    /// Comes up where it had committed.
    fn restart(&mut self, scene: &Scene) {
        self.store = EffectStore::new(Box::new(self.rows.clone()), RETENTION);
        self.courier = Courier::new(&scene.simulation.log());
        self.late.clear();
        self.answering.clear();
        for lane in &mut self.lanes {
            lane.next = lane.committed;
            lane.open.clear();
        }
    }

    /// Takes commands and sends answers. Whether anything was done.
    pub fn turn(&mut self, scene: &mut Scene, business: &mut Business) -> bool {
        if scene.now() < self.down_until && !scene.calm {
            return false;
        }
        let landed = self.courier.turn();
        let mut worked = !landed.is_empty();
        for number in landed {
            if let Some((lane, offset)) = self.answering.remove(&number) {
                self.lanes[lane].done(offset);
            }
        }
        worked |= self.send_due(scene.now());
        for lane in 0..self.lanes.len() {
            worked |= self.take(lane, scene, business);
        }
        worked
    }

    /// Nothing is held back and nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.late.is_empty() && self.courier.is_idle()
    }

    fn send_due(&mut self, now: Millis) -> bool {
        let mut sent = false;
        while let Some(entry) = self.late.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, number), late) = entry.remove_entry();
            self.answering.insert(number, (late.lane, late.offset));
            self.courier.send(&late.topic, late.partition, late.record, number);
            sent = true;
        }
        sent
    }

    fn take(&mut self, lane: usize, scene: &mut Scene, business: &mut Business) -> bool {
        let (partition, next) = (self.lanes[lane].partition, self.lanes[lane].next);
        let reader = scene.simulation.log().reader(&self.topic, partition, next);
        let mut records = Vec::new();
        // A read that fails is tried again in the next turn.
        if reader.and_then(|mut reader| reader.poll(AT_ONCE, Duration::ZERO, &mut records)).is_err() {
            return false;
        }
        for fetched in &records {
            self.lanes[lane].next = fetched.offset + 1;
            self.lanes[lane].open.insert(fetched.offset);
            if !self.handle(lane, fetched, scene, business) {
                self.restart(scene);
                return true;
            }
        }
        !records.is_empty()
    }

    /// False: the process died.
    fn handle(&mut self, lane: usize, fetched: &Fetched, scene: &mut Scene, business: &mut Business) -> bool {
        let Ok(command) = proof::open_command(&fetched.record.value) else {
            self.lanes[lane].done(fetched.offset);
            return true;
        };
        let death = death(scene);
        let Some(answer) = self.answer(&command, death, scene, business) else {
            scene.strike("participant died at work", format!("{} at {}", self.name, command.operation));
            return false;
        };
        scene.note(format!(
            "{} {} of {} attempt {}: {}",
            self.name,
            command.operation,
            command.saga,
            command.address.attempt,
            word(&answer)
        ));
        if death == Some(Death::BeforeAnswer) {
            scene.strike("participant died before answering", &self.name);
            return false;
        }
        if scene.unlucky(30) {
            scene.strike("answer lost", format!("{} of {}", command.operation, command.saga));
            self.lanes[lane].done(fetched.offset);
            return true;
        }
        self.schedule(lane, fetched.offset, &command, answer, scene);
        true
    }

    fn schedule(&mut self, lane: usize, offset: Offset, command: &Command, answer: Answer, scene: &mut Scene) {
        let mut delay = scene.chance.within(0..=60);
        if scene.unlucky(60) {
            delay = scene.chance.within(5_000..=200_000);
            scene.strike("answer late", format!("{} of {} by {delay} ms", command.operation, command.saga));
            if scene.chance.strikes(400) {
                let until = scene.now() + delay + 5_000;
                self.leave(lane, offset, command, Answer::Working(Working { until }), scene.now());
            }
        }
        if scene.unlucky(60) {
            scene.strike("answer twice", format!("{} of {}", command.operation, command.saga));
            let again = scene.now() + delay + scene.chance.within(0..=60_000);
            self.leave(lane, offset, command, answer.clone(), again);
        }
        self.leave(lane, offset, command, answer, scene.now() + delay);
    }

    fn leave(&mut self, lane: usize, offset: Offset, command: &Command, answer: Answer, at: Millis) {
        let (address, token) = (command.address.clone(), command.token);
        let reply = Reply { address, token, answer, instance: self.name.clone(), time: at };
        let value = proof::unsealed(schema::INBOX.fingerprint, &Body::Reply(reply));
        let record = Record { key: Vec::new(), value, headers: Vec::new() };
        let (topic, partition) = (command.reply_topic.clone(), command.reply_partition);
        self.number += 1;
        self.late.insert((at, self.number), Late { lane, offset, topic, partition, record });
    }

    /// What the effect store and the business make of a command; none: the process died over it.
    fn answer(
        &mut self,
        command: &Command,
        death: Option<Death>,
        scene: &mut Scene,
        business: &mut Business,
    ) -> Option<Answer> {
        if scene.mutation == Some(Mutation::NoDeduplication) {
            let outcome = self.act(command, scene, business);
            business.recorded(command.effect_id);
            return Some(without_store(command.address.kind, outcome));
        }
        let begun = self
            .store
            .begin(command, Idempotence::ByKey)
            .expect("memory rows don't fail, and one command runs at a time");
        let answer = match begun {
            Begin::Answer(answer) => self.remembered(command, answer, scene),
            Begin::Run(run) => {
                if death == Some(Death::BeforeIntent) {
                    self.rows.crash();
                    return None;
                }
                self.store.sync().expect("memory rows don't fail");
                let outcome = self.act(command, scene, business);
                if death == Some(Death::AfterHandler) {
                    return None;
                }
                // A probe's handler reads: it says nothing about what happened.
                let done = outcome.is_ok() && command.address.kind != Kind::Probe;
                let answer = self.store.finish(run, outcome).expect("memory rows don't fail");
                if death == Some(Death::BeforeSync) {
                    self.rows.crash();
                    return None;
                }
                if done {
                    business.recorded(command.effect_id);
                }
                answer
            }
        };
        self.store.sync().expect("memory rows don't fail");
        Some(answer)
    }

    fn act(&self, command: &Command, scene: &mut Scene, business: &mut Business) -> HandlerOutcome {
        if scene.now() < self.out_until && !scene.calm {
            scene.see("commands that met an outage", 1);
            return Err(HandlerError::unavailable("what it needs is away"));
        }
        act(command, scene, business)
    }

    fn remembered(&mut self, command: &Command, answer: Answer, scene: &mut Scene) -> Answer {
        scene.see("commands answered from memory", 1);
        if matches!(answer, Answer::NothingThere(_)) {
            scene.see("nothing was there to undo", 1);
        }
        if scene.mutation == Some(Mutation::NoTombstones) && matches!(answer, Answer::NothingThere(_)) {
            self.rows.remove(command.effect_id).expect("memory rows don't fail");
        }
        answer
    }
}

fn death(scene: &mut Scene) -> Option<Death> {
    if !scene.unlucky(12) {
        return None;
    }
    Some([Death::BeforeIntent, Death::AfterHandler, Death::BeforeSync, Death::BeforeAnswer][scene.chance.index(4)])
}

/// The handler.
fn act(command: &Command, scene: &mut Scene, business: &mut Business) -> HandlerOutcome {
    let (effect, saga) = (command.effect_id, command.address.saga);
    let mishap = mishap(command, scene);
    match mishap {
        Some(Mishap::FailsBefore) => {
            scene.strike("handler failed before", &command.operation);
            return Err(HandlerError::failed("the handler failed before it did anything"));
        }
        Some(Mishap::ComesAgain) => {
            scene.strike("handler asks to come again", &command.operation);
            return Err(HandlerError::retry(Duration::from_millis(scene.chance.within(0..=40_000) as u64), "busy"));
        }
        Some(Mishap::FailsAfter) | None => {}
    }
    match command.address.kind {
        Kind::Compensate => business.undo(effect, saga),
        Kind::Do if reads(&command.operation) => {}
        Kind::Do => {
            if let Some(code) = refusal(command, scene) {
                return Err(HandlerError::refused(code, "the business says no"));
            }
            if !business.act(effect, saga) {
                return Err(HandlerError::failed("the key is closed"));
            }
        }
        Kind::Probe | Kind::Ask => {}
    }
    if mishap == Some(Mishap::FailsAfter) {
        scene.strike("handler failed after", &command.operation);
        return Err(HandlerError::failed("the handler failed after it had done it"));
    }
    Ok(Bytes::from(result(&command.operation)))
}

/// What goes wrong with this run of the handler. Some effects are cursed: every attempt at them goes wrong, in calm too, and undoing some
/// others takes more attempts than a policy has.
fn mishap(command: &Command, scene: &mut Scene) -> Option<Mishap> {
    let bytes = command.effect_id.as_bytes();
    match (command.address.kind, bytes[0], bytes[1]) {
        (Kind::Do, 0..=5, _) => return Some(Mishap::FailsBefore),
        (Kind::Do, 6..=11, _) => return Some(Mishap::FailsAfter),
        (Kind::Do, 12..=17, _) => return Some(Mishap::ComesAgain),
        (Kind::Compensate, _, 0..=25) if command.address.attempt < 30 => return Some(Mishap::FailsBefore),
        (Kind::Do | Kind::Compensate | Kind::Probe | Kind::Ask, ..) => {}
    }
    let kinds = [(70, Mishap::FailsBefore), (90, Mishap::ComesAgain), (70, Mishap::FailsAfter)];
    kinds.into_iter().find_map(|(per_mille, mishap)| scene.unlucky(per_mille).then_some(mishap))
}

/// A refusal is the business's own decision, so it happens in calm too.
fn refusal(command: &Command, scene: &mut Scene) -> Option<&'static str> {
    let code = match command.operation.as_str() {
        "reserve" => "OutOfStock",
        "charge" => "CardExpired",
        "dispatch" => "UndeliverableAddress",
        _ => ["No", "Later"][scene.chance.index(2)],
    };
    let per_mille = if command.operation == "dispatch" { 120 } else { 60 };
    scene.chance.strikes(per_mille).then_some(code)
}

/// Who asks changes nothing.
fn reads(operation: &str) -> bool {
    matches!(operation, "look" | "status")
}

fn result(operation: &str) -> &'static str {
    match operation {
        "reserve" => r#"{"reservation":"r"}"#,
        "charge" => r#"{"captured":1,"reference":"c"}"#,
        "dispatch" => r#"{"tracking":"t"}"#,
        "take" | "make" | "tell" => r#"{"count":1,"reference":"r"}"#,
        "look" | "status" => r#"{"count":2,"open":true}"#,
        _ => "null",
    }
}

/// What a participant says that knows of no effect store.
fn without_store(kind: Kind, outcome: HandlerOutcome) -> Answer {
    match (kind, outcome) {
        (Kind::Compensate, Ok(result)) => Answer::Compensated(Compensated { result: Some(result) }),
        (_, Ok(result)) => Answer::Succeeded(Succeeded { result }),
        (Kind::Do, Err(HandlerError::Refused { code, detail })) => Answer::Refused(Refused { code, detail }),
        (_, Err(error)) => Answer::Failed(Failed { error: format!("{error:?}"), retry_after: None, outage: false }),
    }
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Succeeded(_) => "succeeded",
        Answer::Refused(_) => "refused",
        Answer::Failed(_) => "failed",
        Answer::Working(_) => "working",
        Answer::Compensated(_) => "compensated",
        Answer::NothingThere(_) => "nothing there",
        Answer::Probed(_) => "probed",
        Answer::Mark(_) => "mark",
    }
}
