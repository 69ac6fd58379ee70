//! Types of payloads as expressions see them. `avro.rs` takes them from schemas, `fit.rs` holds values and other types against them.

mod avro;
mod fit;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use sagaline_schemas::Value;
use serde::{Deserialize, Serialize};

pub use self::avro::SchemaError;
pub use self::fit::Mismatch;

/// A type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// Null or absent, or that.
    Nullable(Box<Type>),
}

impl Type {
    /// The type of a value.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Int(_) => Self::Int,
            Value::Float(_) => Self::Float,
            Value::String(_) => Self::String,
            Value::List(items) => {
                Self::List(Box::new(items.iter().map(Self::of).reduce(Self::join).unwrap_or(Self::Any)))
            }
            Value::Map(map) => {
                Self::Record(String::new(), map.iter().map(|(name, value)| (name.clone(), Self::of(value))).collect())
            }
        }
    }

    /// Null or this; `Any` stays, it may be null anyhow.
    pub fn or_null(self) -> Self {
        match self {
            Self::Any | Self::Null | Self::Nullable(_) => self,
            other => Self::Nullable(Box::new(other)),
        }
    }

    /// What is left when null is ruled out.
    pub fn without_null(self) -> Self {
        match self {
            Self::Nullable(other) => *other,
            Self::Null => Self::Any,
            other => other,
        }
    }

    /// Whole numbers and others.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }

    /// The type of something that is the one or the other.
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Null, b) => b.or_null(),
            (a, Self::Null) => a.or_null(),
            (Self::Nullable(a), b) | (b, Self::Nullable(a)) => a.join(b.without_null()).or_null(),
            (a, b) if a.is_number() && b.is_number() => Self::Float,
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.join(*b))),
            (Self::Map(a), Self::Map(b)) => Self::Map(Box::new(a.join(*b))),
            _ => Self::Any,
        }
    }

    /// Whether a value of the one type can equal a value of the other.
    pub fn may_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Nullable(_), Self::Null | Self::Nullable(_)) | (Self::Null, Self::Nullable(_)) => true,
            (Self::Nullable(a), b) | (b, Self::Nullable(a)) => a.may_equal(b),
            (Self::List(a), Self::List(b)) => a.may_equal(b),
            (Self::Map(_) | Self::Record(..), Self::Map(_) | Self::Record(..)) => true,
            (a, b) => a == b || (a.is_number() && b.is_number()),
        }
    }
}

/// As messages call it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(value) => write!(f, "map({value})"),
            Self::Record(name, _) if name.is_empty() => f.write_str("map"),
            Self::Record(name, _) => f.write_str(name),
            Self::Nullable(other) => write!(f, "{other} or null"),
        }
    }
}
