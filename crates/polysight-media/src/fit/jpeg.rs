//! JPEG: at full size, or reduced while it is decoded; CMYK as it is stored.

use bytes::Bytes;
use jpeg_decoder::PixelFormat;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::decode::{Channels, Decoded, Pixels, damaged, require_memory};
use super::{FitPlan, FitStep};

/// Most scans of a progressive JPEG: each costs a pass over the picture.
const MAX_SCANS: usize = 100;

pub(super) fn decode(
    bytes: &Bytes,
    plan: &FitPlan,
    max_memory: u64,
    steps: &mut Vec<FitStep>,
) -> Result<Decoded, String> {
    let header = Header::read(bytes).ok_or("it is cut off or damaged: it has no picture data")?;
    if header.sides != plan.from {
        return Err("it is not the picture that was planned".to_owned());
    }
    let pixels = u64::from(plan.from.0) * u64::from(plan.from.1);
    let reduction = if header.is_complete { u64::from(plan.reduction()) } else { 1 };
    let components = u64::from(header.components);
    let coefficients = if header.is_progressive { pixels * 2 * components } else { 0 };
    let decoded = pixels / (reduction * reduction) * components * if reduction > 1 { 2 } else { 1 };
    require_memory(coefficients + decoded, plan, max_memory)?;
    if header.scans > MAX_SCANS {
        return Err(format!("it has {} scans, and {MAX_SCANS} are read: save it anew", header.scans));
    }
    if header.components == 4 || reduction > 1 {
        reduced(bytes, plan, &header, steps)
    } else {
        full(bytes, &header)
    }
}

/// Whether the end of the picture is there, wherever the file ends.
pub(super) fn has_end(bytes: &[u8]) -> bool {
    Header::read(bytes).is_some_and(|header| header.is_complete)
}

/// At full size, by the faster decoder, which has no smaller ones and converts CMYK without a profile. Where the end mark is
/// missing it says whether anything else is: but for progressive pictures, whose last scan may always be one of more.
fn full(bytes: &Bytes, header: &Header) -> Result<Decoded, String> {
    let (channels, space) = match header.components {
        1 => (Channels::Grey, ColorSpace::Luma),
        _ => (Channels::Rgb, ColorSpace::RGB),
    };
    let side = usize::from(u16::MAX);
    let options = DecoderOptions::default()
        .set_max_width(side)
        .set_max_height(side)
        .set_strict_mode(!header.is_complete)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&**bytes), options);
    let data = decoder.decode().map_err(|error| match header.is_complete {
        true => damaged(format!("{error:?}")),
        false => "it is cut off: picture data are missing".to_owned(),
    })?;
    let (width, height) = header.sides;
    let (profile, exif) = (decoder.icc_profile(), decoder.exif().cloned());
    Ok(Decoded { pixels: Pixels { width, height, channels, data }, profile, exif })
}

/// At 1/2, 1/4 or 1/8 of its size, of which only those frequencies are computed that remain.
fn reduced(
    bytes: &Bytes,
    plan: &FitPlan,
    header: &Header,
    steps: &mut Vec<FitStep>,
) -> Result<Decoded, String> {
    let mut decoder = jpeg_decoder::Decoder::new(&**bytes);
    let side = |side: u32| u16::try_from(side.div_ceil(plan.reduction())).unwrap_or(u16::MAX);
    let (width, height) = decoder.scale(side(plan.from.0), side(plan.from.1)).map_err(damaged)?;
    let mut data = decoder.decode().map_err(damaged)?;
    if plan.reduction() > 1 {
        steps.push(FitStep::Reduced { by: plan.reduction() });
    }
    let format = decoder.info().map(|info| info.pixel_format);
    let channels = match format {
        Some(PixelFormat::L8) => Channels::Grey,
        Some(PixelFormat::RGB24) => Channels::Rgb,
        Some(PixelFormat::CMYK32) => Channels::Cmyk,
        _ => return Err("it has an unusual number of bits: save it anew".to_owned()),
    };
    if channels == Channels::Cmyk && !header.is_adobe {
        // The decoder takes all CMYK for that of Adobe's programs, which store its negative.
        data.iter_mut().for_each(|ink| *ink = 255 - *ink);
    }
    let (width, height) = (u32::from(width), u32::from(height));
    let (profile, exif) = (decoder.icc_profile(), decoder.exif_data().map(<[u8]>::to_vec));
    Ok(Decoded { pixels: Pixels { width, height, channels, data }, profile, exif })
}

/// What the segments say.
#[derive(Debug, Default)]
struct Header {
    sides: (u32, u32),
    components: u8,
    is_progressive: bool,
    is_adobe: bool,
    scans: usize,
    is_complete: bool,
}

impl Header {
    /// Walks over the segments and the data of the scans, to the end of the picture; `None` where there is no picture.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut header = Self::default();
        let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
        while let Some((marker, after)) = next_marker(rest) {
            rest = after;
            match marker {
                0xd9 => {
                    header.is_complete = true;
                    break;
                }
                0x01 | 0xd0..=0xd7 => continue,
                _ => {}
            }
            let Some(length) = rest.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)))
            else {
                break;
            };
            let Some((segment, after)) = rest.split_at_checked(length.max(2)) else { break };
            header.take(marker, segment.get(2..).unwrap_or_default());
            rest = after;
        }
        (header.scans > 0 && header.components > 0).then_some(header)
    }

    fn take(&mut self, marker: u8, segment: &[u8]) {
        match (marker, segment) {
            (0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf, [_, h1, h2, w1, w2, components, ..]) => {
                self.sides = (u16::from_be_bytes([*w1, *w2]).into(), u16::from_be_bytes([*h1, *h2]).into());
                self.components = *components;
                self.is_progressive = matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce);
            }
            (0xda, _) => self.scans += 1,
            (0xee, [b'A', b'd', b'o', b'b', b'e', ..]) => self.is_adobe = true,
            _ => {}
        }
    }
}

/// The next marker and what follows it. Inside the data of a scan 0xff stands before 0 or a restart marker only.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut rest = bytes;
    loop {
        let at = rest.iter().position(|byte| *byte == 0xff)?;
        rest = rest.get(at + 1..)?;
        match rest.first()? {
            0 | 0xff => {}
            marker => return Some((*marker, rest.get(1..)?)),
        }
    }
}
