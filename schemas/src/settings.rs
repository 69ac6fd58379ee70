//! What the fold reads of an operator's wishes. It lies in the log, never in a file: each partition's copy alike.

use crate::{avro_enum, avro_record};

avro_enum! {
    /// What is written to the `events` topic.
    pub enum Events {
        /// Nothing.
        Nothing,
        /// Starts, ends, stuck.
        Ends,
        /// Every step too.
        Steps,
    }
}

avro_record! {
    /// Limits and retention, in bytes and milliseconds.
    pub struct Settings {
        /// Largest payload: an event, an input, a result.
        pub max_payload: u32,
        /// Largest record on any topic; at least `max_payload` and 64 KiB more.
        pub max_record: u32,
        /// Most effects of one saga.
        pub max_effects: u32,
        /// Outputs that one channel may hold before starts that need it are refused at the door.
        pub max_outbox: u32,
        /// How long an ended saga's key, report and history are kept.
        pub keep_ended: i64,
        /// How long a request's id and result are kept; an older request is refused.
        pub keep_requests: i64,
        /// How long an event that nobody waits for yet is kept.
        pub keep_early_events: i64,
        /// Most such events per saga.
        pub max_mailbox: u32,
        /// What a definition must wait between becoming known and becoming active.
        pub activation_delay: i64,
        /// What is written to the `events` topic.
        pub events: Events,
        /// Most bytes of a parked record's body that are copied.
        pub max_parked: u32,
    }
}

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_payload: 256 * 1024,
            max_record: 1024 * 1024,
            max_effects: 10_000,
            max_outbox: 1_000_000,
            keep_ended: 90 * DAY,
            keep_requests: 7 * DAY,
            keep_early_events: 7 * DAY,
            max_mailbox: 1_000,
            activation_delay: MINUTE / 2,
            events: Events::Ends,
            max_parked: 64 * 1024,
        }
    }
}
