//! WebP: a simple file, or one with a canvas and further chunks (RFC 9649; RFC 6386, section 9.1).

use std::io::{Read, Seek};

use super::blocks::{Blocks, Fault, Found};
use super::{Size, tiff};
use crate::media::Orientation;

/// Most chunks that are looked at for EXIF: it comes behind the picture, and behind every frame of an animation.
const MAX_CHUNKS: usize = 100;

pub(super) fn size<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>) -> Found<Size> {
    match &blocks.array::<4>(12)? {
        b"VP8 " => lossy(blocks.array(20)?),
        b"VP8L" => lossless(blocks.array(20)?),
        b"VP8X" => {
            let [flags, _, _, _, w0, w1, w2, h0, h1, h2] = blocks.array(20)?;
            let side = |a, b, c| u32::from_le_bytes([a, b, c, 0]) + 1;
            let orientation = if flags & 8 == 0 { Orientation::default() } else { exif(blocks)? };
            Ok(Size::new(side(w0, w1, w2), side(h0, h1, h2)).with(orientation))
        }
        _ => Err(Fault::Damaged),
    }
}

/// A key frame: three bytes of tag, three of start code, then 14 bits of each side with 2 bits of scale above them.
fn lossy(frame: [u8; 10]) -> Found<Size> {
    match frame {
        [tag, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] if tag & 1 == 0 => {
            let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            Ok(Size::new(side(w0, w1), side(h0, h1)))
        }
        _ => Err(Fault::Damaged),
    }
}

fn lossless([signature, bits @ ..]: [u8; 5]) -> Found<Size> {
    let bits = u32::from_le_bytes(bits);
    let side = |bits: u32| (bits & 0x3fff) + 1;
    match signature {
        0x2f => Ok(Size::new(side(bits), side(bits >> 14))),
        _ => Err(Fault::Damaged),
    }
}

fn exif<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>) -> Found<Orientation> {
    let mut at = 12u64;
    for _ in 0..MAX_CHUNKS {
        let Ok(head) = <[u8; 8]>::try_from(blocks.up_to(at, 8)?) else { break };
        let [kind @ .., a, b, c, d] = head;
        let length = u64::from(u32::from_le_bytes([a, b, c, d]));
        let (body, end) = (at + 8, at + 8 + length);
        if &kind == b"EXIF" {
            // Some programs put the head of a JPEG segment before it.
            let skip = if blocks.up_to(body, 6)? == b"Exif\0\0" { 6 } else { 0 };
            return tiff::orientation(blocks, body + skip, end);
        }
        at = end + length % 2;
    }
    Ok(Orientation::default())
}
