//! `with`: literals with `${CEL}` in them, checked against the operation's input as they are read.

use std::collections::BTreeMap;

use sagaline_definition::model::{Template, TextPart};
use sagaline_definition::types::Type;
use sagaline_schemas::Value;

use super::expression::{self, Place};
use super::view::View;
use crate::contracts::Target;
use crate::fields::{did_you_mean, listed};
use crate::literal;
use crate::report::Problems;
use crate::source::Span;
use crate::yaml::{Entry, Kind, Node, Scalar};

/// Reads a template of that type. None: something in it is wrong; reported.
pub fn template(node: &Node, wanted: &Type, view: &View<'_>, problems: &mut Problems) -> Option<Template> {
    Reading { view, problems }.node(node, wanted)
}

/// The type that a template's value will have.
pub fn type_of(template: &Template, view: &View<'_>) -> Type {
    let names = template.exprs().into_iter().flat_map(|expr| expr.names());
    // Its expressions were found right when it was read.
    template.check(&view.scope(names)).unwrap_or(Type::Any)
}

/// The input of an operation. Where that is unknown, its expressions are checked all the same.
pub fn input(
    node: Option<&Node>,
    target: Option<Target<'_>>,
    span: Span,
    view: &View<'_>,
    problems: &mut Problems,
) -> Option<Template> {
    let wanted = target.map_or(Type::Any, |target| target.input());
    match (node, target) {
        (Some(node), _) => template(node, &wanted, view, problems),
        (None, Some(target)) => empty(span, &target.full_name(), &wanted, problems),
        (None, None) => None,
    }
}

/// The template of a step that says no `with`.
pub fn empty(span: Span, operation: &str, wanted: &Type, problems: &mut Problems) -> Option<Template> {
    let misfits = wanted.mismatches(&Type::Record(String::new(), BTreeMap::new()));
    if !misfits.is_empty() {
        let missing: Vec<&str> = misfits.iter().map(|misfit| misfit.path.as_str()).collect();
        problems.error(
            span,
            format!("`{operation}` needs an input with {}", listed(&missing)),
            "write `with: { ... }`",
        );
        return None;
    }
    Some(Template::Literal(Value::Map(BTreeMap::new())))
}

struct Reading<'a, 'p> {
    view: &'a View<'a>,
    problems: &'p mut Problems,
}

impl Reading<'_, '_> {
    fn node(&mut self, node: &Node, wanted: &Type) -> Option<Template> {
        match (&node.kind, not_null(wanted)) {
            (Kind::Scalar(scalar), _) if scalar.describe() == "text" => self.text(node, scalar.text(), wanted),
            (Kind::Scalar(scalar), _) => self.literal(node, scalar, wanted),
            (Kind::List(items), Type::List(item)) => self.list(items, item),
            (Kind::List(items), Type::Any) => self.list(items, &Type::Any),
            (Kind::Map(entries), Type::Record(name, members)) => self.record(node, entries, name, members),
            (Kind::Map(entries), Type::Map(value)) => self.map(entries, |_| value),
            (Kind::Map(entries), Type::Any) => self.map(entries, |_| &Type::Any),
            (Kind::List(_) | Kind::Map(_), other) => {
                let message = format!("this must be {other}, and is {}", node.describe());
                self.problems.error(node.span, message, format!("its type asks for {other} here"));
                None
            }
        }
    }

    fn literal(&mut self, node: &Node, scalar: &Scalar, wanted: &Type) -> Option<Template> {
        let value = literal::scalar_value(scalar, node.span, self.problems)?;
        expression::fit(node.span, "this", &Type::of(&value), wanted, self.problems)?;
        Some(Template::Literal(value))
    }

    fn list(&mut self, items: &[Node], wanted: &Type) -> Option<Template> {
        let read: Vec<_> = items.iter().map(|item| self.node(item, wanted)).collect();
        Some(folded_list(read.into_iter().collect::<Option<_>>()?))
    }

    fn record(
        &mut self,
        node: &Node,
        entries: &[Entry],
        name: &str,
        members: &BTreeMap<String, Type>,
    ) -> Option<Template> {
        let mut complete = true;
        for entry in entries.iter().filter(|entry| !members.contains_key(&entry.key)) {
            let names: Vec<&String> = members.keys().collect();
            let message = format!("a `{name}` has no `{}`", entry.key);
            self.problems.error(entry.key_span, message, did_you_mean(&entry.key, &names));
            complete = false;
        }
        for (member, wanted) in members {
            let written = entries.iter().any(|entry| entry.key == *member);
            if !written && !matches!(wanted, Type::Nullable(_) | Type::Any | Type::Null) {
                let help = format!("write `{member}: ...`: {} is wanted", wanted);
                self.problems.error(node.span, format!("a `{name}` needs `{member}`"), help);
                complete = false;
            }
        }
        let read = self.map(entries, |key| members.get(key).unwrap_or(&Type::Any));
        read.filter(|_| complete)
    }

    fn map<'t>(&mut self, entries: &[Entry], wanted: impl Fn(&str) -> &'t Type) -> Option<Template> {
        let mut members = BTreeMap::new();
        for entry in entries {
            if entry.key.contains("${") {
                let help = "write the key out; expressions may stand in values only";
                self.problems.error(entry.key_span, "a key is never computed", help);
            }
            members.insert(entry.key.clone(), self.node(&entry.value, wanted(&entry.key)));
        }
        let members = members.into_iter().map(|(key, read)| Some((key, read?))).collect::<Option<_>>()?;
        Some(folded_map(members))
    }

    fn text(&mut self, node: &Node, text: &str, wanted: &Type) -> Option<Template> {
        let pieces = match pieces(text) {
            Ok(pieces) => pieces,
            Err(offset) => {
                let span = node.span_within(self.problems.source(), offset, 2);
                let help = "close it with `}`; for a literal `${` write `$${`";
                self.problems.error(span, "`${` begins an expression that never ends", help);
                return None;
            }
        };
        if let [Piece::Expression { offset, source }] = pieces.as_slice() {
            let (expr, found) = Place { node, offset: *offset }.expression(source, self.view, self.problems)?;
            expression::fit(node.span, "this", &found, wanted, self.problems)?;
            return Some(Template::Expr(expr));
        }
        expression::fit(node.span, "this", &Type::String, wanted, self.problems)?;
        let read: Vec<_> = pieces.iter().map(|piece| self.text_part(node, piece)).collect();
        let parts: Vec<TextPart> = read.into_iter().collect::<Option<_>>()?;
        Some(match parts.as_slice() {
            [] => Template::Literal(Value::from("")),
            [TextPart::Literal(text)] => Template::Literal(Value::from(text.as_str())),
            _ => Template::Text(parts),
        })
    }

    fn text_part(&mut self, node: &Node, piece: &Piece<'_>) -> Option<TextPart> {
        let (offset, source) = match piece {
            Piece::Literal(text) => return Some(TextPart::Literal(text.clone())),
            Piece::Expression { offset, source } => (*offset, source),
        };
        let (expr, found) = Place { node, offset }.expression(source, self.view, self.problems)?;
        if matches!(found, Type::Any | Type::String | Type::Int | Type::Float | Type::Bool) {
            return Some(TextPart::Expr(expr));
        }
        let span = node.span_within(self.problems.source(), offset, source.len());
        let message = format!("text can't hold {}", found);
        self.problems.error(span, message, "write text, a number or a bool; what may be null needs a test first");
        None
    }
}

fn not_null(wanted: &Type) -> &Type {
    match wanted {
        Type::Nullable(inner) => inner,
        other => other,
    }
}

/// A list of literals is a literal: one thing has one normal form.
fn folded_list(items: Vec<Template>) -> Template {
    let literals = items.iter().map(as_literal).collect::<Option<Vec<_>>>();
    literals.map_or(Template::List(items), |values| Template::Literal(Value::List(values)))
}

fn folded_map(members: BTreeMap<String, Template>) -> Template {
    let literals = members.iter().map(|(key, member)| Some((key.clone(), as_literal(member)?))).collect::<Option<_>>();
    literals.map_or(Template::Map(members), |values| Template::Literal(Value::Map(values)))
}

fn as_literal(template: &Template) -> Option<Value> {
    match template {
        Template::Literal(value) => Some(value.clone()),
        Template::Expr(_) | Template::Text(_) | Template::List(_) | Template::Map(_) => None,
    }
}

#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Literal(String),
    Expression { offset: usize, source: &'a str },
}

/// A text cut at its `${...}`. Fails with the offset of one that never ends.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, usize> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let begin = at + found;
        if text[at..begin].ends_with('$') {
            // `$${` is a literal `${`.
            literal.push_str(&text[at..begin - 1]);
            literal.push_str("${");
            at = begin + 2;
            continue;
        }
        literal.push_str(&text[at..begin]);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        let length = expression_length(&text[begin + 2..]).ok_or(begin)?;
        pieces.push(Piece::Expression { offset: begin + 2, source: &text[begin + 2..begin + 2 + length] });
        at = begin + 3 + length;
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// Bytes before the `}` that closes the expression: one that stands in no inner braces and in no string.
fn expression_length(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}
