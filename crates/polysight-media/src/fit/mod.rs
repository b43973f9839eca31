//! Pictures made to fit a model's limits.
//!
//! [`fit`] does one picture, [`fit_many`] a list or a folder, and [`Fit`] is the layer that does it for every request.
//! A picture that fits is given back as it is, byte for byte; everything else is planned from its header ([`FitPlan`]), and
//! then decoded, turned upright, scaled, brought to sRGB and encoded within the bytes.

#[cfg(feature = "avif")]
mod avif;
mod budget;
mod colour;
mod complete;
mod decode;
#[cfg(feature = "heic")]
mod heic;
mod jpeg;
mod layer;
mod make;
mod many;
mod plan;
mod pool;
mod scale;
mod settings;
mod sides;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use polysight_core::catalog::ImageCard;
use polysight_core::{Error, ErrorKind, Image, ImageFormat, MediaSource, Result};
use serde::Serialize;

pub use layer::{Fit, Oversize};
pub use many::{ManyOptions, Progress, fit_many, pictures_in};
pub use plan::FitPlan;
pub use pool::FitPool;
pub use settings::{Alpha, Filter, FitSettings, OutputFormat};
pub use sides::Sides;

/// A picture that fits, and what was done to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fitted {
    /// The picture; the caller's own where it fits as it is.
    pub image: Image,
    /// What was done; `None` where nothing was.
    pub report: Option<FitReport>,
}

/// What was done to a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FitReport {
    /// What was planned, and why.
    pub plan: FitPlan,
    /// Sides of what was made, in pixels.
    pub sides: Sides,
    /// Length of what was made, in bytes.
    pub bytes: u64,
    /// JPEG quality of what was made; `None` for PNG.
    pub quality: Option<u8>,
    /// What was done, in this order.
    pub steps: Vec<FitStep>,
}

impl fmt::Display for FitReport {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.sides;
        write!(f, "{} {width} x {height} px, {} bytes", self.plan.format, self.bytes)?;
        if let Some(quality) = self.quality {
            write!(f, ", quality {quality}")?;
        }
        for (index, step) in self.steps.iter().enumerate() {
            write!(f, "{}{step}", if index == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}

/// One thing that was done to a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FitStep {
    /// Only the first of several frames was taken.
    FirstFrame,
    /// A JPEG was decoded at a fraction of its size.
    Reduced {
        /// The divisor: 2, 4 or 8.
        by: u32,
    },
    /// Channels of more than 8 bits were cut to 8.
    EightBits,
    /// The picture was scaled.
    Scaled {
        /// Sides before, upright, in pixels.
        from: Sides,
        /// Sides after, in pixels.
        to: Sides,
    },
    /// Colours were brought to sRGB by the picture's own profile.
    ToSrgb,
    /// The picture's colour profile is damaged or of another kind of picture, and was left out.
    ProfileLeftOut,
    /// Inks without a usable profile became colours as if inks were ideal: colours are not exact.
    CmykWithoutProfile,
    /// Transparency was laid on white.
    OnWhite,
    /// The picture was turned as its header says.
    Turned {
        /// The EXIF value, 2 to 8.
        exif: u8,
    },
    /// A white margin was put at the right or the bottom.
    Padded {
        /// Sides with the margin, in pixels.
        to: Sides,
    },
    /// The format was changed.
    Converted {
        /// Format before.
        from: ImageFormat,
        /// Format after.
        to: ImageFormat,
    },
    /// The picture was scaled once more, since no quality met the bytes.
    Shrunk {
        /// Sides before, in pixels.
        from: Sides,
        /// Sides after, in pixels.
        to: Sides,
    },
}

impl fmt::Display for FitStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstFrame => f.write_str("first frame alone"),
            Self::Reduced { by } => write!(f, "decoded at 1/{by}"),
            Self::EightBits => f.write_str("cut to 8 bits a channel"),
            Self::Scaled { from, to } => {
                write!(f, "scaled from {} x {} to {} x {}", from.0, from.1, to.0, to.1)
            }
            Self::ToSrgb => f.write_str("colours brought to sRGB"),
            Self::ProfileLeftOut => f.write_str("unusable colour profile left out"),
            Self::CmykWithoutProfile => f.write_str("CMYK without a profile: colours are not exact"),
            Self::OnWhite => f.write_str("laid on white"),
            Self::Turned { exif } => write!(f, "turned upright (EXIF {exif})"),
            Self::Padded { to } => write!(f, "white margin to {} x {}", to.0, to.1),
            Self::Converted { from, to } => write!(f, "{from} to {to}"),
            Self::Shrunk { from, to } => {
                write!(f, "shrunk from {} x {} to {} x {} for its bytes", from.0, from.1, to.0, to.1)
            }
        }
    }
}

/// Makes a picture fit a model's limits. It blocks for as long as decoding and encoding take: some 0.1 s for 12 megapixels.
///
/// A picture that fits as it is is given back as it is, but for one that is cut off. A picture in memory or on disk is taken; one
/// behind a URL is not.
///
/// ```
/// # use polysight_core as polysight;
/// # use polysight_media as media;
/// use media::fit::{FitSettings, fit};
/// use polysight::{Image, catalog::ImageCard};
///
/// # fn example(photo: Image) -> polysight::Result<()> {
/// let mut limits = ImageCard::default();
/// limits.max_side = Some(2_048);
/// let fitted = fit(&photo, &limits, &FitSettings::new())?;
/// if let Some(report) = fitted.report {
///     println!("{report}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::Config`] for settings out of range, [`ErrorKind::Unsupported`] for a URL, and [`ErrorKind::InvalidMedia`] for a
/// picture that is damaged, is larger than the settings allow to read or decode, or cannot meet the limits.
pub fn fit(image: &Image, card: &ImageCard, settings: &FitSettings) -> Result<Fitted> {
    settings.check()?;
    if let Some(url) = image.source().url() {
        let message = format!(
            "{}: a picture behind a URL cannot be fitted: fetch it first",
            polysight_core::redact(url.as_str())
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    match FitPlan::new(image, card, settings)? {
        None => as_it_is(image, settings, &Cancel::default()),
        Some(plan) => carry_out(image, plan, settings, &Cancel::default()),
    }
}

/// Gives back a picture that fits, unless it is cut off.
fn as_it_is(image: &Image, settings: &FitSettings, cancel: &Cancel) -> Result<Fitted> {
    match complete::suspicion(image, settings) {
        None => Ok(Fitted { image: image.clone(), report: None }),
        Some(plan) => proven(image, &plan, settings, cancel),
    }
}

/// Gives back a picture whose end is missing, unless decoding proves that it is cut off.
fn proven(image: &Image, plan: &FitPlan, settings: &FitSettings, cancel: &Cancel) -> Result<Fitted> {
    make::prove(image.source(), plan, settings, cancel)
        .map_err(|problem| unusable(image.source(), &format!("its end is missing: {problem}")))?;
    Ok(Fitted { image: image.clone(), report: None })
}

fn unusable(source: &MediaSource, problem: &str) -> Error {
    Error::new(ErrorKind::InvalidMedia, format!("{}: {problem}", source.name()))
}

/// Does what was planned.
fn carry_out(image: &Image, plan: FitPlan, settings: &FitSettings, cancel: &Cancel) -> Result<Fitted> {
    let source = match image.source() {
        MediaSource::Planned(planned) => planned.original(),
        source => source,
    };
    let made = make::make(source, &plan, settings, cancel).map_err(|problem| unusable(source, &problem))?;
    let report = FitReport {
        plan,
        sides: made.sides,
        bytes: made.bytes.len() as u64,
        quality: made.quality,
        steps: made.steps,
    };
    Ok(Fitted { image: image.made(made.bytes)?, report: Some(report) })
}

/// Stops work whose result nothing waits for any more.
#[derive(Debug, Clone, Default)]
struct Cancel(Arc<AtomicBool>);

impl Cancel {
    fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), String> {
        if self.0.load(Ordering::Relaxed) { Err("the call was given up".to_owned()) } else { Ok(()) }
    }
}
