//! What an expression reads, and which values would decide it: for those who look for inputs that lead each way. The fold calls nothing here.

use sagaline_schemas::Value;

use super::Expr;
use super::tree::{Each, Function, Kind, Node, Op};

/// Stands in a path for any item of a list.
pub const ITEM: &str = "[]";

/// One thing that an expression reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The name, then its members; `ITEM` for the items of a list.
    pub path: Vec<String>,
    /// How it is used.
    pub used: Used,
}

/// How an expression uses what it reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Used {
    /// In a way that tells nothing.
    Somehow,
    /// It is asked whether it is there.
    Asked,
    /// As a condition.
    Truth,
    /// As a number.
    Number,
    /// As a text.
    Text,
    /// As a list.
    List,
    /// It is compared with a literal: one value on each side of the comparison.
    Decides(Value, Value),
    /// It is compared with something else that is read.
    Compared,
}

impl Expr {
    /// Everything it reads, in the order of the text. Something may be read twice. `used`: how its own value is used.
    pub fn reads(&self, used: Used) -> Vec<Read> {
        let mut gathering = Gathering { bound: Vec::new(), reads: Vec::new(), pairs: Vec::new() };
        gathering.node(&self.root, used);
        gathering.reads
    }

    /// What it compares with each other: the paths on both sides, in the order of the text.
    pub fn comparisons(&self) -> Vec<(Vec<String>, Vec<String>)> {
        let mut gathering = Gathering { bound: Vec::new(), reads: Vec::new(), pairs: Vec::new() };
        gathering.node(&self.root, Used::Somehow);
        gathering.pairs
    }
}

struct Gathering<'a> {
    /// What the variables of macros stand for; none: nothing that has a path.
    bound: Vec<(&'a str, Option<Vec<String>>)>,
    reads: Vec<Read>,
    pairs: Vec<(Vec<String>, Vec<String>)>,
}

impl<'a> Gathering<'a> {
    fn path(&self, node: &Node) -> Option<Vec<String>> {
        match &node.kind {
            Kind::Name(name) => match self.bound.iter().rev().find(|(bound, _)| bound == name) {
                Some((_, path)) => path.clone(),
                None => Some(vec![name.clone()]),
            },
            Kind::Member { of, name } | Kind::Has { of, name } => {
                let mut path = self.path(of)?;
                path.push(name.clone());
                Some(path)
            }
            Kind::Index { of, at } => {
                let mut path = self.path(of)?;
                path.push(match &at.kind {
                    Kind::Literal(Value::String(key)) => key.clone(),
                    _ => ITEM.to_owned(),
                });
                Some(path)
            }
            _ => None,
        }
    }

    fn node(&mut self, node: &'a Node, used: Used) {
        if let Some(path) = self.path(node) {
            let used = if matches!(node.kind, Kind::Has { .. }) { Used::Asked } else { used };
            self.reads.push(Read { path, used });
            if let Kind::Index { at, .. } = &node.kind {
                self.node(at, Used::Somehow);
            }
            return;
        }
        match &node.kind {
            Kind::Not(of) => self.node(of, Used::Truth),
            Kind::And(left, right) | Kind::Or(left, right) => {
                self.node(left, Used::Truth);
                self.node(right, Used::Truth);
            }
            Kind::Negate(of) => self.node(of, Used::Number),
            Kind::If { condition, then, otherwise } => {
                self.node(condition, Used::Truth);
                self.node(then, used.clone());
                self.node(otherwise, used);
            }
            Kind::Binary { op, left, right } => self.binary(*op, left, right),
            Kind::Each(each) => self.each(each),
            Kind::Call { function, arguments } => arguments.iter().for_each(|one| self.node(one, used_by(*function))),
            _ => node.children().into_iter().for_each(|child| self.node(child, Used::Somehow)),
        }
    }

    fn binary(&mut self, op: Op, left: &'a Node, right: &'a Node) {
        match (&left.kind, &right.kind, op) {
            (_, Kind::List(items), Op::In) => {
                let other = Value::from("none of them");
                let first = items.iter().find_map(literal).unwrap_or_default();
                self.node(left, Used::Decides(first, other));
            }
            (_, _, Op::In) => {
                self.node(left, Used::Somehow);
                self.node(right, Used::List);
            }
            (_, _, Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Modulo) => {
                for (one, other) in [(left, right), (right, left)] {
                    let text = matches!(literal(other), Some(Value::String(_)));
                    self.node(one, if text { Used::Text } else { Used::Number });
                }
            }
            _ => {
                self.pairs.extend(self.path(left).zip(self.path(right)));
                for (one, other, op) in [(left, right, op), (right, left, mirrored(op))] {
                    match literal(other).and_then(|with| deciding(op, with)) {
                        Some((holds, not)) => self.node(one, Used::Decides(holds, not)),
                        None => self.node(one, Used::Compared),
                    }
                }
            }
        }
    }

    fn each(&mut self, each: &'a Each) {
        let item = self.path(&each.range).map(|mut path| {
            path.push(ITEM.to_owned());
            path
        });
        self.node(&each.range, Used::List);
        self.bound.push((&each.item, item));
        each.filter.iter().for_each(|filter| self.node(filter, Used::Truth));
        self.node(&each.body, Used::Truth);
        self.bound.pop();
    }
}

fn used_by(function: Function) -> Used {
    match function {
        Function::Size => Used::List,
        Function::StartsWith | Function::EndsWith | Function::Contains => Used::Text,
        Function::Int | Function::Double | Function::Min | Function::Max => Used::Number,
        Function::String => Used::Somehow,
    }
}

fn literal(node: &Node) -> Option<Value> {
    match &node.kind {
        Kind::Literal(value) => Some(value.clone()),
        Kind::Negate(of) => match literal(of)? {
            Value::Int(n) => n.checked_neg().map(Value::Int),
            Value::Float(x) => Some(Value::Float(-x)),
            _ => None,
        },
        _ => None,
    }
}

fn mirrored(op: Op) -> Op {
    match op {
        Op::Less => Op::Greater,
        Op::LessOrEqual => Op::GreaterOrEqual,
        Op::Greater => Op::Less,
        Op::GreaterOrEqual => Op::LessOrEqual,
        other => other,
    }
}

/// A value for which `value OP with` holds, and one for which it does not.
fn deciding(op: Op, with: Value) -> Option<(Value, Value)> {
    let (below, above) = match &with {
        Value::Int(n) => (Value::Int(n.saturating_sub(1)), Value::Int(n.saturating_add(1))),
        Value::Float(x) => (Value::Float(x - 1.0), Value::Float(x + 1.0)),
        Value::Bool(truth) => (Value::Bool(!truth), Value::Bool(!truth)),
        Value::String(text) => (Value::from(""), Value::from(format!("not {text}").as_str())),
        Value::Null => (Value::from("something"), Value::from("something")),
        Value::List(_) | Value::Map(_) => return None,
    };
    Some(match op {
        Op::Equal => (with, above),
        Op::NotEqual => (above, with),
        Op::Less => (below, with),
        Op::LessOrEqual => (with, above),
        Op::Greater => (above, with),
        Op::GreaterOrEqual => (with, below),
        Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Modulo | Op::In => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(source: &str) -> String {
        let reads = Expr::parse(source).expect("an expression").reads(Used::Truth);
        let one = |read: &Read| match &read.used {
            Used::Decides(yes, no) => format!("{}: {yes} or {no}", read.path.join(".")),
            used => format!("{}: {used:?}", read.path.join(".")),
        };
        reads.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn values_on_both_sides_of_each_comparison() {
        assert_eq!(reads("a.b > 10 && 3 <= c"), "a.b: 11 or 10; c: 3 or 2");
        assert_eq!(reads("a == 'x' || b != null"), "a: \"x\" or \"not x\"; b: \"something\" or null");
        assert_eq!(reads("a in ['x', 'y']"), "a: \"x\" or \"none of them\"");
        assert_eq!(reads("a == b.c"), "a: Compared; b.c: Compared");
    }

    #[test]
    fn what_is_read_otherwise() {
        assert_eq!(reads("!has(a.b) && c"), "a.b: Asked; c: Truth");
        assert_eq!(reads("a.all(x, x.n > 1)"), "a: List; a.[].n: 2 or 1");
        assert_eq!(reads("size(a) > 0 && b + 1 == c * 2"), "a: List; b: Number; c: Number");
        assert_eq!(reads("a['k'].x + 'text' == b"), "a.k.x: Text; b: Compared");
    }
}
