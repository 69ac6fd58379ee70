//! A step without its expressions: what it calls, how often, what then, how it is undone.

use std::collections::BTreeMap;

use sagaline_definition::model::{Compensate, Policy, Word};

use super::steps::RawStep;
use super::words::{self, Refused};
use super::{LATER, policy};
use crate::contracts::{Target, Used};
use crate::fields::{self, Fields, Keys};
use crate::report::Problems;
use crate::yaml::{Kind, Node};

const COMPENSATE: Keys = Keys { what: "`compensate`", known: &["retry"], later: LATER };

/// What is known of a step before its expressions are read. None anywhere: it is wrong, and that was reported.
pub struct Outline<'a> {
    pub target: Option<Target<'a>>,
    pub pivot: bool,
    pub retry: Option<Policy>,
    pub refused: Option<Refused>,
    pub failed: Option<Word>,
    pub compensate: Option<Compensate>,
}

/// What an outline is read with.
pub struct Surroundings<'a> {
    pub used: &'a Used<'a>,
    pub policies: &'a BTreeMap<String, Option<Policy>>,
    /// The step that is the pivot.
    pub pivot: Option<usize>,
    /// The pivot's name, if it is surely decided when this step begins.
    pub forward: Option<&'a str>,
}

/// Reads the outline of a step.
pub fn read<'a>(index: usize, step: &RawStep<'a>, around: &Surroundings<'a>, problems: &mut Problems) -> Outline<'a> {
    let fields = &step.fields;
    let call = fields.required("call", "call: payment.charge", problems);
    let called = call.and_then(|node| Some((fields::text(node, "`call`", problems)?, node.span)));
    let target = called.and_then(|(written, span)| around.used.target(written, span, problems));
    let pivot = around.pivot == Some(index);
    // A pivot without an outcome is never undone around (records: section 5): it is retried, then stuck.
    let no_way_back = if pivot { Some(step.name) } else { around.forward };
    let failed = match fields.get("failed") {
        Some(node) => words::step_word(node, &words::FAILED, no_way_back, problems),
        None => Some(if no_way_back.is_some() { Word::Stuck } else { Word::Compensate }),
    };
    Outline {
        target,
        pivot,
        retry: policy::retry(fields.get("retry"), &policy::DEFAULT, around.policies, problems),
        refused: words::refused(fields.get("refused"), target, around.forward, problems),
        failed,
        compensate: target.and_then(|target| Undoing { step, target, pivot, around }.read(problems)),
    }
}

/// How a step is undone: by what its contract says, unless the step is the pivot or says `never`.
struct Undoing<'a, 'b> {
    step: &'b RawStep<'a>,
    target: Target<'a>,
    pivot: bool,
    around: &'b Surroundings<'a>,
}

impl Undoing<'_, '_> {
    fn read(&self, problems: &mut Problems) -> Option<Compensate> {
        let written = self.step.fields.get("compensate");
        let never = written.is_some_and(|node| matches!(&node.kind, Kind::Scalar(scalar) if scalar.text() == "never"));
        if self.target.operation.reads {
            return self.reads(written, problems);
        }
        match written {
            Some(_) if never => Some(Compensate::Never),
            Some(node) if self.pivot => {
                let help = "take out `compensate`, or make another step the pivot";
                problems.error(node.span, "the pivot is never undone", help);
                None
            }
            None if self.pivot => Some(Compensate::Never),
            _ => self.by_contract(written, problems),
        }
    }

    fn reads(&self, written: Option<&Node>, problems: &mut Problems) -> Option<Compensate> {
        let name = self.target.full_name();
        if let Some(node) = written {
            let message = format!("`{name}` only reads: there is nothing to undo");
            problems.error(node.span, message, "take out `compensate`");
            return None;
        }
        if self.pivot {
            let message = format!("`{name}` only reads, and so can't be the pivot");
            problems.error(self.step.name_span, message, "make a step with an effect the pivot");
            return None;
        }
        Some(Compensate::Reads)
    }

    fn by_contract(&self, written: Option<&Node>, problems: &mut Problems) -> Option<Compensate> {
        let name = self.target.full_name();
        let Some(operation) = &self.target.operation.compensate else {
            let span = written.map_or(self.step.name_span, |node| node.span);
            let message = format!("`{name}` has an effect, and nothing undoes it");
            let help = "give it a compensation in its contract, or say `compensate: never` or `pivot: true` here";
            problems.error(span, message, help);
            return None;
        };
        let retry = match written {
            Some(node) => self.written(node, operation, problems)?,
            None => policy::COMPENSATION,
        };
        Some(Compensate::By { operation: operation.clone(), retry, with: None })
    }

    /// The policy of a written compensation: an operation's name, or a map with `retry`.
    fn written(&self, node: &Node, operation: &str, problems: &mut Problems) -> Option<Policy> {
        if let Kind::Map(_) = &node.kind {
            let fields = Fields::read(node, &COMPENSATE, problems)?;
            return policy::retry(fields.get("retry"), &policy::COMPENSATION, self.around.policies, problems);
        }
        let named = fields::text(node, "`compensate`", problems)?;
        if named != operation {
            let message = format!("`{}` is undone by `{operation}`, not by `{named}`", self.target.full_name());
            problems.error(
                node.span,
                message,
                format!("write `{operation}` or `never`, or leave it out: the contract decides"),
            );
            return None;
        }
        Some(policy::COMPENSATION)
    }
}
