//! Rows in memory, for tests and simulations. Handles share the rows; a crash can be played, and takes what was not synced. Never for a real participant.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sagaline_schemas::{EffectId, Millis};

use super::{EffectRows, EffectStoreError, Reach, ReplyPartition, Row};

/// Rows in memory. A clone is a handle to the same rows.
#[derive(Clone, Debug, Default)]
pub struct MemoryRows(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    rows: BTreeMap<EffectId, Row>,
    horizons: BTreeMap<ReplyPartition, Millis>,
    unsynced: Vec<Before>,
}

/// What a write that is not yet durable has replaced.
#[derive(Debug)]
enum Before {
    Row(EffectId, Option<Row>),
    Horizon(ReplyPartition, Option<Millis>),
}

impl MemoryRows {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Plays a power failure: what was not synced is gone.
    pub fn crash(&self) {
        let mut tables = self.tables();
        while let Some(before) = tables.unsynced.pop() {
            match before {
                Before::Row(effect, Some(row)) => drop(tables.rows.insert(effect, row)),
                Before::Row(effect, None) => drop(tables.rows.remove(&effect)),
                Before::Horizon(inbox, Some(horizon)) => drop(tables.horizons.insert(inbox, horizon)),
                Before::Horizon(inbox, None) => drop(tables.horizons.remove(&inbox)),
            }
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Every change is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn set(&mut self, effect: EffectId, row: Option<Row>) {
        let before = match row {
            Some(row) => self.rows.insert(effect, row),
            None => self.rows.remove(&effect),
        };
        self.unsynced.push(Before::Row(effect, before));
    }
}

impl EffectRows for MemoryRows {
    fn row(&self, effect: EffectId) -> Result<Option<Row>, EffectStoreError> {
        Ok(self.tables().rows.get(&effect).cloned())
    }

    fn put(&mut self, effect: EffectId, row: &Row) -> Result<(), EffectStoreError> {
        self.tables().set(effect, Some(row.clone()));
        Ok(())
    }

    fn remove(&mut self, effect: EffectId) -> Result<(), EffectStoreError> {
        self.tables().set(effect, None);
        Ok(())
    }

    fn horizon(&self, inbox: &ReplyPartition) -> Result<Option<Millis>, EffectStoreError> {
        Ok(self.tables().horizons.get(inbox).copied())
    }

    fn latest_horizon(&self, except: &str) -> Result<Option<Millis>, EffectStoreError> {
        let tables = self.tables();
        let others = tables.horizons.iter().filter(|(inbox, _)| inbox.topic != except);
        Ok(others.map(|(_, horizon)| *horizon).max())
    }

    fn drop_through(
        &mut self,
        inbox: &ReplyPartition,
        through: Millis,
        at_most: usize,
    ) -> Result<usize, EffectStoreError> {
        let mut tables = self.tables();
        let mut old: Vec<(Millis, EffectId)> = tables
            .rows
            .iter()
            .filter(|(_, row)| row.inbox == *inbox && row.kept <= through)
            .map(|(effect, row)| (row.kept, *effect))
            .collect();
        old.sort_unstable();
        old.truncate(at_most);
        if let Some((newest, _)) = old.last() {
            let before = tables.horizons.get(inbox).copied();
            tables.horizons.insert(inbox.clone(), before.map_or(*newest, |horizon| horizon.max(*newest)));
            tables.unsynced.push(Before::Horizon(inbox.clone(), before));
        }
        for (_, effect) in &old {
            tables.set(*effect, None);
        }
        Ok(old.len())
    }

    fn sync(&mut self) -> Result<(), EffectStoreError> {
        self.tables().unsynced.clear();
        Ok(())
    }

    fn reach(&self) -> Reach {
        Reach::ThisInstance
    }
}
