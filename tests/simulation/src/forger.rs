//! Who writes to topics that are none of theirs: bytes that are no record, records that prove nothing, true records in the wrong place,
//! and true records a second time, long after.

use sagaline_log::Record;
use sagaline_node::sealed;
use sagaline_node::topics::Inbox;
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{Body, Progress};
use sagaline_schemas::request::{CloseRequest, Request, RequestBody, RequestTarget, SagaTarget};
use sagaline_schemas::{Offset, Partition, RequestId, SagaId, schema};

use crate::scene::{Mutation, Scene};

/// Topics whose records come a second time.
const ECHOING: [&str; 4] = ["inbox", "commands.inventory", "commands.payment", "commands.shipping"];

/// Somebody with access to the topics and without the key.
pub struct Forger<'a> {
    /// The true key; used only where the forger has stolen it.
    pub key: &'a Key,
    /// The inbox.
    pub inbox: &'a Inbox,
}

impl Forger<'_> {
    /// Puts a forged record into the inbox; tells where it lies and what it is. None: there was nothing to start from.
    pub fn forge(&self, scene: &mut Scene) -> Option<((Partition, Offset), &'static str)> {
        let partition = scene.chance.index(self.inbox.partitions as usize) as u32;
        let (what, value) = self.forged(scene, partition)?;
        let records = scene.simulation.records("inbox", partition).expect("the inbox is there");
        // A bit that is changed back makes a true record again.
        if records.iter().any(|fetched| fetched.record.value == value) {
            return None;
        }
        scene.strike("forged record", format!("{what} in partition {partition}"));
        let record = Record { key: Vec::new(), value, headers: Vec::new() };
        let offset = scene.simulation.put("inbox", partition, record).expect("the inbox is there");
        Some(((partition, offset), what))
    }

    fn forged(&self, scene: &mut Scene, partition: Partition) -> Option<(&'static str, Vec<u8>)> {
        Some(match scene.chance.index(7) {
            0 => ("garbage", scene.chance.bytes()[..scene.chance.clone().index(16)].to_vec()),
            1 => ("half a record", {
                let value = some_value(scene, partition)?;
                value[..value.len() / 2].to_vec()
            }),
            2 => ("a record with one bit changed", self.flipped(scene, partition)?),
            3 => {
                let token = scene.chance.bytes();
                ("a reply with another token", reply(scene, partition, |reply| reply.token.0 = token)?)
            }
            4 => (
                "a reply about another saga",
                reply(scene, partition, |reply| {
                    reply.address.saga = SagaId::from_bytes([9; 16]);
                })?,
            ),
            5 => {
                let progress =
                    Progress { wall: scene.now() + 50_000, since: None, acked: Vec::new(), node: "mallory".to_owned() };
                ("a claim by another key", self.sealed(scene, partition, &Body::Progress(progress)))
            }
            _ => ("a request by another key", self.close_some_saga(scene, partition)?),
        })
    }

    fn sealed(&self, scene: &Scene, partition: Partition, body: &Body) -> Vec<u8> {
        let own = Key::new("simulated", [8; 32]);
        let key = if scene.mutation == Some(Mutation::StolenKey) { self.key } else { &own };
        sealed::record(key, self.inbox.log_id, partition, body).value
    }

    fn close_some_saga(&self, scene: &mut Scene, partition: Partition) -> Option<Vec<u8>> {
        let mut saga = None;
        reply(scene, partition, |reply| saga = Some(reply.address.saga))?;
        let request = Request {
            id: RequestId::from_bytes(scene.chance.bytes()),
            by: "mallory".to_owned(),
            roles: vec![],
            issued: scene.now(),
            target: RequestTarget::Saga(SagaTarget { saga: saga? }),
            body: RequestBody::Close(CloseRequest { reason: "none".to_owned(), evidence: String::new() }),
        };
        Some(self.sealed(scene, partition, &Body::Request(request)))
    }

    /// In a record with a mac; a reply's instance and time are proved by nothing.
    fn flipped(&self, scene: &mut Scene, partition: Partition) -> Option<Vec<u8>> {
        let mut value = some_value(scene, partition)?;
        let opened = proof::open(schema::INBOX.fingerprint, &value).ok()?;
        opened.inbox.mac?;
        let at = scene.chance.index(value.len());
        value[at] ^= 1 << scene.chance.index(8);
        Some(value)
    }

    /// A record comes a second time: a producer without idempotence, a zombie, a broker that came back.
    pub fn echo(&self, scene: &mut Scene) {
        let topic = ECHOING[scene.chance.index(ECHOING.len())];
        let partitions = if topic == "inbox" { self.inbox.partitions as usize } else { 2 };
        let partition = scene.chance.index(partitions) as u32;
        let records = scene.simulation.records(topic, partition).expect("the topic is there");
        // The first record of an inbox is its Genesis, which nobody sends again.
        if records.len() < 2 {
            return;
        }
        let record = records[1 + scene.chance.index(records.len() - 1)].record.clone();
        scene.strike("old record comes again", format!("{topic}/{partition}"));
        scene.simulation.put(topic, partition, record).expect("the topic is there");
    }
}

fn some_value(scene: &mut Scene, partition: Partition) -> Option<Vec<u8>> {
    let records = scene.simulation.records("inbox", partition).expect("the inbox is there");
    let index = scene.chance.index(records.len());
    Some(records.get(index)?.record.value.clone())
}

/// A reply that lies in the inbox, changed.
fn reply(
    scene: &mut Scene,
    partition: Partition,
    change: impl FnOnce(&mut sagaline_schemas::record::Reply),
) -> Option<Vec<u8>> {
    let records = scene.simulation.records("inbox", partition).expect("the inbox is there");
    let mut replies: Vec<_> = records
        .iter()
        .filter_map(|fetched| match proof::open(schema::INBOX.fingerprint, &fetched.record.value).ok()?.inbox.body {
            Body::Reply(reply) => Some(reply),
            _ => None,
        })
        .collect();
    if replies.is_empty() {
        return None;
    }
    let mut reply = replies.swap_remove(scene.chance.index(replies.len()));
    change(&mut reply);
    Some(proof::unsealed(schema::INBOX.fingerprint, &Body::Reply(reply)))
}
