//! Pictures: format, size and mean colour.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, ImageReader, Limits};

/// Longest side, in pixels, that is decoded. No model served here takes more.
pub(crate) const MAX_SIDE: u32 = 6000;
/// A picture of 6000 x 6000 px with 16-bit colours and alpha takes 288 MB.
const MAX_DECODED_BYTES: u64 = 320 * 1024 * 1024;

/// A picture that could be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picture {
    /// `PNG`, `JPEG`, `WebP`, `GIF` or `BMP`.
    pub(crate) format: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Mean of all pixels per channel, transparency ignored. `None` where a side is over the limit: such a picture is
    /// refused by its header alone, so that a decompression bomb costs nothing.
    pub(crate) mean: Option<[u8; 3]>,
}

/// Reads a picture; `None` where the bytes are not one, or are damaged.
pub(super) fn measure(bytes: &[u8]) -> Option<Picture> {
    let format = image::guess_format(bytes).ok()?;
    let name = format_name(format)?;
    let (width, height) = ImageReader::with_format(Cursor::new(bytes), format).into_dimensions().ok()?;
    if width > MAX_SIDE || height > MAX_SIDE {
        return Some(Picture { format: name, width, height, mean: None });
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits());
    let mean = mean_colour(&reader.decode().ok()?);
    Some(Picture { format: name, width, height, mean: Some(mean) })
}

fn format_name(format: ImageFormat) -> Option<&'static str> {
    match format {
        ImageFormat::Png => Some("PNG"),
        ImageFormat::Jpeg => Some("JPEG"),
        ImageFormat::WebP => Some("WebP"),
        ImageFormat::Gif => Some("GIF"),
        ImageFormat::Bmp => Some("BMP"),
        _ => None,
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    limits
}

fn mean_colour(image: &DynamicImage) -> [u8; 3] {
    match image {
        DynamicImage::ImageRgb8(pixels) => mean(pixels.as_raw(), 3),
        DynamicImage::ImageRgba8(pixels) => mean(pixels.as_raw(), 4),
        DynamicImage::ImageLuma8(pixels) => mean(pixels.as_raw(), 1),
        other => mean(other.to_rgb8().as_raw(), 3),
    }
}

/// Mean per channel, rounded to the nearest; one channel counts as grey.
fn mean(samples: &[u8], channels: usize) -> [u8; 3] {
    let mut sums = [0_u64; 3];
    for pixel in samples.chunks_exact(channels) {
        if let [red, green, blue, ..] = pixel {
            sums = add(sums, [*red, *green, *blue]);
        } else if let [grey, ..] = pixel {
            sums = add(sums, [*grey; 3]);
        }
    }
    let count = (samples.len() / channels).max(1) as u64;
    sums.map(|sum| u8::try_from((sum + count / 2) / count).unwrap_or(u8::MAX))
}

fn add([r, g, b]: [u64; 3], [red, green, blue]: [u8; 3]) -> [u64; 3] {
    [r + u64::from(red), g + u64::from(green), b + u64::from(blue)]
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn halves() -> DynamicImage {
        RgbImage::from_fn(4, 2, |x, _| if x < 2 { Rgb([10, 20, 30]) } else { Rgb([20, 40, 61]) }).into()
    }

    #[test]
    fn measures_every_format_it_names() {
        for (format, name) in [
            (ImageFormat::Png, "PNG"),
            (ImageFormat::WebP, "WebP"),
            (ImageFormat::Bmp, "BMP"),
            (ImageFormat::Gif, "GIF"),
            (ImageFormat::Jpeg, "JPEG"),
        ] {
            let picture = measure(&encode(&halves(), format)).expect(name);
            assert_eq!((picture.format, picture.width, picture.height), (name, 4, 2));
        }
        assert_eq!(measure(&encode(&halves(), ImageFormat::Png)).unwrap().mean, Some([15, 30, 46]));
    }

    #[test]
    fn ignores_transparency_and_spreads_grey() {
        let clear: DynamicImage = RgbaImage::from_pixel(3, 3, Rgba([9, 8, 7, 0])).into();
        assert_eq!(measure(&encode(&clear, ImageFormat::Png)).unwrap().mean, Some([9, 8, 7]));
        let grey: DynamicImage = GrayImage::from_pixel(3, 3, Luma([77])).into();
        assert_eq!(measure(&encode(&grey, ImageFormat::Png)).unwrap().mean, Some([77; 3]));
    }

    #[test]
    fn does_not_decode_what_is_over_the_side_limit() {
        let long: DynamicImage = GrayImage::new(MAX_SIDE + 1, 1).into();
        let picture = measure(&encode(&long, ImageFormat::Png)).unwrap();
        assert_eq!((picture.width, picture.mean), (MAX_SIDE + 1, None));
    }

    #[test]
    fn damaged_or_foreign_bytes_are_no_picture() {
        let png = encode(&halves(), ImageFormat::Png);
        assert_eq!(measure(&png[..png.len() - 30]), None);
        assert_eq!(measure(b"%PDF-1.7"), None);
        assert_eq!(measure(b""), None);
    }
}
