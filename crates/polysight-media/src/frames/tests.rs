//! Work of a system's `ffmpeg` where there is one, and of programs that fail.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use polysight_core::catalog::VideoCard;
use polysight_core::media::VideoSource;
use polysight_core::{ErrorKind, Image, MediaSource, Video};

use super::*;
use crate::video::VideoHeader;

/// Makes a video of 64 x 48 px at 10 frames a second whose grey rises by 5 each second; `None`, with a word on stdout,
/// where there is no `ffmpeg`.
pub(super) fn grey_video(path: &Path, seconds: u32, options: &[&str]) -> Option<Video> {
    let grey = "nullsrc=size=64x48:rate=10,geq=lum='16+5*floor(N/10)':cb=128:cr=128";
    let time = seconds.to_string();
    let made = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-loglevel",
            "error",
            "-f",
            "lavfi",
            "-i",
            grey,
            "-t",
            &time,
            "-pix_fmt",
            "yuv420p",
        ])
        .args(options)
        .arg(path)
        .status();
    match made {
        Ok(status) => assert!(status.success(), "{path:?}"),
        Err(_) => {
            println!("left out: no ffmpeg");
            return None;
        }
    }
    Some(Video::from_file(path).unwrap())
}

fn ffmpeg(policy: VideoPolicy) -> Ffmpeg {
    Ffmpeg::new(policy).unwrap()
}

fn sampling(video: &Video, card: &str) -> Sampling {
    let card: VideoCard = serde_json::from_str(card).unwrap();
    let header = VideoHeader::read(video).unwrap();
    Sampling::of(video, &header, &card, &VideoPolicy::default()).unwrap()
}

/// The luma of the middle of a JPEG, in the scale of the video.
pub(super) fn grey_of(frame: &Image) -> f64 {
    let MediaSource::Bytes(bytes) = frame.source() else { panic!() };
    let picture = image::load_from_memory(bytes).unwrap().to_luma8();
    f64::from(picture.get_pixel(32, 24).0[0]) * 219.0 / 255.0 + 16.0
}

fn frames_of(video: &Video) -> &[Image] {
    let VideoSource::Frames(frames) = video.source() else { panic!() };
    frames
}

#[tokio::test]
async fn frames_are_those_of_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = grey_video(&folder.path().join("a.mp4"), 45, &["-c:v", "mpeg4", "-q:v", "2"]) else {
        return;
    };
    let sampling = sampling(&video, r#"{"frames": "[4, 512]", "fps": "[0.1, 10]"}"#);
    let made = ffmpeg(VideoPolicy::default()).frames(&video, &sampling).await.unwrap();
    assert_eq!((made.fps(), frames_of(&made).len()), (Some(2.0), 90));
    for (index, frame) in frames_of(&made).iter().enumerate() {
        assert_eq!(frame.info().unwrap().shown(), (64, 48));
        let expected = 16.0 + 5.0 * sampling.time(index as u32).floor();
        let grey = grey_of(frame);
        assert!((grey - expected).abs() < 2.5, "frame {index}: {grey}, expected {expected}");
    }
}

#[tokio::test]
async fn frames_come_of_every_container_from_memory_and_from_hostile_names() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["-i.mp4", "a;touch b.mov", "%d 猫'\".mkv", "concat:a|b.avi", "$(x).mp4"] {
        let path = folder.path().join(name);
        let plain = folder.path().join("plain").with_extension(path.extension().unwrap());
        if grey_video(&plain, 4, &["-c:v", "mpeg4", "-y"]).is_none() {
            return;
        }
        std::fs::rename(&plain, &path).unwrap();
        let video = Video::from_file(&path).unwrap();
        let sampling = sampling(&video, r#"{"frames": true}"#);
        let made = ffmpeg(VideoPolicy::default()).frames(&video, &sampling).await.unwrap();
        assert_eq!(frames_of(&made).len(), 8, "{name}");
        let bytes = Video::from_bytes(std::fs::read(&path).unwrap()).unwrap();
        let made = ffmpeg(VideoPolicy::default()).frames(&bytes, &sampling).await.unwrap();
        assert_eq!(frames_of(&made).len(), 8, "{name}, in memory");
    }
    assert!(!folder.path().join("b.mov").exists());
}

#[tokio::test]
async fn a_rotated_video_gives_upright_frames() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("a.mov");
    if grey_video(&plain, 4, &["-c:v", "mpeg4"]).is_none() {
        return;
    }
    let turned = folder.path().join("b.mov");
    let turn = ["-nostdin", "-loglevel", "error", "-i"];
    let mut copy = Command::new("ffmpeg");
    copy.args(turn).arg(&plain).args(["-c", "copy", "-metadata:s:v", "rotate=90"]).arg(&turned);
    assert!(copy.status().unwrap().success());
    let video = Video::from_file(&turned).unwrap();
    let sampling = sampling(&video, r#"{"frames": true}"#);
    assert_eq!((sampling.width, sampling.height), (48, 64));
    let made = ffmpeg(VideoPolicy::default()).frames(&video, &sampling).await.unwrap();
    assert_eq!(frames_of(&made)[0].info().unwrap().shown(), (48, 64));
}

/// A video with this projection where `ffmpeg` wrote its colours, which are as long.
fn projected(path: &Path, yaw: f32, roll: f32) {
    let mut file = std::fs::read(path).unwrap();
    let colours = file.windows(3).position(|window| window == [0x55, 0xb0, 0x90]).expect("its colours");
    let angle = |id: u8, degrees: f32| [&[0x76, id, 0x84][..], &degrees.to_be_bytes()].concat();
    let projection = [&[0x76, 0x70, 0x90][..], &angle(0x73, yaw), &angle(0x75, roll), &[0xec, 0x80]].concat();
    file[colours..colours + projection.len()].copy_from_slice(&projection);
    std::fs::write(path, file).unwrap();
}

#[tokio::test]
async fn frames_of_a_matroska_video_lie_as_its_projection_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mkv");
    // The top left is bright, and what is below it less so than what is right of it.
    let lights = "nullsrc=size=64x48:rate=10,geq=lum='if(lt(X,32),if(lt(Y,24),235,80),if(lt(Y,24),160,16))':cb=128:cr=128";
    let colours =
        ["-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv"];
    for (yaw, roll, expected) in [
        (0.0, 0.0, [235, 160, 80, 16]),
        (0.0, 90.0, [160, 16, 235, 80]),
        (0.0, -90.0, [80, 235, 16, 160]),
        (0.0, 180.0, [16, 80, 160, 235]),
        (180.0, 0.0, [160, 235, 16, 80]),
        (180.0, 180.0, [80, 16, 235, 160]),
        (180.0, 90.0, [235, 80, 160, 16]),
        (180.0, -90.0, [16, 160, 80, 235]),
    ] {
        let mut make = Command::new("ffmpeg");
        make.args(["-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i", lights, "-t", "1"]);
        make.args(["-pix_fmt", "yuv420p", "-c:v", "mpeg4", "-q:v", "2"]).args(colours).arg(&path);
        let Ok(status) = make.status() else {
            println!("left out: no ffmpeg");
            return;
        };
        assert!(status.success());
        projected(&path, yaw, roll);
        let video = Video::from_file(&path).unwrap();
        let sampling = sampling(&video, r#"{"frames": true}"#);
        let made = ffmpeg(VideoPolicy::default()).frames(&video, &sampling).await.unwrap();
        let MediaSource::Bytes(bytes) = frames_of(&made)[0].source() else { panic!() };
        let frame = image::load_from_memory(bytes).unwrap().to_luma8();
        let (width, height) = frame.dimensions();
        assert_eq!((width, height), if roll.abs() == 90.0 { (48, 64) } else { (64, 48) });
        let places = [(1, 1), (3, 1), (1, 3), (3, 3)];
        let found = places.map(|(x, y)| f64::from(frame.get_pixel(width * x / 4, height * y / 4).0[0]));
        for (found, expected) in found.map(|luma| luma * 219.0 / 255.0 + 16.0).into_iter().zip(expected) {
            assert!((found - f64::from(expected)).abs() < 4.0, "{yaw} {roll}: {found}, expected {expected}");
        }
    }
}

#[tokio::test]
async fn a_cut_video_lasts_no_longer_than_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.mp4", "a.mkv"] {
        let Some(video) = grey_video(&folder.path().join(name), 45, &["-c:v", "mpeg4"]) else { return };
        let cut =
            ffmpeg(VideoPolicy::default()).trim(&video, Duration::from_secs(30), Some(10.0)).await.unwrap();
        let header = VideoHeader::read(cut.video()).unwrap();
        let time = header.info.duration.unwrap().as_secs_f64();
        assert!((29.0..=30.0).contains(&time), "{name}: {time} s");
        let VideoSource::Whole(MediaSource::File(file)) = cut.video().source() else { panic!() };
        let path = file.path().to_owned();
        assert!(path.exists());
        drop((cut, header));
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn too_much_output_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    let Some(video) = grey_video(&path, 4, &["-c:v", "mpeg4"]) else { return };
    let sampling = sampling(&video, r#"{"frames": true}"#);
    let small = ffmpeg(VideoPolicy::default().with_max_bytes(500));
    let error = small.frames(&video, &sampling).await.unwrap_err();
    assert!(error.message().contains("more than 500 bytes"), "{error}");
}

/// A video whose header is good; the programs of these tests do not look at it.
pub(super) fn some_video() -> Video {
    let mut bytes = b"\0\0\0\x14ftypisom\0\0\0\0isom".to_vec();
    let boxed = |kind: &[u8; 4], content: &[u8]| {
        [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
    };
    let handler = boxed(b"mdia", &boxed(b"hdlr", b"\0\0\0\0\0\0\0\0vide"));
    bytes.extend(boxed(b"moov", &boxed(b"trak", &handler)));
    Video::from_bytes(bytes).unwrap()
}

const SAMPLING: Sampling = Sampling { fps: 2.0, count: 4, width: 64, height: 48 };

#[tokio::test]
async fn a_program_that_is_missing_names_the_way_out() {
    let missing = ffmpeg(VideoPolicy::default().with_program("/nowhere/ffmpeg-of-none"));
    let error = missing.frames(&some_video(), &SAMPLING).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.is_local() && error.message().contains("install ffmpeg"), "{error}");
    assert!(!error.to_string().contains("nowhere"), "{error}");
}

#[cfg(unix)]
fn program(folder: &Path, script: &str) -> VideoPolicy {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("program");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    VideoPolicy::default().with_program(path)
}

#[cfg(unix)]
#[tokio::test]
async fn programs_that_fail_hang_or_flood_are_ended_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for (script, kind, words) in [
        ("echo 'moov atom not found' >&2; exit 3", ErrorKind::InvalidMedia, "moov atom not found"),
        ("exit 0", ErrorKind::InvalidMedia, "no frame"),
        ("echo words", ErrorKind::InvalidMedia, "no frame"),
        ("cat /dev/zero", ErrorKind::InvalidMedia, "bytes come of it"),
        ("cat /dev/zero >&2", ErrorKind::Timeout(polysight_core::TimeoutPhase::Total), "allow more time"),
        ("exec sleep 60", ErrorKind::Timeout(polysight_core::TimeoutPhase::Total), "allow more time"),
    ] {
        let policy =
            program(folder.path(), script).with_max_bytes(1_000_000).with_timeout(Duration::from_secs(2));
        let start = Instant::now();
        let error = ffmpeg(policy).frames(&some_video(), &SAMPLING).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{script}: {error}");
        assert!(error.message().contains(words) && error.is_local(), "{script}: {error}");
        assert!(start.elapsed() < Duration::from_secs(20), "{script}");
        assert_eq!(error.billed(), polysight_core::Billed::No);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_program_ends_with_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let policy = program(folder.path(), &format!("echo $$ > '{}'; exec sleep 60", pid.display()));
    let work = tokio::spawn(async move { ffmpeg(policy).frames(&some_video(), &SAMPLING).await });
    let mut waited = 0;
    let id = loop {
        match std::fs::read_to_string(&pid).ok().and_then(|text| text.trim().parse::<u32>().ok()) {
            Some(id) => break id,
            None => {
                waited += 1;
                assert!(waited < 1_000, "the program does not start");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    work.abort();
    let _ = work.await;
    let runs = || Command::new("kill").args(["-0", &id.to_string()]).output().unwrap().status.success();
    for _ in 0..500 {
        if !runs() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the program still runs");
}
