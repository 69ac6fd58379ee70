//! The Avro schemas of the topics, as text and fingerprint. They come from the types themselves; `avro/*.avsc` are their printed form.

use std::sync::LazyLock;

use serde_json::Value as Json;

use crate::command::Command;
use crate::output::{Notice, Parked};
use crate::record::Inbox;
use crate::wire::{AvroType, Named};

/// One topic's schema.
pub struct TopicSchema {
    /// The file's name under `avro/`, without ending.
    pub name: &'static str,
    /// The schema, as JSON.
    pub json: Json,
    /// CRC-64-AVRO of its canonical form: what single-object encoding names it by.
    pub fingerprint: u64,
}

impl TopicSchema {
    fn of<T: AvroType>(name: &'static str) -> Self {
        let json = T::schema(&mut Named::default());
        let schema =
            apache_avro::Schema::parse(&json).expect("our own types have valid schemas: a test parses them all");
        Self { name, fingerprint: fingerprint(&schema), json }
    }

    /// The schema as `avro/*.avsc` has it: JSON for people.
    pub fn printed(&self) -> String {
        let text = serde_json::to_string_pretty(&self.json).expect("JSON has a text");
        text + "\n"
    }
}

/// CRC-64-AVRO of a schema's canonical form.
pub fn fingerprint(schema: &apache_avro::Schema) -> u64 {
    let bytes = schema.fingerprint::<apache_avro::rabin::Rabin>().bytes;
    u64::from_le_bytes(bytes[..8].try_into().expect("a Rabin fingerprint has 8 bytes"))
}

/// What lies in `inbox`.
pub static INBOX: LazyLock<TopicSchema> = LazyLock::new(|| TopicSchema::of::<Inbox>("inbox"));
/// What lies in `commands.<participant>`.
pub static COMMAND: LazyLock<TopicSchema> = LazyLock::new(|| TopicSchema::of::<Command>("command"));
/// What lies in `events`.
pub static EVENT: LazyLock<TopicSchema> = LazyLock::new(|| TopicSchema::of::<Notice>("event"));
/// What lies in `parked`.
pub static PARKED: LazyLock<TopicSchema> = LazyLock::new(|| TopicSchema::of::<Parked>("parked"));
