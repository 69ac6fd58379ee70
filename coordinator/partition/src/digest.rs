//! The state digest: one hash over everything that a store holds. What it covers is what a refold must reproduce.
//! Read a snapshot, never a store that is being written.

use sagaline_schemas::ids::Digest;

use crate::store::{Entry, Family, Read, StoreError};

/// Entries read at once: bounds the memory of a digest, whatever the store's size.
const PAGE: usize = 256;

/// BLAKE3 over (family, key's length, key, value's length, value) of every entry, families and keys in order; the family is one byte,
/// lengths are big-endian of 32 bits (records.md, section 1).
///
/// # Errors
/// When the store can't be read.
pub fn digest(read: &dyn Read) -> Result<Digest, StoreError> {
    let mut hasher = blake3::Hasher::new();
    for family in Family::ALL {
        let mut from = Vec::new();
        loop {
            let page = read.scan(family, &from, None, PAGE)?;
            for (key, value) in &page {
                hasher.update(&[family as u8]);
                update_prefixed(&mut hasher, key);
                update_prefixed(&mut hasher, value);
            }
            match page.into_iter().nth(PAGE - 1) {
                Some(last) => from = successor(last),
                None => break,
            }
        }
    }
    Ok(Digest(*hasher.finalize().as_bytes()))
}

/// The first key that can follow an entry's.
fn successor((mut key, _): Entry) -> Vec<u8> {
    key.push(0);
    key
}

fn update_prefixed(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    let length =
        u32::try_from(bytes.len()).expect("keys and values are bounded by the logged record limit, far below 4 GiB");
    hasher.update(&length.to_be_bytes()).update(bytes);
}
