//! Media in a stored dialogue: as a link, a path, or base64.

use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Base64Text, Detail, Image, MediaFile, MediaSource, Video, VideoSource, name};
use crate::Result;

/// Where a stored medium is: `url`, `path` or `base64`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredSource {
    Url(String),
    Path(PathBuf),
    Base64(String),
}

impl StoredSource {
    fn of(source: &MediaSource) -> Result<Self, String> {
        Ok(match source {
            MediaSource::Url(url) => Self::Url(url.to_string()),
            MediaSource::File(file) => Self::Path(path_as_text(file.path())?.into()),
            MediaSource::Bytes(bytes) => Self::Base64(base64_simd::STANDARD.encode_to_string(bytes)),
            MediaSource::Base64(text) => Self::Base64(String::from_utf8_lossy(text.text()).into_owned()),
            // What was planned for one model is not what a dialogue keeps.
            MediaSource::Planned(planned) => return Self::of(planned.original()),
        })
    }

    fn into_source(self) -> Result<MediaSource> {
        Ok(match self {
            Self::Url(url) => MediaSource::Url(super::parse_url(&url)?),
            Self::Path(path) => MediaSource::File(MediaFile::open(path)?),
            Self::Base64(text) => MediaSource::Base64(Base64Text::new(text)?),
        })
    }
}

/// A path that is no Unicode could not be opened again.
fn path_as_text(path: &Path) -> Result<&Path, String> {
    match path.to_str() {
        Some(_) => Ok(path),
        None => Err(format!(
            "the path `{}` is not Unicode and cannot be stored: rename the file, or store its content \
             (MediaSource::in_memory)",
            name::of_path(path)
        )),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredImage {
    source: StoredSource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Detail>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_pixels: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_pixels: Option<u64>,
}

impl Serialize for Image {
    /// A file is stored as its path, a picture in memory as base64; [`MediaSource::in_memory`] chooses base64 for files
    /// too.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { source, info: _, detail, min_pixels, max_pixels } = self;
        let (detail, min_pixels, max_pixels) = (*detail, *min_pixels, *max_pixels);
        let source = StoredSource::of(source).map_err(S::Error::custom)?;
        StoredImage { source, detail, min_pixels, max_pixels }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Image {
    /// Looks at the medium as [`Image::from_file`] and its sisters do: a file that is gone is an error that names it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StoredImage { source, detail, min_pixels, max_pixels } = StoredImage::deserialize(deserializer)?;
        let image = source.into_source().and_then(Self::probed).map_err(D::Error::custom)?;
        Ok(Self { detail, min_pixels, max_pixels, ..image })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredVideoSource {
    Whole(StoredSource),
    Frames(Vec<Image>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredVideo {
    source: StoredVideoSource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fps: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_frames: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_pixels: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_pixels: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total_pixels: Option<u64>,
}

impl Serialize for Video {
    /// As [`Image`]'s.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { source, info: _, fps, max_frames, min_pixels, max_pixels, total_pixels } = self;
        let source = match source {
            VideoSource::Whole(source) => {
                StoredVideoSource::Whole(StoredSource::of(source).map_err(S::Error::custom)?)
            }
            VideoSource::Frames(frames) => StoredVideoSource::Frames(frames.clone()),
        };
        let (fps, max_frames) = (*fps, *max_frames);
        let (min_pixels, max_pixels, total_pixels) = (*min_pixels, *max_pixels, *total_pixels);
        StoredVideo { source, fps, max_frames, min_pixels, max_pixels, total_pixels }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Video {
    /// As [`Image`]'s.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredVideo::deserialize(deserializer)?;
        let StoredVideo { source, fps, max_frames, min_pixels, max_pixels, total_pixels } = stored;
        let video = match source {
            StoredVideoSource::Whole(source) => source.into_source().and_then(Self::probed),
            StoredVideoSource::Frames(frames) => Self::from_frames(frames),
        };
        let video = video.map_err(D::Error::custom)?;
        Ok(Self { fps, max_frames, min_pixels, max_pixels, total_pixels, ..video })
    }
}
