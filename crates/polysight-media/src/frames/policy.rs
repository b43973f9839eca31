//! What is done with a video that a model does not take as it is.

use std::path::PathBuf;
use std::time::Duration;

use polysight_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::config::seconds;

/// What is done with a video that a model does not take as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VideoMode {
    /// It is refused with the limit that it breaks.
    Refuse,
    /// It becomes a list of frames, where the model takes such lists.
    #[default]
    Frames,
    /// What is longer than the model takes is cut off at its end.
    Trim,
}

/// What is done with videos, and the limits of the work. In a config file the keys are the fields' names; times are seconds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct VideoPolicy {
    /// What is done with a video that a model does not take as it is; default [`VideoMode::Frames`].
    pub mode: VideoMode,
    /// Frames that are taken a second of a video whose own [`fps`](polysight_core::Video::fps) is not set; above 0, at most
    /// 60, default 2. Where more would be taken than the model or [`max_frames`](Self::max_frames) allows, it is lowered.
    pub fps: f64,
    /// Most frames of a video, at least 1; default 250. The model's own limit holds too.
    pub max_frames: u32,
    /// Longest side of a frame, in pixels, at least 16; default 1280. Larger frames are scaled down.
    pub max_side: u32,
    /// Most bytes of all frames together, or of a cut video; above zero, default 256 MiB.
    pub max_bytes: u64,
    /// Longest time of the work on one video, waiting for its turn included; above zero, default 120 s.
    #[serde(deserialize_with = "seconds")]
    pub timeout: Duration,
    /// The program; default `ffmpeg`, which is looked for on the `PATH`.
    pub program: PathBuf,
}

impl Default for VideoPolicy {
    fn default() -> Self {
        Self {
            mode: VideoMode::Frames,
            fps: 2.0,
            max_frames: 250,
            max_side: 1_280,
            max_bytes: 256 << 20,
            timeout: Duration::from_secs(120),
            program: "ffmpeg".into(),
        }
    }
}

impl VideoPolicy {
    /// The defaults with this mode.
    #[must_use]
    pub fn new(mode: VideoMode) -> Self {
        Self { mode, ..Self::default() }
    }

    /// Sets how many frames are taken a second.
    #[must_use]
    pub fn with_fps(mut self, fps: f64) -> Self {
        self.fps = fps;
        self
    }

    /// Sets the most frames of a video.
    #[must_use]
    pub fn with_max_frames(mut self, frames: u32) -> Self {
        self.max_frames = frames;
        self
    }

    /// Sets the most bytes of all frames together, or of a cut video.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the longest time of the work on one video.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the program.
    #[must_use]
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a setting out of range.
    pub fn check(&self) -> Result<()> {
        let problem = if !(self.fps > 0.0 && self.fps <= 60.0) {
            "`fps` must be above 0 and at most 60"
        } else if self.max_frames == 0 {
            "`max_frames` must be at least 1"
        } else if !(16..=65_535).contains(&self.max_side) {
            "`max_side` must be 16 to 65535"
        } else if self.max_bytes == 0 || self.timeout.is_zero() {
            "`max_bytes` and `timeout` must be above zero"
        } else if self.program.as_os_str().is_empty() {
            "`program` is empty: name the program, or leave the key out"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Config, problem))
    }
}
