//! The settings in force, as the API takes and gives them.

use std::collections::BTreeMap;

use sagaline_schemas::Partition;
use serde::{Deserialize, Serialize};

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsPage {
    /// The newest version of any partition; 0: those that the log began with.
    pub version: i64,
    /// By name. Bytes, milliseconds, numbers, words.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Every partition.
    pub partitions: Vec<PartitionSettings>,
}

/// Which settings are in force in a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionSettings {
    /// Inbox partition.
    pub partition: Partition,
    /// Their version; none: its store is not open.
    pub version: Option<i64>,
}

/// Settings to be changed; the others stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetSettings {
    /// Who asks.
    pub by: String,
    /// By name: a number, or a text such as `512KiB`, `90d`.
    pub set: BTreeMap<String, serde_json::Value>,
}
