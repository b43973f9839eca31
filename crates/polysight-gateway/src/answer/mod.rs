//! Answers in the chat-completions shape.

mod boxes;
mod objects;
mod plain;
mod stream;

pub(crate) use objects::Head;
pub(crate) use plain::plain;
pub(crate) use stream::{Opening, Phase, StreamBody};
