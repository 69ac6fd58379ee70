//! What the pages show is what the program prints: every block that begins with `$ sagaline` is run in the folder of its example. `UPDATE_EXPECT=1`
//! writes the pages anew.

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

mod common;

use std::fs;
use std::path::PathBuf;

use common::ok;
use sagaline_test_sources::root;

/// What stands before a command of a block.
const PROMPT: &str = "    $ sagaline ";

/// The README, and every page right below `docs`.
fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut pages: Vec<PathBuf> = pages.chain([root().join("README.md")]).collect();
    pages.sort();
    pages
}

#[test]
fn every_block_of_a_page_is_what_the_program_prints() {
    let mut blocks = 0;
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        let (told, run) = as_it_is(&page);
        blocks += run;
        expect_test::expect_file![&path].assert_eq(&told);
    }
    assert!(blocks >= 3, "{blocks} blocks: where are the others?");
}

/// The page with what its commands print, and how many there are.
fn as_it_is(page: &str) -> (String, usize) {
    let (mut told, mut run, mut skips) = (String::new(), 0, false);
    for line in page.lines() {
        skips &= line.starts_with("    ");
        if let Some(command) = line.strip_prefix(PROMPT) {
            let printed = printed(command);
            told.push_str(&format!("{line}\n{printed}"));
            (run, skips) = (run + 1, true);
        } else if !skips {
            told.push_str(&format!("{line}\n"));
        }
    }
    (told, run)
}

/// Indented as a block; a block holds no empty lines.
fn printed(command: &str) -> String {
    let arguments: Vec<&str> = command.split_whitespace().collect();
    let printed = ok(&folder_of(&arguments), &arguments);
    printed.lines().filter(|line| !line.is_empty()).map(|line| format!("    {line}\n")).collect()
}

/// The folder of the example whose file is named.
fn folder_of(arguments: &[&str]) -> PathBuf {
    let named = arguments.iter().find(|word| word.ends_with(".yaml")).expect("the command names a file of an example");
    let folders = fs::read_dir(root().join("docs/examples")).unwrap().map(|entry| entry.unwrap().path());
    folders.into_iter().find(|folder| folder.join(named).is_file()).unwrap_or_else(|| panic!("no example has {named}"))
}
