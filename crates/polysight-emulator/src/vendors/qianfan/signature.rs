//! Baidu's request signature, `bce-auth-v1`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock;
use crate::http::Head;
use crate::http::query;
use crate::media::hex;

/// The `Authorization` header of a signed request, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Signature<'h> {
    pub(super) access_key: &'h str,
    /// Seconds since the Unix epoch.
    signed_at: u64,
    lifetime: u64,
    /// All before the list of headers; the key is derived from it.
    prefix: &'h str,
    headers: Vec<&'h str>,
    digest: &'h str,
}

impl<'h> Signature<'h> {
    /// `bce-auth-v1/{access key}/{time}/{seconds}/{headers}/{digest}`.
    pub(super) fn parse(header: &'h str) -> Option<Self> {
        let (before, digest) = header.rsplit_once('/')?;
        let (prefix, headers) = before.rsplit_once('/')?;
        let words: Vec<&str> = prefix.split('/').collect();
        let ["bce-auth-v1", access_key, signed_at, lifetime] = words.as_slice() else { return None };
        let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_digest && !access_key.is_empty()).then_some(())?;
        Some(Self {
            access_key,
            signed_at: clock::from_utc(signed_at)?,
            lifetime: lifetime.parse().ok()?,
            prefix,
            headers: headers.split(';').filter(|name| !name.is_empty()).collect(),
            digest,
        })
    }

    /// Whether the time for which it was made is over.
    pub(super) fn is_expired(&self, now: u64) -> bool {
        now > self.signed_at.saturating_add(self.lifetime)
    }

    /// Whether it was made with this secret for this request.
    pub(super) fn is_made_with(&self, secret: &str, head: &Head) -> bool {
        // The hexadecimal text of the first digest, not its bytes, is the key of the second.
        let key = hex(&digest(secret.as_bytes(), self.prefix));
        hex(&digest(key.as_bytes(), &self.canonical(head))).eq_ignore_ascii_case(self.digest)
    }

    fn canonical(&self, head: &Head) -> String {
        [head.method.as_str(), &head.path, &canonical_query(&head.query), &self.canonical_headers(head)]
            .join("\n")
    }

    fn canonical_headers(&self, head: &Head) -> String {
        const USUAL: [&str; 4] = ["host", "content-length", "content-type", "content-md5"];
        let signed = |name: &str| match self.headers.as_slice() {
            [] => USUAL.contains(&name) || name.starts_with("x-bce-"),
            names => names.iter().any(|signed| signed.eq_ignore_ascii_case(name)),
        };
        let present = head.headers.0.iter().filter(|(name, value)| signed(name) && !value.trim().is_empty());
        let mut lines: Vec<String> = present
            .map(|(name, value)| format!("{}:{}", query::encode(name), query::encode(value.trim())))
            .collect();
        lines.sort_unstable();
        lines.join("\n")
    }
}

fn canonical_query(raw: &str) -> String {
    let mut pairs: Vec<String> = query::parse(raw)
        .into_iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("authorization"))
        .map(|(name, value)| format!("{}={}", query::encode(&name), query::encode(&value)))
        .collect();
    pairs.sort_unstable();
    pairs.join("&")
}

fn digest(key: &[u8], text: &str) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{BodyLength, Headers};

    const SECRET: &str = "SKEXAMPLE0000000000000000000000";
    // Made with the vendor's own signer.
    const HEADER: &str = "bce-auth-v1/AKEXAMPLE0000000000000000000000/2025-10-09T08:53:20Z/1800/host;x-bce-date/\
                          83cea55e7a958d32caf8d88cb9fd035a8fa4c6839bf0760ad16c140350929652";

    fn head(query: &str) -> Head {
        let headers =
            [("host", "iam.bj.baidubce.com"), ("x-bce-date", "2025-10-09T08:53:20Z"), ("accept", "*/*")];
        Head {
            method: "GET".to_owned(),
            path: "/v1/BCE-BEARER/token".to_owned(),
            query: query.to_owned(),
            headers: Headers(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            keep_alive: true,
            body: BodyLength::Exact(0),
        }
    }

    #[test]
    fn agrees_with_the_vendors_signer() {
        let signature = Signature::parse(HEADER).unwrap();
        assert_eq!(signature.access_key, "AKEXAMPLE0000000000000000000000");
        assert!(signature.is_made_with(SECRET, &head("expireInSeconds=1800")));
        assert!(!signature.is_made_with(SECRET, &head("expireInSeconds=1801")));
        assert!(!signature.is_made_with("another", &head("expireInSeconds=1800")));
        assert!(!signature.is_expired(1_760_000_000 + 1800) && signature.is_expired(1_760_000_000 + 1801));
    }

    #[test]
    fn refuses_other_shapes() {
        for header in
            ["", "Bearer x", "bce-auth-v1/AK/2025-10-09T08:53:20Z/1800/host/0f", "bce-auth-v1/AK/now/1/h/0"]
        {
            assert_eq!(Signature::parse(header), None, "{header}");
        }
    }
}
