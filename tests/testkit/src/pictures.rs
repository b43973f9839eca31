//! Pictures that make trouble, made by code.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::{DynamicImage, ImageFormat, RgbImage};
use jpeg_encoder::{ColorType, Encoder};

/// Colours of the four quarters of [`quarters`]: top left, top right, bottom left, bottom right.
pub const QUARTERS: [[u8; 3]; 4] = [[220, 30, 30], [30, 200, 30], [30, 30, 220], [230, 210, 40]];

/// The colour of a point of a picture whose quarters differ.
fn quarter(x: u32, y: u32, width: u32, height: u32) -> [u8; 3] {
    QUARTERS[usize::from(x >= width / 2) + 2 * usize::from(y >= height / 2)]
}

/// A picture of four colours.
#[must_use]
pub fn quarters(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| image::Rgb(quarter(x, y, width, height)))
}

/// Mean colours of the four corners of an encoded picture, each a sixteenth of it.
///
/// # Panics
/// When the picture cannot be decoded.
#[must_use]
pub fn corners(encoded: &[u8]) -> [[u8; 3]; 4] {
    let image = image::load_from_memory(encoded).expect("the picture can be decoded").to_rgb8();
    let (width, height) = image.dimensions();
    let (w, h) = ((width / 4).max(1), (height / 4).max(1));
    [(0, 0), (width - w, 0), (0, height - h), (width - w, height - h)].map(|(left, top)| {
        let mut sums = [0u64; 3];
        for y in top..top + h {
            for x in left..left + w {
                let point = image.get_pixel(x, y).0;
                sums.iter_mut().zip(point).for_each(|(sum, value)| *sum += u64::from(value));
            }
        }
        sums.map(|sum| (sum / u64::from(w * h)) as u8)
    })
}

/// The largest difference between two lists of colours.
#[must_use]
pub fn distance(left: &[[u8; 3]], right: &[[u8; 3]]) -> u8 {
    let channels = left.iter().flatten().zip(right.iter().flatten());
    channels.map(|(left, right)| left.abs_diff(*right)).max().unwrap_or(u8::MAX)
}

/// A JPEG of four colours that is shown as `width` x `height`, stored as the EXIF value says (JEITA CP-3451, orientation: which
/// sides of the picture the first row and the first column are).
#[must_use]
pub fn exif_jpeg(width: u32, height: u32, value: u16) -> Vec<u8> {
    let (right, bottom) = (width - 1, height - 1);
    let shown = |x: u32, y: u32| match value {
        2 => (right - x, y),
        3 => (right - x, bottom - y),
        4 => (x, bottom - y),
        5 => (y, x),
        6 => (right - y, x),
        7 => (right - y, bottom - x),
        8 => (y, bottom - x),
        _ => (x, y),
    };
    let (stored_width, stored_height) =
        if (5..=8).contains(&value) { (height, width) } else { (width, height) };
    let stored = RgbImage::from_fn(stored_width, stored_height, |x, y| {
        let (x, y) = shown(x, y);
        image::Rgb(quarter(x, y, width, height))
    });
    with_exif(&jpeg(&stored, 92), &orientation_exif(value))
}

/// EXIF data of an orientation alone.
#[must_use]
pub fn orientation_exif(value: u16) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend(value.to_le_bytes());
    exif.extend([0; 6]);
    exif
}

/// EXIF data whose directories lead back to themselves.
#[must_use]
pub fn cyclic_exif() -> Vec<u8> {
    // One entry, the pointer to the EXIF directory, which is this one; the next directory is this one too.
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0".to_vec();
    exif.extend(8u32.to_le_bytes());
    exif
}

/// Puts EXIF data into a JPEG.
#[must_use]
pub fn with_exif(jpeg: &[u8], exif: &[u8]) -> Vec<u8> {
    with_segment(jpeg, 0xe1, &[b"Exif\0\0", exif].concat())
}

fn with_segment(jpeg: &[u8], marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).expect("the segment is short").to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, content, &jpeg[2..]].concat()
}

/// Puts a colour profile into a JPEG.
#[must_use]
pub fn with_profile(jpeg: &[u8], profile: &[u8]) -> Vec<u8> {
    with_segment(jpeg, 0xe2, &[b"ICC_PROFILE\0\x01\x01", profile].concat())
}

/// A JPEG of a quality.
///
/// # Panics
/// When it cannot be encoded.
#[must_use]
pub fn jpeg(image: &RgbImage, quality: u8) -> Vec<u8> {
    encoded(image.as_raw(), image.width(), image.height(), ColorType::Rgb, quality)
}

fn encoded(data: &[u8], width: u32, height: u32, colour: ColorType, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let side = |side: u32| u16::try_from(side).expect("the side is short");
    let encoder = Encoder::new(&mut bytes, quality);
    encoder.encode(data, side(width), side(height), colour).expect("the picture can be encoded");
    bytes
}

/// A CMYK JPEG of one ink mixture: cyan alone.
#[must_use]
pub fn cyan_jpeg(width: u32, height: u32) -> Vec<u8> {
    let data = [255, 0, 0, 0].repeat((width * height) as usize);
    encoded(&data, width, height, ColorType::Cmyk, 92)
}

/// A profile of a press whose cyan ink is red, so that a reader of the profile sees red, and any other sees cyan.
/// An ICC profile of version 2 with one table of 16 corners, in Lab of 8 bits.
#[must_use]
pub fn red_cyan_profile() -> Vec<u8> {
    let mut table = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    for entry in [1u32, 0, 0, 0, 1, 0, 0, 0, 1] {
        table.extend((entry << 16).to_be_bytes());
    }
    let ramp: Vec<u8> = (0..=255).collect();
    table.extend(ramp.repeat(4));
    for corner in 0..16 {
        let (cyan, other) = (corner & 8 != 0, corner & 7 != 0);
        // Lab: lightness of 0 to 255, the colours around 128. White, red (53, 80, 67), black.
        table.extend(match (cyan, other) {
            (_, true) => [0, 128, 128],
            (true, false) => [136, 208, 195],
            (false, false) => [255, 128, 128],
        });
    }
    table.extend(ramp.repeat(3));
    let length = 128 + 4 + 12 + table.len();
    let mut profile = vec![0; 128];
    profile[0..4].copy_from_slice(&(length as u32).to_be_bytes());
    profile[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    profile[12..24].copy_from_slice(b"prtrCMYKLab ");
    profile[36..40].copy_from_slice(b"acsp");
    for (at, value) in [(68, 0x0000_f6d6u32), (72, 0x0001_0000), (76, 0x0000_d32d)] {
        profile[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    profile.extend(1u32.to_be_bytes());
    profile.extend(b"A2B0");
    profile.extend(144u32.to_be_bytes());
    profile.extend((table.len() as u32).to_be_bytes());
    profile.extend(table);
    profile
}

/// A profile of a screen whose red and blue have changed places.
///
/// # Panics
/// When it cannot be encoded.
#[must_use]
pub fn swapped_profile() -> Vec<u8> {
    let mut profile = moxcms::ColorProfile::new_srgb();
    std::mem::swap(&mut profile.red_colorant, &mut profile.blue_colorant);
    profile.cicp = None;
    profile.encode().expect("the profile can be encoded")
}

/// Kinds of PNG.
#[derive(Debug, Clone, Copy)]
pub struct PngKind {
    /// Colour type of the format: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA.
    pub colour: u8,
    /// Bits a channel: 8 or 16.
    pub bits: u8,
    /// Whether rows come in seven passes.
    pub interlaced: bool,
}

/// A PNG of any kind; `point` gives the bytes of a point.
#[must_use]
pub fn png(kind: PngKind, width: u32, height: u32, point: impl Fn(u32, u32) -> Vec<u8>) -> Vec<u8> {
    // First column, first row, steps (PNG, 8.2).
    const PASSES: [(u32, u32, u32, u32); 7] =
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
    let passes: &[_] = if kind.interlaced { &PASSES } else { &[(0, 0, 1, 1)] };
    let mut rows = Vec::new();
    for &(left, top, across, down) in passes {
        for y in (top..height).step_by(down as usize) {
            let mut columns = (left..width).step_by(across as usize).peekable();
            if columns.peek().is_some() {
                rows.push(0);
                columns.for_each(|x| rows.extend(point(x, y)));
            }
        }
    }
    let palette = (kind.colour == 3).then(|| chunk(b"PLTE", &QUARTERS.concat()));
    let data = chunk(b"IDAT", &deflated(&rows));
    [header(kind, width, height), palette.unwrap_or_default(), data, chunk(b"IEND", &[])].concat()
}

fn header(kind: PngKind, width: u32, height: u32) -> Vec<u8> {
    let mut content = [width.to_be_bytes(), height.to_be_bytes()].concat();
    content.extend([kind.bits, kind.colour, 0, 0, kind.interlaced.into()]);
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &content)].concat()
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory takes it")
}

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(kind);
    sum.update(content);
    let length = u32::try_from(content.len()).expect("the chunk is short").to_be_bytes();
    [&length[..], kind, content, &sum.sum().to_be_bytes()].concat()
}

const RGB: PngKind = PngKind { colour: 2, bits: 8, interlaced: false };

/// A PNG of a few bytes that claims 60,000 x 60,000 px.
#[must_use]
pub fn png_bomb() -> Vec<u8> {
    let data = chunk(b"IDAT", &deflated(&[0; 100_000]));
    [header(RGB, 60_000, 60_000), data, chunk(b"IEND", &[])].concat()
}

/// A PNG of four colours, too wide for some, with a colour profile that unpacks to so many MiB of zeros.
#[must_use]
pub fn profile_bomb(width: u32, height: u32, mib: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let block = vec![0; 1 << 20];
    for _ in 0..mib {
        encoder.write_all(&block).expect("memory takes it");
    }
    let packed = encoder.finish().expect("memory takes it");
    let profile = chunk(b"iCCP", &[b"icc\0\0", &packed[..]].concat());
    let plain = png(RGB, width, height, |x, y| quarter(x, y, width, height).to_vec());
    [&plain[..33], &profile, &plain[33..]].concat()
}

/// A GIF of so many frames of one point each, on a screen of these sides.
#[must_use]
pub fn gif(width: u16, height: u16, frames: usize) -> Vec<u8> {
    let (w, h) = (width.to_le_bytes(), height.to_le_bytes());
    let mut gif = [&b"GIF89a"[..], &w, &h, &[0x80, 0, 0, 220, 30, 30, 30, 30, 220]].concat();
    // Codes of three bits: clear, colour 0, end.
    gif.extend(b",\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0".repeat(frames));
    gif.push(b';');
    gif
}

/// An animated WebP of two frames: the first of four colours, the second white.
#[must_use]
pub fn animated_webp(width: u32, height: u32) -> Vec<u8> {
    let still = |image: RgbImage| {
        let bytes = encode(DynamicImage::ImageRgb8(image), ImageFormat::WebP);
        bytes[12..].to_vec()
    };
    let three = |value: u32| value.to_le_bytes()[..3].to_vec();
    let part = |name: &[u8; 4], content: &[u8]| {
        [&name[..], &(content.len() as u32).to_le_bytes(), content, &vec![0; content.len() % 2]].concat()
    };
    let frame = |image: RgbImage| {
        let head = [three(0), three(0), three(width - 1), three(height - 1), three(100), vec![0]].concat();
        part(b"ANMF", &[head, still(image)].concat())
    };
    let white = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
    let body = [
        b"WEBP".to_vec(),
        part(b"VP8X", &[vec![2, 0, 0, 0], three(width - 1), three(height - 1)].concat()),
        part(b"ANIM", &[255, 255, 255, 255, 0, 0]),
        frame(quarters(width, height)),
        frame(white),
    ];
    part(b"RIFF", &body.concat())
}

/// The header of a picture of HEIF, without a picture.
#[must_use]
pub fn heif_header(brand: &[u8; 4], item: &[u8; 4], width: u32, height: u32) -> Vec<u8> {
    let part = |kind: &[u8; 4], content: &[u8]| {
        [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
    };
    let size = [&[0; 4][..], &width.to_be_bytes(), &height.to_be_bytes()].concat();
    let associations = [0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1];
    let properties = [part(b"ipco", &part(b"ispe", &size)), part(b"ipma", &associations)].concat();
    let entry = part(b"infe", &[&[2, 0, 0, 0, 0, 1, 0, 0][..], item, &[0]].concat());
    let meta = [
        vec![0; 4],
        part(b"hdlr", &[&[0; 8][..], b"pict", &[0; 13]].concat()),
        part(b"pitm", &[0, 0, 0, 0, 0, 1]),
        part(b"iinf", &[&[0, 0, 0, 0, 0, 1][..], &entry].concat()),
        part(b"iprp", &properties),
    ];
    [part(b"ftyp", &[&brand[..], &[0; 4], brand, b"mif1"].concat()), part(b"meta", &meta.concat())].concat()
}

/// A HEIC of four colours, 128 x 64 px as it is coded, with properties that turn (`irot`, quarter turns against the clock) and
/// mirror it (`imir`, 0 for top to bottom and 1 for left to right), in this order (ISO/IEC 23008-12, 6.5.10 and 6.5.12).
///
/// # Panics
/// When the file is not the one that is expected.
#[must_use]
pub fn heic(properties: &[(&[u8; 4], u8)]) -> Vec<u8> {
    with_properties(include_bytes!("../../fixtures/pictures/quarters.heic").to_vec(), &slices(properties))
}

/// The same as an AVIF.
///
/// # Panics
/// When the file is not the one that is expected.
#[must_use]
pub fn avif(properties: &[(&[u8; 4], u8)]) -> Vec<u8> {
    with_properties(include_bytes!("../../fixtures/pictures/quarters.avif").to_vec(), &slices(properties))
}

/// The same, cropped to these sides around its middle (`clap`).
///
/// # Panics
/// When the file is not the one that is expected.
#[must_use]
pub fn cropped_avif(width: u32, height: u32) -> Vec<u8> {
    let numbers = [width, 1, height, 1, 0, 1, 0, 1].map(u32::to_be_bytes).concat();
    with_properties(include_bytes!("../../fixtures/pictures/quarters.avif").to_vec(), &[(b"clap", &numbers)])
}

fn slices<'a>(properties: &'a [(&'a [u8; 4], u8)]) -> Vec<(&'a [u8; 4], &'a [u8])> {
    properties.iter().map(|(kind, value)| (*kind, std::slice::from_ref(value))).collect()
}

/// A file as `heif-enc` makes it, with more properties of its one item.
fn with_properties(mut file: Vec<u8>, properties: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let at = |file: &[u8], kind: &[u8; 4]| {
        file.windows(4).position(|name| name == kind).expect("the box is there") - 4
    };
    let number =
        |file: &[u8], at: usize| u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes"));
    let add = |file: &mut Vec<u8>, at: usize, more: u32| {
        let sum = number(file, at) + more;
        file[at..at + 4].copy_from_slice(&sum.to_be_bytes());
    };
    for (kind, value) in properties {
        let length = value.len() as u32 + 8;
        // A box of its own behind the other properties, and its number behind those of the one item.
        let list = at(&file, b"ipco");
        let end = list + number(&file, list) as usize;
        let (mut count, mut place) = (0, list + 8);
        while place < end {
            count += 1;
            place += number(&file, place) as usize;
        }
        file.splice(end..end, [&length.to_be_bytes()[..], *kind, value].concat());
        add(&mut file, list, length);
        let numbers = at(&file, b"ipma");
        let end = numbers + number(&file, numbers) as usize;
        file.insert(end, 0x80 | (count + 1));
        file[numbers + 18] += 1;
        add(&mut file, numbers, 1);
        for outer in [b"iprp", b"meta"] {
            let outer = at(&file, outer);
            add(&mut file, outer, length + 1);
        }
        let base_offset = at(&file, b"iloc") + 20;
        add(&mut file, base_offset, length + 1);
    }
    file
}

/// A photograph as a phone makes it: noise and shapes, 4032 x 3024 px as stored, orientation 6, about 11 MB.
#[must_use]
pub fn phone_photo() -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let photo = RgbImage::from_fn(4_032, 3_024, |x, y| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        // Shown upright, the top is bright and the bottom dark.
        let light = 230 - x * 180 / 4_032;
        let noise =
            |shift: u32| ((state >> shift) % 72).wrapping_add(light).saturating_sub(36).min(255) as u8;
        let shade = if (x / 252 + y / 252) % 2 == 0 { 0 } else { 12 };
        image::Rgb([noise(0).saturating_sub(shade), noise(8), noise(16)])
    });
    let quality =
        (80..=93).rev().map(|quality| full_colour_jpeg(&photo, quality)).find(|jpeg| jpeg.len() < 12_000_000);
    with_exif(&quality.expect("one quality is near enough"), &orientation_exif(6))
}

/// Without halved colours, whatever the quality.
fn full_colour_jpeg(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_1_1);
    let side = |side: u32| u16::try_from(side).expect("the side is short");
    let (width, height) = (side(image.width()), side(image.height()));
    encoder.encode(image.as_raw(), width, height, ColorType::Rgb).expect("the picture can be encoded");
    bytes
}

fn encode(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("the picture can be encoded");
    bytes.into_inner()
}

/// Pictures that make trouble, by name. Those that are wide are wider than any vendor's longest side.
#[must_use]
pub fn troublesome() -> Vec<(String, Vec<u8>)> {
    let (width, height) = (6_200, 64);
    let wide = quarters(width, height);
    let four = |x: u32, y: u32| quarter(x, y, width, height);
    let index = |x: u32, y: u32| u8::from(x >= width / 2) + 2 * u8::from(y >= height / 2);
    let kind = |colour: u8, bits: u8, interlaced: bool| PngKind { colour, bits, interlaced };
    let deep = |x, y| four(x, y).into_iter().flat_map(|value| [value, 0x55]).collect();
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() * 2 / 3].to_vec();
    let cyan = cyan_jpeg(width, height);
    let mut all = vec![
        ("truncated.jpg", cut(jpeg(&wide, 92))),
        ("truncated.png", cut(crate::media::noise(6_200, 40))),
        ("bomb.png", png_bomb()),
        ("million-frames.gif", gif(6_200, 64, 1_000_000)),
        ("profile-bomb.png", profile_bomb(width, height, 16)),
        ("40-mb.png", crate::media::noise(3_700, 3_600)),
        ("12000x9000.jpg", jpeg(&quarters(12_000, 9_000), 60)),
        ("6001x10.png", png(RGB, 6_001, 10, |x, y| quarter(x, y, 6_001, 10).to_vec())),
        ("1x1.png", png(RGB, 1, 1, |_, _| vec![9, 8, 7])),
        ("cmyk.jpg", cyan.clone()),
        ("cmyk-profile.jpg", with_profile(&cyan, &red_cyan_profile())),
        ("rgb-profile.jpg", with_profile(&jpeg(&wide, 92), &swapped_profile())),
        ("damaged-profile.jpg", with_profile(&jpeg(&wide, 92), b"no profile at all")),
        ("16-bit.png", png(kind(2, 16, false), width, height, deep)),
        ("grey-alpha.png", png(kind(4, 8, false), width, height, |x, _| vec![60, (x * 255 / width) as u8])),
        ("grey.png", png(kind(0, 8, false), width, height, |x, _| vec![(x * 255 / width) as u8])),
        ("rgba.png", png(kind(6, 8, false), width, height, |x, y| [&four(x, y)[..], &[128]].concat())),
        ("palette.png", png(kind(3, 8, false), width, height, |x, y| vec![index(x, y)])),
        ("interlaced.png", png(kind(2, 8, true), width, height, |x, y| four(x, y).to_vec())),
        ("animated.webp", animated_webp(width, height)),
        ("still.webp", encode(DynamicImage::ImageRgb8(wide.clone()), ImageFormat::WebP)),
        ("still.gif", gif(6_200, 64, 1)),
        ("still.bmp", encode(DynamicImage::ImageRgb8(wide.clone()), ImageFormat::Bmp)),
        ("exif-9.jpg", exif_jpeg(640, 480, 9)),
        ("exif-cyclic.jpg", with_exif(&jpeg(&quarters(640, 480), 92), &cyclic_exif())),
        ("header.heic", heif_header(b"heic", b"hvc1", 6_200, 64)),
        ("header.avif", heif_header(b"avif", b"av01", 6_200, 64)),
        ("drawing.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"/>".to_vec()),
        ("paper.pdf", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n".to_vec()),
    ];
    let names = [
        "exif-1.jpg",
        "exif-2.jpg",
        "exif-3.jpg",
        "exif-4.jpg",
        "exif-5.jpg",
        "exif-6.jpg",
        "exif-7.jpg",
        "exif-8.jpg",
    ];
    all.extend(names.into_iter().zip(1..).map(|(name, value)| (name, exif_jpeg(640, 480, value))));
    all.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}
