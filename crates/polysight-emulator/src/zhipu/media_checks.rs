//! What Zhipu checks of pictures, videos and documents.

use super::checks::{Inquiry, refuse_if};
use super::refusal::Refusal;
use crate::chat::message::{Part, Role, Source};
use crate::media::{Medium, Picture, Video};
use crate::models::{ModelLimits, PICTURE_BYTES, PICTURE_SIDE, VideoLimits};

/// Which kinds of parts the model takes at all.
pub(super) fn part_types(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(model) = inquiry.model else { return Ok(()) };
    inquiry.parts().try_for_each(|part| refuse_if(!takes(model, part), || unsupported_type(model)))
}

fn takes(model: &ModelLimits, part: Part<'_>) -> bool {
    match part {
        Part::Text(_) => true,
        Part::Picture(_) => model.pictures > 0,
        Part::Video(_) => model.video.is_some(),
        Part::Document(_) => model.documents,
        Part::Frames(_) | Part::Unknown(_) => false,
    }
}

fn unsupported_type(model: &ModelLimits) -> Refusal {
    let mut types = vec!["'text'"];
    types.extend((model.pictures > 0).then_some("'image_url'"));
    types.extend(model.video.as_ref().map(|_| "'video_url'"));
    types.extend(model.documents.then_some("'file_url', 'file'"));
    let types = types.join(", ");
    Refusal::told(
        "1210",
        format!("content.type 参数非法, allowed [{types}]"),
        format!("content.type is invalid, allowed [{types}]"),
    )
}

/// Pictures and videos are counted over the whole conversation, earlier turns included.
pub(super) fn counts(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(model) = inquiry.model else { return Ok(()) };
    let pictures = inquiry.parts().filter(|part| matches!(part, Part::Picture(_))).count();
    refuse_if(pictures as u64 > u64::from(model.pictures), || {
        Refusal::told("1210", "输入图片数量超过限制", "The number of input images exceeds the limit")
    })?;
    let videos = inquiry.parts().filter(|part| matches!(part, Part::Video(_))).count();
    let most = model.video.as_ref().and_then(|video| video.count).map_or(u64::MAX, u64::from);
    refuse_if(videos as u64 > most, || {
        Refusal::told("1210", "输入视频数量超过限制", "The number of input videos exceeds the limit")
    })
}

/// Which kinds may stand in one message, and where.
pub(super) fn mixing(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let strict =
        inquiry.model.and_then(|model| model.video.as_ref()).is_some_and(|video| video.first_and_alone);
    for message in inquiry.messages().iter().filter(|message| message.role == Role::User) {
        let has = |wanted: fn(&Part<'_>) -> bool| message.parts.iter().any(wanted);
        let video = has(|part| matches!(part, Part::Video(_)));
        let picture = has(|part| matches!(part, Part::Picture(_)));
        let document = has(|part| matches!(part, Part::Document(_)));
        refuse_if(document && (video || picture), || {
            Refusal::told("1210", "文件不能与图片或视频同时输入", "Files exclude images and videos")
        })?;
        refuse_if(strict && video && picture, || {
            Refusal::told("1210", "视频和图片不能同时输入", "Videos and images exclude each other")
        })?;
        let first = matches!(message.parts.first(), Some(Part::Video(_)));
        refuse_if(strict && video && !first, || {
            Refusal::told(
                "1210",
                "video_url 必须是 content 的第一个元素",
                "video_url must be the first part of content",
            )
        })?;
    }
    Ok(())
}

/// Each picture by itself.
pub(super) fn pictures(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let inline_allowed = inquiry.model.is_none_or(|model| model.inline_pictures);
    inquiry.parts().try_for_each(|part| match part {
        Part::Picture(Source::Link(link)) => refuse_if(!is_link(link), unreadable_picture),
        Part::Picture(Source::Inline(medium)) if inline_allowed => picture(medium),
        Part::Picture(Source::Inline(_)) => Err(unreadable_picture()),
        _ => Ok(()),
    })
}

/// One picture that came as bytes: readable, and within the vendor's limits.
pub(crate) fn picture(medium: &Medium) -> Result<(), Refusal> {
    let known = |picture: &&Picture| !matches!(picture.format, "TIFF" | "HEIC");
    let picture = medium.picture().filter(known).ok_or_else(unreadable_picture)?;
    refuse_if(medium.bytes as u64 > PICTURE_BYTES, || {
        Refusal::told("1210", "图片大小超过限制，单张图片不能超过5MB", "The image is over 5 MB")
    })?;
    refuse_if(is_over_sides(picture), || {
        Refusal::told("1210", "图片像素超过限制，不能超过6000*6000", "The image is over 6000*6000 pixels")
    })
}

fn is_over_sides(picture: &Picture) -> bool {
    picture.width > PICTURE_SIDE || picture.height > PICTURE_SIDE
}

/// The same words for every way in which a picture cannot be read, a link that cannot be followed included.
fn unreadable_picture() -> Refusal {
    Refusal::told("1210", "图片输入格式/解析错误", "Image input format or parsing error")
}

/// Each video by itself. Links are not followed, so their limits are not checked.
pub(super) fn videos(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(limits) = inquiry.model.and_then(|model| model.video.as_ref()) else { return Ok(()) };
    inquiry.parts().try_for_each(|part| match part {
        Part::Video(Source::Link(link)) => refuse_if(!is_link(link), unreadable_video),
        Part::Video(Source::Inline(medium)) if limits.inline => video(medium, limits),
        Part::Video(Source::Inline(_)) => Err(unreadable_video()),
        _ => Ok(()),
    })
}

/// One video that came as bytes.
pub(crate) fn video(medium: &Medium, limits: &VideoLimits) -> Result<(), Refusal> {
    let video = medium.video().ok_or_else(unreadable_video)?;
    refuse_if(medium.bytes as u64 > limits.bytes, || {
        let megabytes = limits.bytes / (1024 * 1024);
        Refusal::told(
            "1210",
            format!("视频大小超过限制，不能超过{megabytes}MB"),
            format!("The video is over {megabytes} MB"),
        )
    })?;
    refuse_if(is_too_long(video, limits), || {
        Refusal::told("1210", "视频时长超过限制", "The video is too long")
    })
}

fn is_too_long(video: &Video, limits: &VideoLimits) -> bool {
    matches!((video.seconds, limits.seconds), (Some(seconds), Some(most)) if seconds > most)
}

fn unreadable_video() -> Refusal {
    Refusal::told("1210", "视频输入格式/解析错误", "Video input format or parsing error")
}

/// A web address. The scheme may be missing, as it is in one of the vendor's own samples.
pub(crate) fn is_link(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://")).unwrap_or(&lower);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let web = rest.len() < lower.len();
    let name = host.split(':').next().unwrap_or_default();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]".contains(&byte);
    let named = !name.is_empty() && name.bytes().all(legal);
    named && (web || (host.contains('.') && rest.contains('/') && !lower.contains("://")))
}

#[cfg(test)]
mod tests {
    use super::is_link;

    #[test]
    fn tells_links_from_other_text() {
        for link in
            ["https://a.example/b.jpg?x=y", "http://localhost:8080/p", "HTTP://A/b", "cdn.example.cn/p/x.jpg"]
        {
            assert!(is_link(link), "{link}");
        }
        for text in [
            "",
            "file:///etc/passwd",
            "ftp://a.b/c",
            "oss://a.b/c",
            "data:image/png;base64,!",
            "photo.jpg",
            "/a.b/c",
        ] {
            assert!(!is_link(text), "{text}");
        }
    }
}
