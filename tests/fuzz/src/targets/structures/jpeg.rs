//! JPEG segments (ITU-T T.81, annex B), against `imagesize`.

use polysight_core::Image;
use polysight_core::media::Orientation;

use super::{Exception, Made, damage};
use crate::input::Input;

/// What `imagesize` reads otherwise.
const EXCEPTIONS: &[Exception] = &[
    ("fill bytes", "any number of FF may stand before a marker (B.1.1.2): taken for a marker with a length"),
    ("a marker alone", "TEM and RST have no length (B.1.1.3): the next two bytes are taken for one"),
    ("stuffed bytes", "FF 00 is no marker: taken for one with a length"),
    ("a picture within", "a start within the picture counts as one more to close, and its frame as none"),
];

/// Width, height and orientation.
type Says = (u32, u32, Orientation);

pub(crate) fn check(data: &[u8]) {
    compare(data);
}

pub(super) fn compare(data: &[u8]) -> bool {
    let made = make(&mut Input::new(data));
    let ours = Image::from_bytes(made.bytes.clone()).ok().and_then(|image| image.info());
    let ours = ours.map(|info| (info.width, info.height, info.orientation));
    let other = imagesize::blob_size(&made.bytes).ok().map(|size| (size.width as u32, size.height as u32));
    made.check(EXCEPTIONS, ours.as_ref(), |says| (says.0, says.1), other)
}

fn make(input: &mut Input<'_>) -> Made<Says> {
    let mut made = Made { bytes: vec![0xff, 0xd8], says: None, odd: Vec::new() };
    let mut orientation = None;
    let mut is_whole = true;
    for _ in 0..input.below(9) {
        is_whole &= piece(input, &mut made, &mut orientation);
    }
    if input.below(6) == 5 && made.bytes.len() > 2 {
        made.odd.push("fill bytes");
        made.bytes.extend(vec![0xff; 1 + input.below(700)]);
    }
    let (width, height) = (side(input), side(input));
    frame(input, &mut made.bytes, width, height);
    // The size is read by here: what follows says nothing.
    let end = made.bytes.len();
    made.bytes.extend_from_slice(input.pick(&[
        &b"\xff\xda\0\x08\x01\0\0\0\x3f\0"[..],
        b"\xff\xd9",
        b"\xff\xc0\0\x08\x08\0\x01\0\x01\0",
        b"",
    ]));
    is_whole &= damage(input, &mut made.bytes) >= end;
    if is_whole && width > 0 && height > 0 {
        made.says = Some((u32::from(width), u32::from(height), orientation.unwrap_or_default()));
    }
    made
}

fn side(input: &mut Input<'_>) -> u16 {
    match input.below(4) {
        0 => 1 + u16::from(input.byte()),
        1 => input.pick(&[1, 0xff, 0xff00, 0xffff, 0, 8, 0xd9, 0xffd8]),
        _ => input.number() as u16 | 1,
    }
}

fn frame(input: &mut Input<'_>, bytes: &mut Vec<u8>, width: u16, height: u16) {
    let kinds = [0xc0, 0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf];
    bytes.extend([0xff, input.pick(&kinds)]);
    let parts = 1 + input.below(4);
    bytes.extend((8 + 3 * parts as u16).to_be_bytes());
    bytes.push(input.pick(&[8, 12]));
    bytes.extend(height.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.push(parts as u8);
    bytes.extend([1, 0x11, 0].repeat(parts));
}

/// Adds something before the frame; false where the picture is damaged by it.
fn piece(input: &mut Input<'_>, made: &mut Made<Says>, orientation: &mut Option<Orientation>) -> bool {
    let bytes = &mut made.bytes;
    match input.below(10) {
        0 => {
            let (number, content) = exif(input);
            orientation.get_or_insert(number);
            segment(bytes, 0xe1, &content);
        }
        1 if bytes.len() > 2 => {
            made.odd.push("a marker alone");
            bytes.extend([0xff, input.pick(&[0x01, 0xd0, 0xd3, 0xd7])]);
        }
        2 if bytes.len() > 2 => {
            // Decoders pass over what stands between segments.
            made.odd.push("stuffed bytes");
            bytes.extend(input.pick(&[&b"\0"[..], b"\x01\x02\x03", b"\xff\0", b"\xff\0\xff\0\x07"]));
        }
        3 => {
            let mut thumbnail = vec![0xff, 0xd8];
            frame(input, &mut thumbnail, 160, 120);
            thumbnail.extend([0xff, 0xd9]);
            segment(bytes, 0xe2, &[&b"MPF\0"[..], &thumbnail].concat());
        }
        4 if input.below(8) == 7 => {
            let length = input.pick(&[0u16, 1]);
            bytes.extend([&[0xff, 0xfe][..], &length.to_be_bytes()].concat());
            return false;
        }
        5 if input.below(8) == 7 => {
            made.odd.push("a picture within");
            bytes.extend([0xff, 0xd8]);
            return false;
        }
        _ => {
            let kinds =
                [0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xdb, 0xc4, 0xc8, 0xcc, 0xdd, 0xde, 0xdf, 0xf0, 0xfe];
            let length = input.pick(&[0, 1, 5, 14, 300, 505, 512, 4_000, 65_533]);
            segment(bytes, input.pick(&kinds), &vec![input.byte(); length]);
        }
    }
    true
}

fn segment(bytes: &mut Vec<u8>, marker: u8, content: &[u8]) {
    bytes.extend([0xff, marker]);
    bytes.extend((content.len() as u16 + 2).to_be_bytes());
    bytes.extend(content);
}

/// An EXIF block in either byte order, with other tags around that of the orientation.
fn exif(input: &mut Input<'_>) -> (Orientation, Vec<u8>) {
    let is_big = input.flag();
    let short = |number: u16| if is_big { number.to_be_bytes() } else { number.to_le_bytes() };
    let long = |number: u32| if is_big { number.to_be_bytes() } else { number.to_le_bytes() };
    let number = 1 + input.below(8) as u16;
    let entry =
        |tag: u16, value: u16| [&short(tag)[..], &short(3), &long(1), &short(value), &[0; 2]].concat();
    let mut entries = vec![entry(0x0112, number)];
    for _ in 0..input.below(4) {
        entries.push(entry(input.pick(&[0x010f, 0x0110, 0x0128, 0x8769]), u16::from(input.byte())));
    }
    let gap = input.below(20);
    let block = [
        if is_big { &b"MM\0*"[..] } else { b"II*\0" },
        &long(8 + gap as u32),
        &vec![0xff; gap],
        &short(entries.len() as u16),
        &super::shuffled(input, entries).concat(),
        &long(0),
    ];
    let orientation = Orientation::from_exif(number.into()).expect("1 to 8");
    (orientation, [&b"Exif\0\0"[..], &block.concat()].concat())
}
