//! JPEG: marker segments up to the frame header (ITU-T T.81, annex B).

use std::io::{Read, Seek};

use super::blocks::{Blocks, Fault, Found};
use super::{Size, tiff};
use crate::media::Orientation;

/// The size in the first frame header, and the orientation in the first EXIF segment before it.
pub(super) fn size<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>) -> Found<Size> {
    let mut at = 2;
    let mut orientation = None;
    loop {
        let (marker, body) = next_marker(blocks, at)?;
        match marker {
            // TEM and RST stand alone.
            0x01 | 0xd0..=0xd7 => at = body,
            // Another start, the end, or a scan without a frame.
            0xd8..=0xda => return Err(Fault::Damaged),
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let (height, width) = (blocks.u16(body + 3)?, blocks.u16(body + 5)?);
                let size = Size::new(u32::from(width), u32::from(height));
                return Ok(size.with(orientation.unwrap_or_default()));
            }
            _ => {
                let length = u64::from(blocks.u16(body)?);
                if length < 2 {
                    return Err(Fault::Damaged);
                }
                if marker == 0xe1 && orientation.is_none() {
                    orientation = exif(blocks, body + 2, body + length)?;
                }
                at = body + length;
            }
        }
    }
}

/// The next marker, and the position behind it. Any number of fill bytes may stand before it (T.81, B.1.1.2). Other bytes
/// between segments break the standard, and are passed over as decoders do.
fn next_marker<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>, mut at: u64) -> Found<(u8, u64)> {
    loop {
        let fill = blocks.find(at, |byte| byte == 0xff)?;
        at = blocks.find(fill, |byte| byte != 0xff)? + 1;
        match blocks.u8(at - 1)? {
            0 => {}
            marker => return Ok((marker, at)),
        }
    }
}

/// The orientation in an application segment, where it holds EXIF.
fn exif<R: Read + Seek + ?Sized>(
    blocks: &mut Blocks<'_, R>,
    at: u64,
    end: u64,
) -> Found<Option<Orientation>> {
    if end - at < 6 || blocks.up_to(at, 6)? != b"Exif\0\0" {
        return Ok(None);
    }
    tiff::orientation(blocks, at + 6, end).map(Some)
}
