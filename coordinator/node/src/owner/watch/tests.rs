//! What is written down after a death, life after life, until the input is known at which they die.

use std::sync::{Arc, Mutex};

use super::*;

/// What lies on the disk.
type Disk = Arc<Mutex<Trail>>;

fn begin(disk: &Disk, until: Offset) -> Watch {
    let (last, kept) = (*disk.lock().unwrap(), Arc::clone(disk));
    Watch::begin(
        last,
        until,
        Box::new(move |trail| {
            *kept.lock().unwrap() = *trail;
            Ok(())
        }),
    )
}

/// A life that folds from here on, and dies at this input. How it ends: what was said before it, and of how many inputs it wrote.
fn live(disk: &Disk, from: Offset, until: Offset, deadly: (Offset, u32)) -> Next {
    let mut watch = begin(disk, until);
    for offset in from.. {
        let timers = if offset == deadly.0 { deadly.1 } else { 0 };
        for timer in 0..=timers {
            let next = watch.before(offset, timer).unwrap();
            if matches!(next, Next::CaughtUp | Next::Deadly(_)) || (offset, timer) == deadly {
                return next;
            }
        }
    }
    unreachable!("a life ends")
}

#[test]
fn the_place_of_a_death_becomes_ever_more_exact_until_it_is_not_folded_any_more() {
    let (disk, deadly) = (Disk::new(Mutex::new(Trail::Open)), (1_234, 0));
    let told = |disk: &Disk| *disk.lock().unwrap();
    assert_eq!(live(&disk, 100, 5_000, deadly), Next::Fold);
    assert_eq!(told(&disk), Trail::Stretch { from: 1_100, to: 2_100 });
    assert_eq!(live(&disk, 100, 5_000, deadly), Next::Alone);
    assert_eq!(told(&disk), Trail::Input { offset: 1_234, timer: 0, died: 0 });
    assert_eq!(live(&disk, 100, 5_000, deadly), Next::Alone);
    assert_eq!(told(&disk), Trail::Input { offset: 1_234, timer: 0, died: 1 });
    assert_eq!(live(&disk, 100, 5_000, deadly), Next::Deadly(2));
    assert_eq!(live(&disk, 100, 5_000, deadly), Next::Deadly(2), "and so it stays");
}

#[test]
fn a_death_at_one_timer_is_told_from_its_record() {
    let (disk, deadly) = (Disk::new(Mutex::new(Trail::Open)), (20, 3));
    let ends: Vec<Next> = (0..4).map(|_| live(&disk, 0, 50, deadly)).collect();
    assert_eq!(ends, [Next::Fold, Next::Alone, Next::Alone, Next::Deadly(2)]);
    assert_eq!(*disk.lock().unwrap(), Trail::Input { offset: 20, timer: 3, died: 1 });
}

#[test]
fn a_life_that_dies_elsewhere_begins_anew_and_one_that_catches_up_has_nothing_against_anybody() {
    let disk = Disk::new(Mutex::new(Trail::Input { offset: 30, timer: 0, died: 0 }));
    assert_eq!(live(&disk, 0, 50, (40, 0)), Next::Fold);
    assert_eq!(*disk.lock().unwrap(), Trail::Stretch { from: 31, to: 50 });
    assert_eq!(live(&disk, 0, 50, (99, 0)), Next::CaughtUp);
    assert_eq!(*disk.lock().unwrap(), Trail::Open);
}
