#![doc = include_str!("../README.md")]

mod attempt;
mod canonical;
mod capability;
pub mod catalog;
mod conversation;
mod error;
pub mod interval;
pub mod media;
mod message;
pub mod plan;

mod probe;
mod provider;
mod provider_ext;
mod redact;
mod request;
mod response;
mod secret;
mod stream;
mod tools;

pub use attempt::Attempt;
pub use canonical::Canonical;
pub use capability::Capability;
pub use catalog::{Catalog, ModelCard};
pub use conversation::Conversation;
pub use error::{Billed, Error, ErrorKind, Partial, RateLimitScope, Result, RetryAdvice, TimeoutPhase};
pub use interval::Interval;
pub use media::{Detail, Image, ImageFormat, ImageInfo, Media, MediaSource, Video, VideoFormat, VideoInfo};
pub use message::{Message, Part, Role};
pub use plan::{Adjustment, Candidate, Estimate, Plan, PlanComparison, Tolerance, Violation, compare_plans};

pub use provider::{ProviderId, VisionProvider};
pub use provider_ext::VisionProviderExt;
pub use redact::redact;
pub use request::{ChatRequest, Effort, RandomSampling, ResponseFormat, Sampling, Thinking, VendorExtras};
pub use response::{
    ChatResponse, FinishKind, FinishReason, RateLimits, RawReply, SafetyLabel, SafetyRole, TokenDetails,
    Usage,
};
pub use secret::ApiKey;
pub use serde_json::Value as JsonValue;
pub use stream::{ChatStream, StreamCollector, StreamEnd, StreamEvent, ToolCallDelta};
pub use tools::{ToolCall, ToolChoice, ToolDefinition, ToolResult};
