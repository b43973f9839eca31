//! Faults of what the answer says, and of the JSON that says it.

use super::{Fault, argument_of};
use crate::chat::completion::Completion;
use crate::json::Json;

/// Changes the answer before it is rendered.
pub(crate) fn of_completion(completion: &mut Completion, faults: &[Fault]) {
    for fault in faults {
        match fault {
            Fault::Sensitive => {
                halve(&mut completion.content);
                completion.finish = "sensitive".to_owned();
                completion.filtered = true;
            }
            Fault::NetworkError => {
                halve(&mut completion.content);
                completion.finish = "network_error".to_owned();
            }
            Fault::FinishReason(reason) => completion.finish.clone_from(reason),
            Fault::EmptyAnswer => {
                completion.content.clear();
                completion.calls.clear();
                completion.finish = "stop".to_owned();
                completion.usage.completion = 0;
            }
            Fault::UnicodeLineSeparators => completion.content.insert_str(0, "a\u{2028}b\u{85}c\u{2029}d "),
            Fault::EofInCharacter => completion.content.insert(0, '看'),
            _ => {}
        }
    }
}

pub(crate) fn halve(text: &mut String) {
    let characters = text.chars().count();
    *text = text.chars().take(characters / 2).collect();
}

/// Changes the JSON of a plain reply or of one chunk. `key` is `message` or `delta`.
pub(crate) fn of_json(json: &mut Json, key: &str, faults: &[Fault]) {
    for fault in faults {
        match fault {
            Fault::NoUsage | Fault::UsageFrame => json.remove("usage"),
            Fault::NoFinish => each_choice(json, |choice| choice.remove("finish_reason")),
            Fault::EmptyChoices => set_choices(json, Json::List(Vec::new())),
            Fault::UnknownEnums => unknown_enums(json, key),
            Fault::NullsEverywhere => nulls_everywhere(json, key),
            Fault::ContentList => each_message(json, key, content_list),
            Fault::ArgumentsObject => each_message(json, key, arguments_object),
            _ => {}
        }
    }
}

/// Sets the choices where they stand.
pub(super) fn set_choices(json: &mut Json, choices: Json) {
    at_choices(json, |owner| owner.set("choices", choices));
}

/// Choices stand at the top, or in DashScope's `output`.
fn at_choices(json: &mut Json, change: impl FnOnce(&mut Json)) {
    match json.get_mut("output") {
        Some(output) => change(output),
        None => change(json),
    }
}

fn each_choice(json: &mut Json, mut change: impl FnMut(&mut Json)) {
    at_choices(json, |owner| {
        if let Some(Json::List(choices)) = owner.get_mut("choices") {
            choices.iter_mut().for_each(&mut change);
        }
    });
}

fn each_message(json: &mut Json, key: &str, change: impl Fn(&mut Json)) {
    each_choice(json, |choice| {
        if let Some(message) = choice.get_mut(key) {
            change(message);
        }
    });
}

fn unknown_enums(json: &mut Json, key: &str) {
    if json.get("output").is_none() {
        json.set("object", "chat.something_new".into());
    }
    each_choice(json, |choice| {
        if choice.get("finish_reason").is_some() {
            choice.set("finish_reason", "something_new".into());
        }
    });
    each_message(json, key, |message| {
        message.set("role", "oracle".into());
        each_call(message, |call| call.set("type", "something_new".into()));
    });
}

fn each_call(message: &mut Json, change: impl FnMut(&mut Json)) {
    if let Some(Json::List(calls)) = message.get_mut("tool_calls") {
        calls.iter_mut().for_each(change);
    }
}

/// Sets what is absent to null, and nothing that is there.
fn nulls_everywhere(json: &mut Json, key: &str) {
    let absent = |object: &mut Json, names: &[&str]| {
        for name in names {
            if object.get(name).is_none() {
                object.set(name, Json::Null);
            }
        }
    };
    absent(json, &["object", "request_id", "usage", "content_filter", "web_search", "video_result", "error"]);
    each_choice(json, |choice| absent(choice, &["finish_reason", "logprobs"]));
    each_message(json, key, |message| {
        absent(message, &["content", "reasoning_content", "tool_calls", "refusal"])
    });
    if let Some(usage) = json.get_mut("usage") {
        absent(usage, &["prompt_tokens_details", "completion_tokens_details"]);
    }
}

fn content_list(message: &mut Json) {
    if let Some(Json::Text(text)) = message.get("content") {
        let part = Json::object([("type", "text".into()), ("text", text.as_str().into())]);
        message.set("content", vec![part].into());
    }
}

fn arguments_object(message: &mut Json) {
    each_call(message, |call| {
        let Some(function) = call.get_mut("function") else { return };
        let parsed = function
            .get("arguments")
            .and_then(Json::text)
            .map(str::as_bytes)
            .map(crate::request_body::parse_json);
        if let Some(object) = parsed.and_then(|body| body.json) {
            function.set("arguments", object);
        }
    });
}

/// Length of the one long line that is asked for.
pub(crate) fn huge_line(faults: &[Fault]) -> Option<usize> {
    argument_of!(faults, HugeLine)
}
