//! `wait` and `expect`: an event, or a condition, is awaited. Each ends: `within` and `else` are mandatory.

use sagaline_definition::Expr;
use sagaline_definition::model::{Patience, Until, Verb, Wait};
use sagaline_definition::types::Type;

use crate::definition::expression;
use crate::definition::step::Reading;
use crate::definition::view::{From, View};
use crate::definition::words::{self, Place};
use crate::definition::world::Use;
use crate::definition::{optional, types};
use crate::fields::{self, Fields, Keys, did_you_mean, or_else, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::{Entry, Node};

pub const WAIT: Keys =
    Keys { what: "`wait`", known: &["topic", "via", "key", "if", "type", "within", "remind", "else"] };
pub const UNTIL: Keys = Keys { what: "`wait: { until }`", known: &["until", "within", "remind", "else"] };
pub const EXPECT: Keys = Keys { what: "`expect`", known: &["if", "within", "else"] };

/// Reads `wait`: for an event of a topic, or until a condition holds.
pub fn wait(node: &Node, reading: &Reading<'_>, view: &View<'_>, problems: &mut Problems) -> Option<Verb> {
    if fields::map_entry(node, "until").is_some() {
        return until(node, reading, view, problems).map(Verb::Until);
    }
    event(node, reading, view, problems).map(Verb::Wait)
}

/// Reads `expect`: a condition that must hold, at once unless it says `within`.
pub fn expect(node: &Node, reading: &Reading<'_>, view: &View<'_>, problems: &mut Problems) -> Option<Until> {
    let fields = Fields::read(node, &EXPECT, problems)?;
    let condition = fields.required("if", "if: facts.stock == input.stock", problems);
    let view = view.clone().without_now();
    let condition = condition.and_then(|node| expression::selector(node, "`if`", &Type::Bool, &view, problems));
    let within = fields.get("within").map_or(Some(0), |node| parsed(node, "duration", lexical::duration, problems));
    let otherwise = otherwise(&fields, &words::EXPECT, reading, problems);
    let patience = Patience { within: within?, remind: None, otherwise: otherwise? };
    Some(Until { condition: condition?, patience })
}

/// `within`, `remind` and `else`.
pub fn patience(
    fields: &Fields<'_>,
    place: &Place,
    reading: &Reading<'_>,
    problems: &mut Problems,
) -> Option<Patience> {
    let within = fields.required("within", "within: 2d", problems);
    let within = within.and_then(|node| parsed(node, "duration", lexical::duration, problems));
    let remind = fields.get("remind").map(|node| {
        let remind = parsed(node, "duration", lexical::duration, problems)?;
        if within.is_some_and(|within| remind >= within) {
            problems.error(
                node.span,
                "nobody would be reminded: the wait is over by then",
                "make it shorter than `within`",
            );
            return None;
        }
        Some(remind)
    });
    let otherwise = otherwise(fields, place, reading, problems);
    Some(Patience { within: within?, remind: optional(remind)?, otherwise: otherwise? })
}

fn otherwise(
    fields: &Fields<'_>,
    place: &Place,
    reading: &Reading<'_>,
    problems: &mut Problems,
) -> Option<sagaline_definition::model::Word> {
    let node = fields.required("else", "else: stuck", problems)?;
    words::word(node, place, reading.ground(), problems)
}

fn until(node: &Node, reading: &Reading<'_>, view: &View<'_>, problems: &mut Problems) -> Option<Until> {
    let fields = Fields::read(node, &UNTIL, problems)?;
    let node = fields.get("until")?;
    let view = view.clone().without_now();
    let condition = expression::selector(node, "`until`", &Type::Bool, &view, problems);
    let patience = patience(&fields, &words::WAIT, reading, problems);
    let condition = condition?;
    let facts = condition.members("facts");
    let told = |facts: std::collections::BTreeSet<String>| facts.iter().any(|fact| reading.world.told.contains(fact));
    if !facts.is_none_or(told) {
        let message = "no event and no participant tells what this waits for: only a person can end it";
        problems.warning(node.span, message, "wait for a fact that has a `topic` or `ask`");
    }
    Some(Until { condition, patience: patience? })
}

fn event(node: &Node, reading: &Reading<'_>, view: &View<'_>, problems: &mut Problems) -> Option<Wait> {
    let fields = Fields::read(node, &WAIT, problems)?;
    let topic = fields.required("topic", "topic: payments, or until: facts.address != null", problems);
    let topic = topic.and_then(|node| parsed(node, "name of a topic", lexical::topic, problems));
    let said = fields.get("type").map(|node| types::read(node, reading.world, problems));
    let shape = said.clone().flatten().unwrap_or(Type::Any);
    let via = fields.entry("via").map(|entry| via(entry, reading, problems));
    let key = key(&fields, topic, &shape, reading, problems);
    let view = view.clone().with("event", shape).without_now();
    let condition = expression::optional(fields.get("if"), "`if`", &Type::Bool, &view, problems);
    let patience = patience(&fields, &words::WAIT, reading, problems);
    Some(Wait {
        topic: topic?.to_owned(),
        via: optional(via)?,
        key: key?,
        condition: condition?,
        shape: said.flatten(),
        patience: patience?,
    })
}

/// Whom an event concerns. Where sagas start by the same topic, it is the key that started them, unless said.
fn key(
    fields: &Fields<'_>,
    topic: Option<&str>,
    shape: &Type,
    reading: &Reading<'_>,
    problems: &mut Problems,
) -> Option<Expr> {
    let view = View::new(reading.world, From::Event).with("event", shape.clone());
    if let Some(node) = fields.get("key") {
        return expression::selector(node, "`key`", &Type::String, &view, problems);
    }
    let started = reading.world.start.as_ref().filter(|(start, _)| topic == Some(start) && fields.get("via").is_none());
    if let Some((_, key)) = started {
        return Some(key.clone());
    }
    fields.required("key", "key: event.order_id", problems);
    None
}

/// The alias by which events name the saga.
fn via(entry: &Entry, reading: &Reading<'_>, problems: &mut Problems) -> Option<String> {
    let node = &entry.value;
    let name = fields::text(node, "an alias", problems)?;
    reading.world.note(Use::Alias(name.to_owned()));
    let given = reading.plan.raw.iter().filter_map(|step| fields::entries(step.fields.get("alias")?));
    let names: Vec<&str> = given.flatten().map(|entry| entry.key.as_str()).collect();
    if !names.contains(&name) {
        let help =
            or_else(did_you_mean(name, &names), "let an earlier step give it: `alias: { psp_ref: charge.reference }`");
        problems.error(node.span, format!("no step gives the saga the alias `{name}`"), help);
        return None;
    }
    Some(name.to_owned())
}
