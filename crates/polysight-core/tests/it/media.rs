//! Opening pictures and videos, from everywhere they may come from.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::samples::{boxed, ftyp, moov, mp4, mvhd, mvhd_wide, pictures, png, trak};
use polysight_core::{
    ChatRequest, Error, ErrorKind, Image, Media, MediaSource, Message, Result, Video,
    VideoFormat,
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
                        let told = ["cut off", "it is not a picture", "it is empty"];
                        assert!(
                            told.iter().any(|told| text.contains(told)),
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
fn told(parts: &[Vec<u8>]) -> (VideoFormat, Option<f64>, Option<(u32, u32)>) {
    let info = video(parts).unwrap().info().unwrap();
    (info.format, info.duration.map(|duration| duration.as_secs_f64()), info.width.zip(info.height))
}

#[test]
fn an_mp4_tells_its_playing_time_wherever_its_movie_box_is() {
    let movie = moov(&[mvhd(600, 1_500), trak(0, 0), trak(1_920, 1_080)]);
    let data = boxed(b"mdat", &[0; 5_000]);
    let expected = (VideoFormat::Mp4, Some(2.5), Some((1_920, 1_080)));
    assert_eq!(told(&[ftyp(b"isom"), movie.clone(), data.clone()]), expected);
    assert_eq!(told(&[ftyp(b"isom"), boxed(b"free", &[]), data.clone(), movie.clone()]), expected);
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
    assert_eq!(told(&[ftyp(b"isom"), wide(b"mdat", &[3; 99]), wide(b"moov", &content)]), expected);
    let mut to_the_end = boxed(b"moov", &content);
    to_the_end[..4].fill(0);
    assert_eq!(told(&[ftyp(b"isom"), to_the_end]), expected);
}

#[test]
fn a_playing_time_that_is_not_told_is_unknown() {
    for (why, header) in [
        ("all ones", mvhd(1_000, u32::MAX)),
        ("all ones, wide", mvhd_wide(1_000, u64::MAX)),
        ("told by fragments", mvhd(1_000, 0)),
        ("told by fragments, wide", mvhd_wide(1_000, 0)),
        ("no ticks", mvhd(0, 5)),
        ("cut off", boxed(b"mvhd", &[0; 10])),
        ("empty", boxed(b"mvhd", &[])),
    ] {
        let movie = moov(&[header, trak(4, 2)]);
        assert_eq!(told(&[ftyp(b"iso5"), movie]), (VideoFormat::Mp4, None, Some((4, 2))), "{why}");
    }
    let longest = told(&[ftyp(b"isom"), moov(&[mvhd_wide(1, u64::MAX - 1), trak(4, 2)])]);
    assert!(longest.1.unwrap() > 1e19);
}

#[test]
fn a_quicktime_file_is_told_by_brand_or_by_its_first_box() {
    let movie = moov(&[mvhd(1_000, 2_000), trak(4, 2)]);
    for first in [ftyp(b"qt  "), boxed(b"wide", &[]), boxed(b"mdat", &[1; 20]), boxed(b"free", &[0; 4])] {
        assert_eq!(told(&[first, movie.clone()]), (VideoFormat::Mov, Some(2.0), Some((4, 2))));
    }
    assert_eq!(told(&[movie]).0, VideoFormat::Mov);
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
        assert_eq!(told(std::slice::from_ref(&bytes)), (format, None, None));
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
    assert_eq!(told(&[ftyp(b"isom"), nested]), (VideoFormat::Mp4, None, Some((4, 2))));
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
                        let told = ["cut off", "it is not a video", "it is empty"];
                        assert!(told.iter().any(|told| text.contains(told)), "{length} bytes: {text}");
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
