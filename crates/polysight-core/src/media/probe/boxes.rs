//! Boxes: the nested pieces of which MP4, QuickTime and HEIF files consist (ISO/IEC 14496-12, section 4.2).

use std::io::{Read, Seek};

use super::blocks::{Blocks, Found};

/// More boxes than this on one level are no medium.
const MAX_BOXES: usize = 1_000;

/// A box: its kind, and where its content is.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoxHeader {
    pub(super) kind: [u8; 4],
    pub(super) body: u64,
    pub(super) end: u64,
}

impl BoxHeader {
    /// The boxes inside, behind `skip` bytes of the content.
    pub(super) fn children(&self, skip: u64) -> Level {
        Level::new(self.body.saturating_add(skip), self.end)
    }

    /// At most `most` bytes of the content.
    pub(super) fn content<R: Read + Seek + ?Sized>(
        &self,
        blocks: &mut Blocks<'_, R>,
        most: usize,
    ) -> Found<Vec<u8>> {
        let length = usize::try_from(self.end.saturating_sub(self.body)).unwrap_or(usize::MAX);
        blocks.bytes(self.body, length.min(most))
    }
}

/// The boxes of one level, one after the other.
#[derive(Debug)]
pub(super) struct Level {
    at: u64,
    end: u64,
    left: usize,
}

impl Level {
    pub(super) fn new(at: u64, end: u64) -> Self {
        Self { at, end, left: MAX_BOXES }
    }

    /// The next box; `None` at the end of the level, and where what follows is no box. It may end behind the level.
    pub(super) fn next<R: Read + Seek + ?Sized>(
        &mut self,
        blocks: &mut Blocks<'_, R>,
    ) -> Found<Option<BoxHeader>> {
        if self.at.saturating_add(8) > self.end || self.left == 0 {
            return Ok(None);
        }
        let short = u64::from(blocks.u32(self.at)?);
        let kind = blocks.array(self.at + 4)?;
        let (size, head) = match short {
            0 => (self.end - self.at, 8),
            1 => (blocks.u64(self.at + 8)?, 16),
            size => (size, 8),
        };
        if size < head {
            return Ok(None);
        }
        let found = BoxHeader { kind, body: self.at.saturating_add(head), end: self.at.saturating_add(size) };
        (self.at, self.left) = (found.end, self.left - 1);
        Ok(Some(found))
    }

    /// As [`next`](Self::next), where a box that is longer than its level ends it.
    pub(super) fn next_whole<R: Read + Seek + ?Sized>(
        &mut self,
        blocks: &mut Blocks<'_, R>,
    ) -> Found<Option<BoxHeader>> {
        let end = self.end;
        Ok(self.next(blocks)?.filter(|found| found.end <= end))
    }

    /// The first box of a kind, from here on.
    pub(super) fn find<R: Read + Seek + ?Sized>(
        &mut self,
        blocks: &mut Blocks<'_, R>,
        kind: [u8; 4],
    ) -> Found<Option<BoxHeader>> {
        while let Some(found) = self.next_whole(blocks)? {
            if found.kind == kind {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
