//! HEIC, turned as its header says.

use bytes::Bytes;
use heic_decoder::{decode as decode_all, probe};

use super::decode::{Channels, Decoded, Pixels, damaged, require_memory};
use super::{FitPlan, FitStep};

/// Bytes a pixel that decoding takes at most: four bytes a sample of three planes and transparency, once more where they are
/// turned, and the colours made of them.
pub(super) const BYTES_PER_PIXEL: u64 = 36;

pub(super) fn decode(
    bytes: &Bytes,
    plan: &FitPlan,
    max_memory: u64,
    steps: &mut Vec<FitStep>,
) -> Result<Decoded, String> {
    let info = probe(bytes).map_err(damaged)?;
    let sides = |width: usize, height: usize| Some((u32::try_from(width).ok()?, u32::try_from(height).ok()?));
    if sides(info.width, info.height) != Some(plan.from) {
        return Err("it is not the picture that was planned".to_owned());
    }
    let coded = (info.coded_width as u64).saturating_mul(info.coded_height as u64);
    require_memory(coded.saturating_mul(BYTES_PER_PIXEL), plan, max_memory)?;
    let image = decode_all(bytes).map_err(damaged)?;
    if info.bit_depth_luma > 8 {
        steps.push(FitStep::EightBits);
    }
    let (channels, data) = match image.alpha {
        Some(_) => (Channels::Rgba, image.to_rgba8().map_err(damaged)?.data),
        None => (Channels::Rgb, image.to_rgb8().map_err(damaged)?.data),
    };
    let (width, height) = plan.from;
    let profile = image.metadata.icc_profile;
    Ok(Decoded { pixels: Pixels { width, height, channels, data }, profile, exif: None })
}
