//! This node among the coordinators: a consumer group over the inbox shares out who publishes for which partition. No record is read here, and
//! nothing is committed: every node folds every partition (docs/adr/0011), the group only says who has the word.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_log::{GroupEvent, GroupReader, Log, LogError};
use sagaline_schemas::Partition;

use crate::owner::Role;
use crate::owner::stop::Stop;

/// How long the group is left alone after it could not be joined, or was lost,
const REJOIN: Duration = Duration::from_secs(1);
/// or after another process has joined under this node's name: joining again puts that one out, until it does the same.
const REPLACED: Duration = Duration::from_secs(60);

/// A member of the group of coordinators.
pub struct Membership {
    log: Arc<dyn Log>,
    group: String,
    member: String,
    inbox: String,
    state: State,
    /// Partitions for which this node publishes.
    held: BTreeSet<Partition>,
    /// What hinders it; none: nothing.
    pub trouble: Option<String>,
}

enum State {
    Member(Box<dyn GroupReader>),
    /// To be joined, not before.
    Outside(Instant),
}

impl Membership {
    /// Outside yet: the first turn joins.
    pub fn new(log: Arc<dyn Log>, group: String, member: String, inbox: String) -> Self {
        let state = State::Outside(Instant::now());
        Self { log, group, member, inbox, state, held: BTreeSet::new(), trouble: None }
    }

    /// What this node is to do with a partition.
    pub fn role(&self, partition: Partition) -> Role {
        if self.held.contains(&partition) { Role::Owner } else { Role::Standby }
    }

    /// Hears what the group says; waits at most `wait` for it. False: there was nothing to wait for.
    pub fn turn(&mut self, wait: Duration) -> bool {
        let outcome = match &mut self.state {
            State::Member(reader) => hear(reader.as_mut(), &mut self.held, wait),
            State::Outside(since) if Instant::now() < *since => return false,
            State::Outside(_) => self.join(),
        };
        match outcome {
            Ok(()) => self.trouble = None,
            Err(error) => self.lose(&error),
        }
        true
    }

    fn join(&mut self) -> Result<(), LogError> {
        let reader = self.log.join(&self.group, &self.member, std::slice::from_ref(&self.inbox))?;
        self.state = State::Member(reader);
        Ok(())
    }

    /// Stays outside from here on: the others share out its partitions. False: there is nothing to wait for.
    pub fn leave(&mut self, why: &Stop) -> bool {
        if self.trouble.is_none() || !self.held.is_empty() {
            tracing::error!(group = self.group, %why, "left: this node publishes for no partition");
        }
        self.held.clear();
        (self.state, self.trouble) = (State::Outside(Instant::now() + REJOIN), Some(format!("left: {why}")));
        false
    }

    /// Who is no member has the word nowhere.
    fn lose(&mut self, error: &LogError) {
        self.held.clear();
        let (wait, trouble) = match error {
            LogError::InUse { .. } => (REPLACED, self.replaced()),
            error => (REJOIN, error.to_string()),
        };
        tracing::error!(group = self.group, trouble, "this node publishes for no partition");
        (self.state, self.trouble) = (State::Outside(Instant::now() + wait), Some(trouble));
    }

    fn replaced(&self) -> String {
        format!(
            "another process has joined the coordinators as {:?}: this one stands by for a minute, and then puts that one out. Give each node a `node` \
             name of its own",
            self.member
        )
    }
}

fn hear(reader: &mut dyn GroupReader, held: &mut BTreeSet<Partition>, wait: Duration) -> Result<(), LogError> {
    let mut events = Vec::new();
    reader.poll(1, wait, &mut events)?;
    for event in events {
        match event {
            GroupEvent::Assigned(places) => {
                for (topic, partition, _) in places {
                    reader.pause(&topic, partition)?;
                    held.insert(partition);
                }
            }
            GroupEvent::Revoked(places) => held.retain(|held| places.iter().all(|(_, partition)| partition != held)),
            // Fetched before the pause was heard of.
            GroupEvent::Record(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
