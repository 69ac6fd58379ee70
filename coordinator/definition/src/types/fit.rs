//! Whether values and other types fit a type. Values are held against it when they come in; types when a definition is applied.

use std::collections::BTreeMap;

use sagaline_schemas::Value;

use super::Type;
use crate::spelling::closest;

/// Something is not of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: expected {expected}, got {got}", if path.is_empty() { "the value" } else { path.as_str() })]
pub struct Mismatch {
    /// Where: `lines[0].sku`; empty for the whole.
    pub path: String,
    /// What the type wants.
    pub expected: String,
    /// What is there.
    pub got: String,
}

impl Type {
    /// Whether a value is of this type. Members that the type does not know are allowed: who writes may be newer.
    ///
    /// # Errors
    /// The first place that is not.
    pub fn check(&self, value: &Value) -> Result<(), Mismatch> {
        value_fits(self, value, &mut String::new())
    }

    /// What hinders values of a given type from being of this one, all of it. Members that this type does not know are mistakes
    /// in a map that was written out: who writes a definition has the type before them.
    pub fn mismatches(&self, given: &Type) -> Vec<Mismatch> {
        let mut found = Vec::new();
        type_fits(self, given, "", &mut found);
        found
    }
}

fn value_fits(wanted: &Type, value: &Value, path: &mut String) -> Result<(), Mismatch> {
    match (wanted, value) {
        (Type::Any, _)
        | (Type::Null | Type::Nullable(_), Value::Null)
        | (Type::Bool, Value::Bool(_))
        | (Type::Int, Value::Int(_))
        | (Type::Float, Value::Int(_) | Value::Float(_))
        | (Type::String, Value::String(_)) => Ok(()),
        (Type::Nullable(inner), value) => value_fits(inner, value, path),
        (Type::List(item), Value::List(items)) => items
            .iter()
            .enumerate()
            .try_for_each(|(i, value)| below(path, &format!("[{i}]"), |path| value_fits(item, value, path))),
        (Type::Map(inner), Value::Map(map)) => {
            map.iter().try_for_each(|(key, value)| below(path, &member(key), |path| value_fits(inner, value, path)))
        }
        (Type::Record(_, members), Value::Map(map)) => members.iter().try_for_each(|(name, wanted)| {
            below(path, &member(name), |path| match map.get(name) {
                Some(value) => value_fits(wanted, value, path),
                None if may_be_absent(wanted) => Ok(()),
                None => Err(mismatch(path, wanted.to_string(), "nothing")),
            })
        }),
        (wanted, value) => Err(mismatch(path, wanted.to_string(), value.kind())),
    }
}

/// Goes one step down the path and back.
fn below<T>(path: &mut String, step: &str, go: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push_str(step);
    let result = go(path);
    path.truncate(length);
    result
}

fn member(name: &str) -> String {
    format!(".{name}")
}

fn mismatch(path: &str, expected: impl Into<String>, got: impl Into<String>) -> Mismatch {
    Mismatch { path: path.trim_start_matches('.').to_owned(), expected: expected.into(), got: got.into() }
}

fn may_be_absent(wanted: &Type) -> bool {
    matches!(wanted, Type::Nullable(_) | Type::Null | Type::Any)
}

fn type_fits(wanted: &Type, given: &Type, path: &str, found: &mut Vec<Mismatch>) {
    match (wanted, given) {
        (Type::Any, _) | (_, Type::Any) | (Type::Nullable(_), Type::Null) | (Type::Float, Type::Int) => {}
        (Type::Nullable(wanted), Type::Nullable(given)) => type_fits(wanted, given, path, found),
        (Type::Nullable(wanted), given) => type_fits(wanted, given, path, found),
        (Type::List(wanted), Type::List(given)) => type_fits(wanted, given, &format!("{path}[]"), found),
        (Type::Map(wanted), Type::Map(given)) => type_fits(wanted, given, &format!("{path}.*"), found),
        (Type::Map(wanted), Type::Record(_, members)) => {
            members.iter().for_each(|(name, given)| type_fits(wanted, given, &format!("{path}.{name}"), found));
        }
        (Type::Record(name, wanted), Type::Record(given_name, given)) => {
            members_fit(wanted, given, path, found);
            // A value of a named type may have more than is asked for; what was written out for this place may not.
            if given_name.is_empty() {
                refuse_unknown_members(name, wanted, given, path, found);
            }
        }
        (wanted, given) if wanted == given => {}
        (wanted, given) => found.push(mismatch(path, wanted.to_string(), given.to_string())),
    }
}

fn members_fit(wanted: &BTreeMap<String, Type>, given: &BTreeMap<String, Type>, path: &str, found: &mut Vec<Mismatch>) {
    for (name, wanted) in wanted {
        let path = format!("{path}.{name}");
        match given.get(name) {
            Some(given) => type_fits(wanted, given, &path, found),
            None if may_be_absent(wanted) => {}
            None => found.push(mismatch(&path, wanted.to_string(), "nothing")),
        }
    }
}

fn refuse_unknown_members(
    record: &str,
    wanted: &BTreeMap<String, Type>,
    given: &BTreeMap<String, Type>,
    path: &str,
    found: &mut Vec<Mismatch>,
) {
    for name in given.keys().filter(|name| !wanted.contains_key(*name)) {
        let expected = match closest(name, wanted.keys().map(String::as_str)) {
            Some(other) => format!("one of `{record}`'s members, perhaps `{other}`"),
            None => format!("one of `{record}`'s members: {}", wanted.keys().cloned().collect::<Vec<_>>().join(", ")),
        };
        found.push(mismatch(&format!("{path}.{name}"), expected, "a name that it does not have"));
    }
}
