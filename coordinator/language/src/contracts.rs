//! The contracts at hand, and those that one definition uses.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::Contract;
use sagaline_definition::contract::Operation;
use sagaline_definition::types::Type;
use sagaline_schemas::Digest;

use crate::fields::{self, did_you_mean, or_else};
use crate::report::Problems;
use crate::source::Span;
use crate::yaml::Node;

/// Contracts by the participant's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contracts {
    known: BTreeMap<String, Contract>,
    /// Participants whose contract was refused: what a definition says about them can't be judged.
    broken: BTreeSet<String>,
}

impl Contracts {
    /// Adds a contract; what it replaces comes back.
    pub fn insert(&mut self, contract: Contract) -> Option<Contract> {
        self.known.insert(contract.participant.clone(), contract)
    }

    /// Says that a participant has a contract, which was refused. A definition that uses it gets no second complaint.
    pub fn insert_broken(&mut self, participant: &str) {
        self.broken.insert(participant.to_owned());
    }

    /// The contract of a participant.
    pub fn get(&self, participant: &str) -> Option<&Contract> {
        self.known.get(participant)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Contract> {
        self.known.values()
    }
}

impl FromIterator<Contract> for Contracts {
    fn from_iter<I: IntoIterator<Item = Contract>>(contracts: I) -> Self {
        let known = contracts.into_iter().map(|contract| (contract.participant.clone(), contract)).collect();
        Self { known, broken: BTreeSet::new() }
    }
}

/// What a definition says after `use`. None: the contract is missing or broken, and that was reported.
pub(crate) struct Used<'a> {
    contracts: BTreeMap<&'a str, Option<&'a Contract>>,
    /// Those that some place has named.
    touched: RefCell<BTreeSet<String>>,
}

/// An operation that a step calls.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub contract: &'a Contract,
    pub name: &'a str,
    pub operation: &'a Operation,
}

impl<'a> Target<'a> {
    /// The type of its input.
    pub fn input(&self) -> Type {
        self.contract.type_of(&self.operation.input).unwrap_or(Type::Any)
    }

    /// The type of its result.
    pub fn output(&self) -> Type {
        match &self.operation.output {
            Some(name) => self.contract.type_of(name).unwrap_or(Type::Any),
            None => Type::Null,
        }
    }

    /// The operation that tells whether it happened, where there is one.
    pub fn probe(&self) -> Option<Target<'a>> {
        let (name, operation) = self.contract.operations.get_key_value(self.operation.probe.as_ref()?)?;
        Some(Target { contract: self.contract, name, operation })
    }

    /// As the file calls it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.contract.participant, self.name)
    }
}

impl<'a> Used<'a> {
    pub fn read(node: Option<&'a Node>, contracts: &'a Contracts, problems: &mut Problems) -> Self {
        let mut used = Self { contracts: BTreeMap::new(), touched: RefCell::default() };
        let items = node.and_then(|node| fields::list(node, "`use`", problems)).unwrap_or_default();
        for item in items {
            let Some(name) = fields::text(item, "a participant's name", problems) else { continue };
            let contract = contracts.get(name);
            if contract.is_none() && !contracts.broken.contains(name) {
                let names: Vec<&String> = contracts.known.keys().collect();
                let help = or_else(
                    did_you_mean(name, &names),
                    &format!("put its contract into contracts/{name}.yaml beside the definition"),
                );
                problems.error(item.span, format!("there is no contract of `{name}`"), help);
            }
            if used.contracts.insert(name, contract).is_some() {
                problems.error(item.span, format!("`{name}` stands twice"), "keep one of the two");
            }
        }
        used
    }

    /// The digests by which the definition pins its contracts.
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        let known = self.contracts.iter().filter_map(|(name, contract)| Some((*name, (*contract)?)));
        known.map(|(name, contract)| (name.to_owned(), contract.digest())).collect()
    }

    /// The contract of a participant. None: it is not used (reported), or could not be read (reported elsewhere).
    pub fn contract(&self, participant: &str, span: Span, problems: &mut Problems) -> Option<&'a Contract> {
        self.touched.borrow_mut().insert(participant.to_owned());
        if let Some(contract) = self.contracts.get(participant) {
            return *contract;
        }
        let names: Vec<&str> = self.contracts.keys().copied().collect();
        let help = match did_you_mean(participant, &names) {
            near if near.starts_with("did you mean") => near,
            _ => format!(
                "add it: `use: [{}]`",
                names.iter().copied().chain([participant]).collect::<Vec<_>>().join(", ")
            ),
        };
        problems.error(span, format!("`{participant}` is not among the contracts after `use`"), help);
        None
    }

    /// Whether any place has named the participant.
    pub fn is_touched(&self, participant: &str) -> bool {
        self.touched.borrow().contains(participant)
    }

    /// The operation `PARTICIPANT.OPERATION`, if it is there: where it is missing is told where it is read.
    pub fn find(&self, written: &str) -> Option<Target<'a>> {
        let (participant, name) = written.split_once('.')?;
        let contract = (*self.contracts.get(participant)?)?;
        let (name, operation) = contract.operations.get_key_value(name)?;
        Some(Target { contract, name, operation })
    }

    /// The operation `PARTICIPANT.OPERATION`. None: there is none; reported.
    pub fn target(&self, written: &'a str, span: Span, problems: &mut Problems) -> Option<Target<'a>> {
        let Some((participant, name)) = written.split_once('.') else {
            let help = "write PARTICIPANT.OPERATION: payment.charge";
            problems.error(span, format!("`{written}` names no operation of a participant"), help);
            return None;
        };
        let contract = self.contract(participant, span, problems)?;
        let Some(operation) = contract.operations.get(name) else {
            let names: Vec<&String> = contract.operations.keys().collect();
            problems.error(span, format!("`{participant}` has no operation `{name}`"), did_you_mean(name, &names));
            return None;
        };
        Some(Target { contract, name, operation })
    }
}
