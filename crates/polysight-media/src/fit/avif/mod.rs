//! AVIF: the primary picture of a file, and its transparency.

mod container;
mod planes;

use bytes::Bytes;
use moxcms::{CicpColorPrimaries, CicpProfile, ColorProfile, MatrixCoefficients, TransferCharacteristics};
use rusty_av1d::{Decoder, Picture, Rav1dError, Settings};

use self::container::{Colours, Still};
use self::planes::{Frame, Signal};
use super::decode::{Channels, Decoded, Pixels, damaged, require_memory};
use super::{FitPlan, FitStep, Sides};

/// Bytes a pixel that decoding takes at most: three planes of two bytes and what the decoder keeps beside them, the plane of
/// transparency, and the colours made of them.
pub(super) const BYTES_PER_PIXEL: u64 = 24;

pub(super) fn decode(
    bytes: &Bytes,
    plan: &FitPlan,
    max_memory: u64,
    steps: &mut Vec<FitStep>,
) -> Result<Decoded, String> {
    let pixels = u64::from(plan.from.0) * u64::from(plan.from.1);
    require_memory(pixels.saturating_mul(BYTES_PER_PIXEL), plan, max_memory)?;
    let still = Still::read(bytes)?;
    let picture = picture(still.coded, plan.from)?;
    let frame = Frame::new(&picture, Signal::new(&picture, still.colours));
    if frame.is_deep() {
        steps.push(FitStep::EightBits);
    }
    if still.is_of_sequence {
        steps.push(FitStep::FirstFrame);
    }
    let (mut channels, mut data) = frame.colours()?;
    if let Some(coded) = still.alpha {
        let picture = self::picture(coded, plan.from)?;
        let alpha = Frame::new(&picture, Signal::new(&picture, None)).grey();
        data = planes::with_alpha(channels, &data, &alpha, still.is_premultiplied);
        channels = Channels::Rgba;
    }
    let profile = match still.profile {
        Some(profile) => Some(profile.to_vec()),
        None if channels == Channels::Grey => None,
        None => still.colours.and_then(|colours| profile(colours, steps)),
    };
    let (width, height) = plan.from;
    Ok(Decoded { pixels: Pixels { width, height, channels, data }, profile, exif: None })
}

/// Decodes the first picture of AV1 data, on this thread alone.
fn picture(coded: Vec<u8>, (width, height): Sides) -> Result<Picture, String> {
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    settings.set_frame_size_limit(width.saturating_mul(height));
    let mut decoder = Decoder::with_settings(&settings).map_err(damaged)?;
    match decoder.send_data(coded.into_boxed_slice(), None, None, None) {
        Ok(()) | Err(Rav1dError::TryAgain) => {}
        Err(error) => return Err(damaged(error)),
    }
    // What is kept back for a later layer comes when there is none.
    let picture = decoder.get_picture().or_else(|_| decoder.get_picture()).map_err(damaged)?;
    if (picture.width(), picture.height()) == (width, height) {
        return Ok(picture);
    }
    Err(damaged("its sides are not those of its header"))
}

/// The profile of colours that are named by numbers (ITU-T H.273); `None` for those of sRGB.
fn profile(colours: Colours, steps: &mut Vec<FitStep>) -> Option<Vec<u8>> {
    let is_srgb = matches!(colours.primaries, 1 | 2);
    let transfer = match colours.transfer {
        // What differs a little from the curve of sRGB, such as that of video cameras, is shown by it everywhere.
        1 | 2 | 6 | 13 | 14 | 15 => TransferCharacteristics::Srgb,
        4 => TransferCharacteristics::Bt470M,
        5 => TransferCharacteristics::Bt470Bg,
        8 => TransferCharacteristics::Linear,
        _ => {
            steps.push(FitStep::ProfileLeftOut);
            return None;
        }
    };
    if is_srgb && transfer == TransferCharacteristics::Srgb {
        return None;
    }
    let primaries = if is_srgb { 1 } else { colours.primaries };
    let color_primaries =
        u8::try_from(primaries).ok().and_then(|number| CicpColorPrimaries::try_from(number).ok());
    let profile = color_primaries.and_then(|color_primaries| {
        let cicp = CicpProfile {
            color_primaries,
            transfer_characteristics: transfer,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        };
        ColorProfile::new_from_cicp(cicp).encode().ok()
    });
    if profile.is_none() {
        steps.push(FitStep::ProfileLeftOut);
    }
    profile
}
