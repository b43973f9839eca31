//! PNG: the header chunk, and the EXIF chunk where it comes before the picture (PNG, third edition, 2025).

use std::io::{Read, Seek};

use super::blocks::{Blocks, Fault, Found};
use super::{Size, tiff};
use crate::media::Orientation;

/// Most chunks that are looked at before the picture's data.
const MAX_CHUNKS: usize = 100;

pub(super) fn size<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>) -> Found<Size> {
    match &blocks.array::<8>(8)? {
        [0, 0, 0, 13, b'I', b'H', b'D', b'R'] => {}
        [_, _, _, _, b'C', b'g', b'B', b'I'] => {
            return Err(Fault::Refused(
                "it is a PNG of Apple's own kind (CgBI), which is not a standard PNG: save it as an ordinary PNG",
            ));
        }
        _ => return Err(Fault::Damaged),
    }
    let size = Size::new(blocks.u32(16)?, blocks.u32(20)?);
    Ok(size.with(orientation(blocks)?))
}

fn orientation<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>) -> Found<Orientation> {
    let mut at = 33u64;
    for _ in 0..MAX_CHUNKS {
        let Ok(head) = <[u8; 8]>::try_from(blocks.up_to(at, 8)?) else { break };
        let [a, b, c, d, kind @ ..] = head;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        match &kind {
            b"eXIf" => return tiff::orientation(blocks, at + 8, at + 8 + length),
            b"IDAT" | b"IEND" => break,
            _ => at += 12 + length,
        }
    }
    Ok(Orientation::default())
}
