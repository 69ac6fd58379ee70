//! A domain event: the numbered channel of its source decides whether it is news; its targets are taken in order.

use sagaline_definition::Definition;
use sagaline_definition::expr::Names;
use sagaline_schemas::hash::{Preimage, partition_of};
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::record::{ClauseKind, Event, EventOrigin, Target};
use sagaline_schemas::wire::{Bytes, Wire};
use sagaline_schemas::{Offset, Value};

use crate::fold::{LogRecord, Partition};
use crate::halt::Halt;
use crate::sagas::{Begin, MAX_KEY};
use crate::store::Family;

/// What the numbered channel says of a record (records.md section 2): accept iff at > highest and prev <= highest.
pub(crate) enum Numbered {
    News,
    Repeat,
    Gap { highest: Offset },
}

impl Partition {
    pub(crate) fn event(&mut self, record: LogRecord<'_>, event: Event) -> Result<(), Halt> {
        match self.is_news(&event)? {
            Numbered::News => {}
            Numbered::Repeat => {
                self.meta_mut().counters.repeated_events += 1;
                return Ok(());
            }
            Numbered::Gap { highest } => {
                let detail =
                    format!("its sender sent {} before, the highest that came is {highest}", event.origin.prev);
                return self.park(record.value, ParkedReason::Gap, detail);
            }
        }
        if self.is_too_large(record) {
            return self.park_too_large(record);
        }
        if let Some(reason) = event.skipped {
            return self.park(record.value, ParkedReason::Skipped, reason);
        }
        if event.data.len() > self.begun().settings.max_payload as usize {
            let detail = format!(
                "the event has {} bytes, the settings allow {}",
                event.data.len(),
                self.begun().settings.max_payload
            );
            return self.park(record.value, ParkedReason::TooLarge, detail);
        }
        let data = match Value::parse(&event.data) {
            Ok(data) => data,
            Err(error) => {
                return self.park(record.value, ParkedReason::Undecodable, format!("the event is no JSON: {error}"));
            }
        };
        for (index, target) in (0..).zip(&event.targets) {
            if let Err((reason, detail)) = self.target(index, target, &event, &data)? {
                self.park(record.value, reason, detail)?;
            }
        }
        Ok(())
    }

    /// Line 3, and the channel's new height if it is news.
    pub(crate) fn is_news(&mut self, event: &Event) -> Result<Numbered, Halt> {
        let source = source_key(&event.origin);
        let highest = self.over.read::<i64>(Family::Sources, &source)?.unwrap_or(-1);
        let EventOrigin { prev, at, .. } = event.origin;
        Ok(match (at > highest, prev <= highest) {
            (false, _) => Numbered::Repeat,
            (true, false) => Numbered::Gap { highest },
            (true, true) => {
                self.over.write(Family::Sources, source, &at);
                Numbered::News
            }
        })
    }

    fn target(
        &mut self,
        index: u32,
        target: &Target,
        event: &Event,
        data: &Value,
    ) -> Result<Result<(), (ParkedReason, String)>, Halt> {
        let Some(definition) = self.definition(target.definition)? else {
            return Ok(Err((
                ParkedReason::NotKnown,
                format!("the definition {} is not known here", target.definition),
            )));
        };
        match target.clause {
            ClauseKind::Start => {}
            ClauseKind::Fact | ClauseKind::Wait | ClauseKind::React => {
                return Ok(Err((
                    ParkedReason::Refused,
                    format!("{:?} clauses are not yet part of this version", target.clause),
                )));
            }
        }
        if target.key.is_empty() || target.key.len() > MAX_KEY {
            return Ok(Err((
                ParkedReason::Refused,
                format!("a key has between 1 and {MAX_KEY} bytes, this has {}", target.key.len()),
            )));
        }
        if partition_of(&target.key, self.begun().partitions) != self.number {
            return Ok(Err((ParkedReason::Refused, format!("the key {:?} belongs to another partition", target.key))));
        }
        if self.saga_of_key(&definition.saga, &target.key)?.is_some() {
            self.meta_mut().counters.repeated_starts += 1;
            return Ok(Ok(()));
        }
        let input = match input_of(&definition, data) {
            Ok(input) => input,
            Err(detail) => return Ok(Err((ParkedReason::Refused, detail))),
        };
        if input.len() > self.begun().settings.max_payload as usize {
            let detail = format!(
                "start.input has {} bytes, the settings allow {}",
                input.len(),
                self.begun().settings.max_payload
            );
            return Ok(Err((ParkedReason::TooLarge, detail)));
        }
        let begin = Begin {
            definition: target.definition,
            key: target.key.clone(),
            input,
            traceparent: event.traceparent.clone(),
            index,
        };
        self.begin_saga(&definition, begin)?;
        Ok(Ok(()))
    }
}

/// A domain topic's partition, in one generation, is one numbered channel.
fn source_key(origin: &EventOrigin) -> Vec<u8> {
    let mut key = Preimage::new("event").fixed(origin.topic_id.as_bytes()).u32(origin.partition).as_bytes().to_vec();
    origin.generation.encode(&mut key);
    key
}

/// `start.input`: what the saga begins with.
fn input_of(definition: &Definition, event: &Value) -> Result<Bytes, String> {
    let value = match &definition.start.input {
        None => event.clone(),
        Some(input) => input.eval(&OneEvent(event)).map_err(|error| format!("start.input: {error}"))?,
    };
    Ok(Bytes(value.to_json()))
}

/// What expressions at a definition's door see: `event`, and nothing else.
struct OneEvent<'a>(&'a Value);

impl Names for OneEvent<'_> {
    fn get(&self, name: &str) -> Option<std::borrow::Cow<'_, Value>> {
        (name == "event").then_some(std::borrow::Cow::Borrowed(self.0))
    }
}
