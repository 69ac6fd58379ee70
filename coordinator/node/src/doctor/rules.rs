//! Which version of the rules is in force, as the log itself says: a store may be behind it, and a node may refuse it. A long log is looked through
//! from its end backwards, for some seconds; what was left is told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sagaline_log::{Fetched, LogError};
use sagaline_partition::KnownRules;
use sagaline_schemas::Partition;
use sagaline_schemas::record::Body;

use super::{Finding, Patient};
use crate::sealed::{self, Beginning, Beginnings};

const WHAT: &str = "version";
/// Records that are read at once.
const PIECE: i64 = 100_000;
/// All partitions together are looked through for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a partition's log says.
struct InForce {
    version: u32,
    /// Records from its beginning on that were not looked at, or are gone: a raise may lie among them.
    left: i64,
}

impl Patient<'_> {
    /// The version in force in every partition.
    pub(super) fn rules_in_force(&self, partitions: u32) -> Finding {
        let deadline = Instant::now() + PATIENCE;
        let (mut found, mut beginnings) = (Vec::new(), Beginnings::new(self.log, self.names, self.key));
        for partition in 0..partitions {
            match self.in_force(&mut beginnings, partition, deadline) {
                Ok(Some(in_force)) => found.push(in_force),
                Ok(None) => {
                    return Finding::wrong(
                        WHAT,
                        format!("inbox partition {partition} does not begin with its Genesis"),
                    );
                }
                Err(error) => return Finding::wrong(WHAT, error.to_string()),
            }
        }
        told(self.rules, &found)
    }

    /// None: the partition does not begin with its Genesis.
    fn in_force(
        &self,
        beginnings: &mut Beginnings<'_>,
        partition: Partition,
        deadline: Instant,
    ) -> Result<Option<InForce>, LogError> {
        let topic = self.names.inbox();
        let Some(Beginning { genesis, .. }) = beginnings.of(partition)? else { return Ok(None) };
        let (start, mut below) = sealed::bounds(self.log, &topic, partition)?;
        while below > start && Instant::now() < deadline {
            let from = start.max(below - PIECE);
            let Some(records) = sealed::read_by(self.log, &topic, partition, (from, below), deadline)? else { break };
            let raise = |fetched: &Fetched| {
                let body = sealed::proven(self.key, genesis.log_id, partition, &fetched.record.value)?;
                if let Body::EngineVersion(change) = body { Some(change.version) } else { None }
            };
            // A lower one is refused by the fold.
            if let Some(version) = records.iter().filter_map(raise).max() {
                return Ok(Some(InForce { version: version.max(genesis.rules_version), left: 0 }));
            }
            below = from;
        }
        Ok(Some(InForce { version: genesis.rules_version, left: below }))
    }
}

/// What was not looked at may hold a raise: the version of such a partition is the lowest that can be in force there.
fn told(known: KnownRules, found: &[InForce]) -> Finding {
    let mut by_version: BTreeMap<(bool, u32), Vec<String>> = BTreeMap::new();
    for (partition, in_force) in found.iter().enumerate() {
        by_version.entry((in_force.left > 0, in_force.version)).or_default().push(partition.to_string());
    }
    let says: Vec<String> = by_version
        .iter()
        .map(|((at_least, version), partitions)| {
            let version = format!("{}version {version}", if *at_least { "at least " } else { "" });
            match by_version.len() {
                1 => format!("{version} in every inbox partition"),
                _ => format!("{version} in inbox partitions {}", partitions.join(", ")),
            }
        })
        .collect();
    let KnownRules { oldest, newest } = known;
    let knows = if oldest == newest { format!("version {newest}") } else { format!("versions {oldest} to {newest}") };
    let mut says = format!("the rules in force have {}; this program knows {knows}", says.join(", "));
    let left: i64 = found.iter().map(|in_force| in_force.left).sum();
    if left > 0 {
        says.push_str(&format!(
            ". The first {left} records were not looked at, or are gone: should the rules have been raised there, `sagaline upgrade status` says so"
        ));
    }
    let unknown =
        |(at_least, version): &&(bool, u32)| if *at_least { *version > newest } else { !known.knows(*version) };
    match by_version.keys().find(unknown) {
        Some((_, version)) => Finding::wrong(WHAT, format!("{says}: run a build that knows version {version}")),
        None if by_version.keys().filter(|(at_least, _)| !at_least).count() > 1 => {
            Finding::look(WHAT, format!("{says}: a raise was cut off, `sagaline upgrade raise` goes on with it"))
        }
        None => Finding::well(WHAT, says),
    }
}

#[cfg(test)]
mod tests;
