//! A refold that panics, over a simulated log: a person's word ahead of it counts, as it does for an owner.

use sagaline_partition::store::Store;
use sagaline_schemas::Offset;
use sagaline_schemas::record::{Body, Fault};

use super::{Goal, Refold, VerifyError};
use crate::stage::{Disk, Stage};

#[test]
fn an_input_that_kills_the_refold_is_passed_over_where_a_person_said_so_behind_the_goal() {
    let stage = Stage::new(1);
    stage.start("o-0");
    let offset = stage.start("o-1");
    let refold = Refold { log: &*stage.log, names: &stage.names, key: &stage.key, partition: 0 };
    let mut bases = 0;
    let mut base = |_: Offset| -> Result<Box<dyn Store>, VerifyError> {
        bases += 1;
        let disk = Disk::default();
        disk.mine("o-1", u32::MAX);
        Ok(Box::new(disk))
    };
    let goal = Goal::before(offset + 1);

    let refused = refold.up_to(&goal, &mut base, &|_| true).err();
    let Some(VerifyError::Panicked { offset: at, timer: 0, panic, .. }) = &refused else { panic!("{refused:?}") };
    assert_eq!(*at, offset);
    assert!(panic.contains("a mine"), "{panic}");

    let (by, reason) = ("ada".to_owned(), "it kills the fold".to_owned());
    stage.put(&Body::Fault(Fault { offset, timer: 0, by, reason }));
    let folded = refold.up_to(&goal, &mut base, &|_| true).unwrap();
    let meta = folded.meta().unwrap();
    assert_eq!((meta.next, meta.counters.parked), (offset + 1, 1));
    assert_eq!(bases, 3, "one that panicked, another that did, and one that passes it over");
}
