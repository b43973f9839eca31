//! Headers that are well formed and yet unlike most: each fault of a reader is a kind, tested by its siblings.
//!
//! | kind | siblings tested | mended in |
//! | --- | --- | --- |
//! | a header that is not at its usual position | fill bytes, garbage, lone markers, padding, other first chunks, scale bits, an empty screen, other bitmap and TIFF layouts | `probe/{jpeg,png,webp,gif,bmp,tiff}.rs` |
//! | a picture made of items, read as a bag of properties | primary item, crop, turn and mirror, grid, wide numbers, other codings | `probe/heif.rs` |
//! | rotation by one rule | EXIF in four formats, `irot`, `imir`, a track's matrix | `orientation.rs` |
//! | a container's own header taken for that of its picture | fragments, tracks of sound and text, covers, padding, raw photographs, files cut off | `probe/{mp4,sniff}.rs` |

use crate::samples::{
    Item, boxed, clap, exif, ftyp, heif_of, ispe, jpeg_with, moov, mvhd, png, riff, segment, trak, trak_of,
    webp_lossy,
};
use polysight_core::media::Orientation;
use polysight_core::{ErrorKind, Image, ImageFormat, Video, VideoFormat};

/// What a picture's header says, or what is wrong.
fn picture(bytes: &[u8]) -> Result<(ImageFormat, u32, u32, Orientation), String> {
    let image = Image::from_bytes(bytes.to_vec()).map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::InvalidMedia);
        assert!(error.to_string().len() < 400, "{error}");
        error.to_string()
    })?;
    let info = image.info().unwrap();
    Ok((info.format, info.width, info.height, info.orientation))
}

#[track_caller]
fn has_size(name: &str, bytes: &[u8], format: ImageFormat, size: (u32, u32)) {
    let found = picture(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!((found.0, (found.1, found.2)), (format, size), "{name}");
}

#[track_caller]
fn refused(name: &str, bytes: &[u8], words: &str) {
    let error = picture(bytes).expect_err(name);
    assert!(error.contains(words), "{name}: {error}");
}

#[test]
fn a_jpeg_may_hold_fill_bytes_and_garbage_between_its_segments() {
    let app = segment(0xe0, &[0; 14]);
    for (name, between) in [
        ("one fill byte first", vec![0xff]),
        ("many fill bytes first", vec![0xff; 3_000]),
        ("fill bytes before and behind a segment", [&[0xff; 5][..], &app, &[0xff; 700]].concat()),
        ("zeros behind a segment", [&app[..], &[0; 9]].concat()),
        ("words behind a segment", [&app[..], b"made by hand"].concat()),
        ("a stuffed byte behind a segment", [&app[..], &[0xff, 0, 0xff, 0xff, 0]].concat()),
        ("lone markers", [&[0xff, 0x01, 0xff, 0xd0][..], &app, &[0xff, 0xd7]].concat()),
        ("a frame header inside a segment", segment(0xe3, &[0xff, 0xc0, 0, 17, 8, 0, 1, 0, 1])),
        (
            "a comment and tables",
            [segment(0xfe, b"hi"), segment(0xdb, &[1; 65]), segment(0xc4, &[2; 30])].concat(),
        ),
        ("an empty segment", segment(0xec, b"")),
    ] {
        has_size(name, &jpeg_with(&between, 90, 60), ImageFormat::Jpeg, (90, 60));
    }
    for (name, between) in [
        ("another start", vec![0xff, 0xd8]),
        ("the end", vec![0xff, 0xd9]),
        ("a scan without a frame", segment(0xda, &[0; 10])),
        ("a segment shorter than its length", vec![0xff, 0xe0, 0, 1]),
        ("a segment longer than the file", vec![0xff, 0xe0, 0xff, 0xff]),
    ] {
        refused(name, &jpeg_with(&between, 90, 60), "JPEG header");
    }
    refused("garbage before its start", &[b"\r\n", &jpeg_with(&[], 90, 60)[..]].concat(), "not a picture");
    refused("no height", &jpeg_with(&[], 90, 0), "JPEG header");
}

#[test]
fn every_kind_of_jpeg_frame_says_its_size() {
    for marker in (0xc0..=0xcf).filter(|marker| ![0xc4, 0xc8, 0xcc].contains(marker)) {
        let mut bytes = jpeg_with(&[], 70, 50);
        bytes[3] = marker;
        has_size(&format!("{marker:x}"), &bytes, ImageFormat::Jpeg, (70, 50));
    }
}

#[test]
fn a_png_begins_with_its_header_or_is_refused() {
    let with_first = |length: u8, kind: &[u8; 4]| {
        let mut bytes = png(90, 60);
        let chunk = [&[0, 0, 0, length][..], kind, &vec![1; usize::from(length)], &[0; 4]].concat();
        bytes.splice(8..8, chunk);
        bytes
    };
    refused("Apple's own", &with_first(4, b"CgBI"), "save it as an ordinary PNG");
    for (length, kind) in [(4, b"gAMA"), (0, b"IDAT"), (0, b"IEND"), (9, b"pHYs"), (12, b"IHDR")] {
        refused("another chunk first", &with_first(length, kind), "PNG header");
    }
    let mut changed_by_a_text_transfer = png(90, 60);
    changed_by_a_text_transfer.remove(4);
    refused("line breaks changed", &changed_by_a_text_transfer, "PNG header");
}

#[test]
fn the_scale_of_a_webp_is_no_part_of_its_size() {
    for (width, height) in [(1, 1), (90, 60), (16_383, 16_383)] {
        for scale in 0..16u16 {
            let bytes = webp_lossy(width | (scale & 3) << 14, height | (scale >> 2) << 14);
            has_size("scaled", &bytes, ImageFormat::WebP, (u32::from(width), u32::from(height)));
        }
    }
    let lossy = webp_lossy(90, 60);
    let changed = |at: usize, byte: u8| {
        let mut bytes = lossy.clone();
        bytes[at] = byte;
        bytes
    };
    for (name, at, byte) in [
        ("no key frame", 20, 0x31),
        ("no start code", 23, 0),
        ("another chunk first", 15, b'Q'),
        ("empty", 26, 0),
    ] {
        refused(name, &changed(at, byte), "WebP header");
    }
    refused("no signature", &riff(b"VP8L", &[0x2e, 1, 0, 0, 0]), "WebP header");
}

/// A GIF of a screen of this size, and blocks behind it; `colours` is the size of its colour table.
fn gif_of(screen: (u16, u16), colours: usize, blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend(screen.0.to_le_bytes());
    bytes.extend(screen.1.to_le_bytes());
    bytes.push(if colours == 0 { 0 } else { 0x80 | (colours.ilog2() as u8 - 1) });
    bytes.extend([0, 0]);
    bytes.extend(vec![b','; colours * 3]);
    bytes.extend(blocks.concat());
    bytes
}

fn gif_frame(left: u16, top: u16, width: u16, height: u16) -> Vec<u8> {
    let numbers = [left, top, width, height].map(u16::to_le_bytes).concat();
    [b",", &numbers[..], &[0, 2, 1, 0, 0, b';']].concat()
}

#[test]
fn a_gif_with_an_empty_screen_is_as_large_as_its_first_frame() {
    let control = b"!\xf9\x04\0\x0a\0\0\0".to_vec();
    let loops = b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0".to_vec();
    let comment = [&b"!\xfe"[..], &[&[200][..], &[b','; 200]].concat().repeat(9), &[0]].concat();
    for (name, bytes, size) in [
        ("a frame at once", gif_of((0, 0), 0, &[gif_frame(0, 0, 90, 60)]), (90, 60)),
        ("a colour table", gif_of((0, 0), 256, &[gif_frame(0, 0, 90, 60)]), (90, 60)),
        ("a small colour table", gif_of((0, 0), 2, &[control.clone(), gif_frame(0, 0, 9, 6)]), (9, 6)),
        ("extensions", gif_of((0, 0), 0, &[loops, comment, control, gif_frame(0, 0, 90, 60)]), (90, 60)),
        ("a frame that is set in", gif_of((0, 0), 0, &[gif_frame(10, 20, 90, 60)]), (100, 80)),
        ("no width alone", gif_of((0, 70), 0, &[gif_frame(0, 0, 90, 60)]), (90, 70)),
        ("no height alone", gif_of((300, 0), 0, &[gif_frame(0, 0, 90, 60)]), (300, 60)),
        ("a screen", gif_of((90, 60), 0, &[gif_frame(0, 0, 5, 5)]), (90, 60)),
    ] {
        has_size(name, &bytes, ImageFormat::Gif, size);
    }
    for (name, blocks) in [
        ("no frame", vec![b";".to_vec()]),
        ("an empty frame", vec![gif_frame(5, 5, 0, 9)]),
        ("an extension without end", vec![b"!\xfe\xff".to_vec()]),
        ("nothing", vec![]),
    ] {
        refused(name, &gif_of((0, 0), 0, &blocks), "GIF header");
    }
}

#[test]
fn a_bitmap_of_every_layout_says_its_size() {
    for length in [16u32, 40, 52, 56, 64, 108, 124] {
        for height in [60i32, -60] {
            let sides = [90i32.to_le_bytes(), height.to_le_bytes()].concat();
            let bytes = [b"BM", &[0; 12][..], &length.to_le_bytes(), &sides, &[1, 0, 24, 0]].concat();
            has_size(&format!("{length}"), &bytes, ImageFormat::Bmp, (90, 60));
        }
    }
    for (width, height) in [(-90, 60), (0, 60), (90, 0), (90, i32::MIN)] {
        refused("a size that cannot be", &crate::samples::bmp(width, height), "BMP header");
    }
}

/// A number in TIFF: its tag, type and value.
type Entry = (u16, u16, u32);

/// A TIFF of one directory, with the most significant byte first, at a position of choice.
fn tiff_at(directory: u32, entries: &[Entry]) -> Vec<u8> {
    let mut bytes = [b"MM\0*", &directory.to_be_bytes()[..]].concat();
    bytes.resize(directory as usize, 7);
    bytes.extend((entries.len() as u16).to_be_bytes());
    for (tag, kind, value) in entries {
        bytes.extend([tag.to_be_bytes(), kind.to_be_bytes()].concat());
        bytes.extend(1u32.to_be_bytes());
        // Short numbers stand at the left.
        bytes.extend((value << if *kind == 3 { 16 } else { 0 }).to_be_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn a_tiff_says_its_size_wherever_its_directory_is() {
    let sides = [(0x100, 3, 90), (0x101, 4, 60)];
    has_size("at once", &tiff_at(8, &sides), ImageFormat::Tiff, (90, 60));
    has_size("further on", &tiff_at(70_000, &sides), ImageFormat::Tiff, (90, 60));
    has_size(
        "among others",
        &tiff_at(10, &[(0xfe, 4, 0), sides[0], sides[1], (0x106, 3, 2)]),
        ImageFormat::Tiff,
        (90, 60),
    );
    has_size(
        "a reduced picture alone",
        &tiff_at(8, &[(0xfe, 4, 1), sides[0], sides[1]]),
        ImageFormat::Tiff,
        (90, 60),
    );
    let mut big = b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
    for (tag, kind, value) in [(0x100u16, 3u16, 90u64), (0x101, 16, 60)] {
        big.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        big.extend([1u64.to_le_bytes(), value.to_le_bytes()].concat());
    }
    has_size("of 64 bits", &big, ImageFormat::Tiff, (90, 60));
    refused("no height", &tiff_at(8, &sides[..1]), "TIFF header");
    refused("a height of another type", &tiff_at(8, &[sides[0], (0x101, 5, 60)]), "TIFF header");
    refused("a directory behind the end", &b"MM\0*\xff\xff\xff\xf0"[..], "TIFF header");
}

#[test]
fn raw_photographs_are_refused_and_not_taken_for_their_previews() {
    let preview = [(0xfe, 4, 1), (0x100, 3, 160), (0x101, 3, 120)];
    for (name, bytes) in [
        ("DNG", tiff_at(8, &[preview[1], preview[2], (0xc612, 1, 1 << 24)])),
        ("NEF, ARW", tiff_at(8, &[preview[0], preview[1], preview[2], (0x14a, 4, 500)])),
        ("CR2", [b"II*\0\x10\0\0\0CR\x02\0", &[0; 30][..]].concat()),
        ("CR3", [ftyp(b"crx "), moov(&[mvhd(1, 1), trak(6_000, 4_000)])].concat()),
        ("CR3 behind padding", [boxed(b"free", &[0; 4]), ftyp(b"crx ")].concat()),
    ] {
        refused(name, &bytes, "raw photograph");
        let video = Video::from_bytes(bytes).expect_err(name).to_string();
        assert!(
            video.contains("raw photograph") || video.contains("looks like a picture"),
            "{name}: {video}"
        );
    }
}

const HEIC: &[&[u8; 4]] = &[b"heic", b"mif1", b"heic"];

/// One item with properties.
fn heic(properties: &[Vec<u8>], order: &[u8]) -> Vec<u8> {
    heif_of(HEIC, 1, &[(1, b"hvc1", order)], properties)
}

#[test]
fn the_size_of_a_heif_is_that_of_its_primary_item() {
    let sizes = [ispe(200, 100), ispe(90, 60), ispe(2, 2)];
    let items: [Item<'_>; 3] = [(1, b"hvc1", &[1]), (2, b"hvc1", &[2]), (3, b"hvc1", &[3])];
    for (primary, size) in [(1, (200, 100)), (2, (90, 60)), (3, (2, 2))] {
        has_size("several pictures", &heif_of(HEIC, primary, &items, &sizes), ImageFormat::Heic, size);
    }
    let tiles: [Item<'_>; 4] =
        [(7, b"hvc1", &[1]), (8, b"hvc1", &[1]), (9, b"grid", &[0x82, 3]), (10, b"Exif", &[])];
    let of_tiles = [ispe(512, 512), ispe(800, 500), boxed(b"pixi", &[0; 8])];
    has_size("a grid", &heif_of(HEIC, 9, &tiles, &of_tiles), ImageFormat::Heic, (800, 500));
    let unused = [boxed(b"hvcC", &[1; 30]), boxed(b"free", &[]), ispe(5_000, 5_000), ispe(90, 60)];
    has_size("properties of no item", &heic(&unused, &[0, 1, 4]), ImageFormat::Heic, (90, 60));
    for (name, bytes) in [
        ("no such item", heif_of(HEIC, 4, &items, &sizes)),
        ("an item without a size", heic(&sizes, &[])),
        ("a property that is not there", heic(&sizes, &[9])),
        ("a property that is not there, beside a size", heic(&sizes, &[1, 0x84])),
        ("an empty size", heic(&[ispe(0, 60)], &[1])),
        ("no items", [ftyp(b"heic"), boxed(b"meta", &[0; 4])].concat()),
    ] {
        refused(name, &bytes, "HEIC header");
    }
}

#[test]
fn what_a_heif_crops_away_is_no_part_of_its_size() {
    for (name, properties, order, size) in [
        ("a crop", vec![ispe(96, 64), clap(90, 60)], &[1, 2][..], (90, 60)),
        ("an essential crop", vec![clap(91, 61), ispe(92, 64)], &[2, 0x81], (91, 61)),
        ("a crop larger than the picture", vec![ispe(96, 64), clap(100, 60)], &[1, 2], (96, 60)),
        ("a crop of another item", vec![ispe(96, 64), clap(90, 60)], &[1], (96, 64)),
        ("two crops", vec![ispe(96, 64), clap(90, 60), clap(50, 62)], &[1, 2, 3], (50, 60)),
    ] {
        has_size(name, &heic(&properties, order), ImageFormat::Heic, size);
    }
    let fraction = |numbers: [u32; 8]| boxed(b"clap", &numbers.map(u32::to_be_bytes).concat());
    let halves = fraction([181, 2, 119, 2, 0, 1, 0, 1]);
    has_size("halves", &heic(&[ispe(96, 64), halves], &[1, 2]), ImageFormat::Heic, (91, 60));
    refused(
        "parts of nothing",
        &heic(&[ispe(9, 6), fraction([9, 0, 6, 1, 0, 1, 0, 1])], &[1, 2]),
        "HEIC header",
    );
}

#[test]
fn the_coding_of_a_heif_is_that_of_its_primary_item() {
    let of = |brands: &[&[u8; 4]], kind: &[u8; 4]| heif_of(brands, 1, &[(1, kind, &[1])], &[ispe(90, 60)]);
    for (name, bytes, format) in [
        ("HEVC", of(HEIC, b"hvc1"), ImageFormat::Heic),
        ("AV1", of(&[b"avif", b"mif1"], b"av01"), ImageFormat::Avif),
        ("AV1 under an open brand", of(&[b"mif1", b"miaf"], b"av01"), ImageFormat::Avif),
        ("a grid by brand", of(&[b"avif"], b"grid"), ImageFormat::Avif),
        ("a grid by compatible brand", of(&[b"mif1", b"MA1B"], b"grid"), ImageFormat::Avif),
        ("an animation", of(&[b"avis", b"avif"], b"av01"), ImageFormat::Avif),
    ] {
        has_size(name, &bytes, format, (90, 60));
        has_size(name, &[boxed(b"free", &[0; 12]), bytes].concat(), format, (90, 60));
    }
    for kind in [b"jpeg", b"avc1", b"j2k1", b"vvc1", b"unci"] {
        refused("another coding", &of(&[b"mif1"], kind), "neither HEVC nor AV1");
    }
}

#[test]
fn all_formats_turn_pictures_by_one_rule() {
    let turn = |angle: u8| boxed(b"irot", &[angle]);
    let mirror = |axis: u8| boxed(b"imir", &[axis]);
    // How libavif writes the values of EXIF.
    let heif: [Vec<Vec<u8>>; 8] = [
        vec![],
        vec![mirror(1)],
        vec![turn(2)],
        vec![mirror(0)],
        vec![turn(1), mirror(0)],
        vec![turn(3)],
        vec![turn(3), mirror(0)],
        vec![turn(1)],
    ];
    for (value, turned) in (1u16..).zip(heif) {
        let orientation = Orientation::from_exif(u32::from(value)).unwrap();
        let expected = |format| Ok((format, 90, 60, orientation));
        let block = exif(value);
        let app = segment(0xe1, &[b"Exif\0\0", &block[..]].concat());
        let others = segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0");
        let jfif = segment(0xe0, &[0; 14]);
        assert_eq!(picture(&jpeg_with(&app, 90, 60)), expected(ImageFormat::Jpeg), "{value}");
        let later = [&jfif[..], &others, &[0xff; 3], &app, &segment(0xe1, b"Exif\0\0MM")].concat();
        assert_eq!(picture(&jpeg_with(&later, 90, 60)), expected(ImageFormat::Jpeg), "{value}");

        let chunk = |kind: &[u8; 4], content: &[u8]| {
            [&(content.len() as u32).to_be_bytes()[..], kind, content, &[0; 4]].concat()
        };
        let bytes = [png(90, 60), vec![0; 4], chunk(b"gAMA", &[0; 4]), chunk(b"eXIf", &block)].concat();
        assert_eq!(picture(&bytes), expected(ImageFormat::Png), "{value}");

        let canvas = [&[8, 0, 0, 0, 89, 0, 0, 59, 0, 0][..]].concat();
        let little = |kind: &[u8; 4], content: &[u8]| {
            let padding = vec![0; content.len() % 2];
            [&kind[..], &(content.len() as u32).to_le_bytes(), content, &padding].concat()
        };
        let frame = little(b"VP8L", &[0x2f, 0, 0, 0, 0]);
        for before in [&b""[..], b"Exif\0\0"] {
            let exif = little(b"EXIF", &[before, &block].concat());
            let bytes = [riff(b"VP8X", &canvas), frame.clone(), exif].concat();
            assert_eq!(picture(&bytes), expected(ImageFormat::WebP), "{value}");
        }

        let bytes = tiff_at(8, &[(0x100, 3, 90), (0x101, 3, 60), (0x112, 3, u32::from(value))]);
        assert_eq!(picture(&bytes), expected(ImageFormat::Tiff), "{value}");

        for (kind, brand, format) in
            [(b"hvc1", b"heic", ImageFormat::Heic), (b"av01", b"avif", ImageFormat::Avif)]
        {
            // Stored as 96 x 64, and cropped before it is turned.
            let properties = [vec![ispe(96, 64), clap(90, 60)], turned.clone()].concat();
            let order: Vec<u8> = (1..=properties.len() as u8).collect();
            let bytes = heif_of(&[brand], 1, &[(1, kind, &order)], &properties);
            assert_eq!(picture(&bytes), expected(format), "{value}");
        }
        let shown = Image::from_bytes(bytes).unwrap().info().unwrap().shown();
        assert_eq!(shown, if value < 5 { (90, 60) } else { (60, 90) });
    }
}

#[test]
fn exif_that_is_damaged_leaves_a_picture_upright() {
    for (name, block) in [
        ("empty", vec![]),
        ("no byte order", b"XX\0*\0\0\0\x08\0\0".to_vec()),
        ("a directory outside", [b"MM\0*\0\0\xff\0", &[0; 20][..]].concat()),
        ("entries without end", [b"MM\0*\0\0\0\x08\xff\xff", &[0; 24][..]].concat()),
        ("another value", exif(9)),
        ("no value", exif(0)),
    ] {
        let app = segment(0xe1, &[b"Exif\0\0", &block[..]].concat());
        let found = picture(&jpeg_with(&app, 90, 60));
        assert_eq!(found, Ok((ImageFormat::Jpeg, 90, 60, Orientation::Upright)), "{name}");
    }
}

/// Format, seconds, frame size and orientation.
type Found = (VideoFormat, Option<f64>, Option<(u32, u32)>, Orientation);

fn video(parts: &[Vec<u8>]) -> Result<Found, String> {
    let video = Video::from_bytes(parts.concat()).map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::InvalidMedia);
        error.to_string()
    })?;
    let info = video.info().unwrap();
    let seconds = info.duration.map(|duration| duration.as_secs_f64());
    Ok((info.format, seconds, info.width.zip(info.height), info.orientation))
}

const UPRIGHT: [i32; 4] = [1, 0, 0, 1];

#[test]
fn the_playing_time_of_fragments_is_that_of_all_or_unknown() {
    let of = |fragments: Vec<u8>| {
        let movie = moov(&[mvhd(1_000, 1_000), trak(128, 96), boxed(b"mvex", &fragments)]);
        let fragment = [boxed(b"moof", &[0; 16]), boxed(b"mdat", &[0; 30])].concat();
        video(&[ftyp(b"iso5"), movie, fragment.repeat(3)]).unwrap().1
    };
    let narrow = |ticks: u32| boxed(b"mehd", &[&[0; 4][..], &ticks.to_be_bytes()].concat());
    let wide = |ticks: u64| boxed(b"mehd", &[&[1, 0, 0, 0][..], &ticks.to_be_bytes()].concat());
    for (name, fragments, seconds) in [
        ("no word of it", vec![], None),
        ("of tracks alone", boxed(b"trex", &[0; 24]), None),
        ("narrow", narrow(3_000), Some(3.0)),
        ("behind other boxes", [boxed(b"trex", &[0; 24]), narrow(4_500)].concat(), Some(4.5)),
        ("wide", wide(7_200_000), Some(7_200.0)),
        ("zero", narrow(0), None),
        ("all ones", narrow(u32::MAX), None),
        ("all ones, wide", wide(u64::MAX), None),
        ("cut off", boxed(b"mehd", &[0; 5]), None),
    ] {
        assert_eq!(of(fragments), seconds, "{name}");
    }
}

#[test]
fn the_size_of_a_video_is_that_of_its_picture() {
    let picture = trak_of(b"vide", 128, 96, UPRIGHT);
    let disabled = |track: Vec<u8>| {
        let mut track = track;
        track[19] = 0;
        track
    };
    for (name, tracks) in [
        ("text first", vec![trak_of(b"sbtl", 640, 60, UPRIGHT), picture.clone()]),
        ("closed captions first", vec![trak_of(b"clcp", 720, 480, UPRIGHT), picture.clone()]),
        ("sound with a size first", vec![trak_of(b"soun", 320, 240, UPRIGHT), picture.clone()]),
        (
            "times and data first",
            vec![trak_of(b"tmcd", 50, 10, UPRIGHT), trak_of(b"meta", 9, 9, UPRIGHT), picture.clone()],
        ),
        ("a cover first", vec![disabled(trak_of(b"vide", 600, 600, UPRIGHT)), picture.clone()]),
        ("disabled alone", vec![disabled(picture.clone())]),
        ("two pictures", vec![picture.clone(), trak_of(b"vide", 9, 9, UPRIGHT)]),
    ] {
        let movie = moov(&[mvhd(1_000, 3_000), tracks.concat()]);
        let expected = (VideoFormat::Mp4, Some(3.0), Some((128, 96)), Orientation::Upright);
        assert_eq!(video(&[ftyp(b"isom"), movie]), Ok(expected), "{name}");
    }
    let entry = boxed(b"avc1", &[&[0; 24][..], &[0, 128, 0, 96], &[0; 50]].concat());
    let described = boxed(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &entry].concat());
    let media =
        [boxed(b"hdlr", &[&[0; 8][..], b"vide"].concat()), boxed(b"minf", &boxed(b"stbl", &described))];
    let track = boxed(b"trak", &[boxed(b"tkhd", &[0; 84]), boxed(b"mdia", &media.concat())].concat());
    let found = video(&[ftyp(b"isom"), moov(&[track])]).unwrap();
    assert_eq!(found.2, Some((128, 96)), "said by the description alone");
}

#[test]
fn a_file_without_a_picture_is_no_video() {
    for (name, brand, tracks) in [
        ("sound", b"isom", vec![trak(0, 0)]),
        ("a song", b"M4A ", vec![trak(0, 0), trak(0, 0)]),
        ("sound that claims a size", b"mp42", vec![trak_of(b"soun", 320, 240, UPRIGHT)]),
        ("subtitles", b"isom", vec![trak_of(b"subt", 640, 60, UPRIGHT)]),
        ("no track", b"qt  ", vec![]),
        ("a track of nothing", b"isom", vec![boxed(b"trak", &[])]),
    ] {
        let error = video(&[ftyp(brand), moov(&[mvhd(1_000, 3_000), tracks.concat()])]).expect_err(name);
        assert!(error.contains("no video track"), "{name}: {error}");
    }
    // The tracks of old QuickTime files may be compressed.
    let compressed = moov(&[boxed(b"cmov", &[0; 40])]);
    assert_eq!(video(&[ftyp(b"qt  "), compressed]).unwrap().2, None);
}

#[test]
fn padding_before_the_brands_changes_nothing() {
    let movie = moov(&[mvhd(1_000, 3_000), trak(128, 96)]);
    let padding = |kind| boxed(kind, &[0; 20]);
    for (name, before) in [
        ("free", padding(b"free")),
        ("skip", padding(b"skip")),
        ("wide", boxed(b"wide", &[])),
        ("uuid", padding(b"uuid")),
        ("several", [padding(b"uuid"), padding(b"free"), boxed(b"free", &[0; 4_000])].concat()),
    ] {
        for (brand, format) in
            [(b"isom", VideoFormat::Mp4), (b"qt  ", VideoFormat::Mov), (b"M4V ", VideoFormat::Mp4)]
        {
            let parts = [before.clone(), ftyp(brand), movie.clone()];
            let expected = (format, Some(3.0), Some((128, 96)), Orientation::Upright);
            assert_eq!(video(&parts), Ok(expected), "{name}");
            assert!(Image::from_bytes(parts.concat()).is_err(), "{name}");
        }
    }
    for (name, parts) in [
        ("padding alone", vec![padding(b"free")]),
        ("padding without end", vec![boxed(b"free", &[]).repeat(100), ftyp(b"isom"), movie]),
        ("a fragment", vec![boxed(b"styp", b"msdh\0\0\0\0"), boxed(b"moof", &[0; 20])]),
    ] {
        let error = video(&parts).expect_err(name);
        assert!(error.contains("not a video"), "{name}: {error}");
    }
}

#[test]
fn the_matrix_of_a_track_turns_as_exif_does() {
    let turns = [
        [1, 0, 0, 1],
        [-1, 0, 0, 1],
        [-1, 0, 0, -1],
        [1, 0, 0, -1],
        [0, 1, 1, 0],
        [0, 1, -1, 0],
        [0, -1, -1, 0],
        [0, -1, 1, 0],
    ];
    for (value, turn) in (1u32..).zip(turns) {
        let movie = moov(&[mvhd(1_000, 3_000), trak_of(b"vide", 128, 96, turn)]);
        let bytes = [ftyp(b"qt  "), movie].concat();
        let info = Video::from_bytes(bytes).unwrap().info().unwrap();
        assert_eq!(u32::from(info.orientation.exif()), value);
        assert_eq!((info.width, info.height), (Some(128), Some(96)));
        assert_eq!(info.shown(), Some(if value < 5 { (128, 96) } else { (96, 128) }));
    }
}

#[test]
fn a_video_that_is_cut_off_in_its_data_is_refused() {
    let movie = moov(&[mvhd(1_000, 3_000), trak(128, 96)]);
    let data = boxed(b"mdat", &[7; 500]);
    let fragment = [boxed(b"moof", &[0; 16]), data.clone()].concat();
    let start = [ftyp(b"isom"), movie].concat();
    for (name, rest) in [
        ("one byte missing", data[..data.len() - 1].to_vec()),
        ("nearly all missing", data[..8].to_vec()),
        ("behind padding", [boxed(b"free", &[0; 9]), data[..100].to_vec()].concat()),
        ("the last fragment", [fragment.repeat(3), fragment[..200].to_vec()].concat()),
        ("data of 64-bit length", [&b"\0\0\0\x01mdat"[..], &600u64.to_be_bytes(), &[0; 60]].concat()),
    ] {
        let error = video(&[start.clone(), rest]).expect_err(name);
        assert!(error.contains("it is cut off"), "{name}: {error}");
    }
    for (name, rest) in [
        ("whole", data.clone()),
        ("to the end", [&[0; 4], &data[4..300]].concat()),
        ("a text behind it", [&data[..], b"TAG a song that was put behind"].concat()),
        ("a few bytes behind it", [&data[..], b"\xff\xff\xff"].concat()),
    ] {
        assert!(video(&[start.clone(), rest]).is_ok(), "{name}");
    }
}
