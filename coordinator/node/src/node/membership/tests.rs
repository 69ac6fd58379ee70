//! Who publishes for which partition, as the group shares them out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_log::LogError;
use sagaline_partition::store::StoreError;

use super::{Membership, REPLACED, State};
use crate::node::withdrawal::{Sight, Withdrawal};
use crate::owner::Role;
use crate::owner::stop::Stop;
use crate::stage::Stage;

const PARTITIONS: u32 = 4;

fn member(stage: &Stage, name: &str) -> Membership {
    Membership::new(Arc::clone(&stage.log), "g".to_owned(), name.to_owned(), stage.names.inbox())
}

fn owned(member: &Membership) -> Vec<u32> {
    (0..PARTITIONS).filter(|partition| member.role(*partition) == Role::Owner).collect()
}

/// The group takes a while to decide.
fn settle(stage: &Stage, members: &mut [&mut Membership]) {
    for _ in 0..200 {
        stage.simulation.advance(50);
        for member in members.iter_mut() {
            member.turn(Duration::ZERO);
        }
    }
}

#[test]
fn one_has_all_and_two_share_until_one_is_gone() {
    let stage = Stage::bare(PARTITIONS);
    let mut one = member(&stage, "one");
    assert!(owned(&one).is_empty(), "nobody has the word before the group gives it");
    settle(&stage, &mut [&mut one]);
    assert_eq!(owned(&one), [0, 1, 2, 3]);

    let mut two = member(&stage, "two");
    settle(&stage, &mut [&mut one, &mut two]);
    let mut both = [owned(&one), owned(&two)];
    assert!(both.iter().all(|part| part.len() == 2), "{both:?}");
    both.sort();
    assert_ne!(both[0], both[1]);

    drop(one);
    settle(&stage, &mut [&mut two]);
    assert_eq!(owned(&two), [0, 1, 2, 3]);
}

#[test]
fn who_is_replaced_stands_by_for_a_while_and_says_why() {
    let stage = Stage::bare(PARTITIONS);
    let mut one = member(&stage, "one");
    settle(&stage, &mut [&mut one]);
    one.lose(&LogError::InUse { place: "the group g".to_owned() });
    settle(&stage, &mut [&mut one]);
    let State::Outside(since) = one.state else { panic!("it has joined at once") };
    assert!(since > Instant::now() + REPLACED / 2 && owned(&one).is_empty());
    assert!(one.trouble.unwrap().contains("Give each node a `node` name of its own"));
}

#[test]
fn who_has_lost_the_group_joins_again_after_a_while() {
    let stage = Stage::bare(PARTITIONS);
    let mut one = member(&stage, "one");
    settle(&stage, &mut [&mut one]);
    one.lose(&LogError::Io { place: "g".to_owned(), detail: "lost".to_owned() });
    assert!(owned(&one).is_empty() && one.trouble.is_some());
    let State::Outside(since) = &mut one.state else { panic!("it is a member") };
    *since = std::time::Instant::now();
    settle(&stage, &mut [&mut one]);
    assert_eq!((owned(&one), one.trouble), (vec![0, 1, 2, 3], None));
}

#[test]
fn who_fails_at_a_partition_that_it_has_leaves_all_to_the_other_and_comes_back_when_mended() {
    let stage = Stage::bare(PARTITIONS);
    let (mut one, mut two) = (member(&stage, "one"), member(&stage, "two"));
    settle(&stage, &mut [&mut one, &mut two]);
    let (ours, mut withdrawal) = (owned(&one), Withdrawal::default());
    assert_eq!(ours.len(), 2);
    let full = StoreError::Io { place: "data".to_owned(), detail: "No space left on device".to_owned() };
    let mut stop = Some(Stop::Store(full));
    let mut act = |one: &mut Membership, stop: Option<&Stop>| {
        let sight = |number| Sight {
            held: one.role(number) == Role::Owner,
            stop: stop.cloned().filter(|_| number == ours[0]),
            claimed_elsewhere: one.role(number) != Role::Owner,
        };
        let sights: Vec<Sight> = (0..PARTITIONS).map(sight).collect();
        match withdrawal.look(&sights, Instant::now()) {
            Some(stop) => one.leave(&stop),
            None => one.turn(Duration::ZERO),
        };
    };
    for _ in 0..50 {
        act(&mut one, stop.as_ref());
        settle(&stage, &mut [&mut two]);
    }
    assert_eq!((owned(&one), owned(&two)), (vec![], vec![0, 1, 2, 3]));
    assert!(one.trouble.as_ref().unwrap().contains("No space left"), "{:?}", one.trouble);

    stop = None;
    let State::Outside(since) = &mut one.state else { panic!("it is a member") };
    *since = Instant::now();
    act(&mut one, stop.as_ref());
    settle(&stage, &mut [&mut one, &mut two]);
    assert_eq!((owned(&one).len(), owned(&two).len(), one.trouble), (2, 2, None));
}
