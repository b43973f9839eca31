//! Zhipu: `/api/paas/v4`.

mod checks;
mod error_body;
mod media_checks;
mod parsed_request;

use checks::{check, check_counted, credential};
use error_body::ErrorBody;
use parsed_request::{Request, authentication};

use crate::chat::completion::Completion;
use crate::chat::render::{self, Shape, Slicing};
use crate::chat::request::{ChatRequest, Terms};
use crate::faults::replacement::instead;
use crate::faults::sse::{self, StreamFormat};
use crate::faults::{Fault, completion};
use crate::http::Reply;
use crate::json::Json;
use crate::models;
use crate::refusal::{ErrorFormat, Refusal};
use crate::request_body::RequestBody;
use crate::route::Action;
use crate::served_request::ServedRequest;
use crate::state::Task;
use crate::tokens::zhipu;
use crate::vendors::model_list::model_list;

/// Serves one request.
pub(crate) fn answer(served: &ServedRequest, body: &RequestBody) -> Reply {
    let errors = ErrorBody::new(&served.head.headers);
    let reply = match &served.route.action {
        Action::Chat | Action::AsyncChat => chat(served, body, errors),
        Action::AsyncResult(id) => async_result(served, id),
        Action::Tokenizer => count(served, body),
        _ => models_list(served),
    };
    reply.unwrap_or_else(|refusal| errors.reply(&refusal))
}

fn chat(served: &ServedRequest, body: &RequestBody, errors: ErrorBody) -> Result<Reply, Refusal> {
    if let Some(reply) = instead(&served.faults, &errors) {
        return Ok(reply);
    }
    let request = parsed_request::parse(served, body);
    check(&request)?;
    let (Some(id), Some(model)) = (request.model_name(), request.model) else {
        return Err(Refusal::plain("1210"));
    };
    let terms = Terms::of_zhipu(request.parameters, request.messages(), model);
    let chat = ChatRequest::new(id, request.parameters, request.messages(), terms);
    let mut completion = served.complete(&chat, served.state.stamp());
    served.damage(&mut completion);
    if served.route.action == Action::AsyncChat {
        return submit(served, &request, &completion);
    }
    if chat.stream {
        return Ok(stream(served, &chat, &completion, errors));
    }
    Ok(Reply::json(200, &whole(served, &completion)))
}

fn whole(served: &ServedRequest, completion: &Completion) -> Json {
    let mut body = render::whole(completion, shape(served));
    completion::of_json(&mut body, "message", &served.faults);
    body
}

fn shape(served: &ServedRequest) -> Shape {
    if served.state.settings.legacy { Shape::ZhipuLegacy } else { Shape::Zhipu2026 }
}

fn stream(
    served: &ServedRequest,
    chat: &ChatRequest<'_>,
    completion: &Completion,
    errors: ErrorBody,
) -> Reply {
    let slicing = Slicing { tool_pieces: chat.tool_stream, usage_frame: false };
    let chunks = render::chunks(completion, shape(served), slicing);
    let format = StreamFormat { error: errors.body(&Refusal::plain("1234")), native: None };
    Reply::stream(sse::write(chunks, &format, &served.faults))
}

/// Queues an answer. The result is written at once and shown after the polls that it must wait for.
fn submit(served: &ServedRequest, request: &Request<'_>, completion: &Completion) -> Result<Reply, Refusal> {
    let (id, request_id) = (completion.id.as_str(), completion.request_id.as_str());
    served.state.add_task(Task {
        id: id.to_owned(),
        request_id: request_id.to_owned(),
        owner: credential(&request.authentication)?.to_owned(),
        polls_left: served.state.settings.async_polls,
        result: task_result(served, completion),
    });
    let body = Json::object([("id", id.into()), ("model", completion.model.as_str().into())]);
    Ok(Reply::json(200, &with_status(body, request_id, "PROCESSING")))
}

fn task_result(served: &ServedRequest, completion: &Completion) -> Json {
    if served.has(&Fault::TaskFails) {
        let body = Json::object([("id", completion.id.as_str().into())]);
        return with_status(body, &completion.request_id, "FAIL");
    }
    let mut body = whole(served, completion);
    body.remove("object");
    body.with("task_status", Some("SUCCESS"))
}

fn with_status(body: Json, request_id: &str, status: &str) -> Json {
    body.with("request_id", Some(request_id)).with("task_status", Some(status))
}

fn async_result(served: &ServedRequest, id: &str) -> Result<Reply, Refusal> {
    let authentication = authentication(served);
    let task = served.state.poll_task(id, credential(&authentication)?);
    let task = task.ok_or_else(|| Refusal::plain("1233"))?;
    if task.polls_left == 0 {
        return Ok(Reply::json(200, &task.result));
    }
    let body = Json::object([("id", id.into())]);
    Ok(Reply::json(200, &with_status(body, &task.request_id, "PROCESSING")))
}

/// Counts the tokens of a prompt. What the vendor means by `prompt_tokens` beside pictures is not documented; here it is the text.
fn count(served: &ServedRequest, body: &RequestBody) -> Result<Reply, Refusal> {
    let request = parsed_request::parse(served, body);
    check_counted(&request)?;
    let prompt = zhipu::counted(request.messages(), request.model);
    let usage = Json::object([
        ("prompt_tokens", prompt.text.into()),
        ("image_tokens", prompt.image.unwrap_or(0).into()),
        ("video_tokens", prompt.video.unwrap_or(0).into()),
        ("total_tokens", prompt.total().into()),
    ]);
    let stamp = served.state.stamp();
    let body = Json::object([("id", stamp.id.into()), ("created", stamp.created.into()), ("usage", usage)]);
    Ok(Reply::json(200, &body))
}

/// The vendor lists text models and few others; most vision models are served but not listed.
fn models_list(served: &ServedRequest) -> Result<Reply, Refusal> {
    credential(&authentication(served))?;
    let listed =
        models::zhipu().iter().filter(|model| model.pictures == 0 || model.id.starts_with("glm-5.3"));
    Ok(Reply::json(200, &model_list(listed.map(|model| model.id), "z-ai")))
}
