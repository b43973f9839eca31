//! Headers of pictures and videos.

use std::fmt::Debug;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use polysight_core::{Error, Image, Media, Result, Video};
use tempfile::NamedTempFile;

use crate::display::check_line;
use crate::reference_impl::encode;

/// Length of a file behind the header, in bytes: much longer than what may be read of it.
const FILE: u64 = 64 << 20;
/// Most bytes that may be read of a file, whatever its header says: a thousand boxes on each level, a buffer for each.
const MOST_READ: u64 = 4 << 20;

/// A buffer, a file and base64 text get the same verdict, and a large file is not read.
pub(crate) fn picture(data: &[u8]) {
    let image = Image::from_bytes(data.to_vec());
    let verdict = verdict(&image, Image::info);
    if let Some(info) = image.as_ref().ok().and_then(Image::info) {
        assert!(info.width > 0 && info.height > 0, "{info:?}");
        assert!(Video::from_bytes(data.to_vec()).is_err(), "a video too");
    }
    check_base64(data, &verdict, |text| self::verdict(&Image::from_base64(text), Image::info));
    check_file(data, &verdict, |path| self::verdict(&Image::from_file(path), Image::info));
    check_long_file(data, |path| Image::from_file(path).map(|_| ()));
}

/// As [`picture`].
pub(crate) fn video(data: &[u8]) {
    let video = Video::from_bytes(data.to_vec());
    let verdict = verdict(&video, Video::info);
    if video.is_ok() {
        assert!(Image::from_bytes(data.to_vec()).is_err(), "a picture too");
    }
    check_base64(data, &verdict, |text| self::verdict(&Video::from_base64(text), Video::info));
    check_file(data, &verdict, |path| self::verdict(&Video::from_file(path), Video::info));
    check_long_file(data, |path| Video::from_file(path).map(|_| ()));
}

/// What was found, or what is wrong, without the name of the source.
fn verdict<T, I: Debug>(media: &Result<T>, info: impl Fn(&T) -> I) -> String {
    match media {
        Ok(media) => format!("{:?}", info(media)),
        Err(error) => {
            check_line(error);
            let (_, problem) = error.message().split_once(": ").expect("name: problem");
            problem.to_owned()
        }
    }
}

fn check_base64(data: &[u8], verdict: &str, probe: impl Fn(String) -> String) {
    if !data.is_empty() {
        assert_eq!(probe(encode(data)), verdict, "as base64");
    }
}

fn check_file(data: &[u8], verdict: &str, probe: impl Fn(&Path) -> String) {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(data).expect("written");
    assert_eq!(probe(file.path()), verdict, "as a file");
    match Media::open(&file.path().display().to_string()) {
        Ok(Media::Image(image)) => assert_eq!(image.info().is_some(), Image::from_file(file.path()).is_ok()),
        Ok(Media::Video(_)) => assert!(Video::from_file(file.path()).is_ok()),
        Ok(other) => panic!("{other:?} is new: teach the target"),
        Err(error) => check_line(&error),
    }
}

fn check_long_file(data: &[u8], probe: impl Fn(&Path) -> Result<(), Error>) {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(data).expect("written");
    file.as_file().set_len(FILE).expect("lengthened");
    let before = bytes_read();
    let _ = probe(file.path());
    if let Some((before, after)) = before.zip(bytes_read()) {
        assert!(after - before <= MOST_READ, "{} bytes read", after - before);
    }
}

/// Bytes that this thread has read from files so far, where the system tells.
fn bytes_read() -> Option<u64> {
    let counts = fs::read_to_string("/proc/thread-self/io").ok()?;
    counts.lines().find_map(|line| line.strip_prefix("rchar: "))?.trim().parse().ok()
}
