//! What lies in `events` and `parked`: for anyone who wants to know what became of sagas, and of records nobody could use.

use crate::ids::*;
use crate::record::End;
use crate::wire::Bytes;
use crate::{avro_enum, avro_record, avro_union};

avro_record! {
    /// Something happened that others may want to know.
    pub struct Notice {
        /// This notice: the same when it is published again.
        pub id: OutputId,
        /// Log time, milliseconds since 1970.
        pub time: i64,
        /// Inbox partition of the cause.
        pub partition: u32,
        /// Its offset there.
        pub offset: i64,
        /// What happened.
        pub body: NoticeBody,
    }
}

avro_union! {
    /// What happened.
    pub enum NoticeBody {
        /// To a saga.
        Saga(SagaEvent),
        /// To a participant, as this partition sees it.
        Participant(ParticipantEvent),
    }
}

avro_enum! {
    /// What happened to a saga.
    pub enum SagaEventKind {
        /// It began.
        Started,
        /// A step is done.
        StepDone,
        /// A step counts as done without its effect.
        StepSkipped,
        /// A step was refused.
        StepRefused,
        /// A step's attempts are used up.
        StepFailed,
        /// A step waits for an event or a person.
        Waiting,
        /// Somebody is reminded of a wait.
        Reminded,
        /// A wait goes to somebody else.
        Escalated,
        /// An approval or a named decision is taken.
        Decided,
        /// A step rests with a work item.
        Held,
        /// A held step goes on.
        Released,
        /// It goes back.
        Compensating,
        /// An effect is undone.
        StepCompensated,
        /// It needs a person.
        Stuck,
        /// It goes on again.
        Resumed,
        /// It, or a step of it, takes longer than it should.
        Overdue,
        /// It ended.
        Ended,
    }
}

avro_record! {
    /// Something happened to a saga.
    pub struct SagaEvent {
        /// The saga.
        pub saga: SagaId,
        /// The definition's name.
        pub definition: String,
        /// The definition's version.
        pub version: String,
        /// The correlation id.
        pub key: String,
        /// Whose it is.
        pub owner: String,
        /// What happened.
        pub kind: SagaEventKind,
        /// The step concerned.
        pub step: Option<String>,
        /// Indices of the items; empty outside `for_each`.
        pub items: Vec<u32>,
        /// How it ended.
        pub end: Option<End>,
        /// Details, canonical JSON: a refusal's code, a cause, the world report at an end.
        pub detail: Bytes,
    }
}

avro_enum! {
    /// What happened to a participant.
    pub enum ParticipantEventKind {
        /// It does not answer: commands to it are held.
        CircuitOpened,
        /// It answers again.
        CircuitClosed,
        /// A person holds its commands.
        Paused,
        /// They flow again.
        Resumed,
    }
}

avro_record! {
    /// Something happened to a participant, as one partition sees it.
    pub struct ParticipantEvent {
        /// The participant.
        pub participant: String,
        /// Whose it is.
        pub owner: String,
        /// What happened.
        pub kind: ParticipantEventKind,
        /// Log time when the outage or pause began.
        pub since: i64,
        /// Steps that it holds in this partition.
        pub held: i64,
        /// Why, for people.
        pub reason: String,
    }
}

avro_enum! {
    /// Why a record was set aside.
    pub enum ParkedReason {
        /// Not a record of a known form.
        Undecodable,
        /// Its proof is missing or wrong.
        Unproven,
        /// Its channel has a hole before it.
        Gap,
        /// It concerns no saga that is known.
        Unknown,
        /// It contradicts what is in force.
        Refused,
        /// It is larger than the settings allow.
        TooLarge,
        /// It names a definition or contract that is not known here.
        NotKnown,
        /// It is older than what is remembered.
        Expired,
        /// Another publisher's outputs differ.
        Diverged,
        /// A person had it passed over.
        Fault,
        /// The event itself could not be taken over.
        Skipped,
    }
}

avro_record! {
    /// A record that was set aside: visible, and fit to be sent again.
    pub struct Parked {
        /// This output.
        pub id: OutputId,
        /// Why.
        pub reason: ParkedReason,
        /// Why, for people: what is wrong and what would help.
        pub detail: String,
        /// Inbox partition of the record.
        pub partition: u32,
        /// Its offset there.
        pub offset: i64,
        /// Log time, milliseconds since 1970.
        pub time: i64,
        /// Length of the record, bytes.
        pub length: i64,
        /// BLAKE3 of the whole record.
        pub digest: Digest,
        /// The record, or its beginning.
        pub body: Bytes,
    }
}
