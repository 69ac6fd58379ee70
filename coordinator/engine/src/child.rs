//! Child sagas: an effect like any other, but begun, undone and answered by messages between partitions, which need no attempts: a message
//! is published until it is taken.
//!
//! | the child says | the effect is open      | it is being undone                            | else    |
//! |----------------|-------------------------|-----------------------------------------------|---------|
//! | completed      | SUCCEEDED               | told to compensate; the second time: USED_UP  | counted |
//! | compensated    | REFUSED, `failed`       | COMPENSATED                                   | counted |
//! | cancelled      | REFUSED, `failed`       | COMPENSATED                                   | counted |
//! | closed         | UNKNOWN, `failed`       | USED_UP: a person decides                     | counted |
//! | not started    | REFUSED, `failed`       | NOTHING_THERE                                 | counted |

use sagaline_definition::model::Child;
use sagaline_schemas::record::{End, Kind};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{SagaId, Value};

use crate::fact::Fact;
use crate::ledger::{News, Outcome, Undo, UndoNews};
use crate::saga::{Cause, Direction, Phase, Spot, TimerKind};
use crate::turn::{At, ChildWord, Deed, Outgoing, ParentWord, Turn};

/// Compensations of a child before a person decides: once cancelled while it ran, once undone after it completed.
const MOST_UNDOINGS: u32 = 2;

impl Turn<'_> {
    pub fn begin_child(&mut self, at: At, child: &Child) {
        let key = match self.child_key(at, child) {
            Ok(key) => key,
            Err(error) => return self.stuck_at_expression(Some(at.step), error),
        };
        if let Some(input) = self.input_of(at, &child.with) {
            let effect = self.register(at, input, Some(key));
            self.tell_child(effect, Kind::Do);
        }
    }

    /// The definition's `key`, or one derived from this saga's and the place.
    fn child_key(&mut self, at: At, child: &Child) -> Result<String, String> {
        let Some(template) = &child.key else {
            let spot = self.spot(at);
            let step = &self.step(at.step).step;
            let item = spot.items.first().map_or_else(String::new, |item| format!("/{item}"));
            let round = if spot.round == 0 { String::new() } else { format!("~{}", spot.round) };
            return Ok(format!("{}/{step}{item}{round}", self.saga.key));
        };
        match template.eval(&self.names_at(at)).map_err(|error| error.to_string())? {
            Value::String(key) if !key.is_empty() => Ok(key),
            other => Err(format!("the key of a child saga is a text that is not empty, this is {}", other.kind())),
        }
    }

    /// What an attempt is for a child: one message.
    pub fn tell_child(&mut self, effect: u32, kind: Kind) {
        let now = self.moment.log_time;
        let of = self.effect(effect);
        // A child that a person confirmed may run yet: only one that has said who it is has ended.
        let completed = of.child.is_some() && !of.outcome.is_undecided();
        let key = of.child_key.clone().unwrap_or_default();
        let tries = self.tries(effect, kind);
        tries.first = if tries.count == 0 { now } else { tries.first };
        tries.count += 1;
        tries.resting = false;
        let attempt = tries.count;
        let spot = self.effect(effect).spot();
        self.fact(Fact::Decided { spot, kind, attempt });
        let word = match kind {
            Kind::Compensate if completed => ChildWord::Compensate,
            Kind::Compensate => ChildWord::Cancel { key },
            Kind::Do | Kind::Probe | Kind::Ask => ChildWord::Start { key },
        };
        self.out.out.push(Outgoing::Child { effect, word });
    }

    pub fn child_ended(&mut self, at: &Spot, end: End, child: Option<SagaId>, result: Bytes, reason: String) {
        let Some(effect) = self.saga.effect_at(at.step, &at.items, at.round) else { return };
        if !matches!(self.deed(effect), Deed::Child(_)) {
            return;
        }
        self.fact(Fact::ChildEnded { spot: at.clone(), end });
        let of = self.effect(effect);
        of.child = of.child.or(child);
        match of.undo {
            Undo::Decided | Undo::Sent | Undo::UsedUp => self.undoing_child_ended(effect, end, result, &reason),
            Undo::No | Undo::Listed | Undo::Compensated { .. } | Undo::NothingThere => {
                self.doing_child_ended(effect, end, result, reason);
            }
        }
        let let_go = self.saga.timers.iter().any(|timer| timer.kind == TimerKind::Forget);
        if let_go && end == End::Completed {
            self.release_child(effect);
        }
    }

    fn doing_child_ended(&mut self, effect: u32, end: End, result: Bytes, reason: String) {
        match end {
            End::Completed => self.news(effect, News::Succeeded(result)),
            End::Compensated | End::Cancelled | End::NotStarted => {
                if self.effect(effect).outcome.is_undecided() {
                    self.news(effect, News::Refused { code: format!("{end:?}"), detail: reason });
                }
            }
            End::Closed => self.news(effect, News::UsedUp { error: format!("people closed it: {reason}") }),
        }
    }

    fn undoing_child_ended(&mut self, effect: u32, end: End, result: Bytes, reason: &str) {
        match end {
            End::Completed => {
                self.news(effect, News::Succeeded(result));
                if self.effect(effect).undo_tries.count < MOST_UNDOINGS {
                    self.next_attempt(effect, Kind::Compensate);
                } else {
                    let error = format!("the child saga has completed and can't go back: {reason}");
                    self.undo_news(effect, UndoNews::UsedUp, &error);
                }
            }
            End::Compensated | End::Cancelled => self.undo_news(effect, UndoNews::Compensated(None), ""),
            End::NotStarted => self.undo_news(effect, UndoNews::NothingThere, ""),
            End::Closed => {
                let error = format!("people closed the child saga: {reason}");
                self.undo_news(effect, UndoNews::UsedUp, &error);
            }
        }
    }

    /// Why an effect was refused; a child saga says how it ended.
    pub fn cause_of_refusal(&mut self, effect: u32, code: String) -> Cause {
        let step = self.step_of(effect).step.clone();
        let reason = match &self.effect(effect).outcome {
            Outcome::Refused { detail, .. } => detail.clone(),
            Outcome::Decided
            | Outcome::Sent
            | Outcome::Succeeded { .. }
            | Outcome::Unknown { .. }
            | Outcome::Contradicted { .. } => String::new(),
        };
        let end = match (self.deed(effect), code.as_str()) {
            (Deed::Call(_), _) => return Cause::Refused { step, code },
            (Deed::Child(_), "Cancelled") => End::Cancelled,
            (Deed::Child(_), "NotStarted") => End::NotStarted,
            (Deed::Child(_), "Compensated") => End::Compensated,
            (Deed::Child(_), _) => return Cause::Refused { step, code },
        };
        Cause::Child { step, end, reason }
    }

    /// What this saga, as a child, is told.
    pub fn parent_says(&mut self, word: ParentWord) {
        if self.saga.parent.is_none() {
            return;
        }
        match word {
            ParentWord::Release => self.released(),
            ParentWord::Cancel { reason } | ParentWord::Compensate { reason } => self.parent_goes_back(reason),
        }
    }

    fn parent_goes_back(&mut self, reason: String) {
        let refused = self.pivot_decided().map(|step| format!("its pivot {:?} is decided", self.step(step).step));
        match (&self.saga.phase, refused) {
            (Phase::Ended { end: End::Completed, .. }, Some(why)) => {
                let result = self.result().unwrap_or_else(|_| Bytes::from("null"));
                self.out.out.push(Outgoing::Ended { end: End::Completed, result, reason: why });
            }
            (Phase::Ended { end: End::Completed, .. }, None) => {
                self.disarm(TimerKind::Forget, None);
                self.turn_back(Cause::Parent { reason });
            }
            (Phase::Ended { end, .. }, _) => {
                let (end, result) = (*end, Bytes::from("null"));
                self.out.out.push(Outgoing::Ended { end, result, reason });
            }
            // It goes on to its end, which the parent is told.
            (Phase::Running { .. } | Phase::Stuck { .. }, Some(_)) => {}
            (Phase::Running { direction } | Phase::Stuck { direction, .. }, None) => match direction {
                Direction::Forward
                | Direction::Aside { .. }
                | Direction::Ensure { cause: None, .. }
                | Direction::Over { cause: None, .. } => self.turn_back(Cause::Parent { reason }),
                Direction::Back { .. } | Direction::Ensure { .. } | Direction::Over { .. } => {}
            },
        }
    }

    /// What a completed saga returns.
    ///
    /// # Errors
    /// When the definition's `result` has no value, or too large a one.
    pub fn result(&self) -> Result<Bytes, String> {
        let Some(template) = &self.definition.result else { return Ok(Bytes::from("null")) };
        let result = Bytes(template.eval_json(&self.names()).map_err(|error| error.to_string())?);
        let limit = self.limits.max_payload as usize;
        if result.len() > limit {
            return Err(format!("the saga's result has {} bytes, the settings allow {limit}", result.len()));
        }
        Ok(result)
    }
}
