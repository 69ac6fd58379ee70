//! The pass-through's one message: 256 bytes, as large as a step's payload in the order workload.

use anyhow::{Context, Result};

/// A saga on its way.
#[derive(Clone, Copy)]
pub struct Message {
    pub saga: u64,
    /// Steps carried out.
    pub done: u64,
    /// When the relay sent the last command, in nanoseconds of its own clock.
    pub sent: u64,
}

impl Message {
    /// Bytes of every record.
    pub const SIZE: usize = 256;

    pub fn start(saga: u64) -> Self {
        Self { saga, done: 0, sent: 0 }
    }

    /// Five steps; one saga in ten is refused at the fourth and undoes three.
    pub fn steps(self) -> u64 {
        if self.saga % 10 == 9 { 7 } else { 5 }
    }

    pub fn partition(self) -> u32 {
        u32::try_from(self.saga % u64::from(super::PARTITIONS)).expect("less than the number of partitions")
    }

    pub fn encode(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (field, chunk) in [self.saga, self.done, self.sent].into_iter().zip(bytes.chunks_exact_mut(8)) {
            chunk.copy_from_slice(&field.to_le_bytes());
        }
        // Payloads are not zeros: they must cost what they cost to compress.
        let mut noise = self.saga.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        for byte in &mut bytes[24..] {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            *byte = b'a' + (noise & 15) as u8;
        }
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let field = |n: usize| -> Result<u64> {
            Ok(u64::from_le_bytes(bytes.get(8 * n..8 * n + 8).context("a short message")?.try_into()?))
        };
        Ok(Self { saga: field(0)?, done: field(1)?, sent: field(2)? })
    }
}
