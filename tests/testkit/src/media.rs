//! Pictures made by code, and the files that come with the examples.

use std::io::Cursor;
use std::path::PathBuf;

use image::{DynamicImage, ImageFormat, RgbImage};
use sha2::{Digest, Sha256};

/// A picture of a size, a gradient so that no two sizes have the same bytes.
///
/// # Panics
/// When the encoder of the format fails, which is a defect of the test.
#[must_use]
pub fn picture(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, ((x + y) % 256) as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut bytes, format).expect("the picture can be encoded");
    bytes.into_inner()
}

/// A PNG of noise, which does not compress: about 3 bytes a pixel.
///
/// # Panics
/// When the encoder fails, which is a defect of the test.
#[must_use]
pub fn noise(width: u32, height: u32) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let image = RgbImage::from_fn(width, height, |_, _| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        image::Rgb([state as u8, (state >> 8) as u8, (state >> 16) as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image)
        .write_to(&mut bytes, ImageFormat::Png)
        .expect("the picture can be encoded");
    bytes.into_inner()
}

/// Bytes that begin as a PNG of 512 x 512 pixels does and are noise from there: for what is sent and not decoded.
#[must_use]
pub fn bulky_png(bytes: usize) -> Vec<u8> {
    const END: &[u8] = b"\0\0\0\0IEND\xaeB`\x82";
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\0\0\0\x02\0\x08\x02\0\0\0".to_vec();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    while png.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        png.extend_from_slice(&state.to_le_bytes());
    }
    png.truncate(bytes.saturating_sub(END.len()));
    png.extend_from_slice(END);
    png
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Standard base64.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// A file among the media of the examples.
#[must_use]
pub fn example_file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/media")).join(name)
}
