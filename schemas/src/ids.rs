//! Names of things: newtypes that can't be mixed up. How each is derived stands in `hash.rs`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The 16 bytes, most significant first.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From its 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(s).map(Self)
            }
        }
    };
}

macro_rules! bytes_id {
    ($(#[$meta:meta])* $name:ident, $len:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseHexError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0u8; $len];
                parse_hex(s, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A text that is not the hexadecimal form of the wanted number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal digits, got {got:?}")]
pub struct ParseHexError {
    expected: usize,
    got: String,
}

fn parse_hex(s: &str, out: &mut [u8]) -> Result<(), ParseHexError> {
    let error = || ParseHexError { expected: out.len() * 2, got: s.to_owned() };
    if s.len() != out.len() * 2 || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(error());
    }
    for (i, byte) in out.iter_mut().enumerate() {
        let digits = &s[2 * i..2 * i + 2];
        *byte = u8::from_str_radix(digits, 16).expect("two hexadecimal digits fit a byte");
    }
    Ok(())
}

uuid_id! {
    /// One life of one saga.
    SagaId
}
uuid_id! {
    /// One thing that a saga wants done in the world, over all its attempts.
    EffectId
}
uuid_id! {
    /// One attempt at an effect, a compensation, a probe or a question.
    CommandId
}
uuid_id! {
    /// One output of a partition: an event, a parked record, a message.
    OutputId
}
uuid_id! {
    /// A person's request; chosen by who asks, so that asking twice is asking once.
    RequestId
}
uuid_id! {
    /// A topic's identity: a topic that is deleted and made again has another one.
    TopicId
}

bytes_id! {
    /// 16 random bytes of one inbox; part of every id derived in it.
    LogId, 16
}
bytes_id! {
    /// What a command says: the same for all attempts of an effect and kind.
    Content, 16
}
bytes_id! {
    /// Proof that who answers has read the command.
    Token, 16
}
bytes_id! {
    /// Proof that a record was written by who holds the log's key.
    Mac, 16
}
bytes_id! {
    /// A BLAKE3 digest: of a definition's or contract's normal form, or of a state.
    Digest, 32
}
bytes_id! {
    /// The running hash over all outputs of a partition.
    OutputHash, 32
}
bytes_id! {
    /// Names a key without telling it.
    Fingerprint, 8
}

impl OutputHash {
    /// Before the first output.
    pub const ZERO: Self = Self([0; 32]);
}

/// A record's offset in its partition.
pub type Offset = i64;
/// A partition's number in its topic.
pub type Partition = u32;
/// Milliseconds since 1970-01-01T00:00Z.
pub type Millis = i64;

/// Where in a partition's life an output was made: by which record, by which timer fired within it
/// (0: by the record itself), as which output of that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Position {
    /// Offset of the inbox record.
    pub offset: Offset,
    /// Number of the timer fired within that record, from 1; 0 for the record's own doing.
    pub timer: u32,
    /// Number of the output within that.
    pub index: u32,
}

impl Position {
    /// Sorts as the positions do.
    pub fn to_key(self) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.offset.to_be_bytes());
        key[8..12].copy_from_slice(&self.timer.to_be_bytes());
        key[12..].copy_from_slice(&self.index.to_be_bytes());
        key
    }

    /// The inverse of `to_key`.
    pub fn from_key(key: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = key;
        Self {
            offset: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
            timer: u32::from_be_bytes([i, j, k, l]),
            index: u32::from_be_bytes([m, n, o, p]),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.offset, self.timer, self.index)
    }
}
