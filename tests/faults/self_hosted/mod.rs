//! Self-hosted servers and gateways: their errors, and the forms in which they stream an answer.

mod errors;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use polysight::{
    ApiKey, ChatRequest, ChatResponse, Error, ErrorKind, Image, Limits, Message, ProviderOptions, Result,
    RetryAdvice, Transport, Video, VisionProvider,
};
use polysight_testkit::{CANARY, MockServer, Reply, Wire, calls, picture, shown};
use serde_json::{Value, json};

/// Each wire at each deployment that is none of the vendor's own.
const DEPLOYMENTS: [Deployment; 9] = [
    (Wire::QwenVl, "vllm"),
    (Wire::QwenVl, "sglang"),
    (Wire::QwenVl, "lmdeploy"),
    (Wire::QwenVl, "ollama"),
    (Wire::QwenVl, "llama-cpp"),
    (Wire::QwenVl, "gateway"),
    (Wire::Ernie, "fastdeploy"),
    (Wire::Ernie, "vllm"),
    (Wire::Ernie, "gateway"),
];

const MODEL: &str = "some-model";
const EVENTS: &str = "text/event-stream";

// Long enough that a busy machine does not meet it, and short enough to wait for.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(80);

/// A transport whose limits are long but for what is changed.
fn transport(change: impl Fn(&mut Limits)) -> Transport {
    let mut limits = Limits::default().with_first_byte(LONG).with_idle(LONG);
    change(&mut limits);
    Transport::builder().limits(limits).build().unwrap()
}

fn question() -> ChatRequest {
    ChatRequest::new([Message::user(format!("What does the {CANARY} in the picture sing?"))])
}

/// What is shown of an error, when it shows what it must not.
fn leak(error: &Error) -> String {
    let shown = shown(error);
    if shown.contains(CANARY) { format!(" LEAKS {shown}") } else { String::new() }
}

/// Advice in one word.
fn advice(advice: RetryAdvice) -> String {
    match advice {
        RetryAdvice::Never => "never".to_owned(),
        RetryAdvice::RefreshCredentials => "new key".to_owned(),
        RetryAdvice::After(None) => "later".to_owned(),
        RetryAdvice::After(Some(wait)) => format!("{} s", wait.as_secs_f64()),
        other => format!("{other:?}"),
    }
}

/// Cases at every deployment, and those that came to something else than they must.
struct Report {
    title: &'static str,
    cases: usize,
    wrong: Vec<String>,
}

impl Report {
    fn new(title: &'static str) -> Self {
        Self { title, cases: 0, wrong: Vec::new() }
    }

    fn compare(&mut self, case: &str, deployment: Deployment, came: String, wanted: &str) {
        self.cases += 1;
        if came != wanted {
            self.wrong.push(format!("{case}, {}: {came}\n    wanted: {wanted}", name(deployment)));
        }
    }

    /// Prints how many cases there were, and fails with all that is wrong.
    fn close(self) {
        let Self { title, cases, wrong } = self;
        println!("{title}: {cases} cases at {} deployments, {} wrong", DEPLOYMENTS.len(), wrong.len());
        assert!(wrong.is_empty(), "{title}:\n{}", wrong.join("\n"));
    }
}

type Deployment = (Wire, &'static str);

fn name((wire, deployment): Deployment) -> String {
    format!("{} {deployment}", wire.name())
}

fn provider(deployment: Deployment, server: &MockServer, transport: &Transport) -> Arc<dyn VisionProvider> {
    let options = ProviderOptions::new(name(deployment))
        .with_deployment(deployment.1)
        .with_model(MODEL)
        .with_api_key(ApiKey::new("canary-0123456789").unwrap())
        .with_base_url(server.url("/v1").parse().unwrap())
        .with_transport(transport.clone());
    deployment.0.provider(options)
}

async fn chat(deployment: Deployment, reply: Reply, transport: &Transport) -> Result<ChatResponse> {
    let server = MockServer::with_reply(reply).await;
    calls::plain(&*provider(deployment, &server, transport), question()).await
}

async fn stream(deployment: Deployment, reply: Reply, transport: &Transport) -> Result<ChatResponse> {
    let server = MockServer::with_reply(reply).await;
    calls::streamed(&*provider(deployment, &server, transport), question()).await
}

/// Events with these data, and no mark of the end.
fn events(data: &[Value]) -> Reply {
    data.iter().fold(Reply::events(), |reply, data| reply.piece(format!("data: {data}\n\n")))
}

fn chunk(choices: Value) -> Value {
    json!({"id": "c-7", "object": "chat.completion.chunk", "created": 1, "model": "/models/served@main",
           "choices": choices, "system_fingerprint": "", "timings": {"predicted_ms": 1.5}})
}

fn delta(delta: Value, finish: Value) -> Value {
    chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": null, "stop_reason": null,
                  "token_ids": null}]))
}

fn error_line(error: &Error) -> String {
    let (status, code) = (error.status().unwrap_or(0), error.code().unwrap_or_default());
    let words = error.vendor_message().unwrap_or_default();
    format!("{:?} {status} {code} {}: {words}{}", error.kind(), advice(error.retry()), leak(error))
}

fn line(result: Result<ChatResponse>) -> String {
    match result {
        Err(error) => error_line(&error),
        Ok(answer) => {
            let usage = answer.usage.map(|usage| (usage.input_tokens, usage.output_tokens));
            format!("`{}` ({}) {} {usage:?}", answer.text, answer.reasoning, answer.finish.raw)
        }
    }
}

fn whole(message: Value, finish: &str) -> Reply {
    let body = json!({"id": "6f1c", "object": "chat.completion", "created": 1, "model": "/models/served@main",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": null}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14,
                  "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": null},
        "timings": {"prompt_n": 1}, "prompt_logprobs": null, "kv_transfer_params": null});
    Reply::document(200, &["Content-Type: application/json"], body.to_string())
}

#[tokio::test]
async fn a_plain_answer_is_read_through_nulls_and_unknown_fields() {
    let transport = transport(|_| {});
    for deployment in DEPLOYMENTS {
        let message = json!({"role": "assistant", "content": "ab", "refusal": null, "annotations": null, "audio": null,
                             "function_call": null, "tool_calls": null, "reasoning": null, "reasoning_content": "hm"});
        let answer = chat(deployment, whole(message, "stop"), &transport).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.reasoning.as_str()), ("ab", "hm"), "{}", name(deployment));
        assert_eq!((answer.model.as_str(), answer.id.as_deref()), ("/models/served@main", Some("6f1c")));
    }
}

#[tokio::test]
async fn thinking_that_used_all_tokens_up_is_an_answer_only_where_a_limit_was_set() {
    let transport = transport(|_| {});
    for deployment in DEPLOYMENTS {
        for field in ["reasoning", "reasoning_content"] {
            let mut message = json!({"role": "assistant", "content": ""});
            message[field] = "hm".into();
            let server = MockServer::with_reply(whole(message.clone(), "length")).await;
            let asked = provider(deployment, &server, &transport);
            let limited = calls::plain(&*asked, question().with_max_tokens(4)).await.unwrap();
            assert_eq!(
                (limited.text.as_str(), limited.reasoning.as_str()),
                ("", "hm"),
                "{}",
                name(deployment)
            );
            let error = calls::plain(&*asked, question()).await.unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Interrupted, false));
            assert_eq!(error.partial().unwrap().reasoning, "hm");
        }
    }
}

fn frames() -> ChatRequest {
    let frame = || Image::from_bytes(picture(image::ImageFormat::Jpeg, 32, 32)).unwrap();
    ChatRequest::ask("What moves?", [Video::from_frames([frame(), frame(), frame(), frame()]).unwrap()])
}

#[tokio::test]
async fn frames_go_only_to_servers_that_are_known_to_take_them() {
    let transport = transport(|_| {});
    for deployment in DEPLOYMENTS {
        let server = MockServer::with_reply(whole(json!({"content": "ab"}), "stop")).await;
        let result = calls::plain(&*provider(deployment, &server, &transport), frames()).await;
        if deployment == (Wire::QwenVl, "vllm") {
            result.unwrap();
            let body = &server.requests()[0].json();
            let url = body.pointer("/messages/0/content/0/video_url/url").and_then(Value::as_str).unwrap();
            assert!(url.starts_with("data:video/jpeg;base64,") && url.matches(',').count() == 4, "{body}");
        } else {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{}", name(deployment));
            assert!(server.requests().is_empty(), "{}", name(deployment));
        }
    }
}

#[tokio::test]
async fn a_request_without_settings_sends_only_fields_that_every_server_knows() {
    let transport = transport(|_| {});
    for deployment in DEPLOYMENTS {
        let server = MockServer::with_reply(whole(json!({"content": "ab"}), "stop")).await;
        let asked = provider(deployment, &server, &transport);
        calls::plain(&*asked, question()).await.unwrap();
        calls::streamed(&*asked, question()).await.unwrap();
        let requests = server.requests();
        assert_eq!(requests[0].path(), "/v1/chat/completions");
        assert!(
            requests[1].head.to_lowercase().contains("accept: ") && !requests[1].head.contains("x-dashscope")
        );
        let fields = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        // FastDeploy's own id of a request stands in the body.
        let own: &[&'static str] = if deployment.1 == "fastdeploy" { &["request_id"] } else { &[] };
        let wanted = |more: &[&'static str]| {
            let mut names: Vec<&'static str> =
                ["messages", "model"].iter().chain(own).chain(more).copied().collect();
            names.sort_unstable();
            names
        };
        let mut plain = fields(&requests[0].json());
        plain.retain(|field| field != "stream" || requests[0].json()["stream"] != false);
        assert_eq!(plain, wanted(&[]), "{}", name(deployment));
        assert_eq!(
            fields(&requests[1].json()),
            wanted(&["stream", "stream_options"]),
            "{}",
            name(deployment)
        );
    }
}
