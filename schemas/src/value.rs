//! Payloads as values: what expressions see and what commands carry. One value has exactly one canonical JSON text.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A JSON value with whole numbers as 64-bit integers and maps in key order, so that no machine sees it otherwise than another.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number without fraction and exponent.
    Int(i64),
    /// Any other number; always finite.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Value>),
    /// A map in key order.
    Map(BTreeMap<String, Value>),
}

/// Where bytes are only counted.
struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Value {
    /// Reads JSON text.
    ///
    /// # Errors
    /// When it is not JSON, has a key twice, a whole number beyond 64 bits, or more than 128 levels.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Whether `parse` takes this text: read through in the same way, and nothing kept.
    pub fn is_json(json: &[u8]) -> bool {
        serde_json::from_slice::<Checked>(json).is_ok()
    }

    /// Whether its text reads back as the same value to the last bit: no `Float` is in it, which text may round.
    pub fn is_exact(&self) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::String(_) => true,
            Self::Float(_) => false,
            Self::List(items) => items.iter().all(Self::is_exact),
            Self::Map(map) => map.values().all(Self::is_exact),
        }
    }

    /// A type of ours as a value.
    pub fn of(value: &impl Serialize) -> Self {
        let json = serde_json::to_vec(value).expect("our own types have text keys and finite numbers");
        Self::parse(&json).expect("what was just written is JSON")
    }

    /// The canonical JSON text: keys sorted, no spaces, numbers in their shortest form that reads back the same.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(self.room());
        self.write_json(&mut json);
        json
    }

    /// As serde_json writes it, byte by byte: only what it would look at one letter after the other is looked at at once.
    fn write_json(&self, json: &mut Vec<u8>) {
        match self {
            Self::Null => json.extend_from_slice(b"null"),
            Self::Bool(true) => json.extend_from_slice(b"true"),
            Self::Bool(false) => json.extend_from_slice(b"false"),
            Self::Int(_) | Self::Float(_) => self.write_by_serde(json),
            Self::String(text) => write_text(text, json),
            Self::List(items) => {
                json.push(b'[');
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        json.push(b',');
                    }
                    item.write_json(json);
                }
                json.push(b']');
            }
            Self::Map(map) => {
                json.push(b'{');
                for (number, (key, value)) in map.iter().enumerate() {
                    if number > 0 {
                        json.push(b',');
                    }
                    write_text(key, json);
                    json.push(b':');
                    value.write_json(json);
                }
                json.push(b'}');
            }
        }
    }

    fn write_by_serde(&self, json: &mut Vec<u8>) {
        serde_json::to_writer(json, self).expect("text keys and finite numbers always have a JSON form");
    }

    /// About as many bytes as its text has.
    fn room(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 5,
            Self::Int(_) | Self::Float(_) => 20,
            Self::String(text) => text.len() + 2,
            Self::List(items) => 2 + items.iter().map(|item| item.room() + 1).sum::<usize>(),
            Self::Map(map) => 2 + map.iter().map(|(key, value)| key.len() + 4 + value.room()).sum::<usize>(),
        }
    }

    /// How many bytes `to_json` gives.
    pub fn json_len(&self) -> usize {
        let mut count = Count(0);
        serde_json::to_writer(&mut count, self).expect("text keys and finite numbers always have a JSON form");
        count.0
    }

    /// The member of a map.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Map(map) => map.get(name),
            _ => None,
        }
    }

    /// What kind of value it is, as an error message calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "double",
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }
}

fn write_text(text: &str, json: &mut Vec<u8>) {
    // Without a way out of the loop, many bytes are looked at at once.
    let escaped = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    if text.bytes().fold(false, |found, byte| found | escaped(byte)) {
        serde_json::to_writer(json, text).expect("text always has a JSON form");
        return;
    }
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_json()))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => s.serialize_unit(),
            Self::Bool(b) => s.serialize_bool(*b),
            Self::Int(n) => s.serialize_i64(*n),
            Self::Float(x) => s.serialize_f64(*x),
            Self::String(text) => s.serialize_str(text),
            Self::List(items) => s.collect_seq(items),
            Self::Map(map) => s.collect_map(map),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: de::Error>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }
    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Value, E> {
        Ok(Value::Int(n))
    }
    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Value, E> {
        i64::try_from(n).map(Value::Int).map_err(|_| E::custom("a whole number beyond 64 bits: send it as text"))
    }
    fn visit_f64<E: de::Error>(self, x: f64) -> Result<Value, E> {
        // Minus zero equals zero: it must not have a text of its own.
        if x.is_finite() { Ok(Value::Float(x + 0.0)) } else { Err(E::custom("a number beyond double precision")) }
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }
    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            if map.contains_key(&key) {
                return Err(de::Error::custom(format_args!("the key {key:?} stands twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Map(map))
    }
}

/// A value that was read through and is not kept.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(CheckVisitor)
    }
}

/// Refuses what `ValueVisitor` refuses.
struct CheckVisitor;

impl<'de> Visitor<'de> for CheckVisitor {
    type Value = Checked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ValueVisitor.expecting(f)
    }
    fn visit_unit<E: de::Error>(self) -> Result<Checked, E> {
        Ok(Checked)
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Checked, E> {
        Ok(Checked)
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Checked, E> {
        Ok(Checked)
    }
    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Checked, E> {
        ValueVisitor.visit_u64(n).map(|_| Checked)
    }
    fn visit_f64<E: de::Error>(self, x: f64) -> Result<Checked, E> {
        ValueVisitor.visit_f64(x).map(|_| Checked)
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<Checked, E> {
        Ok(Checked)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Checked, A::Error> {
        while items.next_element::<Checked>()?.is_some() {}
        Ok(Checked)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Checked, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some((CheckedKey(key), Checked)) = entries.next_entry()? {
            if !keys.insert(key) {
                return Err(de::Error::custom("a key stands twice"));
            }
        }
        Ok(Checked)
    }
}

/// A key, which is copied only where the text has it otherwise than it is.
struct CheckedKey<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for CheckedKey<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = CheckedKey<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E: de::Error>(self, key: &'de str) -> Result<CheckedKey<'de>, E> {
                Ok(CheckedKey(Cow::Borrowed(key)))
            }
            fn visit_str<E: de::Error>(self, key: &str) -> Result<CheckedKey<'de>, E> {
                Ok(CheckedKey(Cow::Owned(key.to_owned())))
            }
        }
        d.deserialize_str(KeyVisitor)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pieces of JSON in any order: much of it is none, in all the ways in which text can fail to be.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            " ",
            "null",
            "true",
            "0",
            "-0.0",
            "1.5e3",
            "1e999",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775809",
            "\"a\"",
            "\"\\u0061\"",
            "\"b\"",
            "\"\\q\"",
            "\"\\ud800\"",
            "\u{7f}",
            "{\"a\":1}",
            "{\"a\":1,\"\\u0061\":2}",
            "{\"a\":1,\"b\":[2]}",
        ]);
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            prop::num::f64::NORMAL.prop_map(Value::Float),
            any::<String>().prop_map(Value::String),
            "[\\x00-\\x7f\u{e9}\u{1f600}]{0,70}".prop_map(Value::String),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn text_is_written_as_serde_json_writes_it(value in value()) {
            let json = value.to_json();
            prop_assert_eq!(&json, &serde_json::to_vec(&value).unwrap());
            prop_assert_eq!(value.json_len(), json.len());
            if value.is_exact() {
                prop_assert_eq!(Value::parse(&json).unwrap(), value);
            }
        }

        #[test]
        fn what_is_json_is_what_can_be_parsed(text in text()) {
            prop_assert_eq!(Value::is_json(text.as_bytes()), Value::parse(text.as_bytes()).is_ok());
        }

        #[test]
        fn so_is_it_for_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(Value::is_json(&bytes), Value::parse(&bytes).is_ok());
        }
    }

    #[test]
    fn limits_and_repeated_keys_are_seen_without_keeping_anything() {
        let levels = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        for (text, is) in [
            (levels(127), true),
            (levels(128), false),
            (r#"{"a":1,"b":{"a":2}}"#.to_owned(), true),
            (r#"{"a":1,"\u0061":2}"#.to_owned(), false),
            ("18446744073709551615".to_owned(), false),
            ("1e999".to_owned(), false),
        ] {
            assert_eq!((Value::is_json(text.as_bytes()), Value::parse(text.as_bytes()).is_ok()), (is, is), "{text}");
        }
    }

    #[test]
    fn what_has_no_float_reads_back_as_it_is() {
        for (text, exact) in [(r#"{"a":[1,"x",null,true]}"#, true), (r#"{"a":[{"b":1.5}]}"#, false), ("1.0", false)] {
            let value = Value::parse(text.as_bytes()).unwrap();
            assert_eq!(value.is_exact(), exact, "{text}");
        }
    }
}
