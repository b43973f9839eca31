//! A gateway of the OpenAI-compatible kind: `/v1`.
//!
//! It serves models of all three vendors under ids in any case, any other model where it is set up so, and checks what such
//! gateways check. Fields it does not know are ignored. How a gateway words its errors is not recorded; here they have
//! OpenAI's shape.

mod checks;
mod error_body;

use error_body::{ErrorBody, invalid};

use crate::auth::{Authentication, authenticate_bearer};
use crate::chat::completion::{Completion, Stamp};
use crate::chat::message::{self, Message, Part};
use crate::chat::prompt::Prompt;
use crate::chat::render::{self, Shape, Slicing};
use crate::chat::request::{ChatRequest, Limit, Reasoning, Terms, whole_number};
use crate::faults::completion;
use crate::faults::replacement::instead;
use crate::faults::sse::{self, StreamFormat};
use crate::http::Reply;
use crate::json::Json;
use crate::models::{self, Behind, Served};
use crate::refusal::{ErrorFormat, Refusal};
use crate::request_body::RequestBody;
use crate::route::Action;
use crate::served_request::ServedRequest;
use crate::state::quota::Exceeded;
use crate::tokens;
use crate::tokens::image_tokens::Size;
use crate::tokens::qwen;
use crate::vendors::model_list::model_list;

/// Serves one request.
pub(crate) fn answer(served: &ServedRequest, body: &RequestBody) -> Reply {
    let reply = match served.route.action {
        Action::Chat => chat(served, body),
        _ => account(served).map(|_| Reply::json(200, &list())),
    };
    reply.unwrap_or_else(|refusal| ErrorBody.reply(&refusal))
}

fn list() -> Json {
    model_list(Served::all().map(|model| model.id), "gateway")
}

/// The account behind the key.
fn account(served: &ServedRequest) -> Result<String, Refusal> {
    let keys = &served.state.settings.keys;
    match authenticate_bearer(served.header("authorization"), keys, |_| true) {
        Authentication::Accepted { id, .. } => Ok(id),
        Authentication::Missing => {
            Err(Refusal::with_message("missing_api_key", "no bearer token in the Authorization header")
                .with_status(401))
        }
        Authentication::Refused | Authentication::Expired => {
            Err(Refusal::with_message("invalid_api_key", "this API key is not known"))
        }
    }
}

fn chat(served: &ServedRequest, body: &RequestBody) -> Result<Reply, Refusal> {
    if let Some(reply) = instead(&served.faults, &ErrorBody) {
        return Ok(reply);
    }
    let account = account(served)?;
    let json = body.json.as_ref().ok_or_else(|| invalid("body", "the body is not JSON"))?;
    let name =
        json.get("model").and_then(Json::text).ok_or_else(|| invalid("model", "a model is required"))?;
    let model = model(name, served.state.settings.any_model)?;
    let messages = json.get("messages").and_then(|messages| message::parse(messages, &body.media));
    let messages = messages.unwrap_or_default();
    checks::messages(&messages)?;
    checks::numbers(json, model)?;
    checks::media(&messages, model)?;
    let terms = terms(json, &messages, model);
    if terms.prompt.total() > model.context {
        return Err(invalid("messages", "the conversation is longer than the model's context"));
    }
    if served.is_over_limit() {
        return Err(over_quota(Exceeded::Concurrency));
    }
    served.admit(&account, model.id, model.quota, terms.prompt.total()).map_err(over_quota)?;
    let chat = ChatRequest::new(name, json, &messages, terms).with_seen(seen(&messages, model));
    let mut completion = served.complete(&chat, stamp(served));
    served.damage(&mut completion);
    if chat.stream {
        return Ok(stream(served, &chat, &completion));
    }
    let mut body = render::whole(&completion, Shape::OpenAi);
    completion::of_json(&mut body, "message", &served.faults);
    Ok(Reply::json(200, &body))
}

fn over_quota(exceeded: Exceeded) -> Refusal {
    let what = match exceeded {
        Exceeded::Requests => "requests per minute",
        Exceeded::Tokens => "tokens per minute",
        Exceeded::Concurrency => "concurrent requests",
    };
    let message = format!("this key has used up its {what} for this model");
    Refusal::with_message("rate_limit_exceeded", message).with_status(429)
}

fn stamp(served: &ServedRequest) -> Stamp {
    let stamp = served.state.stamp();
    Stamp { id: format!("chatcmpl-{}", stamp.id), ..stamp }
}

fn stream(served: &ServedRequest, chat: &ChatRequest<'_>, completion: &Completion) -> Reply {
    let slicing = Slicing { tool_pieces: true, usage_frame: chat.stream_usage };
    let chunks = render::chunks(completion, Shape::OpenAi, slicing);
    let format = StreamFormat { error: ErrorBody.body(&Refusal::plain("1234")), native: None };
    Reply::stream(sse::write(chunks, &format, &served.faults))
}

fn model(name: &str, any: bool) -> Result<Served, Refusal> {
    let known = models::gateway_model(name).or_else(|| any.then_some(Served::UNKNOWN));
    known.ok_or_else(|| Refusal {
        param: Some("model"),
        ..Refusal::with_message("model_not_found", format!("the model {name:?} does not exist"))
    })
}

/// Sizes of the pictures after resizing, in their order.
fn seen(messages: &[Message<'_>], model: Served) -> Vec<Option<Size>> {
    let Behind::Qwen(limits) = model.behind else { return Vec::new() };
    let parts = messages.iter().flat_map(|message| message.parts.iter().copied());
    let size = |part: Part<'_>| match part {
        Part::Picture(source) => Some(qwen::resized(&qwen::Item::bare(part), source, limits, false)),
        _ => None,
    };
    parts.filter_map(size).collect()
}

/// What the model behind the gateway makes of the request.
fn terms(json: &Json, messages: &[Message<'_>], model: Served) -> Terms {
    let prompt = match model.behind {
        Behind::Zhipu(limits) => {
            return Terms { json_modes: true, ..Terms::of_zhipu(json, messages, limits) };
        }
        Behind::Qwen(limits) => qwen::plain_prompt(messages, limits),
        Behind::Ernie(_) => tokens::ernie::prompt(messages),
        Behind::Unknown => Prompt { text: tokens::zhipu::prompt(messages, None), ..Prompt::default() },
    };
    let unknown = matches!(model.behind, Behind::Unknown);
    let whole = whole_number(json, "max_completion_tokens").filter(|_| unknown);
    let limit = Limit::of(whole.or_else(|| whole_number(json, "max_tokens")), model.most_output());
    Terms { limit, reasoning: Reasoning::Absent, tools: unknown, json_modes: true, prompt }
}
