//! Reads headers in blocks, and never more than a fixed number of bytes.

use std::io::{self, Read, Seek, SeekFrom};

/// Length of the first block, and of one behind a jump, in bytes.
const FIRST: usize = 512;
/// Length up to which blocks grow where a header is read from end to end, in bytes.
const LARGEST: usize = 64 << 10;
/// Most bytes that are read of one medium, whatever its header says.
pub(super) const MOST: usize = 3 << 20;

/// Why a header could not be read to its end.
#[derive(Debug)]
pub(super) enum Fault {
    /// The content ends too early, or says what cannot be.
    Damaged,
    /// The header is longer than what is read of it.
    TooLong,
    /// It is well formed, and of a kind that cannot be sent: the reason and the way out.
    Refused(&'static str),
    Io(io::Error),
}

/// What a reader of headers gives.
pub(super) type Found<T> = Result<T, Fault>;

/// Content that is read at any position.
///
/// A position in the current block costs nothing. Behind it, blocks grow as long as reading goes straight on, and are
/// short again after a jump: neither many short segments nor long ones that are passed over cost much.
pub(super) struct Blocks<'a, R: ?Sized> {
    reader: &'a mut R,
    start: u64,
    block: Vec<u8>,
    next: usize,
    left: usize,
}

impl<'a, R: Read + Seek + ?Sized> Blocks<'a, R> {
    pub(super) fn new(reader: &'a mut R) -> Self {
        Self { reader, start: 0, block: Vec::new(), next: FIRST / 2, left: MOST }
    }

    /// Length of the whole content, in bytes.
    pub(super) fn length(&mut self) -> Found<u64> {
        self.reader.seek(SeekFrom::End(0)).map_err(Fault::Io)
    }

    /// The bytes from a position on.
    pub(super) fn array<const N: usize>(&mut self, at: u64) -> Found<[u8; N]> {
        if let Some(array) = self.block_at(at)?.first_chunk() {
            return Ok(*array);
        }
        self.bytes(at, N)?.try_into().map_err(|_| Fault::Damaged)
    }

    /// As [`array`](Self::array), of a length known later.
    pub(super) fn bytes(&mut self, at: u64, length: usize) -> Found<Vec<u8>> {
        let mut bytes = self.up_to(at, length)?;
        bytes.truncate(length);
        if bytes.len() == length { Ok(bytes) } else { Err(Fault::Damaged) }
    }

    /// As [`bytes`](Self::bytes), or fewer where the content ends.
    pub(super) fn up_to(&mut self, at: u64, length: usize) -> Found<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            match self.block_at(at.saturating_add(bytes.len() as u64)) {
                Ok(block) => bytes.extend(block.iter().take(length - bytes.len())),
                Err(Fault::Damaged) => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(bytes)
    }

    pub(super) fn u8(&mut self, at: u64) -> Found<u8> {
        self.array(at).map(|[byte]| byte)
    }

    /// 16 bits, the most significant first.
    pub(super) fn u16(&mut self, at: u64) -> Found<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    /// 32 bits, the most significant first.
    pub(super) fn u32(&mut self, at: u64) -> Found<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    /// 64 bits, the most significant first.
    pub(super) fn u64(&mut self, at: u64) -> Found<u64> {
        self.array(at).map(u64::from_be_bytes)
    }

    /// The first position from `at` on with a byte of the kind that is looked for.
    pub(super) fn find(&mut self, mut at: u64, wanted: impl Fn(u8) -> bool) -> Found<u64> {
        loop {
            let block = self.block_at(at)?;
            match block.iter().position(|byte| wanted(*byte)) {
                Some(offset) => return Ok(at + offset as u64),
                None => at += block.len() as u64,
            }
        }
    }

    /// What is known of the content from a position on: one byte at least.
    fn block_at(&mut self, at: u64) -> Found<&[u8]> {
        let end = self.start + self.block.len() as u64;
        if !(self.start..end).contains(&at) {
            let goes_on = at >= end && at - end < self.next as u64;
            self.next = if goes_on { (self.next * 2).min(LARGEST) } else { FIRST };
            self.load(at)?;
        }
        let offset = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        self.block.get(offset..).filter(|rest| !rest.is_empty()).ok_or(Fault::Damaged)
    }

    fn load(&mut self, at: u64) -> Found<()> {
        if self.left < self.next {
            return Err(Fault::TooLong);
        }
        (self.start, self.left) = (at, self.left - self.next);
        self.block.clear();
        self.reader.seek(SeekFrom::Start(at)).map_err(|error| match error.kind() {
            // Farther than the file system goes: the content's fault, not the disk's.
            io::ErrorKind::InvalidInput => Fault::Damaged,
            _ => Fault::Io(error),
        })?;
        let block = (&mut self.reader).take(self.next as u64).read_to_end(&mut self.block);
        block.map(drop).map_err(Fault::Io)
    }
}
