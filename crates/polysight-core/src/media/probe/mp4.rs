//! MP4 and MOV: playing time, and frame size of the picture's track (ISO/IEC 14496-12; QuickTime File Format).
//!
//! Own code, since the maintained MP4 crates read the whole `moov` box with its sample tables (megabytes for an hour of
//! video) and bring some twenty dependencies into the core, where a few headers of a hundred bytes are wanted.

use std::io::{Read, Seek};
use std::time::Duration;

use super::blocks::{Blocks, Fault, Found};
use super::boxes::{BoxHeader, Level};
use crate::media::Orientation;

/// More tracks than this are no video.
const MAX_TRACKS: usize = 64;
/// Most bytes that are read of one header.
const MAX_HEADER: usize = 256;

const NO_VIDEO_TRACK: &str = "it holds no video track (sound or text alone)";
const CUT_OFF: &str = "it is cut off: the file ends before its data does";

/// What the `moov` box says.
#[derive(Debug, Default)]
pub(super) struct Movie {
    pub(super) duration: Option<Duration>,
    pub(super) size: Option<(u32, u32)>,
    pub(super) orientation: Orientation,
}

/// Reads the `moov` box, wherever it is.
pub(super) fn movie<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>) -> Found<Movie> {
    let length = blocks.length()?;
    let mut level = Level::new(0, length);
    let mut moov = None;
    loop {
        let found = match level.next(blocks) {
            Ok(Some(found)) => found,
            Ok(None) => break,
            // What follows the movie need not be boxes.
            Err(Fault::Damaged | Fault::TooLong) if moov.is_some() => break,
            Err(fault) => return Err(fault),
        };
        match &found.kind {
            b"moov" if found.end <= length => moov = moov.or(Some(found)),
            b"mdat" if found.end > length && moov.is_some() => return Err(Fault::Refused(CUT_OFF)),
            _ => {}
        }
    }
    read(blocks, &moov.ok_or(Fault::Damaged)?)
}

fn read<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>, moov: &BoxHeader) -> Found<Movie> {
    let mut movie = Movie::default();
    let (mut header, mut fragments, mut is_compressed) = (None, None, false);
    let mut tracks = Vec::new();
    let mut level = moov.children(0);
    while let Some(found) = level.next_whole(blocks)? {
        match &found.kind {
            b"mvhd" => header = header.or(Some(found)),
            b"mvex" => fragments = fragments.or(Some(found)),
            b"cmov" => is_compressed = true,
            b"trak" if tracks.len() < MAX_TRACKS => tracks.extend(video_track(blocks, &found)?),
            _ => {}
        }
    }
    // A disabled track is another picture, such as a cover or the pictures of chapters.
    let track = tracks.iter().find(|track| track.is_enabled).or(tracks.first());
    match track {
        Some(track) => (movie.size, movie.orientation) = (track.size, track.orientation),
        None if is_compressed => return Ok(movie),
        None => return Err(Fault::Refused(NO_VIDEO_TRACK)),
    }
    if let Some(header) = header {
        movie.duration = duration(blocks, &header, fragments.as_ref())?;
    }
    Ok(movie)
}

/// The playing time. In a file of fragments, `mvhd` says that of the first fragment at most, and `mehd` that of all.
fn duration<R: Read + Seek + ?Sized>(
    blocks: &mut Blocks<'_, R>,
    mvhd: &BoxHeader,
    mvex: Option<&BoxHeader>,
) -> Found<Option<Duration>> {
    let body = mvhd.content(blocks, MAX_HEADER)?;
    let Some((scale, mut ticks)) = scale_and_ticks(&body) else { return Ok(None) };
    if let Some(mvex) = mvex {
        ticks = match mvex.children(0).find(blocks, *b"mehd")? {
            Some(mehd) => wide_or_not(&mehd.content(blocks, MAX_HEADER)?, 4, 4),
            None => None,
        };
    }
    Ok(ticks.and_then(|ticks| playing_time(u64::from(scale), ticks)))
}

/// `mvhd`: after version and flags come creation and modification time, time scale and duration; 32 bits wide each in
/// version 0, 64 but for the time scale in version 1.
fn scale_and_ticks(body: &[u8]) -> Option<(u32, Option<u64>)> {
    let scale_at = if body.first()? == &0 { 12 } else { 20 };
    let scale = body.get(scale_at..scale_at + 4)?.try_into().ok().map(u32::from_be_bytes)?;
    Some((scale, wide_or_not(body, 16, 24)))
}

/// A number of 32 bits in version 0 of a box, of 64 in others. All ones mean unknown.
fn wide_or_not(body: &[u8], narrow: usize, wide: usize) -> Option<u64> {
    match body.first()? {
        0 => {
            let number = body.get(narrow..narrow + 4)?.try_into().ok().map(u32::from_be_bytes)?;
            (number != u32::MAX).then_some(u64::from(number))
        }
        _ => {
            let number = body.get(wide..wide + 8)?.try_into().ok().map(u64::from_be_bytes)?;
            (number != u64::MAX).then_some(number)
        }
    }
}

/// Zero ticks mean that the time is elsewhere, and not that the video is empty.
fn playing_time(scale: u64, ticks: u64) -> Option<Duration> {
    let ticks = Some(ticks).filter(|ticks| *ticks > 0)?;
    let millis = ticks.checked_rem(scale)?.saturating_mul(1_000) / scale;
    Duration::from_secs(ticks / scale).checked_add(Duration::from_millis(millis))
}

#[derive(Debug, Default)]
struct Track {
    is_enabled: bool,
    size: Option<(u32, u32)>,
    orientation: Orientation,
}

/// Reads a track; `None` where its handler says that it is no picture.
fn video_track<R: Read + Seek + ?Sized>(
    blocks: &mut Blocks<'_, R>,
    trak: &BoxHeader,
) -> Found<Option<Track>> {
    let (mut header, mut media) = (None, None);
    let mut level = trak.children(0);
    while let Some(found) = level.next_whole(blocks)? {
        match &found.kind {
            b"tkhd" => header = header.or(Some(found)),
            b"mdia" => media = media.or(Some(found)),
            _ => {}
        }
    }
    let Some(media) = media else { return Ok(None) };
    let Some(handler) = media.children(0).find(blocks, *b"hdlr")? else { return Ok(None) };
    if handler.content(blocks, 12)?.get(8..) != Some(b"vide") {
        return Ok(None);
    }
    let mut track = Track::default();
    if let Some(header) = header {
        track.take_header(&header.content(blocks, MAX_HEADER)?);
    }
    if track.size.is_none() {
        track.size = coded_size(blocks, &media)?;
    }
    Ok(Some(track))
}

impl Track {
    /// `tkhd`: ends with a matrix of nine numbers, then width and height with 16 binary places.
    fn take_header(&mut self, body: &[u8]) {
        self.is_enabled = body.get(3).is_some_and(|flags| flags & 1 == 1);
        let Some((rest, sides)) = body.split_last_chunk::<8>() else { return };
        let [w0, w1, _, _, h0, h1, _, _] = *sides;
        self.size = filled(u16::from_be_bytes([w0, w1]), u16::from_be_bytes([h0, h1]));
        if let Some((_, matrix)) = rest.split_last_chunk::<36>() {
            self.orientation = orientation(matrix);
        }
    }
}

fn filled(width: u16, height: u16) -> Option<(u32, u32)> {
    (width > 0 && height > 0).then_some((u32::from(width), u32::from(height)))
}

/// The orientation of a matrix `a b u, c d v, x y w`, which moves a point to `ax + cy`, `bx + dy`.
fn orientation(matrix: &[u8; 36]) -> Orientation {
    let sign = |at: usize| {
        let number = matrix.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes);
        number.unwrap_or_default().signum()
    };
    match (sign(0), sign(4), sign(12), sign(16)) {
        (-1, 0, 0, 1) => Orientation::Mirrored,
        (-1, 0, 0, -1) => Orientation::Rotated180,
        (1, 0, 0, -1) => Orientation::Flipped,
        (0, 1, 1, 0) => Orientation::Transposed,
        (0, 1, -1, 0) => Orientation::Rotated90,
        (0, -1, -1, 0) => Orientation::Transversed,
        (0, -1, 1, 0) => Orientation::Rotated270,
        _ => Orientation::Upright,
    }
}

/// The frame size in the first sample description, for tracks whose header leaves it out.
fn coded_size<R: Read + Seek + ?Sized>(
    blocks: &mut Blocks<'_, R>,
    mdia: &BoxHeader,
) -> Found<Option<(u32, u32)>> {
    let mut at = *mdia;
    for kind in [b"minf", b"stbl", b"stsd"] {
        match at.children(0).find(blocks, *kind)? {
            Some(found) => at = found,
            None => return Ok(None),
        }
    }
    let Some(entry) = at.children(8).next_whole(blocks)? else { return Ok(None) };
    let entry = entry.content(blocks, 28)?;
    let side =
        |at: usize| entry.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes);
    Ok(side(24).zip(side(26)).and_then(|(width, height)| filled(width, height)))
}
