//! What people are told about a partition. Copied out of the owner now and then; nothing reads it back to decide.

use sagaline_partition::state::{ClockFault, Counters};
use sagaline_schemas::{Millis, Offset, Partition};
use serde::Serialize;

use crate::owner::Restorable;

/// Where the owner of a partition stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Standing {
    /// Its store and its log are looked at.
    Opening,
    /// It folds along, while another node publishes.
    Standby,
    /// It is to publish, and folds up to the log's end before.
    Following,
    /// It has asked for the word, and folds up to that.
    Claiming,
    /// It publishes.
    Live,
    /// It was stopped cleanly.
    Stopped,
    /// It folds no more, until a person has done something.
    Halted {
        /// What happened, and what a person can do.
        reason: String,
    },
}

impl Standing {
    /// Why it folds no more; none: it does, or it was stopped.
    pub fn halted(&self) -> Option<&str> {
        match self {
            Self::Halted { reason } => Some(reason),
            Self::Opening | Self::Standby | Self::Following | Self::Claiming | Self::Live | Self::Stopped => None,
        }
    }
}

/// Since when a channel's topic takes nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Down {
    /// Wall clock, milliseconds since 1970.
    pub since: Millis,
    /// The log's last word.
    pub why: String,
}

/// One destination of a partition's outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelStatus {
    /// Its name: the topic's without the prefix.
    pub channel: String,
    /// Outputs that no Progress confirms yet.
    pub outbox: i64,
    /// Outputs handed to the log and not acknowledged.
    pub in_flight: usize,
    /// None: it works, as far as is known.
    pub down: Option<Down>,
}

/// One partition at this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionStatus {
    /// Which.
    pub partition: Partition,
    /// Where its owner stands.
    pub standing: Standing,
    /// Every record before it is folded and to be seen.
    pub position: Offset,
    /// Its newest verified checkpoint.
    pub restorable: Restorable,
    /// First offset that the log does not hold yet, as last heard.
    pub log_end: Offset,
    /// Milliseconds since 1970.
    pub log_time: Millis,
    /// Offset of this owner's claim, while it has the word.
    pub claim: Option<Offset>,
    /// Who made the newest claim of the log.
    pub claimed_by: String,
    /// Every channel that ever had an output.
    pub channels: Vec<ChannelStatus>,
    /// The last Progress whose two clocks disagreed, if none that agreed came since.
    pub clock_fault: Option<ClockFault>,
    /// What came and changed nothing, or was set aside.
    pub counters: Counters,
    /// What hinders it at the moment without stopping it: the log can't be read.
    pub trouble: Option<String>,
}

impl PartitionStatus {
    /// Of a partition that is not open yet.
    pub fn opening(partition: Partition) -> Self {
        Self {
            partition,
            standing: Standing::Opening,
            position: 0,
            restorable: Restorable::default(),
            log_end: 0,
            log_time: 0,
            claim: None,
            claimed_by: String::new(),
            channels: Vec::new(),
            clock_fault: None,
            counters: Counters::default(),
            trouble: None,
        }
    }

    /// Records of the log that are not folded yet.
    pub fn lag(&self) -> i64 {
        (self.log_end - self.position).max(0)
    }
}
