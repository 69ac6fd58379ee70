//! Seeded randomness: the same seed, the same faults, on every machine.

use std::ops::RangeInclusive;

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True `per_mille` times in a thousand.
    pub(super) fn strikes(&mut self, per_mille: u32) -> bool {
        // Nothing is drawn for what can't happen: switching one fault off leaves the others where they were.
        per_mille > 0 && self.next() % 1000 < u64::from(per_mille)
    }

    /// A number within the range; its first where the range is empty.
    pub(super) fn within(&mut self, range: &RangeInclusive<u32>) -> i64 {
        let (low, high) = (*range.start(), *range.end());
        if high <= low {
            return i64::from(low);
        }
        i64::from(low) + (self.next() % u64::from(high - low + 1)) as i64
    }

    pub(super) fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next().to_be_bytes());
        bytes
    }
}
