//! What DashScope checks of pictures and videos.

use super::error_body::engine;
use super::parsed_request::{Request, items};
use crate::chat::message::{Part, Source};
use crate::media::{Medium, Origin, Video};
use crate::models::QwenLimits;
use crate::refusal::{Refusal, refuse_if};
use crate::tokens::qwen::Item;
use crate::vendors::links::is_link;
use crate::vendors::media_rules::{PictureProblem, PictureRules};

/// Longest data URI, in characters.
const DATA_URI_LENGTH: usize = 10 * 1024 * 1024;
/// Pictures as base64 in one request.
const INLINE_PICTURES: usize = 250;
const VIDEOS: usize = 64;
const SHORTEST_VIDEO: f64 = 2.0;
const FEWEST_FRAMES: u64 = 4;

/// How many there are of each kind. No source has the words for this.
pub(super) fn counts(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(model) = request.model else { return Ok(()) };
    let items = items(request);
    let count = |wanted: fn(&Part<'_>) -> bool| items.iter().filter(|item| wanted(&item.part)).count();
    let linked = count(|part| matches!(part, Part::Picture(Source::Link(_))));
    let inline = count(|part| matches!(part, Part::Picture(Source::Inline(_))));
    refuse_if(linked as u64 > model.pictures || inline > INLINE_PICTURES, || {
        Refusal::with_message("BadRequest.TooMany", "The number of images exceeds the limit.")
    })?;
    let videos = count(|part| matches!(part, Part::Video(_) | Part::Frames(_)));
    refuse_if(videos > VIDEOS, || {
        Refusal::with_message("BadRequest.TooMany", "The number of videos exceeds the limit.")
    })
}

/// Each picture and video by itself.
pub(super) fn each(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(model) = request.model else { return Ok(()) };
    items(request).iter().try_for_each(|item| match item.part {
        Part::Picture(source) => sourced(source).and_then(|medium| match medium {
            Some(medium) => inline(medium, "image/").and_then(|()| picture(medium, model)),
            None => Ok(()),
        }),
        Part::Video(_) | Part::Frames(_) if !model.video => {
            Err(engine("The model does not support video input"))
        }
        Part::Video(source) => rate(item).and_then(|()| video(source, model)),
        Part::Frames(_) => rate(item).and_then(|()| frames(item, model)),
        _ => Ok(()),
    })
}

/// Bytes where they came, nothing for a link that could be followed.
fn sourced(source: Source<'_>) -> Result<Option<&Medium>, Refusal> {
    match source {
        Source::Inline(Medium { origin: Origin::Base64, .. }) => Err(bad_url()),
        Source::Inline(medium) => Ok(Some(medium)),
        Source::Link(link) if link.starts_with("oss://") => Err(cannot_fetch()),
        Source::Link(link) if is_url(link) => Ok(None),
        Source::Link(_) => Err(bad_url()),
    }
}

fn is_url(link: &str) -> bool {
    let lower = link.to_ascii_lowercase();
    let web = lower.starts_with("http://") || lower.starts_with("https://");
    web && is_link(link)
}

fn bad_url() -> Refusal {
    engine("The provided URL does not appear to be valid. Ensure it is correctly formatted.")
}

fn cannot_fetch() -> Refusal {
    engine("Failed to download multimodal content")
}

/// A data URI is not too long and says what it holds.
fn inline(medium: &Medium, kind: &str) -> Result<(), Refusal> {
    let Origin::DataUri { mime, length } = &medium.origin else { return Ok(()) };
    refuse_if(*length > DATA_URI_LENGTH, || {
        engine(format!("Exceeded limit on max bytes per data-uri item : {DATA_URI_LENGTH}"))
    })?;
    refuse_if(!mime.starts_with(kind), bad_url)?;
    let named = medium.picture().map(|picture| media_types(picture.format));
    refuse_if(named.is_some_and(|types| !types.contains(&mime.as_str())), illegal_picture)
}

/// The types under which a format may come. `image/jpg` is no registered name, and common.
fn media_types(format: &str) -> &'static [&'static str] {
    match format {
        "PNG" => &["image/png"],
        "JPEG" => &["image/jpeg", "image/jpg"],
        "WebP" => &["image/webp"],
        "BMP" => &["image/bmp"],
        "TIFF" => &["image/tiff"],
        "HEIC" => &["image/heic"],
        _ => &[],
    }
}

/// One picture: readable, and within the vendor's limits.
fn picture(medium: &Medium, model: &QwenLimits) -> Result<(), Refusal> {
    let problem = PictureRules::dashscope(model).check(medium).err();
    let (Some(problem), Some(picture)) = (problem, medium.picture()) else {
        return refuse_if(problem.is_some(), illegal_picture);
    };
    Err(match problem {
        PictureProblem::Unreadable => illegal_picture(),
        PictureProblem::Bytes => {
            engine(format!("The image size is beyond {}MB", model.picture_bytes / (1024 * 1024)))
        }
        PictureProblem::Sides => engine(format!(
            "The image length and width do not meet the model restrictions. [height:{} or width:{} must be larger than 10]",
            picture.height, picture.width
        )),
        PictureProblem::Ratio => {
            let (short, long) = (picture.width.min(picture.height), picture.width.max(picture.height));
            let ratio = f64::from(long) / f64::from(short);
            engine(format!("absolute aspect ratio must be smaller than 200, got {ratio}"))
        }
        PictureProblem::Pixels => Refusal::plain("InvalidImage.Resolution"),
    })
}

fn illegal_picture() -> Refusal {
    engine("The image format is illegal and cannot be opened")
}

fn rate(item: &Item<'_>) -> Result<(), Refusal> {
    let sound = item.hint("fps").is_none_or(|fps| (0.1..=10.0).contains(&fps));
    refuse_if(!sound, || engine("Range of fps should be [0.1, 10]"))
}

fn video(source: Source<'_>, model: &QwenLimits) -> Result<(), Refusal> {
    let Some(medium) = sourced(source)? else { return Ok(()) };
    inline(medium, "video/")?;
    let video = medium.video().ok_or_else(|| engine("The video format is illegal and cannot be opened"))?;
    duration(video, model)
}

fn duration(video: &Video, model: &QwenLimits) -> Result<(), Refusal> {
    let Some(seconds) = video.seconds else { return Ok(()) };
    refuse_if(seconds > model.video_seconds, || engine("The video file is too long"))?;
    refuse_if(seconds < SHORTEST_VIDEO, || engine("The video file is too short"))
}

/// The typing error is the vendor's.
fn frames(item: &Item<'_>, model: &QwenLimits) -> Result<(), Refusal> {
    let Part::Frames(frames) = item.part else { return Ok(()) };
    let fits = (FEWEST_FRAMES..=model.frames).contains(&(frames.len() as u64));
    refuse_if(!fits, || {
        engine(format!("the range of sequence images shoule be ({FEWEST_FRAMES}, {})", model.frames))
    })?;
    frames.sources().try_for_each(|source| match sourced(source.ok_or_else(bad_url)?)? {
        Some(medium) => inline(medium, "image/").and_then(|()| picture(medium, model)),
        None => Ok(()),
    })
}
