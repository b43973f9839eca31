//! Signed requests to the IAM.

use std::sync::{Mutex, OnceLock, PoisonError};

use http::{HeaderMap, header};
use polysight_core::{ApiKey, Result};
use polysight_ernie::{Ernie, ErnieSettings};
use polysight_testkit::ReceivedRequest;
use polysight_wire::{ProviderOptions, ReplyHead};

use crate::display::{CANARY, check_line, check_secret};
use crate::input::Input;
use crate::loopback::Loopback;
use crate::reference_impl::{hex, hmac};
use crate::wires;

/// Any pair of keys and any address are signed as the vendor's scheme has it, or refused; whatever the IAM answers, the
/// secret is not shown.
pub(crate) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let access = format!("ALTAK{}", input.graphic(40));
    let secret = format!("{}{CANARY}", input.graphic(100));
    let path: String = input.bytes(12).iter().map(|byte| path_character(*byte)).collect();
    let seconds = input.maybe(Input::count);
    let (head, body) = wires::reply(input.rest());
    let loopback = loopback().lock().unwrap_or_else(PoisonError::into_inner);
    let settings = || -> Result<ErnieSettings> {
        let settings = ErnieSettings::new()
            .with_iam(ApiKey::new(&*access)?, ApiKey::new(&*secret)?)
            .with_iam_url(format!("{}/{path}", loopback.url()));
        Ok(seconds.map_or(settings.clone(), |seconds| settings.with_key_seconds(seconds)))
    };
    let options = ProviderOptions::new("fuzzed").with_transport(loopback.transport.clone());
    match settings().and_then(|settings| Ernie::new(options, &settings)) {
        Ok(ernie) => check_call(&loopback, &ernie, (&access, &secret), &head, &body),
        Err(error) => {
            check_line(&error);
            check_secret(&error);
        }
    }
}

fn path_character(byte: u8) -> char {
    const CHARACTERS: &[u8] = b"abcXYZ019-_.~/";
    char::from(CHARACTERS[usize::from(byte) % CHARACTERS.len()])
}

fn check_call(loopback: &Loopback, ernie: &Ernie, keys: (&str, &str), head: &ReplyHead, body: &[u8]) {
    let mut headers = HeaderMap::new();
    let mut call = ernie.inner().call();
    let call = call.authorize(&loopback.transport, &mut headers);
    let (made, requests) = loopback.call(head, body, call);
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    check_signature(request, keys);
    match made {
        Ok(()) => assert!(headers[header::AUTHORIZATION].is_sensitive()),
        Err(error) => {
            check_line(&error);
            check_secret(&error);
        }
    }
}

/// The scheme bce-auth-v1, from what arrived alone.
fn check_signature(request: &ReceivedRequest, (access, secret): (&str, &str)) {
    let date = request.header("x-bce-date").expect("a date");
    let host = request.header("host").expect("a host");
    let (path, query) = request.path().split_once('?').expect("a query");
    let mut query: Vec<&str> = query.split('&').collect();
    query.sort_unstable();
    let encoded = |text: &str| text.replace(':', "%3A");
    let canonical =
        format!("GET\n{path}\n{}\nhost:{}\nx-bce-date:{}", query.join("&"), encoded(host), encoded(date));
    let prefix = format!("bce-auth-v1/{access}/{date}/1800");
    let key = hex(&hmac(secret.as_bytes(), prefix.as_bytes()));
    let signature = hex(&hmac(key.as_bytes(), canonical.as_bytes()));
    let wanted = format!("{prefix}/host;x-bce-date/{signature}");
    assert_eq!(request.header("authorization"), Some(&*wanted), "{canonical}");
}

fn loopback() -> &'static Mutex<Loopback> {
    static LOOPBACK: OnceLock<Mutex<Loopback>> = OnceLock::new();
    LOOPBACK.get_or_init(|| Mutex::new(Loopback::new()))
}
