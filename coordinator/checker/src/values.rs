//! Which values the world may bring: for everything that a definition's expressions read, values that decide them one way and the other.
//! Types say what else must be there. Every list that is cut short is told.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use sagaline_definition::expr::{ITEM, Used};
use sagaline_definition::types::Type;
use sagaline_schemas::Value;

/// What expressions do with one value and its parts.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    members: BTreeMap<String, Shape>,
    item: Option<Box<Shape>>,
    /// Values on both sides of each comparison with a literal.
    decides: Vec<Value>,
    asked: bool,
    truth: bool,
    number: bool,
    text: bool,
    list: bool,
    compared: bool,
}

/// A part of a value that is varied: where it lies, and what may stand there; none: nothing does.
struct Choice {
    path: Vec<String>,
    values: Vec<Option<Value>>,
}

/// Items in a list that a saga goes through: two are the fewest that have an order.
const ITEMS: usize = 2;

impl Shape {
    /// Another use of it.
    pub fn note(&mut self, path: &[String], used: &Used) {
        let Some((first, rest)) = path.split_first() else { return self.use_here(used) };
        let below = if first == ITEM {
            &mut **self.item.get_or_insert_default()
        } else {
            self.members.entry(first.clone()).or_default()
        };
        below.note(rest, used);
    }

    /// It is never null itself: where a step has no result, it was left out, which is explored by itself.
    pub fn never_null(mut self) -> Self {
        self.decides.retain(|value| *value != Value::Null);
        self.asked = false;
        self
    }

    /// What is done with another shape is done with this part of it, too.
    pub fn put(&mut self, path: &[String], other: &Shape) {
        match path.split_first() {
            None => *self = other.clone(),
            Some((first, rest)) => self.members.entry(first.clone()).or_default().put(rest, other),
        }
    }

    /// The values that decide about a part of it; null aside.
    pub fn deciding(&self, path: &[String]) -> Vec<Value> {
        let below = match path.split_first() {
            None => return self.decides.iter().filter(|value| **value != Value::Null).cloned().collect(),
            Some((first, rest)) if first == ITEM => self.item.as_deref().map(|item| (item, rest)),
            Some((first, rest)) => self.members.get(first).map(|member| (member, rest)),
        };
        below.map_or_else(Vec::new, |(below, rest)| below.deciding(rest))
    }

    /// This part of it is counted in another value: each value that decides about that one may stand here, and so may nought.
    pub fn may_decide(&mut self, path: &[String], other: &Shape) {
        for value in other.decides.iter().filter(|value| **value != Value::Null) {
            self.note(path, &Used::Decides(value.clone(), nought(value)));
        }
    }

    /// On which side of each comparison with a literal a value lies; of one that is not compared: the value itself.
    pub fn sides(&self, value: &Value) -> Vec<String> {
        let compared = self.decides.iter().filter(|with| **with != Value::Null);
        let sides: Vec<String> = compared.map(|with| format!("{:?}", order(value, with))).collect();
        if sides.is_empty() { vec![value.to_string()] } else { sides }
    }

    fn use_here(&mut self, used: &Used) {
        match used {
            Used::Somehow => {}
            Used::Asked => self.asked = true,
            Used::Truth => self.truth = true,
            Used::Number => self.number = true,
            Used::Text => self.text = true,
            Used::List => self.list = true,
            Used::Compared => self.compared = true,
            Used::Decides(yes, no) => {
                for value in [yes, no] {
                    if !self.decides.contains(value) {
                        self.decides.push(value.clone());
                    }
                }
            }
        }
    }

    /// At most so many values, and whether these are all that the expressions can tell apart.
    pub fn values(&self, of: &Type, most: usize) -> (Vec<Value>, bool) {
        let base = self.base(of);
        let mut choices = Vec::new();
        self.choices(of, &mut Vec::new(), &mut choices);
        let all = choices.iter().try_fold(1_usize, |product, choice| product.checked_mul(choice.values.len()));
        let whole = all.is_some_and(|all| all <= most);
        let mut values: Vec<Value> = Vec::new();
        let mut keep = |value: Value| {
            if values.len() < most && !values.contains(&value) {
                values.push(value);
            }
        };
        match all {
            Some(all) if whole => (0..all).for_each(|number| keep(combined(&base, &choices, number))),
            _ => {
                let first = combined(&base, &choices, 0);
                keep(first.clone());
                for choice in &choices {
                    choice.values.iter().for_each(|value| keep(placed(first.clone(), &choice.path, value.as_ref())));
                }
            }
        }
        (values, whole)
    }

    fn base(&self, of: &Type) -> Value {
        let of = match of {
            Type::Nullable(of) => of,
            of => of,
        };
        match of {
            Type::Record(_, members) => {
                let mut map: BTreeMap<String, Value> = BTreeMap::new();
                for (name, member) in members {
                    map.insert(name.clone(), self.members.get(name).unwrap_or(&Shape::default()).base(member));
                }
                self.add_members(map)
            }
            Type::Map(_) => self.add_members(BTreeMap::new()),
            Type::List(item) => Value::List(vec![self.item.as_deref().unwrap_or(&Shape::default()).base(item); ITEMS]),
            Type::Bool => Value::Bool(true),
            Type::Int => self.first(|value| matches!(value, Value::Int(_))).unwrap_or(Value::Int(1)),
            Type::Float => {
                self.first(|value| matches!(value, Value::Float(_) | Value::Int(_))).unwrap_or(Value::Float(1.0))
            }
            Type::String => self.first(|value| matches!(value, Value::String(_))).unwrap_or_else(some_text),
            Type::Any | Type::Null | Type::Nullable(_) => self.guess(),
        }
    }

    /// What it must be, by its use alone.
    fn guess(&self) -> Value {
        if !self.members.is_empty() {
            return self.add_members(BTreeMap::new());
        }
        if self.list || self.item.is_some() {
            return Value::List(vec![self.item.as_deref().unwrap_or(&Shape::default()).guess(); ITEMS]);
        }
        if let Some(value) = self.first(|value| *value != Value::Null) {
            return value;
        }
        match (self.truth, self.number) {
            (true, _) => Value::Bool(true),
            (_, true) => Value::Int(1),
            _ => some_text(),
        }
    }

    fn add_members(&self, mut map: BTreeMap<String, Value>) -> Value {
        for (name, shape) in &self.members {
            map.entry(name.clone()).or_insert_with(|| shape.guess());
        }
        Value::Map(map)
    }

    fn first(&self, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        self.decides.iter().find(|value| fits(value)).cloned()
    }

    fn choices(&self, of: &Type, path: &mut Vec<String>, choices: &mut Vec<Choice>) {
        let mut values: Vec<Option<Value>> =
            self.decides.iter().flat_map(|value| of_type(of, value)).map(Some).collect();
        if self.compared {
            let base = self.base(of);
            values.push(Some(other_than(&base)));
            values.insert(0, Some(base));
        }
        if self.truth && self.decides.is_empty() && self.members.is_empty() {
            values.extend([Some(Value::Bool(true)), Some(Value::Bool(false))]);
        }
        if self.list {
            values.extend([Some(self.base(of)), Some(Value::List(Vec::new()))]);
        }
        if self.asked {
            values.insert(0, Some(self.base(of)));
            values.push(None);
        }
        if let Some(null) = values.iter().position(|value| *value == Some(Value::Null)) {
            // Compared with null: whatever else it may be stands for "not null".
            let base = self.base(of);
            values.retain(|value| *value != Some(Value::from("something")));
            values.insert(null.min(values.len()), Some(base));
        }
        values = distinct(values);
        values.retain(|value| may_be(of, value.as_ref()));
        if values.len() > 1 {
            choices.push(Choice { path: path.clone(), values });
        }
        for (name, shape) in &self.members {
            path.push(name.clone());
            shape.choices(&member_type(of, name), path, choices);
            path.pop();
        }
        if let Some(item) = &self.item {
            path.push(ITEM.to_owned());
            item.choices(&member_type(of, ITEM), path, choices);
            path.pop();
        }
    }
}

fn member_type(of: &Type, name: &str) -> Type {
    match of {
        Type::Nullable(of) => member_type(of, name),
        Type::Record(_, members) => members.get(name).cloned().unwrap_or(Type::Any),
        Type::Map(of) => (**of).clone(),
        Type::List(of) if name == ITEM => (**of).clone(),
        Type::List(_) | Type::Any | Type::Null | Type::Bool | Type::Int | Type::Float | Type::String => Type::Any,
    }
}

/// Whether a type allows such a value. None: nothing is there.
fn may_be(of: &Type, value: Option<&Value>) -> bool {
    match (of, value) {
        (Type::Any | Type::Nullable(_) | Type::Null, None | Some(Value::Null)) | (Type::Any, Some(_)) => true,
        (_, None | Some(Value::Null)) => false,
        (of, Some(value)) => of.check(value).is_ok(),
    }
}

/// Whole numbers on both sides of one that is none, where only whole ones can be.
fn of_type(of: &Type, value: &Value) -> Vec<Value> {
    match (of, value) {
        (Type::Nullable(of), value) => of_type(of, value),
        (Type::Int, Value::Float(x)) => vec![Value::Int(x.ceil() as i64), Value::Int(x.floor() as i64)],
        (_, value) => vec![value.clone()],
    }
}

fn distinct(values: Vec<Option<Value>>) -> Vec<Option<Value>> {
    let mut kept: Vec<Option<Value>> = Vec::new();
    values.into_iter().for_each(|value| {
        if !kept.contains(&value) {
            kept.push(value);
        }
    });
    kept
}

fn nought(like: &Value) -> Value {
    match like {
        Value::Bool(_) => Value::Bool(false),
        Value::Int(_) => Value::Int(0),
        Value::Float(_) => Value::Float(0.0),
        Value::String(_) => Value::from(""),
        Value::Null | Value::List(_) | Value::Map(_) => Value::Null,
    }
}

/// None: they can't be compared; then it only counts whether they are the same.
fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (a, b) => (a == b).then_some(Ordering::Equal),
    }
}

fn some_text() -> Value {
    Value::from("some")
}

/// Another value of the same type.
pub fn other_than(value: &Value) -> Value {
    match value {
        Value::Bool(truth) => Value::Bool(!truth),
        Value::Int(n) => Value::Int(n.wrapping_add(1)),
        Value::Float(x) => Value::Float(x + 1.0),
        Value::String(text) => Value::String(format!("not {text}")),
        Value::Null => some_text(),
        Value::List(_) => Value::List(Vec::new()),
        Value::Map(_) => Value::Null,
    }
}

/// The combination of that number: each choice is one digit of it.
fn combined(base: &Value, choices: &[Choice], mut number: usize) -> Value {
    let mut value = base.clone();
    for choice in choices {
        let digit = number % choice.values.len();
        number /= choice.values.len();
        value = placed(value, &choice.path, choice.values[digit].as_ref());
    }
    value
}

/// The value with a part of it replaced, or taken out. In a list every item is meant.
fn placed(mut whole: Value, path: &[String], part: Option<&Value>) -> Value {
    let Some((first, rest)) = path.split_first() else { return part.cloned().unwrap_or_default() };
    match &mut whole {
        Value::List(items) => items.iter_mut().for_each(|item| *item = placed(std::mem::take(item), rest, part)),
        Value::Map(map) => match (rest.is_empty(), part) {
            (true, None) => drop(map.remove(first)),
            _ => {
                if let Some(member) = map.get_mut(first) {
                    *member = placed(std::mem::take(member), rest, part);
                }
            }
        },
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
    }
    whole
}

#[cfg(test)]
mod tests {
    use sagaline_definition::Expr;

    use super::*;

    fn values(sources: &[&str], most: usize) -> String {
        let mut shape = Shape::default();
        for source in sources {
            let reads = Expr::parse(source).expect("an expression").reads(Used::Truth);
            for read in reads.iter().filter(|read| read.path[0] == "x") {
                shape.note(&read.path[1..], &read.used);
            }
        }
        let (values, whole) = shape.values(&Type::Any, most);
        let values: Vec<String> = values.iter().map(Value::to_string).collect();
        format!("{}{}", values.join(" "), if whole { "" } else { " ..." })
    }

    #[test]
    fn each_comparison_is_decided_both_ways() {
        assert_eq!(values(&["x.total > 10"], 8), r#"{"total":11} {"total":10}"#);
        assert_eq!(values(&["x.a == null"], 8), r#"{"a":"some"} {}"#);
        assert_eq!(values(&["has(x.a)"], 8), r#"{"a":"some"} {}"#);
        assert_eq!(values(&["x.ok"], 8), r#"{"ok":true} {"ok":false}"#);
        assert_eq!(values(&["x.a == y"], 8), r#"{"a":"some"} {"a":"not some"}"#);
        assert_eq!(values(&["x.l.all(l, l.n > 1)"], 8).matches("\"n\":1").count(), 2);
    }

    #[test]
    fn too_many_are_varied_one_by_one() {
        assert_eq!(
            values(&["x.a > 1", "x.b > 1", "x.c > 1"], 4),
            r#"{"a":2,"b":2,"c":2} {"a":1,"b":2,"c":2} {"a":2,"b":1,"c":2} {"a":2,"b":2,"c":1} ..."#
        );
    }
}
