//! Request bodies and headers as snapshots, held by eye against the vendor's reference of 2026-11-21.

use polysight_core::{
    ChatRequest, Effort, Image, Message, Part, ResponseFormat, Thinking, ToolCall, ToolDefinition, Video,
};
use polysight_wire::Mode;
use polysight_zhipu::{Region, Zhipu, ZhipuExtras, ZhipuSettings};
use serde_json::json;

use super::{PNG, body, preview};

fn hello(model: &str) -> ChatRequest {
    ChatRequest::new([Message::user("Hello")]).with_model(model)
}

#[test]
fn a_picture_goes_as_bare_base64() {
    let request = ChatRequest::ask("What is it?", [Image::from_base64(PNG).unwrap()]).with_model("glm-4.6v");
    insta::assert_json_snapshot!(body(request, Mode::Plain), @r#"
    {
      "messages": [
        {
          "content": [
            {
              "image_url": {
                "url": "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mM4ISdHEmIY1TCqYfhqAADkYgQQ6ZuA8QAAAABJRU5ErkJggg=="
              },
              "type": "image_url"
            },
            {
              "text": "What is it?",
              "type": "text"
            }
          ],
          "role": "user"
        }
      ],
      "model": "glm-4.6v"
    }
    "#);
}

#[test]
fn a_video_link_goes_as_it_is() {
    let video = Video::from_url("https://example.com/a.mp4?x=1").unwrap();
    let request = ChatRequest::ask("What happens?", [video]).with_model("glm-4.6v");
    insta::assert_json_snapshot!(body(request, Mode::Stream), @r#"
    {
      "messages": [
        {
          "content": [
            {
              "type": "video_url",
              "video_url": {
                "url": "https://example.com/a.mp4?x=1"
              }
            },
            {
              "text": "What happens?",
              "type": "text"
            }
          ],
          "role": "user"
        }
      ],
      "model": "glm-4.6v",
      "stream": true
    }
    "#);
}

#[test]
fn thinking_is_an_object_and_effort_a_field() {
    let switch = |thinking| body(hello("glm-4.6v").with_thinking(thinking), Mode::Plain)["thinking"].clone();
    assert_eq!(switch(Thinking::On), json!({"type": "enabled"}));
    assert_eq!(switch(Thinking::Off), json!({"type": "disabled"}));
    assert!(switch(Thinking::Default).is_null());
    let effort = body(hello("glm-5.3-flash").with_thinking(Thinking::Effort(Effort::Low)), Mode::Plain);
    assert_eq!(effort["reasoning_effort"], "low");
    assert!(effort.get("thinking").is_none());
}

#[test]
fn reasoning_of_earlier_turns_goes_back_only_on_demand() {
    let mut earlier = Message::assistant("A cat.");
    earlier.parts.insert(0, Part::Reasoning("Whiskers.".to_owned()));
    let request = ChatRequest::new([Message::user("What is it?"), earlier, Message::user("Sure?")]);
    let request = request.with_model("glm-4.6v");
    assert!(body(request.clone(), Mode::Plain)["messages"][1].get("reasoning_content").is_none());
    let kept = body(request.with_extras(ZhipuExtras::new().with_clear_thinking(false)), Mode::Plain);
    assert_eq!(kept["messages"][1]["reasoning_content"], "Whiskers.");
    assert_eq!(kept["thinking"], json!({"type": "enabled", "clear_thinking": false}));
    assert!(kept.get("clear_thinking").is_none());
}

#[test]
fn a_tool_round_trip_in_the_vendors_shape() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let mut call = Message::new(polysight_core::MessageRole::Assistant);
    call.parts.push(ToolCall::new("call_1", "get_weather", "{\"city\":\"北京\"}").into());
    let request = ChatRequest::new([
        Message::system("Be brief."),
        Message::user("Weather?"),
        call,
        Message::tool_result("call_1", "21"),
    ])
    .with_model("glm-4-air")
    .with_tools([ToolDefinition::new("get_weather", "Weather for a city", schema)]);
    insta::assert_json_snapshot!(body(request, Mode::Plain), @r#"
    {
      "messages": [
        {
          "content": "Be brief.",
          "role": "system"
        },
        {
          "content": "Weather?",
          "role": "user"
        },
        {
          "role": "assistant",
          "tool_calls": [
            {
              "function": {
                "arguments": "{\"city\":\"北京\"}",
                "name": "get_weather"
              },
              "id": "call_1",
              "type": "function"
            }
          ]
        },
        {
          "content": "21",
          "role": "tool",
          "tool_call_id": "call_1"
        }
      ],
      "model": "glm-4-air",
      "tool_choice": "auto",
      "tools": [
        {
          "function": {
            "description": "Weather for a city",
            "name": "get_weather",
            "parameters": {
              "properties": {
                "city": {
                  "type": "string"
                }
              },
              "type": "object"
            }
          },
          "type": "function"
        }
      ]
    }
    "#);
}

#[test]
fn text_models_enforce_json_and_vision_models_do_not() {
    let request = hello("glm-4-plus").with_response_format(ResponseFormat::JsonObject);
    assert_eq!(body(request, Mode::Plain)["response_format"], json!({"type": "json_object"}));
    let request = hello("glm-4.6v").with_response_format(ResponseFormat::JsonObject);
    let error = preview(super::zhipu(), request, Mode::Plain).unwrap_err();
    assert_eq!(error.violations()[0].path, "response_format");
}

#[test]
fn extras_are_sent_and_may_not_repeat_a_field_of_the_request() {
    let request =
        hello("glm-4.6v").with_extra("zhipu", "watermark_enabled", true).with_extra("ernie", "x", 1);
    let sent = body(request, Mode::Plain);
    assert_eq!(sent["watermark_enabled"], true);
    assert!(sent.get("x").is_none(), "extras of other vendors stay here");
    let request = hello("glm-4.6v").with_extra("zhipu", "temperature", 0.5);
    let error = preview(super::zhipu(), request, Mode::Plain).unwrap_err();
    assert!(error.to_string().contains("extras.zhipu.temperature"), "{error}");
}

#[test]
fn urls_and_headers_of_both_sites() {
    let key = || polysight_core::ApiKey::new("id.secret").unwrap();
    let hello_of = |zhipu: &Zhipu| preview(zhipu, hello("glm-4.6v"), Mode::Plain).unwrap();
    let mainland = hello_of(&Zhipu::with_key(key()).unwrap());
    assert_eq!(mainland.url.as_str(), "https://open.bigmodel.cn/api/paas/v4/chat/completions");
    assert_eq!(mainland.headers["accept"], "application/json");
    assert!(mainland.headers.get("accept-language").is_none());
    let settings = ZhipuSettings::new().with_region(Region::International);
    let options = polysight_wire::ProviderOptions::new("z").with_api_key(key());
    let abroad = hello_of(&Zhipu::new(options, &settings).unwrap());
    assert_eq!(abroad.url.as_str(), "https://api.z.ai/api/paas/v4/chat/completions");
    assert_eq!(abroad.headers["accept-language"], "en-US,en");
    let options = polysight_wire::ProviderOptions::new("proxy")
        .with_api_key(key())
        .with_base_url("https://your-proxy.example/v1".parse().unwrap());
    let proxy = Zhipu::new(options, &ZhipuSettings::default()).unwrap();
    let wire = preview(&proxy, hello("GLM-4V-Plus"), Mode::Plain).unwrap();
    assert_eq!(wire.url.as_str(), "https://your-proxy.example/v1/chat/completions");
    let sent: serde_json::Value = serde_json::from_slice(&wire.body.to_vec().unwrap()).unwrap();
    assert_eq!(sent["model"], "GLM-4V-Plus", "a model's name goes out as it is written");
}

/// The body that would go out to a deployment.
fn body_at(deployment: &str, request: ChatRequest, mode: Mode) -> serde_json::Value {
    let options = polysight_wire::ProviderOptions::new("z")
        .with_api_key(polysight_core::ApiKey::new("sk-any").unwrap())
        .with_base_url("https://other.example/v1".parse().unwrap())
        .with_deployment(deployment);
    super::json(&Zhipu::new(options, &ZhipuSettings::default()).unwrap(), request, mode)
}

#[test]
fn a_gateway_gets_nothing_but_the_shared_shape() {
    let request = ChatRequest::ask("What is it?", [Image::from_base64(PNG).unwrap()])
        .with_model("GLM-4V-Flash")
        .with_greedy()
        .with_end_user_id("user-000001")
        .with_request_id("request-000001");
    insta::assert_json_snapshot!(body_at("gateway", request, Mode::Stream), @r#"
    {
      "messages": [
        {
          "content": [
            {
              "image_url": {
                "url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mM4ISdHEmIY1TCqYfhqAADkYgQQ6ZuA8QAAAABJRU5ErkJggg=="
              },
              "type": "image_url"
            },
            {
              "text": "What is it?",
              "type": "text"
            }
          ],
          "role": "user"
        }
      ],
      "model": "GLM-4V-Flash",
      "stream": true,
      "stream_options": {
        "include_usage": true
      },
      "temperature": 0.0,
      "user": "user-000001"
    }
    "#);
}

#[test]
fn a_server_of_open_weights_switches_thinking_by_its_template() {
    let sent = body_at("vllm", hello("zai-org/GLM-4.6V-Flash").with_thinking(Thinking::Off), Mode::Plain);
    assert_eq!(sent["chat_template_kwargs"], json!({"enable_thinking": false}));
    assert!(sent.get("thinking").is_none());
}

#[test]
fn deployments_refuse_what_only_the_vendor_has_and_name_what_they_need() {
    let key = polysight_core::ApiKey::new("sk-any").unwrap();
    let options = || polysight_wire::ProviderOptions::new("z").with_deployment("gateway");
    let error = Zhipu::new(options().with_api_key(key.clone()), &ZhipuSettings::default()).unwrap_err();
    assert!(error.to_string().contains("needs a base_url"), "{error}");
    let options = options().with_api_key(key).with_base_url("https://other.example/v1".parse().unwrap());
    let settings = ZhipuSettings::new().with_region(Region::International);
    assert!(Zhipu::new(options, &settings).unwrap_err().to_string().contains("`region`"));
    let local = polysight_wire::ProviderOptions::new("z").with_deployment("vllm");
    assert!(Zhipu::new(local, &ZhipuSettings::default()).is_ok(), "no key, an address of its own");
}
