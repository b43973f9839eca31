//! Matroska and WebM (RFC 9559): playing time, size, rotation, codec, frame rate.

use polysight_core::media::Orientation;

use super::input::{Fault, Input, number};
use super::{Facts, seconds, shown};

const SEGMENT: u64 = 0x1853_8067;
const INFO: u64 = 0x1549_a966;
const TIMESTAMP_SCALE: u64 = 0x2a_d7b1;
const DURATION: u64 = 0x4489;
const TRACKS: u64 = 0x1654_ae6b;
const TRACK_ENTRY: u64 = 0xae;
const TRACK_TYPE: u64 = 0x83;
const CODEC_ID: u64 = 0x86;
const DEFAULT_DURATION: u64 = 0x23_e383;
const VIDEO: u64 = 0xe0;
const PIXEL_WIDTH: u64 = 0xb0;
const PIXEL_HEIGHT: u64 = 0xba;
const PROJECTION: u64 = 0x7670;
const PROJECTION_TYPE: u64 = 0x7671;
const PROJECTION_POSE_YAW: u64 = 0x7673;
const PROJECTION_POSE_PITCH: u64 = 0x7674;
const PROJECTION_POSE_ROLL: u64 = 0x7675;
const CLUSTER: u64 = 0x1f43_b675;

/// Elements before the first cluster, more of which are no video.
const MAX_ELEMENTS: usize = 4_096;

/// An element: its id, and where its content is.
#[derive(Debug, Clone, Copy)]
struct Element {
    id: u64,
    body: u64,
    end: u64,
}

pub(super) fn read(input: &mut Input<'_>) -> Result<Facts, Fault> {
    let mut at = 0;
    let segment = loop {
        match next(input, at, input.length())? {
            Some(element) if element.id == SEGMENT => break element,
            Some(element) => at = element.end,
            None => return Err(Fault::Damaged),
        }
    };
    let mut facts = Facts::default();
    let mut has_tracks = false;
    for element in children(input, segment, |id| id == CLUSTER)? {
        match element.id {
            INFO => facts.duration = duration(input, element)?,
            TRACKS => has_tracks = take_video(input, element, &mut facts)?,
            _ => {}
        }
    }
    if has_tracks { Ok(facts) } else { Err(Fault::NoVideo) }
}

/// A number of one to eight bytes, as many as the first byte has leading zeros and one more, and its length.
fn variable(input: &mut Input<'_>, at: u64, end: u64) -> Result<Option<(u64, u64)>, Fault> {
    let bytes = input.piece(at, end, 8)?;
    let length = bytes.first().map_or(9, |first| first.leading_zeros() as usize + 1);
    Ok(bytes.get(..length).filter(|_| length <= 8).map(|bytes| (number(bytes), length as u64)))
}

/// The element at this place; `None` at the end, and where what follows is none.
fn next(input: &mut Input<'_>, at: u64, end: u64) -> Result<Option<Element>, Fault> {
    if at >= end {
        return Ok(None);
    }
    let Some((id, width)) = variable(input, at, end)? else { return Ok(None) };
    let Some((marked, length)) = variable(input, at + width, end)? else { return Ok(None) };
    let body = at + width + length;
    let mark = 1u64 << (7 * length);
    // All ones: the length is unknown, as in what is recorded live.
    let size = if marked == 2 * mark - 1 { u64::MAX } else { marked ^ mark };
    Ok(Some(Element { id, body, end: body.saturating_add(size).min(end) }))
}

fn children(
    input: &mut Input<'_>,
    parent: Element,
    stop: impl Fn(u64) -> bool,
) -> Result<Vec<Element>, Fault> {
    let mut found = Vec::new();
    let mut at = parent.body;
    while let Some(element) = next(input, at, parent.end)? {
        if stop(element.id) {
            break;
        }
        if found.len() == MAX_ELEMENTS {
            return Err(Fault::TooLong);
        }
        at = element.end;
        found.push(element);
    }
    Ok(found)
}

fn bytes(input: &mut Input<'_>, element: Element) -> Result<Vec<u8>, Fault> {
    input.piece(element.body, element.end, 64)
}

/// The duration counts in units of the scale, which is in nanoseconds; by default a millisecond.
fn duration(input: &mut Input<'_>, info: Element) -> Result<Option<std::time::Duration>, Fault> {
    let (mut scale, mut units) = (1_000_000.0, None);
    for element in children(input, info, |_| false)? {
        match element.id {
            TIMESTAMP_SCALE => scale = number(&bytes(input, element)?) as f64,
            DURATION => units = float(&bytes(input, element)?),
            _ => {}
        }
    }
    Ok(units.and_then(|units| seconds(units * scale / 1e9)))
}

fn float(bytes: &[u8]) -> Option<f64> {
    match bytes.len() {
        4 => bytes.try_into().ok().map(f32::from_be_bytes).map(f64::from),
        8 => bytes.try_into().ok().map(f64::from_be_bytes),
        _ => None,
    }
}

/// Takes what the first video track says; says whether there is one.
fn take_video(input: &mut Input<'_>, tracks: Element, facts: &mut Facts) -> Result<bool, Fault> {
    for entry in children(input, tracks, |_| false)? {
        if entry.id != TRACK_ENTRY {
            continue;
        }
        let fields = children(input, entry, |_| false)?;
        let mut is_video = false;
        for field in fields.iter().filter(|field| field.id == TRACK_TYPE) {
            is_video |= number(&bytes(input, *field)?) == 1;
        }
        if !is_video {
            continue;
        }
        for field in fields {
            match field.id {
                CODEC_ID => facts.codec = shown(&bytes(input, field)?),
                DEFAULT_DURATION => facts.frame_rate = Some(1e9 / number(&bytes(input, field)?) as f64),
                VIDEO => take_pictures(input, field, facts)?,
                _ => {}
            }
        }
        return Ok(true);
    }
    Ok(false)
}

/// What is said of the pictures themselves.
fn take_pictures(input: &mut Input<'_>, video: Element, facts: &mut Facts) -> Result<(), Fault> {
    let (mut width, mut height) = (0, 0);
    for element in children(input, video, |_| false)? {
        match element.id {
            PIXEL_WIDTH => width = number(&bytes(input, element)?),
            PIXEL_HEIGHT => height = number(&bytes(input, element)?),
            PROJECTION => facts.orientation = orientation(input, element)?,
            _ => {}
        }
    }
    let side = |side: u64| u32::try_from(side).ok().filter(|side| *side > 0);
    facts.size = side(width).zip(side(height));
    Ok(())
}

/// How pictures lie that are flat: by quarter turns, after left and right have changed places where they do. `None` for what
/// surrounds the viewer, or leans.
fn orientation(input: &mut Input<'_>, projection: Element) -> Result<Option<Orientation>, Fault> {
    let (mut kind, mut yaw, mut pitch, mut roll) = (0, 0.0, 0.0, 0.0);
    for element in children(input, projection, |_| false)? {
        let content = bytes(input, element)?;
        let angle = float(&content).unwrap_or_default();
        match element.id {
            PROJECTION_TYPE => kind = number(&content),
            PROJECTION_POSE_YAW => yaw = angle,
            PROJECTION_POSE_PITCH => pitch = angle,
            PROJECTION_POSE_ROLL => roll = angle,
            _ => {}
        }
    }
    let (is_flat, is_mirrored) = (kind == 0 && pitch == 0.0, yaw.abs() == 180.0);
    if !is_flat || !(is_mirrored || yaw == 0.0) || roll % 90.0 != 0.0 {
        return Ok(None);
    }
    // Degrees against the clock, from -180 to 180.
    let turned = match (roll as i32).rem_euclid(360) {
        0 => (Orientation::Upright, Orientation::Mirrored),
        90 => (Orientation::Rotated270, Orientation::Transposed),
        180 => (Orientation::Rotated180, Orientation::Flipped),
        _ => (Orientation::Rotated90, Orientation::Transversed),
    };
    Ok(Some(if is_mirrored { turned.1 } else { turned.0 }))
}
