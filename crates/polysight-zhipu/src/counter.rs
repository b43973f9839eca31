//! The vendor's own counter of tokens: `POST tokenizer`, with the messages of a chat.
//!
//! Source: tokenizer pages of docs.bigmodel.cn and docs.z.ai, read 2026-11-27. They name glm-4.6, glm-4.6v and glm-4.5 as models
//! that it knows, and do not say whether a question costs money.

use polysight_core::{ChatRequest, Error, ErrorKind, Plan, Result, VisionProvider as _};
use polysight_wire::{Call, Dialect as _, DialectProvider, Mode, WireRequest, json};
use serde::Deserialize;

use crate::profile::{ZhipuDialect, ZhipuProfile};

/// What the vendor counts in a prompt; `None` for what it does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenCount {
    /// Tokens of the whole prompt.
    pub total: u64,
    /// Tokens of the pictures.
    pub image: Option<u64>,
    /// Tokens of the videos.
    pub video: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Reply {
    usage: Usage,
}

#[derive(Debug, Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    image_tokens: Option<u64>,
    video_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

/// Plans a request and has it counted.
pub(crate) async fn count(
    provider: &DialectProvider<ZhipuDialect>,
    request: &ChatRequest,
) -> Result<TokenCount> {
    if !provider.dialect().profile().deployment.is_vendor {
        let message = "only the vendor's own service counts tokens: plan the request for bounds";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let plan = provider.plan(request)?;
    let mut call = provider.call();
    ask(provider, &plan, &mut call).await.map_err(|error| call.finish(error))
}

async fn ask(provider: &DialectProvider<ZhipuDialect>, plan: &Plan, call: &mut Call) -> Result<TokenCount> {
    let (dialect, transport) = (provider.dialect(), provider.transport());
    let url = dialect.url().join("../tokenizer").map_err(|error| {
        Error::new(ErrorKind::Config, "the base_url has no place for the counter").with_source(error)
    })?;
    let mut request = WireRequest::new(url, ZhipuProfile::counted_body(plan)?);
    request.headers = dialect.encode(plan, Mode::Plain)?.headers;
    call.authorize(transport, &mut request.headers).await?;
    let reply = transport.post(request).await?;
    if !reply.head.is_success() {
        let (head, body) = reply.into_error_bytes().await;
        return Err(head.advise(dialect.decode_error(&head, &body)));
    }
    let head = reply.head.clone();
    let body = reply.into_bytes().await?;
    read(&body).map_err(|source| match body.windows(7).any(|window| window == b"\"error\"") {
        true => dialect.decode_error(&head, &body).with_source(source),
        false => {
            let message = "the reply holds no count of tokens";
            Error::new(ErrorKind::Protocol, message).with_status(head.status).with_source(source)
        }
    })
}

fn read(body: &[u8]) -> serde_json::Result<TokenCount> {
    let Usage { prompt_tokens, image_tokens, video_tokens, total_tokens } =
        json::read_owned::<Reply>(body)?.usage;
    let total = total_tokens.or(prompt_tokens);
    let total =
        total.ok_or_else(|| <serde_json::Error as serde::de::Error>::missing_field("total_tokens"))?;
    Ok(TokenCount { total, image: image_tokens, video: video_tokens })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_with_what_it_tells() {
        let all =
            read(br#"{"usage":{"prompt_tokens":9,"image_tokens":391,"video_tokens":0,"total_tokens":400}}"#);
        assert_eq!(all.unwrap(), TokenCount { total: 400, image: Some(391), video: Some(0) });
        let few = read(br#"{"usage":{"prompt_tokens":9}}"#).unwrap();
        assert_eq!(few, TokenCount { total: 9, image: None, video: None });
        for broken in ["{}", r#"{"usage":{}}"#, r#"{"usage":{"total_tokens":-1}}"#, "<html>"] {
            assert!(read(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
