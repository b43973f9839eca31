//! What will be done with a picture, known from its header and the model's limits alone.

use std::fmt;

use polysight_core::catalog::ImageCard;
use polysight_core::media::Orientation;
use polysight_core::{Error, ErrorKind, Image, ImageFormat, ImageInfo, Result};
use serde::{Deserialize, Serialize};

use super::scale::STRIP;
use super::sides::SideLimits;
use super::{Alpha, FitSettings, OutputFormat, Sides};

/// What will be done with a picture: pure, from its header and the model's limits alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FitPlan {
    /// Format of the picture as it is.
    pub from_format: ImageFormat,
    /// Sides of the picture as it is stored, in pixels.
    pub from: Sides,
    /// Length of the picture as it is, in bytes.
    pub from_bytes: u64,
    /// How it is turned, as the EXIF value 1 to 8; 1 for upright.
    pub turn: u8,
    /// Format of what is made.
    pub format: ImageFormat,
    /// Sides of what is made, upright, in pixels.
    pub to: Sides,
    /// Sides of the scaled picture at the top left of what is made; the rest is a white margin.
    pub content: Sides,
    /// Most bytes of what is made.
    pub max_bytes: u64,
    /// Shortest side that is taken, in pixels.
    pub min_side: u32,
    /// Why it does not fit as it is.
    pub why: Vec<String>,
}

impl FitPlan {
    /// Plans a picture for a model; `None` where it fits as it is, and for a picture behind a URL, whose header is not known.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`] when the picture cannot be made to fit: it is larger than what is read or decoded here, its
    /// format is not decoded, or no sides meet the limits.
    pub fn new(image: &Image, card: &ImageCard, settings: &FitSettings) -> Result<Option<Self>> {
        let (Some(info), Some(bytes)) = (image.info(), image.source().byte_len()) else { return Ok(None) };
        let limits = Limits::new(card, settings);
        let why = limits.broken_by(info, bytes, settings);
        if why.is_empty() {
            return Ok(None);
        }
        let refused = |problem: String| {
            let message = format!("{}: {}; {problem}", image.source().name(), why.join("; "));
            Error::new(ErrorKind::InvalidMedia, message)
        };
        limits
            .plan(info, bytes, settings)
            .map(|plan| Some(Self { why: why.clone(), ..plan }))
            .map_err(refused)
    }

    /// Plans a picture that fits, to find out whether it can be decoded; `None` where it cannot be here, or not in this memory.
    pub(super) fn as_it_is(info: ImageInfo, bytes: u64, settings: &FitSettings) -> Option<Self> {
        let plan = Limits::new(&ImageCard::default(), settings).plan(info, bytes, settings).ok()?;
        (plan.memory() <= u64::from(settings.max_memory) << 20).then_some(plan)
    }

    /// What the picture will be.
    #[must_use]
    pub fn info(&self) -> ImageInfo {
        ImageInfo::new(self.format, self.to.0, self.to.1)
    }

    /// Most memory that making it takes, in bytes, whatever its header leaves open: the source, the decoded picture, the
    /// scaled one, and the one that is encoded.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let pixels = |(width, height): Sides| u64::from(width) * u64::from(height);
        let from = pixels(self.from);
        let reduction = u64::from(self.reduction());
        let decoded = match self.from_format {
            // A progressive JPEG keeps two bytes a coefficient of up to four components.
            ImageFormat::Jpeg => from * 8 + from / (reduction * reduction) * 8,
            #[cfg(feature = "heic")]
            ImageFormat::Heic => from * super::heic::BYTES_PER_PIXEL,
            #[cfg(feature = "avif")]
            ImageFormat::Avif => from * super::avif::BYTES_PER_PIXEL,
            // Up to 16 bits a channel, and the 8 bits that are made of them.
            _ => from * 12,
        };
        let scaled = pixels(self.content).saturating_mul(8) + pixels(self.to).saturating_mul(4);
        let encoded = self.max_bytes.min(pixels(self.to).saturating_mul(4)).saturating_mul(2);
        [self.from_bytes, decoded, STRIP, scaled, encoded].into_iter().fold(0, u64::saturating_add)
    }

    /// By what a JPEG is reduced while it is decoded: 1, 2, 4 or 8.
    pub(super) fn reduction(&self) -> u32 {
        if self.from_format != ImageFormat::Jpeg {
            return 1;
        }
        let (width, height) = self.stored_content();
        let is_enough = |by: &u32| self.from.0.div_ceil(*by) >= width && self.from.1.div_ceil(*by) >= height;
        [8, 4, 2].into_iter().find(is_enough).unwrap_or(1)
    }

    /// The sides of the scaled picture before it is turned.
    pub(super) fn stored_content(&self) -> Sides {
        self.orientation().oriented(self.content.0, self.content.1)
    }

    pub(super) fn orientation(&self) -> Orientation {
        Orientation::from_exif(self.turn.into()).unwrap_or_default()
    }
}

impl fmt::Display for FitPlan {
    /// Says in one line what will be done.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.orientation().oriented(self.from.0, self.from.1), self.to);
        write!(
            f,
            "picture to be fitted: {} {} x {} px, {} bytes",
            self.from_format, from.0, from.1, self.from_bytes
        )?;
        write!(f, " -> {} {} x {} px, at most {} bytes", self.format, to.0, to.1, self.max_bytes)?;
        if self.content != self.to {
            write!(f, ", with a white margin")?;
        }
        write!(f, ": {}", self.why.join("; "))
    }
}

/// The limits of a card and of settings together.
struct Limits<'a> {
    sides: SideLimits,
    card: &'a ImageCard,
    max_bytes: Option<u64>,
}

impl<'a> Limits<'a> {
    fn new(card: &'a ImageCard, settings: &FitSettings) -> Self {
        let smaller = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        let sides = SideLimits {
            max_side: smaller(card.max_side, settings.max_side.map(u64::from)),
            min_side: card.min_side,
            max_pixels: smaller(card.max_pixels, settings.max_pixels),
            max_aspect: card.max_aspect,
        };
        Self { sides, card, max_bytes: smaller(card.max_bytes, settings.max_bytes) }
    }

    fn broken_by(&self, info: ImageInfo, bytes: u64, settings: &FitSettings) -> Vec<String> {
        let mut why = self.sides.broken_by(info.shown());
        if let Some(limit) = self.max_bytes_of(info.format).filter(|limit| bytes > *limit) {
            why.push(format!("{bytes} bytes, and it may have {limit} at most"));
        }
        if !self.takes(info.format) {
            why.push(format!("the model does not take {}", info.format));
        }
        if settings.upright && info.orientation != Orientation::Upright {
            why.push(format!("its header says that it is to be turned (EXIF {})", info.orientation.exif()));
        }
        why
    }

    fn takes(&self, format: ImageFormat) -> bool {
        self.card.formats.as_ref().is_none_or(|formats| formats.contains(&format))
    }

    /// Most bytes of a picture itself, of which base64 makes a third more.
    fn max_bytes_of(&self, format: ImageFormat) -> Option<u64> {
        let prefix = ("data:;base64,".len() + format.media_type().len()) as u64;
        let encoded = self.card.max_base64_bytes.map(|limit| limit.saturating_sub(prefix) / 4 * 3);
        self.max_bytes.into_iter().chain(encoded).min()
    }

    fn plan(&self, info: ImageInfo, bytes: u64, settings: &FitSettings) -> Result<FitPlan, String> {
        if bytes > settings.max_input_bytes {
            return Err(format!(
                "pictures of more than {} bytes are not read here: make it smaller, or raise max_input_bytes",
                settings.max_input_bytes
            ));
        }
        if info.pixels() > settings.max_input_pixels {
            return Err(format!(
                "pictures of more than {} px are not decoded here: make it smaller, or raise max_input_pixels",
                settings.max_input_pixels
            ));
        }
        can_decode(info.format)?;
        let format = self.format(info.format, settings)?;
        let shown = info.shown();
        let target = self.sides.target(shown).ok_or("no sides meet all limits")?;
        if !settings.pad && target.content != target.with_margin {
            return Err("it would need a margin: crop it, cut it in pieces, or set pad".to_owned());
        }
        if !settings.enlarge && (target.content.0 > shown.0 || target.content.1 > shown.1) {
            return Err("it is too small: use a larger picture, or set enlarge".to_owned());
        }
        let (width, height) = target.with_margin;
        if format == ImageFormat::Jpeg && width.max(height) > u16::MAX.into() {
            return Err("a JPEG has sides of at most 65535 px: set max_side".to_owned());
        }
        // No picture takes more in any format that is written here.
        let uncompressed = u64::from(width) * u64::from(height) * 4 + (64 << 10);
        let max_bytes = self.max_bytes_of(format).map_or(uncompressed, |limit| limit.min(uncompressed));
        // The decoder of HEIC turns pictures itself.
        let is_turned = info.format == ImageFormat::Heic;
        Ok(FitPlan {
            from_format: info.format,
            from: if is_turned { shown } else { (info.width, info.height) },
            from_bytes: bytes,
            turn: if is_turned { 1 } else { info.orientation.exif() },
            format,
            to: target.with_margin,
            content: target.content,
            max_bytes,
            min_side: self.sides.min_side.map_or(1, |side| u32::try_from(side).unwrap_or(u32::MAX)),
            why: Vec::new(),
        })
    }

    fn format(&self, from: ImageFormat, settings: &FitSettings) -> Result<ImageFormat, String> {
        let may_be_transparent = !matches!(from, ImageFormat::Jpeg | ImageFormat::Bmp);
        let wanted: &[ImageFormat] = match settings.format {
            OutputFormat::Jpeg => &[ImageFormat::Jpeg],
            OutputFormat::Png => &[ImageFormat::Png],
            OutputFormat::Auto if settings.alpha == Alpha::Keep && may_be_transparent => {
                &[ImageFormat::Png, ImageFormat::Jpeg]
            }
            OutputFormat::Auto => &[ImageFormat::Jpeg, ImageFormat::Png],
        };
        wanted.iter().copied().find(|format| self.takes(*format)).ok_or_else(|| {
            let names: Vec<String> = self.card.formats.iter().flatten().map(ToString::to_string).collect();
            format!("the model takes {} alone, which are not written here: convert it", names.join(", "))
        })
    }
}

/// Says whether a format is decoded in this build.
fn can_decode(format: ImageFormat) -> Result<(), String> {
    let feature = match format {
        ImageFormat::Heic if !cfg!(feature = "heic") => "heic",
        ImageFormat::Avif if !cfg!(feature = "avif") => "avif",
        _ => return Ok(()),
    };
    Err(format!(
        "{format} is not decoded in this build: enable the cargo feature `{feature}`, or save it as JPEG or PNG"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a PNG of these sides, and so many bytes.
    fn png(width: u32, height: u32, bytes: usize) -> Image {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
        png.extend([8, 2, 0, 0, 0]);
        png.resize(bytes.max(png.len()), 0);
        Image::from_bytes(png).unwrap()
    }

    fn card() -> ImageCard {
        let mut card = ImageCard::default();
        card.max_side = Some(6_000);
        card.max_base64_bytes = Some(1_000_000);
        card.formats = Some(vec![ImageFormat::Jpeg, ImageFormat::Png]);
        card
    }

    fn plan(image: &Image) -> Result<Option<FitPlan>> {
        FitPlan::new(image, &card(), &FitSettings::new())
    }

    #[test]
    fn what_fits_is_left_alone() {
        assert_eq!(plan(&png(6_000, 10, 700_000)).unwrap(), None);
        assert_eq!(plan(&Image::from_url("https://h.example/a.png").unwrap()).unwrap(), None);
    }

    #[test]
    fn the_growth_of_base64_counts() {
        let fits = 1_000_000 / 4 * 3 - 32;
        assert_eq!(plan(&png(100, 100, fits)).unwrap(), None);
        let plan = plan(&png(100, 100, 760_000)).unwrap().unwrap();
        assert_eq!(plan.to, (100, 100));
        assert!(plan.why[0].starts_with("760000 bytes"), "{:?}", plan.why);
        assert!(plan.max_bytes.div_ceil(3) * 4 + 23 <= 1_000_000);
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let error = plan(&png(60_000, 60_000, 100)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidMedia);
        assert!(
            error.message().contains("60000 x 60000 px") && error.message().contains("max_input_pixels"),
            "{error}"
        );
    }

    #[test]
    fn memory_is_known_from_the_header() {
        let plan = plan(&png(12_000, 9_000, 100)).unwrap().unwrap();
        assert!(plan.memory() > 12_000 * 9_000 * 12, "{}", plan.memory());
        assert!(plan.memory() < 12_000 * 9_000 * 20, "{}", plan.memory());
    }
}
