//! A video over a model's limits: refused, cut, as frames, and uploaded, by keys of a config.

use std::path::Path;
use std::process::Command;

use polysight::{ChatRequest, Polysight, Tolerance, Video, VisionProvider as _};
use polysight_emulator::Emulator;
use polysight_testkit::Wire;

/// Makes a video of 45 s; `None`, with a word on stdout, where there is no `ffmpeg`. A box of padding makes it as large as
/// videos of cameras are.
fn long_video(path: &Path, padding: usize) -> Option<Video> {
    let source = "testsrc=size=160x120:rate=10:duration=45";
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", source, "-c:v", "mpeg4"])
        .arg(path)
        .status();
    match made {
        Ok(status) => assert!(status.success()),
        Err(_) => {
            println!("left out: no ffmpeg");
            return None;
        }
    }
    let mut file = std::fs::read(path).unwrap();
    file.extend(((padding + 8) as u32).to_be_bytes());
    file.extend(b"free");
    file.resize(file.len() + padding, 0);
    std::fs::write(path, file).unwrap();
    Some(Video::from_file(path).unwrap())
}

fn config(emulator: &Emulator, wire: Wire, model: &str, provider: &str, role: &str) -> Polysight {
    let text = format!(
        "[providers.p]\n{}api_key = \"{}\"\nbase_url = \"{}\"\n{provider}\n[roles.r]\nmodel = \"{model}\"\n{role}\n",
        wire.config(),
        wire.key(),
        emulator.base_url(wire.surface()),
    );
    Polysight::from_toml(&text).unwrap()
}

fn request(video: &Video, tolerance: Tolerance) -> ChatRequest {
    ChatRequest::ask("what happens?", [video.clone()]).with_tolerance(tolerance)
}

#[tokio::test]
async fn forty_five_seconds_for_glm_4v_plus_are_refused_or_cut_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = long_video(&folder.path().join("a.mp4"), 0) else { return };
    let emulator = Emulator::start().await.unwrap();
    let role = |key: &str| config(&emulator, Wire::Zhipu, "glm-4v-plus", "", key).role("r").unwrap();
    for (key, tolerance) in [("", Tolerance::Lossless), ("video = \"trim\"", Tolerance::Strict)] {
        let error = role(key).plan(&request(&video, tolerance)).unwrap_err();
        assert!(error.to_string().contains("45.0 s") && error.to_string().contains("(0, 30] s"), "{error}");
    }
    let role = role("video = \"trim\"");
    let plan = role.plan(&request(&video, Tolerance::Lossless)).unwrap();
    assert!(emulator.requests().is_empty());
    assert!(
        plan.adjustments.iter().any(|done| done.change.contains("will be cut off at 30 s") && !done.lossless)
    );
    role.send(plan).await.unwrap();
    let requests = emulator.requests();
    let seconds = requests.last().unwrap().media[0].seconds.unwrap();
    assert!((29.0..=30.0).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_video_too_large_for_a_request_becomes_frames_for_qwen() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = long_video(&folder.path().join("a.mp4"), 9_000_000) else { return };
    let emulator = Emulator::start().await.unwrap();
    let polysight = config(&emulator, Wire::QwenVl, "qwen3-vl-plus", "", "video = { mode = \"frames\" }");
    let role = polysight.role("r").unwrap();
    let response = role.send(role.plan(&request(&video, Tolerance::Lossless)).unwrap()).await.unwrap();
    assert!(
        response
            .adjustments
            .iter()
            .any(|done| done.change.contains("90 frames of 160 x 120 px at 2 a second"))
    );
    let requests = emulator.requests();
    let media = &requests.last().unwrap().media;
    assert_eq!(media.len(), 90);
    assert!(media.iter().all(|frame| (frame.format, frame.width) == (Some("JPEG"), Some(160))));
    assert!(requests.last().unwrap().body.as_ref().unwrap().to_string().contains("\"fps\":2"));
}

#[tokio::test]
async fn a_video_too_large_for_a_request_is_uploaded_once_where_the_config_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = long_video(&folder.path().join("a.mp4"), 9_000_000) else { return };
    let emulator = Emulator::start().await.unwrap();
    let refused = config(&emulator, Wire::QwenVl, "qwen3-vl-plus", "", "");
    assert!(refused.role("r").unwrap().plan(&request(&video, Tolerance::Lossless)).is_err());
    let polysight = config(&emulator, Wire::QwenVl, "qwen3-vl-plus", "upload = true", "");
    let role = polysight.role("r").unwrap();
    for _ in 0..2 {
        let plan = role.plan(&request(&video, Tolerance::Lossless)).unwrap();
        assert!(plan.adjustments.iter().any(|done| done.change.contains("will be uploaded")));
        role.send(plan).await.unwrap();
    }
    let paths: Vec<String> = emulator.requests().iter().map(|request| request.path.clone()).collect();
    assert_eq!(paths.iter().filter(|path| path.contains("uploads")).count(), 1, "{paths:?}");
    assert!(emulator.requests().last().unwrap().body.as_ref().unwrap().to_string().contains("oss://"));
}

#[test]
fn keys_of_media_are_checked_when_the_config_is_read() {
    let faults = |provider: &str, role: &str| {
        let text = format!("[providers.p]\n{provider}\n[roles.r]\nmodel = \"m\"\n{role}");
        match Polysight::from_toml(&text) {
            Ok(_) => String::new(),
            Err(error) => error.violations().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    };
    let qwen = "backend = \"qwen-vl\"";
    for (key, words) in [
        ("fetch = \"auto\"", ""),
        ("fetch = { mode = \"us\", total = 5, allow_networks = [\"10.0.0.0/8\"] }", ""),
        ("video = { fps = 1, max_frames = 20 }", ""),
        ("fetch = \"always\"", "roles.r.fetch"),
        ("fetch = { max_bytes = 0 }", "roles.r.fetch"),
        ("fetch = { prots = [1] }", "roles.r.fetch"),
        ("video = \"cut\"", "roles.r.video"),
        ("video = { fps = 0 }", "roles.r.video"),
    ] {
        let found = faults(qwen, key);
        assert_eq!(found.is_empty(), words.is_empty(), "{key}: {found}");
        assert!(found.contains(words), "{key}: {found}");
    }
    let elsewhere =
        "backend = \"qwen-vl\"\ndeployment = \"vllm\"\nbase_url = \"http://127.0.0.1:1/v1\"\nupload = true";
    assert!(faults(elsewhere, "").contains("upload"), "{}", faults(elsewhere, ""));
}
