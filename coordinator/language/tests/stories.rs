//! Every example in the documentation loads from its files, without mistakes and without warnings, and one node can run them side by side.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sagaline_definition::Definition;
use sagaline_definition::model::{Approve, BackTo, Call, Compensate, Verb, Word};
use sagaline_language::{Loaded, load};

const HOUR: i64 = 3_600_000;

fn folders() -> Vec<PathBuf> {
    let examples = sagaline_test_sources::root().join("docs/examples");
    let entries = fs::read_dir(examples).expect("the examples lie there");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let mut folders: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn loaded(folder: &Path) -> Loaded {
    load(&[folder]).unwrap_or_else(|error| panic!("{error}"))
}

/// A definition of the examples, by its name.
fn story(name: &str) -> Definition {
    let all = folders().into_iter().flat_map(|folder| loaded(&folder).definitions.into_values());
    all.into_iter().find(|definition| definition.saga == name).expect("there is such a story")
}

fn verb<'a>(definition: &'a Definition, step: &str) -> &'a Verb {
    &definition.steps[definition.step_index(step).expect("there is such a step")].verb
}

fn call<'a>(definition: &'a Definition, step: &str) -> &'a Call {
    let Verb::Call(call) = verb(definition, step) else { panic!("{step} is no call") };
    call
}

fn approve<'a>(definition: &'a Definition, step: &str) -> &'a Approve {
    let Verb::Approve(approve) = verb(definition, step) else { panic!("{step} is no approval") };
    approve
}

#[test]
fn every_example_loads_without_mistakes_and_without_warnings() {
    let folders = folders();
    let wrong = folders.iter().filter_map(|folder| match load(&[folder]) {
        Ok(loaded) => Some(loaded.warnings.to_string()).filter(|warnings| !warnings.is_empty()),
        Err(error) => Some(error.to_string()),
    });
    assert_eq!(wrong.collect::<Vec<_>>().join("\n"), "");
    let names: Vec<_> = folders.iter().filter_map(|folder| folder.file_name()?.to_str()).collect();
    assert_eq!(names, ["access-request", "changing-order", "customer-onboarding", "order-fulfilment", "three-weeks"]);
}

#[test]
fn every_definition_has_scenarios_beside_it() {
    let definitions = folders().into_iter().flat_map(|folder| loaded(&folder).definitions.into_keys());
    let alone: Vec<PathBuf> = definitions.filter(|file| !file.with_extension("test.yaml").is_file()).collect();
    assert_eq!(alone, Vec::<PathBuf>::new());
}

#[test]
fn who_takes_part_in_several_examples_has_one_contract() {
    let mut digests = BTreeMap::new();
    for folder in folders() {
        for contract in loaded(&folder).contracts.iter() {
            let digest = digests.entry(contract.participant.clone()).or_insert(contract.digest());
            assert_eq!(*digest, contract.digest(), "{} of {}", contract.participant, folder.display());
        }
    }
}

#[test]
fn a_manager_has_two_days_and_the_director_the_second_of_them() {
    let definition = story("access-request");
    let manager = approve(&definition, "manager");
    assert_eq!(manager.patience.within, 48 * HOUR);
    assert_eq!(manager.escalate, [(24 * HOUR, "role/director".to_owned())]);
    assert_eq!(approve(&definition, "security").quorum, 2);
}

#[test]
fn what_undoes_a_welcome_is_an_apology() {
    let definition = story("customer-onboarding");
    let undone = &call(&definition, "welcome").compensate;
    assert!(matches!(undone, Compensate::By { operation, .. } if operation == "apologise"), "{undone:?}");
    let wrong = &approve(&definition, "review").choices["wrong"];
    assert!(matches!(wrong, Word::BackTo(BackTo { at_most: 3, .. })), "{wrong:?}");
}

#[test]
fn a_branch_takes_fourteen_systems_and_two_gates() {
    let definition = story("branch-opening");
    assert_eq!(definition.contracts.len(), 14);
    let gates = definition.steps.iter().filter(|step| matches!(step.verb, Verb::Approve(_)));
    assert_eq!(gates.map(|step| step.step.as_str()).collect::<Vec<_>>(), ["gate_money", "gate_safety"]);
    assert_eq!(call(&definition, "deposit").retry.within, None, "an outage must not use up its time");
}
