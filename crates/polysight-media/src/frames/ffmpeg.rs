//! The system's `ffmpeg`, with bounded time, memory and output, ended with the call.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use polysight_core::media::{Orientation, VideoSource};
use polysight_core::{
    Billed, Error, ErrorKind, Image, MediaSource, Result, TimeoutPhase, Video, VideoFormat, redact,
};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Sampling, VideoPolicy, jpegs};
use crate::video::VideoHeader;

/// Most bytes of what `ffmpeg` complains of.
const MAX_WORDS: usize = 16 * 1_024;

/// Takes frames and cuts of videos by the system's `ffmpeg`. Cloning shares the limit of processes: as many as there are
/// processors.
///
/// The program gets no shell, no standard input and no network, opens the one file that it is given as the container that
/// it is, and ends when the call is dropped.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    policy: Arc<VideoPolicy>,
    permits: Arc<Semaphore>,
}

/// A video that was cut. Its file lives as long as this does.
#[derive(Debug, Clone)]
pub struct Trimmed {
    video: Video,
    _folder: Arc<TempDir>,
}

impl Trimmed {
    /// The video.
    #[must_use]
    pub fn video(&self) -> &Video {
        &self.video
    }
}

impl Ffmpeg {
    /// Makes one of a policy. Whether there is such a program is found out when it is first needed.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what [`VideoPolicy::check`] finds.
    pub fn new(policy: VideoPolicy) -> Result<Self> {
        policy.check()?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { policy: Arc::new(policy), permits: Arc::new(Semaphore::new(processors)) })
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &VideoPolicy {
        &self.policy
    }

    /// Takes frames of a video on disk or in memory, as a list of JPEG pictures with its [`fps`](Video::fps).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] without the program, [`ErrorKind::InvalidMedia`] when it fails or makes too much, and
    /// [`ErrorKind::Timeout`] when it takes too long; all [are local](Error::is_local).
    pub async fn frames(&self, video: &Video, sampling: &Sampling) -> Result<Video> {
        let work = Work::new(video).await?;
        let Sampling { fps, count, width, height } = sampling;
        let turn = turn(work.orientation);
        let filter = format!("fps=fps={fps}:round=up,{turn}scale={width}:{height}:flags=area");
        // Which containers it turns by differs from version to version.
        let mut arguments = vec![OsString::from("-noautorotate")];
        arguments.extend(work.input()?);
        arguments
            .extend(["-map", "0:v:0", "-frames:v", &count.to_string(), "-vf", &filter].map(OsString::from));
        arguments.extend(
            ["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p", "-f", "image2pipe", "pipe:1"]
                .map(OsString::from),
        );
        let output = self.run(&work, arguments).await?;
        let frames = jpegs::split(&output).into_iter().map(Image::from_bytes).collect::<Result<Vec<_>>>()?;
        if frames.is_empty() {
            return Err(failed(&work.name, "it made no frame"));
        }
        Ok(keep_hints(Video::from_frames(frames)?, video).with_fps(*fps))
    }

    /// Cuts a video off at its end, so that it lasts no longer than `limit`; pictures and sound are copied as they are, into
    /// an MP4 file. FFmpeg 5 leaves out how an MKV or WebM lies.
    ///
    /// # Errors
    /// As [`frames`](Self::frames).
    pub async fn trim(&self, video: &Video, limit: Duration, frame_rate: Option<f64>) -> Result<Trimmed> {
        let work = Work::new(video).await?;
        // The last frame is shown for a while after the cut.
        let margin = frame_rate.map_or(0.2, |rate| (1.0 / rate).clamp(0.2, 2.0));
        let time = (limit.as_secs_f64() - margin).max(0.1);
        let made = work.folder.path().join("cut.mp4");
        let mut arguments = work.input()?;
        arguments.extend(
            ["-t", &format!("{time:.3}"), "-map", "0:v:0", "-map", "0:a:0?", "-c", "copy"]
                .map(OsString::from),
        );
        let most = self.policy.max_bytes.to_string();
        arguments.extend(["-movflags", "+faststart", "-fs", &most, "-f", "mp4"].map(OsString::from));
        arguments.push(of_file(&made));
        self.run(&work, arguments).await?;
        let cut = Video::from_file(&made).map_err(|error| failed(&work.name, error.message()))?;
        let cut = keep_hints(cut, video);
        let cut = video.fps().map_or(cut.clone(), |fps| cut.with_fps(fps));
        Ok(Trimmed { video: cut, _folder: work.folder })
    }

    /// Runs the program and gives what it writes to its standard output.
    async fn run(&self, work: &Work, arguments: Vec<OsString>) -> Result<Bytes> {
        let late = || {
            let message = format!(
                "{}: ffmpeg was not done within {:?}: allow more time (`timeout`), or give a shorter video",
                work.name, self.policy.timeout
            );
            let error = Error::new(ErrorKind::Timeout(TimeoutPhase::Total), message);
            error.with_billed(Billed::No).with_local()
        };
        let running = async {
            // Closed never: the semaphore lives as long as this.
            let _permit = self.permits.acquire().await.ok();
            self.run_now(work, arguments).await
        };
        timeout(self.policy.timeout, running).await.unwrap_or_else(|_| Err(late()))
    }

    async fn run_now(&self, work: &Work, arguments: Vec<OsString>) -> Result<Bytes> {
        let mut command = Command::new(&self.policy.program);
        command
            .args(["-nostdin", "-hide_banner", "-loglevel", "error"])
            .args(arguments)
            .env_remove("FFREPORT")
            .current_dir(work.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| self.not_started(error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let most = usize::try_from(self.policy.max_bytes).unwrap_or(usize::MAX);
        // Ends with the pipe, which ends with the program.
        let words = tokio::spawn(read(stderr, MAX_WORDS, false));
        let output = read(stdout, most, true).await.map_err(|error| self.broken(work, &error))?;
        let status = child.wait().await.map_err(|error| self.broken(work, &error))?;
        if status.success() {
            return Ok(output);
        }
        let words = words.await.ok().and_then(Result::ok).unwrap_or_default();
        Err(complaint(work, status, &words))
    }

    fn not_started(&self, error: io::Error) -> Error {
        let program = self.policy.program.file_name().unwrap_or_default().to_string_lossy();
        let message = format!(
            "frames and cuts of videos need the program `{program}`, which cannot be started ({}): install ffmpeg, name it \
             by `program`, or send a list of frames",
            error.kind()
        );
        Error::new(ErrorKind::Unsupported, message).with_local().with_source(error)
    }

    fn broken(&self, work: &Work, error: &io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::FileTooLarge => {
                let problem = format!("more than {} bytes come of it (`max_bytes`)", self.policy.max_bytes);
                failed(&work.name, &problem)
            }
            kind => failed(&work.name, &kind.to_string()),
        }
    }
}

/// Reads a pipe to its end. What is beyond `most` bytes is an error, or is passed over.
async fn read(pipe: Option<impl AsyncRead + Unpin + Send>, most: usize, strict: bool) -> io::Result<Bytes> {
    let mut all = BytesMut::new();
    let Some(mut pipe) = pipe else { return Ok(all.freeze()) };
    let mut piece = vec![0; 64 * 1_024];
    loop {
        let length = pipe.read(&mut piece).await?;
        let Some(piece) = piece.get(..length).filter(|piece| !piece.is_empty()) else { break };
        let room = most.saturating_sub(all.len());
        if piece.len() > room && strict {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        all.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }
    Ok(all.freeze())
}

/// A video as a file, and a private folder that vanishes with the work.
struct Work {
    path: PathBuf,
    format: VideoFormat,
    orientation: Orientation,
    name: String,
    folder: Arc<TempDir>,
}

impl Work {
    async fn new(video: &Video) -> Result<Self> {
        let (VideoSource::Whole(source), Some(info)) = (video.source(), video.info()) else {
            let message = "only a video on disk or in memory has frames to take";
            return Err(Error::new(ErrorKind::InvalidMedia, message).with_local());
        };
        let folder = tempfile::Builder::new().prefix("polysight-").tempdir().map_err(no_room)?;
        let path = match source {
            MediaSource::File(file) => {
                // It must still be the file whose header was read.
                file.reopen()?;
                std::path::absolute(file.path()).map_err(no_room)?
            }
            _ => written(source.clone(), folder.path().join("video")).await?,
        };
        let orientation = VideoHeader::read(video).map_or(info.orientation, |header| header.info.orientation);
        let (format, name) = (info.format, source.name());
        Ok(Self { path, format, orientation, name, folder: Arc::new(folder) })
    }

    /// The input, as the container that it is: playlists, which name other files, are never looked for.
    fn input(&self) -> Result<Vec<OsString>> {
        let demuxer = match self.format {
            VideoFormat::Mp4 | VideoFormat::Mov => "mov",
            VideoFormat::Mkv | VideoFormat::WebM => "matroska",
            VideoFormat::Avi => "avi",
            VideoFormat::Flv => "flv",
            VideoFormat::Wmv => "asf",
            other => return Err(failed(&self.name, &format!("{other} is not read"))),
        };
        let options = ["-protocol_whitelist", "file", "-f", demuxer, "-i"];
        Ok(options.into_iter().map(OsString::from).chain([of_file(&self.path)]).collect())
    }
}

/// The filters that turn pictures upright.
fn turn(orientation: Orientation) -> &'static str {
    match orientation {
        Orientation::Upright => "",
        Orientation::Mirrored => "hflip,",
        Orientation::Rotated180 => "hflip,vflip,",
        Orientation::Flipped => "vflip,",
        Orientation::Transposed => "transpose=cclock_flip,",
        Orientation::Rotated90 => "transpose=clock,",
        Orientation::Transversed => "transpose=clock_flip,",
        Orientation::Rotated270 => "transpose=cclock,",
    }
}

/// A path that is taken for nothing else, whatever it begins with.
fn of_file(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

async fn written(source: MediaSource, path: PathBuf) -> Result<PathBuf> {
    let write = move || {
        let Some(reader) = source.reader() else {
            return Err(failed(&source.name(), "it has to be fetched first"));
        };
        let mut file = std::fs::File::create_new(&path).map_err(no_room)?;
        io::copy(&mut *reader?, &mut file).map_err(no_room)?;
        Ok(path)
    };
    let stopped = || Error::new(ErrorKind::Overloaded, "the work on a video was stopped").with_local();
    tokio::task::spawn_blocking(write).await.map_err(|_| stopped())?
}

/// What the program says of a video, without where it is.
fn complaint(work: &Work, status: ExitStatus, words: &[u8]) -> Error {
    let words = String::from_utf8_lossy(words);
    let words = words.replace(&*work.path.to_string_lossy(), "the video");
    let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let last: String = last.trim().chars().take(200).collect();
    failed(&work.name, &format!("ffmpeg fails ({status}): {}", redact(&last)))
}

fn failed(name: &str, problem: &str) -> Error {
    Error::new(ErrorKind::InvalidMedia, format!("{name}: {problem}")).with_local()
}

fn no_room(error: io::Error) -> Error {
    let message = format!("the temporary folder of a video cannot be used: {}", error.kind());
    Error::new(ErrorKind::Overloaded, message).with_local().with_source(error)
}

/// Keeps what the caller said of how to look at the video.
fn keep_hints(mut made: Video, from: &Video) -> Video {
    if let Some(pixels) = from.min_pixels() {
        made = made.with_min_pixels(pixels);
    }
    if let Some(pixels) = from.max_pixels() {
        made = made.with_max_pixels(pixels);
    }
    if let Some(pixels) = from.total_pixels() {
        made = made.with_total_pixels(pixels);
    }
    made
}
