//! Zhipu's models.

use super::{MIB, ModelLimits, Thinking, VideoLimits};

pub(super) const fn text(id: &'static str, context: u64, free: bool) -> ModelLimits {
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
