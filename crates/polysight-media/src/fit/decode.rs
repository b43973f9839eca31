//! Decoders, with caps on what they may take.

use std::io::{BufRead, Cursor, Read, Seek, SeekFrom};

use bytes::Bytes;
use image::codecs::{
    bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder,
};
use image::{AnimationDecoder as _, ColorType, DynamicImage, ExtendedColorType, ImageDecoder};
use polysight_core::ImageFormat;

use super::scale::STRIP;
use super::{Cancel, FitPlan, FitStep, jpeg};

/// Largest colour profile that is read, in bytes.
const MAX_PROFILE: usize = 4 << 20;

/// What a pixel is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channels {
    Grey,
    Rgb,
    Rgba,
    /// Ink, 255 for all of it.
    Cmyk,
}

impl Channels {
    pub(super) fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }
}

/// A decoded picture, row by row, a byte a channel.
#[derive(Debug)]
pub(super) struct Pixels {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: Channels,
    pub(super) data: Vec<u8>,
}

/// A decoded picture and what came with it.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) pixels: Pixels,
    pub(super) profile: Option<Vec<u8>>,
    pub(super) exif: Option<Vec<u8>>,
}

/// Decodes a picture; `max_memory` is in bytes. What happened on the way is added to `steps`.
pub(super) fn decode(
    bytes: &Bytes,
    plan: &FitPlan,
    max_memory: u64,
    cancel: &Cancel,
    steps: &mut Vec<FitStep>,
) -> Result<Decoded, String> {
    let reader = || Interruptible { inner: Cursor::new(bytes.clone()), cancel: cancel.clone() };
    match plan.from_format {
        ImageFormat::Jpeg => jpeg::decode(bytes, plan, max_memory, steps),
        #[cfg(feature = "heic")]
        ImageFormat::Heic => super::heic::decode(bytes, plan, max_memory, steps),
        #[cfg(feature = "avif")]
        ImageFormat::Avif => super::avif::decode(bytes, plan, max_memory, steps),
        ImageFormat::Png => {
            // Counted are the profile and texts, which may unpack to a thousand times their length, and some rows.
            let rows = u64::from(plan.from.0).saturating_mul(64);
            let mut limits = image::Limits::no_limits();
            limits.max_alloc = Some(rows + MAX_PROFILE as u64);
            with(PngDecoder::with_limits(reader(), limits), plan, max_memory, steps)
        }
        ImageFormat::WebP => WebPDecoder::new(reader()).map_err(damaged).and_then(|decoder| {
            if decoder.has_animation() {
                steps.push(FitStep::FirstFrame);
            }
            with(Ok(decoder), plan, max_memory, steps)
        }),
        ImageFormat::Gif => with(GifDecoder::new(reader()), plan, max_memory, steps).inspect(|_| {
            let frames = GifDecoder::new(reader()).map(|decoder| decoder.into_frames().nth(1));
            if matches!(frames, Ok(Some(Ok(_)))) {
                steps.push(FitStep::FirstFrame);
            }
        }),
        ImageFormat::Bmp => with(BmpDecoder::new(reader()), plan, max_memory, steps),
        ImageFormat::Tiff => with(TiffDecoder::new(reader()), plan, max_memory, steps),
        other => Err(format!("{other} is not decoded in this build")),
    }
}

fn with(
    decoder: image::ImageResult<impl ImageDecoder>,
    plan: &FitPlan,
    max_memory: u64,
    steps: &mut Vec<FitStep>,
) -> Result<Decoded, String> {
    let mut decoder = decoder.map_err(damaged)?;
    if decoder.dimensions() != plan.from {
        return Err("it is not the picture that was planned".to_owned());
    }
    let color = decoder.color_type();
    let pixels = u64::from(plan.from.0) * u64::from(plan.from.1);
    // What is not 8 bits a channel is converted, beside the original.
    let converted = if to_channels(color).is_some() { 0 } else { pixels * 4 };
    require_memory(decoder.total_bytes() + converted, plan, max_memory)?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(max_memory);
    decoder.set_limits(limits).map_err(damaged)?;
    let profile = decoder.icc_profile().ok().flatten().filter(|profile| profile.len() <= MAX_PROFILE);
    if matches!(decoder.original_color_type(), ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16) {
        steps.push(FitStep::CmykWithoutProfile);
    }
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    if color.bytes_per_pixel() > color.channel_count() {
        steps.push(FitStep::EightBits);
    }
    Ok(Decoded { pixels: to_pixels(image), profile, exif: None })
}

/// Refuses a picture that takes more memory than allowed, before it is decoded.
pub(super) fn require_memory(decoded: u64, plan: &FitPlan, max_memory: u64) -> Result<(), String> {
    let (width, height) = plan.stored_content();
    let scaled = STRIP + u64::from(width) * u64::from(height) * 8;
    let needed = decoded.saturating_add(scaled).saturating_add(plan.from_bytes);
    if needed <= max_memory {
        return Ok(());
    }
    Err(format!(
        "it takes {} MiB of memory, and {} are allowed: make it smaller, or raise max_memory",
        needed.div_ceil(1 << 20),
        max_memory >> 20
    ))
}

fn to_channels(color: ColorType) -> Option<Channels> {
    match color {
        ColorType::L8 => Some(Channels::Grey),
        ColorType::Rgb8 => Some(Channels::Rgb),
        ColorType::Rgba8 => Some(Channels::Rgba),
        _ => None,
    }
}

fn to_pixels(image: DynamicImage) -> Pixels {
    let (width, height) = (image.width(), image.height());
    let (channels, data) = match image.color() {
        ColorType::L8 | ColorType::L16 => (Channels::Grey, image.into_luma8().into_raw()),
        color if color.has_alpha() => (Channels::Rgba, image.into_rgba8().into_raw()),
        _ => (Channels::Rgb, image.into_rgb8().into_raw()),
    };
    Pixels { width, height, channels, data }
}

pub(super) fn damaged(error: impl std::fmt::Display) -> String {
    format!("it cannot be decoded: {error}")
}

/// A reader that fails once the call is gone.
struct Interruptible {
    inner: Cursor<Bytes>,
    cancel: Cancel,
}

impl Read for Interruptible {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.cancel.check().map_err(std::io::Error::other)?;
        self.inner.read(buffer)
    }
}

/// Handed out at once; small, so that a call that is gone is noticed.
const BLOCK: usize = 64 << 10;

impl BufRead for Interruptible {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.cancel.check().map_err(std::io::Error::other)?;
        let rest = self.inner.fill_buf()?;
        Ok(rest.get(..BLOCK).unwrap_or(rest))
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
    }
}

impl Seek for Interruptible {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(position)
    }
}
