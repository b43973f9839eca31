//! GIF: the logical screen, or the first frame where the screen is empty (GIF89a specification).

use std::io::{Read, Seek};

use super::Size;
use super::blocks::{Blocks, Fault, Found};

pub(super) fn size<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>) -> Found<Size> {
    let [w0, w1, h0, h1, flags] = blocks.array(6)?;
    let screen = Size::new(side(w0, w1), side(h0, h1));
    if screen.width > 0 && screen.height > 0 {
        return Ok(screen);
    }
    // Viewers then take the screen to be as large as what is drawn first.
    let frame = first_frame(blocks, 13 + colours(flags))?;
    Ok(Size::new(screen.width.max(frame.width), screen.height.max(frame.height)))
}

/// Length of a colour table, in bytes.
fn colours(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Right and lower edge of the first frame.
fn first_frame<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>, mut at: u64) -> Found<Size> {
    loop {
        match blocks.u8(at)? {
            b',' => {
                let [x0, x1, y0, y1, w0, w1, h0, h1] = blocks.array(at + 1)?;
                let (width, height) = (side(w0, w1), side(h0, h1));
                if width == 0 || height == 0 {
                    return Err(Fault::Damaged);
                }
                return Ok(Size::new(side(x0, x1) + width, side(y0, y1) + height));
            }
            b'!' => {
                at += 2;
                loop {
                    let length = u64::from(blocks.u8(at)?);
                    at += 1 + length;
                    if length == 0 {
                        break;
                    }
                }
            }
            _ => return Err(Fault::Damaged),
        }
    }
}

fn side(low: u8, high: u8) -> u32 {
    u32::from(u16::from_le_bytes([low, high]))
}
