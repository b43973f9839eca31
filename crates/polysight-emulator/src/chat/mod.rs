//! What vendors with an OpenAI-shaped chat completion have in common.

pub(crate) mod completion;
pub(crate) mod message;
pub(crate) mod render;
pub(crate) mod request;
pub(crate) mod tools;
