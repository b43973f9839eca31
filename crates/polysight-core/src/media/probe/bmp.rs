//! BMP: Windows and OS/2 bitmaps.

use std::io::{Read, Seek};

use super::Size;
use super::blocks::{Blocks, Fault, Found};

/// Says whether content begins like a bitmap. `BM` alone may be the beginning of a text; the length of the second header
/// has few values.
pub(super) fn begins(head: &[u8]) -> bool {
    let length = head.get(14..18).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    head.starts_with(b"BM") && matches!(length, Some(12 | 16 | 40 | 52 | 56 | 64 | 108 | 124))
}

/// Sizes of 16 bits in the short header of OS/2, of 32 bits in all others; a negative height is of rows from top to
/// bottom.
pub(super) fn size<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>) -> Found<Size> {
    if blocks.u8(14)? == 12 {
        let side = |bytes| u32::from(u16::from_le_bytes(bytes));
        return Ok(Size::new(side(blocks.array(18)?), side(blocks.array(20)?)));
    }
    let (width, height) = (i32::from_le_bytes(blocks.array(18)?), i32::from_le_bytes(blocks.array(22)?));
    let width = u32::try_from(width).map_err(|_| Fault::Damaged)?;
    Ok(Size::new(width, height.checked_abs().ok_or(Fault::Damaged)?.unsigned_abs()))
}
