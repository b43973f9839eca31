//! Tokens signed with the key.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, header};
use polysight_core::{ApiKey, Result};
use polysight_testkit::shown;
use polysight_wire::ProviderOptions;
use polysight_zhipu::{Auth, Zhipu, ZhipuSettings};
use serde_json::Value;

use crate::display::check_line;
use crate::input::Input;
use crate::reference_impl::{decode_url, hmac};
use crate::wires::transport;

/// Any text is a key or is refused without being shown; a key's token has the vendor's claims and a signature that an
/// independent computation gives.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    check_key(&text);
    let mut input = Input::new(data);
    let dots = input.pick(&[".", ".", ".", "", "..", ".x."]);
    let (id, secret) = (input.graphic(40), input.graphic(120));
    check_key(&format!("{id}{dots}{secret}"));
}

fn check_key(text: &str) {
    match token(text) {
        Ok(token) => check_token(bare(text), &token),
        Err(error) => {
            check_line(&error);
            // What is shorter stands in any text.
            if text.trim().chars().count() >= 12 {
                assert!(!shown(&error).contains(text.trim()), "{error}");
            }
        }
    }
}

/// A key without the white space, byte order mark and quotation marks around it. No key that makes a token holds one inside.
fn bare(text: &str) -> &str {
    let is_around = |c: char| c.is_whitespace() || "\u{feff}\"'`\u{201c}\u{201d}\u{2018}\u{2019}".contains(c);
    text.trim_matches(is_around)
}

fn token(text: &str) -> Result<String> {
    let options = ProviderOptions::new("fuzzed").with_api_key(ApiKey::new(text)?).with_transport(transport());
    let zhipu = Zhipu::new(options, &ZhipuSettings::new().with_auth(Auth::Jwt))?;
    let mut headers = HeaderMap::new();
    let made = {
        let mut call = zhipu.inner().call();
        let mut making = pin!(call.authorize(zhipu.inner().transport(), &mut headers));
        making.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    };
    let Poll::Ready(made) = made else { panic!("nothing to wait for") };
    made?;
    let value = headers[header::AUTHORIZATION].to_str().expect("ASCII");
    assert!(headers[header::AUTHORIZATION].is_sensitive());
    Ok(value.strip_prefix("Bearer ").expect("a bearer").to_owned())
}

fn check_token(key: &str, token: &str) {
    let (id, secret) = key.split_once('.').expect("two halves");
    let (signed, signature) = token.rsplit_once('.').expect("a signature");
    assert_eq!(decode_url(signature), Some(hmac(secret.as_bytes(), signed.as_bytes())));
    let (head, claims) = signed.split_once('.').expect("claims");
    let json = |part| -> Value { serde_json::from_slice(&decode_url(part).expect("base64")).expect("JSON") };
    assert_eq!(json(head), serde_json::json!({"alg": "HS256", "sign_type": "SIGN"}));
    let claims = json(claims);
    assert_eq!(claims["api_key"], id);
    let time = |name: &str| claims[name].as_u64().expect("milliseconds");
    assert_eq!(time("exp") - time("timestamp"), 210_000);
}
