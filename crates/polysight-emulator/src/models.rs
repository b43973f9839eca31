//! The models that the emulator serves, and the limits it holds requests against.
//!
//! The tables are public so that a client's own catalogue can be compared with them in a test. They were written down in
//! November 2026 from the vendors' documents and from published recordings; a vendor may have moved on since.

/// What one model takes and gives.
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
    /// Unless told not to.
    Switchable,
    /// Always; a request to switch it off is refused.
    Forced,
    /// Always, as a `<think>` block inside the answer; a request to switch it off is ignored.
    InAnswer,
}

const MIB: u64 = 1024 * 1024;

/// Longest side of a picture, in pixels.
pub const PICTURE_SIDE: u32 = crate::media::MAX_SIDE;
/// Largest picture, in bytes before base64.
pub const PICTURE_BYTES: u64 = 5 * MIB;

const fn text(id: &'static str, context: u64, free: bool) -> ModelLimits {
    ModelLimits {
        id,
        context,
        max_output: 4095,
        pictures: 0,
        inline_pictures: false,
        video: None,
        documents: false,
        tools: true,
        thinking: Thinking::None,
        free,
    }
}

/// The families before GLM-4.1V.
const fn early(id: &'static str, context: u64, max_output: u64) -> ModelLimits {
    ModelLimits { pictures: 5, inline_pictures: true, max_output, tools: false, ..text(id, context, false) }
}

const fn later(id: &'static str, context: u64, max_output: u64, thinking: Thinking) -> ModelLimits {
    ModelLimits {
        pictures: 50,
        inline_pictures: true,
        max_output,
        documents: true,
        video: Some(long_video(None)),
        thinking,
        ..text(id, context, false)
    }
}

const fn long_video(count: Option<u32>) -> VideoLimits {
    VideoLimits { count, bytes: 200 * MIB, seconds: None, inline: false, first_and_alone: false }
}

const fn short_video(inline: bool) -> VideoLimits {
    VideoLimits { count: Some(1), bytes: 20 * MIB, seconds: Some(30.0), inline, first_and_alone: true }
}

const ZHIPU: &[ModelLimits] = &[
    later("glm-5.3-flashx", 1_000_000, 131_072, Thinking::Forced),
    later("glm-5.3-flash", 1_000_000, 131_072, Thinking::Forced),
    ModelLimits {
        video: Some(long_video(Some(2))),
        ..later("glm-5v-turbo", 200_000, 131_072, Thinking::Switchable)
    },
    ModelLimits {
        video: Some(long_video(Some(2))),
        ..later("glm-4.6v", 128_000, 32_768, Thinking::Switchable)
    },
    ModelLimits {
        video: Some(long_video(Some(2))),
        ..later("glm-4.6v-flashx", 128_000, 32_768, Thinking::Switchable)
    },
    ModelLimits {
        video: Some(long_video(Some(2))),
        free: true,
        ..later("glm-4.6v-flash", 128_000, 32_768, Thinking::Switchable)
    },
    ModelLimits {
        video: Some(long_video(Some(1))),
        tools: false,
        ..later("glm-4.5v", 64_000, 16_384, Thinking::Switchable)
    },
    ModelLimits {
        documents: false,
        tools: false,
        ..later("glm-4.1v-thinking-flashx", 64_000, 16_384, Thinking::InAnswer)
    },
    ModelLimits {
        documents: false,
        tools: false,
        free: true,
        ..later("glm-4.1v-thinking-flash", 64_000, 16_384, Thinking::InAnswer)
    },
    ModelLimits { video: Some(short_video(false)), ..early("glm-4v-plus-0111", 16_000, 8192) },
    ModelLimits { video: Some(short_video(true)), ..early("glm-4v-plus", 8000, 1024) },
    early("glm-4v", 8000, 1024),
    ModelLimits { pictures: 1, inline_pictures: false, free: true, ..early("glm-4v-flash", 16_000, 1024) },
    text("glm-4-plus", 128_000, false),
    text("glm-4-air", 128_000, false),
    text("glm-4-airx", 8000, false),
    text("glm-4-long", 1_000_000, false),
    text("glm-4-flashx", 128_000, false),
    text("glm-4-flash", 128_000, true),
];

/// Zhipu's models.
pub fn zhipu() -> &'static [ModelLimits] {
    ZHIPU
}

/// The model of exactly this id.
pub(crate) fn zhipu_model(id: &str) -> Option<&'static ModelLimits> {
    ZHIPU.iter().find(|model| model.id == id)
}

/// The model of this id in any case, as gateways take it.
pub(crate) fn gateway_model(id: &str) -> Option<&'static ModelLimits> {
    ZHIPU.iter().find(|model| model.id.eq_ignore_ascii_case(id))
}
