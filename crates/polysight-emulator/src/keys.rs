//! API keys in the forms of the vendors, and the tokens signed with those of Zhipu.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::intake::take_in;
use crate::json::Json;

/// A key that the emulator knows.
#[derive(Clone, PartialEq)]
pub(crate) struct Key {
    text: String,
    /// Authenticates, but its account has no money.
    pub(crate) broke: bool,
}

impl Key {
    /// A key in the form of one of the vendors: `id.secret`, `sk-..` or `bce-v3/../..`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let proper = pair(text).is_some() || is_dashscope_key(text) || is_qianfan_key(text);
        proper.then(|| Self { text: text.to_owned(), broke: false })
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
pub(crate) enum Verdict {
    /// Good; the account behind it, and whether it has money.
    Accepted {
        id: String,
        broke: bool,
    },
    Missing,
    Refused,
    /// A signed token whose time is over.
    Expired,
}

/// Judges a Zhipu credential: a key or a signed token, with or without the word `Bearer`.
///
/// With no known keys any well-formed key is accepted, and of a token everything but the signature is checked.
pub(crate) fn judge(header: Option<&str>, keys: &[Key], now_millis: u64) -> Verdict {
    let Some(credential) = header.map(bare).filter(|text| !text.is_empty()) else { return Verdict::Missing };
    if credential.split('.').count() == 3 {
        return judge_token(credential, keys, now_millis);
    }
    match pair(credential) {
        Some((id, _)) => match known(credential, keys) {
            Some(broke) => Verdict::Accepted { id: id.to_owned(), broke },
            None => Verdict::Refused,
        },
        None => Verdict::Refused,
    }
}

/// Whether the account of a key is without money; `None` where the key is not accepted.
fn known(credential: &str, keys: &[Key]) -> Option<bool> {
    if keys.is_empty() {
        return Some(false);
    }
    keys.iter().find(|key| key.text == credential).map(|key| key.broke)
}

/// Judges a bearer token: any well-formed one where no keys are known.
pub(crate) fn judge_bearer(header: Option<&str>, keys: &[Key], well_formed: fn(&str) -> bool) -> Verdict {
    let Some(token) = header.and_then(bearer).filter(|text| !text.is_empty()) else {
        return Verdict::Missing;
    };
    match known(token, keys).filter(|_| well_formed(token)) {
        Some(broke) => Verdict::Accepted { id: token.to_owned(), broke },
        None => Verdict::Refused,
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
fn judge_token(token: &str, keys: &[Key], now_millis: u64) -> Verdict {
    let Some((id, expiry)) = claims(token) else { return Verdict::Refused };
    let known =
        keys.iter().find_map(|key| Some((pair(&key.text).filter(|(known, _)| *known == id)?.1, key.broke)));
    let broke = match known {
        Some((secret, broke)) if is_signed_by(token, secret) => broke,
        None if keys.is_empty() => false,
        _ => return Verdict::Refused,
    };
    let verdict = Verdict::Accepted { id, broke };
    if expiry > now_millis as f64 { verdict } else { Verdict::Expired }
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
    take_in(&base64_simd::URL_SAFE_NO_PAD.decode_to_vec(part).ok()?).json
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

    fn is_accepted(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Accepted { id, .. } if id == "0123456789abcdef0123456789abcdef")
    }

    #[test]
    fn takes_keys_with_and_without_the_scheme() {
        for header in [KEY.to_owned(), format!("Bearer {KEY}"), format!("bearer  {KEY}")] {
            assert!(is_accepted(&judge(Some(&header), &keys(), 0)), "{header}");
            assert!(is_accepted(&judge(Some(&header), &[], 0)), "{header}");
        }
    }

    #[test]
    fn refuses_keys_of_another_shape() {
        for bad in ["nodot", "a.", ".b", "a b.c", "a.b.c.d", "id.wrong"] {
            assert_eq!(judge(Some(&format!("Bearer {bad}")), &keys(), 0), Verdict::Refused, "{bad}");
        }
        assert_eq!(judge(None, &[], 0), Verdict::Missing);
        assert_eq!(judge(Some("Bearer "), &[], 0), Verdict::Missing);
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
        assert!(is_accepted(&judge(Some(TOKEN), &keys(), 1_700_000_209_999)));
        assert_eq!(judge(Some(TOKEN), &keys(), 1_700_000_210_000), Verdict::Expired);
        assert!(is_accepted(&judge(Some(TOKEN), &[], 1_700_000_000_000)));
        let forged = TOKEN.replace(".-z1p", ".-z1q");
        assert_eq!(judge(Some(&forged), &keys(), 1_700_000_000_000), Verdict::Refused);
        let stranger = [Key::parse("someone.else").unwrap()];
        assert_eq!(judge(Some(TOKEN), &stranger, 1_700_000_000_000), Verdict::Refused);
    }
}
