//! A message from an inbox partition: the numbered channel of its sender decides whether it is news. Child sagas, aliases, broadcasts.

use sagaline_engine::{Input, Parent, ParentWord, Spot, shortened};
use sagaline_schemas::hash::Preimage;
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::record::{
    AliasTaken, BindAlias, CancelChild, ChildEnded, CompensateChild, DeliverEvent, End, Message, MessageBody,
    ReleaseChild, StartChild, StepAddress, UnbindAlias,
};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Position, SagaId};

use crate::door::{Knock, Opened};
use crate::early::Absent;
use crate::fold::{LogRecord, Partition};
use crate::halt::Halt;
use crate::keys;
use crate::reply::Unfit;
use crate::sagas::Turned;
use crate::state::Bound;
use crate::store::{Family, StoreError};

/// What the numbered channel says of a message.
pub(crate) enum Arrived {
    News,
    Repeat,
    Gap { highest: Option<Position> },
}

impl Partition {
    pub(crate) fn message(&mut self, record: LogRecord<'_>, message: Message) -> Result<(), Halt> {
        match self.is_new_message(&message)? {
            Arrived::News => {}
            Arrived::Repeat => {
                self.meta_mut().counters.repeated_messages += 1;
                return Ok(());
            }
            Arrived::Gap { highest } => {
                let shown = |place: Option<Position>| place.map_or_else(|| "nothing".to_owned(), |at| at.to_string());
                let (prev, highest) = (shown(message.origin.prev), shown(highest));
                let detail = format!("its sender sent {prev} before, the highest that came is {highest}");
                return self.park(record.value, ParkedReason::Gap, detail);
            }
        }
        if self.is_too_large(record) {
            return self.park_too_large(record);
        }
        let from = message.origin.partition;
        let heard = match message.body {
            MessageBody::Start(start) => self.start_child(start).map(Ok),
            MessageBody::Ended(ended) => self.child_ended(from, ended),
            MessageBody::Cancel(cancel) => self.cancel_child(from, cancel).map(Ok),
            MessageBody::Compensate(compensate) => self.compensate_child(from, compensate).map(Ok),
            MessageBody::Release(ReleaseChild { child }) => {
                self.parent_says(child, ParentWord::Release).map(|_| Ok(()))
            }
            MessageBody::Bind(bind) => self.bind(bind).map(Ok),
            MessageBody::Unbind(unbind) => self.unbind(&unbind).map(Ok),
            MessageBody::AliasTaken(taken) => self.alias_taken(taken),
            MessageBody::Deliver(deliver) => self.delivered(&deliver),
            MessageBody::Broadcast(broadcast) => self.broadcast_heard(broadcast),
        }?;
        match heard {
            Ok(()) => Ok(()),
            Err((reason, detail)) => self.park(record.value, reason, detail),
        }
    }

    /// Line 3, and the channel's new height if it is news: at > highest, and prev <= highest; a channel begins before its first.
    pub(crate) fn is_new_message(&mut self, message: &Message) -> Result<Arrived, StoreError> {
        let source = Preimage::new("message").u32(message.origin.partition).as_bytes().to_vec();
        let highest = self.over.read::<Position>(Family::Sources, &source)?;
        Ok(match (Some(message.origin.at) > highest, message.origin.prev <= highest) {
            (false, _) => Arrived::Repeat,
            (true, false) => Arrived::Gap { highest },
            (true, true) => {
                self.over.write(Family::Sources, source, &message.origin.at);
                Arrived::News
            }
        })
    }

    fn start_child(&mut self, start: StartChild) -> Result<(), Halt> {
        let StartChild { parent, parent_partition, definition: digest, key, input, traceparent, .. } = start;
        let Some(definition) = self.definition(digest)? else {
            let reason = format!("the definition {digest} is not known in partition {}: apply it", self.number);
            return self.not_started(parent_partition, parent, reason);
        };
        let waits = Parent { step: parent.clone(), partition: parent_partition, released: false };
        let knock = Knock { definition: digest, key: key.clone(), traceparent, parent: Some(waits), index: 0 };
        match self.knock(&definition, knock, || Ok(input.into()))? {
            Opened::Begun(_) => Ok(()),
            Opened::Exists(holder) => {
                let why = self.why_too_early(&definition, holder)?.map(|why| format!(", which {why}"));
                let of = &definition.saga;
                let reason = format!("the key {key:?} of {of} belongs to the saga {holder}{}", why.unwrap_or_default());
                self.not_started(parent_partition, parent, reason)
            }
            Opened::Refused((_, detail)) => self.not_started(parent_partition, parent, detail),
        }
    }

    fn not_started(&mut self, to: u32, parent: StepAddress, reason: String) -> Result<(), Halt> {
        let (end, result, reason) = (End::NotStarted, Bytes::from("null"), shortened(reason));
        self.post(to, MessageBody::Ended(ChildEnded { parent, child: None, end, result, reason }))
    }

    /// A child that its parent wants nothing of any more is let go at once: nobody else would.
    fn child_ended(&mut self, from: u32, ended: ChildEnded) -> Result<Result<(), Unfit>, Halt> {
        let ChildEnded { parent: StepAddress { saga, step, items, round }, child, end, result, reason } = ended;
        let definition = match self.over.saga(saga)?.map(|saga| saga.definition) {
            Some(digest) => self.definition(digest)?,
            None => None,
        };
        let Some(definition) = definition else {
            if let Some(child) = child.filter(|_| end == End::Completed) {
                self.post(from, MessageBody::Release(ReleaseChild { child }))?;
            }
            return Ok(Ok(()));
        };
        let Some(step) = definition.step_index(&step) else {
            return Ok(Err((ParkedReason::Unknown, format!("the saga {saga} has no step {step:?}"))));
        };
        let at = Spot { step: step as u32, items, round };
        self.turn(saga, Input::ChildEnded { at, end, child, result, reason })?;
        Ok(Ok(()))
    }

    /// The parent may not know the child's id yet. One that never was, or is another's, has nothing to undo.
    fn cancel_child(&mut self, from: u32, cancel: CancelChild) -> Result<(), Halt> {
        let CancelChild { parent, definition, key, reason } = cancel;
        let name = self.definition(definition)?.map(|definition| definition.saga.clone());
        let child = match name {
            Some(name) => self.saga_of_key(&name, &key)?,
            None => None,
        };
        match child {
            Some(id) if self.is_child_of(id, &parent)? => {
                self.parent_says(id, ParentWord::Cancel { reason })?;
                Ok(())
            }
            Some(_) | None => self.not_started(from, parent, "it never began".to_owned()),
        }
    }

    fn is_child_of(&mut self, id: SagaId, parent: &StepAddress) -> Result<bool, StoreError> {
        let waits = self.over.saga(id)?.and_then(|saga| saga.parent.as_ref());
        Ok(waits.is_some_and(|waits| waits.step == *parent))
    }

    fn compensate_child(&mut self, from: u32, compensate: CompensateChild) -> Result<(), Halt> {
        let CompensateChild { parent, child, reason } = compensate;
        if self.parent_says(child, ParentWord::Compensate { reason })? {
            return Ok(());
        }
        let (end, result) = (End::Closed, Bytes::from("null"));
        let reason = "the child saga is no longer remembered: what it did stands".to_owned();
        self.post(from, MessageBody::Ended(ChildEnded { parent, child: Some(child), end, result, reason }))
    }

    /// Whether there is such a saga.
    fn parent_says(&mut self, child: SagaId, word: ParentWord) -> Result<bool, Halt> {
        Ok(match self.turn(child, Input::Parent { word })? {
            Turned::Unknown => false,
            Turned::Taken | Turned::Rejected(_) => true,
        })
    }

    /// First in the log wins. Events that came before the name go on to the saga, in order.
    fn bind(&mut self, bind: BindAlias) -> Result<(), Halt> {
        let BindAlias { definition, alias, value, saga, partition } = bind;
        if let Some(held) = self.bound(&definition, &alias, &value)?.filter(|held| held.saga != saga) {
            let taken = AliasTaken { saga, alias, value, holder: held.saga };
            return self.post(partition, MessageBody::AliasTaken(taken));
        }
        let bound = Bound { saga, partition };
        self.over.write(Family::Aliases, keys::alias(&definition, &alias, &value), &bound);
        let absent = Absent::Alias { definition: &definition, alias: &alias, value: &value };
        for (event, _) in self.take_early(absent)? {
            for target in &event.targets {
                self.deliver(&bound, target, &event)?;
            }
        }
        Ok(())
    }

    fn unbind(&mut self, unbind: &UnbindAlias) -> Result<(), Halt> {
        let UnbindAlias { definition, alias, value, saga } = unbind;
        if self.bound(definition, alias, value)?.is_some_and(|held| held.saga == *saga) {
            self.over.delete(Family::Aliases, keys::alias(definition, alias, value));
        }
        Ok(())
    }

    /// Whom an alias names.
    pub(crate) fn bound(&self, definition: &str, alias: &str, value: &str) -> Result<Option<Bound>, StoreError> {
        self.over.read(Family::Aliases, &keys::alias(definition, alias, value))
    }

    fn alias_taken(&mut self, taken: AliasTaken) -> Result<Result<(), Unfit>, Halt> {
        let AliasTaken { saga, alias, value, holder } = taken;
        self.turn(saga, Input::AliasTaken { alias, value, holder })?;
        Ok(Ok(()))
    }

    fn delivered(&mut self, deliver: &DeliverEvent) -> Result<Result<(), Unfit>, Halt> {
        match self.check_data(&deliver.data) {
            Ok(data) => self.tell_saga(deliver.saga, &deliver.target, (&deliver.topic, &data), self.now()),
            Err(unfit) => Ok(Err(unfit)),
        }
    }
}

/// The saga that a message names.
pub(crate) fn addressee(body: &MessageBody) -> Option<SagaId> {
    match body {
        MessageBody::Ended(ended) => Some(ended.parent.saga),
        MessageBody::Compensate(compensate) => Some(compensate.child),
        MessageBody::Release(release) => Some(release.child),
        MessageBody::AliasTaken(taken) => Some(taken.saga),
        MessageBody::Deliver(deliver) => Some(deliver.saga),
        MessageBody::Start(_)
        | MessageBody::Cancel(_)
        | MessageBody::Bind(_)
        | MessageBody::Unbind(_)
        | MessageBody::Broadcast(_) => None,
    }
}
