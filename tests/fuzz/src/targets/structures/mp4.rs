//! MP4 boxes (ISO/IEC 14496-12), against `re_mp4`.

use std::time::Duration;

use polysight_core::Video;
use polysight_core::media::Orientation;
use re_mp4::{Mp4, TrakBox};

use super::{Exception, Made, boxed, full, level, orientation, shuffled};
use crate::input::Input;

/// What `re_mp4` reads otherwise.
const EXCEPTIONS: &[Exception] = &[
    (
        "no size in the header",
        "the size of a sample description of a coding that it does not know is not read",
    ),
    ("no clock", "a time scale of zero is handed on"),
];

/// Width and height as stored, orientation and playing time.
type Says = (Option<(u32, u32)>, Orientation, Option<Duration>);

pub(crate) fn check(data: &[u8]) {
    compare(data);
}

pub(super) fn compare(data: &[u8]) -> bool {
    let made = make(&mut Input::new(data));
    let ours = Video::from_bytes(made.bytes.clone()).ok().and_then(|video| video.info());
    let ours = ours.map(|info| (info.width.zip(info.height), info.orientation, info.duration));
    made.check(EXCEPTIONS, ours.as_ref(), Clone::clone, other(&made.bytes))
}

/// What the other reader says: of the first track of pictures that is enabled, or of the first.
fn other(bytes: &[u8]) -> Option<Says> {
    let mp4 = Mp4::read_bytes(bytes).ok()?;
    let tracks = || mp4.moov.traks.iter().filter(|track| &track.mdia.hdlr.handler_type.value == b"vide");
    let track = tracks().find(|track| track.tkhd.flags & 1 == 1).or_else(|| tracks().next())?;
    let header = &mp4.moov.mvhd;
    let ticks = match &mp4.moov.mvex {
        None => known((header.duration, header.version)),
        Some(mvex) => mvex.mehd.as_ref().map(|mehd| (mehd.fragment_duration, mehd.version)).and_then(known),
    };
    Some((size_of(track), orientation_of(track), ticks.and_then(|ticks| time(ticks, header.timescale))))
}

fn known((ticks, version): (u64, u8)) -> Option<u64> {
    let all_ones = if version == 0 { u64::from(u32::MAX) } else { u64::MAX };
    Some(ticks).filter(|ticks| *ticks != all_ones)
}

fn size_of(track: &TrakBox) -> Option<(u32, u32)> {
    let (width, height) = (track.tkhd.width.value(), track.tkhd.height.value());
    (width > 0 && height > 0).then_some((width.into(), height.into()))
}

fn orientation_of(track: &TrakBox) -> Orientation {
    let matrix = &track.tkhd.matrix;
    orientation((matrix.a.signum(), matrix.b.signum()), (matrix.c.signum(), matrix.d.signum()))
}

/// In whole milliseconds; nothing where there is no time.
fn time(ticks: u64, scale: u32) -> Option<Duration> {
    if ticks == 0 || scale == 0 {
        return None;
    }
    let millis = u128::from(ticks) * 1_000 / u128::from(scale);
    Some(Duration::new(u64::try_from(millis / 1_000).ok()?, (millis % 1_000) as u32 * 1_000_000))
}

struct Track {
    kind: [u8; 4],
    is_enabled: bool,
    size: (u16, u16),
    coded: (u16, u16),
    matrix: [i32; 4],
}

fn make(input: &mut Input<'_>) -> Made<Says> {
    let tracks: Vec<Track> = (0..1 + input.below(3)).map(|place| track(input, place)).collect();
    let scale = input.pick(&[1_000, 1, 90_000, 600, u32::MAX, 0]);
    let fragments = input.maybe(|input| input.maybe(ticks));
    let (version, ticks) = ticks(input);
    let shown = tracks.iter().filter(|track| track.kind == *b"vide");
    let shown = shown.clone().find(|track| track.is_enabled).or_else(|| shown.clone().next());
    let mut odd = Vec::new();
    let mut says = shown.map(|track| {
        let is_filled = |(width, height): (u16, u16)| width > 0 && height > 0;
        let size = Some(track.size).filter(|size| is_filled(*size));
        if size.is_none() {
            odd.push("no size in the header");
        }
        let size = size.or(Some(track.coded).filter(|size| is_filled(*size)));
        let known = match &fragments {
            None => known((ticks, version)),
            Some(all) => all.and_then(|(version, ticks)| known((ticks, version))),
        };
        let [a, b, c, d] = track.matrix.map(i32::signum);
        let size = size.map(|(width, height)| (width.into(), height.into()));
        (size, orientation((a, b), (c, d)), known.and_then(|ticks| time(ticks, scale)))
    });
    if scale == 0 {
        odd.push("no clock");
    }
    let moov = moov(input, &tracks, (version, ticks), scale, fragments);
    let filling = vec![0; input.below(50)];
    let boxes = vec![moov, boxed(input, b"mdat", &filling), boxed(input, b"free", &filling)];
    let boxes = shuffled(input, boxes);
    let brand = input.pick(&[*b"isom", *b"mp42", *b"avc1", *b"iso5"]);
    let ftyp = [&24u32.to_be_bytes()[..], b"ftyp", &brand, &[0; 4], &brand, b"isom"].concat();
    let rest = level(input, boxes);
    let mut bytes = [&ftyp[..], &rest].concat();
    // Bytes are not changed: the other reader loops over sample tables of any length.
    if input.below(8) == 7 {
        bytes.truncate(input.number() as usize % bytes.len());
        says = None;
    }
    Made { bytes, says, odd }
}

/// A version of a box, and a duration as wide as it has it.
fn ticks(input: &mut Input<'_>) -> (u8, u64) {
    let version = input.below(2) as u8;
    let ticks = match input.below(5) {
        0 => 2_500,
        1 => input.pick(&[0, 1, u64::from(u32::MAX), u64::from(u32::MAX) - 1, u64::MAX, u64::MAX - 1]),
        2 => input.number(),
        _ => input.number() % 10_000_000,
    };
    (version, if version == 0 { ticks & u64::from(u32::MAX) } else { ticks })
}

fn track(input: &mut Input<'_>, place: usize) -> Track {
    let kind = if place == 0 {
        input.pick(&[*b"vide", *b"vide", *b"vide", *b"soun"])
    } else {
        input.pick(&[*b"soun", *b"vide", *b"text", *b"meta"])
    };
    let side = |input: &mut Input<'_>| input.pick(&[1_920, 640, 1, u16::MAX, 0x0100, 1_080, 7, 0]);
    let one = 0x1_0000;
    let matrices = [
        [one, 0, 0, one],
        [-one, 0, 0, one],
        [-one, 0, 0, -one],
        [one, 0, 0, -one],
        [0, one, one, 0],
        [0, one, -one, 0],
        [0, -one, -one, 0],
        [0, -one, one, 0],
    ];
    Track {
        kind,
        is_enabled: input.below(3) != 2,
        size: (side(input), side(input)),
        coded: (side(input), side(input)),
        matrix: input.pick(&matrices),
    }
}

fn long(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A number of 32 bits in version 0 of a box, of 64 in version 1.
fn wide_or_not(version: u8, number: u64) -> Vec<u8> {
    if version == 0 { (number as u32).to_be_bytes().to_vec() } else { number.to_be_bytes().to_vec() }
}

fn moov(
    input: &mut Input<'_>,
    tracks: &[Track],
    (version, ticks): (u8, u64),
    scale: u32,
    fragments: Option<Option<(u8, u64)>>,
) -> Vec<u8> {
    let moment = wide_or_not(version, 7);
    let unity = long(&[0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000]);
    let mvhd = [
        &full(version, 0)[..],
        &moment,
        &moment,
        &scale.to_be_bytes(),
        &wide_or_not(version, ticks),
        &long(&[0x1_0000, 0x100_0000, 0, 0]),
        &unity,
        &[0; 24],
        &99u32.to_be_bytes(),
    ];
    let mut boxes = vec![boxed(input, b"mvhd", &mvhd.concat())];
    for (place, track) in tracks.iter().enumerate() {
        boxes.push(trak(input, place as u32 + 1, track));
    }
    if let Some(all) = fragments {
        let trex = boxed(input, b"trex", &[full(0, 0), long(&[1, 1, 0, 0, 0])].concat());
        let mut extends = vec![trex];
        if let Some((version, ticks)) = all {
            extends
                .insert(0, boxed(input, b"mehd", &[full(version, 0), wide_or_not(version, ticks)].concat()));
        }
        let extends = level(input, extends);
        boxes.push(boxed(input, b"mvex", &extends));
    }
    // The tracks keep their order; the header and what extends it may come after them.
    if input.below(4) == 3 {
        boxes.rotate_left(1);
    }
    let content = level(input, boxes);
    boxed(input, b"moov", &content)
}

fn trak(input: &mut Input<'_>, id: u32, track: &Track) -> Vec<u8> {
    let version = input.below(2) as u8;
    let moment = wide_or_not(version, 7);
    let [a, b, c, d] = track.matrix.map(|number| number as u32);
    let fraction = u32::from(input.byte()) << 8;
    let tkhd = [
        &full(version, 6 | u32::from(track.is_enabled))[..],
        &moment,
        &moment,
        &id.to_be_bytes(),
        &[0; 4],
        &wide_or_not(version, 9),
        &[0; 16],
        &long(&[a, b, 0, c, d, 0, 0x500_0000, 0, 0x4000_0000]),
        &long(&[u32::from(track.size.0) << 16 | fraction, u32::from(track.size.1) << 16 | fraction]),
    ];
    let header = boxed(input, b"tkhd", &tkhd.concat());
    let media = mdia(input, track);
    let boxes = shuffled(input, vec![header, media]);
    let content = level(input, boxes);
    boxed(input, b"trak", &content)
}

fn mdia(input: &mut Input<'_>, track: &Track) -> Vec<u8> {
    let mdhd = boxed(input, b"mdhd", &[full(0, 0), long(&[7, 7, 30, 300, 0x55c4_0000])].concat());
    let name = input.pick(&[&b"\0"[..], b"VideoHandler\0", b""]);
    let hdlr = boxed(input, b"hdlr", &[&full(0, 0)[..], &[0; 4], &track.kind, &[0; 12], name].concat());
    let entry = [&[0; 24][..], &track.coded.0.to_be_bytes(), &track.coded.1.to_be_bytes(), &[0; 50]].concat();
    let entry = boxed(input, b"mp4v", &entry);
    let stsd = boxed(input, b"stsd", &[full(0, 0), long(&[1]), entry].concat());
    let empty = |kind: &[u8; 4], numbers: &[u32], input: &mut Input<'_>| {
        boxed(input, kind, &[full(0, 0), long(numbers)].concat())
    };
    let tables = vec![
        stsd,
        empty(b"stts", &[0], input),
        empty(b"stsc", &[0], input),
        empty(b"stsz", &[0, 0], input),
        empty(b"stco", &[0], input),
    ];
    let tables = level(input, tables);
    let stbl = boxed(input, b"stbl", &tables);
    let url = boxed(input, b"url ", &full(0, 1));
    let dref = boxed(input, b"dref", &[full(0, 0), long(&[1]), url].concat());
    let dinf = boxed(input, b"dinf", &dref);
    let vmhd = boxed(input, b"vmhd", &[full(0, 1), vec![0; 8]].concat());
    let minf = level(input, vec![vmhd, dinf, stbl]);
    let minf = boxed(input, b"minf", &minf);
    let boxes = shuffled(input, vec![mdhd, hdlr, minf]);
    let content = level(input, boxes);
    boxed(input, b"mdia", &content)
}
