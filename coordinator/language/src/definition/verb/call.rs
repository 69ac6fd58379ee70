//! `call` and `ask`: a command to a participant, and what becomes of it.

use sagaline_definition::model::{Call, Compensate};

use super::compensate;
use crate::contracts::Target;
use crate::definition::step::Reading;
use crate::definition::view::View;
use crate::definition::words::{self, Ground};
use crate::definition::{policy, template};
use crate::fields;
use crate::report::Problems;
use crate::yaml::Node;

/// Reads `call`.
pub fn call(node: &Node, reading: &Reading<'_>, view: &View<'_>, problems: &mut Problems) -> Option<Call> {
    let target = target(node, "`call`", reading, problems);
    let compensate = target.and_then(|target| compensate::read(target, reading, view, problems));
    read(target, compensate, reading, view, problems)
}

/// Reads `ask`: a call of an operation that changes nothing.
pub fn ask(node: &Node, reading: &Reading<'_>, view: &View<'_>, problems: &mut Problems) -> Option<Call> {
    let mut target = target(node, "`ask`", reading, problems);
    if let Some(effect) = target.take_if(|target| !target.operation.reads) {
        let message = format!("`{}` has an effect: who asks changes nothing", effect.full_name());
        problems.error(node.span, message, format!("write `call: {}`", effect.full_name()));
    }
    read(target, Some(Compensate::Reads), reading, view, problems)
}

fn target<'a>(node: &'a Node, key: &str, reading: &Reading<'a>, problems: &mut Problems) -> Option<Target<'a>> {
    let written = fields::text(node, key, problems)?;
    reading.world.used.target(written, node.span, problems)
}

fn read(
    target: Option<Target<'_>>,
    compensate: Option<Compensate>,
    reading: &Reading<'_>,
    view: &View<'_>,
    problems: &mut Problems,
) -> Option<Call> {
    let (raw, ground) = (reading.raw(), reading.ground());
    let retry = policy::retry(raw.fields.get("retry"), &policy::DEFAULT, reading.world, problems);
    let refused = words::refused(raw.fields.get("refused"), target, ground, problems);
    // A pivot without an outcome is never undone around (records: section 5): it is retried, then stuck.
    let decided = Ground::Step { plan: reading.plan, step: reading.index, pivot_decided: true };
    let failed = words::failed(raw.fields.get("failed"), decided, problems);
    let with = template::input(raw.fields.get("with"), target, raw.name_span, view, problems);
    let (target, refused) = (target?, refused?);
    Some(Call {
        participant: target.contract.participant.clone(),
        operation: target.name.to_owned(),
        with: with?,
        retry: retry?,
        refused: refused.by_code,
        refused_else: refused.otherwise,
        failed: failed?,
        compensate: compensate?,
        probe: target.operation.probe.clone(),
    })
}
