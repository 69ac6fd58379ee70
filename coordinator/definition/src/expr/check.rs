//! Types of expressions: what a definition says is checked when it is applied, not when an order is half done.
//! A problem's type counts as `Any` from there on, so that one mistake is told once.

use std::collections::BTreeSet;

use super::Scope;
use super::tree::{Each, Function, Kind, Node, Op, Quantifier, Span};
use crate::spelling::closest;
use crate::types::Type;

/// Something wrong in an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprProblem {
    /// Where it begins in the source, bytes.
    pub offset: usize,
    /// How long the part is, bytes.
    pub length: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// The type of a tree, or all that is wrong with it.
pub(super) fn check(root: &Node, scope: &Scope) -> Result<Type, Vec<ExprProblem>> {
    let mut checker = Checker { scope, problems: Vec::new() };
    let found = checker.node(root, &Known::default());
    checker.problems.sort_by_key(|problem| problem.offset);
    if checker.problems.is_empty() { Ok(found) } else { Err(checker.problems) }
}

/// The paths that are not null where a condition holds.
pub(super) fn present(condition: &Node) -> BTreeSet<String> {
    present_if(condition, true)
}

/// What is known at a place of the tree: the names that macros bind, and the paths that are not null there.
#[derive(Clone, Default)]
struct Known<'a> {
    bound: Vec<(&'a str, Type)>,
    present: BTreeSet<String>,
}

impl Known<'_> {
    fn and(&self, present: BTreeSet<String>) -> Self {
        let mut known = self.clone();
        known.present.extend(present);
        known
    }
}

struct Checker<'a> {
    scope: &'a Scope,
    problems: Vec<ExprProblem>,
}

impl<'a> Checker<'a> {
    fn problem(&mut self, at: Span, message: impl Into<String>) -> Type {
        self.problems.push(ExprProblem { offset: at.start, length: at.end - at.start, message: message.into() });
        Type::Any
    }

    fn node(&mut self, node: &'a Node, known: &Known<'a>) -> Type {
        match &node.kind {
            Kind::Literal(value) => Type::of(value),
            Kind::Name(name) => self.present(node, known, |checker| checker.name(node.span, name, known)),
            Kind::Member { of, name } => self.present(node, known, |checker| {
                let of_type = checker.value(of, known);
                checker.member(node.span, &of_type, name)
            }),
            Kind::Has { of, name } => {
                let of_type = self.asked(of, known);
                self.member(node.span, &of_type, name);
                Type::Bool
            }
            Kind::Index { of, at } => self.index(node.span, of, at, known),
            Kind::Not(of) => self.condition(of, known),
            Kind::Negate(of) => match self.value(of, known) {
                number @ (Type::Int | Type::Float | Type::Any) => number,
                other => self.problem(node.span, format!("`-` needs a number, this is {other}")),
            },
            Kind::And(a, b) => self.both(a, b, true, known),
            Kind::Or(a, b) => self.both(a, b, false, known),
            Kind::If { condition, then, otherwise } => {
                self.condition(condition, known);
                let then = self.node(then, &known.and(present_if(condition, true)));
                let otherwise = self.node(otherwise, &known.and(present_if(condition, false)));
                then.join(otherwise)
            }
            Kind::Binary { op, left, right } => self.binary(node.span, *op, left, right, known),
            Kind::List(nodes) => {
                let items = nodes.iter().map(|item| self.node(item, known)).reduce(Type::join);
                Type::List(Box::new(items.unwrap_or(Type::Any)))
            }
            Kind::Map(entries) => self.map(entries, known),
            Kind::Each(each) => self.each(each, known),
            Kind::Call { function, arguments } => self.call(node.span, *function, arguments, known),
        }
    }

    /// The type of a name or member, without null where something before it has ruled that out.
    fn present(&mut self, node: &'a Node, known: &Known<'a>, find: impl FnOnce(&mut Self) -> Type) -> Type {
        let found = find(self);
        match path(node) {
            Some(path) if known.present.contains(&path) => found.without_null(),
            _ => found,
        }
    }

    /// The type of something that must not be null here.
    fn value(&mut self, node: &'a Node, known: &Known<'a>) -> Type {
        let found = self.node(node, known);
        match (&found, path(node)) {
            (Type::Nullable(_) | Type::Null, Some(path)) => self.problem(
                node.span,
                format!("`{path}` may be null: ask first, `{path} != null && ..` or `{path} != null ? .. : ..`"),
            ),
            (Type::Nullable(_) | Type::Null, None) => self.problem(node.span, "this may be null"),
            _ => found,
        }
    }

    /// The type of what `has()` looks into: null on the way only makes it false.
    fn asked(&mut self, node: &'a Node, known: &Known<'a>) -> Type {
        match &node.kind {
            Kind::Member { of, name } => {
                let of_type = self.asked(of, known);
                self.member(node.span, &of_type, name).without_null()
            }
            _ => self.node(node, known).without_null(),
        }
    }

    fn name(&mut self, at: Span, name: &str, known: &Known<'a>) -> Type {
        if let Some((_, found)) = known.bound.iter().rev().find(|(bound, _)| *bound == name) {
            return found.clone();
        }
        if let Some(found) = self.scope.get(name) {
            return found.clone();
        }
        let names = self.scope.keys().map(String::as_str).chain(known.bound.iter().map(|(bound, _)| *bound));
        let message = format!("`{name}` is not known here{}", did_you_mean(name, names));
        self.problem(at, message)
    }

    fn member(&mut self, at: Span, of: &Type, name: &str) -> Type {
        match of {
            Type::Any => Type::Any,
            Type::Map(value) => (**value).clone(),
            Type::Record(record, members) => match members.get(name) {
                Some(found) => found.clone(),
                None => {
                    let hint = did_you_mean(name, members.keys().map(String::as_str));
                    let whose = if record.is_empty() { "this map".to_owned() } else { format!("`{record}`") };
                    self.problem(at, format!("{whose} has no member `{name}`{hint}"))
                }
            },
            other => self.problem(at, format!("{other} has no members, so not `{name}` either")),
        }
    }

    fn index(&mut self, at: Span, of: &'a Node, key: &'a Node, known: &Known<'a>) -> Type {
        let (of_type, key_type) = (self.value(of, known), self.value(key, known));
        match (of_type, key_type, &key.kind) {
            (Type::Any, _, _) => Type::Any,
            (Type::List(item), Type::Int | Type::Any, _) => *item,
            (Type::Map(value), Type::String | Type::Any, _) => *value,
            (record @ Type::Record(..), Type::String, Kind::Literal(sagaline_schemas::Value::String(name))) => {
                self.member(at, &record, name)
            }
            (Type::Record(..), Type::String | Type::Any, _) => Type::Any,
            (of_type, key_type, _) => self.problem(
                at,
                format!("{of_type} can't be indexed with {key_type}: a list takes an int, a map a string"),
            ),
        }
    }

    fn condition(&mut self, node: &'a Node, known: &Known<'a>) -> Type {
        match self.value(node, known) {
            Type::Bool | Type::Any => {}
            other => {
                self.problem(node.span, format!("a condition must be bool, this is {other}"));
            }
        }
        Type::Bool
    }

    fn both(&mut self, a: &'a Node, b: &'a Node, goes_on_if: bool, known: &Known<'a>) -> Type {
        self.condition(a, known);
        self.condition(b, &known.and(present_if(a, goes_on_if)))
    }

    fn binary(&mut self, at: Span, op: Op, left: &'a Node, right: &'a Node, known: &Known<'a>) -> Type {
        if matches!(op, Op::Equal | Op::NotEqual) {
            let (l, r) = (self.node(left, known), self.node(right, known));
            if !l.may_equal(&r) {
                self.problem(at, format!("{l} and {r} are never the same"));
            }
            return Type::Bool;
        }
        if op == Op::In {
            return self.within(at, left, right, known);
        }
        let (l, r) = (self.value(left, known), self.value(right, known));
        let arithmetic = matches!(op, Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Modulo);
        match (l, r) {
            (Type::Any, Type::Any) => {
                if arithmetic {
                    Type::Any
                } else {
                    Type::Bool
                }
            }
            (Type::Any, other) | (other, Type::Any) => self.operands(at, op, other.clone(), other),
            (l, r) => self.operands(at, op, l, r),
        }
    }

    /// Of operators on two values of known types, neither null.
    fn operands(&mut self, at: Span, op: Op, l: Type, r: Type) -> Type {
        let numbers = l.is_number() && r.is_number();
        let texts = l == Type::String && r == Type::String;
        match op {
            Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual if numbers || texts => Type::Bool,
            Op::Modulo if l == Type::Int && r == Type::Int => Type::Int,
            Op::Add | Op::Subtract | Op::Multiply | Op::Divide if numbers => l.join(r),
            Op::Add if texts => Type::String,
            Op::Add if matches!((&l, &r), (Type::List(_), Type::List(_))) => l.join(r),
            _ => self.problem(at, format!("`{}` does not take {l} and {r}", op.sign())),
        }
    }

    fn within(&mut self, at: Span, item: &'a Node, range: &'a Node, known: &Known<'a>) -> Type {
        let item_type = self.node(item, known);
        match self.value(range, known) {
            Type::List(of) if !of.may_equal(&item_type) => {
                self.problem(at, format!("a list of {of} never holds {item_type}"));
            }
            Type::Map(_) | Type::Record(..) if !item_type.may_equal(&Type::String) => {
                self.problem(at, format!("a map's keys are strings, this is {item_type}"));
            }
            Type::Any | Type::List(_) | Type::Map(_) | Type::Record(..) => {}
            other => {
                self.problem(at, format!("`in` looks into a list or a map's keys, not into {other}"));
            }
        }
        Type::Bool
    }

    fn map(&mut self, entries: &'a [(Node, Node)], known: &Known<'a>) -> Type {
        let mut members = std::collections::BTreeMap::new();
        let mut fixed = true;
        for (key, value) in entries {
            match self.value(key, known) {
                Type::String | Type::Any => {}
                other => {
                    self.problem(key.span, format!("a map's keys are strings, this is {other}"));
                }
            }
            let value_type = self.node(value, known);
            match &key.kind {
                Kind::Literal(sagaline_schemas::Value::String(name)) => {
                    if members.insert(name.clone(), value_type).is_some() {
                        self.problem(key.span, format!("the key {name:?} stands twice"));
                    }
                }
                _ => fixed = false,
            }
        }
        if fixed { Type::Record(String::new(), members) } else { Type::Map(Box::new(Type::Any)) }
    }

    fn each(&mut self, each: &'a Each, known: &Known<'a>) -> Type {
        let item = match self.value(&each.range, known) {
            Type::List(item) => *item,
            Type::Map(_) | Type::Record(..) => Type::String,
            Type::Any => Type::Any,
            other => self.problem(each.range.span, format!("only a list or a map has items, this is {other}")),
        };
        let mut inner = known.clone();
        inner.present.retain(|path| path.split('.').next() != Some(each.item.as_str()));
        inner.bound.push((&each.item, item.clone()));
        if let Some(filter) = &each.filter {
            self.condition(filter, &inner);
            inner = inner.and(present_if(filter, true));
        }
        match each.quantifier {
            Quantifier::Map => Type::List(Box::new(self.node(&each.body, &inner))),
            Quantifier::Filter => {
                self.condition(&each.body, &inner);
                Type::List(Box::new(item))
            }
            Quantifier::All | Quantifier::Exists | Quantifier::ExistsOne => self.condition(&each.body, &inner),
        }
    }

    fn call(&mut self, at: Span, function: Function, arguments: &'a [Node], known: &Known<'a>) -> Type {
        let types: Vec<Type> = arguments.iter().map(|argument| self.value(argument, known)).collect();
        let all = |fits: fn(&Type) -> bool| types.iter().all(|one| *one == Type::Any || fits(one));
        let text = |one: &Type| *one == Type::String;
        let scalar = |one: &Type| matches!(one, Type::String | Type::Bool | Type::Int | Type::Float);
        let (fits, result) = match function {
            Function::Size => {
                (all(|one| matches!(one, Type::String | Type::List(_) | Type::Map(_) | Type::Record(..))), Type::Int)
            }
            Function::StartsWith | Function::EndsWith | Function::Contains => (all(text), Type::Bool),
            Function::String => (all(scalar), Type::String),
            Function::Int => (all(|one| one.is_number() || *one == Type::String), Type::Int),
            Function::Double => (all(|one| one.is_number() || *one == Type::String), Type::Float),
            Function::Min | Function::Max => {
                (all(Type::is_number) || all(text), types.iter().cloned().reduce(Type::join).unwrap_or(Type::Any))
            }
        };
        if fits {
            return result;
        }
        let given: Vec<String> = types.iter().map(Type::to_string).collect();
        self.problem(at, format!("{}() does not take {}", function.name(), given.join(" and ")))
    }
}

/// `name`, `name.member`, `name.member.member`: what can be known not to be null.
fn path(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Name(name) => Some(name.clone()),
        Kind::Member { of, name } => path(of).map(|of| format!("{of}.{name}")),
        _ => None,
    }
}

/// The paths that are not null where a condition has turned out so.
fn present_if(condition: &Node, turned_out: bool) -> BTreeSet<String> {
    match (&condition.kind, turned_out) {
        (Kind::Has { of, name }, true) => {
            let mut present = prefixes(of);
            present.extend(path(of).map(|of| format!("{of}.{name}")));
            present
        }
        (Kind::Not(of), _) => present_if(of, !turned_out),
        (Kind::And(a, b), true) | (Kind::Or(a, b), false) => &present_if(a, turned_out) | &present_if(b, turned_out),
        (Kind::And(a, b), false) | (Kind::Or(a, b), true) => &present_if(a, turned_out) & &present_if(b, turned_out),
        (Kind::Binary { op, left, right }, _) => compared(*op, left, right, turned_out),
        _ => BTreeSet::new(),
    }
}

/// `x == 'a'` and `x != null` say that x is there.
fn compared(op: Op, left: &Node, right: &Node, turned_out: bool) -> BTreeSet<String> {
    let null = |node: &Node| matches!(node.kind, Kind::Literal(sagaline_schemas::Value::Null));
    let something = |node: &Node| matches!(node.kind, Kind::Literal(_)) && !null(node);
    let says = match op {
        Op::Equal if turned_out => something(left) || something(right),
        Op::NotEqual if turned_out => null(left) || null(right),
        Op::Equal => null(left) || null(right),
        Op::NotEqual => something(left) || something(right),
        _ => false,
    };
    if says { &prefixes(left) | &prefixes(right) } else { BTreeSet::new() }
}

/// A path and all it goes through.
fn prefixes(node: &Node) -> BTreeSet<String> {
    let mut present: BTreeSet<String> = path(node).into_iter().collect();
    if let Kind::Member { of, .. } = &node.kind {
        present.extend(prefixes(of));
    }
    present
}

fn did_you_mean<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    closest(name, names).map_or(String::new(), |other| format!("; did you mean `{other}`?"))
}
