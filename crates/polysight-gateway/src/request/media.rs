//! One part of a message: a text, a picture or a video. Media in the body stay where they are.

use std::borrow::Cow;

use polysight::{Base64Text, Detail, Error, Image, Media, MediaSource, Part, Video};

use super::fields::{Fields, Reader};
use crate::json::Json;

/// Most frames of a list; the model's own limit is usually far lower.
const MAX_FRAMES: usize = 4_096;

/// Reads a part.
pub(super) fn part<'a>(path: String, item: Json<'a>, reader: &mut Reader<'a>) -> Option<Part> {
    if let Json::Text(text) = item {
        return Some(Part::Text(text.into_owned()));
    }
    let mut fields = Fields::of(item, path, reader)?;
    let kind = fields.text("type", reader);
    if fields.take("cache_control").is_some() {
        reader.note("marks for a prompt cache (`cache_control`) are not passed on");
    }
    match kind.as_deref() {
        Some("text" | "input_text" | "output_text") => text(&mut fields, reader),
        Some("image_url" | "input_image") => image(&mut fields, "image_url", reader).map(Part::Image),
        Some("image") => image(&mut fields, "image", reader).map(Part::Image),
        Some("video_url" | "input_video") => video(&mut fields, "video_url", reader).map(Part::Video),
        Some("video") => video(&mut fields, "video", reader).map(Part::Video),
        Some("refusal") => fields.text("refusal", reader).map(|text| Part::Text(text.into_owned())),
        Some(other) => {
            let problem = format!("parts of type `{}` are not supported", polysight::redact_name(other));
            reader.reject(fields.path("type"), problem, KINDS, "leave the part out");
            None
        }
        None => {
            reader.reject(fields.path("type"), "it is missing", KINDS, "");
            None
        }
    }
}

const KINDS: &str = "`text`, `image_url`, `video_url`, `video`";

fn text(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Option<Part> {
    let text = fields.text("text", reader);
    if text.is_none() {
        reader.reject(fields.path("text"), "it is missing", "a text", "");
    }
    text.map(|text| Part::Text(text.into_owned()))
}

/// A picture, and how to look at it: both may stand in the part or in the object in it.
fn image<'a>(part: &mut Fields<'a>, name: &'static str, reader: &mut Reader<'a>) -> Option<Image> {
    let (mut inner, location) = location(part, name, reader)?;
    let path = inner.own_path().to_owned();
    let image = match located(location, reader) {
        Ok(Located::Url(url)) => Image::from_url(&url),
        Ok(Located::Inline(source)) => Media::from_source(source).and_then(only_picture),
        Err(error) => Err(error),
    };
    let mut image = accepted(image, &path, reader)?;
    for fields in [part, &mut inner] {
        if let Some(detail) = detail(fields, reader) {
            image = image.with_detail(detail);
        }
        if let Some(pixels) = fields.integer("min_pixels", PIXELS, reader) {
            image = image.with_min_pixels(pixels);
        }
        if let Some(pixels) = fields.integer("max_pixels", PIXELS, reader) {
            image = image.with_max_pixels(pixels);
        }
    }
    Some(image)
}

const PIXELS: &str = "a whole number of pixels";

fn detail(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Option<Detail> {
    match fields.text("detail", reader).as_deref()? {
        "auto" => Some(Detail::Auto),
        "low" => Some(Detail::Low),
        "high" | "original" => Some(Detail::High),
        _ => {
            reader.reject(fields.path("detail"), "it is unknown", "`auto`, `low`, `high`", "");
            None
        }
    }
}

/// A video: a link, a data URI, or a list of frames; and how finely to sample it.
fn video<'a>(part: &mut Fields<'a>, name: &'static str, reader: &mut Reader<'a>) -> Option<Video> {
    let (mut inner, video) = match part.take(name) {
        Some(Json::List(frames)) => (Fields::default(), frames_of(part.path(name), frames, reader)?),
        Some(other) => {
            part.put(name, other);
            let (inner, location) = location(part, name, reader)?;
            let path = inner.own_path().to_owned();
            let video = match located(location, reader) {
                Ok(Located::Url(url)) => Video::from_url(&url),
                Ok(Located::Inline(source)) => Media::from_source(source).and_then(only_video),
                Err(error) => Err(error),
            };
            (inner, accepted(video, &path, reader)?)
        }
        None => {
            reader.reject(part.path(name), "it is missing", "a URL, a data URI or a list of frames", "");
            return None;
        }
    };
    Some([part, &mut inner].into_iter().fold(video, |video, fields| sampled(video, fields, reader)))
}

fn frames_of<'a>(path: String, frames: Vec<Json<'a>>, reader: &mut Reader<'a>) -> Option<Video> {
    if frames.len() > MAX_FRAMES {
        reader.reject(
            path,
            format!("{} frames", frames.len()),
            &format!("{MAX_FRAMES} at most"),
            "send fewer",
        );
        return None;
    }
    let count = frames.len();
    let frames = frames.into_iter().enumerate();
    let images = frames.filter_map(|(index, frame)| frame_image(format!("{path}[{index}]"), frame, reader));
    let images: Vec<Image> = images.collect();
    if images.len() < count {
        return None;
    }
    accepted(Video::from_frames(images), &path, reader)
}

/// A frame: a location, or a part like a picture's.
fn frame_image<'a>(path: String, frame: Json<'a>, reader: &mut Reader<'a>) -> Option<Image> {
    let entries = match frame {
        Json::Object(entries) => entries,
        other => vec![(Cow::Borrowed("image_url"), other)],
    };
    let mut fields = Fields::new(path, entries);
    image(&mut fields, "image_url", reader)
}

fn sampled(mut video: Video, fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Video {
    if let Some(fps) = fields.number("fps", reader) {
        video = video.with_fps(fps);
    }
    if let Some(frames) = fields.integer("max_frames", "a whole number of frames", reader) {
        video = video.with_max_frames(frames);
    }
    if let Some(pixels) = fields.integer("min_pixels", PIXELS, reader) {
        video = video.with_min_pixels(pixels);
    }
    if let Some(pixels) = fields.integer("max_pixels", PIXELS, reader) {
        video = video.with_max_pixels(pixels);
    }
    if let Some(pixels) = fields.integer("total_pixels", PIXELS, reader) {
        video = video.with_total_pixels(pixels);
    }
    video
}

/// Where a medium is: the text under `name`, or the `url` in the object there. Gives that object, or an empty one with the
/// same path.
fn location<'a>(
    part: &mut Fields<'a>,
    name: &'static str,
    reader: &mut Reader<'a>,
) -> Option<(Fields<'a>, Cow<'a, str>)> {
    let path = part.path(name);
    let (inner, url) = match part.take(name) {
        Some(Json::Text(url)) => (Fields::new(path, Vec::new()), Some(url)),
        Some(Json::Object(entries)) => {
            let mut inner = Fields::new(path, entries);
            let url = inner.text("url", reader);
            (inner, url)
        }
        _ => (Fields::new(path, Vec::new()), None),
    };
    match url.filter(|url| !url.trim().is_empty()) {
        Some(url) => Some((inner, url)),
        None => {
            let fix = "write {\"url\": \"https://..\"} or {\"url\": \"data:image/png;base64,..\"}";
            reader.reject(inner.path("url"), "it is missing or empty", "a URL, a data URI or base64", fix);
            None
        }
    }
}

/// What stands where a medium is said to be.
enum Located<'a> {
    Url(Cow<'a, str>),
    Inline(MediaSource),
}

/// A data URI and bare base64, which Zhipu's clients send, are slices of the body; everything else is a URL.
fn located<'a>(location: Cow<'a, str>, reader: &Reader<'a>) -> Result<Located<'a>, Error> {
    let head = location.trim_start().get(..5).unwrap_or_default();
    let inline = |text| Located::Inline(MediaSource::Base64(text));
    if head.eq_ignore_ascii_case("data:") {
        return Base64Text::from_shared_data_uri(reader.shared(location)).map(inline);
    }
    if is_bare_base64(&location) {
        return Base64Text::from_shared(reader.shared(location)).map(inline);
    }
    Ok(Located::Url(location))
}

/// Longer than a name could be, and nothing but base64 at its beginning.
fn is_bare_base64(text: &str) -> bool {
    const SHORTEST: usize = 64;
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(byte);
    text.len() >= SHORTEST && text.as_bytes().iter().take(SHORTEST).all(is_base64)
}

fn only_picture(media: Media) -> Result<Image, Error> {
    match media {
        Media::Image(image) => Ok(image),
        _ => Err(Error::new(polysight::ErrorKind::InvalidMedia, "it is a video: send it as `video_url`")),
    }
}

fn only_video(media: Media) -> Result<Video, Error> {
    match media {
        Media::Video(video) => Ok(video),
        _ => Err(Error::new(polysight::ErrorKind::InvalidMedia, "it is a picture: send it as `image_url`")),
    }
}

fn accepted<T>(medium: Result<T, Error>, path: &str, reader: &mut Reader<'_>) -> Option<T> {
    match medium {
        Ok(medium) => Some(medium),
        Err(error) => {
            reader.reject(path, error.message(), "", "");
            None
        }
    }
}
