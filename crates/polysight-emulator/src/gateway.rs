//! A gateway of the OpenAI-compatible kind: `/v1`.
//!
//! It serves Zhipu's models under ids in any case and checks what such gateways check: shapes, plain ranges, and whether
//! pictures can be read at all. Fields it does not know are ignored.

use std::ops::RangeInclusive;

use serde_json::Number;

use crate::chat::completion::{Completion, Stamp, complete, prompt_tokens};
use crate::chat::message::{self, Message, Part, Role, Source};
use crate::chat::render::{self, Shape, Slicing};
use crate::chat::request::ChatRequest;
use crate::desk::Order;
use crate::faults::content;
use crate::faults::frames::{self, StreamEnds};
use crate::faults::replies::{Wording, instead};
use crate::intake::Intake;
use crate::json::Json;
use crate::keys::{Verdict, judge_bearer};
use crate::models::{self, ModelLimits};
use crate::route::Action;
use crate::server::Reply;
use crate::zhipu::codes::Code;
use crate::zhipu::{media_checks, model_list};

/// Serves one request.
pub(crate) fn answer(order: &Order, intake: &Intake) -> Reply {
    let reply = match order.route.action {
        Action::Chat => chat(order, intake),
        _ => authenticated(order).map(|()| Reply::json(200, &model_list(models::zhipu().iter(), "zhipu"))),
    };
    reply.unwrap_or_else(|refusal| refusal.reply())
}

/// Errors as OpenAI words them.
struct Words;

impl Wording for Words {
    fn error(&self, code: &str, message: Option<&str>) -> Json {
        let known = || Code::find(code).map(|row| row.text(true));
        let text = message.map(str::to_owned).or_else(known).unwrap_or_else(|| format!("error {code}"));
        error_body(&text, error_type(self.status(code)), None, code)
    }

    fn status(&self, code: &str) -> u16 {
        Code::find(code).map_or(400, |row| row.status)
    }
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

    fn reply(&self) -> Reply {
        let kind = error_type(self.status);
        Reply::json(self.status, &error_body(&self.message, kind, self.param, self.code))
    }
}

fn error_body(message: &str, kind: &str, param: Option<&str>, code: &str) -> Json {
    let error = Json::object([
        ("message", message.into()),
        ("type", kind.into()),
        ("param", param.map_or(Json::Null, Json::from)),
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

fn authenticated(order: &Order) -> Result<(), Refusal> {
    let refusal =
        |code, message: &str| Refusal { status: 401, code, param: None, message: message.to_owned() };
    match judge_bearer(order.head.headers.get("authorization"), &order.state.settings.keys) {
        Verdict::Accepted { .. } => Ok(()),
        Verdict::Missing => Err(refusal("missing_api_key", "no bearer token in the Authorization header")),
        Verdict::Refused | Verdict::Expired => Err(refusal("invalid_api_key", "this API key is not known")),
    }
}

fn chat(order: &Order, intake: &Intake) -> Result<Reply, Refusal> {
    if let Some(reply) = instead(&order.faults, &Words) {
        return Ok(reply);
    }
    authenticated(order)?;
    let json = intake.json.as_ref().ok_or_else(|| Refusal::of("body", "the body is not JSON"))?;
    let model = model(json)?;
    let messages = messages(json, intake)?;
    check_numbers(json)?;
    check_media(&messages, model)?;
    let request = ChatRequest::new(json, &messages, model);
    let mut completion = complete(&request, stamp(order));
    content::of_completion(&mut completion, &order.faults);
    if request.stream {
        return Ok(stream(order, &request, &completion));
    }
    let mut body = render::whole(&completion, Shape::OpenAi);
    content::of_json(&mut body, "message", &order.faults);
    Ok(Reply::json(200, &body))
}

fn stamp(order: &Order) -> Stamp {
    let stamp = order.state.stamp();
    Stamp { id: format!("chatcmpl-{}", stamp.id), ..stamp }
}

fn stream(order: &Order, request: &ChatRequest<'_>, completion: &Completion) -> Reply {
    let slicing = Slicing { tool_pieces: true, usage_frame: request.stream_usage };
    let chunks = render::chunks(completion, Shape::OpenAi, slicing);
    Reply::stream(frames::write(chunks, &StreamEnds { error: Words.error("1234", None) }, &order.faults))
}

fn model(json: &Json) -> Result<&'static ModelLimits, Refusal> {
    let name =
        json.get("model").and_then(Json::text).ok_or_else(|| Refusal::of("model", "a model is required"))?;
    models::gateway_model(name).ok_or_else(|| Refusal {
        status: 404,
        code: "model_not_found",
        param: Some("model"),
        message: format!("the model {name:?} does not exist"),
    })
}

fn messages<'r>(json: &'r Json, intake: &'r Intake) -> Result<Vec<Message<'r>>, Refusal> {
    let messages = json.get("messages").and_then(|messages| message::parse(messages, &intake.media));
    messages
        .filter(|messages| messages.iter().any(|message| matches!(message.role, Role::User | Role::Tool)))
        .ok_or_else(|| Refusal::of("messages", "messages must be a list with a user's turn in it"))
}

fn check_numbers(json: &Json) -> Result<(), Refusal> {
    in_range(json, "temperature", 0.0..=2.0)?;
    in_range(json, "top_p", 0.0..=1.0)?;
    let Some(limit) = json.get("max_tokens") else { return Ok(()) };
    let sound = limit.number().and_then(Number::as_u64).is_some_and(|count| count > 0);
    if sound { Ok(()) } else { Err(Refusal::of("max_tokens", "max_tokens must be a positive integer")) }
}

fn in_range(json: &Json, name: &'static str, range: RangeInclusive<f64>) -> Result<(), Refusal> {
    let Some(value) = json.get(name) else { return Ok(()) };
    let sound = value.number().and_then(Number::as_f64).is_some_and(|number| range.contains(&number));
    let (least, most) = range.into_inner();
    if sound { Ok(()) } else { Err(Refusal::of(name, format!("{name} must be within {least} and {most}"))) }
}

/// What the model behind the gateway cannot take, the gateway refuses in its own words.
fn check_media(messages: &[Message<'_>], model: &ModelLimits) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(Refusal::of("messages", message));
    let parts = || messages.iter().flat_map(|message| message.parts.iter());
    if parts().filter(|part| matches!(part, Part::Picture(_))).count() as u64 > u64::from(model.pictures) {
        return refuse("more pictures than the model takes");
    }
    for part in parts() {
        let readable = match part {
            Part::Text(_) | Part::Document(_) => true,
            Part::Unknown(_) => return refuse("a content part has an unknown type"),
            Part::Picture(Source::Link(link)) | Part::Video(Source::Link(link)) => {
                media_checks::is_link(link)
            }
            Part::Picture(Source::Inline(medium)) => media_checks::picture(medium).is_ok(),
            Part::Video(Source::Inline(medium)) => {
                model.video.as_ref().is_some_and(|limits| media_checks::video(medium, limits).is_ok())
            }
        };
        if !readable {
            return refuse("a picture or video cannot be read, or is larger than the model takes");
        }
    }
    if prompt_tokens(messages) > model.context {
        return refuse("the conversation is longer than the model's context");
    }
    Ok(())
}
