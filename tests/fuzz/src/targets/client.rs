//! Whole calls over a socket, answered by servers that repeat the key.

use std::sync::{Mutex, OnceLock, PoisonError};

use polysight_core::{ChatRequest, ChatResponse, Message, Result};
use polysight_testkit::{Client, Wire, calls};

use crate::display::{CANARY, check_line, check_response, check_secret};
use crate::loopback::Loopback;
use crate::wires::{options, reply};

/// What stands in a seed for the key.
const KEY: &[u8] = b"@KEY@";

/// Whatever a server answers, a call ends; in a good answer, or in an error that shows neither key nor prompt.
pub(crate) fn check(data: &[u8]) {
    let (head, body) = reply(data);
    let body = with_key(&body);
    let setup = setup().lock().unwrap_or_else(PoisonError::into_inner);
    let question = || ChatRequest::new([Message::user(format!("What does the {CANARY} sing?"))]);
    for provider in setup.providers.iter().map(Client::as_provider) {
        let (answer, requests) = setup.loopback.call(&head, &body, calls::plain(provider, question()));
        assert!((1..=2).contains(&requests.len()), "{} requests", requests.len());
        check_answer(&answer);
        let streamed = calls::streamed(provider, question());
        check_answer(&setup.loopback.call(&head, &body, streamed).0);
    }
}

fn check_answer(answer: &Result<ChatResponse>) {
    match answer {
        Ok(response) => check_response(response, false),
        Err(error) => {
            check_line(error);
            check_secret(error);
            assert!(error.provider().is_some(), "{error}");
        }
    }
}

fn with_key(data: &[u8]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some(at) = rest.windows(KEY.len()).position(|window| window == KEY) {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(CANARY.as_bytes());
        rest = &rest[at + KEY.len()..];
    }
    filled.extend_from_slice(rest);
    filled
}

struct Setup {
    loopback: Loopback,
    providers: [Client; 4],
}

fn setup() -> &'static Mutex<Setup> {
    static SETUP: OnceLock<Mutex<Setup>> = OnceLock::new();
    SETUP.get_or_init(|| {
        let loopback = Loopback::new();
        let url = || format!("{}/v1", loopback.url()).parse().expect("a URL");
        let options = || options(loopback.transport.clone()).with_base_url(url());
        let providers = Wire::ALL.map(|wire| wire.client(options()));
        Mutex::new(Setup { loopback, providers })
    })
}
