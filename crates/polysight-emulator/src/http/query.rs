//! Query strings and the percent-encoding in them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Names and values in order, decoded; bytes that are not UTF-8 become the replacement character.
pub(crate) fn parse(query: &str) -> Vec<(String, String)> {
    let text = |encoded: &str| String::from_utf8_lossy(&decode(encoded)).into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// The bytes of a text without percent-encoding.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

/// A text in which all but unreserved characters are percent-encoded, in capitals.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_and_encodes() {
        let pairs = parse("a=b%20c&empty=&flag&%E7%9C%8B=%2&plus=+");
        let expected = [("a", "b c"), ("empty", ""), ("flag", ""), ("看", "%2"), ("plus", "+")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(encode("看 /~"), "%E7%9C%8B%20%2F~");
        assert_eq!(decode(&encode("a&b=c%")), b"a&b=c%");
    }
}
