//! What headers say: format by content, pixel size, playing time. Nothing is decoded.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::time::Duration;

use imagesize::{Compression, ImageError, ImageType};

use super::{ImageFormat, ImageInfo, VideoFormat, VideoInfo};

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

impl ProbeError {
    /// Tells content that ends or misleads (sizes that lead nowhere) from a disk that fails.
    fn from_parser(error: io::Error, name: &'static str) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Self::CutOff(name),
            _ => Self::Io(error),
        }
    }
}

const PICTURES: &str = "a picture (JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF)";
const VIDEOS: &str = "a video (MP4, MOV, MKV, WebM, AVI, FLV, WMV)";

/// Buffers what is probed. Headers are hops of a few bytes and each hop empties the buffer, so that a large one would
/// mostly read what is skipped.
pub(crate) fn buffered<R: Read>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(512, reader)
}

/// Reads a picture's header.
pub(crate) fn image<R: BufRead + Seek + ?Sized>(reader: &mut R) -> Result<ImageInfo, ProbeError> {
    let head = read_head(reader)?;
    let (kind, format) = picture(&head).ok_or_else(|| unknown_or_cut(&head, PICTURES))?;
    let name = <&str>::from(format);
    let (width, height) = match format {
        ImageFormat::Bmp => bmp_size(&head).ok_or(ProbeError::CutOff(name))?,
        _ => size(reader, kind, name)?,
    };
    if width == 0 || height == 0 {
        return Err(ProbeError::CutOff(name));
    }
    Ok(ImageInfo::new(format, width, height))
}

/// The picture format that content begins like. Videos are recognised first, since imagesize 0.15 takes every file
/// with an `ftyp` box for HEIF.
fn picture(head: &[u8]) -> Option<(ImageType, ImageFormat)> {
    if container(head).is_some() {
        return None;
    }
    let kind = imagesize::image_type(head).ok()?;
    let format = match kind {
        ImageType::Jpeg => ImageFormat::Jpeg,
        ImageType::Png => ImageFormat::Png,
        ImageType::Webp => ImageFormat::WebP,
        ImageType::Gif => ImageFormat::Gif,
        ImageType::Bmp if is_bmp(head) => ImageFormat::Bmp,
        ImageType::Tiff => ImageFormat::Tiff,
        ImageType::Heif(Compression::Av1) => ImageFormat::Avif,
        ImageType::Heif(_) => ImageFormat::Heic,
        _ => return None,
    };
    Some((kind, format))
}

fn size<R: BufRead + Seek + ?Sized>(
    mut reader: &mut R,
    kind: ImageType,
    name: &'static str,
) -> Result<(u32, u32), ProbeError> {
    // imagesize 0.15 reads WebP from behind the twelve bytes by which it recognised the format; the others seek themselves.
    reader.seek(SeekFrom::Start(12))?;
    let size = kind.reader_size(&mut reader).map_err(|error| match error {
        ImageError::IoError(error) => ProbeError::from_parser(error, name),
        _ => ProbeError::CutOff(name),
    })?;
    match (u32::try_from(size.width), u32::try_from(size.height)) {
        (Ok(width), Ok(height)) => Ok((width, height)),
        _ => Err(ProbeError::CutOff(name)),
    }
}

/// `BM` alone may be the beginning of a text; the length of the second header has few values.
fn is_bmp(head: &[u8]) -> bool {
    bmp_header(head).is_some_and(|length| matches!(length, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124))
}

fn bmp_header(head: &[u8]) -> Option<u32> {
    head.get(14..18)?.try_into().ok().map(u32::from_le_bytes)
}

/// Own code, since imagesize 0.15 reads the negative height of rows from top to bottom as four thousand million pixels,
/// and the 16-bit sizes of OS/2 bitmaps as 32-bit ones.
fn bmp_size(head: &[u8]) -> Option<(u32, u32)> {
    let short = |at: usize| head.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes).map(u32::from);
    let long =
        |at: usize| head.get(at..at + 4)?.try_into().ok().map(i32::from_le_bytes).map(i32::unsigned_abs);
    match bmp_header(head)? {
        12 => Some((short(18)?, short(20)?)),
        _ => Some((long(18)?, long(22)?)),
    }
}

/// Says whether content begins like a video container.
pub(crate) fn looks_like_video<R: Read + Seek>(reader: &mut R) -> bool {
    read_head(reader).is_ok_and(|head| container(&head).is_some())
}

/// Says whether content begins like a picture.
pub(crate) fn looks_like_picture<R: Read + Seek>(reader: &mut R) -> bool {
    read_head(reader).is_ok_and(|head| picture(&head).is_some())
}

/// Reads a video's header; for MP4 and MOV its playing time and frame size too.
pub(crate) fn video<R: Read + Seek + ?Sized>(reader: &mut R) -> Result<VideoInfo, ProbeError> {
    let head = read_head(reader)?;
    let format = container(&head).ok_or_else(|| unknown_or_cut(&head, VIDEOS))?;
    let mut info = VideoInfo::new(format);
    if matches!(format, VideoFormat::Mp4 | VideoFormat::Mov) {
        let length = reader.seek(SeekFrom::End(0))?;
        let name = <&str>::from(format);
        let movie = boxes::movie(reader, length).map_err(|error| ProbeError::from_parser(error, name))?;
        let movie = movie.ok_or(ProbeError::CutOff(name))?;
        info.duration = movie.duration;
        (info.width, info.height) = movie.size.unzip();
    }
    Ok(info)
}

/// Brands of HEIF, which keeps still pictures in the boxes of MP4; as imagesize 0.15 knows them.
const PICTURE_BRANDS: [&[u8]; 17] = [
    b"heic", b"heix", b"heis", b"hevs", b"heim", b"hevm", b"hevc", b"hevx", b"avif", b"avio", b"avis",
    b"MA1A", b"MA1B", b"mif1", b"msf1", b"mif2", b"miaf",
];

/// The container that content begins like.
fn container(head: &[u8]) -> Option<VideoFormat> {
    let at = |offset: usize, len: usize| head.get(offset..offset + len);
    match (at(4, 4), at(8, 4)) {
        (Some(b"ftyp"), Some(b"qt  ")) => return Some(VideoFormat::Mov),
        (Some(b"ftyp"), Some(brand)) if PICTURE_BRANDS.contains(&brand) => return None,
        (Some(b"ftyp"), Some(_)) => return Some(VideoFormat::Mp4),
        // QuickTime files older than the `ftyp` box.
        (Some(b"mdat"), _) => return Some(VideoFormat::Mov),
        // A length of 512 MiB and more is a text such as `Get free ..`.
        (Some(b"moov" | b"wide" | b"free" | b"skip"), _) if head.first().is_some_and(|byte| *byte < 0x20) => {
            return Some(VideoFormat::Mov);
        }
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
        // From twelve bytes on, WebP would have been distinguished from the other kinds of RIFF, such as WAV.
        let other_riff = head.starts_with(b"RIFF") && head.len() >= 12;
        if let Some((_, name)) = matching.filter(|_| container(head).is_none() && !other_riff) {
            return ProbeError::CutOff(name);
        }
    }
    let text = head.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace() || *byte >= 0x80);
    let looks = if container(head).is_some() {
        "a video"
    } else if picture(head).is_some() {
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
    /// More tracks than this are no video.
    const MAX_TRACKS: usize = 64;

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
        for _ in 0..MAX_TRACKS {
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
    /// each in version 0, 64 but for the time scale in version 1. All ones means unknown, and zero that the playing
    /// time is in fragments further on.
    fn duration(body: &[u8]) -> Option<Duration> {
        let u32_at = |at: usize| body.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let u64_at = |at: usize| body.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        let (scale, ticks) = match body.first()? {
            0 => (u32_at(12)?, u64::from(u32_at(16).filter(|ticks| *ticks != u32::MAX)?)),
            _ => (u32_at(20)?, u64_at(24).filter(|ticks| *ticks != u64::MAX)?),
        };
        let (scale, ticks) = (u64::from(scale), Some(ticks).filter(|ticks| *ticks > 0)?);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of zeros but for some pieces, that counts the bytes read from it.
    struct Sparse {
        pieces: Vec<(u64, Vec<u8>)>,
        length: u64,
        at: u64,
        read: u64,
    }

    impl Sparse {
        fn new(length: u64, pieces: Vec<(u64, Vec<u8>)>) -> BufReader<Self> {
            buffered(Self { pieces, length, at: 0, read: 0 })
        }

        fn byte(&self, at: u64) -> u8 {
            let inside = |(start, bytes): &(u64, Vec<u8>)| {
                at.checked_sub(*start).and_then(|offset| bytes.get(offset as usize).copied())
            };
            self.pieces.iter().find_map(inside).unwrap_or(0)
        }
    }

    impl Read for Sparse {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = (buffer.len() as u64).min(self.length.saturating_sub(self.at)) as usize;
            for (offset, byte) in buffer[..count].iter_mut().enumerate() {
                *byte = self.byte(self.at + offset as u64);
            }
            self.at += count as u64;
            self.read += count as u64;
            Ok(count)
        }
    }

    impl Seek for Sparse {
        fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
            let target = match position {
                SeekFrom::Start(at) => Some(at),
                SeekFrom::End(offset) => self.length.checked_add_signed(offset),
                SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
            };
            self.at = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
            Ok(self.at)
        }
    }

    const FIFTY_MB: u64 = 50_000_000;
    const LITTLE: u64 = 64 * 1_024;

    #[test]
    fn reads_only_the_header_of_a_large_jpeg() {
        let segment = 65_537u64; // FF E1 and the longest length
        let mut pieces = vec![(0, vec![0xff, 0xd8])];
        pieces.extend((0..100).map(|index| (2 + index * segment, vec![0xff, 0xe1, 0xff, 0xff])));
        pieces.push((2 + 100 * segment, vec![0xff, 0xc0, 0, 17, 8, 0, 30, 0, 40]));
        let mut file = Sparse::new(FIFTY_MB, pieces);
        assert_eq!(image(&mut file).unwrap(), ImageInfo::new(ImageFormat::Jpeg, 40, 30));
        assert!(file.get_ref().read < LITTLE, "{} bytes", file.get_ref().read);
    }

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
    }

    #[test]
    fn reads_only_the_header_of_a_large_mp4() {
        let mut header = [0; 100];
        header[12..16].copy_from_slice(&1_000u32.to_be_bytes());
        header[16..20].copy_from_slice(&2_500u32.to_be_bytes());
        let mut frame = [0; 84];
        (frame[77], frame[81]) = (64, 48);
        let samples = boxed(b"mdia", &[5; 100_000]);
        let track = |frame: &[u8]| boxed(b"trak", &[boxed(b"tkhd", frame), samples.clone()].concat());
        let movie = [boxed(b"mvhd", &header), track(&[0; 84]), track(&frame)].concat();
        let movie = boxed(b"moov", &movie);
        let data_at = 24;
        let movie_at = FIFTY_MB - movie.len() as u64;
        let data = [&((movie_at - data_at) as u32).to_be_bytes()[..], b"mdat"].concat();
        let pieces = vec![(0, boxed(b"ftyp", b"isom\0\0\0\0isomavc1")), (data_at, data), (movie_at, movie)];
        let mut file = Sparse::new(FIFTY_MB, pieces);
        let info = video(&mut file).unwrap();
        assert_eq!(info.duration, Some(Duration::from_millis(2_500)));
        assert_eq!(info.width.zip(info.height), Some((64, 48)));
        assert!(file.get_ref().read < LITTLE, "{} bytes", file.get_ref().read);
    }

    #[test]
    fn gives_up_on_many_nested_boxes() {
        let track = boxed(b"trak", &boxed(b"free", &[]).repeat(300));
        let movie = boxed(b"moov", &track.repeat(300));
        let bytes = [boxed(b"ftyp", b"isom"), movie].concat();
        let mut file = Sparse::new(bytes.len() as u64, vec![(0, bytes)]);
        assert_eq!(video(&mut file).unwrap().width, None);
        assert!(file.get_ref().read < 16_000_000, "{} bytes", file.get_ref().read);
    }

    #[test]
    fn a_disk_that_fails_is_not_a_picture_that_is_damaged() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken disk"))
            }
        }
        impl Seek for Broken {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(0)
            }
        }
        let error = image(&mut buffered(Broken)).unwrap_err().to_string();
        assert_eq!(error, "it cannot be read: broken disk");
        assert!(video(&mut Broken).unwrap_err().to_string().contains("broken disk"));
    }
}
