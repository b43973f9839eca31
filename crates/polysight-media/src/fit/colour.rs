//! Colours: to sRGB by the profile of the picture, transparency onto white.

use moxcms::{ColorProfile, DataColorSpace, Layout, RenderingIntent, TransformOptions};

use super::FitStep;
use super::decode::{Channels, Pixels};

/// Brings colours to sRGB.
pub(super) fn to_srgb(pixels: Pixels, profile: Option<&[u8]>, steps: &mut Vec<FitStep>) -> Pixels {
    let parsed = profile.map(|profile| ColorProfile::new_from_slice(profile).ok());
    let converted = match &parsed {
        Some(Some(profile)) => convert(&pixels, profile),
        _ => None,
    };
    match (converted, pixels.channels) {
        (Some(converted), _) => {
            steps.push(FitStep::ToSrgb);
            converted
        }
        (None, Channels::Cmyk) => {
            steps.push(FitStep::CmykWithoutProfile);
            plain_cmyk(&pixels)
        }
        (None, _) => {
            if profile.is_some() {
                steps.push(FitStep::ProfileLeftOut);
            }
            pixels
        }
    }
}

/// `None` where the profile does not fit the picture, or is damaged.
fn convert(pixels: &Pixels, profile: &ColorProfile) -> Option<Pixels> {
    let (from, channels, to) = match (pixels.channels, profile.color_space) {
        (Channels::Grey, DataColorSpace::Gray) => (Layout::Gray, Channels::Grey, Layout::Gray),
        (Channels::Rgb, DataColorSpace::Rgb) => (Layout::Rgb, Channels::Rgb, Layout::Rgb),
        (Channels::Rgba, DataColorSpace::Rgb) => (Layout::Rgba, Channels::Rgba, Layout::Rgba),
        (Channels::Cmyk, DataColorSpace::Cmyk) => (Layout::Rgba, Channels::Rgb, Layout::Rgb),
        _ => return None,
    };
    let srgb = if channels == Channels::Grey {
        ColorProfile::new_gray_with_gamma(2.2)
    } else {
        ColorProfile::new_srgb()
    };
    // Profiles may have a table for one intent alone, and the library takes no other one then.
    let intents = [RenderingIntent::RelativeColorimetric, RenderingIntent::Perceptual];
    let transform = intents.into_iter().find_map(|rendering_intent| {
        let options = TransformOptions { rendering_intent, ..TransformOptions::default() };
        profile.create_transform_8bit(from, &srgb, to, options).ok()
    })?;
    let count = pixels.data.len() / pixels.channels.count();
    let mut data = vec![0; count * channels.count()];
    transform.transform(&pixels.data, &mut data).ok()?;
    Some(Pixels { channels, data, ..*pixels })
}

/// Ink on white paper, as if inks were ideal.
fn plain_cmyk(pixels: &Pixels) -> Pixels {
    let (inks, _) = pixels.data.as_chunks::<4>();
    let light = |ink: u8, black: u8| (u16::from(255 - ink) * u16::from(255 - black) / 255) as u8;
    let data = inks.iter().flat_map(|[c, m, y, k]| [light(*c, *k), light(*m, *k), light(*y, *k)]).collect();
    Pixels { channels: Channels::Rgb, data, ..*pixels }
}

/// Lays a transparent picture on white.
pub(super) fn on_white(pixels: Pixels, steps: &mut Vec<FitStep>) -> Pixels {
    if pixels.channels != Channels::Rgba {
        return pixels;
    }
    let (points, _) = pixels.data.as_chunks::<4>();
    if points.iter().any(|[.., alpha]| *alpha < 255) {
        steps.push(FitStep::OnWhite);
    }
    let over = |colour: u8, alpha: u8| {
        let (colour, alpha) = (u32::from(colour), u32::from(alpha));
        ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let data = points.iter().flat_map(|[r, g, b, a]| [over(*r, *a), over(*g, *a), over(*b, *a)]).collect();
    Pixels { channels: Channels::Rgb, data, ..pixels }
}
