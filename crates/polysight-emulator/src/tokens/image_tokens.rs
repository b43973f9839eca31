//! How a picture is cut into cells before a model sees it.
//!
//! Alibaba publishes this rule for its hosted models and their weights, Baidu for the weights of its own: sides become
//! multiples of a cell, and the area is brought within a budget.

/// Sides after resizing, in pixels: height and width.
pub(crate) type Size = (u64, u64);

/// Resizes a picture to whole cells within a budget of pixels.
pub(crate) fn resize((height, width): Size, cell: u32, least: u64, most: u64) -> Size {
    let cell = f64::from(cell);
    let (h, w) = (height as f64, width as f64);
    // The vendor's code is Python, whose `round` takes halves to the even neighbour.
    let nearest = |side: f64| ((side / cell).round_ties_even() * cell).max(cell);
    let area = nearest(h) * nearest(w);
    let sides = if area > most as f64 {
        let by = (h * w / most as f64).sqrt();
        [h, w].map(|side| ((side / by / cell).floor() * cell).max(cell))
    } else if area < least as f64 {
        let by = (least as f64 / (h * w)).sqrt();
        [h, w].map(|side| (side * by / cell).ceil() * cell)
    } else {
        [nearest(h), nearest(w)]
    };
    let [height, width] = sides.map(|side| side as u64);
    (height, width)
}

/// Cells of a resized picture.
pub(crate) fn cells((height, width): Size, cell: u32) -> u64 {
    (height / u64::from(cell)) * (width / u64::from(cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_open_weights_of_baidu() {
        for (height, width, expected) in [
            (28, 28, 4),
            (224, 224, 64),
            (512, 512, 324),
            (768, 1024, 999),
            (1080, 1920, 2691),
            (3000, 4000, 6120),
            (6000, 6000, 6084),
        ] {
            let size = resize((height, width), 28, 56 * 56, 28 * 28 * 6177);
            assert_eq!(cells(size, 28), expected, "{height}x{width}");
        }
    }

    #[test]
    fn a_half_goes_to_the_even_neighbour() {
        assert_eq!(resize((48, 80), 32, 1, 1 << 30), (64, 64));
    }
}
