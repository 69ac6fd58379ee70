//! What people have found out: outcomes settled by hand, with name, reason and evidence; places left out where the definition allows it.

use sagaline_definition::model::{Step, Verb};
use sagaline_schemas::Value;
use sagaline_schemas::request::Finding;
use sagaline_schemas::wire::Bytes;

use crate::ledger::{News, Outcome, Undo, UndoNews};
use crate::loops;
use crate::request::{PlaceName, Refusal};
use crate::saga::{Direction, Goal, KnownBy, Phase, PlaceState, Stuck};
use crate::turn::Turn;

/// The code of a refusal that a person found out.
pub const NOT_DONE_BY_HAND: &str = "NotDoneByHand";

impl Turn<'_> {
    /// A person settles what became of an effect. Only where nobody else can say: what a participant said for sure stays.
    pub fn confirm(
        &mut self,
        place: &PlaceName,
        finding: Finding,
        result: Option<Bytes>,
        by: KnownBy,
    ) -> Result<(), Refusal> {
        let effect = self.effect_named(place)?;
        let result = result.unwrap_or_else(|| Bytes::from("null"));
        Value::parse(&result).map_err(|error| format!("the result is no JSON: {error}"))?;
        let contradicted = matches!(self.effect(effect).outcome, Outcome::Contradicted { .. });
        let undecided = self.effect(effect).outcome.is_undecided();
        let undoing = matches!(self.effect(effect).undo, Undo::Decided | Undo::Sent | Undo::UsedUp);
        match finding {
            Finding::Done if undecided => {
                self.effect(effect).known = by;
                self.news(effect, News::Succeeded(result));
            }
            Finding::NotDone if undecided => {
                self.effect(effect).known = by;
                let detail = "found out by hand".to_owned();
                self.news(effect, News::Refused { code: NOT_DONE_BY_HAND.to_owned(), detail });
                if undoing {
                    self.undo_news(effect, UndoNews::NothingThere, "");
                }
            }
            // Nobody could ask for it to be undone: it is, and its turn is over.
            Finding::Undone if self.effect(effect).undo == Undo::Listed => {
                self.effect(effect).known = by;
                self.effect(effect).undo = Undo::Compensated { result: None };
            }
            Finding::Done | Finding::NotDone if contradicted => self.settle_contradiction(effect, finding, by),
            Finding::Undone if undoing => {
                self.effect(effect).known = by;
                self.undo_news(effect, UndoNews::Compensated(None), "");
            }
            Finding::Done | Finding::NotDone => {
                return Err("its participant has said what became of it: nothing is to be confirmed".to_owned());
            }
            Finding::Undone => return Err("it is not being undone".to_owned()),
        }
        Ok(())
    }

    /// The participant said both; a person has found out which is true. What happened for a place that waits for it no more is undone.
    fn settle_contradiction(&mut self, effect: u32, finding: Finding, by: KnownBy) {
        let strays = !self.belongs(effect) && self.compensable(effect);
        let of = self.effect(effect);
        of.known = by;
        let Outcome::Contradicted { code, result } = of.outcome.clone() else { return };
        let (outcome, undo) = match (finding, of.undo.clone()) {
            (Finding::NotDone, undo) => {
                let undo = if undo == Undo::Listed { Undo::No } else { undo };
                (Outcome::Refused { code, detail: "found out by hand".to_owned() }, undo)
            }
            (Finding::Done | Finding::Undone, Undo::No) if strays => (Outcome::Succeeded { result }, Undo::Listed),
            (Finding::Done | Finding::Undone, undo) => (Outcome::Succeeded { result }, undo),
        };
        (of.outcome, of.undo) = (outcome, undo);
        if matches!(&self.saga.phase, Phase::Stuck { stuck: Stuck::Contradiction { effect: at }, .. } if *at == effect)
        {
            self.resume("a person has found out what is true".to_owned());
        }
        match self.effect(effect).outcome.clone() {
            Outcome::Succeeded { .. } => self.step_succeeded(effect),
            Outcome::Refused { code, .. } => self.never_happened(effect, code),
            Outcome::Decided | Outcome::Sent | Outcome::Unknown { .. } | Outcome::Contradicted { .. } => {}
        }
    }

    /// Whether what an effect did is part of what its step did: it was not begun anew since, nor left out, nor is about to be.
    fn belongs(&mut self, effect: u32) -> bool {
        let spot = self.effect(effect).spot();
        let void = match self.saga.direction() {
            Some(Direction::Aside { goal: Goal::Void { spots } }) => spots.contains(&spot),
            _ => self.is_redone(spot.step),
        };
        !void && self.at(&spot).is_some_and(|at| self.place(at).state != PlaceState::Skipped)
    }

    /// What counted as done never happened: its step's word for a refusal says what then. An end that was told stays.
    fn never_happened(&mut self, effect: u32, code: String) {
        let spot = self.effect(effect).spot();
        let done = self.at(&spot).filter(|at| self.place(*at).state == PlaceState::Done { effect });
        match done {
            Some(at) => {
                let cause = self.cause_of_refusal(effect, code);
                self.owe(at, cause, Some(effect));
            }
            None => self.step_refused(effect, code),
        }
    }

    fn effect_named(&mut self, name: &PlaceName) -> Result<u32, Refusal> {
        let step = self.definition.step_index(&name.step);
        let Some(step) = step else { return Err(format!("there is no step {:?}", name.step)) };
        let effect = self.saga.effect_meant(step as u32, name);
        effect.ok_or_else(|| format!("the step {:?} has done nothing yet", name.step))
    }

    /// A place is left out, as the definition itself might have it.
    pub fn skip(&mut self, name: &PlaceName) -> Result<(), Refusal> {
        let at = self.named(name)?;
        if !loops::may_be_left_out(self.step(at.step)) {
            return Err(why_not_left_out(self.step(at.step)).to_owned());
        }
        let spot = self.spot(at);
        let stuck_here =
            matches!(&self.saga.phase, Phase::Stuck { stuck: Stuck::Step { spot: at, .. }, .. } if *at == spot);
        let held = matches!(self.place(at).state, PlaceState::Held { .. });
        let rests = stuck_here || (held && self.saga.goes_forward());
        if !rests {
            return Err("the step is neither held nor what the saga is stuck at".to_owned());
        }
        self.resume("a step is left out".to_owned());
        self.make_void(&[at]);
        Ok(())
    }
}

fn why_not_left_out(step: &Step) -> &'static str {
    match &step.verb {
        Verb::Approve(_) => {
            "the definition does not allow it: steps after it may read what was chosen, and none of its words but a choice is \
             `skip` or `continue`. Retry it, and it is asked anew"
        }
        Verb::Call(_) | Verb::Saga(_) | Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Decide(_) => {
            "the definition does not allow it: none of the step's words is `skip` or `continue`"
        }
    }
}
