//! MP4 and MOV: codec, frame rate, and the playing time of files of fragments (ISO/IEC 14496-12).

use super::input::{Fault, Input, u32_at, u64_at};
use super::{Facts, seconds, shown};

/// More tracks than this are no video.
const MAX_TRACKS: usize = 64;
/// Most bytes that are read of one box.
const MAX_HEADER: usize = 4 * 1_024;

/// A box: its kind, and where its content is.
#[derive(Debug, Clone, Copy)]
struct Part {
    kind: [u8; 4],
    body: u64,
    end: u64,
}

pub(super) fn read(input: &mut Input<'_>) -> Result<Facts, Fault> {
    let mut fragments = Fragments::default();
    let mut track = None;
    let mut at = 0;
    while let Some(part) = next(input, at, input.length())? {
        match &part.kind {
            b"moov" if track.is_none() => track = Track::find(input, part)?,
            b"moof" => fragments.add(input, part, track.as_ref())?,
            _ => {}
        }
        at = part.end;
    }
    let track = track.ok_or(Fault::NoVideo)?;
    let scale = f64::from(track.scale.max(1));
    let (ticks, count) = match track.samples {
        0 => (fragments.ticks, fragments.samples),
        count => (track.ticks, u64::from(count)),
    };
    let time = ticks as f64 / scale;
    let frame_rate = (count > 0 && ticks > 0).then(|| count as f64 / time);
    Ok(Facts { duration: seconds(time), frame_rate, codec: track.codec, ..Facts::default() })
}

/// The box at this place; `None` at the end, and where what follows is no box.
fn next(input: &mut Input<'_>, at: u64, end: u64) -> Result<Option<Part>, Fault> {
    if at.saturating_add(8) > end {
        return Ok(None);
    }
    let head: [u8; 8] = input.array(at)?;
    let kind = [head[4], head[5], head[6], head[7]];
    let (length, start) = match u32_at(&head, 0).unwrap_or_default() {
        0 => (end - at, 8),
        1 if at.saturating_add(16) <= end => (u64::from_be_bytes(input.array(at + 8)?), 16),
        length => (u64::from(length), 8),
    };
    if length < start {
        return Ok(None);
    }
    // A file that is cut off ends within a box.
    Ok(Some(Part { kind, body: at + start, end: at.saturating_add(length).min(end) }))
}

/// The first box of a kind inside another one.
fn child(input: &mut Input<'_>, parent: Part, kind: &[u8; 4]) -> Result<Option<Part>, Fault> {
    let mut at = parent.body;
    while let Some(part) = next(input, at, parent.end)? {
        if part.kind == *kind {
            return Ok(Some(part));
        }
        at = part.end;
    }
    Ok(None)
}

fn descendant(input: &mut Input<'_>, mut parent: Part, path: &[&[u8; 4]]) -> Result<Option<Part>, Fault> {
    for kind in path {
        match child(input, parent, kind)? {
            Some(part) => parent = part,
            None => return Ok(None),
        }
    }
    Ok(Some(parent))
}

fn content(input: &mut Input<'_>, part: Option<Part>) -> Result<Vec<u8>, Fault> {
    part.map_or(Ok(Vec::new()), |part| input.piece(part.body, part.end, MAX_HEADER))
}

/// The track of pictures.
#[derive(Debug, Default)]
struct Track {
    id: u32,
    is_enabled: bool,
    scale: u32,
    ticks: u64,
    samples: u32,
    /// Ticks of a sample of a fragment that does not say.
    default_ticks: u32,
    codec: Option<String>,
}

impl Track {
    /// The first enabled video track, else the first one.
    fn find(input: &mut Input<'_>, moov: Part) -> Result<Option<Self>, Fault> {
        let mut found: Option<Self> = None;
        let mut at = moov.body;
        let mut count = 0;
        while let Some(part) = next(input, at, moov.end)? {
            at = part.end;
            if part.kind != *b"trak" || count == MAX_TRACKS {
                continue;
            }
            count += 1;
            if let Some(track) = Self::read(input, part)?
                && found.as_ref().is_none_or(|found| track.is_enabled && !found.is_enabled)
            {
                found = Some(track);
            }
        }
        if let (Some(track), Some(mvex)) = (&mut found, child(input, moov, b"mvex")?) {
            track.take_defaults(input, mvex)?;
        }
        Ok(found)
    }

    fn read(input: &mut Input<'_>, trak: Part) -> Result<Option<Self>, Fault> {
        let handler = descendant(input, trak, &[b"mdia", b"hdlr"])?;
        if content(input, handler)?.get(8..12) != Some(b"vide") {
            return Ok(None);
        }
        let mut track = Self::default();
        let header = child(input, trak, b"tkhd")?;
        track.take_header(&content(input, header)?);
        let header = descendant(input, trak, &[b"mdia", b"mdhd"])?;
        track.take_times(&content(input, header)?);
        if let Some(table) = descendant(input, trak, &[b"mdia", b"minf", b"stbl"])? {
            let sizes = child(input, table, b"stsz")?;
            track.samples = u32_at(&content(input, sizes)?, 8).unwrap_or_default();
            let entries = child(input, table, b"stsd")?;
            // After version, flags and a count comes the first entry: a length and the codec.
            track.codec = content(input, entries)?.get(12..16).and_then(shown);
        }
        Ok(Some(track))
    }

    fn take_header(&mut self, body: &[u8]) {
        self.is_enabled = body.get(3).is_some_and(|flags| flags & 1 == 1);
        let id_at = if body.first() == Some(&0) { 12 } else { 20 };
        self.id = u32_at(body, id_at).unwrap_or_default();
    }

    fn take_times(&mut self, body: &[u8]) {
        let is_narrow = body.first() == Some(&0);
        self.scale = u32_at(body, if is_narrow { 12 } else { 20 }).unwrap_or_default();
        let ticks = if is_narrow { u32_at(body, 16).map(u64::from) } else { u64_at(body, 24) };
        self.ticks = ticks.filter(|ticks| !matches!(*ticks, 0xffff_ffff | u64::MAX)).unwrap_or_default();
    }

    fn take_defaults(&mut self, input: &mut Input<'_>, mvex: Part) -> Result<(), Fault> {
        let mut at = mvex.body;
        while let Some(part) = next(input, at, mvex.end)? {
            at = part.end;
            let body = if part.kind == *b"trex" { content(input, Some(part))? } else { Vec::new() };
            if u32_at(&body, 4) == Some(self.id) {
                self.default_ticks = u32_at(&body, 12).unwrap_or_default();
            }
        }
        Ok(())
    }
}

/// What the fragments of a track say together.
#[derive(Debug, Default)]
struct Fragments {
    ticks: u64,
    samples: u64,
}

impl Fragments {
    fn add(&mut self, input: &mut Input<'_>, moof: Part, track: Option<&Track>) -> Result<(), Fault> {
        let Some(track) = track else { return Ok(()) };
        let mut at = moof.body;
        while let Some(part) = next(input, at, moof.end)? {
            at = part.end;
            if part.kind == *b"traf" {
                self.add_track(input, part, track)?;
            }
        }
        Ok(())
    }

    fn add_track(&mut self, input: &mut Input<'_>, traf: Part, track: &Track) -> Result<(), Fault> {
        let header = child(input, traf, b"tfhd")?;
        let header = content(input, header)?;
        if u32_at(&header, 4) != Some(track.id) {
            return Ok(());
        }
        let default = default_ticks(&header).unwrap_or(track.default_ticks);
        let mut at = traf.body;
        while let Some(part) = next(input, at, traf.end)? {
            at = part.end;
            if part.kind == *b"trun" {
                let body = input.piece(part.body, part.end, usize::MAX)?;
                self.add_run(&body, default);
            }
        }
        Ok(())
    }

    /// `trun`: flags, a count, an offset and flags of the first sample where the flags say so, then for each sample the
    /// fields that the flags name, the duration first. Of a very long run only the beginning is read.
    fn add_run(&mut self, body: &[u8], default: u32) {
        let (Some(flags), Some(count)) = (u32_at(body, 0), u32_at(body, 4)) else { return };
        self.samples += u64::from(count);
        if flags & 0x100 == 0 {
            self.ticks = self.ticks.saturating_add(u64::from(count) * u64::from(default));
            return;
        }
        let start = 8 + 4 * (usize::from(flags & 1 > 0) + usize::from(flags & 4 > 0));
        let width = 4 * (flags & 0xf00).count_ones() as usize;
        let samples = body.get(start..).unwrap_or_default().chunks_exact(width);
        let known = samples.len().min(count as usize);
        let ticks = samples.take(known).filter_map(|sample| u32_at(sample, 0)).map(u64::from).sum::<u64>();
        let unknown = (count as usize - known) as u64;
        let mean = ticks.checked_div(known as u64).unwrap_or_else(|| u64::from(default));
        self.ticks = self.ticks.saturating_add(ticks).saturating_add(mean.saturating_mul(unknown));
    }
}

/// `tfhd`: flags, the track, then the fields that the flags name: an offset of 64 bits, a description, a duration.
fn default_ticks(body: &[u8]) -> Option<u32> {
    let flags = u32_at(body, 0)?;
    let at = 8 + 8 * usize::from(flags & 1 > 0) + 4 * usize::from(flags & 2 > 0);
    if flags & 8 > 0 { u32_at(body, at) } else { None }
}
