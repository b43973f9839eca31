//! Whether a picture is there to its end: a look at its end, and decoding only where that is not as it should be.

use std::io::{Read, Result, Seek, SeekFrom};

use polysight_core::{Image, ImageFormat};

use super::{FitPlan, FitSettings};

/// Where the last piece of a picture stands, which other programs' additions may follow, in bytes from the end.
const TAIL: u64 = 4 << 10;

/// Most boxes of a HEIF file that are walked over.
const MAX_BOXES: usize = 1_000;

/// How a picture is to be decoded that seems to be cut off, to find out whether it is; `None` where its end is there. Encoders that
/// leave out an end mark exist, and what cannot be decoded in this build or within its memory is not proven: both pass.
///
/// It reads the end of a file.
pub(super) fn suspicion(image: &Image, settings: &FitSettings) -> Option<FitPlan> {
    let (info, length) = (image.info()?, image.source().byte_len()?);
    // What cannot be read is said by sending, which reads it too.
    let mut reader = image.source().reader()?.ok()?;
    let has_end = has_end(&mut reader, info.format, length).unwrap_or(true);
    if has_end { None } else { FitPlan::as_it_is(info, length, settings) }
}

/// Whether a picture ends as its format says. True also where the format says nothing.
fn has_end(reader: &mut (impl Read + Seek), format: ImageFormat, length: u64) -> Result<bool> {
    match format {
        ImageFormat::Jpeg => Ok(without_padding(&tail(reader, length)?).ends_with(&[0xff, 0xd9])),
        ImageFormat::Gif => Ok(without_padding(&tail(reader, length)?).ends_with(b";")),
        ImageFormat::Png => Ok(tail(reader, length)?.windows(4).any(|name| name == b"IEND")),
        ImageFormat::WebP => Ok(u64::from(u32::from_le_bytes(at(reader, 4)?)) + 8 <= length),
        ImageFormat::Bmp => Ok(u64::from(u32::from_le_bytes(at(reader, 2)?)) <= length),
        ImageFormat::Heic | ImageFormat::Avif => boxes_end(reader, length),
        _ => Ok(true),
    }
}

fn tail(reader: &mut (impl Read + Seek), length: u64) -> Result<Vec<u8>> {
    reader.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    reader.take(TAIL).read_to_end(&mut tail)?;
    Ok(tail)
}

/// Cameras fill files up to a round length.
fn without_padding(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}

fn at<const N: usize>(reader: &mut (impl Read + Seek), place: u64) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.seek(SeekFrom::Start(place))?;
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Whether the boxes of a HEIF file end where the file does.
fn boxes_end(reader: &mut (impl Read + Seek), length: u64) -> Result<bool> {
    let mut place = 0;
    for _ in 0..MAX_BOXES {
        if place + 8 > length {
            break;
        }
        let size = match u32::from_be_bytes(at(reader, place)?) {
            // To the end of the file, whatever that is.
            0 => return Ok(true),
            1 => u64::from_be_bytes(at(reader, place + 8)?),
            size => size.into(),
        };
        place = place.saturating_add(size.max(8));
    }
    Ok(place <= length)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn ends(bytes: &[u8], format: ImageFormat) -> bool {
        has_end(&mut Cursor::new(bytes), format, bytes.len() as u64).unwrap()
    }

    #[test]
    fn each_format_has_its_end() {
        let webp = [&b"RIFF"[..], &8u32.to_le_bytes(), b"WEBPdata"].concat();
        let bmp = [&b"BM"[..], &10u32.to_le_bytes(), b"data"].concat();
        let heic = [&8u32.to_be_bytes()[..], b"ftyp", &9u32.to_be_bytes(), b"mdat", b"x"].concat();
        for (format, whole) in [
            (ImageFormat::Jpeg, &b"\xff\xd8..\xff\xd9"[..]),
            (ImageFormat::Gif, b"GIF89a..;"),
            (ImageFormat::Png, b"....IEND"),
            (ImageFormat::WebP, &webp),
            (ImageFormat::Bmp, &bmp),
            (ImageFormat::Heic, &heic),
        ] {
            assert!(ends(whole, format), "{format}");
            assert!(!ends(&whole[..whole.len() - 1], format), "{format}");
            assert!(ends(&[whole, &[0; 100]].concat(), format), "{format} with padding");
        }
    }
}
