//! Opening pictures and videos, from everywhere they may come from.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::samples::{boxed, ftyp, moov, mp4, mvhd, mvhd_wide, pictures, png, trak};
use polysight_core::{
    ChatRequest, Error, ErrorKind, Image, Media, MediaSource, Message, Result, Video, VideoFormat,
};

fn encoded(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", encoded(bytes))
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

#[track_caller]
fn refused<T>(opened: Result<T>, words: &[&str]) -> Error {
    let Err(error) = opened else { panic!("it was taken") };
    assert_eq!(error.kind(), ErrorKind::InvalidMedia, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "`{word}` is missing: {error}");
    }
    error
}

#[test]
fn every_format_tells_its_size_wherever_it_is() {
    let folder = Folder::new();
    for (name, bytes, format, size) in pictures() {
        let file = folder.file("picture.bin", &bytes);
        let images = [
            Image::from_bytes(bytes.clone()),
            Image::from_file(file),
            Image::from_base64(encoded(&bytes)),
            Image::from_data_uri(data_uri("image/png", &bytes)),
            Image::from_url(&data_uri("image/png", &bytes)),
        ];
        for (place, image) in images.into_iter().enumerate() {
            let image = image.unwrap_or_else(|error| panic!("{name}, way {place}: {error}"));
            let info = image.info().unwrap();
            assert_eq!((info.format, (info.width, info.height)), (format, size), "{name}, way {place}");
            assert_eq!(image.source().byte_len(), Some(bytes.len() as u64), "{name}, way {place}");
        }
    }
}

#[test]
fn a_picture_that_is_cut_off_anywhere_is_refused_or_understood() {
    for (name, bytes, format, size) in pictures() {
        let step = if bytes.len() > 1_000 { 97 } else { 1 };
        for length in (0..bytes.len()).step_by(step) {
            let cut = &bytes[..length];
            for opened in [Image::from_bytes(cut.to_vec()), Image::from_base64(encoded(cut))] {
                match opened {
                    Ok(image) => {
                        let info = image.info().unwrap();
                        assert_eq!(info.format, format, "{name} of {length} bytes");
                        assert_eq!((info.width, info.height), size, "{name} of {length} bytes");
                    }
                    Err(error) => {
                        let text = error.to_string();
                        let words = ["cut off", "it is not a picture", "it is empty"];
                        assert!(
                            words.iter().any(|word| text.contains(word)),
                            "{name} of {length} bytes: {text}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_jpeg_with_megabytes_of_metadata_tells_its_size() {
    let bytes = crate::samples::jpeg(100, 50, &[(0xe2, 65_533); 90]);
    assert!(bytes.len() > 5_000_000);
    let info = Image::from_bytes(bytes).unwrap().info().unwrap();
    assert_eq!((info.width, info.height), (100, 50));
}

#[test]
fn a_picture_of_no_size_is_refused() {
    refused(Image::from_bytes(png(0, 5)), &["PNG header"]);
    refused(Image::from_bytes(png(5, 0)), &["PNG header"]);
}

#[test]
fn what_is_no_picture_is_refused_by_content_whatever_its_name() {
    let folder = Folder::new();
    for (name, content, looks) in [
        ("notes.png", &b"just some notes"[..], "plain text"),
        ("short.png", b"x", "plain text"),
        ("words.bmp", b"BMW builds cars in Munich, and has done so for a hundred years.", "plain text"),
        ("offer.jpg", b"Get free ice cream at the corner of the street!", "plain text"),
        ("page.jpg", b"\n <!DOCTYPE html><html><body>404</body></html>", "HTML or XML"),
        ("paper.jpg", b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        ("sound.webp", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0", "something else"),
        ("noise.gif", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], "something else"),
    ] {
        let path = folder.file(name, content);
        refused(Image::from_file(&path), &[name, "it is not a picture", looks]);
        refused(Media::open(path.to_str().unwrap()), &[name, "it is not a picture", looks]);
    }
}

#[test]
fn a_video_named_as_a_picture_is_no_picture_but_media_all_the_same() {
    let folder = Folder::new();
    let path = folder.file("clip.jpg", &mp4());
    refused(Image::from_file(&path), &["it is not a picture", "looks like a video"]);
    assert!(matches!(Media::open(path.to_str().unwrap()), Ok(Media::Video(_))));
}

#[test]
fn a_picture_named_as_a_video_is_no_video_but_media_all_the_same() {
    let folder = Folder::new();
    let path = folder.file("photo.mp4", &png(2, 3));
    refused(Video::from_file(&path), &["it is not a video", "looks like a picture"]);
    assert!(matches!(Media::open(path.to_str().unwrap()), Ok(Media::Image(_))));
    let text = folder.file("subtitles.mp4", b"1\n00:00:01 Hello");
    refused(Media::open(text.to_str().unwrap()), &["it is not a video", "plain text"]);
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = Folder::new();
    let missing = folder.0.path().join("missing.png");
    refused(Image::from_file(&missing), &["missing.png: there is no such file"]);
    refused(Video::from_file(&missing), &["there is no such file"]);
    refused(Image::from_file(folder.0.path()), &["it is a directory"]);
    refused(Image::from_file(folder.file("empty.png", b"")), &["empty.png: it is empty"]);
    refused(Image::from_bytes(Vec::new()), &["it is empty"]);
    refused(Video::from_bytes(Vec::new()), &["it is empty"]);
    refused(Image::from_base64(""), &["it is empty"]);
    refused(Image::from_data_uri("data:image/png;base64,"), &["it is empty"]);
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_refused_without_waiting_for_its_writer() {
    let folder = Folder::new();
    let path = folder.0.path().join("pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    refused(Image::from_file(&path), &["it is not a regular file"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_becomes_a_named_pipe_is_refused_without_waiting_for_its_writer() {
    let folder = Folder::new();
    let path = folder.file("photo.png", &png(2, 3));
    let image = Image::from_file(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let MediaSource::File(file) = image.source().clone() else { panic!("no file") };
    refused(file.reopen(), &["changed"]);
}

#[cfg(unix)]
#[test]
fn a_file_without_permission_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let path = folder.file("secret.png", &png(2, 3));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        return; // root reads everything
    }
    refused(Image::from_file(&path), &["no permission"]);
}

#[test]
fn a_file_that_changes_before_it_is_sent_is_refused() {
    let folder = Folder::new();
    let path = folder.file("photo.png", &png(2, 3));
    let image = Image::from_file(&path).unwrap();
    let MediaSource::File(file) = image.source() else { panic!("no file") };
    assert!(file.reopen().is_ok());
    fs::write(&path, [png(2, 3), vec![0]].concat()).unwrap();
    refused(file.reopen(), &["photo.png", "changed"]);
    fs::write(&path, png(2, 3)).unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(60);
    fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    refused(file.reopen(), &["changed"]);
    fs::remove_file(&path).unwrap();
    refused(file.reopen(), &["can no longer be read"]);
}

#[test]
fn media_are_opened_from_what_a_person_types() {
    let folder = Folder::new();
    let picture = folder.file("a.dat", &png(2, 3)).display().to_string();
    let video = folder.file("b.dat", &mp4()).display().to_string();
    for (location, is_video) in [
        (picture, false),
        (video, true),
        ("https://example.com/a.jpg".to_owned(), false),
        ("https://example.com/watch".to_owned(), false),
        ("https://example.com/a.MP4?sign=x.png".to_owned(), true),
        ("https://example.com/a.png?of=x.mp4".to_owned(), false),
        ("oss://bucket/clip.mov".to_owned(), true),
        (data_uri("image/png", &png(2, 3)), false),
        (data_uri("video/mp4", &mp4()), true),
        (data_uri("VIDEO/mp4", &mp4()).replace("data:", "DATA:"), true),
    ] {
        let media = Media::open(&location).unwrap_or_else(|error| panic!("{location}: {error}"));
        assert_eq!(matches!(media, Media::Video(_)), is_video, "{location}");
    }
    refused(Media::open("no/such/file.jpg"), &["there is no such file"]);
    refused(Media::open(""), &[]);
}

#[test]
fn a_text_that_is_no_url_is_refused_with_a_way_out() {
    for text in ["example.com/a.jpg", "localhost:8080/a.jpg", "/home/me/a.jpg", "C:\\a.jpg", ""] {
        refused(Image::from_url(text), &["is not a URL", "https://"]);
        refused(Video::from_url(text), &["is not a URL", "https://"]);
    }
    for text in ["file:///etc/a.jpg", "file:a.jpg", "FILE:///a.jpg"] {
        refused(Image::from_url(text), &["give files by their path"]);
    }
    refused(Image::from_url("https://"), &["is not a URL"]);
    let error = refused(Image::from_url("https://user:secret@[bad/a.jpg?sign=secret"), &[]);
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}

#[test]
fn wrapped_base64_is_taken_and_kept_plain() {
    let bytes = crate::samples::jpeg(640, 480, &[(0xe0, 14)]);
    let lines: Vec<String> =
        encoded(&bytes).as_bytes().chunks(16).map(|line| String::from_utf8(line.into()).unwrap()).collect();
    for text in
        [lines.join("\n"), lines.join("\r\n") + "\r\n", encoded(&bytes).trim_end_matches('=').to_owned()]
    {
        let image = Image::from_base64(text.clone()).unwrap();
        assert_eq!(image.info().unwrap().width, 640);
        let MediaSource::Base64(kept) = image.source() else { panic!("not kept as text") };
        assert_eq!(kept.text(), encoded(&bytes).as_bytes());
        assert!(Image::from_data_uri(format!("data:image/jpeg;base64,{text}")).is_ok());
    }
}

#[test]
fn a_malformed_data_uri_is_refused() {
    for (uri, words) in [
        ("data:image/png;base64", "no comma"),
        ("data:image/png,%89PNG", ";base64"),
        ("data:image/png;base64,iVBOR_-w", "URL-safe"),
        ("data:image/png;base64,iVBOR", "cut off"),
        ("data:image/png;base64,图片", "alphabet"),
        ("data:image/png;base64,aGVsbG8=", "it is not a picture"),
    ] {
        refused(Image::from_url(uri), &[words]);
    }
    assert!(Image::from_url(&data_uri("image/png", &png(2, 3)).replace("base64", "BASE64")).is_ok());
}

fn video(parts: &[Vec<u8>]) -> Result<Video> {
    Video::from_bytes(parts.concat())
}

#[track_caller]
fn probed(parts: &[Vec<u8>]) -> (VideoFormat, Option<f64>, Option<(u32, u32)>) {
    let info = video(parts).unwrap().info().unwrap();
    (info.format, info.duration.map(|duration| duration.as_secs_f64()), info.width.zip(info.height))
}

#[test]
fn an_mp4_tells_its_playing_time_wherever_its_movie_box_is() {
    let movie = moov(&[mvhd(600, 1_500), trak(0, 0), trak(1_920, 1_080)]);
    let data = boxed(b"mdat", &[0; 5_000]);
    let expected = (VideoFormat::Mp4, Some(2.5), Some((1_920, 1_080)));
    assert_eq!(probed(&[ftyp(b"isom"), movie.clone(), data.clone()]), expected);
    assert_eq!(probed(&[ftyp(b"isom"), boxed(b"free", &[]), data.clone(), movie.clone()]), expected);
    let folder = Folder::new();
    let bytes = [ftyp(b"mp42"), data, movie].concat();
    let whole = [
        Video::from_file(folder.file("clip", &bytes)),
        Video::from_base64(encoded(&bytes)),
        Video::from_data_uri(data_uri("video/mp4", &bytes)),
        Video::from_url(&data_uri("video/mp4", &bytes)),
    ];
    for video in whole {
        assert_eq!(video.unwrap().info().unwrap().duration, Some(Duration::from_millis(2_500)));
    }
}

#[test]
fn wide_times_and_wide_box_lengths_are_read() {
    let wide = |kind: &[u8; 4], content: &[u8]| {
        let mut all = 1u32.to_be_bytes().to_vec();
        all.extend(kind);
        all.extend((content.len() as u64 + 16).to_be_bytes());
        all.extend(content);
        all
    };
    let content = [mvhd_wide(90_000, 90_000 * 7_200), trak(64, 48)].concat();
    let expected = (VideoFormat::Mp4, Some(7_200.0), Some((64, 48)));
    assert_eq!(probed(&[ftyp(b"isom"), wide(b"mdat", &[3; 99]), wide(b"moov", &content)]), expected);
    let mut to_the_end = boxed(b"moov", &content);
    to_the_end[..4].fill(0);
    assert_eq!(probed(&[ftyp(b"isom"), to_the_end]), expected);
}

#[test]
fn a_playing_time_that_is_not_told_is_unknown() {
    for (why, header) in [
        ("all ones", mvhd(1_000, u32::MAX)),
        ("all ones, wide", mvhd_wide(1_000, u64::MAX)),
        ("given by fragments", mvhd(1_000, 0)),
        ("given by fragments, wide", mvhd_wide(1_000, 0)),
        ("no ticks", mvhd(0, 5)),
        ("cut off", boxed(b"mvhd", &[0; 10])),
        ("empty", boxed(b"mvhd", &[])),
    ] {
        let movie = moov(&[header, trak(4, 2)]);
        assert_eq!(probed(&[ftyp(b"iso5"), movie]), (VideoFormat::Mp4, None, Some((4, 2))), "{why}");
    }
    let longest = probed(&[ftyp(b"isom"), moov(&[mvhd_wide(1, u64::MAX - 1), trak(4, 2)])]);
    assert!(longest.1.unwrap() > 1e19);
}

#[test]
fn a_quicktime_file_is_told_by_brand_or_by_its_first_box() {
    let movie = moov(&[mvhd(1_000, 2_000), trak(4, 2)]);
    for first in [ftyp(b"qt  "), boxed(b"wide", &[]), boxed(b"mdat", &[1; 20]), boxed(b"free", &[0; 4])] {
        assert_eq!(probed(&[first, movie.clone()]), (VideoFormat::Mov, Some(2.0), Some((4, 2))));
    }
    assert_eq!(probed(&[movie]).0, VideoFormat::Mov);
}

#[test]
fn other_containers_are_told_by_their_first_bytes() {
    let ebml = |kind: &[u8]| [b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82", kind].concat();
    for (bytes, format) in [
        (ebml(b"\x84webm\x42\x87"), VideoFormat::WebM),
        // A length of two bytes, and an empty element before.
        (ebml(b"\x40\x04webm\x42\x87"), VideoFormat::WebM),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x09\xec\x80\x42\x82\x84webm".to_vec(), VideoFormat::WebM),
        (ebml(b"\x88matroska\x42\x87"), VideoFormat::Mkv),
        // A title that is called like a format.
        (ebml(b"\x88matroska\x42\x88\x84webm"), VideoFormat::Mkv),
        (b"RIFF\x24\0\0\0AVI LIST".to_vec(), VideoFormat::Avi),
        (b"FLV\x01\x05\0\0\0\x09".to_vec(), VideoFormat::Flv),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9".to_vec(), VideoFormat::Wmv),
    ] {
        assert_eq!(probed(std::slice::from_ref(&bytes)), (format, None, None));
        refused(Image::from_bytes(bytes), &["looks like a video"]);
    }
}

#[test]
fn garbage_in_boxes_is_refused_or_passed_over_but_never_believed() {
    let huge = |size: u32, kind: &[u8; 4]| [&size.to_be_bytes()[..], kind, &[0xff; 16]].concat();
    for (why, parts) in [
        ("no movie", vec![ftyp(b"isom"), boxed(b"mdat", &[0; 30])]),
        ("a box longer than the file", vec![ftyp(b"isom"), huge(0xffff_ffff, b"mdat"), moov(&[mvhd(1, 1)])]),
        ("a box shorter than its head", vec![ftyp(b"isom"), huge(7, b"free"), moov(&[mvhd(1, 1)])]),
        ("a wide box shorter than its head", {
            vec![ftyp(b"isom"), [&b"\0\0\0\x01mdat"[..], &15u64.to_be_bytes()].concat(), moov(&[mvhd(1, 1)])]
        }),
        ("a wide box cut off in its head", vec![ftyp(b"isom"), b"\0\0\0\x01mdat\0\0\0".to_vec()]),
        ("a wide box without end", {
            vec![ftyp(b"isom"), [&b"\0\0\0\x01mdat"[..], &u64::MAX.to_be_bytes()].concat()]
        }),
        ("a movie that is cut off", vec![ftyp(b"isom"), moov(&[mvhd(1, 1), trak(2, 2)])[..150].to_vec()]),
        ("thousands of boxes", {
            vec![ftyp(b"isom"), boxed(b"free", &[]).repeat(5_000), moov(&[mvhd(1, 1)])]
        }),
    ] {
        let error = refused(video(&parts), &["MP4 header is cut off"]);
        assert!(!error.to_string().contains("cannot be read"), "{why}: {error}");
    }
    let nested = moov(&[trak(4, 2), huge(3, b"trak"), mvhd(1, 9)]);
    assert_eq!(probed(&[ftyp(b"isom"), nested]), (VideoFormat::Mp4, None, Some((4, 2))));
}

#[test]
fn a_video_that_is_cut_off_anywhere_is_refused_or_understood() {
    let at_the_end =
        [ftyp(b"qt  "), boxed(b"mdat", &[9; 64]), moov(&[mvhd(1_000, 2_500), trak(320, 240)])].concat();
    for bytes in [mp4(), at_the_end] {
        let whole = Video::from_bytes(bytes.clone()).unwrap().info().unwrap();
        assert!(whole.duration.is_some());
        for length in 0..bytes.len() {
            let cut = &bytes[..length];
            for opened in [Video::from_bytes(cut.to_vec()), Video::from_base64(encoded(cut))] {
                match opened {
                    Ok(video) => assert_eq!(video.info(), Some(whole), "{length} bytes"),
                    Err(error) => {
                        let text = error.to_string();
                        let words = ["cut off", "it is not a video", "it is empty"];
                        assert!(words.iter().any(|word| text.contains(word)), "{length} bytes: {text}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_list_of_no_frames_is_refused() {
    refused(Video::from_frames([]), &["it is empty"]);
}

#[test]
fn debug_shows_neither_bytes_nor_secrets_of_urls() {
    let canary = "canary".repeat(40);
    let bytes = [png(2, 3), canary.clone().into_bytes()].concat();
    let folder = Folder::new();
    let url = "https://me:canary@cdn.example/a.jpg?sign=canary";
    let request = ChatRequest::new([Message::user("look")
        .with(Image::from_bytes(bytes.clone()).unwrap())
        .with(Image::from_base64(encoded(&bytes)).unwrap())
        .with(Image::from_data_uri(data_uri("image/png", &bytes)).unwrap())
        .with(Image::from_file(folder.file("a.png", &bytes)).unwrap())
        .with(Image::from_url(url).unwrap())
        .with(Video::from_url(&url.replace("jpg", "mp4")).unwrap())
        .with(Video::from_frames([Image::from_url(url).unwrap()]).unwrap())
        .with(Video::from_bytes([mp4(), canary.into_bytes()].concat()).unwrap())]);
    let shown = format!("{request:?}");
    assert!(shown.contains("cdn.example/a.jpg?.."), "{shown}");
    let bare = encoded(&bytes);
    for hidden in ["canary", &bare[40..60], "99, 97, 110"] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
}

/// What [`Media::open`] makes of a text: the size of a picture, or the words of its refusal.
fn opened(text: &str) -> Result<(u32, u32), String> {
    match Media::open(text) {
        Ok(Media::Image(image)) => Ok(image.info().map(|info| (info.width, info.height)).unwrap()),
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidMedia, "{error}");
            assert!(error.to_string().len() < 400, "{error}");
            Err(format!("{error} {error:?}"))
        }
    }
}

/// A picture whose base64 holds every odd character: `+`, `/` and `=`.
fn odd_png() -> Vec<u8> {
    let mut bytes = png(90, 60);
    bytes.push(0);
    bytes.extend([0xfb, 0xef, 0xbe, 0xff, 0xff, 0xff].repeat(60));
    bytes.extend([0xfb; 2]);
    let text = encoded(&bytes);
    assert!(text.contains('+') && text.contains('/') && text.ends_with('='), "{text}");
    bytes
}

#[test]
fn a_data_uri_is_understood_however_it_is_written() {
    let text = encoded(&odd_png());
    let lines: Vec<&str> =
        text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let percent = text.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");
    let long = "x".repeat(3_000);
    for uri in [
        format!("  data:image/png;base64,{text}\n"),
        format!("\u{feff}data:image/png;base64,{text}"),
        format!("data:image/png; base64,{text}"),
        format!("data: image/png ;charset=utf-8 ; BASE64 , {text}"),
        format!("data:image/png;name=\"a, b;c.png\";base64,{text}"),
        format!("data:image/png;name=a%2Cb.png;base64,{text}"),
        format!("data:image/png;note={long};base64,{text}"),
        format!("data:image/png;base64;charset=x,{text}"),
        format!("data:;base64,{text}"),
        format!("data:application/octet-stream;base64,{text}"),
        format!("data:image/png;base64,{percent}"),
        format!("data:image%2Fpng%3Bbase64%2C{percent}"),
        format!("data:image/png;base64,{}", lines.join("\n")),
        format!("data:image/png;base64,{}", lines.join("%0A")),
        format!("data:image/png;base64,{}", lines.join("\r\n  ")),
        format!("data:image/png;base64,{}", lines.join(" ")),
        format!("data:image/png;base64,{}", text.trim_end_matches('=')),
    ] {
        assert_eq!(opened(&uri), Ok((90, 60)), "{}", &uri[..60]);
        let image = Image::from_url(&uri).unwrap();
        let MediaSource::Base64(kept) = image.source() else { panic!("not kept as text") };
        assert_eq!(kept.text(), text.as_bytes(), "{}", &uri[..60]);
    }
    for (uri, words) in [
        (format!("data:image/png;base64,{}", text.replace('+', " ")), "%2B"),
        (format!("data:image/png,base64,{text}"), ";base64"),
        (format!("data:image/png;note={};base64,{text}", "x,".repeat(9_000)), ";base64"),
        (format!("data:image/png;base64{text}"), "no comma"),
        (format!("data:image/png;base64,{}", &text[..text.len() - 3]), "cut off"),
        (format!("data:image/png;base64,{}", text.replace('+', "%")), "alphabet"),
    ] {
        let error = opened(&uri).unwrap_err();
        assert!(error.contains(words), "{error}");
        assert!(!error.contains(&text[8..40]), "{error}");
    }
}

#[test]
fn plus_signs_that_became_spaces_are_never_passed_over() {
    // So many of them that what is left has a good length.
    let text = encoded(&odd_png());
    for most in 1..=64 {
        for text in [text.clone(), text.trim_end_matches('=').to_owned()] {
            let error = Image::from_base64(text.replacen('+', " ", most)).unwrap_err();
            assert!(error.to_string().contains("+ may have become a space"), "{most}: {error}");
        }
    }
}

#[test]
fn content_decides_what_a_data_uri_is() {
    for declared in ["application/octet-stream", "image/png", "text/plain", "", "VIDEO/mp4", "binary"] {
        let uri = data_uri(declared, &mp4());
        assert!(matches!(Media::open(&uri), Ok(Media::Video(_))), "{declared}");
        assert!(matches!(Media::open(&format!(" {uri} ")), Ok(Media::Video(_))), "{declared}");
        assert!(Video::from_url(&format!("\n{uri}")).is_ok());
        assert!(matches!(Media::open(&data_uri(declared, &png(2, 3))), Ok(Media::Image(_))), "{declared}");
    }
    refused(Media::open(&data_uri("video/mp4", b"some words")), &["it is not a video"]);
    refused(Media::open(&data_uri("text/plain", b"some words")), &["it is not a picture"]);
}

#[test]
fn bare_base64_in_place_of_a_path_is_a_medium() {
    for (name, bytes, _, size) in pictures() {
        let text = encoded(&bytes);
        assert_eq!(opened(&text), Ok(size), "{name}");
        assert_eq!(opened(&format!(" {text}\n")), Ok(size), "{name}");
        let wrapped: Vec<String> =
            text.as_bytes().chunks(64).map(|line| String::from_utf8(line.into()).unwrap()).collect();
        assert_eq!(opened(&wrapped.join("\r\n")), Ok(size), "{name}");
    }
    assert!(matches!(Media::open(&encoded(&mp4())), Ok(Media::Video(_))));
    let text = encoded(&odd_png());
    for (text, words) in [
        (text[..text.len() - 3].to_owned(), "cut off"),
        (text.replace('+', "-").replace('/', "_"), "URL-safe"),
        (text.replace('+', " "), "%2B"),
        (text.replace('=', "!"), "alphabet"),
    ] {
        let error = opened(&text).unwrap_err();
        assert!(error.contains(words) && !error.contains(&text[8..40]), "{error}");
        for error in [Image::from_file(&text).unwrap_err(), Image::from_url(&text).unwrap_err()] {
            let error = format!("{error} {error:?}");
            assert!(error.len() < 500 && !error.contains(&text[8..40]), "{error}");
        }
    }
}

#[test]
fn a_path_with_white_space_around_it_is_found() {
    let folder = Folder::new();
    let path = folder.file("a.png", &png(2, 3)).display().to_string();
    assert_eq!(opened(&format!(" {path}\n")), Ok((2, 3)));
    let spaced = folder.file(" b.png ", &png(4, 5)).display().to_string();
    assert_eq!(opened(&spaced), Ok((4, 5)));
}

#[test]
fn an_error_shows_no_secret_and_no_more_than_a_name_of_what_was_typed() {
    let path = |text: &str| opened(text).unwrap_err();
    let link = |text: &str| format!("{:?}", Image::from_url(text).unwrap_err());
    for text in [
        "h.example/a.jpg?Expires=1&Signature=topsecret",
        "//h.example/a.mp4?topsecret",
        "www.h.example:8080/a?x=topsecret",
        "me:topsecret@h.example/a.jpg",
        "localhost:8080/a.jpg?k=topsecret",
        "https:/h.example/a.jpg?sig=topsecret",
        "https:h.example/a.jpg?sig=topsecret",
    ] {
        for error in [path(text), format!("{:?}", Image::from_file(text).unwrap_err())] {
            assert!(error.contains("write https:// in front"), "{text}: {error}");
            assert!(error.contains("h.example") || error.contains("localhost"), "{text}: {error}");
            assert!(!error.contains("topsecret"), "{text}: {error}");
        }
        if let Err(error) = Image::from_url(text) {
            assert!(!format!("{error} {error:?}").contains("topsecret"), "{text}: {error:?}");
        }
    }
    for text in [
        format!("https://[/{}?x", "topsecret/".repeat(90)),
        format!("file:///{}", "topsecret/".repeat(90)),
        format!("\"data:image/png;base64,{}\"", encoded(&odd_png())),
        "topsecret".repeat(9_000),
        format!("{}/topsecret", "a/".repeat(300)),
    ] {
        for error in [path(&text), link(&text)] {
            assert!(error.len() < 600 && error.matches("topsecret").count() < 3, "{error}");
            assert!(!error.contains(&encoded(&odd_png())[8..40]), "{error}");
        }
    }
    let deep = format!("{}photo.png", "folder/".repeat(60));
    assert!(path(&deep).contains("../photo.png: there is no such file"), "the name is what helps");
    for ordinary in
        ["a.png", "../photos/a.png", "photos/2024.05/a.png", "C:\\photos\\a.png", "notes", "/etc/x.d/a"]
    {
        let error = path(ordinary);
        assert!(error.contains(&format!(": {ordinary}: there is no such file")), "{error}");
        assert!(!error.contains("https"), "{error}");
    }
}

#[cfg(unix)]
mod on_unix {
    use std::fs::{self, File};
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use polysight_core::media::MediaFile;
    use polysight_core::{ErrorKind, Image, Media, MediaSource, RetryAdvice};

    use super::{Folder, encoded, mp4, png, refused};

    fn make_pipe(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = Folder::new();
        let of = |name: &str| folder.0.path().join(name);
        make_pipe(&of("pipe"));
        let _listener = UnixListener::bind(of("socket")).unwrap();
        std::os::unix::fs::symlink(of("pipe"), of("link")).unwrap();
        for name in ["pipe", "socket", "link", "/dev/null", "/dev/zero"] {
            refused(Image::from_file(of(name)), &["it is not a regular file"]);
            refused(Media::open(of(name).to_str().unwrap()), &["it is not a regular file"]);
        }
        std::os::unix::fs::symlink(folder.file("a.png", &png(2, 3)), of("good")).unwrap();
        assert!(Image::from_file(of("good")).is_ok());
    }

    #[test]
    fn a_named_pipe_that_is_swapped_in_at_any_moment_is_not_waited_for() {
        let folder = Folder::new();
        let path = folder.file("a.png", &png(2, 3));
        let (file, pipe) = (folder.file("file", &png(2, 3)), folder.0.path().join("pipe"));
        make_pipe(&pipe);
        let swap = |with: &Path| {
            let next = folder.0.path().join("next");
            fs::hard_link(with, &next).unwrap();
            fs::rename(&next, &path).unwrap();
        };
        let done = AtomicBool::new(false);
        let (mut taken, mut others) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    swap(&pipe);
                    swap(&file);
                }
            });
            for _ in 0..2_000 {
                match MediaFile::open(&path).and_then(|file| file.reopen()) {
                    Ok(_) => taken += 1,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::InvalidMedia, "{error}");
                        others += 1;
                    }
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(taken > 0 && others > 0, "{taken} files, {others} pipes");
    }

    #[test]
    fn a_file_is_known_by_what_no_program_can_set() {
        let folder = Folder::new();
        let path = folder.file("a.png", &png(2, 3));
        fs::hard_link(&path, folder.0.path().join("other name.png")).unwrap();
        std::os::unix::fs::symlink(&path, folder.0.path().join("link.png")).unwrap();
        let first = MediaFile::open(&path).unwrap();
        assert_eq!(first.identity(), MediaFile::open(&path).unwrap().identity());
        for same in ["other name.png", "link.png"] {
            assert_eq!(first.identity(), MediaFile::open(folder.0.path().join(same)).unwrap().identity());
        }
        assert_eq!(first.identity(), &first.identity_of(&first.reopen().unwrap()).unwrap());
        assert!(first.identity().last_change().is_some());
        let modified = first.modified().unwrap();
        let as_before =
            |path: &Path| File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();

        // Another file of the same length and time takes the path, as an archive or `cp -p` leaves it.
        let other = folder.file("b.png", &png(3, 2));
        as_before(&other);
        fs::rename(&other, &path).unwrap();
        let second = MediaFile::open(&path).unwrap();
        assert_eq!((first.byte_len(), first.modified()), (second.byte_len(), second.modified()));
        assert_ne!(first.identity(), second.identity());
        let swapped = first.reopen().unwrap_err().to_string();
        assert!(swapped.contains("the file changed since it was opened: open it again"), "{swapped}");
        let taken = MediaSource::File(first).in_memory().unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::InvalidMedia);

        // The same file gets other content, and its old time.
        while MediaFile::open(&path).unwrap().identity() == second.identity() {
            fs::write(&path, png(5, 7)).unwrap();
            as_before(&path);
        }
        let third = MediaFile::open(&path).unwrap();
        assert_eq!((third.byte_len(), third.modified()), (second.byte_len(), second.modified()));
        assert_ne!(second.identity(), third.identity());
        assert!(second.reopen().is_err() && third.reopen().is_ok());
        assert!(third.identity().is_certain_after(Duration::ZERO));
        assert!(!third.identity().is_certain_after(Duration::from_secs(3_600)));
    }

    /// Tells the program of tests that it is the one with few file handles.
    const FEW_HANDLES: &str = "POLYSIGHT_TEST_FEW_HANDLES";

    #[test]
    fn no_file_handle_left_is_a_trouble_that_passes() {
        if std::env::var_os(FEW_HANDLES).is_some() {
            return with_few_handles();
        }
        let name = "media::on_unix::no_file_handle_left_is_a_trouble_that_passes";
        let limited = "ulimit -n 32 && exec \"$0\" --exact \"$1\" --nocapture --test-threads 1";
        let mut command = Command::new("sh");
        command.args(["-c", limited]).arg(std::env::current_exe().unwrap()).arg(name).env(FEW_HANDLES, "1");
        let output = command.output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && shown.contains("1 passed"), "{output:?}");
    }

    fn with_few_handles() {
        let folder = Folder::new();
        let path = folder.file("a.png", &png(2, 3));
        let image = MediaFile::open(&path).unwrap();
        let mut held = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            held.push(file);
        }
        assert!(held.len() < 32, "the limit holds");
        let errors = [
            Image::from_file(&path).unwrap_err(),
            Media::open(path.to_str().unwrap()).unwrap_err(),
            image.reopen().unwrap_err(),
        ];
        assert!(Media::open(&encoded(&mp4())).is_ok(), "what needs no handle works");
        drop(held);
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
            assert_eq!(error.retry(), RetryAdvice::After(None));
            assert!(error.is_local() && error.reaction().retry_here, "{error:?}");
            assert!(error.to_string().contains("a.png: no file handle is left"), "{error}");
        }
        assert!(image.reopen().is_ok());
    }
}
