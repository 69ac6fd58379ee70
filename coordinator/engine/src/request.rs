//! What people may ask of a saga. Each request is taken whole or refused with the reason and what is possible; both stand in the history.
//! What settles an effect by hand stands in `by_hand.rs`.

use sagaline_definition::model::Verb;
use sagaline_schemas::record::{End, Kind};
use sagaline_schemas::request::Finding;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{RequestId, Value};

use crate::fact::Fact;
use crate::ledger::{Outcome, Undo};
use crate::saga::{Cause, Direction, Held, Phase, PlaceState, Stuck, Vote};
use crate::told::Told;
use crate::turn::{At, Rejected, Turn};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// As the API knows them.
    pub by: String,
    /// `role/NAME`
    pub roles: Vec<String>,
}

impl Person {
    /// Whether one of these names them: `user/NAME` or `role/NAME`.
    pub fn is_one_of(&self, these: &[String]) -> bool {
        these.iter().any(|one| one.strip_prefix("user/") == Some(&self.by) || self.roles.contains(one))
    }
}

/// One place, as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceName {
    /// The step.
    pub step: String,
    /// Indices of the items; empty outside `for_each`.
    pub items: Vec<u32>,
    /// The round meant; none: the newest.
    pub round: Option<u32>,
}

/// What a person asks of a live saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Go back.
    Cancel {
        /// Why.
        reason: String,
    },
    /// Go on where it is stuck, or where a step is held.
    Retry {
        /// Which place; none: whatever the saga is stuck at.
        place: Option<PlaceName>,
        /// With this input instead, canonical JSON.
        input: Option<Bytes>,
        /// Why.
        reason: String,
    },
    /// End it by hand.
    Close {
        /// Why.
        reason: String,
    },
    /// What became of an effect is settled by hand.
    Confirm {
        /// Whose effect.
        place: PlaceName,
        /// What was found.
        finding: Finding,
        /// Its result, canonical JSON, where it was done.
        result: Option<Bytes>,
        /// Why.
        reason: String,
        /// Where the proof lies.
        evidence: String,
    },
    /// Leave a place out.
    Skip {
        /// Which.
        place: PlaceName,
        /// Why.
        reason: String,
    },
    /// A fact is so.
    SetFact {
        /// Its name.
        fact: String,
        /// Canonical JSON.
        value: Bytes,
        /// Its version; none: holds until a higher one comes.
        seq: Option<i64>,
        /// Why.
        reason: String,
    },
    /// An approval is decided.
    Decide {
        /// Which.
        place: PlaceName,
        /// What was looked at.
        version: i64,
        /// One of its choices.
        choice: String,
        /// Why.
        reason: String,
    },
    /// Something has happened that no topic tells.
    Signal {
        /// The waiting step.
        step: String,
        /// The event, canonical JSON.
        event: Bytes,
    },
    /// It begins nothing new.
    Hold {
        /// Why.
        reason: String,
    },
    /// A held place, or the saga, goes on.
    Release {
        /// Which place; none: the saga.
        place: Option<PlaceName>,
        /// Why.
        reason: String,
    },
    /// It is somebody's from now on.
    Assign {
        /// Whose.
        owner: String,
        /// Why.
        reason: String,
    },
    /// A remark for the history.
    Note {
        /// The remark.
        text: String,
    },
    /// What was asked gives something that a contract does not allow: it is refused.
    Unfit {
        /// What was asked.
        what: String,
        /// What is wrong, and the way out.
        why: String,
        /// Why it was asked.
        reason: String,
    },
}

impl Asked {
    /// What is asked, and why, for the history.
    fn words(&self) -> (&str, &str) {
        match self {
            Self::Cancel { reason } => ("cancel", reason),
            Self::Retry { reason, .. } => ("retry", reason),
            Self::Close { reason } => ("close", reason),
            Self::Confirm { reason, .. } => ("confirm", reason),
            Self::Skip { reason, .. } => ("skip", reason),
            Self::SetFact { reason, .. } => ("set fact", reason),
            Self::Decide { reason, .. } => ("decide", reason),
            Self::Signal { step, .. } => ("signal", step),
            Self::Hold { reason } => ("hold", reason),
            Self::Release { reason, .. } => ("release", reason),
            Self::Assign { reason, .. } => ("assign", reason),
            Self::Note { text } => ("note", text),
            Self::Unfit { what, reason, .. } => (what, reason),
        }
    }
}

/// Why a request is refused.
pub(crate) type Refusal = String;

impl Turn<'_> {
    pub fn request(&mut self, request: RequestId, person: &Person, asked: Asked) {
        let (what, reason) = asked.words();
        let (what, reason) = (what.to_owned(), reason.to_owned());
        let at = self.out.facts.len();
        let refused = self.carry_out(person, asked).err();
        let by = person.by.clone();
        self.out.facts.insert(at, Fact::Asked { request, by, what, reason, refused: refused.clone() });
        if let Some(why) = refused {
            self.out.rejected = Some(Rejected::Request(why));
        }
    }

    /// Changes nothing where it refuses.
    fn carry_out(&mut self, person: &Person, asked: Asked) -> Result<(), Refusal> {
        let ended = match &self.saga.phase {
            Phase::Ended { end, .. } => Some(*end),
            Phase::Running { .. } | Phase::Stuck { .. } => None,
        };
        match (ended, &asked) {
            (Some(_), Asked::Note { .. }) | (None, _) => {}
            (Some(end), _) => return Err(format!("the saga has ended already: {end:?}")),
        }
        match asked {
            Asked::Cancel { reason } => self.cancel(person, reason),
            Asked::Retry { place, input, .. } => self.retry(person, place.as_ref(), input),
            Asked::Close { reason } => self.close(person, reason),
            Asked::Confirm { place, finding, result, reason, evidence } => {
                let by = crate::saga::KnownBy::Person { by: person.by.clone(), reason, evidence };
                self.confirm(&place, finding, result, by)
            }
            Asked::Skip { place, .. } => self.skip(&place),
            Asked::SetFact { fact, value, seq, .. } => self.set_fact(person, &fact, value, seq),
            Asked::Decide { place, version, choice, reason } => {
                self.decided_by(person, &place, version, choice, reason)
            }
            Asked::Signal { step, event } => self.signal(&step, event),
            Asked::Hold { reason } => self.hold(person, reason),
            Asked::Release { place: None, .. } => self.release(),
            Asked::Release { place: Some(place), .. } => self.retry(person, Some(&place), None),
            Asked::Assign { owner, .. } => {
                self.saga.owner = Some(owner);
                Ok(())
            }
            Asked::Note { .. } => Ok(()),
            Asked::Unfit { why, .. } => Err(why),
        }
    }

    fn cancel(&mut self, person: &Person, reason: String) -> Result<(), Refusal> {
        match &self.saga.phase {
            Phase::Stuck { direction: Direction::Back { .. }, .. } => {
                return Err("the saga is stuck on its way back: retry it, or close it".to_owned());
            }
            Phase::Stuck { direction: Direction::Over { end, .. }, .. } => {
                return Err(format!(
                    "the saga had ended already: {end:?}. Confirm what is true, retry it, or close it"
                ));
            }
            Phase::Running { .. } | Phase::Stuck { .. } if self.went_back() => {
                return Err("the saga is going back already".to_owned());
            }
            Phase::Running { .. } | Phase::Stuck { .. } | Phase::Ended { .. } => {}
        }
        if let Some(pivot) = self.pivot_decided() {
            return Err(format!("the pivot {:?} is decided: the saga only goes forward", self.step(pivot).step));
        }
        self.turn_back(Cause::Cancelled { by: person.by.clone(), reason });
        Ok(())
    }

    fn close(&mut self, person: &Person, reason: String) -> Result<(), Refusal> {
        let mut places = self.saga.steps.iter().flat_map(|step| step.state.places());
        let held = self.saga.goes_forward() && places.any(|place| matches!(place.state, PlaceState::Held { .. }));
        if !held && !matches!(self.saga.phase, Phase::Stuck { .. }) {
            return Err(
                "the saga is not stuck, and no step is held: cancel it instead, and its effects are undone".to_owned()
            );
        }
        self.end(End::Closed, Some(Cause::Cancelled { by: person.by.clone(), reason }));
        Ok(())
    }

    /// A held place, or what the saga is stuck at, gets another chance.
    fn retry(&mut self, person: &Person, place: Option<&PlaceName>, input: Option<Bytes>) -> Result<(), Refusal> {
        let input = input.map(|input| Value::parse(&input).map(|input| Bytes(input.to_json())));
        let input = input.transpose().map_err(|error| format!("the input is no JSON: {error}"))?;
        let place = place.map(|place| self.named(place)).transpose()?;
        if let Some(at) = place
            && matches!(self.place(at).state, PlaceState::Held { .. })
        {
            return self.another_chance(at, input);
        }
        let Phase::Stuck { direction, stuck } = self.saga.phase.clone() else {
            return Err("the saga is not stuck, and no such step is held: there is nothing to retry".to_owned());
        };
        let stuck_at = match &stuck {
            Stuck::Step { spot, .. } => self.at(spot),
            _ => None,
        };
        if place.is_some() && place != stuck_at {
            return Err("the saga is stuck at something else".to_owned());
        }
        if input.is_some() && stuck_at.is_none() {
            return Err("only a step can be tried with another input".to_owned());
        }
        if let Stuck::Contradiction { effect } = stuck
            && self.effect(effect).undo == Undo::No
        {
            let detail = "the participant contradicts itself: find out what is true and confirm it, or cancel";
            return Err(detail.to_owned());
        }
        if let Some(at) = stuck_at.filter(|_| matches!(direction, Direction::Forward)) {
            self.another_chance(at, input)?;
        }
        self.bind_again();
        self.resume(format!("{} asked", person.by));
        self.bind_what_is_not();
        if self.saga.undoes()
            && let Some(used_up) = self.saga.effects.iter().rposition(|effect| effect.undo == Undo::UsedUp)
        {
            self.undo_again(used_up as u32);
        }
        self.ensure_again();
        Ok(())
    }

    /// Not known: the same effect once more, never another one beside it (model check 2, f-hold-new). Anything else begins anew.
    fn another_chance(&mut self, at: At, input: Option<Bytes>) -> Result<(), Refusal> {
        if self.goes_back_or_ended() || self.is_redone(at.step) {
            return Err("the saga goes back behind this step".to_owned());
        }
        if input.is_some() && !matches!(self.step(at.step).verb, Verb::Call(_) | Verb::Saga(_)) {
            return Err("the step has no input: it calls nobody".to_owned());
        }
        let effect = match &self.place(at).state {
            PlaceState::Owed { effect, .. } | PlaceState::Held { effect, .. } => *effect,
            PlaceState::Active { effect } => Some(*effect),
            PlaceState::Waiting | PlaceState::Guarded | PlaceState::Queued => None,
            PlaceState::Awaiting { .. }
            | PlaceState::Asking { .. }
            | PlaceState::Done { .. }
            | PlaceState::Known { .. }
            | PlaceState::Skipped
            | PlaceState::Continued => return Ok(()),
        };
        if effect.is_some_and(|effect| self.effect(effect).undo != Undo::No) {
            return Err("what the step did is being undone".to_owned());
        }
        let unknown = effect.filter(|effect| self.saga.effects[*effect as usize].outcome.is_undecided());
        match (unknown, input) {
            (Some(_), Some(_)) => {
                Err("it is not known what became of it with its input: another could do it twice".to_owned())
            }
            (Some(effect), None) => {
                self.abandon(effect);
                self.fresh_attempts(effect, Kind::Do);
                self.effect(effect).outcome = Outcome::Decided;
                self.effect(effect).tries.resting = true;
                self.place(at).state = PlaceState::Active { effect };
                Ok(())
            }
            (None, Some(_)) if self.stands_for_list(at) => {
                Err("its list is too long: no item is there that could be given another input".to_owned())
            }
            (None, None) if self.stands_for_list(at) => {
                self.begin_step_anew(at.step);
                Ok(())
            }
            (None, input) => {
                self.begin_place_anew(at);
                self.place(at).input = input;
                Ok(())
            }
        }
    }

    fn set_fact(&mut self, person: &Person, name: &str, value: Bytes, seq: Option<i64>) -> Result<(), Refusal> {
        let Some(fact) = self.definition.facts.iter().position(|clause| clause.fact == name) else {
            let names: Vec<&str> = self.definition.facts.iter().map(|clause| clause.fact.as_str()).collect();
            return Err(format!("there is no fact {name:?}: the definition has {}", names.join(", ")));
        };
        let given = Value::parse(&value).map_err(|error| format!("the value is no JSON: {error}"))?;
        self.definition.facts[fact].admits(&given).map_err(|wrong| format!("facts.{name}: {wrong}"))?;
        let known = self.saga.facts[fact].seq;
        if seq.zip(known).is_some_and(|(seq, known)| seq <= known) {
            return Err(format!("version {} is known already: give a higher one, or none", known.unwrap_or(0)));
        }
        let at = self.moment.log_time;
        self.take_told(fact as u32, Told { value, seq, at }, Some(person.by.clone()));
        Ok(())
    }

    fn decided_by(
        &mut self,
        person: &Person,
        place: &PlaceName,
        version: i64,
        choice: String,
        comment: String,
    ) -> Result<(), Refusal> {
        let at = self.named(place)?;
        if let Some(why) = self.why_not_vote(at, person, version, &choice) {
            return Err(why);
        }
        self.vote(at, Vote { by: person.by.clone(), choice, comment, at: self.moment.log_time });
        Ok(())
    }

    fn signal(&mut self, name: &str, event: Bytes) -> Result<(), Refusal> {
        let Some(step) = self.definition.step_index(name) else {
            return Err(format!("there is no step {name:?}"));
        };
        let event = Value::parse(&event).map_err(|error| format!("the event is no JSON: {error}"))?;
        let (step, event) = (step as u32, Bytes(event.to_json()));
        match self.why_not_wanted(step, &event)? {
            None => self.keep_letter(step, event),
            Some(why) => Err(format!("the step {name:?} does not want it: {why}")),
        }
    }

    fn hold(&mut self, person: &Person, reason: String) -> Result<(), Refusal> {
        if self.goes_back_or_ended() {
            return Err("the saga begins nothing new any more: there is nothing to hold".to_owned());
        }
        if self.saga.held.is_some() {
            return Err("the saga is held already".to_owned());
        }
        self.saga.held = Some(Held { by: person.by.clone(), reason, since: self.moment.log_time });
        Ok(())
    }

    fn release(&mut self) -> Result<(), Refusal> {
        match self.saga.held.take() {
            Some(_) => {
                // It may have been held for long: what must hold before its end is looked at anew.
                self.ensure_again();
                Ok(())
            }
            None => Err("the saga is not held".to_owned()),
        }
    }

    /// The place that people mean.
    pub fn named(&mut self, name: &PlaceName) -> Result<At, Refusal> {
        let Some(step) = self.definition.step_index(&name.step) else {
            let names: Vec<&str> = self.definition.steps.iter().map(|step| step.step.as_str()).collect();
            return Err(format!("there is no step {:?}: the definition has {}", name.step, names.join(", ")));
        };
        let item = match (name.items.as_slice(), &self.definition.steps[step].for_each) {
            ([], None) => 0,
            ([item], Some(_)) => *item as usize,
            ([], Some(_)) => return Err(format!("the step {:?} has items: say which", name.step)),
            _ => return Err(format!("the step {:?} has no such item", name.step)),
        };
        let Some(place) = self.saga.steps[step].state.places().get(item) else {
            return Err(format!("the step {:?} has not begun, or has no such item", name.step));
        };
        match name.round {
            Some(round) if round != place.round => {
                Err(format!("the step {:?} is in round {} by now", name.step, place.round))
            }
            Some(_) | None => Ok(At { step: step as u32, item }),
        }
    }
}
