//! A row of JPEG pictures without anything between them, cut into its pictures.

use bytes::Bytes;

/// The pictures. What is cut off at the end is left out. They share the buffer.
pub(super) fn split(all: &Bytes) -> Vec<Bytes> {
    let mut pictures = Vec::new();
    let mut start = 0;
    while let Some(length) = all.get(start..).and_then(length) {
        pictures.push(all.slice(start..start + length));
        start += length;
    }
    pictures
}

/// Length of the picture at the beginning: segments by their lengths, then data up to the end marker, which stands nowhere
/// else in it.
fn length(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    let mut at = 2;
    loop {
        let [0xff, marker, high, low] = *bytes.get(at..at + 4)? else { return None };
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
        if marker == 0xda {
            let data = bytes.get(at..)?;
            return Some(at + data.windows(2).position(|pair| pair == [0xff, 0xd9])? + 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_cut_at_their_ends() {
        // A segment that holds the bytes of the end marker, then data.
        let picture = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 0xff, 0xd9, 0xff, 0xda, 0, 2, 7, 0xff, 0, 7, 0xff, 0xd9];
        let row = Bytes::from([&picture[..], &picture, &picture[..12]].concat());
        assert_eq!(split(&row), [Bytes::copy_from_slice(&picture), Bytes::copy_from_slice(&picture)]);
        for bad in [&b""[..], b"\xff\xd8", b"\xff\xd8\xff\xe0\0\0", b"words", b"\xff\xd8\xff\xe0\xff\xff"] {
            assert!(split(&Bytes::from(bad)).is_empty(), "{bad:?}");
        }
    }
}
