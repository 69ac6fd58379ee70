//! The steps as a whole: their order, their pivot, and what each will have for a result. Words and expressions are read against this.

use sagaline_definition::types::Type;
use sagaline_schemas::Value;

use super::graph::Graph;
use super::steps::{RawStep, VerbName};
use super::world::World;
use crate::fields::{self, map_entry};
use crate::report::Problems;
use crate::yaml::{Kind, Node};

/// The steps as a whole.
pub struct Plan<'a> {
    pub raw: &'a [RawStep<'a>],
    pub graph: Graph,
    pub results: Vec<StepResult>,
    /// The step that is the pivot: one, so that everybody knows where the way back ends.
    pub pivot: Option<usize>,
    /// Whether the pivot stands once what follows it begins: one that may be passed over may leave the way back open.
    pivot_stands: bool,
}

/// What a step will have for a result.
pub struct StepResult {
    /// Of one item, if it comes to one.
    pub item: Type,
    /// Whether an item may come to none.
    pub item_may_miss: bool,
    /// Whether there is one for each item of `for_each`.
    pub repeated: bool,
    /// Whether the whole step may be skipped.
    pub may_be_skipped: bool,
}

impl StepResult {
    /// The type of the step's name in the expressions of others.
    pub fn whole(&self) -> Type {
        let item = if self.item_may_miss { self.item.clone().or_null() } else { self.item.clone() };
        let whole = if self.repeated { Type::List(Box::new(item)) } else { item };
        if self.may_be_skipped { whole.or_null() } else { whole }
    }
}

impl<'a> Plan<'a> {
    /// Looks over the steps; reports circles and pivots.
    pub fn of(raw: &'a [RawStep<'a>], world: &World<'_>, problems: &mut Problems) -> Self {
        let graph = Graph::of(raw, problems);
        let results: Vec<StepResult> = raw.iter().map(|step| result(step, world)).collect();
        let pivot = pivot(raw, problems);
        let pivot_stands = pivot.is_some_and(|pivot| !results[pivot].item_may_miss && !results[pivot].may_be_skipped);
        Self { raw, graph, results, pivot, pivot_stands }
    }

    /// The number of the step of that name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.raw.iter().position(|step| step.name == name)
    }

    /// The pivot's name, if it is surely decided when this step begins.
    pub fn forward(&self, step: usize) -> Option<&'a str> {
        let pivot = self.pivot.filter(|pivot| self.pivot_stands && self.graph.is_before(*pivot, step))?;
        Some(self.raw[pivot].name)
    }
}

fn pivot(raw: &[RawStep<'_>], problems: &mut Problems) -> Option<usize> {
    let mut first: Option<usize> = None;
    for (index, step) in raw.iter().enumerate() {
        let Some(node) = step.fields.get("pivot") else { continue };
        if !matches!(step.verb, Some(VerbName::Call | VerbName::Saga))
            || fields::flag(node, "`pivot`", problems) != Some(true)
        {
            continue;
        }
        if step.fields.get("for_each").is_some() {
            let help = "take out `for_each`, or make another step the pivot";
            problems.error(node.span, "the pivot is decided once, and `for_each` decides for every item", help);
        }
        match first {
            None => first = Some(index),
            Some(first) => {
                let message = format!("`{}` is the pivot already", raw[first].name);
                problems.error(node.span, message, "keep one: a definition has one pivot");
            }
        }
    }
    first
}

/// The result of a step, as far as it can be told: what is wrong about it is reported where it is read.
fn result(step: &RawStep<'_>, world: &World<'_>) -> StepResult {
    let fields = &step.fields;
    let body = step.verb.and_then(|verb| fields.get(verb.name()));
    let item = step.verb.zip(body).map_or(Type::Any, |(verb, body)| natural(verb, body, world));
    let for_each = fields.get("for_each");
    let enough = for_each.is_some_and(|node| map_entry(node, "enough").is_some());
    let guard = fields.get("guard").and_then(|guard| map_entry(guard, "else")).map(|entry| &entry.value);
    let patience = body.and_then(|body| map_entry(body, "else")).map(|entry| &entry.value);
    let choices = body.and_then(|body| map_entry(body, "choices")).map(|entry| &entry.value);
    let words = [fields.get("refused"), fields.get("failed"), guard, patience];
    let passed_over = words.into_iter().flatten().any(passes_over) || choices.is_some_and(a_loop_passes_over);
    StepResult {
        item,
        item_may_miss: enough || passed_over,
        repeated: for_each.is_some(),
        may_be_skipped: fields.get("if").is_some(),
    }
}

/// Whether a word, or one of several, lets the saga go on without the step's result.
fn passes_over(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar(scalar) => matches!(scalar.text(), "continue" | "skip"),
        Kind::Map(entries) => {
            entries.iter().filter(|entry| entry.key != "back_to").any(|entry| passes_over(&entry.value))
        }
        Kind::List(_) => false,
    }
}

/// Whether a choice goes on without a result once its rounds are used up. One that goes on at once is the result.
fn a_loop_passes_over(choices: &Node) -> bool {
    let entries = fields::entries(choices).unwrap_or_default();
    entries.iter().any(|choice| map_entry(&choice.value, "back_to").is_some() && passes_over(&choice.value))
}

fn natural(verb: VerbName, body: &Node, world: &World<'_>) -> Type {
    match verb {
        VerbName::Call | VerbName::Ask => {
            let target = scalar(body).and_then(|written| world.used.find(written));
            target.map_or(Type::Any, |target| target.output())
        }
        VerbName::Saga => {
            scalar(body).and_then(|name| world.children.get(name)).map_or(Type::Any, |child| child.result.clone())
        }
        VerbName::Wait if map_entry(body, "until").is_some() => Type::Null,
        VerbName::Wait => map_entry(body, "type").map_or(Type::Any, |entry| {
            super::types::read(&entry.value, world, &mut Problems::nowhere()).unwrap_or(Type::Any)
        }),
        VerbName::Approve => approval(),
        VerbName::Decide => decision(body),
        VerbName::Sleep | VerbName::Expect => Type::Null,
    }
}

fn approval() -> Type {
    let members = [("choice", Type::String), ("by", Type::List(Box::new(Type::String))), ("comment", Type::String)];
    Type::Record("approval".to_owned(), members.map(|(name, found)| (name.to_owned(), found)).into_iter().collect())
}

fn decision(body: &Node) -> Type {
    let Kind::List(arms) = &body.kind else { return Type::Any };
    let outcomes = arms.iter().filter_map(|arm| Some(&map_entry(arm, "is")?.value));
    let values = outcomes.filter_map(|node| crate::literal::value(node, &mut Problems::nowhere()));
    values.map(|value: Value| Type::of(&value)).reduce(Type::join).unwrap_or(Type::Any)
}

/// The text of a scalar.
pub fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(scalar) => Some(scalar.text()),
        Kind::List(_) | Kind::Map(_) => None,
    }
}
