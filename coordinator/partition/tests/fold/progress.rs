//! Time and trimming: what only a Progress may do, and what it may not.

use sagaline_partition::Halt;
use sagaline_schemas::record::{Body, Progress};

use crate::stage::Stage;

#[test]
fn a_clock_never_begins_before_the_command_is_durably_sent() {
    let mut stage = Stage::new(&["a"]);
    stage.start("k");
    stage.now += 60_000;
    let unsent = Progress { acked: vec![], ..stage.progress_record() };
    stage.body(&Body::Progress(unsent));
    assert_eq!(stage.operations(), "a", "no time is up: nothing was sent");
    stage.progress();
    stage.now += 9_999;
    stage.progress();
    assert_eq!(stage.operations(), "a", "a millisecond is left");
    stage.now += 1;
    stage.progress();
    assert_eq!(stage.operations(), "a", "the wait before the next attempt has not begun");
    stage.progress();
    stage.now += 1_000;
    stage.progress();
    assert_eq!(stage.operations(), "a a");
}

#[test]
fn an_answer_before_the_progress_means_that_no_timer_is_ever_written() {
    let mut stage = Stage::new(&["a", "b"]);
    stage.start("k");
    stage.ok("a");
    stage.progress();
    stage.now += 3_599_000;
    stage.ok("b");
    stage.progress();
    assert_eq!(stage.operations(), "a b", "the only timers were the saga's deadline and b's attempt");
}

#[test]
fn two_clocks_must_agree_before_time_passes() {
    let mut stage = Stage::new(&["a"]);
    stage.start("k");
    stage.progress();
    let year = 365 * 24 * 3_600_000;
    for (wall, timestamp) in [(stage.now + year, stage.now), (stage.now, stage.now + year)] {
        let before = stage.partition.meta().unwrap().log_time;
        let record = Progress { wall, acked: vec![], ..stage.progress_record() };
        let now = std::mem::replace(&mut stage.now, timestamp);
        stage.body(&Body::Progress(record));
        stage.now = now;
        assert_eq!(stage.partition.meta().unwrap().log_time, before);
        assert!(stage.partition.meta().unwrap().clock_fault.is_some());
    }
    assert_eq!(stage.operations(), "a", "nothing fired");
    stage.progress();
    assert!(stage.partition.meta().unwrap().clock_fault.is_none());
}

#[test]
fn a_four_hour_outage_fires_no_timeout_that_the_backlog_answers() {
    let mut stage = Stage::new(&["a", "b"]);
    stage.start("k");
    stage.start("l");
    stage.progress();
    stage.now += 4 * 3_600_000;
    stage.ok("a");
    stage.progress();
    let operations = stage.operations();
    assert!(!operations.contains("a a a"), "both sagas asked once for a: {operations}");
    assert_eq!(stage.commands().iter().filter(|command| command.address.attempt > 1).count(), 0);
}

#[test]
fn other_outputs_confirmed_by_the_newest_owner_halt_the_partition() {
    let mut stage = Stage::new(&["a"]);
    stage.start("k");
    let mut other = stage.progress_record();
    other.acked[0].hash.0[0] ^= 1;
    let value = sagaline_schemas::proof::seal(
        sagaline_schemas::schema::INBOX.fingerprint,
        &crate::stage::key(),
        crate::stage::LOG,
        0,
        &Body::Progress(other),
    );
    let halted = stage.try_raw(value);
    assert!(matches!(halted, Err(Halt::Diverged { .. })), "{halted:?}");
}

#[test]
fn other_outputs_confirmed_by_an_older_claim_are_parked() {
    let mut stage = Stage::new(&["a"]);
    stage.start("k");
    let mut zombie = stage.progress_record();
    zombie.acked[0].hash.0[0] ^= 1;
    stage.body(&Body::Progress(Progress { wall: stage.now, since: None, acked: vec![], node: "m".to_owned() }));
    stage.body(&Body::Progress(zombie));
    assert_eq!(format!("{:?}", stage.parked()[0].reason), "Diverged");
    let (_, channel) = stage.partition.channels().iter().find(|(name, _)| *name == "commands.p").unwrap();
    assert_eq!(channel.length, 1, "nothing was trimmed");
}

#[test]
fn what_lies_behind_a_progress_is_not_acknowledged_by_it() {
    let mut stage = Stage::new(&["a"]);
    stage.start("k");
    let mut ahead = stage.progress_record();
    ahead.acked[0].through.offset = 1_000;
    stage.body(&Body::Progress(ahead));
    assert_eq!(format!("{:?}", stage.parked()[0].reason), "Refused");
}

#[test]
fn trimming_empties_the_outbox() {
    let mut stage = Stage::new(&["a"]);
    stage.start("k");
    stage.ok("a");
    stage.progress();
    stage.progress();
    for (name, channel) in stage.partition.channels() {
        assert_eq!(channel.length, 0, "{name}");
        assert_eq!(stage.partition.outbox(name, None, 10).unwrap(), vec![]);
    }
}

#[test]
fn what_happens_after_a_quiet_week_is_not_told_to_be_a_week_old() {
    let mut stage = Stage::new(&["a", "b"]);
    let log_time = stage.partition.meta().unwrap().log_time;
    stage.now += 7 * 24 * 3_600_000;
    let began = stage.now;
    stage.start("k");
    stage.now += 5;
    stage.ok("a");
    stage.now += 5;
    stage.ok("b");
    assert_eq!(stage.partition.meta().unwrap().log_time, log_time, "no time has passed");
    stage.partition.commit().unwrap();
    let reader = stage.partition.reader();
    let saga = sagaline_partition::view::saga_of_key(reader.as_ref(), "test", "k").unwrap().unwrap();
    let ended = match saga.phase {
        sagaline_engine::Phase::Ended { at, .. } => at,
        other => panic!("{other:?}"),
    };
    assert_eq!((saga.started_at, ended), (began, began + 10));
    let history = sagaline_partition::view::history(reader.as_ref(), &saga).unwrap();
    assert_eq!(history.iter().map(|entry| entry.time - began).collect::<Vec<_>>(), [0, 5, 10]);
    assert_eq!(stage.command("a").decided, log_time, "what is decided goes by log time");
}
