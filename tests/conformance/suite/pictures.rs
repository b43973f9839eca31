//! Pictures in each of their forms: what arrives is what was sent.

use std::sync::Arc;

use image::ImageFormat;
use polysight::{ChatRequest, ErrorKind, Image, Video, VisionProvider, VisionProviderExt};
use polysight_tests::{picture, sha256};

use super::stage::Stage;

/// A JPEG unlike those of other numbers.
pub(super) fn jpeg(number: u32) -> Image {
    Image::from_bytes(jpeg_bytes(number)).unwrap()
}

pub(super) fn jpeg_bytes(number: u32) -> Vec<u8> {
    picture(ImageFormat::Jpeg, 60 + number, 40)
}

/// 2.6 seconds of video.
pub(super) fn pan() -> Video {
    Video::from_file(PAN).unwrap()
}

pub(super) const PAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/media/pan.mp4");

fn base64_of(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// Asks about a picture, plain and streamed, and looks for its measures.
async fn arrives(stage: &Stage, image: Image, bytes: &[u8]) {
    for streamed in [false, true] {
        let request = ChatRequest::ask("What is it?", [image.clone()]);
        let answer = match streamed {
            false => stage.vision().chat(request).await.unwrap(),
            true => stage.vision().stream_collected(request).await.unwrap(),
        };
        for fact in ["Picture 1: PNG, 63x40 px".to_owned(), format!("{} bytes", bytes.len()), sha256(bytes)] {
            assert!(answer.text.contains(&fact), "{fact} is not in: {}", answer.text);
        }
        assert!(answer.text.ends_with("You asked: What is it?"), "{}", answer.text);
    }
    assert!(stage.arrived().iter().all(|request| request.media == [sha256(bytes)]));
}

fn png() -> Vec<u8> {
    picture(ImageFormat::Png, 63, 40)
}

pub(super) async fn link(stage: Arc<Stage>) {
    let url = "https://example.com/a%20b.jpg?size=2&x=%2F";
    let answer = stage.vision().ask("What is it?", [Image::from_url(url).unwrap()]).await.unwrap();
    assert!(answer.text.contains(&format!("Picture 1: {url} (not fetched).")), "{}", answer.text);
}

pub(super) async fn bytes(stage: Arc<Stage>) {
    let bytes = png();
    arrives(&stage, Image::from_bytes(bytes.clone()).unwrap(), &bytes).await;
}

pub(super) async fn file(stage: Arc<Stage>) {
    let bytes = png();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    arrives(&stage, Image::from_file(file.path()).unwrap(), &bytes).await;
}

pub(super) async fn base64(stage: Arc<Stage>) {
    let bytes = png();
    arrives(&stage, Image::from_base64(base64_of(&bytes)).unwrap(), &bytes).await;
}

pub(super) async fn data_uri(stage: Arc<Stage>) {
    let bytes = png();
    let uri = format!("data:image/png;base64,{}", base64_of(&bytes));
    arrives(&stage, Image::from_data_uri(uri).unwrap(), &bytes).await;
}

pub(super) async fn order(stage: Arc<Stage>) {
    let pictures: Vec<Vec<u8>> = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Jpeg]
        .into_iter()
        .zip(1..)
        .map(|(format, number)| picture(format, 20 + number, 30))
        .collect();
    let images = [
        Image::from_base64(base64_of(&pictures[0])).unwrap(),
        Image::from_bytes(pictures[1].clone()).unwrap(),
        Image::from_data_uri(format!("data:image/png;base64,{}", base64_of(&pictures[2]))).unwrap(),
        Image::from_bytes(pictures[3].clone()).unwrap(),
    ];
    let answer = stage.vision().ask("What differs?", images).await.unwrap();
    for (number, (bytes, format)) in pictures.iter().zip(["PNG", "JPEG", "PNG", "JPEG"]).enumerate() {
        let line = answer.text.lines().nth(number).unwrap();
        assert!(line.starts_with(&format!("Picture {}: {format}, ", number + 1)), "{line}");
        assert!(line.contains(&sha256(bytes)), "{line}");
    }
    let sent: Vec<String> = pictures.iter().map(|bytes| sha256(bytes)).collect();
    assert_eq!(stage.arrived()[0].media, sent);
}

pub(super) async fn blind(stage: Arc<Stage>) {
    let error = stage.text().ask("What is it?", [jpeg(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(error.violations()[0].path, "messages[0].parts[0]");
    assert!(stage.arrived().is_empty());
}
