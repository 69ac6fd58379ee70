//! The list of steps as it is written, flattened: `together` leaves only what must stand before what.

use std::ops::Range;

use super::{LATER, MAX_STEPS};
use crate::fields::{self, Fields, Keys, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::source::Span;
use crate::yaml::{Kind, Node};

const STEP: Keys = Keys {
    what: "a step",
    known: &["step", "owner", "call", "with", "after", "if", "retry", "refused", "failed", "pivot", "compensate"],
    later: LATER,
};
const TOGETHER: Keys = Keys { what: "`together`", known: &["together"], later: LATER };

/// A step with its keys looked over, and nothing else.
pub struct RawStep<'a> {
    /// Empty: it has none, which was reported.
    pub name: &'a str,
    pub name_span: Span,
    pub after: After<'a>,
    pub fields: Fields<'a>,
}

/// What a step runs after.
pub enum After<'a> {
    /// All steps in this range: what stands above.
    Above(Range<usize>),
    /// What `after` names.
    Named(Vec<(&'a str, Span)>),
}

/// All steps in file order.
pub fn flatten<'a>(node: &'a Node, problems: &mut Problems) -> Vec<RawStep<'a>> {
    let mut flattening = Flattening { steps: Vec::new(), problems };
    if let Some(items) = fields::list(node, "`steps`", flattening.problems) {
        if items.is_empty() {
            flattening.problems.error(
                node.span,
                "there is no step",
                "write `- step: NAME` and `call: PARTICIPANT.OPERATION`",
            );
        }
        flattening.sequence(items, 0..0);
    }
    let steps = flattening.steps;
    if let Some(step) = steps.get(MAX_STEPS) {
        let message = format!("there are {} steps, and {MAX_STEPS} are the most", steps.len());
        problems.error(step.name_span, message, "split the definition");
    }
    refuse_repeated_names(&steps, problems);
    steps
}

fn refuse_repeated_names(steps: &[RawStep<'_>], problems: &mut Problems) {
    let mut seen = std::collections::BTreeMap::new();
    for step in steps.iter().filter(|step| !step.name.is_empty()) {
        if let Some(first) = seen.insert(step.name, step.name_span) {
            let (line, _) = problems.source().line_column(first.start);
            let message = format!("there are two steps `{}`", step.name);
            problems.error(step.name_span, message, format!("rename one: the other stands in line {line}"));
        }
    }
}

struct Flattening<'a, 'p> {
    steps: Vec<RawStep<'a>>,
    problems: &'p mut Problems,
}

impl<'a> Flattening<'a, '_> {
    /// Steps one below the other. Gives back what the next one below would run after.
    fn sequence(&mut self, items: &'a [Node], mut above: Range<usize>) -> Range<usize> {
        for item in items {
            above = self.item(item, above);
        }
        above
    }

    fn item(&mut self, node: &'a Node, above: Range<usize>) -> Range<usize> {
        match fields::map_entry(node, "together") {
            Some(entry) => self.together(node, &entry.value, above),
            None => self.step(node, above),
        }
    }

    /// Branches side by side: each a step or a list of steps.
    fn together(&mut self, node: &'a Node, branches: &'a Node, above: Range<usize>) -> Range<usize> {
        let first = self.steps.len();
        if Fields::read(node, &TOGETHER, self.problems).is_none() {
            return above;
        }
        let branches = fields::list(branches, "`together`", self.problems).unwrap_or_default();
        for branch in branches {
            match &branch.kind {
                Kind::List(items) => drop(self.sequence(items, above.clone())),
                Kind::Map(_) | Kind::Scalar(_) => drop(self.item(branch, above.clone())),
            }
        }
        if self.steps.len() > first { first..self.steps.len() } else { above }
    }

    fn step(&mut self, node: &'a Node, above: Range<usize>) -> Range<usize> {
        let Some(fields) = Fields::read(node, &STEP, self.problems) else { return above };
        let written = fields.required("step", "step: charge", self.problems);
        let name = written.and_then(|node| parsed(node, "name of a step", lexical::step_name, self.problems));
        let after = match fields.get("after") {
            Some(node) => After::Named(self.names(node)),
            None => After::Above(above),
        };
        let name_span = written.map_or(fields.span, |node| node.span);
        self.steps.push(RawStep { name: name.unwrap_or_default(), name_span, after, fields });
        self.steps.len() - 1..self.steps.len()
    }

    fn names(&mut self, node: &'a Node) -> Vec<(&'a str, Span)> {
        let items = fields::one_or_more(node).iter();
        items.filter_map(|item| Some((fields::text(item, "a step's name", self.problems)?, item.span))).collect()
    }
}
