//! The list of models: the roles, with what they can do.

use std::sync::Arc;

use polysight::catalog::{ImageCard, Price, ThinkingMode, VideoCard};
use polysight::{ChatRequest, JsonValue, ModelCard, Role, VisionProvider as _};
use serde_json::{Map, json};

use crate::refusal::Refusal;
use http::StatusCode;

/// The list of these roles.
pub(crate) fn list<'a>(roles: impl Iterator<Item = &'a Role>, created: u64) -> JsonValue {
    let models: Vec<JsonValue> = roles.map(|role| object(role, created)).collect();
    json!({ "object": "list", "data": models })
}

/// One model. Fields that are not known are left out: some clients refuse a `null`.
pub(crate) fn object(role: &Role, created: u64) -> JsonValue {
    // The plan of a question without pictures names the provider and model that would answer, of a router the first target.
    let plan = role.plan(&ChatRequest::ask("?", [""; 0])).ok();
    let model = plan.as_ref().map(|plan| plan.model()).or(role.model()).unwrap_or_default();
    let card = plan.as_ref().map_or_else(|| role.catalog().card(model), |plan| Arc::clone(&plan.card));
    let id = plan.as_ref().map_or_else(|| role.id(), |plan| &plan.provider);
    let mut object = Map::new();
    let mut put = |name: &str, value: JsonValue| {
        if value != JsonValue::Null {
            object.insert(name.to_owned(), value);
        }
    };
    put("id", role.name().into());
    put("object", "model".into());
    put("created", created.into());
    put("owned_by", (*id.vendor).into());
    put(
        "name",
        if model.is_empty() { role.name().into() } else { format!("{} ({model})", role.name()).into() },
    );
    put("context_length", card.context.into());
    put("max_output_tokens", card.max_output.into());
    put("architecture", architecture(&card));
    put("pricing", pricing(&card));
    put("supported_parameters", parameters(&card));
    put("polysight", own(&card, &id.name, model));
    JsonValue::Object(object)
}

/// What goes in; a model of which nothing is known is taken for one that sees, since it is served here.
fn architecture(card: &ModelCard) -> JsonValue {
    let mut inputs = vec!["text"];
    inputs.extend((!card.image.is_no()).then_some("image"));
    inputs.extend(card.video.is_yes().then_some("video"));
    json!({ "modality": format!("{}->text", inputs.join("+")), "input_modalities": inputs, "output_modalities": ["text"] })
}

/// Prices for one token as texts, in the form that clients know from routers of models, and the currency, which may be
/// other than theirs.
fn pricing(card: &ModelCard) -> JsonValue {
    let Some(price) = Price::tier(&card.prices, 0) else { return JsonValue::Null };
    let token = |million: f64| {
        format!("{:.10}", million / 1e6).trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let mut pricing = json!({
        "prompt": token(price.input),
        "completion": token(price.output),
        "request": "0",
        "image": "0",
        "currency": price.currency,
    });
    if let (Some(fields), Some(cached)) = (pricing.as_object_mut(), price.cached_input) {
        fields.insert("input_cache_read".to_owned(), token(cached).into());
    }
    // What is not "0" is read as "this model reasons".
    if let (Some(fields), true) = (pricing.as_object_mut(), can_think(card)) {
        fields.insert("internal_reasoning".to_owned(), token(price.output).into());
    }
    pricing
}

fn can_think(card: &ModelCard) -> bool {
    matches!(card.thinking.mode, Some(ThinkingMode::Switchable | ThinkingMode::Forced))
}

fn parameters(card: &ModelCard) -> JsonValue {
    let sampling = &card.sampling;
    let optional = [
        ("tools", card.tools.is_yes()),
        ("tool_choice", card.tools.is_yes()),
        ("reasoning", can_think(card)),
        ("reasoning_effort", !card.thinking.efforts.is_empty()),
        ("top_k", sampling.top_k.is_yes()),
        ("presence_penalty", sampling.presence_penalty.is_yes()),
        ("frequency_penalty", sampling.frequency_penalty.is_yes()),
        ("repetition_penalty", sampling.repetition_penalty.is_yes()),
        ("seed", sampling.seed.is_yes()),
    ];
    let always = ["max_tokens", "temperature", "top_p", "stop", "response_format", "structured_outputs"];
    let all = always.into_iter().chain(optional.into_iter().filter(|(_, has)| *has).map(|(name, _)| name));
    all.collect()
}

/// What no other server says: limits of pictures and videos, and where they are written.
fn own(card: &ModelCard, provider: &str, model: &str) -> JsonValue {
    let mut own = Map::new();
    own.insert("provider".to_owned(), provider.into());
    own.insert("model".to_owned(), model.into());
    own.insert("known".to_owned(), card.known.into());
    let limits = [
        ("image", card.image.limits().map(ImageCard::to_json)),
        ("video", card.video.limits().map(VideoCard::to_json)),
    ];
    own.extend(limits.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    own.extend(card.citation().map(|citation| ("source".to_owned(), citation.into())));
    JsonValue::Object(own)
}

/// The refusal of a model that is not there, with the nearest one that is.
pub(crate) fn unknown<'a>(model: &str, known: impl Iterator<Item = &'a str>) -> Refusal {
    /// So many are listed where none is like it.
    const SOME: usize = 20;
    let known: Vec<&str> = known.collect();
    let likeness = |name: &str| strsim::jaro_winkler(&model.to_lowercase(), &name.to_lowercase());
    let nearest = known.iter().copied().map(|name| (likeness(name), name));
    let nearest =
        nearest.filter(|(likeness, _)| *likeness > 0.75).max_by(|left, right| left.0.total_cmp(&right.0));
    let hint = match (nearest, known.as_slice()) {
        (Some((_, name)), _) => format!("did you mean `{name}`?"),
        (None, []) => "this key may use none".to_owned(),
        (None, known) => {
            let some: Vec<String> = known.iter().take(SOME).map(|name| format!("`{name}`")).collect();
            format!("known: {}", some.join(", "))
        }
    };
    let message = format!("the model `{}` does not exist here: {hint}", polysight::redact_name(model));
    Refusal::new(StatusCode::NOT_FOUND, "model_not_found", message).with_param("model")
}
