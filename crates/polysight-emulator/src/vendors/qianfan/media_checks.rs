//! What Qianfan checks of pictures and videos.

use super::error_body::{argument, messages};
use super::parsed_request::Request;
use crate::chat::message::{Part, Role, Source};
use crate::json::Json;
use crate::media::{Medium, Origin};
use crate::models::{ErnieLimits, MOST_ERNIE_PICTURES};
use crate::refusal::{Refusal, refuse_if};
use crate::vendors::links::is_link;
use crate::vendors::media_rules::{PictureProblem, PictureRules};

/// Longest URL, in bytes.
const URL_LENGTH: usize = 1024;

/// Which kinds of parts the model takes, and from whom.
pub(super) fn kinds(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(model) = request.model else { return Ok(()) };
    for message in request.messages() {
        for part in &message.parts {
            let taken = match part {
                Part::Text(_) => continue,
                Part::Picture(_) => model.vision,
                Part::Video(_) => model.video,
                Part::Frames(_) | Part::Document(_) | Part::Unknown(_) => false,
            };
            refuse_if(!taken, || messages("the type of a content part is not supported by this model"))?;
            refuse_if(message.role != Role::User, || {
                messages("images and videos are only supported in messages of the user")
            })?;
        }
    }
    Ok(())
}

pub(super) fn counts(request: &Request<'_>) -> Result<(), Refusal> {
    let pictures = request.parts().filter(|part| matches!(part, Part::Picture(_))).count() as u64;
    refuse_if(pictures > MOST_ERNIE_PICTURES, || {
        messages(format!("the number of images is over {MOST_ERNIE_PICTURES}"))
    })
}

/// Each picture and video by itself.
pub(super) fn each(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(model) = request.model else { return Ok(()) };
    options(request)?;
    request.parts().try_for_each(|part| match part {
        Part::Picture(source) => match sourced(source, "image/")? {
            Some(medium) => picture(medium),
            None => Ok(()),
        },
        Part::Video(source) => match sourced(source, "video/")? {
            Some(medium) => video(medium, model),
            None => Ok(()),
        },
        _ => Ok(()),
    })
}

/// `detail` of pictures and `fps` of videos, which stand inside.
fn options(request: &Request<'_>) -> Result<(), Refusal> {
    let list = request.raw_messages.and_then(Json::list).unwrap_or_default();
    let parts = list.iter().filter_map(|message| message.get("content")?.list()).flatten();
    for part in parts {
        let inside = |medium: &str, name: &str| part.get(medium).and_then(|value| value.get(name));
        let detail = inside("image_url", "detail").map(Json::text);
        let known = detail.is_none_or(|detail| matches!(detail, Some("low" | "high" | "auto")));
        refuse_if(!known, || argument("image_url.detail should be low, high or auto"))?;
        let fps = inside("video_url", "fps").map(|fps| fps.number().and_then(serde_json::Number::as_f64));
        let fits = fps.is_none_or(|fps| fps.is_some_and(|fps| (0.2..=5.0).contains(&fps)));
        refuse_if(!fits, || argument("video_url.fps should be in [0.2, 5]"))?;
    }
    Ok(())
}

fn bad_image(message: &str) -> Refusal {
    Refusal::with_message("invalid_image_url", message)
}

/// Bytes in a data URI of this kind, or nothing for a link that is short enough to be followed.
fn sourced<'r>(source: Source<'r>, kind: &str) -> Result<Option<&'r Medium>, Refusal> {
    match source {
        Source::Inline(medium @ Medium { origin: Origin::DataUri { mime, .. }, .. })
            if mime.starts_with(kind) =>
        {
            Ok(Some(medium))
        }
        Source::Inline(_) => Err(bad_image("the base64 data should be a data URI of its media type")),
        Source::Link(link) if link.len() > URL_LENGTH => Err(bad_image("the url is over 1024 bytes")),
        Source::Link(link) if link.contains("://") && is_link(link) => Ok(None),
        Source::Link(_) => Err(bad_image("the url is invalid")),
    }
}

/// One picture: readable, and within the vendor's limits.
fn picture(medium: &Medium) -> Result<(), Refusal> {
    PictureRules::QIANFAN.check(medium).map(|_| ()).map_err(|problem| {
        bad_image(match problem {
            PictureProblem::Unreadable => "the image cannot be read",
            PictureProblem::Bytes => "the image is over 10MB",
            PictureProblem::Sides | PictureProblem::Ratio | PictureProblem::Pixels => {
                "the width or height of the image is not in the allowed range"
            }
        })
    })
}

fn video(medium: &Medium, model: &ErnieLimits) -> Result<(), Refusal> {
    refuse_if(medium.video().is_none(), || bad_image("the video cannot be read"))?;
    refuse_if(medium.bytes as u64 > model.video_bytes, || {
        bad_image(&format!("the video is over {}MB", model.video_bytes / (1024 * 1024)))
    })
}
