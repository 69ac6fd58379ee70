//! Which values a saga may still read. One that nobody will read any more makes no difference: scenes that differ only in such values are one.

use std::collections::BTreeSet;

use sagaline_definition::Expr;
use sagaline_definition::model::{Compensate, Definition, Sleep, Step, Template, Verb, Word};
use sagaline_engine::{Outcome, PlaceState, Saga, StepState};
use sagaline_schemas::wire::Bytes;

/// Who reads a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Readers {
    /// Something that may be looked at at any time.
    Always,
    /// These steps, while they are not settled.
    Steps(BTreeSet<usize>),
}

/// Who reads what.
#[derive(Clone, Debug)]
pub struct Live {
    input: Readers,
    steps: Vec<Readers>,
    facts: Vec<Readers>,
}

impl Live {
    /// Looks through all expressions of a definition. Where work may go back, everything may be read again.
    pub fn of(definition: &Definition) -> Self {
        let first = if goes_back(definition) { Readers::Always } else { Readers::Steps(BTreeSet::new()) };
        let mut live = Self {
            input: first.clone(),
            steps: vec![first.clone(); definition.steps.len()],
            facts: vec![first; definition.facts.len()],
        };
        for rule in &definition.react {
            live.read(definition, None, &rule.condition);
        }
        for check in definition.ensure.completed.iter().chain(&definition.ensure.compensated) {
            live.read(definition, None, &check.condition);
        }
        for fact in &definition.facts {
            let asked = fact.ask.iter().flat_map(|ask| ask.with.exprs());
            fact.of.iter().chain(asked).for_each(|expr| live.read(definition, None, expr));
        }
        for (number, step) in definition.steps.iter().enumerate() {
            exprs_of(step).into_iter().for_each(|expr| live.read(definition, Some(number), expr));
            later_exprs_of(step).into_iter().for_each(|expr| live.read(definition, None, expr));
        }
        live
    }

    fn read(&mut self, definition: &Definition, by: Option<usize>, expr: &Expr) {
        for name in expr.names() {
            match name.as_str() {
                "input" => note(&mut self.input, by),
                "facts" => {
                    let members = expr.members("facts");
                    for (fact, readers) in definition.facts.iter().zip(&mut self.facts) {
                        if members.as_ref().is_none_or(|members| members.contains(&fact.fact)) {
                            note(readers, by);
                        }
                    }
                }
                "probe" => self.steps.iter_mut().for_each(|readers| note(readers, by)),
                step => {
                    if let Some(step) = definition.step_index(step) {
                        note(&mut self.steps[step], by);
                    }
                }
            }
        }
    }

    /// Takes out of the saga what nobody reads any more. Gives the steps whose results were taken out.
    pub fn forget(&self, saga: &mut Saga) -> BTreeSet<u32> {
        let settled: Vec<bool> = saga.steps.iter().map(|run| run.state.is_settled()).collect();
        let dead = |readers: &Readers| match readers {
            Readers::Always => false,
            Readers::Steps(steps) => steps.iter().all(|step| settled.get(*step) == Some(&true)),
        };
        if dead(&self.input) {
            saga.input = Bytes::from("");
        }
        for (readers, fact) in self.facts.iter().zip(&mut saga.facts) {
            if dead(readers) {
                fact.value = Bytes::from("");
            }
        }
        let forgotten: BTreeSet<u32> =
            (0..).zip(&self.steps).filter(|(_, readers)| dead(readers)).map(|(step, _)| step).collect();
        for effect in &mut saga.effects {
            if let (true, Outcome::Succeeded { result }) = (forgotten.contains(&effect.step), &mut effect.outcome) {
                *result = Bytes::from("");
            }
        }
        for step in &forgotten {
            let Some(StepState::Begun { places }) = saga.steps.get_mut(*step as usize).map(|run| &mut run.state) else {
                continue;
            };
            for place in places {
                if let PlaceState::Known { value } = &mut place.state {
                    *value = Bytes::from("");
                }
            }
        }
        forgotten
    }
}

fn note(readers: &mut Readers, by: Option<usize>) {
    match (readers, by) {
        (readers, None) => *readers = Readers::Always,
        (Readers::Steps(steps), Some(by)) => drop(steps.insert(by)),
        (Readers::Always, Some(_)) => {}
    }
}

fn goes_back(definition: &Definition) -> bool {
    let back = |word: &Word| matches!(word, Word::BackTo(_));
    definition.react.iter().any(|rule| back(&rule.then)) || definition.steps.iter().flat_map(words_of).any(back)
}

fn words_of(step: &Step) -> Vec<&Word> {
    let mut words: Vec<&Word> = step.guard.iter().map(|guard| &guard.otherwise).collect();
    match &step.verb {
        Verb::Call(call) => words.extend(call.refused.values().chain([&call.refused_else, &call.failed])),
        Verb::Saga(child) => words.push(&child.failed),
        Verb::Wait(wait) => words.push(&wait.patience.otherwise),
        Verb::Until(until) => words.push(&until.patience.otherwise),
        Verb::Approve(approve) => words.extend(approve.choices.values().chain([&approve.patience.otherwise])),
        Verb::Sleep(_) | Verb::Decide(_) => {}
    }
    words
}

/// What a step reads until it is settled.
fn exprs_of(step: &Step) -> Vec<&Expr> {
    let mut exprs: Vec<&Expr> = step.condition.iter().chain(step.alias.values()).collect();
    exprs.extend(step.for_each.iter().map(|each| &each.list));
    exprs.extend(step.guard.iter().map(|guard| &guard.condition));
    match &step.verb {
        Verb::Call(call) => exprs.extend(call.with.exprs()),
        Verb::Saga(child) => exprs.extend(child.with.exprs()),
        Verb::Sleep(Sleep::Until(until)) => exprs.push(until),
        Verb::Sleep(_) => {}
        Verb::Wait(wait) => exprs.extend(&wait.condition),
        Verb::Until(until) => exprs.push(&until.condition),
        Verb::Approve(approve) => exprs.extend(approve.show.exprs()),
        Verb::Decide(decide) => exprs.extend(decide.arms.iter().filter_map(|arm| arm.condition.as_ref())),
    }
    exprs
}

/// What a step reads when it is settled already: to be undone, or to see whether what was approved is still true.
fn later_exprs_of(step: &Step) -> Vec<&Expr> {
    match &step.verb {
        Verb::Call(call) => match &call.compensate {
            Compensate::By { with, .. } => with.iter().flat_map(Template::exprs).collect(),
            Compensate::Never | Compensate::Reads => Vec::new(),
        },
        Verb::Saga(child) => child.key.iter().flat_map(Template::exprs).collect(),
        Verb::Approve(approve) => match approve.void_if {
            Some(ref void_if) => approve.show.exprs().into_iter().chain([void_if]).collect(),
            None => Vec::new(),
        },
        Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Decide(_) => Vec::new(),
    }
}
