//! A saga in its world: an event is played through the engine, and the world keeps its own books of what left and what came.

use sagaline_definition::model::{Definition, Verb};
use sagaline_engine::{
    Asked, Asking, ChildWord, Direction, Fact, HistoryHead, Input, Limits, Moment, OpenGates, Outgoing, Phase,
    PlaceName, PlaceState, Saga, Spot, TimerKind, TimerStart, Told, Transition, turn,
};
use sagaline_schemas::record::{Answer, End, Kind};
use sagaline_schemas::request::Finding;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, RequestId, SagaId, Value};

use crate::event::{Event, codes};
use crate::live::Live;
use crate::rules::{Violation, leaving};
use crate::surroundings::{NOW, Surroundings};
use crate::world::{ChildIs, Deed, Open, Row, Said, World, slot};

/// An engine: the real one, or one that is broken on purpose.
pub type Engine<'a> = &'a (dyn Fn(&Definition, &mut Saga, Input, Moment, Limits) -> Transition + 'a);

/// The engine that runs sagas.
pub fn real(definition: &Definition, saga: &mut Saga, input: Input, moment: Moment, limits: Limits) -> Transition {
    turn(definition, saga, input, moment, limits, &mut OpenGates)
}

const LIMITS: Limits = Limits { max_payload: 1 << 20, max_effects: 10_000, max_mailbox: 16, keep_ended: 1_000_000 };

/// What never changes while a definition is explored.
pub struct Setting<'a> {
    /// The definition, its retries shortened.
    pub definition: &'a Definition,
    /// What may come.
    pub around: &'a Surroundings,
    /// Which values may still be read.
    pub live: &'a Live,
    /// The engine.
    pub engine: Engine<'a>,
}

/// A saga and its world at rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The saga.
    pub saga: Saga,
    /// Everything else.
    pub world: World,
    /// Happenings so far: the log's offset.
    pub offset: i64,
}

/// What an event did.
pub struct Happening {
    /// What the engine gave for each of its inputs, in order.
    pub transitions: Vec<Transition>,
    /// What left that should not have.
    pub violation: Option<Violation>,
}

impl Scene {
    /// Before anything has happened.
    pub fn new() -> Self {
        let saga = Saga {
            id: SagaId::from_bytes([7; 16]),
            definition: Digest([0; 32]),
            key: "key".to_owned(),
            started: 0,
            started_at: NOW,
            input: Bytes::from("null"),
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
        Self { saga, world: World::default(), offset: 0 }
    }

    /// Plays an event. The log acknowledges at once what leaves by it, unless it is slow.
    pub fn play(&mut self, setting: &Setting, event: &Event) -> Happening {
        let (event, slow) = match event {
            Event::Slowly(event) => (&**event, true),
            event => (event, false),
        };
        let waiting = self.unsent();
        let input = self.input(setting, event);
        let mut violation = None;
        let mut transitions = vec![self.take(setting, input, &mut violation)];
        self.note(event, &transitions[0]);
        for (effect, kind) in self.unsent() {
            if !slow && !waiting.contains(&(effect, kind)) {
                let input = self.acknowledged(effect, kind);
                transitions.push(self.take(setting, input, &mut violation));
            }
        }
        Happening { transitions, violation }
    }

    /// Commands that the log has not acknowledged.
    fn unsent(&self) -> Vec<(u32, Kind)> {
        let kinds = [Kind::Do, Kind::Compensate, Kind::Probe];
        let of = |(effect, deed): (u32, &Deed)| kinds.map(|kind| (effect, kind, deed.open[slot(kind)].unsent));
        let all = (0..).zip(&self.world.deeds).flat_map(of);
        all.filter(|(.., unsent)| *unsent).map(|(effect, kind, _)| (effect, kind)).collect()
    }

    fn take(&mut self, setting: &Setting, input: Input, violation: &mut Option<Violation>) -> Transition {
        self.offset += 1;
        let was = self.saga.direction().cloned();
        let moment = Moment { offset: self.offset, log_time: NOW };
        let transition = (setting.engine)(setting.definition, &mut self.saga, input, moment, LIMITS);
        self.world.deeds.resize(self.saga.effects.len(), Default::default());
        for out in &transition.out {
            let found = leaving(setting.definition, &self.saga, &self.world, was.as_ref(), out);
            *violation = violation.take().or(found.err());
            self.leaves(out);
        }
        transition
    }

    /// What became known by a turn that no command tells.
    fn note(&mut self, event: &Event, transition: &Transition) {
        self.world.cancelled |= *event == Event::Cancel && transition.rejected.is_none();
        for fact in &transition.facts {
            match fact {
                Fact::Chosen { spot, .. } => self.world.decided.push(spot.clone()),
                Fact::ApprovalVoid { spot } => self.world.decided.retain(|decided| decided != spot),
                _ => {}
            }
        }
    }

    /// Something leaves the saga.
    fn leaves(&mut self, out: &Outgoing) {
        match out {
            Outgoing::Command { effect, kind, .. } => {
                let Some(deed) = self.world.deeds.get_mut(*effect as usize) else { return };
                let open = &mut deed.open[slot(*kind)];
                open.older |= open.newest;
                open.newest = true;
                open.unsent = true;
                let first = !std::mem::replace(&mut deed.commanded[slot(*kind)], true);
                deed.undoing |= *kind == Kind::Compensate && !deed.told_void;
                if first && *kind == Kind::Do {
                    self.world.order.push(*effect);
                }
            }
            Outgoing::Child { effect, word } => {
                let Some(deed) = self.world.deeds.get_mut(*effect as usize) else { return };
                match word {
                    ChildWord::Start { .. } => {
                        (deed.child, deed.commanded[0]) = (ChildIs::Running, true);
                        self.world.order.push(*effect);
                    }
                    ChildWord::Cancel { .. } | ChildWord::Compensate => {
                        deed.commanded[1] = true;
                        deed.undoing = true;
                        deed.child = match deed.child {
                            ChildIs::Completed => ChildIs::Undoing,
                            ChildIs::Running | ChildIs::Nothing => ChildIs::Cancelling,
                            other => other,
                        };
                    }
                    ChildWord::Release => {}
                }
            }
            Outgoing::Ask { .. }
            | Outgoing::Queued { .. }
            | Outgoing::WaitsToAsk { .. }
            | Outgoing::Ended { .. }
            | Outgoing::Bind { .. } => {}
        }
    }

    fn acknowledged(&mut self, effect: u32, kind: Kind) -> Input {
        self.world.deeds[effect as usize].open[slot(kind)].unsent = false;
        Input::Sent { effect, kind, attempt: self.newest(effect, kind), base: Some(NOW) }
    }

    fn newest(&self, effect: u32, kind: Kind) -> u32 {
        self.saga.effects[effect as usize].tries(kind).map_or(0, |tries| tries.count)
    }

    /// The event as the engine's input; participants take what they have to take on the way.
    fn input(&mut self, setting: &Setting, event: &Event) -> Input {
        match event {
            Event::Start(input) => {
                self.saga.input = Bytes(setting.around.inputs[*input].to_json());
                Input::Start { told: vec![] }
            }
            Event::Slowly(event) => self.input(setting, event),
            Event::Acknowledged(effect, kind) => self.acknowledged(*effect, *kind),
            Event::Answer(effect, kind, said) => self.served(setting, *effect, *kind, *said, false),
            Event::Late(effect, kind) => self.served(setting, *effect, *kind, Said::Done(0), true),
            Event::Again(effect, kind) => self.served(setting, *effect, *kind, Said::Done(0), false),
            Event::Silence(effect, kind, done) => self.silence(*effect, *kind, *done),
            Event::Timer(kind, at) => self.due(*kind, at.clone()),
            Event::Letter(step, number) => {
                let event = &setting.around.events[*step as usize][*number];
                Input::Letter { step: *step, event: Bytes(event.to_json()) }
            }
            Event::Told(fact, number) => self.told(setting, *fact, &setting.around.news[*fact as usize][*number]),
            Event::Vote(spot, choice, person) => self.vote(setting, spot, choice, *person, true),
            Event::LateVote(spot, choice) => self.vote(setting, spot, choice, 0, false),
            Event::Child(effect, end, result) => self.child_ended(setting, *effect, *end, *result),
            Event::Cancel => asked(Asked::Cancel { reason: "the story".to_owned() }),
            Event::Retry(spot) => {
                let place = spot.as_ref().map(|spot| name(setting.definition, spot));
                asked(Asked::Retry { place, input: None, reason: "the story".to_owned() })
            }
            Event::Close => asked(Asked::Close { reason: "the story".to_owned() }),
            Event::Release => asked(Asked::Release { place: None, reason: "the story".to_owned() }),
            Event::Skip(spot) => {
                asked(Asked::Skip { place: name(setting.definition, spot), reason: "the story".to_owned() })
            }
            Event::Confirm(effect) => self.confirm(setting, *effect),
        }
    }

    /// The command is taken by its participant, and its answer comes to the saga.
    fn served(&mut self, setting: &Setting, effect: u32, kind: Kind, chosen: Said, late: bool) -> Input {
        let newest = self.newest(effect, kind);
        let deed = &mut self.world.deeds[effect as usize];
        let said = deed.serve(kind, chosen);
        deed.hears(said);
        let open = &mut deed.open[slot(kind)];
        match (said, late) {
            (_, true) => open.older = false,
            (Said::Failed, false) => open.newest = false,
            // Whatever else is under way can only be answered with the same once more.
            (_, false) => *open = Default::default(),
        }
        let step = self.saga.effects[effect as usize].step as usize;
        let answer = said.answer(&setting.around.results[step], &codes(setting.definition, step), None);
        let attempt = if late { newest.saturating_sub(1).max(1) } else { newest.max(1) };
        Input::Answer { effect, kind, attempt, answer, instance: "participant".to_owned() }
    }

    fn silence(&mut self, effect: u32, kind: Kind, done: bool) -> Input {
        let deed = &mut self.world.deeds[effect as usize];
        if done {
            deed.serve(kind, Said::Done(0));
        }
        deed.open[slot(kind)] = Open { newest: false, older: true, unsent: false };
        let timer = match kind {
            Kind::Do | Kind::Ask => TimerKind::Attempt,
            Kind::Compensate => TimerKind::UndoAttempt,
            Kind::Probe => TimerKind::ProbeAttempt,
        };
        let at = Some(self.saga.effects[effect as usize].spot());
        self.due(timer, at)
    }

    /// Durations have begun, and this one is over: whatever is shorter was over before, which is a story of its own.
    fn due(&mut self, kind: TimerKind, at: Option<Spot>) -> Input {
        for timer in &mut self.saga.timers {
            if timer.kind == kind && timer.at == at {
                timer.start = TimerStart::Due { at: NOW };
            }
        }
        Input::Timer { kind, at }
    }

    fn told(&mut self, setting: &Setting, fact: u32, news: &Value) -> Input {
        let clause = &setting.definition.facts[fact as usize];
        let value = Bytes(news.to_json());
        if clause.ask.is_some() {
            let answer = Answer::Succeeded(sagaline_schemas::record::Succeeded { result: value });
            // It was asked once more just now.
            let state = &mut self.saga.facts[fact as usize];
            state.asking = Asking::Open;
            return Input::FactAnswer { fact, attempt: state.asked, answer };
        }
        let seq = clause.seq.as_ref().map(|_| self.saga.facts[fact as usize].seq.unwrap_or(0) + 1);
        Input::Told { fact, told: Told { value, seq, at: NOW } }
    }

    /// By somebody who may decide. `current`: they have seen what is shown now.
    fn vote(&self, setting: &Setting, spot: &Spot, choice: &str, person: usize, current: bool) -> Input {
        let place = place_of(&self.saga, spot);
        let (version, may) = match place.map(|place| &place.state) {
            Some(PlaceState::Asking { approval }) => (approval.version, approval.by.clone()),
            _ => (0, vec![]),
        };
        let place = name(setting.definition, spot);
        let version = if current { version } else { version - 1 };
        let asked = Asked::Decide { place, version, choice: choice.to_owned(), reason: String::new() };
        let users: Vec<&str> = may.iter().filter_map(|one| one.strip_prefix("user/")).collect();
        let by = match users.get(person) {
            Some(user) => (*user).to_owned(),
            None => format!("person {}", person + 1),
        };
        let roles: Vec<String> = may.into_iter().filter(|one| one.starts_with("role/")).collect();
        Input::Request { id: RequestId::from_bytes([1; 16]), by, roles, asked }
    }

    fn child_ended(&mut self, setting: &Setting, effect: u32, end: End, result: u8) -> Input {
        let of = &self.saga.effects[effect as usize];
        let deed = &mut self.world.deeds[effect as usize];
        let (row, child, said) = match end {
            End::Completed => (Row::Done(result), ChildIs::Completed, Said::Done(result)),
            End::Compensated | End::Cancelled if deed.undoing => (Row::Undone, ChildIs::Over, Said::Undone),
            End::NotStarted if deed.undoing => (Row::Tombstone, ChildIs::Over, Said::NothingThere),
            End::Compensated | End::Cancelled | End::NotStarted => (Row::Refused(0), ChildIs::Over, Said::Refused(0)),
            End::Closed => (Row::Vague, ChildIs::Over, Said::Failed),
        };
        // A child that can't go back says once more that it has completed.
        deed.child = if deed.child == ChildIs::Undoing && end == End::Completed { ChildIs::Over } else { child };
        deed.row = row;
        deed.hears(said);
        let value = setting.around.results[of.step as usize].get(usize::from(result)).cloned().unwrap_or_default();
        let result = if end == End::Completed { value } else { Value::Null };
        let child = Some(SagaId::from_bytes([8; 16]));
        Input::ChildEnded { at: of.spot(), end, child, result: Bytes(result.to_json()), reason: format!("{end:?}") }
    }

    /// A person finds out what is true.
    fn confirm(&mut self, setting: &Setting, effect: u32) -> Input {
        let deed = &mut self.world.deeds[effect as usize];
        let finding = match deed.row {
            Row::Done(_) | Row::Vague => Finding::Done,
            Row::Undone if deed.undoing => Finding::Undone,
            Row::Undone | Row::Refused(_) | Row::Tombstone => Finding::NotDone,
            // Who says that nothing happened sees to it that nothing will.
            Row::Empty => {
                deed.row = Row::Tombstone;
                Finding::NotDone
            }
        };
        match finding {
            Finding::Done => deed.told_done = true,
            Finding::NotDone => {
                deed.told_refused = true;
                deed.told_void |= std::mem::take(&mut deed.undoing);
            }
            Finding::Undone => deed.hears(Said::Undone),
        }
        let spot = self.saga.effects[effect as usize].spot();
        asked(Asked::Confirm {
            place: name(setting.definition, &spot),
            finding,
            result: None,
            reason: "the story".to_owned(),
            evidence: String::new(),
        })
    }
}

/// A place of the saga, in whatever round it is.
pub fn place_of<'a>(saga: &'a Saga, spot: &Spot) -> Option<&'a sagaline_engine::Place> {
    let item = spot.items.first().map_or(0, |item| *item as usize);
    saga.steps.get(spot.step as usize)?.state.places().get(item)
}

/// All places with their names.
pub fn places<'a>(definition: &'a Definition, saga: &'a Saga) -> impl Iterator<Item = (Spot, &'a PlaceState)> {
    saga.steps.iter().enumerate().flat_map(move |(step, run)| {
        let many = definition.steps[step].for_each.is_some();
        run.state.places().iter().enumerate().map(move |(item, place)| {
            let items = if many { vec![item as u32] } else { vec![] };
            (Spot { step: step as u32, items, round: place.round }, &place.state)
        })
    })
}

fn name(definition: &Definition, spot: &Spot) -> PlaceName {
    let step = definition.steps[spot.step as usize].step.clone();
    PlaceName { step, items: spot.items.clone(), round: Some(spot.round) }
}

fn asked(asked: Asked) -> Input {
    let person = "somebody".to_owned();
    Input::Request { id: RequestId::from_bytes([1; 16]), by: person, roles: vec![], asked }
}

/// Whether an effect of the step can be undone.
pub fn compensable(definition: &Definition, step: u32) -> bool {
    use sagaline_definition::model::Compensate;
    match &definition.steps[step as usize].verb {
        Verb::Call(call) => matches!(call.compensate, Compensate::By { .. }),
        Verb::Saga(child) => child.compensate,
        Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => false,
    }
}
