//! Pictures and videos against the model's limits.

use super::{Findings, Limit, Quantity, Tolerance};
use crate::catalog::NumberRange;
use crate::catalog::{ImageCard, VideoCard};
use crate::media::{Hint, Image, MediaSource, Video, VideoSource};
use crate::{Capability, ChatRequest, Interval, Message, ModelCard, Part};

pub(super) fn check(request: &mut ChatRequest, card: &ModelCard, findings: &mut Findings) {
    let images = count(request, |part| matches!(part, Part::Image(_)));
    let videos = count(request, |part| matches!(part, Part::Video(_)));
    check_count("picture", Quantity::Images, images, limit_of(&card.image, |card| card.count), findings);
    let inline = count(request, |part| matches!(part, Part::Image(image) if image.source().url().is_none()));
    check_count(
        "inline picture",
        Quantity::InlineImages,
        inline,
        limit_of(&card.image, |card| card.inline_count),
        findings,
    );
    check_count("video", Quantity::Videos, videos, limit_of(&card.video, |card| card.count), findings);
    if images > 0 && videos > 0 && card.image_with_video == Some(false) {
        let problem = format!("{images} pictures and {videos} videos in one request");
        let fix = "ask about the video and the pictures in separate requests";
        findings.reject("messages", problem, "either pictures or videos", fix);
    }
    if images + videos == 0 {
        return; // Messages without media stay shared with the caller's.
    }
    for (index, message) in request.messages.iter_mut().enumerate() {
        for (place, part) in message.parts.iter_mut().enumerate() {
            let path = || format!("messages[{index}].parts[{place}]");
            match part {
                Part::Image(image) => check_image(&path, image, &card.image, findings),
                Part::Video(video) => check_video(&path, video, card, findings),
                Part::Text(_)
                | Part::ToolCall(_)
                | Part::ToolResult(_)
                | Part::Reasoning(_)
                | Part::CacheMark => {}
            }
        }
        if card.video.limits().is_some_and(|card| card.must_be_first) {
            put_videos_first(index, message, findings);
        }
    }
}

fn count(request: &ChatRequest, wanted: impl Fn(&Part) -> bool) -> u64 {
    request.messages.iter().flat_map(|message| &message.parts).filter(|part| wanted(part)).count() as u64
}

fn at_most(of: Quantity, limit: u64, actual: u64) -> Limit {
    Limit::at_most(of, limit as f64, actual as f64)
}

fn limit_of<C>(capability: &Capability<C>, limit: impl Fn(&C) -> Option<u64>) -> Option<u64> {
    capability.limits().and_then(limit)
}

fn check_count(what: &str, of: Quantity, count: u64, limit: Option<u64>, findings: &mut Findings) {
    if let Some(limit) = limit.filter(|limit| count > *limit) {
        let problem = format!("{count} {what}s in the request, earlier turns included");
        let fix = "send fewer, or forget those of earlier turns";
        let text = format!("at most {limit} for {}", findings.model());
        findings.reject_limit("messages", problem, at_most(of, limit, count), text, fix);
    }
}

fn check_image(
    path: &dyn Fn() -> String,
    image: &mut Image,
    capability: &Capability<ImageCard>,
    findings: &mut Findings,
) {
    if capability.is_no() {
        let problem = format!("{} takes no pictures", findings.model());
        findings.reject_model(path(), problem, "text only", |card| card.image.is_yes());
        return;
    }
    let Some(card) = capability.limits() else { return };
    let wanted = SourceRules {
        what: "picture",
        base64: card.base64,
        url: card.url,
        schemes: &card.schemes,
        max_url_bytes: card.max_url_bytes,
        max_bytes: card.max_bytes,
        max_base64_bytes: card.max_base64_bytes,
        data_uri: card.data_uri,
        media_type: image.info().map(|info| info.format.media_type()),
    };
    check_source(path, image.source(), &wanted, findings);
    check_pixels(path, image, card, findings);
    check_image_hints(path, image, card, findings);
}

fn check_pixels(path: &dyn Fn() -> String, image: &Image, card: &ImageCard, findings: &mut Findings) {
    let Some(info) = image.info() else { return };
    let size = format!("the picture is {} x {} px", info.width, info.height);
    let (long, short) = (u64::from(info.width.max(info.height)), u64::from(info.width.min(info.height)));
    if let Some(formats) = card.formats.as_ref().filter(|formats| !formats.contains(&info.format)) {
        let names: Vec<String> = formats.iter().map(ToString::to_string).collect();
        findings.reject(path(), format!("the picture is {}", info.format), names.join(", "), "convert it");
    }
    if let Some(limit) = card.max_side.filter(|limit| long > *limit) {
        let value = at_most(Quantity::LongSide, limit, long);
        findings.reject_limit(path(), &size, value, format!("sides of at most {limit} px"), "scale it down");
    }
    if let Some(limit) = card.min_side.filter(|limit| short < *limit) {
        let value = Limit::at_least(Quantity::ShortSide, limit as f64, short as f64);
        let text = format!("sides of at least {limit} px");
        findings.reject_limit(path(), &size, value, text, "scale it up or crop it");
    }
    if let Some(limit) = card.max_pixels.filter(|limit| info.pixels() > *limit) {
        let value = at_most(Quantity::Pixels, limit, info.pixels());
        findings.reject_limit(path(), &size, value, format!("at most {limit} px in all"), "scale it down");
    }
    if let Some(limit) = card.max_aspect.filter(|limit| long as f64 > short as f64 * limit) {
        let value = Limit::at_most(Quantity::Aspect, limit, long as f64 / short as f64);
        let text = format!("sides at most {limit} : 1");
        findings.reject_limit(path(), &size, value, text, "crop it or cut it in pieces");
    }
}

fn check_image_hints(
    path: &dyn Fn() -> String,
    image: &mut Image,
    card: &ImageCard,
    findings: &mut Findings,
) {
    let detail = if card.detail { Capability::Unknown } else { Capability::No };
    let budget = budget_rule(card.pixel_budget);
    let hints = [
        (Hint::Detail, image.detail().map(|_| 0.0), detail),
        (Hint::MinPixels, image.min_pixels().map(|pixels| pixels as f64), budget),
        (Hint::MaxPixels, image.max_pixels().map(|pixels| pixels as f64), budget),
    ];
    check_hints(path, &hints, &mut |hint, value| image.set_hint(hint, value), findings);
}

/// A card without a pixel budget is of a model that has none.
fn budget_rule(range: Option<Interval>) -> Capability<NumberRange> {
    range.map_or(Capability::No, |range| Capability::Yes(NumberRange(Some(range))))
}

/// Hints for which a model has nothing are left out: those that say how closely to look under every tolerance but strict, and
/// those that say which moments are seen only where losses are tolerated. Numbers out of range are changed only there, too.
fn check_hints(
    path: &dyn Fn() -> String,
    hints: &[(Hint, Option<f64>, Capability<NumberRange>)],
    set: &mut dyn FnMut(Hint, Option<f64>),
    findings: &mut Findings,
) {
    let mut unsupported: [Vec<Hint>; 2] = Default::default();
    let [closeness, moments] = &mut unsupported;
    for (hint, value, rule) in hints {
        let Some(value) = *value else { continue };
        match rule {
            Capability::No if matches!(hint, Hint::Fps | Hint::MaxFrames) => moments.push(*hint),
            Capability::No => closeness.push(*hint),
            Capability::Unknown => check_hint(path, *hint, value, None, set, findings),
            Capability::Yes(range) => check_hint(path, *hint, value, range.0, set, findings),
        }
    }
    for (hints, needed) in unsupported.into_iter().zip([Tolerance::Lossless, Tolerance::Lossy]) {
        leave_out(path, hints, needed, set, findings);
    }
}

fn leave_out(
    path: &dyn Fn() -> String,
    hints: Vec<Hint>,
    needed: Tolerance,
    set: &mut dyn FnMut(Hint, Option<f64>),
    findings: &mut Findings,
) {
    if hints.is_empty() {
        return;
    }
    let names = hints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if findings.allow(needed, path(), format!("{names} left out")) {
        hints.into_iter().for_each(|hint| set(hint, None));
    } else {
        let problem = format!("{} has no {names} for media", findings.model());
        findings.reject(path(), problem, "nothing of the kind", "leave it out, or tolerate losses");
    }
}

fn check_hint(
    path: &dyn Fn() -> String,
    hint: Hint,
    value: f64,
    range: Option<Interval>,
    set: &mut dyn FnMut(Hint, Option<f64>),
    findings: &mut Findings,
) {
    if !value.is_finite() {
        findings.reject(path(), format!("{hint} is {value}"), "a number", "set it to a number");
        return;
    }
    let Some(range) = range.filter(|range| !range.contains(value)) else { return };
    let step = if hint == Hint::Fps { 0.01 } else { 1.0 };
    let nearest = range.clamp(value, step);
    if findings.lossy(path(), format!("{hint} {value} brought into range: {nearest}")) {
        set(hint, Some(nearest));
    } else {
        let fix = "choose a value in range";
        let limit = Limit::within(Quantity::Number, range, value);
        findings.reject_limit(path(), format!("{hint} is {value}"), limit, range.to_string(), fix);
    }
}

fn check_video(path: &dyn Fn() -> String, video: &mut Video, card: &ModelCard, findings: &mut Findings) {
    if card.video.is_no() {
        let problem = format!("{} takes no videos", findings.model());
        findings.reject_model(path(), problem, "pictures and text", |card| card.video.is_yes());
        return;
    }
    let Some(limits) = card.video.limits() else { return };
    match video.source() {
        VideoSource::Whole(source) => {
            let wanted = SourceRules {
                what: "video",
                base64: limits.base64,
                url: limits.url,
                schemes: &limits.schemes,
                max_url_bytes: limits.max_url_bytes,
                max_bytes: limits.max_bytes,
                max_base64_bytes: limits.max_base64_bytes,
                data_uri: limits.data_uri,
                media_type: video.info().map(|info| info.format.media_type()),
            };
            check_source(path, source, &wanted, findings);
            check_video_info(path, video, limits, findings);
        }
        VideoSource::Frames(frames) => {
            if check_frame_count(path, frames.len(), limits, findings) {
                check_frames(path, video.frames_mut(), &card.image, findings);
            }
        }
    }
    check_video_hints(path, video, limits, findings);
}

fn check_video_info(path: &dyn Fn() -> String, video: &Video, card: &VideoCard, findings: &mut Findings) {
    let Some(info) = video.info() else { return };
    if let Some(formats) = card.formats.as_ref().filter(|formats| !formats.contains(&info.format)) {
        let names: Vec<String> = formats.iter().map(ToString::to_string).collect();
        findings.reject(path(), format!("the video is {}", info.format), names.join(", "), "convert it");
    }
    if let (Some(range), Some(duration)) = (card.seconds, info.duration)
        && !range.contains(duration.as_secs_f64())
    {
        let problem = format!("the video takes {:.1} s", duration.as_secs_f64());
        let limit = Limit::within(Quantity::Seconds, range, duration.as_secs_f64());
        findings.reject_limit(path(), problem, limit, format!("{range} s"), "cut it");
    }
}

/// Says whether lists of frames are taken at all.
fn check_frame_count(
    path: &dyn Fn() -> String,
    count: usize,
    limits: &VideoCard,
    findings: &mut Findings,
) -> bool {
    if limits.frames.is_no() {
        let problem = format!("{} takes no list of frames as a video", findings.model());
        findings.reject(path(), problem, "a video file or URL", "send the frames as pictures");
        return false;
    }
    let range = limits.frames.limits().and_then(|range| range.0);
    if let Some(range) = range.filter(|range| !range.contains(count as f64)) {
        let limit = Limit::within(Quantity::Frames, range, count as f64);
        let fix = "choose fewer or more";
        findings.reject_limit(path(), format!("{count} frames"), limit, range.to_string(), fix);
    }
    true
}

fn check_frames(
    path: &dyn Fn() -> String,
    frames: &mut [Image],
    capability: &Capability<ImageCard>,
    findings: &mut Findings,
) {
    for (place, frame) in frames.iter_mut().enumerate() {
        let path = || format!("{}.frames[{place}]", path());
        check_image(&path, frame, capability, findings);
    }
}

fn check_video_hints(
    path: &dyn Fn() -> String,
    video: &mut Video,
    card: &VideoCard,
    findings: &mut Findings,
) {
    // As with budgets: what a card does not offer is not there, since a dialect would not write it.
    let offered = |rule: Capability<NumberRange>| if rule.is_yes() { rule } else { Capability::No };
    let budget = budget_rule(card.pixel_budget);
    let hints = [
        (Hint::Fps, video.fps(), offered(card.fps)),
        (Hint::MaxFrames, video.max_frames().map(f64::from), offered(card.max_frames)),
        (Hint::MinPixels, video.min_pixels().map(|pixels| pixels as f64), budget),
        (Hint::MaxPixels, video.max_pixels().map(|pixels| pixels as f64), budget),
        (Hint::TotalPixels, video.total_pixels().map(|pixels| pixels as f64), budget),
    ];
    check_hints(path, &hints, &mut |hint, value| video.set_hint(hint, value), findings);
}

/// What a card says about where media may come from.
struct SourceRules<'a> {
    what: &'static str,
    base64: Option<bool>,
    url: Option<bool>,
    schemes: &'a [String],
    max_url_bytes: Option<u64>,
    max_bytes: Option<u64>,
    max_base64_bytes: Option<u64>,
    data_uri: Option<bool>,
    media_type: Option<&'static str>,
}

fn check_source(
    path: &dyn Fn() -> String,
    source: &MediaSource,
    rules: &SourceRules<'_>,
    findings: &mut Findings,
) {
    match source {
        MediaSource::Url(url) => check_url(path, url, rules, findings),
        MediaSource::Planned(planned) if planned.is_uploaded() => {
            check_uploaded(path, planned.max_bytes(), rules, findings);
        }
        MediaSource::Bytes(_) | MediaSource::File(_) | MediaSource::Base64(_) | MediaSource::Planned(_) => {
            check_inline(path, source, rules, findings);
        }
    }
}

fn check_url(path: &dyn Fn() -> String, url: &url::Url, rules: &SourceRules<'_>, findings: &mut Findings) {
    let what = rules.what;
    if rules.url == Some(false) {
        let problem = format!("{} fetches no {what} from a URL", findings.model());
        findings.reject(path(), problem, "media inside the request", "download it and send its bytes");
        return;
    }
    let scheme = url.scheme();
    if !matches!(scheme, "http" | "https") && !rules.schemes.iter().any(|known| known == scheme) {
        let allowed = ["http", "https"].into_iter().chain(rules.schemes.iter().map(String::as_str));
        let allowed = allowed.collect::<Vec<_>>().join(", ");
        findings.reject(
            path(),
            format!("the {what}'s URL begins with {scheme}:"),
            allowed,
            "use another URL",
        );
    }
    let length = url.as_str().len() as u64;
    if let Some(limit) = rules.max_url_bytes.filter(|limit| length > *limit) {
        let problem = format!("the {what}'s URL is {length} bytes long");
        let value = at_most(Quantity::UrlBytes, limit, length);
        let fix = "use a shorter URL or send the bytes";
        findings.reject_limit(path(), problem, value, format!("at most {limit} bytes"), fix);
    }
}

/// The store's URL is not known yet; what is behind it is.
fn check_uploaded(path: &dyn Fn() -> String, length: u64, rules: &SourceRules<'_>, findings: &mut Findings) {
    let what = rules.what;
    if let Some(limit) = rules.max_bytes.filter(|limit| length > *limit) {
        let problem = format!("the {what} is {length} bytes");
        let value = at_most(Quantity::Bytes, limit, length);
        findings.reject_limit(path(), problem, value, format!("at most {limit} bytes"), "make it smaller");
    }
}

fn check_inline(
    path: &dyn Fn() -> String,
    source: &MediaSource,
    rules: &SourceRules<'_>,
    findings: &mut Findings,
) {
    let what = rules.what;
    if rules.base64 == Some(false) {
        let problem = format!("{} takes no {what} inside the request", findings.model());
        findings.reject(path(), problem, "a public http(s) URL", "put it where the vendor can fetch it");
        return;
    }
    let length = source.byte_len().unwrap_or_default();
    if let Some(limit) = rules.max_bytes.filter(|limit| length > *limit) {
        let problem = format!("the {what} is {length} bytes");
        let value = at_most(Quantity::Bytes, limit, length);
        findings.reject_limit(path(), problem, value, format!("at most {limit} bytes"), "make it smaller");
    }
    let prefix = "data:;base64,".len() + rules.media_type.map_or(0, str::len);
    let length = source.base64_len().unwrap_or_default() + prefix as u64;
    if let Some(limit) = rules.max_base64_bytes.filter(|limit| length > *limit) {
        let problem = format!("the {what} is {length} bytes as a data URI");
        let fix = "make it smaller, or put it where the vendor can fetch it";
        let value = at_most(Quantity::Base64Bytes, limit, length);
        findings.reject_limit(path(), problem, value, format!("at most {limit} bytes"), fix);
    }
    let MediaSource::Base64(text) = source else { return };
    let (change, limit) = match rules.data_uri {
        Some(true) if !text.is_data_uri() => ("data URI prefix added to bare base64", "a data URI"),
        Some(false) if text.is_data_uri() => ("data URI sent as bare base64", "bare base64"),
        Some(_) | None => return,
    };
    if !findings.lossless(path(), change) {
        findings.reject(path(), format!("the {what}'s base64 has the other form"), limit, "convert it");
    }
}

/// Moves videos to the front of their message, in their order.
fn put_videos_first(index: usize, message: &mut Message, findings: &mut Findings) {
    let is_video = |part: &Part| matches!(part, Part::Video(_));
    let in_front = message.parts.iter().take_while(|part| is_video(part)).count();
    let Some(place) = message.parts.iter().skip(in_front).position(is_video).map(|found| found + in_front)
    else {
        return;
    };
    let path = format!("messages[{index}].parts[{place}]");
    if findings.lossless(&path, "video moved to the front of its message") {
        message.parts.sort_by_key(|part| !is_video(part));
    } else {
        let problem = format!("the video is part {} of its message", place + 1);
        findings.reject(path, problem, "the first part", "put the video before text");
    }
}
