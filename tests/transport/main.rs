//! How connections are made and what is said when they are not: over real sockets, TLS included.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod authorities;
mod child;
mod early_refusals;
mod error_texts;
mod protocols;
mod proxies;
mod runtimes;
mod server;
mod slow_errors;
mod without_certificates;

use polysight::{ChatRequest, Error, Image, Message, Polysight, Result, Role, VisionProviderExt as _};
use polysight_testkit::bulky_png;

/// A role at a server of the chat-completions shape; `settings` are further lines of its provider's table.
fn role(url: &str, settings: &str) -> Result<Role> {
    let text = format!(
        "[providers.p]\nbackend = \"openai\"\nbase_url = \"{url}\"\nmodel = \"m\"\napi_key = \"canary-key-0123\"\n{settings}\n\
         [roles.r]\nprovider = \"p\"\nretry = {{ base_delay = 0.01, max_delay = 0.02 }}\n"
    );
    Polysight::from_toml(&text)?.role("r")
}

fn hello() -> ChatRequest {
    ChatRequest::new([Message::user("Say hello.")])
}

/// A question with a picture of about so many bytes.
fn upload(bytes: usize) -> ChatRequest {
    ChatRequest::ask("What is it?", [Image::from_bytes(bulky_png(bytes)).unwrap()])
}

async fn ask(role: &Role, request: ChatRequest) -> Result<String> {
    role.chat(request).await.map(|answer| answer.text)
}

/// The error's one line, which says nothing twice and no key.
fn line(error: &Error) -> String {
    let line = error.to_string();
    assert!(!line.contains("canary") && !line.contains('\n') && line.len() < 500, "{line}");
    line
}
