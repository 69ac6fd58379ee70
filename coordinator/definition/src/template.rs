//! Templates: literals with expressions in them, as a step's `with` writes them.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sagaline_schemas::Value;

use crate::expr::{EvalError, Expr, ExprProblem, Names, Scope};
use crate::model::{Template, TextPart};
use crate::types::Type;

/// Something wrong in an expression of a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", path.join("."))]
pub struct TemplateProblem {
    /// Keys and numbers of items on the way to the text that the expression stands in.
    pub path: Vec<String>,
    /// The expression.
    pub expr: Expr,
    /// What is wrong with it.
    pub problem: ExprProblem,
}

impl Template {
    /// The value.
    ///
    /// # Errors
    /// Whenever one of the expressions has none, or none that can stand in a text.
    pub fn eval(&self, names: &dyn Names) -> Result<Value, EvalError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Expr(expr) => expr.eval(names),
            Self::Text(parts) => text(parts, names).map(Value::String),
            Self::List(items) => items.iter().map(|item| item.eval(names)).collect::<Result<_, _>>().map(Value::List),
            Self::Map(entries) => {
                let values = entries.iter().map(|(name, entry)| Ok((name.clone(), entry.eval(names)?)));
                values.collect::<Result<BTreeMap<_, _>, EvalError>>().map(Value::Map)
            }
        }
    }

    /// The canonical JSON text of its value: an expression alone is not copied for it.
    ///
    /// # Errors
    /// As `eval`.
    pub fn eval_json(&self, names: &dyn Names) -> Result<Vec<u8>, EvalError> {
        match self {
            Self::Expr(expr) => expr.eval_json(names),
            Self::Literal(_) | Self::Text(_) | Self::List(_) | Self::Map(_) => Ok(self.eval(names)?.to_json()),
        }
    }

    /// The type that its value will have.
    ///
    /// # Errors
    /// All that is wrong with its expressions.
    pub fn check(&self, scope: &Scope) -> Result<Type, Vec<TemplateProblem>> {
        let mut problems = Vec::new();
        let found = self.find(scope, &mut Vec::new(), &mut problems);
        if problems.is_empty() { Ok(found) } else { Err(problems) }
    }

    /// Every expression in it, in order.
    pub fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Expr(expr) => vec![expr],
            Self::Text(parts) => parts.iter().filter_map(TextPart::expr).collect(),
            Self::List(items) => items.iter().flat_map(Self::exprs).collect(),
            Self::Map(entries) => entries.values().flat_map(Self::exprs).collect(),
        }
    }

    fn find(&self, scope: &Scope, path: &mut Vec<String>, problems: &mut Vec<TemplateProblem>) -> Type {
        match self {
            Self::Literal(value) => Type::of(value),
            Self::Expr(expr) => found(expr, scope, path, problems),
            Self::Text(parts) => {
                for expr in parts.iter().filter_map(TextPart::expr) {
                    let part = found(expr, scope, path, problems);
                    if !matches!(part, Type::Any | Type::Bool | Type::Int | Type::Float | Type::String) {
                        let message = format!("only a string, number or bool can stand in a text, this is {part}");
                        let problem = ExprProblem { offset: 0, length: expr.source().len(), message };
                        problems.push(TemplateProblem { path: path.clone(), expr: expr.clone(), problem });
                    }
                }
                Type::String
            }
            Self::List(items) => {
                let items = items.iter().enumerate().map(|(i, item)| item.below(i.to_string(), scope, path, problems));
                Type::List(Box::new(items.reduce(Type::join).unwrap_or(Type::Any)))
            }
            Self::Map(entries) => {
                let members = entries
                    .iter()
                    .map(|(name, entry)| (name.clone(), entry.below(name.clone(), scope, path, problems)));
                Type::Record(String::new(), members.collect())
            }
        }
    }

    fn below(&self, key: String, scope: &Scope, path: &mut Vec<String>, problems: &mut Vec<TemplateProblem>) -> Type {
        path.push(key);
        let found = self.find(scope, path, problems);
        path.pop();
        found
    }
}

impl TextPart {
    /// The expression, where it is one.
    pub fn expr(&self) -> Option<&Expr> {
        match self {
            Self::Literal(_) => None,
            Self::Expr(expr) => Some(expr),
        }
    }
}

fn found(expr: &Expr, scope: &Scope, path: &[String], problems: &mut Vec<TemplateProblem>) -> Type {
    expr.check(scope).unwrap_or_else(|found| {
        problems.extend(found.into_iter().map(|problem| TemplateProblem {
            path: path.to_vec(),
            expr: expr.clone(),
            problem,
        }));
        Type::Any
    })
}

fn text(parts: &[TextPart], names: &dyn Names) -> Result<String, EvalError> {
    let mut text = String::new();
    for part in parts {
        match part {
            TextPart::Literal(literal) => text.push_str(literal),
            TextPart::Expr(expr) => match expr.eval(names)? {
                Value::String(part) => text.push_str(&part),
                scalar @ (Value::Bool(_) | Value::Int(_) | Value::Float(_)) => text.push_str(&scalar.to_string()),
                other => {
                    let message = format!("only a text, number or bool can stand in a text, this is {}", other.kind());
                    return Err(EvalError { source_text: expr.source().to_owned(), message });
                }
            },
        }
    }
    Ok(text)
}
