//! Expressions: CEL's syntax through the crate `cel`, our own types and evaluation, because the log must read the same everywhere.
//! What is left out, and why, stands in docs/adr/0002-expressions.md.

mod check;
mod eval;
mod inline;
mod limits;
mod lower;
mod meter;
mod operate;
mod reads;
mod tree;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use sagaline_schemas::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::check::ExprProblem;
pub use self::reads::{ITEM, Read, Used};
use self::tree::Node;
use crate::types::Type;

/// The names that an expression may see, and their types.
pub type Scope = BTreeMap<String, Type>;

/// A parsed expression within its limits. Compares and prints as its source text.
#[derive(Clone)]
pub struct Expr {
    source: Arc<str>,
    root: Arc<Node>,
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

impl Names for BTreeMap<String, Value> {
    fn get(&self, name: &str) -> Option<Cow<'_, Value>> {
        BTreeMap::get(self, name).map(Cow::Borrowed)
    }
}

impl Expr {
    /// Parses a text within the limits.
    ///
    /// # Errors
    /// When it is not CEL, uses what is left out of it here, or breaks a limit.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        limits::admit(source)?;
        let root = lower::parse(source)?;
        Ok(Self { source: source.into(), root: Arc::new(root) })
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
        eval::eval(&self.root, names).map_err(|message| self.error(message))
    }

    /// The canonical JSON text of its value.
    ///
    /// # Errors
    /// As `eval`.
    pub fn eval_json(&self, names: &dyn Names) -> Result<Vec<u8>, EvalError> {
        eval::eval_as(&self.root, names, |value| value.to_json()).map_err(|message| self.error(message))
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// Where `eval` has none, and where its value is no bool.
    pub fn holds(&self, names: &dyn Names) -> Result<bool, EvalError> {
        match self.eval(names)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(self.error(format!("a condition must be true or false, this is {}", other.kind()))),
        }
    }

    /// The type that its value will have, given those of the names it may see.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the text.
    pub fn check(&self, scope: &Scope) -> Result<Type, Vec<ExprProblem>> {
        check::check(&self.root, scope)
    }

    /// The names it mentions that it does not bind itself.
    pub fn names(&self) -> BTreeSet<String> {
        self.root.free_names()
    }

    /// The names, and members of names, that are surely not null where it holds: `a` and `a.b` of `a.b != null`.
    pub fn present(&self) -> BTreeSet<String> {
        check::present(&self.root)
    }

    fn error(&self, message: String) -> EvalError {
        EvalError { source_text: self.source.to_string(), message }
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expr {}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({})", self.source)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
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
