//! Files put together from valid pieces, read by the core and by code of others: two readers agree, or one refuses.
//!
//! The generator knows what its file says. A file that is whole must be read so by the core; what the other reader says is
//! compared wherever both take a file. What the other one is known to read otherwise is listed with the reason, and a file
//! with such a piece is not compared.

pub(crate) mod heif;
pub(crate) mod jpeg;
pub(crate) mod mp4;

use std::fmt::Debug;

use polysight_core::media::Orientation;

use crate::input::Input;

/// A piece that the other reader reads otherwise, and why that is no fault of the core.
type Exception = (&'static str, &'static str);

/// A file, and what it says where all of that is there.
struct Made<T> {
    bytes: Vec<u8>,
    says: Option<T>,
    /// Its pieces among the exceptions.
    odd: Vec<&'static str>,
}

impl<T: PartialEq + Debug> Made<T> {
    /// True where both readers took the file and were compared.
    fn check<U: PartialEq + Debug>(
        &self,
        exceptions: &[Exception],
        ours: Option<&T>,
        compared: impl Fn(&T) -> U,
        other: Option<U>,
    ) -> bool {
        for piece in &self.odd {
            assert!(exceptions.iter().any(|(name, _)| name == piece), "{piece} is not listed");
        }
        if self.says.is_some() {
            assert_eq!(ours, self.says.as_ref(), "what the file says: {}", self.bytes.escape_ascii());
        }
        let (Some(ours), Some(other)) = (ours, other) else { return false };
        if self.odd.is_empty() {
            assert_eq!(compared(ours), other, "another reader: {}", self.bytes.escape_ascii());
        }
        self.odd.is_empty()
    }
}

/// A box of ISO/IEC 14496-12, with a length of 32 or, where the input says so, 64 bits.
fn boxed(input: &mut Input<'_>, kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = content.len() as u64;
    match input.below(16) {
        15 => [&1u32.to_be_bytes()[..], kind, &(length + 16).to_be_bytes(), content].concat(),
        _ => [&(length as u32 + 8).to_be_bytes()[..], kind, content].concat(),
    }
}

/// Version and flags, which come first in many boxes.
fn full(version: u8, flags: u32) -> Vec<u8> {
    (u32::from(version) << 24 | flags).to_be_bytes().to_vec()
}

/// Boxes of one level, with others between them that no reader knows.
fn level(input: &mut Input<'_>, boxes: Vec<Vec<u8>>) -> Vec<u8> {
    let mut content = Vec::new();
    for known in boxes {
        if input.below(6) == 5 {
            let kind = input.pick(&[*b"free", *b"skip", *b"uuid", *b"zzzz"]);
            let filling = vec![input.byte(); 16 + input.below(40)];
            content.extend(boxed(input, &kind, &filling));
        }
        content.extend(known);
    }
    content
}

/// Moves the first of a list to another place, as files that are well formed may.
fn shuffled<T>(input: &mut Input<'_>, mut list: Vec<T>) -> Vec<T> {
    let places = list.len();
    for _ in 0..input.below(4) {
        list.swap(input.below(places), input.below(places));
    }
    list
}

/// Cuts a file off or changes a few bytes of it, now and then. Gives the first position that is not as it was.
fn damage(input: &mut Input<'_>, bytes: &mut Vec<u8>) -> usize {
    let place = |input: &mut Input<'_>, length: usize| input.number() as usize % length.max(1);
    match input.below(8) {
        6 => bytes.truncate(place(input, bytes.len())),
        7 => {
            let places: Vec<_> = (0..1 + input.below(3)).map(|_| place(input, bytes.len())).collect();
            for place in &places {
                bytes[*place] = input.pick(&[0, 1, 2, 7, 8, 0x7f, 0x80, 0xff]);
            }
            return places.into_iter().min().unwrap_or(0);
        }
        _ => return usize::MAX,
    }
    bytes.len()
}

/// The orientation that maps a picture's right and down to these directions, as EXIF numbers it.
fn orientation(right: (i32, i32), down: (i32, i32)) -> Orientation {
    let number = match (right, down) {
        ((1, 0), (0, 1)) => 1,
        ((-1, 0), (0, 1)) => 2,
        ((-1, 0), (0, -1)) => 3,
        ((1, 0), (0, -1)) => 4,
        ((0, 1), (1, 0)) => 5,
        ((0, 1), (-1, 0)) => 6,
        ((0, -1), (-1, 0)) => 7,
        _ => 8,
    };
    Orientation::from_exif(number).expect("1 to 8")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of inputs drawn at random many must be taken by both readers, or the targets would compare nothing.
    #[test]
    fn many_files_are_compared() {
        let mut state = 1u64;
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        for (name, compare) in
            [("heif", heif::compare as fn(&[u8]) -> bool), ("jpeg", jpeg::compare), ("mp4", mp4::compare)]
        {
            assert!(compare(&[]), "{name}: the simplest file");
            let inputs: Vec<Vec<u8>> = (0..1_000).map(|_| (0..120).map(|_| draw()).collect()).collect();
            let compared = inputs.iter().filter(|input| compare(input)).count();
            println!("{name}: {compared} of 1000 files taken by both readers and compared");
            assert!(compared > 100, "{name}: {compared}");
        }
    }
}
