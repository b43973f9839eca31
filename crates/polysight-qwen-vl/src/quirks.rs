//! What is odd about this vendor's wire, each oddity a function of its own.
//!
//! Oddities that are numbers stand in the catalogues, those of other deployments in `profile.rs`, and codes in
//! `errors.rs`. Read 2026-11-21.

use polysight_core::catalog::ThinkingMode;
use polysight_core::media::VideoSource;
use polysight_core::plan::{Findings, PlanBuilder};
use polysight_core::{
    ChatRequest, Effort, FinishKind, FinishReason, Image, ImageFormat, MediaSource, MessageRole, ModelCard,
    Part, ResponseFormat, Thinking, ToolChoice, Video,
};
use polysight_wire::ReplyHead;
use polysight_wire::chat::request::FramesShape;
use polysight_wire::chat::{ThinkingParam, put_inside};
use polysight_wire::vendor::Deployment;
use serde_json::{Map, Value};

use crate::extras::{DATA_INSPECTION, PRESERVE_THINKING, VENDOR};
use crate::profile::{PixelsField, Wire};
use crate::settings::Protocol;
use crate::tokens::TokenFormula;

/// Holds a request against what no catalogue can say.
pub(crate) fn check(builder: &mut PlanBuilder, deployment: &Deployment<Wire>, protocol: Protocol) {
    deployment.wire.thinking.check(builder, deployment.wire.thinking_budget.is_some());
    check_frames(builder, deployment, protocol);
    check_one_budget(builder, deployment);
    if deployment.is_vendor {
        check_json(builder);
        check_json_beside_thinking(builder);
        check_tools(builder);
        check_last_message(builder);
        check_large_pictures(builder);
        check_frame_budgets(builder);
    }
}

/// A model thinks when it is switched on, or by default when it is not switched off.
fn thinks(request: &ChatRequest, card: &ModelCard) -> bool {
    match request.thinking {
        Thinking::Off => false,
        Thinking::Default => card.thinking.default_on || card.thinking.mode == Some(ThinkingMode::Forced),
        _ => true,
    }
}

/// JSON mode answers 400 unless the word stands somewhere in the messages.
/// Source: vendor's pages of structured output and of error messages.
fn check_json(builder: &mut PlanBuilder) {
    if builder.request.response_format != ResponseFormat::JsonObject {
        return;
    }
    let says_json = |text: &str| text.to_ascii_lowercase().contains("json");
    let parts = builder.request.messages.iter().flat_map(|message| &message.parts);
    let said = parts.into_iter().any(|part| match part {
        Part::Text(text) => says_json(text),
        Part::ToolResult(result) => says_json(&result.content),
        _ => false,
    });
    if !said {
        let problem = "no message says JSON";
        let fix = "ask for JSON in the prompt";
        builder.findings.reject("response_format", problem, "the word in some message", fix);
    }
}

/// JSON mode answers 400 while the model thinks, which newer ones do by themselves.
/// Source: vendor's page of structured output.
fn check_json_beside_thinking(builder: &mut PlanBuilder) {
    if builder.request.response_format == ResponseFormat::Text || !thinks(&builder.request, &builder.card) {
        return;
    }
    let switchable = builder.card.thinking.mode != Some(ThinkingMode::Forced);
    if switchable && switch_thinking_off(builder, "switched off for the sake of response_format") {
        return;
    }
    let problem = format!("{} thinks, and enforces no JSON then", builder.findings.model());
    let fix =
        if switchable { "switch thinking off" } else { "ask for JSON in the prompt and check the answer" };
    builder.findings.reject("response_format", problem, "json_object without thinking", fix);
}

/// Switches thinking off where that is tolerated. A model that thinks by itself can be kept from it without loss: the caller did not ask for it.
fn switch_thinking_off(builder: &mut PlanBuilder, change: &str) -> bool {
    let allowed = match builder.request.thinking {
        Thinking::Default => builder.findings.lossless("thinking", change),
        _ => builder.findings.lossy("thinking", change),
    };
    if allowed {
        builder.request.thinking = Thinking::Off;
    }
    allowed
}

/// A tool called `search` is refused, and so is a forced choice while the model thinks.
/// Source: vendor's pages of function calling and of error messages.
fn check_tools(builder: &mut PlanBuilder) {
    for (index, tool) in builder.request.tools.iter().enumerate() {
        if tool.name == "search" {
            let path = format!("tools[{index}].name");
            builder.findings.reject(path, "a function is called `search`", "any other name", "rename it");
        }
    }
    let forced = matches!(builder.request.tool_choice, ToolChoice::Required | ToolChoice::Function(_));
    if builder.request.tools.is_empty() || !forced || !thinks(&builder.request, &builder.card) {
        return;
    }
    let is_own = builder.request.thinking == Thinking::Default;
    let switchable = builder.card.thinking.mode != Some(ThinkingMode::Forced);
    if is_own && switchable && switch_thinking_off(builder, "switched off, since a call is demanded") {
        return;
    }
    if builder.findings.lossy("tool_choice", "replaced by auto, since the model thinks") {
        builder.request.tool_choice = ToolChoice::Auto;
    } else {
        let problem = format!("a call is demanded while {} thinks", builder.findings.model());
        builder.findings.reject(
            "tool_choice",
            problem,
            "auto or none",
            "switch thinking off, or leave the choice",
        );
    }
}

/// A dialogue that ends in an answer fails in the vendor's engine.
/// Source: vendor's page of error messages ("list index out of range").
fn check_last_message(builder: &mut PlanBuilder) {
    let Some(last) = builder.request.messages.last() else { return };
    if matches!(last.role, MessageRole::Assistant | MessageRole::System) {
        let path = format!("messages[{}]", builder.request.messages.len() - 1);
        let problem = format!("the last message is the {}'s", last.role.name());
        builder.findings.reject(path, problem, "a user's or a tool's", "end with a question");
    }
}

/// Beyond 3840 x 2160 pixels only JPEG and PNG are taken.
/// Source: vendor's page of visual understanding.
fn check_large_pictures(builder: &mut PlanBuilder) {
    const LARGE: u64 = 3_840 * 2_160;
    let PlanBuilder { request, findings, .. } = builder;
    each_picture(request, &mut |path, image| {
        let Some(info) = image.info() else { return };
        if info.pixels() > LARGE && !matches!(info.format, ImageFormat::Jpeg | ImageFormat::Png) {
            let problem = format!("the picture is {} of {} x {} px", info.format, info.width, info.height);
            findings.reject(
                path,
                problem,
                format!("JPEG or PNG over {LARGE} px"),
                "convert it or scale it down",
            );
        }
    });
}

/// Calls `look` with every picture, those of frame lists too.
fn each_picture(request: &ChatRequest, look: &mut dyn FnMut(String, &Image)) {
    each_part(request, &mut |path, part| match part {
        Part::Image(image) => look(path, image),
        Part::Video(video) => {
            for (place, frame) in frames_of(video).iter().enumerate() {
                look(format!("{path}.frames[{place}]"), frame);
            }
        }
        _ => {}
    });
}

fn each_part(request: &ChatRequest, look: &mut dyn FnMut(String, &Part)) {
    for (index, message) in request.messages.iter().enumerate() {
        for (place, part) in message.parts.iter().enumerate() {
            look(format!("messages[{index}].parts[{place}]"), part);
        }
    }
}

fn frames_of(video: &Video) -> &[Image] {
    match video.source() {
        VideoSource::Frames(frames) => frames,
        _ => &[],
    }
}

/// Frames have budgets of their own, tighter than those of pictures.
/// Source: vendor's page of visual understanding.
fn check_frame_budgets(builder: &mut PlanBuilder) {
    let Some(budget) = TokenFormula::of(&builder.card).and_then(|formula| formula.video) else { return };
    let PlanBuilder { request, findings, .. } = builder;
    each_part(request, &mut |path, part| {
        let Part::Video(video) = part else { return };
        let hints = [("min_pixels", video.min_pixels()), ("max_pixels", video.max_pixels())];
        for (name, pixels) in hints {
            let Some(pixels) = pixels.filter(|pixels| !(budget.floor..=budget.ceiling).contains(pixels))
            else {
                continue;
            };
            let limit = format!("[{}, {}] for a frame", budget.floor, budget.ceiling);
            findings.reject(&path, format!("{name} is {pixels}"), limit, "choose a value in range");
        }
    });
}

/// A limit of frames is the native protocol's, and one server takes frames as JPEG inside the request only.
/// Source: vendor's page of visual understanding; vLLM, run.
fn check_frames(builder: &mut PlanBuilder, deployment: &Deployment<Wire>, protocol: Protocol) {
    let joined = deployment.wire.frames == FramesShape::JpegDataUri;
    let PlanBuilder { request, findings, .. } = builder;
    each_part(request, &mut |path, part| {
        let Part::Video(video) = part else { return };
        if video.max_frames().is_some() && protocol == Protocol::Compatible {
            let fix = "leave it out, or set protocol = \"native\"";
            findings.reject(&path, "max_frames cannot be said in this protocol", "the native protocol", fix);
        }
        let is_jpeg = |frame: &Image| frame.info().is_some_and(|info| info.format == ImageFormat::Jpeg);
        if joined && !frames_of(video).iter().all(is_jpeg) {
            let fix = "send JPEG bytes, or the frames as pictures";
            findings.reject(&path, "a frame is no JPEG inside the request", "inline JPEG frames", fix);
        }
    });
}

/// Where budgets are said once for the whole request, all pictures must have the same.
fn check_one_budget(builder: &mut PlanBuilder, deployment: &Deployment<Wire>) {
    if deployment.wire.pixels == PixelsField::ProcessorKwargs && budgets(&builder.request).is_none() {
        let PlanBuilder { findings, .. } = builder;
        different_budgets(findings, deployment.name);
    }
}

fn different_budgets(findings: &mut Findings, deployment: &str) {
    let problem = format!("pictures have different pixel budgets, and {deployment} takes one for all");
    findings.reject("messages", problem, "the same min_pixels and max_pixels", "give all the same or none");
}

/// The one lower and upper budget of all pictures and videos; `None` when they differ.
fn budgets(request: &ChatRequest) -> Option<(Option<u64>, Option<u64>)> {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let mut all = parts.filter_map(|part| match part {
        Part::Image(image) => Some((image.min_pixels(), image.max_pixels())),
        Part::Video(video) => Some((video.min_pixels(), video.max_pixels())),
        _ => None,
    });
    let Some(first) = all.next() else { return Some((None, None)) };
    all.all(|other| other == first).then_some(first)
}

/// `max_tokens` does not count reasoning; the newer field does, and the newer models alone take it.
/// Source: vendor's chat reference of 2026, where `max_tokens` is on its way out.
pub(crate) fn limit_field(model: &str, deployment: &Deployment<Wire>) -> &'static str {
    let model = model.to_ascii_lowercase();
    let kind =
        ["qwen3.5-", "qwen3.6-", "qwen3.7-", "qwen3.8-"].iter().find_map(|start| model.strip_prefix(start));
    let newer = kind.is_some_and(|kind| ["plus", "flash", "max"].iter().any(|name| kind.starts_with(name)));
    if deployment.is_vendor && newer { "max_completion_tokens" } else { "max_tokens" }
}

/// Reasoning of earlier turns is read only when this is set.
/// Source: vendor's page of deep thinking.
pub(crate) fn preserves_thinking(request: &ChatRequest) -> bool {
    let extra = request.extras.get(VENDOR).and_then(|fields| fields.get(PRESERVE_THINKING));
    extra.and_then(Value::as_bool).unwrap_or(false)
}

/// The fields that chat completions do not share: the caller's extras, thinking, and budgets of the whole request.
pub(crate) fn extension_fields(
    request: &ChatRequest,
    card: &ModelCard,
    deployment: &Deployment<Wire>,
) -> Map<String, Value> {
    let mut fields = request.extras.get(VENDOR).cloned().unwrap_or_default();
    fields.remove(DATA_INSPECTION);
    add_thinking(&mut fields, request.thinking, card, deployment);
    if deployment.wire.pixels == PixelsField::ProcessorKwargs {
        let (min, max) = budgets(request).unwrap_or_default();
        for (name, pixels) in [("min_pixels", min), ("max_pixels", max)] {
            if let Some(pixels) = pixels {
                put_inside(&mut fields, "mm_processor_kwargs", name, pixels.into());
            }
        }
    }
    fields
}

/// Only models that can do either take the switch; a budget alone does not switch thinking on.
/// Source: vendor's page of deep thinking.
fn add_thinking(
    fields: &mut Map<String, Value>,
    thinking: Thinking,
    card: &ModelCard,
    deployment: &Deployment<Wire>,
) {
    let switch = match thinking {
        Thinking::On | Thinking::Budget(_) => Some(true),
        Thinking::Off => Some(false),
        _ => None,
    };
    let switchable = !matches!(card.thinking.mode, Some(ThinkingMode::None | ThinkingMode::Forced));
    if let Some(on) = switch.filter(|_| switchable) {
        deployment.wire.thinking.switch(fields, on);
    }
    match (thinking, deployment.wire.thinking_budget) {
        (Thinking::Budget(tokens), Some(field)) => put(fields, field, tokens.into()),
        (Thinking::Effort(effort), _) => {
            put(fields, "reasoning_effort", effort_name(effort, deployment).into())
        }
        _ => {}
    }
}

/// The vendor's highest effort has a name of its own.
/// Source: vendor's page of deep thinking, on Qwen3.8.
fn effort_name(effort: Effort, deployment: &Deployment<Wire>) -> &'static str {
    match effort {
        Effort::Max if deployment.wire.thinking == ThinkingParam::TopLevel => "xhigh",
        other => other.name(),
    }
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Value) {
    fields.insert(name.to_owned(), value);
}

/// Says whether a part refers to the vendor's temporary store, which the vendor reads only when a header tells it to.
/// Source: vendor's page of temporary file URLs.
pub(crate) fn refers_to_store(request: &ChatRequest) -> bool {
    let is_stored = |source: &MediaSource| source.url().is_some_and(|url| url.scheme() == "oss");
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.any(|part| match part {
        Part::Image(image) => is_stored(image.source()),
        Part::Video(video) => match video.source() {
            VideoSource::Whole(source) => is_stored(source),
            _ => frames_of(video).iter().any(|frame| is_stored(frame.source())),
        },
        _ => false,
    })
}

/// A plain call that overruns the vendor's time limit may answer 200 with what there was, and says so in a header alone.
/// Source: vendor's chat reference.
pub(crate) fn is_cut_short(head: &ReplyHead) -> bool {
    head.header("x-dashscope-partialresponse").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The end of an answer that the vendor cut short, whatever its finish reason says.
pub(crate) fn cut_short() -> FinishReason {
    FinishReason::new(FinishKind::Failed, "x-dashscope-partialresponse")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(name: &str) -> &'static Deployment<Wire> {
        let options = polysight_wire::ProviderOptions::new("p").with_deployment(name);
        crate::profile::DEPLOYMENTS.find(&options).unwrap()
    }

    #[test]
    fn newer_models_have_a_limit_that_counts_reasoning() {
        let field = |model| limit_field(model, deployment("vendor"));
        for model in ["qwen3.5-plus", "Qwen3.6-flash-2026-01-01", "qwen3.8-max"] {
            assert_eq!(field(model), "max_completion_tokens", "{model}");
        }
        for model in ["qwen3-vl-plus", "qwen3.5-27b", "qwen-vl-max", "qwen3.75-plus"] {
            assert_eq!(field(model), "max_tokens", "{model}");
        }
        assert_eq!(limit_field("qwen3.5-plus", deployment("gateway")), "max_tokens");
    }

    #[test]
    fn thinking_is_said_in_the_words_of_each_deployment() {
        let fields = |name: &str, thinking| {
            let card = ModelCard::default();
            let request = ChatRequest::default().with_thinking(thinking);
            Value::Object(extension_fields(&request, &card, deployment(name))).to_string()
        };
        assert_eq!(fields("vendor", Thinking::Off), r#"{"enable_thinking":false}"#);
        assert_eq!(fields("vendor", Thinking::Budget(9)), r#"{"enable_thinking":true,"thinking_budget":9}"#);
        assert_eq!(fields("vendor", Thinking::Effort(Effort::Max)), r#"{"reasoning_effort":"xhigh"}"#);
        assert_eq!(fields("sglang", Thinking::On), r#"{"chat_template_kwargs":{"enable_thinking":true}}"#);
        let budget = r#"{"chat_template_kwargs":{"enable_thinking":true},"thinking_token_budget":9}"#;
        assert_eq!(fields("vllm", Thinking::Budget(9)), budget);
        assert_eq!(fields("ollama", Thinking::Off), r#"{"reasoning_effort":"none"}"#);
        assert_eq!(fields("gateway", Thinking::Default), "{}");
    }

    #[test]
    fn own_template_options_stay_beside_the_switch() {
        let request = ChatRequest::default().with_thinking(Thinking::Off).with_extra(
            VENDOR,
            "chat_template_kwargs",
            serde_json::json!({"tone": "dry"}),
        );
        let fields = extension_fields(&request, &ModelCard::default(), deployment("vllm"));
        assert_eq!(
            Value::Object(fields),
            serde_json::json!({"chat_template_kwargs": {"tone": "dry", "enable_thinking": false}})
        );
    }
}
