//! Approvals: people are shown what they decide about, may be reminded, may pass it on, and decide once. What they approved must still
//! be true when the saga goes on: else they are asked anew.

use std::collections::BTreeMap;

use sagaline_definition::model::{Approve, Verb, Word};
use sagaline_schemas::Value;
use sagaline_schemas::wire::Bytes;

use crate::fact::Fact;
use crate::request::Person;
use crate::saga::{Approval, Cause, PlaceState, Spot, StepState, TimerKind, Vote};
use crate::turn::{At, Turn};

impl Turn<'_> {
    pub fn ask_people(&mut self, at: At, approve: &Approve) {
        let shown = match self.what_to_show(at, approve) {
            Ok(shown) => shown,
            Err(error) => return self.stuck_at_expression(Some(at.step), error),
        };
        let approval = Approval {
            version: self.moment.offset,
            shown,
            by: approve.by.clone(),
            since: self.moment.log_time,
            votes: Vec::new(),
        };
        self.place(at).state = PlaceState::Asking { approval };
        let spot = self.spot(at);
        self.fact(Fact::PeopleAsked { spot: spot.clone(), by: approve.by.clone() });
        self.be_patient(&spot, &approve.patience);
        self.arm_escalation(&spot, approve, 0);
    }

    fn what_to_show(&self, at: At, approve: &Approve) -> Result<Bytes, String> {
        let names = self.names_at(at);
        let shown = approve.show.eval(&names).map_err(|error| error.to_string())?;
        Ok(Bytes(shown.to_json()))
    }

    fn arm_escalation(&mut self, spot: &Spot, approve: &Approve, next: usize) {
        let before = next.checked_sub(1).and_then(|last| approve.escalate.get(last)).map_or(0, |(after, _)| *after);
        if let Some((after, _)) = approve.escalate.get(next) {
            self.arm_after(TimerKind::Escalate, Some(spot.clone()), after.saturating_sub(before));
        }
    }

    /// Nobody has decided: somebody else may, too.
    pub fn escalate(&mut self, at: At) {
        let Verb::Approve(approve) = &self.step(at.step).verb else { return };
        let spot = self.spot(at);
        let PlaceState::Asking { approval } = &mut self.place(at).state else { return };
        let passed = approval.by.len().saturating_sub(approve.by.len());
        let Some((_, to)) = approve.escalate.get(passed) else { return };
        approval.by.push(to.clone());
        self.fact(Fact::Escalated { spot: spot.clone(), to: to.clone() });
        self.arm_escalation(&spot, approve, passed + 1);
    }

    /// Whether what is shown is no longer true. Whether anything moved.
    pub fn look_at_approval(&mut self, at: At) -> bool {
        let PlaceState::Asking { approval } = self.place(at).state.clone() else { return false };
        if !self.is_void(at, &approval.shown) {
            return false;
        }
        self.ask_anew(at, &approval.shown)
    }

    /// A decided approval whose steps have not begun yet must still be true. Whether anything moved.
    pub fn review_approval(&mut self, step: u32) -> bool {
        let Verb::Approve(approve) = &self.step(step).verb else { return false };
        if approve.void_if.is_none() || self.has_consequences(step) {
            return false;
        }
        let mut moved = false;
        for item in 0..self.saga.steps[step as usize].state.places().len() {
            let at = At { step, item };
            let PlaceState::Known { value } = &self.place(at).state else { continue };
            let shown = Value::parse(value).unwrap_or_default().get("shown").cloned().unwrap_or_default();
            let shown = Bytes(shown.to_json());
            moved |= self.saga.goes_forward() && self.is_void(at, &shown) && self.ask_anew(at, &shown);
        }
        moved
    }

    fn has_consequences(&self, step: u32) -> bool {
        let begun = |number: usize| !matches!(self.saga.steps[number].state, StepState::Waiting);
        let after = |number: &usize| self.definition.steps[*number].after.contains(&(step as usize));
        (0..self.saga.steps.len()).filter(after).any(begun)
    }

    fn is_void(&mut self, at: At, shown: &Bytes) -> bool {
        let Verb::Approve(Approve { void_if: Some(void_if), .. }) = &self.step(at.step).verb else { return false };
        let shown = Value::parse(shown).unwrap_or_default();
        let names = self.names_at(at).with("shown", shown);
        match void_if.holds(&names) {
            Ok(void) => void,
            Err(error) => {
                self.stuck_at_expression(Some(at.step), error.to_string());
                false
            }
        }
    }

    /// With what is true now. What is true now and void all the same can't be approved by anybody.
    fn ask_anew(&mut self, at: At, before: &Bytes) -> bool {
        let Verb::Approve(approve) = &self.step(at.step).verb else { return false };
        let spot = self.spot(at);
        self.fact(Fact::ApprovalVoid { spot });
        match self.what_to_show(at, approve) {
            Ok(shown) if shown == *before => {
                let error = "`void_if` holds for what is true now: nobody could approve it".to_owned();
                self.stuck_at_expression(Some(at.step), error);
            }
            Ok(_) => self.ask_people(at, approve),
            Err(error) => self.stuck_at_expression(Some(at.step), error),
        }
        true
    }

    /// Why somebody can't decide this now; none: they can.
    pub fn why_not_vote(&mut self, at: At, person: &Person, version: i64, choice: &str) -> Option<String> {
        let Verb::Approve(approve) = &self.step(at.step).verb else {
            return Some("the step is no approval".to_owned());
        };
        let PlaceState::Asking { approval } = &self.place(at).state else {
            return Some("nobody is asked at this step now".to_owned());
        };
        let (version_now, by_now) = (approval.version, approval.by.clone());
        if self.goes_back_or_ended() || self.is_redone(at.step) {
            return Some("the saga goes back behind this step: nothing is decided here any more".to_owned());
        }
        if version_now != version {
            return Some(format!("what was shown has changed: look at version {version_now} first"));
        }
        if !approve.choices.contains_key(choice) {
            let choices: Vec<&str> = approve.choices.keys().map(String::as_str).collect();
            return Some(format!("there is no choice {choice:?}: choose one of {}", choices.join(", ")));
        }
        (!person.is_one_of(&by_now)).then(|| format!("only {} may decide this", by_now.join(", ")))
    }

    /// Somebody has decided; who votes twice has changed their mind.
    pub fn vote(&mut self, at: At, vote: Vote) {
        let Verb::Approve(approve) = &self.step(at.step).verb else { return };
        let (choice, quorum) = (vote.choice.clone(), approve.quorum as usize);
        let PlaceState::Asking { approval } = &mut self.place(at).state else { return };
        approval.votes.retain(|before| before.by != vote.by);
        approval.votes.push(vote);
        let same: Vec<Vote> = approval.votes.iter().filter(|vote| vote.choice == choice).cloned().collect();
        if same.len() < quorum {
            return;
        }
        let value = result(&choice, &same, &approval.shown);
        let by: Vec<String> = same.into_iter().map(|vote| vote.by).collect();
        let spot = self.spot(at);
        self.fact(Fact::Chosen { spot, choice: choice.clone(), by: by.clone() });
        if approve.choices.get(&choice) == Some(&Word::Continue) {
            return self.settle(at, PlaceState::Known { value });
        }
        let step = self.step(at.step).step.clone();
        self.owe(at, Cause::Chosen { step, choice, by }, None);
    }
}

/// What expressions see of a decided approval.
fn result(choice: &str, votes: &[Vote], shown: &Bytes) -> Bytes {
    let text = |text: &str| Value::String(text.to_owned());
    let members = [
        ("choice", text(choice)),
        ("by", Value::List(votes.iter().map(|vote| text(&vote.by)).collect())),
        ("comment", text(votes.last().map_or("", |vote| &vote.comment))),
        ("shown", Value::parse(shown).unwrap_or_default()),
    ];
    let members: BTreeMap<String, Value> = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Bytes(Value::Map(members).to_json())
}
