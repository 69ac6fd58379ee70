//! Expressions at their place in the file: parsed, and checked against the names that may be seen from there.

use sagaline_definition::Expr;
use sagaline_definition::expr::Scope;
use sagaline_definition::types::Type;

use super::view::{Sight, View};
use crate::fields::{self, did_you_mean};
use crate::report::Problems;
use crate::source::Span;
use crate::yaml::Node;

/// A key whose value is an expression of that type. None: it is wrong; reported.
pub fn selector(node: &Node, what: &str, wanted: &Type, view: &View<'_>, problems: &mut Problems) -> Option<Expr> {
    let source = fields::expression(node, what, problems)?;
    let (expr, found) = Place { node, offset: 0 }.expression(source, view, problems)?;
    fit(node.span, what, &found, wanted, problems)?;
    Some(expr)
}

/// The same for a key that may be missing. Some(None): it is.
pub fn optional(
    node: Option<&Node>,
    what: &str,
    wanted: &Type,
    view: &View<'_>,
    problems: &mut Problems,
) -> Option<Option<Expr>> {
    match node {
        Some(node) => selector(node, what, wanted, view, problems).map(Some),
        None => Some(None),
    }
}

/// Whether every value of one type may stand where another is wanted, as far as it can be known. None: not; reported.
pub fn fit(span: Span, what: &str, found: &Type, wanted: &Type, problems: &mut Problems) -> Option<()> {
    let misfits = wanted.mismatches(found);
    for misfit in &misfits {
        let place = if misfit.path.is_empty() { what.to_owned() } else { format!("{what}: `{}`", misfit.path) };
        let help = match (found, wanted) {
            (Type::Nullable(_), _) => "it may be null: test it with `!= null` or has() first".to_owned(),
            (Type::Bool | Type::Int | Type::Float, Type::String) => "quote it, or write string(...)".to_owned(),
            (_, Type::Bool) => "write a condition: input.total > 100".to_owned(),
            _ => format!("its type asks for {} here", misfit.expected),
        };
        problems.error(span, format!("{place} must be {}, and is {}", misfit.expected, misfit.got), help);
    }
    misfits.is_empty().then_some(())
}

/// Where an expression begins in the value of a scalar.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub node: &'a Node,
    pub offset: usize,
}

impl Place<'_> {
    /// Parses and checks. None: it is wrong; reported, all at once.
    pub fn expression(&self, source: &str, view: &View<'_>, problems: &mut Problems) -> Option<(Expr, Type)> {
        let expr = match Expr::parse(source) {
            Ok(expr) => expr,
            Err(error) => {
                self.report(error.offset, 1, error.message, problems);
                return None;
            }
        };
        let mut seen = true;
        let mut scope = Scope::new();
        for name in expr.names() {
            let sight = view.see(&name);
            let found = self.look(&name, source, sight, problems);
            seen &= found.is_some();
            // What was reported is not reported again by the check.
            scope.insert(name, found.unwrap_or(Type::Any));
        }
        view.world.note_names(&expr);
        match expr.check(&scope) {
            Ok(_) if !seen => None,
            Ok(found) => Some((self.without_constants(expr, view, problems)?, found)),
            Err(wrong) => {
                wrong.into_iter().for_each(|w| self.report(w.offset, w.length, w.message, problems));
                None
            }
        }
    }

    /// The normal form has no constants. One that could not be read was reported where it stands.
    fn without_constants(&self, expr: Expr, view: &View<'_>, problems: &mut Problems) -> Option<Expr> {
        let members = expr.members("constants");
        let broken = |name: &String| view.world.constants.get(name).is_some_and(Option::is_none);
        if members.is_some_and(|members| members.iter().any(broken)) {
            return None;
        }
        match expr.inline("constants", &view.world.constant_values()) {
            Ok(expr) => Some(expr),
            Err(error) => {
                self.report(error.offset, "constants".len(), error.message, problems);
                None
            }
        }
    }

    fn look(&self, name: &str, source: &str, sight: Sight, problems: &mut Problems) -> Option<Type> {
        let (message, help) = match sight {
            Sight::Seen(found) => return Some(found),
            Sight::Hidden { message, help } => (message, help),
            Sight::Unknown(names) => (format!("`{name}` means nothing here"), did_you_mean(name, &names)),
        };
        let span = self.node.span_within(problems.source(), self.offset + position(name, source), name.len());
        problems.error(span, message, help);
        None
    }

    fn report(&self, offset: usize, length: usize, message: String, problems: &mut Problems) {
        let span = self.node.span_within(problems.source(), self.offset + offset, length);
        problems.bare_error(span, message);
    }
}

/// Where a name stands first as a whole word that is no member of something.
fn position(name: &str, source: &str) -> usize {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let whole = |at: &usize| {
        let before = source[..*at].chars().next_back();
        let after = source[*at + name.len()..].chars().next();
        before.is_none_or(|c| !word(c) && c != '.') && after.is_none_or(|c| !word(c))
    };
    source.match_indices(name).map(|(at, _)| at).find(whole).unwrap_or(0)
}
