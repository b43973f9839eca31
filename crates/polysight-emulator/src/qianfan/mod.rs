//! Baidu's Qianfan: `/v2`, and the place where its short-lived keys come from.

mod checks;
pub(crate) mod codes;
pub(crate) mod iam;
pub(crate) mod media_checks;
mod option_checks;
mod refusal;
mod render;
mod signature;
pub(crate) mod tokens;

use checks::{Inquiry, check, credential};
pub(crate) use media_checks::MOST_PICTURES;
use refusal::{Refusal, Words};

use crate::chat::completion::{Completion, Stamp, complete};
use crate::chat::message;
use crate::chat::request::{ChatRequest, Limit, Reasoning, Terms, whole_number};
use crate::desk::Order;
use crate::faults::frames::{self, Manner};
use crate::faults::replies::{Wording, instead};
use crate::faults::{Fault, argument_of, content};
use crate::intake::Intake;
use crate::json::Json;
use crate::keys::{Verdict, bearer, is_qianfan_key, judge_bearer};
use crate::models::{self, ErnieLimits, Quota, ernie_model};
use crate::quota::{Exceeded, Left};
use crate::route::Action;
use crate::server::Reply;
use crate::state::State;

/// Serves one request.
pub(crate) fn answer(order: &Order, intake: &Intake) -> Reply {
    let words = Words { id: request_id(&order.state) };
    let reply = match order.route.action {
        Action::Chat => chat(order, intake, &words),
        _ => credential(&verdict(order)).map(|_| Reply::json(200, &models_list())),
    };
    let reply = reply.unwrap_or_else(|refusal| words.refuse(&refusal));
    reply.with_header("X-Baidu-Request-Id", &words.id)
}

/// The reply to a method that a path is not for.
pub(crate) fn wrong_method() -> Reply {
    Words { id: "as-0000000000".to_owned() }.refuse(&Refusal::plain("method_not_supported"))
}

/// `as-` and ten lower-case letters or digits.
fn request_id(state: &State) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut number = state.random_number();
    let tail = (0..10).map(|_| {
        let digit = usize::try_from(number % 36).unwrap_or(0);
        number /= 36;
        char::from(DIGITS.get(digit).copied().unwrap_or(b'0'))
    });
    "as-".chars().chain(tail).collect()
}

/// A short-lived key counts as long as it lives, whatever other keys are known.
fn verdict(order: &Order) -> Verdict {
    let header = order.head.headers.get("authorization");
    let token = header.and_then(bearer);
    match token.and_then(|token| order.state.iam_key(token)) {
        Some(true) => Verdict::Accepted { id: token.unwrap_or_default().to_owned(), broke: false },
        Some(false) => Verdict::Expired,
        None => judge_bearer(header, &order.state.settings.keys, is_qianfan_key),
    }
}

fn chat(order: &Order, intake: &Intake, words: &Words) -> Result<Reply, Refusal> {
    if let Some(reply) = instead(&order.faults, words) {
        return Ok(reply);
    }
    let json = intake.json.as_ref();
    let inquiry = Inquiry {
        credential: verdict(order),
        app: order.head.headers.get("appid"),
        json,
        model: json.and_then(|json| ernie_model(json.get("model")?.text()?)),
        messages: json.and_then(|json| message::parse(json.get("messages")?, &intake.media)),
        forbidden: &order.state.settings.forbidden,
        crowded: order.is_crowded(),
    };
    check(&inquiry)?;
    let (Some(json), Some(model)) = (json, inquiry.model) else {
        return Err(Refusal::plain("malformed_json"));
    };
    let account = credential(&inquiry.credential)?;
    let prompt = tokens::prompt(inquiry.messages()).total();
    let admitted = order.admit(account, model.id, model.quota, prompt);
    let reply = match admitted {
        Ok(left) => with_rates(reply(order, &inquiry, words, json, model)?, model.quota, left),
        Err(exceeded) => {
            let left = Left { requests: 0, tokens: 0 };
            with_rates(words.refuse(&over_quota(exceeded)), model.quota, Some(left))
        }
    };
    Ok(reply)
}

fn over_quota(exceeded: Exceeded) -> Refusal {
    Refusal::plain(match exceeded {
        Exceeded::Requests => "rpm_rate_limit_exceeded",
        Exceeded::Tokens => "tpm_rate_limit_exceeded",
        Exceeded::Concurrency => "user_rate_limit_exceeded",
    })
}

/// What may be used in a minute, and, where quotas are in force, what is left of it.
fn with_rates(reply: Reply, quota: Quota, left: Option<Left>) -> Reply {
    [
        ("X-Ratelimit-Limit-Requests", quota.requests),
        ("X-Ratelimit-Limit-Tokens", quota.tokens),
        ("X-Ratelimit-Remaining-Requests", left.map(|left| left.requests)),
        ("X-Ratelimit-Remaining-Tokens", left.map(|left| left.tokens)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?.to_string())))
    .fold(reply, |reply, (name, value)| reply.with_header(name, &value))
}

fn reply(
    order: &Order,
    inquiry: &Inquiry<'_>,
    words: &Words,
    json: &Json,
    model: &ErnieLimits,
) -> Result<Reply, Refusal> {
    let request = ChatRequest::new(model.id, json, inquiry.messages(), terms(inquiry, json, model));
    let stamp = Stamp { id: words.id.clone(), ..order.state.stamp() };
    let mut completion = complete(&request, stamp);
    order.charge(completion.usage.completion);
    let broken = order.has(&Fault::NetworkError);
    if broken && !request.stream {
        return Err(Refusal::plain("internal_error"));
    }
    content::of_completion(&mut completion, &order.faults);
    if completion.filtered {
        "content_filter".clone_into(&mut completion.finish);
    }
    let flag = argument_of!(&order.faults, Flag).unwrap_or(0);
    if flag >= 3 {
        content::halve(&mut completion.content);
    }
    if request.stream {
        return Ok(stream(order, words, &completion, flag, request.stream_usage, broken));
    }
    let mut body = render::whole(&completion, flag);
    content::of_json(&mut body, "message", &order.faults);
    Ok(Reply::json(200, &body))
}

fn stream(
    order: &Order,
    words: &Words,
    completion: &Completion,
    flag: u8,
    usage: bool,
    broken: bool,
) -> Reply {
    let chunks = render::chunks(completion, flag, usage);
    let manner = Manner { error: words.error("internal_error", None), native: None };
    let faults = if broken { frames::breaking_off(&chunks, &order.faults) } else { order.faults.clone() };
    Reply::stream(frames::write(chunks, &manner, &faults))
}

/// Of two limits the one that counts reasoning too wins. The vendor's pages differ on whether the other does; here it does
/// not.
fn terms(inquiry: &Inquiry<'_>, json: &Json, model: &ErnieLimits) -> Terms {
    let whole = whole_number(json, "max_completion_tokens");
    let limit = Limit::of(whole.or_else(|| whole_number(json, "max_tokens")), model.output.1);
    let budget = whole_number(json, "thinking_budget");
    Terms {
        limit: Limit { covers_reasoning: whole.is_some(), reasoning: budget, ..limit },
        reasoning: if inquiry.thinks() { Reasoning::Apart } else { Reasoning::Absent },
        tools: model.tools,
        prompt: tokens::prompt(inquiry.messages()),
    }
}

/// The spelling of `max_completions_tokens` is the vendor's.
fn models_list() -> Json {
    let list = |words: &[&str]| Json::List(words.iter().map(|word| Json::from(*word)).collect());
    let entry = |model: &ErnieLimits| {
        let mut input = vec!["text"];
        input.extend(model.vision.then_some("image"));
        input.extend(model.video.then_some("video"));
        let architecture =
            Json::object([("input_modalities", list(&input)), ("output_modalities", list(&["text"]))]);
        Json::object([
            ("id", model.id.into()),
            ("object", "model".into()),
            ("owned_by", "baidu".into()),
            ("type", if model.vision { "multimodal" } else { "chat" }.into()),
            ("context_length", model.context.into()),
            ("architecture", architecture),
            ("prompt_tokens", model.max_input.into()),
            ("max_tokens", model.output.1.into()),
            ("max_completions_tokens", model.output.1.into()),
        ])
    };
    let entries: Vec<Json> = models::ernie().iter().map(entry).collect();
    Json::object([("object", "list".into()), ("data", entries.into())])
}
