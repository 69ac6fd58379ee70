//! `decide`: a named decision, taken once, exhaustive.

use sagaline_definition::model::{Arm, Decide};
use sagaline_definition::types::Type;

use crate::definition::expression;
use crate::definition::view::View;
use crate::fields::{self, Fields, Keys};
use crate::literal;
use crate::report::Problems;
use crate::yaml::Node;

pub const ARM: Keys = Keys { what: "an outcome of `decide`", known: &["if", "is"] };

/// Reads `decide`.
pub fn read(node: &Node, view: &View<'_>, problems: &mut Problems) -> Option<Decide> {
    let items = fields::list(node, "`decide`", problems)?;
    let Some((last, earlier)) = items.split_last() else {
        problems.error(
            node.span,
            "there is nothing to decide",
            "write [{ if: input.total > 100, is: manager }, { is: auto }]",
        );
        return None;
    };
    let read: Vec<_> = items.iter().map(|item| arm(item, view, problems)).collect();
    if fields::map_entry(last, "if").is_some() {
        let help = "add an outcome without `if` at its end: { is: auto }";
        problems.error(last.span, "this is decided only if the last condition holds", help);
    }
    for item in earlier.iter().filter(|item| fields::map_entry(item, "if").is_none()) {
        problems.error(item.span, "what stands below is never reached", "give it an `if`, or let it stand last");
    }
    let arms: Vec<Arm> = read.into_iter().collect::<Option<_>>()?;
    of_one_type(items, &arms, problems)?;
    Some(Decide { arms })
}

fn arm(node: &Node, view: &View<'_>, problems: &mut Problems) -> Option<Arm> {
    let fields = Fields::read(node, &ARM, problems)?;
    let condition = expression::optional(fields.get("if"), "`if`", &Type::Bool, view, problems);
    let is = fields.required("is", "is: manager", problems).and_then(|node| literal::value(node, problems));
    Some(Arm { condition: condition?, is: is? })
}

fn of_one_type(items: &[Node], arms: &[Arm], problems: &mut Problems) -> Option<()> {
    let first = Type::of(&arms.first()?.is);
    let other = arms.iter().zip(items).find(|(arm, _)| matches!(first.clone().join(Type::of(&arm.is)), Type::Any));
    let Some((arm, item)) = other else { return Some(()) };
    let span = fields::map_entry(item, "is").map_or(item.span, |entry| entry.value.span);
    let message = format!("this is {}, and the first outcome is {first}", Type::of(&arm.is));
    problems.error(span, message, "let all outcomes be of one type");
    None
}
