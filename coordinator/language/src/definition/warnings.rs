//! What is right by the rules, and perhaps not what was meant. Warnings that concern one place are given where it is read.

use std::collections::BTreeSet;

use sagaline_definition::model::{Again, Child, Compensate, Definition, Step, Verb, Word};

use super::plan::{Plan, scalar};
use super::world::{Use, World};
use crate::definitions::Definitions;
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
    step.words().any(compensates)
}

fn compensates(word: &Word) -> bool {
    match word {
        Word::Compensate => true,
        Word::BackTo(back_to) => compensates(&back_to.otherwise),
        Word::Continue | Word::Skip | Word::Hold | Word::Stuck => false,
    }
}

/// A child that may have to begin a second time under a key of the definition's own, where no second saga begins.
pub fn begun_twice(definition: &Definition, plan: &Plan<'_>, children: &Definitions, problems: &mut Problems) {
    for (index, step) in definition.steps.iter().enumerate() {
        let Verb::Saga(child) = &step.verb else { continue };
        let again = children.get(&child.saga).map(|known| known.definition.start.again);
        let (Some(names), Some(again)) = (names_of_key(child), again) else { continue };
        let round = another_round(definition, plan, index, &names);
        let why = match again {
            Again::Never => round.or_else(|| by_hand(child, &names)),
            // What is not undone is not over while its parent may need it.
            Again::Ended if child.compensate => None,
            Again::Ended => round,
        };
        let Some((why, node)) = why.zip(plan.raw[index].fields.get("key")) else { continue };
        let made = "leave out `key`: the one that is made counts the rounds";
        let help = match child.compensate {
            true => format!("let `{}` say `again: ended` in its `start`, or {made}", child.saga),
            false => format!("{made}, and what says `compensate: never` stays"),
        };
        let message =
            format!("`{}` may have to begin again ({why}), and no second saga begins under its key", step.step);
        problems.warning(node.span, message, help);
    }
}

/// A child for each item under a key that no item changes (`now` is the same for all that begin together): the second is to begin while the
/// first is there, and so never does.
pub fn begun_for_each(definition: &Definition, plan: &Plan<'_>, children: &Definitions, problems: &mut Problems) {
    for (index, step) in definition.steps.iter().enumerate() {
        let (Verb::Saga(child), Some(each)) = (&step.verb, &step.for_each) else { continue };
        let again = children.get(&child.saga).map(|known| known.definition.start.again);
        // One after the other, each over before the next: what may still have to be undone is not over.
        let in_turn = again == Some(Again::Ended) && each.at_once == 1 && !child.compensate;
        let names = names_of_key(child).filter(|names| !names.contains(&each.item));
        let Some(node) = names.and_then(|_| plan.raw[index].fields.get("key")) else { continue };
        if in_turn || each.most == 1 {
            continue;
        }
        let message = format!(
            "all items of `{}` have one key, and one saga begins under it: the others count as failed",
            step.step
        );
        let help =
            format!("name the item: `key: \"...-${{{}}}\"`, or leave out `key`: the one that is made does", each.item);
        problems.warning(node.span, message, help);
    }
}

/// What the key of a child is made of; none: it is derived.
fn names_of_key(child: &Child) -> Option<BTreeSet<String>> {
    let names =
        |key: &sagaline_definition::model::Template| key.exprs().into_iter().flat_map(|expr| expr.names()).collect();
    child.key.as_ref().map(names)
}

/// A loop in which a step runs again, its key naming nothing that is made anew in each round.
fn another_round(definition: &Definition, plan: &Plan<'_>, step: usize, key: &BTreeSet<String>) -> Option<String> {
    let of_steps = definition.steps.iter().flat_map(|from| {
        let name = format!("`{}`", from.step);
        from.words().map(move |word| (name.clone(), word))
    });
    let of_rules = definition.react.iter().map(|rule| ("a reaction".to_owned(), &rule.then));
    of_steps.chain(of_rules).find_map(|(who, word)| {
        let Word::BackTo(back) = word else { return None };
        let again = |one: usize| one == back.step || plan.graph.may_be_before(back.step, one);
        let anew = |name: &String| name == "now" || plan.index(name).is_some_and(again);
        let same_key = again(step) && !key.iter().any(anew);
        same_key.then(|| format!("{who} may go back to `{}`", plan.raw[back.step].name))
    })
}

/// A child that did not complete rests, and a person may have it tried again.
fn by_hand(child: &Child, key: &BTreeSet<String>) -> Option<String> {
    let rests = |word: &Word| matches!(word, Word::Hold | Word::Stuck);
    let rests = rests(&child.failed) || matches!(&child.failed, Word::BackTo(back) if rests(&back.otherwise));
    (rests && !key.contains("now")).then(|| "where it did not complete, a person may retry it".to_owned())
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
