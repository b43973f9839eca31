//! The kit of which vendors are made.
//!
//! A vendor of the chat-completions shape is a [`ChatProfile`] (what is odd about its wire), [`Deployments`] (where its models
//! are served), a [`BundledCatalog`] for each of these, and a [`CodeTable`] of its errors. A vendor with a wire of its own is a
//! [`Dialect`]. [`DialectProvider`](crate::DialectProvider) makes a provider of either.

mod catalog;
mod chat_dialect;
mod code_table;
mod credentials;
mod deployments;
mod dialect;
mod faults;
mod options;

pub use catalog::{BundledCatalog, override_models};
pub use chat_dialect::{ChatDialect, ChatProfile};
pub use code_table::{Code, CodeTable};
pub use credentials::{BearerKey, Credentials, NoKey, bearer};
pub use deployments::{Deployment, Deployments};
pub use dialect::{Dialect, Events, Mode, Progress, StreamDecoder, WireRequest};
pub use faults::Faults;
pub use options::ProviderOptions;
