//! The models that the emulator serves, and the limits it holds requests against.
//!
//! The tables are public so that a client's own catalogue can be compared with them in a test. They were written down in
//! November 2026 from the vendors' documents and from published recordings; a vendor may have moved on since.

mod ernie;
mod gateway;
mod grounding;
mod qwen;
mod zhipu;

pub use ernie::{ErnieLimits, ernie};
pub use gateway::{GatewayModel, gateway};
pub use grounding::{GroundingUnit, grounding_unit};
pub use qwen::{PixelClass, QwenLimits, QwenThinking, qwen};
pub use zhipu::zhipu;

pub(crate) use ernie::{MOST_ERNIE_PICTURES, ernie_model, is_retired};
pub(crate) use gateway::{Behind, Served, gateway_model};
pub(crate) use qwen::qwen_model;
pub(crate) use zhipu::zhipu_model;

/// What one of Zhipu's models takes and gives.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ModelLimits {
    /// The vendor's id.
    pub id: &'static str,
    /// Prompt and answer together, in tokens.
    pub context: u64,
    /// Highest `max_tokens`.
    pub max_output: u64,
    /// Pictures in one request, all turns together; 0 for a model that takes text alone.
    pub pictures: u32,
    /// Whether pictures may come as base64 and not only as links.
    pub inline_pictures: bool,
    /// Videos, where they are taken at all.
    pub video: Option<VideoLimits>,
    /// Whether document parts (`file_url`, `file`) are taken.
    pub documents: bool,
    /// Whether `tools` are heeded. Elsewhere they are ignored, not refused.
    pub tools: bool,
    /// How the model thinks before it answers.
    pub thinking: Thinking,
    /// Served without charge, also to an account without money.
    pub free: bool,
}

/// How much of a model one key may use. `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// Requests in any 60 s.
    pub requests: Option<u64>,
    /// Tokens of prompts and answers in any 60 s.
    pub tokens: Option<u64>,
    /// Requests at the same time.
    pub concurrent: Option<u64>,
}

impl Quota {
    const NONE: Self = Self { requests: None, tokens: None, concurrent: None };

    const fn per_minute(requests: u64, tokens: u64) -> Self {
        Self { requests: Some(requests), tokens: Some(tokens), concurrent: None }
    }

    const fn at_once(requests: u64) -> Self {
        Self { requests: None, tokens: None, concurrent: Some(requests) }
    }
}

/// What a model takes of videos.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VideoLimits {
    /// Videos in one request, where a number is documented.
    pub count: Option<u32>,
    /// Longest file, in bytes.
    pub bytes: u64,
    /// Longest duration, in seconds.
    pub seconds: Option<f64>,
    /// Whether bytes may come as base64.
    pub inline: bool,
    /// Whether the video must be the first part of its message and may not stand beside pictures.
    pub first_and_alone: bool,
}

/// How a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Thinking {
    /// Not at all.
    None,
    /// Unless the request switches it off.
    Switchable,
    /// Always; a request to switch it off is refused.
    Forced,
    /// Always, as a `<think>` block inside the answer; a request to switch it off is ignored.
    InAnswer,
}

const MIB: u64 = 1024 * 1024;

/// Longest side of a picture that Zhipu takes, in pixels.
pub const PICTURE_SIDE: u32 = 6000;
/// Largest picture that Zhipu takes, in bytes before base64.
pub const PICTURE_BYTES: u64 = 5 * MIB;
