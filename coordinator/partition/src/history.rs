//! What happened to each saga, chained: each entry's hash covers the one before, so that none can be missing or changed (I7).

use sagaline_definition::model::{Definition, Verb};
use sagaline_engine::{AnswerKind, Fact, HistoryHead, Saga, Spot, Undo};
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
    /// One entry per input and saga, if something happened. Gives back what did.
    pub(crate) fn remember(&mut self, saga: &mut Saga, facts: Vec<Fact>) -> Vec<Fact> {
        if facts.is_empty() {
            return facts;
        }
        let entry = HistoryEntry { offset: self.at.offset, timer: self.at.timer, time: self.told_time(), facts };
        let bytes = entry.to_bytes();
        let number = saga.history.length;
        saga.history = next_head(&saga.history, &bytes);
        self.over.put(Family::History, keys::history(saga.id, number), bytes);
        entry.facts
    }
}

impl Partition {
    /// What happened, for the `events` topic, as far as the settings want it told.
    pub(crate) fn tell(&mut self, definition: &Definition, saga: &Saga, facts: &[Fact]) -> Result<(), Halt> {
        let wanted = self.begun().settings.events;
        for fact in facts {
            let Some(Told { level, kind, place, end, detail }) = told(definition, saga, fact) else {
                continue;
            };
            if level > wanted {
                continue;
            }
            let step = place.and_then(|(number, _)| definition.steps.get(number as usize));
            let owner = step.map_or(saga.owner.as_ref().unwrap_or(&definition.owner), |step| &step.owner).clone();
            let id = self.next_output_id();
            let event = SagaEvent {
                saga: saga.id,
                definition: definition.saga.clone(),
                version: definition.version.clone(),
                key: saga.key.clone(),
                owner,
                kind,
                step: step.map(|step| step.step.clone()),
                items: place.map(|(_, items)| items.to_vec()).unwrap_or_default(),
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

/// How a fact is told on `events`.
struct Told<'a> {
    /// From which level on: what somebody must look at counts among starts and ends.
    level: Events,
    kind: SagaEventKind,
    /// Number of the step, and the items.
    place: Option<(u32, &'a [u32])>,
    end: Option<End>,
    detail: Value,
}

impl<'a> Told<'a> {
    /// Of the saga as a whole.
    fn whole(kind: SagaEventKind) -> Self {
        Self { level: Events::Ends, kind, place: None, end: None, detail: Value::Null }
    }

    /// Of one place, for who wants to know of every step.
    fn of(kind: SagaEventKind, spot: &'a Spot) -> Self {
        Self { level: Events::Steps, place: Some((spot.step, &spot.items)), ..Self::whole(kind) }
    }

    /// Somebody must look at it.
    fn urgent(self) -> Self {
        Self { level: Events::Ends, ..self }
    }

    fn with(self, detail: Value) -> Self {
        Self { detail, ..self }
    }
}

/// Which facts are told, from which level on, and how.
fn told<'a>(definition: &Definition, saga: &Saga, fact: &'a Fact) -> Option<Told<'a>> {
    use SagaEventKind as Kind;
    Some(match fact {
        Fact::Started => Told::whole(Kind::Started),
        Fact::Ended { end } => Told { end: Some(*end), ..Told::whole(Kind::Ended) },
        Fact::Stuck { stuck } => Told::whole(Kind::Stuck).with(Value::of(stuck)),
        Fact::Resumed { because } => Told::whole(Kind::Resumed).with(Value::String(because.clone())),
        Fact::TurnedBack { cause } => Told::whole(Kind::Compensating).with(Value::of(cause)),
        Fact::SteppedAside { goal } => Told::whole(Kind::Compensating).with(Value::of(goal)),
        Fact::Overdue { step } => Told { place: step.map(|step| (step, &[][..])), ..Told::whole(Kind::Overdue) },
        Fact::Skipped { step } => {
            Told { level: Events::Steps, place: Some((*step, &[])), ..Told::whole(Kind::StepSkipped) }
        }
        Fact::Voided { spot } | Fact::Continued { spot } => Told::of(Kind::StepSkipped, spot),
        Fact::Settled { spot } => Told::of(settled(definition, spot), spot),
        Fact::Guarded { spot } | Fact::Awaits { spot } => Told::of(Kind::Waiting, spot),
        Fact::PeopleAsked { spot, by } => Told::of(Kind::Waiting, spot).urgent().with(Value::of(by)),
        Fact::Reminded { spot } => Told::of(Kind::Reminded, spot).urgent(),
        Fact::Escalated { spot, to } => Told::of(Kind::Escalated, spot).urgent().with(Value::String(to.clone())),
        Fact::Held { spot, cause } => Told::of(Kind::Held, spot).urgent().with(Value::of(cause)),
        Fact::Chosen { spot, choice, .. } => Told::of(Kind::Decided, spot).with(Value::String(choice.clone())),
        Fact::UsedUp { spot, .. } | Fact::WaitedInVain { spot } => Told::of(Kind::StepFailed, spot),
        Fact::ChildEnded { spot, end } => Told { end: Some(*end), ..Told::of(child_ended(saga, spot, *end)?, spot) },
        Fact::Answered { spot, answer, .. } => match answer {
            AnswerKind::Refused { code } => Told::of(Kind::StepRefused, spot).with(Value::String(code.clone())),
            AnswerKind::Compensated | AnswerKind::NothingThere => Told::of(Kind::StepCompensated, spot),
            AnswerKind::Succeeded
            | AnswerKind::Failed { .. }
            | AnswerKind::Unavailable { .. }
            | AnswerKind::Working { .. }
            | AnswerKind::Probed { .. }
            | AnswerKind::Marked { .. } => return None,
        },
        Fact::Asked { what, reason, refused: None, .. } if what == "hold" => {
            Told::whole(Kind::Held).with(Value::String(reason.clone()))
        }
        Fact::Asked { what, reason, refused: None, .. } if what == "release" => {
            Told::whole(Kind::Released).with(Value::String(reason.clone()))
        }
        Fact::Asked { .. }
        | Fact::Decided { .. }
        | Fact::TimedOut { .. }
        | Fact::ApprovalVoid { .. }
        | Fact::Told { .. }
        | Fact::StaleNews { .. }
        | Fact::LetterCame { .. }
        | Fact::Reacted { .. }
        | Fact::EnsureFailed { .. } => return None,
    })
}

/// A named decision is taken, any other place is done.
fn settled(definition: &Definition, spot: &Spot) -> SagaEventKind {
    match definition.steps.get(spot.step as usize).map(|step| &step.verb) {
        Some(Verb::Decide(_)) => SagaEventKind::Decided,
        _ => SagaEventKind::StepDone,
    }
}

/// What a child's end is for the step that wanted it; none where the step is done by it, which is told as such.
fn child_ended(saga: &Saga, spot: &Spot, end: End) -> Option<SagaEventKind> {
    let effect = saga.effect_at(spot.step, &spot.items, spot.round)?;
    match saga.effects.get(effect as usize)?.undo {
        Undo::Compensated { .. } | Undo::NothingThere => Some(SagaEventKind::StepCompensated),
        Undo::No | Undo::Listed | Undo::Decided | Undo::Sent | Undo::UsedUp => {
            (end != End::Completed).then_some(SagaEventKind::StepFailed)
        }
    }
}

/// The head after one more entry.
pub(crate) fn next_head(head: &HistoryHead, entry: &[u8]) -> HistoryHead {
    let before = head.hash.map_or([0; 32], |digest| digest.0);
    let preimage = hash::Preimage::with_room("history", entry.len()).u32(head.length).fixed(&before).bytes(entry);
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
