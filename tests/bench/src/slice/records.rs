//! How many records lie in the topics of an installation.

use anyhow::{Context, Result, ensure};
use sagaline_log::Log;
use sagaline_node::Names;

use super::driver::All;
use crate::work;

pub struct Records {
    inbox: i64,
    commands: i64,
    events: i64,
    parked: i64,
}

impl Records {
    pub fn count(log: &dyn Log, names: &Names) -> Result<Self> {
        let count = |channel: &str| count(log, &names.of_channel(channel));
        Ok(Self {
            inbox: count("inbox")?,
            commands: count(&format!("commands.{}", work::PARTICIPANT))?,
            events: count("events")?,
            parked: count("parked")?,
        })
    }

    /// Those written since.
    ///
    /// # Errors
    /// When one of them was parked: the workload has nothing to be set aside.
    pub fn since(&self, before: &Self) -> Result<Self> {
        let parked = self.parked - before.parked;
        ensure!(parked == 0, "{parked} records were parked");
        Ok(Self {
            inbox: self.inbox - before.inbox,
            commands: self.commands - before.commands,
            events: self.events - before.events,
            parked,
        })
    }

    /// The event in the inbox that starts a saga is left out.
    pub fn per_step(&self, all: &All, with_events: bool) -> f64 {
        let events = if with_events { self.events } else { 0 };
        let records = self.inbox + self.commands + events - i64::from(all.sagas);
        records as f64 / f64::from(all.steps)
    }
}

fn count(log: &dyn Log, topic: &str) -> Result<i64> {
    let partitions = log.topic(topic)?.with_context(|| format!("there is no topic {topic}"))?.partitions;
    (0..partitions).map(|partition| Ok(log.reader(topic, partition, 0)?.bounds()?.1)).sum()
}
