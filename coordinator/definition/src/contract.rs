//! Contracts: what a participant can do, and what can be relied on. Printed by the SDK from its handlers; never changed, only replaced.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sagaline_schemas::hash::normal_form_digest;
use sagaline_schemas::{Digest, Value};
use serde::{Deserialize, Serialize};

use crate::types::Type;

/// A participant's contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The participant's name; its commands lie in `commands.<participant>`.
    pub participant: String,
    /// Semantic version. One name and version never has two digests.
    pub version: String,
    /// The team that runs it.
    pub owner: String,
    /// How much it can take.
    #[serde(default)]
    pub limits: Limits,
    /// Named types, as Avro schemas in JSON.
    pub types: BTreeMap<String, Value>,
    /// What it can do.
    pub operations: BTreeMap<String, Operation>,
}

/// How much a participant can take; none: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Commands without an answer.
    #[serde(default)]
    pub in_flight: Option<u32>,
    /// Commands a second.
    #[serde(default)]
    pub rate: Option<u32>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Name of the input's type.
    pub input: String,
    /// Name of the result's type; none: `null`.
    #[serde(default)]
    pub output: Option<String>,
    /// What a repeat does.
    pub idempotent: Idempotence,
    /// The operation that undoes it.
    #[serde(default)]
    pub compensate: Option<String>,
    /// The operation that tells whether it happened.
    #[serde(default)]
    pub probe: Option<String>,
    /// Codes of its refusals.
    #[serde(default)]
    pub refuses: Vec<String>,
    /// It changes nothing in the world.
    #[serde(default)]
    pub reads: bool,
}

/// What a repeat of an operation does in the business, where the effect store can't tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idempotence {
    /// The effect store's row is written in one transaction with the business data: there is no repeat.
    Transaction,
    /// Safe to repeat under the same effect id; the compensation closes the id in the business.
    ByKey,
    /// A repeat does it again: after a crash in the middle a person or a probe decides.
    None,
    /// It reads only.
    Reads,
}

impl Contract {
    /// Canonical JSON: sorted keys, no spaces.
    pub fn normal_form(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("a contract has text keys only");
        Value::parse(&json).expect("what was just written is JSON").to_json()
    }

    /// Reads a normal form.
    ///
    /// # Errors
    /// When it is not one.
    pub fn from_normal_form(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// What the contract is named by, for ever.
    pub fn digest(&self) -> Digest {
        normal_form_digest("contract", &self.normal_form())
    }

    /// The type of that name, as expressions see it.
    pub fn type_of(&self, name: &str) -> Option<Type> {
        Type::from_avro(name, &self.types)
    }
}
