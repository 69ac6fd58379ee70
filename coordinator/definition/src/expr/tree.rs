//! An expression as we evaluate it: only what is allowed here has a form, and every node knows its place in the text.

use std::collections::BTreeSet;

use sagaline_schemas::Value;

/// A stretch of the source, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A part of an expression.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) kind: Kind,
}

/// What a node says.
#[derive(Debug)]
pub(super) enum Kind {
    Literal(Value),
    Name(String),
    Member { of: Box<Node>, name: String },
    Index { of: Box<Node>, at: Box<Node> },
    Has { of: Box<Node>, name: String },
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    If { condition: Box<Node>, then: Box<Node>, otherwise: Box<Node> },
    Binary { op: Op, left: Box<Node>, right: Box<Node> },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Each(Box<Each>),
    Call { function: Function, arguments: Vec<Node> },
}

/// One of the macros over the items of a list, or over the keys of a map in their order.
#[derive(Debug)]
pub(super) struct Each {
    pub(super) quantifier: Quantifier,
    pub(super) range: Node,
    pub(super) item: String,
    /// Only for `map` with three arguments.
    pub(super) filter: Option<Node>,
    pub(super) body: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantifier {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

impl Quantifier {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "exists" => Self::Exists,
            "exists_one" => Self::ExistsOne,
            "map" => Self::Map,
            "filter" => Self::Filter,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Op {
    /// As it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    StartsWith,
    EndsWith,
    Contains,
    String,
    Int,
    Double,
    Min,
    Max,
}

impl Function {
    /// As it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Contains => "contains",
            Self::String => "string",
            Self::Int => "int",
            Self::Double => "double",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

impl Node {
    /// The names it mentions that no macro in it binds.
    pub(super) fn free_names(&self) -> BTreeSet<String> {
        let mut free = BTreeSet::new();
        self.gather(&mut Vec::new(), &mut free);
        free
    }

    /// The nodes right below it.
    pub(super) fn children(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Literal(_) | Kind::Name(_) => Vec::new(),
            Kind::Member { of, .. } | Kind::Has { of, .. } | Kind::Not(of) | Kind::Negate(of) => vec![of],
            Kind::Index { of: a, at: b }
            | Kind::And(a, b)
            | Kind::Or(a, b)
            | Kind::Binary { left: a, right: b, .. } => vec![a, b],
            Kind::If { condition, then, otherwise } => vec![condition, then, otherwise],
            Kind::List(nodes) | Kind::Call { arguments: nodes, .. } => nodes.iter().collect(),
            Kind::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            Kind::Each(each) => [&each.range].into_iter().chain(&each.filter).chain([&each.body]).collect(),
        }
    }

    fn gather<'a>(&'a self, bound: &mut Vec<&'a str>, free: &mut BTreeSet<String>) {
        match &self.kind {
            Kind::Literal(_) => {}
            Kind::Name(name) => {
                if !bound.contains(&name.as_str()) {
                    free.insert(name.clone());
                }
            }
            Kind::Each(each) => {
                each.range.gather(bound, free);
                bound.push(&each.item);
                each.filter.iter().chain([&each.body]).for_each(|node| node.gather(bound, free));
                bound.pop();
            }
            _ => self.children().into_iter().for_each(|node| node.gather(bound, free)),
        }
    }
}
