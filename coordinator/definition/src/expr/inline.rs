//! What an expression reads of one name, and constants written out in its text. For those who write normal forms; the fold calls nothing here.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_schemas::Value;

use super::tree::{Kind, Node, Span};
use super::{Expr, ExprError};

/// One use of a name in an expression.
struct Use<'a> {
    span: Span,
    /// The member that is read; none: the name is used otherwise.
    member: Option<&'a str>,
    /// Whether it is only asked for: `has(name.member)`.
    asked: bool,
}

impl Expr {
    /// The members of a name that it reads or asks for. None: it uses the name otherwise than as `NAME.MEMBER`.
    pub fn members(&self, name: &str) -> Option<BTreeSet<String>> {
        uses(&self.root, name).into_iter().map(|one| one.member.map(str::to_owned)).collect()
    }

    /// The same expression with each `NAME.MEMBER` written out.
    ///
    /// # Errors
    /// When the name is used otherwise, a member has no value, or what comes out breaks a limit.
    pub fn inline(&self, name: &str, values: &BTreeMap<String, Value>) -> Result<Self, ExprError> {
        let mut uses = uses(&self.root, name);
        uses.sort_by_key(|one| one.span.start);
        let mut text = String::new();
        let mut copied = 0;
        for one in uses {
            let value = one.member.filter(|_| !one.asked).and_then(|member| values.get(member));
            let Some(value) = value else {
                let message = format!("`{name}` is read one by one: {name}.NAME");
                return Err(ExprError { message, offset: one.span.start });
            };
            text.push_str(&self.source[copied..one.span.start]);
            write(value, &mut text);
            copied = one.span.end;
        }
        if copied == 0 {
            return Ok(self.clone());
        }
        text.push_str(&self.source[copied..]);
        Self::parse(&text).map_err(|error| ExprError {
            message: format!("with its `{name}` written out, {}", error.message),
            offset: 0,
        })
    }
}

fn uses<'a>(root: &'a Node, name: &str) -> Vec<Use<'a>> {
    let mut found = Vec::new();
    gather(root, name, &mut found);
    found
}

fn gather<'a>(node: &'a Node, name: &str, found: &mut Vec<Use<'a>>) {
    let is_name = |node: &Node| matches!(&node.kind, Kind::Name(other) if other == name);
    match &node.kind {
        Kind::Member { of, name: member } if is_name(of) => {
            found.push(Use { span: node.span, member: Some(member), asked: false });
        }
        Kind::Has { of, name: member } if is_name(of) => {
            found.push(Use { span: node.span, member: Some(member), asked: true });
        }
        Kind::Name(other) if other == name => found.push(Use { span: node.span, member: None, asked: false }),
        Kind::Each(each) if each.item == name => gather(&each.range, name, found),
        _ => node.children().into_iter().for_each(|child| gather(child, name, found)),
    }
}

/// A value as CEL writes it.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(truth) => text.push_str(&truth.to_string()),
        Value::Int(n) if *n < 0 => text.push_str(&format!("({n})")),
        Value::Int(n) => text.push_str(&n.to_string()),
        Value::Float(x) => text.push_str(&format!("({x:?})")),
        Value::String(s) => write_text(s, text),
        Value::List(items) => {
            text.push('[');
            for (number, item) in items.iter().enumerate() {
                text.push_str(if number > 0 { ", " } else { "" });
                write(item, text);
            }
            text.push(']');
        }
        Value::Map(map) => {
            text.push('{');
            for (number, (key, value)) in map.iter().enumerate() {
                text.push_str(if number > 0 { ", " } else { "" });
                write_text(key, text);
                text.push_str(": ");
                write(value, text);
            }
            text.push('}');
        }
    }
}

fn write_text(s: &str, text: &mut String) {
    text.push('\'');
    for c in s.chars() {
        match c {
            '\\' | '\'' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c.is_control() => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inlined(source: &str) -> String {
        let values = Value::parse(
            br#"{"max": 7, "low": -2, "rate": 1e-7, "text": "it's \n\u0001", "list": [1, "a"], "map": {"gold": true}}"#,
        );
        let Ok(Value::Map(values)) = values else { panic!("a map") };
        match Expr::parse(source).expect("an expression").inline("constants", &values) {
            Ok(expr) => expr.source().to_owned(),
            Err(error) => format!("{}: {}", error.offset, error.message),
        }
    }

    #[test]
    fn constants_are_written_out() {
        assert_eq!(inlined("a > 1"), "a > 1");
        assert_eq!(inlined("a > constants.max && constants . low < b"), "a > 7 && (-2) < b");
        assert_eq!(inlined("x in constants.list || constants.map.gold"), "x in [1, 'a'] || {'gold': true}.gold");
        assert_eq!(inlined("constants.text + string(constants.rate)"), "'it\\'s \\n\\u0001' + string((1e-7))");
    }

    #[test]
    fn a_macro_may_hide_them() {
        assert_eq!(
            inlined("constants.list.all(constants, constants.max == 1)"),
            "[1, 'a'].all(constants, constants.max == 1)"
        );
    }

    #[test]
    fn what_is_no_constant_is_told() {
        assert_eq!(inlined("size(constants) > 0"), "5: `constants` is read one by one: constants.NAME");
        assert_eq!(inlined("a + constants.none"), "4: `constants` is read one by one: constants.NAME");
        assert_eq!(inlined("has(constants.max)"), "0: `constants` is read one by one: constants.NAME");
    }

    #[test]
    fn members_are_those_that_are_read_or_asked_for() {
        let members = |source: &str| Expr::parse(source).expect("an expression").members("probe");
        let set = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(members("has(probe.b.x) || probe.a.y == 1 || probe.c == null"), set(&["a", "b", "c"]));
        assert_eq!(members("input.x == 1"), set(&[]));
        assert_eq!(members("probe['a'].x == 1"), None);
    }
}
