//! Base64 text and data URIs.

use std::io::Read as _;

use polysight_core::media::Base64Text;
use polysight_core::{Image, Media, Video};

use crate::display::check_line;
use crate::reference_impl::{decode, encode};

/// What is accepted is what an independent reading accepts, and gives the same bytes; text with spaces within a line may be
/// refused. Any bytes come back from any of the
/// ways to write them down.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    check_text(&text);
    check_uri(&text);
    check_uri(&format!("data:{text}"));
    if !data.is_empty() {
        check_bytes(data);
    }
}

fn check_text(text: &str) {
    let plain: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let padded = if plain.contains('=') { plain } else { pad(&plain) };
    let wanted = decode(padded.as_bytes()).filter(|bytes| !bytes.is_empty());
    match Base64Text::new(text) {
        Ok(kept) => {
            assert_eq!(Some(bytes_of(&kept)), wanted, "{text:?}");
            assert_eq!(kept.text(), padded.as_bytes());
        }
        Err(error) => {
            let is_refused = wanted.is_none() || has_spaces(text);
            assert!(is_refused, "{text:?} is good base64: {error}");
            check_line(&error);
        }
    }
}

/// Whether white space stands within a line. Each may be a `+` that was lost on the way, so such a text may be refused.
fn has_spaces(text: &str) -> bool {
    text.split(['\n', '\r']).any(|line| line.trim_ascii().contains(|c: char| c.is_ascii_whitespace()))
}

fn pad(plain: &str) -> String {
    match plain.len() % 4 {
        2 => format!("{plain}=="),
        3 => format!("{plain}="),
        _ => plain.to_owned(),
    }
}

fn bytes_of(kept: &Base64Text) -> Vec<u8> {
    let mut bytes = Vec::new();
    kept.reader().read_to_end(&mut bytes).expect("checked base64");
    assert_eq!(bytes.len() as u64, kept.byte_len());
    bytes
}

/// The text of a data URI: it stands behind the first comma that follows the word `base64`.
fn text_of(uri: &str) -> Option<&str> {
    let is_marked = |head: &str| head.split(';').any(|part| part.trim().eq_ignore_ascii_case("base64"));
    uri.match_indices(',')
        .map(|(comma, _)| uri.split_at(comma))
        .find(|(head, _)| is_marked(head))
        .map(|(_, text)| &text[1..])
}

fn check_uri(uri: &str) {
    match Base64Text::from_data_uri(uri) {
        Ok(kept) => {
            // A percent sign makes another text of it.
            if let Some(text) = text_of(uri).filter(|_| !uri.contains('%')) {
                let bare = Base64Text::new(text).unwrap_or_else(|error| panic!("{error}: {uri:?}"));
                assert_eq!(bytes_of(&kept), bytes_of(&bare));
            }
            assert!(kept.is_data_uri());
        }
        Err(error) => check_line(&error),
    }
    for error in [
        Image::from_url(uri).err(),
        Video::from_url(uri).err(),
        // A path would be opened.
        Some(uri).filter(|uri| uri.starts_with("data:")).and_then(|uri| Media::open(uri).err()),
    ] {
        error.iter().for_each(check_line);
    }
}

fn check_bytes(bytes: &[u8]) {
    let padded = encode(bytes);
    let unpadded = padded.trim_end_matches('=').to_owned();
    let wrapped: String =
        padded.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line) + "\r\n").collect();
    let kept = Base64Text::new(padded.clone()).expect("padded");
    for (how, text) in [("padded", &padded), ("unpadded", &unpadded), ("wrapped", &wrapped)] {
        let kept = Base64Text::new(text.clone()).unwrap_or_else(|error| panic!("{how}: {error}"));
        assert_eq!(bytes_of(&kept), bytes, "{how}");
        let uri = format!("DATA:image/PNG;charset=utf-8;base64,{text}");
        let kept = Base64Text::from_data_uri(uri).unwrap_or_else(|error| panic!("{how}: {error}"));
        assert_eq!(bytes_of(&kept), bytes, "{how}, as a data URI");
        assert_eq!(kept.media_type(), Some("image/png"));
    }
    assert!(!format!("{kept:?}").contains(&padded) || padded.len() < 8);
}
