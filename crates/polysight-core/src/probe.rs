//! What headers say: format by content, pixel size, playing time. Nothing is decoded.

use std::fmt;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::time::Duration;

use imagesize::{Compression, ImageError, ImageType};

use crate::media::{ImageFormat, ImageInfo, VideoFormat, VideoInfo};

/// Why a header could not be read.
#[derive(Debug)]
pub(crate) enum ProbeError {
    Unknown { wanted: &'static str, looks: &'static str },
    CutOff(&'static str),
    Io(io::Error),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { wanted, looks } => {
                write!(f, "it is not {wanted}: its content looks like {looks}")
            }
            Self::CutOff(what) => {
                write!(f, "the {what} header is cut off or damaged before it tells the size")
            }
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

impl From<io::Error> for ProbeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

const PICTURES: &str = "a picture (JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF)";
const VIDEOS: &str = "a video (MP4, MOV, MKV, WebM, AVI, FLV, WMV)";

/// Reads a picture's header.
pub(crate) fn image<R: BufRead + Seek + ?Sized>(mut reader: &mut R) -> Result<ImageInfo, ProbeError> {
    let head = read_head(reader)?;
    let kind = imagesize::image_type(&head).map_err(|_| unknown_or_cut(&head, PICTURES))?;
    let format = format_of(kind).ok_or_else(|| unknown_or_cut(&head, PICTURES))?;
    let name = <&str>::from(format);
    reader.seek(SeekFrom::Start(0))?;
    let size = kind.reader_size(&mut reader).map_err(|error| match error {
        ImageError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => ProbeError::Io(error),
        _ => ProbeError::CutOff(name),
    })?;
    match (u32::try_from(size.width), u32::try_from(size.height)) {
        (Ok(width), Ok(height)) if width > 0 && height > 0 => Ok(ImageInfo::new(format, width, height)),
        _ => Err(ProbeError::CutOff(name)),
    }
}

fn format_of(kind: ImageType) -> Option<ImageFormat> {
    match kind {
        ImageType::Jpeg => Some(ImageFormat::Jpeg),
        ImageType::Png => Some(ImageFormat::Png),
        ImageType::Webp => Some(ImageFormat::WebP),
        ImageType::Gif => Some(ImageFormat::Gif),
        ImageType::Bmp => Some(ImageFormat::Bmp),
        ImageType::Tiff => Some(ImageFormat::Tiff),
        ImageType::Heif(Compression::Av1) => Some(ImageFormat::Avif),
        ImageType::Heif(_) => Some(ImageFormat::Heic),
        _ => None,
    }
}

/// Says whether content begins like a video container.
pub(crate) fn looks_like_video<R: Read + Seek>(reader: &mut R) -> bool {
    read_head(reader).is_ok_and(|head| container(&head).is_some())
}

/// Reads a video's header; for MP4 and MOV its playing time and frame size too.
pub(crate) fn video<R: Read + Seek + ?Sized>(reader: &mut R) -> Result<VideoInfo, ProbeError> {
    let head = read_head(reader)?;
    let format = container(&head).ok_or_else(|| unknown_or_cut(&head, VIDEOS))?;
    let mut info = VideoInfo::new(format);
    if matches!(format, VideoFormat::Mp4 | VideoFormat::Mov) {
        let length = reader.seek(SeekFrom::End(0))?;
        let movie = boxes::movie(reader, length)?.ok_or(ProbeError::CutOff(<&str>::from(format)))?;
        info.duration = movie.duration;
        (info.width, info.height) = movie.size.unzip();
    }
    Ok(info)
}

/// The container that content begins like.
fn container(head: &[u8]) -> Option<VideoFormat> {
    let at = |offset: usize, len: usize| head.get(offset..offset + len);
    match (at(4, 4), at(8, 4)) {
        (Some(b"ftyp"), Some(b"qt  ")) => return Some(VideoFormat::Mov),
        // These brands are still pictures.
        (Some(b"ftyp"), Some(b"heic" | b"heix" | b"mif1" | b"msf1" | b"avif" | b"avis" | b"hevc")) => {
            return None;
        }
        (Some(b"ftyp"), Some(_)) => return Some(VideoFormat::Mp4),
        // QuickTime files older than the `ftyp` box.
        (Some(b"moov" | b"mdat" | b"wide" | b"free" | b"skip"), _) => return Some(VideoFormat::Mov),
        _ => {}
    }
    if head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        let webm = head.windows(4).take(64).any(|window| window == b"webm");
        return Some(if webm { VideoFormat::WebM } else { VideoFormat::Mkv });
    }
    match (at(0, 4), at(8, 4)) {
        (Some(b"RIFF"), Some(b"AVI ")) => Some(VideoFormat::Avi),
        (Some([b'F', b'L', b'V', 1]), _) => Some(VideoFormat::Flv),
        (Some([0x30, 0x26, 0xb2, 0x75]), _) => Some(VideoFormat::Wmv),
        _ => None,
    }
}

fn read_head<R: Read + Seek + ?Sized>(reader: &mut R) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(64);
    reader.seek(SeekFrom::Start(0))?;
    reader.take(64).read_to_end(&mut head)?;
    Ok(head)
}

fn unknown_or_cut(head: &[u8], wanted: &'static str) -> ProbeError {
    let cut = [(&[0xff, 0xd8][..], "JPEG"), (b"\x89PNG", "PNG"), (b"RIFF", "WebP"), (b"GIF8", "GIF")];
    if wanted == PICTURES {
        let matching = cut.iter().find(|(magic, _)| head.starts_with(magic) || magic.starts_with(head));
        if let Some((_, name)) = matching.filter(|_| container(head).is_none()) {
            return ProbeError::CutOff(name);
        }
    }
    let text = head.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace() || *byte >= 0x80);
    let looks = if container(head).is_some() {
        "a video"
    } else if imagesize::image_type(head).is_ok() {
        "a picture"
    } else if head.starts_with(b"%PDF") {
        "a PDF document"
    } else if head.trim_ascii_start().starts_with(b"<") {
        "HTML or XML"
    } else if text {
        "plain text"
    } else {
        "something else"
    };
    ProbeError::Unknown { wanted, looks }
}

/// The few boxes of an MP4 or MOV file that tell its playing time and frame size.
///
/// Own code, since the maintained MP4 crates read the whole `moov` box with its sample tables (megabytes for an hour
/// of video) and bring some twenty dependencies into the core, where two headers of a hundred bytes are wanted.
mod boxes {
    use super::{Duration, Read, Seek, SeekFrom, io};

    /// More boxes than this on one level are no video.
    const MAX_BOXES: usize = 1_000;

    #[derive(Debug, Default)]
    pub(super) struct Movie {
        pub(super) duration: Option<Duration>,
        pub(super) size: Option<(u32, u32)>,
    }

    struct BoxHeader {
        kind: [u8; 4],
        body: u64,
        end: u64,
    }

    /// Reads the `moov` box; `None` when there is none before the file ends.
    pub(super) fn movie<R: Read + Seek + ?Sized>(reader: &mut R, length: u64) -> io::Result<Option<Movie>> {
        let Some(moov) = find(reader, 0, length, *b"moov")? else { return Ok(None) };
        let mut movie = Movie::default();
        if let Some(header) = find(reader, moov.body, moov.end, *b"mvhd")? {
            movie.duration = duration(&read_body(reader, &header)?);
        }
        let mut at = moov.body;
        for _ in 0..MAX_BOXES {
            let Some(track) = find(reader, at, moov.end, *b"trak")? else { break };
            at = track.end;
            if let Some(header) = find(reader, track.body, track.end, *b"tkhd")? {
                movie.size = frame_size(&read_body(reader, &header)?);
            }
            if movie.size.is_some() {
                break;
            }
        }
        Ok(Some(movie))
    }

    /// Finds the first box of a kind between two positions.
    fn find<R: Read + Seek + ?Sized>(
        reader: &mut R,
        from: u64,
        to: u64,
        kind: [u8; 4],
    ) -> io::Result<Option<BoxHeader>> {
        let mut at = from;
        for _ in 0..MAX_BOXES {
            match next(reader, at, to)? {
                Some(found) if found.kind == kind => return Ok(Some(found)),
                Some(other) => at = other.end,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn next<R: Read + Seek + ?Sized>(reader: &mut R, at: u64, to: u64) -> io::Result<Option<BoxHeader>> {
        if at.saturating_add(8) > to {
            return Ok(None);
        }
        reader.seek(SeekFrom::Start(at))?;
        let short = u64::from(u32::from_be_bytes(read_array(reader)?));
        let kind = read_array(reader)?;
        let (size, head) = match short {
            0 => (to - at, 8),
            1 => (u64::from_be_bytes(read_array(reader)?), 16),
            size => (size, 8),
        };
        let end = at.saturating_add(size);
        Ok((size >= head && end <= to).then_some(BoxHeader { kind, body: at + head, end }))
    }

    fn read_body<R: Read + Seek + ?Sized>(reader: &mut R, header: &BoxHeader) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        reader.seek(SeekFrom::Start(header.body))?;
        reader.take((header.end - header.body).min(256)).read_to_end(&mut body)?;
        Ok(body)
    }

    fn read_array<const N: usize, R: Read + ?Sized>(reader: &mut R) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        reader.read_exact(&mut array)?;
        Ok(array)
    }

    /// `mvhd`: after version and flags come creation and modification time, time scale and duration; 32 bits wide
    /// each in version 0, 64 but for the time scale in version 1. All ones means unknown.
    fn duration(body: &[u8]) -> Option<Duration> {
        let u32_at = |at: usize| body.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let u64_at = |at: usize| body.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        let (scale, ticks) = match body.first()? {
            0 => (u32_at(12)?, u64::from(u32_at(16).filter(|ticks| *ticks != u32::MAX)?)),
            _ => (u32_at(20)?, u64_at(24).filter(|ticks| *ticks != u64::MAX)?),
        };
        let scale = u64::from(scale);
        let millis = ticks.checked_rem(scale)?.saturating_mul(1_000) / scale;
        Duration::from_secs(ticks / scale).checked_add(Duration::from_millis(millis))
    }

    /// `tkhd`: width and height are its last eight bytes, as 16.16 fixed point; zero for sound.
    fn frame_size(body: &[u8]) -> Option<(u32, u32)> {
        let (rest, height) = body.split_last_chunk::<4>()?;
        let (_, width) = rest.split_last_chunk::<4>()?;
        let (width, height) = (u32::from_be_bytes(*width) >> 16, u32::from_be_bytes(*height) >> 16);
        (width > 0 && height > 0).then_some((width, height))
    }
}
