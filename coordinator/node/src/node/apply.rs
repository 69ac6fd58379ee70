//! Applying at a running node: what the log was told is announced only after every inbox partition has taken it, which the folds of this node show. Two
//! definitions under one name and version, one of them of an apply that ended half way, would else be known to some partitions each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sagaline_partition::store::{Read, StoreError};
use sagaline_partition::view;
use sagaline_schemas::{Offset, Partition};

use super::{Common, Node, NodeError};
use crate::registry::{Applied, Apply, ApplyError, ApplyOptions};

/// How long after an apply this node may take to learn of it.
const LEARN: Duration = Duration::from_secs(10);
/// How long a partition may stand still before it has folded what it was told.
const FOLDING: Duration = Duration::from_secs(20);
/// How long it is looked at before the next is.
const LOOK: Duration = Duration::from_millis(10);

impl Node {
    /// Makes definitions and contracts known to every partition, then active; returns when this node knows them, too.
    ///
    /// # Errors
    /// What speaks against it, or what failed: repeating goes on.
    pub fn apply(&self, options: &ApplyOptions) -> Result<Applied, NodeError> {
        self.refuse_if_outdated()?;
        let Common { log, names, options: own, .. } = &*self.common;
        let (inbox, options) = self.as_settings_say(options);
        let mut apply =
            Apply::begin(Arc::clone(log), names, &own.key, &inbox, &self.common.registry.catalogue(), &options)?;
        let mut watched = Watched::default();
        let applied = loop {
            if self.common.stopping() {
                return Err(NodeError::Stopping);
            }
            let mut took = |partition, offset, applied: &Applied| watched.took(self, partition, offset, applied);
            match apply.turn(Duration::from_millis(10), &mut took)? {
                Some(applied) => break applied,
                None => thread::park_timeout(Duration::from_millis(1)),
            }
        };
        let deadline = Instant::now() + LEARN;
        let knows = |(name, digest): &(String, _)| self.common.registry.catalogue().active.get(name) == Some(digest);
        while !applied.definitions.iter().all(knows) && Instant::now() < deadline {
            thread::park_timeout(Duration::from_millis(5));
        }
        Ok(applied)
    }
}

/// How far partitions have come, and when they came there.
#[derive(Default)]
struct Watched(BTreeMap<Partition, (Offset, Option<Instant>)>);

impl Watched {
    /// Whether a partition knows what it was told at `offset`. One that has halted takes it when it goes on: it is not waited for.
    fn took(
        &mut self,
        node: &Node,
        partition: Partition,
        offset: Offset,
        applied: &Applied,
    ) -> Result<bool, ApplyError> {
        let Ok(handle) = node.partition(partition) else { return Ok(true) };
        if handle.stop().is_some() {
            return Ok(true);
        }
        let folded = handle.wait_folded(offset, LOOK);
        let Some(reader) = handle.reader().filter(|_| folded) else {
            self.check_progress(partition, offset, handle.status().position)?;
            return Ok(false);
        };
        let missing = missing(applied, &*reader).map_err(|error| ApplyError::Store(error.to_string()))?;
        missing.map_or(Ok(true), |(kind, name)| Err(ApplyError::OtherDigestAt { kind, name, partition }))
    }

    fn check_progress(&mut self, partition: Partition, offset: Offset, position: Offset) -> Result<(), ApplyError> {
        let (known, since) = self.0.entry(partition).or_insert((position, None));
        let since = since.get_or_insert_with(Instant::now);
        if *known < position {
            (*known, *since) = (position, Instant::now());
        }
        if since.elapsed() < FOLDING { Ok(()) } else { Err(ApplyError::NotFolded { partition, offset }) }
    }
}

/// The first that a partition does not know: the record that was to tell it was refused there.
fn missing(applied: &Applied, partition: &dyn Read) -> Result<Option<(&'static str, String)>, StoreError> {
    for (name, digest) in &applied.contracts {
        if view::contract(partition, *digest)?.is_none() {
            return Ok(Some(("contract", name.clone())));
        }
    }
    for (name, digest) in &applied.definitions {
        if view::definition(partition, *digest)?.is_none() {
            return Ok(Some(("definition", name.clone())));
        }
    }
    Ok(None)
}
