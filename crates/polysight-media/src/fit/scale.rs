//! Scaling, in strips: memory of a strip is needed beside the picture, and the picture goes as it is used up.

use fast_image_resize as fir;
use fir::images::{Image, ImageRef};

use super::decode::{Channels, Pixels};
use super::{Filter, Sides};

/// Memory beside the picture and what is made of it, in bytes: rows of a strip that are scaled downwards, not yet across.
pub(super) const STRIP: u64 = 4 << 20;

/// Scales a picture.
pub(super) fn scaled(pixels: Pixels, sides: Sides, filter: Filter) -> Result<Pixels, String> {
    if (pixels.width, pixels.height) == sides {
        return Ok(pixels);
    }
    in_strips(pixels, sides, filter).map_err(|error| format!("it cannot be scaled: {error}"))
}

/// From the bottom upwards, so that rows that are used up can be given back.
fn in_strips(from: Pixels, (width, height): Sides, filter: Filter) -> Result<Pixels, Failure> {
    let Pixels { width: from_width, height: from_height, channels, mut data } = from;
    let kind = kind(channels);
    if channels == Channels::Rgba {
        // Colours of transparent points must not bleed into their neighbours.
        fir::MulDiv::new().multiply_alpha_inplace(&mut Image::from_slice_u8(
            from_width,
            from_height,
            &mut data,
            kind,
        )?)?;
    }
    let (from_row, to_row) = (from_width as usize * channels.count(), width as usize * channels.count());
    let mut to = vec![0; to_row * height as usize];
    let scale = f64::from(from_height) / f64::from(height);
    let options = fir::ResizeOptions::new().resize_alg(algorithm(filter)).use_alpha(false);
    let mut resizer = fir::Resizer::new();
    let rows = u32::try_from(STRIP as usize / from_row.max(1)).unwrap_or(u32::MAX).max(1);
    let (mut end, mut left) = (height, from_height);
    while end > 0 {
        let start = end.saturating_sub(rows);
        let strip = to.get_mut(start as usize * to_row..end as usize * to_row).unwrap_or_default();
        let from = ImageRef::new(from_width, left, &data, kind)?;
        let mut strip = Image::from_slice_u8(width, end - start, strip, kind)?;
        let (top, tall) = span(f64::from(start) * scale, f64::from(end) * scale, left);
        resizer.resize(&from, &mut strip, &options.crop(0.0, top, f64::from(from_width), tall))?;
        left = left.min((f64::from(start) * scale + REACH * scale.max(1.0)).ceil() as u32 + 1);
        data.truncate(left as usize * from_row);
        data.shrink_to_fit();
        end = start;
    }
    if channels == Channels::Rgba {
        fir::MulDiv::new().divide_alpha_inplace(&mut Image::from_slice_u8(width, height, &mut to, kind)?)?;
    }
    Ok(Pixels { width, height, channels, data: to })
}

type Failure = Box<dyn std::error::Error>;

/// How far a filter reaches, in pixels of the smaller picture: Lanczos over three to each side.
const REACH: f64 = 3.0;

/// Where a strip begins and how high it is; rounding must not put its end below the last row.
fn span(top: f64, bottom: f64, rows: u32) -> (f64, f64) {
    let mut tall = bottom.min(f64::from(rows)) - top;
    while top + tall > f64::from(rows) {
        tall = tall.next_down();
    }
    (top, tall)
}

fn kind(channels: Channels) -> fir::PixelType {
    match channels {
        Channels::Grey => fir::PixelType::U8,
        Channels::Rgb => fir::PixelType::U8x3,
        Channels::Rgba | Channels::Cmyk => fir::PixelType::U8x4,
    }
}

fn algorithm(filter: Filter) -> fir::ResizeAlg {
    fir::ResizeAlg::Convolution(match filter {
        Filter::Lanczos3 => fir::FilterType::Lanczos3,
        Filter::CatmullRom => fir::FilterType::CatmullRom,
        Filter::Mitchell => fir::FilterType::Mitchell,
        Filter::Bilinear => fir::FilterType::Bilinear,
        Filter::Box => fir::FilterType::Box,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(width: u32, height: u32, channels: Channels) -> Pixels {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let data = (0..width as usize * height as usize * channels.count()).map(|_| next()).collect();
        Pixels { width, height, channels, data }
    }

    /// In one piece, by the library alone.
    fn whole(from: &Pixels, (width, height): Sides, filter: Filter) -> Vec<u8> {
        let source = ImageRef::new(from.width, from.height, &from.data, kind(from.channels)).unwrap();
        let mut to = Image::new(width, height, kind(from.channels));
        let options = fir::ResizeOptions::new()
            .resize_alg(algorithm(filter))
            .use_alpha(from.channels == Channels::Rgba);
        fir::Resizer::new().resize(&source, &mut to, &options).unwrap();
        to.into_vec()
    }

    #[test]
    fn strips_have_no_seams() {
        let filters = [Filter::Lanczos3, Filter::CatmullRom, Filter::Mitchell, Filter::Bilinear, Filter::Box];
        // Rows of 4,000 px make strips of 350 rows (RGB) and 262 (RGBA).
        for (channels, sides) in [
            (Channels::Rgb, (901, 703)),
            (Channels::Rgb, (4_000, 800)),
            (Channels::Rgb, (2_000, 1_000)),
            (Channels::Rgb, (2_000, 1_500)),
            (Channels::Rgba, (333, 777)),
            (Channels::Grey, (1_000, 2_100)),
        ] {
            let from = noise(4_000, 1_000, channels);
            for filter in filters {
                if matches!(filter, Filter::Box) && sides.1 > 1_000 {
                    // A row that lies between two is enlarged from either by a box: a matter of rounding.
                    continue;
                }
                let expected = whole(&from, sides, filter);
                let from = Pixels { data: from.data.clone(), ..from };
                let made = scaled(from, sides, filter).unwrap();
                assert_eq!((made.width, made.height), sides);
                let apart = made.data.iter().zip(&expected).filter(|(one, other)| one.abs_diff(**other) > 1);
                assert_eq!(apart.count(), 0, "{channels:?} to {sides:?} by {filter}");
                let unlike = made.data.iter().zip(&expected).filter(|(one, other)| one != other).count();
                // Weights are whole numbers, rounded for each strip by itself.
                assert!(unlike * 10 <= expected.len(), "{unlike} by rounding, {channels:?} to {sides:?}");
            }
        }
    }

    #[test]
    fn the_ends_of_strips_stay_within_the_picture() {
        for height in 1..400 {
            let made = scaled(noise(3, 397, Channels::Grey), (2, height), Filter::Box).unwrap();
            assert_eq!(made.data.len(), 2 * height as usize);
        }
    }
}
