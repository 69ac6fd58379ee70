//! What a partition knows beside its sagas, in its binary form. Everything here is a function of the log.

use sagaline_schemas::record::{Event, Kind};
use sagaline_schemas::settings::Settings;
use sagaline_schemas::wire::{Bytes, Reader, Wire, WireError};
use sagaline_schemas::{
    CommandId, Content, Digest, Fingerprint, LogId, Millis, Offset, OutputHash, OutputId, Position, SagaId, wire_enum,
    wire_struct,
};

use crate::rules::Rules;

wire_struct! {
    /// The partition itself.
    pub struct Meta {
        /// The inbox.
        pub log_id: LogId,
        /// Which partition of it.
        pub partition: u32,
        /// Of how many.
        pub partitions: u32,
        /// The inbox topic's name.
        pub topic: String,
        /// The rules in force.
        pub rules_version: u32,
        /// The name of the log's key.
        pub key_id: String,
        /// Its fingerprint.
        pub key_fingerprint: Fingerprint,
        /// Version of the settings in force.
        pub settings_version: i64,
        /// The settings in force.
        pub settings: Settings,
        /// The record that is folded next, or is being folded.
        pub next: Offset,
        /// How far that record is.
        pub folding: Folding,
        /// BLAKE3 of the last whole record.
        pub last_record: Option<Digest>,
        /// Log time.
        pub log_time: Millis,
        /// Every timer due up to here has fired.
        pub fired_through: Millis,
        /// The running hash over all outputs.
        pub output_hash: OutputHash,
        /// Offset of the newest claim.
        pub newest_claim: Option<Offset>,
        /// Who made it.
        pub claimed_by: String,
        /// How far any Progress shows its writer to have folded.
        pub vouched: Option<Position>,
        /// The last Progress whose two clocks disagreed, if none that agreed came since.
        pub clock_fault: Option<ClockFault>,
        /// What came and changed nothing.
        pub counters: Counters,
    }
}

impl Meta {
    /// The rules in force: what they say is asked here, and nowhere else.
    pub fn rules(&self) -> Rules {
        Rules(self.rules_version)
    }
}

wire_enum! {
    /// How far a record is folded.
    pub enum Folding {
        /// Not begun.
        Between,
        /// A Progress: durations begin.
        Beginning {
            /// When they begin.
            base: Millis,
        },
        /// A Progress: timers fire.
        Firing {
            /// How many have.
            timers: u32,
        },
        /// An event: sagas that watch other keys are told.
        Telling {
            /// What is left to tell.
            news: Vec<News>,
            /// Of the first of these, whom it was told last.
            after: Option<SagaId>,
            /// How many sagas were told.
            told: u32,
        },
    }
}

wire_struct! {
    /// A fact that belongs to another key than a saga's own has changed.
    pub struct News {
        /// The definition that has the fact.
        pub definition: Digest,
        /// The fact's name.
        pub fact: String,
        /// The key.
        pub key: String,
    }
}

wire_struct! {
    /// An event that came before its saga.
    pub struct EarlyEvent {
        /// The event, with those of its targets that name this saga.
        pub event: Event,
        /// Log time when it came.
        pub at: Millis,
        /// Log time when it is dropped.
        pub due: Millis,
    }
}

wire_struct! {
    /// Whom an alias names.
    pub struct Bound {
        /// The saga.
        pub saga: SagaId,
        /// The inbox partition where it lives.
        pub partition: u32,
    }
}

wire_struct! {
    /// The newest question about a fact.
    pub struct Asked {
        /// Which asking.
        pub attempt: u32,
        /// What was asked.
        pub content: Content,
    }
}

wire_struct! {
    /// An attempt, or a question about a fact, that waits for its answer, where a contract limits how many may.
    pub struct Seat {
        /// Whose answer.
        pub participant: String,
        /// What is wanted.
        pub kind: Kind,
        /// Which attempt, or which asking.
        pub attempt: u32,
    }
}

wire_struct! {
    /// A Progress whose two clocks disagreed.
    pub struct ClockFault {
        /// Its offset.
        pub offset: Offset,
        /// The owner's clock.
        pub wall: Millis,
        /// The broker's.
        pub timestamp: Millis,
    }
}

wire_struct! {
    /// What came and changed nothing, or was set aside.
    #[derive(Default)]
    pub struct Counters {
        /// Domain events that had come before.
        pub repeated_events: i64,
        /// Messages that had come before.
        pub repeated_messages: i64,
        /// Requests that had come before.
        pub repeated_requests: i64,
        /// Starts of a key that has or had a saga.
        pub repeated_starts: i64,
        /// Records that were set aside.
        pub parked: i64,
        /// Sagas begun.
        pub started: i64,
        /// Sagas ended.
        pub ended: i64,
        /// Events whose saga did not begin in time.
        pub early_dropped: i64,
    }
}

wire_struct! {
    /// What a channel's next output and trimming need.
    #[derive(Default)]
    pub struct Channel {
        /// Position of its newest message: what the next one names as `prev`.
        pub newest: Option<Position>,
        /// Everything up to here is acknowledged and gone.
        pub trimmed: Option<Position>,
        /// Outputs not acknowledged.
        pub length: i64,
    }
}

wire_struct! {
    /// One output that is not acknowledged.
    pub struct Output {
        /// A command's or an output's id.
        pub id: OutputId,
        /// Kafka's record key: the saga's id, or nothing.
        pub key: Bytes,
        /// The partition of its topic; none: by the key, for whoever publishes.
        pub partition: Option<u32>,
        /// The value.
        pub value: Bytes,
        /// The partition's output hash right after it.
        pub hash: OutputHash,
        /// The command it is, where it is one.
        pub command: Option<CommandRef>,
    }
}

impl Output {
    /// The command in an output's binary form, and nothing else of it: an acknowledgement wants no more.
    ///
    /// # Errors
    /// When the bytes are no output.
    pub(crate) fn command_in(bytes: &[u8]) -> Result<Option<CommandRef>, WireError> {
        let mut input = Reader::new(bytes);
        OutputId::decode(&mut input)?;
        input.skip()?;
        Option::<u32>::decode(&mut input)?;
        input.skip()?;
        OutputHash::decode(&mut input)?;
        let command = Option::decode(&mut input)?;
        input.finish()?;
        Ok(command)
    }
}

wire_struct! {
    /// Which attempt a command is.
    pub struct CommandRef {
        /// The command.
        pub id: CommandId,
        /// The saga.
        pub saga: SagaId,
        /// Number of the effect.
        pub effect: u32,
        /// What is wanted.
        pub kind: Kind,
        /// Which attempt.
        pub attempt: u32,
    }
}

/// An attempt, as answers find it: what its command's id is derived from, without deriving it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attempt {
    pub saga: SagaId,
    pub effect: u32,
    pub kind: Kind,
    pub number: u32,
}

impl CommandRef {
    pub(crate) fn attempt(&self) -> Attempt {
        Attempt { saga: self.saga, effect: self.effect, kind: self.kind, number: self.attempt }
    }
}

wire_struct! {
    /// A contract that is known here.
    pub struct KnownContract {
        /// Its normal form.
        pub normal_form: Bytes,
        /// Partitions of the participant's command topic.
        pub command_partitions: u32,
    }
}

wire_struct! {
    /// What became of a request.
    pub struct Answered {
        /// Offset of the request.
        pub offset: Offset,
        /// What became of it.
        pub outcome: RequestOutcome,
    }
}

wire_enum! {
    /// What became of a request.
    pub enum RequestOutcome {
        /// It was taken.
        Taken {
            /// The saga it concerned.
            saga: SagaId,
        },
        /// It is in force, in this partition at once and soon in the others.
        Done,
        /// The key has or had a saga already: this one.
        Exists {
            /// That saga.
            saga: SagaId,
        },
        /// It was not taken.
        Refused {
            /// Why, and what is possible.
            reason: String,
        },
    }
}

wire_struct! {
    /// What happened to a saga by one input.
    pub struct HistoryEntry {
        /// Offset of the input.
        pub offset: Offset,
        /// Number of the timer within it; 0 for the record itself.
        pub timer: u32,
        /// When, for people: log time, or the record's own where that is later.
        pub time: Millis,
        /// What happened, in order.
        pub facts: Vec<sagaline_engine::Fact>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outputs_command_is_found_without_the_rest() {
        let command = CommandRef {
            id: CommandId::from_bytes([1; 16]),
            saga: SagaId::from_bytes([2; 16]),
            effect: 3,
            kind: Kind::Compensate,
            attempt: 4,
        };
        for (partition, command) in [(None, None), (Some(7), Some(command))] {
            let output = Output {
                id: OutputId::from_bytes([5; 16]),
                key: Bytes(vec![6; 16]),
                partition,
                value: Bytes(vec![7; 300]),
                hash: OutputHash([8; 32]),
                command: command.clone(),
            };
            let bytes = output.to_bytes();
            assert_eq!(Output::command_in(&bytes), Ok(command));
            assert_eq!(Output::command_in(&bytes[..bytes.len() - 1]), Err(WireError::Truncated));
            assert_eq!(Output::command_in(&[bytes.as_slice(), &[0]].concat()), Err(WireError::Trailing(1)));
        }
    }
}
