//! Recognises formats by content.

use std::io::{Read, Seek};

use super::blocks::{Blocks, Fault, Found};
use super::boxes::{BoxHeader, Level};
use super::{PICTURES, ProbeError, bmp, tiff};
use crate::media::{ImageFormat, VideoFormat};

/// Length of what is looked at, in bytes.
const HEAD: usize = 64;
/// Boxes of padding that may stand before the one that says what a file is.
const MAX_PADDING: usize = 16;
/// Most bytes that are read of a list of brands.
const MAX_BRANDS: usize = 256;

/// Brands of HEIF, which keeps still pictures in the boxes of MP4, and whether they are of AVIF; those that leave the
/// coding open come last.
const PICTURE_BRANDS: [(&[u8; 4], ImageFormat); 17] = [
    (b"avif", ImageFormat::Avif),
    (b"avis", ImageFormat::Avif),
    (b"avio", ImageFormat::Avif),
    (b"MA1A", ImageFormat::Avif),
    (b"MA1B", ImageFormat::Avif),
    (b"heic", ImageFormat::Heic),
    (b"heix", ImageFormat::Heic),
    (b"heis", ImageFormat::Heic),
    (b"hevs", ImageFormat::Heic),
    (b"heim", ImageFormat::Heic),
    (b"hevm", ImageFormat::Heic),
    (b"hevc", ImageFormat::Heic),
    (b"hevx", ImageFormat::Heic),
    (b"mif1", ImageFormat::Heic),
    (b"mif2", ImageFormat::Heic),
    (b"msf1", ImageFormat::Heic),
    (b"miaf", ImageFormat::Heic),
];

/// What content begins like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    Image(ImageFormat),
    Video(VideoFormat),
    /// Well known, and nothing that a vendor takes.
    Refused(&'static str),
    Unknown,
}

/// Recognises the format.
pub(super) fn content<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>) -> Result<Content, ProbeError> {
    let known = |blocks: &mut Blocks<'_, R>| {
        let head = blocks.up_to(0, HEAD)?;
        match by_first_bytes(&head) {
            Content::Unknown => by_boxes(blocks, &head),
            known => Ok(known),
        }
    };
    match known(blocks) {
        Err(Fault::Io(error)) => Err(ProbeError::Io(error)),
        Ok(content) => Ok(content),
        Err(_) => Ok(Content::Unknown),
    }
}

fn by_first_bytes(head: &[u8]) -> Content {
    let at = |from: usize, length: usize| head.get(from..from + length).unwrap_or_default();
    let image = match (at(0, 4), at(8, 4)) {
        ([0xff, 0xd8, 0xff, _], _) => ImageFormat::Jpeg,
        (b"\x89PNG", _) if at(4, 4) == b"\r\n\x1a\n" => ImageFormat::Png,
        (b"RIFF", b"WEBP") => ImageFormat::WebP,
        (b"GIF8", _) if matches!(at(4, 2), b"7a" | b"9a") => ImageFormat::Gif,
        _ if bmp::begins(head) => ImageFormat::Bmp,
        _ if tiff::begins(head) => ImageFormat::Tiff,
        (b"RIFF", b"AVI ") => return Content::Video(VideoFormat::Avi),
        ([b'F', b'L', b'V', 1], _) => return Content::Video(VideoFormat::Flv),
        ([0x30, 0x26, 0xb2, 0x75], _) => return Content::Video(VideoFormat::Wmv),
        ([0x1a, 0x45, 0xdf, 0xa3], _) => return Content::Video(matroska(head)),
        _ => return Content::Unknown,
    };
    Content::Image(image)
}

/// Matroska, or its subset for the web: by the document type among the elements of the first one (RFC 8794, 11.2.4).
fn matroska(head: &[u8]) -> VideoFormat {
    let document_type = element(head).and_then(|(_, mut elements, _)| {
        while let Some((number, content, rest)) = element(elements) {
            if number == 0x4282 {
                return Some(content);
            }
            elements = rest;
        }
        None
    });
    if document_type == Some(b"webm") { VideoFormat::WebM } else { VideoFormat::Mkv }
}

/// The number, the content (as far as it is known) and what follows an element of EBML.
fn element(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (number, bytes) = variable(bytes)?;
    let (marked, rest) = variable(bytes)?;
    // The highest bit of a length says how many bytes it has.
    let length = marked ^ (1 << (7 * (bytes.len() - rest.len())));
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
    let (content, rest) = rest.split_at_checked(length)?;
    Some((number, content, rest))
}

/// A number of one to eight bytes, as many as the first byte has leading zeros and one more.
fn variable(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    let (number, rest) = bytes.split_at_checked(length).filter(|_| length <= 8)?;
    Some((number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), rest))
}

/// Boxes of padding may stand before the one that names the brands. QuickTime files older than that one begin with the
/// movie or its data.
fn by_boxes<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>, head: &[u8]) -> Found<Content> {
    let first = head.get(4..8).unwrap_or_default();
    // A length of 512 MiB and more is a text such as `Get free ..`; a movie's data may be as long.
    let is_text = head.first().is_none_or(|byte| *byte >= 0x20) && first != b"mdat";
    if is_text
        || !matches!(first, b"ftyp" | b"mdat" | b"moov" | b"wide" | b"free" | b"skip" | b"uuid" | b"pnot")
    {
        return Ok(Content::Unknown);
    }
    let length = blocks.length()?;
    let mut level = Level::new(0, length);
    for _ in 0..MAX_PADDING {
        match level.next(blocks) {
            Ok(Some(found)) => match &found.kind {
                b"ftyp" => return by_brands(blocks, &found),
                b"wide" | b"free" | b"skip" | b"uuid" | b"pnot" => {}
                b"mdat" | b"moov" => return Ok(Content::Video(VideoFormat::Mov)),
                _ => return Ok(Content::Unknown),
            },
            Err(Fault::Io(error)) => return Err(Fault::Io(error)),
            Ok(None) | Err(_) => break,
        }
    }
    Ok(Content::Unknown)
}

fn by_brands<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>, ftyp: &BoxHeader) -> Found<Content> {
    let length = usize::try_from(ftyp.end - ftyp.body).unwrap_or(MAX_BRANDS).min(MAX_BRANDS);
    let content = blocks.up_to(ftyp.body, length)?;
    let (brands, _) = content.as_chunks::<4>();
    // Behind the major brand comes its version.
    let Some((major, others)) = brands.split_first() else { return Ok(Content::Unknown) };
    let others = others.get(1..).unwrap_or_default();
    let named = |brand: &[u8; 4]| PICTURE_BRANDS.iter().find(|(known, _)| *known == brand).map(|(_, of)| *of);
    Ok(match major {
        b"qt  " => Content::Video(VideoFormat::Mov),
        b"crx " => Content::Refused("it is a raw photograph (CR3): save it as JPEG or PNG"),
        // Leave the coding open, or most of it.
        b"mif1" | b"mif2" | b"msf1" | b"miaf" => {
            let avif = others.iter().filter_map(named).any(|format| format == ImageFormat::Avif);
            Content::Image(if avif { ImageFormat::Avif } else { ImageFormat::Heic })
        }
        _ => match named(major) {
            Some(format) => Content::Image(format),
            None => Content::Video(VideoFormat::Mp4),
        },
    })
}

/// What is wrong with content that is not what was wanted.
pub(super) fn unknown<R: Read + Seek + ?Sized>(
    blocks: &mut Blocks<'_, R>,
    content: Content,
    wanted: &'static str,
) -> Result<ProbeError, ProbeError> {
    let head = blocks.up_to(0, HEAD).map_err(|fault| ProbeError::of(fault, "file"))?;
    let cut = [(&[0xff, 0xd8][..], "JPEG"), (b"\x89PNG", "PNG"), (b"RIFF", "WebP"), (b"GIF8", "GIF")];
    // From twelve bytes on, WebP would have been distinguished from the other kinds of RIFF, such as WAV.
    let other_riff = head.starts_with(b"RIFF") && head.len() >= 12;
    if wanted == PICTURES && matches!(content, Content::Unknown) && !other_riff {
        let matching = cut.iter().find(|(magic, _)| head.starts_with(magic) || magic.starts_with(&head));
        if let Some((_, name)) = matching {
            return Ok(ProbeError::CutOff(name));
        }
    }
    Ok(ProbeError::Unknown { wanted, looks: looks_like(content, &head) })
}

fn looks_like(content: Content, head: &[u8]) -> &'static str {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace() || *byte >= 0x80;
    match content {
        Content::Video(_) => "a video",
        Content::Image(_) => "a picture",
        _ if head.starts_with(b"%PDF") => "a PDF document",
        _ if head.trim_ascii_start().starts_with(b"<") => "HTML or XML",
        _ if head.iter().all(is_text) => "plain text",
        _ => "something else",
    }
}
