//! What is committed, for people: read beside the fold, never by it.

use sagaline_definition::{Contract, Definition};
use sagaline_engine::Saga;
use sagaline_schemas::wire::Wire;
use sagaline_schemas::{Digest, RequestId, SagaId};

pub use crate::gates::gates;
pub use crate::history::history;
use crate::keys;
use crate::overlay::decode;
use crate::state::{Answered, Channel, KnownContract, Meta};
use crate::store::{Family, Read, StoreError};

/// Sagas behind one in the order of their ids, at most `max`.
///
/// # Errors
/// When the store can't be read.
pub fn sagas(read: &dyn Read, after: Option<SagaId>, max: usize) -> Result<Vec<Saga>, StoreError> {
    let from = after.map_or_else(Vec::new, |id| [id.as_bytes().as_slice(), &[0]].concat());
    let stored = read.scan(Family::Sagas, &from, None, max)?;
    stored.iter().map(|(_, saga)| decode(Family::Sagas, saga)).collect()
}

/// The saga of that id.
///
/// # Errors
/// When the store can't be read.
pub fn saga(read: &dyn Read, id: SagaId) -> Result<Option<Saga>, StoreError> {
    one(read, Family::Sagas, id.as_bytes())
}

/// The saga of that key, live or ended.
///
/// # Errors
/// When the store can't be read.
pub fn saga_of_key(read: &dyn Read, definition: &str, key: &str) -> Result<Option<Saga>, StoreError> {
    let found = read.get(Family::Keys, &keys::key(definition, key))?;
    match found.and_then(|bytes| bytes.try_into().ok()).map(SagaId::from_bytes) {
        Some(id) => saga(read, id),
        None => Ok(None),
    }
}

/// What became of a request; none: it has not been folded, or is forgotten.
///
/// # Errors
/// When the store can't be read.
pub fn request(read: &dyn Read, id: RequestId) -> Result<Option<Answered>, StoreError> {
    one(read, Family::Requests, id.as_bytes())
}

/// What the partition knows of itself.
///
/// # Errors
/// When the store can't be read.
pub fn meta(read: &dyn Read) -> Result<Option<Meta>, StoreError> {
    one(read, Family::Meta, keys::META)
}

/// The channels that ever had an output.
///
/// # Errors
/// When the store can't be read.
pub fn channels(read: &dyn Read) -> Result<Vec<(String, Channel)>, StoreError> {
    let stored = read.scan(Family::Channels, &[], None, usize::MAX)?;
    stored
        .into_iter()
        .map(|(name, state)| Ok((String::from_utf8_lossy(&name).into_owned(), decode(Family::Channels, &state)?)))
        .collect()
}

/// The definition of that digest.
///
/// # Errors
/// When the store can't be read, or holds something else.
pub fn definition(read: &dyn Read, digest: Digest) -> Result<Option<Definition>, StoreError> {
    let stored = read.get(Family::Definitions, &digest.0)?;
    stored.map(|bytes| Definition::from_normal_form(&bytes).map_err(|error| corrupt("definitions", &error))).transpose()
}

/// Every definition that is known, with its digest.
///
/// # Errors
/// When the store can't be read, or holds something else.
pub fn definitions(read: &dyn Read) -> Result<Vec<(Digest, Definition)>, StoreError> {
    let stored = read.scan(Family::Definitions, &[], None, usize::MAX)?;
    stored
        .into_iter()
        .map(|(digest, bytes)| {
            let digest = Digest::from_bytes(&digest).map_err(|error| corrupt("definitions", &error))?;
            let definition = Definition::from_normal_form(&bytes).map_err(|error| corrupt("definitions", &error))?;
            Ok((digest, definition))
        })
        .collect()
}

/// The contract of that digest, and the partitions of its command topic.
///
/// # Errors
/// When the store can't be read, or holds something else.
pub fn contract(read: &dyn Read, digest: Digest) -> Result<Option<(Contract, u32)>, StoreError> {
    let Some(known) = one::<KnownContract>(read, Family::Contracts, &digest.0)? else {
        return Ok(None);
    };
    let contract = Contract::from_normal_form(&known.normal_form).map_err(|error| corrupt("contracts", &error))?;
    Ok(Some((contract, known.command_partitions)))
}

fn one<T: Wire>(read: &dyn Read, family: Family, key: &[u8]) -> Result<Option<T>, StoreError> {
    read.get(family, key)?.map(|bytes| decode(family, &bytes)).transpose()
}

fn corrupt(family: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt { place: format!("family {family}"), detail: error.to_string() }
}
