//! The simulation can fail: whatever is broken on purpose is found within a few seeds.

use sagaline_simulation::{Mutation, simulate};

/// Plays seeds until a check turns red; gives what it says.
fn found(mutation: Mutation) -> String {
    let mut violations = (0..200).filter_map(|seed| simulate(seed, Some(mutation)).err());
    let violation = violations.next().unwrap_or_else(|| panic!("{mutation:?} is not seen in 200 seeds"));
    println!("{mutation:?}: seed {}: {}", violation.seed, violation.what);
    violation.what
}

#[test]
fn a_participant_without_deduplication_is_found() {
    assert!(found(Mutation::NoDeduplication).contains("I4"));
}

#[test]
fn a_participant_without_tombstones_is_found() {
    found(Mutation::NoTombstones);
}

#[test]
fn a_publisher_that_leaves_its_outbox_is_found() {
    found(Mutation::NoRepublishing);
}

#[test]
fn a_producer_that_takes_unknown_for_acknowledged_is_found() {
    assert!(found(Mutation::UnknownIsAcknowledged).contains("I10"));
}

#[test]
fn a_changed_byte_of_a_store_is_found() {
    found(Mutation::TamperedStore);
}

#[test]
fn a_forger_with_the_key_is_found() {
    found(Mutation::StolenKey);
}

#[test]
fn attempts_that_end_too_early_are_found() {
    assert!(found(Mutation::ShortAttempts).contains("I5"));
}
