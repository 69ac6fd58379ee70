//! From the text through cel's parser to our tree. Macros stay calls in cel's tree, since its expansions would have to be guessed back.
//! What is not part of our subset is refused here, with its place.

use cel::common::ast::{EntryExpr, Expr as Ast, IdedExpr, LiteralValue, SourceInfo, operators};
use cel::{Env, ParseErrors};
use sagaline_schemas::Value;

use super::ExprError;
use super::tree::{Each, Function, Kind, Node, Op, Quantifier, Span};

/// Most nodes of a tree.
pub(super) const MAX_NODES: usize = 256;
/// Most levels of a tree.
pub(super) const MAX_DEPTH: usize = 32;

/// Parses a text that has been admitted.
pub(super) fn parse(source: &str) -> Result<Node, ExprError> {
    let (ast, places) = Env::default().parser().parse_with_source_info(source).map_err(|e| syntax_error(source, &e))?;
    Lowering { source, places: &places, nodes: 0, depth: 0 }.node(&ast)
}

/// The first complaint of its grammar, else its first at all, in our words.
fn syntax_error(source: &str, errors: &ParseErrors) -> ExprError {
    let grammar = errors.errors.iter().find(|error| error.msg.starts_with("Syntax error: "));
    let Some(first) = grammar.or(errors.errors.first()) else {
        return ExprError { message: "this is no expression".into(), offset: 0 };
    };
    let offset = place(source, first.pos);
    let complaint = first.msg.trim_start_matches("Syntax error: ");
    let message = if offset >= source.trim_end().len() || complaint.contains("'<EOF>'") {
        "the expression ends too early".to_owned()
    } else if let Some(word) = complaint.strip_prefix("reserved identifier: ") {
        format!("`{word}` is a word that CEL keeps for itself: it can't be a name here")
    } else if let Some(sign) = complaint.strip_prefix("missing '").and_then(|rest| rest.chars().next()) {
        format!("`{sign}` is missing here")
    } else if complaint.starts_with("invalid ") {
        "this number is out of range".to_owned()
    } else {
        format!("`{}` can't stand here", word_at(source, offset))
    };
    ExprError { message, offset }
}

/// The byte at a line and column, both from 1, columns in characters.
fn place(source: &str, (line, column): (isize, isize)) -> usize {
    let before = |n: isize| usize::try_from(n - 1).unwrap_or(0);
    let line_start = source.split_inclusive('\n').take(before(line)).map(str::len).sum();
    line_start + byte_offset(&source[line_start..], before(column))
}

fn byte_offset(text: &str, chars: usize) -> usize {
    text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at)
}

fn word_at(source: &str, offset: usize) -> &str {
    let rest = &source[offset..];
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let sign = rest.chars().next().map_or(0, char::len_utf8);
    &rest[..word.max(sign)]
}

struct Lowering<'a> {
    source: &'a str,
    places: &'a SourceInfo,
    nodes: usize,
    depth: usize,
}

type Lowered<T = Node> = Result<T, ExprError>;

impl Lowering<'_> {
    fn node(&mut self, ast: &IdedExpr) -> Lowered {
        let token = self.token(ast);
        self.nodes += 1;
        self.depth += 1;
        if self.nodes > MAX_NODES {
            return refuse(token, format!("an expression has at most {MAX_NODES} parts"));
        }
        if self.depth > MAX_DEPTH {
            return refuse(
                token,
                format!("an expression is at most {MAX_DEPTH} levels deep: a chain of `+` counts one for each"),
            );
        }
        let node = match &ast.expr {
            Ast::Literal(literal) => Ok(Node { span: token, kind: Kind::Literal(literal_value(token, literal)?) }),
            Ast::Ident(name) if name.starts_with('.') => refuse(token, "a name can't begin with a dot"),
            Ast::Ident(name) => Ok(Node { span: token, kind: Kind::Name(name.clone()) }),
            Ast::Select(select) => self.member(token, &select.operand, &select.field),
            Ast::List(list) => self.list(token, &list.elements),
            Ast::Map(map) => self.map(token, map.entries.iter().map(|entry| &entry.expr)),
            Ast::Call(call) => self.call(token, &call.func_name, call.target.as_deref(), &call.args),
            Ast::Struct(_) => refuse(token, "typed literals are left out here: write a map, `{'name': value}`"),
            Ast::Comprehension(_) | Ast::Unspecified => refuse(token, "this is left out of CEL here"),
        };
        self.depth -= 1;
        node
    }

    /// Where the node's own sign or word stands.
    fn token(&self, ast: &IdedExpr) -> Span {
        let (first, last) = self.places.offset_for(ast.id).unwrap_or((0, 0));
        let start = byte_offset(self.source, first as usize);
        Span { start, end: byte_offset(self.source, last as usize + 1).max(start) }
    }

    fn boxed(&mut self, ast: &IdedExpr) -> Lowered<Box<Node>> {
        self.node(ast).map(Box::new)
    }

    fn nodes(&mut self, asts: &[IdedExpr]) -> Lowered<Vec<Node>> {
        asts.iter().map(|ast| self.node(ast)).collect()
    }

    /// The closing bracket lies behind the last thing inside.
    fn closed(&self, start: usize, inside: usize) -> Span {
        let end = self.source[inside..].find([')', ']', '}']).map_or(inside, |at| inside + at + 1);
        Span { start, end }
    }

    fn member(&mut self, dot: Span, of: &IdedExpr, name: &str) -> Lowered {
        let of = self.boxed(of)?;
        let end = self.source[dot.end..].find(name).map_or(dot.end, |at| dot.end + at + name.len());
        Ok(Node { span: Span { start: of.span.start, end }, kind: Kind::Member { of, name: name.to_owned() } })
    }

    fn list(&mut self, bracket: Span, items: &[IdedExpr]) -> Lowered {
        let items = self.nodes(items)?;
        let span = self.closed(bracket.start, items.last().map_or(bracket.end, |item| item.span.end));
        Ok(Node { span, kind: Kind::List(items) })
    }

    fn map<'b>(&mut self, brace: Span, entries: impl Iterator<Item = &'b EntryExpr>) -> Lowered {
        let mut nodes = Vec::new();
        for entry in entries {
            match entry {
                EntryExpr::MapEntry(entry) => nodes.push((self.node(&entry.key)?, self.node(&entry.value)?)),
                EntryExpr::StructField(_) => return refuse(brace, "typed literals are left out here"),
            }
        }
        let span = self.closed(brace.start, nodes.last().map_or(brace.end, |(_, value)| value.span.end));
        Ok(Node { span, kind: Kind::Map(nodes) })
    }

    fn call(&mut self, token: Span, name: &str, target: Option<&IdedExpr>, args: &[IdedExpr]) -> Lowered {
        if let Some(op) = binary(name)
            && let [left, right] = args
        {
            return self.binary(op, left, right);
        }
        match (name, target, args) {
            (operators::LOGICAL_NOT, None, [of]) => self.unary(token, of, Kind::Not),
            (operators::NEGATE, None, [of]) => self.unary(token, of, Kind::Negate),
            (operators::LOGICAL_AND, None, [a, b]) => self.pair(a, b, Kind::And),
            (operators::LOGICAL_OR, None, [a, b]) => self.pair(a, b, Kind::Or),
            (operators::INDEX, None, [of, at]) => {
                let (of, at) = (self.boxed(of)?, self.boxed(at)?);
                Ok(Node { span: self.closed(of.span.start, at.span.end), kind: Kind::Index { of, at } })
            }
            (operators::CONDITIONAL, None, [condition, then, otherwise]) => {
                let (condition, then, otherwise) = (self.boxed(condition)?, self.boxed(then)?, self.boxed(otherwise)?);
                let span = Span { start: condition.span.start, end: otherwise.span.end };
                Ok(Node { span, kind: Kind::If { condition, then, otherwise } })
            }
            (operators::HAS, None, args) => self.has(token, args),
            (name, Some(range), args) if Quantifier::of(name).is_some() => self.each(token, name, range, args),
            (name, target, args) => self.function(token, name, target, args),
        }
    }

    fn unary(&mut self, token: Span, of: &IdedExpr, kind: fn(Box<Node>) -> Kind) -> Lowered {
        let of = self.boxed(of)?;
        Ok(Node { span: Span { start: token.start, end: of.span.end }, kind: kind(of) })
    }

    fn pair(&mut self, a: &IdedExpr, b: &IdedExpr, kind: fn(Box<Node>, Box<Node>) -> Kind) -> Lowered {
        let (a, b) = (self.boxed(a)?, self.boxed(b)?);
        Ok(Node { span: Span { start: a.span.start, end: b.span.end }, kind: kind(a, b) })
    }

    fn binary(&mut self, op: Op, left: &IdedExpr, right: &IdedExpr) -> Lowered {
        let (left, right) = (self.boxed(left)?, self.boxed(right)?);
        let span = Span { start: left.span.start, end: right.span.end };
        Ok(Node { span, kind: null_is_absence(op, left, right) })
    }

    fn has(&mut self, token: Span, args: &[IdedExpr]) -> Lowered {
        let start = self.callee(token, operators::HAS);
        let [IdedExpr { expr: Ast::Select(select), .. }] = args else {
            return refuse(Span { start, ..token }, "has() asks for one member: has(order.address)");
        };
        let of = self.boxed(&select.operand)?;
        let span = self.closed(start, of.span.end);
        Ok(Node { span, kind: Kind::Has { of, name: select.field.clone() } })
    }

    fn each(&mut self, token: Span, name: &str, range: &IdedExpr, args: &[IdedExpr]) -> Lowered {
        let Some(quantifier) = Quantifier::of(name) else { return self.function(token, name, Some(range), args) };
        let place = Span { start: self.callee(token, name), ..token };
        let range = self.node(range)?;
        let (item, filter, body) = match args {
            [item, body] => (item, None, body),
            [item, filter, body] if quantifier == Quantifier::Map => (item, Some(filter), body),
            _ => return refuse(place, format!("write {name}(item, expression)")),
        };
        let Ast::Ident(item) = &item.expr else {
            return refuse(place, format!("{name}() takes first a name for the item: {name}(item, expression)"));
        };
        let filter = filter.map(|filter| self.node(filter)).transpose()?;
        let body = self.node(body)?;
        let span = self.closed(range.span.start, body.span.end);
        Ok(Node { span, kind: Kind::Each(Box::new(Each { quantifier, range, item: item.clone(), filter, body })) })
    }

    fn function(&mut self, token: Span, name: &str, target: Option<&IdedExpr>, args: &[IdedExpr]) -> Lowered {
        let place = Span { start: self.callee(token, name), end: token.start };
        let function = function(name, target.is_some(), args.len())
            .map_err(|message| ExprError { message, offset: place.start })?;
        let mut arguments = Vec::with_capacity(args.len() + 1);
        for argument in target.into_iter().chain(args) {
            arguments.push(self.node(argument)?);
        }
        let start = if target.is_some() { arguments[0].span.start } else { place.start };
        let inside = arguments.last().map_or(token.end, |last| last.span.end.max(token.end));
        Ok(Node { span: self.closed(start, inside), kind: Kind::Call { function, arguments } })
    }

    /// Where the name before an opening bracket begins.
    fn callee(&self, bracket: Span, name: &str) -> usize {
        self.source[..bracket.start].rfind(name).unwrap_or(bracket.start)
    }
}

fn refuse<T>(at: Span, message: impl Into<String>) -> Lowered<T> {
    Err(ExprError { message: message.into(), offset: at.start })
}

/// `x.y != null` asks the same as `has(x.y)`: one writer leaves out what another sends as null.
fn null_is_absence(op: Op, left: Box<Node>, right: Box<Node>) -> Kind {
    let is_null = |node: &Node| matches!(node.kind, Kind::Literal(Value::Null));
    let (asked, null) = if is_null(&left) { (right, left) } else { (left, right) };
    let span = asked.span;
    match (op, asked.kind) {
        (Op::NotEqual, Kind::Member { of, name }) if is_null(&null) => Kind::Has { of, name },
        (Op::Equal, Kind::Member { of, name }) if is_null(&null) => {
            Kind::Not(Box::new(Node { span, kind: Kind::Has { of, name } }))
        }
        (_, kind) => {
            let asked = Box::new(Node { span, kind });
            let (left, right) = if asked.span.start <= null.span.start { (asked, null) } else { (null, asked) };
            Kind::Binary { op, left, right }
        }
    }
}

fn literal_value(at: Span, literal: &LiteralValue) -> Lowered<Value> {
    Ok(match literal {
        LiteralValue::Null => Value::Null,
        LiteralValue::Boolean(truth) => Value::Bool(*truth.inner()),
        LiteralValue::Int(n) => Value::Int(*n.inner()),
        LiteralValue::Double(x) => Value::Float(*x.inner() + 0.0),
        LiteralValue::String(text) => Value::String(text.inner().to_owned()),
        LiteralValue::UInt(_) => return refuse(at, "whole numbers have one kind here: leave out the `u`"),
        LiteralValue::Bytes(_) => return refuse(at, "bytes are left out here: write text"),
    })
}

fn binary(name: &str) -> Option<Op> {
    Some(match name {
        operators::ADD => Op::Add,
        operators::SUBSTRACT => Op::Subtract,
        operators::MULTIPLY => Op::Multiply,
        operators::DIVIDE => Op::Divide,
        operators::MODULO => Op::Modulo,
        operators::EQUALS => Op::Equal,
        operators::NOT_EQUALS => Op::NotEqual,
        operators::LESS => Op::Less,
        operators::LESS_EQUALS => Op::LessOrEqual,
        operators::GREATER => Op::Greater,
        operators::GREATER_EQUALS => Op::GreaterOrEqual,
        operators::IN => Op::In,
        _ => return None,
    })
}

/// The function of that name, called on something or not, with so many arguments in brackets.
fn function(name: &str, on_target: bool, arguments: usize) -> Result<Function, String> {
    let (function, fits) = match name {
        "size" => (Function::Size, arguments + usize::from(on_target) == 1),
        "startsWith" => (Function::StartsWith, on_target && arguments == 1),
        "endsWith" => (Function::EndsWith, on_target && arguments == 1),
        "contains" => (Function::Contains, on_target && arguments == 1),
        "string" => (Function::String, !on_target && arguments == 1),
        "int" => (Function::Int, !on_target && arguments == 1),
        "double" => (Function::Double, !on_target && arguments == 1),
        "min" => (Function::Min, !on_target && arguments >= 1),
        "max" => (Function::Max, !on_target && arguments >= 1),
        "matches" => return Err("regular expressions are left out here: use startsWith, endsWith or contains".into()),
        "all" | "exists" | "exists_one" | "map" | "filter" => {
            return Err(format!("write list.{name}(item, expression)"));
        }
        "has" => return Err("has() asks for one member: has(order.address)".into()),
        _ => {
            let known = "size, startsWith, endsWith, contains, string, int, double, min, max, has, all, exists, exists_one, map, filter";
            return Err(format!("there is no function `{name}`; there are {known}"));
        }
    };
    if fits {
        return Ok(function);
    }
    Err(match function {
        Function::StartsWith | Function::EndsWith | Function::Contains => format!("write text.{name}(part)"),
        Function::Min | Function::Max => format!("write {name}(a, b)"),
        Function::Size | Function::String | Function::Int | Function::Double => format!("write {name}(value)"),
    })
}
