//! The callback token: all that it takes to answer one attempt of an effect, in one text that a participant can hand out (docs/adr/0004). Made by
//! the SDK, redeemed by the API. It proves nothing by itself: the fold judges the reply token in it, as in every reply.

use std::fmt;
use std::str::FromStr;

use crate::avro_record;
use crate::ids::Token;
use crate::record::Address;
use crate::wire::{Wire, WireError};

avro_record! {
    /// Who may answer for an attempt, and where. As secret as its `token`.
    pub struct Callback {
        /// Inbox partition that the answer goes to.
        pub partition: u32,
        /// The attempt.
        pub address: Address,
        /// The command's.
        pub token: Token,
    }
}

/// What every callback token begins with; the number is that of its form.
const PREFIX: &str = "sgl1.";
/// No token is longer: a step's path is bounded far below.
const MAX_LENGTH: usize = 8 * 1024;

/// A text that is no callback token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseCallbackError {
    /// Something else altogether, or of a later version.
    #[error("a callback token begins with {PREFIX}")]
    NoPrefix,
    /// Cut, or with letters of another alphabet.
    #[error("the callback token is not base64url without padding: is it whole?")]
    NotBase64,
    /// Cut, or made up.
    #[error("the callback token holds no address: is it whole? ({0})")]
    NoAddress(#[from] WireError),
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(64);
        self.encode(&mut bytes);
        f.write_str(PREFIX)?;
        f.write_str(&encode(&bytes))
    }
}

impl FromStr for Callback {
    type Err = ParseCallbackError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letters = text.strip_prefix(PREFIX).ok_or(ParseCallbackError::NoPrefix)?;
        if letters.len() > MAX_LENGTH {
            return Err(ParseCallbackError::NotBase64);
        }
        let bytes = decode(letters).ok_or(ParseCallbackError::NotBase64)?;
        Ok(Self::from_bytes(&bytes)?)
    }
}

/// RFC 4648, section 5.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let letters = (0..=chunk.len()).map(|n| char::from(ALPHABET[(bits >> (18 - 6 * n) & 63) as usize]));
        text.extend(letters);
    }
    text
}

/// None for what `encode` never writes: other letters, an impossible length, bits behind the last byte. So a token has one form only.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut bits = 0;
        for letter in chunk {
            bits = bits << 6 | ALPHABET.iter().position(|known| known == letter)? as u32;
        }
        bits <<= 6 * (4 - chunk.len());
        let [_, decoded @ ..] = bits.to_be_bytes();
        let (whole, rest) = decoded.split_at(chunk.len() - 1);
        if chunk.len() == 1 || rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(whole);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::SagaId;
    use crate::record::Kind;

    fn callback(step: &str, partition: u32, token: u8) -> Callback {
        let saga = SagaId::from_bytes([7; 16]);
        let address = Address { saga, step: step.into(), items: vec![2, 300], round: 1, kind: Kind::Do, attempt: 4 };
        Callback { partition, address, token: Token([token; 16]) }
    }

    #[test]
    fn base64url_is_that_of_the_rfc() {
        let pairs = [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")];
        for (plain, encoded) in pairs {
            assert_eq!(encode(plain.as_bytes()), encoded);
            assert_eq!(decode(encoded).unwrap(), plain.as_bytes());
        }
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn what_is_no_token_is_told_apart() {
        let whole = callback("charge", 3, 9).to_string();
        let parse = |text: &str| text.parse::<Callback>().unwrap_err();
        assert_eq!(parse("hello"), ParseCallbackError::NoPrefix);
        assert_eq!(parse("sgl2.AAAA"), ParseCallbackError::NoPrefix);
        for text in ["sgl1.A", "sgl1.AA==", "sgl1.a b", "sgl1.AB", "sgl1.é", &format!("sgl1.{}", "A".repeat(9000))] {
            assert_eq!(parse(text), ParseCallbackError::NotBase64, "{text}");
        }
        for end in 6..whole.len() {
            assert!(whole[..end].parse::<Callback>().is_err(), "cut at {end}");
        }
        assert!(matches!(parse("sgl1."), ParseCallbackError::NoAddress(_)));
        assert!(matches!(parse(&format!("{whole}AAAA")), ParseCallbackError::NoAddress(_)));
    }

    proptest! {
        #[test]
        fn a_token_comes_back_whole(step in ".{0,40}", partition: u32, token: u8) {
            let callback = callback(&step, partition, token);
            prop_assert_eq!(callback.to_string().parse::<Callback>(), Ok(callback));
        }

        #[test]
        fn a_token_has_one_form_only(text in "[A-Za-z0-9_-]{0,24}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
