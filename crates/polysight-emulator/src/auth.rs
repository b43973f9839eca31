//! API keys in the forms of the vendors, and the tokens signed with those of Zhipu.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::json::Json;
use crate::request_body::parse_json;

/// A key that the emulator knows.
#[derive(Clone, PartialEq)]
pub(crate) struct Key {
    text: String,
    /// Authenticates, but its account has no money.
    pub(crate) without_balance: bool,
}

impl Key {
    /// A key in the form of one of the vendors: `id.secret`, `sk-..` or `bce-v3/../..`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let proper = pair(text).is_some() || is_dashscope_key(text) || is_qianfan_key(text);
        proper.then(|| Self { text: text.to_owned(), without_balance: false })
    }
}

/// Splits Zhipu's `id.secret`; `None` unless there is exactly one dot with visible ASCII on both sides.
fn pair(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.split_once('.')?;
    (is_graphic(id) && is_graphic(secret) && !secret.contains('.')).then_some((id, secret))
}

/// Whether a key has Alibaba's form, `sk-..`.
pub(crate) fn is_dashscope_key(text: &str) -> bool {
    text.strip_prefix("sk-").is_some_and(is_graphic)
}

/// Whether a key has Baidu's form, `bce-v3/../..`.
pub(crate) fn is_qianfan_key(text: &str) -> bool {
    let rest = text.strip_prefix("bce-v3/").and_then(|rest| rest.split_once('/'));
    rest.is_some_and(|(id, secret)| is_graphic(id) && is_graphic(secret) && !secret.contains('/'))
}

fn is_graphic(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What the `Authorization` header is worth.
#[derive(Debug, PartialEq)]
pub(crate) enum Authentication {
    /// Good; the account behind it, and whether it has money.
    Accepted {
        id: String,
        without_balance: bool,
    },
    Missing,
    Refused,
    /// A signed token whose time is over.
    Expired,
}

/// Checks a Zhipu credential: a key or a signed token, with or without the word `Bearer`.
///
/// With no known keys any well-formed key is accepted, and of a token everything but the signature is checked.
pub(crate) fn authenticate_key(header: Option<&str>, keys: &[Key], now_millis: u64) -> Authentication {
    let Some(credential) = header.map(bare).filter(|text| !text.is_empty()) else {
        return Authentication::Missing;
    };
    if credential.split('.').count() == 3 {
        return authenticate_token(credential, keys, now_millis);
    }
    match pair(credential) {
        Some((id, _)) => match known(credential, keys) {
            Some(without_balance) => Authentication::Accepted { id: id.to_owned(), without_balance },
            None => Authentication::Refused,
        },
        None => Authentication::Refused,
    }
}

/// Whether the account of a key is without money; `None` where the key is not accepted.
fn known(credential: &str, keys: &[Key]) -> Option<bool> {
    if keys.is_empty() {
        return Some(false);
    }
    keys.iter().find(|key| key.text == credential).map(|key| key.without_balance)
}

/// Checks a bearer token: any well-formed one where no keys are known.
pub(crate) fn authenticate_bearer(
    header: Option<&str>,
    keys: &[Key],
    well_formed: fn(&str) -> bool,
) -> Authentication {
    let Some(token) = header.and_then(bearer).filter(|text| !text.is_empty()) else {
        return Authentication::Missing;
    };
    match known(token, keys).filter(|_| well_formed(token)) {
        Some(without_balance) => Authentication::Accepted { id: token.to_owned(), without_balance },
        None => Authentication::Refused,
    }
}

/// The credential without its scheme.
pub(crate) fn bare(header: &str) -> &str {
    bearer(header).unwrap_or(header)
}

/// The token of a `Bearer` header.
pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, rest) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

/// A token in three parts: HS256 over the first two, times in milliseconds (RFC 7519 would have seconds).
fn authenticate_token(token: &str, keys: &[Key], now_millis: u64) -> Authentication {
    let Some((id, expiry)) = claims(token) else { return Authentication::Refused };
    let known = keys
        .iter()
        .find_map(|key| Some((pair(&key.text).filter(|(known, _)| *known == id)?.1, key.without_balance)));
    let without_balance = match known {
        Some((secret, without_balance)) if is_signed_by(token, secret) => without_balance,
        None if keys.is_empty() => false,
        _ => return Authentication::Refused,
    };
    let authentication = Authentication::Accepted { id, without_balance };
    if expiry > now_millis as f64 { authentication } else { Authentication::Expired }
}

/// `api_key` and `exp`, where header and claims have the right shape.
fn claims(token: &str) -> Option<(String, f64)> {
    let mut parts = token.split('.');
    let (header, payload) = (decoded(parts.next()?)?, decoded(parts.next()?)?);
    base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(parts.next()?)
        .ok()
        .filter(|signature| signature.len() == 32)?;
    if header.get("alg")?.text()? != "HS256" {
        return None;
    }
    payload.get("timestamp")?.number()?;
    Some((payload.get("api_key")?.text()?.to_owned(), payload.get("exp")?.number()?.as_f64()?))
}

fn decoded(part: &str) -> Option<Json> {
    parse_json(&base64_simd::URL_SAFE_NO_PAD.decode_to_vec(part).ok()?).json
}

fn is_signed_by(token: &str, secret: &str) -> bool {
    let Some((signed, signature)) = token.rsplit_once('.') else { return false };
    let Ok(signature) = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(signature) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(signed.as_bytes());
    mac.verify_slice(&signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef.testsecret1234567";
    const TOKEN: &str = concat!(
        "eyJhbGciOiJIUzI1NiIsInNpZ25fdHlwZSI6IlNJR04ifQ.",
        "eyJhcGlfa2V5IjoiMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYiLCJleHAiOjE3MDAwMDAyMTAwMDAsInRpbWVzdGFtcCI6MTcw",
        "MDAwMDAwMDAwMH0.-z1pZdBIe1z0POyfw3FzAzRSIcuL7G72q6tEISuxmzM"
    );

    fn keys() -> Vec<Key> {
        vec![Key::parse(KEY).unwrap()]
    }

    fn is_accepted(authentication: &Authentication) -> bool {
        matches!(authentication, Authentication::Accepted { id, .. } if id == "0123456789abcdef0123456789abcdef")
    }

    #[test]
    fn takes_keys_with_and_without_the_scheme() {
        for header in [KEY.to_owned(), format!("Bearer {KEY}"), format!("bearer  {KEY}")] {
            assert!(is_accepted(&authenticate_key(Some(&header), &keys(), 0)), "{header}");
            assert!(is_accepted(&authenticate_key(Some(&header), &[], 0)), "{header}");
        }
    }

    #[test]
    fn refuses_keys_of_another_shape() {
        for bad in ["nodot", "a.", ".b", "a b.c", "a.b.c.d", "id.wrong"] {
            assert_eq!(
                authenticate_key(Some(&format!("Bearer {bad}")), &keys(), 0),
                Authentication::Refused,
                "{bad}"
            );
        }
        assert_eq!(authenticate_key(None, &[], 0), Authentication::Missing);
        assert_eq!(authenticate_key(Some("Bearer "), &[], 0), Authentication::Missing);
    }

    #[test]
    fn tells_the_forms_of_the_vendors_apart() {
        for (text, dashscope, qianfan) in [
            ("sk-abc", true, false),
            ("sk-", false, false),
            ("bce-v3/ALTAK-a/0f", false, true),
            ("bce-v3/ALTAK-a/", false, false),
            ("bce-v3/a/b/c", false, false),
            ("id.secret", false, false),
        ] {
            assert_eq!((is_dashscope_key(text), is_qianfan_key(text)), (dashscope, qianfan), "{text}");
        }
        assert!(
            Key::parse("sk-abc").is_some() && Key::parse("bce-v3/a/b").is_some() && Key::parse("x").is_none()
        );
    }

    #[test]
    fn verifies_signature_and_expiry_of_tokens() {
        assert!(is_accepted(&authenticate_key(Some(TOKEN), &keys(), 1_700_000_209_999)));
        assert_eq!(authenticate_key(Some(TOKEN), &keys(), 1_700_000_210_000), Authentication::Expired);
        assert!(is_accepted(&authenticate_key(Some(TOKEN), &[], 1_700_000_000_000)));
        let forged = TOKEN.replace(".-z1p", ".-z1q");
        assert_eq!(authenticate_key(Some(&forged), &keys(), 1_700_000_000_000), Authentication::Refused);
        let other = [Key::parse("someone.else").unwrap()];
        assert_eq!(authenticate_key(Some(TOKEN), &other, 1_700_000_000_000), Authentication::Refused);
    }
}
