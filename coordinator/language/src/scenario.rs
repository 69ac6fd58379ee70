//! Tests of definitions, as their authors write them: what is given, what happens when, what is expected. Only the reading is done here:
//! `tests/testkit` plays them.

mod happening;
mod reply;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sagaline_schemas::Value;

use crate::fields::{Fields, Keys, list, map, parsed, text};
use crate::lexical;
use crate::literal;
use crate::report::{Checked, Problems, Report};
use crate::yaml::{self, Entry, Node};

pub use happening::{HAPPENING, Happening, What};
pub use reply::{REPLY, Reply, Says};

/// A file of scenarios.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenarios {
    /// The definition's file, relative to this one.
    pub definition: String,
    /// In file order.
    pub scenarios: Vec<Scenario>,
}

/// One course of things, and what should come of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name, a sentence.
    pub name: String,
    /// Where it stands: the line, from 1.
    pub line: usize,
    /// What the saga begins with.
    pub input: Value,
    /// Its correlation id.
    pub key: String,
    /// When it begins: RFC 3339.
    pub clock: Option<String>,
    /// By command (`reserve`, `undo reserve`, `probe charge`, `ask rate`), what is answered, one after the other; the last goes on.
    pub replies: BTreeMap<String, Vec<Reply>>,
    /// What happens besides, each so long after the beginning.
    pub happenings: Vec<Happening>,
    /// What should come of it.
    pub expected: Expected,
}

/// What should come of a scenario. What is not said is not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    /// All commands in order: the command's name, and its input where it matters.
    pub commands: Option<Vec<(String, Option<Value>)>>,
    /// All steps at which it waited, in order.
    pub waits: Option<Vec<String>>,
    /// How it ended, or rests.
    pub end: Option<String>,
    /// What it says of why it is stuck; a part of it is enough.
    pub because: Option<String>,
    /// When it ended or came to rest, milliseconds after its beginning.
    pub after: Option<i64>,
    /// By effect: `stands`, `void` or `unknown`.
    pub world: Option<BTreeMap<String, String>>,
    /// By step: when it began, milliseconds after the saga's beginning.
    pub times: BTreeMap<String, i64>,
}

/// The keys of a file of tests.
pub const FILE: Keys = Keys { what: "a file of tests", known: &["definition", "tests"] };
/// The keys of a test.
pub const TEST: Keys =
    Keys { what: "a test", known: &["test", "input", "key", "clock", "replies", "happens", "expect"] };
/// The keys of what is expected.
pub const EXPECT: Keys =
    Keys { what: "`expect`", known: &["commands", "waits", "end", "because", "after", "world", "times"] };

const ENDS: [&str; 7] = ["completed", "compensated", "cancelled", "closed", "stuck", "held", "waiting"];
const STANDS: [&str; 3] = ["stands", "void", "unknown"];

/// Reads a file of tests. `file` is what messages call it.
///
/// # Errors
/// All that is wrong with it.
pub fn scenarios(file: &str, text: &str) -> Result<Checked<Scenarios>, Report> {
    let mut problems = Problems::new(file, text);
    let root = yaml::parse(&mut problems);
    let read = root.and_then(|root| read(&root, &mut problems));
    problems.finish(read)
}

fn read(root: &Node, problems: &mut Problems) -> Option<Scenarios> {
    let fields = Fields::read(root, &FILE, problems)?;
    let definition = fields.required("definition", "definition: order.yaml", problems);
    let definition = definition.and_then(|node| text(node, "`definition`", problems));
    let tests = fields.required("tests", "tests: [...]", problems);
    let tests = list(tests?, "`tests`", problems)?;
    let scenarios = tests.iter().filter_map(|node| scenario(node, problems)).collect();
    Some(Scenarios { definition: definition?.to_owned(), scenarios })
}

fn scenario(node: &Node, problems: &mut Problems) -> Option<Scenario> {
    let fields = Fields::read(node, &TEST, problems)?;
    let name = fields.required("test", "test: a refused card gives the goods back", problems);
    let name = name.and_then(|node| text(node, "`test`", problems));
    let input = fields.get("input").map_or(Some(Value::Null), |node| literal::value(node, problems));
    let key = fields.get("key").map_or(Some("test"), |node| text(node, "`key`", problems));
    let clock = fields.get("clock").map(|node| text(node, "`clock`", problems).map(str::to_owned));
    let replies = fields.get("replies").map_or(Some(BTreeMap::new()), |node| reply::replies(node, problems));
    let happenings = fields.get("happens").map_or(Some(Vec::new()), |node| happening::happenings(node, problems));
    let expected = fields.required("expect", "expect: { end: completed }", problems);
    let expected = expected.and_then(|node| expect(node, problems));
    let (line, _) = problems.source().line_column(node.span.start);
    Some(Scenario {
        name: name?.to_owned(),
        line,
        input: input?,
        key: key?.to_owned(),
        clock: clock.map_or(Some(None), |clock| clock.map(Some))?,
        replies: replies?,
        happenings: happenings?,
        expected: expected?,
    })
}

fn expect(node: &Node, problems: &mut Problems) -> Option<Expected> {
    let fields = Fields::read(node, &EXPECT, problems)?;
    let mut expected = Expected::default();
    if let Some(node) = fields.get("commands") {
        let items = list(node, "`commands`", problems)?;
        expected.commands = items.iter().map(|item| command(item, problems)).collect();
    }
    if let Some(node) = fields.get("waits") {
        let items = list(node, "`waits`", problems)?;
        expected.waits = items.iter().map(|item| text(item, "a step", problems).map(str::to_owned)).collect();
    }
    if let Some(node) = fields.get("end") {
        expected.end = parsed(node, "end", |word| one_of(word, &ENDS), problems);
    }
    if let Some(node) = fields.get("because") {
        expected.because = text(node, "`because`", problems).map(str::to_owned);
    }
    if let Some(node) = fields.get("after") {
        expected.after = parsed(node, "duration", lexical::duration, problems);
    }
    if let Some(node) = fields.get("world") {
        let entries = map(node, "`world`", problems)?;
        let one = |entry: &Entry, problems: &mut Problems| {
            Some((entry.key.clone(), parsed(&entry.value, "state", |word| one_of(word, &STANDS), problems)?))
        };
        expected.world = entries.iter().map(|entry| one(entry, problems)).collect();
    }
    if let Some(node) = fields.get("times") {
        for entry in map(node, "`times`", problems)? {
            let at = parsed(&entry.value, "duration", since_the_beginning, problems)?;
            expected.times.insert(entry.key.clone(), at);
        }
    }
    Some(expected)
}

/// `reserve`, or `{ reserve: INPUT }`.
fn command(node: &Node, problems: &mut Problems) -> Option<(String, Option<Value>)> {
    match crate::fields::entries(node) {
        Some([entry]) => Some((entry.key.clone(), Some(literal::value(&entry.value, problems)?))),
        Some(_) => {
            problems.error(node.span, "a command has one name", "write `reserve`, or `{ reserve: { sku: a } }`");
            None
        }
        None => Some((text(node, "a command", problems)?.to_owned(), None)),
    }
}

fn one_of(word: &str, words: &[&str]) -> Result<String, String> {
    match words.contains(&word) {
        true => Ok(word.to_owned()),
        false => Err(format!("write one of {}", words.join(", "))),
    }
}

/// `0`, or a duration.
fn since_the_beginning(text: &str) -> Result<i64, String> {
    if text == "0" { Ok(0) } else { lexical::duration(text) }
}
