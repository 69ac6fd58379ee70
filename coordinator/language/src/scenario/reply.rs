//! What participants answer in a scenario: one word, or a map that says more.

use std::collections::BTreeMap;

use sagaline_schemas::Value;

use crate::fields::{Fields, Keys, map, one_or_more, parsed, text};
use crate::lexical;
use crate::literal;
use crate::report::Problems;
use crate::yaml::{Kind, Node};

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// What is said.
    pub says: Says,
    /// So long after the command, milliseconds.
    pub after: i64,
    /// So many times.
    pub times: u32,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Says {
    /// Done, with this result. Of a compensation: undone. Of a probe: it happened. Of a child saga: completed.
    Ok(Value),
    /// Refused, with this code. Of a child saga: it went back.
    Refused(String),
    /// The attempt failed.
    Failed,
    /// What all commands of the participant need is away, and why. Of a child saga: as failed.
    Outage(String),
    /// Nothing, ever.
    Silent,
    /// There was nothing to undo.
    NothingThere,
    /// A probe: it never happened.
    Never,
    /// A probe: nobody knows.
    Unknown,
}

/// The keys of an answer.
pub const REPLY: Keys = Keys { what: "a reply", known: &["ok", "refused", "failed", "outage", "after", "times"] };

const WORDS: &str =
    "write ok, failed, silent, nothing there, never, unknown, or { ok: RESULT }, { refused: CODE }, { outage: WHY }";

/// By command, its answers.
pub fn replies(node: &Node, problems: &mut Problems) -> Option<BTreeMap<String, Vec<Reply>>> {
    let mut replies = BTreeMap::new();
    for entry in map(node, "`replies`", problems)? {
        let all: Vec<Option<Reply>> = one_or_more(&entry.value).iter().map(|node| reply(node, problems)).collect();
        replies.insert(entry.key.clone(), all.into_iter().collect::<Option<Vec<Reply>>>()?);
    }
    Some(replies)
}

fn reply(node: &Node, problems: &mut Problems) -> Option<Reply> {
    if !matches!(node.kind, Kind::Map(_)) {
        return Some(Reply { says: parsed(node, "reply", word, problems)?, after: 0, times: 1 });
    }
    let fields = Fields::read(node, &REPLY, problems)?;
    let after = fields.get("after").map_or(Some(0), |node| parsed(node, "duration", lexical::duration, problems));
    let times = fields.get("times").map_or(Some(1), |node| parsed(node, "number", count, problems));
    let says = match ["ok", "refused", "failed", "outage"].map(|key| fields.get(key)) {
        [Some(result), None, None, None] => Says::Ok(literal::value(result, problems)?),
        [None, Some(code), None, None] => Says::Refused(text(code, "`refused`", problems)?.to_owned()),
        [None, None, Some(_), None] => Says::Failed,
        [None, None, None, Some(why)] => Says::Outage(text(why, "`outage`", problems)?.to_owned()),
        _ => {
            problems.error(fields.span, "a reply says one thing", WORDS);
            return None;
        }
    };
    Some(Reply { says, after: after?, times: times? })
}

fn word(text: &str) -> Result<Says, String> {
    Ok(match text {
        "ok" => Says::Ok(Value::Null),
        "failed" => Says::Failed,
        "silent" => Says::Silent,
        "nothing there" => Says::NothingThere,
        "never" => Says::Never,
        "unknown" => Says::Unknown,
        other => match other.strip_prefix("refused ") {
            Some(code) if !code.trim().is_empty() => Says::Refused(code.trim().to_owned()),
            Some(_) | None => return Err(WORDS.to_owned()),
        },
    })
}

fn count(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "write a whole number from 1".to_owned())
}
