//! HEIC and AVIF: size, turns, mirrors and colours of files that another encoder made.

use polysight::media::fit::FitSettings;
use polysight::{ErrorKind, Image, ImageFormat};
use polysight_testkit::pictures::{self, QUARTERS, corners, distance};

use crate::{bytes_of, fitted, narrow};

/// Which quarter of the coded picture stands where: top left, top right, bottom left, bottom right.
type Places = [usize; 4];

/// Names of properties of the picture, and their values.
type Properties = &'static [(&'static [u8; 4], u8)];

/// A file of a format with such properties.
type File = fn(&[(&[u8; 4], u8)]) -> Vec<u8>;

const FILES: [(ImageFormat, File); 2] =
    [(ImageFormat::Heic, pictures::heic), (ImageFormat::Avif, pictures::avif)];

const CASES: [(Properties, Places); 7] = [
    (&[], [0, 1, 2, 3]),
    (&[(b"irot", 1)], [1, 3, 0, 2]),
    (&[(b"irot", 2)], [3, 2, 1, 0]),
    (&[(b"irot", 3)], [2, 0, 3, 1]),
    (&[(b"imir", 0)], [2, 3, 0, 1]),
    (&[(b"imir", 1)], [1, 0, 3, 2]),
    (&[(b"irot", 1), (b"imir", 0)], [0, 2, 1, 3]),
];

#[test]
fn a_picture_is_fitted_upright_with_its_colours() {
    for ((format, file), (properties, places)) in FILES.iter().flat_map(|file| CASES.map(|case| (file, case)))
    {
        let picture = file(properties);
        let is_tall = properties.iter().any(|(kind, turns)| *kind == b"irot" && turns % 2 == 1);
        let shown = if is_tall { (64, 128) } else { (128, 64) };
        let info = Image::from_bytes(picture.clone()).unwrap().info().unwrap();
        assert_eq!((info.format, info.shown()), (*format, shown), "{properties:?}");

        let fitted = fitted(&picture, &narrow(100), &FitSettings::new()).unwrap();
        let report = fitted.report.clone().unwrap();
        assert_eq!(report.sides, if is_tall { (50, 100) } else { (100, 50) }, "{report}");
        assert_eq!(fitted.image.info().unwrap().format, ImageFormat::Jpeg);
        let found = corners(&bytes_of(&fitted));
        let expected = places.map(|place| QUARTERS[place]);
        assert!(
            distance(&found, &expected) <= 8,
            "{format} {properties:?}: {found:?} instead of {expected:?}"
        );
    }
}

#[test]
fn a_picture_is_converted_for_a_model_that_does_not_take_it_and_left_alone_for_one_that_does() {
    for (format, file) in FILES {
        let picture = file(&[]);
        let mut card = narrow(1_000);
        assert!(fitted(&picture, &card, &FitSettings::new()).unwrap().report.is_none(), "{format}");
        card.formats = Some(vec![ImageFormat::Png]);
        let converted = fitted(&picture, &card, &FitSettings::new()).unwrap();
        assert_eq!(converted.image.info().unwrap().format, ImageFormat::Png);
        assert_eq!(converted.report.unwrap().sides, (128, 64));
    }
}

#[test]
fn a_picture_that_is_cut_off_is_refused() {
    for (format, file) in FILES {
        let picture = file(&[]);
        for length in [picture.len() - 30, picture.len() - 60] {
            for limits in [narrow(100), narrow(1_000)] {
                let error = fitted(&picture[..length], &limits, &FitSettings::new()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidMedia, "{format}: {error}");
            }
        }
    }
}
