//! TIFF, and the EXIF block, which is laid out as a TIFF file (TIFF 6.0; BigTIFF; EXIF 2.32).

use std::io::{Read, Seek};

use super::Size;
use super::blocks::{Blocks, Fault, Found};
use crate::media::Orientation;

const RAW: &str = "it is a raw photograph: save it as JPEG or PNG";

/// Says whether content begins like a TIFF file.
pub(super) fn begins(head: &[u8]) -> bool {
    matches!(head.get(..4), Some(b"II*\0" | b"MM\0*" | b"II+\0" | b"MM\0+"))
}

/// The size and orientation of the first picture.
pub(super) fn size<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>) -> Found<Size> {
    // Canon's raw photographs say so behind the position of their first directory, which holds a small preview.
    if blocks.up_to(8, 4)? == b"CR\x02\0" {
        return Err(Fault::Refused(RAW));
    }
    let tags = Tags::read(blocks, 0, u64::MAX)?;
    let is_preview = tags.subfile & 1 == 1 && tags.has_others_inside;
    if tags.is_dng || is_preview {
        return Err(Fault::Refused(RAW));
    }
    match (tags.width, tags.height) {
        (Some(width), Some(height)) => Ok(Size::new(width, height).with(tags.orientation)),
        _ => Err(Fault::Damaged),
    }
}

/// The orientation in an EXIF block between two positions; upright where the block is damaged or has none.
pub(super) fn orientation<R: Read + Seek + ?Sized>(
    blocks: &mut Blocks<'_, R>,
    base: u64,
    end: u64,
) -> Found<Orientation> {
    match Tags::read(blocks, base, end) {
        Ok(tags) => Ok(tags.orientation),
        Err(Fault::Damaged) => Ok(Orientation::default()),
        Err(fault) => Err(fault),
    }
}

/// What the first directory says.
#[derive(Debug, Default)]
struct Tags {
    width: Option<u32>,
    height: Option<u32>,
    orientation: Orientation,
    subfile: u32,
    has_others_inside: bool,
    is_dng: bool,
}

impl Tags {
    fn read<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>, base: u64, end: u64) -> Found<Self> {
        let layout = Layout::read(blocks, base)?;
        let at = base.saturating_add(layout.directory);
        let mut tags = Self::default();
        let count = layout.number(&blocks.bytes(at, layout.count_len)?);
        let first = at.saturating_add(layout.count_len as u64);
        for index in 0..count {
            let entry = first.saturating_add(index.saturating_mul(layout.entry_len as u64));
            if entry.saturating_add(layout.entry_len as u64) > end {
                return Err(Fault::Damaged);
            }
            tags.take(&layout, &blocks.bytes(entry, layout.entry_len)?);
        }
        Ok(tags)
    }

    fn take(&mut self, layout: &Layout, entry: &[u8]) {
        let tag = layout.number(entry.get(..2).unwrap_or_default());
        let value = layout.value(entry);
        match tag {
            0x00fe => self.subfile = value.unwrap_or_default(),
            0x0100 => self.width = value,
            0x0101 => self.height = value,
            0x0112 => self.orientation = value.and_then(Orientation::from_exif).unwrap_or_default(),
            0x014a => self.has_others_inside = true,
            0xc612 => self.is_dng = true,
            _ => {}
        }
    }
}

/// Byte order, and how wide numbers are.
struct Layout {
    is_big_endian: bool,
    count_len: usize,
    entry_len: usize,
    directory: u64,
}

impl Layout {
    fn read<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>, base: u64) -> Found<Self> {
        let head = blocks.array::<4>(base)?;
        if !begins(&head) {
            return Err(Fault::Damaged);
        }
        let is_big_endian = head.starts_with(b"MM");
        let is_wide = head.contains(&b'+');
        let (count_len, entry_len, at, len) = if is_wide { (8, 20, 8, 8) } else { (2, 12, 4, 4) };
        let mut layout = Self { is_big_endian, count_len, entry_len, directory: 0 };
        layout.directory = layout.number(&blocks.bytes(base.saturating_add(at), len)?);
        Ok(layout)
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        if self.is_big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    }

    /// The first number of an entry, where it stands in the entry itself.
    fn value(&self, entry: &[u8]) -> Option<u32> {
        let length = match self.number(entry.get(2..4)?) {
            1 => 1,
            3 => 2,
            4 => 4,
            16 if self.entry_len == 20 => 8,
            _ => return None,
        };
        let value = if self.entry_len == 20 { entry.get(12..)? } else { entry.get(8..)? };
        u32::try_from(self.number(value.get(..length)?)).ok()
    }
}
