//! Events made from the clauses that will read them: what a start or a fact wants of an event is put where its expressions look for it, and the
//! made event is judged by the same expressions before it is sent. Nothing here knows a story.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use sagaline_definition::expr::{Expr, Names, Used};
use sagaline_definition::model::{FactClause, Start};
use sagaline_schemas::Value;

/// The only name that a door's expressions see.
struct One<'a> {
    name: &'a str,
    value: &'a Value,
}

impl Names for One<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, Value>> {
        (name == self.name).then_some(Cow::Borrowed(self.value))
    }
}

/// What an expression makes of an event.
pub fn of_event(expr: &Expr, event: &Value) -> Result<Value> {
    expr.eval(&One { name: "event", value: event }).with_context(|| format!("{} of {event}", expr.source()))
}

/// What an expression makes of a saga's input.
pub fn of_input(expr: &Expr, input: &Value) -> Result<Value> {
    expr.eval(&One { name: "input", value: input }).with_context(|| format!("{} of {input}", expr.source()))
}

/// An event that begins a saga with this input, or with one of this key where the input does not say it.
pub fn start(start: &Start, input: &Value, key: &str) -> Result<Value> {
    let mut event = Value::Map(BTreeMap::new());
    match &start.input {
        Some(place) => put(&mut event, &path(place)?, input.clone()),
        None => event = input.clone(),
    }
    let named = start.key.as_ref().context("a start by event has a key")?;
    if of_event(named, &event).is_err() {
        put(&mut event, &path(named)?, Value::from(key));
    }
    hold(start.condition.as_ref(), event)
}

/// An event that tells a fact.
pub fn fact(clause: &FactClause, key: &str, value: &Value, seq: Option<i64>) -> Result<Value> {
    let mut event = Value::Map(BTreeMap::new());
    let told = [
        (clause.key.as_ref(), Some(Value::from(key))),
        (clause.value.as_ref(), Some(value.clone())),
        (clause.seq.as_ref(), seq.map(Value::Int)),
    ];
    for (expr, said) in told {
        if let (Some(expr), Some(said)) = (expr, said) {
            put(&mut event, &path(expr)?, said);
        }
    }
    hold(clause.condition.as_ref(), event)
}

/// Where an expression looks that does nothing but read: the members below `event`.
pub fn path(expr: &Expr) -> Result<Vec<String>> {
    let reads = expr.reads(Used::Somehow);
    match &reads[..] {
        [read] => Ok(read.path[1..].to_vec()),
        _ => bail!("{} reads {} things: no event can be made for it", expr.source(), reads.len()),
    }
}

/// Sets what lies at a path.
pub fn put(value: &mut Value, path: &[String], what: Value) {
    let Some((name, rest)) = path.split_first() else {
        *value = what;
        return;
    };
    if !matches!(value, Value::Map(_)) {
        *value = Value::Map(BTreeMap::new());
    }
    if let Value::Map(members) = value {
        put(members.entry(name.clone()).or_default(), rest, what);
    }
}

/// The event with what is still missing for a condition to hold: of all that it compares with a literal, one side or the other.
fn hold(condition: Option<&Expr>, event: Value) -> Result<Value> {
    let Some(condition) = condition else { return Ok(event) };
    let compared: Vec<(Vec<String>, [Value; 2])> = condition
        .reads(Used::Truth)
        .into_iter()
        .filter_map(|read| match read.used {
            Used::Decides(yes, no) => Some((read.path[1..].to_vec(), [yes, no])),
            _ => None,
        })
        .collect();
    for sides in 0..1_u32 << compared.len().min(16) {
        let mut made = event.clone();
        for (nth, (path, values)) in compared.iter().enumerate() {
            put(&mut made, path, values[(sides >> nth & 1) as usize].clone());
        }
        if condition.holds(&One { name: "event", value: &made }).unwrap_or(false) {
            return Ok(made);
        }
    }
    bail!("no event was found for which {} holds", condition.source())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

    use super::*;

    fn expr(source: &str) -> Expr {
        Expr::parse(source).unwrap()
    }

    fn value(json: &str) -> Value {
        Value::parse(json.as_bytes()).unwrap()
    }

    fn begins(condition: &str, input: Option<&str>) -> Start {
        let (condition, key, input) = (Some(expr(condition)), Some(expr("event.id")), input.map(expr));
        Start { topic: Some("t".to_owned()), condition, key, input, shape: None, again: Default::default() }
    }

    #[test]
    fn a_start_has_what_its_clause_looks_for() {
        let made = start(&begins("event.type == 'placed'", None), &value(r#"{"id":"o-1","n":2}"#), "other").unwrap();
        assert_eq!(made, value(r#"{"id":"o-1","n":2,"type":"placed"}"#));
        let made =
            start(&begins("event.n > 7 && event.x != 'no'", Some("event.in")), &value(r#"{"a":1}"#), "k").unwrap();
        assert_eq!(made, value(r#"{"id":"k","in":{"a":1},"n":8,"x":"not no"}"#));
    }

    #[test]
    fn a_condition_that_wants_the_other_side_gets_it() {
        let made = start(&begins("!(event.n > 7)", None), &value(r#"{"id":"a"}"#), "a").unwrap();
        assert_eq!(made, value(r#"{"id":"a","n":7}"#));
        assert!(start(&begins("event.n == 1 && event.n == 2", None), &value("{}"), "a").is_err());
    }
}
