//! Reads pieces of a file, a bounded number of them.

use std::fmt;
use std::io::{self, SeekFrom};

use polysight_core::media::Readable;

/// Most reads of a file. A fragmented hour of one-second fragments takes four a fragment.
const MAX_READS: u32 = 40_000;
/// Most bytes of one piece.
const MAX_PIECE: usize = 64 * 1_024;
/// Most bytes that are read in all.
const MAX_BYTES: usize = 8 * 1_024 * 1_024;

/// Why a header is not understood.
#[derive(Debug)]
pub(super) enum Fault {
    Damaged,
    NoVideo,
    TooLong,
    Io(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("the video's header is cut off or damaged"),
            Self::NoVideo => f.write_str("it holds no video track (sound or text alone)"),
            Self::TooLong => {
                write!(f, "the video's header is longer than {MAX_BYTES} bytes: save the file anew")
            }
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Damaged } else { Self::Io(error) }
    }
}

/// A file of which pieces are read.
pub(super) struct Input<'a> {
    reader: &'a mut dyn Readable,
    length: u64,
    reads: u32,
    bytes: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(reader: &'a mut dyn Readable) -> Result<Self, Fault> {
        let length = reader.seek(SeekFrom::End(0))?;
        Ok(Self { reader, length, reads: 0, bytes: 0 })
    }

    /// Length of the file, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Exactly `N` bytes.
    pub(super) fn array<const N: usize>(&mut self, at: u64) -> Result<[u8; N], Fault> {
        let mut piece = [0; N];
        self.fill(at, &mut piece)?;
        Ok(piece)
    }

    /// The bytes from `at` to `end`, at most `most` of them and at most 64 KiB.
    pub(super) fn piece(&mut self, at: u64, end: u64, most: usize) -> Result<Vec<u8>, Fault> {
        let end = end.min(self.length);
        let length = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(most).min(MAX_PIECE);
        let mut piece = vec![0; length];
        self.fill(at, &mut piece)?;
        Ok(piece)
    }

    fn fill(&mut self, at: u64, piece: &mut [u8]) -> Result<(), Fault> {
        self.reads += 1;
        self.bytes += piece.len();
        if self.reads > MAX_READS || self.bytes > MAX_BYTES {
            return Err(Fault::TooLong);
        }
        self.reader.seek(SeekFrom::Start(at))?;
        Ok(self.reader.read_exact(piece)?)
    }
}

/// A big-endian number of up to eight bytes.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A big-endian number of 32 bits.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// A big-endian number of 64 bits.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes)
}
