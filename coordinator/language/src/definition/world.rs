//! What all places of one definition share: contracts, types, policies, constants, calendars, facts. Notes what is used, so that what is
//! not can be told.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::Expr;
use sagaline_definition::model::{Calendar, Policy};
use sagaline_definition::types::Type;
use sagaline_schemas::Value;

use crate::contracts::Used;
use crate::definitions::Definitions;
use crate::fields;
use crate::lexical;
use crate::report::Problems;
use crate::yaml::Node;

/// What a definition declares for all its places. None in a map: it is wrong, which was reported.
pub struct World<'a> {
    pub used: Used<'a>,
    /// The definition's own; none: they could not be read.
    pub types: Option<BTreeMap<String, Value>>,
    pub policies: BTreeMap<String, Option<Policy>>,
    pub constants: BTreeMap<String, Option<Value>>,
    pub calendars: BTreeMap<String, Option<Calendar>>,
    pub children: &'a Definitions,
    /// The type of the saga's input.
    pub input: Type,
    /// The domain topic by which sagas start, and the key there.
    pub start: Option<(String, Expr)>,
    /// Facts by name, as expressions see them.
    pub facts: BTreeMap<String, Type>,
    /// Facts that the world tells: by events, or because a participant is asked.
    pub told: BTreeSet<String>,
    pub uses: RefCell<BTreeSet<Use>>,
}

/// Something declared that some place has named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    Policy(String),
    Constant(String),
    Calendar(String),
    Fact(String),
    Alias(String),
}

impl World<'_> {
    /// Notes a use.
    pub fn note(&self, used: Use) {
        self.uses.borrow_mut().insert(used);
    }

    /// Whether any place has named it.
    pub fn is_used(&self, one: &Use) -> bool {
        self.uses.borrow().contains(one)
    }

    /// Notes the facts and constants that an expression reads.
    pub fn note_names(&self, expr: &Expr) {
        let all = |known: Vec<&String>| known.into_iter().cloned().collect::<BTreeSet<String>>();
        let facts = expr.members("facts").unwrap_or_else(|| all(self.facts.keys().collect()));
        let constants = expr.members("constants").unwrap_or_else(|| all(self.constants.keys().collect()));
        facts
            .into_iter()
            .map(Use::Fact)
            .chain(constants.into_iter().map(Use::Constant))
            .for_each(|used| self.note(used));
    }

    /// What expressions see as `facts`.
    pub fn facts_type(&self) -> Type {
        Type::Record("facts".to_owned(), self.facts.clone())
    }

    /// What expressions see as `constants`.
    pub fn constants_type(&self) -> Type {
        let of = |value: &Option<Value>| value.as_ref().map_or(Type::Any, Type::of);
        let members = self.constants.iter().map(|(name, value)| (name.clone(), of(value)));
        Type::Record("constants".to_owned(), members.collect())
    }

    /// The constants that could be read.
    pub fn constant_values(&self) -> BTreeMap<String, Value> {
        self.constants.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect()
    }
}

/// Reads `constants`: names for values, written out wherever they are read.
pub fn constants(node: &Node, problems: &mut Problems) -> BTreeMap<String, Option<Value>> {
    let mut constants = BTreeMap::new();
    for entry in fields::map(node, "`constants`", problems).unwrap_or_default() {
        if let Err(help) = lexical::member_name(&entry.key) {
            problems.error(entry.key_span, format!("`{}` is no name of a constant", entry.key), help);
        }
        constants.insert(entry.key.clone(), crate::literal::value(&entry.value, problems));
    }
    constants
}
