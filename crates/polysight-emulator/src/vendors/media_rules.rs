//! What the vendors take of pictures and videos, as data. How a vendor says no is its own business.

use std::ops::RangeInclusive;

use crate::media::{Medium, Picture};
use crate::models::{PICTURE_BYTES, PICTURE_SIDE, QwenLimits, VideoLimits};

/// What a vendor takes of a picture that came as bytes.
pub(crate) struct PictureRules {
    formats: &'static [&'static str],
    bytes: u64,
    /// Both sides, in pixels.
    sides: RangeInclusive<u32>,
    /// Longer side by shorter side.
    ratio: u32,
    /// Pixels of JPEG and PNG, and of other formats.
    pixels: (u64, u64),
}

/// What is wrong with a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PictureProblem {
    Unreadable,
    Bytes,
    Sides,
    Ratio,
    Pixels,
}

const FOUR_K: u64 = 3840 * 2160;
const EIGHT_K: u64 = 7680 * 4320;
const MIB: u64 = 1024 * 1024;

impl PictureRules {
    pub(crate) const ZHIPU: Self = Self {
        formats: &["PNG", "JPEG", "WebP", "GIF", "BMP"],
        bytes: PICTURE_BYTES,
        sides: 0..=PICTURE_SIDE,
        ratio: u32::MAX,
        pixels: (u64::MAX, u64::MAX),
    };

    /// Sides must stay below 6,000.
    pub(crate) const QIANFAN: Self = Self {
        formats: &["JPEG", "PNG", "BMP"],
        bytes: 10 * MIB,
        sides: 5..=5999,
        ratio: u32::MAX,
        pixels: (u64::MAX, u64::MAX),
    };

    /// Over 4K only JPEG and PNG are taken, over 8K nothing; both are taken for numbers of pixels here.
    pub(crate) const fn dashscope(model: &QwenLimits) -> Self {
        Self {
            formats: &["PNG", "JPEG", "WebP", "BMP", "TIFF", "HEIC"],
            bytes: model.picture_bytes,
            sides: 11..=u32::MAX,
            ratio: 200,
            pixels: (EIGHT_K, FOUR_K),
        }
    }

    /// The picture, or what is wrong with it first.
    pub(crate) fn check<'m>(&self, medium: &'m Medium) -> Result<&'m Picture, PictureProblem> {
        let known = |picture: &&Picture| self.formats.contains(&picture.format);
        let picture = medium.picture().filter(known).ok_or(PictureProblem::Unreadable)?;
        let (short, long) = (picture.width.min(picture.height), picture.width.max(picture.height));
        let (photo, other) = self.pixels;
        let most = if matches!(picture.format, "JPEG" | "PNG") { photo } else { other };
        let problems = [
            (medium.bytes as u64 > self.bytes, PictureProblem::Bytes),
            (!self.sides.contains(&short) || !self.sides.contains(&long), PictureProblem::Sides),
            (u64::from(long) > u64::from(self.ratio) * u64::from(short), PictureProblem::Ratio),
            (u64::from(short) * u64::from(long) > most, PictureProblem::Pixels),
        ];
        match problems.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, problem)) => Err(problem),
            None => Ok(picture),
        }
    }
}

/// What is wrong with a video.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum VideoProblem {
    Unreadable,
    Bytes,
    Duration,
}

/// Whether one of Zhipu's models takes a video that came as bytes.
pub(crate) fn check_zhipu_video(medium: &Medium, limits: &VideoLimits) -> Result<(), VideoProblem> {
    let video = medium.video().ok_or(VideoProblem::Unreadable)?;
    if medium.bytes as u64 > limits.bytes {
        return Err(VideoProblem::Bytes);
    }
    match (video.seconds, limits.seconds) {
        (Some(seconds), Some(most)) if seconds > most => Err(VideoProblem::Duration),
        _ => Ok(()),
    }
}
