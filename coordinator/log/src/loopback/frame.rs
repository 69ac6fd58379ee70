//! What client and server say to each other: a head in JSON, records in binary form behind it, the length in front of both.
//! Whatever comes in is taken for hostile: it is bounded, and a mistake ends the connection.

use std::io::{self, Read, Write};

use sagaline_schemas::wire::{Bytes, Reader, Wire, WireError};
use sagaline_schemas::{Millis, Offset, Partition};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Acknowledgement, Fetched, GroupEvent, LogError, NewTopic, Record, TopicInfo};

/// Named in the first frame: whoever speaks something else is sent away.
pub(super) const PROTOCOL: &str = "sagaline-loopback/1";
/// Bytes of the largest frame that is read.
pub(super) const MAX_FRAME: usize = 64 << 20;

/// The first frame of a connection: what it is for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) protocol: String,
    pub(super) purpose: Purpose,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Purpose {
    Ask(Question),
    Produce,
    Read { topic: String, partition: Partition, from: Offset },
    Join { group: String, member: String, topics: Vec<String> },
}

/// A question that a connection is opened for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Question {
    ClusterId,
    Topic(String),
    Create(NewTopic),
    DeleteBelow { topic: String, partition: Partition, offset: Offset },
}

/// What a producer asks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToProduce {
    /// With one record.
    Append {
        topic: String,
        partition: Partition,
        ticket: u64,
    },
    Purge,
}

/// What a reader asks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToRead {
    Poll { max: usize, wait_ms: u64 },
    Bounds,
}

/// What a group's member asks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToGroup {
    Poll { max: usize, wait_ms: u64 },
    Commit { topic: String, partition: Partition, offset: Offset },
    Seek { topic: String, partition: Partition, offset: Offset },
    Pause { topic: String, partition: Partition },
    Resume { topic: String, partition: Partition },
}

/// What the server answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done,
    Failed(LogError),
    ClusterId(String),
    Topic(Option<TopicInfo>),
    Bounds(Offset, Offset),
    Start(Offset),
    Acknowledged(Vec<(u64, Result<Offset, LogError>)>),
    /// With the record of each `Told::Record`.
    Told(Vec<Told>),
}

/// A group's event, its record apart.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    Record { topic: String, partition: Partition, offset: Offset, timestamp: Millis, append_time: bool },
    Assigned(Vec<(String, Partition, Offset)>),
    Revoked(Vec<(String, Partition)>),
}

impl Answer {
    pub(super) fn acknowledged(acknowledged: Vec<Acknowledgement>) -> Self {
        Self::Acknowledged(acknowledged.into_iter().map(|told| (told.ticket, told.outcome)).collect())
    }
}

impl From<Result<(), LogError>> for Answer {
    fn from(outcome: Result<(), LogError>) -> Self {
        outcome.map_or_else(Self::Failed, |()| Self::Done)
    }
}

/// Takes the records out of events.
pub(super) fn split(events: Vec<GroupEvent>) -> (Vec<Told>, Vec<Record>) {
    let mut records = Vec::new();
    let told = events.into_iter().map(|event| match event {
        GroupEvent::Record(Fetched { topic, partition, offset, timestamp, append_time, record }) => {
            records.push(record);
            Told::Record { topic: topic.to_string(), partition, offset, timestamp, append_time }
        }
        GroupEvent::Assigned(places) => Told::Assigned(
            places.into_iter().map(|(topic, partition, at)| (topic.to_string(), partition, at)).collect(),
        ),
        GroupEvent::Revoked(places) => {
            Told::Revoked(places.into_iter().map(|(topic, partition)| (topic.to_string(), partition)).collect())
        }
    });
    (told.collect(), records)
}

/// Puts the records back; none: there are not as many as there should be.
pub(super) fn unite(told: Vec<Told>, records: Vec<Record>) -> Option<Vec<GroupEvent>> {
    let mut records = records.into_iter();
    let unite = |told| match told {
        Told::Record { topic, partition, offset, timestamp, append_time } => {
            let (topic, record) = (topic.into(), records.next()?);
            Some(GroupEvent::Record(Fetched { topic, partition, offset, timestamp, append_time, record }))
        }
        Told::Assigned(places) => {
            let places = places.into_iter().map(|(topic, partition, at)| (topic.into(), partition, at));
            Some(GroupEvent::Assigned(places.collect()))
        }
        Told::Revoked(places) => {
            let places = places.into_iter().map(|(topic, partition)| (topic.into(), partition));
            Some(GroupEvent::Revoked(places.collect()))
        }
    };
    told.into_iter().map(unite).collect()
}

/// Writes a frame.
pub(super) fn write(to: &mut impl Write, head: &impl Serialize, records: &[Record]) -> io::Result<()> {
    let mut frame = vec![0; 4];
    Bytes(serde_json::to_vec(head)?).encode(&mut frame);
    for record in records {
        record.encode(&mut frame);
    }
    let length = frame.len() - 4;
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a frame of more than 64 MiB"));
    }
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    to.write_all(&frame)
}

/// Reads a frame; none: the other side has closed the connection between two.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<(T, Vec<Record>)>> {
    let mut length = [0; 4];
    if from.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame of more than 64 MiB"));
    }
    // Grows with what really comes, not with what was announced.
    let mut body = Vec::new();
    if from.take(length as u64).read_to_end(&mut body)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    decode(&body).map(Some)
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<(T, Vec<Record>)> {
    let wrong = |error: WireError| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut input = Reader::new(body);
    let head = Bytes::decode(&mut input).map_err(wrong)?;
    let mut records = Vec::new();
    while !input.rest().is_empty() {
        records.push(Record::decode(&mut input).map_err(wrong)?);
    }
    Ok((serde_json::from_slice(&head)?, records))
}
