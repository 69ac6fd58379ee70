//! What people ask of sagas, through the API. First in the log wins; asking twice with one id is asking once.

use crate::ids::*;
use crate::wire::Bytes;
use crate::{avro_enum, avro_record, avro_union};

avro_record! {
    /// A person's request.
    pub struct Request {
        /// Chosen by who asks.
        pub id: RequestId,
        /// Who asks, as the API knows them.
        pub by: String,
        /// The roles that the API knows them to have: `role/NAME`.
        pub roles: Vec<String>,
        /// When it was asked by the API's wall clock, milliseconds since 1970.
        pub issued: i64,
        /// Whom it concerns.
        pub target: RequestTarget,
        /// What is asked.
        pub body: RequestBody,
    }
}

avro_union! {
    /// Whom a request concerns.
    pub enum RequestTarget {
        /// One saga, by its id.
        Saga(SagaTarget),
        /// The saga, live or to be, of one key.
        Key(KeyTarget),
        /// A participant, a definition, or the whole partition.
        Scope(ScopeTarget),
    }
}

avro_record! {
    /// One saga, by its id.
    pub struct SagaTarget {
        /// The saga.
        pub saga: SagaId,
    }
}

avro_record! {
    /// The saga of one key.
    pub struct KeyTarget {
        /// The definition's name.
        pub definition: String,
        /// The correlation id.
        pub key: String,
    }
}

avro_record! {
    /// A participant, a definition, or the whole partition.
    pub struct ScopeTarget {
        /// `participant/NAME`, `definition/NAME` or `all`.
        pub subject: String,
    }
}

avro_record! {
    /// One step of the saga, as people name it.
    pub struct StepTarget {
        /// The step's path.
        pub step: String,
        /// Indices of the items; empty outside `for_each`.
        pub items: Vec<u32>,
        /// The round meant; none: the newest.
        pub round: Option<u32>,
    }
}

avro_union! {
    /// What is asked.
    pub enum RequestBody {
        /// A saga is to begin.
        Start(StartRequest),
        /// Go back.
        Cancel(CancelRequest),
        /// Something has happened that no topic tells.
        Signal(SignalRequest),
        /// An approval is decided.
        Decide(DecideRequest),
        /// Try again.
        Retry(RetryRequest),
        /// What became of an effect is settled by hand.
        Confirm(ConfirmRequest),
        /// Leave a step out.
        Skip(SkipRequest),
        /// End the saga by hand.
        Close(CloseRequest),
        /// A fact is set by hand.
        SetFact(SetFactRequest),
        /// A step or saga is to rest.
        Hold(HoldRequest),
        /// A held step or saga goes on.
        Release(ReleaseRequest),
        /// New work of the scope is to wait.
        Pause(PauseRequest),
        /// Work of the scope goes on.
        Resume(ResumeRequest),
        /// The saga is somebody's from now on.
        Assign(AssignRequest),
        /// A remark for the history.
        Note(NoteRequest),
        /// The saga goes on under another version of its definition.
        Migrate(MigrateRequest),
        /// The definition takes no more sagas.
        Retire(RetireRequest),
    }
}

avro_record! {
    /// A saga is to begin.
    pub struct StartRequest {
        /// Digest of the definition.
        pub definition: Digest,
        /// The saga's input, canonical JSON.
        pub input: Bytes,
        /// W3C trace context.
        pub traceparent: Option<String>,
    }
}

avro_record! {
    /// Go back: undo what was done.
    pub struct CancelRequest {
        /// Why.
        pub reason: String,
    }
}

avro_record! {
    /// Something has happened that no topic tells.
    pub struct SignalRequest {
        /// The waiting step's name.
        pub name: String,
        /// What has happened, canonical JSON.
        pub data: Bytes,
    }
}

avro_record! {
    /// An approval is decided.
    pub struct DecideRequest {
        /// The approving step.
        pub step: StepTarget,
        /// Version of the work item that was looked at.
        pub version: i64,
        /// One of its choices.
        pub choice: String,
        /// Why.
        pub comment: String,
        /// In whose name, where somebody decides for another.
        pub on_behalf_of: Option<String>,
    }
}

avro_record! {
    /// Try again.
    pub struct RetryRequest {
        /// Which step; none: whatever the saga is stuck at.
        pub step: Option<StepTarget>,
        /// With this input instead, canonical JSON.
        pub input: Option<Bytes>,
        /// Why.
        pub reason: String,
    }
}

avro_enum! {
    /// What somebody has found out about an effect.
    pub enum Finding {
        /// It was done.
        Done,
        /// It was not done.
        NotDone,
        /// It was done and has been undone.
        Undone,
    }
}

avro_record! {
    /// What became of an effect is settled by hand.
    pub struct ConfirmRequest {
        /// The step whose effect is meant.
        pub step: StepTarget,
        /// What was found.
        pub finding: Finding,
        /// The effect's result, canonical JSON, where it was done.
        pub result: Option<Bytes>,
        /// Why.
        pub reason: String,
        /// Where the proof lies.
        pub evidence: String,
    }
}

avro_record! {
    /// Leave a step out.
    pub struct SkipRequest {
        /// Which step.
        pub step: StepTarget,
        /// Why.
        pub reason: String,
    }
}

avro_record! {
    /// End the saga by hand.
    pub struct CloseRequest {
        /// Why.
        pub reason: String,
        /// Where the proof lies that the world is as it should be.
        pub evidence: String,
    }
}

avro_record! {
    /// A fact is set by hand.
    pub struct SetFactRequest {
        /// The fact's name.
        pub fact: String,
        /// Its value, canonical JSON.
        pub value: Bytes,
        /// Its version in the fact's `seq`; none: holds until a higher one comes.
        pub seq: Option<i64>,
        /// Why.
        pub reason: String,
    }
}

avro_record! {
    /// A step or saga is to rest.
    pub struct HoldRequest {
        /// Which step; none: the saga.
        pub step: Option<StepTarget>,
        /// Why.
        pub reason: String,
    }
}

avro_record! {
    /// A held step or saga goes on.
    pub struct ReleaseRequest {
        /// Which step; none: the saga.
        pub step: Option<StepTarget>,
        /// Why.
        pub reason: String,
    }
}

avro_record! {
    /// New work of the scope is to wait.
    pub struct PauseRequest {
        /// Higher than the scope's last.
        pub version: i64,
        /// Why.
        pub reason: String,
    }
}

avro_record! {
    /// Work of the scope goes on.
    pub struct ResumeRequest {
        /// Higher than the scope's last.
        pub version: i64,
        /// Why.
        pub reason: String,
    }
}

avro_record! {
    /// The saga is somebody's from now on.
    pub struct AssignRequest {
        /// The new owner.
        pub owner: String,
        /// Why.
        pub reason: String,
    }
}

avro_record! {
    /// A remark for the history.
    pub struct NoteRequest {
        /// The remark.
        pub text: String,
    }
}

avro_record! {
    /// The saga goes on under another version of its definition.
    pub struct MigrateRequest {
        /// Digest of the other version.
        pub definition: Digest,
        /// Why.
        pub reason: String,
    }
}

avro_record! {
    /// The definition takes no more sagas.
    pub struct RetireRequest {
        /// Digest of the definition.
        pub definition: Digest,
        /// Why.
        pub reason: String,
    }
}
