//! Alibaba's DashScope: `/compatible-mode/v1`, `/api/v1`, and the store for temporary uploads.

mod checks;
pub(crate) mod codes;
mod compatible;
mod inquiry;
pub(crate) mod media_checks;
mod message_checks;
mod mode_checks;
mod native;
mod refusal;
pub(crate) mod tokens;
mod uploads;

use inquiry::{Inquiry, wants_stream};
use refusal::{Dialect, Refusal, Words};

use crate::chat::completion::{Completion, Prompt, Stamp, complete};
use crate::chat::message::Part;
use crate::chat::request::{ChatRequest, Limit, Reasoning, Terms, whole_number};
use crate::clock;
use crate::desk::Order;
use crate::emulator::Surface;
use crate::faults::frames::{self, Manner};
use crate::faults::replies::instead;
use crate::faults::{Fault, content};
use crate::intake::Intake;
use crate::json::Json;
use crate::keys::{Verdict, is_dashscope_key, judge_bearer};
use crate::models::{self, QwenLimits, QwenThinking};
use crate::pixels::Size;
use crate::query;
use crate::quota::Exceeded;
use crate::route::Action;
use crate::server::Reply;
use crate::zhipu::model_list;

/// Serves one request.
pub(crate) fn answer(order: &Order, mut intake: Intake) -> Reply {
    if order.route.action == Action::Upload {
        return uploads::store(order, &intake);
    }
    let dialect = match order.route.surface {
        Surface::DashScopeCompatible => Dialect::Compatible,
        _ => Dialect::Native,
    };
    let stream = order.route.action.is_chat() && wants_stream(order, &intake, dialect);
    let words = Words { dialect, id: order.state.uuid(), stream };
    let reply = match order.route.action {
        Action::Models => models_list(order, dialect),
        Action::UploadPolicy => uploads::policy(order).map(|body| Reply::json(200, &body)),
        _ => {
            uploads::resolve(order, &mut intake);
            chat(order, &intake, &words)
        }
    };
    with_headers(reply.unwrap_or_else(|refusal| words.refuse(&refusal)), &words)
}

/// The headers that come with every reply.
fn with_headers(reply: Reply, words: &Words) -> Reply {
    let arrived = clock::unix_millis().to_string();
    [
        ("x-request-id", words.id.as_str()),
        ("x-dashscope-call-gateway", "true"),
        ("x-dashscope-finished", if words.stream { "false" } else { "true" }),
        ("x-dashscope-timeout", "600"),
        ("req-cost-time", "1"),
        ("req-arrive-time", &arrived),
        ("resp-start-time", &arrived),
    ]
    .into_iter()
    .fold(reply, |reply, (name, value)| reply.with_header(name, value))
}

fn verdict(order: &Order) -> Verdict {
    judge_bearer(order.head.headers.get("authorization"), &order.state.settings.keys, is_dashscope_key)
}

fn chat(order: &Order, intake: &Intake, words: &Words) -> Result<Reply, Refusal> {
    if let Some(reply) = instead(&order.faults, words) {
        return Ok(reply);
    }
    let inquiry = Inquiry::new(order, intake, words.dialect, words.stream);
    checks::admission(&inquiry)?;
    let model = inquiry.model.ok_or_else(|| Refusal::plain("ModelNotFound"))?;
    let prompt = tokens::prompt(&inquiry, model);
    let account = checks::credential(&inquiry.credential)?;
    order.admit(account, model.id, model.quota, prompt.total()).map_err(over_quota)?;
    checks::content(&inquiry)?;
    if prompt.total() > model.max_input {
        return Err(Refusal::engine(format!("Range of input length should be [1, {}]", model.max_input)));
    }
    reply(order, &inquiry, words, model, prompt)
}

fn over_quota(exceeded: Exceeded) -> Refusal {
    Refusal::plain(match exceeded {
        Exceeded::Requests | Exceeded::Concurrency => "Throttling.RateQuota",
        Exceeded::Tokens => "Throttling.AllocationQuota",
    })
}

fn reply(
    order: &Order,
    inquiry: &Inquiry<'_>,
    words: &Words,
    model: &QwenLimits,
    prompt: Prompt,
) -> Result<Reply, Refusal> {
    let request =
        ChatRequest::new(model.id, inquiry.parameters, inquiry.messages(), terms(inquiry, model, prompt));
    let id = match words.dialect {
        Dialect::Compatible => format!("chatcmpl-{}", words.id),
        Dialect::Native => words.id.clone(),
    };
    let mut completion = complete(&request, Stamp { id, created: order.state.stamp().created });
    completion.request_id.clone_from(&words.id);
    order.charge(completion.usage.completion);
    let failure = failure(order);
    if let Some(failure) = failure.as_ref().filter(|_| !words.stream) {
        return Err(failure.clone());
    }
    content::of_completion(&mut completion, &order.faults);
    let sizes = sizes(inquiry, model);
    if words.stream {
        return Ok(stream(order, inquiry, words, &completion, sizes.as_deref(), failure));
    }
    let mut body = match words.dialect {
        Dialect::Compatible => compatible::whole(&completion),
        Dialect::Native => native::whole(&completion, sizes.as_deref()),
    };
    content::of_json(&mut body, "message", &order.faults);
    Ok(Reply::json(200, &body))
}

/// Moderation and broken inference have no finish reason here: they are errors, in mid-stream too.
fn failure(order: &Order) -> Option<Refusal> {
    if order.has(&Fault::Sensitive) {
        return Some(Refusal::told("DataInspectionFailed", "Output data may contain inappropriate content."));
    }
    order.has(&Fault::NetworkError).then(|| Refusal::plain("InternalError"))
}

fn stream(
    order: &Order,
    inquiry: &Inquiry<'_>,
    words: &Words,
    completion: &Completion,
    sizes: Option<&[Size]>,
    failure: Option<Refusal>,
) -> Reply {
    let native = words.dialect == Dialect::Native;
    let chunks = if native {
        native::chunks(completion, sizes, is_incremental(inquiry))
    } else {
        let options = inquiry.field("stream_options");
        let usage = options.and_then(|options| options.get("include_usage")?.bool()).unwrap_or(false);
        compatible::chunks(completion, usage)
    };
    let error = failure.clone().unwrap_or_else(|| Refusal::plain("InternalError"));
    let manner = Manner { error: words.body_of(&error), native: native.then_some(error.status) };
    let faults = match failure {
        Some(_) => frames::breaking_off(&chunks, &order.faults),
        None => order.faults.clone(),
    };
    Reply::stream(frames::write(chunks, &manner, &faults))
}

/// Newer models send pieces unless they are told to send everything so far.
fn is_incremental(inquiry: &Inquiry<'_>) -> bool {
    let by_default = inquiry.model.is_some_and(|model| model.tools || model.thinking != QwenThinking::None);
    inquiry.flag("incremental_output").unwrap_or(by_default)
}

fn terms(inquiry: &Inquiry<'_>, model: &QwenLimits, prompt: Prompt) -> Terms {
    let parameters = inquiry.parameters;
    let limit = Limit::of(whole_number(parameters, "max_tokens"), model.max_output);
    // The one limit leaves reasoning out, the other does not.
    let whole = whole_number(parameters, "max_completion_tokens").filter(|_| model.completion_limit);
    let limit = match whole {
        Some(tokens) => Limit { tokens, ..limit },
        None => Limit { covers_reasoning: false, ..limit },
    };
    Terms {
        limit: Limit { reasoning: whole_number(parameters, "thinking_budget"), ..limit },
        reasoning: if inquiry.thinks() { Reasoning::Apart } else { Reasoning::Absent },
        tools: model.tools,
        prompt,
    }
}

/// Sizes of the pictures after resizing, where the request asks for them. Pictures that are only linked have none.
fn sizes(inquiry: &Inquiry<'_>, model: &QwenLimits) -> Option<Vec<Size>> {
    if inquiry.dialect == Dialect::Compatible || inquiry.flag("vl_enable_image_hw_output") != Some(true) {
        return None;
    }
    let high = inquiry.flag("vl_high_resolution_images").unwrap_or(false);
    let items = inquiry.items();
    let size = |item: &inquiry::Item<'_>| match item.part {
        Part::Picture(source) => tokens::resized(item, source, model, high),
        _ => None,
    };
    Some(items.iter().filter_map(size).collect())
}

fn models_list(order: &Order, dialect: Dialect) -> Result<Reply, Refusal> {
    checks::credential(&verdict(order))?;
    if dialect == Dialect::Compatible {
        return Ok(Reply::json(200, &model_list(models::qwen().iter().map(|model| model.id), "system")));
    }
    let query = query::parse(&order.head.query);
    let field = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let number =
        |name, default: usize| field(name).and_then(|value| value.parse().ok()).unwrap_or(default).max(1);
    let (page, size) = (number("page_no", 1), number("page_size", 20).min(100));
    let found: Vec<_> = models::qwen()
        .iter()
        .filter(|model| field("model").is_none_or(|wanted| wanted == model.id))
        .collect();
    let entry = |model: &&QwenLimits| {
        Json::object([
            ("model", model.id.into()),
            ("source", "official".into()),
            ("provider", "qwen".into()),
            ("opensource", has_open_weights(model.id).into()),
        ])
    };
    let listed: Vec<Json> =
        found.iter().skip((page - 1).saturating_mul(size)).take(size).map(entry).collect();
    let output = Json::object([
        ("total", found.len().into()),
        ("page_no", page.into()),
        ("page_size", size.into()),
        ("models", listed.into()),
    ]);
    Ok(Reply::json(200, &Json::object([("output", output), ("request_id", order.state.uuid().into())])))
}

/// Ids of open models name their size: `-72b-`, `-a3b`.
fn has_open_weights(id: &str) -> bool {
    let size = |word: &str| {
        word.strip_suffix('b').is_some_and(|number| number.ends_with(|last: char| last.is_ascii_digit()))
    };
    id.split('-').any(size)
}
