//! Which frames are taken of a video: pure arithmetic.

use polysight_core::catalog::VideoCard;
use polysight_core::{Interval, Video};

use super::VideoPolicy;
use crate::video::VideoHeader;

/// Which frames are taken of a video: frame `n` is the one that is shown at `n / fps` seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Sampling {
    /// Frames a second.
    pub fps: f64,
    /// Number of frames, at least 1.
    pub count: u32,
    /// Width of the frames as they are shown, in pixels.
    pub width: u32,
    /// Height of the frames as they are shown, in pixels.
    pub height: u32,
}

impl Sampling {
    /// Chooses the frames: as many a second as the caller or the policy says, within what the model takes; fewer where that
    /// would be too many in all. `None` where the header does not say how long or how large the video is.
    #[must_use]
    pub fn of(video: &Video, header: &VideoHeader, card: &VideoCard, policy: &VideoPolicy) -> Option<Self> {
        let time = header.info.duration?.as_secs_f64();
        let (width, height) = fitted(header.info.shown()?, policy.max_side);
        let frames = card.frames.limits().and_then(|range| range.0);
        let caller = video.max_frames().map_or(policy.max_frames, |most| most.min(policy.max_frames)).max(1);
        let most =
            frames.map_or(caller, |range| range.clamp(f64::from(caller), 1.0).min(f64::from(caller)) as u32);
        let least = frames.map_or(1.0, |range| range.clamp(1.0, 1.0)).min(f64::from(most));
        let wanted = video.fps().filter(|fps| *fps > 0.0).unwrap_or(policy.fps);
        let wanted = in_range(wanted, card.fps.limits().and_then(|range| range.0));
        let count = (time * wanted).clamp(least, f64::from(most.max(1))).floor().max(1.0);
        // Frames beyond the last moment would be that of the last moment again.
        let fps = if time * wanted < count || time * wanted >= count + 1.0 { count / time } else { wanted };
        let fps = (fps * 1_000.0).round() / 1_000.0;
        Some(Self { fps: fps.max(0.001), count: count as u32, width, height })
    }

    /// The time at which a frame is shown, in seconds.
    #[must_use]
    pub fn time(&self, frame: u32) -> f64 {
        f64::from(frame) / self.fps
    }
}

fn in_range(value: f64, range: Option<Interval>) -> f64 {
    range.map_or(value, |range| range.clamp(value, 0.01))
}

/// A size with no side over `most`, of the same shape.
fn fitted((width, height): (u32, u32), most: u32) -> (u32, u32) {
    let long = width.max(height).max(1);
    if long <= most {
        return (width, height);
    }
    let scaled = |side: u32| (f64::from(side) * f64::from(most) / f64::from(long)).round().max(1.0) as u32;
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use polysight_core::{VideoFormat, VideoInfo};

    use super::*;

    fn sampling(seconds: f64, policy: &VideoPolicy, card: &str, fps: Option<f64>) -> (f64, u32) {
        let mut info = VideoInfo::new(VideoFormat::Mp4);
        info.duration = Some(Duration::from_secs_f64(seconds));
        (info.width, info.height) = (Some(1_920), Some(1_080));
        let header = VideoHeader { info, frame_rate: None, codec: None };
        let video = Video::from_url("https://h.example/a.mp4").unwrap();
        let video = fps.map_or(video.clone(), |fps| video.with_fps(fps));
        let card: VideoCard = serde_json::from_str(card).unwrap();
        let sampling = Sampling::of(&video, &header, &card, policy).unwrap();
        assert_eq!((sampling.width, sampling.height), (1_280, 720));
        (sampling.fps, sampling.count)
    }

    #[test]
    fn frames_are_taken_at_the_rate_within_the_limits() {
        let policy = VideoPolicy::default();
        let qwen = r#"{"frames": "[4, 512]", "fps": "[0.1, 10]"}"#;
        assert_eq!(sampling(45.0, &policy, qwen, None), (2.0, 90));
        assert_eq!(sampling(45.0, &policy, qwen, Some(1.0)), (1.0, 45));
        assert_eq!(sampling(45.0, &policy, qwen, Some(99.0)), (5.556, 250));
        assert_eq!(sampling(45.0, &policy.clone().with_max_frames(30), qwen, None), (0.667, 30));
        assert_eq!(sampling(600.0, &policy, r#"{"frames": "[4, 80]"}"#, None), (0.133, 80));
        assert_eq!(sampling(1.0, &policy, qwen, None), (4.0, 4));
        assert_eq!(sampling(0.1, &policy, r#"{"frames": true}"#, None), (10.0, 1));
        assert_eq!(sampling(10.26, &policy, qwen, None), (2.0, 20));
    }
}
