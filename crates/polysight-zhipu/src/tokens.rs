//! How the open weights of GLM-4.1V to GLM-4.6V count pictures.
//!
//! Source: the image processor of transformers 5.23 and its settings beside the weights, read 2026-11-27. That the vendor's
//! cloud counts so is likely and not promised: counts are marked as by a formula. The vendor's own counter says what it counts
//! ([`Zhipu::count_tokens`](crate::Zhipu::count_tokens)). Videos are not counted, since their frames depend on the server.

use polysight_core::{ChatRequest, Count, Estimate, ImageInfo, ModelCard, Part};

/// Name of the formula in catalogues.
const FORMULA: &str = "glm-4.1v";

/// A token covers a square of this side: two patches of 14 px.
const CELL: f64 = 28.0;
/// A picture is a video of this many frames: the budgets of pixels hold for all of them.
const FRAMES: f64 = 2.0;
const MIN_PIXELS: f64 = 112.0 * 112.0;
const MAX_PIXELS: f64 = 28.0 * 28.0 * 15_000.0;
const MAX_ASPECT: f64 = 200.0;
/// One token before each picture and one after it.
const MARKS: u64 = 2;

/// Tokens of a request's pictures, where the model's formula is known.
pub(crate) fn estimate(request: &ChatRequest, card: &ModelCard) -> Estimate {
    let mut estimate = Estimate::default();
    if card.token_formula.as_deref() == Some(FORMULA) {
        let parts = request.messages.iter().flat_map(|message| &message.parts);
        let images = parts.filter_map(|part| match part {
            Part::Image(image) => Some(image.info().and_then(of_image)),
            _ => None,
        });
        let marked =
            |cells: Option<u64>| cells.map_or_else(unknown_size, Count::by_formula) + Count::exact(MARKS);
        estimate.image_tokens = images.map(marked).sum();
    }
    estimate
}

/// Tokens of a picture whose size is not known: the budgets for two frames, with what rounding to whole cells takes or adds.
fn unknown_size() -> Count {
    Count::between(1, (MAX_PIXELS / FRAMES / CELL / CELL) as u64)
}

/// Tokens of a picture without its marks; `None` for one that the processor refuses.
fn of_image(info: ImageInfo) -> Option<u64> {
    let (mut height, mut width) = (f64::from(info.height), f64::from(info.width));
    let short = height.min(width);
    if short < 1.0 {
        return None;
    }
    if short < CELL {
        let grow = CELL / short;
        (height, width) = ((height * grow).trunc(), (width * grow).trunc());
    }
    if height.max(width) / height.min(width) > MAX_ASPECT {
        return None;
    }
    let nearest = |side: f64| (side / CELL).round_ties_even();
    let (mut rows, mut columns) = (nearest(height), nearest(width));
    let pixels = FRAMES * rows * columns * CELL * CELL;
    if pixels > MAX_PIXELS {
        let shrink = (FRAMES * height * width / MAX_PIXELS).sqrt();
        let down = |side: f64| (side / shrink / CELL).floor().max(1.0);
        (rows, columns) = (down(height), down(width));
    } else if pixels < MIN_PIXELS {
        let grow = (MIN_PIXELS / (FRAMES * height * width)).sqrt();
        let up = |side: f64| (side * grow / CELL).ceil();
        (rows, columns) = (up(height), up(width));
    }
    Some((rows * columns) as u64)
}

#[cfg(test)]
mod tests {
    use polysight_core::{Image, ImageFormat};

    use super::*;

    fn cells(width: u32, height: u32) -> Option<u64> {
        of_image(ImageInfo::new(ImageFormat::Png, width, height))
    }

    #[test]
    fn pictures_are_counted_as_the_processor_does() {
        for (width, height, tokens) in [
            (28, 28, 9),
            (112, 112, 16),
            (224, 224, 64),
            (640, 480, 391),
            (1_024, 768, 999),
            (1_920, 1_080, 2_691),
            (4_032, 3_024, 7_500),
            (14, 28, 8),
        ] {
            assert_eq!(cells(width, height), Some(tokens), "{width} x {height}");
        }
        assert_eq!((cells(0, 9), cells(28, 6_000)), (None, None));
    }

    #[test]
    fn bounds_hold_for_pictures_of_any_size() {
        let sides = [1, 9, 27, 28, 100, 1_000, 2_899, 6_000, 60_000];
        let most = unknown_size().at_most.unwrap();
        for (width, height) in sides.into_iter().flat_map(|width| sides.map(|height| (width, height))) {
            assert!(
                cells(width, height).is_none_or(|cells| (1..=most).contains(&cells)),
                "{width} x {height}"
            );
        }
    }

    #[test]
    fn an_estimate_says_that_it_is_by_a_formula() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0";
        let image = Image::from_bytes(&png[..]).unwrap();
        let of = |model: &str, image: &Image| {
            let card = crate::catalog().unwrap().card(model);
            estimate(&ChatRequest::ask("?", [image.clone()]), &card).image_tokens
        };
        assert_eq!(of("glm-4.6v", &image), Count::by_formula(393));
        assert_eq!(of("glm-4v-plus", &image), Count::default(), "no formula is published");
        let linked = Image::from_url("https://h.example/a.png").unwrap();
        assert_eq!(of("glm-4.6v", &linked), Count::between(3, 7_502));
    }
}
