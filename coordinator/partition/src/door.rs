//! The door: whatever begins a saga, an event, a person or another saga, passes the same checks in the same order.

use sagaline_definition::model::{Again, Definition};
use sagaline_engine::{Parent, Phase, Saga};
use sagaline_schemas::hash::partition_of;
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::record::End;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, SagaId, Value};

use crate::fold::Partition;
use crate::halt::Halt;
use crate::reply::Unfit;
use crate::sagas::Begin;

/// Most bytes of a correlation id: it lies in keys, commands and events.
pub(crate) const MAX_KEY: usize = 1024;

/// Who knocks.
pub(crate) struct Knock {
    /// Digest of the definition.
    pub definition: Digest,
    /// The correlation id.
    pub key: String,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The step of another saga that waits for this one.
    pub parent: Option<Parent>,
    /// Number of the target in its record.
    pub index: u32,
}

/// What a saga begins with.
pub(crate) struct Given<'a> {
    /// Canonical JSON.
    pub input: Bytes,
    /// What the text says, where that is known without reading it.
    pub value: Option<&'a Value>,
}

impl From<Bytes> for Given<'_> {
    fn from(input: Bytes) -> Self {
        Self { input, value: None }
    }
}

/// What became of it.
pub(crate) enum Opened {
    /// A saga has begun.
    Begun(SagaId),
    /// The key has, or had, this one.
    Exists(SagaId),
    /// None begins.
    Refused(Unfit),
}

impl Partition {
    /// `input` is asked for only where a saga may begin.
    pub(crate) fn knock<'a>(
        &mut self,
        definition: &Definition,
        knock: Knock,
        input: impl FnOnce() -> Result<Given<'a>, String>,
    ) -> Result<Opened, Halt> {
        if let Err(detail) = self.is_home(&knock.key) {
            return Ok(Opened::Refused((ParkedReason::Refused, detail)));
        }
        if let Some(holder) = self.holder(definition, &knock.key)? {
            self.meta_mut().counters.repeated_starts += 1;
            return Ok(Opened::Exists(holder));
        }
        let fit = input().map_err(|detail| (ParkedReason::Refused, detail));
        let input = match fit.and_then(|given| self.check_input(definition, &given).map(|()| given.input)) {
            Ok(input) => input,
            Err(unfit) => return Ok(Opened::Refused(unfit)),
        };
        let Knock { definition: digest, key, traceparent, parent, index } = knock;
        let begin = Begin { definition: digest, key, input, traceparent, parent, index };
        Ok(Opened::Begun(self.begin_saga(definition, begin)?))
    }

    /// Whether sagas of that key live in this partition.
    pub(crate) fn is_home(&self, key: &str) -> Result<(), String> {
        check_key(key)?;
        if partition_of(key, self.begun().partitions) != self.number {
            return Err(format!("the key {key:?} belongs to another partition"));
        }
        Ok(())
    }

    /// The saga that keeps others from beginning under the key, and that events for the key are for. None: the next one, where one that is
    /// over makes room for it. One that is kept for its parent is not over: it may go back yet.
    pub(crate) fn holder(&mut self, definition: &Definition, key: &str) -> Result<Option<SagaId>, Halt> {
        let Some(id) = self.saga_of_key(&definition.saga, key)? else { return Ok(None) };
        let over = self.over.saga(id)?.is_some_and(is_over);
        Ok((definition.start.again == Again::Never || !over).then_some(id))
    }

    fn check_input(&self, definition: &Definition, given: &Given<'_>) -> Result<(), Unfit> {
        let Given { input, value } = given;
        let (size, limit) = (input.len(), self.begun().settings.max_payload);
        if size > limit as usize {
            return Err((ParkedReason::TooLarge, format!("the input has {size} bytes, the settings allow {limit}")));
        }
        let refused = |detail| (ParkedReason::Refused, detail);
        let read = match value {
            Some(_) => None,
            None => Some(Value::parse(input).map_err(|error| refused(format!("the input is no JSON: {error}")))?),
        };
        let value = value.or(read.as_ref()).unwrap_or(&Value::Null);
        if let Some(shape) = &definition.start.shape {
            shape.check(value).map_err(|mismatch| refused(format!("start.type: {mismatch}")))?;
        }
        crate::facts::keys_of_others(definition, value).map(|_| ()).map_err(refused)
    }
}

/// A key that could name a saga.
pub(crate) fn check_key(key: &str) -> Result<(), String> {
    match key.len() {
        1..=MAX_KEY => Ok(()),
        length => Err(format!("a key has between 1 and {MAX_KEY} bytes, this has {length}")),
    }
}

/// Whether nothing can come of the saga any more.
fn is_over(saga: &Saga) -> bool {
    let kept = saga.parent.as_ref().is_some_and(|parent| !parent.released);
    match saga.phase {
        Phase::Ended { end: End::Completed, .. } => !kept,
        Phase::Ended { .. } => true,
        Phase::Running { .. } | Phase::Stuck { .. } => false,
    }
}
