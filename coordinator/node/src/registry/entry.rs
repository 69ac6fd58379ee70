//! One entry of the registry: its key, its JSON, and the proof that a holder of the log's key wrote it. A later entry of the same key
//! replaces an earlier one. What proves nothing is never read further.

use sagaline_definition::{Contract, Definition};
use sagaline_log::Record;
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{Body, Genesis};
use sagaline_schemas::{Digest, LogId, Partition, schema};
use serde::{Deserialize, Serialize};

/// A value is `{"proof":"32 hexadecimal digits","sealed":ENTRY}`, with no other byte: the proof is over the entry's bytes as they lie there.
const OPENING: &str = r#"{"proof":""#;
const MIDDLE: &str = r#"","sealed":"#;
const CLOSING: &str = "}";
/// What the keys of entries begin with that keep a Genesis.
const GENESIS: &str = "genesis/";
/// Digits of a proof.
const DIGITS: usize = 32;

/// Seals entries of one log, and tells whether one is.
#[derive(Clone, Debug)]
pub struct Seal {
    /// The log's key.
    pub key: Key,
    /// The log.
    pub log_id: LogId,
}

impl Seal {
    fn seal(&self, key: Vec<u8>, entry: &str) -> Record {
        let proof = self.key.entry(self.log_id, &key, entry.as_bytes());
        let value = format!("{OPENING}{proof}{MIDDLE}{entry}{CLOSING}").into_bytes();
        Record { key, value, headers: Vec::new() }
    }

    /// The entry's bytes; none: they prove nothing.
    fn open<'a>(&self, record: &'a Record) -> Option<&'a str> {
        let value = std::str::from_utf8(&record.value).ok()?;
        let (proof, rest) = value.strip_prefix(OPENING)?.split_at_checked(DIGITS)?;
        let entry = rest.strip_prefix(MIDDLE)?.strip_suffix(CLOSING)?;
        (proof.parse() == Ok(self.key.entry(self.log_id, &record.key, entry.as_bytes()))).then_some(entry)
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// Every inbox partition knows this contract.
    Contract {
        /// What it is named by.
        digest: Digest,
        /// The contract.
        contract: Contract,
        /// Partitions of its command topic.
        command_partitions: u32,
    },
    /// Every inbox partition knows this definition.
    Definition {
        /// What it is named by.
        digest: Digest,
        /// The definition.
        definition: Box<Definition>,
    },
    /// New starts of this name mean this definition.
    Active {
        /// The definition's name.
        name: String,
        /// What new starts name.
        digest: Digest,
    },
    /// The first record of an inbox partition: the inbox may have been trimmed since.
    Genesis {
        /// Which partition.
        partition: Partition,
        /// The record's value, in hexadecimal.
        record: String,
    },
}

impl Entry {
    /// A beginning is kept by its log: that of an inbox of old never takes the place of the one that is there.
    fn key(&self, log_id: LogId) -> String {
        match self {
            Self::Contract { digest, .. } => format!("contract/{digest}"),
            Self::Definition { digest, .. } => format!("definition/{digest}"),
            Self::Active { name, .. } => format!("active/{name}"),
            Self::Genesis { partition, .. } => format!("{}{partition}", genesis_keys(log_id)),
        }
    }

    /// As it lies in the topic.
    pub fn record(&self, seal: &Seal) -> Record {
        let entry = serde_json::to_string(self).expect("definitions and contracts have text keys only");
        seal.seal(self.key(seal.log_id).into_bytes(), &entry)
    }

    /// From the topic.
    ///
    /// # Errors
    /// Why it is not believed, can't be read, or is not what it says.
    pub fn read(record: &Record, seal: &Seal) -> Result<Self, String> {
        let unproven = "it has no proof by the log's key: whoever wrote it, `sagaline apply` did not";
        let entry = seal.open(record).ok_or_else(|| unproven.to_owned())?;
        let entry: Self = serde_json::from_str(entry).map_err(|error| error.to_string())?;
        let digests = match &entry {
            Self::Contract { digest, contract, .. } => Some((*digest, contract.digest())),
            Self::Definition { digest, definition } => Some((*digest, definition.digest())),
            Self::Active { .. } | Self::Genesis { .. } => None,
        };
        if let Some((named, is)) = digests.filter(|(named, is)| named != is) {
            return Err(format!("its digest is {is}, not {named}"));
        }
        if entry.key(seal.log_id).as_bytes() != record.key {
            return Err(format!("it lies under the key {:?}", String::from_utf8_lossy(&record.key)));
        }
        Ok(entry)
    }
}

/// What the keys of entries begin with that keep a Genesis of this log.
fn genesis_keys(log_id: LogId) -> String {
    format!("{GENESIS}{log_id}/")
}

/// The partition whose Genesis of this log a record of this key keeps, should it prove one; none: it is of another kind.
pub fn genesis_partition(log_id: LogId, key: &[u8]) -> Option<Partition> {
    std::str::from_utf8(key).ok()?.strip_prefix(&genesis_keys(log_id))?.parse().ok()
}

/// The entry that keeps the first record of a partition; none: it is no Genesis of this partition that the key proves.
pub fn genesis_entry(key: &Key, partition: Partition, value: &[u8]) -> Option<Record> {
    let genesis = proven_genesis(key, partition, value)?;
    let record = value.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Entry::Genesis { partition, record }.record(&Seal { key: key.clone(), log_id: genesis.log_id }))
}

/// The Genesis that an entry keeps, and of which partition; none: it is another entry, or proves nothing.
pub fn genesis_of(key: &Key, record: &Record) -> Option<(Partition, Genesis)> {
    if !record.key.starts_with(GENESIS.as_bytes()) {
        return None;
    }
    // Which log it is of stands in what it seals: both proofs must hold for that log.
    let text = std::str::from_utf8(&record.value).ok()?;
    let (_, entry) = text.strip_prefix(OPENING)?.split_at_checked(DIGITS)?;
    let Ok(Entry::Genesis { partition, record: kept }) =
        serde_json::from_str(entry.strip_prefix(MIDDLE)?.strip_suffix(CLOSING)?)
    else {
        return None;
    };
    let genesis = proven_genesis(key, partition, &bytes_of(&kept)?)?;
    Entry::read(record, &Seal { key: key.clone(), log_id: genesis.log_id }).ok()?;
    Some((partition, genesis))
}

fn bytes_of(hexadecimal: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let whole = hexadecimal.len().is_multiple_of(2);
    whole.then(|| hexadecimal.as_bytes().chunks(2).map(pair).collect::<Option<Vec<u8>>>()).flatten()
}

fn proven_genesis(key: &Key, partition: Partition, value: &[u8]) -> Option<Genesis> {
    let opened = proof::open(schema::INBOX.fingerprint, value).ok()?;
    let Body::Genesis(genesis) = opened.inbox.body else { return None };
    let proven = opened.inbox.mac == Some(key.mac(genesis.log_id, partition, &value[..opened.covered]));
    (proven && genesis.partition == partition).then_some(genesis)
}
