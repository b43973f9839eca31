//! Media made by hand: headers of a few bytes, of the size that a test wants.

use polysight_core::ImageFormat;

pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    file.extend(width.to_be_bytes());
    file.extend(height.to_be_bytes());
    file.extend([8, 2, 0, 0, 0]);
    file
}

/// A JPEG with segments (marker, length of content) before its frame header.
pub(crate) fn jpeg(width: u16, height: u16, segments: &[(u8, u16)]) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    for (marker, length) in segments {
        file.extend([0xff, *marker]);
        file.extend((length + 2).to_be_bytes());
        file.extend(std::iter::repeat_n(0xc0, usize::from(*length)));
    }
    file.extend([0xff, 0xc0, 0, 17, 8]);
    file.extend(height.to_be_bytes());
    file.extend(width.to_be_bytes());
    file.extend([3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1, 0xff, 0xd9]);
    file
}

/// A TIFF header with one directory of one entry: the orientation.
pub(crate) fn exif(orientation: u16) -> Vec<u8> {
    let mut block = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    block.extend(orientation.to_be_bytes());
    block.extend([0; 6]);
    block
}

/// A JPEG with these bytes between its first marker and its frame header.
pub(crate) fn jpeg_with(between: &[u8], width: u16, height: u16) -> Vec<u8> {
    let mut file = jpeg(width, height, &[]);
    file.splice(2..2, between.iter().copied());
    file
}

/// A JPEG segment.
pub(crate) fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    [&[0xff, marker], &(content.len() as u16 + 2).to_be_bytes()[..], content].concat()
}

pub(crate) fn riff(chunk: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    file.extend((content.len() as u32 + 12).to_le_bytes());
    file.extend(b"WEBP");
    file.extend(chunk);
    file.extend((content.len() as u32).to_le_bytes());
    file.extend(content);
    file
}

pub(crate) fn webp_lossy(width: u16, height: u16) -> Vec<u8> {
    let mut content = vec![0x30, 1, 0, 0x9d, 1, 0x2a];
    content.extend(width.to_le_bytes());
    content.extend(height.to_le_bytes());
    riff(b"VP8 ", &content)
}

pub(crate) fn webp_lossless(width: u32, height: u32) -> Vec<u8> {
    let mut content = vec![0x2f];
    content.extend(((width - 1) | ((height - 1) << 14)).to_le_bytes());
    riff(b"VP8L", &content)
}

pub(crate) fn webp_extended(width: u32, height: u32) -> Vec<u8> {
    let mut content = vec![0x10, 0, 0, 0];
    content.extend(&(width - 1).to_le_bytes()[..3]);
    content.extend(&(height - 1).to_le_bytes()[..3]);
    riff(b"VP8X", &content)
}

pub(crate) fn gif(width: u16, height: u16) -> Vec<u8> {
    let mut file = b"GIF89a".to_vec();
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend([0, 0, 0, 0x3b]);
    file
}

/// A negative height is of a bitmap whose rows go from top to bottom.
pub(crate) fn bmp(width: i32, height: i32) -> Vec<u8> {
    let mut file = b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend([1, 0, 24, 0]);
    file
}

pub(crate) fn bmp_of_os2(width: u16, height: u16) -> Vec<u8> {
    let mut file = b"BM\x46\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0".to_vec();
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend([1, 0, 24, 0]);
    file
}

pub(crate) fn tiff_little_endian(width: u16, height: u32) -> Vec<u8> {
    let mut file = b"II*\0\x08\0\0\0\x02\0".to_vec();
    file.extend(b"\0\x01\x03\0\x01\0\0\0");
    file.extend(width.to_le_bytes());
    file.extend(b"\0\0\x01\x01\x04\0\x01\0\0\0");
    file.extend(height.to_le_bytes());
    file
}

pub(crate) fn tiff_big_endian(width: u16, height: u16) -> Vec<u8> {
    let mut file = b"MM\0*\0\0\0\x08\0\x02\x01\0\0\x03\0\0\0\x01".to_vec();
    file.extend(width.to_be_bytes());
    file.extend(b"\0\0\x01\x01\0\x03\0\0\0\x01");
    file.extend(height.to_be_bytes());
    file.extend([0, 0]);
    file
}

/// A box of MP4 and HEIF.
pub(crate) fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut all = (content.len() as u32 + 8).to_be_bytes().to_vec();
    all.extend(kind);
    all.extend(content);
    all
}

/// An item of a HEIF file: its number, its kind, and its properties, counted from one.
pub(crate) type Item<'a> = (u16, &'a [u8; 4], &'a [u8]);

/// A HEIF file of items and properties; `brands` are the major one and the compatible ones.
pub(crate) fn heif_of(
    brands: &[&[u8; 4]],
    primary: u16,
    items: &[Item<'_>],
    properties: &[Vec<u8>],
) -> Vec<u8> {
    let mut listed = [&[0; 4][..], &(items.len() as u16).to_be_bytes()].concat();
    let mut associated = [&[0; 4][..], &(items.len() as u32).to_be_bytes()].concat();
    for (number, kind, of) in items {
        listed.extend(boxed(
            b"infe",
            &[&[2, 0, 0, 0], &number.to_be_bytes()[..], &[0, 0], *kind, &[0]].concat(),
        ));
        associated.extend([&number.to_be_bytes()[..], &[of.len() as u8], of].concat());
    }
    let properties = [boxed(b"ipco", &properties.concat()), boxed(b"ipma", &associated)].concat();
    let primary = [&[0; 4][..], &primary.to_be_bytes()].concat();
    let handler = [&[0; 8][..], b"pict", &[0; 13]].concat();
    let meta = [
        vec![0; 4],
        boxed(b"hdlr", &handler),
        boxed(b"pitm", &primary),
        boxed(b"iinf", &listed),
        boxed(b"iprp", &properties),
    ];
    let mut brand = brands[0].to_vec();
    brand.extend([0; 4]);
    brands[1..].iter().for_each(|compatible| brand.extend(*compatible));
    [boxed(b"ftyp", &brand), boxed(b"meta", &meta.concat())].concat()
}

/// The size of an item.
pub(crate) fn ispe(width: u32, height: u32) -> Vec<u8> {
    boxed(b"ispe", &[[0; 4], width.to_be_bytes(), height.to_be_bytes()].concat())
}

/// What is cut out of the middle of an item.
pub(crate) fn clap(width: u32, height: u32) -> Vec<u8> {
    let numbers = [width, 1, height, 1, 0, 1, 0, 1];
    boxed(b"clap", &numbers.map(u32::to_be_bytes).concat())
}

/// A HEIF file with a larger picture beside the primary one, and a thumbnail listed before it.
pub(crate) fn heif(brands: &[&[u8; 4]], width: u32, height: u32) -> Vec<u8> {
    let kind = if brands.iter().any(|brand| brand.starts_with(b"av")) { b"av01" } else { b"hvc1" };
    let items: [Item<'_>; 3] = [(1, kind, &[1]), (2, kind, &[2]), (3, kind, &[3])];
    heif_of(brands, 2, &items, &[ispe(2, 2), ispe(width, height), ispe(9_000, 9_000)])
}

/// Name, content, format and size.
pub(crate) type Sample = (&'static str, Vec<u8>, ImageFormat, (u32, u32));

/// Every picture format, in every way of telling its size.
pub(crate) fn pictures() -> Vec<Sample> {
    use ImageFormat::{Avif, Bmp, Gif, Heic, Jpeg, Png, Tiff, WebP};
    vec![
        ("jpeg", jpeg(640, 480, &[]), Jpeg, (640, 480)),
        ("jpeg, EXIF", jpeg(640, 480, &[(0xe0, 14), (0xe1, 65_000), (0xdb, 65)]), Jpeg, (640, 480)),
        ("png", png(70_000, 3), Png, (70_000, 3)),
        ("webp, lossy", webp_lossy(550, 368), WebP, (550, 368)),
        ("webp, lossless", webp_lossless(16_383, 9), WebP, (16_383, 9)),
        ("webp, extended", webp_extended(70_000, 16), WebP, (70_000, 16)),
        ("gif", gif(10, 65_535), Gif, (10, 65_535)),
        ("bmp", bmp(12, 34), Bmp, (12, 34)),
        ("bmp, top down", bmp(12, -34), Bmp, (12, 34)),
        ("bmp, OS/2", bmp_of_os2(12, 34), Bmp, (12, 34)),
        ("tiff, little endian", tiff_little_endian(300, 200), Tiff, (300, 200)),
        ("tiff, big endian", tiff_big_endian(300, 200), Tiff, (300, 200)),
        ("heic", heif(&[b"heic", b"mif1", b"heic"], 4_032, 3_024), Heic, (4_032, 3_024)),
        ("heic by compatible brand", heif(&[b"mif1", b"heic"], 400, 300), Heic, (400, 300)),
        ("avif", heif(&[b"avif", b"mif1", b"miaf"], 800, 600), Avif, (800, 600)),
        ("avif by compatible brand", heif(&[b"mif1", b"mif1", b"avif"], 800, 600), Avif, (800, 600)),
    ]
}

/// Movie header of version 0: ticks a second, and ticks.
pub(crate) fn mvhd(scale: u32, ticks: u32) -> Vec<u8> {
    let content = [[0; 4], [0; 4], [0; 4], scale.to_be_bytes(), ticks.to_be_bytes()].concat();
    boxed(b"mvhd", &[content, vec![0; 80]].concat())
}

/// Movie header of version 1, with 64-bit times.
pub(crate) fn mvhd_wide(scale: u32, ticks: u64) -> Vec<u8> {
    let mut content = vec![1, 0, 0, 0];
    content.extend([0; 16]);
    content.extend(scale.to_be_bytes());
    content.extend(ticks.to_be_bytes());
    content.extend([0; 80]);
    boxed(b"mvhd", &content)
}

/// A track of this frame size; 0 x 0 for sound.
pub(crate) fn trak(width: u16, height: u16) -> Vec<u8> {
    trak_of(if width == 0 { b"soun" } else { b"vide" }, width, height, [1, 0, 0, 1])
}

/// A track of a handler, its frame size, and the turning part of its matrix.
pub(crate) fn trak_of(handler: &[u8; 4], width: u16, height: u16, turn: [i32; 4]) -> Vec<u8> {
    let mut header = vec![0, 0, 0, 1];
    header.extend([0; 36]);
    let [a, b, c, d] = turn.map(|number| number << 16);
    for number in [a, b, 0, c, d, 0, 0, 0, 1 << 30] {
        header.extend(number.to_be_bytes());
    }
    header.extend((u32::from(width) << 16).to_be_bytes());
    header.extend((u32::from(height) << 16).to_be_bytes());
    let named = [&[0; 8][..], handler, &[0; 13]].concat();
    let media = [boxed(b"mdhd", &[0; 24]), boxed(b"hdlr", &named), boxed(b"minf", &[7; 40])].concat();
    boxed(b"trak", &[boxed(b"tkhd", &header), boxed(b"mdia", &media)].concat())
}

pub(crate) fn ftyp(brand: &[u8; 4]) -> Vec<u8> {
    boxed(b"ftyp", &[&brand[..], &[0, 0, 2, 0], brand].concat())
}

pub(crate) fn moov(content: &[Vec<u8>]) -> Vec<u8> {
    boxed(b"moov", &content.concat())
}

/// An MP4 of 2.5 s and 320 x 240, the movie box at its start, sound before the picture.
pub(crate) fn mp4() -> Vec<u8> {
    mp4_of(2_500)
}

pub(crate) fn mp4_of(millis: u32) -> Vec<u8> {
    let movie = moov(&[mvhd(1_000, millis), trak(0, 0), trak(320, 240)]);
    [ftyp(b"isom"), movie, boxed(b"mdat", &[9; 64])].concat()
}
