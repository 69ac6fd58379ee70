//! What lies in `commands.<participant>`: enough for a participant to act, to remember and to answer, and nothing else.

use crate::avro_record;
use crate::avro_union;
use crate::ids::*;
use crate::record::Address;
use crate::wire::Bytes;

/// The first number of an attempt that no saga ever makes: what is asked beside the log, of sagas that have ended, is told from what a saga asks by it.
pub const FIRST_ATTEMPT_BESIDE: u32 = 1 << 31;

avro_record! {
    /// What a saga wants of a participant.
    pub struct Command {
        /// Whom to answer about.
        pub address: Address,
        /// This attempt.
        pub command_id: CommandId,
        /// The effect, the same for all attempts, its compensation and its probe: the key of the effect store.
        pub effect_id: EffectId,
        /// To be returned in the reply.
        pub token: Token,
        /// Digest of operation and input: the same for all attempts of an effect and kind.
        pub content: Content,
        /// The operation wanted.
        pub operation: String,
        /// The effect's input, canonical JSON.
        pub input: Bytes,
        /// What is known of the effect, for a compensation; none otherwise.
        pub known: Option<Known>,
        /// Log time of the effect's first do, milliseconds since 1970.
        pub decided: i64,
        /// Log time of the first command of this kind for this effect, milliseconds since 1970.
        pub first: i64,
        /// When the attempt's time is up, as far as is known when it is sent: milliseconds since 1970. For information only.
        pub deadline: i64,
        /// Where replies go.
        pub reply_topic: String,
        /// The partition there. Always this one, whatever the topic's count.
        pub reply_partition: u32,
        /// Definition and key, for people.
        pub saga: String,
        /// W3C trace context.
        pub traceparent: Option<String>,
    }
}

avro_record! {
    /// What a saga knows of an effect that is to be undone. Wraps the union, which Avro allows only inside a record.
    pub struct Known {
        /// What is known.
        pub outcome: KnownOutcome,
    }
}

avro_union! {
    /// Did it happen, as far as the saga knows.
    pub enum KnownOutcome {
        /// It did.
        Succeeded(KnownSucceeded),
        /// It may have.
        Unknown(KnownUnknown),
    }
}

avro_record! {
    /// It did happen.
    pub struct KnownSucceeded {
        /// What it returned, canonical JSON.
        pub result: Bytes,
    }
}

avro_record! {
    /// It may have happened.
    pub struct KnownUnknown {}
}
