//! Which test shows what of the language: every keyword in every case, every word at every place. The page is docs/keywords.md.
//! A cell comes from a mark above a test (`marks`) or from a reason why it can't be (tests/tidy/keywords.json); nothing is filled in here.

mod language;
mod marks;
mod page;
mod reasons;

use std::collections::{BTreeMap, BTreeSet};

use crate::{Finding, Tree};

pub use language::Language;
pub use marks::{Mark, Shows, Test};
pub use page::page;

/// What may come of a keyword, and what that means.
pub const CASES: [(&str, &str); 7] = [
    ("static error", "a wrong use is refused when the definition is checked, with its place and a way out"),
    ("success", "what it is for, when all goes well"),
    ("refusal", "what it does when a participant refuses"),
    ("timeout", "what it does when a participant, an event or a person stays silent until the time is up"),
    ("late success", "what it does when the answer comes after the saga has decided otherwise"),
    ("cancel", "what it does when the saga is cancelled meanwhile"),
    ("restart", "that it goes on after the coordinator died, from what is stored"),
];

/// Whatever a test of these folders shows, it shows of a restart, too: its stage goes on from stored bytes. The file does it with this line.
pub const RESTARTING: [Restarting; 4] = [
    Restarting {
        folder: "coordinator/engine/src/tests/",
        stage: "coordinator/engine/src/tests/stage.rs",
        line: "self.saga = Saga::from_bytes(",
        how: "the definition is read back from its normal form, and after every turn the saga from its bytes",
    },
    Restarting {
        folder: "coordinator/partition/tests/fold/",
        stage: "coordinator/partition/tests/fold/stage.rs",
        line: "self.partition = self.reopened();",
        how: "after every record the partition is committed, closed, and opened again on its store",
    },
    Restarting {
        folder: "docs/examples/",
        stage: "tests/testkit/src/play.rs",
        line: "self.saga = Saga::from_bytes(",
        how: "after every turn the saga is read back from its bytes",
    },
    Restarting {
        folder: "tests/testkit/",
        stage: "tests/testkit/src/play.rs",
        line: "self.saga = Saga::from_bytes(",
        how: "likewise",
    },
];

/// Tests whose stage restarts by itself.
pub struct Restarting {
    /// Where the tests lie.
    pub folder: &'static str,
    /// Whose stage it is.
    pub stage: &'static str,
    /// The line of the stage that does it.
    pub line: &'static str,
    /// What it does.
    pub how: &'static str,
}

/// What a cell says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Tests show it, the one that shows least besides first.
    Shown(Vec<Test>),
    /// There is nothing to show, and why.
    Nothing(String),
    /// Nobody shows it.
    Open,
}

/// Both tables, filled.
pub struct Tables {
    /// What there is to show.
    pub language: Language,
    /// By keyword and case.
    pub cells: BTreeMap<(String, &'static str), Cell>,
    /// By place and word.
    pub words: BTreeMap<(&'static str, &'static str), Cell>,
}

/// Fills the tables from the marks and reasons of a tree.
///
/// # Errors
/// Marks and reasons that name nothing, or contradict each other; a stage that no longer restarts.
pub fn tables(tree: &Tree) -> Result<Tables, Vec<Finding>> {
    let language = Language::of(tree)?;
    let marks = marks::marks(tree, &language)?;
    let reasons = reasons::reasons(tree, &language)?;
    let mut wrong = stages_that_do_not_restart(tree);
    let shown = shown(&marks);
    let mut cells = BTreeMap::new();
    for keyword in language.keywords() {
        for (case, _) in CASES {
            let key = (keyword.to_owned(), case);
            let cell = match (shown.cells.get(&key), reasons.get(&key)) {
                (Some(tests), None) => Cell::Shown(shown.ordered(tests)),
                (None, Some(reason)) => Cell::Nothing(reason.clone()),
                (None, None) => Cell::Open,
                (Some(tests), Some(_)) => {
                    let test = tests.iter().next().expect("a shown cell has a test");
                    let what = format!("`{keyword}` x {case} has a reason why nothing shows it, and a test that does");
                    wrong.push(Finding { place: test.name.clone(), what });
                    Cell::Open
                }
            };
            cells.insert(key, cell);
        }
    }
    let words = language.words().map(|key| match shown.words.get(&key) {
        Some(tests) => (key, Cell::Shown(shown.ordered(tests))),
        None => (key, Cell::Open),
    });
    let words = words.collect();
    if wrong.is_empty() { Ok(Tables { language, cells, words }) } else { Err(wrong) }
}

fn stages_that_do_not_restart(tree: &Tree) -> Vec<Finding> {
    let used = RESTARTING.iter().filter(|rule| tree.files.iter().any(|file| file.path.starts_with(rule.folder)));
    let restarts =
        |rule: &Restarting| tree.files.iter().any(|file| file.path == rule.stage && file.text.contains(rule.line));
    let wrong = used.filter(|rule| !restarts(rule));
    wrong
        .map(|rule| Finding {
            place: rule.stage.to_owned(),
            what: format!("has no `{}`: its tests no longer show a restart", rule.line),
        })
        .collect()
}

/// Who shows what.
#[derive(Default)]
struct Shown {
    cells: BTreeMap<(String, &'static str), BTreeSet<Test>>,
    words: BTreeMap<(&'static str, &'static str), BTreeSet<Test>>,
    /// How many cells a test shows.
    breadth: BTreeMap<Test, usize>,
}

fn shown(marks: &[Mark]) -> Shown {
    let mut shown = Shown::default();
    for Mark { test, shows } in marks {
        match shows {
            Shows::Cells { keywords, cases } => {
                let restarts = RESTARTING.iter().any(|rule| test.path.starts_with(rule.folder));
                let lives = cases.iter().any(|case| *case != "static error");
                let restart = (restarts && lives).then_some("restart");
                for keyword in keywords {
                    for case in cases.iter().copied().chain(restart) {
                        shown.cells.entry((keyword.clone(), case)).or_default().insert(test.clone());
                    }
                }
                *shown.breadth.entry(test.clone()).or_default() += keywords.len() * cases.len();
            }
            Shows::Word { place, word } => {
                shown.words.entry((place, word)).or_default().insert(test.clone());
                *shown.breadth.entry(test.clone()).or_default() += 1;
            }
        }
    }
    shown
}

impl Shown {
    fn ordered(&self, tests: &BTreeSet<Test>) -> Vec<Test> {
        let mut ordered: Vec<Test> = tests.iter().cloned().collect();
        ordered.sort_by_key(|test| self.breadth.get(test));
        ordered
    }
}

impl Tables {
    /// Every cell that nobody shows, in words.
    pub fn open(&self) -> Vec<String> {
        let is_open = |cell: &Cell| *cell == Cell::Open;
        let cells = self.cells.iter().filter(|(_, cell)| is_open(cell));
        let words = self.words.iter().filter(|(_, cell)| is_open(cell));
        cells
            .map(|((keyword, case), _)| format!("{keyword} x {case}"))
            .chain(words.map(|((place, word), _)| format!("{place}: {word}")))
            .collect()
    }
}
