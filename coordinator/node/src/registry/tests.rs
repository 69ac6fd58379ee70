//! Applying on a simulated log: what it refuses, and that stopping it anywhere and repeating it goes on.

use std::sync::Arc;

use super::{ApplyError, Registry, RegistryReader};
use crate::stage::{Stage, contract, definition, definition_with};

fn known(stage: &Stage) -> Registry {
    let registry = Registry::default();
    RegistryReader::new(Arc::clone(&stage.log), &stage.names, registry.clone()).turn(stage.now()).unwrap();
    registry
}

#[test]
fn what_is_applied_is_known_and_active() {
    let stage = Stage::bare(2);
    assert!(known(&stage).catalogue().active("errand").is_none());
    stage.apply(&[contract()], &[definition()]).unwrap();
    let catalogue = known(&stage).catalogue();
    assert_eq!(catalogue.active("errand").unwrap().0, definition().digest());
    assert_eq!(catalogue.topics(), ["orders"]);
    assert_eq!(catalogue.contracts[&contract().digest()].command_partitions, 2);
}

#[test]
fn applying_twice_is_applying_once_to_who_reads() {
    let stage = Stage::new(1);
    stage.apply(&[contract()], &[definition()]).unwrap();
    assert_eq!(known(&stage).catalogue().definitions.len(), 1);
}

#[test]
fn a_version_never_has_two_digests() {
    let stage = Stage::new(1);
    let other = definition_with("after: 14d", "after: 13d");
    let refused = stage.apply(&[], &[other]).unwrap_err();
    assert!(matches!(refused, ApplyError::OtherDigest { kind: "definition", .. }), "{refused}");
}

#[test]
fn a_definition_without_its_contract_is_refused() {
    let stage = Stage::bare(1);
    let refused = stage.apply(&[], &[definition()]).unwrap_err();
    assert!(matches!(refused, ApplyError::NoContract { .. }), "{refused}");
}

#[test]
fn who_reads_from_the_beginning_knows_only_what_is_active_now() {
    let stage = Stage::new(1);
    let next = definition_with("version: 1.0.0", "version: 2.0.0");
    stage.apply(&[], std::slice::from_ref(&next)).unwrap();
    let catalogue = known(&stage).catalogue();
    assert_eq!(catalogue.active["errand"], next.digest());
    assert_eq!(catalogue.definitions.len(), 2, "sagas of the old version still run");
}
