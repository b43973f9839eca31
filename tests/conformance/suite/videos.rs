//! Videos in each of their forms.

use std::sync::Arc;

use polysight::{Video, VisionProviderExt};
use polysight_testkit::{example_file, sha256};

use super::fixture::Fixture;
use super::pictures::{jpeg, jpeg_bytes, pan};

pub(super) async fn link(fixture: Arc<Fixture>) {
    let url = "https://example.com/a.mp4";
    let answer = fixture.video().ask("What moves?", [Video::from_url(url).unwrap()]).await.unwrap();
    assert!(answer.text.contains(&format!("Video 1: {url} (not fetched).")), "{}", answer.text);
}

pub(super) async fn file(fixture: Arc<Fixture>) {
    let hash = sha256(&std::fs::read(example_file("pan.mp4")).unwrap());
    let answer = fixture.video().ask("What moves?", [pan()]).await.unwrap();
    assert!(answer.text.contains("Video 1: ") && answer.text.contains(&hash), "{}", answer.text);
    assert_eq!(fixture.arrived()[0].media, [hash]);
}

pub(super) async fn frames(fixture: Arc<Fixture>) {
    let answer =
        fixture.video().ask("What moves?", [Video::from_frames((1..=4).map(jpeg)).unwrap()]).await.unwrap();
    assert!(answer.text.contains("Video 1: 4 frames."), "{}", answer.text);
    for number in 1..=4 {
        let line = answer.text.lines().find(|line| line.starts_with(&format!("Video 1, frame {number}: ")));
        assert!(line.unwrap().contains(&sha256(&jpeg_bytes(number))), "{}", answer.text);
    }
}
