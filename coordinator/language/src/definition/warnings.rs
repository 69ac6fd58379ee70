//! What is right by the rules, and perhaps not what was meant. Warnings that concern one place are given where it is read.

use sagaline_definition::model::{Compensate, Definition, Step, Verb, Word};

use super::plan::{Plan, scalar};
use super::world::{Use, World};
use crate::fields::{self, Fields, one_or_more};
use crate::report::Problems;

/// An effect that stays, before a step that may send the saga back: the end would be called compensated, and would not be.
pub fn irreversible(definition: &Definition, plan: &Plan<'_>, problems: &mut Problems) {
    for (index, step) in definition.steps.iter().enumerate() {
        if !stays(step) || plan.pivot.is_some_and(|pivot| plan.graph.is_before(pivot, index)) {
            continue;
        }
        let sends_back = |other: &usize| {
            *other != index && !plan.graph.is_before(*other, index) && goes_back(&definition.steps[*other])
        };
        if let Some(other) = (0..definition.steps.len()).find(sends_back) {
            let (name, other) = (&step.step, &definition.steps[other].step);
            let message = format!("`{name}` is never undone, and `{other}` may still send the saga back");
            let help = format!("let `{name}` run after `{other}`, or after a pivot");
            problems.warning(plan.raw[index].name_span, message, help);
        }
    }
}

fn stays(step: &Step) -> bool {
    let never = match &step.verb {
        Verb::Call(call) => call.compensate == Compensate::Never,
        Verb::Saga(child) => !child.compensate,
        Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => false,
    };
    never && !step.pivot
}

/// Whether anything about the step may send the saga back.
fn goes_back(step: &Step) -> bool {
    let own: Vec<&Word> = match &step.verb {
        Verb::Call(call) => call.refused.values().chain([&call.refused_else, &call.failed]).collect(),
        Verb::Saga(child) => vec![&child.failed],
        Verb::Wait(wait) => vec![&wait.patience.otherwise],
        Verb::Until(until) => vec![&until.patience.otherwise],
        Verb::Approve(approve) => approve.choices.values().chain([&approve.patience.otherwise]).collect(),
        Verb::Sleep(_) | Verb::Decide(_) => Vec::new(),
    };
    own.into_iter().chain(step.guard.as_ref().map(|guard| &guard.otherwise)).any(compensates)
}

fn compensates(word: &Word) -> bool {
    match word {
        Word::Compensate => true,
        Word::BackTo(back_to) => compensates(&back_to.otherwise),
        Word::Continue | Word::Skip | Word::Hold | Word::Stuck => false,
    }
}

/// What is declared, and named nowhere.
pub fn unused(definition: &Fields<'_>, plan: &Plan<'_>, world: &World<'_>, problems: &mut Problems) {
    for node in definition.get("use").map(one_or_more).unwrap_or_default() {
        if scalar(node).is_some_and(|name| !world.used.is_touched(name)) {
            let message = format!("no step calls `{}`", scalar(node).unwrap_or_default());
            problems.warning(
                node.span,
                message,
                "take it out of `use`: each change of its contract would be one of this definition",
            );
        }
    }
    let said = |key| definition.get(key).and_then(fields::entries).unwrap_or_default();
    let mut unused = |key, used: fn(String) -> Use, message: &str, help: &str| {
        for entry in said(key).iter().filter(|entry| !world.is_used(&used(entry.key.clone()))) {
            problems.warning(entry.key_span, format!("{message} `{}`", entry.key), help);
        }
    };
    unused("policies", Use::Policy, "no step uses the policy", "take it out, or name it: `retry: ...`");
    unused("constants", Use::Constant, "no expression reads the constant", "take it out, or read it: `constants.NAME`");
    let help = "take it out, or name it: `sleep: { window: ... }`";
    unused("calendars", Use::Calendar, "no step sleeps by the calendar", help);
    unused("facts", Use::Fact, "no expression reads the fact", "take it out, or read it: `facts.NAME`");
    unused_aliases(plan, world, problems);
}

fn unused_aliases(plan: &Plan<'_>, world: &World<'_>, problems: &mut Problems) {
    for step in plan.raw {
        let given = step.fields.get("alias").and_then(fields::entries).unwrap_or_default();
        for entry in given.iter().filter(|entry| !world.is_used(&Use::Alias(entry.key.clone()))) {
            let message = format!("no wait finds the saga by the alias `{}`", entry.key);
            problems.warning(entry.key_span, message, "take it out, or name it: `wait: { via: ... }`");
        }
    }
}
