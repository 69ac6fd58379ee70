//! Reads frames through a window of the file that was read last: neighbours come with one call to the system.

use super::entry::{HEAD, Head};
use super::journal::Segment;
use crate::LogError;

/// Bytes of one file, read ahead.
#[derive(Debug)]
pub(super) struct Window {
    bytes: Vec<u8>,
    start: u64,
    ahead: u64,
}

/// A frame whose checksum holds.
pub(super) struct Frame<'a> {
    /// Bytes from its first to the next frame's first.
    pub(super) size: u64,
    pub(super) body: &'a [u8],
}

impl Window {
    /// For reading a partition, whose records lie between others.
    pub(super) fn reading() -> Self {
        Self { bytes: Vec::new(), start: 0, ahead: 64 << 10 }
    }

    /// For reading a file from end to end.
    pub(super) fn scanning() -> Self {
        Self { bytes: Vec::new(), start: 0, ahead: 1 << 20 }
    }

    /// The frame at `position`; none: nothing whole and unchanged lies there. `end`: nothing is read from there on, which is
    /// how bytes that are still being written stay out of the window.
    pub(super) fn frame(&mut self, segment: &Segment, position: u64, end: u64) -> Result<Option<Frame<'_>>, LogError> {
        let Some(head) = self.get(segment, position, HEAD as u64, end)? else { return Ok(None) };
        let head = Head::read(head.try_into().expect("get gives as many bytes as asked for"));
        let Some(frame) = self.get(segment, position, head.frame(), end)? else { return Ok(None) };
        let body = &frame[HEAD..];
        Ok(head.proves(body, position).then_some(Frame { size: head.frame(), body }))
    }

    /// `count` bytes at `position`; none: they are not all below `end`.
    fn get(&mut self, segment: &Segment, position: u64, count: u64, end: u64) -> Result<Option<&[u8]>, LogError> {
        if position + count > end {
            return Ok(None);
        }
        let held = self.start..self.start + self.bytes.len() as u64;
        if position < held.start || position + count > held.end {
            let length = count.max(self.ahead).min(end - position);
            // An error leaves nothing behind that could be taken for the file's bytes.
            self.start = position;
            self.bytes.clear();
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.resize(length as usize, 0);
            segment.file.read(&mut bytes, position - segment.base).map_err(|error| segment.io(&error))?;
            self.bytes = bytes;
        }
        let from = (position - self.start) as usize;
        Ok(Some(&self.bytes[from..from + count as usize]))
    }
}
