//! Calls: an effect is registered before its first command leaves, and may be begun anew under another id after a refusal.

use sagaline_definition::model::{Call, Template};
use sagaline_schemas::record::Kind;
use sagaline_schemas::wire::Bytes;

use crate::ledger::{Outcome, Undo};
use crate::saga::{Cause, Effect, KnownBy, Phase, PlaceState, Probing, Stuck, Tries};
use crate::turn::{At, Turn};

impl Turn<'_> {
    /// Nothing is registered before a command can be decided: the input is there, it has room, the participant takes it. Whether anything
    /// moved.
    pub fn begin_call(&mut self, at: At, call: &Call) -> bool {
        if self.full.contains(&call.participant) {
            return self.queue(at);
        }
        let Some(input) = self.input_of(at, &call.with) else { return true };
        if !self.admits(&call.participant) {
            return self.queue(at);
        }
        let effect = self.register(at, input, None);
        self.send_attempt(effect, Kind::Do);
        true
    }

    fn queue(&mut self, at: At) -> bool {
        std::mem::replace(&mut self.place(at).state, PlaceState::Queued) != PlaceState::Queued
    }

    /// What a place wants its effect to be done with, within the limits. None: there is no such thing, which was acted on.
    pub fn input_of(&mut self, at: At, with: &Template) -> Option<Bytes> {
        let input = match &self.place(at).input {
            Some(by_hand) => by_hand.clone(),
            None => match with.eval_json(&self.names_at(at)) {
                Ok(input) => Bytes(input),
                Err(error) => {
                    self.stuck_at_expression(Some(at.step), error.to_string());
                    return None;
                }
            },
        };
        let (limit, most) = (self.limits.max_payload as usize, self.limits.max_effects as usize);
        let step = self.step(at.step).step.clone();
        if self.saga.effects.len() >= most {
            let error = format!("the saga has {most} effects, the settings allow no more");
            let spot = self.spot(at);
            self.become_stuck(Stuck::Step { spot, cause: Cause::Failed { step, error } });
            return None;
        }
        if input.len() > limit {
            let error = format!("its input has {} bytes, the settings allow {limit}", input.len());
            self.owe(at, Cause::Failed { step, error }, None);
            return None;
        }
        Some(input)
    }

    /// The place's effect is registered, right before its first command is decided.
    pub fn register(&mut self, at: At, input: Bytes, child_key: Option<String>) -> u32 {
        let spot = self.spot(at);
        let effect = self.saga.effects.len() as u32;
        let item = self.place(at).item.clone();
        self.saga.effects.push(Effect {
            step: spot.step,
            items: spot.items,
            round: spot.round,
            decided: self.moment.offset,
            decided_at: self.moment.log_time,
            item,
            input,
            outcome: Outcome::Decided,
            known: KnownBy::Reply,
            tries: Tries::default(),
            undo: Undo::No,
            undo_input: None,
            undo_tries: Tries::default(),
            probe_tries: Tries::default(),
            probing: Probing::No,
            probed: None,
            child: None,
            child_key,
            repeats: 0,
        });
        self.place(at).state = PlaceState::Active { effect };
        effect
    }

    /// The place begins anew in another round: what it wanted before was refused, or waited for in vain.
    pub fn begin_place_anew(&mut self, at: At) {
        let place = self.place(at);
        place.round += 1;
        place.state = PlaceState::Waiting;
    }

    /// An effect happened. Its place is done if it waits for this very effect, and the saga decides.
    pub fn step_succeeded(&mut self, effect: u32) {
        let Some(at) = self.place_of(effect) else { return };
        if self.goes_back_or_ended() {
            return;
        }
        self.settle(at, PlaceState::Done { effect });
        self.resume_if_stuck_at(at);
    }

    /// What the saga was stuck at has come about after all.
    fn resume_if_stuck_at(&mut self, at: At) {
        let spot = self.spot(at);
        if let Phase::Stuck { stuck: Stuck::Step { spot: stuck, .. }, .. } = &self.saga.phase
            && *stuck == spot
        {
            self.resume("it happened after all".to_owned());
        }
    }

    /// A participant refused an effect.
    pub fn step_refused(&mut self, effect: u32, code: String) {
        let cause = self.cause_of_refusal(effect, code);
        if let Some(at) = self.place_of(effect) {
            self.owe(at, cause, Some(effect));
        }
    }

    /// Attempts are used up: it is not known what became of the effect.
    pub fn step_failed(&mut self, effect: u32, error: String) {
        let step = self.step_of(effect).step.clone();
        if let Some(at) = self.place_of(effect) {
            self.owe(at, Cause::Failed { step, error }, Some(effect));
        }
    }
}
