//! Baidu's Qianfan: `/v2`, and the place where its short-lived keys come from.

mod checks;
mod error_body;
pub(crate) mod iam;
mod media_checks;
mod option_checks;
mod parsed_request;
mod render;
mod signature;

use checks::{check, credential};
use error_body::ErrorBody;
use parsed_request::{Request, authentication, thinks};

use crate::chat::completion::{Completion, Stamp};
use crate::chat::request::{ChatRequest, Limit, Reasoning, Terms, whole_number};
use crate::faults::replacement::instead;
use crate::faults::sse::{self, StreamFormat};
use crate::faults::{Fault, argument_of, completion};
use crate::http::Reply;
use crate::json::Json;
use crate::models::{self, ErnieLimits, Quota};
use crate::refusal::{ErrorFormat, Refusal};
use crate::request_body::RequestBody;
use crate::route::Action;
use crate::served_request::ServedRequest;
use crate::state::State;
use crate::state::quota::{Exceeded, Left};
use crate::tokens::ernie;

/// Serves one request.
pub(crate) fn answer(served: &ServedRequest, body: &RequestBody) -> Reply {
    let errors = ErrorBody { id: request_id(&served.state) };
    let reply = match served.route.action {
        Action::Chat => chat(served, body, &errors),
        _ => credential(&authentication(served)).map(|_| Reply::json(200, &models_list())),
    };
    let reply = reply.unwrap_or_else(|refusal| errors.reply(&refusal));
    reply.with_header("X-Baidu-Request-Id", &errors.id)
}

/// The reply to a method that a path is not for.
pub(crate) fn wrong_method() -> Reply {
    ErrorBody { id: "as-0000000000".to_owned() }.reply(&Refusal::plain("method_not_supported"))
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

fn chat(served: &ServedRequest, body: &RequestBody, errors: &ErrorBody) -> Result<Reply, Refusal> {
    if let Some(reply) = instead(&served.faults, errors) {
        return Ok(reply);
    }
    let request = parsed_request::parse(served, body);
    check(&request)?;
    let model = request.model.ok_or_else(|| Refusal::plain("invalid_model"))?;
    let account = credential(&request.authentication)?;
    let prompt = ernie::prompt(request.messages()).total();
    Ok(match served.admit(account, model.id, model.quota, prompt) {
        Ok(left) => with_rates(reply(served, &request, errors, model)?, model.quota, left),
        Err(exceeded) => {
            let left = Left { requests: 0, tokens: 0 };
            with_rates(errors.reply(&over_quota(exceeded)), model.quota, Some(left))
        }
    })
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
    served: &ServedRequest,
    request: &Request<'_>,
    errors: &ErrorBody,
    model: &ErnieLimits,
) -> Result<Reply, Refusal> {
    let terms = terms(request, model);
    let chat = ChatRequest::new(model.id, request.parameters, request.messages(), terms);
    let stamp = Stamp { id: errors.id.clone(), ..served.state.stamp() };
    let mut completion = served.complete(&chat, stamp);
    let broken = served.has(&Fault::NetworkError);
    if broken && !chat.stream {
        return Err(Refusal::plain("internal_error"));
    }
    served.damage(&mut completion);
    if completion.filtered {
        "content_filter".clone_into(&mut completion.finish);
    }
    let flag = argument_of!(&served.faults, Flag).unwrap_or(0);
    if flag >= 3 {
        completion::halve(&mut completion.content);
    }
    if chat.stream {
        return Ok(stream(served, errors, &completion, flag, chat.stream_usage, broken));
    }
    let mut body = render::whole(&completion, flag);
    completion::of_json(&mut body, "message", &served.faults);
    Ok(Reply::json(200, &body))
}

fn stream(
    served: &ServedRequest,
    errors: &ErrorBody,
    completion: &Completion,
    flag: u8,
    usage: bool,
    broken: bool,
) -> Reply {
    let chunks = render::chunks(completion, flag, usage);
    let format = StreamFormat { error: errors.body(&Refusal::plain("internal_error")), native: None };
    let faults = if broken { sse::breaking_off(&chunks, &served.faults) } else { served.faults.clone() };
    Reply::stream(sse::write(chunks, &format, &faults))
}

/// Of two limits the one that counts reasoning too wins. The vendor's pages differ on whether the other does; here it does
/// not.
fn terms(request: &Request<'_>, model: &ErnieLimits) -> Terms {
    let whole = whole_number(request.parameters, "max_completion_tokens");
    let limit = Limit::of(whole.or_else(|| whole_number(request.parameters, "max_tokens")), model.output.1);
    let budget = whole_number(request.parameters, "thinking_budget");
    Terms {
        json_modes: !model.vision,
        limit: Limit { covers_reasoning: whole.is_some(), reasoning: budget, ..limit },
        reasoning: if thinks(request) { Reasoning::Apart } else { Reasoning::Absent },
        tools: model.tools,
        prompt: ernie::prompt(request.messages()),
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
