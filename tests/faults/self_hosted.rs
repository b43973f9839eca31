//! Self-hosted servers and gateways: their errors, and the forms in which they stream an answer.

use std::sync::Arc;
use std::time::Duration;

use polysight::{
    ApiKey, ChatRequest, ChatResponse, Error, ErrorKind, Image, Limits, Message, ProviderOptions, Result,
    RetryAdvice, TimeoutPhase, Transport, Video, VisionProvider,
};
use polysight_testkit::{CANARY, MockServer, Reply, Step, Wire, calls, picture, shown};
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

/// A body of an error, in one of the shapes that servers have.
struct Shape {
    name: &'static str,
    status: u16,
    body: String,
    wanted: &'static str,
}

fn shape(name: &'static str, status: u16, body: impl ToString, wanted: &'static str) -> Shape {
    Shape { name, status, body: body.to_string(), wanted }
}

fn shapes() -> Vec<Shape> {
    let picture = "cannot identify image file <_io.BytesIO object>";
    vec![
        shape(
            "error object, code a number",
            404,
            json!({"error": {"message": "The model `m` does not exist.", "type": "NotFoundError", "param": "model", "code": 404}}),
            "ModelNotFound 404 404 never: The model `m` does not exist.",
        ),
        shape(
            "error object, code a number as text",
            429,
            json!({"error": {"message": "No deployments available", "type": "throttling_error", "param": null, "code": "429"}}),
            "RateLimited 429 429 later: No deployments available",
        ),
        shape(
            "error object, code null",
            400,
            json!({"error": {"message": picture, "type": "BadRequestError", "param": null, "code": null}}),
            "InvalidRequest 400  never: cannot identify image file <_io.BytesIO object>",
        ),
        shape(
            "error object, no code",
            400,
            json!({"error": {"message": "bad base64", "type": "invalid_request_error"}}),
            "InvalidRequest 400  never: bad base64",
        ),
        shape(
            "error object, context",
            400,
            json!({"error": {"code": 400, "message": "request (9000 tokens) exceeds the available context size (4096 tokens)",
                             "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096}}),
            "ContextTooLong 400 400 never: request (9000 tokens) exceeds the available context size (4096 tokens)",
        ),
        shape(
            "error object, context as 500",
            500,
            json!({"error": {"message": "Requested tokens (9000) exceed context window of 4096", "type": "internal_server_error",
                             "code": null, "param": null}}),
            "ContextTooLong 500  never: Requested tokens (9000) exceed context window of 4096",
        ),
        shape("error text", 401, json!({"error": "Unauthorized"}), "Authentication 401  never: Unauthorized"),
        shape(
            "detail text",
            401,
            json!({"detail": "Invalid API key"}),
            "Authentication 401  never: Invalid API key",
        ),
        shape(
            "detail text, key as 400",
            400,
            json!({"detail": "Invalid API key"}),
            "Authentication 400  never: Invalid API key",
        ),
        shape("detail text, path", 404, json!({"detail": "Not Found"}), "Config 404  never: Not Found"),
        shape(
            "detail list",
            422,
            json!({"detail": [
                {"loc": ["body", "temperature"], "msg": "Input should be a valid number", "type": "float_parsing", "input": CANARY},
                {"loc": ["body", "enable_thinking"], "msg": "Unexpected fields", "type": "extra", "input": [CANARY]}]}),
            "InvalidRequest 422  never: Input should be a valid number; Unexpected fields",
        ),
        shape(
            "message and object",
            400,
            json!({"object": "error", "message": "model not served", "type": "BadRequestError", "param": null, "code": null}),
            "InvalidRequest 400  never: model not served",
        ),
        shape(
            "message and object, type alone tells",
            400,
            json!({"object": "error", "message": "slow down", "type": "rate_limit_exceeded"}),
            "RateLimited 400  later: slow down",
        ),
        shape("plain text", 500, "Internal Server Error", "Server 500  later: Internal Server Error"),
        shape("nothing", 500, "", "Server 500  later: "),
        shape("a list", 503, "[1]", "Overloaded 503  later: [1]"),
    ]
}

#[tokio::test]
async fn every_shape_of_error_is_understood_everywhere() {
    let transport = transport(|_| {});
    let mut report = Report::new("shapes of errors");
    for deployment in DEPLOYMENTS {
        for shape in shapes() {
            let reply = Reply::document(shape.status, &[], &shape.body);
            let came = error_line(&chat(deployment, reply, &transport).await.unwrap_err());
            report.compare(shape.name, deployment, came, shape.wanted);
        }
    }
    report.close();
}

/// Under HTTP 200, whole or as an event.
#[tokio::test]
async fn an_error_of_no_code_under_200_is_no_answer() {
    let transport = transport(|_| {});
    let body =
        json!({"object": "error", "message": "engine died", "type": "InternalServerError", "param": null});
    for deployment in DEPLOYMENTS {
        let plain =
            chat(deployment, Reply::document(200, &[], body.to_string()), &transport).await.unwrap_err();
        assert_eq!(
            (plain.kind(), plain.vendor_message()),
            (ErrorKind::Server, Some("engine died")),
            "{}",
            name(deployment)
        );
        let half = [delta(json!({"role": "assistant", "content": "Hel"}), Value::Null), body.clone()];
        let streamed = stream(deployment, events(&half).end(), &transport).await.unwrap_err();
        assert_eq!(streamed.vendor_message(), Some("engine died"), "{}: {streamed}", name(deployment));
        assert_eq!(streamed.partial().unwrap().text, "Hel");
    }
}

/// A picture that cannot be read may be a 500 without a reason, and so may a wrong key: then the advice to retry is wrong,
/// and cannot be known to be. A retry needs a limit of its own.
#[tokio::test]
async fn a_500_is_retryable_unless_its_words_say_that_the_request_is_at_fault() {
    let transport = transport(|_| {});
    let kind = |text: &str| {
        let (transport, text) = (transport.clone(), text.to_owned());
        async move {
            let error = chat(DEPLOYMENTS[4], Reply::document(500, &[], text), &transport).await.unwrap_err();
            (error.kind(), error.retry())
        }
    };
    assert_eq!(kind("Internal Server Error").await, (ErrorKind::Server, RetryAdvice::After(None)));
    let context = r#"{"error":{"message":"the prompt exceeds the context window","type":"server_error"}}"#;
    assert_eq!(kind(context).await, (ErrorKind::ContextTooLong, RetryAdvice::Never));
    let key = r#"{"error":{"message":"Invalid API key","type":"server_error"}}"#;
    assert_eq!(kind(key).await, (ErrorKind::Authentication, RetryAdvice::Never));
    let picture =
        r#"{"error":{"message":"cannot identify image file <_io.BytesIO object at 0x7f>","code":null}}"#;
    assert_eq!(kind(picture).await, (ErrorKind::InvalidRequest, RetryAdvice::Never));
}

#[tokio::test]
async fn a_stream_without_an_event_is_no_empty_answer() {
    let transport = transport(|_| {});
    for deployment in DEPLOYMENTS {
        for reply in [
            Reply::events().end(),
            Reply::events().piece("\n\n").end(),
            Reply::events().piece("data: [DONE]\n\n").end(),
        ] {
            let error = stream(deployment, reply, &transport).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
            assert!(
                error.to_string().contains("without a single event") && error.partial().is_none(),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let short_first_byte = transport(|limits| limits.first_byte = SHORT);
    let short_idle = transport(|limits| limits.idle = SHORT);
    let first = ErrorKind::Timeout(TimeoutPhase::FirstByte);
    let mut running = Vec::new();
    for deployment in DEPLOYMENTS {
        let (short_first_byte, short_idle) = (short_first_byte.clone(), short_idle.clone());
        running.push(tokio::spawn(async move {
            let silent = || Reply::nothing().then(Step::Hang);
            assert_eq!(chat(deployment, silent(), &short_first_byte).await.unwrap_err().kind(), first);
            assert_eq!(stream(deployment, silent(), &short_first_byte).await.unwrap_err().kind(), first);
            let head = Reply::events().then(Step::Hang);
            assert_eq!(stream(deployment, head, &short_first_byte).await.unwrap_err().kind(), first);
            let half = events(&[delta(json!({"content": "Hel"}), Value::Null)]).then(Step::Hang);
            let error = stream(deployment, half, &short_idle).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Idle));
            assert_eq!(error.partial().unwrap().text, "Hel");
            assert_eq!(error.retry(), RetryAdvice::Never, "the call may be running, and billed");
        }));
    }
    for task in running {
        task.await.unwrap();
    }
}

/// Forms of the same answer: its chunks, and what must come of them.
fn stream_forms() -> Vec<(&'static str, Vec<Value>, &'static str)> {
    const UNCOUNTED: &str = "`ab` () stop None";
    const COUNTED: &str = "`ab` () stop Some((10, 4))";
    const REASONED: &str = "`ab` (hm) stop None";
    let text = |text: &str| delta(json!({"content": text}), Value::Null);
    let bare = |content: &str| chunk(json!([{"index": 0, "delta": {"content": content}}]));
    let done = || delta(json!({}), json!("stop"));
    let usage =
        |count: u64| json!({"prompt_tokens": 10, "completion_tokens": count, "total_tokens": 10 + count});
    let with_usage = |mut chunk: Value, usage: Value| {
        chunk["usage"] = usage;
        chunk
    };
    let alone = |choices: Value| with_usage(chunk(choices), usage(4));
    let before = |name, first: Value, wanted| (name, vec![first, text("a"), text("b"), done()], wanted);
    let after = |name, mut last: Vec<Value>| {
        let mut chunks = vec![text("a"), text("b")];
        chunks.append(&mut last);
        (name, chunks, COUNTED)
    };
    let first = |fields: Value| delta(fields, Value::Null);
    let finish = |content: &str, reason: Value| delta(json!({"content": content}), reason);
    let nothing = json!([{"index": 0, "delta": null, "finish_reason": null}]);
    let with_message =
        json!([{"index": 0, "delta": {"content": "b"}, "message": null, "finish_reason": "stop"}]);
    let nulls = json!({"role": "assistant", "content": "a", "tool_calls": null, "reasoning_content": null});
    let no_refusal = json!({"role": "assistant", "content": "b", "tool_calls": [], "refusal": null});
    let no_calls = json!({"role": "assistant", "content": "", "tool_calls": null});
    let both_names = json!({"reasoning_content": "hm", "reasoning": "hm", "content": "a"});
    vec![
        ("finish on its own", vec![text("a"), text("b"), done()], UNCOUNTED),
        ("finish on the last text", vec![text("a"), finish("b", json!("stop"))], UNCOUNTED),
        ("finish absent before", vec![bare("a"), bare("b"), done()], UNCOUNTED),
        ("finish empty before", vec![finish("a", json!("")), text("b"), done()], UNCOUNTED),
        ("finish as null in words", vec![finish("a", json!("null")), text("b"), done()], UNCOUNTED),
        after("usage on the finish", vec![with_usage(done(), usage(4))]),
        (
            "usage on every chunk",
            vec![
                with_usage(text("a"), usage(1)),
                with_usage(text("b"), usage(2)),
                with_usage(done(), usage(4)),
            ],
            COUNTED,
        ),
        after("usage after the finish", vec![done(), alone(json!([]))]),
        after(
            "usage after the finish with a choice",
            vec![done(), alone(json!([{"index": 0, "delta": {}}]))],
        ),
        after("usage null, then there", vec![with_usage(done(), Value::Null), alone(json!([]))]),
        before("content null first", first(json!({"role": "assistant", "content": null})), UNCOUNTED),
        before("content empty first", first(json!({"role": "assistant", "content": ""})), UNCOUNTED),
        before("content absent first", first(json!({"role": "assistant"})), UNCOUNTED),
        (
            "role and nulls in every chunk",
            vec![first(nulls), first(no_refusal), delta(no_calls, json!("stop"))],
            UNCOUNTED,
        ),
        (
            "tool calls that are no list",
            vec![
                first(json!({"content": "a", "tool_calls": {}})),
                delta(json!({"content": "b", "tool_calls": ""}), json!("stop")),
            ],
            UNCOUNTED,
        ),
        ("message beside delta", vec![text("a"), chunk(with_message)], UNCOUNTED),
        before("delta null", chunk(nothing), UNCOUNTED),
        before("reasoning", first(json!({"reasoning": "hm"})), REASONED),
        before("reasoning_content", first(json!({"reasoning_content": "hm"})), REASONED),
        before(
            "both names, one null",
            first(json!({"reasoning": "hm", "reasoning_content": null})),
            REASONED,
        ),
        ("both names, the same twice", vec![first(both_names), text("b"), done()], REASONED),
    ]
}

#[tokio::test]
async fn an_answer_is_the_same_in_every_form_of_a_stream() {
    let transport = transport(|_| {});
    let mut report = Report::new("forms of a stream");
    for deployment in DEPLOYMENTS {
        for (case, chunks, wanted) in stream_forms() {
            let marked =
                stream(deployment, events(&chunks).piece("data: [DONE]\n\n").end(), &transport).await;
            report.compare(case, deployment, line(marked), wanted);
            // Some servers close without the mark of the end.
            let closed = stream(deployment, events(&chunks).end(), &transport).await;
            report.compare(&format!("{case}, no mark"), deployment, line(closed), wanted);
        }
    }
    report.close();
}

#[tokio::test]
async fn an_end_without_finish_reason_and_mark_is_an_interruption() {
    let transport = transport(|_| {});
    for deployment in DEPLOYMENTS {
        let half = events(&[delta(json!({"content": "ab"}), Value::Null)]).end();
        let error = stream(deployment, half, &transport).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Interrupted, true));
        assert_eq!(error.partial().unwrap().text, "ab");
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

#[tokio::test]
async fn a_gateways_own_header_says_how_long_to_wait() {
    let transport = transport(|_| {});
    let body = json!({"error": {"message": "RateLimitError", "type": "throttling_error", "code": "429"}})
        .to_string();
    for deployment in DEPLOYMENTS {
        for (header, wanted) in
            [("llm_provider-retry-after: 2", "2 s"), ("Retry-After: 3", "3 s"), ("x: y", "later")]
        {
            let error =
                chat(deployment, Reply::document(429, &[header], &body), &transport).await.unwrap_err();
            assert_eq!(advice(error.retry()), wanted, "{}: {header}", name(deployment));
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_late_names_the_reason() {
    let transport = transport(|_| {});
    let refusal = json!({"error": {"message": "rpm exceeded", "type": "throttling_error", "code": "429"}});
    for deployment in DEPLOYMENTS {
        let typed =
            Reply::chunked(200, &[&format!("Content-Type: {EVENTS}")]).piece(format!("data: {refusal}\n\n"));
        let error = stream(deployment, typed.piece("data: [DONE]\n\n").end(), &transport).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::RateLimited, Some("429")),
            "{}",
            name(deployment)
        );
    }
}
