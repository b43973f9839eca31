//! Keys that never show.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::{Error, ErrorKind};

/// An API key: wiped from memory on drop, never printed.
///
/// White space around the key is trimmed, since a key read from a file or an environment variable often ends in a
/// newline and vendors answer such a key as if it were revoked. `Debug` prints `ApiKey(..)`.
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
    /// [`ErrorKind::Config`] for an empty key and for one that holds white space, control characters or anything
    /// else than visible ASCII. The message tells the position, never the key.
    pub fn new(key: impl Into<String>) -> crate::Result<Self> {
        let raw = SecretString::from(key.into());
        let trimmed = raw.expose_secret().trim();
        if trimmed.is_empty() {
            return Err(Error::new(ErrorKind::Config, "the API key is empty"));
        }
        if let Some((position, bad)) = trimmed.chars().enumerate().find(|(_, c)| !c.is_ascii_graphic()) {
            let what = match bad {
                '\n' | '\r' => "a line break",
                c if c.is_whitespace() => "white space",
                _ => "a character that no HTTP header may hold",
            };
            return Err(Error::new(
                ErrorKind::Config,
                format!("the API key holds {what} at character {}: check how it was pasted", position + 1),
            ));
        }
        Ok(Self(SecretString::from(trimmed)))
    }

    /// Shows the key, to put it into a header or a signature.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
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
