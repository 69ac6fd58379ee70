//! `sleep`: time passes.

use sagaline_definition::model::Sleep;
use sagaline_definition::types::Type;

use crate::definition::calendars;
use crate::definition::expression::{self, Place};
use crate::definition::view::View;
use crate::fields::{self, Fields, Keys, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::{Kind, Node};

pub const SLEEP: Keys = Keys { what: "`sleep`", known: &["until", "window", "workdays", "calendar"] };

/// Most days of work.
const MAX_WORKDAYS: u32 = 1000;

/// Reads `sleep`: a duration, or what it ends with.
pub fn read(node: &Node, view: &View<'_>, problems: &mut Problems) -> Option<Sleep> {
    if !matches!(&node.kind, Kind::Map(_)) {
        return parsed(node, "duration", lexical::duration, problems).map(Sleep::For);
    }
    let fields = Fields::read(node, &SLEEP, problems)?;
    let ends: Vec<&str> = ["until", "window", "workdays"].into_iter().filter(|key| fields.get(key).is_some()).collect();
    let [end] = ends.as_slice() else {
        let message = "`sleep` ends with one of `until`, `window`, `workdays`";
        problems.error(node.span, message, "write `sleep: 2h`, or `sleep: { until: input.starts_at }`");
        return None;
    };
    if let Some(entry) = fields.entry("calendar").filter(|_| *end != "workdays") {
        problems.error(
            entry.key_span,
            format!("`calendar` says nothing beside `{end}`"),
            "it stands beside `workdays`",
        );
    }
    let value = fields.get(end)?;
    match *end {
        "until" => until(value, view, problems).map(Sleep::Until),
        "window" => calendars::named_at(value, view.world, problems).map(Sleep::Window),
        _ => workdays(&fields, value, view, problems),
    }
}

fn workdays(fields: &Fields<'_>, node: &Node, view: &View<'_>, problems: &mut Problems) -> Option<Sleep> {
    let days = parsed(node, "number of days", |text| lexical::count(text, 1..=MAX_WORKDAYS), problems);
    let calendar = fields.required("calendar", "calendar: office", problems);
    let calendar = calendar.and_then(|node| calendars::named_at(node, view.world, problems));
    Some(Sleep::Workdays { calendar: calendar?, days: days? })
}

/// A time: milliseconds since 1970, or a text as in RFC 3339.
fn until(node: &Node, view: &View<'_>, problems: &mut Problems) -> Option<sagaline_definition::Expr> {
    let source = fields::expression(node, "`until`", problems)?;
    let (expr, found) = Place { node, offset: 0 }.expression(source, view, problems)?;
    if found != Type::String {
        let wanted = Type::Int;
        if !wanted.mismatches(&found).is_empty() && !matches!(found, Type::Nullable(_) | Type::Null) {
            let message = format!("`until` must be a time, and is {found}");
            problems.error(node.span, message, "write milliseconds since 1970, or a text: '2026-12-24T09:00:00Z'");
            return None;
        }
        expression::fit(node.span, "`until`", &found, &wanted, problems)?;
    }
    Some(expr)
}
