//! Somebody who sees what comes and what the saga says it does, and judges by that alone: which effects may stand, in which order they
//! were decided, what must be undone next. It never looks into the saga's own ledger.

use std::collections::BTreeMap;

use sagaline_definition::model::{Compensate, Verb};
use sagaline_schemas::record::{Answer, End, Happened, Kind, MarkKind};
use sagaline_schemas::request::Finding;

use crate::fact::Fact;
use crate::saga::Spot;
use crate::tests::stage::Stage;
use crate::turn::Input;
use crate::{Asked, Transition};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Done {
    Open,
    Yes,
    No,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Undone {
    Not,
    UnderWay,
    Yes,
    Nothing,
}

#[derive(Debug)]
struct Seen {
    spot: Spot,
    compensable: bool,
    done: Done,
    undone: Undone,
}

impl Seen {
    fn is_to_be_undone(&self) -> bool {
        self.compensable && self.done != Done::No && self.undone == Undone::Not
    }
}

#[derive(Default)]
pub struct Witness {
    /// In the order in which they were decided.
    effects: Vec<Seen>,
    /// Approvals that are open.
    asked: BTreeMap<Spot, bool>,
    goes_back: bool,
    is_stuck: bool,
}

impl Witness {
    pub fn give(&mut self, stage: &mut Stage, input: Input) {
        let line = format!("{input:?}");
        let spot = match &input {
            Input::Answer { effect, .. } => stage.saga.effects.get(*effect as usize).map(|of| of.spot()),
            Input::ChildEnded { at, .. } => Some(at.clone()),
            Input::Request { asked: Asked::Confirm { place, .. }, .. } => {
                let step = stage.definition.step_index(&place.step).unwrap_or(usize::MAX) as u32;
                let fits = |seen: &&Seen| {
                    let round = place.round.is_none_or(|round| round == seen.spot.round);
                    seen.spot.step == step && seen.spot.items == place.items && round
                };
                self.effects.iter().rev().find(fits).map(|seen| seen.spot.clone())
            }
            _ => None,
        };
        let told = stage.account.len();
        let transition = stage.happen(&line, input.clone());
        if transition.rejected.is_some() {
            stage.account.truncate(told);
        }
        if transition.rejected.is_none()
            && let Some(seen) = self.effects.iter_mut().find(|seen| Some(&seen.spot) == spot.as_ref())
        {
            hears(seen, &input, stage);
        }
        if let Err(wrong) = self.watch(stage, &transition) {
            panic!("{wrong}\n{}{:#?}", stage.account, self.effects);
        }
    }

    fn watch(&mut self, stage: &Stage, transition: &Transition) -> Result<(), String> {
        for fact in &transition.facts {
            match fact {
                Fact::Decided { spot, kind, attempt } => self.decided(stage, spot, *kind, *attempt)?,
                Fact::TurnedBack { .. } => (self.goes_back, self.is_stuck) = (true, false),
                Fact::Stuck { .. } => self.is_stuck = true,
                Fact::Resumed { .. } => self.is_stuck = false,
                Fact::PeopleAsked { spot, .. } => _ = self.asked.insert(spot.clone(), true),
                Fact::Chosen { spot, .. } => self.chosen(spot)?,
                Fact::Ended { end } => self.ended(*end)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn decided(&mut self, stage: &Stage, spot: &Spot, kind: Kind, attempt: u32) -> Result<(), String> {
        if self.is_stuck {
            return Err(format!("{kind:?} of {spot:?} is decided while the saga is stuck"));
        }
        match kind {
            Kind::Do if self.goes_back => Err(format!("I3: {spot:?} is decided while the saga goes back")),
            Kind::Do if attempt > 1 => match self.effects.iter().find(|seen| seen.spot == *spot) {
                Some(seen) if seen.done == Done::Open && seen.undone == Undone::Not => Ok(()),
                seen => Err(format!("I4: another attempt at {seen:?}")),
            },
            Kind::Do => {
                let compensable = match &stage.definition.steps[spot.step as usize].verb {
                    Verb::Call(call) => matches!(call.compensate, Compensate::By { .. }),
                    Verb::Saga(child) => child.compensate,
                    _ => return Err(format!("{spot:?} is no effect")),
                };
                let (spot, done, undone) = (spot.clone(), Done::Open, Undone::Not);
                self.effects.push(Seen { spot, compensable, done, undone });
                Ok(())
            }
            Kind::Compensate => self.undoes(spot),
            Kind::Probe | Kind::Ask => Ok(()),
        }
    }

    /// I2: one at a time, and while the whole saga goes back always the newest that may stand.
    fn undoes(&mut self, spot: &Spot) -> Result<(), String> {
        let Some(number) = self.effects.iter().position(|seen| seen.spot == *spot) else {
            return Err(format!("I2: {spot:?} is undone, and was never done"));
        };
        if let Some(other) = self.effects.iter().position(|seen| seen.undone == Undone::UnderWay)
            && other != number
        {
            return Err(format!("I2: {spot:?} is undone before {:?} is", self.effects[other].spot));
        }
        if self.effects[number].undone == Undone::UnderWay {
            return Ok(());
        }
        if !self.effects[number].is_to_be_undone() {
            return Err(format!("I2: {:?} is undone for nothing", self.effects[number]));
        }
        let newer = self.effects[number + 1..].iter().find(|seen| seen.is_to_be_undone());
        if let Some(newer) = newer.filter(|_| self.goes_back) {
            return Err(format!("I2: {spot:?} is undone before {:?}", newer.spot));
        }
        self.effects[number].undone = Undone::UnderWay;
        Ok(())
    }

    fn chosen(&mut self, spot: &Spot) -> Result<(), String> {
        match self.asked.insert(spot.clone(), false) {
            Some(true) => Ok(()),
            Some(false) | None => Err(format!("I6: {spot:?} is decided, and nobody was asked")),
        }
    }

    fn ended(&mut self, end: End) -> Result<(), String> {
        self.goes_back = false;
        let left = self.effects.iter().find(|seen| match end {
            End::Compensated | End::Cancelled => seen.is_to_be_undone() || seen.undone == Undone::UnderWay,
            End::Completed => seen.undone == Undone::UnderWay,
            End::Closed | End::NotStarted => false,
        });
        left.map_or(Ok(()), |left| Err(format!("I2: {end:?}, and {left:?}")))
    }
}

/// What an input says of an effect.
fn hears(seen: &mut Seen, input: &Input, stage: &Stage) {
    match input {
        Input::Answer { kind, answer, .. } => match (kind, answer) {
            (Kind::Do, Answer::Succeeded(_)) => succeeded(seen),
            (Kind::Do, Answer::Refused(_)) => refused(seen),
            (Kind::Compensate, Answer::Compensated(_)) => undone(seen, Undone::Yes),
            (Kind::Compensate, Answer::NothingThere(_)) => undone(seen, Undone::Nothing),
            (Kind::Compensate, Answer::Mark(mark)) if mark.mark == MarkKind::Forgotten => {}
            (Kind::Probe, Answer::Probed(said)) if seen.done == Done::Open && believed(seen, stage) => {
                match said.happened {
                    Happened::Yes => succeeded(seen),
                    Happened::No => refused(seen),
                    Happened::Unknown => {}
                }
            }
            _ => {}
        },
        Input::ChildEnded { end, .. } => match (end, seen.undone) {
            (End::Completed, _) => succeeded(seen),
            (End::Compensated | End::Cancelled, Undone::UnderWay) => undone(seen, Undone::Yes),
            (End::NotStarted, Undone::UnderWay) => undone(seen, Undone::Nothing),
            (End::Compensated | End::Cancelled | End::NotStarted, _) if seen.done == Done::Open => refused(seen),
            _ => {}
        },
        Input::Request { asked: Asked::Confirm { finding, .. }, .. } => match (finding, seen.done) {
            (Finding::Done, Done::Open) => succeeded(seen),
            (Finding::Done, Done::Both) => seen.done = Done::Yes,
            (Finding::NotDone, Done::Open) => {
                refused(seen);
                undone(seen, Undone::Nothing);
            }
            (Finding::NotDone, Done::Both) => seen.done = Done::No,
            (Finding::Undone, _) => seen.undone = Undone::Yes,
            _ => {}
        },
        _ => {}
    }
}

/// An answer to a probe of an earlier look at the end is not believed: the ledger stays as it was.
fn believed(seen: &Seen, stage: &Stage) -> bool {
    let effect = stage.saga.effect_at(seen.spot.step, &seen.spot.items, seen.spot.round);
    effect.is_some_and(|effect| !stage.saga.effects[effect as usize].outcome.is_undecided())
}

fn succeeded(seen: &mut Seen) {
    match seen.done {
        Done::Open => {
            seen.done = Done::Yes;
            if seen.undone == Undone::Nothing {
                seen.undone = Undone::Not;
            }
        }
        Done::No => seen.done = Done::Both,
        Done::Yes | Done::Both => {}
    }
}

fn refused(seen: &mut Seen) {
    match seen.done {
        Done::Open => seen.done = Done::No,
        Done::Yes => seen.done = Done::Both,
        Done::No | Done::Both => {}
    }
}

fn undone(seen: &mut Seen, how: Undone) {
    let happened = matches!(seen.done, Done::Yes | Done::Both);
    match (seen.undone, how) {
        // That can't be: it is still there.
        (_, Undone::Nothing) if happened => {}
        (Undone::UnderWay, how) => seen.undone = how,
        (Undone::Nothing, Undone::Yes) => seen.undone = Undone::Yes,
        _ => {}
    }
}
