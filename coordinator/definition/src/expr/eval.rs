//! Evaluation: one walk over the tree, on borrowed values as long as nothing new is built. It never panics, and costs what the meter allows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sagaline_schemas::Value;

use super::Names;
use super::meter::{Eval, MAX_BUILT, Meter, Stop};
use super::operate::{self, shown};
use super::tree::{Each, Kind, Node, Quantifier};

/// Most levels of a result: what is put into a log must be readable again, and readers stop at 128.
const MAX_LEVELS: usize = 100;

/// The value of a tree, or why there is none.
pub(super) fn eval(root: &Node, names: &dyn Names) -> Result<Value, String> {
    eval_as(root, names, |value| value.into_owned())
}

/// What `wanted` makes of the value of a tree, which is copied for it only where it must be.
pub(super) fn eval_as<T>(
    root: &Node,
    names: &dyn Names,
    wanted: impl FnOnce(Cow<'_, Value>) -> T,
) -> Result<T, String> {
    let evaluation = Evaluation { names, meter: Meter::new() };
    let result = evaluation.node(root, None).and_then(|value| match value {
        Cow::Borrowed(_) => Ok(wanted(value)),
        Cow::Owned(built) => fits(&built, 0).map(|()| wanted(Cow::Owned(built))),
    });
    result.map_err(|stop| match stop {
        Stop::Error(message) | Stop::Spent(message) => message,
    })
}

/// A value that was built must be fit for a record.
fn fits(value: &Value, level: usize) -> Eval<()> {
    if level > MAX_LEVELS {
        return Err(Stop::Spent(format!("the result has more than {MAX_LEVELS} levels")));
    }
    if level == 0 && !matches!(value, Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_)) {
        let length = value.json_len();
        if length > MAX_BUILT {
            return Err(Stop::Spent(format!("the result has {length} bytes, more than {MAX_BUILT}")));
        }
    }
    match value {
        Value::List(items) => items.iter().try_for_each(|item| fits(item, level + 1)),
        Value::Map(map) => map.values().try_for_each(|item| fits(item, level + 1)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => Ok(()),
    }
}

/// A name that a macro binds, and those that the macros around it bind.
#[derive(Clone, Copy)]
struct Local<'v> {
    name: &'v str,
    value: &'v Value,
    outer: Option<&'v Local<'v>>,
}

type Locals<'v> = Option<&'v Local<'v>>;

struct Evaluation<'n> {
    names: &'n dyn Names,
    meter: Meter,
}

impl Evaluation<'_> {
    fn node<'v>(&'v self, node: &'v Node, locals: Locals<'v>) -> Eval<Cow<'v, Value>> {
        self.meter.step(1)?;
        match &node.kind {
            Kind::Literal(value) => Ok(Cow::Borrowed(value)),
            Kind::Name(name) => self.name(name, locals),
            Kind::Member { of, name } => {
                let of = self.node(of, locals)?;
                member(of, name).map_err(|of| Stop::Error(format!("no member `{name}` in {}", shown(&of))))
            }
            Kind::Index { of, at } => index(self.node(of, locals)?, &*self.node(at, locals)?),
            Kind::Has { of, name } => Ok(truth(self.find_member(of, name, locals)?.is_some())),
            Kind::Not(of) => Ok(truth(!self.condition(of, locals)?)),
            Kind::Negate(of) => operate::negate(&*self.node(of, locals)?).map(Cow::Owned),
            Kind::And(a, b) => self.either(false, a, b, locals),
            Kind::Or(a, b) => self.either(true, a, b, locals),
            Kind::If { condition, then, otherwise } => {
                let chosen = if self.condition(condition, locals)? { then } else { otherwise };
                self.node(chosen, locals)
            }
            Kind::Binary { op, left, right } => {
                let (left, right) = (self.node(left, locals)?, self.node(right, locals)?);
                operate::binary(&self.meter, *op, &left, &right).map(Cow::Owned)
            }
            Kind::List(nodes) => self.list(nodes, locals),
            Kind::Map(entries) => self.map(entries, locals),
            Kind::Each(each) => self.each(each, locals),
            Kind::Call { function, arguments } => {
                let values = arguments.iter().map(|node| self.node(node, locals)).collect::<Eval<Vec<_>>>()?;
                let values: Vec<&Value> = values.iter().map(|value| &**value).collect();
                operate::call(&self.meter, *function, &values).map(Cow::Owned)
            }
        }
    }

    fn name<'v>(&'v self, name: &str, locals: Locals<'v>) -> Eval<Cow<'v, Value>> {
        let mut scope = locals;
        while let Some(local) = scope {
            if local.name == name {
                return Ok(Cow::Borrowed(local.value));
            }
            scope = local.outer;
        }
        self.names.get(name).ok_or_else(|| Stop::Error(format!("`{name}` is not known here")))
    }

    fn condition<'v>(&'v self, node: &'v Node, locals: Locals<'v>) -> Eval<bool> {
        match &*self.node(node, locals)? {
            Value::Bool(truth) => Ok(*truth),
            other => Err(Stop::Error(format!("a condition must be true or false, not {}", shown(other)))),
        }
    }

    /// `||` for true, `&&` for false: the deciding side makes up for an error on the other.
    fn either<'v>(&'v self, decides: bool, a: &'v Node, b: &'v Node, locals: Locals<'v>) -> Eval<Cow<'v, Value>> {
        let first = match self.condition(a, locals) {
            Ok(side) if side == decides => return Ok(truth(decides)),
            Err(Stop::Spent(message)) => return Err(Stop::Spent(message)),
            other => other,
        };
        match self.condition(b, locals) {
            Ok(side) if side == decides => Ok(truth(decides)),
            Err(Stop::Spent(message)) => Err(Stop::Spent(message)),
            second => first.and(second).map(truth),
        }
    }

    /// The member, or nothing where it or what should have it is null or absent.
    fn find_member<'v>(&'v self, of: &'v Node, name: &str, locals: Locals<'v>) -> Eval<Option<Cow<'v, Value>>> {
        let of = match &of.kind {
            Kind::Member { of: outer, name } => self.find_member(outer, name, locals)?,
            _ => Some(self.node(of, locals)?),
        };
        self.meter.step(1)?;
        match of {
            None => Ok(None),
            Some(of) if matches!(*of, Value::Null | Value::Map(_)) => {
                Ok(member(of, name).ok().filter(|value| **value != Value::Null))
            }
            Some(of) => Err(Stop::Error(format!("{} has no members, so not `{name}` either", shown(&of)))),
        }
    }

    /// A value as a part of something new.
    fn own(&self, value: Cow<'_, Value>) -> Eval<Value> {
        if let Cow::Borrowed(value) = value {
            operate::copied(&self.meter, value)?;
        }
        Ok(value.into_owned())
    }

    fn list<'v>(&'v self, nodes: &'v [Node], locals: Locals<'v>) -> Eval<Cow<'v, Value>> {
        self.meter.build(2)?;
        let items = nodes.iter().map(|node| self.own(self.node(node, locals)?)).collect::<Eval<Vec<_>>>()?;
        Ok(Cow::Owned(Value::List(items)))
    }

    fn map<'v>(&'v self, entries: &'v [(Node, Node)], locals: Locals<'v>) -> Eval<Cow<'v, Value>> {
        self.meter.build(2)?;
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let key = match self.own(self.node(key, locals)?)? {
                Value::String(key) => key,
                other => return Err(Stop::Error(format!("a map's keys are texts, not {}", shown(&other)))),
            };
            let value = self.own(self.node(value, locals)?)?;
            if map.contains_key(&key) {
                return Err(Stop::Error(format!("the key {key:?} stands twice in a map")));
            }
            map.insert(key, value);
        }
        Ok(Cow::Owned(Value::Map(map)))
    }

    fn each<'v>(&'v self, each: &'v Each, locals: Locals<'v>) -> Eval<Cow<'v, Value>> {
        let range = self.node(&each.range, locals)?;
        match &*range {
            Value::List(items) => self.over(each, items.iter().map(Cow::Borrowed), locals),
            Value::Map(map) => self.over(each, map.keys().map(|key| Cow::Owned(Value::String(key.clone()))), locals),
            other => Err(Stop::Error(format!("only a list or a map has items, not {}", shown(other)))),
        }
        .map(Cow::Owned)
    }

    fn over<'i>(&self, each: &Each, items: impl Iterator<Item = Cow<'i, Value>>, locals: Locals<'_>) -> Eval<Value> {
        match each.quantifier {
            Quantifier::All => self.quantified(false, each, items, locals),
            Quantifier::Exists => self.quantified(true, each, items, locals),
            Quantifier::ExistsOne => self.count(each, items, locals).map(|count| Value::Bool(count == 1)),
            Quantifier::Map | Quantifier::Filter => self.collect(each, items, locals),
        }
    }

    /// `exists` for true, `all` for false: one deciding item makes up for errors at others.
    fn quantified<'i>(
        &self,
        decides: bool,
        each: &Each,
        items: impl Iterator<Item = Cow<'i, Value>>,
        locals: Locals<'_>,
    ) -> Eval<Value> {
        let mut all_else = Ok(Value::Bool(!decides));
        for item in items {
            let local = Local { name: &each.item, value: &item, outer: locals };
            match self.condition(&each.body, Some(&local)) {
                Ok(side) if side == decides => return Ok(Value::Bool(decides)),
                Ok(_) => {}
                Err(Stop::Spent(message)) => return Err(Stop::Spent(message)),
                Err(error) => all_else = all_else.and(Err(error)),
            }
        }
        all_else
    }

    fn count<'i>(&self, each: &Each, items: impl Iterator<Item = Cow<'i, Value>>, locals: Locals<'_>) -> Eval<usize> {
        let mut count = 0;
        for item in items {
            let local = Local { name: &each.item, value: &item, outer: locals };
            count += usize::from(self.condition(&each.body, Some(&local))?);
        }
        Ok(count)
    }

    fn collect<'i>(&self, each: &Each, items: impl Iterator<Item = Cow<'i, Value>>, locals: Locals<'_>) -> Eval<Value> {
        self.meter.build(2)?;
        let mut list = Vec::new();
        for item in items {
            let local = Local { name: &each.item, value: &item, outer: locals };
            if let Some(filter) = &each.filter
                && !self.condition(filter, Some(&local))?
            {
                continue;
            }
            if each.quantifier == Quantifier::Map {
                list.push(self.own(self.node(&each.body, Some(&local))?)?);
            } else if self.condition(&each.body, Some(&local))? {
                list.push(self.own(item)?);
            }
        }
        Ok(Value::List(list))
    }
}

fn truth<'v>(truth: bool) -> Cow<'v, Value> {
    Cow::Owned(Value::Bool(truth))
}

/// The member, or the value that has none of that name.
fn member<'v>(of: Cow<'v, Value>, name: &str) -> Result<Cow<'v, Value>, Cow<'v, Value>> {
    match of {
        Cow::Borrowed(value) => value.get(name).map(Cow::Borrowed).ok_or(of),
        Cow::Owned(Value::Map(mut map)) => map.remove(name).map(Cow::Owned).ok_or(Cow::Owned(Value::Map(map))),
        Cow::Owned(_) => Err(of),
    }
}

fn index<'v>(of: Cow<'v, Value>, at: &Value) -> Eval<Cow<'v, Value>> {
    match (&*of, at) {
        (Value::Map(_), Value::String(name)) => {
            member(of, name).map_err(|of| Stop::Error(format!("no member {name:?} in {}", shown(&of))))
        }
        (Value::List(items), Value::Int(n)) => {
            let place = usize::try_from(*n).ok().filter(|place| *place < items.len());
            let place = place.ok_or_else(|| Stop::Error(format!("no item {n} in a list of {}", items.len())))?;
            Ok(match of {
                Cow::Borrowed(Value::List(items)) => Cow::Borrowed(&items[place]),
                Cow::Owned(Value::List(mut items)) => Cow::Owned(items.swap_remove(place)),
                Cow::Borrowed(_) | Cow::Owned(_) => return Err(Stop::Error("only lists have numbered items".into())),
            })
        }
        (of, at) => Err(Stop::Error(format!("{}[{}]: a list takes a number, a map a text", shown(of), shown(at)))),
    }
}
