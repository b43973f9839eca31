//! What the checks find, change and refuse, rule by rule, under each tolerance.

use std::sync::Arc;

use crate::samples::{jpeg, mp4_of, png};
use polysight_core::plan::PlanBuilder;
use polysight_core::{
    Catalog, ChatRequest, Count, Detail, Effort, Error, ErrorKind, Estimate, Image, Message, MessageRole,
    ModelCard, Part, Plan, ProviderId, RandomSampling, ResponseFormat, Result, Sampling, Thinking, Tolerance,
    ToolCall, ToolChoice, ToolDefinition, ToolResult, Video,
};

const TOLERANCES: [Tolerance; 3] = [Tolerance::Strict, Tolerance::Lossless, Tolerance::Lossy];

/// What a rule does to a request.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// It goes out as it stands.
    Same,
    /// It is changed: path and change.
    Changed(&'static str, &'static str),
    /// It is refused: path, and words of the violation.
    Refused(&'static str, &'static str),
}
use Outcome::{Changed, Refused, Same};

fn card(rules: &str) -> Arc<ModelCard> {
    let text = format!(
        "vendor = 'acme'\n[[models]]\nid = 'eye'\nsource = 'Acme API'\nas_of = '2026-11-21'\n{rules}"
    );
    Catalog::from_toml(&text).unwrap_or_else(|error| panic!("{error}: {rules}")).card("eye")
}

fn builder(request: &ChatRequest, card: Arc<ModelCard>) -> PlanBuilder {
    PlanBuilder::new(&ProviderId::new("mine", "acme"), request, card)
}

/// Plans a plain call.
fn plan(rules: &str, request: &ChatRequest, tolerance: Tolerance) -> Result<Plan> {
    let request = request.clone().with_tolerance(tolerance);
    builder(&request, card(rules)).finish(Estimate::default())?.into_plain()
}

/// Holds a request against a card under strict, lossless and lossy, in this order.
#[track_caller]
fn check(name: &str, rules: &str, request: &ChatRequest, outcomes: [Outcome; 3]) {
    for (tolerance, outcome) in TOLERANCES.into_iter().zip(outcomes) {
        let planned = plan(rules, request, tolerance);
        match (outcome, planned) {
            (Same, Ok(plan)) => assert_eq!(plan.adjustments, [], "{name}, {tolerance}"),
            (Changed(path, change), Ok(plan)) => {
                assert_eq!(plan.adjustments.len(), 1, "{name}, {tolerance}: {:?}", plan.adjustments);
                assert_eq!(plan.adjustments[0].path, path, "{name}, {tolerance}");
                assert_eq!(plan.adjustments[0].change, change, "{name}, {tolerance}");
                let lossless = outcomes[1..2].iter().any(|outcome| matches!(outcome, Changed(..)));
                assert_eq!(plan.adjustments[0].lossless, lossless, "{name}, {tolerance}");
            }
            (Refused(path, words), Err(error)) => {
                let violations = error.violations();
                assert_eq!(violations.len(), 1, "{name}, {tolerance}: {error}");
                assert_eq!(violations[0].path, path, "{name}, {tolerance}");
                let shown = violations[0].to_string();
                assert!(shown.contains(words), "{name}, {tolerance}: {shown}");
                assert_eq!(violations[0].source.as_deref(), Some("Acme API, 2026-11-21"));
            }
            (outcome, planned) => panic!("{name}, {tolerance}: {outcome:?}, but {planned:?}"),
        }
    }
}

fn always(outcome: Outcome) -> [Outcome; 3] {
    [outcome; 3]
}

fn only_lossy(path: &'static str, words: &'static str, change: &'static str) -> [Outcome; 3] {
    [Refused(path, words), Refused(path, words), Changed(path, change)]
}

fn but_strict(path: &'static str, words: &'static str, change: &'static str) -> [Outcome; 3] {
    [Refused(path, words), Changed(path, change), Changed(path, change)]
}

fn ask() -> ChatRequest {
    ChatRequest::new([Message::user("What is it?")])
}

fn ask_about(media: impl Into<Part>) -> ChatRequest {
    ChatRequest::ask("What is it?", [media.into()])
}

fn picture(width: u32, height: u32) -> Image {
    Image::from_bytes(png(width, height)).unwrap()
}

fn clip(millis: u32) -> Video {
    Video::from_bytes(mp4_of(millis)).unwrap()
}

fn link(url: &str) -> Image {
    Image::from_url(url).unwrap()
}

const FIRST: &str = "messages[0].parts[0]";

#[test]
fn a_dialogue_has_a_user_message_and_no_empty_ones() {
    let system = Message::system("Be brief.");
    check("no message", "", &ChatRequest::new([]), always(Refused("messages", "no user message")));
    check("no user", "", &ChatRequest::new([system.clone()]), always(Refused("messages", "no user message")));
    check("good", "", &ChatRequest::new([system, Message::user("?")]), always(Same));
    for empty in [Message::new(MessageRole::Assistant), Message::assistant(""), {
        Message::new(MessageRole::Assistant).with(Part::Reasoning("hm".to_owned()))
    }] {
        let request = ask().with_message(empty);
        check("empty", "", &request, always(Refused("messages[1]", "the assistant message is empty")));
    }
    check(
        "picture alone",
        "",
        &ChatRequest::new([Message::new(MessageRole::User).with(picture(1, 1))]),
        always(Same),
    );
}

#[test]
fn an_empty_text_beside_something_else_is_left_out() {
    let parts = |parts: Vec<Part>| ChatRequest::new([Message::user_parts(parts)]);
    let about = || Part::Image(picture(1, 1));
    for (name, request, path) in [
        ("before a picture", parts(vec!["".into(), about()]), FIRST),
        ("behind a picture", parts(vec![about(), "".into()]), "messages[0].parts[1]"),
        ("white space", parts(vec![about(), " \n".into()]), "messages[0].parts[1]"),
        ("beside a video", parts(vec![clip(1).into(), "".into()]), "messages[0].parts[1]"),
        ("beside a text", parts(vec!["?".into(), "".into()]), "messages[0].parts[1]"),
        ("in the instructions", ask().with_message(Message::system("x").with("")), "messages[1].parts[1]"),
    ] {
        check(name, "", &request, but_strict(path, "the text is empty", "an empty text left out"));
        let planned = plan("", &request, Tolerance::Lossless).unwrap();
        let count =
            |request: &ChatRequest| request.messages.iter().map(|message| message.parts.len()).sum::<usize>();
        assert_eq!(count(&planned.request) + 1, count(planned.original()), "{name}");
    }
    for empty in [vec!["".into()], vec!["".into(), "".into()]] {
        check("empty", "", &parts(empty), always(Refused("messages[0]", "the user message is empty")));
    }
}

#[test]
fn texts_that_cannot_fit_are_refused_and_others_never() {
    let rules = "context = 131072";
    let words = "131072 tokens with the answer for eye";
    let refused = |text: String| {
        check("long", rules, &ChatRequest::new([Message::user(text)]), always(Refused("messages", words)));
    };
    refused("word ".repeat(400_000));
    refused("a ".repeat(131_073));
    refused("图\n".repeat(200_000));
    refused("x".repeat(256 * 131_072 + 1));
    let two = [Message::system("a ".repeat(70_000)), Message::user("b ".repeat(70_000))];
    check("together", rules, &ChatRequest::new(two), always(Refused("messages", words)));
    for fits in ["a ".repeat(131_072), " ".repeat(2 << 20) + "?", "=".repeat(2 << 20), "图".repeat(700_000)]
    {
        check("fits", rules, &ChatRequest::new([Message::user(fits)]), always(Same));
    }
    check("unknown", "", &ChatRequest::new([Message::user("word ".repeat(400_000))]), always(Same));
}

#[test]
fn a_model_that_does_is_named() {
    let text = "vendor = 'acme'
        [[models]]
        id = 'reader'
        image = false
        video = false
        tools = false
        [[models]]
        id = 'eye'
        image = true
        [[models]]
        id = 'old'
        image = true
        status = 'retired'
        [[models]]
        id = 'cinema'
        video = true
        tools = true";
    let catalog = Catalog::from_toml(text).unwrap();
    let plan = |request: &ChatRequest, model: &str| {
        let request = request.clone().with_model(model);
        let mut builder = builder(&request, catalog.card(model));
        builder.name_models(&catalog);
        builder.finish(Estimate::default())
    };
    let tools = ask().with_tools([ToolDefinition::new("f", "", serde_json::json!({}))]);
    for (request, named) in [
        (ask_about(picture(1, 1)), "such as eye ["),
        (ask_about(clip(1)), "such as cinema"),
        (tools, "such as cinema"),
    ] {
        let error = plan(&request, "reader").unwrap_err().to_string();
        assert!(error.contains("choose a model that does, ") && (error + " [").contains(named), "{named}");
    }
    let notes = plan(&ask(), "cinemma").unwrap().notes;
    assert_eq!(
        notes,
        ["cinemma is not in the catalogue: its limits are not known; the nearest known ones are cinema"]
    );
    assert_eq!(plan(&ask(), "cinema").unwrap().notes, Vec::<String>::new());
    assert_eq!(
        plan(&ask(), "zzzz").unwrap().notes,
        ["zzzz is not in the catalogue: its limits are not known"]
    );
}

#[test]
fn what_was_given_as_a_model_is_not_shown_whole() {
    use base64_simd::STANDARD;
    let picture = STANDARD.encode_to_string(png(60, 40));
    for (model, secret) in [
        (picture.clone(), &picture[20..]),
        (format!("data:image/png;base64,{picture}"), &picture[20..]),
        ("https://h.example/v1?key=canary".to_owned(), "canary"),
        ("https://me:canary@h.example/v1".to_owned(), "canary"),
        ("h.example/v1?key=canary".to_owned(), "canary"),
        ("x".repeat(9_000), "xxxxxxxxxxxxxxxxx"),
    ] {
        let request = ask_about(self::picture(9, 9)).with_model(model.as_str());
        let planned = builder(&request, card("image = false")).finish(Estimate::default()).unwrap_err();
        let shown = format!("{planned} {planned:?}");
        assert!(!shown.contains(secret) && shown.len() < 900, "{shown}");
    }
}

#[test]
fn parts_stand_where_their_speaker_may_say_them() {
    let call = || ToolCall::new("1", "f", "{}");
    for (message, words) in [
        (Message::system("x").with(picture(1, 1)), "a picture in a system message"),
        (Message::assistant("x").with(picture(1, 1)), "a picture in a assistant message"),
        (Message::assistant("x").with(clip(1)), "a video in a assistant message"),
        (Message::user("x").with(call()), "a tool call in a user message"),
        (Message::user("x").with(Part::Reasoning("y".to_owned())), "reasoning in a user message"),
    ] {
        check(words, "", &ask().with_message(message), always(Refused("messages[1].parts[1]", words)));
    }
    let calls = Message::assistant("x").with(call());
    let answer = Message::tool_result("1", "ok").with("and text");
    let request = ask().with_message(calls.clone()).with_message(answer);
    check("text of a tool", "", &request, always(Refused("messages[2].parts[1]", "text in a tool message")));
    let request = ask().with_message(calls).with_message(Message::user("x").with(ToolResult::new("1", "ok")));
    let found = plan("", &request, Tolerance::Lossy).unwrap_err();
    let paths: Vec<&str> = found.violations().iter().map(|violation| &*violation.path).collect();
    assert_eq!(
        paths, ["messages[2].parts[1]"; 2],
        "in the wrong message, and so not right after the call: {found}"
    );
}

#[test]
fn a_tool_result_answers_a_call_right_before() {
    let calls = |ids: &[&str]| {
        ids.iter().fold(Message::new(MessageRole::Assistant), |message, id| {
            message.with(ToolCall::new(*id, "f", "{}"))
        })
    };
    let result = |id: &str| Message::tool_result(id, "ok");
    let dialogue = |messages: &[Message]| messages.iter().cloned().fold(ask(), ChatRequest::with_message);
    check("two", "", &dialogue(&[calls(&["a", "b"]), result("b"), result("a")]), always(Same));
    check("again", "", &dialogue(&[calls(&["a"]), result("a"), calls(&["a"]), result("a")]), always(Same));
    check("one id twice", "", &dialogue(&[calls(&["a", "a"]), result("a"), result("a")]), always(Same));
    let words = "this tool result answers `a`";
    check("orphan", "", &dialogue(&[result("a")]), always(Refused("messages[1].parts[0]", words)));
    let twice = dialogue(&[calls(&["a"]), result("a"), result("a")]);
    check("answered twice", "", &twice, always(Refused("messages[3].parts[0]", words)));
    let late = dialogue(&[calls(&["a"]), Message::user("wait"), result("a")]);
    check("too late", "", &late, always(Refused("messages[3].parts[0]", words)));
}

#[test]
fn media_that_a_model_cannot_see_are_refused() {
    let none = "image = false\nvideo = false";
    check("picture", none, &ask_about(picture(9, 9)), always(Refused(FIRST, "eye takes no pictures")));
    check("video", none, &ask_about(clip(1)), always(Refused(FIRST, "eye takes no videos")));
    check("unknown", "", &ask_about(clip(1)), always(Same));
    let both = ChatRequest::ask("?", [Part::from(picture(9, 9)), Part::from(clip(1))]);
    check(
        "either",
        "image_with_video = false",
        &both,
        always(Refused("messages", "1 pictures and 1 videos")),
    );
    check("both", "image_with_video = true", &both, always(Same));
}

#[test]
fn media_are_counted_over_the_whole_dialogue() {
    let request = ask_about(picture(9, 9)).with_message(Message::user("and").with(picture(9, 9)));
    check("at the limit", "image.count = 2", &request, always(Same));
    let words = "2 pictures in the request, earlier turns included (allowed: at most 1 for eye)";
    check("above", "image.count = 1", &request, always(Refused("messages", words)));
    check("inline", "image.inline_count = 1", &request, always(Refused("messages", "2 inline pictures")));
    let linked = ask_about(picture(9, 9)).with_message(Message::user("and").with(link("https://a.b/c.jpg")));
    check("linked", "image.inline_count = 1", &linked, always(Same));
    let request = ask_about(clip(1)).with_message(Message::user("and").with(clip(1)));
    check("videos", "video.count = 1", &request, always(Refused("messages", "2 videos")));
}

#[test]
fn a_picture_keeps_the_limits_of_sides_pixels_aspect_format_and_bytes() {
    let length = png(1, 1).len();
    for (rules, width, height, outcome) in [
        ("max_side = 100", 100, 100, Same),
        ("max_side = 100", 5, 101, Refused(FIRST, "5 x 101 px (allowed: sides of at most 100 px)")),
        ("min_side = 10", 10, 90, Same),
        ("min_side = 10", 90, 9, Refused(FIRST, "sides of at least 10 px")),
        ("max_pixels = 100", 10, 10, Same),
        ("max_pixels = 100", 101, 1, Refused(FIRST, "at most 100 px in all")),
        ("max_pixels = 100", u32::MAX, u32::MAX, Refused(FIRST, "at most 100 px in all")),
        ("max_aspect = 2.5", 50, 20, Same),
        ("max_aspect = 2.5", 20, 51, Refused(FIRST, "sides at most 2.5 : 1")),
        ("formats = ['jpeg', 'webp']", 9, 9, Refused(FIRST, "the picture is PNG (allowed: JPEG, WebP)")),
        ("formats = ['png']", 9, 9, Same),
        ("max_bytes = 29", 9, 9, Same),
        ("max_bytes = 28", 9, 9, Refused(FIRST, "the picture is 29 bytes (allowed: at most 28 bytes)")),
        ("max_base64_bytes = 62", 9, 9, Same),
        ("max_base64_bytes = 61", 9, 9, Refused(FIRST, "62 bytes as a data URI")),
        ("base64 = false", 9, 9, Refused(FIRST, "takes no picture inside the request")),
        ("url = false", 9, 9, Same),
    ] {
        assert_eq!(length, 29);
        check(rules, &format!("image.{rules}"), &ask_about(picture(width, height)), always(outcome));
    }
    let extended = ask_about(Image::from_bytes(jpeg(9, 9, &[(0xe1, 100)])).unwrap());
    check("jpeg", "image.formats = ['png']", &extended, always(Refused(FIRST, "the picture is JPEG")));
}

#[test]
fn a_link_keeps_the_limits_of_scheme_and_length() {
    for (rules, url, outcome) in [
        ("", "ftp://example.com/a.jpg", Same),
        ("image = true", "https://example.com/a.jpg", Same),
        (
            "image = true",
            "ftp://example.com/a.jpg",
            Refused(FIRST, "begins with ftp: (allowed: http, https)"),
        ),
        ("image.schemes = ['oss']", "oss://bucket/a.jpg", Same),
        ("image.schemes = ['oss']", "s3://bucket/a.jpg", Refused(FIRST, "(allowed: http, https, oss)")),
        (
            "image.url = false",
            "https://example.com/a.jpg",
            Refused(FIRST, "eye fetches no picture from a URL"),
        ),
        (
            "image.max_url_bytes = 19",
            "https://example.com",
            Refused(FIRST, "20 bytes long (allowed: at most 19"),
        ),
        ("image.max_url_bytes = 20", "https://example.com", Same),
        ("image.base64 = false", "https://example.com/a.jpg", Same),
    ] {
        check(rules, rules, &ask_about(link(url)), always(outcome));
    }
    let video = ask_about(Video::from_url("https://example.com/a.mp4").unwrap());
    check("video", "video.url = false", &video, always(Refused(FIRST, "fetches no video from a URL")));
}

#[test]
fn a_video_keeps_the_limits_of_time_format_and_bytes() {
    for (rules, millis, outcome) in [
        ("seconds = '[2, 20]'", 2_000, Same),
        ("seconds = '[2, 20]'", 1_999, Refused(FIRST, "the video takes 2.0 s (allowed: [2, 20] s)")),
        ("seconds = '[2, 20]'", 20_001, Refused(FIRST, "the video takes 20.0 s")),
        ("seconds = '[2, 20]'", 0, Same),
        ("formats = ['mov']", 1, Refused(FIRST, "the video is MP4 (allowed: MOV)")),
        ("max_bytes = 10", 1, Refused(FIRST, "the video is")),
        ("base64 = false", 1, Refused(FIRST, "takes no video inside the request")),
    ] {
        check(rules, &format!("video.{rules}"), &ask_about(clip(millis)), always(outcome));
    }
}

#[test]
fn base64_goes_out_in_the_form_that_the_vendor_takes() {
    let text = base64_simd::STANDARD.encode_to_string(png(9, 9));
    let bare = ask_about(Image::from_base64(text.clone()).unwrap());
    let uri = ask_about(Image::from_data_uri(format!("data:image/png;base64,{text}")).unwrap());
    let other = Refused(FIRST, "the picture's base64 has the other form");
    let added = Changed(FIRST, "data URI prefix added to bare base64");
    let removed = Changed(FIRST, "data URI sent as bare base64");
    check("prefix wanted", "image.data_uri = true", &bare, [other, added, added]);
    check("prefix there", "image.data_uri = true", &uri, always(Same));
    check("prefix unwanted", "image.data_uri = false", &uri, [other, removed, removed]);
    check("bare there", "image.data_uri = false", &bare, always(Same));
    check("bytes have no form", "image.data_uri = true", &ask_about(picture(9, 9)), always(Same));
    check("not said", "image = true", &bare, always(Same));
}

#[test]
fn a_list_of_frames_is_taken_where_the_model_takes_it() {
    let frames = |count: usize| ask_about(Video::from_frames(vec![picture(9, 9); count]).unwrap());
    check("no", "video.frames = false", &frames(4), always(Refused(FIRST, "takes no list of frames")));
    check("unknown", "video = true", &frames(4), always(Same));
    check("any", "video.frames = true", &frames(4), always(Same));
    check("few", "video.frames = '[4, 512]'", &frames(4), always(Same));
    check(
        "fewer",
        "video.frames = '[4, 512]'",
        &frames(3),
        always(Refused(FIRST, "3 frames (allowed: [4, 512])")),
    );
    let large = ask_about(Video::from_frames([picture(9, 9), picture(99, 9)]).unwrap());
    let rules = "video.frames = true\nimage.max_side = 10";
    check("a frame", rules, &large, always(Refused("messages[0].parts[0].frames[1]", "99 x 9 px")));
}

#[test]
fn hints_that_a_model_has_not_are_left_out_and_the_others_kept() {
    let detailed = ask_about(picture(9, 9).with_detail(Detail::High));
    let refused = "eye has no detail for media";
    check("detail", "image = true", &detailed, but_strict(FIRST, refused, "detail left out"));
    check("detail taken", "image.detail = true", &detailed, always(Same));
    check("unknown", "", &detailed, always(Same));

    let both = ask_about(picture(9, 9).with_detail(Detail::High).with_min_pixels(500).with_max_pixels(900));
    check(
        "all",
        "image = true",
        &both,
        but_strict(FIRST, "no detail, min_pixels, max_pixels", "detail, min_pixels, max_pixels left out"),
    );
    let planned = plan("image.pixel_budget = '[4, 1000]'", &both, Tolerance::Lossy).unwrap();
    assert_eq!(planned.adjustments[0].change, "detail left out");
    let Part::Image(image) = &planned.request.messages[0].parts[0] else { panic!() };
    assert_eq!((image.detail(), image.min_pixels(), image.max_pixels()), (None, Some(500), Some(900)));

    let sampled = ask_about(clip(1).with_fps(2.0).with_max_frames(8).with_total_pixels(64));
    let planned = plan("video.max_frames = '[4, 10]'", &sampled, Tolerance::Lossy).unwrap();
    let changes: Vec<_> =
        planned.adjustments.iter().map(|made| (made.change.as_str(), made.lossless)).collect();
    assert_eq!(changes, [("total_pixels left out", true), ("fps left out", false)]);
    let Part::Video(video) = &planned.request.messages[0].parts[0] else { panic!() };
    assert_eq!((video.fps(), video.max_frames(), video.total_pixels()), (None, Some(8), None));
}

#[test]
fn hints_out_of_range_are_brought_into_it() {
    let image = ask_about(picture(9, 9).with_max_pixels(5_000));
    let change = "max_pixels 5000 brought into range: 1000";
    check(
        "budget",
        "image.pixel_budget = '[4, 1000]'",
        &image,
        only_lossy(FIRST, "max_pixels is 5000", change),
    );
    for (video, rules, words, change) in [
        (clip(1).with_fps(30.0), "fps = '[0.1, 10]'", "fps is 30", "fps 30 brought into range: 10"),
        (clip(1).with_fps(0.0), "fps = '(0, 10]'", "fps is 0", "fps 0 brought into range: 0.01"),
        (
            clip(1).with_max_frames(1),
            "max_frames = '[4, 512]'",
            "max_frames is 1",
            "max_frames 1 brought into range: 4",
        ),
        (
            clip(1).with_total_pixels(9),
            "pixel_budget = '[16,]'",
            "total_pixels is 9",
            "total_pixels 9 brought into range: 16",
        ),
    ] {
        check(change, &format!("video.{rules}"), &ask_about(video), only_lossy(FIRST, words, change));
    }
    let planned =
        plan("video.fps = '[0.1, 10]'", &ask_about(clip(1).with_fps(30.0)), Tolerance::Lossy).unwrap();
    let Part::Video(video) = &planned.request.messages[0].parts[0] else { panic!() };
    assert_eq!(video.fps(), Some(10.0));
    for fps in [f64::NAN, f64::INFINITY] {
        let request = ask_about(clip(1).with_fps(fps));
        check("no number", "video.fps = true", &request, always(Refused(FIRST, "(allowed: a number)")));
    }
}

#[test]
fn hints_of_frames_are_really_left_out() {
    let frame = picture(9, 9).with_detail(Detail::Low);
    let request = ask_about(Video::from_frames([frame]).unwrap());
    let planned = plan("image = true\nvideo.frames = true", &request, Tolerance::Lossy).unwrap();
    assert_eq!(planned.adjustments[0].path, "messages[0].parts[0].frames[0]");
    let Part::Video(video) = &planned.request.messages[0].parts[0] else { panic!() };
    let polysight_core::media::VideoSource::Frames(frames) = video.source() else { panic!() };
    assert_eq!(frames[0].detail(), None);
}

#[test]
fn videos_are_moved_to_the_front_in_their_order() {
    let request = ChatRequest::new([Message::user("first").with(clip(1)).with("then").with(clip(2))]);
    let moved = Changed("messages[0].parts[1]", "video moved to the front of its message");
    let refused = Refused("messages[0].parts[1]", "the video is part 2 of its message");
    check("moved", "video.must_be_first = true", &request, [refused, moved, moved]);
    check("not demanded", "video = true", &request, always(Same));
    check("there already", "video.must_be_first = true", &ask_about(clip(1)), always(Same));
    let planned = plan("video.must_be_first = true", &request, Tolerance::Lossless).unwrap();
    let parts: Vec<String> = planned.request.messages[0]
        .parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Video(video) => format!("{:?}", video.info().unwrap().duration.unwrap()),
            _ => panic!(),
        })
        .collect();
    assert_eq!(parts, ["1ms", "2ms", "first", "then"]);
    let many = (0..60).fold(Message::new(MessageRole::User), |message, place| match place % 3 {
        0 => message.with(clip(place + 1)),
        _ => message.with(place.to_string()),
    });
    let planned = plan("video.must_be_first = true", &ChatRequest::new([many]), Tolerance::Lossless).unwrap();
    let texts = planned.request.messages[0].parts.iter().skip(20).map(|part| match part {
        Part::Text(text) => text.parse::<u32>().unwrap(),
        _ => panic!("a video behind text"),
    });
    assert!(texts.is_sorted(), "texts keep their order");
}

fn random(change: impl FnOnce(&mut RandomSampling)) -> ChatRequest {
    let mut random = RandomSampling::default();
    change(&mut random);
    ask().with_sampling(Sampling::Random(random))
}

#[test]
fn sampling_is_held_to_range() {
    type Set = fn(&mut RandomSampling);
    let cases: [(&str, Set, [Outcome; 3]); 13] = [
        ("temperature = '[0, 1]'", |r| r.temperature = Some(1.0), always(Same)),
        (
            "temperature = '[0, 1]'",
            |r| r.temperature = Some(1.5),
            only_lossy(
                "temperature",
                "temperature is 1.5 (allowed: [0, 1])",
                "temperature 1.5 brought into range: 1",
            ),
        ),
        (
            "temperature = '[0, 2)'",
            |r| r.temperature = Some(2.0),
            only_lossy("temperature", "(allowed: [0, 2))", "temperature 2 brought into range: 1.99"),
        ),
        (
            "temperature = '(0, 1]'",
            |r| r.temperature = Some(0.0),
            only_lossy("temperature", "(allowed: (0, 1])", "temperature 0 brought into range: 0.01"),
        ),
        (
            "temperature = '(0, 0.005)'",
            |r| r.temperature = Some(1.0),
            only_lossy("temperature", "temperature is 1", "temperature 1 brought into range: 0.0025"),
        ),
        (
            "top_p = '(0, 1)'",
            |r| r.top_p = Some(-1.0),
            only_lossy("top_p", "top_p is -1", "top_p -1 brought into range: 0.01"),
        ),
        (
            "top_k = '(0, 100)'",
            |r| r.top_k = Some(500),
            only_lossy("top_k", "top_k is 500", "top_k 500 brought into range: 99"),
        ),
        (
            "top_k = '(0, 100)'",
            |r| r.top_k = Some(0),
            only_lossy("top_k", "top_k is 0", "top_k 0 brought into range: 1"),
        ),
        ("top_k = '[1,]'", |r| r.top_k = Some(u32::MAX), always(Same)),
        (
            "top_k = false",
            |r| r.top_k = Some(5),
            only_lossy("top_k", "top_k is set to 5, and eye has no such setting", "top_k left out"),
        ),
        (
            "presence_penalty = '[-2, 2]'",
            |r| r.presence_penalty = Some(-3.0),
            only_lossy("presence_penalty", "is -3", "presence_penalty -3 brought into range: -2"),
        ),
        (
            "frequency_penalty = false",
            |r| r.frequency_penalty = Some(0.5),
            only_lossy("frequency_penalty", "set to 0.5", "frequency_penalty left out"),
        ),
        ("repetition_penalty = true", |r| r.repetition_penalty = Some(1e300), always(Same)),
    ];
    for (rules, set, outcomes) in cases {
        check(rules, &format!("sampling.{rules}"), &random(set), outcomes);
    }
}

#[test]
fn a_number_that_was_brought_into_range_goes_out_so() {
    let rules = "sampling.top_k = '(0, 100)'\nsampling.temperature = '[0, 2)'\nsampling.decimals = 1";
    let request = random(|r| (r.top_k, r.temperature, r.top_p) = (Some(0), Some(7.77), Some(0.5)));
    let planned = plan(rules, &request, Tolerance::Lossy).unwrap();
    let Sampling::Random(sent) = planned.request.sampling else { panic!() };
    assert_eq!((sent.top_k, sent.temperature, sent.top_p), (Some(1), Some(1.9), Some(0.5)));
    assert_eq!(planned.adjustments.len(), 2, "one each: {:?}", planned.adjustments);
}

#[test]
fn numbers_that_are_none_are_refused_under_every_tolerance() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for rules in
            ["", "sampling.temperature = '[0, 1]'", "sampling.decimals = 2\nsampling.greedy = 'do_sample'"]
        {
            check(
                "temperature",
                rules,
                &ask().with_temperature(value),
                always(Refused("temperature", "(allowed: a number)")),
            );
        }
        check("top_p", "", &ask().with_top_p(value), always(Refused("top_p", "(allowed: a number)")));
        let penalty = random(|random| random.presence_penalty = Some(value));
        check(
            "penalty",
            "sampling.presence_penalty = false",
            &penalty,
            always(Refused("presence_penalty", "a number")),
        );
    }
}

#[test]
fn numbers_are_rounded_to_the_vendors_decimals_and_stay_in_range() {
    let rounded = |words, change| {
        [Refused("temperature", words), Changed("temperature", change), Changed("temperature", change)]
    };
    for (rules, value, outcomes) in [
        (
            "decimals = 2",
            f64::from(0.8f32),
            rounded("write 0.8", "temperature 0.800000011920929 rounded to 0.8"),
        ),
        ("decimals = 2", 0.25, always(Same)),
        ("decimals = 0", 3.7, rounded("at most 0 decimals", "temperature 3.7 rounded to 4")),
        ("decimals = 2", 1e308, always(Same)),
        ("decimals = 2", -1e308, always(Same)),
        ("decimals = 2", 0.1 + 0.2, rounded("write 0.3", "temperature 0.30000000000000004 rounded to 0.3")),
        ("decimals = 255", 0.1, always(Same)),
        ("decimals = 2", -0.001, rounded("write 0", "temperature -0.001 rounded to 0")),
        (
            "temperature = '(0, 1]'\nsampling.decimals = 2",
            0.001,
            rounded("write 0.01", "temperature 0.001 rounded to 0.01"),
        ),
        (
            "temperature = '[0, 1)'\nsampling.decimals = 2",
            0.999,
            rounded("write 0.99", "temperature 0.999 rounded to 0.99"),
        ),
        (
            "temperature = '[0, 0.3)'\nsampling.decimals = 1",
            5.0,
            only_lossy("temperature", "is 5", "temperature 5 brought into range: 0.2"),
        ),
        (
            "temperature = '(0, 1)'\nsampling.decimals = 0",
            5.0,
            always(Refused("temperature", "is 5 (allowed: (0, 1))")),
        ),
    ] {
        check(rules, &format!("sampling.{rules}"), &ask().with_temperature(value), outcomes);
    }
    let planned =
        plan("sampling.decimals = 2", &ask().with_temperature(f64::from(0.8f32)), Tolerance::Lossless);
    let Sampling::Random(sent) = planned.unwrap().request.sampling else { panic!() };
    assert_eq!(serde_json::to_string(&sent.temperature).unwrap(), "0.8");
}

#[test]
fn temperature_zero_is_said_as_greedy_where_there_is_a_word_for_it() {
    let zero = ask().with_temperature(0.0);
    let said = Changed("temperature", "temperature 0 sent as do_sample: false");
    let refused = Refused("temperature", "ask for greedy sampling");
    let open = "sampling.greedy = 'do_sample'\nsampling.temperature = '(0, 1]'";
    check("zero refused", open, &zero, [refused, said, said]);
    check(
        "zero taken",
        "sampling.greedy = 'do_sample'\nsampling.temperature = '[0, 1]'",
        &zero,
        [Same, said, said],
    );
    check("range unknown", "sampling.greedy = 'do_sample'", &zero, [Same, said, said]);
    check(
        "as a number",
        "sampling.greedy = 'temperature'\nsampling.temperature = '[0, 1]'",
        &zero,
        always(Same),
    );
    check(
        "negative zero",
        "sampling.greedy = 'do_sample'",
        &ask().with_temperature(-0.0),
        [Same, said, said],
    );
    check("asked for", open, &ask().with_greedy(), always(Same));
    assert_eq!(plan(open, &zero, Tolerance::Lossless).unwrap().request.sampling, Sampling::Greedy);
}

#[test]
fn a_temperature_that_is_rounded_to_zero_is_said_as_greedy_too() {
    let rules = "sampling = { greedy = 'do_sample', temperature = '[0, 1]', decimals = 2 }";
    let planned = plan(rules, &ask().with_temperature(0.001), Tolerance::Lossless).unwrap();
    assert_eq!(planned.request.sampling, Sampling::Greedy);
    let changes: Vec<&str> = planned.adjustments.iter().map(|adjustment| &*adjustment.change).collect();
    assert_eq!(changes, ["temperature 0.001 rounded to 0", "temperature 0 sent as do_sample: false"]);
}

#[test]
fn the_other_options_are_held_to_the_card() {
    let id = || ask().with_request_id("abc");
    let ids = "request_id = { min = 3, max = 5 }";
    let tool = |name: &str| ToolDefinition::new(name, "", serde_json::json!({"type": "object"}));
    let json = ask().with_response_format(ResponseFormat::JsonObject);
    let required = ask().with_tools([tool("f")]).with_tool_choice(ToolChoice::Required);
    let parallel = ask().with_tools([tool("f")]).with_parallel_tool_calls(true);
    let cases: Vec<(&str, &str, ChatRequest, [Outcome; 3])> = vec![
        ("max_tokens", "max_output = 100", ask().with_max_tokens(100), always(Same)),
        (
            "max_tokens",
            "max_output = 100",
            ask().with_max_tokens(101),
            only_lossy(
                "max_tokens",
                "max_tokens is 101 (allowed: [1, 100] for eye)",
                "max_tokens 101 brought into range: 100",
            ),
        ),
        (
            "max_tokens 0",
            "",
            ask().with_max_tokens(0),
            only_lossy(
                "max_tokens",
                "(allowed: at least 1): leave it out",
                "max_tokens 0 brought into range: 1",
            ),
        ),
        ("max_tokens MAX", "", ask().with_max_tokens(u32::MAX), always(Same)),
        ("huge card", "max_output = 9_000_000_000", ask().with_max_tokens(u32::MAX), always(Same)),
        (
            "card of 0",
            "max_output = 0",
            ask().with_max_tokens(5),
            only_lossy("max_tokens", "max_tokens is 5", "max_tokens 5 brought into range: 1"),
        ),
        ("seed", "sampling.seed = '[0, 2147483647]'", ask().with_seed(5), always(Same)),
        (
            "seed",
            "sampling.seed = '[0, 2147483647]'",
            ask().with_seed(-1),
            always(Refused("seed", "seed is -1")),
        ),
        (
            "seed",
            "sampling.seed = '[0, 2147483647]'",
            ask().with_seed(i64::MAX),
            always(Refused("seed", "seed is 9223372036854775807")),
        ),
        (
            "no seed",
            "sampling.seed = false",
            ask().with_seed(5),
            only_lossy("seed", "seed is set to 5", "seed left out"),
        ),
        ("stop", "stop = { count = 1, max_chars = 3 }", ask().with_stop(["图图图"]), always(Same)),
        (
            "stop",
            "stop.count = 1",
            ask().with_stop(["a", "b"]),
            always(Refused("stop", "2 stop texts (allowed: at most 1)")),
        ),
        (
            "stop",
            "stop.max_chars = 3",
            ask().with_stop(["a", "abcd"]),
            always(Refused("stop[1]", "4 characters (allowed: 1 to 3")),
        ),
        ("stop", "", ask().with_stop([""]), always(Refused("stop[0]", "0 characters (allowed: at least 1)"))),
        ("request id", ids, id(), always(Same)),
        (
            "request id",
            ids,
            ask().with_request_id("ab"),
            always(Refused("request_id", "has 2 characters (allowed: 3 to 5")),
        ),
        (
            "request id",
            ids,
            ask().with_request_id("abcdef"),
            always(Refused("request_id", "has 6 characters")),
        ),
        (
            "request id",
            "",
            id(),
            [
                Refused("request_id", "the vendor takes no request_id"),
                Changed("request_id", "request_id left out: the vendor takes none"),
                Changed("request_id", "request_id left out: the vendor takes none"),
            ],
        ),
        (
            "user id",
            "",
            ask().with_end_user_id("u"),
            only_lossy("end_user_id", "takes no end_user_id", "end_user_id left out: the vendor takes none"),
        ),
        (
            "user id",
            "end_user_id = { min = 6, max = 128 }",
            ask().with_end_user_id("u"),
            always(Refused("end_user_id", "6 to 128")),
        ),
        ("format", "", json.clone(), always(Same)),
        ("format", "response_formats = ['json_object']", json.clone(), always(Same)),
        (
            "format",
            "response_formats = []",
            json.clone(),
            only_lossy(
                "response_format",
                "does not enforce json_object (allowed: text)",
                "the form of the answer is asked for by prompt",
            ),
        ),
        (
            "tools",
            "tools = false",
            ask().with_tools([tool("f")]),
            always(Refused("tools", "eye calls no functions")),
        ),
        (
            "tools",
            "tools.count = 1",
            ask().with_tools([tool("f"), tool("g")]),
            always(Refused("tools", "2 tools")),
        ),
        (
            "tool name",
            "",
            ask().with_tools([tool("f"), tool("a b")]),
            always(Refused("tools[1].name", "`a b`")),
        ),
        ("tool name", "", ask().with_tools([tool(&"f".repeat(64))]), always(Same)),
        (
            "tool name",
            "",
            ask().with_tools([tool(&"f".repeat(65))]),
            always(Refused("tools[0].name", "1 to 64 letters")),
        ),
        (
            "tool schema",
            "",
            ask().with_tools([ToolDefinition::new("f", "", serde_json::json!([]))]),
            always(Refused("tools[0].parameters", "no JSON object")),
        ),
        ("choice", "tools = true", required.clone(), always(Same)),
        ("choice", "tools.choices = ['required']", required.clone(), always(Same)),
        (
            "choice",
            "tools.choices = []",
            required,
            only_lossy(
                "tool_choice",
                "tool_choice is required (allowed: auto for eye)",
                "required replaced by auto",
            ),
        ),
        ("parallel", "tools.parallel = true", parallel.clone(), always(Same)),
        (
            "parallel",
            "tools.parallel = false",
            parallel,
            only_lossy("parallel_tool_calls", "set to true", "parallel_tool_calls left out"),
        ),
    ];
    for (name, rules, request, outcomes) in cases {
        check(&format!("{name} ({rules})"), rules, &request, outcomes);
    }
}

#[test]
fn thinking_that_a_model_cannot_do_becomes_the_nearest_that_it_can() {
    let think = |thinking| ask().with_thinking(thinking);
    let switchable = "thinking = { mode = 'switchable', budget = '[1, 1000]', efforts = ['low', 'high'] }";
    let refused = "thinking";
    for (rules, thinking, outcomes, sent) in [
        ("", Thinking::Budget(5), always(Same), Thinking::Budget(5)),
        (switchable, Thinking::On, always(Same), Thinking::On),
        (switchable, Thinking::Off, always(Same), Thinking::Off),
        (switchable, Thinking::Budget(1_000), always(Same), Thinking::Budget(1_000)),
        (switchable, Thinking::Effort(Effort::High), always(Same), Thinking::Effort(Effort::High)),
        (
            switchable,
            Thinking::Budget(5_000),
            only_lossy(
                refused,
                "takes reasoning budgets of [1, 1000] tokens",
                "a reasoning budget of 5000 tokens replaced by a reasoning budget of 1000 tokens: eye takes reasoning budgets of [1, 1000] tokens",
            ),
            Thinking::Budget(1_000),
        ),
        (
            switchable,
            Thinking::Effort(Effort::Max),
            only_lossy(
                refused,
                "takes the efforts low, high only",
                "effort max replaced by thinking on: eye takes the efforts low, high only",
            ),
            Thinking::On,
        ),
        (
            "thinking.mode = 'switchable'",
            Thinking::Budget(9),
            only_lossy(
                refused,
                "takes no reasoning budget",
                "a reasoning budget of 9 tokens replaced by thinking on: eye takes no reasoning budget",
            ),
            Thinking::On,
        ),
        (
            "thinking.mode = 'none'",
            Thinking::Budget(9),
            only_lossy(
                refused,
                "eye never reasons",
                "a reasoning budget of 9 tokens left out: eye never reasons",
            ),
            Thinking::Default,
        ),
        (
            "thinking.mode = 'none'",
            Thinking::On,
            only_lossy(refused, "(allowed: thinking: none)", "thinking on left out: eye never reasons"),
            Thinking::Default,
        ),
        ("thinking.mode = 'none'", Thinking::Off, always(Same), Thinking::Off),
        (
            "thinking.mode = 'forced'",
            Thinking::Off,
            only_lossy(refused, "eye always reasons", "thinking off left out: eye always reasons"),
            Thinking::Default,
        ),
        ("thinking.mode = 'forced'", Thinking::On, always(Same), Thinking::On),
    ] {
        let name = format!("{thinking:?} ({rules})");
        check(&name, rules, &think(thinking), outcomes);
        assert_eq!(plan(rules, &think(thinking), Tolerance::Lossy).unwrap().request.thinking, sent, "{name}");
    }
}

#[test]
fn a_model_that_reasons_only_when_streaming_is_streamed() {
    let streamed = Changed("thinking", "streamed and collected, since the model reasons only when streaming");
    let refused = Refused("thinking", "eye reasons only when streaming");
    let only = "thinking = { stream_only = true, mode = 'switchable' }";
    let default_on = "thinking = { stream_only = true, default_on = true }";
    let forced = "thinking = { stream_only = true, mode = 'forced' }";
    for (rules, thinking, outcomes) in [
        (only, Thinking::On, [refused, streamed, streamed]),
        (only, Thinking::Default, always(Same)),
        (default_on, Thinking::Default, [refused, streamed, streamed]),
        (default_on, Thinking::Off, always(Same)),
        (forced, Thinking::Default, [refused, streamed, streamed]),
        ("thinking.mode = 'switchable'", Thinking::On, always(Same)),
    ] {
        let request = ask().with_thinking(thinking);
        check(rules, rules, &request, outcomes);
        let wanted = matches!(outcomes[1], Changed(..));
        assert_eq!(plan(rules, &request, Tolerance::Lossless).unwrap().requires_streaming, wanted, "{rules}");
        let strict = request.with_tolerance(Tolerance::Strict);
        let streamed = builder(&strict, card(rules)).finish(Estimate::default()).unwrap();
        assert_eq!((streamed.requires_streaming, streamed.adjustments.len()), (wanted, 0), "{rules}");
    }
}

#[test]
fn five_faults_are_five_violations_at_once() {
    let rules = "image = { max_side = 10, formats = ['png'] }\nmax_output = 9\nstop.count = 0\nsampling.temperature = '[0, 1]'";
    let request =
        ChatRequest::new([Message::system("x").with(picture(1, 1)), Message::user("x").with(picture(11, 1))])
            .with_max_tokens(10)
            .with_stop(["x"])
            .with_temperature(f64::NAN);
    let error = plan(rules, &request, Tolerance::Lossless).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    let paths: Vec<&str> = error.violations().iter().map(|violation| &*violation.path).collect();
    assert_eq!(paths, ["messages[0].parts[1]", "messages[1].parts[1]", "temperature", "max_tokens", "stop"]);
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn media_are_never_dropped() {
    let rules =
        "image = { detail = false }\nvideo = { must_be_first = true, fps = false }\nsampling.decimals = 1";
    let request = ChatRequest::new([
        Message::user("a")
            .with(picture(1, 1).with_detail(Detail::Low))
            .with(clip(1).with_fps(3.0))
            .with(picture(2, 2)),
        Message::assistant("b"),
        Message::user("c").with(Video::from_frames([picture(1, 1)]).unwrap()).with(clip(5)),
    ]);
    let count = |request: &ChatRequest| {
        request.messages.iter().map(|message| message.parts.len()).collect::<Vec<_>>()
    };
    for tolerance in TOLERANCES {
        match plan(rules, &request, tolerance) {
            Ok(plan) => assert_eq!(count(&plan.request), count(&request)),
            Err(error) => assert!(tolerance < Tolerance::Lossy, "{error}"),
        }
    }
    let plan = plan(rules, &request, Tolerance::Lossy).unwrap();
    assert!(plan.adjustments.iter().any(|adjustment| !adjustment.lossless));
}

#[test]
fn an_unknown_model_passes_with_a_note() {
    let catalog = Catalog::from_toml("vendor = 'acme'").unwrap();
    for tolerance in TOLERANCES {
        let request = ask_about(picture(50_000, 1).with_detail(Detail::High))
            .with_model("next")
            .with_max_tokens(u32::MAX);
        let plan = builder(&request.with_tolerance(tolerance), catalog.card("next"))
            .finish(Estimate::default())
            .unwrap();
        assert_eq!(plan.notes, ["next is not in the catalogue: its limits are not known"]);
        assert_eq!((plan.model(), plan.adjustments.len()), ("next", 0));
    }
}

#[test]
fn a_plan_names_its_model() {
    let planned = plan("", &ask(), Tolerance::Strict).unwrap();
    assert_eq!((planned.model(), planned.request.model.as_deref()), ("eye", Some("eye")));
    let unnamed = builder(&ask(), Arc::default()).finish(Estimate::default()).unwrap_err();
    assert_eq!(unnamed.violations()[0].path, "model");
    let retired = plan("status = 'retired'\nreplacement = 'eye-2'", &ask(), Tolerance::Strict).unwrap();
    assert_eq!(retired.notes, ["eye is retired: move to eye-2"]);
    assert_eq!(plan("status = 'fading'", &ask(), Tolerance::Strict).unwrap().notes, ["eye is fading"]);
}

#[test]
fn an_estimate_is_priced_by_its_tier_or_unknown() {
    let rules = "prices = [\n{ currency = 'CNY', input = 1.0, output = 3.0 },\n{ currency = 'CNY', input = 2.0, output = 6.0, above_input_tokens = 1000 },\n{ currency = 'USD', input = 9.0, output = 9.0 }]";
    let estimated = |text: Count, limit: Option<u32>| {
        let request = limit.map_or_else(ask, |limit| ask().with_max_tokens(limit));
        let estimate = Estimate::tokens(text, Count::exact(600), Count::exact(0));
        let estimate = builder(&request, card(rules)).finish(estimate).unwrap().estimate;
        [estimate.input_cost, estimate.cost].map(|cost| cost.unwrap().to_string())
    };
    let exact = Count::exact;
    assert_eq!(estimated(exact(400), Some(100)), ["0.001000 CNY", "0.001000 to 0.001300 CNY"]);
    assert_eq!(estimated(exact(401), Some(100)), ["0.002002 CNY", "0.002002 to 0.002602 CNY"]);
    assert_eq!(estimated(exact(1), None)[1], "at least 0.000601 CNY", "no limit, no upper bound");
    assert_eq!(
        estimated(Count::at_least(1), Some(1)),
        ["at least 0.000601 CNY", "at least 0.000601 CNY"],
        "a count without a bound"
    );
    let unpriced = builder(&ask(), card("")).finish(Estimate::default()).unwrap();
    assert_eq!((unpriced.estimate.input_cost, unpriced.estimate.cost), (None, None));
}

#[test]
fn media_count_against_the_context_where_their_number_is_exact() {
    let refused = |image: Count| {
        let estimate = Estimate::tokens(Count::exact(10), image, Count::exact(0));
        builder(&ask(), card("context = 1000")).finish(estimate).is_err()
    };
    assert!(refused(Count::exact(991)));
    assert!(!refused(Count::exact(990)));
    assert!(!refused(Count::by_formula(5_000)), "a formula may be wrong");
}

#[test]
fn many_messages_are_checked_in_linear_time() {
    let many = (0..20_000).flat_map(|turn| {
        let id = turn.to_string();
        let call = Message::new(MessageRole::Assistant).with(ToolCall::new(id.clone(), "f", "{}"));
        [Message::user("?"), call, Message::tool_result(id, "ok")]
    });
    let started = std::time::Instant::now();
    plan("", &ChatRequest::new(many), Tolerance::Lossless).unwrap();
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn violations_are_shown_on_one_line_whatever_they_quote() {
    let nasty = "a\nb\r\u{85}\u{2028}\u{0}\u{1b}[31m";
    let error: Error =
        plan("", &ask().with_model(nasty).with_message(Message::tool_result(nasty, "x")), Tolerance::Strict)
            .unwrap_err();
    for shown in [error.to_string(), error.violations()[0].to_string(), format!("{error:?}")] {
        assert!(!shown.chars().any(|c| c.is_control() || c == '\u{2028}'), "{shown:?}");
    }
}
