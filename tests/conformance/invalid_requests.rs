//! Requests and media that are refused: a clear error, and nothing sent.

use image::ImageFormat;
use polysight::{ChatRequest, Error, ErrorKind, Image, Media, Message, ModelCard, Part, Tolerance, Video};
use polysight_emulator::Emulator;
use polysight_testkit::{calls, example_file, noise, picture, zhipu_config, zhipu_role};

/// Sends a request that must be refused before a byte leaves.
async fn refused(model: &str, request: ChatRequest) -> Error {
    let (emulator, role) = zhipu_role(model).await;
    let error = calls::plain(&role, request.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    let streamed = calls::open(&role, request).await.map(|_| ()).unwrap_err();
    assert_eq!(streamed.violations(), error.violations(), "streamed");
    assert!(emulator.requests().is_empty(), "something was sent");
    error
}

async fn refused_once(model: &str, request: ChatRequest, path: &str, part: &str) {
    let error = refused(model, request).await;
    let [violation] = error.violations() else { panic!("one violation is wanted: {error}") };
    assert_eq!(violation.path, path);
    let text = violation.to_string();
    assert!(text.contains(part), "`{part}` is not in: {text}");
    assert!(violation.source.is_some(), "a limit of the vendor names its source");
    assert!(!violation.limit.is_empty() && !text.contains('\n'));
}

fn image(format: ImageFormat, width: u32, height: u32) -> Image {
    Image::from_bytes(picture(format, width, height)).unwrap()
}

fn small() -> Image {
    image(ImageFormat::Png, 8, 8)
}

fn clip() -> Video {
    Video::from_file(example_file("pan.mp4")).unwrap()
}

fn hello() -> ChatRequest {
    ChatRequest::new([Message::user("Hello")])
}

#[test]
fn files_that_are_no_pictures_are_refused_when_they_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("empty.png"), "").unwrap();
    std::fs::write(path("notes.png"), "just some text\n").unwrap();
    let jpeg = picture(ImageFormat::Jpeg, 100, 100);
    std::fs::write(path("cut.jpg"), &jpeg[..24]).unwrap();
    std::fs::create_dir(path("folder.png")).unwrap();
    for (name, part) in [
        ("missing.png", "no such file"),
        ("folder.png", "directory"),
        ("empty.png", "empty"),
        ("notes.png", "plain text"),
        ("cut.jpg", "JPEG header is cut off"),
    ] {
        let error = Media::open(&path(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidMedia);
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(part), "{text}");
    }
    let error = Image::from_url("sfile.example/a.jpg").unwrap_err().to_string();
    assert!(error.contains("no scheme"), "{error}");
}

#[tokio::test]
async fn pictures_over_the_limits_are_refused() {
    let large = Image::from_bytes(noise(1_450, 1_450)).unwrap();
    assert!(large.source().byte_len().unwrap() > 6_000_000);
    let model = "glm-4.6v";
    refused_once(model, ChatRequest::ask("?", [large]), "messages[0].parts[0]", "at most 5242880 bytes")
        .await;
    let long = image(ImageFormat::Png, 7_000, 10);
    refused_once(model, ChatRequest::ask("?", [long]), "messages[0].parts[0]", "7000 x 10 px").await;
    let six = (0..6).map(|_| small());
    refused_once("glm-4v-plus", ChatRequest::ask("?", six), "messages", "at most 5 for glm-4v-plus").await;
    let inline = ChatRequest::ask("?", [small()]);
    refused_once("glm-4v-flash", inline, "messages[0].parts[0]", "public http(s) URL").await;
}

#[tokio::test]
async fn pictures_of_earlier_turns_count() {
    let turn = |n: usize| Message::user("?").with(small()).with(format!("turn {n}"));
    let request = ChatRequest::new((0..6).map(turn));
    refused_once("glm-4v-plus", request, "messages", "earlier turns included").await;
}

#[tokio::test]
async fn videos_go_only_where_they_may() {
    refused_once("glm-4v", ChatRequest::ask("?", [clip()]), "messages[0].parts[0]", "takes no videos").await;
    let mixed = ChatRequest::ask("?", [Part::from(clip()), Part::from(small())]);
    refused_once("glm-4v-plus", mixed, "messages", "either pictures or videos").await;
    let inline = ChatRequest::ask("?", [clip()]);
    refused_once("glm-4.6v", inline, "messages[0].parts[0]", "no video inside the request").await;
}

#[tokio::test]
async fn a_video_behind_text_is_moved_under_lossless_and_refused_under_strict() {
    let request = ChatRequest::new([Message::user("What moves?").with(clip())]);
    let strict = request.clone().with_tolerance(Tolerance::Strict);
    refused_once("glm-4v-plus", strict, "messages[0].parts[1]", "the first part").await;
    let (emulator, role) = zhipu_role("glm-4v-plus").await;
    let answer = calls::plain(&role, request).await.unwrap();
    assert_eq!(answer.adjustments.len(), 1);
    assert!(answer.adjustments[0].to_string().contains("moved to the front"), "{}", answer.adjustments[0]);
    let body = emulator.requests()[0].body.clone().unwrap();
    assert_eq!(body["messages"][0]["content"][0]["type"], "video_url");
}

#[tokio::test]
async fn numbers_out_of_range_are_refused_and_brought_into_range_only_under_lossy() {
    let model = "glm-4v-plus";
    refused_once(model, hello().with_temperature(1.5), "temperature", "[0, 1]").await;
    refused_once(model, hello().with_top_p(2.0), "top_p", "[0.01, 1]").await;
    refused_once(model, hello().with_max_tokens(0), "max_tokens", "[1, 1024]").await;
    refused_once(model, hello().with_max_tokens(1_025), "max_tokens", "[1, 1024] for glm-4v-plus").await;
    refused_once(model, hello().with_end_user_id("abc"), "end_user_id", "6 to 128 characters").await;
    refused_once(model, hello().with_request_id("abc"), "request_id", "6 to 64 characters").await;
    let (emulator, role) = zhipu_role(model).await;
    let lossy = hello().with_temperature(1.5).with_max_tokens(9_999).with_tolerance(Tolerance::Lossy);
    let answer = calls::plain(&role, lossy).await.unwrap();
    assert_eq!(answer.adjustments.len(), 2);
    assert!(answer.adjustments.iter().all(|adjustment| !adjustment.lossless));
    let body = emulator.requests()[0].body.clone().unwrap();
    assert_eq!((body["temperature"].as_f64(), body["max_tokens"].as_u64()), (Some(1.0), Some(1_024)));
}

#[tokio::test]
async fn a_float_of_too_many_decimals_is_rounded_and_recorded() {
    let (emulator, role) = zhipu_role("glm-4.6v").await;
    let answer = calls::plain(&role, hello().with_temperature(f64::from(0.8f32))).await.unwrap();
    assert_eq!(answer.adjustments.len(), 1);
    assert_eq!(emulator.requests()[0].body.clone().unwrap()["temperature"], 0.8);
    let strict = hello().with_temperature(0.123).with_tolerance(Tolerance::Strict);
    refused_once("glm-4.6v", strict, "temperature", "at most 2 decimals").await;
}

#[tokio::test]
async fn temperature_zero_is_greedy_in_the_vendors_own_words() {
    let (emulator, role) = zhipu_role("glm-4.6v").await;
    calls::plain(&role, hello().with_temperature(0.0)).await.unwrap();
    calls::plain(&role, hello().with_greedy()).await.unwrap();
    for request in emulator.requests() {
        let body = request.body.unwrap();
        assert_eq!(body["do_sample"], false);
        assert!(body.get("temperature").is_none() && body.get("top_p").is_none());
    }
}

#[tokio::test]
async fn a_dialogue_must_ask_something() {
    let request = ChatRequest::new([Message::system("Be brief."), Message::assistant("I will.")]);
    refused_once("glm-4.6v", request, "messages", "no user message").await;
}

#[tokio::test]
async fn text_models_take_no_pictures() {
    refused_once("glm-4-air", ChatRequest::ask("?", [small()]), "messages[0].parts[0]", "text only").await;
}

#[tokio::test]
async fn thinking_that_cannot_be_switched_off_is_refused() {
    let off = hello().with_thinking(polysight::Thinking::Off);
    refused_once("glm-5.3-flash", off, "thinking", "always reasons").await;
}

#[tokio::test]
async fn five_faults_are_named_in_one_go() {
    let request = ChatRequest::ask("?", [image(ImageFormat::Png, 7_000, 10)])
        .with_temperature(1.5)
        .with_top_p(2.0)
        .with_max_tokens(0)
        .with_end_user_id("abc");
    let error = refused("glm-4.6v", request).await;
    let paths: Vec<&str> = error.violations().iter().map(|violation| violation.path.as_str()).collect();
    assert_eq!(paths, ["messages[0].parts[0]", "temperature", "top_p", "max_tokens", "end_user_id"]);
    assert!(!error.to_string().contains('\n'));
}

#[tokio::test]
async fn an_unknown_model_passes_without_limits_and_the_plan_notes_it() {
    let emulator = Emulator::start().await.unwrap();
    let polysight = polysight::Polysight::from_toml(&zhipu_config(&emulator, "glm-9v")).unwrap();
    let role = polysight.role("default").unwrap();
    let plan = calls::plan(&role, &ChatRequest::ask("?", (0..200).map(|_| small()))).unwrap();
    assert!(!plan.card.known);
    assert!(plan.notes.iter().any(|note| note.contains("not in the catalogue")), "{:?}", plan.notes);
    let error = calls::plain(&role, hello()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::ModelNotFound, Some("1211")));
    let _: &ModelCard = &plan.card;
}

#[tokio::test]
async fn nothing_shows_keys_pictures_or_signed_links() {
    let emulator = Emulator::builder().key("canary1.canary2").start().await.unwrap();
    let polysight = polysight::Polysight::from_toml(&zhipu_config(&emulator, "glm-4.6v")).unwrap();
    let role = polysight.role("default").unwrap();
    let link = Image::from_url("https://cdn.example/a.jpg?signature=canary3").unwrap();
    let bytes = Image::from_bytes(picture(ImageFormat::Png, 10, 10)).unwrap();
    let request = ChatRequest::ask("?", [link, bytes]);
    let error = calls::plain(&role, request.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "the key of the config is not the emulator's");
    for shown in
        [format!("{error}"), format!("{error:?}"), format!("{request:?}"), format!("{polysight:?}{role:?}")]
    {
        assert!(
            !shown.contains("canary") && !shown.contains("test.key") && !shown.contains("iVBOR"),
            "{shown}"
        );
    }
}
