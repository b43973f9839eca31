//! The secrets of the test, and every form in which one of them could come out.

use std::sync::LazyLock;

use polysight_testkit::{base64, picture};

pub(crate) const ZHIPU_KEY: &str = "canary7f3a9b2c6d01.canary5d1e8c4b9a02";
pub(crate) const QWEN_KEY: &str = "sk-canary2b8d4f6a1c03e5";
pub(crate) const ERNIE_KEY: &str = "bce-v3/ALTAK-canary9e7c5a3b04d6/canary1f3d5b7904e8";
pub(crate) const ACCESS_KEY: &str = "ALTAK-canary6c4e2a8005f7b9";
pub(crate) const SECRET_KEY: &str = "canary8a6c4e2006b1d3f5a7c9";
/// What the IAM gives for the two.
pub(crate) const SHORT_KEY: &str = "bce-v3/ALTAK-canary3d5f7b9107e2/canaryb9d7f5310862";
/// In a header of the config's own.
pub(crate) const HEADER: &str = "canary4e6a8c0f08d2b4e6";
/// In the addresses of a proxy and of a quota store.
pub(crate) const PASSWORD: &str = "canary0d2f4b6809c1e3a5";
/// In the query of a picture's link.
pub(crate) const SIGNATURE: &str = "canary5b7d9f1a10c3e5d7";
/// In the instructions.
pub(crate) const PROMPT: &str = "canary1a3c5e7d11b9f0c2";
/// Stands many times behind the end of the picture. Its length is no multiple of three, so that it comes in every alignment.
const RUN: &str = "CANARY/picture+0c2e";

const KEYS: [&str; 9] =
    [ZHIPU_KEY, QWEN_KEY, ERNIE_KEY, ACCESS_KEY, SECRET_KEY, SHORT_KEY, HEADER, PASSWORD, SIGNATURE];
/// Length of the pieces that are looked for.
const PIECE: usize = 12;

/// A PNG that a vendor can read, with more behind its end.
pub(crate) static PICTURE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = picture(image::ImageFormat::Png, 32, 24);
    bytes.extend_from_slice(RUN.repeat(60).as_bytes());
    bytes
});

/// A text that must not be shown, and what it is a part of.
pub(crate) struct Secret {
    pub(crate) of: &'static str,
    pub(crate) text: String,
}

/// What must not be shown anywhere: beginning and end of every part of a key, as it is and as base64, and the picture in the same
/// ways.
pub(crate) fn secrets() -> Vec<Secret> {
    let mut secrets = Vec::new();
    for key in KEYS {
        for part in key.split(['.', '/']).filter(|part| part.contains("canary")) {
            let part = &part[part.find("canary").unwrap()..];
            let ends = [&part[..PIECE], &part[part.len() - PIECE..]];
            secrets.extend(ends.map(|piece| Secret { of: "a key", text: piece.to_owned() }));
            secrets.extend(alignments(part).map(|text| Secret { of: "a key in base64", text }));
        }
    }
    secrets.push(Secret { of: "the picture", text: RUN.to_owned() });
    secrets.extend(alignments(&RUN.repeat(2)[..20]).map(|text| Secret { of: "the picture in base64", text }));
    secrets.push(Secret { of: "the picture's beginning in base64", text: base64(&PICTURE[..12]) });
    secrets
}

/// The characters that stand for a text within longer base64, wherever it begins; of each no more than 24.
fn alignments(text: &str) -> impl Iterator<Item = String> {
    let bytes = text.as_bytes();
    (0..3).map(|skipped| {
        let whole = (bytes.len() - skipped) / 3 * 3;
        let mut encoded = base64(&bytes[skipped..skipped + whole]);
        encoded.truncate(24);
        encoded
    })
}

#[test]
fn the_picture_holds_every_searched_piece() {
    let all = base64(&PICTURE);
    let raw = String::from_utf8_lossy(&PICTURE);
    let of_picture = secrets().into_iter().filter(|needle| needle.of.starts_with("the picture"));
    let found = of_picture.map(|needle| all.contains(&needle.text) || raw.contains(&needle.text));
    assert_eq!(found.collect::<Vec<_>>(), [true; 5]);
}
