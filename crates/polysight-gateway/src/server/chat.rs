//! Chat completions.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use hyper::body::Incoming;
use polysight::{ChatRequest, Error, FinishKind, Plan, ResponseFormat, Role, VisionProvider as _};
use tokio::time::sleep;

use super::access::Caller;
use super::record::Record;
use super::{Body, Server, body, routes};
use crate::answer::{Head, Opening, Phase, StreamBody, plain};
use crate::gateway::State;
use crate::refusal::Refusal;
use crate::request::{self, ParsedRequest};

const X_COST: HeaderName = HeaderName::from_static("x-polysight-cost");
const X_PROVIDER: HeaderName = HeaderName::from_static("x-polysight-provider");

/// A request for an answer, ready to be sent.
struct Call {
    role: Role,
    plan: Plan,
    head: Head,
    /// Who will answer, where that is sure beforehand.
    provider: Option<HeaderValue>,
}

pub(super) async fn answer(
    server: &Server,
    state: &Arc<State>,
    caller: Caller<'_>,
    headers: &HeaderMap,
    incoming: Incoming,
    record: &Record,
) -> Result<Response<Body>, Refusal> {
    record.claimed(caller.claim(&state.store).await?);
    let body = body::read(headers, incoming, &state.settings, &state.room).await?;
    let parsed = request::parse(&body, state.settings.unknown_fields, &state.vendors)?;
    record.asked(&parsed.model, parsed.stream, body.len());
    // From here on the pictures alone hold the body.
    drop(body);
    let (stream, include_usage) = (parsed.stream, parsed.include_usage);
    let call = prepare(state, caller, parsed, record)?;
    if stream {
        streamed(server, state, call, include_usage, record).await
    } else {
        whole(server, call, record).await
    }
}

fn prepare(
    state: &State,
    caller: Caller<'_>,
    parsed: ParsedRequest,
    record: &Record,
) -> Result<Call, Refusal> {
    let ParsedRequest { model, chat, mut notes, .. } = parsed;
    let role = state.role(&model, caller)?;
    let has_tools = !chat.tools.is_empty();
    let plan = plan(&role, chat)?;
    record.planned(&plan.provider);
    notes.extend(plan.notes.iter().cloned());
    let head = Head {
        id: format!("chatcmpl-{}", record.request_id()),
        created: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        model,
        notes,
        calls_are_text: !has_tools && plan.rung.is_some(),
        is_about_pictures: plan.grounding.as_ref().is_some_and(|facts| !facts.pictures.is_empty()),
    };
    let provider =
        (*role.id() == plan.provider).then(|| HeaderValue::from_str(&plan.provider.name).ok()).flatten();
    Ok(Call { role, plan, head, provider })
}

/// Plans a request. Some JSON object can be asked for where the vendor has no such mode: clients ask for it without knowing
/// the model.
fn plan(role: &Role, chat: ChatRequest) -> Result<Plan, Error> {
    let error = match role.plan(&chat) {
        Ok(plan) => return Ok(plan),
        Err(error) => error,
    };
    let is_format = error.violations().iter().all(|violation| violation.path == "response_format");
    if chat.response_format != ResponseFormat::JsonObject || !is_format || error.violations().is_empty() {
        return Err(error);
    }
    let schema = serde_json::json!({ "type": "object" });
    role.plan(&chat.with_response_format(ResponseFormat::Extract { name: "answer".to_owned(), schema }))
}

async fn whole(server: &Server, call: Call, record: &Record) -> Result<Response<Body>, Refusal> {
    let mut cut = server.cut();
    let outcome = tokio::select! {
        outcome = call.role.send(call.plan) => outcome,
        () = poll_fn(|context| cut.poll(context)) => return Err(Refusal::shutting_down()),
    };
    let mut known = HeaderMap::new();
    if let Err(error) = &outcome
        && error.finish() == Some(FinishKind::Length)
    {
        record.cut(error);
    }
    if let Ok(response) = &outcome {
        record.answered(&response.meta);
        known.extend(HeaderValue::from_str(&response.provider).ok().map(|provider| (X_PROVIDER, provider)));
        let cost = response.cost.as_ref().and_then(|cost| HeaderValue::from_str(&cost.to_string()).ok());
        known.extend(cost.map(|cost| (X_COST, cost)));
    }
    let bytes = plain(outcome, &call.head)?;
    record.status(http::StatusCode::OK);
    let mut response = routes::whole(bytes, "application/json");
    response.headers_mut().extend(known);
    Ok(response)
}

/// The reply begins with the first event, so that a call which fails before it has a status of its own; a model that thinks
/// for long gets the reply begun before, so that nothing on the way takes it for dead.
async fn streamed(
    server: &Server,
    state: &State,
    call: Call,
    include_usage: bool,
    record: &Record,
) -> Result<Response<Body>, Refusal> {
    let Call { role, plan, head, provider } = call;
    let keep_alive = state.settings.keep_alive;
    let mut cut = server.cut();
    let mut opening: Opening = Box::pin(async move { role.stream(plan).await?.with_first_event().await });
    let phase = tokio::select! {
        opened = &mut opening => match opened {
            Ok(stream) => Phase::Open(stream),
            Err(error) if error.finish() == Some(FinishKind::Length) => Phase::Opening(Box::pin(async { Err(error) })),
            Err(error) => return Err(error.into()),
        },
        () = sleep(keep_alive) => Phase::Opening(opening),
        () = poll_fn(|context| cut.poll(context)) => return Err(Refusal::shutting_down()),
    };
    let body = StreamBody::new(phase, head, include_usage, keep_alive, cut, record.clone());
    let mut response = Response::new(Body::Stream(Box::new(body)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that collect a reply before they pass it on know this.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers.extend(provider.map(|provider| (X_PROVIDER, provider)));
    Ok(response)
}
