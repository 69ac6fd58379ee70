//! Checks of Rust sources: fronts, sizes, purity of the fold, leftovers, sleeps.
//! Tests are: items under `#[cfg(test)]`, files `tests.rs`, folders `tests/`, and, where said, the crates below the root's `tests/`.

use crate::rust::{Source, has_word};
use crate::{File, Finding, Tree};

/// Most lines of a function: it fits a screen.
pub const FUNCTION_LINES: usize = 70;
/// Most lines of a file, tests aside: it fits a head.
pub const FILE_LINES: usize = 500;
/// Most lines of a file's front; a table in it is not counted: it heads the machine that it describes.
const FRONT_LINES: usize = 5;

/// Crates whose every line is part of the fold.
const FOLD: [&str; 4] =
    ["schemas/src/", "coordinator/definition/src/", "coordinator/engine/src/", "coordinator/partition/src/"];

/// What would let two machines fold the same log differently, or at different speeds decide differently.
const IMPURE: [&str; 14] = [
    "HashMap",
    "HashSet",
    "RandomState",
    "SystemTime",
    "Instant",
    "rand",
    "getrandom",
    "new_v4",
    "tokio",
    "thread",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
];

/// What says that something is not finished.
const LEFTOVERS: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];

/// The one file that asks where the sources lie.
const SOURCES: &str = "tests/sources/src/lib.rs";

/// Every source opens with `//!`: 1 to 5 lines on what lives there and what must never be done there.
pub fn fronts(tree: &Tree) -> Vec<Finding> {
    tree.rust().filter_map(front).collect()
}

fn front(file: &File) -> Option<Finding> {
    let front: Vec<&str> = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
    match front.as_slice() {
        [] => Some(file.finding(1, "does not open with `//!`: say what lives here and what must never be done here")),
        ["//! Being built."] => Some(file.finding(1, "is a stub")),
        lines if prose(lines) > FRONT_LINES => {
            Some(file.finding(1, format!("its front has {} lines, {FRONT_LINES} are allowed", prose(lines))))
        }
        _ => None,
    }
}

fn prose(front: &[&str]) -> usize {
    front.iter().filter(|line| !line.starts_with("//! |") && **line != "//!").count()
}

/// Functions and files keep to their sizes, tests aside.
pub fn sizes(tree: &Tree) -> Vec<Finding> {
    tree.rust().filter(|file| !is_test_file(&file.path)).flat_map(size).collect()
}

fn size(file: &File) -> Vec<Finding> {
    let source = Source::new(&file.text);
    let lines = (1..=file.text.lines().count()).filter(|line| !source.is_test(*line)).count();
    let whole = (lines > FILE_LINES).then(|| {
        file.finding(1, format!("{lines} lines beside its tests, {FILE_LINES} are allowed: it has two jobs, name them"))
    });
    let functions = source.functions().into_iter().filter(|function| !source.is_test(*function.lines.start()));
    let long = functions.filter(|function| function.lines.clone().count() > FUNCTION_LINES).map(|function| {
        let what =
            format!("`{}` has {} lines, {FUNCTION_LINES} are allowed", function.name, function.lines.clone().count());
        file.finding(*function.lines.start(), what)
    });
    whole.into_iter().chain(long).collect()
}

/// No clocks, chance, threads, files or unordered maps in the fold.
pub fn purity(tree: &Tree) -> Vec<Finding> {
    let fold = tree.rust().filter(|file| FOLD.iter().any(|folder| file.path.starts_with(folder)));
    fold.filter(|file| !is_test_file(&file.path)).flat_map(impurities).collect()
}

fn impurities(file: &File) -> Vec<Finding> {
    let source = Source::new(&file.text);
    let code = source.lines().filter(|(number, _)| !source.is_test(*number));
    let hits = code.flat_map(|(number, line)| {
        IMPURE.into_iter().filter(move |word| has_word(&line, word)).map(move |word| (number, word))
    });
    hits.map(|(number, word)| {
        file.finding(number, format!("`{word}` in the fold: two machines must read the same log alike"))
    })
    .collect()
}

/// Nothing says "later": no `todo!` and its like, no ignored tests, no marks in comments.
pub fn leftovers(tree: &Tree) -> Vec<Finding> {
    tree.rust().flat_map(|file| unfinished(file).into_iter().chain(marks(file))).collect()
}

fn unfinished(file: &File) -> Vec<Finding> {
    let source = Source::new(&file.text);
    let hits = source.lines().flat_map(|(number, line)| {
        LEFTOVERS.into_iter().filter(move |word| has_word(&line, word)).map(move |word| (number, word))
    });
    hits.map(|(number, word)| file.finding(number, format!("`{word}`: finish it, or leave it out and say so")))
        .collect()
}

fn marks(file: &File) -> Vec<Finding> {
    // Spelled in two parts, so that this file passes its own check.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let lines = file.text.lines().enumerate();
    let hits = lines.filter(|(_, line)| marks.iter().any(|mark| has_word(line, mark)));
    hits.map(|(i, _)| file.finding(i + 1, "a mark for later: do it, or open an issue")).collect()
}

/// Where the sources lie is asked when a test runs, in one place: the compiler's word is that of the clone in which it was compiled.
pub fn sources(tree: &Tree) -> Vec<Finding> {
    let all = tree.rust().filter(|file| file.path != SOURCES);
    all.flat_map(compiled_places).collect()
}

fn compiled_places(file: &File) -> Vec<Finding> {
    let word = concat!("CARGO_MANIFEST", "_DIR");
    let hits = file.text.lines().enumerate().filter(|(_, line)| line.contains(word));
    hits.map(|(i, _)| {
        file.finding(i + 1, format!("`{word}`: a test may run from another clone, ask `sagaline_test_sources::root()`"))
    })
    .collect()
}

/// Tests wait for a condition, never for a while. Only a function named `wait...` or `until...` may sleep, between two looks.
pub fn sleeps(tree: &Tree) -> Vec<Finding> {
    tree.rust().flat_map(sleeping).collect()
}

fn sleeping(file: &File) -> Vec<Finding> {
    let source = Source::new(&file.text);
    let functions = source.functions();
    let test_file = is_test_file(&file.path) || file.path.starts_with("tests/");
    let looks_again = |number: usize| {
        let mut around = functions.iter().filter(|function| function.lines.contains(&number));
        around.any(|function| function.name.starts_with("wait") || function.name.starts_with("until"))
    };
    let slept =
        source.lines().filter(|(number, line)| (test_file || source.is_test(*number)) && has_word(line, "sleep("));
    slept
        .filter(|(number, _)| !looks_again(*number))
        .map(|(number, _)| {
            file.finding(
                number,
                "a sleep in a test: wait for a condition in a function named `wait_...`, or use virtual time",
            )
        })
        .collect()
}

/// `tests.rs` and everything in a folder `tests` of a crate; the crates below the root's `tests/` are code like any other.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}
