//! A step in full: its outline, with the expressions that read the input and earlier results.

use std::collections::BTreeMap;

use sagaline_definition::model::{Call, Step, Template, Verb};
use sagaline_definition::types::Type;

use super::expression::{self, Sight, View};
use super::graph::Graph;
use super::outline::Outline;
use super::steps::RawStep;
use super::template;
use crate::contracts::Target;
use crate::fields;
use crate::lexical::SEEN_BY_EXPRESSIONS;
use crate::report::Problems;

/// All steps, and what each will have for a result.
pub struct Results<'a> {
    pub raw: &'a [RawStep<'a>],
    pub outlines: &'a [Outline<'a>],
    pub graph: &'a Graph,
    pub input: &'a Type,
}

impl Results<'_> {
    /// The type of a step's result: null, too, if the saga may go on without it.
    fn result(&self, index: usize) -> Type {
        let outline = &self.outlines[index];
        let Some(target) = outline.target else { return Type::Any };
        let found = match &target.operation.output {
            Some(name) => target.contract.type_of(name).unwrap_or(Type::Any),
            None => Type::Null,
        };
        let skipped = self.raw[index].fields.get("if").is_some();
        let continued = outline.refused.as_ref().is_some_and(|refused| refused.may_continue());
        if skipped || continued { found.or_null() } else { found }
    }
}

/// What a step's expressions see: the input, and the results of what is surely done before it.
struct StepView<'a> {
    results: &'a Results<'a>,
    index: usize,
}

impl View for StepView<'_> {
    fn see(&self, name: &str) -> Sight {
        if name == "input" {
            return Sight::Seen(self.results.input.clone());
        }
        if name == "now" {
            return Sight::Seen(Type::Int);
        }
        if name == "event" {
            let message = "`event` is seen by `start` only".to_owned();
            return Sight::Hidden {
                message,
                help: "read `input`: it is what `start.input` made of the event".to_owned(),
            };
        }
        if SEEN_BY_EXPRESSIONS.contains(&name) {
            let help = "read `input` and the results of earlier steps".to_owned();
            return Sight::Hidden { message: format!("`{name}` is not yet there in expressions"), help };
        }
        let raw = self.results.raw;
        match raw.iter().position(|step| step.name == name) {
            Some(step) if self.results.graph.is_before(step, self.index) => Sight::Seen(self.results.result(step)),
            Some(step) if step == self.index => Sight::Hidden {
                message: format!("`{name}` has no result yet: it is this step"),
                help: "read `input` and the results of earlier steps".to_owned(),
            },
            Some(_) => Sight::Hidden {
                message: format!("`{name}` is not surely done before `{}`", raw[self.index].name),
                help: format!("add `{name}` to its `after`"),
            },
            None => {
                let seen = (0..raw.len()).filter(|step| self.results.graph.is_before(*step, self.index));
                Sight::Unknown(seen.map(|step| raw[step].name.to_owned()).chain(["input".to_owned()]).collect())
            }
        }
    }
}

/// Reads a step. None: something in it is wrong; reported.
pub fn step(index: usize, results: &Results<'_>, owner: &str, problems: &mut Problems) -> Option<Step> {
    let (raw, outline) = (&results.raw[index], &results.outlines[index]);
    let view = StepView { results, index };
    let condition = match raw.fields.get("if") {
        Some(node) => expression::selector(node, "`if`", &Type::Bool, &view, problems).map(Some),
        None => Some(None),
    };
    let owner = match raw.fields.get("owner") {
        Some(node) => fields::text(node, "an owner", problems),
        None => Some(owner),
    };
    let with = with(raw, outline.target, &view, problems);
    let (target, refused) = (outline.target?, outline.refused.as_ref()?);
    let call = Call {
        participant: target.contract.participant.clone(),
        operation: target.name.to_owned(),
        with: with?,
        retry: outline.retry?,
        refused: refused.by_code.clone(),
        refused_else: refused.otherwise.clone(),
        failed: outline.failed.clone()?,
        compensate: outline.compensate.clone()?,
        probe: target.operation.probe.clone(),
    };
    Some(Step {
        step: Some(raw.name).filter(|name| !name.is_empty())?.to_owned(),
        owner: owner?.to_owned(),
        after: results.graph.after(index),
        at_least: None,
        condition: condition?,
        for_each: None,
        guard: None,
        verb: Verb::Call(call),
        pivot: outline.pivot,
        expected: None,
        alias: BTreeMap::new(),
    })
}

/// The input of a call. Where the target is unknown, its expressions are checked all the same.
fn with(
    raw: &RawStep<'_>,
    target: Option<Target<'_>>,
    view: &StepView<'_>,
    problems: &mut Problems,
) -> Option<Template> {
    let wanted = target.and_then(|target| target.contract.type_of(&target.operation.input)).unwrap_or(Type::Any);
    match (raw.fields.get("with"), target) {
        (Some(node), _) => template::template(node, &wanted, view, problems),
        (None, Some(target)) => template::empty(raw.name_span, &target.full_name(), &wanted, problems),
        (None, None) => None,
    }
}
