//! What the doctor says of the rules' version and of the logs' last records, on a simulated log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sagaline_partition::{KnownRules, RULES_VERSION};
use sagaline_schemas::proof::Key;
use sagaline_schemas::record::{Body, EngineVersion};

use super::InForce;
use crate::doctor::{Finding, Patient, Verdict};
use crate::sealed::{self, Beginnings};
use crate::stage::Stage;

const NEXT: u32 = RULES_VERSION + 1;

fn patient<'a>(stage: &'a Stage, rules: KnownRules) -> Patient<'a> {
    let data = std::path::Path::new("nowhere");
    Patient { log: &*stage.log, names: &stage.names, key: &stage.key, single_broker: true, data, vault: None, rules }
}

/// By a build that knows the rules up to a version.
fn examined(stage: &Stage, newest: u32) -> Finding {
    let findings = patient(stage, KnownRules::up_to(newest)).examine();
    findings.into_iter().find(|finding| finding.what == "version").unwrap()
}

fn raise(stage: &Stage, key: &Key, partition: u32, version: u32) {
    let body = Body::EngineVersion(EngineVersion { version, by: "ada".to_owned() });
    let record = sealed::record(key, stage.inbox.log_id, partition, &body);
    stage.simulation.put(&stage.names.inbox(), partition, record).unwrap();
}

#[test]
fn the_version_told_is_the_one_in_force_and_not_the_first() {
    let stage = Stage::bare(2);
    let begun = examined(&stage, NEXT);
    let says = "the rules in force have version 1 in every inbox partition; this program knows versions 1 to 2";
    assert_eq!(begun, Finding::well("version", says));

    raise(&stage, &Key::new("forged", [1; 32]), 0, 9);
    assert_eq!(examined(&stage, NEXT), begun, "a forged record raises nothing");

    raise(&stage, &stage.key, 1, NEXT);
    let half = examined(&stage, NEXT);
    assert_eq!(half.verdict, Verdict::Look, "{half:?}");
    assert!(half.says.contains("version 1 in inbox partitions 0, version 2 in inbox partitions 1;"), "{half:?}");
    assert!(half.says.ends_with("`sagaline upgrade raise` goes on with it"), "{half:?}");

    raise(&stage, &stage.key, 0, NEXT);
    stage.start("o-1");
    let raised = examined(&stage, NEXT);
    assert!(raised.verdict == Verdict::Well && raised.says.contains("version 2 in every"), "{raised:?}");
    let old = examined(&stage, RULES_VERSION);
    assert!(old.verdict == Verdict::Wrong && old.says.ends_with("run a build that knows version 2"), "{old:?}");
}

#[test]
fn what_is_not_looked_at_in_time_is_told() {
    let stage = Stage::bare(1);
    raise(&stage, &stage.key, 0, NEXT);
    let patient = patient(&stage, KnownRules::up_to(NEXT));
    let mut beginnings = Beginnings::new(patient.log, patient.names, patient.key);
    let found = patient.in_force(&mut beginnings, 0, Instant::now()).unwrap().unwrap();
    assert_eq!((found.version, found.left), (RULES_VERSION, 2));
    let told = super::told(KnownRules::up_to(NEXT), &[found]);
    assert!(told.says.contains("The first 2 records were not looked at, or are gone"), "{told:?}");
    assert!(told.says.contains("at least version 1 in every inbox partition"), "{told:?}");
}

#[test]
fn the_last_records_of_all_partitions_have_one_deadline_and_what_does_not_come_by_then_is_told() {
    let stage = Stage::bare(2);
    let patient = patient(&stage, KnownRules::OWN);
    let (records, clocks) = patient.partitions(&stage.inbox, &BTreeMap::new(), Instant::now());
    assert_eq!((records.verdict, clocks.verdict), (Verdict::Look, Verdict::Well));
    assert!(records.says.starts_with("the last records of 2 of 2 logs did not come in"), "{records:?}");
    let in_time = Instant::now() + Duration::from_secs(60);
    assert_eq!(patient.partitions(&stage.inbox, &BTreeMap::new(), in_time).0.verdict, Verdict::Well);
}

#[test]
fn a_version_that_may_be_higher_is_compared_with_no_other_and_wrong_only_above_what_is_known() {
    let known = KnownRules { oldest: 2, newest: 3 };
    let told = |versions: &[(u32, i64)]| {
        let found: Vec<InForce> =
            versions.iter().map(|(version, left)| InForce { version: *version, left: *left }).collect();
        super::told(known, &found)
    };
    let partly = told(&[(1, 10), (3, 0)]);
    assert_eq!(partly.verdict, Verdict::Well, "{partly:?}");
    assert!(
        partly.says.contains("version 3 in inbox partitions 1, at least version 1 in inbox partitions 0;"),
        "{partly:?}"
    );
    assert!(told(&[(1, 10), (2, 0), (3, 0)]).says.contains("a raise was cut off"));
    assert!(told(&[(4, 10), (3, 0)]).says.ends_with("run a build that knows version 4"));
    assert!(told(&[(1, 0), (3, 0)]).says.ends_with("run a build that knows version 1"));
}
