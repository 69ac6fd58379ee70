//! The rules' version in force, and raising it in all partitions: a record to each that lacks it. Killed or refused in the middle and asked again,
//! it goes on. And what a node may do whose program does not know the rules in force: nothing (docs/adr/0012).

use std::sync::PoisonError;

use sagaline_partition::{Halt, KnownRules, Rules, view};
use sagaline_schemas::Partition;
use sagaline_schemas::record::{Body, EngineVersion};

use super::{Common, Node, NodeError, PartitionHandle};
use crate::owner::stop::Stop;

/// Why the rules are not raised, or not everywhere.
#[derive(Debug, thiserror::Error)]
pub enum RaiseError {
    /// This program could not go on.
    #[error("this node knows the rules up to version {newest}: a node that knows version {to} is to be asked")]
    Unknown {
        /// What is asked for.
        to: u32,
        /// What this node knows.
        newest: u32,
    },
    /// There is no way back.
    #[error("inbox partition {partition} has the rules of version {in_force}: a version is never lowered to {to}")]
    Lower {
        /// What is asked for.
        to: u32,
        /// Where a higher one is in force.
        partition: Partition,
        /// Which.
        in_force: u32,
    },
    /// A partition has not come to the end of its log: what is in force there is not known yet.
    #[error("inbox partition {partition} has not folded its log to the end yet: ask again in a moment")]
    NotLive {
        /// Which.
        partition: Partition,
    },
    /// The log or a partition does not do what it should. Asking again goes on where this stopped.
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl Node {
    /// The versions of the rules that this node's program knows.
    pub fn known_rules(&self) -> KnownRules {
        self.common.options.rules
    }

    /// The rules in force in every partition; none: its store is not open.
    ///
    /// # Errors
    /// When a store can't be read.
    pub fn rules(&self) -> Result<Vec<Option<Rules>>, NodeError> {
        let in_force = |handle: PartitionHandle| -> Result<Option<Rules>, NodeError> {
            let Some(reader) = handle.reader() else { return Ok(None) };
            Ok(view::meta(&*reader)?.map(|meta| meta.rules()))
        };
        self.partitions().into_iter().map(in_force).collect()
    }

    /// Raises the rules in every partition that lacks this version; returns when all that fold have it in force. Asked again it changes
    /// nothing more.
    ///
    /// # Errors
    /// What speaks against it, or what failed: asking again goes on.
    pub fn raise_rules(&self, to: u32, by: &str) -> Result<(), RaiseError> {
        let _one_at_a_time = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = self.known_rules().newest;
        if to > newest {
            return Err(RaiseError::Unknown { to, newest });
        }
        self.refuse_if_outdated()?;
        if let Some(partition) = self.behind() {
            return Err(RaiseError::NotLive { partition });
        }
        let in_force = self.rules()?;
        let higher = (0..)
            .zip(&in_force)
            .find_map(|(partition, rules)| Some((partition, rules.filter(|rules| rules.version() > to)?)));
        if let Some((partition, rules)) = higher {
            return Err(RaiseError::Lower { to, partition, in_force: rules.version() });
        }
        for (partition, rules) in (0..).zip(in_force) {
            if rules.is_none_or(|rules| !rules.at_least(to)) {
                self.raise_one(partition, to, by)?;
            }
        }
        Ok(())
    }

    fn raise_one(&self, partition: Partition, version: u32, by: &str) -> Result<(), NodeError> {
        let offset = self.append(partition, &Body::EngineVersion(EngineVersion { version, by: by.to_owned() }))?;
        tracing::warn!(partition, version, by, offset, "the rules are raised");
        self.wait_in_force(partition, offset)
    }

    /// Who does not know the rules in force writes nothing more into the log.
    pub(super) fn refuse_if_outdated(&self) -> Result<(), NodeError> {
        self.common.outdated().map_or(Ok(()), |stop| Err(NodeError::Outdated(stop)))
    }
}

impl Common {
    /// Why this program may not go on with this log, if there is a partition whose rules it does not know. The others will follow.
    pub(super) fn outdated(&self) -> Option<Stop> {
        let unknown = |stop: &Stop| matches!(stop, Stop::Halt(Halt::UnknownRules { .. }));
        self.boards.iter().find_map(|board| board.stop().filter(unknown))
    }
}
