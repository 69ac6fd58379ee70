//! Values that fit a type and look like what they stand for: what the input has under the same name, else made from the name and the effect.

use std::collections::BTreeMap;

use sagaline_definition::types::Type;
use sagaline_schemas::{EffectId, Value};

/// A value of that type: the same for the same effect and input.
pub fn value(wanted: &Type, input: &Value, effect: EffectId) -> Value {
    member("value", wanted, input, effect)
}

fn member(name: &str, wanted: &Type, input: &Value, effect: EffectId) -> Value {
    if let Some(given) = input.get(name)
        && *wanted != Type::Any
        && wanted.check(given).is_ok()
    {
        return given.clone();
    }
    let inner = |wanted: &Type| member(name, wanted, input, effect);
    match wanted {
        Type::Any | Type::Null => Value::Null,
        Type::Bool => Value::Bool(true),
        Type::Int => Value::Int(i64::from(effect.as_bytes()[0]) + 1),
        Type::Float => Value::Float(f64::from(effect.as_bytes()[0]) + 0.5),
        Type::String => Value::String(format!("{name}-{:.8}", effect.to_string())),
        Type::List(item) => Value::List(vec![inner(item)]),
        Type::Map(_) => Value::Map(BTreeMap::new()),
        Type::Record(_, members) => Value::Map(
            members.iter().map(|(name, wanted)| (name.clone(), member(name, wanted, input, effect))).collect(),
        ),
        Type::Nullable(other) => inner(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_fits_its_type_and_is_the_same_for_the_same_effect() {
        let members =
            [("captured", Type::Int), ("lines", Type::List(Box::new(Type::String))), ("note", Type::String.or_null())];
        let wanted = Type::Record(String::new(), members.map(|(name, wanted)| (name.to_owned(), wanted)).into());
        let input = Value::parse(br#"{"captured": 1250, "note": 7}"#).unwrap();
        let effect = EffectId::from_bytes([7; 16]);
        let made = value(&wanted, &input, effect);
        assert_eq!(wanted.check(&made), Ok(()));
        assert_eq!(made.to_string(), r#"{"captured":1250,"lines":["lines-07070707"],"note":"note-07070707"}"#);
        assert_eq!(value(&wanted, &input, effect), made);
    }
}
