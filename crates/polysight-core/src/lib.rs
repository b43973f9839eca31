#![doc = include_str!("../README.md")]

mod attempt;
mod capability;
pub mod catalog;
mod conversation;
mod error;
pub mod interval;
pub mod media;
mod message;
mod observer;
pub mod plan;

mod provider;
mod provider_ext;
mod request;
mod response;
mod secret;
mod shared;
mod stream;
mod tools;

pub use attempt::{Attempt, AttemptLog};
pub use bytes::Bytes;
pub use capability::Capability;
pub use catalog::{Catalog, ModelCard};
pub use conversation::Conversation;
pub use error::{
    AtFault, Billed, Error, ErrorKind, Partial, RateLimitScope, Reaction, Result, RetryAdvice, SecretFilter,
    TimeoutPhase, is_ordinary, is_secret_name, redact,
};
pub use interval::Interval;
pub use media::{
    Base64Text, Detail, Image, ImageFormat, ImageInfo, Media, MediaSource, Orientation, Video, VideoFormat,
    VideoInfo, redact_name,
};
pub use message::{Message, MessageRole, Part};
pub use observer::{CallEvent, CallOutcome, Observer, Observers};
pub use plan::{
    Adjustment, Candidate, CostRange, Count, Estimate, Limit, Plan, PlanComparison, Quantity, Rung,
    Tolerance, Violation, compare_plans,
};

pub use provider::{ProviderId, VisionProvider};
pub use provider_ext::VisionProviderExt;
pub use request::{ChatRequest, Effort, RandomSampling, ResponseFormat, Sampling, Thinking, VendorExtras};
pub use response::{
    ChatResponse, FinishKind, FinishReason, RateLimits, RawReply, ResponseMeta, SafetyLabel, SafetyRole,
    TokenDetails, Usage,
};
pub use secret::ApiKey;
pub use serde_json::Value as JsonValue;
pub use shared::Shared;
pub use stream::{ChatStream, StreamCollector, StreamEvent, ToolCallDelta};
pub use tools::{ToolCall, ToolChoice, ToolDefinition, ToolResult};
pub use url::Url;
