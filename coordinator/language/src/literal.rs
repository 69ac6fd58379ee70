//! Parts of a document as plain values.

use sagaline_schemas::Value;

use crate::report::Problems;
use crate::source::Span;
use crate::yaml::{Kind, Node, Scalar};

/// The value of a part. None: it has no place in JSON; reported.
pub fn value(node: &Node, problems: &mut Problems) -> Option<Value> {
    match &node.kind {
        Kind::Scalar(scalar) => scalar_value(scalar, node.span, problems),
        Kind::List(items) => {
            let read: Vec<_> = items.iter().map(|item| value(item, problems)).collect();
            read.into_iter().collect::<Option<_>>().map(Value::List)
        }
        Kind::Map(entries) => {
            let read: Vec<_> = entries.iter().map(|entry| (entry.key.clone(), value(&entry.value, problems))).collect();
            read.into_iter().map(|(key, value)| Some((key, value?))).collect::<Option<_>>().map(Value::Map)
        }
    }
}

/// The value of a scalar. None: it has no place in JSON; reported.
pub fn scalar_value(scalar: &Scalar, span: Span, problems: &mut Problems) -> Option<Value> {
    match scalar.value() {
        Ok(value) => Some(value),
        Err(help) => {
            problems.error(span, format!("`{}` is no number that JSON can carry", scalar.text()), help);
            None
        }
    }
}
