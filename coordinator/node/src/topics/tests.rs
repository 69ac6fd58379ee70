//! Making topics on a simulated log: killed anywhere and run again, and what is refused.

use sagaline_log::Log;
use sagaline_log::simulated::Simulation;
use sagaline_schemas::proof::Key;

use super::{TopicsError, Wanted, check, create, inbox_topic};
use crate::Names;
use crate::owner::stop::Stop;

fn wanted(partitions: u32) -> Wanted {
    Wanted { partitions, replicas: 1, single_broker: true, ..Wanted::default() }
}

fn key() -> Key {
    Key::new("test", [1; 32])
}

#[test]
fn made_twice_is_made_once() {
    let log = Simulation::new(1).log();
    let names = Names::new("a.");
    let first = create(&log, &names, &key(), &wanted(4)).unwrap();
    assert_eq!(create(&log, &names, &key(), &wanted(4)).unwrap(), first);
    assert_eq!(check(&log, &names, &key(), true).unwrap(), first);
}

#[test]
fn what_was_killed_in_the_middle_goes_on_with_the_same_log_id() {
    let simulation = Simulation::new(1);
    let (log, names) = (simulation.log(), Names::new(""));
    let whole = create(&log, &names, &key(), &wanted(4)).unwrap();
    for partition in [0, 2, 3] {
        simulation.truncate(&names.inbox(), partition, 0).unwrap();
    }
    assert!(matches!(check(&log, &names, &key(), true), Err(TopicsError::NoGenesis { partition: 0, .. })));
    assert_eq!(create(&log, &names, &key(), &wanted(4)).unwrap().log_id, whole.log_id);
}

#[test]
fn another_number_of_partitions_is_refused() {
    let log = Simulation::new(1).log();
    create(&log, &Names::new(""), &key(), &wanted(4)).unwrap();
    let refused = create(&log, &Names::new(""), &key(), &wanted(8));
    assert!(matches!(refused, Err(TopicsError::Partitions { found: 4, wanted: 8, .. })), "{refused:?}");
}

#[test]
fn another_key_is_refused() {
    let log = Simulation::new(1).log();
    create(&log, &Names::new(""), &key(), &wanted(1)).unwrap();
    let refused = check(&log, &Names::new(""), &Key::new("test", [2; 32]), true);
    assert!(matches!(refused, Err(TopicsError::WrongKey { .. })), "{refused:?}");
}

#[test]
fn an_inbox_that_loses_records_or_refuses_them_or_lets_clients_tell_the_time_is_refused() {
    let wrong = [
        ("retention.ms", "604800000"),
        ("message.timestamp.type", "CreateTime"),
        ("cleanup.policy", "compact"),
        ("unclean.leader.election.enable", "true"),
        ("max.message.bytes", "1114111"),
    ];
    for (setting, value) in wrong {
        let log = Simulation::new(1).log();
        let mut topic = inbox_topic(&Names::new(""), &wanted(1));
        topic.settings.retain(|(name, _)| name != setting);
        topic.settings.push((setting.to_owned(), value.to_owned()));
        log.create_topic(&topic).unwrap();
        let refused = create(&log, &Names::new(""), &key(), &wanted(1)).unwrap_err();
        let TopicsError::Unsafe(Stop::Unsafe { setting: named, found, way_out, .. }) = refused else {
            panic!("{refused}")
        };
        assert_eq!((named, found.as_str()), (setting, value));
        assert!(way_out.contains(&format!("--topic inbox --add-config {setting}=")), "{way_out}");
    }
}

#[test]
fn the_topics_that_are_made_take_the_largest_record_that_the_settings_allow_and_elect_no_unclean_leader() {
    let log = Simulation::new(1).log();
    create(&log, &Names::new(""), &key(), &wanted(1)).unwrap();
    for topic in ["inbox", "events", "parked", "definitions"] {
        let settings = log.topic(topic).unwrap().unwrap().settings;
        assert_eq!(settings["max.message.bytes"], (1024 * 1024 + 64 * 1024).to_string(), "{topic}");
        assert_eq!(settings["unclean.leader.election.enable"], "false", "{topic}");
    }
}
