//! Avro binary encoding, written straight from and to our types, with the Avro schema of each.
//! A property test holds it equal to the crate apache-avro. Decoding never panics and never allocates more than its input warrants.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::ids::*;

/// A type with a binary form, which is Avro's. What crosses a process boundary has a schema too: `AvroType`.
pub trait Wire: Sized {
    /// Appends the Avro binary form.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads the Avro binary form.
    ///
    /// # Errors
    /// When the bytes are not that form. Nothing is said of bytes behind it: see `Reader::finish`.
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError>;

    /// The Avro binary form.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.encode(&mut out);
        out
    }

    /// Reads a whole buffer.
    ///
    /// # Errors
    /// When the bytes are not the Avro form of this type, or go on behind it.
    fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut input = Reader::new(bytes);
        let value = Self::decode(&mut input)?;
        input.finish()?;
        Ok(value)
    }
}

/// A type whose binary form an Avro schema describes.
pub trait AvroType: Wire {
    /// The Avro schema. A named type is spelled out where it is met first and named after that.
    fn schema(named: &mut Named) -> Json;
}

/// Names of the Avro types that a schema under construction has spelled out.
#[derive(Default)]
pub struct Named(Vec<&'static str>);

impl Named {
    /// The schema of the named type: in full the first time, its name after that.
    pub fn once(&mut self, name: &'static str, full: impl FnOnce(&mut Self) -> Json) -> Json {
        if self.0.contains(&name) {
            return Json::String(name.to_owned());
        }
        self.0.push(name);
        full(self)
    }
}

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer bytes than the form needs.
    #[error("the record ends early")]
    Truncated,
    /// More bytes than the form needs.
    #[error("{0} bytes follow the record's end")]
    Trailing(usize),
    /// A value outside its type's range.
    #[error("{what} is out of range")]
    Range {
        /// Which kind of value.
        what: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// A map with the same key twice, or out of order: one value must have one form.
    #[error("a map's keys are not in strictly ascending order")]
    MapOrder,
}

/// A cursor over bytes that nobody trusts.
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.bytes.split_at_checked(n).ok_or(WireError::Truncated)?;
        self.bytes = tail;
        Ok(head)
    }

    /// Passes over bytes or text that nobody wants.
    ///
    /// # Errors
    /// When they end early.
    pub fn skip(&mut self) -> Result<(), WireError> {
        let n = self.length()?;
        self.take(n).map(|_| ())
    }

    /// A zigzag variable-length integer of at most 64 bits.
    ///
    /// # Errors
    /// When it ends early or has more than 64 bits.
    pub fn long(&mut self) -> Result<i64, WireError> {
        let mut bits: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            bits |= part << shift;
            if byte & 0x80 == 0 {
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err(WireError::Range { what: "an integer" })
    }

    /// A length or count: never more than the bytes that are left.
    fn length(&mut self) -> Result<usize, WireError> {
        let n = usize::try_from(self.long()?).map_err(|_| WireError::Range { what: "a length" })?;
        if n > self.bytes.len() { Err(WireError::Truncated) } else { Ok(n) }
    }

    /// Which branch of a union or symbol of an enum.
    ///
    /// # Errors
    /// When it is not below `count`.
    pub fn branch(&mut self, count: usize) -> Result<usize, WireError> {
        let n = self.long()?;
        match usize::try_from(n) {
            Ok(n) if n < count => Ok(n),
            _ => Err(WireError::Range { what: "a union's branch" }),
        }
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// When something is.
    pub fn finish(&self) -> Result<(), WireError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(WireError::Trailing(self.bytes.len())) }
    }
}

/// Appends a zigzag variable-length integer.
pub fn put_long(out: &mut Vec<u8>, n: i64) {
    let mut bits = ((n << 1) ^ (n >> 63)) as u64;
    while bits >= 0x80 {
        out.push((bits as u8 & 0x7f) | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

fn put_slice(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// Bytes that the records carry and do not look into: mostly JSON text.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(&self.0).escape_debug())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&String::from_utf8_lossy(&self.0))
    }
}

impl Wire for Bytes {
    fn encode(&self, out: &mut Vec<u8>) {
        put_slice(out, &self.0);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let n = input.length()?;
        Ok(Self(input.take(n)?.to_vec()))
    }
}

impl AvroType for Bytes {
    fn schema(_: &mut Named) -> Json {
        json!("bytes")
    }
}

impl Wire for String {
    fn encode(&self, out: &mut Vec<u8>) {
        put_slice(out, self.as_bytes());
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let n = input.length()?;
        let text = std::str::from_utf8(input.take(n)?).map_err(|_| WireError::Utf8)?;
        Ok(text.to_owned())
    }
}

impl AvroType for String {
    fn schema(_: &mut Named) -> Json {
        json!("string")
    }
}

impl Wire for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        match input.take(1)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Range { what: "a boolean" }),
        }
    }
}

impl AvroType for bool {
    fn schema(_: &mut Named) -> Json {
        json!("boolean")
    }
}

impl Wire for i64 {
    fn encode(&self, out: &mut Vec<u8>) {
        put_long(out, *self);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        input.long()
    }
}

impl AvroType for i64 {
    fn schema(_: &mut Named) -> Json {
        json!("long")
    }
}

impl Wire for u32 {
    fn encode(&self, out: &mut Vec<u8>) {
        put_long(out, i64::from(*self));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        u32::try_from(input.long()?).map_err(|_| WireError::Range { what: "an unsigned integer" })
    }
}

impl AvroType for u32 {
    fn schema(_: &mut Named) -> Json {
        json!("long")
    }
}

impl<T: Wire> Wire for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => put_long(out, 0),
            Some(value) => {
                put_long(out, 1);
                value.encode(out);
            }
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        match input.branch(2)? {
            0 => Ok(None),
            _ => T::decode(input).map(Some),
        }
    }
}

impl<T: AvroType> AvroType for Option<T> {
    fn schema(named: &mut Named) -> Json {
        match T::schema(named) {
            // A union directly inside a union is not Avro: null becomes one more branch.
            Json::Array(_) => panic!("an optional union has no Avro schema: wrap it in a record"),
            schema => json!(["null", schema]),
        }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        if !self.is_empty() {
            put_long(out, self.len() as i64);
            self.iter().for_each(|item| item.encode(out));
        }
        put_long(out, 0);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut items = Vec::new();
        while let n @ 1.. = block(input)? {
            for _ in 0..n {
                items.push(T::decode(input)?);
            }
        }
        Ok(items)
    }
}

impl<T: AvroType> AvroType for Vec<T> {
    fn schema(named: &mut Named) -> Json {
        json!({"type": "array", "items": T::schema(named)})
    }
}

/// The number of items in the next block of an array or map; other writers may give its size in bytes too.
/// Every item of ours takes at least one byte, so a count above the bytes left is a lie.
fn block(input: &mut Reader<'_>) -> Result<usize, WireError> {
    let n = input.long()?;
    if n < 0 {
        input.long()?;
    }
    let n = usize::try_from(n.unsigned_abs()).map_err(|_| WireError::Range { what: "a count" })?;
    if n > input.rest().len() { Err(WireError::Truncated) } else { Ok(n) }
}

impl<T: Wire> Wire for BTreeMap<String, T> {
    fn encode(&self, out: &mut Vec<u8>) {
        if !self.is_empty() {
            put_long(out, self.len() as i64);
            for (key, value) in self {
                put_slice(out, key.as_bytes());
                value.encode(out);
            }
        }
        put_long(out, 0);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut map = BTreeMap::new();
        while let n @ 1.. = block(input)? {
            for _ in 0..n {
                let key = String::decode(input)?;
                if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                    return Err(WireError::MapOrder);
                }
                map.insert(key, T::decode(input)?);
            }
        }
        Ok(map)
    }
}

impl<T: AvroType> AvroType for BTreeMap<String, T> {
    fn schema(named: &mut Named) -> Json {
        json!({"type": "map", "values": T::schema(named)})
    }
}

macro_rules! fixed {
    ($($name:ident $len:literal $bytes:expr, $from:expr;)*) => {$(
        impl Wire for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&$bytes(self));
            }
            fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
                let bytes: [u8; $len] = input.take($len)?.try_into().expect("take gives that many");
                Ok($from(bytes))
            }
        }

        impl AvroType for $name {
            fn schema(named: &mut Named) -> Json {
                named.once(concat!("sagaline.", stringify!($name)), |_| {
                    json!({"type": "fixed", "name": stringify!($name), "namespace": "sagaline", "size": $len})
                })
            }
        }
    )*};
}

fixed! {
    SagaId 16 |id: &SagaId| *id.as_bytes(), |b| SagaId(Uuid::from_bytes(b));
    EffectId 16 |id: &EffectId| *id.as_bytes(), |b| EffectId(Uuid::from_bytes(b));
    CommandId 16 |id: &CommandId| *id.as_bytes(), |b| CommandId(Uuid::from_bytes(b));
    OutputId 16 |id: &OutputId| *id.as_bytes(), |b| OutputId(Uuid::from_bytes(b));
    RequestId 16 |id: &RequestId| *id.as_bytes(), |b| RequestId(Uuid::from_bytes(b));
    TopicId 16 |id: &TopicId| *id.as_bytes(), |b| TopicId(Uuid::from_bytes(b));
    LogId 16 |id: &LogId| id.0, LogId;
    Content 16 |id: &Content| id.0, Content;
    Token 16 |id: &Token| id.0, Token;
    Mac 16 |id: &Mac| id.0, Mac;
    Digest 32 |id: &Digest| id.0, Digest;
    OutputHash 32 |id: &OutputHash| id.0, OutputHash;
    Fingerprint 8 |id: &Fingerprint| id.0, Fingerprint;
}

crate::avro_record! {
    /// The place of an output in its partition's life.
    #[derive(Copy)]
    pub struct WirePosition {
        /// Offset of the inbox record.
        pub offset: i64,
        /// Number of the timer fired within it; 0 for the record itself.
        pub timer: u32,
        /// Number of the output within that.
        pub index: u32,
    }
}

impl Wire for Position {
    fn encode(&self, out: &mut Vec<u8>) {
        put_long(out, self.offset);
        self.timer.encode(out);
        self.index.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { offset: input.long()?, timer: u32::decode(input)?, index: u32::decode(input)? })
    }
}

impl AvroType for Position {
    fn schema(named: &mut Named) -> Json {
        WirePosition::schema(named)
    }
}
