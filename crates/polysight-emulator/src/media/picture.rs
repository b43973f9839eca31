//! Pictures: format, size and mean colour.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, ImageReader, Limits};
use imagesize::ImageType;

use super::rectangles::{self, Rectangle};

/// Most pixels that are decoded: 6000 x 6000. No model served here takes many more.
pub(crate) const MAX_PIXELS: u64 = 36_000_000;
/// A picture of that size with 16-bit colours and alpha takes 288 MB.
const MAX_DECODED_BYTES: u64 = 320 * 1024 * 1024;

/// A picture that could be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picture {
    /// `PNG`, `JPEG`, `WebP`, `GIF` or `BMP`; `TIFF` and `HEIC` by their headers.
    pub(crate) format: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Mean of all pixels per channel, transparency ignored. `None` where the picture is too large to be decoded, or
    /// those before it were (a decompression bomb costs nothing), and for TIFF and HEIC.
    pub(crate) mean: Option<[u8; 3]>,
    /// Upright rectangles of one colour, where they are looked for.
    pub(crate) rectangles: Vec<Rectangle>,
}

/// Pixels that may still be decoded for one request, and whether rectangles are looked for.
#[derive(Debug)]
pub(crate) struct DecodeBudget {
    pixels: u64,
    finds_rectangles: bool,
}

impl Default for DecodeBudget {
    /// One picture of the largest size: a second or so of work, several in a build without optimisation.
    fn default() -> Self {
        Self { pixels: MAX_PIXELS, finds_rectangles: false }
    }
}

impl DecodeBudget {
    /// The same, and whether rectangles are looked for, which takes as long again.
    pub(crate) fn finding_rectangles(finds_rectangles: bool) -> Self {
        Self { finds_rectangles, ..Self::default() }
    }

    fn take(&mut self, pixels: u64) -> bool {
        let fits = pixels <= MAX_PIXELS.min(self.pixels);
        self.pixels -= if fits { pixels } else { 0 };
        fits
    }
}

/// Reads a picture; `None` where the bytes are not one, or are damaged.
pub(super) fn measure(bytes: &[u8], budget: &mut DecodeBudget) -> Option<Picture> {
    let Some((format, name)) =
        image::guess_format(bytes).ok().and_then(|format| Some((format, format_name(format)?)))
    else {
        return by_header(bytes);
    };
    let (width, height) = ImageReader::with_format(Cursor::new(bytes), format).into_dimensions().ok()?;
    if !budget.take(u64::from(width) * u64::from(height)) {
        return Some(Picture { format: name, width, height, mean: None, rectangles: Vec::new() });
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits());
    let image = reader.decode().ok()?;
    let mean = mean_colour(&image);
    let rectangles = if budget.finds_rectangles { rectangles::find(&image.into_rgb8()) } else { Vec::new() };
    Some(Picture { format: name, width, height, mean: Some(mean), rectangles })
}

/// Formats whose size is read but whose pixels are not.
fn by_header(bytes: &[u8]) -> Option<Picture> {
    let format = match imagesize::image_type(bytes).ok()? {
        ImageType::Tiff => "TIFF",
        ImageType::Heif(_) => "HEIC",
        _ => return None,
    };
    let size = imagesize::blob_size(bytes).ok()?;
    let (width, height) = (u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?);
    Some(Picture { format, width, height, mean: None, rectangles: Vec::new() })
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

    fn measure(bytes: &[u8]) -> Option<Picture> {
        super::measure(bytes, &mut DecodeBudget::default())
    }

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
    fn does_not_decode_what_is_over_the_limit() {
        let mut bitmap = encode(&halves(), ImageFormat::Bmp);
        bitmap[18..22].copy_from_slice(&6001_u32.to_le_bytes());
        bitmap[22..26].copy_from_slice(&6000_u32.to_le_bytes());
        let picture = measure(&bitmap).unwrap();
        assert_eq!((picture.width, picture.height, picture.mean), (6001, 6000, None));
    }

    #[test]
    fn decodes_no_more_than_the_budget_of_a_request() {
        let (bytes, mut budget) =
            (encode(&halves(), ImageFormat::Png), DecodeBudget { pixels: 17, finds_rectangles: false });
        let decoded = |budget: &mut DecodeBudget| super::measure(&bytes, budget).unwrap().mean.is_some();
        assert_eq!([(); 3].map(|()| decoded(&mut budget)), [true, true, false]);
    }

    #[test]
    fn reads_the_size_of_a_tiff_from_its_header() {
        let entry = |tag: u16, value: u32| {
            [&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0], &value.to_le_bytes()[..]].concat()
        };
        let file = [b"II*\0\x08\0\0\0\x02\0".to_vec(), entry(256, 40), entry(257, 30), vec![0; 4]].concat();
        let picture = measure(&file).unwrap();
        assert_eq!((picture.format, picture.width, picture.height, picture.mean), ("TIFF", 40, 30, None));
    }

    #[test]
    fn damaged_or_foreign_bytes_are_no_picture() {
        let png = encode(&halves(), ImageFormat::Png);
        assert_eq!(measure(&png[..png.len() - 30]), None);
        assert_eq!(measure(b"%PDF-1.7"), None);
        assert_eq!(measure(b""), None);
    }
}
