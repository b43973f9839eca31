//! What a call's errors must not show: servers repeat what they were sent, in words, codes, ids and addresses.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use polysight_core::Error;

use crate::{Credentials, Transport};

/// A word of a header that is shorter is no secret, and may stand in any id.
const SHORTEST: usize = 8;

/// The secrets of one call, kept beside it as shared values until an error needs them.
///
/// They are the `Authorization` header, every other header that is
/// [marked as sensitive](http::HeaderValue::set_sensitive), the transport's own headers, and what the
/// [credentials](Credentials::secrets) were made from.
pub(crate) struct Secrets {
    credentials: Arc<dyn Credentials>,
    own: Arc<HeaderMap>,
    authorization: Option<HeaderValue>,
    more: Vec<HeaderValue>,
}

impl Secrets {
    /// The secrets that are known before anything is sent.
    pub(crate) fn new(credentials: &Arc<dyn Credentials>, transport: &Transport) -> Self {
        Self {
            credentials: Arc::clone(credentials),
            own: Arc::clone(transport.headers()),
            authorization: None,
            more: Vec::new(),
        }
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

    /// Takes them out of an error.
    pub(crate) fn hide(&self, error: Error) -> Error {
        let keys = self.credentials.secrets();
        let all: Vec<&str> = self.sent().chain(keys.iter().map(polysight_core::ApiKey::expose)).collect();
        error.without_secrets(&all)
    }

    /// Whether a text holds something that was sent: a server repeats it.
    pub(crate) fn is_repeated(&self, text: &str) -> bool {
        self.sent().any(|word| word.len() >= SHORTEST && text.contains(word))
    }

    /// The words of all headers that may hold a secret.
    fn sent(&self) -> impl Iterator<Item = &str> {
        let own = self.own.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value);
        let sent = self.authorization.iter().chain(&self.more).chain(own);
        sent.filter_map(|value| value.to_str().ok()).flat_map(words)
    }
}

/// The words of a header's value: the name of a scheme such as `Bearer` is none of the secret.
fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"')).filter(|word| !word.is_empty())
}

/// Whether a header that a program adds to all requests may hold a secret.
fn is_secret(name: &HeaderName) -> bool {
    let plain = [header::ACCEPT, header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE, header::USER_AGENT];
    !plain.contains(name)
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

#[cfg(test)]
mod tests {
    use polysight_core::{ApiKey, ErrorKind};

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
        secrets.hide(error).vendor_message().unwrap().to_owned()
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
        assert_eq!(secrets.hide(error).message(), ".., .., .., ..");
        assert_eq!(format!("{secrets:?}"), "Secrets(..)");
    }
}
