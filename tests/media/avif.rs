//! AVIF: samples of each kind, transparency, colours by numbers, and files that are not as they should be.

use polysight::media::fit::{Alpha, FitSettings, FitStep, Fitted};
use polysight::{ErrorKind, Image};
use polysight_testkit::pictures::{self, QUARTERS, corners, distance};

use crate::{bytes_of, fitted, narrow};

/// A file among the fixtures.
fn fixture(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pictures");
    std::fs::read(folder.join(name)).unwrap()
}

fn made(picture: &[u8]) -> Fitted {
    fitted(picture, &narrow(100), &FitSettings::new()).unwrap()
}

fn steps(fitted: &Fitted) -> &[FitStep] {
    &fitted.report.as_ref().unwrap().steps
}

/// A copy with other bytes, which stand in it once.
fn replaced(picture: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = picture.windows(from.len()).position(|window| window == from).unwrap();
    let mut picture = picture.to_vec();
    picture[at..at + to.len()].copy_from_slice(to);
    picture
}

/// With other numbers of its colours: primaries, transfer, matrix.
fn coloured(primaries: u8, transfer: u8, matrix: u8) -> Vec<u8> {
    replaced(
        &pictures::avif(&[]),
        b"nclx\0\x02\0\x02\0\x06",
        &[b'n', b'c', b'l', b'x', 0, primaries, 0, transfer, 0, matrix],
    )
}

#[test]
fn samples_of_each_kind_have_their_colours() {
    // What libavif 1.4.2 makes of them, but for the last two, which are as they were before they were encoded.
    let cases = [
        ("quarters.avif", [[221, 30, 30], [30, 200, 31], [31, 30, 220], [231, 210, 42]]),
        ("quarters-444-10.avif", [[218, 30, 28], [29, 200, 29], [29, 30, 217], [229, 209, 40]]),
        ("quarters-grey.avif", [[86; 3], [129; 3], [52; 3], [196; 3]]),
        ("quarters-422-12.avif", QUARTERS),
        ("quarters-rgb.avif", QUARTERS),
    ];
    for (name, expected) in cases {
        let made = made(&fixture(name));
        let found = corners(&bytes_of(&made));
        assert!(distance(&found, &expected) <= 5, "{name}: {found:?} instead of {expected:?}");
        let is_deep = steps(&made).contains(&FitStep::EightBits);
        assert_eq!(is_deep, name.contains("-1") || name.contains("grey"), "{name}");
    }
}

#[test]
fn transparency_is_laid_on_white_or_kept() {
    let picture = fixture("quarters-alpha.avif");
    let white = made(&picture);
    assert!(steps(&white).contains(&FitStep::OnWhite));
    let half = QUARTERS.map(|colour| colour.map(|value| ((u16::from(value) + 255) / 2) as u8));
    let found = corners(&bytes_of(&white));
    assert!(distance(&found, &half) <= 5, "{found:?} instead of {half:?}");

    let kept = fitted(&picture, &narrow(100), &FitSettings::new().with_alpha(Alpha::Keep)).unwrap();
    let decoded = image::load_from_memory(&bytes_of(&kept)).unwrap().to_rgba8();
    let [red, green, blue, alpha] = decoded.get_pixel(10, 10).0;
    assert!(
        distance(&[[red, green, blue]], &QUARTERS[..1]) <= 5 && alpha.abs_diff(128) <= 1,
        "{red} {green} {blue} {alpha}"
    );
}

#[test]
fn colours_of_other_primaries_are_brought_to_srgb() {
    // Computed from the chromaticities of SMPTE EG 432-1 (P3) and ITU-R BT.2020.
    let p3 = [[240, 0, 0], [0, 204, 0], [30, 30, 229], [234, 209, 0]];
    let bt2020 = [[255, 0, 1], [0, 211, 0], [0, 20, 231], [247, 208, 0]];
    for (primaries, expected) in [(12, p3), (9, bt2020)] {
        let made = made(&coloured(primaries, 13, 6));
        assert!(steps(&made).contains(&FitStep::ToSrgb), "{primaries}");
        let found = corners(&bytes_of(&made));
        assert!(distance(&found, &expected) <= 8, "{primaries}: {found:?} instead of {expected:?}");
    }
    assert_eq!(
        corners(&bytes_of(&made(&coloured(1, 13, 6)))),
        corners(&bytes_of(&made(&pictures::avif(&[]))))
    );
    assert!(steps(&made(&coloured(9, 16, 6))).contains(&FitStep::ProfileLeftOut), "PQ");
}

#[test]
fn what_is_not_read_is_refused_with_the_way_out() {
    let tiles = replaced(&pictures::avif(&[]), b"av01", b"grid");
    let cropped = pictures::cropped_avif(112, 56);
    assert_eq!(Image::from_bytes(cropped.clone()).unwrap().info().unwrap().shown(), (112, 56));
    for (picture, word) in [(coloured(1, 13, 10), "matrix 10"), (tiles, "tiles"), (cropped, "cropped")] {
        let error = fitted(&picture, &narrow(100), &FitSettings::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidMedia);
        assert!(
            error.message().contains(word) && error.message().contains("save it as JPEG or PNG"),
            "{error}"
        );
    }
}

#[test]
fn a_picture_larger_than_memory_is_refused_before_it_is_decoded() {
    let huge = replaced(&pictures::avif(&[]), b"\0\0\0\x80\0\0\0\x40", b"\0\0\x2e\xe0\0\0\x23\x28");
    let error = fitted(&huge, &narrow(100), &FitSettings::new()).unwrap_err();
    assert!(error.message().contains("max_memory"), "{error}");
}

#[test]
fn whatever_byte_is_another_one_it_is_a_picture_or_refused() {
    for name in ["quarters.avif", "quarters-alpha.avif"] {
        let whole = fixture(name);
        let mut refused = 0;
        for (at, flipped) in (0..whole.len()).flat_map(|at| [0x01, 0x80, 0xff].map(|flipped| (at, flipped))) {
            let mut picture = whole.clone();
            picture[at] ^= flipped;
            if let Err(error) = fitted(&picture, &narrow(100), &FitSettings::new()) {
                assert_ne!(error.kind(), ErrorKind::Config, "{name}, byte {at}: {error}");
                refused += 1;
            }
        }
        assert!(refused > 300, "{name}: {refused}");
    }
}
