//! Owners on a simulated log, with a participant that answers: what they publish, when they are silent, and why they stop.

mod reader;

use std::time::Duration;

use sagaline_log::simulated::Faults;
use sagaline_log::{LogError, Record};
use sagaline_partition::{Halt, LookAhead};
use sagaline_schemas::record::{Body, Fault, Progress};
use sagaline_store::Trail;

use super::opening::Origin;
use super::seek::{Heard, Search};
use super::status::Standing;
use super::stop::Stop;
use super::{Owner, Role, Turned};
use crate::sealed;
use crate::stage::{Desk, Disk, Stage, ended, sagas};
use crate::verify::Refold;

fn live(owner: &Owner) -> bool {
    owner.status().unwrap().standing == Standing::Live
}

/// Turns until the owner gives up, or ten seconds have passed.
fn stop_of(stage: &Stage, owner: &mut Owner) -> Stop {
    stop_after(stage, owner, 1_000)
}

/// Within so many turns, ten milliseconds apart.
fn stop_after(stage: &Stage, owner: &mut Owner, turns: u32) -> Stop {
    for _ in 0..turns {
        if let Err(stop) = owner.turn(stage.now(), Duration::ZERO) {
            return stop;
        }
        stage.simulation.advance(10);
    }
    panic!("the owner goes on: {:#?}", owner.status())
}

fn outbox(owner: &Owner) -> i64 {
    owner.status().unwrap().channels.iter().map(|channel| channel.outbox).sum()
}

#[test]
fn a_saga_runs_from_its_start_to_its_end() {
    let stage = Stage::new(1);
    let (mut owner, mut desk) = (stage.owner("one", &Disk::default()), Desk::new(&stage));
    stage.start("o-1");
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 1 && outbox(owners[0]) == 0);
    assert_eq!(desk.done, ["book", "seal"]);
    assert!(desk.seen.values().all(|times| *times == 1));
}

#[test]
fn a_refusal_at_the_pivot_goes_back() {
    let stage = Stage::new(1);
    let (mut owner, mut desk) = (stage.owner("one", &Disk::default()), Desk::new(&stage));
    desk.refuses = Some(("seal", "Torn"));
    stage.start("o-1");
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 1);
    assert_eq!(desk.done, ["book", "seal", "unbook"]);
}

#[test]
fn a_restart_goes_on_where_the_store_stands_and_a_crash_where_it_was_flushed() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    for round in 0..6 {
        let mut owner = stage.owner("one", &disk);
        for n in 0..20 {
            stage.start(&format!("o-{round}-{n}"));
        }
        // Killed as soon as something was published: before anything is confirmed.
        let before = desk.seen.len();
        for _ in 0..200 {
            owner.turn(stage.now(), Duration::ZERO).unwrap();
            desk.answer();
            stage.simulation.advance(5);
            if desk.seen.len() > before + 5 {
                break;
            }
        }
        if round % 2 == 0 { disk.crash() } else { owner.close().unwrap() }
    }
    let mut owner = stage.owner("one", &disk);
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 120 && outbox(owners[0]) == 0);
    assert_eq!(desk.seen.len(), 240, "two commands for each of 120 sagas, whatever was sent twice");
    refolds_to_the_same(&stage, &owner);
}

fn refolds_to_the_same(stage: &Stage, owner: &Owner) {
    let refold = Refold { log: &*stage.log, names: &stage.names, key: &stage.key, partition: 0 };
    let verified = refold.verify(&*owner.reader(), &mut |_| Ok(Box::new(Disk::default()))).unwrap();
    assert!(verified.same(), "{verified:?}");
}

#[test]
fn two_owners_at_once_cost_duplicates_and_nothing_else() {
    let stage = Stage::new(1);
    let mut desk = Desk::new(&stage);
    let (mut one, mut two) = (stage.owner("one", &Disk::default()), stage.owner("two", &Disk::default()));
    for n in 0..50 {
        stage.start(&format!("o-{n}"));
    }
    stage.run(&mut [&mut one, &mut two], &mut desk, |owners| {
        owners.iter().all(|owner| ended(owner) == 50 && outbox(owner) == 0)
    });
    assert_eq!(desk.seen.len(), 100);
    assert!(!(live(&one) && live(&two)) || one.position() != two.position(), "who has folded a newer claim is silent");
    // Both have folded up to the same record: they are the same, byte for byte.
    for owner in [&mut one, &mut two] {
        owner.fall_silent(Duration::MAX);
    }
    for _ in 0..100 {
        one.turn(stage.now(), Duration::ZERO).unwrap();
        two.turn(stage.now(), Duration::ZERO).unwrap();
    }
    assert_eq!(one.position(), two.position());
    let digest = |owner: &Owner| sagaline_partition::digest::digest(&*owner.reader()).unwrap();
    assert_eq!(digest(&one), digest(&two));
}

#[test]
fn who_stands_by_folds_along_in_silence_and_goes_on_at_once_when_it_is_given_the_word() {
    let stage = Stage::new(1);
    let mut desk = Desk::new(&stage);
    let (mut one, mut two) = (stage.owner("one", &Disk::default()), stage.owner("two", &Disk::default()));
    two.take_role(Role::Standby, stage.now());
    for n in 0..20 {
        stage.start(&format!("a-{n}"));
    }
    stage.run(&mut [&mut one, &mut two], &mut desk, |owners| owners.iter().all(|owner| ended(owner) == 20));
    assert!(desk.seen.values().all(|times| *times == 1), "one publishes: nothing is said twice");
    assert_eq!(two.status().unwrap().standing, Standing::Standby);
    assert_eq!(two.status().unwrap().claimed_by, "one");

    // The owner dies with commands decided and not published; the group gives its part to the other one.
    for n in 0..20 {
        stage.start(&format!("b-{n}"));
    }
    drop(one);
    let topic = stage.names.of_channel("commands.desk");
    let published = || stage.simulation.records(&topic, 0).unwrap().len();
    let before = published();
    two.take_role(Role::Owner, stage.now());
    let given = stage.now();
    stage.run(&mut [&mut two], &mut desk, |_| published() > before);
    let took = stage.now() - given;
    assert!(took < Duration::from_secs(1), "it publishes within a second of the group's decision, not {took:?}");
    stage.run(&mut [&mut two], &mut desk, |owners| ended(owners[0]) == 40 && outbox(owners[0]) == 0);
    refolds_to_the_same(&stage, &two);
}

#[test]
fn who_takes_over_says_that_it_has_folded_so_far_before_it_publishes_what_was_left() {
    let stage = Stage::new(1);
    let mut desk = Desk::new(&stage);
    let (mut one, mut two) = (stage.owner("one", &Disk::default()), stage.owner("two", &Disk::default()));
    two.take_role(Role::Standby, stage.now());
    stage.run(&mut [&mut one, &mut two], &mut desk, |owners| live(owners[0]) && owners[1].position() > 0);
    // An order that the first one never folds: it is gone.
    drop(one);
    let offset = stage.start("o-1");
    let topic = stage.names.of_channel("commands.desk");
    let published = || stage.simulation.records(&topic, 0).unwrap().len();
    let (before, told) = (published(), |from: i64| -> Vec<Progress> {
        let bodies =
            stage.simulation.records(&stage.names.inbox(), 0).unwrap().into_iter().filter(|it| it.offset > from);
        let proven = |it: sagaline_log::Fetched| sealed::proven(&stage.key, stage.inbox.log_id, 0, &it.record.value);
        bodies
            .filter_map(proven)
            .filter_map(|body| if let Body::Progress(it) = body { Some(it) } else { None })
            .collect()
    });
    two.take_role(Role::Owner, stage.now());
    while published() == before {
        let vouched = told(offset).iter().any(|progress| progress.since.is_some());
        two.turn(stage.now(), Duration::ZERO).unwrap();
        assert!(published() == before || vouched, "it published first: {:#?}", told(offset));
        stage.simulation.advance(5);
    }
    // From here on a word about that order comes too late: it is refused, and nobody folds without it what was published.
    let set_aside = two.status().unwrap().counters.parked;
    stage.put(&fault(offset));
    stage.run(&mut [&mut two], &mut desk, |owners| ended(owners[0]) == 1);
    assert_eq!(two.status().unwrap().counters.parked, set_aside + 1);
}

#[test]
fn who_loses_the_word_is_silent_at_once_and_does_not_claim_again() {
    let stage = Stage::new(1);
    let (mut owner, mut desk) = (stage.owner("one", &Disk::default()), Desk::new(&stage));
    stage.run(&mut [&mut owner], &mut desk, |owners| live(owners[0]));
    let claim = owner.partition.meta().unwrap().newest_claim;
    owner.take_role(Role::Standby, stage.now());
    stage.start("o-1");
    for _ in 0..10_000 {
        owner.turn(stage.now(), Duration::ZERO).unwrap();
        desk.answer();
        stage.simulation.advance(10);
    }
    assert!(desk.seen.is_empty(), "it folds and publishes nothing");
    assert_eq!((owner.partition.meta().unwrap().newest_claim, outbox(&owner) > 0), (claim, true));
}

#[test]
fn who_folds_a_newer_claim_falls_silent_and_claims_again_later() {
    let stage = Stage::new(1);
    let (mut owner, mut desk) = (stage.owner("one", &Disk::default()), Desk::new(&stage));
    stage.run(&mut [&mut owner], &mut desk, |owners| live(owners[0]));
    let first = owner.status().unwrap().claim;
    stage.put(&Body::Progress(Progress {
        wall: stage.log.wall_clock(),
        since: None,
        acked: Vec::new(),
        node: "two".to_owned(),
    }));
    owner.turn(stage.now(), Duration::ZERO).unwrap();
    assert_eq!(owner.status().unwrap().standing, Standing::Following);
    stage.start("o-1");
    owner.turn(stage.now(), Duration::ZERO).unwrap();
    desk.answer();
    assert!(desk.seen.is_empty(), "it folds and publishes nothing");
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 1);
    assert!(owner.status().unwrap().claim > first);
}

#[test]
fn who_slept_wakes_up_silent() {
    let stage = Stage::new(1);
    let (mut owner, mut desk) = (stage.owner("one", &Disk::default()), Desk::new(&stage));
    stage.run(&mut [&mut owner], &mut desk, |owners| live(owners[0]));
    stage.start("o-1");
    stage.simulation.advance(10_001);
    owner.turn(stage.now(), Duration::ZERO).unwrap();
    desk.answer();
    assert_eq!(owner.status().unwrap().standing, Standing::Following);
    assert!(desk.seen.is_empty(), "what it folds after so long it does not publish");
}

#[test]
fn who_slept_for_a_week_over_an_unsent_outbox_says_nothing_of_it() {
    let stage = Stage::new(1);
    let mut desk = Desk::new(&stage);
    let (mut one, mut two) = (stage.owner("one", &Disk::default()), stage.owner("two", &Disk::default()));
    two.take_role(Role::Standby, stage.now());
    stage.run(&mut [&mut one, &mut two], &mut desk, |owners| live(owners[0]));
    let commands = stage.names.of_channel("commands.desk");
    let refused = LogError::Forbidden { topic: commands.clone(), detail: "no write access".to_owned() };
    stage.simulation.refuse(&commands, refused).unwrap();
    for n in 0..5 {
        stage.start(&format!("o-{n}"));
    }
    stage.run(&mut [&mut one, &mut two], &mut desk, |owners| owners.iter().all(|owner| outbox(owner) == 5));
    stage.simulation.mend(&commands).unwrap();
    // One sleeps from here on; the other one is given its part, and does all that it left.
    two.take_role(Role::Owner, stage.now());
    stage.run(&mut [&mut two], &mut desk, |owners| ended(owners[0]) == 5 && outbox(owners[0]) == 0);
    stage.simulation.advance(7 * 24 * 3_600_000);
    one.turn(stage.now(), Duration::ZERO).unwrap();
    assert_eq!(one.status().unwrap().standing, Standing::Following, "silent from its first turn on");
    for _ in 0..1_000 {
        one.turn(stage.now(), Duration::ZERO).unwrap();
        stage.simulation.advance(10);
    }
    assert_eq!((ended(&one), outbox(&one)), (5, 0));
    for published in stage.simulation.records(&commands, 0).unwrap() {
        let node = published.record.headers.iter().find(|(name, _)| name == "sagaline-node").unwrap();
        assert_eq!(node.1, b"two", "a command of who slept, at offset {}", published.offset);
    }
}

#[test]
fn a_channel_that_is_down_keeps_its_outputs_and_stops_nobody_else() {
    let stage = Stage::new(1);
    let (mut owner, mut desk) = (stage.owner("one", &Disk::default()), Desk::new(&stage));
    stage.run(&mut [&mut owner], &mut desk, |owners| live(owners[0]));
    let commands = stage.names.of_channel("commands.desk");
    let detail = "no write access".to_owned();
    stage.simulation.refuse(&commands, LogError::Forbidden { topic: commands.clone(), detail }).unwrap();
    for n in 0..30 {
        stage.start(&format!("o-{n}"));
    }
    let down = |owner: &Owner| {
        let channels = owner.status().unwrap().channels;
        channels.iter().find(|channel| channel.channel == "commands.desk").and_then(|channel| channel.down.clone())
    };
    stage.run(&mut [&mut owner], &mut desk, |owners| down(owners[0]).is_some());
    let since = stage.simulation.now();
    // Started events go on while commands don't.
    let events = |owner: &Owner| {
        let channels = owner.status().unwrap().channels;
        channels.iter().find(|channel| channel.channel == "events").map_or(0, |channel| channel.outbox)
    };
    stage.run(&mut [&mut owner], &mut desk, |owners| {
        events(owners[0]) == 0 && outbox(owners[0]) == 30 && stage.simulation.now() > since + 60_000
    });
    let told = down(&owner).unwrap();
    assert!(told.why.contains("no write access") && told.since <= since, "{told:?}");
    stage.simulation.mend(&commands).unwrap();
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 30);
    assert_eq!(down(&owner), None);
    let booked = desk.done.iter().take_while(|operation| *operation == "book").count();
    assert!(booked >= 1 && desk.seen.len() == 60);
}

#[test]
fn lost_appends_are_sent_again_and_cost_no_attempt() {
    let stage = Stage::new(1);
    let (mut owner, mut desk) = (stage.owner("one", &Disk::default()), Desk::new(&stage));
    let faults = Faults {
        unknown_lost: 40,
        unknown_landed: 40,
        landing_ms: 0..=30,
        acknowledgement_ms: 0..=30,
        read_error: 5,
        ..Faults::default()
    };
    for n in 0..100 {
        stage.start(&format!("o-{n}"));
    }
    for _ in 0..30_000 {
        // The owner's log alone fails: what the participant loses is another test's.
        stage.simulation.set_faults(Faults::default());
        desk.answer();
        stage.simulation.set_faults(faults.clone());
        owner.turn(stage.now(), Duration::ZERO).unwrap();
        stage.simulation.advance(20);
        if ended(&owner) == 100 && outbox(&owner) == 0 {
            break;
        }
    }
    assert_eq!((ended(&owner), outbox(&owner)), (100, 0));
    assert_eq!(desk.retries, 0, "a command counts as sent only when it is: no attempt's time runs before that");
    assert!(desk.seen.values().any(|times| *times > 1), "faults that repeat nothing prove nothing");
    refolds_to_the_same(&stage, &owner);
}

#[test]
fn while_clocks_disagree_nothing_is_published_and_few_records_are_written_then_it_goes_on_by_itself() {
    let stage = Stage::new(1);
    let (mut owner, mut desk) = (stage.owner("one", &Disk::default()), Desk::new(&stage));
    stage.run(&mut [&mut owner], &mut desk, |owners| live(owners[0]));
    // Something to be published again each time that it goes live.
    desk.silent = true;
    for n in 0..20 {
        stage.start(&format!("o-{n}"));
    }
    stage.run(&mut [&mut owner], &mut desk, |owners| outbox(owners[0]) == 0);
    stage.simulation.set_broker_skew(3_600_000);
    stage.start("o-20");
    stage.run(&mut [&mut owner], &mut desk, |owners| owners[0].clocks_apart().is_some());
    let topic = stage.names.of_channel("commands.desk");
    let published = || -> usize { stage.simulation.records(&topic, 0).unwrap().len() };
    let (began, before, records) = (stage.simulation.now(), published(), owner.position());
    stage.run(&mut [&mut owner], &mut desk, |_| stage.simulation.now() > began + 250_000);
    assert_eq!(published(), before);
    let claims = owner.position() - records;
    assert!((8..16).contains(&claims), "{claims} claims in 250 s, ever more slowly");
    let status = owner.status().unwrap();
    assert!(status.standing != Standing::Live && status.trouble.unwrap().contains("lie 3600000 ms apart"));
    stage.simulation.set_broker_skew(0);
    desk.silent = false;
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 21 && outbox(owners[0]) == 0);
    assert_eq!((owner.clocks_apart(), owner.status().unwrap().trouble), (None, None));
    refolds_to_the_same(&stage, &owner);
}

#[test]
fn who_begins_with_a_wrong_clock_never_goes_live() {
    let mut stage = Stage::new(1);
    stage.log = std::sync::Arc::new(stage.simulation.log_with_clock(3_600_000));
    let (mut owner, mut desk) = (stage.owner("one", &Disk::default()), Desk::new(&stage));
    stage.start("o-1");
    stage.run(&mut [&mut owner], &mut desk, |owners| {
        assert!(!live(owners[0]));
        stage.now() > Duration::from_secs(60)
    });
    assert!(desk.seen.is_empty(), "nothing is published");
    assert_eq!(owner.clocks_apart(), Some(3_600_000));
}

#[test]
fn a_broker_half_a_minute_behind_makes_timers_late_and_costs_few_records() {
    let stage = Stage::new(1);
    let (mut owner, mut desk) = (stage.owner("one", &Disk::default()), Desk::new(&stage));
    desk.silent = true;
    stage.run(&mut [&mut owner], &mut desk, |owners| live(owners[0]));
    stage.start("o-1");
    stage.run(&mut [&mut owner], &mut desk, |owners| outbox(owners[0]) == 0 && sagas(owners[0]).len() == 1);
    stage.simulation.set_broker_skew(-30_000);
    let (before, began) = (owner.position(), stage.simulation.now());
    // The attempt's 30 s are over by our clock half a minute before the broker's says so.
    stage.run(&mut [&mut owner], &mut desk, |_| stage.simulation.now() > began + 55_000);
    let appended = owner.position() - before;
    assert!(
        (10..100).contains(&appended),
        "{appended} Progresses in the half minute in which a timer is armed and not reached"
    );
}

#[test]
fn a_log_that_lost_records_under_the_store_is_seen_at_the_start_and_while_running() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    let mut owner = stage.owner("one", &disk);
    stage.start("o-1");
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 1);
    let position = owner.position();
    stage.simulation.truncate(&stage.names.inbox(), 0, position - 1).unwrap();
    assert!(matches!(stop_of(&stage, &mut owner), Stop::AheadOfLog { .. }));
    owner.close().unwrap();
    let known = Origin::default();
    assert!(matches!(stage.try_owner("one", &disk, &known).err(), Some(Stop::AheadOfLog { .. })));
    // Other records in their place are no cure.
    let other = Record { key: Vec::new(), value: b"another".to_vec(), headers: Vec::new() };
    let end = owner.position();
    while stage.simulation.put(&stage.names.inbox(), 0, other.clone()).unwrap() < end {}
    assert!(matches!(stage.try_owner("one", &disk, &known).err(), Some(Stop::Rewritten { .. })));
}

#[test]
fn a_topic_made_anew_is_another_log() {
    let stage = Stage::new(1);
    let disk = Disk::default();
    let (mut owner, origin) = stage.try_owner("one", &disk, &Origin::default()).unwrap();
    owner.turn(stage.now(), Duration::ZERO).unwrap();
    stage.simulation.recreate(&stage.names.inbox()).unwrap();
    let refused = stage.try_owner("one", &disk, &origin).err();
    assert!(matches!(refused, Some(Stop::OtherLog { what: "topic", .. })), "{refused:?}");
}

#[test]
fn a_replica_is_not_enough_where_nobody_said_so() {
    let stage = Stage::new(1);
    let options = super::OwnerOptions { single_broker: false, ..stage.options("one") };
    let refused = Owner::open(options, Box::new(Disk::default()), &Origin::default(), stage.log.clone()).err();
    let Some(Stop::Unsafe { setting, way_out, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(setting, "the number of replicas");
    assert!(way_out.contains("single_broker"), "{way_out}");
}

#[test]
fn a_node_with_another_key_refuses_the_partition() {
    let stage = Stage::new(1);
    let key = sagaline_schemas::proof::Key::new("test", [8; 32]);
    let options = super::OwnerOptions { key, ..stage.options("one") };
    let (mut owner, _) =
        Owner::open(options, Box::new(Disk::default()), &Origin::default(), stage.log.clone()).unwrap();
    assert!(matches!(stop_of(&stage, &mut owner), Stop::Halt(Halt::WrongKey { .. })));
}

#[test]
fn a_panic_that_does_not_come_again_decides_nothing() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    let mut owner = stage.owner("one", &disk);
    disk.mine("o-1", 1);
    for key in ["o-0", "o-1", "o-2"] {
        stage.start(key);
    }
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 3 && outbox(owners[0]) == 0);
    assert!(desk.seen.values().all(|times| *times == 1), "folded twice is not published twice");
    assert_eq!(owner.status().unwrap().counters.parked, 0);
    refolds_to_the_same(&stage, &owner);
}

#[test]
fn a_panic_that_comes_again_stops_the_partition_until_a_person_has_the_input_passed_over() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    let mut owner = stage.owner("one", &disk);
    disk.mine("o-1", u32::MAX);
    let good = stage.start("o-0");
    let offset = stage.start("o-1");
    stage.start("o-2");
    let stop = stop_of(&stage, &mut owner);
    assert!(matches!(stop, Stop::Panicked { offset: at, timer: 0, .. } if at == offset), "{stop}");
    assert!(stop.to_string().contains(&format!("sagaline skip 0 {offset}")), "{stop}");
    drop(owner);
    let (by, reason) = ("ada".to_owned(), "it kills the fold".to_owned());
    stage.put(&Body::Fault(Fault { offset, timer: 0, by, reason }));
    let mut owner = stage.owner("one", &disk);
    assert!(owner.position() <= offset && good < offset);
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 2 && outbox(owners[0]) == 0);
    assert_eq!(owner.status().unwrap().counters.parked, 1, "in the same partition the others end");
}

#[test]
fn an_input_that_was_folded_and_is_to_be_passed_over_asks_for_a_refold() {
    let stage = Stage::bare(1);
    let mut owner = stage.owner("one", &Disk::default());
    let offset = stage.start("o-1");
    let (by, reason) = ("ada".to_owned(), "it kills another node".to_owned());
    stage.put(&Body::Fault(Fault { offset, timer: 0, by, reason }));
    let Stop::Refold { offset: named, timer: 0, note, .. } = stop_of(&stage, &mut owner) else {
        panic!("another stop")
    };
    assert_eq!((named, note.by.as_str()), (offset, "ada"));
    // With the Fault known the same log is folded to its end.
    let mut options = stage.options("one");
    options.faults.insert((named, 0), note);
    let (mut owner, _) =
        Owner::open(options, Box::new(Disk::default()), &Origin::default(), stage.log.clone()).unwrap();
    let Turned { .. } = owner.turn(stage.now(), Duration::ZERO).unwrap();
    assert_eq!(owner.status().unwrap().counters.parked, 1);
}

fn fault(offset: i64) -> Body {
    Body::Fault(Fault { offset, timer: 0, by: "ada".to_owned(), reason: "it kills the fold".to_owned() })
}

#[test]
fn a_word_far_ahead_is_looked_for_a_piece_each_turn_and_a_log_that_fails_meanwhile_is_asked_again() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    disk.mine("o-1", u32::MAX);
    let offset = stage.start("o-1");
    for _ in 0..3_500 {
        stage.simulation.put(&stage.names.inbox(), 0, Record::default()).unwrap();
    }
    stage.put(&fault(offset));
    let mut owner = stage.owner("one", &disk);
    let turn = |owner: &mut Owner| {
        stage.simulation.advance(5);
        owner.turn(stage.now(), Duration::ZERO).unwrap()
    };
    while owner.seeking.is_none() {
        turn(&mut owner);
    }
    stage.simulation.set_faults(Faults { read_error: 1_000, ..Faults::default() });
    for _ in 0..10 {
        assert!(!turn(&mut owner).pause.is_zero(), "it is to wait before it asks again");
        assert!(owner.status().unwrap().trouble.is_some());
    }
    stage.simulation.set_faults(Faults::default());
    let mut turns = 0;
    while owner.seeking.is_some() {
        turn(&mut owner);
        turns += 1;
    }
    assert!((3..10).contains(&turns), "{turns} pieces for 3,500 records");
    stage.start("o-2");
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 1 && outbox(owners[0]) == 0);
}

#[test]
fn a_log_that_holds_more_and_gives_nothing_is_opened_anew() {
    let stage = Stage::new(1);
    let disk = Disk::default();
    disk.mine("o-1", u32::MAX);
    stage.start("o-1");
    let mut owner = stage.owner("one", &disk);
    while owner.seeking.is_none() {
        owner.turn(stage.now(), Duration::ZERO).unwrap();
    }
    // As if the end had been told before it was lost.
    owner.seeking.as_mut().unwrap().end += 1;
    let begun = stage.now();
    let stop = stop_after(&stage, &mut owner, 4_000);
    assert!(matches!(stop, Stop::Log(LogError::Io { .. })), "{stop}");
    assert!(stage.now() - begun >= Duration::from_secs(30));
}

#[test]
fn who_alone_panics_at_an_input_is_told_that_another_node_has_folded_it() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    let mut other = stage.owner("other", &Disk::default());
    let offset = stage.start("o-1");
    stage.run(&mut [&mut other], &mut desk, |owners| ended(owners[0]) == 1 && outbox(owners[0]) == 0);
    stage.put(&fault(offset));
    disk.mine("o-1", u32::MAX);
    let stop = stop_of(&stage, &mut stage.owner("one", &disk));
    assert!(matches!(stop, Stop::PanicsAlone { offset: at, .. } if at == offset), "{stop}");
    other.turn(stage.now(), Duration::ZERO).unwrap();
    assert_eq!(other.status().unwrap().counters.parked, 1, "who has folded it refuses the Fault");
}

#[test]
fn an_input_at_which_two_lives_have_died_is_not_folded_by_the_third_until_a_person_has_spoken() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    let offset = stage.start("o-1");
    stage.start("o-2");
    let begin = || {
        let mut owner = stage.owner("one", &disk);
        owner.watch(Trail::Input { offset, timer: 0, died: 1 }, Box::new(|_| Ok(())));
        owner
    };
    let mut owner = begin();
    let stop = stop_of(&stage, &mut owner);
    assert!(matches!(stop, Stop::Panicked { offset: at, timer: 0, unsaid: None, .. } if at == offset), "{stop}");
    assert!(stop.to_string().contains("2 lives of this node have died there"), "{stop}");
    assert_eq!(owner.position(), offset);
    stage.put(&fault(offset));
    let mut owner = begin();
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 1 && outbox(owners[0]) == 0);
    assert_eq!(owner.status().unwrap().counters.parked, 1);
}

/// The claim under which nobody can have published what follows from the input, as the owner says that panics there.
fn unsaid(stop: &Stop) -> Option<i64> {
    let Stop::Panicked { unsaid, .. } = stop else { panic!("another stop: {stop}") };
    *unsaid
}

fn claim(stage: &Stage, node: &str) -> Body {
    Body::Progress(Progress { wall: stage.log.wall_clock(), since: None, acked: Vec::new(), node: node.to_owned() })
}

#[test]
fn that_nobody_has_said_anything_of_an_input_is_known_only_by_who_published_when_it_came() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    let mut owner = stage.owner("one", &disk);
    stage.run(&mut [&mut owner], &mut desk, |owners| live(owners[0]));
    let claim = owner.status().unwrap().claim;
    disk.mine("o-1", u32::MAX);
    stage.start("o-0");
    stage.start("o-1");
    assert_eq!(unsaid(&stop_of(&stage, &mut owner)), claim);
    drop(owner);
    let stop = stop_of(&stage, &mut stage.owner("one", &disk));
    assert_eq!(unsaid(&stop), None, "it was in the log before: its last life may have published");
}

#[test]
fn another_claim_before_the_input_leaves_it_open_who_has_published() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    let mut owner = stage.owner("one", &disk);
    stage.run(&mut [&mut owner], &mut desk, |owners| live(owners[0]));
    disk.mine("o-1", u32::MAX);
    stage.put(&claim(&stage, "two"));
    stage.start("o-1");
    assert_eq!(unsaid(&stop_of(&stage, &mut owner)), None);
}

#[test]
fn an_input_that_was_folded_before_and_panics_when_it_is_folded_again_may_have_been_published() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    let mut owner = stage.owner("one", &disk);
    stage.run(&mut [&mut owner], &mut desk, |owners| live(owners[0]));
    disk.mine("o-2", 1);
    let first = stage.start("o-1");
    stage.start("o-2");
    while owner.panicked.is_none() {
        owner.turn(stage.now(), Duration::ZERO).unwrap();
    }
    // The first one was folded, and is folded again behind the last commit.
    disk.mine("o-1", u32::MAX);
    let stop = stop_of(&stage, &mut owner);
    assert!(matches!(stop, Stop::Panicked { offset, unsaid: None, .. } if offset == first), "{stop}");
}

#[test]
fn claims_behind_the_input_are_seen() {
    let stage = Stage::new(1);
    let offset = stage.start("o-1");
    let ahead = LookAhead::new(stage.key.clone(), stage.inbox.log_id, 0, (offset, 0));
    let mut search = Search::behind(offset, ahead, &*stage.log, &stage.names.inbox(), 0).unwrap();
    assert_eq!((heard(&mut search), search.claimed()), (vec![], None));
    let at = stage.put(&claim(&stage, "two"));
    assert_eq!((heard(&mut search), search.claimed()), (vec![], Some(at)));
}

/// Looks on until the log says nothing more; what it said.
fn heard(search: &mut Search) -> Vec<Heard> {
    let all = std::iter::from_fn(|| Some(search.go_on(Duration::ZERO).unwrap()));
    all.take_while(|heard| *heard != Heard::Silence).filter(|heard| *heard != Heard::Nothing).collect()
}

#[test]
fn who_has_halted_hears_the_word_that_is_written_later() {
    let stage = Stage::new(1);
    let disk = Disk::default();
    disk.mine("o-1", u32::MAX);
    let offset = stage.start("o-1");
    let Stop::Panicked { heard: until, .. } = stop_of(&stage, &mut stage.owner("one", &disk)) else {
        panic!("another stop")
    };
    let ahead = LookAhead::new(stage.key.clone(), stage.inbox.log_id, 0, (offset, 0));
    let mut search = Search::behind(offset, ahead, &*stage.log, &stage.names.inbox(), 0).unwrap();
    assert_eq!(heard(&mut search), []);
    stage.put(&fault(offset - 1));
    stage.start("o-2");
    assert_eq!(heard(&mut search), [], "a word about another input");
    let at = stage.put(&fault(offset));
    let Heard::Word { at: found, note } = &heard(&mut search)[0] else { panic!("no word") };
    assert_eq!((*found, note.by.as_str()), (at, "ada"));
    assert!(at >= until, "it was not there when the owner looked");
}

#[test]
fn who_has_halted_hears_that_another_node_has_folded_the_input() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    disk.mine("o-1", u32::MAX);
    let offset = stage.start("o-1");
    stop_of(&stage, &mut stage.owner("one", &disk));
    let ahead = LookAhead::new(stage.key.clone(), stage.inbox.log_id, 0, (offset, 0));
    let mut search = Search::behind(offset, ahead, &*stage.log, &stage.names.inbox(), 0).unwrap();
    assert_eq!(heard(&mut search), []);
    let mut other = stage.owner("other", &Disk::default());
    stage.run(&mut [&mut other], &mut desk, |owners| ended(owners[0]) == 1 && outbox(owners[0]) == 0);
    assert!(matches!(heard(&mut search)[..], [Heard::Vouched { .. }, ..]));
}

#[test]
fn what_is_published_has_headers_that_others_can_go_by() {
    let stage = Stage::new(1);
    let (mut owner, mut desk) = (stage.owner("one", &Disk::default()), Desk::new(&stage));
    stage.start("o-1");
    stage.simulation.put(&stage.names.inbox(), 0, Record::default()).unwrap();
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 1 && outbox(owners[0]) == 0);
    let saga = sagas(&owner)[0].id.to_string();
    let header = |channel: &str, name: &str| {
        let records = stage.simulation.records(&stage.names.of_channel(channel), 0).unwrap();
        let headers = records[0].record.headers.iter();
        headers.filter(|(known, _)| known == name).map(|(_, value)| String::from_utf8(value.clone()).unwrap()).next()
    };
    for (channel, kind) in [("commands.desk", "command.do"), ("events", "saga.started")] {
        assert_eq!(header(channel, "ce_type"), Some(format!("sagaline.{kind}")));
        assert_eq!(header(channel, "sagaline-key").as_deref(), Some("o-1"));
        assert_eq!(header(channel, "sagaline-saga").as_deref(), Some(saga.as_str()));
        assert_eq!(header(channel, "ce_source").as_deref(), Some("/t.inbox/0"));
    }
    assert_eq!(header("parked", "ce_type").as_deref(), Some("sagaline.parked.undecodable"));
}

#[test]
fn a_turn_ends_in_time_however_slow_the_fold_is() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    let mut owner = stage.owner("one", &disk);
    stage.run(&mut [&mut owner], &mut desk, |owners| live(owners[0]));
    disk.slow_down(&stage.simulation, 20);
    for n in 0..500 {
        stage.start(&format!("o-{n}"));
    }
    let (before, began, claim) = (owner.position(), stage.now(), owner.status().unwrap().claim);
    owner.turn(stage.now(), Duration::ZERO).unwrap();
    let (folded, took) = (owner.position() - before, stage.now() - began);
    assert!(took < Duration::from_secs(1), "one turn took {took:?}");
    assert!((20..60).contains(&folded), "{folded} records of 20 ms each");
    disk.slow_down(&stage.simulation, 0);
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 500);
    assert_eq!(owner.status().unwrap().claim, claim, "it was never silent: no two turns lay too far apart");
}

#[test]
fn a_full_disk_stops_its_owner_and_another_goes_on_for_it() {
    let stage = Stage::new(1);
    let (disk, mut desk) = (Disk::default(), Desk::new(&stage));
    let mut owner = stage.owner("one", &disk);
    let mut standby = stage.owner("two", &Disk::default());
    standby.take_role(Role::Standby, stage.now());
    stage.start("o-1");
    stage.run(&mut [&mut owner, &mut standby], &mut desk, |owners| owners.iter().all(|owner| ended(owner) == 1));
    disk.set_full(true);
    stage.start("o-2");
    let stop = stop_of(&stage, &mut owner);
    assert!(matches!(stop, Stop::Store(_)) && stop.is_this_nodes() && stop.may_pass(), "{stop}");
    drop(owner);
    standby.take_role(Role::Owner, stage.now());
    stage.run(&mut [&mut standby], &mut desk, |owners| ended(owners[0]) == 2);
    assert!(desk.seen.values().all(|times| *times <= 2), "what both sent is sent twice at most");

    disk.set_full(false);
    let mut mended = stage.owner("one", &disk);
    mended.take_role(Role::Standby, stage.now());
    stage.run(&mut [&mut mended, &mut standby], &mut desk, |owners| ended(owners[0]) == 2);
}
