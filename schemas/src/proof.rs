//! Proofs: who may write to the inbox topic must not be able to forge what others say. 16 bytes, no extra hop.
//! The key's bytes never leave this file but through `Key::to_hex`, which only writes the key's own file.

use std::fmt;
use std::str::FromStr;

use crate::command::Command;
use crate::hash::{Preimage, first_16};
use crate::ids::*;
use crate::record::{Body, Inbox};
use crate::released::{self, Evolution, TranslateError};
use crate::schema;
use crate::wire::{Reader, Wire, WireError, put_long};

/// The secret of one log. It never prints itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: String,
    secret: [u8; 32],
}

impl Key {
    /// A key of this name.
    pub fn new(id: impl Into<String>, secret: [u8; 32]) -> Self {
        Self { id: id.into(), secret }
    }

    /// The key's name, as Genesis tells it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Names the secret without telling it.
    pub fn fingerprint(&self) -> Fingerprint {
        let hash = blake3::keyed_hash(&self.secret, Preimage::new("fingerprint").as_bytes());
        Fingerprint(hash.as_bytes()[..8].try_into().expect("a BLAKE3 hash has 32 bytes"))
    }

    /// `ID:64 hexadecimal digits`, for the key's file. A secret.
    pub fn to_hex(&self) -> String {
        format!("{}:{}", self.id, Digest(self.secret))
    }

    /// `token`: returned by who has read the command.
    pub fn token(&self, log_id: LogId, partition: Partition, command: CommandId, content: Content) -> Token {
        let preimage =
            Preimage::new("reply").fixed(&log_id.0).u32(partition).fixed(command.as_bytes()).fixed(&content.0);
        Token(first_16(blake3::keyed_hash(&self.secret, preimage.as_bytes())))
    }

    /// `mac` over a record's value up to its mac field.
    pub fn mac(&self, log_id: LogId, partition: Partition, value: &[u8]) -> Mac {
        let preimage = Preimage::new("record").fixed(&log_id.0).u32(partition);
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(preimage.as_bytes()).update(value);
        Mac(first_16(hasher.finalize()))
    }

    /// Over an entry of the registry: its record's key and value.
    pub fn entry(&self, log_id: LogId, key: &[u8], value: &[u8]) -> Mac {
        let preimage = Preimage::new("entry").fixed(&log_id.0).bytes(key);
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(preimage.as_bytes()).update(value);
        Mac(first_16(hasher.finalize()))
    }

    /// Over a document about the log that lies outside of it, of one kind: a checkpoint, a word about one.
    pub fn document(&self, log_id: LogId, kind: &str, content: &[u8]) -> Digest {
        let preimage = Preimage::new("document").fixed(&log_id.0).bytes(kind.as_bytes());
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(preimage.as_bytes()).update(content);
        Digest(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {})", self.id, self.fingerprint())
    }
}

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key is written as NAME:64 hexadecimal digits")]
pub struct ParseKeyError;

impl FromStr for Key {
    type Err = ParseKeyError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (id, hex) = s.trim().split_once(':').ok_or(ParseKeyError)?;
        let Digest(secret) = hex.parse().map_err(|_| ParseKeyError)?;
        if id.is_empty() { Err(ParseKeyError) } else { Ok(Self::new(id, secret)) }
    }
}

/// What opens every value: Avro's single-object marker and the fingerprint of the writer's schema, little-endian.
pub const MARKER: [u8; 2] = [0xc3, 0x01];

/// A record as it lies in the log, and how much of it the mac covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The record.
    pub inbox: Inbox,
    /// Bytes before the mac field.
    pub covered: usize,
}

/// Why a value is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not Avro's single-object encoding.
    #[error("the value does not begin with Avro's single-object marker")]
    NoMarker,
    /// Written with a schema that this log's rules do not know.
    #[error("the value was written with the unknown schema {0:016x}")]
    UnknownSchema(u64),
    /// Written with a schema that was released once, but not readable by it.
    #[error(transparent)]
    Untranslatable(TranslateError),
    /// Not the bytes that the schema promises.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl From<TranslateError> for OpenError {
    fn from(error: TranslateError) -> Self {
        match error {
            TranslateError::Unknown(schema) => Self::UnknownSchema(schema),
            unreadable @ TranslateError::Unreadable { .. } => Self::Untranslatable(unreadable),
        }
    }
}

/// Writes a value of one schema: marker, fingerprint, Avro binary.
pub fn write_single_object(schema: u64, value: &impl Wire) -> Vec<u8> {
    // A command with a payload of some hundred bytes fits without growing.
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&schema.to_le_bytes());
    value.encode(&mut out);
    out
}

/// The Avro binary behind marker and fingerprint.
///
/// # Errors
/// When the marker is missing or the schema another.
pub fn open_single_object(schema: u64, value: &[u8]) -> Result<Reader<'_>, OpenError> {
    let rest = value.strip_prefix(&MARKER).ok_or(OpenError::NoMarker)?;
    let (fingerprint, rest) = rest.split_first_chunk::<8>().ok_or(WireError::Truncated)?;
    let fingerprint = u64::from_le_bytes(*fingerprint);
    if fingerprint != schema {
        return Err(OpenError::UnknownSchema(fingerprint));
    }
    Ok(Reader::new(rest))
}

/// Seals a record that its key's holder writes.
pub fn seal(schema: u64, key: &Key, log_id: LogId, partition: Partition, body: &Body) -> Vec<u8> {
    let mut out = write_single_object(schema, body);
    let mac = key.mac(log_id, partition, &out);
    put_long(&mut out, 1);
    mac.encode(&mut out);
    out
}

/// Writes a record without a mac: a participant's reply.
pub fn unsealed(schema: u64, body: &Body) -> Vec<u8> {
    let mut out = write_single_object(schema, body);
    put_long(&mut out, 0);
    out
}

/// Reads a value from the inbox, whichever release wrote it. Its mac is not yet looked at.
///
/// # Errors
/// When the bytes are no record.
pub fn open(schema: u64, value: &[u8]) -> Result<Opened, OpenError> {
    let mut input = match open_single_object(schema, value) {
        Err(OpenError::UnknownSchema(older)) => return open_older(&released::INBOX, older, value),
        other => other?,
    };
    let body = Body::decode(&mut input)?;
    let covered = value.len() - input.rest().len();
    let mac = Option::<Mac>::decode(&mut input)?;
    input.finish()?;
    Ok(Opened { inbox: Inbox { body, mac }, covered })
}

/// Reads a value that an older release wrote. The proof is over its bytes as they lie in the log, and the mac field is the last
/// in every release: a branch number alone, or with 16 bytes.
///
/// # Errors
/// When the bytes are no record of that release.
pub fn open_older(evolution: &Evolution, schema: u64, value: &[u8]) -> Result<Opened, OpenError> {
    let datum = value.get(MARKER.len() + 8..).ok_or(WireError::Truncated)?;
    let inbox = Inbox::from_bytes(&evolution.translate(schema, datum)?)?;
    let proof = if inbox.mac.is_some() { 17 } else { 1 };
    Ok(Opened { inbox, covered: value.len() - proof })
}

/// Reads a command, whichever release wrote it.
///
/// # Errors
/// When the bytes are no command.
pub fn open_command(value: &[u8]) -> Result<Command, OpenError> {
    match open_single_object(schema::COMMAND.fingerprint, value) {
        Err(OpenError::UnknownSchema(older)) => {
            let datum = value.get(MARKER.len() + 8..).ok_or(WireError::Truncated)?;
            Ok(Command::from_bytes(&released::COMMAND.translate(older, datum)?)?)
        }
        other => Ok(Command::from_bytes(other?.rest())?),
    }
}
