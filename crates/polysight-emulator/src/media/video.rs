//! Videos: container, duration and size, from the boxes of an MP4 or MOV file. Other containers are only recognised.

/// A video container that was recognised.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Video {
    /// `MP4`, `MOV`, `Matroska`, `WebM` or `AVI`.
    pub(crate) format: &'static str,
    /// Length of the presentation in seconds, where the container says it in a place that is read here.
    pub(crate) seconds: Option<f64>,
    /// Width and height of the first track that has them, in pixels; MP4 and MOV alone.
    pub(crate) size: Option<(u32, u32)>,
}

/// Reads the container; `None` where the bytes are no video.
pub(super) fn measure(bytes: &[u8]) -> Option<Video> {
    if let Some(format) = other_container(bytes) {
        return Some(Video { format, seconds: None, size: None });
    }
    let (kind, payload) = boxes(bytes).next()?;
    if kind != *b"ftyp" {
        return None;
    }
    let format = if payload.starts_with(b"qt  ") { "MOV" } else { "MP4" };
    let movie = boxes(bytes).find(|(kind, _)| kind == b"moov").map(|(_, movie)| movie);
    Some(Video { format, seconds: movie.and_then(seconds), size: movie.and_then(size) })
}

fn other_container(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]) {
        let webm = bytes.get(..64).unwrap_or(bytes).windows(4).any(|window| window == b"webm");
        return Some(if webm { "WebM" } else { "Matroska" });
    }
    (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"AVI ")).then_some("AVI")
}

/// Width and height from `trak` / `tkhd`, where they stand as numbers with 16 binary places.
fn size(movie: &[u8]) -> Option<(u32, u32)> {
    boxes(movie).filter(|(kind, _)| kind == b"trak").find_map(|(_, track)| {
        let (_, header) = boxes(track).find(|(kind, _)| kind == b"tkhd")?;
        let at = if header.first()? == &0 { 76 } else { 88 };
        let (width, height) = (u32_at(header, at)? >> 16, u32_at(header, at + 4)? >> 16);
        (width > 0 && height > 0).then_some((width, height))
    })
}

/// Duration from `mvhd`.
fn seconds(movie: &[u8]) -> Option<f64> {
    let (_, header) = boxes(movie).find(|(kind, _)| kind == b"mvhd")?;
    let (scale, duration) = match header.first()? {
        0 => (u32_at(header, 12)?, u64::from(u32_at(header, 16)?)),
        _ => (u32_at(header, 20)?, u64_at(header, 24)?),
    };
    (scale > 0).then(|| duration as f64 / f64::from(scale))
}

/// The boxes one after another: four letters and the bytes inside. Ends at the first box that does not fit.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let kind = <[u8; 4]>::try_from(rest.get(4..8)?).ok()?;
        let (start, size) = match u32_at(rest, 0)? {
            0 => (8, rest.len()),
            1 => (16, usize::try_from(u64_at(rest, 8)?).ok()?),
            size => (8, usize::try_from(size).ok()?),
        };
        let payload = rest.get(start..size)?;
        rest = rest.get(size..)?;
        Some((kind, payload))
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len() + 8).unwrap();
        [&size.to_be_bytes(), kind.as_slice(), payload].concat()
    }

    fn header(version: u8, scale: u32, duration: u64) -> Vec<u8> {
        let mut payload = vec![version, 0, 0, 0];
        if version == 0 {
            payload.extend([0; 8]);
            payload.extend(scale.to_be_bytes());
            payload.extend(u32::try_from(duration).unwrap().to_be_bytes());
        } else {
            payload.extend([0; 16]);
            payload.extend(scale.to_be_bytes());
            payload.extend(duration.to_be_bytes());
        }
        boxed(b"mvhd", &payload)
    }

    fn track(version: u8) -> Vec<u8> {
        let mut payload = vec![version];
        payload.resize(if version == 0 { 76 } else { 88 }, 0);
        payload.extend((1280_u32 << 16).to_be_bytes());
        payload.extend((720_u32 << 16).to_be_bytes());
        boxed(b"trak", &boxed(b"tkhd", &payload))
    }

    #[test]
    fn reads_duration_and_size_of_both_header_versions() {
        for version in [0, 1] {
            let file = [
                boxed(b"ftyp", b"isom\0\0\0\0"),
                boxed(b"mdat", &[7; 99]),
                boxed(b"moov", &[header(version, 600, 7500), track(version)].concat()),
            ]
            .concat();
            assert_eq!(
                measure(&file),
                Some(Video { format: "MP4", seconds: Some(12.5), size: Some((1280, 720)) })
            );
        }
    }

    #[test]
    fn names_other_containers() {
        assert_eq!(measure(&boxed(b"ftyp", b"qt  \0\0\0\0")).unwrap().format, "MOV");
        assert_eq!(measure(b"\x1A\x45\xDF\xA3\x01\x42\x82\x84webm").unwrap().format, "WebM");
        assert_eq!(measure(b"\x1A\x45\xDF\xA3\x01\x42\x82\x88matroska").unwrap().format, "Matroska");
        assert_eq!(measure(b"RIFF\0\0\0\0AVI LIST").unwrap().format, "AVI");
    }

    #[test]
    fn broken_boxes_end_the_walk() {
        let mut file = boxed(b"ftyp", b"isom");
        file.extend(u32::MAX.to_be_bytes());
        file.extend(b"moov");
        assert_eq!(measure(&file), Some(Video { format: "MP4", seconds: None, size: None }));
        assert_eq!(measure(&[0, 0, 0, 1, b'f', b't', b'y', b'p']), None);
        assert_eq!(measure(&[0, 0, 0, 4, b'f', b't', b'y', b'p', 1]), None);
        assert_eq!(measure(b"hello, I am text"), None);
    }
}
