//! What a call's errors must not show: servers repeat what they were sent, in words, codes, ids and addresses.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use polysight_core::media::VideoSource;
use polysight_core::{
    ApiKey, ChatRequest, Error, MediaSource, Part, SecretFilter, Url, is_ordinary, is_secret_name,
};

use crate::{Credentials, Transport};

/// A word of a header that is shorter is no secret, and may stand in any id.
const SHORTEST: usize = 8;

/// The secrets of one call, kept beside it as shared values until an error needs them.
///
/// They are the `Authorization` header, every other header that is
/// [marked as sensitive](http::HeaderValue::set_sensitive), the transport's own headers and [secrets](crate::TransportBuilder::secret),
/// what the [credentials](Credentials::secrets) were made from, and links and media of the request.
pub(crate) struct Secrets {
    credentials: Arc<dyn Credentials>,
    own: Arc<HeaderMap>,
    configured: Arc<[ApiKey]>,
    authorization: Option<HeaderValue>,
    more: Vec<HeaderValue>,
    texts: Vec<ApiKey>,
    links: Vec<Url>,
}

impl Secrets {
    /// The secrets that are known before anything is sent.
    pub(crate) fn new(credentials: &Arc<dyn Credentials>, transport: &Transport) -> Self {
        Self {
            credentials: Arc::clone(credentials),
            own: Arc::clone(transport.headers()),
            configured: Arc::clone(transport.secrets()),
            authorization: None,
            more: Vec::new(),
            texts: Vec::new(),
            links: Vec::new(),
        }
    }

    /// Adds a secret that the vendor gave.
    pub(crate) fn note_text(&mut self, text: &str) {
        self.texts.extend(ApiKey::new(text).ok());
    }

    /// Adds the links of a request. Its other media are not kept here: they are large.
    pub(crate) fn note_links(&mut self, request: &ChatRequest) {
        for_each_source(request, &mut |source| self.links.extend(source.url().cloned()));
    }

    /// Adds those that these headers carry.
    pub(crate) fn note(&mut self, headers: &HeaderMap) {
        let authorization = headers.get(header::AUTHORIZATION).cloned();
        self.more.extend(std::mem::replace(&mut self.authorization, authorization));
        let others =
            headers.iter().filter(|(name, value)| value.is_sensitive() && *name != header::AUTHORIZATION);
        self.more.extend(others.map(|(_, value)| value.clone()));
    }

    /// The `Authorization` header of the headers noted last.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// What the call shows itself by.
    pub(crate) fn credentials(&self) -> &dyn Credentials {
        &*self.credentials
    }

    /// Takes them out of an error; also what stands in `request`, if its media are at hand.
    pub(crate) fn hide(&self, error: Error, request: Option<&ChatRequest>) -> Error {
        let mut filter = self.filter();
        self.links.iter().for_each(|link| filter.add_link(link));
        if let Some(request) = request {
            for_each_source(request, &mut |source| filter.add_media(source));
        }
        error.without_secrets(&filter)
    }

    /// Takes out what is secret in every call.
    pub(crate) fn filter(&self) -> SecretFilter {
        let mut filter = SecretFilter::new();
        let keys = self.credentials.secrets();
        let keys = keys.iter().chain(&*self.configured).chain(&self.texts).map(ApiKey::expose);
        self.sent().chain(keys).for_each(|secret| filter.add(secret));
        filter
    }

    /// Whether a text holds something that was sent: a server repeats it.
    pub(crate) fn is_repeated(&self, text: &str) -> bool {
        let configured = self.configured.iter().map(ApiKey::expose);
        self.sent().chain(configured).any(|word| word.len() >= SHORTEST && text.contains(word))
    }

    /// The words of all headers that may hold a secret.
    fn sent(&self) -> impl Iterator<Item = &str> {
        let own = self.own.iter().flat_map(|(name, value)| secret_words(name, value));
        let sent = self.authorization.iter().chain(&self.more);
        sent.filter_map(|value| value.to_str().ok()).flat_map(words).chain(own)
    }
}

fn for_each_source(request: &ChatRequest, note: &mut dyn FnMut(&MediaSource)) {
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::Image(image) => note(image.source()),
            Part::Video(video) => match video.source() {
                VideoSource::Whole(source) => note(source),
                VideoSource::Frames(frames) => frames.iter().for_each(|frame| note(frame.source())),
                _ => {}
            },
            _ => {}
        }
    }
}

/// The words of a header's value: the name of a scheme such as `Bearer` is none of the secret.
fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"')).filter(|word| !word.is_empty())
}

/// The words of a header that a program adds to all requests, which may be secret: all of one that is called so, else those that
/// are no ordinary words. Ordinary ones stand in codes and messages too.
fn secret_words<'v>(name: &HeaderName, value: &'v HeaderValue) -> impl Iterator<Item = &'v str> + use<'v> {
    let plain = [header::ACCEPT, header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE, header::USER_AGENT];
    let value = value.to_str().ok().filter(|_| !plain.contains(name));
    let is_named = is_secret_name(name.as_str());
    value.into_iter().flat_map(words).filter(move |word| is_named || !is_ordinary(word))
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

#[cfg(test)]
mod tests {
    use polysight_core::{ErrorKind, Image};

    use super::*;
    use crate::BearerKey;

    fn shown(headers: &[(&'static str, &str)], words: &str) -> String {
        let key: Arc<dyn Credentials> =
            Arc::new(BearerKey::new(&ApiKey::new("sk-0123456789").unwrap()).unwrap());
        let transport =
            Transport::builder().header("x-api-key", "canary-0123").header("accept", "text/plain");
        let mut secrets = Secrets::new(&key, &transport.build().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        secrets.note(&map);
        let error = Error::new(ErrorKind::Server, "").with_vendor_message(words);
        secrets.hide(error, None).vendor_message().unwrap().to_owned()
    }

    #[test]
    fn what_was_sent_is_taken_out() {
        let bearer = [("authorization", "Bearer sk-0123456789")];
        assert_eq!(shown(&bearer, "no such key: sk-0123456789!"), "no such key: ..!");
        assert_eq!(shown(&[("authorization", "id.0123456789")], "got `id.0123456789`"), "got `..`");
        assert_eq!(shown(&bearer, "x-api-key canary-0123 and text/plain"), "x-api-key .. and text/plain");
        assert_eq!(shown(&[("authorization", "Bearer any")], "any model"), "any model");
        assert_eq!(shown(&[("x-trace", "0123456789")], "trace 0123456789"), "trace 0123456789");
    }

    #[test]
    fn ordinary_words_of_own_headers_stay_and_others_go() {
        let own = |name: &str, value: &str, words: &str| {
            let none: Arc<dyn Credentials> = Arc::new(crate::NoKey);
            let transport = Transport::builder().header(name, value).build().unwrap();
            let error = Error::new(ErrorKind::Server, "").with_code(words);
            Secrets::new(&none, &transport).hide(error, None).code().unwrap().to_owned()
        };
        for (name, value) in [
            ("x-team", "error"),
            ("x-team", "invalid_request_error"),
            ("x-stage", "production"),
            ("x-model", "qwen3-vl-plus"),
            ("x-version", "2026-11-01"),
            ("x-group", "InvalidParameter, rate_limit_exceeded"),
        ] {
            let code = value.split(", ").last().unwrap();
            assert_eq!(own(name, value, code), code);
        }
        for (name, value) in [
            ("x-team", "canary-0123456789"),
            ("x-tenant", "s3cr3tpass"),
            ("x-api-key", "production"),
            ("authorization", "Basic cHJvZHVjdGlvbg"),
            ("cookie", "session=production"),
        ] {
            let secret = value.split(' ').next_back().unwrap();
            assert_eq!(own(name, value, &format!("no {secret}!")), "no ..!", "{name}");
        }
    }

    #[test]
    fn links_and_media_of_the_request_are_taken_out() {
        let none: Arc<dyn Credentials> = Arc::new(crate::NoKey);
        let mut secrets = Secrets::new(&none, &Transport::builder().build().unwrap());
        let link = Image::from_url("https://h.example/a.jpg?Signature=canary01").unwrap();
        let png =
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\0\0\0\x02\0\x08\x02\0\0\0 canary canary canary canary";
        let request = ChatRequest::ask("?", [link, Image::from_bytes(&png[..]).unwrap()]);
        let base64 = base64_simd::STANDARD.encode_to_string(png);
        let error = || Error::new(ErrorKind::Server, format!("no %3Dcanary01, no '{}'", &base64[20..]));
        assert_eq!(secrets.hide(error(), Some(&request)).message(), "no %3D.., no '..'");
        secrets.note_links(&request);
        secrets.note_text("policy0123456789");
        let later = Error::new(ErrorKind::Server, "canary01 and policy 0123456789");
        assert_eq!(secrets.hide(later, None).message(), ".. and ..");
    }

    #[test]
    fn an_id_that_repeats_what_was_sent_is_taken_away() {
        let none: Arc<dyn Credentials> = Arc::new(crate::NoKey);
        let mut secrets = Secrets::new(&none, &Transport::builder().build().unwrap());
        let key = crate::bearer("sk-0123456789").unwrap();
        secrets.note(&HeaderMap::from_iter([(header::AUTHORIZATION, key)]));
        assert!(!secrets.is_repeated("of Bearer") && secrets.is_repeated("of sk-0123456789"));
    }

    #[test]
    fn the_token_of_an_earlier_try_stays_a_secret() {
        let none: Arc<dyn Credentials> = Arc::new(crate::NoKey);
        let mut secrets = Secrets::new(&none, &Transport::builder().build().unwrap());
        for token in ["token-one", "token-two"] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, crate::bearer(token).unwrap());
            let mut other = HeaderValue::from_str(&format!("also-{token}")).unwrap();
            other.set_sensitive(true);
            headers.insert("x-other", other);
            secrets.note(&headers);
        }
        assert_eq!(secrets.authorization().unwrap(), "Bearer token-two");
        let error = Error::new(ErrorKind::Server, "token-one, token-two, also-token-one, also-token-two");
        assert_eq!(secrets.hide(error, None).message(), ".., .., .., ..");
        assert_eq!(format!("{secrets:?}"), "Secrets(..)");
    }
}
