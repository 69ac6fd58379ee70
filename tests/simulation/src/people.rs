//! People: during the storm somebody does something to some saga, sensible or not; in calm they help whatever waits for them, a few times.
//! They say of effects only what is true and will stay so.

use sagaline_engine::{Phase, PlaceState, Saga};
use sagaline_schemas::request::{
    AssignRequest, CancelRequest, CloseRequest, ConfirmRequest, DecideRequest, Finding, HoldRequest, NoteRequest,
    PauseRequest, ReleaseRequest, RequestBody, RequestTarget, ResumeRequest, RetryRequest, SagaTarget, ScopeTarget,
    SetFactRequest, SignalRequest, SkipRequest, StepTarget,
};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Partition, hash};

use crate::run::World;

/// How often, in calm, people try to get one saga going again before they leave it as it is: being stuck for ever is allowed, as long as it
/// shows.
const MOST_HELP: u32 = 4;
/// And one whose parent waits for it, which they close in the end.
const MOST_CLOSING: u32 = 60;
/// What a scope's word may be about.
const SCOPES: [&str; 4] = ["participant/inventory", "participant/payment", "definition/drawn", "all"];

fn mark(value: &str) -> RequestBody {
    let (fact, value, reason) = ("mark".to_owned(), Bytes::from(value), "as seen".to_owned());
    RequestBody::SetFact(SetFactRequest { fact, value, seq: None, reason })
}

impl World {
    /// During the storm.
    pub(crate) fn somebody_acts(&mut self) {
        let partition = self.scene.chance.index(self.inbox.partitions as usize) as u32;
        let sagas = self.sagas(partition).unwrap_or_default();
        if sagas.is_empty() {
            return;
        }
        let saga = &sagas[self.scene.chance.index(sagas.len())];
        let mut wishes = self.wishes(saga);
        wishes.extend(self.whims(saga));
        let body = wishes.swap_remove(self.scene.chance.index(wishes.len()));
        self.scene.see("people acted", 1);
        self.ask(partition, saga, body);
    }

    /// In calm; whether anything was asked.
    pub(crate) fn help(&mut self, partition: Partition, saga: &Saga) -> bool {
        let mut wishes = self.wishes(saga);
        if wishes.is_empty() {
            return false;
        }
        let helped = self.helped.entry(saga.id).or_default();
        // A parent would wait for its child for ever.
        if *helped >= if saga.parent.is_some() { MOST_CLOSING } else { MOST_HELP } {
            return false;
        }
        *helped += 1;
        let body = if *helped > MOST_HELP && helped.is_multiple_of(2) {
            RequestBody::Close(CloseRequest { reason: "enough".to_owned(), evidence: "seen".to_owned() })
        } else {
            wishes.swap_remove(self.scene.chance.index(wishes.len()))
        };
        self.ask(partition, saga, body);
        true
    }

    fn ask(&mut self, partition: Partition, saga: &Saga, body: RequestBody) {
        self.request(partition, RequestTarget::Saga(SagaTarget { saga: saga.id }), body);
    }

    /// What gets a saga going that waits for people.
    fn wishes(&mut self, saga: &Saga) -> Vec<RequestBody> {
        let reason = || "as it should be".to_owned();
        let mut wishes = Vec::new();
        if saga.held.is_some() && matches!(saga.phase, Phase::Running { .. }) {
            wishes.push(RequestBody::Release(ReleaseRequest { step: None, reason: reason() }));
        }
        if matches!(saga.phase, Phase::Stuck { .. }) {
            wishes.push(RequestBody::Retry(RetryRequest { step: None, input: None, reason: reason() }));
            wishes.push(RequestBody::Retry(RetryRequest { step: None, input: None, reason: reason() }));
            wishes.extend(self.truths(saga));
        }
        if !saga.goes_forward() {
            return wishes;
        }
        for (target, state) in self.places(saga) {
            let step = || target.clone();
            match state {
                PlaceState::Asking { approval } => {
                    let choice = ["yes", "yes", "no", "later"][self.scene.chance.index(4)].to_owned();
                    let (version, comment) = (approval.version, reason());
                    wishes.push(RequestBody::Decide(DecideRequest {
                        step: step(),
                        version,
                        choice,
                        comment,
                        on_behalf_of: None,
                    }));
                }
                PlaceState::Held { .. } => {
                    wishes.push(RequestBody::Release(ReleaseRequest { step: Some(step()), reason: reason() }));
                    wishes.push(RequestBody::Retry(RetryRequest { step: Some(step()), input: None, reason: reason() }));
                    wishes.push(RequestBody::Skip(SkipRequest { step: step(), reason: reason() }));
                }
                // Perhaps it is the mark that the guard minds.
                PlaceState::Guarded => wishes.push(mark("null")),
                PlaceState::Active { effect } if saga.effects[effect as usize].tries.resting => {
                    wishes.push(mark("null"))
                }
                PlaceState::Waiting
                | PlaceState::Queued
                | PlaceState::Active { .. }
                | PlaceState::Awaiting { .. }
                | PlaceState::Owed { .. }
                | PlaceState::Done { .. }
                | PlaceState::Known { .. }
                | PlaceState::Skipped
                | PlaceState::Continued => {}
            }
        }
        wishes
    }

    fn places(&self, saga: &Saga) -> Vec<(StepTarget, PlaceState)> {
        let Some(definition) = self.definitions.get(&saga.definition) else { return Vec::new() };
        let mut places = Vec::new();
        for (step, run) in definition.steps.iter().zip(&saga.steps) {
            for (item, place) in run.state.places().iter().enumerate() {
                let items = if step.for_each.is_some() { vec![item as u32] } else { vec![] };
                places.push((StepTarget { step: step.step.clone(), items, round: None }, place.state.clone()));
            }
        }
        places
    }

    /// What somebody has found out about an effect: that it is undone or void, for its key is closed; or that it stands and is recorded.
    fn truths(&self, saga: &Saga) -> Option<RequestBody> {
        let definition = self.definitions.get(&saga.definition)?;
        saga.effects.iter().rev().find_map(|effect| {
            let step = &definition.steps[effect.step as usize].step;
            let deed = self.business.deed(hash::effect_id(saga.id, step, &effect.items, effect.round));
            let finding = match (deed.is_closed(), deed.done) {
                (true, 0) => Finding::NotDone,
                (true, _) => Finding::Undone,
                (false, _) => return None,
            };
            let target = StepTarget { step: step.clone(), items: effect.items.clone(), round: Some(effect.round) };
            let (reason, evidence) = ("looked into the books".to_owned(), "page 7".to_owned());
            Some(RequestBody::Confirm(ConfirmRequest { step: target, finding, result: None, reason, evidence }))
        })
    }

    /// What people do without need.
    fn whims(&mut self, saga: &Saga) -> Vec<RequestBody> {
        let reason = || "a whim".to_owned();
        let mut whims = vec![
            RequestBody::Hold(HoldRequest { step: None, reason: reason() }),
            RequestBody::Note(NoteRequest { text: "looked at it".to_owned() }),
            RequestBody::Assign(AssignRequest { owner: "team-other".to_owned(), reason: reason() }),
            mark("7"),
            RequestBody::Cancel(CancelRequest { reason: reason() }),
        ];
        let places = self.places(saga);
        if !places.is_empty() {
            let (step, state) = places[self.scene.chance.index(places.len())].clone();
            whims.push(RequestBody::Hold(HoldRequest { step: Some(step.clone()), reason: reason() }));
            if matches!(state, PlaceState::Awaiting { .. }) {
                let data = Bytes::from(r#"{"id":"x","n":1}"#);
                whims.push(RequestBody::Signal(SignalRequest { name: step.step, data }));
            }
        }
        whims
    }

    /// Somebody pauses a participant, a definition or all, or lets everything go on again; every partition hears it.
    pub(crate) fn say_of_scope(&mut self, pause: bool) {
        let subjects = if pause { vec![SCOPES[self.scene.chance.index(SCOPES.len())]] } else { SCOPES.to_vec() };
        for subject in subjects {
            self.words += 1;
            let (version, reason) = (self.words, "maintenance".to_owned());
            for partition in 0..self.inbox.partitions {
                let target = RequestTarget::Scope(ScopeTarget { subject: subject.to_owned() });
                let body = if pause {
                    RequestBody::Pause(PauseRequest { version, reason: reason.clone() })
                } else {
                    RequestBody::Resume(ResumeRequest { version, reason: reason.clone() })
                };
                self.request(partition, target, body);
            }
        }
        self.scene.see(if pause { "scopes paused" } else { "scopes resumed" }, 1);
    }
}
