//! What happens in a scenario besides answers: events, news, people, outages.

use sagaline_schemas::Value;

use crate::fields::{Fields, Keys, list, one_or_more, parsed, text};
use crate::lexical;
use crate::literal;
use crate::report::Problems;
use crate::yaml::{Kind, Node};

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// Milliseconds after the saga's beginning.
    pub at: i64,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A fact is told.
    Fact {
        /// Its name.
        fact: String,
        /// Its value.
        value: Value,
        /// Its version; none: one more than the last.
        seq: Option<i64>,
    },
    /// An event comes for a waiting step.
    Event {
        /// The step.
        step: String,
        /// The event.
        data: Value,
    },
    /// Somebody decides an approval.
    Decide {
        /// The step.
        step: String,
        /// The choice.
        choice: String,
        /// Who.
        by: String,
        /// Their roles: `role/NAME`.
        roles: Vec<String>,
    },
    /// Somebody cancels it.
    Cancel(String),
    /// Somebody retries a step, or whatever it is stuck at.
    Retry(Option<String>),
    /// Somebody leaves out a step.
    Skip(String),
    /// Somebody ends it by hand.
    Close(String),
    /// Somebody has it begin nothing new.
    Hold(String),
    /// Somebody lets it go on.
    Release,
    /// A participant is away.
    Down {
        /// Which.
        participant: String,
        /// How long, milliseconds.
        lasts: i64,
    },
}

/// The keys of a happening.
pub const HAPPENING: Keys = Keys {
    what: "a happening",
    known: &[
        "at", "fact", "value", "seq", "event", "data", "decide", "choice", "by", "roles", "cancel", "retry", "skip",
        "close", "hold", "release", "down", "lasts",
    ],
};

/// Happenings that are one key and its text.
const REASONS: [(&str, Made); 4] =
    [("cancel", What::Cancel), ("skip", What::Skip), ("close", What::Close), ("hold", What::Hold)];

type Made = fn(String) -> What;

const EXAMPLE: &str = "write { at: 2h, fact: status, value: cancelled }, or event, decide, cancel, retry, skip, close, hold, release, down";

/// In the order of the file; those of one moment happen in that order.
pub fn happenings(node: &Node, problems: &mut Problems) -> Option<Vec<Happening>> {
    let items = list(node, "`happens`", problems)?;
    let read: Vec<Option<Happening>> = items.iter().map(|item| happening(item, problems)).collect();
    read.into_iter().collect()
}

fn happening(node: &Node, problems: &mut Problems) -> Option<Happening> {
    let fields = Fields::read(node, &HAPPENING, problems)?;
    let at = fields.required("at", "at: 2h", problems);
    let at = at.and_then(|node| parsed(node, "duration", super::since_the_beginning, problems));
    let what = what(&fields, problems);
    Some(Happening { at: at?, what: what? })
}

fn what(fields: &Fields<'_>, problems: &mut Problems) -> Option<What> {
    let reads = |key: &str, problems: &mut Problems| {
        fields.get(key).map(|node| text(node, &format!("`{key}`"), problems).map(str::to_owned))
    };
    let value = |key: &str, problems: &mut Problems| {
        fields.get(key).map_or(Some(Value::Null), |node| literal::value(node, problems))
    };
    if let Some(fact) = reads("fact", problems) {
        let seq = fields.get("seq").map(|node| parsed(node, "version", whole, problems));
        let value = value("value", problems);
        return Some(What::Fact { fact: fact?, value: value?, seq: seq.map_or(Some(None), |seq| seq.map(Some))? });
    }
    if let Some(step) = reads("event", problems) {
        return Some(What::Event { step: step?, data: value("data", problems)? });
    }
    if let Some(step) = reads("decide", problems) {
        return decide(fields, step?, problems);
    }
    if let Some(participant) = reads("down", problems) {
        let lasts = fields.required("lasts", "lasts: 4h", problems);
        let lasts = lasts.and_then(|node| parsed(node, "duration", lexical::duration, problems));
        return Some(What::Down { participant: participant?, lasts: lasts? });
    }
    if let Some(node) = fields.get("retry") {
        let all = matches!(&node.kind, Kind::Scalar(scalar) if scalar.text() == "all" || scalar.text().is_empty());
        return Some(What::Retry(if all { None } else { Some(text(node, "`retry`", problems)?.to_owned()) }));
    }
    if fields.get("release").is_some() {
        return Some(What::Release);
    }
    for (key, made) in REASONS {
        if let Some(reason) = reads(key, problems) {
            return Some(made(reason?));
        }
    }
    problems.error(fields.span, "nothing happens here", EXAMPLE);
    None
}

fn decide(fields: &Fields<'_>, step: String, problems: &mut Problems) -> Option<What> {
    let choice = fields.required("choice", "choice: approve", problems);
    let choice = choice.and_then(|node| text(node, "`choice`", problems));
    let by = fields.get("by").map_or(Some("somebody"), |node| text(node, "`by`", problems));
    let roles = fields.get("roles").map(one_or_more).unwrap_or_default();
    let roles: Vec<Option<&str>> = roles.iter().map(|role| text(role, "a role", problems)).collect();
    let roles = roles.into_iter().map(|role| role.map(str::to_owned)).collect::<Option<Vec<String>>>();
    Some(What::Decide { step, choice: choice?.to_owned(), by: by?.to_owned(), roles: roles? })
}

fn whole(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "write a whole number".to_owned())
}
