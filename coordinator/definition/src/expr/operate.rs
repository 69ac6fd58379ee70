//! What operators and functions do with values. Whole numbers are checked, mixed numbers become double, doubles stay finite;
//! nothing here may depend on a machine's libraries: no powers, logarithms or angles.

use std::cmp::Ordering;

use sagaline_schemas::Value;

use super::meter::{Eval, Meter, Stop};
use super::tree::{Function, Op};

/// An operator on two values, short of `in`'s and `+`'s building.
pub(super) fn binary(meter: &Meter, op: Op, left: &Value, right: &Value) -> Eval<Value> {
    match op {
        Op::Equal => equal(meter, left, right).map(Value::Bool),
        Op::NotEqual => equal(meter, left, right).map(|truth| Value::Bool(!truth)),
        Op::Less => order(meter, op, left, right).map(|o| Value::Bool(o.is_lt())),
        Op::LessOrEqual => order(meter, op, left, right).map(|o| Value::Bool(o.is_le())),
        Op::Greater => order(meter, op, left, right).map(|o| Value::Bool(o.is_gt())),
        Op::GreaterOrEqual => order(meter, op, left, right).map(|o| Value::Bool(o.is_ge())),
        Op::In => contains(meter, left, right).map(Value::Bool),
        Op::Add => match (left, right) {
            (Value::String(a), Value::String(b)) => {
                meter.build(a.len() + b.len())?;
                Ok(Value::String([a.as_str(), b].concat()))
            }
            (Value::List(a), Value::List(b)) => {
                a.iter().chain(b).try_for_each(|item| copied(meter, item))?;
                Ok(Value::List(a.iter().chain(b).cloned().collect()))
            }
            _ => arithmetic(op, left, right),
        },
        Op::Subtract | Op::Multiply | Op::Divide | Op::Modulo => arithmetic(op, left, right),
    }
}

/// Takes what a copy of the value costs.
pub(super) fn copied(meter: &Meter, value: &Value) -> Eval<()> {
    meter.step(1)?;
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => meter.build(8),
        Value::String(text) => meter.build(text.len() + 3),
        Value::List(items) => {
            meter.build(2)?;
            items.iter().try_for_each(|item| copied(meter, item))
        }
        Value::Map(map) => {
            meter.build(2)?;
            map.iter().try_for_each(|(key, value)| {
                meter.build(key.len() + 4)?;
                copied(meter, value)
            })
        }
    }
}

/// Whether two values are the same; numbers by what they are worth, whatever their kind.
pub(super) fn equal(meter: &Meter, left: &Value, right: &Value) -> Eval<bool> {
    meter.step(1)?;
    Ok(match (left, right) {
        (Value::Int(n), Value::Float(x)) | (Value::Float(x), Value::Int(n)) => compare_mixed(*n, *x).is_eq(),
        (Value::String(a), Value::String(b)) if a.len() == b.len() => {
            meter.read(a)?;
            a == b
        }
        (Value::List(a), Value::List(b)) if a.len() == b.len() => {
            for (a, b) in a.iter().zip(b) {
                if !equal(meter, a, b)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(a), Value::Map(b)) if a.len() == b.len() => {
            for ((key, a), (other, b)) in a.iter().zip(b) {
                meter.read(key)?;
                if key != other || !equal(meter, a, b)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::List(_) | Value::Map(_) | Value::String(_), _) => false,
        (scalar, other) => scalar == other,
    })
}

fn order(meter: &Meter, op: Op, left: &Value, right: &Value) -> Eval<Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Ok(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => Ok(compare_mixed(*a, *b)),
        (Value::Float(a), Value::Int(b)) => Ok(compare_mixed(*b, *a).reverse()),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b).expect("doubles in values are finite")),
        (Value::String(a), Value::String(b)) => {
            meter.read(if a.len() < b.len() { a } else { b })?;
            Ok(a.cmp(b))
        }
        _ => Err(no_overload(op, left, right)),
    }
}

/// Exactly: a 64-bit integer has more digits than a double keeps.
fn compare_mixed(n: i64, x: f64) -> Ordering {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if x >= TWO_TO_63 {
        return Ordering::Less;
    }
    if x < -TWO_TO_63 {
        return Ordering::Greater;
    }
    let whole = x.trunc();
    n.cmp(&(whole as i64))
        .then_with(|| 0.0_f64.partial_cmp(&(x - whole)).expect("a difference of finite numbers this small is finite"))
}

fn contains(meter: &Meter, item: &Value, within: &Value) -> Eval<bool> {
    match (item, within) {
        (item, Value::List(items)) => {
            for other in items {
                if equal(meter, item, other)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::String(key), Value::Map(map)) => {
            meter.read(key)?;
            Ok(map.contains_key(key))
        }
        _ => Err(no_overload(Op::In, item, within)),
    }
}

fn arithmetic(op: Op, left: &Value, right: &Value) -> Eval<Value> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => whole(op, *a, *b),
        (Value::Int(a), Value::Float(b)) => broken(op, *a as f64, *b),
        (Value::Float(a), Value::Int(b)) => broken(op, *a, *b as f64),
        (Value::Float(a), Value::Float(b)) => broken(op, *a, *b),
        _ => Err(no_overload(op, left, right)),
    }
}

fn whole(op: Op, a: i64, b: i64) -> Eval<Value> {
    if b == 0 && matches!(op, Op::Divide | Op::Modulo) {
        return Err(Stop::Error(format!("{a} {} 0: division by zero", op.sign())));
    }
    let result = match op {
        Op::Add => a.checked_add(b),
        Op::Subtract => a.checked_sub(b),
        Op::Multiply => a.checked_mul(b),
        Op::Divide => a.checked_div(b),
        Op::Modulo => a.checked_rem(b),
        Op::Equal | Op::NotEqual | Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual | Op::In => None,
    };
    result.map(Value::Int).ok_or_else(|| Stop::Error(format!("{a} {} {b} lies outside 64-bit integers", op.sign())))
}

fn broken(op: Op, a: f64, b: f64) -> Eval<Value> {
    let result = match op {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => a * b,
        Op::Divide => a / b,
        _ => return Err(no_overload(op, &Value::Float(a), &Value::Float(b))),
    };
    finite(result).ok_or_else(|| {
        Stop::Error(format!("{} {} {} is no finite number", Value::Float(a), op.sign(), Value::Float(b)))
    })
}

/// Minus zero equals zero: it must not have a text of its own.
fn finite(x: f64) -> Option<Value> {
    x.is_finite().then_some(Value::Float(x + 0.0))
}

/// `-x`
pub(super) fn negate(value: &Value) -> Eval<Value> {
    match value {
        Value::Int(n) => {
            n.checked_neg().map(Value::Int).ok_or_else(|| Stop::Error(format!("-({n}) lies outside 64-bit integers")))
        }
        Value::Float(x) => Ok(Value::Float(-x + 0.0)),
        other => Err(Stop::Error(format!("`-` needs a number, not {}", shown(other)))),
    }
}

/// A function on its arguments.
pub(super) fn call(meter: &Meter, function: Function, arguments: &[&Value]) -> Eval<Value> {
    match (function, arguments) {
        (Function::Size, [value]) => size(meter, value),
        (Function::StartsWith, [Value::String(text), Value::String(part)]) => {
            Ok(Value::Bool(text.starts_with(part.as_str())))
        }
        (Function::EndsWith, [Value::String(text), Value::String(part)]) => {
            Ok(Value::Bool(text.ends_with(part.as_str())))
        }
        (Function::Contains, [Value::String(text), Value::String(part)]) => {
            meter.read(text)?;
            Ok(Value::Bool(text.contains(part.as_str())))
        }
        (Function::String, [value]) => text(meter, value),
        (Function::Int, [value]) => int(value),
        (Function::Double, [value]) => double(value),
        (Function::Min, [first, rest @ ..]) => pick(meter, Op::Less, first, rest),
        (Function::Max, [first, rest @ ..]) => pick(meter, Op::Greater, first, rest),
        (function, arguments) => {
            let shown: Vec<String> = arguments.iter().map(|value| shown(value)).collect();
            Err(Stop::Error(format!("{}() can't take {}", function.name(), shown.join(" and "))))
        }
    }
}

fn size(meter: &Meter, value: &Value) -> Eval<Value> {
    let size = match value {
        Value::String(text) => {
            meter.read(text)?;
            text.chars().count()
        }
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        other => return Err(Stop::Error(format!("size() needs a text, list or map, not {}", shown(other)))),
    };
    Ok(Value::Int(size as i64))
}

/// A text, number or bool as text; numbers as in canonical JSON.
pub(super) fn text(meter: &Meter, value: &Value) -> Eval<Value> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => value.to_string(),
        other => return Err(Stop::Error(format!("only a text, number or bool becomes text, not {}", shown(other)))),
    };
    meter.build(text.len())?;
    Ok(Value::String(text))
}

fn int(value: &Value) -> Eval<Value> {
    let n = match value {
        Value::Int(n) => Some(*n),
        // The bounds are exact in double; `as` cuts towards zero.
        Value::Float(x) if *x >= -9_223_372_036_854_775_808.0 && *x < 9_223_372_036_854_775_808.0 => Some(*x as i64),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    n.map(Value::Int).ok_or_else(|| Stop::Error(format!("{} is no 64-bit integer", shown(value))))
}

fn double(value: &Value) -> Eval<Value> {
    let x = match value {
        Value::Int(n) => Some(*n as f64),
        Value::Float(x) => Some(*x),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    x.and_then(finite).ok_or_else(|| Stop::Error(format!("{} is no finite number", shown(value))))
}

/// The first of the arguments that no other beats.
fn pick(meter: &Meter, beats: Op, first: &Value, rest: &[&Value]) -> Eval<Value> {
    let mut best = first;
    for other in rest {
        meter.step(1)?;
        if binary(meter, beats, other, best)? == Value::Bool(true) {
            best = other;
        }
    }
    match best {
        Value::Int(_) | Value::Float(_) => Ok(best.clone()),
        Value::String(text) => {
            meter.build(text.len())?;
            Ok(best.clone())
        }
        other => Err(Stop::Error(format!("min() and max() need numbers or texts, not {}", shown(other)))),
    }
}

fn no_overload(op: Op, left: &Value, right: &Value) -> Stop {
    Stop::Error(format!(
        "{} {} {}: `{}` does not take {} and {}",
        shown(left),
        op.sign(),
        shown(right),
        op.sign(),
        left.kind(),
        right.kind()
    ))
}

/// A value for a message: its beginning is enough to know it by.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let summary = match value {
        Value::List(items) => return format!("a list of {}", items.len()),
        Value::Map(map) => {
            let mut keys: Vec<&str> = map.keys().take(8).map(String::as_str).collect();
            if map.len() > keys.len() {
                keys.push("..");
            }
            format!("{{{}}}", keys.join(", "))
        }
        Value::String(text) if text.len() > LONGEST => {
            format!("{:?}..", text.chars().take(LONGEST).collect::<String>())
        }
        scalar => return scalar.to_string(),
    };
    if summary.len() <= 2 * LONGEST { summary } else { summary.chars().take(LONGEST).chain("..".chars()).collect() }
}
