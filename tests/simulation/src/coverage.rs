//! What the drawn definitions of a run say: which keywords, of all that the published schemas know, and which word at which place. A keyword
//! that nobody draws would be proven by nobody.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::Definition;
use sagaline_definition::model::{Step, Verb, Word};
use serde_json::Value as Json;

const SCHEMAS: [&str; 2] = [
    include_str!("../../../docs/schema/definition.schema.json"),
    include_str!("../../../docs/schema/contract.schema.json"),
];

/// Every keyword of the language.
pub fn keywords() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for schema in SCHEMAS {
        let schema: Json = serde_json::from_str(schema).expect("a published schema is JSON");
        gather(&schema, &mut found);
    }
    found
}

fn gather(schema: &Json, found: &mut BTreeSet<String>) {
    match schema {
        Json::Object(members) => {
            if let Some(Json::Object(properties)) = members.get("properties") {
                found.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| gather(member, found));
        }
        Json::Array(items) => items.iter().for_each(|item| gather(item, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// The keywords that texts use.
pub(crate) fn used<'a>(texts: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    let all = keywords();
    let mut used = BTreeSet::new();
    for text in texts {
        for (at, _) in text.match_indices(':') {
            let before = &text[..at];
            let begin = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |end| end + 1);
            used.extend(all.get(&before[begin..]).cloned());
        }
    }
    used
}

/// The words of a definition by their places, and the verbs of its steps.
pub(crate) fn words(definition: &Definition, into: &mut BTreeMap<String, u64>) {
    let mut count = |place: &str, word: &Word| {
        *into.entry(format!("{place}: {}", name(word))).or_default() += 1;
    };
    for Step { guard, verb, .. } in &definition.steps {
        if let Some(guard) = guard {
            count("guard", &guard.otherwise);
        }
        match verb {
            Verb::Call(call) => {
                call.refused.values().chain([&call.refused_else]).for_each(|word| count("refused", word));
                count("failed", &call.failed);
            }
            Verb::Saga(child) => count("failed", &child.failed),
            Verb::Wait(wait) => count("else", &wait.patience.otherwise),
            Verb::Until(until) => count("else", &until.patience.otherwise),
            Verb::Approve(approve) => {
                count("else", &approve.patience.otherwise);
                approve.choices.values().for_each(|word| count("choices", word));
            }
            Verb::Sleep(_) | Verb::Decide(_) => {}
        }
    }
    for rule in &definition.react {
        count("react", &rule.then);
        count("react after the pivot", &rule.after_pivot);
    }
    count("deadline", &definition.deadline.otherwise);
}

fn name(word: &Word) -> &'static str {
    match word {
        Word::Continue => "continue",
        Word::Skip => "skip",
        Word::Compensate => "compensate",
        Word::BackTo(_) => "back_to",
        Word::Hold => "hold",
        Word::Stuck => "stuck",
    }
}

/// Every place, and the words that may stand there, as docs/definitions.md has it. Where nothing is to be made void, `skip` reads `continue`.
pub fn places() -> Vec<String> {
    const ALL: [&str; 5] = ["continue", "compensate", "back_to", "hold", "stuck"];
    const UNDOING: [&str; 5] = ["skip", "compensate", "back_to", "hold", "stuck"];
    let table: [(&str, &[&str]); 8] = [
        ("guard", &UNDOING),
        ("refused", &ALL),
        ("failed", &UNDOING),
        ("else", &ALL),
        ("choices", &ALL),
        ("react", &ALL),
        ("react after the pivot", &["continue", "hold", "stuck"]),
        ("deadline", &["compensate", "stuck"]),
    ];
    table.iter().flat_map(|(place, words)| words.iter().map(move |word| format!("{place}: {word}"))).collect()
}
