#![doc = include_str!("../README.md")]

mod base_url;
pub mod body;
pub mod chat;
mod classify;
mod client;
mod credentials;
mod dialect;
mod events;
mod limits;
mod options;
mod reply;
mod secrets;
pub mod sse;
mod transport;

pub use base_url::BaseUrl;
pub use body::{JsonBody, WireBody};
pub use classify::classify;
pub use client::{DialectProvider, RequestIds};
pub use credentials::{BearerKey, Credentials, NoKey, bearer};
pub use dialect::{Dialect, Events, Mode, Progress, StreamDecoder, WireRequest};
pub use limits::Limits;
pub use options::ProviderOptions;
pub use reply::{Chunks, ReplyHead, WireReply};
pub use secrets::Secrets;
pub use transport::{Transport, TransportBuilder};
