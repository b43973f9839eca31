//! Baidu's models.

use super::{MIB, Quota};

/// Pictures in one request; a guide of the vendor's says so, its reference does not.
pub(crate) const MOST_ERNIE_PICTURES: u64 = 10;

/// What one of Baidu's models takes and gives.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ErnieLimits {
    /// The vendor's id.
    pub id: &'static str,
    /// Prompt and answer together, in tokens.
    pub context: u64,
    /// Longest prompt, in tokens.
    pub max_input: u64,
    /// Lowest and highest `max_tokens`.
    pub output: (u64, u64),
    /// Whether pictures are taken.
    pub vision: bool,
    /// Whether videos are taken.
    pub video: bool,
    /// Largest video, in bytes.
    pub video_bytes: u64,
    /// Whether the model can think before it answers.
    pub thinking: bool,
    /// Whether it thinks when the request does not say.
    pub thinks_by_default: bool,
    /// Whether `tools` are heeded. Elsewhere they are refused.
    pub tools: bool,
    /// How much of it one account may use.
    pub quota: Quota,
}

const KI: u64 = 1024;
const MAX_OUTPUT: u64 = 65_536;

const fn ernie_5(id: &'static str) -> ErnieLimits {
    ErnieLimits {
        id,
        context: 128 * KI,
        max_input: 119 * KI,
        output: (1, MAX_OUTPUT),
        vision: true,
        video: false,
        video_bytes: 64 * MIB,
        thinking: true,
        thinks_by_default: false,
        tools: true,
        quota: Quota::per_minute(60, 150_000),
    }
}

const fn turbo(id: &'static str, context: u64, max_output: u64) -> ErnieLimits {
    ErnieLimits {
        id,
        context: context * KI,
        max_input: (context - 5) * KI,
        output: (2, max_output),
        vision: false,
        video: false,
        video_bytes: 0,
        thinking: false,
        thinks_by_default: false,
        tools: true,
        quota: Quota::per_minute(5000, 400_000),
    }
}

const fn turbo_vl(id: &'static str, context: u64, max_output: u64) -> ErnieLimits {
    ErnieLimits {
        vision: true,
        video: true,
        video_bytes: 128 * MIB,
        tools: false,
        quota: Quota::per_minute(1000, 200_000),
        ..turbo(id, context, max_output)
    }
}

const ERNIE: &[ErnieLimits] = &[
    ErnieLimits { vision: false, ..ernie_5("ernie-5.1") },
    ernie_5("ernie-5.0"),
    ErnieLimits {
        video: true,
        video_bytes: 128 * MIB,
        thinks_by_default: true,
        ..ernie_5("ernie-5.0-thinking-preview")
    },
    ErnieLimits { thinks_by_default: true, ..ernie_5("ernie-5.0-thinking-latest") },
    turbo_vl("ernie-4.5-turbo-vl", 128, 16_384),
    turbo_vl("ernie-4.5-turbo-vl-32k", 32, 12_288),
    turbo("ernie-4.5-turbo-128k", 128, 12_288),
    turbo("ernie-4.5-turbo-32k", 32, 12_288),
    ErnieLimits { quota: Quota::per_minute(60, 150_000), ..turbo("ernie-4.5-turbo-20260402", 128, 12_288) },
];

/// Ids that old configurations still carry.
const RETIRED: [&str; 9] = [
    "ernie-4.5-turbo-vl-latest",
    "ernie-4.5-turbo-vl-preview",
    "ernie-4.5-turbo-vl-32k-preview",
    "ernie-4.5-vl-28b-a3b",
    "ernie-4.5-8k-preview",
    "qianfan-vl-8b",
    "qianfan-vl-70b",
    "qianfan-vl-1.5-flash",
    "ernie-lite-v",
];

/// Baidu's models.
pub fn ernie() -> &'static [ErnieLimits] {
    ERNIE
}

/// The model of exactly this id.
pub(crate) fn ernie_model(id: &str) -> Option<&'static ErnieLimits> {
    ERNIE.iter().find(|model| model.id == id)
}

/// Whether this model was served once.
pub(crate) fn is_retired(id: &str) -> bool {
    RETIRED.contains(&id)
}
