//! Sampling, limits and the other settings of a request.

use polysight::{ChatRequest, RandomSampling, Sampling};

use super::fields::{Fields, Reader};
use super::tolerance;
use crate::json::Json;

/// Refuses what no vendor here does, so that no client takes its absence for an answer.
pub(super) fn refuse_unsupported(root: &mut Fields<'_>, reader: &mut Reader<'_>) {
    const ONE: &str = "1";
    if let Some(count) = root.integer::<i64>("n", ONE, reader).filter(|count| *count != 1) {
        let problem = format!("{count} answers to one request are not supported");
        reader.reject("n", problem, ONE, "send the request several times");
    }
    if root.boolean("logprobs", reader) == Some(true) || root.take("top_logprobs").is_some() {
        let problem = "probabilities of tokens are not supported";
        reader.reject("logprobs", problem, "false", "leave logprobs and top_logprobs out");
    }
    for (name, instead) in [("functions", "tools"), ("function_call", "tool_choice")] {
        if root.take(name).is_some() {
            reader.reject(name, "this form of functions is not supported", "", &format!("use `{instead}`"));
        }
    }
    if let Some(modalities) = root.list("modalities", reader)
        && modalities.iter().any(|modality| *modality != Json::Text("text".into()))
    {
        reader.reject("modalities", "answers are texts", "[\"text\"]", "leave it out");
    }
}

/// Reads what shapes the answer.
pub(super) fn read(root: &mut Fields<'_>, chat: &mut ChatRequest, reader: &mut Reader<'_>) {
    chat.sampling = sampling(root, reader);
    chat.max_tokens = max_tokens(root, reader);
    chat.stop = stop(root, reader);
    chat.seed = root.integer("seed", "a whole number", reader);
    chat.end_user_id = root.text("user", reader).map(Into::into);
    chat.request_id = root.text("request_id", reader).map(Into::into);
    if let Some(mut own) = root.object("polysight", reader)
        && let Some(word) = own.text("tolerance", reader)
    {
        chat.tolerance = tolerance(&word);
        if chat.tolerance.is_none() {
            reader.reject("polysight.tolerance", "it is unknown", "`strict`, `lossless`, `lossy`", "");
        }
    }
}

/// A temperature of 0 means the likeliest token, which some vendors say in another way.
fn sampling(root: &mut Fields<'_>, reader: &mut Reader<'_>) -> Sampling {
    let mut random = RandomSampling::new();
    random.temperature = root.number("temperature", reader);
    random.top_p = root.number("top_p", reader);
    random.top_k = root.integer("top_k", "a whole number of 0 or more", reader);
    random.presence_penalty = root.number("presence_penalty", reader);
    random.frequency_penalty = root.number("frequency_penalty", reader);
    random.repetition_penalty = root.number("repetition_penalty", reader);
    let is_greedy = root.boolean("do_sample", reader) == Some(false) || random.temperature == Some(0.0);
    if is_greedy {
        return Sampling::Greedy;
    }
    // What most clients send though no user set it, and what every vendor does without it.
    random.presence_penalty = random.presence_penalty.filter(|penalty| *penalty != 0.0);
    random.frequency_penalty = random.frequency_penalty.filter(|penalty| *penalty != 0.0);
    if random == RandomSampling::default() { Sampling::Default } else { Sampling::Random(random) }
}

fn max_tokens(root: &mut Fields<'_>, reader: &mut Reader<'_>) -> Option<u32> {
    const ALLOWED: &str = "a whole number of 1 or more";
    let mut limit = |name: &str| -> Option<u32> {
        let limit = root.integer(name, ALLOWED, reader)?;
        if limit == 0 {
            reader.reject(name, "it is 0", ALLOWED, "leave it out for the model's own limit");
        }
        Some(limit)
    };
    let (newer, older) = (limit("max_completion_tokens"), limit("max_tokens"));
    if let (Some(newer), Some(older)) = (newer, older)
        && newer != older
    {
        reader.note(format!("max_completion_tokens ({newer}) is used, max_tokens ({older}) is not"));
    }
    newer.or(older)
}

fn stop(root: &mut Fields<'_>, reader: &mut Reader<'_>) -> Vec<String> {
    let items = match root.take("stop") {
        None => return Vec::new(),
        Some(Json::Text(text)) => return vec![text.into_owned()],
        Some(Json::List(items)) => items,
        Some(other) => vec![other],
    };
    let mut texts = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match item {
            Json::Text(text) => texts.push(text.into_owned()),
            other => {
                reader.reject(format!("stop[{index}]"), format!("this is {}", other.kind()), "texts", "");
            }
        }
    }
    texts
}
