//! What happens in a scenario besides answers: events, news, people, outages.

use sagaline_schemas::Value;

use crate::fields::{Fields, Keys, list, one_or_more, parsed, text};
use crate::lexical;
use crate::literal;
use crate::report::Problems;
use crate::yaml::{self, Entry, Node, Scalar};

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

/// One thing that can happen: its key, the keys that say more of it, and how they are read.
struct Kind {
    key: &'static str,
    more: &'static [&'static str],
    read: Read,
}

type Read = fn(&Fields<'_>, &Entry, &mut Problems) -> Option<What>;

const KINDS: [Kind; 10] = [
    Kind { key: "fact", more: &["value", "seq"], read: fact },
    Kind { key: "event", more: &["data"], read: event },
    Kind { key: "decide", more: &["choice", "by", "roles"], read: decide },
    Kind { key: "cancel", more: &[], read: |_, entry, problems| Some(What::Cancel(said(entry, problems)?)) },
    Kind { key: "retry", more: &[], read: retry },
    Kind { key: "skip", more: &[], read: |_, entry, problems| Some(What::Skip(said(entry, problems)?)) },
    Kind { key: "close", more: &[], read: |_, entry, problems| Some(What::Close(said(entry, problems)?)) },
    Kind { key: "hold", more: &[], read: |_, entry, problems| Some(What::Hold(said(entry, problems)?)) },
    Kind { key: "release", more: &[], read: |_, _, _| Some(What::Release) },
    Kind { key: "down", more: &["lasts"], read: down },
];

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

/// One thing happens, and each key belongs to it.
fn what(fields: &Fields<'_>, problems: &mut Problems) -> Option<What> {
    let mut said: Vec<(&Kind, &Entry)> =
        KINDS.iter().filter_map(|kind| Some((kind, fields.entry(kind.key)?))).collect();
    said.sort_by_key(|(_, entry)| entry.key_span.start);
    let (kind, entry) = match said[..] {
        [] => {
            problems.error(fields.span, "nothing happens here", EXAMPLE);
            return None;
        }
        [one] => one,
        [(first, _), (second, entry), ..] => {
            let message = format!("`{}` and `{}` are two happenings", first.key, second.key);
            problems.error(
                entry.key_span,
                message,
                "write each in braces of its own: those of one moment happen in file order",
            );
            return None;
        }
    };
    for key in HAPPENING.known {
        let of = KINDS.iter().find(|kind| kind.more.contains(key)).filter(|of| of.key != kind.key);
        if let (Some(of), Some(stray)) = (of, fields.entry(key)) {
            let message = format!("`{key}` says nothing of `{}`", kind.key);
            problems.error(stray.key_span, message, format!("take it out; it belongs to `{}`", of.key));
        }
    }
    (kind.read)(fields, entry, problems)
}

/// The text of an entry.
fn said(entry: &Entry, problems: &mut Problems) -> Option<String> {
    text(&entry.value, &format!("`{}`", entry.key), problems).map(str::to_owned)
}

/// The value of a key; null where it is left out.
fn value(fields: &Fields<'_>, key: &str, problems: &mut Problems) -> Option<Value> {
    fields.get(key).map_or(Some(Value::Null), |node| literal::value(node, problems))
}

fn fact(fields: &Fields<'_>, entry: &Entry, problems: &mut Problems) -> Option<What> {
    let fact = said(entry, problems);
    let seq = fields.get("seq").map(|node| parsed(node, "version", whole, problems));
    let value = value(fields, "value", problems);
    Some(What::Fact { fact: fact?, value: value?, seq: seq.map_or(Some(None), |seq| seq.map(Some))? })
}

fn event(fields: &Fields<'_>, entry: &Entry, problems: &mut Problems) -> Option<What> {
    Some(What::Event { step: said(entry, problems)?, data: value(fields, "data", problems)? })
}

fn down(fields: &Fields<'_>, entry: &Entry, problems: &mut Problems) -> Option<What> {
    let participant = said(entry, problems);
    let lasts = fields.required("lasts", "lasts: 4h", problems);
    let lasts = lasts.and_then(|node| parsed(node, "duration", lexical::duration, problems));
    Some(What::Down { participant: participant?, lasts: lasts? })
}

fn retry(_: &Fields<'_>, entry: &Entry, problems: &mut Problems) -> Option<What> {
    let all = |scalar: &Scalar| scalar.text() == "all" || scalar.text().is_empty();
    let all = matches!(&entry.value.kind, yaml::Kind::Scalar(scalar) if all(scalar));
    Some(What::Retry(if all { None } else { Some(said(entry, problems)?) }))
}

fn decide(fields: &Fields<'_>, entry: &Entry, problems: &mut Problems) -> Option<What> {
    let step = said(entry, problems);
    let choice = fields.required("choice", "choice: approve", problems);
    let choice = choice.and_then(|node| text(node, "`choice`", problems));
    let by = fields.get("by").map_or(Some("somebody"), |node| text(node, "`by`", problems));
    let roles = fields.get("roles").map(one_or_more).unwrap_or_default();
    let roles: Vec<Option<&str>> = roles.iter().map(|role| text(role, "a role", problems)).collect();
    let roles = roles.into_iter().map(|role| role.map(str::to_owned)).collect::<Option<Vec<String>>>();
    Some(What::Decide { step: step?, choice: choice?.to_owned(), by: by?.to_owned(), roles: roles? })
}

fn whole(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "write a whole number".to_owned())
}
