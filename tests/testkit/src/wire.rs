//! The vendors' wires: a provider for each, and what each sends when nothing is odd.

use std::sync::Arc;

use polysight::ernie::{Ernie, ErnieSettings};
use polysight::qwen_vl::{Protocol, QwenVl, QwenVlSettings};
use polysight::zhipu::{Zhipu, ZhipuSettings};
use polysight::{ApiKey, ProviderOptions, Transport, VisionProvider};
use polysight_emulator::Surface;
use polysight_wire::Dialect;
use serde_json::{Value, json};

/// Stands in every key of [`Wire::key`], and may stand in nothing that is shown.
pub const CANARY: &str = "canary";

/// Pieces of an answer.
pub const PIECES: [&str; 3] = ["Hello", ", 世界", "!"];
/// The whole of [`PIECES`].
pub const ANSWER: &str = "Hello, 世界!";
/// What is there after two pieces.
pub const HALF: &str = "Hello, 世界";

/// A vendor's wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Zhipu's chat completions.
    Zhipu,
    /// Alibaba's OpenAI-compatible mode.
    QwenVl,
    /// DashScope's own protocol: every event has a name, no mark ends a stream, and what refuses a stream is an event of it
    /// under HTTP 200.
    QwenVlNative,
    /// Baidu's Qianfan V2.
    Ernie,
}

/// A vendor's codes for what every vendor refuses.
#[derive(Debug, Clone, Copy)]
pub struct Codes {
    /// Too many requests.
    pub rate_limited: &'static str,
    /// The model is busy.
    pub overloaded: &'static str,
    /// The account has no money left.
    pub no_balance: &'static str,
    /// The content audit refuses.
    pub refused: &'static str,
    /// The vendor failed.
    pub failed: &'static str,
}

impl Wire {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Zhipu, Self::QwenVl, Self::QwenVlNative, Self::Ernie];

    /// Its name, which is that of its provider too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zhipu => "zhipu",
            Self::QwenVl => "qwen-vl",
            Self::QwenVlNative => "qwen-vl-native",
            Self::Ernie => "ernie",
        }
    }

    /// The lines of a provider's table in a config that choose it.
    #[must_use]
    pub const fn config(self) -> &'static str {
        match self {
            Self::Zhipu => "backend = \"zhipu\"\n",
            Self::QwenVl => "backend = \"qwen-vl\"\n",
            Self::QwenVlNative => "backend = \"qwen-vl\"\nprotocol = \"native\"\n",
            Self::Ernie => "backend = \"ernie\"\n",
        }
    }

    /// A key of the vendor's form.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Zhipu => "canaryid01234567.canarysecret0123",
            Self::QwenVl | Self::QwenVlNative => "sk-canary0123456789",
            Self::Ernie => "bce-v3/ALTAK-canary012345/canary0123456789",
        }
    }

    /// The emulator's interface that speaks it.
    #[must_use]
    pub const fn surface(self) -> Surface {
        match self {
            Self::Zhipu => Surface::Zhipu,
            Self::QwenVl => Surface::DashScopeCompatible,
            Self::QwenVlNative => Surface::DashScopeNative,
            Self::Ernie => Surface::Qianfan,
        }
    }

    /// The vendor's codes.
    #[must_use]
    pub const fn codes(self) -> Codes {
        let dashscope = Codes {
            rate_limited: "Throttling.RateQuota",
            overloaded: "Throttling.ServiceOverloaded",
            no_balance: "Arrearage",
            refused: "DataInspectionFailed",
            failed: "InternalError",
        };
        match self {
            Self::Zhipu => Codes {
                rate_limited: "1302",
                overloaded: "1305",
                no_balance: "1113",
                refused: "1301",
                failed: "1234",
            },
            Self::QwenVl => Codes {
                rate_limited: "limit_requests",
                refused: "data_inspection_failed",
                failed: "internal_error",
                ..dashscope
            },
            Self::QwenVlNative => dashscope,
            Self::Ernie => Codes {
                rate_limited: "rpm_rate_limit_exceeded",
                overloaded: "cluster_rate_limit_exceeded",
                no_balance: "account_overdue",
                refused: "user_setting_unsafe",
                failed: "internal_error",
            },
        }
    }

    /// Options of a provider at `host`, such as `http://127.0.0.1:80`, at the vendor's own path.
    #[must_use]
    pub fn options(self, host: &str, transport: Transport) -> ProviderOptions {
        let base_url = format!("{host}{}", self.surface().prefix());
        ProviderOptions::new(self.name())
            .with_api_key(ApiKey::new(self.key()).expect("a key"))
            .with_base_url(base_url.parse().expect("a URL"))
            .with_transport(transport)
    }

    /// A provider that speaks it.
    #[must_use]
    pub fn provider(self, options: ProviderOptions) -> Arc<dyn VisionProvider> {
        match self.client(options) {
            Client::Zhipu(zhipu) => Arc::new(zhipu),
            Client::QwenVl(qwen) => Arc::new(qwen),
            Client::Ernie(ernie) => Arc::new(ernie),
        }
    }

    /// A provider that speaks it, by its own type.
    #[must_use]
    pub fn client(self, options: ProviderOptions) -> Client {
        let native = QwenVlSettings::new().with_protocol(Protocol::Native);
        match self {
            Self::Zhipu => Zhipu::new(options, &ZhipuSettings::new()).map(Client::Zhipu),
            Self::QwenVl => QwenVl::new(options, &QwenVlSettings::new()).map(Client::QwenVl),
            Self::QwenVlNative => QwenVl::new(options, &native).map(Client::QwenVl),
            Self::Ernie => Ernie::new(options, &ErnieSettings::new()).map(Client::Ernie),
        }
        .expect("a provider")
    }

    /// A plain reply with this content.
    #[must_use]
    pub fn reply(self, content: &Value) -> Value {
        let choice = json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}});
        let usage = json!({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14});
        match self {
            Self::Zhipu => {
                json!({"id": "8801", "request_id": "req-7", "created": 1, "model": "glm-4.6v-flash",
                                "choices": [choice], "usage": usage})
            }
            Self::QwenVl => json!({"id": "chatcmpl-7", "object": "chat.completion", "created": 1,
                                 "model": "qwen3-vl-plus", "choices": [choice], "usage": usage}),
            Self::QwenVlNative => json!({"output": {"choices": [choice]}, "request_id": "req-7",
                             "usage": {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}}),
            Self::Ernie => json!({"id": "as-7", "object": "chat.completion", "created": 1,
                                "model": "ernie-4.5-turbo-vl", "choices": [choice], "usage": usage}),
        }
    }

    /// A frame of a stream with this piece.
    #[must_use]
    pub fn delta(self, text: &str) -> Value {
        let mut frame = self.frame(json!([self.choice(text, None)]));
        if self == Self::QwenVlNative {
            frame["usage"] = json!({"input_tokens": 10, "output_tokens": 1, "total_tokens": 11});
        }
        frame
    }

    /// The frames that end an answer, with usage where this vendor puts it.
    #[must_use]
    pub fn ending(self) -> Vec<Value> {
        let mut finish = self.frame(json!([self.choice("", Some("stop"))]));
        match self {
            Self::Zhipu | Self::QwenVlNative => {
                finish["usage"] = self.usage();
                vec![finish]
            }
            Self::QwenVl | Self::Ernie => vec![finish, self.usage_alone()],
        }
    }

    /// The frame of the finish, without usage.
    #[must_use]
    pub fn finish_alone(self) -> Value {
        self.frame(json!([self.choice("", Some("stop"))]))
    }

    /// A frame with usage and no choices.
    #[must_use]
    pub fn usage_alone(self) -> Value {
        let mut frame = self.frame(json!([]));
        frame["usage"] = self.usage();
        frame
    }

    /// A frame with these choices.
    #[must_use]
    pub fn frame(self, choices: Value) -> Value {
        match self {
            Self::Zhipu => json!({"id": "8801", "created": 1, "model": "glm-4.6v-flash", "choices": choices}),
            Self::QwenVl => json!({"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1,
                                 "model": "qwen3-vl-plus", "choices": choices, "usage": null}),
            Self::QwenVlNative => json!({"output": {"choices": choices}, "request_id": "req-7"}),
            Self::Ernie => json!({"id": "as-7", "object": "chat.completion.chunk", "created": 1,
                                "model": "ernie-4.5-turbo-vl", "choices": choices}),
        }
    }

    fn choice(self, text: &str, finish: Option<&str>) -> Value {
        match self {
            Self::QwenVlNative => {
                let content = if text.is_empty() { json!([]) } else { json!([{"text": text}]) };
                json!({"message": {"role": "assistant", "content": content},
                       "finish_reason": finish.unwrap_or("null")})
            }
            Self::Ernie => {
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
            Self::QwenVlNative => json!({"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}),
            _ => json!({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}),
        }
    }

    /// An error as this vendor writes it. Zhipu's bodies name no request, so that a header does.
    #[must_use]
    pub fn error(self, code: &str, words: &str) -> Value {
        match self {
            Self::Zhipu => json!({"error": {"code": code, "message": words}}),
            Self::QwenVl => {
                json!({"error": {"code": code, "message": words, "type": "invalid_request_error", "param": null},
                       "id": "chatcmpl-7", "request_id": "req-7"})
            }
            Self::QwenVlNative => json!({"code": code, "message": words, "request_id": "req-7"}),
            Self::Ernie => json!({"error": {"code": code, "message": words, "type": "invalid_request_error"},
                                "id": "req-7"}),
        }
    }

    /// This vendor's error for too many requests, and its code.
    #[must_use]
    pub fn throttled(self) -> (Value, &'static str) {
        let code = self.codes().rate_limited;
        (self.error(code, "slow down"), code)
    }
}

/// A provider of one of the vendors, by its own type.
#[derive(Debug)]
pub enum Client {
    /// Zhipu's.
    Zhipu(Zhipu),
    /// Alibaba's.
    QwenVl(QwenVl),
    /// Baidu's.
    Ernie(Ernie),
}

impl Client {
    /// The pure functions of its wire.
    #[must_use]
    pub fn dialect(&self) -> &dyn Dialect {
        match self {
            Self::Zhipu(zhipu) => zhipu.inner().dialect(),
            Self::QwenVl(qwen) => qwen.inner().dialect(),
            Self::Ernie(ernie) => ernie.inner().dialect(),
        }
    }

    /// The provider.
    #[must_use]
    pub fn as_provider(&self) -> &dyn VisionProvider {
        match self {
            Self::Zhipu(zhipu) => zhipu,
            Self::QwenVl(qwen) => qwen,
            Self::Ernie(ernie) => ernie,
        }
    }
}

/// How frames become bytes.
#[derive(Debug, Clone, Copy)]
pub struct Framing {
    /// What ends a line.
    pub line_end: &'static str,
    /// Whether a space follows the colon.
    pub space: bool,
    /// Whether comments precede each event.
    pub comments: bool,
    /// Whether each event has an id and a name.
    pub fields: bool,
    /// Whether data stands on two lines.
    pub two_lines: bool,
}

impl Framing {
    /// As this vendor does it.
    #[must_use]
    pub fn of(wire: Wire) -> Self {
        let native = wire == Wire::QwenVlNative;
        Self { line_end: "\n", space: !native, comments: false, fields: native, two_lines: false }
    }

    /// Events with these data.
    #[must_use]
    pub fn write(self, wire: Wire, frames: &[Value]) -> String {
        frames.iter().enumerate().map(|(index, frame)| self.event(wire, index + 1, "result", frame)).collect()
    }

    /// The mark of the end, where this vendor has one.
    #[must_use]
    pub fn done(self, wire: Wire) -> String {
        match wire {
            Wire::QwenVlNative => String::new(),
            _ => format!("data:{}[DONE]{1}{1}", if self.space { " " } else { "" }, self.line_end),
        }
    }

    /// One event.
    #[must_use]
    pub fn event(self, wire: Wire, id: usize, name: &str, frame: &Value) -> String {
        let mut lines = Vec::new();
        if self.comments {
            lines.push(": keep-alive".to_owned());
            lines.push(":".to_owned());
        }
        if self.fields {
            lines.push(format!("id:{id}"));
            lines.push(format!("event:{name}"));
        }
        if wire == Wire::QwenVlNative {
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
