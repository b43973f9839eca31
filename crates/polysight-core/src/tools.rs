//! Function tools: what the model may call, what it called, what came of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolDefinition {
    /// Name of the function; vendors take letters, digits, `_` and `-`, at most 64 characters.
    pub name: String,
    /// What the function does: the model decides by this text.
    pub description: String,
    /// JSON Schema of the arguments, an object.
    pub parameters: Value,
}

impl ToolDefinition {
    /// Describes a function; `parameters` is the JSON Schema of its arguments.
    #[must_use]
    pub fn new(name: impl Into<String>, description: impl Into<String>, parameters: Value) -> Self {
        Self { name: name.into(), description: description.into(), parameters }
    }
}

/// Whether the model may, must or must not call a tool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides. The default.
    #[default]
    Auto,
    /// The model must not call a tool.
    None,
    /// The model must call some tool.
    Required,
    /// The model must call this function.
    Function(String),
}

/// A call that the model asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// Id that the result must carry.
    pub id: String,
    /// Name of the function.
    pub name: String,
    /// Arguments as JSON text, exactly as the model wrote them: check them before use.
    pub arguments: String,
}

impl ToolCall {
    /// Makes a call, for example to replay a stored conversation.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), arguments: arguments.into() }
    }

    /// Reads the arguments as a type of the caller's.
    ///
    /// # Errors
    /// The parser's error when the model wrote no JSON or JSON of another shape.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.arguments)
    }
}

/// What a tool call gave, sent back to the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolResult {
    /// Id of the call that this answers.
    pub call_id: String,
    /// The result as text, JSON if the tool speaks JSON.
    pub content: String,
}

impl ToolResult {
    /// Answers the call with this id.
    #[must_use]
    pub fn new(call_id: impl Into<String>, content: impl Into<String>) -> Self {
        Self { call_id: call_id.into(), content: content.into() }
    }
}
