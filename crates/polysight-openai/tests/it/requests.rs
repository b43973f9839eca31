//! Requests as they would go out.

use polysight_core::{
    ChatRequest, Detail, Effort, Error, ErrorKind, Image, Message, Thinking, Tolerance, ToolDefinition,
    Video, VisionProvider as _,
};
use polysight_openai::{OpenAi, OpenAiSettings, ThinkingParam};
use polysight_wire::{Mode, ProviderOptions};
use serde_json::json;

use super::{body, model, options, picture, plan, provider};

#[test]
fn a_picture_is_a_data_uri_and_everything_has_the_shapes_own_name() {
    let request = ChatRequest::ask("What is this?", [picture().with_detail(Detail::Low)])
        .with_temperature(0.5)
        .with_max_tokens(100)
        .with_stop(["END"])
        .with_seed(7)
        .with_end_user_id("user-1")
        .with_tools([ToolDefinition::new("look", "Looks.", json!({"type": "object"}))])
        .with_extra("openai", "provider", json!({"sort": "price"}));
    let provider = provider(&OpenAiSettings::new());
    insta::assert_json_snapshot!(body(&provider, &request, Mode::Plain));
    let wire = provider.inner().preview(&plan(&provider, &request), Mode::Stream).unwrap();
    assert_eq!(wire.url.as_str(), "https://gateway.example/v1/chat/completions");
}

#[test]
fn a_stream_asks_for_usage_unless_the_server_refuses_that() {
    let request = ChatRequest::new([Message::system("Be brief."), Message::user("Hello")]);
    insta::assert_json_snapshot!(body(&provider(&OpenAiSettings::new()), &request, Mode::Stream));
    let without = provider(&OpenAiSettings::new().with_stream_usage(false));
    assert!(body(&without, &request, Mode::Stream).get("stream_options").is_none());
}

#[test]
fn settings_choose_base64_and_the_newer_limit() {
    let settings = OpenAiSettings::new().with_data_uri(false).with_max_completion_tokens(true);
    let video = Video::from_url("https://example.com/a.mp4").unwrap();
    let request = ChatRequest::ask("?", [picture()]).with_max_tokens(9);
    insta::assert_json_snapshot!(body(&provider(&settings), &request, Mode::Plain));
    let linked = body(&provider(&settings), &ChatRequest::ask("?", [video]), Mode::Plain);
    assert_eq!(linked["messages"][0]["content"][0]["video_url"]["url"], "https://example.com/a.mp4");
}

#[test]
fn a_models_card_overrides_the_setting_and_is_checked_before_sending() {
    let card = "id = \"eye-1\"\ncontext = 8192\nmax_output = 10\nimage = { count = 1, data_uri = false }";
    let provider = OpenAi::new(options().with_models(vec![model(card)]), &OpenAiSettings::new()).unwrap();
    let sent = body(&provider, &ChatRequest::ask("?", [picture()]), Mode::Plain);
    assert!(sent["messages"][0]["content"][0]["image_url"]["url"].as_str().unwrap().starts_with("iVBOR"));
    let two = ChatRequest::ask("?", [picture(), picture()]).with_max_tokens(11);
    assert_eq!(provider.plan(&two).unwrap_err().violations().len(), 2);
    let unknown = ChatRequest::ask("?", [picture()]).with_model("eye-2");
    assert!(plan(&provider, &unknown).notes.iter().any(|note| note.contains("not in the catalogue")));
}

#[test]
fn thinking_is_written_into_the_field_of_the_server() {
    let fields = |param, thinking| {
        let provider = provider(&OpenAiSettings::new().with_thinking(param));
        let request = ChatRequest::ask("?", None::<Image>).with_thinking(thinking);
        let mut sent = body(&provider, &request, Mode::Plain);
        sent.as_object_mut().unwrap().retain(|name, _| !["model", "messages"].contains(&name.as_str()));
        sent
    };
    use ThinkingParam::{Object, ReasoningEffort, TemplateKwargs, TopLevel};
    assert_eq!(fields(ReasoningEffort, Thinking::Effort(Effort::High)), json!({"reasoning_effort": "high"}));
    assert_eq!(fields(ReasoningEffort, Thinking::Off), json!({"reasoning_effort": "none"}));
    assert_eq!(fields(Object, Thinking::Off), json!({"thinking": {"type": "disabled"}}));
    assert_eq!(fields(TopLevel, Thinking::On), json!({"enable_thinking": true}));
    let switched = json!({"chat_template_kwargs": {"enable_thinking": true}});
    assert_eq!(fields(TemplateKwargs, Thinking::On), switched);
    assert_eq!(fields(Object, Thinking::Default), json!({}));
    let budget = ChatRequest::ask("?", None::<Image>).with_thinking(Thinking::Budget(1_024));
    let provider = provider(&OpenAiSettings::new());
    assert!(provider.plan(&budget).unwrap_err().to_string().contains("reasoning budget"));
    let lossy = plan(&provider, &budget.with_tolerance(Tolerance::Lossy));
    assert_eq!((lossy.request.thinking, lossy.adjustments.len()), (Thinking::On, 1));
}

#[test]
fn an_extra_may_not_repeat_what_the_request_says() {
    let provider = provider(&OpenAiSettings::new());
    for name in ["model", "stream_options", "max_completion_tokens", "user", "response_format"] {
        let request = ChatRequest::ask("?", None::<Image>).with_extra("openai", name, json!(1));
        let error = provider.plan(&request).unwrap_err().to_string();
        assert!(error.contains(&format!("extras.openai.{name}")), "{error}");
    }
}

#[test]
fn a_configuration_is_checked_without_a_key_and_all_its_faults_are_named() {
    let faults = |options: &ProviderOptions| -> Vec<String> {
        let faults = OpenAi::check(options, &OpenAiSettings::new());
        faults.iter().map(|fault| fault.message().to_owned()).collect()
    };
    assert!(faults(&options()).is_empty());
    let bad = ProviderOptions::new("p").with_deployment("moon").with_models(vec![model("context = 1")]);
    let found = faults(&bad);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[1].contains("openai needs a base_url, such as https://"), "{found:?}");
    let error: Error = OpenAi::new(bad, &OpenAiSettings::new()).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Config, found.join("; ").as_str()));
    let read = |json: &str| serde_json::from_str::<OpenAiSettings>(json);
    assert_eq!(read(r#"{"thinking":"object"}"#).unwrap().thinking, ThinkingParam::Object);
    assert!(read(r#"{"thinkng":"object"}"#).is_err() && read(r#"{"data_uri":"x"}"#).is_err());
}

#[test]
fn an_account_is_one_host_and_a_server_without_a_key_one_address() {
    let endpoint = |options: ProviderOptions| {
        OpenAi::new(options, &OpenAiSettings::new()).unwrap().id().endpoint.to_string()
    };
    assert_eq!(endpoint(options()), "gateway.example");
    let mut unkeyed = options();
    unkeyed.api_key = None;
    assert_eq!(endpoint(unkeyed), "https://gateway.example/v1");
}
