//! Messages to inbox partitions, this one included: each a record of that partition, sealed for it, in the channel `inbox.N`.
//! What they do where they arrive stands in `message.rs`.

use sagaline_definition::model::{Definition, Verb};
use sagaline_engine::{ChildWord, Direction, Phase, Saga};
use sagaline_schemas::hash::{alias_home, partition_of};
use sagaline_schemas::proof::seal;
use sagaline_schemas::record::{
    BindAlias, Body, CancelChild, ChildEnded, CompensateChild, DeliverEvent, End, Event, Message, MessageBody,
    MessageOrigin, ReleaseChild, StartChild, StepAddress, Target, UnbindAlias,
};
use sagaline_schemas::schema;
use sagaline_schemas::wire::Bytes;

use crate::fold::Partition;
use crate::halt::Halt;
use crate::outbox::channel_of_inbox;
use crate::state::Bound;

impl Partition {
    /// The next message of a channel. It names the one before it: the receiver sees holes and repeats (records.md section 2).
    pub(crate) fn post(&mut self, to: u32, body: MessageBody) -> Result<(), Halt> {
        let channel = channel_of_inbox(to);
        let prev = self.channel(&channel).newest;
        let id = self.next_output_id();
        let origin = MessageOrigin { partition: self.number, prev, at: self.at };
        let body = Body::Message(Message { id, origin, body });
        let value = seal(schema::INBOX.fingerprint, &self.key, self.begun().log_id, to, &body);
        self.output(&channel, *id.as_bytes(), &[], Some(to), value, None)?;
        Ok(())
    }

    pub(crate) fn tell_child(
        &mut self,
        definition: &Definition,
        saga: &Saga,
        effect: u32,
        word: &ChildWord,
    ) -> Result<(), Halt> {
        let Some(of) = saga.effects.get(effect as usize) else { return Ok(()) };
        let step = &definition.steps[of.step as usize];
        let Verb::Saga(child) = &step.verb else { return Ok(()) };
        let (items, round) = (of.items.clone(), of.round);
        let parent = StepAddress { saga: saga.id, step: step.step.clone(), items, round };
        let (digest, reason) = (child.definition, why_back(saga));
        let home = |key: &str| partition_of(key, self.begun().partitions);
        let to = home(of.child_key.as_deref().unwrap_or_default());
        let body = match (word, of.child) {
            (ChildWord::Start { key }, _) => MessageBody::Start(StartChild {
                parent,
                parent_partition: self.number,
                definition: digest,
                key: key.clone(),
                input: of.input.clone(),
                deadline: None,
                traceparent: saga.traceparent.clone(),
            }),
            (ChildWord::Cancel { key }, _) => {
                MessageBody::Cancel(CancelChild { parent, definition: digest, key: key.clone(), reason })
            }
            (ChildWord::Compensate, Some(child)) => MessageBody::Compensate(CompensateChild { parent, child, reason }),
            (ChildWord::Release, Some(child)) => MessageBody::Release(ReleaseChild { child }),
            // Only a child that has said who it is can have completed.
            (ChildWord::Compensate | ChildWord::Release, None) => return Ok(()),
        };
        self.post(to, body)
    }

    pub(crate) fn tell_parent(&mut self, saga: &Saga, end: End, result: &Bytes, reason: &str) -> Result<(), Halt> {
        let Some(parent) = &saga.parent else { return Ok(()) };
        let (step, to) = (parent.step.clone(), parent.partition);
        let (result, reason) = (result.clone(), reason.to_owned());
        self.post(to, MessageBody::Ended(ChildEnded { parent: step, child: Some(saga.id), end, result, reason }))
    }

    pub(crate) fn ask_to_bind(
        &mut self,
        definition: &Definition,
        saga: &Saga,
        alias: &str,
        value: &str,
    ) -> Result<(), Halt> {
        let to = alias_home(&definition.saga, alias, value, self.begun().partitions);
        let bind = BindAlias {
            definition: definition.saga.clone(),
            alias: alias.to_owned(),
            value: value.to_owned(),
            saga: saga.id,
            partition: self.number,
        };
        self.post(to, MessageBody::Bind(bind))
    }

    /// A saga is forgotten, or another has begun under its key: its names are free.
    pub(crate) fn unbind_all(&mut self, definition: &Definition, saga: &Saga) -> Result<(), Halt> {
        for bound in saga.aliases.iter().filter(|bound| bound.taken_by.is_none()) {
            let to = alias_home(&definition.saga, &bound.alias, &bound.value, self.begun().partitions);
            let (definition, alias, value) = (definition.saga.clone(), bound.alias.clone(), bound.value.clone());
            self.post(to, MessageBody::Unbind(UnbindAlias { definition, alias, value, saga: saga.id }))?;
        }
        Ok(())
    }

    /// An event goes on to where the saga lives that it names by an alias.
    pub(crate) fn deliver(&mut self, bound: &Bound, target: &Target, event: &Event) -> Result<(), Halt> {
        let deliver = DeliverEvent {
            saga: bound.saga,
            target: target.clone(),
            origin: event.origin.clone(),
            topic: event.topic.clone(),
            timestamp: event.timestamp,
            data: event.data.clone(),
            content_type: event.content_type.clone(),
            traceparent: event.traceparent.clone(),
        };
        self.post(bound.partition, MessageBody::Deliver(deliver))
    }
}

/// Why a saga goes back, for its children's people.
fn why_back(saga: &Saga) -> String {
    let cause = match &saga.phase {
        Phase::Running { direction } | Phase::Stuck { direction, .. } => match direction {
            Direction::Forward => None,
            Direction::Aside { goal: sagaline_engine::Goal::Again { cause, .. } } => Some(cause),
            Direction::Aside { .. } => None,
            Direction::Back { cause } => Some(cause),
            Direction::Ensure { cause, .. } | Direction::Over { cause, .. } => cause.as_ref(),
        },
        Phase::Ended { cause, .. } => cause.as_ref(),
    };
    cause.map_or_else(|| "the saga that waits for it goes another way".to_owned(), ToString::to_string)
}
