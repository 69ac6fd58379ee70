//! Readers that break and stay broken, as a client of Kafka may: the owner takes another one, and sees by it whether its log is still the same. And
//! offsets at which they give nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use sagaline_log::{Fetched, Layer, Log, LogError, Reader, Record};
use sagaline_partition::Halt;
use sagaline_schemas::Offset;
use sagaline_schemas::record::{Body, EngineVersion};

use super::{live, stop_after};
use crate::owner::opening::Origin;
use crate::owner::stop::Stop;
use crate::owner::{Owner, Turned};
use crate::stage::{Desk, Disk, Stage, ended};

/// A log whose readers break while it says so, each for good.
#[derive(Debug)]
struct Brittle {
    log: Arc<dyn Log>,
    breaks: Arc<AtomicBool>,
}

struct BrittleReader {
    reader: Box<dyn Reader>,
    breaks: Arc<AtomicBool>,
    broken: bool,
}

impl BrittleReader {
    fn check(&mut self) -> Result<(), LogError> {
        self.broken |= self.breaks.load(Ordering::Relaxed);
        let forbidden = LogError::Forbidden { topic: "inbox".to_owned(), detail: "as the test wants".to_owned() };
        if self.broken { Err(forbidden) } else { Ok(()) }
    }
}

impl Reader for BrittleReader {
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<Fetched>) -> Result<(), LogError> {
        self.check()?;
        self.reader.poll(max, wait, into)
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
        Ok(Box::new(BrittleReader { reader, breaks, broken: false }))
    }
}

/// An owner that is live, its participant, and the switch that breaks its reader.
fn brittle(stage: &Stage) -> (Owner, Desk, Arc<AtomicBool>) {
    let breaks = Arc::new(AtomicBool::new(false));
    let log = Arc::new(Brittle { log: Arc::clone(&stage.log), breaks: Arc::clone(&breaks) });
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
    let (mut owner, mut desk, breaks) = brittle(&stage);
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
        let (mut owner, _, breaks) = brittle(&stage);
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

/// A log with a marker: it takes an offset, and no reader is given it. And the second reader loses a record on its way.
#[derive(Debug)]
struct Marked {
    log: Arc<dyn Log>,
    marker: Arc<AtomicI64>,
    loses: Option<Offset>,
    opened: AtomicU64,
}

struct MarkedReader {
    reader: Box<dyn Reader>,
    marker: Arc<AtomicI64>,
    loses: Option<Offset>,
    next: Offset,
}

impl Reader for MarkedReader {
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<Fetched>) -> Result<(), LogError> {
        let before = into.len();
        self.reader.poll(max, wait, into)?;
        self.next = into.get(before..).and_then(|given| given.last()).map_or(self.next, |last| last.offset + 1);
        let marker = self.marker.load(Ordering::Relaxed);
        into.retain(|fetched| fetched.offset != marker && Some(fetched.offset) != self.loses);
        Ok(())
    }

    fn bounds(&mut self) -> Result<(Offset, Offset), LogError> {
        self.reader.bounds()
    }

    fn position(&self) -> Option<Offset> {
        Some(self.next)
    }
}

impl Layer for Marked {
    fn below(&self) -> &dyn Log {
        &*self.log
    }

    fn reader(&self, topic: &str, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let (reader, marker) = (self.log.reader(topic, partition, from)?, Arc::clone(&self.marker));
        let loses = self.loses.filter(|_| self.opened.fetch_add(1, Ordering::Relaxed) == 1);
        Ok(Box::new(MarkedReader { reader, marker, loses, next: from }))
    }
}

fn marked(stage: &Stage, loses: Option<Offset>) -> Arc<Marked> {
    let (marker, opened) = (Arc::new(AtomicI64::new(-1)), AtomicU64::new(0));
    Arc::new(Marked { log: Arc::clone(&stage.log), marker, loses, opened })
}

#[test]
fn the_marker_of_a_transaction_takes_an_offset_and_nothing_else() {
    let stage = Stage::new(1);
    let log = marked(&stage, None);
    let disk = Disk::default();
    let mut desk = Desk::new(&stage);
    let open = |disk: &Disk| {
        Owner::open(stage.options("one"), Box::new(disk.clone()), &Origin::default(), Arc::clone(&log) as Arc<dyn Log>)
            .unwrap()
            .0
    };
    let mut owner = open(&disk);
    stage.start("o-1");
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 1 && live(owners[0]));
    // It is the last of the log when the next one comes, who must see that there is no more to be read before it claims.
    owner.close().unwrap();
    drop(owner);
    let offset = stage.put(&Body::EngineVersion(EngineVersion { version: 1, by: "nobody".to_owned() }));
    log.marker.store(offset, Ordering::Relaxed);
    let mut owner = open(&disk);
    stage.run(&mut [&mut owner], &mut desk, |owners| live(owners[0]));
    stage.start("o-2");
    stage.run(&mut [&mut owner], &mut desk, |owners| ended(owners[0]) == 2);
    let status = owner.status().unwrap();
    assert_eq!((status.trouble, status.counters.parked), (None, 0));
}

#[test]
fn a_record_that_a_reader_has_lost_on_its_way_is_no_marker() {
    let stage = Stage::new(1);
    let lost = stage.start("o-1");
    stage.start("o-2");
    let log = marked(&stage, Some(lost));
    let opened = Owner::open(stage.options("one"), Box::new(Disk::default()), &Origin::default(), log);
    let (mut owner, _) = opened.unwrap();
    let stop = (0..1_000).find_map(|_| owner.turn(stage.now(), Duration::ZERO).err());
    let Some(Stop::Halt(Halt::Hole { expected, .. })) = stop else { panic!("{stop:?}") };
    assert_eq!((expected, owner.position()), (lost, lost));
}
