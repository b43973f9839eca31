//! Alibaba's DashScope: `/compatible-mode/v1`, `/api/v1`, and the store for temporary uploads.

mod cache_marks;
mod checks;
mod compatible;
mod error_body;
mod media_checks;
mod message_checks;
mod mode_checks;
mod model_list;
mod native;
mod parsed_request;
mod uploads;

use std::time::Instant;

use error_body::{ErrorBody, engine};
use parsed_request::{Dialect, Request, items, thinking_of, thinks, wants_stream};

use crate::chat::completion::{Completion, Stamp};
use crate::chat::message::Part;
use crate::chat::prompt::Prompt;
use crate::chat::request::{ChatRequest, Limit, Reasoning, Terms, whole_number};
use crate::clock;
use crate::faults::replacement::instead;
use crate::faults::sse::{self, StreamFormat};
use crate::faults::{Fault, completion};
use crate::http::Reply;
use crate::models::{QwenLimits, QwenThinking};
use crate::refusal::{ErrorFormat, Refusal};
use crate::request_body::RequestBody;
use crate::route::Action;
use crate::served_request::ServedRequest;
use crate::state::quota::Exceeded;
use crate::surface::Surface;
use crate::tokens::image_tokens::Size;
use crate::tokens::qwen;

/// Serves one request.
pub(crate) fn answer(served: &ServedRequest, mut body: RequestBody) -> Reply {
    if served.route.action == Action::Upload {
        return uploads::store(served, &body);
    }
    let dialect = match served.route.surface {
        Some(Surface::DashScopeCompatible) => Dialect::Compatible,
        _ => Dialect::Native,
    };
    let stream = served.route.action.is_chat() && wants_stream(served, &body, dialect);
    let errors = ErrorBody { dialect, id: served.state.uuid(), stream };
    let reply = match served.route.action {
        Action::Models => model_list::answer(served, dialect),
        Action::UploadPolicy => uploads::policy(served).map(|body| Reply::json(200, &body)),
        _ => {
            uploads::resolve(served, &mut body);
            chat(served, &body, &errors)
        }
    };
    with_headers(reply.unwrap_or_else(|refusal| errors.reply(&refusal)), &errors)
}

/// The headers that come with every reply.
fn with_headers(reply: Reply, errors: &ErrorBody) -> Reply {
    let arrived = clock::unix_millis().to_string();
    [
        ("x-request-id", errors.id.as_str()),
        ("x-dashscope-call-gateway", "true"),
        ("x-dashscope-finished", if errors.stream { "false" } else { "true" }),
        ("x-dashscope-timeout", "600"),
        ("req-cost-time", "1"),
        ("req-arrive-time", &arrived),
        ("resp-start-time", &arrived),
    ]
    .into_iter()
    .fold(reply, |reply, (name, value)| reply.with_header(name, value))
}

fn chat(served: &ServedRequest, body: &RequestBody, errors: &ErrorBody) -> Result<Reply, Refusal> {
    if let Some(reply) = instead(&served.faults, errors) {
        return Ok(reply);
    }
    let request = parsed_request::parse(served, body, errors.dialect, errors.stream);
    checks::admission(&request)?;
    let model = request.model.ok_or_else(|| Refusal::plain("ModelNotFound"))?;
    let high = wants_high_resolution(&request);
    let prompt = qwen::prompt(&items(&request), request.messages().len(), model, high);
    let account = checks::credential(&request.authentication)?;
    served.admit(account, model.id, model.quota, prompt.total()).map_err(over_quota)?;
    checks::content(&request)?;
    if prompt.total() > model.max_input {
        return Err(engine(format!("Range of input length should be [1, {}]", model.max_input)));
    }
    let prefixes = cache_marks::prefixes(&request, account, model, high);
    let cache = served.state.prompt_cache.take(&prefixes, Instant::now());
    reply(served, &request, errors, model, Prompt { cache, ..prompt })
}

fn wants_high_resolution(request: &Request<'_>) -> bool {
    request.flag("vl_high_resolution_images").unwrap_or(false)
}

fn over_quota(exceeded: Exceeded) -> Refusal {
    Refusal::plain(match exceeded {
        Exceeded::Requests | Exceeded::Concurrency => "Throttling.RateQuota",
        Exceeded::Tokens => "Throttling.AllocationQuota",
    })
}

fn reply(
    served: &ServedRequest,
    request: &Request<'_>,
    errors: &ErrorBody,
    model: &QwenLimits,
    prompt: Prompt,
) -> Result<Reply, Refusal> {
    let terms = terms(request, model, prompt);
    let mut chat = ChatRequest::new(model.id, request.parameters, request.messages(), terms)
        .with_seen(seen(request, model));
    chat.form = mode_checks::ocr_form(request);
    let id = match errors.dialect {
        Dialect::Compatible => format!("chatcmpl-{}", errors.id),
        Dialect::Native => errors.id.clone(),
    };
    let mut completion = served.complete(&chat, Stamp { id, created: served.state.stamp().created });
    completion.request_id.clone_from(&errors.id);
    let failure = failure(served);
    if let Some(failure) = failure.as_ref().filter(|_| !errors.stream) {
        return Err(failure.clone());
    }
    served.damage(&mut completion);
    let sizes = sizes(request, model);
    if errors.stream {
        return Ok(stream(served, request, errors, &completion, sizes.as_deref(), failure));
    }
    let mut body = match errors.dialect {
        Dialect::Compatible => compatible::whole(&completion),
        Dialect::Native => native::whole(&completion, sizes.as_deref(), chat.form.is_some()),
    };
    completion::of_json(&mut body, "message", &served.faults);
    Ok(Reply::json(200, &body))
}

/// Moderation and broken inference have no finish reason here: they are errors, in mid-stream too.
fn failure(served: &ServedRequest) -> Option<Refusal> {
    if served.has(&Fault::Sensitive) {
        let message = "Output data may contain inappropriate content.";
        return Some(Refusal::with_message("DataInspectionFailed", message));
    }
    served.has(&Fault::NetworkError).then(|| Refusal::plain("InternalError"))
}

fn stream(
    served: &ServedRequest,
    request: &Request<'_>,
    errors: &ErrorBody,
    completion: &Completion,
    sizes: Option<&[Size]>,
    failure: Option<Refusal>,
) -> Reply {
    let native = errors.dialect == Dialect::Native;
    let chunks = if native {
        native::chunks(completion, sizes, is_incremental(request))
    } else {
        let options = request.field("stream_options");
        let usage = options.and_then(|options| options.get("include_usage")?.bool()).unwrap_or(false);
        compatible::chunks(completion, usage)
    };
    let error = failure.clone().unwrap_or_else(|| Refusal::plain("InternalError"));
    let format = StreamFormat { error: errors.body(&error), native: native.then_some(error.status) };
    let faults = match failure {
        Some(_) => sse::breaking_off(&chunks, &served.faults),
        None => served.faults.clone(),
    };
    Reply::stream(sse::write(chunks, &format, &faults))
}

/// Newer models send pieces unless the request wants everything so far.
fn is_incremental(request: &Request<'_>) -> bool {
    let by_default =
        request.model.is_some_and(|model| model.tools) || thinking_of(request) != QwenThinking::None;
    request.flag("incremental_output").unwrap_or(by_default)
}

fn terms(request: &Request<'_>, model: &QwenLimits, prompt: Prompt) -> Terms {
    let parameters = request.parameters;
    let limit = Limit::of(whole_number(parameters, "max_tokens"), model.max_output);
    // The one limit leaves reasoning out, the other does not.
    let whole = whole_number(parameters, "max_completion_tokens").filter(|_| model.completion_limit);
    let limit = match whole {
        Some(tokens) => Limit { tokens, ..limit },
        None => Limit { covers_reasoning: false, ..limit },
    };
    Terms {
        limit: Limit { reasoning: whole_number(parameters, "thinking_budget"), ..limit },
        reasoning: if thinks(request) { Reasoning::Apart } else { Reasoning::Absent },
        tools: model.tools,
        json_modes: true,
        prompt,
    }
}

/// Sizes of the pictures after resizing, in their order.
fn seen(request: &Request<'_>, model: &QwenLimits) -> Vec<Option<Size>> {
    let high = wants_high_resolution(request);
    let size = |item: &qwen::Item<'_>| match item.part {
        Part::Picture(source) => Some(qwen::resized(item, source, model, high)),
        _ => None,
    };
    items(request).iter().filter_map(size).collect()
}

/// Sizes of the pictures after resizing, where the request asks for them. Pictures that are only linked have none.
fn sizes(request: &Request<'_>, model: &QwenLimits) -> Option<Vec<Size>> {
    let asked = request.flag("vl_enable_image_hw_output") == Some(true);
    if request.extra.dialect == Dialect::Compatible || !asked {
        return None;
    }
    Some(seen(request, model).into_iter().flatten().collect())
}
