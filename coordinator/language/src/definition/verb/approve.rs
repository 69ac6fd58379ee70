//! `approve`: people decide, on what they were shown.

use std::collections::BTreeMap;

use sagaline_definition::Expr;
use sagaline_definition::model::{Approve, Template, Word};
use sagaline_definition::types::Type;
use sagaline_schemas::Value;

use super::wait;
use crate::definition::step::Reading;
use crate::definition::view::View;
use crate::definition::{expression, optional, template, words};
use crate::fields::{self, Fields, Keys, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::Node;

pub const APPROVE: Keys = Keys {
    what: "`approve`",
    known: &["by", "show", "choices", "quorum", "escalate", "remind", "within", "else", "void_if"],
};

/// Most people that must agree.
const MAX_QUORUM: u32 = 100;

/// Reads `approve`.
pub fn read(node: &Node, reading: &Reading<'_>, view: &View<'_>, problems: &mut Problems) -> Option<Approve> {
    let fields = Fields::read(node, &APPROVE, problems)?;
    let by = fields.required("by", "by: role/manager", problems).and_then(|node| deciders(node, problems));
    let show = match fields.get("show") {
        Some(node) => template::template(node, &Type::Any, view, problems),
        None => Some(Template::Literal(Value::Map(BTreeMap::new()))),
    };
    let choices = fields.required("choices", "choices: { approve: continue, reject: compensate }", problems);
    let choices = choices.and_then(|node| choices_of(node, reading, problems));
    let quorum = match fields.get("quorum") {
        Some(node) => parsed(node, "number of people", |text| lexical::count(text, 1..=MAX_QUORUM), problems),
        None => Some(1),
    };
    let escalate = fields.get("escalate").map_or(Some(Vec::new()), |node| escalations(node, problems));
    let patience = wait::patience(&fields, &words::APPROVE, reading, problems);
    let shown = show.as_ref().map_or(Type::Any, |show| template::type_of(show, view));
    let void_if = fields.get("void_if").map(|node| void_if(node, shown, view, problems));
    let approve = Approve {
        by: by?,
        show: show?,
        choices: choices?,
        quorum: quorum?,
        escalate: escalate?,
        patience: patience?,
        void_if: optional(void_if)?,
    };
    can_be_decided(&approve, &fields, problems)?;
    if approve.escalate.is_empty() {
        let message = "nobody else is asked if those who may decide do not";
        problems.warning(node.span, message, "let it escalate: `escalate: { 24h: role/director }`");
    }
    Some(approve)
}

/// What does not fit together: too few people for the quorum, an escalation when all is over.
fn can_be_decided(approve: &Approve, fields: &Fields<'_>, problems: &mut Problems) -> Option<()> {
    let everybody = || approve.by.iter().chain(approve.escalate.iter().map(|(_, by)| by));
    let people = everybody().collect::<std::collections::BTreeSet<_>>().len();
    if everybody().all(|by| by.starts_with("user/")) && (people as u64) < u64::from(approve.quorum) {
        let message = format!("{} must agree, and {people} may decide", approve.quorum);
        let span = fields.get("quorum").map_or(fields.span, |node| node.span);
        problems.error(span, message, "lower `quorum`, or let more people decide: role/manager");
        return None;
    }
    let late = approve.escalate.iter().find(|(after, _)| *after >= approve.patience.within);
    if let (Some((_, by)), Some(node)) = (late, fields.get("escalate")) {
        problems.error(
            node.span,
            format!("`{by}` would be asked when the time is up"),
            "escalate before `within` is over",
        );
        return None;
    }
    Some(())
}

fn deciders(node: &Node, problems: &mut Problems) -> Option<Vec<String>> {
    let items = fields::one_or_more(node);
    if items.is_empty() {
        problems.error(node.span, "nobody may decide", "name a role or a user: role/manager");
        return None;
    }
    let read: Vec<_> = items.iter().map(|item| decider(item, problems)).collect();
    read.into_iter().collect()
}

fn decider(node: &Node, problems: &mut Problems) -> Option<String> {
    parsed(node, "role or user", lexical::decider, problems).map(str::to_owned)
}

fn choices_of(node: &Node, reading: &Reading<'_>, problems: &mut Problems) -> Option<BTreeMap<String, Word>> {
    let entries = fields::map(node, "`choices`", problems)?;
    if entries.is_empty() {
        problems.error(node.span, "there is nothing to choose from", "write { approve: continue, reject: compensate }");
        return None;
    }
    let mut choices = BTreeMap::new();
    for entry in entries {
        if let Err(help) = lexical::identifier(&entry.key) {
            problems.error(entry.key_span, format!("`{}` is no name of a choice", entry.key), help);
        }
        let word = words::word(&entry.value, &words::CHOICES, reading.ground(), problems);
        choices.insert(entry.key.clone(), word);
    }
    choices.into_iter().map(|(choice, word)| Some((choice, word?))).collect()
}

/// Who else may decide, and after how long.
fn escalations(node: &Node, problems: &mut Problems) -> Option<Vec<(i64, String)>> {
    let mut read = Vec::new();
    let mut complete = true;
    for entry in fields::map(node, "`escalate`", problems)? {
        let after = lexical::duration(&entry.key);
        if let Err(help) = &after {
            problems.error(entry.key_span, format!("`{}` is no duration", entry.key), help.clone());
        }
        match (after, decider(&entry.value, problems)) {
            (Ok(after), Some(by)) => read.push((after, by)),
            (_, _) => complete = false,
        }
    }
    read.sort();
    complete.then_some(read)
}

/// What was approved must still be true: so it must look at what was shown.
fn void_if(node: &Node, shown: Type, view: &View<'_>, problems: &mut Problems) -> Option<Expr> {
    let view = view.clone().with("shown", shown).without_now();
    let expr = expression::selector(node, "`void_if`", &Type::Bool, &view, problems)?;
    if !expr.names().contains("shown") {
        let message = "`void_if` does not look at what was shown: it would be void as soon as it is asked, or never";
        problems.error(node.span, message, "compare with it: facts.status != shown.status");
        return None;
    }
    Some(expr)
}
