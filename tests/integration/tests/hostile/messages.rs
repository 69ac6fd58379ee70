//! Messages as no partition ever sent them. Each of them would do harm if it were believed, and would be news: its sender has sent none.

use anyhow::{Context, Result};
use sagaline_integration::orders::Order;
use sagaline_log::Fetched;
use sagaline_schemas::hash::partition_of;
use sagaline_schemas::proof::open;
use sagaline_schemas::record::{
    Body, Broadcast, BroadcastKind, ChildEnded, End, Message, MessageBody, MessageOrigin, StartChild, StepAddress,
};
use sagaline_schemas::schema::INBOX;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, OutputId, Position, SagaId};

use super::PARTITIONS;

/// Number of an order that nobody places.
const UNASKED: usize = 99_998;

/// Each with the partition that it is for: a saga is to begin, one that waits for an answer is to be told something else, all work is to stop.
pub fn forged(read: &[Fetched]) -> Result<Vec<(u32, Body)>> {
    let (mut definition, mut waiting) = (None, None);
    for fetched in read {
        let body = open(INBOX.fingerprint, &fetched.record.value)?.inbox.body;
        if let Body::Definition(record) = &body {
            definition = Some(record.digest);
        } else if let Body::Reply(reply) = body {
            waiting = Some((fetched.partition, reply.address));
        }
    }
    let definition = definition.context("a definition was applied")?;
    let (partition, address) = waiting.context("somebody has answered")?;
    let step = StepAddress { saga: address.saga, step: address.step, items: address.items, round: address.round };
    let unasked = Order::numbered(UNASKED);
    let home = partition_of(&unasked.id, PARTITIONS);
    Ok(vec![
        (home, message(MessageBody::Start(start(&unasked, definition, step.clone(), partition)))),
        (partition, message(MessageBody::Ended(ended(step)))),
        (1, message(MessageBody::Broadcast(pause()))),
    ])
}

/// Which kind of message it is, for people.
pub fn name(body: &Body) -> String {
    let text = format!("{body:?}");
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    let said = ["Start", "Ended", "Broadcast"].into_iter().find(|kind| words.contains(kind));
    format!("forged Message ({})", said.unwrap_or("another"))
}

fn message(body: MessageBody) -> Body {
    let at = Position { offset: i64::MAX / 2, timer: 0, index: 0 };
    let origin = MessageOrigin { partition: 3, prev: None, at };
    Body::Message(Message { id: OutputId(uuid_of(7)), origin, body })
}

fn start(unasked: &Order, definition: Digest, parent: StepAddress, parent_partition: u32) -> StartChild {
    let mut input = unasked.event();
    input.as_object_mut().map(|input| input.remove("type"));
    StartChild {
        parent,
        parent_partition,
        definition,
        key: unasked.id.clone(),
        input: Bytes(input.to_string().into_bytes()),
        deadline: None,
        traceparent: None,
    }
}

fn ended(parent: StepAddress) -> ChildEnded {
    let child = Some(SagaId(uuid_of(9)));
    ChildEnded { parent, child, end: End::Completed, result: Bytes::from("null"), reason: String::new() }
}

fn pause() -> Broadcast {
    let (subject, by, reason) = ("all".to_owned(), "mallory".to_owned(), "a day off".to_owned());
    Broadcast { subject, kind: BroadcastKind::Pause, version: i64::MAX, by, reason }
}

fn uuid_of(byte: u8) -> uuid::Uuid {
    uuid::Uuid::from_bytes([byte; 16])
}
