//! Bytes to a server and back, within limits of time and size.

mod base_url;
pub mod body;
pub(crate) mod chunks;
mod connect;
pub(crate) mod event_reader;
mod failure;
pub(crate) mod form;
mod limits;
pub(crate) mod reply;
mod transport;

pub use base_url::BaseUrl;
pub use chunks::Chunks;
pub use limits::Limits;
pub use reply::{ReplyHead, WireReply};
pub use transport::{Transport, TransportBuilder};
