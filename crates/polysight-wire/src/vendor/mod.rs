//! The kit of which vendors are made.

mod credentials;
mod dialect;
mod options;

pub use credentials::{BearerKey, Credentials, NoKey, bearer};
pub use dialect::{Dialect, Events, Mode, Progress, StreamDecoder, WireRequest};
pub use options::ProviderOptions;
