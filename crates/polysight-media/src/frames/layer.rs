//! The layer that gives a model videos in a form that it takes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::catalog::VideoCard;
use polysight_core::media::{PlannedMedia, VideoSource};
use polysight_core::{
    Error, ErrorKind, ImageFormat, ImageInfo, Media, MediaSource, ModelCard, Part, Result, Video,
    VideoFormat, VisionProvider,
};

use super::{Ffmpeg, Sampling, VideoMode, VideoPolicy};
use crate::prepare::{Made, Planned, Prepare, Problem, Step, forward_layer};
use crate::video::VideoHeader;

/// Turns videos that a model does not take as they are into frames, or cuts them off, as its [`VideoPolicy`] says.
///
/// What a video's header says of it is read in any mode, of MKV, WebM and AVI too, so that the model's limits of time are
/// checked before sending. Planning is pure otherwise: the plan says what will be done, sending does it, by the system's
/// `ffmpeg`. Nothing is done under [`Tolerance::Strict`](polysight_core::Tolerance::Strict). The place of the layer is outside of
/// retry and inside of a router, and inside of a [`Fetch`](crate::fetch) layer.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_media as media; }
/// use std::sync::Arc;
/// use polysight::VisionProvider;
/// use polysight::media::frames::{FitVideo, VideoMode, VideoPolicy};
///
/// fn as_frames(provider: Arc<dyn VisionProvider>) -> polysight::Result<FitVideo> {
///     FitVideo::new(provider, VideoPolicy::new(VideoMode::Frames).with_fps(1.0))
/// }
/// ```
#[derive(Debug)]
pub struct FitVideo(Prepare<VideoStep>);

impl FitVideo {
    /// Fits the videos that go to a provider.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what [`VideoPolicy::check`] finds.
    pub fn new(inner: Arc<dyn VisionProvider>, policy: VideoPolicy) -> Result<Self> {
        Ok(Self(Prepare::new(inner, VideoStep { ffmpeg: Ffmpeg::new(policy)? })))
    }
}

forward_layer!(FitVideo);

#[derive(Debug)]
struct VideoStep {
    ffmpeg: Ffmpeg,
}

/// A video that is here, with its header.
struct Local<'a> {
    video: &'a Video,
    source: &'a MediaSource,
    header: VideoHeader,
}

impl<'a> Local<'a> {
    fn of(part: &'a Part) -> Option<Self> {
        let Part::Video(video) = part else { return None };
        let VideoSource::Whole(source) = video.source() else { return None };
        // A header that cannot be read is for the vendor to judge.
        let header = VideoHeader::read(video).ok()?;
        Some(Self { video, source, header })
    }

    fn seconds(&self) -> Option<f64> {
        self.header.info.duration.map(|time| time.as_secs_f64())
    }

    /// What of the card the video breaks, in words.
    fn why(&self, card: &VideoCard) -> Option<String> {
        if card.base64 == Some(false) {
            return Some("the model takes no video inside a request".to_owned());
        }
        if let Some(formats) = card.formats.as_ref().filter(|known| !known.contains(&self.header.info.format))
        {
            let names: Vec<String> = formats.iter().map(ToString::to_string).collect();
            return Some(format!("the model takes {}", names.join(", ")));
        }
        let bytes = self.source.byte_len().unwrap_or_default();
        if let Some(most) = card.max_bytes.filter(|most| bytes > *most) {
            return Some(format!("{bytes} bytes, at most {most}"));
        }
        let text = self.source.base64_len().unwrap_or_default().saturating_add(32);
        if let Some(most) = card.max_base64_bytes.filter(|most| text > *most) {
            return Some(format!("{text} bytes as base64, at most {most}"));
        }
        let range = card.seconds?;
        let time = self.seconds().filter(|time| !range.contains(*time))?;
        Some(format!("{time:.1} s, {range} s"))
    }

    fn as_frames(&self, card: &VideoCard, policy: &VideoPolicy) -> Option<Planned> {
        let why = self.why(card).filter(|_| card.frames.is_yes())?;
        let sampling = Sampling::of(self.video, &self.header, card, policy)?;
        let Sampling { fps, count, width, height } = sampling;
        let recipe = format!("video frames {fps} {count} {width} {height}");
        // What one frame may take; all of them together are bounded when they are made.
        let most = u64::from(width) * u64::from(height);
        let media = PlannedMedia::new(self.source.clone(), most.min(policy.max_bytes), recipe);
        let frame = ImageInfo::new(ImageFormat::Jpeg, width, height);
        let video = self.video.planned_frames(&media, frame, count as usize).with_fps(fps);
        let change = format!(
            "video of {:.1} s will become {count} frames of {width} x {height} px at {fps} a second ({why})",
            self.seconds().unwrap_or_default()
        );
        Some(Planned { part: Part::Video(video), change, lossless: false })
    }

    fn trimmed(&self, card: &VideoCard) -> Option<Planned> {
        let range = card.seconds?;
        let (time, most) = (self.seconds()?, range.clamp(f64::MAX, 0.001));
        if time <= most || !most.is_finite() {
            return None;
        }
        let mut info = self.header.info;
        info.format = VideoFormat::Mp4;
        info.duration = Duration::try_from_secs_f64(most).ok();
        let rate = self.header.frame_rate.unwrap_or_default();
        let length = self.source.byte_len().unwrap_or_default();
        // About the same share of the bytes as of the time; what comes out is checked again.
        let estimate = (length as f64 * most / time) as u64;
        let media = PlannedMedia::new(self.source.clone(), estimate, format!("video trim {most} {rate}"));
        let video = self.video.with_source(MediaSource::Planned(media)).ok()?.with_info(info);
        let change = format!("video of {time:.1} s will be cut off at {most} s ({range} s)");
        Some(Planned { part: Part::Video(video), change, lossless: false })
    }

    /// The video with all that its header says, where the core knows less.
    fn described(&self) -> Option<Planned> {
        (self.video.info() != Some(self.header.info)).then(|| Planned {
            part: Part::Video(self.video.clone().with_info(self.header.info)),
            change: String::new(),
            lossless: true,
        })
    }
}

#[async_trait]
impl Step for VideoStep {
    const NAME: &'static str = "video";

    fn plan(&self, part: &Part, card: &ModelCard) -> std::result::Result<Option<Planned>, Problem> {
        let (Some(local), Some(limits)) = (Local::of(part), card.video.limits()) else { return Ok(None) };
        let policy = self.ffmpeg.policy();
        let planned = match policy.mode {
            VideoMode::Refuse => None,
            VideoMode::Frames => local.as_frames(limits, policy),
            VideoMode::Trim => local.trimmed(limits),
        };
        Ok(planned.or_else(|| local.described()))
    }

    async fn make(&self, part: &Part, recipe: &str, original: &MediaSource, _model: &str) -> Result<Made> {
        let (Part::Video(planned), Media::Video(video)) = (part, Media::from_source(original.clone())?)
        else {
            return Err(Error::new(ErrorKind::InvalidMedia, "the video is no video any more").with_local());
        };
        let mut words = recipe.split(' ');
        let kind = words.next();
        let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
        match (kind, numbers.as_slice()) {
            (Some("frames"), [fps, count, width, height]) => {
                let whole = |number: &f64| *number as u32;
                let (count, width, height) = (whole(count), whole(width), whole(height));
                let made = self.ffmpeg.frames(&video, &Sampling { fps: *fps, count, width, height }).await?;
                let VideoSource::Frames(frames) = made.source() else { return Err(not_made()) };
                let bytes: u64 = frames.iter().filter_map(|frame| frame.source().byte_len()).sum();
                let change = format!("{} frames taken, {bytes} bytes in all", frames.len());
                let part = Part::Video(planned.with_frames(frames.iter().cloned())?.with_fps(*fps));
                Ok(Made { part, change, lossless: false, guard: None })
            }
            (Some("trim"), [most, rate]) => {
                let limit = Duration::try_from_secs_f64(*most).map_err(|_| not_made())?;
                let cut = self.ffmpeg.trim(&video, limit, Some(*rate).filter(|rate| *rate > 0.0)).await?;
                let VideoSource::Whole(source) = cut.video().source() else { return Err(not_made()) };
                let length = source.byte_len().unwrap_or_default();
                let time = cut.video().info().and_then(|info| info.duration).unwrap_or_default();
                let change = format!("cut to {:.1} s, {length} bytes", time.as_secs_f64());
                let part = Part::Video(planned.with_source(source.clone())?);
                Ok(Made { part, change, lossless: false, guard: Some(Arc::new(cut)) })
            }
            _ => Err(not_made()),
        }
    }
}

fn not_made() -> Error {
    Error::new(ErrorKind::InvalidMedia, "the video was not made").with_local()
}
