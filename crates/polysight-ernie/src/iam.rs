//! Short-lived keys, made by the vendor's IAM for an access key and its secret.
//!
//! Source: the vendor's IAM pages of 2025 and the signer of its Python SDK (bce-python-sdk 0.9.79), read 2026-11-21.

use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, header};
use polysight_core::{ApiKey, Error, ErrorKind, Result};
use polysight_wire::chat::{Failure, FailureSource};
use polysight_wire::json::{self, LoneHalves};
use polysight_wire::{BaseUrl, Credentials, ReplyHead, Transport, bearer, classify};
use ring::hmac;
use serde::Deserialize;
use url::Url;

/// The IAM's base URL.
pub(crate) const IAM_URL: &str = "https://iam.bj.baidubce.com";
const PATH: &str = "v1/BCE-BEARER/token";
/// How long before its end a key is made anew, as in the vendor's Go SDK.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a signature is valid, in seconds.
const SIGNATURE_SECONDS: u32 = 1_800;

/// Credentials that fetch a key from the IAM, keep it until shortly before its end, and fetch it once for all requests that
/// wait for it.
pub(crate) struct IamKey {
    access_key: ApiKey,
    secret_key: ApiKey,
    url: Url,
    lifetime: Duration,
    now: fn() -> SystemTime,
    cached: Mutex<Option<CachedKey>>,
    flight: tokio::sync::Mutex<()>,
}

struct CachedKey {
    header: HeaderValue,
    made: SystemTime,
    expires: SystemTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    token: String,
    create_time: Option<String>,
    expire_time: Option<String>,
}

impl IamKey {
    /// # Errors
    /// [`ErrorKind::Config`] when the IAM's path cannot be appended to the base URL.
    pub(crate) fn new(
        access_key: ApiKey,
        secret_key: ApiKey,
        base_url: &BaseUrl,
        seconds: u32,
        now: fn() -> SystemTime,
    ) -> Result<Self> {
        let mut url = base_url.join(PATH)?;
        url.set_query(Some(&format!("expireInSeconds={seconds}")));
        Ok(Self {
            access_key,
            secret_key,
            url,
            lifetime: Duration::from_secs(seconds.into()),
            now,
            cached: Mutex::new(None),
            flight: tokio::sync::Mutex::new(()),
        })
    }

    /// The cached key if it lives for at least this long.
    fn cached(&self, margin: Duration) -> Option<HeaderValue> {
        let now = (self.now)();
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock set back makes the rest of its life unknown: fetch a new one then.
        let key = cached.as_ref().filter(|key| now >= key.made && now + margin < key.expires)?;
        Some(key.header.clone())
    }

    async fn header(&self, transport: &Transport) -> Result<HeaderValue> {
        if let Some(header) = self.cached(MARGIN) {
            return Ok(header);
        }
        let _flight = self.flight.lock().await;
        if let Some(header) = self.cached(MARGIN) {
            return Ok(header);
        }
        match self.fetch(transport).await {
            Ok(header) => Ok(header),
            // The old key is good to its end, even if the IAM is not to be reached just now.
            Err(error) => self.cached(Duration::ZERO).ok_or(error),
        }
    }

    async fn fetch(&self, transport: &Transport) -> Result<HeaderValue> {
        let made = (self.now)();
        let reply =
            transport.get_elsewhere(self.url.clone(), self.signed_headers(made)?).await.map_err(for_iam)?;
        if !reply.head.is_success() {
            let (head, body) = reply.into_error_bytes().await;
            return Err(head.advise(refused(&head, &body)));
        }
        let body = reply.into_bytes().await.map_err(for_iam)?;
        let answer: Answer = json::read_owned(&body).map_err(|error| {
            Error::new(ErrorKind::Protocol, "the IAM's reply holds no key").with_source(error)
        })?;
        let header = bearer(&answer.token)?;
        let expires = made + answer.lifetime().unwrap_or(self.lifetime);
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(CachedKey { header: header.clone(), made, expires });
        Ok(header)
    }

    fn signed_headers(&self, now: SystemTime) -> Result<HeaderMap> {
        let date = humantime::format_rfc3339_seconds(now).to_string();
        let signature = authorization(&self.access_key, &self.secret_key, &self.url, &date);
        let not_sent = |error| {
            Error::new(ErrorKind::Config, "the access key cannot stand in a header").with_source(error)
        };
        let mut headers = HeaderMap::new();
        let mut value = HeaderValue::from_str(&signature).map_err(not_sent)?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        headers.insert("x-bce-date", HeaderValue::from_str(&date).map_err(not_sent)?);
        Ok(headers)
    }
}

impl Answer {
    /// How long the key lives, by the IAM's own clock.
    fn lifetime(&self) -> Option<Duration> {
        let time = |text: &Option<String>| humantime::parse_rfc3339(text.as_deref()?).ok();
        time(&self.expire_time)?.duration_since(time(&self.create_time)?).ok()
    }
}

/// Says of a network error that it was not the model that could not be reached.
fn for_iam(error: Error) -> Error {
    let message = format!("the IAM, asked for a key: {}", error.message());
    Error::new(error.kind(), message).with_retry(error.retry()).with_source(error)
}

/// The IAM's refusals are its clients' faults below status 500, and its code may stand in a header only.
fn refused(head: &ReplyHead, body: &[u8]) -> Error {
    let documents = json::documents(body, LoneHalves::Replace);
    let body = documents.texts.first().map_or(body, String::as_bytes);
    let mut failure = Failure::read(FailureSource::Status, head, body);
    let named = |name| head.header(name).filter(|text| !text.is_empty()).map(str::to_owned);
    failure.code = failure.code.or_else(|| named("x-bce-error-code"));
    failure.request_id = failure.request_id.or_else(|| named("x-bce-request-id"));
    if failure.message.is_empty() {
        failure.message = named("x-bce-error-message").unwrap_or_default();
    }
    if head.status == 429 || head.status >= 500 {
        return classify(&failure);
    }
    let message = match failure.code.as_deref() {
        Some("RequestExpired") => "the IAM found the signature expired: check this machine's clock",
        Some("SignatureDoesNotMatch") => "the IAM found the signature wrong: check secret_key",
        _ => "the IAM refused access_key and secret_key",
    };
    failure.describe(Error::new(ErrorKind::Authentication, message))
}

/// The `Authorization` header of a GET, by the vendor's scheme bce-auth-v1.
fn authorization(access_key: &ApiKey, secret_key: &ApiKey, url: &Url, date: &str) -> String {
    let prefix = format!("bce-auth-v1/{}/{date}/{SIGNATURE_SECONDS}", access_key.expose());
    let signing_key = hmac_hex(secret_key.expose(), &prefix);
    let signature = hmac_hex(&signing_key, &canonical_request(url, date));
    format!("{prefix}/host;x-bce-date/{signature}")
}

fn canonical_request(url: &Url, date: &str) -> String {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut query: Vec<String> =
        url.query_pairs().map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value))).collect();
    query.sort_unstable();
    let query = query.join("&");
    format!("GET\n{}\n{query}\nhost:{}\nx-bce-date:{}", url.path(), encoded(&host), encoded(date))
}

/// Percent-encoding that leaves only unreserved characters, in upper case.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// HMAC-SHA256 in lower-case hexadecimal digits; the scheme uses the digits themselves as the next key.
fn hmac_hex(key: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hmac::sign(&key, text.as_bytes()).as_ref().iter().fold(String::with_capacity(64), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[async_trait]
impl Credentials for IamKey {
    async fn authorize(&self, transport: &Transport, headers: &mut HeaderMap) -> Result<()> {
        headers.insert(header::AUTHORIZATION, self.header(transport).await?);
        Ok(())
    }

    /// A burst of refusals of one key fetches one new key: those that come later find it made.
    fn renew(&self, refused: Option<&HeaderValue>) -> bool {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.is_none() || cached.as_ref().map(|key| &key.header) == refused {
            *cached = None;
        }
        true
    }

    fn secrets(&self) -> Vec<ApiKey> {
        vec![self.access_key.clone(), self.secret_key.clone()]
    }
}

impl fmt::Debug for IamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamKey").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use std::time::UNIX_EPOCH;

    use polysight_core::RetryAdvice;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const ACCESS: &str = "AKEXAMPLE0000000000000000000000";
    const SECRET: &str = "SKEXAMPLE0000000000000000000000";
    /// 2025-10-09T08:53:20Z.
    const NOON: u64 = 1_760_000_000;

    fn key(text: &str) -> ApiKey {
        ApiKey::new(text).unwrap()
    }

    #[test]
    fn a_signature_is_what_two_independent_computations_give() {
        let url = "https://iam.bj.baidubce.com/v1/BCE-BEARER/token?expireInSeconds=1800".parse().unwrap();
        let date = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(NOON)).to_string();
        assert_eq!(date, "2025-10-09T08:53:20Z");
        let prefix = format!("bce-auth-v1/{ACCESS}/{date}/1800");
        assert_eq!(
            hmac_hex(SECRET, &prefix),
            "50aea0c43233f33d1ab8f37dfbc531b6029cb5bb7151c8f7b63293c7b10f5d65"
        );
        assert_eq!(
            authorization(&key(ACCESS), &key(SECRET), &url, &date),
            format!(
                "{prefix}/host;x-bce-date/83cea55e7a958d32caf8d88cb9fd035a8fa4c6839bf0760ad16c140350929652"
            )
        );
    }

    #[test]
    fn queries_are_signed_in_order_and_ports_with_the_host() {
        let url = "http://127.0.0.1:8080/p?b=%2F&a=&c=x~y".parse().unwrap();
        assert_eq!(
            canonical_request(&url, "2025-10-09T08:53:20Z"),
            "GET\n/p\na=&b=%2F&c=x~y\nhost:127.0.0.1%3A8080\nx-bce-date:2025-10-09T08%3A53%3A20Z"
        );
    }

    /// A server that makes a key for each request, counts them, and answers with `status`.
    async fn iam(status: &'static str, body: fn(usize) -> String) -> (BaseUrl, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let calls = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(socket.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                assert!(head.starts_with("GET /v1/BCE-BEARER/token?expireInSeconds=1800 HTTP/1.1"), "{head}");
                assert!(head.to_lowercase().contains("authorization: bce-auth-v1/akexample"), "{head}");
                let body = body(counted.fetch_add(1, Ordering::Relaxed));
                let reply = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                socket.write_all(reply.as_bytes()).await.unwrap();
            }
        });
        (url, calls)
    }

    fn answer(call: usize) -> String {
        // The IAM's clock is an hour ahead: only the difference counts.
        format!(
            r#"{{"userId":"u","token":"bce-v3/t{call}","status":"enable","createTime":"2025-10-09T09:53:20Z",
               "expireTime":"2025-10-09T10:03:20Z"}}"#
        )
    }

    fn credentials(url: &BaseUrl, now: fn() -> SystemTime) -> IamKey {
        IamKey::new(key(ACCESS), key(SECRET), url, 1_800, now).unwrap()
    }

    fn transport() -> Transport {
        Transport::builder().build().unwrap()
    }

    async fn shown(credentials: &IamKey, transport: &Transport) -> String {
        let mut headers = HeaderMap::new();
        credentials.authorize(transport, &mut headers).await.unwrap();
        headers[header::AUTHORIZATION].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_key_is_kept_until_shortly_before_its_end_and_made_anew_on_demand() {
        static SECONDS: AtomicU64 = AtomicU64::new(NOON);
        let (url, calls) = iam("200 OK", answer).await;
        let credentials =
            credentials(&url, || UNIX_EPOCH + Duration::from_secs(SECONDS.load(Ordering::Relaxed)));
        let transport = transport();
        assert_eq!(shown(&credentials, &transport).await, "Bearer bce-v3/t0");
        SECONDS.fetch_add(539, Ordering::Relaxed);
        assert_eq!(shown(&credentials, &transport).await, "Bearer bce-v3/t0");
        SECONDS.fetch_add(1, Ordering::Relaxed);
        assert_eq!(shown(&credentials, &transport).await, "Bearer bce-v3/t1", "a minute before its end");
        SECONDS.fetch_sub(1_000, Ordering::Relaxed);
        assert_eq!(shown(&credentials, &transport).await, "Bearer bce-v3/t2", "a clock set back");
        assert!(credentials.renew(None));
        assert_eq!(shown(&credentials, &transport).await, "Bearer bce-v3/t3");
        assert_eq!(calls.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn requests_that_come_together_share_one_call() {
        let (url, calls) = iam("200 OK", answer).await;
        let credentials = Arc::new(credentials(&url, || UNIX_EPOCH + Duration::from_secs(NOON)));
        let transport = transport();
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let (credentials, transport) = (Arc::clone(&credentials), transport.clone());
                tokio::spawn(async move { shown(&credentials, &transport).await })
            })
            .collect();
        for task in waiting {
            assert_eq!(task.await.unwrap(), "Bearer bce-v3/t0");
        }
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_burst_of_refusals_of_one_key_fetches_one_new_key() {
        let (url, calls) = iam("200 OK", answer).await;
        let credentials = credentials(&url, || UNIX_EPOCH + Duration::from_secs(NOON));
        let transport = transport();
        let refused = HeaderValue::from_static("Bearer bce-v3/t0");
        assert_eq!(shown(&credentials, &transport).await, "Bearer bce-v3/t0");
        for _ in 0..20 {
            assert!(credentials.renew(Some(&refused)));
            assert_eq!(shown(&credentials, &transport).await, "Bearer bce-v3/t1");
        }
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn an_iam_that_fails_takes_nothing_from_a_key_that_still_lives() {
        static SECONDS: AtomicU64 = AtomicU64::new(NOON);
        let (url, _) = iam("200 OK", |call| if call == 0 { answer(0) } else { "not json".to_owned() }).await;
        let credentials =
            credentials(&url, || UNIX_EPOCH + Duration::from_secs(SECONDS.load(Ordering::Relaxed)));
        let transport = transport();
        shown(&credentials, &transport).await;
        SECONDS.fetch_add(580, Ordering::Relaxed);
        assert_eq!(shown(&credentials, &transport).await, "Bearer bce-v3/t0");
        SECONDS.fetch_add(20, Ordering::Relaxed);
        let error = credentials.authorize(&transport, &mut HeaderMap::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }

    #[tokio::test]
    async fn a_refusal_names_the_reason_and_no_secret() {
        let body = |_| r#"{"code":"SignatureDoesNotMatch","message":"the signature is wrong"}"#.to_owned();
        let (url, _) = iam("403 Forbidden", body).await;
        let credentials = credentials(&url, || UNIX_EPOCH + Duration::from_secs(NOON));
        let error = credentials.authorize(&transport(), &mut HeaderMap::new()).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Authentication, RetryAdvice::Never));
        let text = format!("{error} {error:?} {credentials:?}");
        assert!(
            text.contains("check secret_key") && !text.contains(SECRET) && !text.contains(ACCESS),
            "{text}"
        );
    }
}
