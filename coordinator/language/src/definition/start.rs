//! `start`: which events begin a saga, by which key, and what it is told.

use std::collections::BTreeMap;

use sagaline_definition::Expr;
use sagaline_definition::model::{Again, Start};
use sagaline_definition::types::Type;
use sagaline_schemas::Value;

use super::LATER;
use super::expression::{self, Place, Sight, View};
use crate::contract::avro;
use crate::contracts::Used;
use crate::fields::{self, Fields, Keys, did_you_mean, or_else, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::Node;

const START: Keys = Keys { what: "`start`", known: &["topic", "if", "key", "input", "type"], later: LATER };

/// What the expressions of `start` see: the event, of which nothing is known.
struct EventView;

impl View for EventView {
    fn see(&self, name: &str) -> Sight {
        match name {
            "event" => Sight::Seen(Type::Any),
            "input" => Sight::Hidden {
                message: "`input` is not there before the saga has started".to_owned(),
                help: "read `event`".to_owned(),
            },
            _ => Sight::Unknown(vec!["event".to_owned()]),
        }
    }
}

/// Reads `start`, and the type of the saga's input. None: it is wrong; reported.
pub fn read(definition: &Fields<'_>, used: &Used<'_>, problems: &mut Problems) -> Option<(Start, Type)> {
    let types = definition.get("types").map_or(Some(BTreeMap::new()), |node| avro::types(node, problems));
    let node = definition.required("start", "start: { topic: orders, key: event.order_id }", problems)?;
    let fields = Fields::read(node, &START, problems)?;
    let input_type = match fields.get("type") {
        Some(node) => input_type(node, types.as_ref(), used, problems),
        None => Some(Type::Any),
    };
    let topic = fields.get("topic").map(|node| parsed(node, "name of a topic", lexical::topic, problems));
    if topic.is_some() {
        fields.required("key", "key: event.order_id", problems);
    } else {
        refuse_without_topic(&fields, problems);
    }
    let condition = selector(&fields, "if", &Type::Bool, problems);
    let key = selector(&fields, "key", &Type::String, problems);
    let input = match fields.get("input") {
        Some(node) => input(node, input_type.as_ref(), problems).map(Some),
        None => Some(None),
    };
    let topic = match topic {
        Some(name) => Some(name?.to_owned()),
        None => None,
    };
    let input_type = input_type?;
    let shape = fields.get("type").map(|_| input_type.clone());
    let start = Start { topic, condition: condition?, key: key?, input: input?, shape, again: Again::Never };
    Some((start, input_type))
}

/// Without a topic there is no event that could be asked.
fn refuse_without_topic(fields: &Fields<'_>, problems: &mut Problems) {
    for key in ["if", "key", "input"] {
        if let Some(entry) = fields.entry(key) {
            let message = format!("`{key}` reads the event, and without `topic` there is none");
            problems.error(
                entry.key_span,
                message,
                "add `topic: NAME`, or take it out: the saga is started by request only",
            );
        }
    }
}

fn selector(fields: &Fields<'_>, key: &str, wanted: &Type, problems: &mut Problems) -> Option<Option<Expr>> {
    match fields.get(key) {
        Some(node) => expression::selector(node, &format!("`{key}`"), wanted, &EventView, problems).map(Some),
        None => Some(None),
    }
}

fn input(node: &Node, wanted: Option<&Type>, problems: &mut Problems) -> Option<Expr> {
    let source = fields::expression(node, "`input`", problems)?;
    let (expr, found) = Place { node, offset: 0 }.expression(source, &EventView, problems)?;
    expression::fit(node.span, "`input`", &found, wanted.unwrap_or(&Type::Any), problems)?;
    Some(expr)
}

/// `NAME` of the definition's own `types`, or `PARTICIPANT.NAME` of a contract.
fn input_type(
    node: &Node,
    own: Option<&BTreeMap<String, Value>>,
    used: &Used<'_>,
    problems: &mut Problems,
) -> Option<Type> {
    let written = fields::text(node, "`type`", problems)?;
    let (types, name) = match written.split_once('.') {
        Some((participant, name)) => (&used.contract(participant, node.span, problems)?.types, name),
        None => (own?, written),
    };
    let found = Type::from_avro(name, types);
    if found.is_none() {
        let names: Vec<&String> = types.keys().collect();
        let help = or_else(did_you_mean(name, &names), "declare it under `types`; a contract's is PARTICIPANT.TYPE");
        problems.error(node.span, format!("there is no type `{written}`"), help);
    }
    found
}
