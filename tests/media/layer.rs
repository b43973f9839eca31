//! The layer: planning is pure, sending makes pictures, the answer says what came out.

use std::sync::Arc;

use polysight::media::fit::{Fit, FitSettings, Oversize};
use polysight::{
    Catalog, ChatRequest, ErrorKind, Image, MediaSource, MockProvider, Part, Quantity, Tolerance, Video,
    VisionProvider, VisionProviderExt as _,
};
use polysight_testkit::pictures;

const CATALOG: &str = "vendor = \"mock\"\n[[models]]\nid = \"m\"\nimage = { max_side = 100, formats = [\"jpeg\"] }\n\
     video = { frames = true }\nsource = \"the test\"\nas_of = \"2026-01-01\"\n";

fn fitting(when: Oversize) -> (MockProvider, Fit) {
    let mock = MockProvider::new("mock").with_catalog(Catalog::from_toml(CATALOG).unwrap());
    (mock.clone(), Fit::new(Arc::new(mock), when, FitSettings::new()).unwrap())
}

fn request(tolerance: Tolerance) -> ChatRequest {
    let picture = pictures::exif_jpeg(320, 200, 6);
    let image = Image::from_bytes(picture).unwrap();
    let frames = Video::from_frames([image.clone(), image.clone()]).unwrap();
    ChatRequest::ask("what?", [Part::from(image), Part::from(frames)])
        .with_model("m")
        .with_tolerance(tolerance)
}

#[tokio::test]
async fn the_plan_says_what_will_be_done_and_the_answer_what_came_out() {
    let (mock, fit) = fitting(Oversize::Fit);
    let request = request(Tolerance::Lossless);
    let plan = fit.plan(&request).unwrap();
    let Part::Image(planned) = &plan.request.messages[0].parts[0] else { panic!("no picture") };
    assert!(matches!(planned.source(), MediaSource::Planned(_)), "{planned:?}");
    let info = planned.info().unwrap();
    assert_eq!((info.width, info.height), (100, 63));
    let said: Vec<String> = plan.adjustments.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(
        said[0].starts_with("messages[0].parts[0]: picture to be fitted: JPEG 320 x 200 px, "),
        "{}",
        said[0]
    );
    assert!(
        said[0].contains(" -> JPEG 100 x 63 px, at most ") && said[0].ends_with("(lossy)"),
        "{}",
        said[0]
    );
    assert!(said[2].starts_with("messages[0].parts[1].frames[1]: "), "{}", said[2]);

    let response = fit.send(plan).await.unwrap();
    let said: Vec<String> = response.adjustments.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 6, "{said:#?}");
    assert!(said[3].starts_with("messages[0].parts[0]: picture fitted: JPEG 100 x 63 px, "), "{}", said[3]);
    assert!(said[3].contains("quality 90") && said[3].contains("turned upright (EXIF 6)"), "{}", said[3]);
    let sent = mock.requests();
    let [sent] = sent.as_slice() else { panic!("one request") };
    let Part::Image(image) = &sent.messages[0].parts[0] else { panic!("no picture") };
    let MediaSource::Bytes(bytes) = image.source() else { panic!("no bytes") };
    assert!(pictures::distance(&pictures::corners(bytes), &pictures::QUARTERS) <= 8);
    let Part::Image(original) = &request.messages[0].parts[0] else { panic!("no picture") };
    assert!(matches!(original.source(), MediaSource::Bytes(_)), "the caller's request is as it was");
}

#[tokio::test]
async fn pictures_are_fitted_where_losses_are_tolerated() {
    let taken = |when: Oversize, tolerance| fitting(when).1.plan(&request(tolerance)).is_ok();
    for tolerance in [Tolerance::Strict, Tolerance::Lossless, Tolerance::Lossy] {
        assert!(!taken(Oversize::Refuse, tolerance));
        assert_eq!(taken(Oversize::Lossy, tolerance), tolerance == Tolerance::Lossy);
        assert_eq!(taken(Oversize::Fit, tolerance), tolerance != Tolerance::Strict);
    }
}

#[tokio::test]
async fn a_stream_and_a_plan_sent_twice_are_fitted_too() {
    let (mock, fit) = fitting(Oversize::Fit);
    let plan = fit.plan(&request(Tolerance::Lossless)).unwrap();
    fit.stream(plan.clone()).await.unwrap().collect_response().await.unwrap();
    fit.send(plan).await.unwrap();
    assert_eq!(mock.requests().len(), 2);
}

#[tokio::test]
async fn a_planned_picture_is_sent_by_its_layer_alone() {
    let (mock, fit) = fitting(Oversize::Fit);
    let plan = fit.plan(&request(Tolerance::Lossless)).unwrap();
    let error = mock.send(plan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.message().contains("messages[0].parts[0] is planned and not made yet"), "{error}");
    assert!(mock.requests().is_empty());
}

#[test]
fn a_budget_of_tokens_is_kept_by_the_vendors_own_formula_and_an_unknown_price_is_noted() {
    let image = Image::from_bytes(pictures::exif_jpeg(1_600, 1_200, 1)).unwrap();
    let plan = |setting: &str| {
        let config = format!(
            "[providers.p]\nbackend = \"qwen-vl\"\napi_key = \"sk-0123456789\"\n\
             [roles.r]\nmodel = \"qwen3.8-27b\"\noversize = {setting}\n"
        );
        let role = polysight::Polysight::from_toml(&config).unwrap().role("r").unwrap();
        role.plan(&ChatRequest::ask("what?", [image.clone()])).unwrap()
    };
    let tokens = |setting: &str| plan(setting).estimate.image_tokens.number().unwrap();
    let all = tokens("\"fit\"");
    let few = tokens("{ max_image_tokens = 500 }");
    assert!(all > 1_500 && (350..=500).contains(&few), "{all}, {few}");
    let unpriced = plan("{ max_image_cost = 0.001 }");
    assert!(
        unpriced.notes.iter().any(|note| note.contains("max_image_cost is not applied")),
        "{:?}",
        unpriced.notes
    );
}

#[test]
fn a_budget_of_money_is_kept_by_the_price_on_the_card() {
    // 1 CNY a million tokens: 0.0005 CNY are 500 tokens.
    let config = "[providers.p]\nbackend = \"qwen-vl\"\napi_key = \"sk-0123456789\"\n\
                  [roles.r]\nmodel = \"qwen3-vl-plus\"\noversize = { max_image_cost = 0.0005 }\n";
    let role = polysight::Polysight::from_toml(config).unwrap().role("r").unwrap();
    let sides = |width, height| {
        let image = Image::from_bytes(pictures::exif_jpeg(width, height, 1)).unwrap();
        let plan = role.plan(&ChatRequest::ask("what?", [image])).unwrap();
        assert!(!plan.notes.iter().any(|note| note.contains("not applied")), "{:?}", plan.notes);
        let Part::Image(planned) = &plan.request.messages[0].parts[0] else { panic!("no picture") };
        planned.info().unwrap().shown()
    };
    // Alibaba's formula for Qwen3-VL: a token for each 32 x 32 px, sides rounded to them, and two around a picture.
    let cells = |side: u32| (f64::from(side) / 32.0).round_ties_even() as u32;
    let tokens = |(width, height): (u32, u32)| cells(width) * cells(height) + 2;
    let small = sides(1_600, 1_200);
    assert!((400..=500).contains(&tokens(small)), "{small:?}: {} tokens", tokens(small));
    assert_eq!(sides(320, 240), (320, 240), "what costs less stays as it is");
}

#[test]
fn what_cannot_be_fitted_is_refused_with_every_reason() {
    let (_, fit) = fitting(Oversize::Fit);
    let bomb = Image::from_bytes(pictures::png_bomb()).unwrap();
    let error = fit.plan(&ChatRequest::ask("what?", [bomb]).with_model("m")).unwrap_err();
    let problems: Vec<&str> = error.violations().iter().map(|violation| &*violation.problem).collect();
    assert!(problems.iter().any(|problem| problem.contains("max_input_pixels")), "{problems:#?}");
    let limit = error.violations().iter().find_map(|violation| violation.limit_value).unwrap();
    assert_eq!((limit.of, limit.at_most, limit.actual), (Quantity::LongSide, Some(100.0), 60_000.0));
}

#[tokio::test]
async fn a_damaged_picture_fails_before_anything_is_sent() {
    let (mock, fit) = fitting(Oversize::Fit);
    let whole = pictures::exif_jpeg(320, 200, 1);
    let cut = Image::from_bytes(whole[..whole.len() / 2].to_vec()).unwrap();
    let error = fit.chat(ChatRequest::ask("what?", [cut]).with_model("m")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidMedia);
    assert!(error.message().contains("cut off"), "{error}");
    assert!(mock.requests().is_empty());
}
