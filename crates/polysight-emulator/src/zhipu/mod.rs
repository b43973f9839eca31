//! Zhipu: `/api/paas/v4`.

mod checks;
pub(crate) mod codes;
pub(crate) mod media_checks;
pub(crate) mod refusal;

use checks::{Inquiry, check, credential};
use codes::Code;
use refusal::{Refusal, body, speaks_english};

use crate::chat::completion::{Completion, Prompt, complete, prompt_tokens};
use crate::chat::message::{self, Message};
use crate::chat::render::{self, Shape, Slicing};
use crate::chat::request::{ChatRequest, Limit, Reasoning, Terms, whole_number};
use crate::clock;
use crate::desk::Order;
use crate::faults::frames::{self, Manner};
use crate::faults::replies::{Wording, instead, status_of};
use crate::faults::{Fault, content};
use crate::intake::Intake;
use crate::json::Json;
use crate::keys::{Verdict, judge};
use crate::models::{self, Thinking};
use crate::route::Action;
use crate::server::Reply;
use crate::state::Task;

/// Serves one request.
pub(crate) fn answer(order: &Order, intake: &Intake) -> Reply {
    match &order.route.action {
        Action::Chat | Action::AsyncChat => chat(order, intake),
        Action::AsyncResult(id) => async_result(order, id),
        _ => models_list(order),
    }
}

/// Errors in the vendor's words.
struct Words {
    english: bool,
}

impl Wording for Words {
    fn error(&self, code: &str, message: Option<&str>) -> Json {
        let known = || Code::find(code).map(|row| row.text(self.english));
        let text = message.map(str::to_owned).or_else(known).unwrap_or_else(|| format!("error {code}"));
        body(code, &text, code == "1301")
    }

    fn refusal(&self, code: &str) -> Reply {
        Reply::json(status_of(code).unwrap_or(400), &self.error(code, None))
    }
}

fn words(order: &Order) -> Words {
    Words { english: speaks_english(&order.head.headers) }
}

fn verdict(order: &Order) -> Verdict {
    judge(order.head.headers.get("authorization"), &order.state.settings.keys, clock::unix_millis())
}

fn chat(order: &Order, intake: &Intake) -> Reply {
    if let Some(reply) = instead(&order.faults, &words(order)) {
        return reply;
    }
    let messages = intake.json.as_ref().and_then(|json| message::parse(json.get("messages")?, &intake.media));
    let model = intake.json.as_ref().and_then(|json| models::zhipu_model(json.get("model")?.text()?));
    let settings = &order.state.settings;
    let inquiry = Inquiry {
        credential: verdict(order),
        json: intake.json.as_ref(),
        model,
        messages: messages.as_deref(),
        forbidden: &settings.forbidden,
        crowded: order.is_crowded(),
    };
    if let Err(refusal) = check(&inquiry) {
        return refusal.reply(&order.head.headers);
    }
    let (Some(json), Some(model)) = (&intake.json, model) else {
        return Refusal::plain("1210").reply(&order.head.headers);
    };
    reply(order, &inquiry, json, messages.as_deref().unwrap_or_default(), model)
}

fn reply(
    order: &Order,
    inquiry: &Inquiry<'_>,
    json: &Json,
    messages: &[Message<'_>],
    model: &models::ModelLimits,
) -> Reply {
    let id = json.get("model").and_then(Json::text).unwrap_or_default();
    let request = ChatRequest::new(id, json, messages, terms(json, messages, model));
    let mut completion = complete(&request, order.state.stamp());
    content::of_completion(&mut completion, &order.faults);
    if order.route.action == Action::AsyncChat {
        return submit(order, &inquiry.credential, &completion);
    }
    if request.stream {
        return stream(order, &request, &completion);
    }
    let mut body = render::whole(&completion, shape(order));
    content::of_json(&mut body, "message", &order.faults);
    Reply::json(200, &body)
}

/// What the model makes of a request.
pub(crate) fn terms(json: &Json, messages: &[Message<'_>], model: &models::ModelLimits) -> Terms {
    Terms {
        limit: Limit::of(whole_number(json, "max_tokens"), model.max_output),
        reasoning: reasoning(json, model.thinking),
        tools: model.tools,
        prompt: Prompt { text: prompt_tokens(messages), ..Prompt::default() },
    }
}

fn reasoning(json: &Json, thinking: Thinking) -> Reasoning {
    let disabled = json.get("thinking").and_then(|thinking| thinking.get("type")?.text()) == Some("disabled");
    match thinking {
        Thinking::None => Reasoning::Absent,
        Thinking::Switchable if disabled => Reasoning::Off,
        Thinking::Switchable | Thinking::Forced => Reasoning::Apart,
        Thinking::InAnswer => Reasoning::InAnswer,
    }
}

fn shape(order: &Order) -> Shape {
    if order.state.settings.legacy { Shape::ZhipuLegacy } else { Shape::Zhipu2026 }
}

fn stream(order: &Order, request: &ChatRequest<'_>, completion: &Completion) -> Reply {
    let slicing = Slicing { tool_pieces: request.tool_stream, usage_frame: false };
    let chunks = render::chunks(completion, shape(order), slicing);
    let manner = Manner { error: words(order).error("1234", None), native: None };
    Reply::stream(frames::write(chunks, &manner, &order.faults))
}

/// Queues an answer. The result is written at once and shown after the polls that it must wait for.
fn submit(order: &Order, credential: &Verdict, completion: &Completion) -> Reply {
    let Verdict::Accepted { id: owner, .. } = credential else {
        return Refusal::plain("1000").reply(&order.head.headers);
    };
    let (id, request_id) = (completion.id.as_str(), completion.request_id.as_str());
    order.state.add_task(Task {
        id: id.to_owned(),
        request_id: request_id.to_owned(),
        owner: owner.clone(),
        polls_left: order.state.settings.async_polls,
        result: task_result(order, completion),
    });
    let body = Json::object([("id", id.into()), ("model", completion.model.as_str().into())]);
    Reply::json(200, &with_status(body, request_id, "PROCESSING"))
}

fn task_result(order: &Order, completion: &Completion) -> Json {
    if order.faults.contains(&Fault::TaskFails) {
        let body = Json::object([("id", completion.id.as_str().into())]);
        return with_status(body, &completion.request_id, "FAIL");
    }
    let mut body = render::whole(completion, shape(order));
    content::of_json(&mut body, "message", &order.faults);
    body.remove("object");
    body.with("task_status", Some("SUCCESS"))
}

fn with_status(body: Json, request_id: &str, status: &str) -> Json {
    body.with("request_id", Some(request_id)).with("task_status", Some(status))
}

fn async_result(order: &Order, id: &str) -> Reply {
    let task = match authenticated(order) {
        Ok(owner) => order.state.poll_task(id, &owner),
        Err(refusal) => return refusal.reply(&order.head.headers),
    };
    match task {
        None => Refusal::plain("1233").reply(&order.head.headers),
        Some(task) if task.polls_left == 0 => Reply::json(200, &task.result),
        Some(task) => {
            let body = Json::object([("id", id.into())]);
            Reply::json(200, &with_status(body, &task.request_id, "PROCESSING"))
        }
    }
}

/// The vendor lists text models and few others; most vision models are served but not listed.
fn models_list(order: &Order) -> Reply {
    if let Err(refusal) = authenticated(order) {
        return refusal.reply(&order.head.headers);
    }
    let listed =
        models::zhipu().iter().filter(|model| model.pictures == 0 || model.id.starts_with("glm-5.3"));
    Reply::json(200, &model_list(listed.map(|model| model.id), "z-ai"))
}

/// A list of models as OpenAI has it.
pub(crate) fn model_list(ids: impl Iterator<Item = &'static str>, owner: &str) -> Json {
    let entry = |id: &str| {
        Json::object([
            ("id", id.into()),
            ("object", "model".into()),
            ("created", 1_764_547_200_u64.into()),
            ("owned_by", owner.into()),
        ])
    };
    Json::object([("object", "list".into()), ("data", ids.map(entry).collect::<Vec<_>>().into())])
}

/// The account behind the credential.
fn authenticated(order: &Order) -> Result<String, Refusal> {
    let verdict = verdict(order);
    credential(&verdict)?;
    match verdict {
        Verdict::Accepted { id, .. } => Ok(id),
        _ => Err(Refusal::plain("1000")),
    }
}
