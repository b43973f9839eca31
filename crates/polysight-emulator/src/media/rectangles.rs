//! Upright rectangles of one colour in a picture, found by its pixels.

use image::RgbImage;

/// Colours with a name; the last ones are backgrounds and never given as rectangles.
const PALETTE: [(&str, [u8; 3]); 10] = [
    ("red", [225, 30, 30]),
    ("green", [30, 160, 60]),
    ("blue", [30, 60, 220]),
    ("yellow", [245, 215, 30]),
    ("magenta", [210, 40, 200]),
    ("cyan", [40, 200, 215]),
    ("orange", [245, 130, 30]),
    ("", [255, 255, 255]),
    ("", [128, 128, 128]),
    ("", [0, 0, 0]),
];
/// Pixels that are farther from every named colour have none.
const FARTHEST: u32 = 90 * 90;
/// Shortest side, in pixels.
const MIN_SIDE: u32 = 4;
/// Most rectangles of a picture, and most that are open in one row.
const MOST: usize = 64;

/// A rectangle of one colour; `right` and `bottom` are the first pixels outside of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rectangle {
    pub(crate) colour: &'static str,
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) right: u32,
    pub(crate) bottom: u32,
}

/// What may become a rectangle.
struct Open {
    rectangle: Rectangle,
    area: u64,
    /// The run of its last row.
    last: (u32, u32),
}

/// The names of the colours that are found.
pub(crate) fn colours() -> impl Iterator<Item = &'static str> {
    PALETTE.iter().map(|(name, _)| *name).filter(|name| !name.is_empty())
}

/// Finds the rectangles of a picture, from top to bottom.
pub(super) fn find(image: &RgbImage) -> Vec<Rectangle> {
    let (mut open, mut found): (Vec<Open>, Vec<Rectangle>) = Default::default();
    for (y, row) in image.rows().enumerate() {
        let y = u32::try_from(y).unwrap_or(u32::MAX);
        for (colour, left, right) in runs(row.map(|pixel| pixel.0)) {
            grow(&mut open, colour, (left, right), y);
        }
        close(&mut open, &mut found, y);
    }
    close(&mut open, &mut found, u32::MAX);
    found.sort_by_key(|rectangle| (rectangle.top, rectangle.left));
    found.truncate(MOST);
    found
}

/// The stretches of one named colour in a row.
fn runs(row: impl Iterator<Item = [u8; 3]>) -> Vec<(&'static str, u32, u32)> {
    let mut runs: Vec<(&'static str, u32, u32)> = Vec::new();
    let mut last = ([0; 3], "");
    for (x, pixel) in row.enumerate() {
        if pixel != last.0 {
            last = (pixel, name(pixel));
        }
        let x = u32::try_from(x).unwrap_or(u32::MAX);
        match runs.last_mut() {
            Some((colour, _, right)) if *colour == last.1 && *right == x => *right = x + 1,
            _ if !last.1.is_empty() => runs.push((last.1, x, x + 1)),
            _ => {}
        }
    }
    runs.retain(|(_, left, right)| right - left >= MIN_SIDE);
    runs
}

/// The nearest colour of the palette, where it has a name and is near.
fn name(pixel: [u8; 3]) -> &'static str {
    let distance = |colour: [u8; 3]| {
        let channels = pixel.into_iter().zip(colour);
        channels.map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum::<u32>()
    };
    let nearest = PALETTE.iter().map(|(name, colour)| (distance(*colour), *name)).min();
    nearest.filter(|(distance, _)| *distance <= FARTHEST).map_or("", |(_, name)| name)
}

/// Adds a run to what it touches in the row above, or opens something new.
fn grow(open: &mut Vec<Open>, colour: &'static str, (left, right): (u32, u32), y: u32) {
    let touches = |one: &&mut Open| {
        one.rectangle.colour == colour && one.rectangle.bottom == y && one.last.0 < right && left < one.last.1
    };
    let area = u64::from(right - left);
    if let Some(one) = open.iter_mut().find(touches) {
        let rectangle = &mut one.rectangle;
        (rectangle.left, rectangle.right) = (rectangle.left.min(left), rectangle.right.max(right));
        (rectangle.bottom, one.last) = (y + 1, (left, right));
        one.area += area;
    } else if open.len() < MOST {
        let rectangle = Rectangle { colour, left, top: y, right, bottom: y + 1 };
        open.push(Open { rectangle, area, last: (left, right) });
    }
}

/// Takes out what did not grow in a row, and keeps what fills its bounds.
fn close(open: &mut Vec<Open>, found: &mut Vec<Rectangle>, y: u32) {
    let ended = |one: &mut Open| one.rectangle.bottom <= y;
    for Open { rectangle, area, .. } in open.extract_if(.., ended) {
        let (width, height) = (rectangle.right - rectangle.left, rectangle.bottom - rectangle.top);
        let bounds = u64::from(width) * u64::from(height);
        if width >= MIN_SIDE && height >= MIN_SIDE && area * 10 >= bounds * 9 && found.len() < 4 * MOST {
            found.push(rectangle);
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn picture(rectangles: &[([u8; 3], [u32; 4])]) -> RgbImage {
        RgbImage::from_fn(60, 40, |x, y| {
            let inside = |(_, [left, top, right, bottom]): &&([u8; 3], [u32; 4])| {
                (*left..*right).contains(&x) && (*top..*bottom).contains(&y)
            };
            Rgb(rectangles.iter().find(inside).map_or([250, 250, 250], |(colour, _)| *colour))
        })
    }

    #[test]
    fn rectangles_are_found_to_the_pixel() {
        let image = picture(&[
            ([230, 25, 25], [5, 6, 25, 16]),
            ([30, 60, 220], [30, 6, 60, 40]),
            ([230, 25, 25], [0, 30, 10, 40]),
        ]);
        let found: Vec<_> = find(&image)
            .into_iter()
            .map(|one| (one.colour, [one.left, one.top, one.right, one.bottom]))
            .collect();
        assert_eq!(found, [("red", [5, 6, 25, 16]), ("blue", [30, 6, 60, 40]), ("red", [0, 30, 10, 40])]);
    }

    #[test]
    fn what_is_no_rectangle_is_left_out() {
        // A triangle, specks, and grey.
        let image = RgbImage::from_fn(60, 40, |x, y| {
            Rgb(if x < y {
                [230, 25, 25]
            } else if x % 7 == 0 && y % 7 == 0 {
                [30, 60, 220]
            } else {
                [120, 120, 120]
            })
        });
        assert_eq!(find(&image), []);
    }
}
