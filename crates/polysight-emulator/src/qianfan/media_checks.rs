//! What Qianfan checks of pictures and videos.

use super::checks::{Inquiry, refuse_if};
use super::refusal::Refusal;
use crate::chat::message::{Part, Role, Source};
use crate::json::Json;
use crate::media::{Medium, Origin};
use crate::models::ErnieLimits;
use crate::zhipu::media_checks::is_link;

/// Pictures in one request; a guide of the vendor's says so, its reference does not.
pub(crate) const MOST_PICTURES: u64 = 10;
/// Longest URL, in bytes.
const URL_LENGTH: usize = 1024;
const PICTURE_BYTES: usize = 10 * 1024 * 1024;
const SHORTEST_SIDE: u32 = 5;
/// Sides must stay below it.
const LONGEST_SIDE: u32 = 6000;

/// Which kinds of parts the model takes, and from whom.
pub(super) fn kinds(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(model) = inquiry.model else { return Ok(()) };
    for message in inquiry.messages() {
        for part in &message.parts {
            let taken = match part {
                Part::Text(_) => continue,
                Part::Picture(_) => model.vision,
                Part::Video(_) => model.video,
                Part::Frames(_) | Part::Document(_) | Part::Unknown(_) => false,
            };
            refuse_if(!taken, || {
                Refusal::messages("the type of a content part is not supported by this model")
            })?;
            refuse_if(message.role != Role::User, || {
                Refusal::messages("images and videos are only supported in messages of the user")
            })?;
        }
    }
    Ok(())
}

pub(super) fn counts(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let parts = inquiry.messages().iter().flat_map(|message| &message.parts);
    let pictures = parts.filter(|part| matches!(part, Part::Picture(_))).count() as u64;
    refuse_if(pictures > MOST_PICTURES, || {
        Refusal::messages(format!("the number of images is over {MOST_PICTURES}"))
    })
}

/// Each picture and video by itself.
pub(super) fn each(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(model) = inquiry.model else { return Ok(()) };
    options(inquiry)?;
    let parts = inquiry.messages().iter().flat_map(|message| &message.parts);
    parts.copied().try_for_each(|part| match part {
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
fn options(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let messages = inquiry.field("messages").and_then(Json::list).unwrap_or_default();
    let parts = messages.iter().filter_map(|message| message.get("content")?.list()).flatten();
    for part in parts {
        let inside = |medium: &str, name: &str| part.get(medium).and_then(|value| value.get(name));
        let detail = inside("image_url", "detail").map(Json::text);
        let known = detail.is_none_or(|detail| matches!(detail, Some("low" | "high" | "auto")));
        refuse_if(!known, || Refusal::argument("image_url.detail should be low, high or auto"))?;
        let fps = inside("video_url", "fps").map(|fps| fps.number().and_then(serde_json::Number::as_f64));
        let fits = fps.is_none_or(|fps| fps.is_some_and(|fps| (0.2..=5.0).contains(&fps)));
        refuse_if(!fits, || Refusal::argument("video_url.fps should be in [0.2, 5]"))?;
    }
    Ok(())
}

fn bad_image(message: &str) -> Refusal {
    Refusal::told("invalid_image_url", message)
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
pub(crate) fn picture(medium: &Medium) -> Result<(), Refusal> {
    let known = |format: &str| matches!(format, "JPEG" | "PNG" | "BMP");
    let picture = medium.picture().filter(|picture| known(picture.format));
    let picture = picture.ok_or_else(|| bad_image("the image cannot be read"))?;
    refuse_if(medium.bytes > PICTURE_BYTES, || bad_image("the image is over 10MB"))?;
    let sides = [picture.width, picture.height];
    let fits = sides.iter().all(|side| (SHORTEST_SIDE..LONGEST_SIDE).contains(side));
    refuse_if(!fits, || bad_image("the width or height of the image is not in the allowed range"))
}

fn video(medium: &Medium, model: &ErnieLimits) -> Result<(), Refusal> {
    refuse_if(medium.video().is_none(), || bad_image("the video cannot be read"))?;
    refuse_if(medium.bytes as u64 > model.video_bytes, || {
        bad_image(&format!("the video is over {}MB", model.video_bytes / (1024 * 1024)))
    })
}
