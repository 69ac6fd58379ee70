//! Why some cells can't be shown: tests/tidy/keywords.json, a list of keywords, cases and the reason. Each cell has one reason at most.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::{Finding, Tree};

use super::{CASES, Language};

const PATH: &str = "tests/tidy/keywords.json";

type Reasons = BTreeMap<(String, &'static str), String>;

/// The reasons of a tree, by keyword and case.
///
/// # Errors
/// Rules of another form, of what the language does not have, or of a cell that has a reason.
pub fn reasons(tree: &Tree, language: &Language) -> Result<Reasons, Vec<Finding>> {
    let wrong = |what: String| vec![Finding { place: PATH.to_owned(), what }];
    let Some(file) = tree.files.iter().find(|file| file.path == PATH) else { return Ok(Reasons::new()) };
    let rules: Json = serde_json::from_str(&file.text).map_err(|error| wrong(format!("is no JSON: {error}")))?;
    let mut reasons = Reasons::new();
    for rule in rules.as_array().ok_or_else(|| wrong("is no list".to_owned()))? {
        let (keywords, cases) = (texts(&rule["keywords"]), texts(&rule["cases"]));
        let because = rule["because"].as_str().filter(|because| !because.is_empty());
        let (Some(because), false, false) = (because, keywords.is_empty(), cases.is_empty()) else {
            return Err(wrong(format!("a rule has `keywords`, `cases` and `because`: {rule}")));
        };
        for keyword in &keywords {
            if !language.keywords().any(|known| known == *keyword) {
                return Err(wrong(format!("there is no keyword `{keyword}`")));
            }
            for name in &cases {
                let case = CASES.iter().find(|(case, _)| case == name).map(|(case, _)| *case);
                let case = case.ok_or_else(|| wrong(format!("there is no case `{name}`")))?;
                if reasons.insert(((*keyword).to_owned(), case), because.to_owned()).is_some() {
                    return Err(wrong(format!("`{keyword}` x {case} has two reasons")));
                }
            }
        }
    }
    Ok(reasons)
}

fn texts(list: &Json) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str).collect()
}
