//! What then? The words of records.md section 5, and where each may stand.

use std::collections::BTreeMap;

use sagaline_definition::model::Word;

use crate::contracts::Target;
use crate::fields::{did_you_mean, listed, map_entry};
use crate::report::Problems;
use crate::yaml::{Entry, Kind, Node};

/// A place that takes a word.
pub struct Place {
    name: &'static str,
    words: &'static [Word],
    later: &'static [&'static str],
}

/// After a refusal: whole, by code, or else.
pub const REFUSED: Place = Place {
    name: "refused",
    words: &[Word::Continue, Word::Compensate, Word::Stuck],
    later: &["skip", "back_to", "hold"],
};
/// Attempts or total time used up.
pub const FAILED: Place =
    Place { name: "failed", words: &[Word::Compensate, Word::Stuck], later: &["skip", "back_to", "hold"] };
/// The deadline has come.
pub const DEADLINE: Place = Place { name: "deadline.else", words: &[Word::Compensate, Word::Stuck], later: &[] };
/// The deadline has come, and the pivot is decided.
pub const DEADLINE_AFTER_PIVOT: Place = Place { name: "deadline.after_pivot", words: &[Word::Stuck], later: &[] };

const ALL: [&str; 6] = ["continue", "skip", "compensate", "back_to", "hold", "stuck"];

fn spelled(word: &Word) -> &'static str {
    match word {
        Word::Continue => "continue",
        Word::Skip => "skip",
        Word::Compensate => "compensate",
        Word::BackTo(_) => "back_to",
        Word::Hold => "hold",
        Word::Stuck => "stuck",
    }
}

/// The word at a place. None: it may not stand there; reported.
pub fn word(node: &Node, place: &Place, problems: &mut Problems) -> Option<Word> {
    let written = match &node.kind {
        Kind::Scalar(scalar) => scalar.text(),
        Kind::Map(_) if map_entry(node, "back_to").is_some() => "back_to",
        Kind::Map(_) | Kind::List(_) => "",
    };
    if let Some(word) = place.words.iter().find(|word| spelled(word) == written) {
        return Some(word.clone());
    }
    let words: Vec<&str> = place.words.iter().map(spelled).collect();
    let (message, help) = if place.later.contains(&written) {
        (format!("`{written}` is not yet there"), format!("`{}` takes {}", place.name, listed(&words)))
    } else if ALL.contains(&written) {
        (format!("`{written}` can't stand at `{}`", place.name), format!("it takes {}", listed(&words)))
    } else if written.is_empty() {
        (format!("`{}` takes a word, and this is {}", place.name, node.describe()), format!("write {}", listed(&words)))
    } else {
        (format!("`{}` takes no `{written}`", place.name), did_you_mean(written, &words))
    };
    problems.error(node.span, message, help);
    None
}

/// A word at a step. `forward` names the pivot behind which nothing goes back.
pub fn step_word(node: &Node, place: &Place, forward: Option<&str>, problems: &mut Problems) -> Option<Word> {
    let word = word(node, place, problems)?;
    if let Some(pivot) = forward
        && word == Word::Compensate
    {
        let message = format!("nothing goes back once the pivot `{pivot}` is decided");
        problems.error(node.span, message, "write `stuck`, or leave it out: that is the default here");
        return None;
    }
    Some(word)
}

/// What becomes of a refused step.
pub struct Refused {
    pub by_code: BTreeMap<String, Word>,
    pub otherwise: Word,
}

impl Refused {
    /// Whether the saga may go on without the step's result.
    pub fn may_continue(&self) -> bool {
        self.otherwise == Word::Continue || self.by_code.values().any(|word| *word == Word::Continue)
    }
}

/// Reads `refused`: one word, or one for each code, and `else`.
pub fn refused(
    node: Option<&Node>,
    target: Option<Target<'_>>,
    forward: Option<&str>,
    problems: &mut Problems,
) -> Option<Refused> {
    let default = if forward.is_some() { Word::Stuck } else { Word::Compensate };
    let Some(node) = node else { return Some(Refused { by_code: BTreeMap::new(), otherwise: default }) };
    let entries = match &node.kind {
        Kind::Map(entries) if map_entry(node, "back_to").is_none() => entries,
        Kind::Map(_) | Kind::Scalar(_) | Kind::List(_) => {
            let otherwise = step_word(node, &REFUSED, forward, problems)?;
            return Some(Refused { by_code: BTreeMap::new(), otherwise });
        }
    };
    let mut read = Refused { by_code: BTreeMap::new(), otherwise: default };
    let mut complete = true;
    for entry in entries {
        match step_word(&entry.value, &REFUSED, forward, problems) {
            Some(word) if entry.key == "else" => read.otherwise = word,
            Some(word) => drop(read.by_code.insert(entry.key.clone(), word)),
            None => complete = false,
        }
        if let Some(target) = target {
            complete &= is_code(entry, target, problems);
        }
    }
    complete.then_some(read)
}

fn is_code(entry: &Entry, target: Target<'_>, problems: &mut Problems) -> bool {
    let codes = &target.operation.refuses;
    let known = entry.key == "else" || codes.contains(&entry.key);
    if !known {
        let message = format!("`{}` never refuses with `{}`", target.full_name(), entry.key);
        let known: Vec<&str> = codes.iter().map(String::as_str).chain(["else"]).collect();
        problems.error(entry.key_span, message, did_you_mean(&entry.key, &known));
    }
    known
}
