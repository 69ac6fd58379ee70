//! Settings as people write them, and where a change goes.

use std::collections::BTreeMap;

use sagaline_schemas::settings::{Events, Settings};
use serde_json::{Value as Json, json};

use super::plan::{InForce, Plan, plan};
use super::{KEYS, changed, markdown, shown};

fn set(changes: &[(&str, Json)]) -> Result<Settings, String> {
    let changes: BTreeMap<String, Json> =
        changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    changed(&Settings::default(), &changes).map_err(|error| error.to_string())
}

#[test]
fn values_are_taken_as_people_write_them() {
    let settings = set(&[
        ("max_payload", json!("512KiB")),
        ("max_record", json!("2MiB")),
        ("max_effects", json!(7)),
        ("keep_ended", json!("30d")),
        ("activation_delay", json!("0")),
        ("events", json!("steps")),
    ])
    .unwrap();
    let wanted = Settings {
        max_payload: 512 * 1024,
        max_record: 2 * 1024 * 1024,
        max_effects: 7,
        keep_ended: 30 * 86_400_000,
        activation_delay: 0,
        events: Events::Steps,
        ..Settings::default()
    };
    assert_eq!(settings, wanted);
}

#[test]
fn what_is_shown_can_be_set() {
    for settings in [Settings::default(), Settings { events: Events::Nothing, max_mailbox: 3, ..Settings::default() }] {
        assert_eq!(changed(&Settings::default(), &shown(&settings)), Ok(settings));
    }
    assert!(KEYS.iter().all(|key| key.bounds.0 < key.bounds.1));
}

#[test]
fn what_is_wrong_is_told_with_what_would_be_right() {
    let told = |name: &str, value: Json| set(&[(name, value)]).unwrap_err();
    let cases = [
        (told("max_paylod", json!(1)), "there is no setting \"max_paylod\": did you mean \"max_payload\"?"),
        (
            told("max_payload", json!("1k")),
            "max_payload is \"1k\": it must be a number of bytes from 1024 to 8388608, as in 65536, 64KiB or 1MiB",
        ),
        (told("max_effects", json!(0)), "max_effects is 0: it must be a number from 1 to 1000000"),
        (told("max_effects", json!(1.5)), "max_effects is 1.5: it must be a number from 1 to 1000000"),
        (
            told("keep_requests", json!("99999999999999999999d")),
            "keep_requests is \"99999999999999999999d\": it must be a duration from 60000 to 31536000000 ms, as in 500ms, 30s, 5m, 2h or 3d",
        ),
        (told("events", json!("all")), "events is \"all\": it must be nothing, ends, steps"),
        (told("events", json!(1)), "events is 1: it must be nothing, ends, steps"),
        (
            told("max_payload", json!("1MiB")),
            "max_payload is 1048576 and max_record 1048576: max_record must be at least 65536 more",
        ),
        (set(&[]).unwrap_err(), "nothing is to be set: name settings and values, as in max_payload=512KiB"),
    ];
    for (told, wanted) in cases {
        assert_eq!(told, wanted);
    }
    assert!(told("colour", json!(1)).starts_with("there is no setting \"colour\": they are max_payload, max_record, "));
}

fn at(version: i64, max_effects: u32) -> InForce {
    Some((version, Settings { max_effects, ..Settings::default() }))
}

fn planned(partitions: &[InForce], max_effects: u32) -> Option<(i64, Vec<u32>)> {
    let wanted = Settings { max_effects, ..Settings::default() };
    plan(partitions, wanted).map(|Plan { version, to, .. }| (version, to))
}

#[test]
fn a_change_goes_to_all_and_a_repeated_one_to_who_lacks_it() {
    assert_eq!(planned(&[at(0, 5), at(0, 5)], 6), Some((1, vec![0, 1])));
    assert_eq!(planned(&[at(1, 6), at(1, 6)], 6), Some((1, vec![])), "it is so already");
    assert_eq!(planned(&[at(1, 6), at(0, 5), None], 6), Some((1, vec![1, 2])), "it was cut short");
    assert_eq!(planned(&[at(1, 6), at(0, 5)], 7), Some((2, vec![0, 1])));
    assert_eq!(planned(&[at(1, 6), at(1, 7)], 7), Some((2, vec![0, 1])), "two at once gave one version two meanings");
    assert_eq!(planned(&[None], 7), None);
}

#[test]
fn the_page_for_operators_prints_this_table() {
    let page = std::fs::read_to_string(sagaline_test_sources::root().join("docs/operations.md")).unwrap();
    assert!(page.contains(&markdown()), "docs/operations.md should print:\n{}", markdown());
}
