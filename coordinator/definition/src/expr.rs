//! Expressions: CEL's syntax through the crate `cel`, our own types and evaluation, because the log must read the same everywhere.

use std::borrow::Cow;

use sagaline_schemas::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A parsed expression within its limits. Compares and prints as its source text.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    source: String,
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// What is wrong, and what would be right.
    pub message: String,
    /// Byte offset in the source.
    pub offset: usize,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_text}: {message}")]
pub struct EvalError {
    /// The expression.
    pub source_text: String,
    /// What is wrong, with the values concerned.
    pub message: String,
}

/// The names that an expression may see.
pub trait Names {
    /// The value of a name; none: there is no such name.
    fn get(&self, name: &str) -> Option<Cow<'_, Value>>;
}

impl Expr {
    /// Parses a text within the limits.
    ///
    /// # Errors
    /// When it is not CEL, uses what is left out of it here, or breaks a limit.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        Ok(Self { source: source.to_owned() })
    }

    /// The text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The value.
    ///
    /// # Errors
    /// Whenever there is none: a missing member, an overflow, a spent budget. Never panics.
    pub fn eval(&self, names: &dyn Names) -> Result<Value, EvalError> {
        let _ = names;
        Err(EvalError { source_text: self.source.clone(), message: "not yet".into() })
    }
}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Expr {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let source = String::deserialize(d)?;
        Self::parse(&source).map_err(serde::de::Error::custom)
    }
}
