//! Schemas that logs were written with, for ever, and how their records are read today. A cold path: a log is written with one schema
//! until its rules' version is raised. A released folder never changes; `tests/evolution.rs` says how one is made.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::Value as Json;

use crate::schema::{self, TopicSchema};

/// One released version: a folder under `released/`.
pub struct Release {
    /// The folder's name.
    pub version: &'static str,
    /// Its `inbox.avsc`.
    pub inbox: &'static str,
    /// Its `command.avsc`.
    pub command: &'static str,
    /// Its `event.avsc`.
    pub event: &'static str,
    /// Its `parked.avsc`.
    pub parked: &'static str,
}

macro_rules! releases {
    ($($version:literal),*) => {
        &[$(Release {
            version: $version,
            inbox: include_str!(concat!("../released/", $version, "/inbox.avsc")),
            command: include_str!(concat!("../released/", $version, "/command.avsc")),
            event: include_str!(concat!("../released/", $version, "/event.avsc")),
            parked: include_str!(concat!("../released/", $version, "/parked.avsc")),
        }),*]
    };
}

/// Every released version, oldest first.
pub static RELEASES: &[Release] = releases!["v1"];

/// What was ever written to `inbox`, as it is read today.
pub static INBOX: LazyLock<Evolution> =
    LazyLock::new(|| Evolution::of_ours(&schema::INBOX, RELEASES.iter().map(|release| release.inbox)));
/// What was ever written to `commands.<participant>`, as it is read today.
pub static COMMAND: LazyLock<Evolution> =
    LazyLock::new(|| Evolution::of_ours(&schema::COMMAND, RELEASES.iter().map(|release| release.command)));

/// A schema of today and those before it.
pub struct Evolution {
    today: Schema,
    before: Vec<(u64, Schema)>,
}

/// Why a value can't be read as today's schema writes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranslateError {
    /// No release has such a schema.
    #[error("no release has the schema {0:016x}")]
    Unknown(u64),
    /// The bytes are not what their schema promises, or today's schema can't take them.
    #[error("a value of the older schema {schema:016x} can't be read: {reason}")]
    Unreadable {
        /// The fingerprint of the schema that it claims.
        schema: u64,
        /// What is wrong.
        reason: String,
    },
}

/// Most bytes of one field that apache-avro makes room for because the record says so. Far above any broker's limit on records.
const MAX_FIELD: usize = 64 * 1024 * 1024;

impl Evolution {
    /// From today's schema and those before it, as JSON.
    ///
    /// # Errors
    /// When one of them is no schema.
    pub fn new<'a>(today: &Json, before: impl IntoIterator<Item = &'a str>) -> Result<Self, apache_avro::Error> {
        apache_avro::util::max_allocation_bytes(MAX_FIELD);
        let before = before.into_iter().map(|text| {
            let schema = Schema::parse_str(text)?;
            Ok((schema::fingerprint(&schema), schema))
        });
        Ok(Self { today: Schema::parse(today)?, before: before.collect::<Result<_, apache_avro::Error>>()? })
    }

    fn of_ours<'a>(today: &TopicSchema, before: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(&today.json, before).expect("a test parses every release")
    }

    /// The Avro binary form by an older schema, rewritten in that of today.
    ///
    /// # Errors
    /// When the schema is unknown, or the bytes are not its form.
    pub fn translate(&self, schema: u64, datum: &[u8]) -> Result<Vec<u8>, TranslateError> {
        let writer = self.before.iter().find(|(known, _)| *known == schema).map(|(_, writer)| writer);
        let reason = match self.rewritten(writer.ok_or(TranslateError::Unknown(schema))?, datum) {
            Ok(Some(rewritten)) => return Ok(rewritten),
            Ok(None) => "it does not end where its schema ends".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(TranslateError::Unreadable { schema, reason })
    }

    /// None where bytes are left, or missing: apache-avro takes a missing union at the end for null, so what it has read is measured.
    fn rewritten(&self, writer: &Schema, datum: &[u8]) -> Result<Option<Vec<u8>>, apache_avro::Error> {
        let mut rest = datum;
        let value = GenericDatumReader::builder(writer).build()?.read_value(&mut rest)?;
        let mut read = Vec::with_capacity(datum.len());
        GenericDatumWriter::builder(writer).build()?.write_value_ref(&mut read, &value)?;
        if !rest.is_empty() || read.len() > datum.len() {
            return Ok(None);
        }
        let value = value.resolve(&self.today)?;
        GenericDatumWriter::builder(&self.today).build()?.write_value_to_vec(value).map(Some)
    }
}
