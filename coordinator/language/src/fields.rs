//! Reading maps whose keys are known: what is missing, unknown or of the wrong kind is reported, never ignored.

use sagaline_definition::spelling::closest;

use crate::report::Problems;
use crate::source::Span;
use crate::yaml::{Entry, Kind, Node};

/// The keys that a map may have.
pub struct Keys {
    /// What the map describes, with its article.
    pub what: &'static str,
    /// Keys that mean something.
    pub known: &'static [&'static str],
}

/// A map that was looked over.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    pub span: Span,
    what: &'static str,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// Looks over the keys of a map. None: it is no map.
    pub fn read(node: &'a Node, keys: &Keys, problems: &mut Problems) -> Option<Self> {
        let entries = map(node, keys.what, problems)?;
        for entry in entries {
            let known = keys.known.contains(&entry.key.as_str());
            if !known {
                unknown_key(entry, keys, problems);
            }
        }
        Some(Self { span: node.span, what: keys.what, entries })
    }

    /// A map whose keys are looked over elsewhere.
    pub fn of(span: Span, what: &'static str, entries: &'a [Entry]) -> Self {
        Self { span, what, entries }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Key and value.
    pub fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of a key that must be there.
    pub fn required(&self, key: &str, example: &str, problems: &mut Problems) -> Option<&'a Node> {
        let value = self.get(key);
        if value.is_none() {
            problems.error(self.span, format!("{} needs `{key}`", self.what), format!("write `{example}`"));
        }
        value
    }
}

fn unknown_key(entry: &Entry, keys: &Keys, problems: &mut Problems) {
    let message = format!("{} has no key `{}`", keys.what, entry.key);
    problems.error(entry.key_span, message, did_you_mean(&entry.key, keys.known));
}

/// The entries of a map. None: it is something else.
pub fn map<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<&'a [Entry]> {
    match &node.kind {
        Kind::Map(entries) => Some(entries),
        Kind::Scalar(_) | Kind::List(_) => {
            let message = format!("{what} is a map, and this is {}", node.describe());
            problems.error(node.span, message, "write KEY: VALUE lines, or { KEY: VALUE, ... }");
            None
        }
    }
}

/// The items of a list. None: it is something else.
pub fn list<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<&'a [Node]> {
    match &node.kind {
        Kind::List(items) => Some(items),
        Kind::Scalar(_) | Kind::Map(_) => {
            let message = format!("{what} is a list, and this is {}", node.describe());
            problems.error(node.span, message, "write `- ITEM` lines, or [ITEM, ...]");
            None
        }
    }
}

/// One text, or a list of them.
pub fn one_or_more(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::List(items) => items,
        Kind::Scalar(_) | Kind::Map(_) => std::slice::from_ref(node),
    }
}

/// A text. None: it is something else.
pub fn text<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<&'a str> {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.describe() == "text" => Some(scalar.text()),
        Kind::Scalar(scalar) if !scalar.text().is_empty() => {
            let message = format!("{what} is text, and this is {}", node.describe());
            problems.error(node.span, message, format!("quote it: \"{}\"", scalar.text()));
            None
        }
        _ => {
            problems.error(node.span, format!("{what} is text, and this is {}", node.describe()), "write text");
            None
        }
    }
}

/// Whose something is. Nobody's work does not exist: an empty text names nobody.
pub fn owner<'a>(node: &'a Node, problems: &mut Problems) -> Option<&'a str> {
    let owner = text(node, "an owner", problems)?;
    if owner.trim().is_empty() {
        problems.error(node.span, "nobody is the owner", "name the team that looks after it: team-payments");
        return None;
    }
    Some(owner)
}

/// The source of an expression: what a scalar says, whatever it would be as a value.
pub fn expression<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<&'a str> {
    match &node.kind {
        Kind::Scalar(scalar) if !scalar.text().trim().is_empty() => Some(scalar.text()),
        _ => {
            let message = format!("{what} is an expression, and this is {}", node.describe());
            problems.error(node.span, message, "write one: input.total > 100");
            None
        }
    }
}

/// `true` or `false`.
pub fn flag(node: &Node, what: &str, problems: &mut Problems) -> Option<bool> {
    let written = match &node.kind {
        Kind::Scalar(scalar) if scalar.is_plain() => scalar.text(),
        _ => "",
    };
    match written {
        "true" => Some(true),
        "false" => Some(false),
        _ => {
            problems.error(node.span, format!("{what} is `true` or `false`"), "write `true`, or take it out");
            None
        }
    }
}

/// The nearest of the names, or all of them.
pub fn did_you_mean<S: AsRef<str>>(name: &str, names: &[S]) -> String {
    let near = closest(name, names.iter().map(AsRef::as_ref));
    match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "there is none to choose from".to_owned(),
        None => format!("there is {}", listed(names)),
    }
}

/// A hint, and another way out.
pub fn or_else(hint: String, other: &str) -> String {
    if hint.ends_with('?') { format!("{hint} Or {other}") } else { format!("{hint}; or {other}") }
}

/// Names as a message shows them.
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    quoted.join(", ")
}

/// A scalar with a grammar of its own: a name, a version, a duration, a word. `grammar` says what would be right.
pub fn parsed<'a, T>(
    node: &'a Node,
    what: &str,
    grammar: impl Fn(&'a str) -> Result<T, String>,
    problems: &mut Problems,
) -> Option<T> {
    let written = match &node.kind {
        Kind::Scalar(scalar) => scalar.text(),
        Kind::List(_) | Kind::Map(_) => "",
    };
    match grammar(written) {
        Ok(value) => Some(value),
        Err(help) => {
            let found = if written.is_empty() { node.describe().to_owned() } else { format!("`{written}`") };
            problems.error(node.span, format!("{found} is no {what}"), help);
            None
        }
    }
}

/// The entries of a map, if the node is one.
pub fn entries(node: &Node) -> Option<&[Entry]> {
    match &node.kind {
        Kind::Map(entries) => Some(entries),
        Kind::Scalar(_) | Kind::List(_) => None,
    }
}

/// The entry of a key, if the node is a map and has it.
pub fn map_entry<'a>(node: &'a Node, key: &str) -> Option<&'a Entry> {
    match &node.kind {
        Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
        Kind::Scalar(_) | Kind::List(_) => None,
    }
}
