//! One entry of the registry: its key and its JSON. A later entry of the same key replaces an earlier one.

use sagaline_definition::{Contract, Definition};
use sagaline_log::Record;
use sagaline_schemas::Digest;
use serde::{Deserialize, Serialize};

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// Every inbox partition knows this contract.
    Contract {
        /// What it is named by.
        digest: Digest,
        /// The contract.
        contract: Contract,
        /// Partitions of its command topic.
        command_partitions: u32,
    },
    /// Every inbox partition knows this definition.
    Definition {
        /// What it is named by.
        digest: Digest,
        /// The definition.
        definition: Definition,
    },
    /// New starts of this name mean this definition.
    Active {
        /// The definition's name.
        name: String,
        /// What new starts name.
        digest: Digest,
    },
}

impl Entry {
    fn key(&self) -> String {
        match self {
            Self::Contract { digest, .. } => format!("contract/{digest}"),
            Self::Definition { digest, .. } => format!("definition/{digest}"),
            Self::Active { name, .. } => format!("active/{name}"),
        }
    }

    /// As it lies in the topic.
    pub fn record(&self) -> Record {
        let value = serde_json::to_vec(self).expect("definitions and contracts have text keys only");
        Record { key: self.key().into_bytes(), value, headers: Vec::new() }
    }

    /// From the topic.
    ///
    /// # Errors
    /// Why it can't be read, or is not what it says.
    pub fn read(record: &Record) -> Result<Self, String> {
        let entry: Self = serde_json::from_slice(&record.value).map_err(|error| error.to_string())?;
        let (named, is) = match &entry {
            Self::Contract { digest, contract, .. } => (*digest, contract.digest()),
            Self::Definition { digest, definition } => (*digest, definition.digest()),
            Self::Active { digest, .. } => (*digest, *digest),
        };
        if named != is {
            return Err(format!("its digest is {is}, not {named}"));
        }
        if entry.key().as_bytes() != record.key {
            return Err(format!("it lies under the key {:?}", String::from_utf8_lossy(&record.key)));
        }
        Ok(entry)
    }
}
