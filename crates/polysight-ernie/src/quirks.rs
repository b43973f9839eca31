//! What is odd about this vendor's wire, each oddity a function of its own.
//!
//! Oddities that are numbers stand in the catalogues, those of a deployment in `profile.rs`, and codes in
//! `errors.rs`. Read 2026-11-21.

use polysight_core::catalog::{GreedyForm, ThinkingMode};
use polysight_core::plan::PlanBuilder;
use polysight_core::{ChatRequest, FinishKind, ModelCard, Plan, SafetyLabel, SafetyRole, Sampling, Thinking};
use polysight_wire::body::Object;
use polysight_wire::chat::{self, CHAT_TEMPLATE_KWARGS, SafetyFields, put_inside, request};
use serde_json::json;

use crate::extras::{MAX_COMPLETION_TOKENS, VENDOR};
use crate::profile::Wire;

/// The factor against repetition is `penalty_score` here, 1 to 2 and 1 for none; the chat reference also lists a
/// `repetition_penalty` without range or meaning, which the vendor's SDK does not know.
/// Source: chat reference of 2026-05-08, recorded bodies of the Python SDK.
pub(crate) fn write_sampling(
    root: &mut Object<'_>,
    sampling: Sampling,
    greedy_temperature: f64,
    wire: &Wire,
) {
    match sampling {
        Sampling::Greedy => root.field("temperature", &greedy_temperature),
        Sampling::Random(mut random) => {
            let repetition = random.repetition_penalty.take();
            request::sampling(root, &Sampling::Random(random), GreedyForm::Temperature);
            root.optional(wire.repetition, repetition);
        }
        _ => {}
    }
}

/// Temperature 0 stood outside the documented range (0, 1] for years, and was seen to be taken in August 2026; who must
/// serve an older back end sends a small number instead.
/// Source: chat references of 2024 to 2026, a public script's notes.
pub(crate) fn say_greedy(builder: &mut PlanBuilder, greedy_temperature: f64) {
    let Sampling::Random(random) = &mut builder.request.sampling else { return };
    if random.temperature != Some(0.0) || greedy_temperature == 0.0 {
        return;
    }
    if builder.findings.lossless("temperature", format!("temperature 0 sent as {greedy_temperature}")) {
        random.temperature = Some(greedy_temperature);
    } else {
        let fix = "ask for greedy sampling";
        builder.findings.reject(
            "temperature",
            "temperature is 0",
            format!("{greedy_temperature} or more"),
            fix,
        );
    }
}

/// `max_tokens` of a model that reasons limits the answer alone in one vendor page and reasoning with it in another;
/// `max_completion_tokens` limits both in all of them, and that is what the request means.
/// Source: chat reference of 2026-05-08, model list of 2026-09-16.
pub(crate) fn write_limit(root: &mut Object<'_>, plan: &Plan, wire: &Wire) {
    // Both at once only when the caller names the other one as an extra.
    let is_extra =
        plan.request.extras.get(VENDOR).is_some_and(|extras| extras.contains_key(MAX_COMPLETION_TOKENS));
    let may_reason = plan.card.known && plan.card.thinking.mode != Some(ThinkingMode::None);
    let name = if may_reason && !is_extra { wire.reasoning_limit } else { "max_tokens" };
    root.optional(name, plan.request.max_tokens);
}

/// Reasoning is switched by `enable_thinking`: at the vendor a field, on self-hosted servers an argument of the chat
/// template. A model that never reasons gets no switch.
/// Source: thinking guide of 2026-05-27, FastDeploy and vLLM documentation.
pub(crate) fn write_thinking(root: &mut Object<'_>, plan: &Plan, wire: &Wire) {
    let mut fields = request::template_kwargs(&plan.request, VENDOR);
    if let Some(on) = switch_of(&plan.request, &plan.card) {
        wire.thinking.switch(&mut fields, on);
        if wire.thinking_mode {
            let word = if on { "open" } else { "close" };
            put_inside(&mut fields, CHAT_TEMPLATE_KWARGS, "options", json!({"thinking_mode": word}));
        }
    }
    request::extras(root, Some(&fields));
    match plan.request.thinking {
        Thinking::Budget(tokens) => root.field(wire.budget, &tokens),
        Thinking::Effort(effort) => root.field("reasoning_effort", effort.name()),
        _ => {}
    }
}

fn switch_of(request: &ChatRequest, card: &ModelCard) -> Option<bool> {
    match request.thinking {
        Thinking::On | Thinking::Budget(_) => Some(true),
        Thinking::Off if card.thinking.mode != Some(ThinkingMode::None) => Some(false),
        _ => None,
    }
}

/// Older models end with `normal`, and FastDeploy with `recover_stop` an answer that it lost a part of.
/// Source: the vendor's SDK types, FastDeploy's token processor.
pub(crate) fn finish_kind(raw: &str) -> FinishKind {
    match raw {
        "normal" => FinishKind::Stop,
        "recover_stop" => FinishKind::Failed,
        other => chat::finish_kind(other),
    }
}

/// `flag` grows with severity, 0 is safe; `ban_round` is the turn that it is about, -1 the current question.
/// Source: the vendor's SDK types.
pub(crate) fn safety(fields: &SafetyFields<'_>) -> Vec<SafetyLabel> {
    let Some(flag) = fields.flag.filter(|flag| *flag != 0) else { return Vec::new() };
    let role = match fields.ban_round {
        Some(-1) => SafetyRole::User,
        Some(_) => SafetyRole::History,
        None => SafetyRole::Unknown,
    };
    let mut label = SafetyLabel::new(role, Some(flag));
    label.turn = fields.ban_round;
    vec![label]
}

/// Flag 1 may go on, 2 ends the dialogue but may be shown, 3 must not be shown, and 4 takes back what was shown.
/// Source: the vendor's SDK types.
pub(crate) fn withdraws(fields: &SafetyFields<'_>) -> bool {
    matches!(fields.flag, Some(3 | 4))
}
