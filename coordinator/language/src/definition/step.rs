//! A step in full: what all verbs share. What each verb says is read in `verb`.

use std::collections::BTreeMap;

use sagaline_definition::Expr;
use sagaline_definition::model::{ForEach, Guard, Step};
use sagaline_definition::types::Type;

use super::expression::{self, Place};
use super::plan::Plan;
use super::steps::RawStep;
use super::view::{From, View};
use super::words::{self, Ground};
use super::world::World;
use super::{optional, verb};
use crate::fields::{self, Fields, Keys, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::{Entry, Node};

pub const GUARD: Keys = Keys { what: "`guard`", known: &["if", "else"] };
/// Beside the item's own name.
pub const FOR_EACH: Keys = Keys { what: "`for_each`", known: &["at_once", "most", "enough", "rest"] };

/// Most items, unless said.
const MOST_ITEMS: u32 = 1000;
/// What may be said.
const MAX_ITEMS: u32 = 10_000;

/// What a step is read with.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    pub world: &'a World<'a>,
    pub plan: &'a Plan<'a>,
    pub index: usize,
}

impl<'a> Reading<'a> {
    /// The step as it is written.
    pub fn raw(&self) -> &'a RawStep<'a> {
        &self.plan.raw[self.index]
    }

    /// Where its words stand.
    pub fn ground(&self) -> Ground<'a> {
        Ground::step(self.plan, self.index)
    }

    /// What the step's own expressions see, but for its item.
    fn outside(&self) -> View<'a> {
        View::new(self.world, From::Step(self.plan, self.index))
    }
}

/// Reads a step. None: something in it is wrong; reported.
pub fn read(reading: Reading<'_>, owner: &str, problems: &mut Problems) -> Option<Step> {
    let (raw, plan, index) = (reading.raw(), reading.plan, reading.index);
    let condition = expression::optional(raw.fields.get("if"), "`if`", &Type::Bool, &reading.outside(), problems);
    let outside = reading.outside().where_held(condition.as_ref().and_then(Option::as_ref));
    let owner = raw.fields.get("owner").map_or(Some(owner), |node| fields::owner(node, problems));
    let for_each = raw.fields.get("for_each").map(|node| for_each(node, &reading, &outside, problems));
    let view = match &for_each {
        Some(Some((for_each, item))) => outside.clone().with(&for_each.item, item.clone()),
        Some(None) | None => outside.clone(),
    };
    let guard = raw.fields.get("guard").map(|node| guard(node, &reading, &view, problems));
    let expected = raw.fields.get("expected").map(|node| parsed(node, "duration", lexical::duration, problems));
    let alias = raw.fields.get("alias").map_or(Some(BTreeMap::new()), |node| aliases(node, &reading, problems));
    // A name that is not known would be complained of at each of its uses.
    let broken_item = matches!(&for_each, Some(None));
    let verb = if broken_item { None } else { raw.verb.and_then(|verb| verb::read(verb, &reading, &view, problems)) };
    let guard = guard.map(|read| if broken_item { None } else { read });
    Some(Step {
        step: Some(raw.name).filter(|name| !name.is_empty())?.to_owned(),
        owner: owner?.to_owned(),
        after: plan.graph.after(index),
        at_least: plan.graph.at_least(index),
        condition: condition?,
        for_each: optional(for_each.clone())?.map(|(for_each, _)| for_each),
        guard: optional(guard)?,
        verb: verb?,
        pivot: plan.pivot == Some(index),
        expected: optional(expected)?,
        alias: alias?,
    })
}

fn guard(node: &Node, reading: &Reading<'_>, view: &View<'_>, problems: &mut Problems) -> Option<Guard> {
    let fields = Fields::read(node, &GUARD, problems)?;
    let condition = fields.required("if", "if: facts.status != 'cancelled'", problems);
    let condition = condition.and_then(|node| expression::selector(node, "`if`", &Type::Bool, view, problems));
    let otherwise = fields.required("else", "else: compensate", problems);
    let otherwise = otherwise.and_then(|node| words::word(node, &words::GUARD, reading.ground(), problems));
    Some(Guard { condition: condition?, otherwise: otherwise? })
}

/// Other names by which events may find the saga: read when the step is done.
fn aliases(node: &Node, reading: &Reading<'_>, problems: &mut Problems) -> Option<BTreeMap<String, Expr>> {
    let own = &reading.plan.results[reading.index];
    let item = own.item.clone();
    let result = if own.repeated { Type::List(Box::new(item)) } else { item };
    let view = reading.outside().with(reading.raw().name, result).without_change();
    let mut read = BTreeMap::new();
    let mut complete = true;
    for entry in fields::map(node, "`alias`", problems)? {
        if let Err(help) = lexical::name(&entry.key) {
            problems.error(entry.key_span, format!("`{}` is no name of an alias", entry.key), help);
            complete = false;
        }
        match expression::selector(&entry.value, "an alias", &Type::String, &view, problems) {
            Some(expr) => drop(read.insert(entry.key.clone(), expr)),
            None => complete = false,
        }
    }
    complete.then_some(read)
}

/// Reads `for_each`, and the type of an item.
fn for_each(
    node: &Node,
    reading: &Reading<'_>,
    outside: &View<'_>,
    problems: &mut Problems,
) -> Option<(ForEach, Type)> {
    let entries = fields::map(node, FOR_EACH.what, problems)?;
    let fields = Fields::of(node.span, FOR_EACH.what, entries);
    let item = item(node, entries, reading, problems);
    let list = item.and_then(|entry| items(&entry.value, outside, problems));
    let at_once = count(&fields, "at_once", 1, problems);
    let most = count(&fields, "most", MOST_ITEMS, problems);
    let enough = fields.get("enough").map(|_| count(&fields, "enough", 1, problems));
    let rest = fields.get("rest");
    let rest_skipped = rest.is_none_or(|node| super::plan::scalar(node) == Some("skip"));
    match (fields.entry("enough"), rest) {
        (Some(enough), None) => {
            problems.error(enough.key_span, "`enough` leaves a rest", "say what becomes of it: `rest: skip`");
        }
        (_, Some(node)) if !rest_skipped => {
            problems.error(node.span, "the rest can only be skipped", "write `rest: skip`: what it did is made void");
        }
        (None, Some(node)) => {
            problems.error(node.span, "without `enough` there is no rest", "add `enough: 2`, or take it out")
        }
        (_, _) => {}
    }
    let (list, of) = list?;
    let for_each = ForEach { item: item?.key.clone(), list, at_once: at_once?, most: most?, enough: optional(enough)? };
    (rest_skipped && for_each.enough.is_some() == rest.is_some()).then_some((for_each, of))
}

/// The one key that is no keyword: the item's name, and the list.
fn item<'a>(node: &Node, entries: &'a [Entry], reading: &Reading<'_>, problems: &mut Problems) -> Option<&'a Entry> {
    let mut free = entries.iter().filter(|entry| !FOR_EACH.known.contains(&entry.key.as_str()));
    let Some(item) = free.next() else {
        problems.error(
            node.span,
            "`for_each` needs a name for the item, and a list",
            "write `for_each: { line: input.lines }`",
        );
        return None;
    };
    if let Some(second) = free.next() {
        let message = format!("`{}` is the item already", item.key);
        let help = format!("keep one of the two; beside it there is {}", fields::listed(FOR_EACH.known));
        problems.error(second.key_span, message, help);
        return None;
    }
    if let Err(help) = lexical::step_name(&item.key) {
        problems.error(item.key_span, format!("`{}` is no name of an item", item.key), help);
        return None;
    }
    if reading.plan.index(&item.key).is_some() {
        let help = "choose another name for the item: a step's name is its result";
        problems.error(item.key_span, format!("`{}` is a step", item.key), help);
        return None;
    }
    Some(item)
}

/// The list, and the type of what it holds.
fn items(node: &Node, outside: &View<'_>, problems: &mut Problems) -> Option<(Expr, Type)> {
    let source = fields::expression(node, "the list", problems)?;
    let (expr, found) = Place { node, offset: 0 }.expression(source, outside, problems)?;
    expression::fit(node.span, "what `for_each` goes through", &found, &Type::List(Box::new(Type::Any)), problems)?;
    let item = if let Type::List(item) = found { *item } else { Type::Any };
    Some((expr, item))
}

fn count(fields: &Fields<'_>, key: &str, default: u32, problems: &mut Problems) -> Option<u32> {
    let Some(node) = fields.get(key) else { return Some(default) };
    parsed(node, &format!("value of `{key}`"), |text| lexical::count(text, 1..=MAX_ITEMS), problems)
}
