#![doc = include_str!("../README.md")]

pub mod extract;
pub mod json;
mod schema;
pub mod tools;

pub use extract::{ExtractError, ExtractFault, Extracted, Extractor};
pub use schema::{Schema, SchemaFault};
pub use tools::{Tool, ToolError, ToolLoop, ToolOutput, ToolRun};
