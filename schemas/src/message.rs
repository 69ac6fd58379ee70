//! What one inbox partition tells another: child sagas, aliases, broadcasts. Part of the inbox's records: see `record.rs`.

use crate::ids::*;
use crate::record::{EventOrigin, Target};
use crate::wire::Bytes;
use crate::{avro_enum, avro_record, avro_union};

avro_record! {
    /// Which partition a message comes from, and what it sent here before it.
    pub struct MessageOrigin {
        /// The sending inbox partition.
        pub partition: u32,
        /// Position of the channel's previous message; none for its first.
        pub prev: Option<Position>,
        /// Position of the output that this message is.
        pub at: Position,
    }
}

avro_record! {
    /// What one inbox partition tells another.
    pub struct Message {
        /// Which output it is.
        pub id: OutputId,
        /// Where it comes from.
        pub origin: MessageOrigin,
        /// What it says.
        pub body: MessageBody,
    }
}

avro_union! {
    /// The kinds of messages between partitions.
    pub enum MessageBody {
        /// A child saga is to begin.
        Start(StartChild),
        /// A child saga has ended.
        Ended(ChildEnded),
        /// A child saga is to be cancelled.
        Cancel(CancelChild),
        /// A completed child saga is to be compensated.
        Compensate(CompensateChild),
        /// A completed child saga's parent has ended: nothing holds it any more.
        Release(ReleaseChild),
        /// An alias names a saga from now on.
        Bind(BindAlias),
        /// An alias names a saga no longer.
        Unbind(UnbindAlias),
        /// An alias could not be bound: it names another saga.
        AliasTaken(AliasTaken),
        /// An event that names a saga by an alias.
        Deliver(DeliverEvent),
        /// The same word to every partition: pause, resume, a circuit's state.
        Broadcast(Broadcast),
    }
}

avro_record! {
    /// One step of one saga, as a command or a parent names it.
    pub struct StepAddress {
        /// The saga.
        pub saga: SagaId,
        /// The step's path in the definition.
        pub step: String,
        /// Indices of the items, outermost first; empty outside `for_each`.
        pub items: Vec<u32>,
        /// How often the step was begun anew before.
        pub round: u32,
    }
}

avro_record! {
    /// A child saga is to begin.
    pub struct StartChild {
        /// The step that wants it.
        pub parent: StepAddress,
        /// The parent's inbox partition.
        pub parent_partition: u32,
        /// Digest of the child's definition.
        pub definition: Digest,
        /// The child's correlation id.
        pub key: String,
        /// The child's input, canonical JSON.
        pub input: Bytes,
        /// Latest end that the parent allows, log time; none: its own deadline only.
        pub deadline: Option<i64>,
        /// W3C trace context.
        pub traceparent: Option<String>,
    }
}

avro_enum! {
    /// How a saga ended.
    pub enum End {
        /// Every step is done or skipped.
        Completed,
        /// What was done is undone.
        Compensated,
        /// Undone because somebody asked.
        Cancelled,
        /// Ended by people, with names and reasons.
        Closed,
        /// A child that could not begin.
        NotStarted,
    }
}

avro_record! {
    /// A child saga has ended, or could not begin.
    pub struct ChildEnded {
        /// The step that waits for it.
        pub parent: StepAddress,
        /// The child; none where it could not begin.
        pub child: Option<SagaId>,
        /// How.
        pub end: End,
        /// Its `result`, canonical JSON; `null` where it has none.
        pub result: Bytes,
        /// Why, for people.
        pub reason: String,
    }
}

avro_record! {
    /// A child saga is to be cancelled.
    pub struct CancelChild {
        /// The step that wanted it.
        pub parent: StepAddress,
        /// Digest of the child's definition.
        pub definition: Digest,
        /// The child's correlation id.
        pub key: String,
        /// Why.
        pub reason: String,
    }
}

avro_record! {
    /// A completed child saga is to be compensated.
    pub struct CompensateChild {
        /// The step that wanted it.
        pub parent: StepAddress,
        /// The child.
        pub child: SagaId,
        /// Why.
        pub reason: String,
    }
}

avro_record! {
    /// A completed child saga's parent has ended.
    pub struct ReleaseChild {
        /// The child.
        pub child: SagaId,
    }
}

avro_record! {
    /// An alias names a saga from now on. It lies in the partition of its hash.
    pub struct BindAlias {
        /// Name of the definition.
        pub definition: String,
        /// The alias's name.
        pub alias: String,
        /// Its value.
        pub value: String,
        /// Whom it names.
        pub saga: SagaId,
        /// Where that saga lives.
        pub partition: u32,
    }
}

avro_record! {
    /// An alias names a saga no longer: the saga has ended and its key is forgotten.
    pub struct UnbindAlias {
        /// Name of the definition.
        pub definition: String,
        /// The alias's name.
        pub alias: String,
        /// Its value.
        pub value: String,
        /// Whom it named.
        pub saga: SagaId,
    }
}

avro_record! {
    /// An alias could not be bound: it names another saga.
    pub struct AliasTaken {
        /// Who wanted it.
        pub saga: SagaId,
        /// The alias's name.
        pub alias: String,
        /// Its value.
        pub value: String,
        /// Whom it names.
        pub holder: SagaId,
    }
}

avro_record! {
    /// An event that names a saga by an alias, on its way from the alias's partition to the saga's.
    pub struct DeliverEvent {
        /// Whom it concerns.
        pub saga: SagaId,
        /// The clause it meets.
        pub target: Target,
        /// Where it comes from.
        pub origin: EventOrigin,
        /// The domain topic's name.
        pub topic: String,
        /// The broker's timestamp of the event there, milliseconds since 1970.
        pub timestamp: i64,
        /// The event.
        pub data: Bytes,
        /// What `data` is.
        pub content_type: String,
        /// W3C trace context of the event, for traces only.
        pub traceparent: Option<String>,
    }
}

avro_enum! {
    /// What a broadcast says of its subject.
    pub enum BroadcastKind {
        /// New work waits.
        Pause,
        /// Work goes on.
        Resume,
        /// The participant does not answer.
        CircuitOpen,
        /// The participant answers again.
        CircuitClosed,
        /// The definition takes no more sagas.
        Retire,
    }
}

avro_record! {
    /// The same word to every partition. The highest version wins.
    pub struct Broadcast {
        /// `participant/NAME`, `definition/NAME` or `all`.
        pub subject: String,
        /// What of it.
        pub kind: BroadcastKind,
        /// Higher than the last of this subject.
        pub version: i64,
        /// Who said so.
        pub by: String,
        /// Why.
        pub reason: String,
    }
}
