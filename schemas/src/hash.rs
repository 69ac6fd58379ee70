//! How ids, digests and partitions are derived. Fixed-width big-endian integers, length-prefixed bytes, a context string first.
//! The table in docs/protocol.md is normative; `tests` below pins one example of each.

use uuid::Uuid;

use crate::ids::*;
use crate::record::{Address, Kind};

/// Bytes to be hashed, unambiguous by construction.
pub struct Preimage(Vec<u8>);

impl Preimage {
    /// Begins with what the hash is for.
    pub fn new(context: &str) -> Self {
        Self::with_room(context, 0)
    }

    /// The same with room for so many bytes more than the few that most have.
    pub fn with_room(context: &str, bytes: usize) -> Self {
        Self(Vec::with_capacity(128 + bytes)).bytes(context.as_bytes())
    }

    /// Bytes of any length, prefixed with it.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes whose number the context fixes.
    pub fn fixed(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// An integer of 32 bits.
    pub fn u32(self, n: u32) -> Self {
        self.fixed(&n.to_be_bytes())
    }

    /// An integer of 64 bits.
    pub fn i64(self, n: i64) -> Self {
        self.fixed(&n.to_be_bytes())
    }

    /// What has been gathered.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn uuid5(namespace: &[u8; 16], preimage: &Preimage) -> Uuid {
    Uuid::new_v5(&Uuid::from_bytes(*namespace), preimage.as_bytes())
}

/// `saga_id`: of the accepted start at `offset`, target number `index` in it.
pub fn saga_id(log_id: LogId, partition: Partition, offset: Offset, index: u32) -> SagaId {
    SagaId(uuid5(&log_id.0, &Preimage::new("saga").u32(partition).i64(offset).u32(index)))
}

/// `effect_id`: of a step, its items and its round.
pub fn effect_id(saga: SagaId, step: &str, items: &[u32], round: u32) -> EffectId {
    let mut preimage = Preimage::new("effect").bytes(step.as_bytes()).u32(items.len() as u32);
    for item in items {
        preimage = preimage.u32(*item);
    }
    EffectId(uuid5(saga.as_bytes(), &preimage.u32(round)))
}

/// `command_id`: of one attempt of one kind at an effect.
pub fn command_id(effect: EffectId, kind: Kind, attempt: u32) -> CommandId {
    CommandId(uuid5(effect.as_bytes(), &Preimage::new("command").bytes(kind_name(kind).as_bytes()).u32(attempt)))
}

/// The command that an address names.
pub fn addressed_command(address: &Address) -> CommandId {
    let effect = effect_id(address.saga, &address.step, &address.items, address.round);
    command_id(effect, address.kind, address.attempt)
}

/// The word for a kind inside ids.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Do => "do",
        Kind::Compensate => "compensate",
        Kind::Probe => "probe",
        Kind::Ask => "ask",
    }
}

/// `output_id` of events, parked records and messages.
pub fn output_id(log_id: LogId, partition: Partition, position: Position) -> OutputId {
    let preimage = Preimage::new("out").u32(partition).i64(position.offset).u32(position.timer).u32(position.index);
    OutputId(uuid5(&log_id.0, &preimage))
}

/// `content`: what a command says, the same for all attempts of an effect and kind.
pub fn content(operation: &str, input: &[u8]) -> Content {
    let preimage =
        Preimage::with_room("content", operation.len() + input.len()).bytes(operation.as_bytes()).bytes(input);
    Content(first_16(blake3::hash(preimage.as_bytes())))
}

/// The running output hash after one more output.
pub fn next_output_hash(hash: OutputHash, output: &[u8; 16], channel: &str, bytes: &[u8]) -> OutputHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&hash.0).update(output);
    for part in [channel.as_bytes(), bytes] {
        hasher.update(&(part.len() as u32).to_be_bytes()).update(part);
    }
    OutputHash(*hasher.finalize().as_bytes())
}

/// The digest of a definition's or contract's normal form.
pub fn normal_form_digest(kind: &str, normal_form: &[u8]) -> Digest {
    Digest(*blake3::hash(Preimage::with_room(kind, normal_form.len()).bytes(normal_form).as_bytes()).as_bytes())
}

/// The inbox partition of a correlation id.
pub fn partition_of(key: &str, partitions: u32) -> Partition {
    let partitions = u64::from(partitions.max(1));
    (xxhash_rust::xxh3::xxh3_64(key.as_bytes()) % partitions) as Partition
}

/// Where an alias lives: sagas bind it there, events that name it go there.
pub fn alias_home(definition: &str, alias: &str, value: &str, partitions: u32) -> Partition {
    let key = Preimage::new("alias").bytes(definition.as_bytes()).bytes(alias.as_bytes()).bytes(value.as_bytes());
    (xxhash_rust::xxh3::xxh3_64(key.as_bytes()) % u64::from(partitions.max(1))) as Partition
}

pub(crate) fn first_16(hash: blake3::Hash) -> [u8; 16] {
    hash.as_bytes()[..16].try_into().expect("a BLAKE3 hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    //! What docs/protocol.md does not show: `tests/protocol_page.rs` holds one example of every derivation.

    use super::*;

    #[test]
    fn every_part_of_an_id_counts() {
        let saga = saga_id(LogId([7; 16]), 3, 41, 0);
        let ids = [
            effect_id(saga, "charge", &[], 0),
            effect_id(saga, "charge", &[], 1),
            effect_id(saga, "charge", &[0], 0),
            effect_id(saga, "charge", &[0, 0], 0),
            effect_id(saga, "charge2", &[], 0),
            effect_id(saga_id(LogId([7; 16]), 3, 41, 1), "charge", &[], 0),
            effect_id(saga_id(LogId([7; 16]), 4, 41, 0), "charge", &[], 0),
            effect_id(saga_id(LogId([8; 16]), 3, 41, 0), "charge", &[], 0),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert_ne!(command_id(ids[0], Kind::Do, 1), command_id(ids[0], Kind::Probe, 1));
        assert_ne!(command_id(ids[0], Kind::Do, 1), command_id(ids[0], Kind::Do, 2));
    }

    #[test]
    fn an_address_names_its_command() {
        let saga = saga_id(LogId([7; 16]), 3, 41, 0);
        let address =
            Address { saga, step: "ship".into(), items: vec![2], round: 1, kind: Kind::Compensate, attempt: 4 };
        let expected = command_id(effect_id(saga, "ship", &[2], 1), Kind::Compensate, 4);
        assert_eq!(addressed_command(&address), expected);
    }

    #[test]
    fn lengths_keep_parts_apart() {
        assert_ne!(content("ab", b"c"), content("a", b"bc"));
        let hash = |channel, bytes: &[u8]| next_output_hash(OutputHash::ZERO, &[1; 16], channel, bytes);
        assert_ne!(hash("ab", b"c"), hash("a", b"bc"));
    }

    #[test]
    fn digests_and_partitions_are_for_ever() {
        let digest = normal_form_digest("definition", b"{}").to_string();
        expect_test::expect!["6164fdc732e1a2c44ba33fe6008d3acb27d647f9b28e67ee888c933554a225af"].assert_eq(&digest);
        assert_ne!(normal_form_digest("contract", b"{}").to_string(), digest);
        let partitions: Vec<Partition> = (0..12).map(|n| partition_of(&format!("order-{n}"), 16)).collect();
        expect_test::expect!["[11, 6, 12, 12, 13, 7, 2, 11, 11, 9, 1, 15]"].assert_eq(&format!("{partitions:?}"));
        assert_eq!(partition_of("any", 0), 0);
    }

    #[test]
    fn positions_sort_as_their_keys() {
        let position = |offset, timer, index| Position { offset, timer, index };
        let ascending =
            [position(0, 0, 9), position(0, 1, 0), position(1, 0, 0), position(1, 0, 1), position(1 << 40, 0, 0)];
        assert!(ascending.windows(2).all(|pair| pair[0].to_key() < pair[1].to_key()));
        assert!(ascending.iter().all(|position| Position::from_key(position.to_key()) == *position));
    }
}
