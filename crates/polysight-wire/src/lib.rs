#![doc = include_str!("../README.md")]

mod base_url;
pub mod body;
mod call;
pub mod chat;
mod classify;
mod credentials;
mod dialect;
mod events;
#[doc(hidden)]
pub mod forward;
mod limits;
mod options;
mod provider;
mod reply;
mod secrets;
pub mod sse;
mod transport;

pub use base_url::BaseUrl;
pub use body::{JsonBody, WireBody};
pub use call::Call;
pub use classify::classify;
pub use credentials::{BearerKey, Credentials, NoKey, bearer};
pub use dialect::{Dialect, Events, Mode, Progress, StreamDecoder, WireRequest};
pub use limits::Limits;
pub use options::ProviderOptions;
pub use provider::{DialectProvider, RequestIds};
pub use reply::{Chunks, ReplyHead, WireReply};
pub use transport::{Transport, TransportBuilder};
