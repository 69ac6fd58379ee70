//! Definitions from YAML to their normal form. Each part reads what it can and reports what it can't, so that all mistakes show at once.
//! What a word or keyword means at run time belongs to the engine, never here.

mod call;
mod expression;
mod graph;
mod outline;
mod policy;
mod start;
mod steps;
mod template;
mod warnings;
mod words;

use std::collections::BTreeMap;

use sagaline_definition::model::{Deadline, Definition, Ensure, Policy, Step, Word};
use sagaline_definition::types::Type;

use crate::contracts::{Contracts, Used};
use crate::fields::{self, Fields, Keys, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::{Kind, Node};
use graph::Graph;
use outline::Outline;
use steps::RawStep;

/// Most steps of a definition.
pub const MAX_STEPS: usize = 500;

/// Keywords of the language that this version does not run.
const LATER: &[&str] = &[
    "alias", "approve", "ask", "at_once", "back_to", "between", "by", "choices", "decide", "ensure", "enough",
    "escalate", "expect", "facts", "for", "for_each", "guard", "hold", "initial", "is", "probe", "react", "remind",
    "rest", "result", "saga", "seq", "show", "skip", "sleep", "then", "until", "value", "via", "void_if", "wait",
    "within",
];

const DEFINITION: Keys = Keys {
    what: "a definition",
    known: &["saga", "version", "owner", "use", "types", "start", "deadline", "policies", "steps"],
    later: LATER,
};
const DEADLINE: Keys = Keys { what: "`deadline`", known: &["after", "else", "after_pivot"], later: LATER };

/// Reads a definition; what is wrong goes to `problems`.
pub fn read(root: &Node, contracts: &Contracts, problems: &mut Problems) -> Option<Definition> {
    let fields = Fields::read(root, &DEFINITION, problems)?;
    let saga = fields.required("saga", "saga: order-fulfilment", problems);
    let saga = saga.and_then(|node| parsed(node, "name of a saga", lexical::name, problems));
    let version = fields.required("version", "version: 1.0.0", problems);
    let version = version.and_then(|node| parsed(node, "version", lexical::version, problems));
    let owner = fields.required("owner", "owner: team-fulfilment", problems);
    let owner = owner.and_then(|node| fields::text(node, "an owner", problems));
    let deadline = fields.required("deadline", "deadline: { after: 14d, else: compensate }", problems);
    let deadline = deadline.and_then(|node| self::deadline(node, problems));
    let used = Used::read(fields.get("use"), contracts, problems);
    let policies = fields.get("policies").map_or_else(BTreeMap::new, |node| policy::named(node, problems));
    let start = start::read(&fields, &used, problems);
    let input = start.as_ref().map_or(Type::Any, |(_, input)| input.clone());
    let raw = fields.required("steps", "steps: [{ step: charge, call: payment.charge }]", problems);
    let raw = raw.map(|node| steps::flatten(node, problems)).unwrap_or_default();
    let reading = Reading { raw: &raw, used: &used, policies: &policies, owner, input };
    let steps = reading.steps(problems);
    // Beside a mistake, a warning is mostly its shadow.
    if !problems.has_errors() {
        warnings::unused(&fields, &raw, &policies, problems);
    }
    Some(Definition {
        saga: saga?.to_owned(),
        version: version?.to_owned(),
        owner: owner?.to_owned(),
        contracts: used.digests(),
        start: start?.0,
        deadline: deadline?,
        facts: Vec::new(),
        react: Vec::new(),
        steps: steps?,
        ensure: Ensure::default(),
        result: None,
        calendars: BTreeMap::new(),
    })
}

fn deadline(node: &Node, problems: &mut Problems) -> Option<Deadline> {
    let fields = Fields::read(node, &DEADLINE, problems)?;
    let after = fields.required("after", "after: 14d", problems);
    let after = after.and_then(|node| parsed(node, "duration", lexical::duration, problems));
    let otherwise = match fields.get("else") {
        Some(node) => words::word(node, &words::DEADLINE, problems),
        None => Some(Word::Compensate),
    };
    let after_pivot = match fields.get("after_pivot") {
        Some(node) => words::word(node, &words::DEADLINE_AFTER_PIVOT, problems),
        None => Some(Word::Stuck),
    };
    Some(Deadline { after: after?, otherwise: otherwise?, after_pivot: after_pivot? })
}

/// What the steps are read with.
struct Reading<'a> {
    raw: &'a [RawStep<'a>],
    used: &'a Used<'a>,
    policies: &'a BTreeMap<String, Option<Policy>>,
    owner: Option<&'a str>,
    input: Type,
}

impl Reading<'_> {
    /// All steps: first their order, then what each calls and what becomes of it, then the expressions that see each other's results.
    fn steps(&self, problems: &mut Problems) -> Option<Vec<Step>> {
        let graph = Graph::of(self.raw, problems);
        let pivot = self.pivot(problems);
        let sure_pivot = pivot.filter(|pivot| surely_stands(&self.raw[*pivot]));
        let outlines: Vec<Outline<'_>> = (0..self.raw.len())
            .map(|index| {
                let forward =
                    sure_pivot.filter(|pivot| graph.is_before(*pivot, index)).map(|pivot| self.raw[pivot].name);
                let surroundings = outline::Surroundings { used: self.used, policies: self.policies, pivot, forward };
                outline::read(index, &self.raw[index], &surroundings, problems)
            })
            .collect();
        let view = call::Results { raw: self.raw, outlines: &outlines, graph: &graph, input: &self.input };
        let read: Vec<Option<Step>> = (0..self.raw.len())
            .map(|index| call::step(index, &view, self.owner.unwrap_or_default(), problems))
            .collect();
        if !problems.has_errors() {
            warnings::irreversible(self.raw, &outlines, &graph, pivot, problems);
        }
        if read.is_empty() { None } else { read.into_iter().collect() }
    }

    /// The step that is the pivot: one for now, so that everybody knows where the way back ends.
    fn pivot(&self, problems: &mut Problems) -> Option<usize> {
        let mut first: Option<usize> = None;
        for (index, step) in self.raw.iter().enumerate() {
            let Some(node) = step.fields.get("pivot") else { continue };
            if fields::flag(node, "`pivot`", problems) != Some(true) {
                continue;
            }
            match first {
                None => first = Some(index),
                Some(first) => {
                    let message = format!("`{}` is the pivot already", self.raw[first].name);
                    problems.error(node.span, message, "keep one: a definition has one pivot, for now");
                }
            }
        }
        first
    }
}

/// Whether the pivot stands once what follows it begins: one that may be skipped, or refused and passed over, may leave the way back open.
fn surely_stands(pivot: &RawStep<'_>) -> bool {
    let continues = |node: &Node| match &node.kind {
        Kind::Scalar(scalar) => scalar.text() == "continue",
        Kind::Map(entries) => {
            entries.iter().any(|e| matches!(&e.value.kind, Kind::Scalar(s) if s.text() == "continue"))
        }
        Kind::List(_) => false,
    };
    pivot.fields.get("if").is_none() && !pivot.fields.get("refused").is_some_and(continues)
}

#[cfg(test)]
mod tests;
