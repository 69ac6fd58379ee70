//! I8: whoever folds the same log has the same state and the same outputs, however the work was cut into batches.

use sagaline_partition::{Faults, Folded, Halt, LogRecord, Partition, digest};
use sagaline_schemas::proof;
use sagaline_schemas::record::Body;
use sagaline_schemas::schema::INBOX;
use sagaline_store::MemoryStore;

use crate::stage::{LOG, Stage, key};

fn busy() -> Stage {
    let mut stage = Stage::new(&["a", "b", "c"]);
    for n in 0..40 {
        stage.start(&format!("k{n}"));
        if n % 3 == 0 {
            stage.ok("a");
        }
        if n % 6 == 0 {
            stage.ok("b");
        }
        if n % 7 == 0 {
            stage.cancel(n as u8, &format!("k{n}"));
        }
        stage.now += 700;
        if n % 5 == 0 {
            stage.progress();
        }
        stage.raw(vec![n as u8; 30]);
    }
    for _ in 0..6 {
        stage.now += 11_000;
        stage.progress();
    }
    stage
}

#[test]
fn refolding_gives_the_same_state_and_outputs() {
    let mut stage = busy();
    let digest = stage.digest();
    let (again, outputs) = stage.refold(1, 1_000);
    assert_eq!(again, digest);
    assert_eq!(outputs, stage.outputs);
}

#[test]
fn a_batch_may_end_between_any_two_timers() {
    let mut stage = busy();
    let digest = stage.digest();
    for (every, budget) in [(1, 1), (2, 1), (3, 2), (7, 3), (1_000, 1)] {
        let (again, outputs) = stage.refold(every, budget);
        assert_eq!(again, digest, "every {every}, budget {budget}");
        assert_eq!(outputs, stage.outputs);
    }
}

#[test]
fn a_record_may_be_folded_alone_and_each_of_its_timers_after_it() {
    let mut stage = busy();
    let digest = stage.digest();
    let mut partition = Partition::open(0, Box::new(MemoryStore::new()), key(), Faults::new()).unwrap();
    let (mut alone, mut outputs) = (0, vec![]);
    for (offset, (timestamp, value)) in (0..).zip(&stage.log) {
        let record = LogRecord { offset, timestamp: *timestamp, value };
        let mut folded = partition.fold(record, 0).unwrap();
        while folded == Folded::More {
            alone += 1;
            partition.commit().unwrap();
            folded = partition.fold(record, 1).unwrap();
        }
        outputs.extend(partition.take_published());
    }
    partition.commit().unwrap();
    assert!(alone > 20, "{alone} timers");
    assert_eq!(digest::digest(partition.reader().as_ref()).unwrap(), digest);
    assert_eq!(outputs, stage.outputs);
}

#[test]
fn one_changed_record_changes_the_digest() {
    let mut stage = busy();
    stage.raw(vec![0xee; 31]);
    let digest = stage.digest();
    assert_eq!(stage.refold(1, 1_000).0, digest);
    stage.log.last_mut().unwrap().1[30] ^= 1;
    assert_ne!(stage.refold(1, 1_000).0, digest);
}

#[test]
fn discarding_goes_back_to_the_last_commit() {
    let mut stage = Stage::new(&["a"]);
    let before = stage.digest();
    let event = Body::Event(stage.event(-1, 0, "k"));
    let value = proof::seal(INBOX.fingerprint, &key(), LOG, 0, &event);
    let record = LogRecord { offset: stage.partition.next(), timestamp: stage.now, value: &value };
    assert_eq!(stage.partition.fold(record, 1_000).unwrap(), Folded::Whole);
    assert_eq!(stage.partition.take_published().len(), 2, "a command and what `events` tells of it");
    stage.partition.discard().unwrap();
    assert_eq!(stage.digest(), before);
}

#[test]
fn offsets_at_which_the_log_holds_no_record_are_bridged_and_no_others() {
    let stage = Stage::new(&["a"]);
    let mut partition = Partition::open(0, Box::new(MemoryStore::new()), key(), Faults::new()).unwrap();
    let hole = |outcome| matches!(outcome, Err(Halt::Hole { .. }));
    assert!(hole(partition.bridge(4)), "nothing stands before the beginning");
    let (timestamp, genesis) = &stage.log[0];
    partition.fold(LogRecord { offset: 0, timestamp: *timestamp, value: genesis }, 1).unwrap();
    partition.commit().unwrap();
    assert!(partition.meta().unwrap().last_record.is_some());
    assert!(hole(partition.bridge(0)) && hole(partition.bridge(1)), "neither back nor nowhere");
    partition.bridge(5).unwrap();
    partition.commit().unwrap();
    let meta = partition.meta().unwrap();
    assert_eq!((meta.next, meta.last_record), (5, None), "nobody can ask the log for what is not there");
    let nonsense = |offset| LogRecord { offset, timestamp: *timestamp, value: b"nonsense" };
    assert!(hole(partition.fold(nonsense(4), 1).map(drop)));
    assert_eq!(partition.fold(nonsense(5), 1).unwrap(), Folded::Whole);
    partition.commit().unwrap();
    assert!(partition.meta().unwrap().last_record.is_some());
}
