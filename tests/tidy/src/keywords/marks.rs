//! Marks above tests: `// shows: KEYWORD, KEYWORD x CASE, CASE`, or `// shows: PLACE: WORD, PLACE: WORD`; above a scenario with `#`.
//! A mark says that the test's assertions would fail if that keyword were broken in that case. What it names must be there.

use crate::{File, Finding, Tree};

use super::{CASES, Language};

const MARKS: [&str; 2] = ["// shows: ", "# shows: "];

/// A test, as the page names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Test {
    /// `engine::words::refused_words`, or `order-fulfilment: a card that has expired gives the goods back`.
    pub name: String,
    /// The file that it stands in.
    pub path: String,
}

/// What a test shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shows {
    /// Each of these keywords in each of these cases.
    Cells {
        /// Which.
        keywords: Vec<String>,
        /// When.
        cases: Vec<&'static str>,
    },
    /// A word at its place.
    Word {
        /// Where.
        place: &'static str,
        /// Which.
        word: &'static str,
    },
}

/// A mark above a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The test.
    pub test: Test,
    /// What it shows.
    pub shows: Shows,
}

/// All marks of a tree.
///
/// # Errors
/// Marks above no test, and marks of what the language does not have.
pub fn marks(tree: &Tree, language: &Language) -> Result<Vec<Mark>, Vec<Finding>> {
    let (mut marks, mut wrong) = (Vec::new(), Vec::new());
    let marked = tree.files.iter().filter(|file| file.path.ends_with(".rs") || file.path.ends_with(".test.yaml"));
    for file in marked {
        let lines: Vec<&str> = file.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(said) = MARKS.iter().find_map(|mark| line.trim_start().strip_prefix(mark)) else { continue };
            let name = if file.path.ends_with(".rs") { function(&lines[at..]) } else { scenario(&lines[at..]) };
            let Some(name) = name else {
                wrong.push(file.finding(at + 1, "the mark stands above no test"));
                continue;
            };
            let test = Test { name: format!("{}{name}", home(tree, file)), path: file.path.clone() };
            match shows(said, language) {
                Ok(shows) => marks.extend(shows.into_iter().map(|shows| Mark { test: test.clone(), shows })),
                Err(what) => wrong.push(file.finding(at + 1, what)),
            }
        }
    }
    if wrong.is_empty() { Ok(marks) } else { Err(wrong) }
}

/// The name of the test function that follows, comments and attributes aside.
fn function<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let rest = || lines.iter().map(|line| line.trim());
    let above = rest().take_while(|line| line.starts_with("//") || line.starts_with("#["));
    let (count, is_test) = above.fold((0, false), |(n, is_test), line| (n + 1, is_test || line == "#[test]"));
    let (_, signature) = rest().nth(count)?.split_once("fn ")?;
    is_test.then_some(signature.split_once('(')?.0)
}

/// The name of the scenario that follows.
fn scenario<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let line = lines.iter().map(|line| line.trim()).find(|line| !line.starts_with('#'))?;
    let name = line.strip_prefix("- test: ").or_else(|| line.strip_prefix("- { test: "))?;
    match name.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').map(|(name, _)| name),
        None if line.starts_with("- {") => name.split_once(',').map(|(name, _)| name),
        None => Some(name),
    }
}

/// What stands before a test's name: `engine::words::`, `order-fulfilment: `.
fn home(tree: &Tree, file: &File) -> String {
    if let Some(path) = file.path.strip_suffix(".test.yaml") {
        return format!("{}: ", path.rsplit('/').next().unwrap_or_default());
    }
    let folders: Vec<&str> = file.path.split('/').collect();
    let manifest = |depth: usize| format!("{}/Cargo.toml", folders[..depth].join("/"));
    let is_crate = |depth: &usize| tree.files.iter().any(|file| file.path == manifest(*depth));
    let depth = (1..folders.len()).rev().find(is_crate).unwrap_or(1);
    let modules = folders[depth..].iter().map(|part| part.trim_end_matches(".rs"));
    let modules = modules.filter(|part| !["src", "tests", "main", "lib"].contains(part));
    folders[depth - 1..depth].iter().copied().chain(modules).map(|part| format!("{part}::")).collect()
}

fn shows(said: &str, language: &Language) -> Result<Vec<Shows>, String> {
    match said.split_once(" x ") {
        Some((keywords, cases)) => Ok(vec![cells(keywords, cases, language)?]),
        None => listed(said).map(|item| word(item, language)).collect(),
    }
}

fn listed(said: &str) -> impl Iterator<Item = &str> {
    said.split(',').map(str::trim)
}

fn cells(keywords: &str, cases: &str, language: &Language) -> Result<Shows, String> {
    let keyword = |name: &str| match language.keywords().any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(format!("there is no keyword `{name}`")),
    };
    let case = |name: &str| {
        let known = CASES.iter().find(|(case, _)| *case == name);
        known.map(|(case, _)| *case).ok_or_else(|| format!("there is no case `{name}`"))
    };
    let keywords = listed(keywords).map(keyword).collect::<Result<_, _>>()?;
    Ok(Shows::Cells { keywords, cases: listed(cases).map(case).collect::<Result<_, _>>()? })
}

fn word(item: &str, language: &Language) -> Result<Shows, String> {
    let wanted = item.split_once(": ");
    let known = language.words().find(|known| Some(*known) == wanted);
    let (place, word) = known.ok_or_else(|| {
        format!("`{item}` is neither KEYWORDS x CASES nor a word at its place, such as `guard: skip`")
    })?;
    Ok(Shows::Word { place, word })
}
