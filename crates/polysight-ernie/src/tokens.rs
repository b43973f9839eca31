//! How the open ERNIE 4.5 VL weights count pictures.
//!
//! Source: the image processors of transformers 5.23 and FastDeploy, read 2026-11-21. The vendor's cloud publishes no
//! formula. Videos are not counted: their frames depend on a setting of the server and on the file's own frame rate.

use polysight_core::{ChatRequest, Count, ImageInfo, Part};

/// Name of the formula in catalogues.
pub(crate) const FORMULA: &str = "ernie-4.5-vl";

/// A token covers a square of this side: two patches of 14 px.
const STEP: f64 = 28.0;
const MIN_PIXELS: f64 = 56.0 * 56.0;
const MAX_PIXELS: f64 = 28.0 * 28.0 * 6_177.0;
/// One token before each picture and one after it.
const MARKERS: u64 = 2;

/// Tokens of all pictures of a request: by the formula, since a server may be started with another budget of pixels, and
/// within its bounds for one whose size is not known.
pub(crate) fn of_images(request: &ChatRequest) -> Count {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let images = parts.filter_map(|part| match part {
        Part::Image(image) => {
            Some(image.info().and_then(of_image).map_or_else(unknown_size, Count::by_formula))
        }
        _ => None,
    });
    images.map(|count| count + Count::exact(MARKERS)).sum()
}

/// Tokens of a picture whose size is not known, without its markers.
fn unknown_size() -> Count {
    let cells = |pixels: f64| (pixels / STEP / STEP) as u64;
    Count::between(cells(MIN_PIXELS), cells(MAX_PIXELS))
}

/// Tokens of one picture without its markers; `None` for a picture without pixels.
fn of_image(info: ImageInfo) -> Option<u64> {
    let (height, width) = (f64::from(info.height), f64::from(info.width));
    if height < 1.0 || width < 1.0 {
        return None;
    }
    let (mut rows, mut columns) = ((height / STEP).round_ties_even(), (width / STEP).round_ties_even());
    let pixels = rows * columns * STEP * STEP;
    if pixels > MAX_PIXELS {
        let shrink = (height * width / MAX_PIXELS).sqrt();
        rows = (height / shrink / STEP).floor().max(1.0);
        columns = (width / shrink / STEP).floor().max(1.0);
    } else if pixels < MIN_PIXELS {
        let grow = (MIN_PIXELS / (height * width)).sqrt();
        rows = (height * grow / STEP).ceil();
        columns = (width * grow / STEP).ceil();
    }
    Some((rows * columns) as u64)
}

#[cfg(test)]
mod tests {
    use polysight_core::ImageFormat;

    use super::*;

    #[test]
    fn pictures_are_counted_as_the_processors_do() {
        for (height, width, tokens) in [
            (28, 28, 4),
            (224, 224, 64),
            (512, 512, 324),
            (768, 1_024, 999),
            (1_080, 1_920, 2_691),
            (3_000, 4_000, 6_120),
            (6_000, 6_000, 6_084),
        ] {
            let info = ImageInfo::new(ImageFormat::Png, width, height);
            assert_eq!(of_image(info), Some(tokens), "{height} x {width}");
        }
        assert_eq!(of_image(ImageInfo::new(ImageFormat::Png, 0, 9)), None);
    }
}
