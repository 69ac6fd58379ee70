//! What happened to each saga, chained: each entry's hash covers the one before, so that none can be missing or changed (I7).

use sagaline_definition::model::{Definition, Step};
use sagaline_engine::{AnswerKind, Fact, HistoryHead, Saga};
use sagaline_schemas::output::{Notice, NoticeBody, SagaEvent, SagaEventKind};
use sagaline_schemas::proof::write_single_object;
use sagaline_schemas::record::End;
use sagaline_schemas::settings::Events;
use sagaline_schemas::wire::{Bytes, Wire};
use sagaline_schemas::{Digest, Value, hash, schema};

use crate::fold::Partition;
use crate::halt::Halt;
use crate::keys;
use crate::outbox::EVENTS;
use crate::state::HistoryEntry;
use crate::store::{Family, Read, StoreError};

impl Partition {
    /// One entry per input and saga, if something happened.
    pub(crate) fn remember(&mut self, saga: &mut Saga, facts: &[Fact]) {
        if facts.is_empty() {
            return;
        }
        let entry = HistoryEntry {
            offset: self.at.offset,
            timer: self.at.timer,
            time: self.told_time(),
            facts: facts.to_vec(),
        };
        let bytes = entry.to_bytes();
        let number = saga.history.length;
        saga.history = next_head(&saga.history, &bytes);
        self.over.put(Family::History, keys::history(saga.id, number), bytes);
    }
}

impl Partition {
    /// What happened, for the `events` topic, as far as the settings want it told.
    pub(crate) fn tell(&mut self, definition: &Definition, saga: &Saga, facts: &[Fact]) -> Result<(), Halt> {
        let wanted = self.begun().settings.events;
        for fact in facts {
            let Some((level, kind, step, end, detail)) = told(definition, fact) else {
                continue;
            };
            if level > wanted {
                continue;
            }
            let id = self.next_output_id();
            let event = SagaEvent {
                saga: saga.id,
                definition: definition.saga.clone(),
                version: definition.version.clone(),
                key: saga.key.clone(),
                owner: step.map_or(&definition.owner, |step| &step.owner).clone(),
                kind,
                step: step.map(|step| step.step.clone()),
                items: Vec::new(),
                end,
                detail: Bytes(detail.to_json()),
            };
            let notice = Notice {
                id,
                time: self.told_time(),
                partition: self.begun().partition,
                offset: self.at.offset,
                body: NoticeBody::Saga(event),
            };
            let value = write_single_object(schema::EVENT.fingerprint, &notice);
            self.output(EVENTS, *id.as_bytes(), saga.id.as_bytes(), None, value, None)?;
        }
        Ok(())
    }
}

type Told<'a> = (Events, SagaEventKind, Option<&'a Step>, Option<End>, Value);

/// Which facts are told, from which level on, and how.
fn told<'a>(definition: &'a Definition, fact: &Fact) -> Option<Told<'a>> {
    let step = |number: u32| definition.steps.get(number as usize);
    Some(match fact {
        Fact::Started => (Events::Ends, SagaEventKind::Started, None, None, Value::Null),
        Fact::Ended { end } => (Events::Ends, SagaEventKind::Ended, None, Some(*end), Value::Null),
        Fact::Stuck { stuck } => (Events::Ends, SagaEventKind::Stuck, None, None, Value::of(stuck)),
        Fact::Resumed { because } => (Events::Ends, SagaEventKind::Resumed, None, None, Value::String(because.clone())),
        Fact::TurnedBack { cause } => (Events::Ends, SagaEventKind::Compensating, None, None, Value::of(cause)),
        Fact::Overdue => (Events::Ends, SagaEventKind::Overdue, None, None, Value::Null),
        Fact::UsedUp { spot, .. } => (Events::Steps, SagaEventKind::StepFailed, step(spot.step), None, Value::Null),
        Fact::Answered { spot, answer, .. } => match answer {
            AnswerKind::Succeeded => (Events::Steps, SagaEventKind::StepDone, step(spot.step), None, Value::Null),
            AnswerKind::Refused { code } => {
                (Events::Steps, SagaEventKind::StepRefused, step(spot.step), None, Value::String(code.clone()))
            }
            AnswerKind::Compensated | AnswerKind::NothingThere => {
                (Events::Steps, SagaEventKind::StepCompensated, step(spot.step), None, Value::Null)
            }
            AnswerKind::Failed { .. } | AnswerKind::Working { .. } | AnswerKind::Marked { .. } => return None,
        },
        Fact::Skipped { .. }
        | Fact::Decided { .. }
        | Fact::TimedOut { .. }
        | Fact::Continued { .. }
        | Fact::Asked { .. } => {
            return None;
        }
    })
}

/// The head after one more entry.
pub(crate) fn next_head(head: &HistoryHead, entry: &[u8]) -> HistoryHead {
    let before = head.hash.map_or([0; 32], |digest| digest.0);
    let preimage = hash::Preimage::new("history").u32(head.length).fixed(&before).bytes(entry);
    HistoryHead { length: head.length + 1, hash: Some(Digest(*blake3::hash(preimage.as_bytes()).as_bytes())) }
}

/// A saga's history as it is stored, oldest first.
///
/// # Errors
/// When the store can't be read, or an entry is missing or was changed.
pub fn history(read: &dyn Read, saga: &Saga) -> Result<Vec<HistoryEntry>, StoreError> {
    let prefix = saga.id.as_bytes();
    let to = keys::after_prefix(prefix);
    let stored = read.scan(Family::History, prefix, to.as_deref(), usize::MAX)?;
    let head = stored.iter().fold(HistoryHead::default(), |head, (_, entry)| next_head(&head, entry));
    if head != saga.history {
        let detail = format!("the history of saga {} does not match its hash", saga.id);
        return Err(StoreError::Corrupt { place: "family history".to_owned(), detail });
    }
    stored.iter().map(|(_, entry)| crate::overlay::decode(Family::History, entry)).collect()
}
