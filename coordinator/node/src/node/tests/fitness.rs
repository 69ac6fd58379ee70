//! A whole node whose registry can't be read: the inbox is looked at all the same, and nobody waits for copies of its beginning.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_log::{Fetched, Layer, Log, LogError, Reader};
use sagaline_schemas::{Offset, Partition};

use super::{PATIENCE, key, log_in, options, wanted};
use crate::{Names, Node, topics};

/// Well below the time for which a record that does not come is waited for.
const SOON: Duration = Duration::from_secs(15);

/// A log whose `definitions` holds a record that never comes.
#[derive(Debug)]
struct Mute(Arc<dyn Log>);

struct MuteReader;

impl Reader for MuteReader {
    fn poll(&mut self, _: usize, wait: Duration, _: &mut Vec<Fetched>) -> Result<(), LogError> {
        std::thread::park_timeout(wait);
        Ok(())
    }
    fn bounds(&mut self) -> Result<(Offset, Offset), LogError> {
        Ok((0, 1))
    }
}

impl Layer for Mute {
    fn below(&self) -> &dyn Log {
        &*self.0
    }

    fn reader(&self, topic: &str, partition: Partition, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        if topic == "t.definitions" { Ok(Box::new(MuteReader)) } else { self.0.reader(topic, partition, from) }
    }
}

#[test]
fn an_inbox_is_looked_at_though_the_registry_cannot_be_read_and_a_stop_waits_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log: Arc<dyn Log> = Arc::new(Mute(log_in(dir.path())));
    topics::create(&*log, &Names::new("t."), &key(), &wanted()).unwrap();
    let node = Node::start(options(dir.path()), log).unwrap();
    let partition = node.partition(0).unwrap();
    let started = Instant::now();
    while node.common.fitness.looks() == 0 {
        assert!(started.elapsed() < SOON, "not looked at yet");
        partition.wait_status(Duration::from_millis(20), |_| false);
    }
    assert!(partition.wait_status(PATIENCE, |status| status.claim.is_some()));
    let stopping = Instant::now();
    node.stop().unwrap();
    assert!(stopping.elapsed() < SOON, "{:?}", stopping.elapsed());
}
