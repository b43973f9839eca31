//! The layers over a provider that is scripted, and media from loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use polysight_core::media::VideoSource;
use polysight_core::{
    Catalog, ChatRequest, Error, ErrorKind, Image, MediaSource, Part, Result, Tolerance, Video,
    VisionProvider, VisionProviderExt as _,
};
use polysight_layers::testing::MockProvider;
use url::Url;

use super::tests::{PNG, Server, ok};
use super::*;

/// A model that fetches URLs itself, one that does not, and one that takes nothing else.
const MODELS: &str = r#"
vendor = "mock"
[[models]]
id = "both"
image = { url = true, base64 = true }
[[models]]
id = "inline"
image = { url = false, base64 = true, max_bytes = 20000, max_side = 100 }
[[models]]
id = "store"
image = { url = true, base64 = false, schemes = ["oss"] }
video = { url = true, base64 = true, max_base64_bytes = 500, fps = "[0.1, 10]", schemes = ["oss"], seconds = "[2, 60]" }
"#;

fn mock() -> MockProvider {
    MockProvider::new("mock").with_catalog(Catalog::from_toml(MODELS).unwrap())
}

fn fetching(mock: &MockProvider, mode: FetchMode, server: &Server) -> Fetch {
    let policy = FetchPolicy::new().with_allowed_host("127.0.0.1").with_port(server.port).with_mode(mode);
    Fetch::new(Arc::new(mock.clone()), Fetcher::new(policy).unwrap())
}

fn request(url: &Url, model: &str) -> ChatRequest {
    ChatRequest::ask("what?", [Image::from_url(url.as_str()).unwrap()]).with_model(model)
}

/// What the provider got as the picture of its last call.
fn got(mock: &MockProvider) -> MediaSource {
    let requests = mock.requests();
    let Part::Image(image) = &requests.last().unwrap().messages[0].parts[0] else { panic!() };
    image.source().clone()
}

fn changes(adjustments: &[polysight_core::Adjustment]) -> Vec<String> {
    adjustments.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_card_and_the_mode_decide_who_fetches() {
    let server = Server::start(vec![("/a.png?sign=1", ok(PNG))]).await;
    let url = server.url("127.0.0.1", "/a.png?sign=1");
    for (mode, model, fetches) in [
        (FetchMode::Vendor, "both", false),
        (FetchMode::Us, "both", true),
        (FetchMode::Auto, "both", false),
        (FetchMode::Us, "inline", true),
        (FetchMode::Auto, "inline", true),
        (FetchMode::Us, "unknown-model", true),
        (FetchMode::Auto, "unknown-model", false),
    ] {
        let mock = mock();
        let layer = fetching(&mock, mode, &server);
        let before = server.count();
        let plan = layer.plan(&request(&url, model)).unwrap();
        assert_eq!(server.count(), before, "planning fetches nothing");
        assert_eq!(
            plan.adjustments.iter().any(|done| done.change.contains("will be fetched")),
            fetches,
            "{mode:?} {model}"
        );
        let response = layer.send(plan).await.unwrap();
        assert_eq!(server.count(), before + usize::from(fetches), "{mode:?} {model}");
        assert_eq!(got(&mock).url().is_none(), fetches, "{mode:?} {model}");
        let said = changes(&response.adjustments).join("; ");
        assert_eq!(said.contains("29 bytes of image/png fetched from 127.0.0.1"), fetches, "{said}");
        assert!(!said.contains("sign"), "{said}");
    }
    let error = fetching(&mock(), FetchMode::Vendor, &server).plan(&request(&url, "inline")).unwrap_err();
    assert!(error.to_string().contains("fetches no picture from a URL"), "{error}");
}

#[tokio::test]
async fn auto_fetches_once_after_the_vendors_own_word() {
    let server = Server::start(vec![("/a.png", ok(PNG))]).await;
    let url = server.url("127.0.0.1", "/a.png");
    let unreached = || Error::new(ErrorKind::MediaFetchFailed, "cannot download").with_code("1210");
    for streamed in [false, true] {
        let mock = mock().error(unreached()).answer("a cat");
        let layer = fetching(&mock, FetchMode::Auto, &server);
        let plan = layer.plan(&request(&url, "both")).unwrap();
        let response = if streamed {
            layer.stream(plan).await.unwrap().collect_response().await.unwrap()
        } else {
            layer.send(plan).await.unwrap()
        };
        assert_eq!((response.text.as_str(), mock.call_count()), ("a cat", 2));
        assert!(matches!(got(&mock), MediaSource::Bytes(bytes) if bytes == PNG));
        assert!(changes(&response.adjustments).join(";").contains("fetched from"));
    }
    // Not twice, not for another error, not under another mode, and not where nothing may be changed.
    let mock = mock().error(unreached()).error(unreached());
    let error = fetching(&mock, FetchMode::Auto, &server).chat(request(&url, "both")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts().len(), mock.call_count()),
        (ErrorKind::MediaFetchFailed, 1, 2)
    );
    for (mode, error, tolerance) in [
        (FetchMode::Auto, Error::new(ErrorKind::Server, ""), Tolerance::Lossless),
        (FetchMode::Vendor, unreached(), Tolerance::Lossless),
        (FetchMode::Auto, unreached(), Tolerance::Strict),
    ] {
        let mock = self::mock().error(error);
        let mut request = request(&url, "both");
        request.tolerance = Some(tolerance);
        assert!(fetching(&mock, mode, &server).chat(request).await.is_err());
        assert_eq!(mock.call_count(), 1, "{mode:?} {tolerance}");
    }
}

#[tokio::test]
async fn what_was_fetched_is_held_against_the_models_limits() {
    let mut wide = PNG.to_vec();
    wide[19] = 200;
    let mut long = PNG.to_vec();
    long.resize(30_000, 7);
    let server =
        Server::start(vec![("/wide", ok(&wide)), ("/long", ok(&long)), ("/html", ok(b"<html>"))]).await;
    for (path, words) in
        [("/wide", "sides of at most 100 px"), ("/long", "at most 20000 bytes"), ("/html", "HTML")]
    {
        let mock = mock();
        let layer = fetching(&mock, FetchMode::Auto, &server);
        let error = layer.chat(request(&server.url("127.0.0.1", path), "inline")).await.unwrap_err();
        assert!(error.to_string().contains(words), "{path}: {error}");
        assert_eq!((mock.call_count(), error.provider()), (0, Some("mock")), "{path}");
    }
}

#[tokio::test]
async fn a_url_of_the_inside_is_a_violation_of_the_plan() {
    let server = Server::start(vec![]).await;
    let layer = fetching(&mock(), FetchMode::Us, &server);
    let url = Url::parse("http://169.254.169.254/latest").unwrap();
    let error = layer.plan(&request(&url, "both")).unwrap_err();
    let [violation] = error.violations() else { panic!("{error}") };
    assert_eq!(violation.path, "messages[0].parts[0]");
    assert!(violation.problem.contains("link-local") && !error.to_string().contains("169.254"), "{error}");
}

#[tokio::test]
async fn a_plan_is_not_sent_before_its_media_are_there() {
    let server = Server::start(vec![("/a.png", ok(PNG))]).await;
    let mock = mock();
    let plan =
        fetching(&mock, FetchMode::Us, &server).plan(&request(&server.url("127.0.0.1", "/a.png"), "both"));
    let error = plan.unwrap().require_provider(mock.id()).unwrap_err();
    assert!(error.message().contains("messages[0].parts[0] is planned and not made yet"), "{error}");
}

#[derive(Debug, Default)]
struct Store(AtomicUsize);

#[async_trait]
impl Uploader for Store {
    async fn upload(&self, model: &str, _source: &MediaSource) -> Result<Url> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Url::parse(&format!("oss://{model}/{number}")).unwrap())
    }
}

fn movie(length: usize) -> Vec<u8> {
    let boxed = |kind: &[u8; 4], content: &[u8]| {
        [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
    };
    let handler = boxed(b"mdia", &boxed(b"hdlr", b"\0\0\0\0\0\0\0\0vide"));
    let movie = boxed(b"moov", &boxed(b"trak", &handler));
    [boxed(b"ftyp", b"isom\0\0\0\0isom"), movie, boxed(b"free", &vec![0; length])].concat()
}

#[tokio::test]
async fn what_cannot_stand_in_a_request_is_uploaded_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    std::fs::write(&path, movie(1_000)).unwrap();
    let (mock, store) = (mock(), Arc::new(Store::default()));
    let layer = Upload::new(Arc::new(mock.clone()), Arc::clone(&store) as Arc<dyn Uploader>);
    let parts = || {
        let small = Video::from_bytes(movie(10)).unwrap();
        let large = Video::from_file(&path).unwrap().with_fps(1.0);
        let image = Image::from_bytes(PNG).unwrap();
        [Part::from(small), large.into(), image.into()]
    };
    for round in 0..2 {
        let plan = layer.plan(&ChatRequest::ask("what?", parts()).with_model("store")).unwrap();
        assert_eq!(store.0.load(Ordering::SeqCst), round * 2, "planning uploads nothing");
        layer.send(plan).await.unwrap();
        let requests = mock.requests();
        let sent = &requests.last().unwrap().messages[0].parts;
        let url =
            |part: &Part| crate::prepare::source_of(part).and_then(MediaSource::url).map(Url::to_string);
        assert_eq!(url(&sent[0]), None);
        assert!(url(&sent[1]).unwrap().starts_with("oss://store/"));
        assert!(url(&sent[2]).unwrap().starts_with("oss://store/"));
        let Part::Video(video) = &sent[1] else { panic!() };
        assert!(matches!(video.source(), VideoSource::Whole(_)) && video.fps() == Some(1.0));
    }
    // The file was remembered, the bytes were not.
    assert_eq!(store.0.load(Ordering::SeqCst), 3);
}

#[cfg(feature = "fit")]
#[tokio::test]
async fn what_was_fetched_is_fitted_by_the_layer_inside() {
    use crate::fit::{Fit, FitSettings, Oversize};

    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(300, 200).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let server = Server::start(vec![("/a.png", ok(png.get_ref()))]).await;
    let mock = mock();
    let fit = Fit::new(Arc::new(mock.clone()), Oversize::Fit, FitSettings::new()).unwrap();
    let policy = FetchPolicy::new().with_allowed_host("127.0.0.1").with_port(server.port);
    let layer = Fetch::new(Arc::new(fit), Fetcher::new(policy).unwrap());
    // Beside it one that is here already: what the inner layer planned of it is planned again.
    let here = Image::from_bytes(png.get_ref().clone()).unwrap();
    let there = Image::from_url(server.url("127.0.0.1", "/a.png").as_str()).unwrap();
    let request = ChatRequest::ask("what?", [there, here]).with_model("inline");
    let response = layer.send(layer.plan(&request).unwrap()).await.unwrap();
    let requests = mock.requests();
    for part in &requests[0].messages[0].parts[..2] {
        let Part::Image(image) = part else { panic!() };
        assert_eq!(image.info().map(|info| info.shown()), Some((100, 67)), "{:?}", response.adjustments);
    }
    let said = changes(&response.adjustments);
    assert_eq!(said.iter().filter(|change| change.contains("picture fitted")).count(), 2, "{said:#?}");
}
