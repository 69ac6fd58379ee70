//! The records of the inbox, the only input of a partition: one Avro union, one proof each.
//! A field's order and type are the log's format: they change only by the evolution rules (docs/protocol.md).

use crate::ids::*;
pub use crate::message::*;
use crate::request::Request;
use crate::settings::Settings;
use crate::wire::Bytes;
use crate::{avro_enum, avro_record, avro_union};

avro_record! {
    /// What lies in the inbox topic.
    pub struct Inbox {
        /// What the record says.
        pub body: Body,
        /// Proof over everything before this field; none for a reply, which carries a token instead.
        pub mac: Option<Mac>,
    }
}

avro_union! {
    /// The kinds of inbox records.
    pub enum Body {
        /// The first record of each partition.
        Genesis(Genesis),
        /// Other settings from here on.
        Settings(SettingsChange),
        /// Another version of the rules from here on.
        EngineVersion(EngineVersion),
        /// A participant's contract becomes known.
        Contract(ContractRecord),
        /// A definition becomes known.
        Definition(DefinitionRecord),
        /// A domain event.
        Event(Event),
        /// Another partition has something to say.
        Message(Message),
        /// A person asks for something.
        Request(Request),
        /// A participant answers a command.
        Reply(Reply),
        /// Time, and what the log has acknowledged.
        Progress(Progress),
        /// An input that kills the fold is to be passed over.
        Fault(Fault),
    }
}

avro_record! {
    /// The first record of each inbox partition: what an inbox is, for ever.
    pub struct Genesis {
        /// The inbox's identity, the same in each of its partitions.
        pub log_id: LogId,
        /// Which partition this is.
        pub partition: u32,
        /// How many partitions the inbox has, for ever.
        pub partitions: u32,
        /// The inbox topic's name: where commands ask for their replies.
        pub topic: String,
        /// The version of the fold's rules that this log begins with.
        pub rules_version: u32,
        /// The settings that this log begins with.
        pub settings: Settings,
        /// The name of the key that proves records.
        pub key_id: String,
        /// That key's fingerprint: a node that holds another key refuses the partition.
        pub key_fingerprint: Fingerprint,
        /// The creator's wall clock, milliseconds since 1970.
        pub wall: i64,
    }
}

avro_record! {
    /// Other settings from here on.
    pub struct SettingsChange {
        /// Higher than that of the settings in force.
        pub version: i64,
        /// All settings, not only the changed ones.
        pub settings: Settings,
        /// Who changed them, for people.
        pub by: String,
    }
}

avro_record! {
    /// Another version of the fold's rules from here on.
    pub struct EngineVersion {
        /// Higher than the version in force.
        pub version: u32,
        /// Who raised it, for people.
        pub by: String,
    }
}

avro_record! {
    /// A participant's contract becomes known. It never changes: another one has another digest.
    pub struct ContractRecord {
        /// Digest of the normal form.
        pub digest: Digest,
        /// The contract, as canonical JSON.
        pub normal_form: Bytes,
        /// Partitions of the participant's command topic.
        pub command_partitions: u32,
        /// Who applied it, for people.
        pub by: String,
    }
}

avro_record! {
    /// A definition becomes known. Nothing switches by it: a start names the digest it wants.
    pub struct DefinitionRecord {
        /// Digest of the normal form.
        pub digest: Digest,
        /// The definition, as canonical JSON.
        pub normal_form: Bytes,
        /// Digests of the contracts it uses, each known before it.
        pub contracts: Vec<Digest>,
        /// Who applied it, for people.
        pub by: String,
    }
}

avro_record! {
    /// Where a domain event comes from, and what was sent here before it.
    pub struct EventOrigin {
        /// The domain topic's identity.
        pub topic_id: TopicId,
        /// Its partition.
        pub partition: u32,
        /// A replay on purpose counts up; 0 otherwise. Each generation is a numbered channel of its own.
        pub generation: u32,
        /// `at` of the record sent before this one to this inbox partition in the same run of ingress; -1 for its first.
        pub prev: i64,
        /// The event's offset there.
        pub at: i64,
    }
}

avro_record! {
    /// A domain event with all its targets in this partition.
    pub struct Event {
        /// Where it comes from.
        pub origin: EventOrigin,
        /// The domain topic's name.
        pub topic: String,
        /// The broker's timestamp of the event there, milliseconds since 1970.
        pub timestamp: i64,
        /// The event itself.
        pub data: Bytes,
        /// What `data` is; `application/json` unless said.
        pub content_type: String,
        /// W3C trace context of the event, for traces only.
        pub traceparent: Option<String>,
        /// Whom it concerns.
        pub targets: Vec<Target>,
        /// Why the event itself could not be taken over; then `data` is empty and there are no targets.
        pub skipped: Option<String>,
    }
}

avro_enum! {
    /// Which kind of clause of a definition an event meets.
    pub enum ClauseKind {
        /// `start`: a saga begins.
        Start,
        /// `facts`: the world is no longer as it was.
        Fact,
        /// A step's `wait`.
        Wait,
        /// `react` or `expect` on an event.
        React,
    }
}

avro_record! {
    /// One clause of one definition that an event meets.
    pub struct Target {
        /// Digest of the definition.
        pub definition: Digest,
        /// Which kind of clause.
        pub clause: ClauseKind,
        /// The fact's or step's name; empty for a start.
        pub name: String,
        /// What the clause's `key` gave: a saga's key, or the alias's value where `via` says so.
        pub key: String,
        /// The alias by which the key names the saga.
        pub via: Option<String>,
    }
}

avro_enum! {
    /// What a command wants.
    pub enum Kind {
        /// Do it.
        Do,
        /// Undo it.
        Compensate,
        /// Was it done?
        Probe,
        /// A question that changes nothing.
        Ask,
    }
}

avro_record! {
    /// One attempt at one effect.
    pub struct Address {
        /// The saga.
        pub saga: SagaId,
        /// The step's path in the definition.
        pub step: String,
        /// Indices of the items, outermost first; empty outside `for_each`.
        pub items: Vec<u32>,
        /// How often the step was begun anew before.
        pub round: u32,
        /// What was wanted.
        pub kind: Kind,
        /// Which attempt of that kind, from 1.
        pub attempt: u32,
    }
}

avro_record! {
    /// What became of a command.
    pub struct Reply {
        /// The command's address, returned.
        pub address: Address,
        /// The command's token, returned.
        pub token: Token,
        /// What became of it.
        pub answer: Answer,
        /// Which instance of the participant answers, for people.
        pub instance: String,
        /// The participant's wall clock, for people: milliseconds since 1970.
        pub time: i64,
    }
}

avro_union! {
    /// What became of a command.
    pub enum Answer {
        /// Done.
        Succeeded(Succeeded),
        /// Definitely not done, and never will be: recorded before it was said.
        Refused(Refused),
        /// This attempt brought nothing; whether something happened is not known.
        Failed(Failed),
        /// Under way.
        Working(Working),
        /// Undone.
        Compensated(Compensated),
        /// There was nothing to undo, and there never will be: a tombstone refuses the effect from now on.
        NothingThere(NothingThere),
        /// What a probe found.
        Probed(Probed),
        /// What the effect store holds instead of an answer.
        Mark(Mark),
    }
}

avro_record! {
    /// Done.
    pub struct Succeeded {
        /// The operation's result, canonical JSON.
        pub result: Bytes,
    }
}

avro_record! {
    /// Definitely not done.
    pub struct Refused {
        /// One of the contract's `refuses`.
        pub code: String,
        /// For people.
        pub detail: String,
    }
}

avro_record! {
    /// This attempt brought nothing.
    pub struct Failed {
        /// For people.
        pub error: String,
        /// Not before this many milliseconds; none: the step's own backoff.
        pub retry_after: Option<i64>,
        /// What all commands of this participant need is away, not only what this one needs: the attempt is given back.
        pub outage: bool = false,
    }
}

avro_record! {
    /// Under way.
    pub struct Working {
        /// When the attempt's time is up instead: milliseconds since 1970.
        pub until: i64,
    }
}

avro_record! {
    /// Undone.
    pub struct Compensated {
        /// What the compensating operation returned, canonical JSON.
        pub result: Option<Bytes>,
    }
}

avro_record! {
    /// There was nothing to undo.
    pub struct NothingThere {}
}

avro_enum! {
    /// Whether an effect happened.
    pub enum Happened {
        /// It did.
        Yes,
        /// It did not, and never will.
        No,
        /// Nobody can say.
        Unknown,
    }
}

avro_record! {
    /// What a probe found.
    pub struct Probed {
        /// Whether the effect happened.
        pub happened: Happened,
        /// The effect's result, canonical JSON, where it did.
        pub result: Option<Bytes>,
        /// What the probe's operation returned, canonical JSON: what the business knows of the effect now. None: nobody asked it.
        pub found: Option<Bytes> = null,
    }
}

avro_enum! {
    /// What the effect store holds instead of an answer.
    pub enum MarkKind {
        /// The effect was made void before it was done.
        Tombstoned,
        /// The effect was undone.
        AlreadyCompensated,
        /// The effect is older than the store remembers.
        Forgotten,
    }
}

avro_record! {
    /// What the effect store holds instead of an answer.
    pub struct Mark {
        /// Which.
        pub mark: MarkKind,
    }
}

avro_record! {
    /// The partition's owner: time passes, and the log has acknowledged outputs.
    pub struct Progress {
        /// The owner's wall clock, milliseconds since 1970.
        pub wall: i64,
        /// Offset of the writer's claim; none in the claim itself, which begins its term.
        pub since: Option<i64>,
        /// Per channel: acknowledged up to here. Empty in a claim.
        pub acked: Vec<Acked>,
        /// Who writes, for people.
        pub node: String,
    }
}

avro_record! {
    /// One channel's outputs are acknowledged by the log up to a position.
    pub struct Acked {
        /// The channel's name.
        pub channel: String,
        /// Position of the last acknowledged output.
        pub through: Position,
        /// The partition's output hash right after that output.
        pub hash: OutputHash,
    }
}

avro_record! {
    /// An input that kills the fold is to be passed over.
    pub struct Fault {
        /// Which input.
        pub offset: i64,
        /// Which timer within it; 0 for the record itself.
        pub timer: u32,
        /// Who says so.
        pub by: String,
        /// Why.
        pub reason: String,
    }
}
