//! Videos in each of their forms.

use std::sync::Arc;

use polysight::{Video, VisionProviderExt};
use polysight_tests::sha256;

use super::pictures::{PAN, jpeg, jpeg_bytes, pan};
use super::stage::Stage;

pub(super) async fn link(stage: Arc<Stage>) {
    let url = "https://example.com/a.mp4";
    let answer = stage.video().ask("What moves?", [Video::from_url(url).unwrap()]).await.unwrap();
    assert!(answer.text.contains(&format!("Video 1: {url} (not fetched).")), "{}", answer.text);
}

pub(super) async fn file(stage: Arc<Stage>) {
    let hash = sha256(&std::fs::read(PAN).unwrap());
    let answer = stage.video().ask("What moves?", [pan()]).await.unwrap();
    assert!(answer.text.contains("Video 1: ") && answer.text.contains(&hash), "{}", answer.text);
    assert_eq!(stage.arrived()[0].media, [hash]);
}

pub(super) async fn frames(stage: Arc<Stage>) {
    let answer =
        stage.video().ask("What moves?", [Video::from_frames((1..=4).map(jpeg)).unwrap()]).await.unwrap();
    assert!(answer.text.contains("Video 1: 4 frames."), "{}", answer.text);
    for number in 1..=4 {
        let line = answer.text.lines().find(|line| line.starts_with(&format!("Video 1, frame {number}: ")));
        assert!(line.unwrap().contains(&sha256(&jpeg_bytes(number))), "{}", answer.text);
    }
}
