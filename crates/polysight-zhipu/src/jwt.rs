//! Short-lived tokens made from the key, for accounts and gateways that want them.
//!
//! The vendor's times are milliseconds, against the standard for such tokens, so that libraries for the standard
//! make tokens that expire in the year 50,000 or at once; signing by hand is ten lines. Source: the vendor's Python
//! SDK (zhipuai 2.1.5, zai-sdk 0.2.3), read 2026-11-21.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, header};
use polysight_core::{ApiKey, Error, ErrorKind, Result};
use polysight_wire::{Credentials, Transport, bearer};
use ring::hmac;

/// How long a token is valid, as in the vendor's SDK.
const LIFETIME: Duration = Duration::from_secs(210);
/// How long a token is used; shorter, so that none expires on its way.
const REUSE: Duration = Duration::from_secs(180);

/// Credentials that turn a key into tokens and keep each for three minutes.
pub(crate) struct JwtKey {
    key: ApiKey,
    now: fn() -> SystemTime,
    cached: Mutex<Option<(SystemTime, HeaderValue)>>,
}

impl JwtKey {
    /// # Errors
    /// [`ErrorKind::Config`] when the key is not an id and a secret with one dot between.
    pub(crate) fn new(key: ApiKey, now: fn() -> SystemTime) -> Result<Self> {
        halves(&key)?;
        Ok(Self { key, now, cached: Mutex::new(None) })
    }

    fn header(&self) -> Result<HeaderValue> {
        let now = (self.now)();
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, value)) = &*cached
            // A clock set back makes the age unknown: make a new token then.
            && now.duration_since(*made).is_ok_and(|age| age < REUSE)
        {
            return Ok(value.clone());
        }
        let value = bearer(&token(&self.key, now)?)?;
        *cached = Some((now, value.clone()));
        Ok(value)
    }
}

/// The key's id and secret.
fn halves(key: &ApiKey) -> Result<(&str, &str)> {
    match key.expose().split_once('.') {
        Some((id, secret)) if !id.is_empty() && !secret.is_empty() && !secret.contains('.') => {
            Ok((id, secret))
        }
        _ => Err(Error::new(
            ErrorKind::Config,
            "tokens are made from a key of the form id.secret, with one dot",
        )),
    }
}

/// Makes a token: header and claims as base64url without padding, signed with HMAC-SHA256 by the secret's own bytes.
fn token(key: &ApiKey, now: SystemTime) -> Result<String> {
    let (id, secret) = halves(key)?;
    let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let expires = millis + LIFETIME.as_millis();
    let id = serde_json::Value::from(id);
    let claims = format!(r#"{{"api_key":{id},"exp":{expires},"timestamp":{millis}}}"#);
    let encode = |bytes: &[u8]| base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
    let signed =
        format!("{}.{}", encode(br#"{"alg":"HS256","sign_type":"SIGN"}"#), encode(claims.as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    Ok(format!("{signed}.{}", encode(hmac::sign(&key, signed.as_bytes()).as_ref())))
}

#[async_trait]
impl Credentials for JwtKey {
    async fn authorize(&self, _: &Transport, headers: &mut HeaderMap) -> Result<()> {
        headers.insert(header::AUTHORIZATION, self.header()?);
        Ok(())
    }

    fn renew(&self, refused: Option<&HeaderValue>) -> bool {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.is_none() || cached.as_ref().map(|(_, value)| value) == refused {
            *cached = None;
        }
        true
    }

    fn secrets(&self) -> Vec<ApiKey> {
        vec![self.key.clone()]
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef.testsecret1234567";

    #[test]
    fn a_token_is_what_an_independent_computation_gives() {
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_000);
        let expected = concat!(
            "eyJhbGciOiJIUzI1NiIsInNpZ25fdHlwZSI6IlNJR04ifQ.",
            "eyJhcGlfa2V5IjoiMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYiLCJleHAiOjE3MDAwMDAyMTAwMDAs",
            "InRpbWVzdGFtcCI6MTcwMDAwMDAwMDAwMH0.",
            "-z1pZdBIe1z0POyfw3FzAzRSIcuL7G72q6tEISuxmzM"
        );
        assert_eq!(token(&ApiKey::new(KEY).unwrap(), now).unwrap(), expected);
    }

    #[test]
    fn a_token_is_used_for_three_minutes_and_made_anew_on_demand() {
        static SECONDS: AtomicU64 = AtomicU64::new(1_700_000_000);
        let key = JwtKey::new(ApiKey::new(KEY).unwrap(), || {
            UNIX_EPOCH + Duration::from_secs(SECONDS.load(Ordering::Relaxed))
        })
        .unwrap();
        let first = key.header().unwrap();
        SECONDS.fetch_add(179, Ordering::Relaxed);
        assert_eq!(key.header().unwrap(), first);
        SECONDS.fetch_add(1, Ordering::Relaxed);
        let second = key.header().unwrap();
        assert_ne!(second, first);
        SECONDS.fetch_add(1, Ordering::Relaxed);
        assert!(key.renew(Some(&first)));
        assert_eq!(key.header().unwrap(), second, "another one was refused");
        assert!(key.renew(Some(&second)));
        assert_ne!(key.header().unwrap(), second);
        SECONDS.fetch_sub(100, Ordering::Relaxed);
        assert_ne!(key.header().unwrap(), second, "a clock set back");
    }

    #[test]
    fn only_a_key_of_two_halves_makes_tokens() {
        for bad in ["nodot", "a.b.c", ".b", "a."] {
            assert!(JwtKey::new(ApiKey::new(bad).unwrap(), SystemTime::now).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_shows_the_key() {
        let key = JwtKey::new(ApiKey::new(KEY).unwrap(), SystemTime::now).unwrap();
        assert_eq!(format!("{key:?}"), "JwtKey(..)");
        assert!(!format!("{:?}", key.header().unwrap()).contains("eyJ"));
    }
}
