//! What is odd about this vendor's wire, each oddity a function of its own.
//!
//! Oddities that are numbers (two decimals, lengths of ids, forms of base64) stand in the catalogues, and codes in
//! `errors.rs`. Read 2026-11-21.

use polysight_core::plan::PlanBuilder;
use polysight_core::{ChatRequest, FinishKind, SafetyLabel, SafetyRole, Thinking};
use polysight_wire::BaseUrl;
use polysight_wire::body::Object;
use polysight_wire::chat::request::{extras, template_kwargs};
use polysight_wire::chat::{self, SafetyFields, ThinkingParam};
use serde::Deserialize;

use crate::extras::{CLEAR_THINKING, VENDOR};
use crate::settings;

/// Thinking is an object `{type, clear_thinking}`, and effort a field beside it that only the GLM-5.3 models read.
/// Source: mainland chat reference.
/// Servers of the open weights switch by an argument of the chat template instead.
pub(crate) fn write_thinking(root: &mut Object<'_>, request: &ChatRequest, param: ThinkingParam) {
    if param == ThinkingParam::TemplateKwargs {
        let mut fields = template_kwargs(request, VENDOR);
        if let Thinking::On | Thinking::Off = request.thinking {
            param.switch(&mut fields, request.thinking == Thinking::On);
        }
        extras(root, Some(&fields));
        return;
    }
    let switch = match request.thinking {
        Thinking::On => Some("enabled"),
        Thinking::Off => Some("disabled"),
        _ => None,
    };
    let clear = clear_thinking(request);
    if switch.is_some() || clear.is_some() {
        root.object("thinking", |thinking| {
            // The object's type has no default in the schema; thinking is on unless switched off.
            thinking.field("type", switch.unwrap_or("enabled"));
            thinking.optional("clear_thinking", clear);
        });
    }
    if let Thinking::Effort(effort) = request.thinking {
        root.field("reasoning_effort", effort.name());
    }
}

/// Refuses what this wire has no words for, where the card of an unknown model let it pass: budgets nowhere, efforts only
/// beside the object.
pub(crate) fn check_thinking(builder: &mut PlanBuilder, param: ThinkingParam) {
    // A card that states how the model reasons has had its say.
    if builder.card.thinking.mode.is_none() {
        param.check(builder, false);
    }
}

/// Reasoning of earlier turns is read only with `clear_thinking: false`, and must then be sent back complete.
/// Source: mainland chat reference.
pub(crate) fn clear_thinking(request: &ChatRequest) -> Option<bool> {
    request.extras.get(VENDOR)?.get(CLEAR_THINKING)?.as_bool()
}

/// The vendor sends usage with the last chunk of every stream; proxies of the OpenAI kind do so only when they are asked,
/// by a field that the vendor takes and ignores.
/// Source: live replies of both, OpenAI's chat reference (`stream_options`).
pub(crate) fn asks_for_usage(base_url: &BaseUrl) -> bool {
    !settings::is_official_host(base_url)
}

/// GLM-4.1V and later write these around the answer proper.
/// Source: the models' README, live replies.
pub(crate) const BOX_MARKERS: &[&str] = &["<|begin_of_box|>", "<|end_of_box|>"];

/// Four finish reasons are the vendor's own; failures after the stream has begun come only as such.
/// Source: GLM-4V reference (`sensitive`, `network_error`), newer references (`model_context_window_exceeded`).
pub(crate) fn finish_kind(raw: &str) -> FinishKind {
    match raw {
        "sensitive" => FinishKind::ContentFilter,
        "network_error" => FinishKind::Failed,
        "model_context_window_exceeded" => FinishKind::ContextWindow,
        other => chat::finish_kind(other),
    }
}

/// Safety labels are `content_filter` in replies and `contentFilter` beside errors; level 0 is the most severe.
/// Source: GLM-4V reference, and recorded error bodies.
pub(crate) fn safety(fields: &SafetyFields<'_>) -> Vec<SafetyLabel> {
    #[derive(Deserialize)]
    struct Wire {
        role: Option<String>,
        level: Option<i64>,
    }
    let Some(raw) = fields.content_filter else { return Vec::new() };
    let labels: Vec<Wire> = serde_json::from_str(raw.get()).unwrap_or_default();
    let role = |word: Option<String>| match word.as_deref() {
        Some("assistant") => SafetyRole::Assistant,
        Some("user") => SafetyRole::User,
        Some("history") => SafetyRole::History,
        _ => SafetyRole::Unknown,
    };
    labels.into_iter().map(|label| SafetyLabel::new(role(label.role), label.level)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_others_than_the_vendor_are_asked_for_the_usage_of_streams() {
        let asks = |url: &str| asks_for_usage(&url.parse().unwrap());
        assert!(!asks("https://open.bigmodel.cn/api/paas/v4") && !asks("https://api.z.ai/api/paas/v4"));
        assert!(asks("https://proxy.example/v1"));
    }
}
