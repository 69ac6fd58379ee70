//! The contract that a participant's declaration amounts to: checked for mistakes, all at once, and printed as the YAML that definitions are checked against.

use std::collections::BTreeMap;
use std::fmt;

use sagaline_schemas::wire::Named;
use serde_json::Value as Json;

use crate::effects::Idempotence;
use crate::handler::Work;
use crate::participant::{Operation, Participant, Role};
use crate::payload::Payload;

/// A payload's type, as the contract knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PayloadType {
    /// There is none.
    Null,
    /// A record: it has a name.
    Named { name: String, schema: Json },
    /// Anything else can't be referred to.
    Nameless { rust: &'static str },
}

impl PayloadType {
    pub fn of<T: Payload>() -> Self {
        let schema = T::schema(&mut Named::default());
        match &schema["name"] {
            Json::String(name) => Self::Named { name: name.clone(), schema },
            _ if schema == "null" => Self::Null,
            _ => Self::Nameless { rust: std::any::type_name::<T>() },
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Named { name, .. } => Some(name),
            Self::Null | Self::Nameless { .. } => None,
        }
    }
}

/// All mistakes in a participant's declaration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ContractErrors(pub Vec<ContractError>);

impl fmt::Display for ContractErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ContractError::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// A mistake in a participant's declaration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// Something every contract must say.
    #[error("participant {participant:?} has no {what}: say .{what}(\"...\")")]
    Missing {
        /// Whose contract.
        participant: String,
        /// `version` or `owner`.
        what: &'static str,
    },
    /// Two operations of one name.
    #[error("the operation {operation:?} is declared twice: give one of them another name")]
    Twice {
        /// Which.
        operation: String,
    },
    /// A compensation or probe of nothing.
    #[error("{operation:?} is declared for the operation {of:?}, which is not declared with .on(...)")]
    OfNothing {
        /// Which.
        operation: String,
        /// Of what.
        of: String,
    },
    /// Two compensations or two probes of one operation.
    #[error("{of:?} has more than one {what}: {operations:?}. Keep one")]
    Several {
        /// Of what.
        of: String,
        /// `compensation` or `probe`.
        what: &'static str,
        /// Which.
        operations: Vec<String>,
    },
    /// A compensation gets the input of what it undoes.
    #[error("{operation:?} undoes {of:?} and gets its input: take the same type, {expected}")]
    InputDiffers {
        /// Which.
        operation: String,
        /// Of what.
        of: String,
        /// The type of its input.
        expected: String,
    },
    /// Nothing is run again that could be refused for good.
    #[error(
        "{operation:?} refuses for good, which only an operation of .on(..., Idempotence::ByKey, ...) can: use .refuses(...)"
    )]
    NotRunAgain {
        /// Which.
        operation: String,
    },
    /// A handler without the transaction that it is declared to work in.
    #[error("{operation:?} is declared in one transaction, and its handler takes none: say .on_transaction(...)")]
    NoTransaction {
        /// Which.
        operation: String,
    },
    /// A type without a name.
    #[error(
        "{operation:?} takes or returns {rust}, which has no name in Avro: put it into a struct declared with payload!"
    )]
    Nameless {
        /// Which.
        operation: String,
        /// The Rust type.
        rust: &'static str,
    },
    /// Two types of one name.
    #[error("two types are called {name:?}: rename one of them")]
    TypeTwice {
        /// The name.
        name: String,
    },
}

/// Finds every mistake.
pub(crate) fn check(participant: &Participant) -> Result<(), ContractErrors> {
    let mut errors = Vec::new();
    for (what, value) in [("version", &participant.version), ("owner", &participant.owner)] {
        if value.is_empty() {
            errors.push(ContractError::Missing { participant: participant.name.clone(), what });
        }
    }
    let mut names = BTreeMap::new();
    let mut types = BTreeMap::new();
    for operation in &participant.operations {
        if names.insert(&operation.name, operation).is_some() {
            errors.push(ContractError::Twice { operation: operation.name.clone() });
        }
        if !operation.refuses_for_good.is_empty() && !matches!(operation.role, Role::Do(Idempotence::ByKey)) {
            errors.push(ContractError::NotRunAgain { operation: operation.name.clone() });
        }
        if let (Role::Do(Idempotence::Transaction), Work::Alone(_)) = (&operation.role, &operation.work) {
            errors.push(ContractError::NoTransaction { operation: operation.name.clone() });
        }
        check_types(operation, &mut types, &mut errors);
    }
    for operation in &participant.operations {
        check_served(operation, &names, &mut errors);
    }
    check_single(participant, "compensation", Role::compensates, &mut errors);
    check_single(participant, "probe", Role::probes, &mut errors);
    if errors.is_empty() { Ok(()) } else { Err(ContractErrors(errors)) }
}

fn check_types<'a>(operation: &'a Operation, types: &mut BTreeMap<&'a str, &'a Json>, errors: &mut Vec<ContractError>) {
    for payload in [&operation.input, &operation.output] {
        match payload {
            PayloadType::Null => {}
            PayloadType::Nameless { rust } => {
                errors.push(ContractError::Nameless { operation: operation.name.clone(), rust });
            }
            PayloadType::Named { name, schema } => {
                if types.insert(name, schema).is_some_and(|before| before != schema) {
                    errors.push(ContractError::TypeTwice { name: name.clone() });
                }
            }
        }
    }
}

fn check_served(operation: &Operation, names: &BTreeMap<&String, &Operation>, errors: &mut Vec<ContractError>) {
    let (Role::Compensates(of) | Role::Probes(of)) = &operation.role else { return };
    let (name, of) = (operation.name.clone(), of.clone());
    match names.get(&of) {
        Some(Operation { role: Role::Do(_), input, .. }) => {
            if matches!(operation.role, Role::Compensates(_)) && operation.input != *input {
                let expected = input.name().unwrap_or("null").to_owned();
                errors.push(ContractError::InputDiffers { operation: name, of, expected });
            }
        }
        Some(_) | None => errors.push(ContractError::OfNothing { operation: name, of }),
    }
}

fn check_single(
    participant: &Participant,
    what: &'static str,
    serves: fn(&Role) -> Option<&String>,
    errors: &mut Vec<ContractError>,
) {
    for (of, operations) in participant.serving(serves) {
        if operations.len() > 1 {
            let operations = operations.into_iter().map(str::to_owned).collect();
            errors.push(ContractError::Several { of: of.to_owned(), what, operations });
        }
    }
}

/// The contract's YAML. Scalars are written as JSON, which YAML reads alike, so that no version becomes a number.
pub(crate) fn print(participant: &Participant) -> String {
    let mut yaml = format!(
        "participant: {}\nversion: {}\nowner: {}\n",
        text(&participant.name),
        text(&participant.version),
        text(&participant.owner)
    );
    let limits: Vec<String> = [
        participant.in_flight.map(|in_flight| format!("in_flight: {in_flight}")),
        participant.rate.map(|rate| format!("rate: {rate}/s")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !limits.is_empty() {
        yaml += &format!("limits: {{ {} }}\n", limits.join(", "));
    }
    yaml += "types:\n";
    for (name, schema) in types(participant) {
        yaml += &format!("  {name}:\n{}", print_schema(schema));
    }
    yaml += "operations:\n";
    for operation in &participant.operations {
        yaml += &format!("  {}: {{ {} }}\n", operation.name, print_operation(participant, operation).join(", "));
    }
    yaml
}

fn types(participant: &Participant) -> BTreeMap<&str, &Json> {
    let payloads = participant.operations.iter().flat_map(|operation| [&operation.input, &operation.output]);
    payloads
        .filter_map(|payload| match payload {
            PayloadType::Named { name, schema } => Some((name.as_str(), schema)),
            PayloadType::Null | PayloadType::Nameless { .. } => None,
        })
        .collect()
}

/// One line for each field. The key in `types` is the name.
fn print_schema(schema: &Json) -> String {
    let mut yaml = format!("    type: {}\n", schema["type"].as_str().unwrap_or_default());
    if let Some(doc) = schema.get("doc") {
        yaml += &format!("    doc: {doc}\n");
    }
    yaml += "    fields:\n";
    for field in schema["fields"].as_array().into_iter().flatten() {
        let members = ["name", "type", "default", "doc"].into_iter();
        let members = members.filter_map(|member| Some(format!("{member}: {}", field.get(member)?)));
        yaml += &format!("      - {{ {} }}\n", members.collect::<Vec<_>>().join(", "));
    }
    yaml
}

fn print_operation(participant: &Participant, operation: &Operation) -> Vec<String> {
    let serving = |serves: fn(&Role) -> Option<&String>| {
        let name = *participant.serving(serves).get(operation.name.as_str())?.first()?;
        Some(name.to_owned())
    };
    let mut members = Vec::new();
    let mut member = |name: &str, value: Option<String>| members.extend(value.map(|value| format!("{name}: {value}")));
    member("in", operation.input.name().map(str::to_owned));
    member("out", operation.output.name().map(str::to_owned));
    member("idempotent", idempotent(operation).map(str::to_owned));
    member("compensate", serving(Role::compensates));
    member("probe", serving(Role::probes));
    member("refuses", (!operation.refuses.is_empty()).then(|| format!("[{}]", operation.refuses.join(", "))));
    member("reads", matches!(operation.role, Role::Probes(_) | Role::Reads).then(|| "true".to_owned()));
    members
}

fn idempotent(operation: &Operation) -> Option<&'static str> {
    match (&operation.role, &operation.work) {
        (Role::Do(Idempotence::Transaction), _) | (Role::Compensates(_), Work::InTransaction(_)) => Some("transaction"),
        // By declaration of `Participant::compensate`.
        (Role::Do(Idempotence::ByKey), _) | (Role::Compensates(_), Work::Alone(_)) => Some("by_key"),
        (Role::Do(Idempotence::None), _) => Some("none"),
        (Role::Probes(_) | Role::Reads, _) => None,
    }
}

fn text(text: &str) -> Json {
    Json::String(text.to_owned())
}
