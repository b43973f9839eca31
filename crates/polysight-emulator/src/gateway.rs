//! A gateway of the OpenAI-compatible kind: `/v1`.
//!
//! It serves models of all three vendors under ids in any case and checks what such gateways check: shapes, plain ranges,
//! and whether pictures can be read at all. Fields it does not know are ignored. How a gateway words its errors nobody has
//! recorded; here they have OpenAI's shape.

use std::ops::RangeInclusive;

use serde_json::Number;

use crate::chat::completion::{Completion, Stamp, complete};
use crate::chat::message::{self, Message, Part, Role, Source};
use crate::chat::render::{self, Shape, Slicing};
use crate::chat::request::{ChatRequest, Limit, Reasoning, Terms, whole_number};
use crate::desk::Order;
use crate::faults::content;
use crate::faults::frames::{self, Manner};
use crate::faults::replies::{Wording, instead, status_of};
use crate::intake::Intake;
use crate::json::Json;
use crate::keys::{Verdict, judge_bearer};
use crate::media::Medium;
use crate::models::{self, Behind, Served};
use crate::quota::Exceeded;
use crate::route::Action;
use crate::server::Reply;
use crate::zhipu::codes::Code;
use crate::{dashscope, qianfan, zhipu};

/// Serves one request.
pub(crate) fn answer(order: &Order, intake: &Intake) -> Reply {
    let reply = match order.route.action {
        Action::Chat => chat(order, intake),
        _ => account(order).map(|_| Reply::json(200, &list())),
    };
    reply.unwrap_or_else(|refusal| refusal.reply())
}

fn list() -> Json {
    zhipu::model_list(Served::all().map(|model| model.id), "gateway")
}

/// Errors as OpenAI words them.
struct Words;

impl Wording for Words {
    fn error(&self, code: &str, message: Option<&str>) -> Json {
        let text = message.map(str::to_owned).or_else(|| known_text(code));
        let text = text.unwrap_or_else(|| format!("error {code}"));
        error_body(&text, error_type(status_of(code).unwrap_or(400)), None, code)
    }

    fn refusal(&self, code: &str) -> Reply {
        Reply::json(status_of(code).unwrap_or(400), &self.error(code, None))
    }
}

/// What the vendor behind the gateway says.
fn known_text(code: &str) -> Option<String> {
    Code::find(code)
        .map(|row| row.text(true))
        .or_else(|| dashscope::codes::find(code).map(|row| row.text.to_owned()))
        .or_else(|| qianfan::codes::find(code).map(|row| row.text.to_owned()))
}

struct Refusal {
    status: u16,
    code: &'static str,
    param: Option<&'static str>,
    message: String,
}

impl Refusal {
    fn of(param: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, code: "invalid_value", param: Some(param), message: message.into() }
    }

    fn plain(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, param: None, message: message.into() }
    }

    fn reply(&self) -> Reply {
        let kind = error_type(self.status);
        Reply::json(self.status, &error_body(&self.message, kind, self.param, self.code))
    }
}

fn error_body(message: &str, kind: &str, param: Option<&str>, code: &str) -> Json {
    let error = Json::object([
        ("message", message.into()),
        ("type", kind.into()),
        ("param", param.into()),
        ("code", code.into()),
    ]);
    Json::object([("error", error)])
}

fn error_type(status: u16) -> &'static str {
    match status {
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

/// The account behind the key.
fn account(order: &Order) -> Result<String, Refusal> {
    let keys = &order.state.settings.keys;
    match judge_bearer(order.head.headers.get("authorization"), keys, |_| true) {
        Verdict::Accepted { id, .. } => Ok(id),
        Verdict::Missing => {
            Err(Refusal::plain(401, "missing_api_key", "no bearer token in the Authorization header"))
        }
        Verdict::Refused | Verdict::Expired => {
            Err(Refusal::plain(401, "invalid_api_key", "this API key is not known"))
        }
    }
}

fn chat(order: &Order, intake: &Intake) -> Result<Reply, Refusal> {
    if let Some(reply) = instead(&order.faults, &Words) {
        return Ok(reply);
    }
    let account = account(order)?;
    let json = intake.json.as_ref().ok_or_else(|| Refusal::of("body", "the body is not JSON"))?;
    let name =
        json.get("model").and_then(Json::text).ok_or_else(|| Refusal::of("model", "a model is required"))?;
    let model = model(name)?;
    let messages = messages(json, intake)?;
    check_numbers(json, model)?;
    check_media(&messages, model)?;
    let terms = terms(json, &messages, model);
    if terms.prompt.total() > model.context {
        return Err(Refusal::of("messages", "the conversation is longer than the model's context"));
    }
    if order.is_crowded() {
        return Err(over_quota(Exceeded::Concurrency));
    }
    order.admit(&account, model.id, model.quota, terms.prompt.total()).map_err(over_quota)?;
    let request = ChatRequest::new(name, json, &messages, terms);
    let mut completion = complete(&request, stamp(order));
    order.charge(completion.usage.completion);
    content::of_completion(&mut completion, &order.faults);
    if request.stream {
        return Ok(stream(order, &request, &completion));
    }
    let mut body = render::whole(&completion, Shape::OpenAi);
    content::of_json(&mut body, "message", &order.faults);
    Ok(Reply::json(200, &body))
}

fn over_quota(exceeded: Exceeded) -> Refusal {
    let what = match exceeded {
        Exceeded::Requests => "requests per minute",
        Exceeded::Tokens => "tokens per minute",
        Exceeded::Concurrency => "concurrent requests",
    };
    Refusal::plain(429, "rate_limit_exceeded", format!("this key has used up its {what} for this model"))
}

fn stamp(order: &Order) -> Stamp {
    let stamp = order.state.stamp();
    Stamp { id: format!("chatcmpl-{}", stamp.id), ..stamp }
}

fn stream(order: &Order, request: &ChatRequest<'_>, completion: &Completion) -> Reply {
    let slicing = Slicing { tool_pieces: true, usage_frame: request.stream_usage };
    let chunks = render::chunks(completion, Shape::OpenAi, slicing);
    let manner = Manner { error: Words.error("1234", None), native: None };
    Reply::stream(frames::write(chunks, &manner, &order.faults))
}

fn model(name: &str) -> Result<Served, Refusal> {
    models::gateway_model(name).ok_or_else(|| Refusal {
        param: Some("model"),
        ..Refusal::plain(404, "model_not_found", format!("the model {name:?} does not exist"))
    })
}

/// What the model behind the gateway makes of the request.
fn terms(json: &Json, messages: &[Message<'_>], model: Served) -> Terms {
    let prompt = match model.behind {
        Behind::Zhipu(limits) => return zhipu::terms(json, messages, limits),
        Behind::Qwen(limits) => dashscope::tokens::plain_prompt(messages, limits),
        Behind::Ernie(_) => qianfan::tokens::prompt(messages),
    };
    let limit = Limit::of(whole_number(json, "max_tokens"), most_output(model));
    Terms { limit, reasoning: Reasoning::Absent, tools: false, prompt }
}

fn messages<'r>(json: &'r Json, intake: &'r Intake) -> Result<Vec<Message<'r>>, Refusal> {
    let messages = json.get("messages").and_then(|messages| message::parse(messages, &intake.media));
    messages
        .filter(|messages| messages.iter().any(|message| matches!(message.role, Role::User | Role::Tool)))
        .ok_or_else(|| Refusal::of("messages", "messages must be a list with a user's turn in it"))
}

/// A limit of the answer that the model behind cannot take is passed on and refused there.
fn check_numbers(json: &Json, model: Served) -> Result<(), Refusal> {
    in_range(json, "temperature", 0.0..=2.0)?;
    in_range(json, "top_p", 0.0..=1.0)?;
    let Some(limit) = json.get("max_tokens") else { return Ok(()) };
    let most = most_output(model);
    let sound = limit.number().and_then(Number::as_u64).is_some_and(|count| (1..=most).contains(&count));
    if sound {
        Ok(())
    } else {
        Err(Refusal::of("max_tokens", format!("max_tokens must be within 1 and {most}")))
    }
}

fn in_range(json: &Json, name: &'static str, range: RangeInclusive<f64>) -> Result<(), Refusal> {
    let Some(value) = json.get(name) else { return Ok(()) };
    let sound = value.number().and_then(Number::as_f64).is_some_and(|number| range.contains(&number));
    let (least, most) = range.into_inner();
    if sound { Ok(()) } else { Err(Refusal::of(name, format!("{name} must be within {least} and {most}"))) }
}

/// What the model behind the gateway cannot take, the gateway refuses in its own words.
fn check_media(messages: &[Message<'_>], model: Served) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(Refusal::of("messages", message));
    let parts = || messages.iter().flat_map(|message| message.parts.iter());
    if parts().filter(|part| matches!(part, Part::Picture(_))).count() as u64 > most_pictures(model) {
        return refuse("more pictures than the model takes");
    }
    for part in parts() {
        let readable = match part {
            Part::Text(_) | Part::Document(_) => true,
            Part::Unknown(_) | Part::Frames(_) => return refuse("a content part has an unknown type"),
            Part::Picture(Source::Link(link)) | Part::Video(Source::Link(link)) => {
                zhipu::media_checks::is_link(link)
            }
            Part::Picture(Source::Inline(medium)) => takes_picture(model, medium),
            Part::Video(Source::Inline(medium)) => takes_video(model, medium),
        };
        if !readable {
            return refuse("a picture or video cannot be read, or is larger than the model takes");
        }
    }
    Ok(())
}

fn most_output(model: Served) -> u64 {
    match model.behind {
        Behind::Zhipu(limits) => limits.max_output,
        Behind::Qwen(limits) => limits.max_output,
        Behind::Ernie(limits) => limits.output.1,
    }
}

fn most_pictures(model: Served) -> u64 {
    match model.behind {
        Behind::Zhipu(limits) => u64::from(limits.pictures),
        Behind::Qwen(limits) => limits.pictures,
        Behind::Ernie(_) => qianfan::MOST_PICTURES,
    }
}

/// Base64 is taken with and without the prefix of a data URI: the page leaves open which it means.
fn takes_picture(model: Served, medium: &Medium) -> bool {
    match model.behind {
        Behind::Zhipu(_) => zhipu::media_checks::picture(medium).is_ok(),
        Behind::Qwen(limits) => dashscope::media_checks::picture(medium, limits).is_ok(),
        Behind::Ernie(_) => qianfan::media_checks::picture(medium).is_ok(),
    }
}

fn takes_video(model: Served, medium: &Medium) -> bool {
    match model.behind {
        Behind::Zhipu(limits) => {
            limits.video.as_ref().is_some_and(|limits| zhipu::media_checks::video(medium, limits).is_ok())
        }
        Behind::Qwen(_) | Behind::Ernie(_) => medium.video().is_some(),
    }
}
