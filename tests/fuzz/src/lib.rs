#![doc = include_str!("../README.md")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a target says by a panic that it has found something"
)]

mod display;
mod input;
mod loopback;
mod reference_impl;
mod targets;
mod wires;

/// A function that must hold for every input, and panics when it does not.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder of seeds in `corpus`.
    pub name: &'static str,
    /// Checks one input.
    pub check: fn(&[u8]),
    /// How many inputs a plain `cargo test` runs: about a second in a build without optimisation.
    pub cases: u32,
}

const fn target(name: &'static str, check: fn(&[u8]), cases: u32) -> Target {
    Target { name, check, cases }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("sse", targets::sse::check, 400),
    target("zhipu_stream", targets::streams::zhipu, 500),
    target("qwen_stream", targets::streams::qwen, 500),
    target("qwen_native_stream", targets::streams::qwen_native, 500),
    target("ernie_stream", targets::streams::ernie, 500),
    target("zhipu_reply", targets::replies::zhipu, 150),
    target("qwen_reply", targets::replies::qwen, 150),
    target("qwen_native_reply", targets::replies::qwen_native, 150),
    target("ernie_reply", targets::replies::ernie, 150),
    target("stream_endings", targets::pieces::endings, 1_500),
    target("tool_call_pieces", targets::pieces::tool_calls, 1_500),
    target("base64", targets::base64::check, 1_000),
    target("picture", targets::probes::picture, 1_500),
    target("video", targets::probes::video, 1_500),
    target("heif_items", targets::structures::heif::check, 500),
    target("jpeg_segments", targets::structures::jpeg::check, 500),
    target("mp4_boxes", targets::structures::mp4::check, 500),
    target("config", targets::config::check, 400),
    target("interval", targets::interval::check, 3_000),
    target("zhipu_token", targets::zhipu_token::check, 800),
    target("ernie_signature", targets::ernie_signature::check, 400),
    target("redact", targets::redact::check, 300),
    target("plan", targets::plan::check, 800),
    target("client", targets::client::check, 150),
    target("almost_json", targets::almost_json::check, 300),
];

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}
