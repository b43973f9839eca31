//! Alibaba's models.

use super::Quota;

/// What one of Alibaba's vision models takes and gives.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QwenLimits {
    /// The vendor's id.
    pub id: &'static str,
    /// Longest prompt, in tokens.
    pub max_input: u64,
    /// Highest `max_tokens`.
    pub max_output: u64,
    /// Pictures in one request by URL; as base64 never more than 250.
    pub pictures: u64,
    /// Largest picture by URL, in bytes.
    pub picture_bytes: u64,
    /// How pictures are cut into tokens.
    pub pixels: PixelClass,
    /// Whether videos and frame lists are taken.
    pub video: bool,
    /// Longest video file, in seconds.
    pub video_seconds: f64,
    /// Most frames in a list, and most frames sampled from a file.
    pub frames: u64,
    /// How the model thinks before it answers.
    pub thinking: QwenThinking,
    /// Whether thinking is possible without a stream.
    pub plain_thinking: bool,
    /// Highest `thinking_budget`.
    pub thinking_budget: u64,
    /// Whether `max_completion_tokens` is heeded.
    pub completion_limit: bool,
    /// Whether `tools` are heeded. Elsewhere they are ignored, not refused.
    pub tools: bool,
    /// Whether `reasoning_effort` is heeded.
    pub effort: bool,
    /// How much of it one account may use, where that is known.
    pub quota: Quota,
}

/// How a picture becomes tokens: the side of a cell and the default budgets, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PixelClass {
    /// Side of the square that one token stands for.
    pub cell: u32,
    /// Default `min_pixels` of a picture.
    pub least: u64,
    /// Default `max_pixels` of a picture.
    pub most: u64,
    /// Highest `max_pixels`; more is cut down to it.
    pub ceiling: u64,
    /// Default `min_pixels` of a frame of a video.
    pub frame_least: u64,
    /// Default `max_pixels` of a frame, and the highest that may be asked for.
    pub frame_most: (u64, u64),
    /// Default `total_pixels` of a video.
    pub video_total: u64,
}

/// How a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QwenThinking {
    /// Not at all.
    None,
    /// When the request asks for it.
    Off,
    /// Unless the request switches it off.
    On,
    /// Always, and only in streams.
    Always,
}

const MIB: u64 = super::MIB;
const HOUR: f64 = 3600.0;

const CLASS_A: PixelClass = PixelClass {
    cell: 32,
    least: 65_536,
    most: 2_621_440,
    ceiling: 16_777_216,
    frame_least: 65_536,
    frame_most: (655_360, 2_048_000),
    video_total: 134_217_728,
};

/// As class A, with less room for videos.
const CLASS_A_OPEN: PixelClass =
    PixelClass { frame_most: (655_360, 786_432), video_total: 67_108_864, ..CLASS_A };

/// Two pages of the vendor give 1,310,720 and 2,621,440 for the default; the newer one is followed.
const CLASS_B: PixelClass = PixelClass { least: 4096, ..CLASS_A_OPEN };

const CLASS_C: PixelClass = PixelClass {
    cell: 28,
    least: 3136,
    most: 1_003_520,
    ceiling: 12_845_056,
    frame_least: 50_176,
    frame_most: (501_760, 602_112),
    video_total: 51_380_224,
};

const CLASS_OCR: PixelClass = PixelClass { least: 3072, most: 8_388_608, ceiling: 30_720_000, ..CLASS_B };

const CLASS_OCR_OLD: PixelClass = PixelClass { most: 6_422_528, ceiling: 23_520_000, ..CLASS_C };

/// A family with a million tokens of context.
const fn large(id: &'static str, max_output: u64, thinking_budget: u64) -> QwenLimits {
    QwenLimits {
        id,
        max_input: 991_808,
        max_output,
        pictures: 256,
        picture_bytes: 20 * MIB,
        pixels: CLASS_A,
        video: true,
        video_seconds: 2.0 * HOUR,
        frames: 8000,
        thinking: QwenThinking::On,
        plain_thinking: true,
        thinking_budget,
        completion_limit: true,
        tools: true,
        effort: false,
        quota: Quota::NONE,
    }
}

/// Not in the vendor's list of those that think without a stream.
const fn newest(id: &'static str) -> QwenLimits {
    QwenLimits { effort: true, plain_thinking: false, ..large(id, 131_072, 262_144) }
}

const fn qwen3_7_plus(id: &'static str) -> QwenLimits {
    QwenLimits { pictures: 2048, ..large(id, 65_536, 262_144) }
}

const fn qwen3_7_flash(id: &'static str) -> QwenLimits {
    QwenLimits { plain_thinking: false, ..large(id, 65_536, 262_144) }
}

/// Open weights of the newer families: a smaller window, and thinking in streams alone.
const fn open(id: &'static str) -> QwenLimits {
    QwenLimits {
        max_input: 258_048,
        plain_thinking: false,
        completion_limit: false,
        ..large(id, 65_536, 81_920)
    }
}

const fn qwen3_vl(id: &'static str) -> QwenLimits {
    QwenLimits {
        max_input: 260_096,
        picture_bytes: 10 * MIB,
        video_seconds: HOUR,
        frames: 2000,
        thinking: QwenThinking::Off,
        plain_thinking: false,
        completion_limit: false,
        ..large(id, 32_768, 81_920)
    }
}

const fn qwen3_vl_open(id: &'static str, thinking: QwenThinking) -> QwenLimits {
    QwenLimits {
        max_input: 126_976,
        pixels: CLASS_A_OPEN,
        video_seconds: HOUR / 3.0,
        frames: 512,
        thinking,
        ..qwen3_vl(id)
    }
}

/// Qwen-VL-Max and -Plus.
const fn qwen_vl(id: &'static str, seconds: f64, quota: Quota) -> QwenLimits {
    QwenLimits {
        max_input: 129_024,
        max_output: 8192,
        pixels: CLASS_B,
        video_seconds: seconds,
        frames: 512,
        thinking: QwenThinking::None,
        thinking_budget: 0,
        tools: false,
        quota,
        ..qwen3_vl(id)
    }
}

const fn qwen2_5_vl(id: &'static str) -> QwenLimits {
    QwenLimits { pixels: CLASS_C, ..qwen_vl(id, HOUR / 6.0, Quota::NONE) }
}

/// Snapshots of the Qwen-VL models that cut pictures as Qwen2.5-VL does.
const fn qwen_vl_old(id: &'static str, seconds: f64, frames: u64) -> QwenLimits {
    QwenLimits { pixels: CLASS_C, frames, ..qwen_vl(id, seconds, Quota::NONE) }
}

const fn ocr(id: &'static str) -> QwenLimits {
    QwenLimits { max_input: 30_000, pixels: CLASS_OCR, video: false, ..qwen_vl(id, HOUR / 6.0, Quota::NONE) }
}

const MAIN: Quota = Quota::per_minute(1200, 1_000_000);

const QWEN: &[QwenLimits] = &[
    newest("qwen3.8-max"),
    newest("qwen3.8-max-0902"),
    newest("qwen3.8-flash"),
    qwen3_7_plus("qwen3.7-plus"),
    qwen3_7_plus("qwen3.7-plus-2026-05-26"),
    qwen3_7_flash("qwen3.7-flash"),
    qwen3_7_flash("qwen3.7-flash-2026-07-15"),
    QwenLimits { pictures: 2048, ..large("qwen3.7-max-2026-06-08", 65_536, 262_144) },
    large("qwen3.6-plus", 65_536, 81_920),
    large("qwen3.6-plus-2026-04-02", 65_536, 81_920),
    QwenLimits { plain_thinking: false, ..large("qwen3.6-flash", 65_536, 131_072) },
    open("qwen3.6-35b-a3b"),
    open("qwen3.6-27b"),
    large("qwen3.5-plus", 65_536, 81_920),
    large("qwen3.5-plus-2026-02-15", 65_536, 81_920),
    large("qwen3.5-plus-2026-04-20", 65_536, 81_920),
    large("qwen3.5-flash", 65_536, 81_920),
    large("qwen3.5-flash-2026-02-23", 65_536, 81_920),
    open("qwen3.5-397b-a17b"),
    open("qwen3.5-122b-a10b"),
    open("qwen3.5-35b-a3b"),
    open("qwen3.5-27b"),
    qwen3_vl("qwen3-vl-plus"),
    qwen3_vl("qwen3-vl-plus-2025-09-23"),
    qwen3_vl("qwen3-vl-plus-2025-12-19"),
    qwen3_vl("qwen3-vl-flash"),
    qwen3_vl("qwen3-vl-flash-2025-10-15"),
    qwen3_vl("qwen3-vl-flash-2026-01-22"),
    qwen3_vl("qwen3-vl-flash-us"),
    QwenLimits {
        video_seconds: HOUR,
        frames: 2000,
        pixels: CLASS_A,
        ..qwen3_vl_open("qwen3-vl-235b-a22b-instruct", QwenThinking::None)
    },
    QwenLimits {
        video_seconds: HOUR,
        frames: 2000,
        pixels: CLASS_A,
        ..qwen3_vl_open("qwen3-vl-235b-a22b-thinking", QwenThinking::Always)
    },
    qwen3_vl_open("qwen3-vl-32b-instruct", QwenThinking::None),
    qwen3_vl_open("qwen3-vl-32b-thinking", QwenThinking::Always),
    qwen3_vl_open("qwen3-vl-30b-a3b-instruct", QwenThinking::None),
    qwen3_vl_open("qwen3-vl-30b-a3b-thinking", QwenThinking::Always),
    qwen3_vl_open("qwen3-vl-8b-instruct", QwenThinking::None),
    qwen3_vl_open("qwen3-vl-8b-thinking", QwenThinking::Always),
    qwen_vl("qwen-vl-max", HOUR / 3.0, MAIN),
    qwen_vl("qwen-vl-max-latest", HOUR / 3.0, MAIN),
    qwen_vl("qwen-vl-max-2025-08-13", HOUR / 3.0, Quota::NONE),
    qwen_vl_old("qwen-vl-max-2025-04-08", HOUR / 3.0, 512),
    qwen_vl("qwen-vl-plus", HOUR / 6.0, MAIN),
    qwen_vl("qwen-vl-plus-latest", HOUR / 6.0, MAIN),
    qwen_vl("qwen-vl-plus-2025-08-15", HOUR / 6.0, Quota::NONE),
    qwen_vl("qwen-vl-plus-2025-07-10", HOUR / 6.0, Quota::NONE),
    QwenLimits {
        quota: Quota { requests: Some(120), ..Quota::NONE },
        ..qwen_vl_old("qwen-vl-plus-2025-05-07", HOUR / 6.0, 80)
    },
    qwen_vl_old("qwen-vl-plus-2025-01-25", HOUR / 6.0, 80),
    QwenLimits {
        thinking: QwenThinking::Always,
        thinking_budget: 16_384,
        quota: Quota::per_minute(60, 100_000),
        ..qwen2_5_vl("qvq-max")
    },
    qwen2_5_vl("qwen2.5-vl-72b-instruct"),
    qwen2_5_vl("qwen2.5-vl-32b-instruct"),
    qwen2_5_vl("qwen2.5-vl-7b-instruct"),
    qwen2_5_vl("qwen2.5-vl-3b-instruct"),
    QwenLimits { max_output: 4096, pixels: CLASS_OCR_OLD, ..ocr("qwen-vl-ocr") },
    ocr("qwen-vl-ocr-latest"),
    ocr("qwen-vl-ocr-2025-11-20"),
];

/// Alibaba's vision models.
pub fn qwen() -> &'static [QwenLimits] {
    QWEN
}

/// The model of exactly this id.
pub(crate) fn qwen_model(id: &str) -> Option<&'static QwenLimits> {
    QWEN.iter().find(|model| model.id == id)
}
