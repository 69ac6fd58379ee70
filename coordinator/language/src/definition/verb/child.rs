//! `saga`: another saga as a step, awaited, and undone with this one.

use sagaline_definition::model::Child;
use sagaline_definition::types::Type;

use super::compensate;
use crate::definition::step::Reading;
use crate::definition::template;
use crate::definition::view::View;
use crate::definition::words::{self, Ground};
use crate::fields::{self, did_you_mean, or_else};
use crate::report::Problems;
use crate::yaml::Node;

/// Reads `saga`.
pub fn read(node: &Node, reading: &Reading<'_>, view: &View<'_>, problems: &mut Problems) -> Option<Child> {
    let raw = reading.raw();
    let name = fields::text(node, "`saga`", problems)?;
    let child = reading.world.children.get(name);
    if child.is_none() && !reading.world.children.is_broken(name) {
        let names: Vec<&str> = reading.world.children.names().collect();
        let help = or_else(did_you_mean(name, &names), "check its file together with this one");
        problems.error(node.span, format!("there is no definition `{name}`"), help);
    }
    let wanted = child.and_then(|child| child.definition.start.shape.clone()).unwrap_or(Type::Any);
    let key = match raw.fields.get("key") {
        Some(node) => template::template(node, &Type::String, view, problems).map(Some),
        None => Some(None),
    };
    let with = match raw.fields.get("with") {
        Some(node) => template::template(node, &wanted, view, problems),
        None => template::empty(raw.name_span, name, &wanted, problems),
    };
    let decided = Ground::Step { plan: reading.plan, step: reading.index, pivot_decided: true };
    let failed = words::failed(raw.fields.get("failed"), decided, problems);
    let compensate = undone(reading, problems);
    Some(Child {
        saga: name.to_owned(),
        definition: child?.definition.digest(),
        key: key?,
        with: with?,
        failed: failed?,
        compensate: compensate?,
    })
}

/// Whether the child is undone with its parent. None: it says what can't be said; reported.
fn undone(reading: &Reading<'_>, problems: &mut Problems) -> Option<bool> {
    let pivot = reading.plan.pivot == Some(reading.index);
    match reading.raw().fields.get("compensate") {
        None => Some(!pivot),
        Some(node) if compensate::is_never(node) => Some(false),
        Some(node) => {
            let message = "a saga is undone by its own definition";
            problems.error(node.span, message, "write `never`, or leave it out: it is undone with this one");
            None
        }
    }
}
