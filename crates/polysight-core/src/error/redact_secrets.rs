//! Takes secrets out of an error, since servers repeat what they were sent.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use super::redact;
use super::{Error, ErrorKind};

/// What is shorter is no secret, and may stand in any word.
const SHORTEST: usize = 8;
/// Shortest part of a secret, such as one half of `id.secret`, that is taken out by itself.
const SHORTEST_PART: usize = 16;

impl Error {
    /// Takes secrets out of everything that this error shows: a server may repeat a key that it was sent, in its words, its
    /// code or its id of the request. Parts of a secret go too where they have 16 characters and more, and so does a secret
    /// whose end was cut off. What has fewer than 8 characters stays, and so does the [partial](Self::partial) answer.
    ///
    /// ```
    /// # use polysight_core as polysight;
    /// use polysight::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Authentication, "").with_vendor_message("no such key: sk-0123456789!");
    /// assert_eq!(error.without_secrets(&["sk-0123456789"]).vendor_message(), Some("no such key: ..!"));
    /// ```
    #[must_use]
    pub fn without_secrets<S: AsRef<str>>(mut self, secrets: &[S]) -> Self {
        let secrets = Secrets::of(secrets.iter().map(AsRef::as_ref));
        if secrets.0.is_empty() {
            return self;
        }
        let inner = &mut *self.0;
        secrets.hide(&mut inner.message);
        let texts =
            [&mut inner.code, &mut inner.vendor_message, &mut inner.request_id, &mut inner.quota_reset];
        texts.into_iter().flatten().for_each(|text| secrets.hide(text));
        for attempt in &mut inner.attempts {
            secrets.hide(&mut attempt.message);
            [&mut attempt.code, &mut attempt.request_id]
                .into_iter()
                .flatten()
                .for_each(|text| secrets.hide(text));
        }
        if let Some(source) = inner.source.take() {
            inner.source = Some(secrets.hide_source(source));
        }
        self
    }

    /// Says that it was another kind of failure than it seemed to be, and keeps everything else that is known.
    #[must_use]
    pub fn reclassified(mut self, kind: ErrorKind, message: impl Into<String>) -> Self {
        (self.0.kind, self.0.message) = (kind, message.into());
        self
    }
}

/// Secrets and their longer parts, the longest first, so that no part is taken out of a whole one.
struct Secrets<'a>(Vec<&'a str>);

impl<'a> Secrets<'a> {
    fn of(secrets: impl Iterator<Item = &'a str>) -> Self {
        let mut all = Vec::new();
        for secret in secrets.filter(|secret| secret.len() >= SHORTEST) {
            let is_break = |c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '+');
            all.push(secret);
            all.extend(secret.split(is_break).filter(|part| part.len() >= SHORTEST_PART));
        }
        all.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(all)
    }

    fn hide(&self, text: &mut String) {
        for secret in &self.0 {
            if text.contains(secret) {
                *text = text.replace(secret, "..");
            }
        }
        self.hide_cut(text);
    }

    /// A text that was cut to its longest length may end within a secret.
    fn hide_cut(&self, text: &mut String) {
        let body = text.trim_end_matches('.');
        let cuts = self.0.iter().filter_map(|secret| {
            let starts = (SHORTEST..secret.len()).rev().filter_map(|length| secret.get(..length));
            starts.into_iter().find(|start| body.ends_with(start.trim_end_matches('.')))
        });
        if let Some(longest) = cuts.map(|start| start.trim_end_matches('.').len()).max() {
            text.truncate(body.len() - longest);
            text.push_str("..");
        }
    }

    /// A source that shows a secret, on whatever level, is replaced by its words without the secret.
    fn hide_source(&self, source: Arc<dyn StdError + Send + Sync>) -> Arc<dyn StdError + Send + Sync> {
        let mut words = source.to_string();
        let mut shown = format!("{source:?} {words}");
        let mut cause = source.source();
        while let Some(next) = cause {
            words = format!("{words}: {next}");
            shown = format!("{shown} {next:?} {next}");
            cause = next.source();
        }
        if !self.0.iter().any(|secret| shown.contains(secret)) {
            return source;
        }
        self.hide(&mut words);
        Arc::new(Told(redact(&words)))
    }
}

/// What is left of a source that showed a secret.
#[derive(Debug)]
struct Told(String);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Told {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KEY: &str = "0123456789abcdef.canaryFEDCBA9876";

    fn shown(error: &Error) -> String {
        let mut shown = format!("{error} {error:?} {:?} {:?}", error.code(), error.request_id());
        let mut source = error.source();
        while let Some(cause) = source {
            shown = format!("{shown} {cause} {cause:?}");
            source = cause.source();
        }
        shown
    }

    fn server(words: &str) -> Error {
        Error::new(ErrorKind::Server, words).with_vendor_message(words)
    }

    #[test]
    fn a_secret_is_taken_out_of_all_that_is_shown() {
        let words = format!("no such key: {KEY}, see Bearer {KEY}!");
        let earlier = server(&words).with_code(&words).with_request_id(&words).into_attempts(Duration::ZERO);
        let error = server(&words)
            .with_code(&words)
            .with_request_id(KEY)
            .with_quota_reset(&words)
            .with_earlier_attempts(earlier)
            .with_source(Error::new(ErrorKind::Server, "deep").with_source(std::io::Error::other(words)));
        assert!(shown(&error).contains(KEY));
        let error = error.without_secrets(&[KEY]);
        assert!(!shown(&error).contains("canary"), "{}", shown(&error));
        assert_eq!(error.vendor_message(), Some("no such key: .., see Bearer ..!"));
        assert_eq!(
            error.source().unwrap().to_string(),
            "server failure: deep: no such key: .., see Bearer ..!"
        );
        assert!(!error.attempts().iter().any(|attempt| format!("{attempt:?}").contains("canary")));
    }

    #[test]
    fn a_long_part_of_a_secret_is_one_itself() {
        let error = server("signed with canaryFEDCBA9876 of 0123456789abcdef").without_secrets(&[KEY]);
        assert_eq!(error.vendor_message(), Some("signed with .. of .."));
    }

    #[test]
    fn a_secret_that_was_cut_off_goes_too() {
        for filling in 560..600 {
            let words =
                format!("{} {KEY}", "x".repeat(20).as_str().to_owned() + &" y".repeat((filling - 20) / 2));
            let error = server(&words).without_secrets(&[KEY]);
            let left = error.vendor_message().unwrap();
            assert!(!left.contains("01234567"), "{filling}: {left}");
        }
    }

    #[test]
    fn short_words_and_other_texts_stay() {
        let error = server("any model").with_source(std::io::Error::other("any")).without_secrets(&["any"]);
        assert_eq!(
            (error.vendor_message(), error.source().unwrap().to_string()),
            (Some("any model"), "any".into())
        );
        let error = server("a text").with_source(std::io::Error::other("deep")).without_secrets(&[KEY]);
        assert!(error.source().unwrap().downcast_ref::<std::io::Error>().is_some());
    }

    #[test]
    fn another_kind_keeps_what_the_vendor_said() {
        let error = server("x").with_code("7").reclassified(ErrorKind::InvalidMedia, "it is no picture");
        assert_eq!(error.to_string(), "unusable media (code 7): it is no picture: x");
    }
}
