//! What each vendor sounds like when nothing is odd.

use std::sync::Arc;

use polysight::ernie::{Ernie, ErnieSettings};
use polysight::qwen_vl::{Protocol, QwenVl, QwenVlSettings};
use polysight::zhipu::{Zhipu, ZhipuSettings};
use polysight::{ApiKey, ProviderOptions, Transport, VisionProvider};
use polysight_tests::scripted::Scripted;
use serde_json::{Value, json};

/// Pieces of the answer, and the whole.
pub(crate) const PIECES: [&str; 3] = ["Hello", ", 世界", "!"];
pub(crate) const ANSWER: &str = "Hello, 世界!";
/// What is there after two pieces.
pub(crate) const HALF: &str = "Hello, 世界";

/// A vendor's wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tongue {
    Zhipu,
    Compatible,
    Native,
    Ernie,
}

use Tongue::{Compatible, Ernie as ErnieWire, Native, Zhipu as ZhipuWire};

impl Tongue {
    pub(crate) const ALL: [Self; 4] = [ZhipuWire, Compatible, Native, ErnieWire];

    pub(crate) fn name(self) -> &'static str {
        match self {
            ZhipuWire => "zhipu",
            Compatible => "qwen-vl compatible",
            Native => "qwen-vl native",
            ErnieWire => "ernie",
        }
    }

    pub(crate) fn provider(self, server: &Scripted, transport: Transport) -> Arc<dyn VisionProvider> {
        let (path, key) = match self {
            ZhipuWire => ("/api/paas/v4", "canaryid.canarysecret"),
            Compatible => ("/compatible-mode/v1", "sk-canary0123456789"),
            Native => ("/api/v1", "sk-canary0123456789"),
            ErnieWire => ("/v2", "bce-v3/ALTAK-canary/0123456789"),
        };
        let options = ProviderOptions::new(self.name())
            .with_api_key(ApiKey::new(key).unwrap())
            .with_base_url(server.url(path).parse().unwrap())
            .with_transport(transport);
        match self {
            ZhipuWire => Arc::new(Zhipu::new(options, &ZhipuSettings::default()).unwrap()),
            Compatible => Arc::new(QwenVl::new(options, &QwenVlSettings::default()).unwrap()),
            Native => {
                let settings = QwenVlSettings::new().with_protocol(Protocol::Native);
                Arc::new(QwenVl::new(options, &settings).unwrap())
            }
            ErnieWire => Arc::new(Ernie::new(options, &ErnieSettings::default()).unwrap()),
        }
    }

    /// A plain reply with this content.
    pub(crate) fn reply(self, content: &Value) -> Value {
        let choice = json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}});
        let usage = json!({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14});
        match self {
            ZhipuWire => json!({"id": "8801", "request_id": "req-7", "created": 1, "model": "glm-4.6v-flash",
                                "choices": [choice], "usage": usage}),
            Compatible => json!({"id": "chatcmpl-7", "object": "chat.completion", "created": 1,
                                 "model": "qwen3-vl-plus", "choices": [choice], "usage": usage}),
            Native => json!({"output": {"choices": [choice]}, "request_id": "req-7",
                             "usage": {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}}),
            ErnieWire => json!({"id": "as-7", "object": "chat.completion", "created": 1,
                                "model": "ernie-4.5-turbo-vl", "choices": [choice], "usage": usage}),
        }
    }

    /// A frame of a stream with this piece.
    pub(crate) fn delta(self, text: &str) -> Value {
        let mut frame = self.frame(json!([self.choice(text, None)]));
        if self == Native {
            frame["usage"] = json!({"input_tokens": 10, "output_tokens": 1, "total_tokens": 11});
        }
        frame
    }

    /// The frames that end an answer, with usage where this vendor puts it.
    pub(crate) fn ending(self) -> Vec<Value> {
        let mut finish = self.frame(json!([self.choice("", Some("stop"))]));
        match self {
            ZhipuWire | Native => {
                finish["usage"] = self.usage();
                vec![finish]
            }
            Compatible | ErnieWire => vec![finish, self.usage_alone()],
        }
    }

    /// The frame of the finish, without usage.
    pub(crate) fn finish_alone(self) -> Value {
        self.frame(json!([self.choice("", Some("stop"))]))
    }

    /// A frame with usage and no choices.
    pub(crate) fn usage_alone(self) -> Value {
        let mut frame = self.frame(json!([]));
        frame["usage"] = self.usage();
        frame
    }

    /// A frame with these choices.
    pub(crate) fn frame(self, choices: Value) -> Value {
        match self {
            ZhipuWire => json!({"id": "8801", "created": 1, "model": "glm-4.6v-flash", "choices": choices}),
            Compatible => json!({"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1,
                                 "model": "qwen3-vl-plus", "choices": choices, "usage": null}),
            Native => json!({"output": {"choices": choices}, "request_id": "req-7"}),
            ErnieWire => json!({"id": "as-7", "object": "chat.completion.chunk", "created": 1,
                                "model": "ernie-4.5-turbo-vl", "choices": choices}),
        }
    }

    fn choice(self, text: &str, finish: Option<&str>) -> Value {
        match self {
            Native => {
                let content = if text.is_empty() { json!([]) } else { json!([{"text": text}]) };
                json!({"message": {"role": "assistant", "content": content},
                       "finish_reason": finish.unwrap_or("null")})
            }
            ErnieWire => {
                let mut choice =
                    json!({"index": 0, "delta": {"content": text}, "finish_reason": finish, "flag": 0});
                // The vendor's own examples say so at the end, and only there.
                if finish.is_some() {
                    choice["is_end"] = true.into();
                }
                choice
            }
            _ => {
                json!({"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish})
            }
        }
    }

    fn usage(self) -> Value {
        match self {
            Native => json!({"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}),
            _ => json!({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}),
        }
    }

    /// An error as this vendor writes it. Zhipu's bodies name no request, so that a header does.
    pub(crate) fn error(self, code: &str, words: &str) -> Value {
        match self {
            ZhipuWire => json!({"error": {"code": code, "message": words}}),
            Compatible => {
                json!({"error": {"code": code, "message": words, "type": "invalid_request_error", "param": null},
                       "id": "chatcmpl-7", "request_id": "req-7"})
            }
            Native => json!({"code": code, "message": words, "request_id": "req-7"}),
            ErnieWire => json!({"error": {"code": code, "message": words, "type": "invalid_request_error"},
                                "id": "req-7"}),
        }
    }

    /// This vendor's error for too many requests, and its code.
    pub(crate) fn throttled(self) -> (Value, &'static str) {
        match self {
            ZhipuWire => (json!({"error": {"code": "1302", "message": "slow down"}}), "1302"),
            Compatible => (
                json!({"error": {"code": "limit_requests", "message": "slow down", "type": "limit_requests",
                                 "param": null}, "id": "chatcmpl-7", "request_id": "req-7"}),
                "limit_requests",
            ),
            Native => (
                json!({"code": "Throttling.RateQuota", "message": "slow down", "request_id": "req-7"}),
                "Throttling.RateQuota",
            ),
            ErnieWire => (
                json!({"error": {"code": "rpm_rate_limit_exceeded", "message": "slow down",
                                 "type": "rate_limit_exceeded"}, "id": "as-7"}),
                "rpm_rate_limit_exceeded",
            ),
        }
    }
}

/// How frames become bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Framing {
    pub(crate) line_end: &'static str,
    pub(crate) space: bool,
    pub(crate) comments: bool,
    pub(crate) fields: bool,
    pub(crate) two_lines: bool,
}

impl Framing {
    /// As this vendor does it.
    pub(crate) fn of(tongue: Tongue) -> Self {
        let native = tongue == Native;
        Self { line_end: "\n", space: !native, comments: false, fields: native, two_lines: false }
    }

    pub(crate) fn write(self, tongue: Tongue, frames: &[Value]) -> String {
        frames
            .iter()
            .enumerate()
            .map(|(index, frame)| self.event(tongue, index + 1, "result", frame))
            .collect()
    }

    /// The mark of the end, where this vendor has one.
    pub(crate) fn done(self, tongue: Tongue) -> String {
        match tongue {
            Native => String::new(),
            _ => format!("data:{}[DONE]{1}{1}", if self.space { " " } else { "" }, self.line_end),
        }
    }

    pub(crate) fn event(self, tongue: Tongue, id: usize, name: &str, frame: &Value) -> String {
        let mut lines = Vec::new();
        if self.comments {
            lines.push(": keep-alive".to_owned());
            lines.push(":".to_owned());
        }
        if self.fields {
            lines.push(format!("id:{id}"));
            lines.push(format!("event:{name}"));
        }
        if tongue == Native {
            lines.push(format!(":HTTP_STATUS/{}", if name == "error" { 429 } else { 200 }));
        }
        let text = frame.to_string();
        let colon = if self.space { "data: " } else { "data:" };
        // Between two fields, so that no text is cut.
        match text.split_once(",\"").filter(|_| self.two_lines) {
            None => lines.push(format!("{colon}{text}")),
            Some((first, second)) => {
                lines.extend([format!("{colon}{first},"), format!("{colon}\"{second}")]);
            }
        }
        lines.push(String::new());
        lines.push(String::new());
        lines.join(self.line_end)
    }
}
