//! Keys that never show.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::{Error, ErrorKind};

/// An API key: wiped from memory on drop, never printed.
///
/// White space around the key is trimmed, and so are a byte order mark before it and one pair of quotation marks around it:
/// keys read from files and environment variables often have them, and vendors answer such a key as if it were revoked.
/// `Debug` prints `ApiKey(..)`.
///
/// ```
/// # use polysight_core as polysight;
/// use polysight::ApiKey;
///
/// let key = ApiKey::new("id.secret\n").unwrap();
/// assert_eq!(key.expose(), "id.secret");
/// assert_eq!(format!("{key:?}"), "ApiKey(..)");
/// assert!(ApiKey::new("two\nlines").is_err());
/// ```
#[derive(Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Takes a key, trims white space around it and checks that it can be sent in a header.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an empty key, for one that holds white space, quotation marks, control characters or anything
    /// else than visible ASCII, and for a line `NAME=value`. The message tells the position, never the key.
    pub fn new(key: impl Into<String>) -> crate::Result<Self> {
        let raw = SecretString::from(key.into());
        let trimmed = unquoted(raw.expose_secret());
        if trimmed.is_empty() {
            return Err(Error::new(ErrorKind::Config, "the API key is empty"));
        }
        if assigned(trimmed).is_some() {
            let message = "the API key is a line NAME=value: give the value alone";
            return Err(Error::new(ErrorKind::Config, message));
        }
        let is_bad = |c: &char| !c.is_ascii_graphic() || matches!(c, '"' | '\'' | '`');
        if let Some((position, bad)) = trimmed.chars().enumerate().find(|(_, c)| is_bad(c)) {
            let what = match bad {
                '\n' | '\r' => "a line break",
                c if c.is_whitespace() => "white space",
                '"' | '\'' | '`' => "a quotation mark",
                _ => "a character that no HTTP header may hold",
            };
            return Err(Error::new(
                ErrorKind::Config,
                format!("the API key holds {what} at character {}: check how it was pasted", position + 1),
            ));
        }
        Ok(Self(SecretString::from(trimmed)))
    }

    /// Takes the key out of the text of a file: the key alone, or one line `NAME=value` of an environment file. Empty lines and
    /// those that begin with `#` do not count.
    ///
    /// # Errors
    /// As [`new`](Self::new), and for a file of several lines.
    pub fn from_file_text(text: &str) -> crate::Result<Self> {
        let counts = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let mut lines = text.lines().map(|line| line.trim_start_matches('\u{feff}').trim()).filter(counts);
        let (first, more) = (lines.next().unwrap_or_default(), lines.count());
        if more > 0 {
            let message = format!("the key file holds {} lines: put the key alone into it", more + 1);
            return Err(Error::new(ErrorKind::Config, message));
        }
        Self::new(assigned(first).unwrap_or(first))
    }

    /// Shows the key, to put it into a header or a signature.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The key without white space, a byte order mark and one pair of quotation marks around it.
fn unquoted(key: &str) -> &str {
    let bare = |c: char| c.is_whitespace() || c == '\u{feff}';
    let key = key.trim_matches(bare);
    let pairs = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’')];
    let inside = pairs.iter().find_map(|(open, close)| key.strip_prefix(*open)?.strip_suffix(*close));
    inside.map_or(key, |inside| inside.trim_matches(bare))
}

/// The value in a line of an environment file: a name in capitals, `=`, and the value.
fn assigned(key: &str) -> Option<&str> {
    let (name, value) = key.strip_prefix("export ").unwrap_or(key).split_once('=')?;
    let name = name.trim();
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    // Base64 may end in `=`.
    (is_name && !value.trim_matches('=').is_empty()).then_some(value)
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trims_a_newline_at_the_end() {
        assert_eq!(ApiKey::new(" abc.def\r\n").unwrap().expose(), "abc.def");
    }

    #[test]
    fn takes_off_quotation_marks_and_a_byte_order_mark() {
        for key in [
            "\"abc.def\"",
            "'abc.def'\n",
            "\u{feff}abc.def",
            "\u{feff} \"abc.def\"\r\n",
            "“abc.def”",
            "`abc.def`",
            "' abc.def '",
        ] {
            assert_eq!(ApiKey::new(key).unwrap().expose(), "abc.def", "{key:?}");
        }
        for key in ["\"abc.def", "abc.def'", "abc\"def", "\"\"abc.def\"\""] {
            let text = ApiKey::new(key).unwrap_err().to_string();
            assert!(text.contains("a quotation mark at character") && !text.contains("abc"), "{text}");
        }
        assert!(ApiKey::new("\"\"").unwrap_err().to_string().contains("empty"));
    }

    #[test]
    fn refuses_a_line_of_an_environment_file() {
        for line in
            ["ZHIPU_KEY=abc.def", "export ZHIPU_KEY=abc.def", "KEY = abc.def", "A_1='abc.def'", "KEY==abc"]
        {
            let text = ApiKey::new(line).unwrap_err().to_string();
            assert!(text.contains("NAME=value") && !text.contains("abc"), "{text}");
        }
        for key in ["QUJD=", "QUJDRA==", "abc=def", "sk-a=b"] {
            assert!(ApiKey::new(key).is_ok(), "{key}");
        }
    }

    #[test]
    fn a_file_holds_the_key_alone_or_in_one_line() {
        for text in [
            "abc.def\n",
            "\u{feff}abc.def\r\n",
            "\n# the key\nabc.def\n\n",
            "ZHIPU_KEY=abc.def\n",
            "# for tests\nexport ZHIPU_KEY=\"abc.def\"\n",
            "\u{feff}KEY = 'abc.def'",
        ] {
            assert_eq!(ApiKey::from_file_text(text).unwrap().expose(), "abc.def", "{text:?}");
        }
        for (text, words) in [
            ("abc.def\nabc.def", "2 lines"),
            ("A=abc.def\nB=abc.def\nC=abc.def", "3 lines"),
            ("# abc.def", "empty"),
            ("", "empty"),
            ("abc def", "white space"),
        ] {
            let shown = ApiKey::from_file_text(text).unwrap_err().to_string();
            assert!(shown.contains(words) && !shown.contains("abc"), "{shown}");
        }
    }

    #[test]
    fn refuses_a_newline_inside_and_does_not_show_the_key() {
        let error = ApiKey::new("abc\ndef").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(text.contains("a line break at character 4"), "{text}");
        assert!(!text.contains("abc") && !text.contains("def"), "{text}");
    }

    #[test]
    fn refuses_what_no_header_can_hold() {
        assert!(ApiKey::new("").is_err());
        assert!(ApiKey::new("  \n").is_err());
        assert!(ApiKey::new("schlüssel").is_err());
        assert!(ApiKey::new("a b").is_err());
    }

    #[test]
    fn tells_where_a_key_is_wrong_on_one_line_and_never_the_key() {
        for bad in ["\u{0}", "\u{1b}", "\r", "\t", "\u{85}", "\u{2028}", "\u{a0}", "é", "\u{feff}", "\u{7f}"]
        {
            let error = ApiKey::new(format!("sekret{bad}token")).unwrap_err();
            for shown in [error.to_string(), format!("{error:?}")] {
                assert!(shown.contains("at character 7"), "{shown}");
                assert!(
                    !shown.contains("sekret") && !shown.contains("token") && !shown.contains(bad),
                    "{shown:?}"
                );
            }
        }
        let key = ApiKey::new("sekret").unwrap();
        assert!(!format!("{key:?} {:?}", Some(&key)).contains("sekret"));
    }
}
