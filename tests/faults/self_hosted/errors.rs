//! Errors of self-hosted servers and gateways: their bodies, their headers, and what a 500 means.

use polysight::{ErrorKind, RetryAdvice};
use polysight_testkit::{CANARY, Reply};
use serde_json::{Value, json};

use super::{DEPLOYMENTS, EVENTS, Report, advice, chat, delta, error_line, events, name, stream, transport};

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
