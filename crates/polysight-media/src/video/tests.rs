//! Headers made by hand, by a system's `ffmpeg` where there is one, and mutated.

use std::path::Path;
use std::process::Command;

use super::*;

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
}

/// The numbers of a box: version 0 and flags, then these.
fn full(kind: &[u8; 4], flags: u32, numbers: &[u32]) -> Vec<u8> {
    let content: Vec<u8> = [flags].iter().chain(numbers).flat_map(|number| number.to_be_bytes()).collect();
    boxed(kind, &content)
}

/// A movie of 90 samples of 1/30 s: in its index, or in three fragments, whose samples say their durations or not.
fn mp4(fragments: Option<bool>) -> Vec<u8> {
    let samples = if fragments.is_some() { 0 } else { 90 };
    let header = full(b"tkhd", 3, &[0, 0, 7, 0, 0]);
    let times = full(b"mdhd", 0, &[0, 0, 30_000, if samples > 0 { 90_000 } else { 0 }]);
    let handler = full(b"hdlr", 0, &[0, u32::from_be_bytes(*b"vide")]);
    let entry = boxed(b"avc1", &[0; 78]);
    let entries = boxed(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &entry].concat());
    let sizes = full(b"stsz", 0, &[100, samples]);
    let table = boxed(b"minf", &boxed(b"stbl", &[entries, sizes].concat()));
    let track = boxed(b"trak", &[header, boxed(b"mdia", &[times, handler, table].concat())].concat());
    let movie_header = full(b"mvhd", 0, &[0, 0, 1_000, if samples > 0 { 3_000 } else { 0 }]);
    let defaults = boxed(b"mvex", &full(b"trex", 0, &[7, 1, 1_000, 0, 0]));
    let extends = if fragments.is_some() { defaults } else { Vec::new() };
    let mut file =
        [boxed(b"ftyp", b"isom\0\0\0\0isom"), boxed(b"moov", &[movie_header, track, extends].concat())]
            .concat();
    for _ in 0..if fragments.is_some() { 3 } else { 0 } {
        let run = match fragments {
            Some(true) => full(b"trun", 0x101, &[&[30, 0][..], &[1_000; 30]].concat()),
            _ => full(b"trun", 1, &[30, 0]),
        };
        let other = boxed(b"traf", &[full(b"tfhd", 0, &[8]), full(b"trun", 0, &[500])].concat());
        let own = boxed(b"traf", &[full(b"tfhd", 0, &[7]), run].concat());
        file.extend(boxed(b"moof", &[other, own].concat()));
        file.extend(boxed(b"mdat", &[0; 50]));
    }
    file
}

fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    [id, &(content.len() as u64 | 1 << 56).to_be_bytes(), content].concat()
}

fn mkv(kind: u8) -> Vec<u8> {
    projected_mkv(kind, &[])
}

/// With that content of its projection.
fn projected_mkv(kind: u8, projection: &[u8]) -> Vec<u8> {
    let head = element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], b"matroska"));
    let info = [
        element(&[0x2a, 0xd7, 0xb1], &1_000_000u32.to_be_bytes()),
        element(&[0x44, 0x89], &2_500f32.to_be_bytes()),
    ];
    let sides = [element(&[0xb0], &320u16.to_be_bytes()), element(&[0xba], &[240])].concat();
    let pictures = [sides, element(&[0x76, 0x70], projection)].concat();
    let track = [
        element(&[0x83], &[kind]),
        element(&[0x86], b"V_VP9"),
        element(&[0x23, 0xe3, 0x83], &40_000_000u32.to_be_bytes()),
        element(&[0xe0], &pictures),
    ];
    let tracks = element(&[0x16, 0x54, 0xae, 0x6b], &element(&[0xae], &track.concat()));
    let content = [element(&[0x15, 0x49, 0xa9, 0x66], &info.concat()), tracks].concat();
    // A segment of unknown length, as in what is recorded live.
    [
        &head[..],
        &[0x18, 0x53, 0x80, 0x67, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &content,
        &[0x1f, 0x43, 0xb6, 0x75, 0x81, 0],
    ]
    .concat()
}

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [kind, &(content.len() as u32).to_le_bytes()[..], content].concat()
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn avi(kind: &[u8; 4]) -> Vec<u8> {
    let main = chunk(b"avih", &numbers(&[40_000, 0, 0, 0, 50, 0, 1, 0, 320, 240]));
    let stream = [kind, &b"MJPG"[..], &numbers(&[0, 0, 0, 1, 25, 0, 75])].concat();
    let streams = chunk(b"LIST", &[&b"strl"[..], &chunk(b"strh", &stream)].concat());
    let lists = chunk(b"LIST", &[&b"hdrl"[..], &main, &streams].concat());
    chunk(b"RIFF", &[&b"AVI "[..], &lists, &chunk(b"LIST", b"movi")].concat())
}

fn read(bytes: Vec<u8>) -> Result<VideoHeader> {
    VideoHeader::read(&Video::from_bytes(bytes)?)
}

#[test]
fn time_rate_size_and_codec_are_read_of_every_container() {
    for (name, bytes, millis, rate, size, codec) in [
        ("mp4", mp4(None), 3_000, 30.0, None, "avc1"),
        ("fragments", mp4(Some(false)), 3_000, 30.0, None, "avc1"),
        ("fragments with times", mp4(Some(true)), 3_000, 30.0, None, "avc1"),
        ("mkv", mkv(1), 2_500, 25.0, Some((320, 240)), "V_VP9"),
        ("avi", avi(b"vids"), 3_000, 25.0, Some((320, 240)), "MJPG"),
    ] {
        let header = read(bytes).unwrap();
        assert_eq!(header.info.duration, Some(Duration::from_millis(millis)), "{name}");
        assert_eq!(header.frame_rate, Some(rate), "{name}");
        assert_eq!((header.info.shown(), header.codec.as_deref()), (size, Some(codec)), "{name}");
    }
}

#[test]
fn the_projection_of_a_flat_matroska_video_says_how_it_lies() {
    let angle = |id: u8, degrees: f32| element(&[0x76, id], &degrees.to_be_bytes());
    let (yaw, pitch, roll) = (0x73, 0x74, 0x75);
    for (projection, orientation) in [
        (Vec::new(), Orientation::Upright),
        (angle(roll, 90.0), Orientation::Rotated270),
        (element(&[0x76, roll], &90f64.to_be_bytes()), Orientation::Rotated270),
        (angle(roll, -90.0), Orientation::Rotated90),
        (angle(roll, -180.0), Orientation::Rotated180),
        (angle(yaw, 180.0), Orientation::Mirrored),
        ([angle(yaw, -180.0), angle(roll, 180.0)].concat(), Orientation::Flipped),
        ([angle(yaw, 180.0), angle(roll, 90.0)].concat(), Orientation::Transposed),
        ([angle(yaw, 180.0), angle(roll, -90.0)].concat(), Orientation::Transversed),
        // Not flat, or not by quarter turns.
        ([element(&[0x76, 0x71], &[1]), angle(roll, 90.0)].concat(), Orientation::Upright),
        ([angle(pitch, 10.0), angle(roll, 90.0)].concat(), Orientation::Upright),
        (angle(roll, 45.0), Orientation::Upright),
        (angle(roll, f32::NAN), Orientation::Upright),
    ] {
        let info = read(projected_mkv(1, &projection)).unwrap().info;
        assert_eq!(info.orientation, orientation, "{projection:?}");
        assert_eq!(info.shown(), Some(orientation.oriented(320, 240)), "{projection:?}");
    }
}

#[test]
fn sound_alone_and_cut_headers_are_refused() {
    for (bytes, words) in [
        (mkv(2), "no video track"),
        (avi(b"auds"), "no video track"),
        (mkv(1)[..40].to_vec(), "cut off"),
        (avi(b"vids")[..60].to_vec(), "no video track"),
    ] {
        let error = read(bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidMedia);
        assert!(error.message().contains(words), "{error}");
    }
    let url = Video::from_url("https://h.example/a.mp4").unwrap();
    assert!(VideoHeader::read(&url).unwrap_err().message().contains("on disk or in memory"));
}

#[test]
fn mutated_headers_are_bounded_and_never_panic() {
    let mut seed = 7u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut understood = 0;
    for good in [mp4(None), mp4(Some(true)), mkv(1), avi(b"vids")] {
        for _ in 0..3_000 {
            let mut bytes = good.clone();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
            }
            bytes.truncate(bytes.len() - random(2) * random(bytes.len()));
            understood += usize::from(read(bytes).is_ok());
        }
    }
    assert!((1..12_000).contains(&understood), "{understood}");
}

#[test]
fn a_file_of_many_boxes_is_given_up() {
    let mut bytes = mp4(None);
    for _ in 0..60_000 {
        bytes.extend(boxed(b"free", &[]));
    }
    assert!(read(bytes).unwrap_err().message().contains("save the file anew"));
}

/// Makes a video of three seconds; false, with a word on stdout, where there is no `ffmpeg`.
fn make(path: &Path, options: &[&str]) -> bool {
    let source =
        ["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-t", "3"];
    let made = Command::new("ffmpeg").args(source).args(options).arg(path).status();
    if made.is_err() {
        println!("left out: no ffmpeg");
    }
    made.is_ok_and(|status| {
        assert!(status.success(), "{path:?}");
        true
    })
}

#[test]
fn what_ffmpeg_writes_is_read_right() {
    let folder = tempfile::tempdir().unwrap();
    let fragments = ["-c:v", "mpeg4", "-movflags", "frag_keyframe+empty_moov+default_base_moof"];
    for (name, options, codec) in [
        ("a.mp4", &["-c:v", "mpeg4"][..], "mp4v"),
        ("f.mp4", &fragments, "mp4v"),
        ("a.mov", &["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"], "jpeg"),
        ("a.mkv", &["-c:v", "mpeg4"], "V_MPEG4/ISO/ASP"),
        ("a.avi", &["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"], "MJPG"),
    ] {
        let path = folder.path().join(name);
        if !make(&path, options) {
            return;
        }
        let header = VideoHeader::read(&Video::from_file(&path).unwrap()).unwrap();
        let (time, rate) = (header.info.duration.unwrap().as_secs_f64(), header.frame_rate.unwrap());
        assert!((time - 3.0).abs() < 0.1 && (rate - 25.0).abs() < 0.1, "{name}: {time} s, {rate}");
        assert_eq!((header.info.shown(), header.codec.as_deref()), (Some((320, 240)), Some(codec)), "{name}");
    }
}
