//! What headers say: format by content, pixel size, orientation, playing time. Nothing is decoded.
//!
//! Own readers. imagesize 0.15 trusts the positions at which most files have their size: it refuses fill bytes in JPEG,
//! takes the first chunk of any PNG for its header, reads the scale of WebP as size and the largest property of HEIF as
//! the picture, knows no orientation, and has no bound of work. What decodes pictures reads more than a header.

mod blocks;
mod bmp;
mod boxes;
mod gif;
mod heif;
mod jpeg;
mod mp4;
mod png;
mod sniff;
mod tiff;
mod webp;

use std::fmt;
use std::io::{self, Read, Seek};

use super::{ImageFormat, ImageInfo, Orientation, VideoFormat, VideoInfo};
use blocks::{Blocks, Fault};
use sniff::Content;

/// Why a header could not be read.
#[derive(Debug)]
pub(crate) enum ProbeError {
    Unknown { wanted: &'static str, looks: &'static str },
    CutOff(&'static str),
    TooLong(&'static str),
    Refused(&'static str),
    Io(io::Error),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { wanted, looks } => {
                write!(f, "it is not {wanted}: its content looks like {looks}")
            }
            Self::CutOff(what) => write!(f, "the {what} header is cut off or damaged"),
            Self::TooLong(what) => {
                write!(f, "the {what} header is longer than {} bytes: save the file anew", blocks::MOST)
            }
            Self::Refused(why) => f.write_str(why),
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

impl ProbeError {
    fn of(fault: Fault, name: &'static str) -> Self {
        match fault {
            Fault::Damaged => Self::CutOff(name),
            Fault::TooLong => Self::TooLong(name),
            Fault::Refused(why) => Self::Refused(why),
            Fault::Io(error) => Self::Io(error),
        }
    }
}

/// Width, height and orientation of a stored picture.
#[derive(Debug, Clone, Copy)]
struct Size {
    width: u32,
    height: u32,
    orientation: Orientation,
}

impl Size {
    fn new(width: u32, height: u32) -> Self {
        Self { width, height, orientation: Orientation::default() }
    }

    fn with(self, orientation: Orientation) -> Self {
        Self { orientation, ..self }
    }
}

const PICTURES: &str = "a picture (JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF)";
const VIDEOS: &str = "a video (MP4, MOV, MKV, WebM, AVI, FLV, WMV)";

/// Reads a picture's header.
pub(crate) fn image<R: Read + Seek + ?Sized>(reader: &mut R) -> Result<ImageInfo, ProbeError> {
    let blocks = &mut Blocks::new(reader);
    let format = match sniff::content(blocks)? {
        Content::Image(format) => format,
        Content::Refused(why) => return Err(ProbeError::Refused(why)),
        other => return Err(sniff::unknown(blocks, other, PICTURES)?),
    };
    let name = <&str>::from(format);
    let found = match format {
        ImageFormat::Jpeg => jpeg::size(blocks),
        ImageFormat::Png => png::size(blocks),
        ImageFormat::WebP => webp::size(blocks),
        ImageFormat::Gif => gif::size(blocks),
        ImageFormat::Bmp => bmp::size(blocks),
        ImageFormat::Tiff => tiff::size(blocks),
        ImageFormat::Heic | ImageFormat::Avif => {
            return heif::size(blocks, format)
                .map_err(|fault| ProbeError::of(fault, name))
                .and_then(|(format, size)| info(format, size));
        }
    };
    info(format, found.map_err(|fault| ProbeError::of(fault, name))?)
}

fn info(format: ImageFormat, size: Size) -> Result<ImageInfo, ProbeError> {
    let Size { width, height, orientation } = size;
    if width == 0 || height == 0 {
        return Err(ProbeError::CutOff(format.into()));
    }
    Ok(ImageInfo::new(format, width, height).with_orientation(orientation))
}

/// Reads a video's header; for MP4 and MOV its playing time and frame size too.
pub(crate) fn video<R: Read + Seek + ?Sized>(reader: &mut R) -> Result<VideoInfo, ProbeError> {
    let blocks = &mut Blocks::new(reader);
    let format = match sniff::content(blocks)? {
        Content::Video(format) => format,
        Content::Refused(why) => return Err(ProbeError::Refused(why)),
        other => return Err(sniff::unknown(blocks, other, VIDEOS)?),
    };
    let mut info = VideoInfo::new(format);
    if matches!(format, VideoFormat::Mp4 | VideoFormat::Mov) {
        let movie = mp4::movie(blocks).map_err(|fault| ProbeError::of(fault, format.into()))?;
        info.duration = movie.duration;
        (info.width, info.height) = movie.size.unzip();
        info.orientation = movie.orientation;
    }
    Ok(info)
}

/// Says whether content begins like a video container.
pub(crate) fn looks_like_video<R: Read + Seek + ?Sized>(reader: &mut R) -> bool {
    matches!(sniff::content(&mut Blocks::new(reader)), Ok(Content::Video(_)))
}

/// Says whether content begins like a picture.
pub(crate) fn looks_like_picture<R: Read + Seek + ?Sized>(reader: &mut R) -> bool {
    matches!(sniff::content(&mut Blocks::new(reader)), Ok(Content::Image(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::SeekFrom;
    use std::time::Duration;

    /// A file of zeros but for some pieces, that counts the bytes read from it.
    struct Sparse {
        pieces: Vec<(u64, Vec<u8>)>,
        length: u64,
        at: u64,
        read: u64,
        calls: u64,
    }

    impl Sparse {
        fn new(length: u64, pieces: Vec<(u64, Vec<u8>)>) -> Self {
            Self { pieces, length, at: 0, read: 0, calls: 0 }
        }
    }

    impl Read for Sparse {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = (buffer.len() as u64).min(self.length.saturating_sub(self.at)) as usize;
            buffer[..count].fill(0);
            let end = self.at + count as u64;
            for (start, bytes) in &self.pieces {
                let (from, to) = (self.at.max(*start), end.min(start + bytes.len() as u64));
                if from < to {
                    let piece = &bytes[(from - start) as usize..(to - start) as usize];
                    buffer[(from - self.at) as usize..(to - self.at) as usize].copy_from_slice(piece);
                }
            }
            self.at += count as u64;
            self.read += count as u64;
            self.calls += 1;
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
        assert!(file.read < LITTLE, "{} bytes", file.read);
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
        let track = |frame: &[u8], handler: &[u8]| {
            let media =
                [boxed(b"minf", &[5; 100_000]), boxed(b"hdlr", &[&[0; 8], handler].concat())].concat();
            boxed(b"trak", &[boxed(b"tkhd", frame), boxed(b"mdia", &media)].concat())
        };
        let movie = [boxed(b"mvhd", &header), track(&[0; 84], b"soun"), track(&frame, b"vide")].concat();
        let movie = boxed(b"moov", &movie);
        let data_at = 24;
        let movie_at = FIFTY_MB - movie.len() as u64;
        let data = [&((movie_at - data_at) as u32).to_be_bytes()[..], b"mdat"].concat();
        let pieces = vec![(0, boxed(b"ftyp", b"isom\0\0\0\0isomavc1")), (data_at, data), (movie_at, movie)];
        let mut file = Sparse::new(FIFTY_MB, pieces);
        let info = video(&mut file).unwrap();
        assert_eq!(info.duration, Some(Duration::from_millis(2_500)));
        assert_eq!(info.width.zip(info.height), Some((64, 48)));
        assert!(file.read < LITTLE, "{} bytes", file.read);
    }

    #[test]
    fn gives_up_on_many_nested_boxes() {
        let track = boxed(b"trak", &boxed(b"free", &[]).repeat(300));
        let movie = boxed(b"moov", &track.repeat(300));
        let bytes = [boxed(b"ftyp", b"isom"), movie].concat();
        let mut file = Sparse::new(bytes.len() as u64, vec![(0, bytes)]);
        assert!(video(&mut file).unwrap_err().to_string().contains("no video track"));
        assert!(file.read < blocks::MOST as u64, "{} bytes", file.read);
    }

    /// What a hostile file of 20 MB costs, in bytes and in calls of the reader.
    #[track_caller]
    fn is_bounded(name: &str, start: &[u8], piece: &[u8]) {
        let mut bytes = start.to_vec();
        while bytes.len() < 20_000_000 {
            bytes.extend(piece.repeat(10_000));
        }
        let mut file = Sparse::new(bytes.len() as u64, vec![(0, bytes)]);
        let _ = image(&mut file);
        let _ = video(&mut file);
        let most = 2 * blocks::MOST as u64;
        assert!(file.read <= most, "{name}: {} bytes", file.read);
        assert!(file.calls <= most / 512, "{name}: {} calls", file.calls);
    }

    #[test]
    fn hostile_files_cost_a_bounded_number_of_bytes_and_calls() {
        let ftyp = boxed(b"ftyp", b"heic\0\0\0\0");
        let open = |kind: &[u8; 4], length: u32| [&length.to_be_bytes()[..], kind].concat();
        let meta = [&ftyp[..], &open(b"meta", 19_000_000), &[0; 4]].concat();
        let list = [&meta[..], &boxed(b"pitm", &[0; 6]), &open(b"iprp", 18_900_000)].concat();
        let movie = [&boxed(b"ftyp", b"isom")[..], &open(b"moov", 19_000_000)].concat();
        let directory = b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10\xff\xff\xff\xff\xff\xff\xff\xff";
        let canvas = b"RIFF\0\0\0\x01WEBPVP8X\x0a\0\0\0\x08\0\0\0\x08\0\0\x08\0\0";
        let header = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0\0\0\0\0";
        let segment = |length: usize| {
            [&[0xff, 0xec][..], &(length as u16).to_be_bytes(), &vec![7; length - 2]].concat()
        };
        let jpeg = &[0xff, 0xd8, 0xff, 0xec, 0, 2][..];
        for (name, start, piece) in [
            ("empty segments", jpeg, segment(2)),
            ("short segments", jpeg, segment(300)),
            ("segments of two blocks", jpeg, segment(1_100)),
            ("fill bytes", jpeg, vec![0xff; 4]),
            ("garbage", jpeg, vec![0; 4]),
            ("stuffed bytes", jpeg, vec![0xff, 0]),
            ("lone markers", jpeg, vec![0xff, 0xd0]),
            ("empty chunks", header, b"\0\0\0\0gAMA\0\0\0\0".to_vec()),
            ("empty chunks of WebP", canvas, b"ANMF\0\0\0\0".to_vec()),
            ("extensions", b"GIF89a\0\0\0\0\0\0\0", b"!\xfe\x01.\0".to_vec()),
            ("pieces of an extension", b"GIF89a\0\0\0\0\0\0\0!\xfe", b"\x01.".to_vec()),
            ("entries", directory, vec![1; 20]),
            ("boxes", &ftyp, boxed(b"free", &[])),
            ("boxes of items", &meta, boxed(b"free", &[])),
            ("lists of properties", &list, boxed(b"ipma", &[0xff; 9])),
            ("boxes of a movie", &movie, boxed(b"free", &[])),
            ("tracks", &movie, boxed(b"trak", &boxed(b"mdia", &boxed(b"hdlr", &[0; 12])))),
            ("padding", &boxed(b"free", &[]), boxed(b"free", &[])),
        ] {
            is_bounded(name, start, &piece);
        }
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
        let error = image(&mut Broken).unwrap_err().to_string();
        assert_eq!(error, "it cannot be read: broken disk");
        assert!(video(&mut Broken).unwrap_err().to_string().contains("broken disk"));
    }
}
