#![doc = include_str!("../README.md")]

mod ext;
pub mod extract;
pub mod json;
mod schema;
pub mod tools;

pub use ext::TasksExt;
pub use extract::{ExtractError, ExtractFault, Extracted, Extractor};
pub use schema::{Schema, SchemaFault};
pub use schemars::{self, JsonSchema};
pub use tools::{Tool, ToolError, ToolLoop, ToolLoopError, ToolLoopFault, ToolOutput, ToolRun};
