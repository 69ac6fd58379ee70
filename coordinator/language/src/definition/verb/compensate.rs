//! How an effect is undone: by what its contract says, unless the step is the pivot or says `never`.

use sagaline_definition::model::{Compensate, Policy, Template};
use sagaline_definition::types::Type;

use crate::contracts::Target;
use crate::definition::step::Reading;
use crate::definition::view::View;
use crate::definition::{policy, template};
use crate::fields::{self, Fields, Keys};
use crate::report::Problems;
use crate::yaml::{Kind, Node};

pub const COMPENSATE: Keys = Keys { what: "`compensate`", known: &["call", "with", "retry"] };

/// Reads `compensate`, or takes what the contract says. None: nothing undoes the effect, or it is wrong; reported.
pub fn read(target: Target<'_>, reading: &Reading<'_>, view: &View<'_>, problems: &mut Problems) -> Option<Compensate> {
    let undoing = Undoing { reading, target, view };
    let written = reading.raw().fields.get("compensate");
    let pivot = reading.plan.pivot == Some(reading.index);
    if target.operation.reads {
        return undoing.reads(written, pivot, problems);
    }
    match written {
        Some(node) if is_never(node) => Some(Compensate::Never),
        Some(node) if pivot => {
            problems.error(
                node.span,
                "the pivot is never undone",
                "take out `compensate`, or make another step the pivot",
            );
            None
        }
        None if pivot => Some(Compensate::Never),
        _ => undoing.by_contract(written, problems),
    }
}

/// Whether it says `never`.
pub fn is_never(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar(scalar) if scalar.text() == "never")
}

struct Undoing<'a, 'b> {
    reading: &'b Reading<'a>,
    target: Target<'a>,
    view: &'b View<'b>,
}

impl Undoing<'_, '_> {
    fn reads(&self, written: Option<&Node>, pivot: bool, problems: &mut Problems) -> Option<Compensate> {
        let name = self.target.full_name();
        if let Some(node) = written {
            let message = format!("`{name}` only reads: there is nothing to undo");
            problems.error(node.span, message, "take out `compensate`");
            return None;
        }
        if pivot {
            let message = format!("`{name}` only reads, and so can't be the pivot");
            problems.error(self.reading.raw().name_span, message, "make a step with an effect the pivot");
            return None;
        }
        Some(Compensate::Reads)
    }

    fn by_contract(&self, written: Option<&Node>, problems: &mut Problems) -> Option<Compensate> {
        let name = self.target.full_name();
        let Some(operation) = &self.target.operation.compensate else {
            let span = written.map_or(self.reading.raw().name_span, |node| node.span);
            let message = format!("`{name}` has an effect, and nothing undoes it");
            let help = "give it a compensation in its contract, or say `compensate: never` or `pivot: true` here";
            problems.error(span, message, help);
            return None;
        };
        let (retry, with) = match written {
            Some(node) => self.written(node, operation, problems)?,
            None => (policy::COMPENSATION, None),
        };
        Some(Compensate::By { operation: operation.clone(), retry, with })
    }

    /// A written compensation: an operation's name, or a map.
    fn written(&self, node: &Node, operation: &str, problems: &mut Problems) -> Option<(Policy, Option<Template>)> {
        if !matches!(&node.kind, Kind::Map(_)) {
            self.is_the_contracts(node, operation, problems)?;
            return Some((policy::COMPENSATION, None));
        }
        let fields = Fields::read(node, &COMPENSATE, problems)?;
        let named = fields.get("call").map_or(Some(()), |node| self.is_the_contracts(node, operation, problems));
        let retry = policy::retry(fields.get("retry"), &policy::COMPENSATION, self.reading.world, problems);
        let with = match fields.get("with") {
            Some(node) => self.with(node, operation, problems).map(Some),
            None => Some(None),
        };
        named?;
        Some((retry?, with?))
    }

    fn is_the_contracts(&self, node: &Node, operation: &str, problems: &mut Problems) -> Option<()> {
        let named = fields::text(node, "`compensate`", problems)?;
        if named == operation {
            return Some(());
        }
        let message = format!("`{}` is undone by `{operation}`, not by `{named}`", self.target.full_name());
        let help = format!("write `{operation}` or `never`, or leave it out: the contract decides");
        problems.error(node.span, message, help);
        None
    }

    /// The compensation's own input. The effect may have happened without anybody knowing its result: who reads it without a test is
    /// warned, since then a person must help.
    fn with(&self, node: &Node, operation: &str, problems: &mut Problems) -> Option<Template> {
        let name = self.reading.raw().name;
        let result = self.reading.plan.results[self.reading.index].item.clone();
        let contract = self.target.contract;
        let wanted =
            contract.operations.get(operation).and_then(|undo| contract.type_of(&undo.input)).unwrap_or(Type::Any);
        let missing = match result.clone() {
            null @ (Type::Null | Type::Nullable(_)) => null,
            known => Type::Nullable(Box::new(known)),
        };
        let unknown = self.view.clone().with(name, missing);
        let mut scratch = Problems::nowhere();
        if let Some(read) = template::template(node, &wanted, &unknown, &mut scratch) {
            return Some(read);
        }
        let read = template::template(node, &wanted, &self.view.clone().with(name, result), problems)?;
        let message = format!("`{name}` may have happened without its result being known, and this needs it");
        problems.warning(node.span, message, format!("test it first: \"${{{name} != null ? {name}.reference : ''}}\""));
        Some(read)
    }
}
