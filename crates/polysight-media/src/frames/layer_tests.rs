//! Videos over a model's limits: refused, cut, and as frames.

use std::sync::Arc;

use polysight_core::media::VideoSource;
use polysight_core::{
    Catalog, ChatRequest, ErrorKind, MediaSource, Part, Tolerance, Video, VisionProvider,
    VisionProviderExt as _,
};
use polysight_layers::testing::MockProvider;

use super::tests::{grey_of, grey_video};
use super::*;

const MODELS: &str = r#"
vendor = "mock"
[[models]]
id = "short"
video = { base64 = true, url = true, seconds = "(0, 30]", formats = ["mp4"], frames = false }
[[models]]
id = "frames"
video = { base64 = false, url = true, seconds = "[2, 7200]", frames = "[4, 512]", fps = "[0.1, 10]" }
"#;

fn mock() -> MockProvider {
    MockProvider::new("mock").with_catalog(Catalog::from_toml(MODELS).unwrap())
}

fn layer(mock: &MockProvider, mode: VideoMode) -> FitVideo {
    FitVideo::new(Arc::new(mock.clone()), VideoPolicy::new(mode)).unwrap()
}

fn sent(mock: &MockProvider) -> Video {
    let requests = mock.requests();
    let Part::Video(video) = &requests.last().unwrap().messages[0].parts[0] else { panic!() };
    video.clone()
}

fn request(video: &Video, model: &str) -> ChatRequest {
    ChatRequest::ask("what?", [video.clone()]).with_model(model)
}

#[tokio::test]
async fn forty_five_seconds_are_refused_cut_or_made_frames() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = grey_video(&folder.path().join("a.mp4"), 45, &["-c:v", "mpeg4", "-q:v", "2"]) else {
        return;
    };

    let mock = mock();
    for (mode, tolerance) in [(VideoMode::Refuse, Tolerance::Lossy), (VideoMode::Trim, Tolerance::Strict)] {
        let mut request = request(&video, "short");
        request.tolerance = Some(tolerance);
        let error = layer(&mock, mode).plan(&request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(
            error.to_string().contains("the video takes 45.0 s") && error.to_string().contains("(0, 30] s"),
            "{error}"
        );
    }

    let trimming = layer(&mock, VideoMode::Trim);
    let plan = trimming.plan(&request(&video, "short")).unwrap();
    assert!(
        plan.adjustments[0].to_string().contains("45.0 s will be cut off at 30 s"),
        "{:?}",
        plan.adjustments
    );
    let response = trimming.send(plan).await.unwrap();
    let cut = sent(&mock);
    let time = cut.info().unwrap().duration.unwrap().as_secs_f64();
    assert!((29.0..=30.0).contains(&time), "{time}");
    assert!(response.adjustments.iter().any(|done| done.change.starts_with("cut to ") && !done.lossless));

    let framing = layer(&mock, VideoMode::Frames);
    let plan = framing.plan(&request(&video, "frames")).unwrap();
    assert!(
        plan.adjustments[0].change.contains("90 frames of 64 x 48 px at 2 a second"),
        "{:?}",
        plan.adjustments
    );
    framing.send(plan).await.unwrap();
    let made = sent(&mock);
    let VideoSource::Frames(frames) = made.source() else { panic!() };
    assert_eq!((frames.len(), made.fps()), (90, Some(2.0)));
    for (index, frame) in frames.iter().enumerate() {
        let expected = 16.0 + 5.0 * (index as f64 / 2.0).floor();
        assert!((grey_of(frame) - expected).abs() < 2.5, "frame {index}");
    }
    assert_eq!(mock.call_count(), 2);
}

#[tokio::test]
async fn the_time_of_other_containers_is_checked_too() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = grey_video(&folder.path().join("a.mkv"), 45, &["-c:v", "mpeg4"]) else { return };
    assert_eq!(video.info().unwrap().duration, None);
    let error = layer(&mock(), VideoMode::Refuse).plan(&request(&video, "short")).unwrap_err();
    assert!(
        error.to_string().contains("45.0 s") && error.to_string().contains("the video is MKV"),
        "{error}"
    );
}

#[tokio::test]
async fn a_missing_program_is_an_error_of_sending_and_nothing_is_sent() {
    let video = tests::some_video();
    let mut info = video.info().unwrap();
    info.duration = Some(std::time::Duration::from_secs(45));
    (info.width, info.height) = (Some(64), Some(48));
    let mock = mock();
    let policy = VideoPolicy::new(VideoMode::Frames).with_program("/nowhere/ffmpeg-of-none");
    let framing = FitVideo::new(Arc::new(mock.clone()), policy).unwrap();
    let error = framing.chat(request(&video.with_info(info), "frames")).await.unwrap_err();
    assert_eq!((error.kind(), mock.call_count()), (ErrorKind::Unsupported, 0));
    assert!(error.message().contains("install ffmpeg"), "{error}");
}

#[tokio::test]
async fn a_video_that_fits_or_is_elsewhere_stays_as_it_is() {
    let mock = mock();
    let url = Video::from_url("https://h.example/a.mp4").unwrap();
    for mode in [VideoMode::Refuse, VideoMode::Frames, VideoMode::Trim] {
        let response = layer(&mock, mode).chat(request(&url, "short")).await.unwrap();
        assert!(response.adjustments.is_empty());
        let small = tests::some_video();
        let response = layer(&mock, mode).chat(request(&small, "short")).await.unwrap();
        assert!(response.adjustments.is_empty(), "{:?}", response.adjustments);
        assert!(matches!(sent(&mock).source(), VideoSource::Whole(MediaSource::Bytes(_))));
    }
}
