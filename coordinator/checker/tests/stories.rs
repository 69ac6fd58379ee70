//! The stories of the documentation hold. What was found on each is printed, and a table of their sizes and times.

mod build;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use sagaline_checker::{Bound, check};
use sagaline_definition::Contract;
use sagaline_language::load;

fn folders() -> Vec<PathBuf> {
    let examples = sagaline_test_sources::root().join("docs/examples");
    let entries = fs::read_dir(examples).expect("the examples can be read");
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

#[test]
fn every_story_holds() {
    // In the tests with one trouble a path; `make prove` takes the default of two.
    let prove = std::env::var("SAGALINE_PROVE").is_ok_and(|value| value == "1");
    let bound = Bound { trouble: if prove { 2 } else { 1 }, ..Bound::default() };
    let mut wrong = Vec::new();
    let mut table =
        format!("{:<24} | {:>8} | {:>11} | {:>5} | {:>7}\n", "story", "states", "transitions", "depth", "seconds");
    for folder in folders() {
        let loaded = load(&[&folder]).unwrap_or_else(|error| panic!("{error}"));
        let contracts: BTreeMap<String, Contract> =
            loaded.contracts.iter().map(|contract| (contract.participant.clone(), contract.clone())).collect();
        for definition in loaded.definitions.values() {
            let began = Instant::now();
            let proof = check(definition, &contracts, bound);
            let (seconds, found) = (began.elapsed().as_secs_f64(), &proof.found);
            println!("{}\n{proof}", definition.saga);
            let _ = writeln!(
                table,
                "{:<24} | {:>8} | {:>11} | {:>5} | {seconds:>7.1}",
                definition.saga, found.scenes, found.transitions, found.depth
            );
            if !proof.stories.is_empty() || proof.found.unfinished {
                wrong.push(format!("{}\n{proof}", definition.saga));
            }
        }
    }
    println!("{table}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
