//! Types of payloads as expressions see them, taken from Avro schemas.

use std::collections::BTreeMap;

use sagaline_schemas::Value;

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// Not known: everything is allowed, nothing is promised.
    Any,
    /// `null`
    Null,
    /// Truth.
    Bool,
    /// A whole number.
    Int,
    /// Any number.
    Float,
    /// Text; also Avro's bytes, fixed and enums, which are text in JSON.
    String,
    /// A list.
    List(Box<Type>),
    /// A map from text.
    Map(Box<Type>),
    /// A map with known members.
    Record(String, BTreeMap<String, Type>),
    /// Null, or that.
    Nullable(Box<Type>),
}

impl Type {
    /// The named type among Avro schemas in JSON; none: not there, or not a schema.
    pub fn from_avro(name: &str, types: &BTreeMap<String, Value>) -> Option<Self> {
        let _ = (name, types);
        None
    }
}
