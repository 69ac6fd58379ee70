//! The rules' version, as the API takes and gives it.

use sagaline_schemas::Partition;
use serde::{Deserialize, Serialize};

/// What is in force, and what this node knows. What other nodes know is not known here: each is to be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradePage {
    /// This node.
    pub node: String,
    /// The oldest version of the rules that its program knows.
    pub oldest: u32,
    /// The newest one.
    pub newest: u32,
    /// The lowest version in force in any partition; none: no store is open.
    pub in_force: Option<u32>,
    /// What the rules can be raised to at this node; none: its newest version is in force everywhere.
    pub raise_to: Option<u32>,
    /// Every partition.
    pub partitions: Vec<PartitionRules>,
    /// Other nodes that publish for a partition. There may be more, on standby.
    pub others: Vec<String>,
}

/// The rules of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRules {
    /// Inbox partition.
    pub partition: Partition,
    /// Their version; none: its store is not open.
    pub version: Option<u32>,
    /// The node that publishes for it, as its newest claim says.
    pub published_by: String,
    /// Why this node has halted it; none: it has not.
    pub halted: Option<String>,
}

/// The rules are to be raised, in every partition. There is no way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raise {
    /// Who asks.
    pub by: String,
    /// The version.
    pub to: u32,
}
