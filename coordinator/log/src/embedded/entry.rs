//! What lies in the journal, and the frame around it: `length: u32 LE, checksum: u64 LE, body`. The checksum is the body's and
//! its length's XXH3, seeded with the frame's position, so that bytes are good in one place only.

use sagaline_schemas::TopicId;
use sagaline_schemas::wire::{Bytes, Reader, Wire, WireError, put_long};
use sagaline_schemas::{avro_record, avro_union};
use xxhash_rust::xxh3::Xxh3;

/// The form of the journal. Another one is refused, never guessed at.
pub(super) const FORMAT: u32 = 1;
/// Its form once records of it were deleted: the program that came before does not know how to read that.
pub(super) const TRIMMED_FORMAT: u32 = 2;
/// Bytes in front of a frame's body.
pub(super) const HEAD: usize = 12;

avro_record! {
    /// All that lies before was synced. First in every file, and written whenever the log is opened or closed.
    pub struct Sealed {
        /// The journal's form.
        pub format: u32,
        /// The log's identity.
        pub cluster: TopicId,
        /// The log's time.
        pub at: i64,
    }
}

avro_record! {
    /// A topic's setting, by Kafka's name.
    pub struct Setting {
        /// Name.
        pub name: String,
        /// Value.
        pub value: String,
    }
}

avro_record! {
    /// A topic was made. Its number is how many were made before.
    pub struct Made {
        /// Its identity.
        pub id: TopicId,
        /// Its name.
        pub name: String,
        /// How many partitions.
        pub partitions: u32,
        /// Its settings.
        pub settings: Vec<Setting>,
    }
}

avro_record! {
    /// A record was appended.
    pub struct Appended {
        /// The topic's number.
        pub topic: u32,
        /// Its partition.
        pub partition: u32,
        /// Its offset: how many the partition held before.
        pub offset: i64,
        /// When: the log's time.
        pub timestamp: i64,
        /// The record.
        pub record: Bytes,
    }
}

avro_record! {
    /// A group has dealt with everything below an offset.
    pub struct Committed {
        /// The group's name.
        pub group: String,
        /// The topic's name.
        pub topic: String,
        /// Its partition.
        pub partition: u32,
        /// The offset.
        pub offset: i64,
    }
}

avro_record! {
    /// Records of a partition were deleted: readers see none below an offset any more.
    pub struct Trimmed {
        /// The topic's number.
        pub topic: u32,
        /// Its partition.
        pub partition: u32,
        /// Its first offset from then on.
        pub start: i64,
    }
}

avro_union! {
    /// One thing that happened to the log.
    pub enum Entry {
        /// All before is durable.
        Sealed(Sealed),
        /// A topic was made.
        Made(Made),
        /// A record was appended.
        Appended(Appended),
        /// A group moved on.
        Committed(Committed),
        /// Records were deleted.
        Trimmed(Trimmed),
    }
}

/// Appends a frame. `position` is where it will lie, `durable` how far the journal was synced before the write that it is part of.
pub(super) fn put_frame(out: &mut Vec<u8>, position: u64, durable: u64, entry: &Entry) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    put_long(out, durable as i64);
    entry.encode(out);
    let length = (out.len() - start - HEAD) as u32;
    let sum = checksum(length, &out[start + HEAD..], position);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEAD].copy_from_slice(&sum.to_le_bytes());
}

/// A frame's first bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Bytes of the body.
    pub(super) length: u32,
    sum: u64,
}

impl Head {
    pub(super) fn read(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, d, sum @ ..] = bytes;
        Self { length: u32::from_le_bytes([a, b, c, d]), sum: u64::from_le_bytes(sum) }
    }

    /// Bytes of the whole frame.
    pub(super) fn frame(self) -> u64 {
        HEAD as u64 + u64::from(self.length)
    }

    /// Whether this body was written behind this head at this position.
    pub(super) fn proves(self, body: &[u8], position: u64) -> bool {
        checksum(self.length, body, position) == self.sum
    }
}

/// Reads a body that its head has proven: how far the journal was synced, and the entry.
pub(super) fn read_body(body: &[u8]) -> Result<(u64, Entry), WireError> {
    let mut input = Reader::new(body);
    let durable = input.long()? as u64;
    let entry = Entry::decode(&mut input)?;
    input.finish()?;
    Ok((durable, entry))
}

fn checksum(length: u32, body: &[u8], position: u64) -> u64 {
    let mut hasher = Xxh3::with_seed(position);
    hasher.update(&length.to_le_bytes());
    hasher.update(body);
    hasher.digest()
}
