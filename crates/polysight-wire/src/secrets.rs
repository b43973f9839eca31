//! What a call's errors must not show: servers repeat what they were sent, in words, codes, ids and addresses.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use polysight_core::{Error, RetryAdvice};

use crate::{Credentials, Transport};

/// A word of a header that is shorter is no secret, and may stand in any id.
const SHORTEST: usize = 8;

/// The secrets of one call, kept beside it as shared values until an error needs them.
///
/// They are the `Authorization` header, every other header that is
/// [marked as sensitive](http::HeaderValue::set_sensitive), the transport's own headers, and what the
/// [credentials](Credentials::secrets) were made from. [`DialectProvider`](crate::DialectProvider) passes every error of a
/// call through [`hide`](Self::hide); calls of a vendor besides chat do the same.
#[derive(Clone)]
pub struct Secrets {
    credentials: Arc<dyn Credentials>,
    own: Arc<HeaderMap>,
    authorization: Option<HeaderValue>,
    more: Vec<HeaderValue>,
}

impl Secrets {
    /// The secrets that are known before anything is sent.
    #[must_use]
    pub fn new(credentials: &Arc<dyn Credentials>, transport: &Transport) -> Self {
        Self {
            credentials: Arc::clone(credentials),
            own: Arc::clone(transport.headers()),
            authorization: None,
            more: Vec::new(),
        }
    }

    /// Adds those that these headers carry.
    pub fn note(&mut self, headers: &HeaderMap) {
        let authorization = headers.get(header::AUTHORIZATION).cloned();
        self.more.extend(std::mem::replace(&mut self.authorization, authorization));
        let others =
            headers.iter().filter(|(name, value)| value.is_sensitive() && *name != header::AUTHORIZATION);
        self.more.extend(others.map(|(_, value)| value.clone()));
    }

    /// The `Authorization` header of the headers noted last.
    #[must_use]
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Makes credentials anew that are said to have expired where a good status stood, for the next try, which is the
    /// caller's; if they cannot be, no try helps.
    #[must_use]
    pub fn renewed(&self, error: Error) -> Error {
        let expired = error.retry() == RetryAdvice::RefreshCredentials;
        if expired && !self.credentials.renew(self.authorization()) {
            return error.with_retry(RetryAdvice::Never);
        }
        error
    }

    /// Takes them out of an error.
    #[must_use]
    pub fn hide(&self, error: Error) -> Error {
        let keys = self.credentials.secrets();
        let all: Vec<&str> = self.sent().chain(keys.iter().map(polysight_core::ApiKey::expose)).collect();
        error.without_secrets(&all)
    }

    /// Takes away the ids of an answer that repeat what was sent: they go into logs and spans.
    pub(crate) fn hide_ids(&self, ids: [&mut Option<String>; 2]) {
        let repeats = |id: &String| self.sent().any(|word| word.len() >= SHORTEST && id.contains(word));
        for id in ids {
            id.take_if(|id| repeats(id));
        }
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

    /// Credentials that can be made anew, or not.
    #[derive(Debug)]
    struct Renewable(bool);

    #[async_trait::async_trait]
    impl Credentials for Renewable {
        async fn authorize(&self, _: &Transport, _: &mut HeaderMap) -> polysight_core::Result<()> {
            Ok(())
        }

        fn renew(&self, _: Option<&HeaderValue>) -> bool {
            self.0
        }
    }

    #[test]
    fn new_credentials_are_advised_only_where_there_are_any() {
        let transport = Transport::builder().build().unwrap();
        let renewed = |renewable, error| {
            let credentials: Arc<dyn Credentials> = Arc::new(Renewable(renewable));
            Secrets::new(&credentials, &transport).renewed(error)
        };
        let expired =
            || Error::new(ErrorKind::Authentication, "").with_retry(RetryAdvice::RefreshCredentials);
        assert_eq!(renewed(true, expired()).retry(), RetryAdvice::RefreshCredentials);
        assert_eq!(renewed(false, expired()).retry(), RetryAdvice::Never);
        let busy = renewed(false, Error::new(ErrorKind::Overloaded, ""));
        assert_eq!(busy.retry(), RetryAdvice::After(None));
    }

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
        let (mut id, mut request_id) = (Some("of Bearer".to_owned()), Some("of sk-0123456789".to_owned()));
        secrets.hide_ids([&mut id, &mut request_id]);
        assert_eq!((id.as_deref(), request_id), (Some("of Bearer"), None));
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
