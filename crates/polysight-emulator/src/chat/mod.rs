//! Conversations, answers, and what the shapes of chat completions have in common.

pub(crate) mod broken_json;
pub(crate) mod completion;
pub(crate) mod facts;
pub(crate) mod grounding;
pub(crate) mod message;
pub(crate) mod prepared_answer;
pub(crate) mod prompt;
pub(crate) mod render;
pub(crate) mod request;
pub(crate) mod schema_values;
pub(crate) mod tools;
