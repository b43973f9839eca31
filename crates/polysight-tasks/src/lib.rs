#![doc = include_str!("../README.md")]

mod ext;
pub mod extract;
pub mod json;
pub mod locate;
mod schema;
mod spent;
pub mod tools;

pub use ext::TasksExt;
pub use extract::{ExtractError, ExtractFault, Extracted, Extractor};
pub use locate::{Located, Locator, box_for_prompt, parse_boxes};
pub use schema::{Schema, SchemaFault};
pub use schemars::{self, JsonSchema};
pub use tools::{Tool, ToolError, ToolLoop, ToolLoopError, ToolLoopFault, ToolOutput, ToolRun};

/// The error of a stream that stops without an end, which a [`ChatStream`](polysight_core::ChatStream) never does.
fn no_end() -> polysight_core::Error {
    let kind = polysight_core::ErrorKind::Interrupted;
    polysight_core::Error::new(kind, "the stream stopped without an end")
}
