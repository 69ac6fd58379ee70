//! The rules' version: who knows it goes on, who does not halts with the reason and folds nothing of the record, and is back with another build.

use expect_test::expect;
use sagaline_partition::{Faults, Folded, Halt, KnownRules, LogRecord, OLDEST_RULES, Partition, RULES_VERSION, digest};
use sagaline_schemas::proof;
use sagaline_schemas::record::{Body, EngineVersion, Genesis};
use sagaline_schemas::{Digest, schema};
use sagaline_store::MemoryStore;

use crate::stage::{LOG, Stage, genesis, key};

const NEXT: u32 = RULES_VERSION + 1;
/// A build that knows one version more, as it is deployed before a raise.
const NEWER: KnownRules = KnownRules { oldest: OLDEST_RULES, newest: NEXT };
/// One that has forgotten all versions before the next.
const MUCH_NEWER: KnownRules = KnownRules { oldest: NEXT, newest: NEXT };

fn raise(version: u32) -> Vec<u8> {
    let body = Body::EngineVersion(EngineVersion { version, by: "ada".to_owned() });
    proof::seal(schema::INBOX.fingerprint, &key(), LOG, 0, &body)
}

/// A log in which a saga begins before the rules are raised, and another one after it.
fn raised() -> (Stage, i64) {
    let mut stage = Stage::new(&["a", "b"]);
    stage.start("before");
    stage.ok("a");
    stage.progress();
    let after = Body::Event(stage.event(0, 1, "after"));
    let after = proof::seal(schema::INBOX.fingerprint, &key(), LOG, 0, &after);
    let at = stage.log.len() as i64;
    stage.log.extend([(stage.now, raise(NEXT)), (stage.now, after)]);
    (stage, at)
}

fn open(known: KnownRules) -> Partition {
    Partition::open_as(known, 0, Box::new(MemoryStore::new()), key(), Faults::new()).unwrap()
}

/// Folds the log from where the partition stands.
fn fold(partition: &mut Partition, log: &[(i64, Vec<u8>)]) -> Result<Digest, Halt> {
    for (offset, (timestamp, value)) in (0..).zip(log).skip(partition.next() as usize) {
        let record = LogRecord { offset, timestamp: *timestamp, value };
        while partition.fold(record, 1_000)? == Folded::More {}
        partition.commit()?;
    }
    Ok(digest::digest(partition.reader().as_ref())?)
}

fn version(partition: &Partition) -> u32 {
    partition.meta().unwrap().rules().version()
}

#[test]
fn before_a_raise_both_builds_fold_alike() {
    let (stage, raise) = raised();
    let before = &stage.log[..raise as usize];
    let (mut old, mut new) = (open(KnownRules::OWN), open(NEWER));
    assert_eq!(fold(&mut old, before).unwrap(), fold(&mut new, before).unwrap());
    assert_eq!(old.take_published(), new.take_published());
    assert_eq!((version(&old), version(&new)), (RULES_VERSION, RULES_VERSION));
}

#[test]
fn who_knows_the_new_version_goes_on_and_who_does_not_halts_at_it_with_the_reason() {
    let (stage, raise) = raised();
    let mut new = open(NEWER);
    fold(&mut new, &stage.log).unwrap();
    let rules = new.meta().unwrap().rules();
    assert!(rules.at_least(RULES_VERSION) && rules.at_least(NEXT) && !rules.at_least(NEXT + 1), "{rules:?}");

    let mut old = open(KnownRules::OWN);
    let halt = fold(&mut old, &stage.log).unwrap_err();
    expect![[r#"the rules of inbox partition 0 have version 2, this program knows version 1: run a build that knows version 2 on this node. Nothing is lost, nodes with such a build go on; there is no way back to this build"#]].assert_eq(&halt.to_string());
    assert_eq!((old.next(), version(&old)), (raise, RULES_VERSION), "nothing of it is folded");
    assert_eq!(fold(&mut old, &stage.log), Err(halt), "however often it is asked");
}

#[test]
fn another_build_goes_on_where_the_old_one_halted_and_the_old_one_finds_no_way_back() {
    let (stage, _) = raised();
    let mut all = open(NEWER);
    let whole = fold(&mut all, &stage.log).unwrap();
    // The stage's own partition has folded all before the raise; its store is what the old build leaves.
    let mut next = stage.reopened_as(NEWER).unwrap();
    assert_eq!(fold(&mut next, &stage.log).unwrap(), whole);
    drop(next);
    let back = stage.reopened_as(KnownRules::OWN).err();
    assert!(matches!(back, Some(Halt::UnknownRules { wanted: NEXT, .. })), "{back:?}");
}

#[test]
fn a_lower_version_is_parked_and_the_same_again_changes_nothing() {
    let (mut stage, _) = raised();
    stage.log.push((stage.now, raise(NEXT)));
    let mut new = open(NEWER);
    fold(&mut new, &stage.log).unwrap();
    let parked = new.meta().unwrap().counters.parked;
    assert_eq!(version(&new), NEXT);
    stage.log.push((stage.now, raise(RULES_VERSION)));
    fold(&mut new, &stage.log).unwrap();
    assert_eq!((version(&new), new.meta().unwrap().counters.parked), (NEXT, parked + 1));
}

#[test]
fn a_version_that_was_forgotten_is_refused_from_the_first_record_on() {
    let (stage, _) = raised();
    let halt = fold(&mut open(MUCH_NEWER), &stage.log).unwrap_err();
    expect![[r#"the rules of inbox partition 0 have version 1, this program knows version 2: it has forgotten that version. Have a build that knows it fold the log, raise the rules there (`sagaline upgrade raise`), and start this build on that store: without it, it can't begin at version 1"#]].assert_eq(&halt.to_string());
}

#[test]
fn a_log_may_begin_with_any_version_that_is_known() {
    let begun = |rules_version| {
        let genesis = Body::Genesis(Genesis { rules_version, ..genesis() });
        let log = [(0, proof::seal(schema::INBOX.fingerprint, &key(), LOG, 0, &genesis))];
        let mut partition = open(NEWER);
        fold(&mut partition, &log).map(|_| version(&partition))
    };
    assert_eq!((begun(RULES_VERSION), begun(NEXT)), (Ok(RULES_VERSION), Ok(NEXT)));
    assert!(matches!(begun(NEXT + 1), Err(Halt::UnknownRules { wanted, .. }) if wanted == NEXT + 1));
}
