//! What Zhipu checks of pictures, videos and documents.

use super::error_body::parameter;
use super::parsed_request::Request;
use crate::chat::message::{Part, Role, Source};
use crate::media::Medium;
use crate::models::{ModelLimits, VideoLimits};
use crate::refusal::{Refusal, refuse_if};
use crate::vendors::links::is_link;
use crate::vendors::media_rules::{PictureProblem, PictureRules, VideoProblem, check_zhipu_video};

/// Which kinds of parts the model takes at all.
pub(super) fn part_types(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(model) = request.model else { return Ok(()) };
    request.parts().try_for_each(|part| refuse_if(!takes(model, part), || unsupported_type(model)))
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
    parameter(
        format!("content.type 参数非法, allowed [{types}]"),
        format!("content.type is invalid, allowed [{types}]"),
    )
}

/// Pictures and videos are counted over the whole conversation, earlier turns included.
pub(super) fn counts(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(model) = request.model else { return Ok(()) };
    let pictures = request.parts().filter(|part| matches!(part, Part::Picture(_))).count();
    refuse_if(pictures as u64 > u64::from(model.pictures), || {
        parameter("输入图片数量超过限制", "The number of input images exceeds the limit")
    })?;
    let videos = request.parts().filter(|part| matches!(part, Part::Video(_))).count();
    let most = model.video.as_ref().and_then(|video| video.count).map_or(u64::MAX, u64::from);
    refuse_if(videos as u64 > most, || {
        parameter("输入视频数量超过限制", "The number of input videos exceeds the limit")
    })
}

/// Which kinds may stand in one message, and where.
pub(super) fn mixing(request: &Request<'_>) -> Result<(), Refusal> {
    let strict =
        request.model.and_then(|model| model.video.as_ref()).is_some_and(|video| video.first_and_alone);
    for message in request.messages().iter().filter(|message| message.role == Role::User) {
        let has = |wanted: fn(&Part<'_>) -> bool| message.parts.iter().any(wanted);
        let video = has(|part| matches!(part, Part::Video(_)));
        let picture = has(|part| matches!(part, Part::Picture(_)));
        let document = has(|part| matches!(part, Part::Document(_)));
        refuse_if(document && (video || picture), || {
            parameter("文件不能与图片或视频同时输入", "Files exclude images and videos")
        })?;
        refuse_if(strict && video && picture, || {
            parameter("视频和图片不能同时输入", "Videos and images exclude each other")
        })?;
        let first = matches!(message.parts.first(), Some(Part::Video(_)));
        refuse_if(strict && video && !first, || {
            parameter("video_url 必须是 content 的第一个元素", "video_url must be the first part of content")
        })?;
    }
    Ok(())
}

/// Each picture by itself.
pub(super) fn pictures(request: &Request<'_>) -> Result<(), Refusal> {
    let inline_allowed = request.model.is_none_or(|model| model.inline_pictures);
    request.parts().try_for_each(|part| match part {
        Part::Picture(Source::Link(link)) => refuse_if(!is_link(link), unreadable_picture),
        Part::Picture(Source::Inline(medium)) if inline_allowed => picture(medium),
        Part::Picture(Source::Inline(_)) => Err(unreadable_picture()),
        _ => Ok(()),
    })
}

/// One picture that came as bytes: readable, and within the vendor's limits.
fn picture(medium: &Medium) -> Result<(), Refusal> {
    PictureRules::ZHIPU.check(medium).map(|_| ()).map_err(|problem| match problem {
        PictureProblem::Bytes => parameter("图片大小超过限制，单张图片不能超过5MB", "The image is over 5 MB"),
        PictureProblem::Sides => {
            parameter("图片像素超过限制，不能超过6000*6000", "The image is over 6000*6000 pixels")
        }
        PictureProblem::Unreadable | PictureProblem::Ratio | PictureProblem::Pixels => unreadable_picture(),
    })
}

/// The same words for every way in which a picture cannot be read, a link that cannot be followed included.
fn unreadable_picture() -> Refusal {
    parameter("图片输入格式/解析错误", "Image input format or parsing error")
}

/// Each video by itself. Links are not followed, so their limits are not checked.
pub(super) fn videos(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(limits) = request.model.and_then(|model| model.video.as_ref()) else { return Ok(()) };
    request.parts().try_for_each(|part| match part {
        Part::Video(Source::Link(link)) => refuse_if(!is_link(link), unreadable_video),
        Part::Video(Source::Inline(medium)) if limits.inline => video(medium, limits),
        Part::Video(Source::Inline(_)) => Err(unreadable_video()),
        _ => Ok(()),
    })
}

/// One video that came as bytes.
fn video(medium: &Medium, limits: &VideoLimits) -> Result<(), Refusal> {
    check_zhipu_video(medium, limits).map_err(|problem| match problem {
        VideoProblem::Unreadable => unreadable_video(),
        VideoProblem::Bytes => {
            let megabytes = limits.bytes / (1024 * 1024);
            parameter(
                format!("视频大小超过限制，不能超过{megabytes}MB"),
                format!("The video is over {megabytes} MB"),
            )
        }
        VideoProblem::Duration => parameter("视频时长超过限制", "The video is too long"),
    })
}

fn unreadable_video() -> Refusal {
    parameter("视频输入格式/解析错误", "Video input format or parsing error")
}
