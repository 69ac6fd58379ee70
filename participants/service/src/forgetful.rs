//! An effect store that remembers nothing: for tests that must turn red without deduplication.

use sagaline_participant::effects::{EffectRows, EffectStoreError, Reach, ReplyPartition, Row};
use sagaline_schemas::{EffectId, Millis};

/// Takes everything and knows nothing.
pub struct Forgetful(Box<dyn EffectRows>);

impl Forgetful {
    pub fn new(rows: Box<dyn EffectRows>) -> Self {
        Self(rows)
    }
}

impl EffectRows for Forgetful {
    fn row(&self, _: EffectId) -> Result<Option<Row>, EffectStoreError> {
        Ok(None)
    }
    fn put(&mut self, effect: EffectId, row: &Row) -> Result<(), EffectStoreError> {
        self.0.put(effect, row)
    }
    fn remove(&mut self, effect: EffectId) -> Result<(), EffectStoreError> {
        self.0.remove(effect)
    }
    fn horizon(&self, _: &ReplyPartition) -> Result<Option<Millis>, EffectStoreError> {
        Ok(None)
    }
    fn latest_horizon(&self, _: &str) -> Result<Option<Millis>, EffectStoreError> {
        Ok(None)
    }
    fn drop_through(
        &mut self,
        inbox: &ReplyPartition,
        through: Millis,
        most: usize,
    ) -> Result<usize, EffectStoreError> {
        self.0.drop_through(inbox, through, most)
    }
    fn sync(&mut self) -> Result<(), EffectStoreError> {
        self.0.sync()
    }
    fn reach(&self) -> Reach {
        self.0.reach()
    }
}
