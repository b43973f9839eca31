//! The form of the answer: which means of structured output a model has, and which one a request takes.

use serde_json::Value;
use strum::{Display, IntoStaticStr};

use super::schema_form::{native_form, ocr_form};
use super::{Findings, Tolerance};
use crate::catalog::ThinkingMode;
use crate::{
    ChatRequest, Message, MessageRole, ModelCard, Part, ResponseFormat, Thinking, ToolChoice, ToolDefinition,
};

/// The means by which an answer gets its form, best first.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Display,
    IntoStaticStr,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Rung {
    /// The vendor enforces the schema: `response_format` is `json_schema`.
    JsonSchema,
    /// The vendor enforces some JSON object, and the schema stands in the prompt.
    JsonObject,
    /// The vendor's own OCR task fills in a form that is made of the schema. It reads pictures alone, and gives texts.
    OcrTask,
    /// The model must call a function whose parameters are the schema.
    ToolCall,
    /// The prompt asks for it, and nothing enforces it.
    Prompt,
}

/// What is asked for, whatever the means.
struct Wanted {
    name: String,
    schema: Option<Value>,
}

/// Gives the request's format a form that the model has, and says by which means the answer gets its form; `None` for text.
pub(super) fn check(request: &mut ChatRequest, card: &ModelCard, findings: &mut Findings) -> Option<Rung> {
    let (best, wanted) = match request.response_format.clone() {
        ResponseFormat::Text | ResponseFormat::Locate { .. } => return None,
        ResponseFormat::JsonObject => (Rung::JsonObject, Wanted { name: "answer".to_owned(), schema: None }),
        ResponseFormat::JsonSchema { name, schema, .. } => {
            (Rung::JsonSchema, Wanted { name, schema: Some(schema) })
        }
        ResponseFormat::Extract { name, schema } => {
            return Some(descend(
                request,
                card,
                findings,
                Wanted { name, schema: Some(schema) },
                Tolerance::Strict,
            ));
        }
    };
    if card
        .response_formats
        .as_ref()
        .is_none_or(|formats| formats.iter().any(|format| *format == best.to_string()))
    {
        return Some(best);
    }
    if findings.tolerance() == Tolerance::Lossy {
        return Some(descend(request, card, findings, wanted, Tolerance::Lossy));
    }
    let formats = card.response_formats.as_deref().unwrap_or_default();
    let limit = if formats.is_empty() { "text".to_owned() } else { format!("text, {}", formats.join(", ")) };
    let problem = format!("{} does not enforce {best}", findings.model());
    findings.reject(
        "response_format",
        problem,
        limit,
        "ask for JSON in the prompt and check the answer, or tolerate `lossy`",
    );
    None
}

/// Takes the best means that the model is known to have. It is never found by trial: vendors without a JSON mode answer 200
/// and ignore it.
fn descend(
    request: &mut ChatRequest,
    card: &ModelCard,
    findings: &mut Findings,
    wanted: Wanted,
    tolerance: Tolerance,
) -> Rung {
    let has = |format: &str| card.response_formats.iter().flatten().any(|known| known == format);
    let silent = can_be_silent(request, card);
    let native = wanted.schema.as_ref().filter(|_| silent && has("json_schema")).map(native_form);
    let sees = request.images().next().is_some();
    let form = wanted.schema.as_ref().filter(|_| sees && has("ocr_task")).map(ocr_form);
    let rung = match (&native, &form) {
        (Some(Ok(_)), _) => Rung::JsonSchema,
        _ if silent && has("json_object") => Rung::JsonObject,
        (_, Some(Ok(_))) => Rung::OcrTask,
        _ if wanted.schema.is_some() && silent && can_force(request, card) => Rung::ToolCall,
        _ => Rung::Prompt,
    };
    let mut change = format!("the form of the answer is asked for by {rung}");
    for (name, said) in [("json_schema", &native), ("ocr_task", &form)] {
        if let Some(Err(why)) = said {
            change = format!("{change}: {name} cannot say {why}");
        }
    }
    findings.record(tolerance, "response_format", change);
    apply(request, rung, wanted, native.or(form).and_then(Result::ok));
    if !matches!(rung, Rung::Prompt | Rung::OcrTask) && thinks(request, card) {
        findings.record(
            tolerance,
            "thinking",
            "switched off, since a model that thinks does not keep to a form",
        );
        request.thinking = Thinking::Off;
    }
    rung
}

/// Puts the means on the request; `said` is the schema as the vendor's schema mode or OCR task takes it.
fn apply(request: &mut ChatRequest, rung: Rung, wanted: Wanted, said: Option<Value>) {
    let Wanted { name, schema } = wanted;
    request.response_format = match rung {
        Rung::JsonSchema => {
            ResponseFormat::JsonSchema { name, schema: said.or(schema).unwrap_or_default(), strict: true }
        }
        // Where the form stands on the wire the vendor's crate knows.
        Rung::OcrTask => ResponseFormat::Extract { name, schema: said.or(schema).unwrap_or_default() },
        Rung::JsonObject => {
            ask_in_prompt(request, schema.as_ref());
            ResponseFormat::JsonObject
        }
        Rung::ToolCall => {
            let what = "Takes the answer. Call it once, with the whole answer.";
            request.tools.push(ToolDefinition::new(&name, what, schema.unwrap_or_default()));
            request.tool_choice = ToolChoice::Function(name);
            ResponseFormat::Text
        }
        Rung::Prompt => {
            ask_in_prompt(request, schema.as_ref());
            ResponseFormat::Text
        }
    };
}

/// Asks in the last message of the user; vendors with a JSON mode want the word JSON in a message.
fn ask_in_prompt(request: &mut ChatRequest, schema: Option<&Value>) {
    let text = match schema {
        Some(schema) => {
            format!(
                "Answer with one JSON object that follows this JSON Schema, and with nothing else:\n{schema}"
            )
        }
        None => "Answer with one JSON object and with nothing else.".to_owned(),
    };
    match request.messages.iter_mut().rfind(|message| message.role == MessageRole::User) {
        Some(message) => message.parts.push(Part::Text(text)),
        None => request.messages.push(Message::user(text)),
    }
}

fn thinks(request: &ChatRequest, card: &ModelCard) -> bool {
    match request.thinking {
        Thinking::Off => false,
        Thinking::Default => card.thinking.default_on || card.thinking.mode == Some(ThinkingMode::Forced),
        Thinking::On | Thinking::Budget(_) | Thinking::Effort(_) => true,
    }
}

/// Whether the model answers without thinking, or can be made to without going against the caller's word.
fn can_be_silent(request: &ChatRequest, card: &ModelCard) -> bool {
    let switchable =
        card.thinking.mode == Some(ThinkingMode::Switchable) && request.thinking == Thinking::Default;
    switchable || !thinks(request, card)
}

/// Whether the model can be made to call one function, and has no other to call.
fn can_force(request: &ChatRequest, card: &ModelCard) -> bool {
    let choices = card.tools.limits().and_then(|tools| tools.choices.as_ref());
    request.tools.is_empty()
        && choices.is_some_and(|choices| choices.iter().any(|choice| choice == "function"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::catalog::{ThinkingCard, ToolsCard};
    use crate::{Capability, ErrorKind, Estimate, Plan, ProviderId, Result, plan::PlanBuilder};

    fn card(formats: &[&str], choices: &[&str], mode: ThinkingMode, default_on: bool) -> ModelCard {
        let mut card = ModelCard { id: "m".to_owned(), known: true, ..ModelCard::default() };
        card.response_formats = Some(formats.iter().map(ToString::to_string).collect());
        let choices = Some(choices.iter().map(ToString::to_string).collect());
        card.tools = Capability::Yes(ToolsCard { choices, ..ToolsCard::default() });
        let mut thinking = ThinkingCard::default();
        (thinking.mode, thinking.default_on) = (Some(mode), default_on);
        card.thinking = thinking;
        card
    }

    fn plan(request: &ChatRequest, card: ModelCard) -> Result<Plan> {
        let provider = ProviderId::new("p", "acme");
        PlanBuilder::new(&provider, request, Arc::new(card)).finish(Estimate::default())
    }

    fn schema() -> Value {
        json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] })
    }

    fn extract(schema: Value) -> ChatRequest {
        let format = ResponseFormat::Extract { name: "receipt".to_owned(), schema };
        ChatRequest::new(vec![Message::user("Read it.")]).with_response_format(format)
    }

    #[test]
    fn the_best_means_that_the_card_names_is_taken() {
        use ThinkingMode::{Forced, None as Never, Switchable};
        let map = json!({ "type": "object", "additionalProperties": { "type": "string" } });
        type Row<'a> = (&'a [&'a str], &'a [&'a str], ThinkingMode, bool, Value, Rung);
        let rows: [Row<'_>; 8] = [
            (&["json_object", "json_schema"], &["function"], Never, false, schema(), Rung::JsonSchema),
            (&["json_object", "json_schema"], &["function"], Switchable, true, schema(), Rung::JsonSchema),
            (&["json_object", "json_schema"], &["function"], Never, false, map, Rung::JsonObject),
            (&["json_object"], &["function"], Never, false, schema(), Rung::JsonObject),
            (&["json_object"], &["function"], Forced, true, schema(), Rung::Prompt),
            (&[], &["none", "function"], Never, false, schema(), Rung::ToolCall),
            (&[], &["none"], Never, false, schema(), Rung::Prompt),
            (&[], &[], Forced, true, schema(), Rung::Prompt),
        ];
        for (index, (formats, choices, mode, default_on, schema, rung)) in rows.into_iter().enumerate() {
            let plan = plan(&extract(schema), card(formats, choices, mode, default_on)).unwrap();
            assert_eq!(plan.rung, Some(rung), "row {index}");
            assert!(plan.adjustments[0].to_string().contains(&rung.to_string()), "{}", plan.adjustments[0]);
            let off = plan.adjustments.iter().any(|change| change.path == "thinking");
            assert_eq!(off, mode == Switchable, "row {index}");
        }
    }

    #[test]
    fn an_ocr_task_is_taken_for_pictures_and_what_a_form_can_say() {
        let ocr = || card(&["ocr_task"], &[], ThinkingMode::None, false);
        let image = || crate::Image::from_url("https://h.example/a.png").unwrap();
        let seen = |schema: Value| {
            let format = ResponseFormat::Extract { name: "receipt".to_owned(), schema };
            plan(&ChatRequest::ask("Read it.", [image()]).with_response_format(format), ocr()).unwrap()
        };
        let taken = seen(schema());
        assert_eq!(taken.rung, Some(Rung::OcrTask));
        let ResponseFormat::Extract { schema: form, .. } = &taken.request.response_format else { panic!() };
        assert_eq!(*form, json!({ "a": "a whole number" }));
        let list = json!({ "type": "object", "properties": { "a": { "type": "array", "items": {} } } });
        let passed = seen(list);
        assert_eq!(passed.rung, Some(Rung::Prompt));
        assert!(
            passed.adjustments[0].to_string().contains("ocr_task cannot say a list"),
            "{:?}",
            passed.adjustments
        );
        assert_eq!(
            plan(&extract(schema()), ocr()).unwrap().rung,
            Some(Rung::Prompt),
            "it reads pictures alone"
        );
    }

    #[test]
    fn each_means_stands_where_the_model_reads_it() {
        let never = ThinkingMode::None;
        let native = plan(&extract(schema()), card(&["json_schema"], &[], never, false)).unwrap();
        let ResponseFormat::JsonSchema { schema: sent, strict: true, .. } = &native.request.response_format
        else {
            panic!("{:?}", native.request.response_format);
        };
        assert_eq!(sent["additionalProperties"], false);
        let call = plan(&extract(schema()), card(&[], &["function"], never, false)).unwrap();
        assert_eq!(call.request.tool_choice, ToolChoice::Function("receipt".to_owned()));
        assert_eq!(call.request.tools[0].parameters, schema());
        let prompt = plan(&extract(schema()), card(&[], &[], never, false)).unwrap();
        let text = prompt.request.messages[0].text();
        assert!(text.contains("JSON Schema") && text.contains("\"integer\""), "{text}");
        assert_eq!(prompt.original().messages[0].text(), "Read it.");
    }

    #[test]
    fn a_plain_format_goes_down_under_lossy_only() {
        let format = ResponseFormat::JsonSchema { name: "r".to_owned(), schema: schema(), strict: true };
        let request = ChatRequest::new(vec![Message::user("Read it.")]).with_response_format(format);
        let none = || card(&["json_object"], &[], ThinkingMode::None, false);
        assert_eq!(plan(&request, none()).unwrap_err().kind(), ErrorKind::InvalidRequest);
        let lossy = plan(&request.clone().with_tolerance(Tolerance::Lossy), none()).unwrap();
        assert_eq!(lossy.rung, Some(Rung::JsonObject));
        assert!(!lossy.adjustments[0].lossless);
        let object =
            request.with_response_format(ResponseFormat::JsonObject).with_tolerance(Tolerance::Lossy);
        let prompt = plan(&object, card(&[], &["function"], ThinkingMode::None, false)).unwrap();
        assert_eq!(
            (prompt.rung, &prompt.request.response_format),
            (Some(Rung::Prompt), &ResponseFormat::Text)
        );
    }

    #[test]
    fn thinking_that_the_caller_asked_for_is_kept() {
        let request = extract(schema()).with_thinking(Thinking::On);
        let plan =
            plan(&request, card(&["json_schema"], &["function"], ThinkingMode::Switchable, false)).unwrap();
        assert_eq!((plan.rung, plan.request.thinking), (Some(Rung::Prompt), Thinking::On));
    }
}
