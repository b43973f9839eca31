//! How pictures are made to fit.

use polysight_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

/// Filter of resizing; from sharp and slow to soft and fast.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Display, IntoStaticStr, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Filter {
    /// Lanczos over six pixels: the sharpest, for text and fine detail.
    #[default]
    Lanczos3,
    /// Cubic by Catmull and Rom over four pixels.
    CatmullRom,
    /// Cubic by Mitchell and Netravali over four pixels, without ringing.
    Mitchell,
    /// Linear over two pixels.
    Bilinear,
    /// The mean of what falls into a pixel.
    Box,
}

/// Format of pictures that are made.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Display, IntoStaticStr, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum OutputFormat {
    /// JPEG where the model takes it, else PNG; PNG for what is transparent and is to stay so.
    #[default]
    Auto,
    /// JPEG.
    Jpeg,
    /// PNG, which has no quality: where it is too large, its sides shrink.
    Png,
}

/// What happens to transparency.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Display, IntoStaticStr, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Alpha {
    /// The picture is laid on white.
    #[default]
    White,
    /// It is kept, in a PNG.
    Keep,
}

/// How pictures are made to fit: what is wanted besides the model's limits, and what a picture may cost here.
///
/// Limits that are set here hold besides those of the model's card; the smaller one counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FitSettings {
    /// JPEG quality that is tried first, 1 to 100. Default: 90.
    pub quality: u8,
    /// Lowest JPEG quality, 1 to [`quality`](Self::quality); what is too large at it shrinks. Default: 60.
    pub min_quality: u8,
    /// Filter of resizing. Default: [`Filter::Lanczos3`].
    pub filter: Filter,
    /// Longest side, in pixels. Default: the model's.
    pub max_side: Option<u32>,
    /// Most pixels, width times height. Default: the model's.
    pub max_pixels: Option<u64>,
    /// Largest picture, in bytes. Default: the model's.
    pub max_bytes: Option<u64>,
    /// Most tokens of one picture by the vendor's own formula, which the layer asks its provider for; above zero. Where the
    /// formula is not known, the plan notes it. Default: no budget.
    pub max_image_tokens: Option<u64>,
    /// Most money for one picture, in units of the first currency on the model's card, by the price of its tokens; above zero.
    /// Default: no budget.
    pub max_image_cost: Option<f64>,
    /// Format of pictures that are made. Default: [`OutputFormat::Auto`].
    pub format: OutputFormat,
    /// What happens to transparency. Default: [`Alpha::White`].
    pub alpha: Alpha,
    /// Whether a picture that lies on its side by its header is turned, even where it fits, so that boxes and sides mean what
    /// a person sees. Default: true.
    pub upright: bool,
    /// Whether the EXIF data of a JPEG is kept in the JPEG that is made; its orientation is set to upright. Default: false.
    pub keep_metadata: bool,
    /// Whether too small pictures are enlarged; else they are refused. Default: true.
    pub enlarge: bool,
    /// Whether too long and narrow pictures get a white margin at the right or the bottom, where it moves no coordinate; else
    /// they are refused. Default: true.
    pub pad: bool,
    /// Largest picture that is read, in bytes. Default: 100 MB.
    pub max_input_bytes: u64,
    /// Most pixels of a picture that is decoded. Default: 150 million.
    pub max_input_pixels: u64,
    /// Most memory that one picture may take, in MiB; known from its header. Default: 1024.
    pub max_memory: u32,
}

impl Default for FitSettings {
    fn default() -> Self {
        Self {
            quality: 90,
            min_quality: 60,
            filter: Filter::default(),
            max_side: None,
            max_pixels: None,
            max_bytes: None,
            max_image_tokens: None,
            max_image_cost: None,
            format: OutputFormat::default(),
            alpha: Alpha::default(),
            upright: true,
            keep_metadata: false,
            enlarge: true,
            pad: true,
            max_input_bytes: 100_000_000,
            max_input_pixels: 150_000_000,
            max_memory: 1_024,
        }
    }
}

impl FitSettings {
    /// The default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the JPEG quality that is tried first, and the lowest.
    #[must_use]
    pub fn with_quality(mut self, quality: u8, min_quality: u8) -> Self {
        (self.quality, self.min_quality) = (quality, min_quality);
        self
    }

    /// Sets the longest side, in pixels.
    #[must_use]
    pub fn with_max_side(mut self, side: u32) -> Self {
        self.max_side = Some(side);
        self
    }

    /// Sets the most pixels.
    #[must_use]
    pub fn with_max_pixels(mut self, pixels: u64) -> Self {
        self.max_pixels = Some(pixels);
        self
    }

    /// Sets the largest picture, in bytes.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Sets the most tokens of one picture.
    #[must_use]
    pub fn with_max_image_tokens(mut self, tokens: u64) -> Self {
        self.max_image_tokens = Some(tokens);
        self
    }

    /// Sets the most money for one picture, in the first currency on the model's card.
    #[must_use]
    pub fn with_max_image_cost(mut self, cost: f64) -> Self {
        self.max_image_cost = Some(cost);
        self
    }

    /// Sets the filter.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the format of what is made.
    #[must_use]
    pub fn with_format(mut self, format: OutputFormat) -> Self {
        self.format = format;
        self
    }

    /// Sets what happens to transparency.
    #[must_use]
    pub fn with_alpha(mut self, alpha: Alpha) -> Self {
        self.alpha = alpha;
        self
    }

    /// Keeps EXIF data.
    #[must_use]
    pub fn with_metadata(mut self) -> Self {
        self.keep_metadata = true;
        self
    }

    /// Sets the most memory that one picture may take, in MiB.
    #[must_use]
    pub fn with_max_memory(mut self, mib: u32) -> Self {
        self.max_memory = mib;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the setting, its value and its range.
    pub fn check(&self) -> Result<()> {
        let zero = [
            ("max_side", self.max_side == Some(0)),
            ("max_pixels", self.max_pixels == Some(0)),
            ("max_bytes", self.max_bytes == Some(0)),
            ("max_image_tokens", self.max_image_tokens == Some(0)),
            ("max_input_bytes", self.max_input_bytes == 0),
            ("max_input_pixels", self.max_input_pixels == 0),
            ("max_memory", self.max_memory == 0),
        ];
        if let Some((name, _)) = zero.iter().find(|(_, is_zero)| *is_zero) {
            return Err(out_of_range(name, 0, "at least 1"));
        }
        if let Some(cost) = self.max_image_cost.filter(|cost| !(cost.is_finite() && *cost > 0.0)) {
            let message = format!("`max_image_cost` is {cost}, but must be above 0");
            return Err(Error::new(ErrorKind::Config, message));
        }
        if !(1..=100).contains(&self.quality) {
            return Err(out_of_range("quality", self.quality.into(), "1 to 100"));
        }
        if self.min_quality == 0 || self.min_quality > self.quality {
            let range = format!("1 to {}, the quality", self.quality);
            return Err(out_of_range("min_quality", self.min_quality.into(), &range));
        }
        Ok(())
    }
}

fn out_of_range(name: &str, value: u64, range: &str) -> Error {
    Error::new(ErrorKind::Config, format!("`{name}` is {value}, but must be {range}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_out_of_range_is_named_with_its_range() {
        assert!(FitSettings::new().check().is_ok());
        for (settings, name) in [
            (FitSettings::new().with_quality(0, 1), "quality"),
            (FitSettings::new().with_quality(101, 1), "quality"),
            (FitSettings::new().with_quality(70, 71), "min_quality"),
            (FitSettings::new().with_max_side(0), "max_side"),
            (FitSettings::new().with_max_bytes(0), "max_bytes"),
        ] {
            let error = settings.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().starts_with(&format!("`{name}` is ")), "{error}");
        }
    }
}
