//! The list of steps as it is written, flattened: `together` leaves only what must stand before what. Which keys a step may have follows
//! from its verb.

use std::ops::Range;

use super::MAX_STEPS;
use crate::fields::{self, Fields, Keys, did_you_mean, listed, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::source::Span;
use crate::yaml::{Entry, Kind, Node};

pub const TOGETHER: Keys = Keys { what: "`together`", known: &["together"] };
pub const AFTER: Keys = Keys { what: "`after`", known: &["at_least", "of"] };

/// Keys of every step.
pub const COMMON: &[&str] = &["step", "owner", "after", "if", "for_each", "guard", "expected", "alias"];

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerbName {
    Call,
    Ask,
    Saga,
    Sleep,
    Wait,
    Approve,
    Decide,
    Expect,
}

impl VerbName {
    pub const ALL: [Self; 8] =
        [Self::Call, Self::Ask, Self::Saga, Self::Sleep, Self::Wait, Self::Approve, Self::Decide, Self::Expect];

    /// Its key.
    pub fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Ask => "ask",
            Self::Saga => "saga",
            Self::Sleep => "sleep",
            Self::Wait => "wait",
            Self::Approve => "approve",
            Self::Decide => "decide",
            Self::Expect => "expect",
        }
    }

    /// Keys that stand beside it.
    pub fn beside(self) -> &'static [&'static str] {
        match self {
            Self::Call => &["with", "retry", "refused", "failed", "pivot", "compensate"],
            Self::Ask => &["with", "retry", "refused", "failed"],
            Self::Saga => &["key", "with", "failed", "pivot", "compensate"],
            Self::Sleep | Self::Wait | Self::Approve | Self::Decide | Self::Expect => &[],
        }
    }
}

/// A step with its keys looked over, and nothing else.
pub struct RawStep<'a> {
    /// Empty: it has none, which was reported.
    pub name: &'a str,
    pub name_span: Span,
    pub after: After<'a>,
    /// None: it has none, or several, which was reported.
    pub verb: Option<VerbName>,
    pub fields: Fields<'a>,
}

/// What a step runs after.
pub enum After<'a> {
    /// All steps in this range: what stands above.
    Above(Range<usize>),
    /// What `after` names, and how many of them are enough.
    Named { steps: Vec<(&'a str, Span)>, at_least: Option<u32> },
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
        problems.error(step.name_span, message, "split the definition: a step may be a `saga` of its own");
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
        let Some(entries) = fields::map(node, "a step", self.problems) else { return above };
        let fields = Fields::of(node.span, "a step", entries);
        let verb = self.verb(node.span, entries);
        let written = fields.required("step", "step: charge", self.problems);
        let name = written.and_then(|node| parsed(node, "name of a step", lexical::step_name, self.problems));
        let after = match fields.get("after") {
            Some(node) => self.after(node),
            None => After::Above(above),
        };
        let name_span = written.map_or(fields.span, |node| node.span);
        self.steps.push(RawStep { name: name.unwrap_or_default(), name_span, after, verb, fields });
        self.steps.len() - 1..self.steps.len()
    }

    /// The one verb of a step, and a look at the keys beside it.
    fn verb(&mut self, span: Span, entries: &'a [Entry]) -> Option<VerbName> {
        let said = |verb: &VerbName| entries.iter().find(|entry| entry.key == verb.name());
        let verbs: Vec<VerbName> = VerbName::ALL.into_iter().filter(|verb| said(verb).is_some()).collect();
        match verbs.as_slice() {
            [] => {
                let help = format!(
                    "write `call: payment.charge`, or another of {}",
                    listed(&VerbName::ALL.map(VerbName::name))
                );
                self.problems.error(span, "a step needs something to do", help);
            }
            [_] => {}
            [first, second, ..] => {
                let message = format!("a step does one thing: `{}` stands beside `{}`", second.name(), first.name());
                let at = said(second).map_or(span, |entry| entry.key_span);
                self.problems.error(at, message, "make it a step of its own");
            }
        }
        for entry in entries {
            self.key(entry, &verbs);
        }
        if let [verb] = verbs.as_slice() { Some(*verb) } else { None }
    }

    fn key(&mut self, entry: &Entry, verbs: &[VerbName]) {
        let key = entry.key.as_str();
        let allowed = |verb: &VerbName| verb.name() == key || verb.beside().contains(&key);
        if COMMON.contains(&key) || verbs.iter().any(allowed) {
            return;
        }
        let others: Vec<&str> = VerbName::ALL.iter().filter(|verb| allowed(verb)).map(|verb| verb.name()).collect();
        match verbs.first() {
            // The missing verb is the mistake, not what would stand beside it.
            None if !others.is_empty() => {}
            Some(verb) if !others.is_empty() => {
                let message = format!("`{key}` says nothing beside `{}`", verb.name());
                self.problems.error(entry.key_span, message, format!("it stands beside {}", listed(&others)));
            }
            verb => {
                let own = verb.map(|verb| verb.beside()).unwrap_or_default();
                let names = verb.map_or(VerbName::ALL.map(VerbName::name).to_vec(), |verb| vec![verb.name()]);
                let known: Vec<&str> = COMMON.iter().chain(&names).chain(own).copied().collect();
                self.problems.error(entry.key_span, format!("a step has no key `{key}`"), did_you_mean(key, &known));
            }
        }
    }

    fn after(&mut self, node: &'a Node) -> After<'a> {
        let Kind::Map(_) = &node.kind else { return After::Named { steps: self.names(node), at_least: None } };
        let none = After::Named { steps: Vec::new(), at_least: None };
        let Some(fields) = Fields::read(node, &AFTER, self.problems) else { return none };
        let of = fields.required("of", "of: [a, b, c]", self.problems);
        let steps = of.map(|node| self.names(node)).unwrap_or_default();
        let most = u32::try_from(steps.len()).unwrap_or(u32::MAX).max(1);
        let at_least = fields.required("at_least", "at_least: 2", self.problems);
        let count =
            |text: &str| lexical::count(text, 1..=most).map_err(|help| format!("{help}: so many stand after `of`"));
        let at_least = at_least.and_then(|node| parsed(node, "number of these steps", count, self.problems));
        // All of them is what a plain list says: one thing has one normal form.
        After::Named { at_least: at_least.filter(|count| *count < most), steps }
    }

    fn names(&mut self, node: &'a Node) -> Vec<(&'a str, Span)> {
        let items = fields::one_or_more(node).iter();
        items.filter_map(|item| Some((fields::text(item, "a step's name", self.problems)?, item.span))).collect()
    }
}
