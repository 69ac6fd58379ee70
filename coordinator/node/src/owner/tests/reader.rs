//! Readers that break and stay broken, or give nothing more, as a client of Kafka may: the owner takes another one, and sees by it whether its log is
//! still the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sagaline_log::{Fetched, Layer, Log, LogError, Reader, Record};
use sagaline_schemas::Offset;

use super::{live, stop_after};
use crate::owner::opening::Origin;
use crate::owner::stop::Stop;
use crate::owner::{Owner, Turned};
use crate::stage::{Desk, Disk, Stage, ended};

/// A log whose readers break while it says so, each for good: they fail, or say nothing any more.
#[derive(Debug)]
struct Brittle {
    log: Arc<dyn Log>,
    breaks: Arc<AtomicBool>,
    silently: bool,
}

struct BrittleReader {
    reader: Box<dyn Reader>,
    breaks: Arc<AtomicBool>,
    silently: bool,
    broken: bool,
}

impl BrittleReader {
    fn check(&mut self) -> Result<(), LogError> {
        self.broken |= self.breaks.load(Ordering::Relaxed);
        let forbidden = LogError::Forbidden { topic: "inbox".to_owned(), detail: "as the test wants".to_owned() };
        if self.broken && !self.silently { Err(forbidden) } else { Ok(()) }
    }
}

impl Reader for BrittleReader {
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<Fetched>) -> Result<(), LogError> {
        self.check()?;
        if self.broken { Ok(()) } else { self.reader.poll(max, wait, into) }
    }

    fn bounds(&mut self) -> Result<(Offset, Offset), LogError> {
        self.check()?;
        self.reader.bounds()
    }
}

impl Layer for Brittle {
    fn below(&self) -> &dyn Log {
        &*self.log
    }

    fn reader(&self, topic: &str, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let (reader, breaks) = (self.log.reader(topic, partition, from)?, Arc::clone(&self.breaks));
        Ok(Box::new(BrittleReader { reader, breaks, silently: self.silently, broken: false }))
    }
}

/// An owner that is live, its participant, and the switch that breaks its reader.
fn brittle(stage: &Stage, silently: bool) -> (Owner, Desk, Arc<AtomicBool>) {
    let breaks = Arc::new(AtomicBool::new(false));
    let log = Arc::new(Brittle { log: Arc::clone(&stage.log), breaks: Arc::clone(&breaks), silently });
    let (mut owner, _) = Owner::open(stage.options("one"), Box::new(Disk::default()), &Origin::default(), log).unwrap();
    let mut desk = Desk::new(stage);
    stage.start("o-1");
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 1 && live(owners[0]));
    (owner, desk, breaks)
}

/// Turns for a second.
fn turn(stage: &Stage, owner: &mut Owner) -> Turned {
    for _ in 0..100 {
        owner.turn(stage.now(), Duration::ZERO).unwrap();
        stage.simulation.advance(10);
    }
    owner.turn(stage.now(), Duration::ZERO).unwrap()
}

#[test]
fn a_reader_that_broke_gives_way_to_another() {
    let stage = Stage::new(1);
    let (mut owner, mut desk, breaks) = brittle(&stage, false);
    breaks.store(true, Ordering::Relaxed);
    for _ in 0..60 {
        let turned = turn(&stage, &mut owner);
        assert!(!turned.pause.is_zero(), "a log that can't be read is left alone for a while");
    }
    assert!(owner.status().unwrap().trouble.unwrap().contains("not allowed"));
    breaks.store(false, Ordering::Relaxed);
    stage.start("o-2");
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 2);
    assert_eq!(owner.status().unwrap().trouble, None);
}

#[test]
fn what_the_log_lost_while_it_could_not_be_asked_is_seen_by_the_next_reader() {
    for written_over in [false, true] {
        let stage = Stage::new(1);
        let (mut owner, _, breaks) = brittle(&stage, false);
        breaks.store(true, Ordering::Relaxed);
        turn(&stage, &mut owner);
        let (inbox, position) = (stage.names.inbox(), owner.position());
        stage.simulation.truncate(&inbox, 0, position - 1).unwrap();
        if written_over {
            let other = || Record { key: Vec::new(), value: b"another".to_vec(), headers: Vec::new() };
            for _ in 0..3 {
                stage.simulation.put(&inbox, 0, other()).unwrap();
            }
        }
        breaks.store(false, Ordering::Relaxed);
        let stop = stop_after(&stage, &mut owner, 2_000);
        match written_over {
            true => assert_eq!(stop, Stop::Rewritten { partition: 0, offset: position - 1 }),
            false => assert!(matches!(stop, Stop::AheadOfLog { .. }), "{stop}"),
        }
    }
}

#[test]
fn a_reader_that_gives_nothing_though_the_log_holds_more_gives_way_to_another() {
    let stage = Stage::new(1);
    let (mut owner, mut desk, breaks) = brittle(&stage, true);
    breaks.store(true, Ordering::Relaxed);
    stage.start("o-2");
    let position = owner.position();
    turn(&stage, &mut owner);
    breaks.store(false, Ordering::Relaxed);
    let seconds = (0..120).take_while(|_| {
        turn(&stage, &mut owner);
        owner.position() == position
    });
    let seconds = seconds.count();
    assert!((55..75).contains(&seconds), "{seconds} s");
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 2);
    assert_eq!(owner.status().unwrap().trouble, None);
}
