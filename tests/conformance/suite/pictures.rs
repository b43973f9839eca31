//! Pictures in each of their forms: what arrives is what was sent.

use std::sync::Arc;

use image::ImageFormat;
use polysight::{ChatRequest, ErrorKind, Image, Video, VisionProviderExt};
use polysight_testkit::calls::answers;
use polysight_testkit::{base64, example_file, picture, sha256};

use super::fixture::Fixture;

/// A JPEG unlike those of other numbers.
pub(super) fn jpeg(number: u32) -> Image {
    Image::from_bytes(jpeg_bytes(number)).unwrap()
}

pub(super) fn jpeg_bytes(number: u32) -> Vec<u8> {
    picture(ImageFormat::Jpeg, 60 + number, 40)
}

/// 2.6 seconds of video.
pub(super) fn pan() -> Video {
    Video::from_file(example_file("pan.mp4")).unwrap()
}

/// Asks about a picture, plain and streamed, and looks for its measures.
async fn arrives(fixture: &Fixture, image: Image, bytes: &[u8]) {
    for answer in answers(&fixture.vision(), ChatRequest::ask("What is it?", [image])).await {
        for fact in ["Picture 1: PNG, 63x40 px".to_owned(), format!("{} bytes", bytes.len()), sha256(bytes)] {
            assert!(answer.text.contains(&fact), "{fact} is not in: {}", answer.text);
        }
        assert!(answer.text.ends_with("You asked: What is it?"), "{}", answer.text);
    }
    assert!(fixture.arrived().iter().all(|request| request.media == [sha256(bytes)]));
}

fn png() -> Vec<u8> {
    picture(ImageFormat::Png, 63, 40)
}

pub(super) async fn link(fixture: Arc<Fixture>) {
    let url = "https://example.com/a%20b.jpg?size=2&x=%2F";
    let answer = fixture.vision().ask("What is it?", [Image::from_url(url).unwrap()]).await.unwrap();
    assert!(answer.text.contains(&format!("Picture 1: {url} (not fetched).")), "{}", answer.text);
}

pub(super) async fn bytes(fixture: Arc<Fixture>) {
    let bytes = png();
    arrives(&fixture, Image::from_bytes(bytes.clone()).unwrap(), &bytes).await;
}

pub(super) async fn file(fixture: Arc<Fixture>) {
    let bytes = png();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    arrives(&fixture, Image::from_file(file.path()).unwrap(), &bytes).await;
}

pub(super) async fn as_base64(fixture: Arc<Fixture>) {
    let bytes = png();
    arrives(&fixture, Image::from_base64(base64(&bytes)).unwrap(), &bytes).await;
}

pub(super) async fn data_uri(fixture: Arc<Fixture>) {
    let bytes = png();
    let uri = format!("data:image/png;base64,{}", base64(&bytes));
    arrives(&fixture, Image::from_data_uri(uri).unwrap(), &bytes).await;
}

pub(super) async fn order(fixture: Arc<Fixture>) {
    let formats =
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Png];
    let pictures: Vec<Vec<u8>> =
        formats.into_iter().zip(1..).map(|(format, number)| picture(format, 20 + number, 30)).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &pictures[4]).unwrap();
    let images = [
        Image::from_base64(base64(&pictures[0])).unwrap(),
        Image::from_bytes(pictures[1].clone()).unwrap(),
        Image::from_data_uri(format!("data:image/png;base64,{}", base64(&pictures[2]))).unwrap(),
        Image::from_bytes(pictures[3].clone()).unwrap(),
        Image::from_file(file.path()).unwrap(),
    ];
    let answer = fixture.vision().ask("What differs?", images).await.unwrap();
    for (number, (bytes, format)) in pictures.iter().zip(["PNG", "JPEG", "PNG", "JPEG", "PNG"]).enumerate() {
        let line = answer.text.lines().nth(number).unwrap();
        assert!(line.starts_with(&format!("Picture {}: {format}, ", number + 1)), "{line}");
        assert!(line.contains(&sha256(bytes)), "{line}");
    }
    let sent: Vec<String> = pictures.iter().map(|bytes| sha256(bytes)).collect();
    assert_eq!(fixture.arrived()[0].media, sent);
}

pub(super) async fn text_model(fixture: Arc<Fixture>) {
    let error = fixture.text().ask("What is it?", [jpeg(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(error.violations()[0].path, "messages[0].parts[0]");
    assert!(fixture.arrived().is_empty());
}
