//! Virtual time: the next thing that is due happens next, be it an answer, a timer, or what the scenario says. Nothing waits.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::model::Verb;
use sagaline_engine::{
    Asked, ChildWord, Direction, Fact, HistoryHead, Input, Limits, Moment, Outgoing, Phase, PlaceName, PlaceState,
    Saga, Spot, StepState, TimerKind, TimerStart, Told, Transition, turn,
};
use sagaline_language::scenario::{Reply, Says, What};
use sagaline_schemas::record::{Answer, End, Kind, Succeeded};
use sagaline_schemas::wire::{Bytes, Wire};
use sagaline_schemas::{Digest, Millis, RequestId, SagaId, Value};

use crate::account::{Account, Caused, Commanded, Turned, Waited};
use crate::reply::answer;
use crate::stage::{Command, Doors, Stage};

const LIMITS: Limits = Limits { max_payload: 1 << 20, max_effects: 10_000, max_mailbox: 1_000, keep_ended: 86_400_000 };
/// More happenings than any scenario has.
const MOST: u32 = 1_000_000;

/// Something that is due.
enum Due {
    Answer { effect: u32, kind: Kind, attempt: u32, says: Says, command: usize },
    Child { effect: u32, end: End, result: Value, command: usize },
    Asked { fact: u32, attempt: u32, answer: Value, command: usize },
    Happens(usize, What),
    Up(String),
    Try(String),
    Questions,
}

/// A scenario that runs.
pub(crate) struct Play<'a> {
    stage: Stage<'a>,
    saga: Saga,
    now: Millis,
    offset: i64,
    due: BTreeMap<(Millis, u32), Due>,
    scheduled: u32,
    doors: Doors,
    /// Facts whose questions wait until somebody takes them.
    asking: BTreeSet<u32>,
    account: Account,
    /// What the next turn comes from.
    cause: Caused,
}

impl<'a> Play<'a> {
    pub fn new(stage: Stage<'a>) -> Self {
        let saga = Saga {
            id: SagaId::from_bytes([7; 16]),
            definition: Digest([0; 32]),
            key: stage.key.clone(),
            started: 0,
            started_at: stage.clock,
            input: Bytes(stage.input.to_json()),
            parent: None,
            phase: Phase::Running { direction: Direction::Forward },
            overdue: false,
            held: None,
            owner: None,
            steps: vec![],
            effects: vec![],
            timers: vec![],
            facts: vec![],
            reactions: vec![],
            letters: vec![],
            aliases: vec![],
            went_aside: false,
            loops: vec![],
            routes: vec![],
            history: HistoryHead::default(),
            traceparent: None,
        };
        let now = stage.clock;
        let mut play = Self {
            stage,
            saga,
            now,
            offset: 0,
            due: BTreeMap::new(),
            scheduled: 0,
            doors: Doors::default(),
            asking: BTreeSet::new(),
            account: Account::default(),
            cause: Caused::Begun,
        };
        for (nth, happening) in std::mem::take(&mut play.stage.happenings).into_iter().enumerate() {
            play.schedule(play.now + happening.at, Due::Happens(nth, happening.what));
        }
        play
    }

    pub fn run(mut self) -> Account {
        self.take(Input::Start { told: vec![] });
        for _ in 0..MOST {
            if !self.next() {
                break;
            }
        }
        self.rest();
        self.account
    }

    fn schedule(&mut self, at: Millis, due: Due) {
        self.scheduled += 1;
        self.due.insert((at, self.scheduled), due);
    }

    /// Whether anything happened.
    fn next(&mut self) -> bool {
        self.saga.begin_durations(self.now);
        let timer = self.saga.timers.iter().filter(|timer| timer.kind != TimerKind::Forget);
        let timer = timer.filter_map(|timer| match timer.start {
            TimerStart::Due { at } => Some((at, timer.at.clone(), timer.kind)),
            TimerStart::Waiting { .. } => None,
        });
        let timer = timer.min();
        let due = self.due.first_key_value().map(|(key, _)| *key);
        match (due, timer) {
            (Some(key), timer) if timer.as_ref().is_none_or(|(at, ..)| key.0 <= *at) => {
                self.now = self.now.max(key.0);
                if let Some(due) = self.due.remove(&key) {
                    self.happens(due);
                }
                true
            }
            // Once it rests for good, its timers only remind.
            (None, Some(_)) if matches!(self.saga.phase, Phase::Stuck { .. }) => false,
            (_, Some((at, spot, kind))) => {
                self.now = self.now.max(at);
                self.take(Input::Timer { kind, at: spot });
                true
            }
            (_, None) => false,
        }
    }

    fn happens(&mut self, due: Due) {
        match due {
            Due::Answer { effect, kind, attempt, says, command } => {
                let participant = self.participant(effect);
                if let Some(answer) = answer(kind, says).filter(|_| !self.doors.away.contains(&participant)) {
                    self.heed(participant, &answer);
                    self.cause = Caused::Reply(command);
                    self.take(Input::Answer { effect, kind, attempt, answer, instance: "test".to_owned() });
                }
            }
            Due::Child { effect, end, result, command } => {
                self.cause = Caused::Reply(command);
                let at = self.saga.effects[effect as usize].spot();
                let child = Some(SagaId::from_bytes([8; 16]));
                self.take(Input::ChildEnded { at, end, child, result: Bytes(result.to_json()), reason: String::new() });
            }
            Due::Asked { fact, attempt, answer, command } => {
                self.cause = Caused::Reply(command);
                let answer = Answer::Succeeded(Succeeded { result: Bytes(answer.to_json()) });
                self.take(Input::FactAnswer { fact, attempt, answer });
            }
            Due::Up(participant) => {
                self.doors.away.remove(&participant);
                self.note(format!("{participant} is back"));
                self.cause = Caused::Up(participant);
                self.take(Input::Admitted);
                self.questions();
            }
            Due::Try(participant) => {
                self.doors.may_try(&participant);
                self.take(Input::Admitted);
            }
            Due::Questions => self.questions(),
            Due::Happens(nth, what) => {
                self.cause = Caused::Happened(nth);
                self.happening(what);
            }
        }
    }

    /// One that says that it is out is held, and tried ever more seldom; with any other answer it is back.
    fn heed(&mut self, participant: String, answer: &Answer) {
        match answer {
            Answer::Failed(said) if said.outage => {
                let (wait, news) = self.doors.is_out(&participant);
                if news {
                    self.note(format!("{participant} is out: {}", said.error));
                }
                self.schedule(self.now + wait, Due::Try(participant));
            }
            _ => {
                if self.doors.out.remove(&participant).is_some() {
                    self.note(format!("{participant} is back"));
                    self.schedule(self.now, Due::Questions);
                }
            }
        }
    }

    /// Questions that waited are asked; those whose participant still takes none wait on.
    fn questions(&mut self) {
        for fact in std::mem::take(&mut self.asking) {
            self.take(Input::MayAsk { fact });
        }
    }

    fn happening(&mut self, what: What) {
        let input = match what {
            What::Down { participant, lasts } => {
                self.note(format!("{participant} is away"));
                self.schedule(self.now + lasts, Due::Up(participant.clone()));
                self.doors.away.insert(participant);
                return self.turned(&Transition::default());
            }
            What::Fact { fact, value, seq } => match self.told(&fact, &value, seq) {
                Ok(input) => input,
                Err(why) => return self.account.rejected.push(why),
            },
            What::Event { step, data } => match self.stage.definition.step_index(&step) {
                Some(step) => Input::Letter { step: step as u32, event: Bytes(data.to_json()) },
                None => return self.account.rejected.push(format!("there is no step {step:?}")),
            },
            What::Decide { step, choice, by, roles } => {
                let version = self.version(&step);
                let asked = Asked::Decide { place: place(&step), version, choice, reason: String::new() };
                Input::Request { id: RequestId::from_bytes([1; 16]), by, roles, asked }
            }
            What::Cancel(reason) => asked(Asked::Cancel { reason }),
            What::Retry(step) => {
                asked(Asked::Retry { place: step.as_deref().map(place), input: None, reason: String::new() })
            }
            What::Skip(step) => asked(Asked::Skip { place: place(&step), reason: String::new() }),
            What::Close(reason) => asked(Asked::Close { reason }),
            What::Hold(reason) => asked(Asked::Hold { reason }),
            What::Release => asked(Asked::Release { place: None, reason: String::new() }),
        };
        self.take(input);
    }

    /// News, as the fold would let it in.
    fn told(&self, name: &str, value: &Value, seq: Option<i64>) -> Result<Input, String> {
        let fact = self.stage.definition.facts.iter().position(|clause| clause.fact == name);
        let fact = fact.ok_or_else(|| format!("there is no fact {name:?}"))?;
        self.stage.definition.facts[fact].admits(value).map_err(|wrong| format!("facts.{name}: {wrong}"))?;
        let versioned = self.stage.definition.facts[fact].seq.is_some();
        let next = self.saga.facts[fact].seq.unwrap_or(0) + 1;
        let seq = seq.or_else(|| versioned.then_some(next));
        Ok(Input::Told { fact: fact as u32, told: Told { value: Bytes(value.to_json()), seq, at: self.now } })
    }

    /// What people see when they decide.
    fn version(&self, step: &str) -> i64 {
        let step = self.stage.definition.step_index(step).and_then(|step| self.saga.steps.get(step));
        let asking = step.and_then(|run| run.state.places().first()).map(|place| &place.state);
        match asking {
            Some(PlaceState::Asking { approval }) => approval.version,
            _ => 0,
        }
    }

    fn take(&mut self, input: Input) {
        self.offset += 1;
        let moment = Moment { offset: self.offset, log_time: self.now };
        let transition = turn(self.stage.definition, &mut self.saga, input, moment, LIMITS, &mut self.doors);
        self.restart();
        self.turned(&transition);
        self.tell(&transition);
        for out in transition.out {
            self.leaves(out);
        }
    }

    fn turned(&mut self, transition: &Transition) {
        let (cause, facts) = (std::mem::take(&mut self.cause), transition.facts.clone());
        let rejected = transition.rejected.as_ref().map(ToString::to_string);
        self.account.turns.push(Turned { at: self.since(), cause, facts, rejected });
    }

    /// As if the coordinator died after every turn: it goes on from the saga's bytes.
    fn restart(&mut self) {
        self.saga = Saga::from_bytes(&self.saga.to_bytes()).expect("a saga reads its own bytes");
    }

    fn leaves(&mut self, out: Outgoing) {
        match out {
            Outgoing::Command { effect, kind, attempt, .. } => {
                let input = self.saga.effects[effect as usize].input(kind).clone();
                let command = self.command(effect, kind, attempt, &input);
                let spot = self.saga.effects[effect as usize].spot();
                let reply = self.stage.answer(&command);
                let number = self.commanded(&command, spot, &reply);
                if reply.says != Says::Silent {
                    let due = Due::Answer { effect, kind, attempt, says: reply.says, command: number };
                    self.schedule(self.now + reply.after, due);
                }
                self.offset += 1;
                let moment = Moment { offset: self.offset, log_time: self.now };
                let sent = Input::Sent { effect, kind, attempt, base: Some(self.now) };
                turn(self.stage.definition, &mut self.saga, sent, moment, LIMITS, &mut self.doors);
            }
            Outgoing::Child { effect, word } => self.child(effect, &word),
            Outgoing::Ask { fact, attempt, input } => {
                let name = format!("ask {}", self.stage.definition.facts[fact as usize].fact);
                let input = Value::parse(&input).unwrap_or_default();
                let command = Command { step: name.clone(), name, kind: Kind::Ask, attempt, input, now: self.now };
                let reply = self.stage.answer(&command);
                let spot = Spot { step: fact, items: vec![], round: 0 };
                let number = self.commanded(&Command { attempt: 1, ..command }, spot, &reply);
                if let Says::Ok(answer) = reply.says {
                    self.schedule(self.now + reply.after, Due::Asked { fact, attempt, answer, command: number });
                }
            }
            Outgoing::WaitsToAsk { fact, .. } => _ = self.asking.insert(fact),
            Outgoing::Queued { .. } | Outgoing::Ended { .. } | Outgoing::Bind { .. } => {}
        }
    }

    fn child(&mut self, effect: u32, word: &ChildWord) {
        let kind = match word {
            ChildWord::Start { .. } => Kind::Do,
            ChildWord::Cancel { .. } | ChildWord::Compensate => Kind::Compensate,
            ChildWord::Release => return,
        };
        let input = self.saga.effects[effect as usize].input.clone();
        let command = self.command(effect, kind, 1, &input);
        let spot = self.saga.effects[effect as usize].spot();
        let reply = self.stage.answer(&command);
        let number = self.commanded(&command, spot, &reply);
        let (end, result) = match (kind, reply.says) {
            (_, Says::Silent) => return,
            (Kind::Do, Says::Ok(result)) => (End::Completed, result),
            (Kind::Do, Says::NothingThere | Says::Never) => (End::NotStarted, Value::Null),
            (_, Says::Failed | Says::Outage(_) | Says::Unknown) => (End::Closed, Value::Null),
            (Kind::Compensate, Says::Refused(_)) => (End::Completed, Value::Null),
            _ => (End::Compensated, Value::Null),
        };
        self.schedule(self.now + reply.after, Due::Child { effect, end, result, command: number });
    }

    fn command(&self, effect: u32, kind: Kind, attempt: u32, input: &Bytes) -> Command {
        let spot = self.saga.effects[effect as usize].spot();
        let prefix = match kind {
            Kind::Do => "",
            Kind::Compensate => "undo ",
            Kind::Probe => "probe ",
            Kind::Ask => "ask ",
        };
        let step = &self.stage.definition.steps[spot.step as usize].step;
        let name = format!("{prefix}{}", self.name(&spot));
        let input = Value::parse(input).unwrap_or_default();
        Command { name, step: format!("{prefix}{step}"), kind, attempt, input, now: self.now }
    }

    fn name(&self, spot: &Spot) -> String {
        let items: String = spot.items.iter().map(|item| format!("[{item}]")).collect();
        format!("{}{items}", self.stage.definition.steps[spot.step as usize].step)
    }

    fn participant(&self, effect: u32) -> String {
        let step = self.saga.effects[effect as usize].step as usize;
        match &self.stage.definition.steps[step].verb {
            Verb::Call(call) => call.participant.clone(),
            _ => String::new(),
        }
    }

    fn since(&self) -> Millis {
        self.now - self.stage.clock
    }

    fn note(&mut self, what: String) {
        self.account.timeline.push((self.since(), what));
    }

    /// Gives its number.
    fn commanded(&mut self, command: &Command, spot: Spot, reply: &Reply) -> usize {
        let again = if command.attempt > 1 { format!(" #{}", command.attempt) } else { String::new() };
        let name = format!("{}{again}", command.name);
        self.note(name.clone());
        if command.kind == Kind::Do {
            self.begun(&command.step);
        }
        let (at, turn) = (self.since(), self.account.turns.len().saturating_sub(1));
        let Command { kind, attempt, ref input, .. } = *command;
        let (input, reply) = (input.clone(), reply.clone());
        self.account.commands.push(Commanded { name, kind, spot, attempt, input, at, reply, turn });
        self.account.commands.len() - 1
    }

    fn begun(&mut self, step: &str) {
        let at = self.since();
        self.account.times.entry(step.to_owned()).or_insert(at);
    }

    fn tell(&mut self, transition: &Transition) {
        if let Some(rejected) = &transition.rejected {
            self.account.rejected.push(rejected.to_string());
            self.note(format!("not taken: {rejected}"));
        }
        for fact in &transition.facts {
            match fact {
                Fact::Awaits { spot } | Fact::PeopleAsked { spot, .. } => {
                    let (name, step) = (self.name(spot), self.stage.definition.steps[spot.step as usize].step.clone());
                    self.note(format!("waits at {name}"));
                    let at = self.since();
                    self.account.waits.push(Waited { name, at });
                    self.begun(&step);
                }
                Fact::TurnedBack { cause } => {
                    self.note(format!("goes back: {cause}"));
                    self.account.because = cause.to_string();
                }
                Fact::Stuck { stuck } => {
                    self.account.because = stuck.sentence(self.stage.definition, &self.saga.effects);
                    self.note(format!("stuck: {}", self.account.because));
                }
                Fact::Resumed { because } => self.note(format!("goes on: {because}")),
                Fact::Chosen { spot, choice, by } => {
                    let name = self.name(spot);
                    self.note(format!("{name}: {} chose {choice}", by.join(", ")));
                }
                Fact::Escalated { spot, to } => {
                    let name = self.name(spot);
                    self.note(format!("{name} goes to {to}"));
                }
                Fact::Overdue { step: Some(step) } => {
                    let name = self.stage.definition.steps[*step as usize].step.clone();
                    self.note(format!("{name} is overdue"));
                }
                _ => {}
            }
        }
    }

    fn rest(&mut self) {
        self.account.after = match &self.saga.phase {
            Phase::Ended { at, .. } => at - self.stage.clock,
            Phase::Running { .. } | Phase::Stuck { .. } => self.since(),
        };
        // Whatever it was stuck at on its way is no reason of this end.
        match &self.saga.phase {
            Phase::Ended { end: End::Completed, .. } => self.account.because.clear(),
            Phase::Ended { end: End::Compensated | End::Cancelled, cause: Some(cause), .. } => {
                self.account.because = cause.to_string();
            }
            Phase::Ended { .. } | Phase::Running { .. } | Phase::Stuck { .. } => {}
        }
        self.account.end = match &self.saga.phase {
            Phase::Ended { end, .. } => format!("{end:?}").to_lowercase(),
            Phase::Stuck { .. } => "stuck".to_owned(),
            Phase::Running { .. } if self.is_held() => "held".to_owned(),
            Phase::Running { .. } => "waiting".to_owned(),
        };
        let report = sagaline_engine::report::report(self.stage.definition, &self.saga);
        for (effect, told) in self.saga.effects.iter().zip(&report.effects) {
            let state = match told.stands {
                Some(true) => "stands",
                Some(false) => "void",
                None => "unknown",
            };
            self.account.world.push((self.name(&effect.spot()), state.to_owned()));
        }
        self.account.report = Some(report);
    }

    fn is_held(&self) -> bool {
        let held = |run: &sagaline_engine::StepRun| match &run.state {
            StepState::Begun { places } => places.iter().any(|place| matches!(place.state, PlaceState::Held { .. })),
            StepState::Waiting | StepState::Skipped => false,
        };
        self.saga.held.is_some() || self.saga.steps.iter().any(held)
    }
}

fn place(step: &str) -> PlaceName {
    let (name, item) = match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
        Some((name, item)) => (name, item.parse().ok()),
        None => (step, None),
    };
    PlaceName { step: name.to_owned(), items: item.into_iter().collect(), round: None }
}

fn asked(asked: Asked) -> Input {
    Input::Request { id: RequestId::from_bytes([1; 16]), by: "somebody".to_owned(), roles: vec![], asked }
}
