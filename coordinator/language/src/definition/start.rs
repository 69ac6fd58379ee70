//! `start`: which events begin a saga, by which key, and what it is told.

use sagaline_definition::Expr;
use sagaline_definition::model::{Again, Start};
use sagaline_definition::types::Type;

use super::expression;
use super::view::{From, View};
use super::world::World;
use super::{optional, types};
use crate::fields::{Fields, Keys, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::Node;

pub const START: Keys = Keys { what: "`start`", known: &["topic", "if", "key", "input", "type", "again"] };

/// Reads `start`, and the type of the saga's input. None: it is wrong; reported.
pub fn read(definition: &Fields<'_>, world: &World<'_>, problems: &mut Problems) -> Option<(Start, Type)> {
    let node = definition.required("start", "start: { topic: orders, key: event.order_id }", problems)?;
    let fields = Fields::read(node, &START, problems)?;
    let input_type = types::optional(fields.get("type"), world, problems);
    let topic = fields.get("topic").map(|node| parsed(node, "name of a topic", lexical::topic, problems));
    if topic.is_some() {
        fields.required("key", "key: event.order_id", problems);
    } else {
        refuse_without_topic(&fields, &["if", "key", "input"], "the saga is started by request only", problems);
    }
    let view = View::new(world, From::Start).with("event", Type::Any);
    let condition = expression::optional(fields.get("if"), "`if`", &Type::Bool, &view, problems);
    let key = expression::optional(fields.get("key"), "`key`", &Type::String, &view, problems);
    let wanted = input_type.clone().unwrap_or(Type::Any);
    let input: Option<Option<Expr>> = expression::optional(fields.get("input"), "`input`", &wanted, &view, problems);
    let again = fields.get("again").map_or(Some(Again::Never), |node| again(node, problems));
    let input_type = input_type?;
    let shape = fields.get("type").map(|_| input_type.clone());
    let topic = optional(topic)?.map(str::to_owned);
    let start = Start { topic, condition: condition?, key: key?, input: input?, shape, again: again? };
    Some((start, input_type))
}

/// Without a topic there is no event that could be asked.
pub fn refuse_without_topic(fields: &Fields<'_>, keys: &[&str], then: &str, problems: &mut Problems) {
    for key in keys {
        if let Some(entry) = fields.entry(key) {
            let message = format!("`{key}` reads the event, and without `topic` there is none");
            problems.error(entry.key_span, message, format!("add `topic: NAME`, or take it out: {then}"));
        }
    }
}

fn again(node: &Node, problems: &mut Problems) -> Option<Again> {
    let read = |text: &str| match text {
        "never" => Ok(Again::Never),
        "ended" => Ok(Again::Ended),
        _ => Err("write `never` (one saga for a key), or `ended` (another one once the last has ended)".to_owned()),
    };
    parsed(node, "value of `again`", read, problems)
}
