//! `facts`: what is kept current of the world while a saga lives.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::Expr;
use sagaline_definition::model::{AskFact, FactClause};
use sagaline_definition::types::Type;
use sagaline_schemas::Value;

use super::expression::{self, Place};
use super::view::{From, View};
use super::world::World;
use super::{optional, start, template, types};
use crate::fields::{self, Fields, Keys, parsed};
use crate::lexical;
use crate::literal;
use crate::report::Problems;
use crate::yaml::{Entry, Node};

pub const FACT: Keys =
    Keys { what: "a fact", known: &["topic", "if", "key", "for", "value", "seq", "initial", "type", "fresh", "ask"] };
pub const ASK: Keys = Keys { what: "`ask`", known: &["operation", "with", "every", "value"] };

/// What expressions see of each fact, and which of them the world tells. What is wrong is reported when they are read in full.
pub fn declared(node: &Node, world: &World<'_>) -> (BTreeMap<String, Type>, BTreeSet<String>) {
    let mut found = BTreeMap::new();
    let mut told = BTreeSet::new();
    for entry in fields::map(node, "`facts`", &mut Problems::nowhere()).unwrap_or_default() {
        let get = |key| fields::map_entry(&entry.value, key).map(|entry| &entry.value);
        let initial =
            get("initial").and_then(|node| literal::value(node, &mut Problems::nowhere())).unwrap_or_default();
        let said = get("type").map(|node| types::read(node, world, &mut Problems::nowhere()).unwrap_or(Type::Any));
        let may_miss = initial == Value::Null || get("fresh").is_some();
        let known = said.unwrap_or_else(|| if initial == Value::Null { Type::Any } else { Type::of(&initial) });
        found.insert(entry.key.clone(), if may_miss { known.or_null() } else { known });
        if get("topic").is_some() || get("ask").is_some() {
            told.insert(entry.key.clone());
        }
    }
    (found, told)
}

/// Reads `facts`, in file order. None: one of them is wrong; reported.
pub fn read(node: &Node, world: &World<'_>, problems: &mut Problems) -> Option<Vec<FactClause>> {
    let entries = fields::map(node, "`facts`", problems)?;
    let read: Vec<_> = entries.iter().map(|entry| fact(entry, world, problems)).collect();
    read.into_iter().collect()
}

fn fact(entry: &Entry, world: &World<'_>, problems: &mut Problems) -> Option<FactClause> {
    if let Err(help) = lexical::member_name(&entry.key) {
        problems.error(entry.key_span, format!("`{}` is no name of a fact", entry.key), help);
    }
    let fields = Fields::read(&entry.value, &FACT, problems)?;
    let shape = types::optional(fields.get("type"), world, problems);
    let initial = initial(&fields, shape.as_ref(), problems);
    let topic = fields.get("topic").map(|node| parsed(node, "name of a topic", lexical::topic, problems));
    if topic.is_some() {
        fields.required("key", "key: event.order_id", problems);
        fields.required("value", "value: event.status", problems);
    } else {
        let then = "it is set by hand, or by `ask`";
        start::refuse_without_topic(&fields, &["if", "key", "for", "value", "seq"], then, problems);
    }
    let wanted = world.facts.get(&entry.key).cloned().unwrap_or(Type::Any);
    let event = View::new(world, From::Event).with("event", Type::Any);
    let condition = expression::optional(fields.get("if"), "`if`", &Type::Bool, &event, problems);
    let key = expression::optional(fields.get("key"), "`key`", &Type::String, &event, problems);
    let of = View::new(world, From::Fact);
    let of = expression::optional(fields.get("for"), "`for`", &Type::String, &of, problems);
    let value = expression::optional(fields.get("value"), "`value`", &wanted, &event, problems);
    let seq = expression::optional(fields.get("seq"), "`seq`", &Type::Int, &event, problems);
    let fresh = fields.get("fresh").map(|node| parsed(node, "duration", lexical::duration, problems));
    let ask = fields.get("ask").map(|node| ask(node, &wanted, world, problems));
    Some(FactClause {
        fact: entry.key.clone(),
        topic: optional(topic)?.map(str::to_owned),
        condition: condition?,
        key: key?,
        of: of?,
        value: value?,
        seq: seq?,
        initial: initial?,
        shape: fields.get("type").map(|_| wanted),
        fresh: optional(fresh)?,
        ask: optional(ask)?,
    })
}

fn initial(fields: &Fields<'_>, shape: Option<&Type>, problems: &mut Problems) -> Option<Value> {
    let Some(node) = fields.get("initial") else { return Some(Value::Null) };
    let value = literal::value(node, problems)?;
    let wanted = shape.cloned().unwrap_or(Type::Any).or_null();
    expression::fit(node.span, "`initial`", &Type::of(&value), &wanted, problems)?;
    Some(value)
}

fn ask(node: &Node, wanted: &Type, world: &World<'_>, problems: &mut Problems) -> Option<AskFact> {
    let fields = Fields::read(node, &ASK, problems)?;
    let operation = fields.required("operation", "operation: pricing.rate", problems);
    let written = operation.and_then(|node| Some((fields::text(node, "`operation`", problems)?, node.span)));
    let target = written.and_then(|(written, span)| world.used.target(written, span, problems));
    if let (Some(target), Some(node)) = (target, operation)
        && !target.operation.reads
    {
        let message = format!("`{}` has an effect, and a fact is only asked for", target.full_name());
        problems.error(node.span, message, "name an operation that says `reads: true` in its contract");
    }
    let view = View::new(world, From::Fact).with("facts", world.facts_type());
    let with = template::input(fields.get("with"), target, fields.span, &view, problems);
    let every = fields.required("every", "every: 1h", problems);
    let every = every.and_then(|node| parsed(node, "duration", lexical::duration, problems));
    let answer = target.map_or(Type::Any, |target| target.output());
    let value = answered(fields.get("value"), answer, wanted, node, world, problems);
    let target = target?;
    Some(AskFact {
        participant: target.contract.participant.clone(),
        operation: target.name.to_owned(),
        with: with?,
        every: every?,
        value: value?,
    })
}

/// What an answer says; unless it is said, the answer itself.
fn answered(
    node: Option<&Node>,
    answer: Type,
    wanted: &Type,
    ask: &Node,
    world: &World<'_>,
    problems: &mut Problems,
) -> Option<Expr> {
    let view = View::new(world, From::Fact).with("answer", answer.clone());
    if let Some(node) = node {
        return expression::selector(node, "`value`", wanted, &view, problems);
    }
    let (expr, found) = Place { node: ask, offset: 0 }.expression("answer", &view, problems)?;
    expression::fit(ask.span, "the answer", &found, wanted, problems)?;
    Some(expr)
}
