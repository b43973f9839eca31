#![doc = include_str!("../README.md")]

mod call;
pub mod chat;
#[doc(hidden)]
pub mod forward;
mod http;
pub mod json;
mod provider;
mod secrets;
pub mod sse;
pub mod vendor;

pub use bytes::Bytes;
pub use call::Call;
pub use chat::classify;
pub use provider::{DialectProvider, RequestIds};
pub use url::Url;
pub use vendor::{
    BearerKey, Credentials, Dialect, Events, Mode, NoKey, Progress, ProviderOptions, StreamDecoder,
    WireRequest, bearer,
};

pub use ::http::{HeaderMap, HeaderName, HeaderValue};

pub use self::http::body::{self, JsonBody, WireBody};
pub use self::http::{BaseUrl, Chunks, Limits, ReplyHead, Transport, TransportBuilder, WireReply};
