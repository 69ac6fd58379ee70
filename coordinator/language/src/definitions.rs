//! Definitions that others start as their children: read before their parents, which pin them by digest.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::Definition;
use sagaline_definition::types::Type;

use crate::definition;
use crate::fields;
use crate::report::Problems;
use crate::source::Span;
use crate::yaml::{Kind, Node};

/// A definition as its parents see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// The definition.
    pub definition: Definition,
    /// The type of what it returns; null if it says no `result`.
    pub result: Type,
}

/// Definitions by name.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    known: BTreeMap<String, Child>,
    /// Those that were refused: what a parent says about them can't be judged.
    broken: BTreeSet<String>,
}

impl Definitions {
    /// Adds a definition.
    pub fn insert(&mut self, child: Child) {
        self.known.insert(child.definition.saga.clone(), child);
    }

    /// Says that a definition was refused. A parent gets no second complaint.
    pub fn insert_broken(&mut self, name: &str) {
        self.broken.insert(name.to_owned());
    }

    /// The definition of that name.
    pub fn get(&self, name: &str) -> Option<&Child> {
        self.known.get(name)
    }

    /// Whether there is one of that name that was refused.
    pub fn is_broken(&self, name: &str) -> bool {
        self.broken.contains(name)
    }

    /// All names, those of refused ones too.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let refused = self.broken.iter().filter(|name| !self.known.contains_key(*name));
        self.known.keys().chain(refused).map(String::as_str)
    }
}

/// The children that a definition names, and where, as well as it can be told before it is read.
pub(crate) fn children(root: &Node) -> Vec<(String, Span)> {
    let Some(steps) = fields::map_entry(root, "steps") else { return Vec::new() };
    let steps = definition::flatten(&steps.value, &mut Problems::nowhere());
    let named = steps.iter().filter_map(|step| step.fields.get("saga"));
    named.filter_map(|node| Some((text(node)?.to_owned(), node.span))).collect()
}

/// The name that a definition gives itself, as well as it can be told before it is read.
pub(crate) fn name(root: &Node) -> Option<String> {
    fields::map_entry(root, "saga").and_then(|entry| text(&entry.value)).map(str::to_owned)
}

fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(scalar) => Some(scalar.text()),
        Kind::List(_) | Kind::Map(_) => None,
    }
}
