//! Makes what was planned: decode, scale, colours, turn, margin, encode.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageBuffer, ImageEncoder as _};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use polysight_core::{ImageFormat, MediaSource};

use super::decode::{Channels, Pixels, decode, require_memory};
use super::scale::scaled;
use super::{Alpha, Cancel, FitPlan, FitSettings, FitStep, Sides, colour, jpeg};

/// Rounds of shrinking: each makes the picture smaller by what the last one was too large.
const MAX_ROUNDS: usize = 10;

/// What was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    pub(super) sides: Sides,
    pub(super) quality: Option<u8>,
    pub(super) steps: Vec<FitStep>,
}

/// Makes a picture, or says what is wrong with it. A panic of a decoder is an error like any other.
pub(super) fn make(
    source: &MediaSource,
    plan: &FitPlan,
    settings: &FitSettings,
    cancel: &Cancel,
) -> Result<Made, String> {
    guarded(|| make_unguarded(source, plan, settings, cancel))
}

/// Decodes a picture whose end is missing: an error where it is damaged.
pub(super) fn prove(
    source: &MediaSource,
    plan: &FitPlan,
    settings: &FitSettings,
    cancel: &Cancel,
) -> Result<(), String> {
    guarded(|| {
        let bytes = read(source, plan)?;
        // Some programs put data of their own behind the end.
        if plan.from_format == ImageFormat::Jpeg && jpeg::has_end(&bytes) {
            return Ok(());
        }
        decode(&bytes, plan, max_memory(settings), cancel, &mut Vec::new()).map(drop)
    })
}

fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("it cannot be decoded: the decoder failed on it".to_owned()))
}

/// Most memory, in bytes.
fn max_memory(settings: &FitSettings) -> u64 {
    u64::from(settings.max_memory) << 20
}

fn make_unguarded(
    source: &MediaSource,
    plan: &FitPlan,
    settings: &FitSettings,
    cancel: &Cancel,
) -> Result<Made, String> {
    let mut steps = Vec::new();
    let max_memory = max_memory(settings);
    require_memory(0, plan, max_memory)?;
    cancel.check()?;
    let bytes = read(source, plan)?;
    let decoded = decode(&bytes, plan, max_memory, cancel, &mut steps)?;
    drop(bytes);
    cancel.check()?;
    let pixels = scaled(decoded.pixels, plan.stored_content(), settings.filter)?;
    if plan.from != plan.stored_content() {
        steps.push(FitStep::Scaled {
            from: plan.orientation().oriented(plan.from.0, plan.from.1),
            to: plan.content,
        });
    }
    cancel.check()?;
    let mut pixels = colour::to_srgb(pixels, decoded.profile.as_deref(), &mut steps);
    if plan.format == ImageFormat::Jpeg || settings.alpha == Alpha::White {
        pixels = colour::on_white(pixels, &mut steps);
    }
    if plan.turn != 1 {
        pixels = turned(pixels, plan.turn)?;
        steps.push(FitStep::Turned { exif: plan.turn });
    }
    if plan.content != plan.to {
        pixels = with_margin(&pixels, plan.to);
        steps.push(FitStep::Padded { to: plan.to });
    }
    if plan.format != plan.from_format {
        steps.push(FitStep::Converted { from: plan.from_format, to: plan.format });
    }
    let exif = decoded.exif.filter(|_| settings.keep_metadata).map(upright_exif);
    Search { plan, settings, cancel, exif, steps }.run(pixels)
}

/// Reads the whole source, which must be as long as it was when it was planned.
fn read(source: &MediaSource, plan: &FitPlan) -> Result<Bytes, String> {
    if let MediaSource::Bytes(bytes) = source {
        return Ok(bytes.clone());
    }
    let reader =
        source.reader().ok_or("its bytes are not here")?.map_err(|error| error.message().to_owned())?;
    let mut bytes = Vec::with_capacity(usize::try_from(plan.from_bytes).unwrap_or_default());
    std::io::Read::read_to_end(&mut std::io::Read::take(reader, plan.from_bytes + 1), &mut bytes)
        .map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() as u64 != plan.from_bytes {
        return Err("it changed since it was looked at: open it again".to_owned());
    }
    Ok(bytes.into())
}

/// Turns a picture as its header says.
fn turned(pixels: Pixels, exif: u8) -> Result<Pixels, String> {
    let Pixels { width, height, channels, data } = pixels;
    let image = match channels {
        Channels::Grey => ImageBuffer::from_raw(width, height, data).map(DynamicImage::ImageLuma8),
        Channels::Rgb => ImageBuffer::from_raw(width, height, data).map(DynamicImage::ImageRgb8),
        Channels::Rgba | Channels::Cmyk => {
            ImageBuffer::from_raw(width, height, data).map(DynamicImage::ImageRgba8)
        }
    };
    let mut image = image.ok_or("it is shorter than its header says")?;
    if let Some(orientation) = image::metadata::Orientation::from_exif(exif) {
        image.apply_orientation(orientation);
    }
    Ok(Pixels { width: image.width(), height: image.height(), channels, data: image.into_bytes() })
}

/// Puts white at the right and the bottom, where it moves no coordinate.
fn with_margin(pixels: &Pixels, (width, height): Sides) -> Pixels {
    let count = pixels.channels.count();
    let (from, to) = (pixels.width as usize * count, width as usize * count);
    let mut data = vec![255; to * height as usize];
    for (row, content) in data.chunks_exact_mut(to).zip(pixels.data.chunks_exact(from)) {
        if let Some(space) = row.get_mut(..from) {
            space.copy_from_slice(content);
        }
    }
    Pixels { width, height, data, ..*pixels }
}

/// The same EXIF data, for a picture that is upright now.
fn upright_exif(mut exif: Vec<u8>) -> Vec<u8> {
    let _ = image::metadata::Orientation::remove_from_exif_chunk(&mut exif);
    exif
}

/// The search for an encoding within the bytes: over quality, then size.
struct Search<'a> {
    plan: &'a FitPlan,
    settings: &'a FitSettings,
    cancel: &'a Cancel,
    exif: Option<Vec<u8>>,
    steps: Vec<FitStep>,
}

impl Search<'_> {
    fn run(mut self, mut pixels: Pixels) -> Result<Made, String> {
        let mut smallest = u64::MAX;
        for _ in 0..MAX_ROUNDS {
            let (bytes, quality) = self.encoded(&pixels)?;
            if bytes.len() as u64 <= self.plan.max_bytes {
                let sides = (pixels.width, pixels.height);
                return Ok(Made { bytes, sides, quality, steps: self.steps });
            }
            smallest = smallest.min(bytes.len() as u64);
            let ratio = (self.plan.max_bytes as f64 / bytes.len() as f64).sqrt() * 0.95;
            let side = |side: u32| ((f64::from(side) * ratio) as u32).max(1);
            let (from, to) = ((pixels.width, pixels.height), (side(pixels.width), side(pixels.height)));
            if to.0.min(to.1) < self.plan.min_side || to == from {
                break;
            }
            pixels = scaled(pixels, to, self.settings.filter)?;
            self.steps.push(FitStep::Shrunk { from, to });
        }
        Err(format!(
            "no quality and no sides meet {} bytes; the smallest that was reached is {smallest} bytes at {} x {} px{}: use another picture, or lower min_quality",
            self.plan.max_bytes,
            pixels.width,
            pixels.height,
            match self.plan.format {
                ImageFormat::Jpeg => format!(", quality {}", self.settings.min_quality),
                _ => String::new(),
            }
        ))
    }

    /// The best encoding within the bytes, or the smallest one.
    fn encoded(&self, pixels: &Pixels) -> Result<(Vec<u8>, Option<u8>), String> {
        if self.plan.format != ImageFormat::Jpeg {
            return Ok((png(pixels)?, None));
        }
        let fits = |bytes: &Vec<u8>| bytes.len() as u64 <= self.plan.max_bytes;
        let (mut low, mut high) = (self.settings.min_quality, self.settings.quality);
        let first = self.jpeg(pixels, high)?;
        if fits(&first) || low == high {
            return Ok((first, Some(high)));
        }
        let mut best = self.jpeg(pixels, low)?;
        let mut quality = low;
        if !fits(&best) {
            return Ok((best, Some(low)));
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let tried = self.jpeg(pixels, middle)?;
            if fits(&tried) {
                (low, best, quality) = (middle, tried, middle);
            } else {
                high = middle;
            }
        }
        Ok((best, Some(quality)))
    }

    fn jpeg(&self, pixels: &Pixels, quality: u8) -> Result<Vec<u8>, String> {
        self.cancel.check()?;
        let failed = |error: &dyn std::fmt::Display| format!("it cannot be encoded: {error}");
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, quality);
        // Drawn pictures have sharp coloured edges, which halved colours blur; photographs come with halved ones.
        let is_photo =
            matches!(self.plan.from_format, ImageFormat::Jpeg | ImageFormat::Heic | ImageFormat::Avif);
        encoder.set_sampling_factor(if is_photo { SamplingFactor::F_2_2 } else { SamplingFactor::F_1_1 });
        if let Some(exif) = &self.exif {
            encoder.add_exif_metadata(exif).map_err(|error| failed(&error))?;
        }
        let colour = match pixels.channels {
            Channels::Grey => ColorType::Luma,
            Channels::Rgb => ColorType::Rgb,
            Channels::Rgba => ColorType::Rgba,
            Channels::Cmyk => ColorType::Cmyk,
        };
        let side = |side: u32| u16::try_from(side).map_err(|error| failed(&error));
        let (width, height) = (side(pixels.width)?, side(pixels.height)?);
        encoder.encode(&pixels.data, width, height, colour).map_err(|error| failed(&error))?;
        Ok(bytes)
    }
}

fn png(pixels: &Pixels) -> Result<Vec<u8>, String> {
    let colour = match pixels.channels {
        Channels::Grey => ExtendedColorType::L8,
        Channels::Rgb => ExtendedColorType::Rgb8,
        Channels::Rgba | Channels::Cmyk => ExtendedColorType::Rgba8,
    };
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&pixels.data, pixels.width, pixels.height, colour)
        .map_err(|error| format!("it cannot be encoded: {error}"))?;
    Ok(bytes)
}
