//! What then? The words of records.md section 5, and where each may stand.

use std::collections::BTreeMap;

use sagaline_definition::model::{BackTo, Word};

use super::plan::Plan;
use crate::contracts::Target;
use crate::fields::{self, Fields, Keys, did_you_mean, listed, map_entry, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::{Entry, Kind, Node};

/// A place that takes a word.
pub struct Place {
    pub name: &'static str,
    pub words: &'static [&'static str],
}

const ALL: [&str; 6] = ["continue", "skip", "compensate", "back_to", "hold", "stuck"];

/// The guard does not hold.
pub const GUARD: Place = Place { name: "guard.else", words: &["skip", "compensate", "back_to", "hold", "stuck"] };
/// After a refusal: whole, by code, or else.
pub const REFUSED: Place = Place { name: "refused", words: &ALL };
/// Attempts or total time used up; a child that did not complete.
pub const FAILED: Place = Place { name: "failed", words: &["skip", "compensate", "back_to", "hold", "stuck"] };
/// The wait's time is up.
pub const WAIT: Place = Place { name: "wait.else", words: &ALL };
/// Nobody has decided in time.
pub const APPROVE: Place = Place { name: "approve.else", words: &ALL };
/// What people chose.
pub const CHOICES: Place = Place { name: "approve.choices", words: &ALL };
/// What must be so is not.
pub const EXPECT: Place = Place { name: "expect.else", words: &ALL };
/// The deadline has come.
pub const DEADLINE: Place = Place { name: "deadline.else", words: &["compensate", "stuck"] };
/// The deadline has come, and the pivot is decided.
pub const DEADLINE_AFTER_PIVOT: Place = Place { name: "deadline.after_pivot", words: &["stuck"] };
/// A condition on the world has turned true.
pub const REACT: Place = Place { name: "react.then", words: &["continue", "compensate", "back_to", "hold", "stuck"] };
/// A condition on the world has turned true, and the pivot is decided.
pub const REACT_AFTER_PIVOT: Place = Place { name: "react.after_pivot", words: &["continue", "hold", "stuck"] };

pub const BACK_TO: Keys = Keys { what: "`back_to`", known: &["back_to", "at_most", "else"] };

/// Most rounds of a loop.
const MAX_ROUNDS: u32 = 1000;

/// Where in the order of the steps a word stands.
#[derive(Clone, Copy)]
pub enum Ground<'a> {
    /// Outside of it: nothing there can go back to a step.
    Outside,
    /// At a step. `pivot_decided`: if the step is the pivot, its decision has been taken by then.
    Step { plan: &'a Plan<'a>, step: usize, pivot_decided: bool },
    /// Anywhere from the first of two steps on; none: anywhere.
    Reaction { plan: &'a Plan<'a>, from: Option<usize> },
}

impl<'a> Ground<'a> {
    /// At a step.
    pub fn step(plan: &'a Plan<'a>, step: usize) -> Self {
        Self::Step { plan, step, pivot_decided: false }
    }

    /// The pivot's name, if nothing goes back any more: it is surely decided.
    pub fn forward(&self) -> Option<&'a str> {
        match *self {
            Self::Outside | Self::Reaction { .. } => None,
            Self::Step { plan, step, pivot_decided } if pivot_decided && plan.pivot == Some(step) => {
                Some(plan.raw[step].name)
            }
            Self::Step { plan, step, .. } => plan.forward(step),
        }
    }
}

/// The word at a place. None: it may not stand there; reported.
pub fn word(node: &Node, place: &Place, ground: Ground<'_>, problems: &mut Problems) -> Option<Word> {
    let written = match &node.kind {
        Kind::Scalar(scalar) => scalar.text(),
        Kind::Map(_) if map_entry(node, "back_to").is_some() => "back_to",
        Kind::Map(_) | Kind::List(_) => "",
    };
    if !place.words.contains(&written) {
        misplaced(node, written, place, problems);
        return None;
    }
    if let Some(pivot) = ground.forward().filter(|_| written == "compensate") {
        let message = format!("nothing goes back once the pivot `{pivot}` is decided");
        let by_default = [REFUSED.name, FAILED.name].contains(&place.name);
        let help =
            if by_default { "write `stuck`, or leave it out: that is the default here" } else { "write `stuck`" };
        problems.error(node.span, message, help);
        return None;
    }
    match written {
        "continue" => Some(Word::Continue),
        // Where both may stand there is nothing to be made void: one thing has one normal form.
        "skip" if place.words.contains(&"continue") => Some(Word::Continue),
        "skip" => Some(Word::Skip),
        "compensate" => Some(Word::Compensate),
        "hold" => Some(Word::Hold),
        "stuck" => Some(Word::Stuck),
        _ => back_to(node, place, ground, problems).map(Word::BackTo),
    }
}

fn misplaced(node: &Node, written: &str, place: &Place, problems: &mut Problems) {
    let (message, help) = if ALL.contains(&written) {
        (format!("`{written}` can't stand at `{}`", place.name), format!("it takes {}", listed(place.words)))
    } else if written.is_empty() {
        let message = format!("`{}` takes a word, and this is {}", place.name, node.describe());
        (message, format!("write {}", listed(place.words)))
    } else {
        (format!("`{}` takes no `{written}`", place.name), did_you_mean(written, place.words))
    };
    problems.error(node.span, message, help);
}

fn back_to(node: &Node, place: &Place, ground: Ground<'_>, problems: &mut Problems) -> Option<BackTo> {
    if let Kind::Scalar(_) | Kind::List(_) = &node.kind {
        let help = "write { back_to: STEP, at_most: 3, else: stuck }";
        problems.error(node.span, "`back_to` says where to, how often at most, and what then", help);
        return None;
    }
    let fields = Fields::read(node, &BACK_TO, problems)?;
    let step = fields.get("back_to").and_then(|node| target(node, ground, problems));
    let at_most = fields.required("at_most", "at_most: 3", problems);
    let at_most = at_most.and_then(|node| parsed(node, "number of rounds", rounds, problems));
    let otherwise = fields.required("else", "else: stuck", problems)?;
    if map_entry(otherwise, "back_to").is_some() {
        problems.error(otherwise.span, "what comes after a loop can't be a loop", "write another word: stuck");
        return None;
    }
    let otherwise = word(otherwise, place, ground, problems);
    Some(BackTo { step: step?, at_most: at_most?, otherwise: Box::new(otherwise?) })
}

fn rounds(text: &str) -> Result<u32, String> {
    lexical::count(text, 1..=MAX_ROUNDS)
}

/// The step that runs again: one through which every way to the place leads, with no decided pivot between.
fn target(node: &Node, ground: Ground<'_>, problems: &mut Problems) -> Option<usize> {
    let name = fields::text(node, "a step's name", problems)?;
    let (plan, here, place) = match ground {
        Ground::Step { plan, step, .. } => (plan, step, format!("`{}`", plan.raw[step].name)),
        Ground::Reaction { plan, from: Some(from) } => (plan, from, format!("what follows `{}`", plan.raw[from].name)),
        Ground::Reaction { from: None, .. } | Ground::Outside => {
            let help = "bound it: `between: [a, b]`; then every step up to the first of the two can be gone back to";
            problems.error(node.span, "nobody knows what has run by then, and so what is to run again", help);
            return None;
        }
    };
    let passed = |step: usize| step == here || plan.graph.is_before(step, here);
    let names: Vec<&str> = (0..plan.raw.len()).filter(|step| passed(*step)).map(|step| plan.raw[step].name).collect();
    let Some(step) = plan.index(name) else {
        problems.error(node.span, format!("there is no step `{name}`"), did_you_mean(name, &names));
        return None;
    };
    if !passed(step) {
        let message = format!("not every way to {place} leads through `{name}`");
        problems.error(node.span, message, format!("name one of {}", listed(&names)));
        return None;
    }
    if let Some(pivot) = pivot_between(step, ground) {
        let message = format!("the pivot `{pivot}` may be decided by then, and nothing goes back over it");
        problems.error(node.span, message, format!("go back to a step after `{pivot}`"));
        return None;
    }
    Some(step)
}

/// The pivot, if it would be undone on the way back to a step. A reaction has its own word for the time after the pivot.
fn pivot_between<'a>(target: usize, ground: Ground<'a>) -> Option<&'a str> {
    let Ground::Step { plan, step: here, pivot_decided } = ground else { return None };
    let pivot = plan.pivot?;
    let undone = pivot == target || plan.graph.may_be_before(target, pivot);
    let not_yet = plan.graph.is_before(here, pivot) || (here == pivot && !pivot_decided);
    (undone && !not_yet).then(|| plan.raw[pivot].name)
}

/// What becomes of a refused step.
pub struct Refused {
    pub by_code: BTreeMap<String, Word>,
    pub otherwise: Word,
}

/// Reads `refused`: one word, or one for each code, and `else`.
pub fn refused(
    node: Option<&Node>,
    target: Option<Target<'_>>,
    ground: Ground<'_>,
    problems: &mut Problems,
) -> Option<Refused> {
    let default = if ground.forward().is_some() { Word::Stuck } else { Word::Compensate };
    let Some(node) = node else { return Some(Refused { by_code: BTreeMap::new(), otherwise: default }) };
    let entries = match &node.kind {
        Kind::Map(entries) if map_entry(node, "back_to").is_none() => entries,
        Kind::Map(_) | Kind::Scalar(_) | Kind::List(_) => {
            let otherwise = word(node, &REFUSED, ground, problems)?;
            return Some(Refused { by_code: BTreeMap::new(), otherwise });
        }
    };
    let mut read = Refused { by_code: BTreeMap::new(), otherwise: default };
    let mut complete = true;
    for entry in entries {
        match word(&entry.value, &REFUSED, ground, problems) {
            Some(word) if entry.key == "else" => read.otherwise = word,
            Some(word) => drop(read.by_code.insert(entry.key.clone(), word)),
            None => complete = false,
        }
        if let Some(target) = target {
            complete &= is_code(entry, target, problems);
        }
    }
    complete.then_some(read)
}

/// Reads `failed`: attempts are used up, or a child did not complete.
pub fn failed(node: Option<&Node>, ground: Ground<'_>, problems: &mut Problems) -> Option<Word> {
    match node {
        Some(node) => word(node, &FAILED, ground, problems),
        None => Some(if ground.forward().is_some() { Word::Stuck } else { Word::Compensate }),
    }
}

fn is_code(entry: &Entry, target: Target<'_>, problems: &mut Problems) -> bool {
    let codes = &target.operation.refuses;
    let known = entry.key == "else" || codes.contains(&entry.key);
    if !known {
        let message = format!("`{}` never refuses with `{}`", target.full_name(), entry.key);
        let known: Vec<&str> = codes.iter().map(String::as_str).chain(["else"]).collect();
        problems.error(entry.key_span, message, did_you_mean(&entry.key, &known));
    }
    known
}
