//! Pictures that fit as they are, and end too early: refused where decoding proves it, and left alone where it does not.

use std::io::Cursor;
use std::sync::Arc;

use polysight::media::fit::{Fit, FitSettings, Oversize};
use polysight::{
    ChatRequest, ErrorKind, Image, ImageFormat, MockProvider, Tolerance, VisionProviderExt as _,
};
use polysight_testkit::pictures;

use crate::{bytes_of, fitted, narrow};

fn encoded(format: image::ImageFormat) -> Vec<u8> {
    let image = image::DynamicImage::ImageRgb8(pictures::quarters(320, 200));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn progressive() -> Vec<u8> {
    let image = pictures::quarters(320, 200);
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
    encoder.set_progressive(true);
    encoder.encode(image.as_raw(), 320, 200, jpeg_encoder::ColorType::Rgb).unwrap();
    bytes
}

/// Whole pictures of every format that has an end.
fn whole() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("baseline JPEG", pictures::jpeg(&pictures::quarters(320, 200), 90)),
        ("progressive JPEG", progressive()),
        ("PNG", encoded(image::ImageFormat::Png)),
        ("WebP", encoded(image::ImageFormat::WebP)),
        ("GIF", encoded(image::ImageFormat::Gif)),
        ("BMP", encoded(image::ImageFormat::Bmp)),
        ("HEIC", pictures::heic(&[])),
    ]
}

fn as_it_is(picture: &[u8]) -> polysight::Result<()> {
    let fitted = fitted(picture, &narrow(1_000), &FitSettings::new())?;
    assert!(fitted.report.is_none(), "nothing is done to it");
    assert_eq!(bytes_of(&fitted), picture);
    Ok(())
}

#[test]
fn a_picture_that_is_cut_off_is_refused_though_it_fits() {
    // The decoder of HEIC gives what there is of a picture: a HEIC that is cut off in its pixels passes.
    for (name, picture) in whole().into_iter().filter(|(name, _)| *name != "HEIC") {
        as_it_is(&picture).unwrap();
        for tenths in [7, 9] {
            let cut = as_it_is(&picture[..picture.len() * tenths / 10]);
            let error = cut.err().unwrap_or_else(|| panic!("{name} at {tenths} tenths is taken"));
            assert_eq!(error.kind(), ErrorKind::InvalidMedia, "{name}: {error}");
            let message = error.message();
            assert!(message.contains("its end is missing"), "{name} at {tenths} tenths: {message}");
        }
    }
}

#[test]
fn what_stands_behind_the_end_and_end_marks_that_are_left_out_are_no_damage() {
    for (name, picture) in whole() {
        for more in [&[0; 600][..], b"MotionPhoto_Data of some length"] {
            as_it_is(&[&picture, more].concat()).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    let [jpeg, _, _, _, gif, ..] = &whole()[..] else { panic!("seven pictures") };
    // Two bytes end a JPEG, and one a GIF.
    for ((name, picture), end) in [(jpeg, 2), (gif, 1)] {
        let short = &picture[..picture.len() - end];
        as_it_is(short).unwrap_or_else(|error| panic!("{name}: {error}"));
        let small = fitted(short, &narrow(100), &FitSettings::new()).unwrap();
        assert_eq!(small.report.unwrap().sides, (100, 63), "{name}");
    }
}

#[tokio::test]
async fn the_layer_sends_nothing_that_is_cut_off_whatever_is_tolerated() {
    let folder = tempfile::tempdir().unwrap();
    let picture = pictures::jpeg(&pictures::quarters(320, 200), 90);
    let file = folder.path().join("a.jpg");
    std::fs::write(&file, &picture[..picture.len() / 2]).unwrap();
    let cut_off =
        [Image::from_file(&file).unwrap(), Image::from_bytes(picture[..picture.len() / 2].to_vec()).unwrap()];
    for image in cut_off {
        assert_eq!(image.info().unwrap().format, ImageFormat::Jpeg);
        for tolerance in [Tolerance::Strict, Tolerance::Lossless, Tolerance::Lossy] {
            let mock = MockProvider::new("mock");
            let fit = Fit::new(Arc::new(mock.clone()), Oversize::Lossy, FitSettings::new()).unwrap();
            let request =
                |image| ChatRequest::ask("what?", [image]).with_model("m").with_tolerance(tolerance);
            let error = fit.chat(request(image.clone())).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidMedia);
            assert!(error.message().contains("its end is missing"), "{error}");
            assert!(mock.requests().is_empty());
            fit.chat(request(Image::from_bytes(picture.clone()).unwrap())).await.unwrap();
            assert_eq!(mock.requests().len(), 1);
        }
    }
}
