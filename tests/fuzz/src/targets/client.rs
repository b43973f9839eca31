//! Whole calls over a socket, answered by servers that repeat the key.

use std::sync::{Mutex, OnceLock, PoisonError};

use polysight_core::{ChatRequest, ChatResponse, Message, Result};

use crate::loopback::Loopback;
use crate::shown::{CANARY, check_line, check_response, check_secret};
use crate::wires::{Provider, Wire, options, reply};

/// What stands in a seed for the key.
const KEY: &[u8] = b"@KEY@";

/// Whatever a server answers, a call ends; in a good answer, or in an error that shows neither key nor prompt.
pub(crate) fn check(data: &[u8]) {
    let (head, body) = reply(data);
    let body = with_key(&body);
    let stage = stage().lock().unwrap_or_else(PoisonError::into_inner);
    let question = || ChatRequest::new([Message::user(format!("What does the {CANARY} sing?"))]);
    for provider in stage.providers.iter().map(Provider::as_provider) {
        let (answer, requests) = stage.loopback.call(&head, &body, provider.chat(question()));
        assert!((1..=2).contains(&requests.len()), "{} requests", requests.len());
        check_answer(&answer);
        let streamed = async { provider.stream(question()).await?.collect_response().await };
        check_answer(&stage.loopback.call(&head, &body, streamed).0);
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

struct Stage {
    loopback: Loopback,
    providers: [Provider; 4],
}

fn stage() -> &'static Mutex<Stage> {
    static STAGE: OnceLock<Mutex<Stage>> = OnceLock::new();
    STAGE.get_or_init(|| {
        let loopback = Loopback::new();
        let url = || format!("{}/v1", loopback.url).parse().expect("a URL");
        let options = || options(loopback.transport.clone()).with_base_url(url());
        let providers = Wire::ALL.map(|wire| wire.provider(options()));
        Mutex::new(Stage { loopback, providers })
    })
}
