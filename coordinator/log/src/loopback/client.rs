//! A log that lives in another process of this machine. A connection that breaks ends a member's assignment; the next call
//! connects again.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sagaline_schemas::{Millis, Offset, Partition};

use super::frame::{Answer, Purpose, Question, ToGroup, ToRead};
use super::line::{Line, Session, unexpected};
use super::producer::LoopbackProducer;
use super::{check_loopback, not_loopback};
use crate::clock::{Clock, SystemClock};
use crate::{Fetched, GroupEvent, GroupReader, Log, LogError, NewTopic, Producer, Reader, TopicInfo};

/// A log in another process of this machine.
#[derive(Clone)]
pub struct LoopbackLog {
    address: SocketAddr,
}

impl LoopbackLog {
    /// Connects to `127.0.0.1:PORT` or `[::1]:PORT`.
    ///
    /// # Errors
    /// `Address` for any other address, `Unreachable` when nobody answers there.
    pub fn connect(address: &str) -> Result<Self, LogError> {
        let address: SocketAddr = address.parse().map_err(|_| not_loopback(address))?;
        check_loopback(address)?;
        let log = Self { address };
        log.cluster_id()?;
        Ok(log)
    }

    fn ask(&self, question: Question) -> Result<Answer, LogError> {
        Line::open(self.address, Purpose::Ask(question)).map(|(_, answer)| answer)
    }
}

impl fmt::Debug for LoopbackLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackLog").field("address", &self.address).finish()
    }
}

impl Log for LoopbackLog {
    fn name(&self) -> String {
        format!("loopback at {}", self.address)
    }

    fn cluster_id(&self) -> Result<String, LogError> {
        match self.ask(Question::ClusterId)? {
            Answer::ClusterId(id) => Ok(id),
            other => Err(unexpected(self.address, &other)),
        }
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        match self.ask(Question::Topic(name.to_owned()))? {
            Answer::Topic(topic) => Ok(topic),
            other => Err(unexpected(self.address, &other)),
        }
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<TopicInfo, LogError> {
        match self.ask(Question::Create(topic.clone()))? {
            Answer::Topic(Some(topic)) => Ok(topic),
            other => Err(unexpected(self.address, &other)),
        }
    }

    fn delete_below(&self, topic: &str, partition: Partition, offset: Offset) -> Result<Offset, LogError> {
        match self.ask(Question::DeleteBelow { topic: topic.to_owned(), partition, offset })? {
            Answer::Start(start) => Ok(start),
            other => Err(unexpected(self.address, &other)),
        }
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(LoopbackProducer::connect(self.address)?))
    }

    fn reader(&self, topic: &str, partition: Partition, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let purpose = Purpose::Read { topic: topic.to_owned(), partition, from };
        Ok(Box::new(RemoteReader { session: Session::open(self.address, purpose)? }))
    }

    fn join(&self, group: &str, member: &str, topics: &[String]) -> Result<Box<dyn GroupReader>, LogError> {
        let (group, member) = (group.to_owned(), member.to_owned());
        let session = Session::open(self.address, Purpose::Join { group, member, topics: topics.to_vec() })?;
        Ok(Box::new(RemoteMember { session, held: Vec::new() }))
    }

    fn wall_clock(&self) -> Millis {
        SystemClock.wall()
    }
}

struct RemoteReader {
    session: Session,
}

impl RemoteReader {
    /// After a break reading goes on behind what was read.
    fn read_on_behind(&mut self, offset: Offset) {
        if let Purpose::Read { from, .. } = &mut self.session.purpose {
            *from = offset + 1;
        }
    }
}

impl Reader for RemoteReader {
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<Fetched>) -> Result<(), LogError> {
        self.session.mend(wait)?;
        for event in self.session.events(wait, |wait_ms| ToRead::Poll { max, wait_ms })? {
            if let GroupEvent::Record(fetched) = event {
                self.read_on_behind(fetched.offset);
                into.push(fetched);
            }
        }
        Ok(())
    }

    fn bounds(&mut self) -> Result<(Offset, Offset), LogError> {
        self.session.mend(Duration::ZERO)?;
        match self.session.ask(&ToRead::Bounds)?.0 {
            Answer::Bounds(start, end) => Ok((start, end)),
            other => Err(self.session.unexpected(&other)),
        }
    }
}

struct RemoteMember {
    session: Session,
    held: Vec<(Arc<str>, Partition)>,
}

impl RemoteMember {
    fn order(&mut self, order: &ToGroup) -> Result<(), LogError> {
        match self.session.ask(order)?.0 {
            Answer::Done => Ok(()),
            other => Err(self.session.unexpected(&other)),
        }
    }

    fn remember(&mut self, event: &GroupEvent) {
        match event {
            GroupEvent::Record(_) => {}
            GroupEvent::Assigned(places) => {
                self.held.extend(places.iter().map(|(topic, partition, _)| (topic.clone(), *partition)));
            }
            GroupEvent::Revoked(places) => self.held.retain(|held| !places.contains(held)),
        }
    }
}

impl GroupReader for RemoteMember {
    fn poll(&mut self, max: usize, wait: Duration, into: &mut Vec<GroupEvent>) -> Result<(), LogError> {
        if !self.session.connected() && !self.held.is_empty() {
            into.push(GroupEvent::Revoked(std::mem::take(&mut self.held)));
            return Ok(());
        }
        self.session.mend(wait)?;
        let events = self.session.events(wait, |wait_ms| ToGroup::Poll { max, wait_ms })?;
        events.iter().for_each(|event| self.remember(event));
        into.extend(events);
        Ok(())
    }

    fn commit(&mut self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError> {
        self.order(&ToGroup::Commit { topic: topic.to_owned(), partition, offset })
    }

    fn seek(&mut self, topic: &str, partition: Partition, offset: Offset) -> Result<(), LogError> {
        self.order(&ToGroup::Seek { topic: topic.to_owned(), partition, offset })
    }

    fn pause(&mut self, topic: &str, partition: Partition) -> Result<(), LogError> {
        self.order(&ToGroup::Pause { topic: topic.to_owned(), partition })
    }

    fn resume(&mut self, topic: &str, partition: Partition) -> Result<(), LogError> {
        self.order(&ToGroup::Resume { topic: topic.to_owned(), partition })
    }
}
