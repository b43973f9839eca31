//! AVI: playing time, size, codec, frame rate (Microsoft, AVI RIFF File Reference).

use super::input::{Fault, Input};
use super::{Facts, seconds, shown};

/// More chunks of the header than this are no video.
const MAX_CHUNKS: usize = 1_024;
/// Lists inside lists: the file, its header, a stream.
const MAX_DEPTH: u8 = 3;

#[derive(Debug, Default)]
struct Header {
    facts: Facts,
    has_video: bool,
    chunks: usize,
}

pub(super) fn read(input: &mut Input<'_>) -> Result<Facts, Fault> {
    let mut header = Header::default();
    header.walk(input, 12, input.length(), 0)?;
    if header.has_video { Ok(header.facts) } else { Err(Fault::NoVideo) }
}

impl Header {
    /// Walks chunks up to the list of frames.
    fn walk(&mut self, input: &mut Input<'_>, mut at: u64, end: u64, depth: u8) -> Result<(), Fault> {
        while at.saturating_add(12) <= end {
            self.chunks += 1;
            if self.chunks > MAX_CHUNKS {
                return Err(Fault::TooLong);
            }
            let head: [u8; 12] = input.array(at)?;
            let length = u64::from(little(&head, 4).unwrap_or_default());
            let stop = (at + 8).saturating_add(length).min(end);
            match (&head[..4], &head[8..]) {
                (b"LIST", b"movi") => return Ok(()),
                (b"LIST", b"hdrl" | b"strl") if depth < MAX_DEPTH => {
                    self.walk(input, at + 12, stop, depth + 1)?
                }
                (b"avih", _) => self.take_main(&input.piece(at + 8, stop, 56)?),
                (b"strh", _) => self.take_stream(&input.piece(at + 8, stop, 56)?),
                _ => {}
            }
            // Chunks begin at even places.
            at = (at + 8).saturating_add(length).saturating_add(length & 1);
        }
        Ok(())
    }

    /// `avih`: microseconds a frame first, the number of frames as the fifth number, width and height as the ninth and tenth.
    fn take_main(&mut self, body: &[u8]) {
        let field = |index: usize| little(body, 4 * index).filter(|number| *number > 0);
        self.facts.size = field(8).zip(field(9));
        let micros = field(0).map(f64::from);
        self.facts.frame_rate = micros.map(|micros| 1e6 / micros);
        self.facts.duration =
            micros.zip(field(4)).and_then(|(micros, frames)| seconds(micros * f64::from(frames) / 1e6));
    }

    /// `strh`: the kind and the codec, then scale, rate, start and length as the sixth to ninth numbers.
    fn take_stream(&mut self, body: &[u8]) {
        if body.get(..4) != Some(b"vids") || self.has_video {
            return;
        }
        self.has_video = true;
        self.facts.codec = body.get(4..8).and_then(shown);
        let field = |index: usize| little(body, 4 * index).filter(|number| *number > 0).map(f64::from);
        if let Some(rate) = field(6).zip(field(5)).map(|(rate, scale)| rate / scale) {
            self.facts.frame_rate = Some(rate);
            self.facts.duration = field(8).and_then(|frames| seconds(frames / rate)).or(self.facts.duration);
        }
    }
}

fn little(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}
