//! Applying on a simulated log: what it refuses, and that stopping it anywhere and repeating it goes on.

use sagaline_log::Record;
use sagaline_schemas::LogId;
use sagaline_schemas::proof::Key;
use sagaline_schemas::record::{Body, Genesis};

use super::{ApplyError, Entry, Registry, Seal, genesis_entry};
use crate::sealed;
use crate::stage::{Stage, contract, definition, definition_with};

fn known(stage: &Stage) -> Registry {
    let registry = Registry::default();
    stage.registry_reader(&registry).turn(stage.now()).unwrap();
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

#[test]
fn what_the_logs_key_did_not_write_activates_nothing_and_is_shown() {
    let stage = Stage::new(1);
    let other = definition_with("version: 1.0.0", "version: 2.0.0");
    let active = Entry::Active { name: "errand".to_owned(), digest: other.digest() };
    let known = Entry::Definition { digest: other.digest(), definition: Box::new(other) };
    let sealed = active.record(&stage.seal());
    let stranger = Seal { key: Key::new("test", [8; 32]), ..stage.seal() };
    let elsewhere = Seal { log_id: LogId([8; 16]), ..stage.seal() };
    let forged = [
        Record { value: sealed.value[54..sealed.value.len() - 1].to_vec(), ..sealed.clone() },
        Record {
            value: String::from_utf8(sealed.value.clone()).unwrap().replace("errand", "errant").into_bytes(),
            ..sealed.clone()
        },
        Record { value: known.record(&stage.seal()).value, ..sealed.clone() },
        Record { key: b"active/another".to_vec(), ..sealed },
        active.record(&stranger),
        active.record(&elsewhere),
        Record { key: b"active/errand".to_vec(), ..Record::default() },
    ];
    let count = forged.len();
    for record in forged {
        stage.simulation.put(&stage.names.definitions(), 0, record).unwrap();
    }
    let catalogue = self::known(&stage).catalogue();
    assert_eq!(catalogue.active("errand").unwrap().0, definition().digest());
    assert_eq!(catalogue.definitions.len(), 1);
    assert_eq!(catalogue.refused.len(), count, "{:?}", catalogue.refused);
    assert!(catalogue.refused.values().all(|why| why.contains("no proof by the log's key")), "{:?}", catalogue.refused);
}

#[test]
fn of_which_beginnings_copies_lie_there_is_known_until_a_record_takes_their_place_that_proves_nothing() {
    let stage = Stage::bare(3);
    let begun = || known(&stage).catalogue().begun.clone();
    assert!(begun().is_empty());
    sealed::keep_genesis(&*stage.log, &stage.names, &stage.key, stage.inbox.log_id, 0..2).unwrap();
    assert!(begun().iter().eq(&[0, 1]));
    let key = format!("genesis/{}/1", stage.inbox.log_id).into_bytes();
    let stale = Record { key, ..Record::default() };
    stage.simulation.put(&stage.names.definitions(), 0, stale).unwrap();
    assert!(begun().iter().eq(&[0]));
    sealed::copy_geneses(&*stage.log, &stage.names, &stage.key, [1], &|| true).unwrap();
    assert!(begun().iter().eq(&[0, 1]));
    assert_eq!(known(&stage).catalogue().refused.len(), 1);

    // What an inbox of old began with is somebody else's.
    let begun_with = sealed::Beginnings::new(&*stage.log, &stage.names, &stage.key).of(2).unwrap().unwrap();
    let genesis = Genesis { log_id: LogId([8; 16]), ..begun_with.genesis };
    let value = sealed::record(&stage.key, genesis.log_id, 2, &Body::Genesis(genesis)).value;
    let old = genesis_entry(&stage.key, 2, &value).unwrap();
    stage.simulation.put(&stage.names.definitions(), 0, old).unwrap();
    assert!(begun().iter().eq(&[0, 1]));
    assert_eq!(known(&stage).catalogue().refused.len(), 1);
}

#[test]
fn of_refused_records_the_newest_are_remembered() {
    let stage = Stage::bare(1);
    for _ in 0..150 {
        stage.simulation.put(&stage.names.definitions(), 0, Record::default()).unwrap();
    }
    let refused = known(&stage).catalogue().refused.clone();
    assert_eq!((refused.len(), refused.keys().next()), (100, Some(&50)));
}

#[test]
fn a_sealed_entry_is_json_that_people_can_read() {
    let stage = Stage::bare(1);
    let record = Entry::Active { name: "errand".to_owned(), digest: definition().digest() }.record(&stage.seal());
    let json: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
    assert_eq!(json["sealed"]["entry"], "active");
    assert_eq!(json["proof"].as_str().unwrap().len(), 32);
}
