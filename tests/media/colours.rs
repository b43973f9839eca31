//! Orientation and colours, by the mean colours of the four corners.

use polysight::media::fit::{Alpha, FitSettings, FitStep, OutputFormat};
use polysight::{ErrorKind, ImageFormat};
use polysight_testkit::pictures::{self, PngKind, QUARTERS, corners, distance};

use crate::{bytes_of, fitted, narrow};

/// How far colours may move in a JPEG of quality 90.
const NEAR: u8 = 6;

/// Fits a picture to sides of at most 100 px, and compares its corners.
#[track_caller]
fn has_corners(picture: &[u8], expected: [[u8; 3]; 4]) -> Vec<FitStep> {
    let fitted = fitted(picture, &narrow(100), &FitSettings::new()).unwrap();
    let found = corners(&bytes_of(&fitted));
    assert!(distance(&found, &expected) <= NEAR, "{found:?} instead of {expected:?}");
    let report = fitted.report.unwrap();
    let info = fitted.image.info().unwrap();
    assert_eq!((info.width, info.height), report.sides);
    assert_eq!(report.sides, report.plan.to, "what was planned is what came out");
    report.steps
}

#[test]
fn every_exif_orientation_is_turned_upright() {
    for value in 1..=9 {
        let picture = pictures::exif_jpeg(320, 200, value);
        let steps = has_corners(&picture, QUARTERS);
        let turned = steps.contains(&FitStep::Turned { exif: value as u8 });
        assert_eq!(turned, (2..=8).contains(&value), "{value}: {steps:?}");
    }
    let cyclic =
        pictures::with_exif(&pictures::jpeg(&pictures::quarters(320, 200), 92), &pictures::cyclic_exif());
    has_corners(&cyclic, QUARTERS);
}

#[test]
fn a_picture_that_lies_on_its_side_is_turned_though_it_fits() {
    let picture = pictures::exif_jpeg(320, 200, 6);
    let upright = fitted(&picture, &narrow(400), &FitSettings::new()).unwrap();
    assert_eq!(upright.report.unwrap().sides, (320, 200));
    let mut as_it_lies = FitSettings::new();
    as_it_lies.upright = false;
    assert!(fitted(&picture, &narrow(400), &as_it_lies).unwrap().report.is_none());
}

#[test]
fn every_kind_of_png_keeps_its_colours() {
    let four = |x: u32, y: u32| QUARTERS[usize::from(x >= 160) + 2 * usize::from(y >= 100)];
    let kind = |colour, bits, interlaced| PngKind { colour, bits, interlaced };
    let rgb = |interlaced| pictures::png(kind(2, 8, interlaced), 320, 200, |x, y| four(x, y).to_vec());
    has_corners(&rgb(false), QUARTERS);
    has_corners(&rgb(true), QUARTERS);
    let index = |x: u32, y: u32| vec![u8::from(x >= 160) + 2 * u8::from(y >= 100)];
    has_corners(&pictures::png(kind(3, 8, false), 320, 200, index), QUARTERS);
    let deep = |x, y| four(x, y).into_iter().flat_map(|value| [value, 0x80]).collect();
    let steps = has_corners(&pictures::png(kind(2, 16, false), 320, 200, deep), QUARTERS);
    assert!(steps.contains(&FitStep::EightBits), "{steps:?}");
}

#[test]
fn transparency_is_laid_on_white_or_kept() {
    let half = |x: u32, _: u32| vec![60, if x < 160 { 0 } else { 255 }];
    let picture = pictures::png(PngKind { colour: 4, bits: 8, interlaced: false }, 320, 200, half);
    let (white, grey) = ([255; 3], [60; 3]);
    let steps = has_corners(&picture, [white, grey, white, grey]);
    assert!(steps.contains(&FitStep::OnWhite), "{steps:?}");
    let keep = FitSettings::new().with_alpha(Alpha::Keep);
    let kept = fitted(&picture, &narrow(100), &keep).unwrap();
    assert_eq!(kept.image.info().unwrap().format, ImageFormat::Png);
    let image = image::load_from_memory(&bytes_of(&kept)).unwrap().to_rgba8();
    assert_eq!((image.get_pixel(5, 5).0[3], image.get_pixel(95, 5).0), (0, [60, 60, 60, 255]));
}

#[test]
fn colours_are_brought_to_srgb_by_the_profile() {
    let plain = pictures::jpeg(&pictures::quarters(320, 200), 92);
    let swapped = pictures::with_profile(&plain, &pictures::swapped_profile());
    let steps = has_corners(&swapped, QUARTERS.map(|[red, green, blue]| [blue, green, red]));
    assert!(steps.contains(&FitStep::ToSrgb), "{steps:?}");
    let steps = has_corners(&pictures::with_profile(&plain, b"no profile at all"), QUARTERS);
    assert!(steps.contains(&FitStep::ProfileLeftOut), "{steps:?}");
}

#[test]
fn cmyk_goes_by_its_profile_and_is_named_without_one() {
    let plain = pictures::cyan_jpeg(320, 200);
    let steps = has_corners(&plain, [[0, 255, 255]; 4]);
    assert!(steps.contains(&FitStep::CmykWithoutProfile), "{steps:?}");
    let profiled = pictures::with_profile(&plain, &pictures::red_cyan_profile());
    let fitted = fitted(&profiled, &narrow(100), &FitSettings::new()).unwrap();
    for [red, green, blue] in corners(&bytes_of(&fitted)) {
        assert!(red > 200 && green < 60 && blue < 60, "{red} {green} {blue}");
    }
}

#[test]
fn a_jpeg_decoded_at_a_fraction_has_the_same_colours() {
    let picture = pictures::jpeg(&pictures::quarters(1_700, 1_300), 92);
    let steps = has_corners(&picture, QUARTERS);
    assert!(steps.contains(&FitStep::Reduced { by: 8 }), "{steps:?}");
}

#[test]
fn of_a_moving_picture_the_first_frame_is_taken_and_said_so() {
    let steps = has_corners(&pictures::animated_webp(320, 200), QUARTERS);
    assert!(steps.contains(&FitStep::FirstFrame), "{steps:?}");
    let first_frame = |frames| {
        let gif = pictures::gif(320, 200, frames);
        fitted(&gif, &narrow(100), &FitSettings::new()).unwrap().report.unwrap().steps
    };
    assert!(first_frame(2).contains(&FitStep::FirstFrame));
    assert!(!first_frame(1).contains(&FitStep::FirstFrame));
}

#[test]
fn the_margin_of_a_narrow_picture_is_white_and_moves_nothing() {
    let mut card = narrow(1_000);
    card.max_aspect = Some(10.0);
    let picture = pictures::jpeg(&pictures::quarters(1_000, 20), 92);
    let fitted = fitted(&picture, &card, &FitSettings::new()).unwrap();
    let report = fitted.report.clone().unwrap();
    assert_eq!((report.plan.content, report.sides), ((1_000, 20), (1_000, 100)));
    let [top_left, top_right, bottom_left, bottom_right] = corners(&bytes_of(&fitted));
    assert!(distance(&[bottom_left, bottom_right], &[[255; 3]; 2]) <= NEAR);
    assert!(top_left[0] > top_left[1] && top_right[1] > top_right[0], "{top_left:?} {top_right:?}");
}

#[test]
fn a_byte_limit_is_met_by_quality_then_by_size() {
    let picture = polysight_testkit::noise(600, 400);
    let largest = |bytes: u64| {
        let fitted = fitted(&picture, &narrow(10_000), &FitSettings::new().with_max_bytes(bytes)).unwrap();
        let report = fitted.report.unwrap();
        assert!(report.bytes <= bytes && report.bytes > bytes * 2 / 3, "{report}");
        report
    };
    let by_quality = largest(300_000);
    assert_eq!(by_quality.sides, (600, 400));
    assert!((60..90).contains(&by_quality.quality.unwrap()), "{by_quality}");
    let by_size = largest(40_000);
    assert!(by_size.sides.0 < 600 && by_size.steps.iter().any(|step| matches!(step, FitStep::Shrunk { .. })));
}

#[test]
fn a_limit_that_nothing_meets_says_the_smallest_that_was_reached() {
    let mut card = narrow(10_000);
    card.min_side = Some(300);
    let tight = FitSettings::new().with_max_bytes(20_000);
    let error = fitted(&polysight_testkit::noise(600, 400), &card, &tight).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidMedia);
    let message = error.message();
    assert!(
        message.contains("20000 bytes") && message.contains("the smallest that was reached is "),
        "{message}"
    );
}

#[test]
fn metadata_is_stripped_unless_it_is_kept() {
    let mut exif = pictures::orientation_exif(6);
    exif.extend(b"canary");
    let picture = pictures::with_exif(&pictures::jpeg(&pictures::quarters(200, 320), 92), &exif);
    let holds = |settings: &FitSettings| {
        let bytes = bytes_of(&fitted(&picture, &narrow(100), settings).unwrap());
        assert_eq!(
            polysight::Image::from_bytes(bytes.clone()).unwrap().info().unwrap().orientation.exif(),
            1
        );
        bytes.windows(6).any(|window| window == b"canary")
    };
    assert!(!holds(&FitSettings::new()));
    assert!(holds(&FitSettings::new().with_metadata()));
}

#[test]
fn a_png_shrinks_where_it_has_no_quality() {
    let settings = FitSettings::new().with_format(OutputFormat::Png).with_max_bytes(100_000);
    let fitted = fitted(&polysight_testkit::noise(300, 200), &narrow(10_000), &settings).unwrap();
    assert_eq!(fitted.image.info().unwrap().format, ImageFormat::Png);
    assert!(fitted.report.unwrap().bytes <= 100_000);
}
