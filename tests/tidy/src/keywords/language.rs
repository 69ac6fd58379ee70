//! The keywords of the language, read from the published schemas, by paths that mean something to a reader; the words and their places.
//! A part of a schema that has no place in a section is an error: nothing is left out in silence.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::{Finding, Tree};

const DEFINITION: &str = "docs/schema/definition.schema.json";
const CONTRACT: &str = "docs/schema/contract.schema.json";

/// Keywords of one subject.
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// In the schema's order.
    pub keywords: Vec<String>,
}

/// All that the language has.
pub struct Language {
    /// All keywords, by subject.
    pub sections: Vec<Section>,
}

/// A map of a schema (its name under `$defs`; none: the whole), and how its keys are called here.
struct Part {
    schema: &'static str,
    name: &'static str,
    prefix: &'static str,
}

const fn part(name: &'static str, prefix: &'static str) -> Part {
    Part { schema: DEFINITION, name, prefix }
}

const fn of_contract(name: &'static str, prefix: &'static str) -> Part {
    Part { schema: CONTRACT, name, prefix }
}

const SECTIONS: [(&str, &[Part]); 12] = [
    ("The head", &[part("", "head")]),
    ("Beginning and deadline", &[part("start", "start"), part("deadline", "deadline")]),
    ("Facts", &[part("fact", "facts"), part("ask_fact", "facts.ask")]),
    ("Reactions", &[part("reaction", "react")]),
    ("Steps", &[part("step", ""), part("together", ""), part("at_least", "after"), part("guard", "guard")]),
    ("Going back to a step", &[part("back_to", "back_to")]),
    ("Attempts", &[part("policy", "retry")]),
    ("For each item", &[part("for_each", "for_each")]),
    ("Undoing", &[part("compensate", "compensate")]),
    (
        "Time and events",
        &[
            part("calendar", "calendars"),
            part("sleep", "sleep"),
            part("wait_event", "wait"),
            part("wait_until", "wait"),
            part("expect", "expect"),
        ],
    ),
    (
        "Decisions and ends",
        &[part("approve", "approve"), part("arm", "decide"), part("ensure", "ensure"), part("check", "ensure")],
    ),
    (
        "Contracts",
        &[of_contract("", "contract"), of_contract("limits", "limits"), of_contract("operation", "operations")],
    ),
];

/// Keys that only hold others: these have rows, and they have none. `retry` names a policy of `policies`.
const HOLDERS: [&str; 16] = [
    "head.start",
    "head.deadline",
    "head.policies",
    "head.calendars",
    "head.facts",
    "head.react",
    "head.steps",
    "head.ensure",
    "facts.ask",
    "guard",
    "wait",
    "approve",
    "decide",
    "expect",
    "contract.limits",
    "contract.operations",
];

const ANY: [&str; 6] = ["continue", "skip", "compensate", "back_to", "hold", "stuck"];
/// Every place of a word, and the words that may stand there, as docs/definitions.md has it. Where nothing is to be made void, `skip` reads
/// `continue`.
const PLACES: [(&str, &[&str]); 8] = [
    ("guard", &["skip", "compensate", "back_to", "hold", "stuck"]),
    ("refused", &["continue", "compensate", "back_to", "hold", "stuck"]),
    ("failed", &["skip", "compensate", "back_to", "hold", "stuck"]),
    ("else", &["continue", "compensate", "back_to", "hold", "stuck"]),
    ("choices", &["continue", "compensate", "back_to", "hold", "stuck"]),
    ("react", &["continue", "compensate", "back_to", "hold", "stuck"]),
    ("react after the pivot", &["continue", "hold", "stuck"]),
    ("deadline", &["compensate", "stuck"]),
];

impl Language {
    /// The language of a tree's schemas.
    ///
    /// # Errors
    /// A schema that is no JSON, a part of one that belongs to no section, a holder that is no key.
    pub fn of(tree: &Tree) -> Result<Self, Vec<Finding>> {
        let mut wrong = Vec::new();
        let schemas: Vec<(&str, Json)> = [DEFINITION, CONTRACT].map(|path| (path, read(tree, path, &mut wrong))).into();
        for (path, schema) in &schemas {
            let parts =
                schema["$defs"].as_object().into_iter().flatten().filter(|(_, part)| part["properties"].is_object());
            let known = |name: &str| all_parts().any(|part| part.schema == *path && part.name == name);
            let unknown = parts.filter(|(name, _)| !known(name));
            wrong.extend(
                unknown.map(|(name, _)| finding(path, format!("`{name}` belongs to no section of docs/keywords.md"))),
            );
        }
        let mut holders: BTreeSet<&str> = HOLDERS.into();
        let mut sections = Vec::new();
        for (title, parts) in SECTIONS {
            let mut keywords: Vec<String> = Vec::new();
            for part in parts {
                let schema =
                    schemas.iter().find(|(path, _)| *path == part.schema).map_or(&Json::Null, |(_, schema)| schema);
                let paths = keys(schema, part.name).into_iter().map(|key| path(part.prefix, &key));
                let rows = paths.filter(|path| !holders.remove(path.as_str()));
                rows.for_each(|path| {
                    if !keywords.contains(&path) {
                        keywords.push(path)
                    }
                });
            }
            sections.push(Section { title, keywords });
        }
        wrong.extend(holders.into_iter().map(|holder| finding(DEFINITION, format!("there is no key `{holder}`"))));
        if wrong.is_empty() { Ok(Self { sections }) } else { Err(wrong) }
    }

    /// All keywords.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().flat_map(|section| section.keywords.iter().map(String::as_str))
    }

    /// All words at all places where they may stand.
    pub fn words(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        PLACES.iter().flat_map(|(place, words)| words.iter().map(move |word| (*place, *word)))
    }

    /// The places of words.
    pub fn places(&self) -> impl Iterator<Item = &'static str> {
        PLACES.iter().map(|(place, _)| *place)
    }

    /// The six words.
    pub fn six(&self) -> [&'static str; 6] {
        ANY
    }
}

fn all_parts() -> impl Iterator<Item = &'static Part> {
    SECTIONS.iter().flat_map(|(_, parts)| parts.iter())
}

fn finding(path: &str, what: String) -> Finding {
    Finding { place: path.to_owned(), what }
}

fn read(tree: &Tree, path: &str, wrong: &mut Vec<Finding>) -> Json {
    let text = tree.files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    serde_json::from_str(text).unwrap_or_else(|error| {
        wrong.push(finding(path, format!("is no JSON: {error}")));
        Json::Null
    })
}

fn keys(schema: &Json, name: &str) -> Vec<String> {
    let part = if name.is_empty() { schema } else { &schema["$defs"][name] };
    part["properties"].as_object().into_iter().flat_map(|keys| keys.keys().cloned()).collect()
}

/// `together` of `together` is `together`; all others are `PREFIX.KEY`.
fn path(prefix: &str, key: &str) -> String {
    match prefix {
        "" => key.to_owned(),
        prefix if prefix == key => key.to_owned(),
        prefix => format!("{prefix}.{key}"),
    }
}
