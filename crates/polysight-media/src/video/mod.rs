//! What the header of a video says: playing time, frame rate, size, rotation and codec, of MP4, MOV, MKV, WebM and AVI.
//!
//! Rotation is that of the matrix of a track in MP4 and MOV, and of the projection in MKV and WebM (RFC 9559, 5.1.4.1.28).
//!
//! The core reads a few facts of MP4 and MOV itself; this reads more of those, and the other containers. Own readers: the
//! MP4 crates read the whole index (megabytes for an hour) and refuse what QuickTime adds to it, and matroska-demuxer 0.8
//! reserves as much memory as a length in the file demands.

mod avi;
mod input;
mod matroska;
mod mp4;
#[cfg(test)]
mod tests;

use std::time::Duration;

use polysight_core::media::{Orientation, Readable, VideoSource};
use polysight_core::{Error, ErrorKind, Result, Video, VideoFormat, VideoInfo};

use input::{Fault, Input};

/// What the header of a video says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VideoHeader {
    /// Container, playing time, size and orientation; what the file does not say is `None`.
    pub info: VideoInfo,
    /// Frames a second, on average.
    pub frame_rate: Option<f64>,
    /// The codec of the pictures by the container's own name, such as `avc1` (MP4), `V_VP9` (Matroska) or `MJPG` (AVI).
    pub codec: Option<String>,
}

impl VideoHeader {
    /// Reads the header of a video on disk or in memory; at most a few megabytes are read, and no frame is decoded.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`] for a URL, for frames, for a file that can no longer be read, and for one without a video
    /// track or with a damaged header.
    pub fn read(video: &Video) -> Result<Self> {
        let (VideoSource::Whole(source), Some(info)) = (video.source(), video.info()) else {
            let message = "only a video on disk or in memory has a header to read";
            return Err(Error::new(ErrorKind::InvalidMedia, message));
        };
        let Some(reader) = source.reader() else {
            return Err(Error::new(ErrorKind::InvalidMedia, "what is behind a URL has to be fetched first"));
        };
        let unusable = |problem| Error::new(ErrorKind::InvalidMedia, format!("{}: {problem}", source.name()));
        let facts = facts(&mut *reader?, info.format).map_err(|fault| unusable(fault.to_string()))?;
        Ok(facts.into_header(info))
    }
}

/// What a container's reader found.
#[derive(Debug, Default)]
struct Facts {
    duration: Option<Duration>,
    size: Option<(u32, u32)>,
    orientation: Option<Orientation>,
    frame_rate: Option<f64>,
    codec: Option<String>,
}

impl Facts {
    /// What the core has read goes first.
    fn into_header(self, mut info: VideoInfo) -> VideoHeader {
        info.duration = info.duration.or(self.duration);
        if info.width.zip(info.height).is_none() {
            (info.width, info.height) = self.size.unzip();
        }
        info.orientation = self.orientation.unwrap_or(info.orientation);
        let frame_rate = self.frame_rate.filter(|rate| rate.is_finite() && *rate > 0.0 && *rate <= 1_000.0);
        VideoHeader { info, frame_rate, codec: self.codec }
    }
}

fn facts(reader: &mut dyn Readable, format: VideoFormat) -> Result<Facts, Fault> {
    let mut input = Input::new(reader)?;
    match format {
        VideoFormat::Mp4 | VideoFormat::Mov => mp4::read(&mut input),
        VideoFormat::Mkv | VideoFormat::WebM => matroska::read(&mut input),
        VideoFormat::Avi => avi::read(&mut input),
        _ => Ok(Facts::default()),
    }
}

/// A time of that many seconds; `None` for what is none, or longer than a year.
fn seconds(seconds: f64) -> Option<Duration> {
    const YEAR: f64 = 365.0 * 24.0 * 60.0 * 60.0;
    Some(seconds).filter(|time| *time > 0.0 && *time <= YEAR).map(Duration::from_secs_f64)
}

/// Letters of a codec's name, as far as they can be shown.
fn shown(name: &[u8]) -> Option<String> {
    let name: String = name.iter().take(32).map(|byte| char::from(*byte)).collect();
    let name = name.trim_matches(['\0', ' ']).to_owned();
    (!name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() || c == ' ')).then_some(name)
}
