//! Failures: status, code, and what SDKs read before they try again.

use polysight_emulator::Fault;
use serde_json::json;

use crate::client::{Served, about_picture, and, question};

#[tokio::test]
async fn every_failure_of_a_vendor_has_its_status() {
    let served = Served::start("").await;
    let status = |status: u16, header: &str| Fault::Status {
        status,
        code: "1302".to_owned(),
        message: "slow down".to_owned(),
        headers: header
            .split_once(": ")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect(),
    };
    let rows = [
        (Fault::Code("1113".to_owned()), 402, "no_balance", None, Some("false")),
        (status(429, "Retry-After: 7"), 429, "rate_limit_exceeded", Some("7"), None),
        (Fault::Code("1302".to_owned()), 429, "rate_limit_exceeded", None, None),
        (Fault::Code("1301".to_owned()), 400, "content_filter", None, Some("false")),
        (Fault::Code("1002".to_owned()), 502, "upstream_authentication", None, Some("false")),
        (Fault::Html502, 502, "upstream_failure", None, None),
        (Fault::Empty500, 502, "upstream_failure", None, None),
        (Fault::Html200, 502, "upstream_not_understood", None, Some("false")),
        (Fault::ResetBeforeHead, 502, "upstream_unreachable", None, None),
        (Fault::NetworkError, 502, "answer_interrupted", None, Some("false")),
        (Fault::Sensitive, 400, "content_filter", None, Some("false")),
    ];
    for (fault, status, code, wait, should_retry) in rows {
        let name = fault.to_string();
        served.emulator.script(fault);
        let reply = served.chat(&question("default")).await;
        let error = reply.error();
        assert_eq!((reply.status, error["code"].as_str()), (status, Some(code)), "{name}: {reply:?}");
        if wait.is_some() {
            assert_eq!(reply.header("retry-after"), wait, "{name}");
        }
        if status == 429 {
            assert!(reply.header("retry-after").is_some(), "{name}: {reply:?}");
        }
        assert_eq!(reply.header("x-should-retry"), should_retry, "{name}: {reply:?}");
        assert_eq!(error["polysight"]["provider"], "zhipu", "{name}");
        assert!(reply.header("x-request-id").is_some());
    }
}

#[tokio::test]
async fn a_request_that_breaks_limits_names_all_of_them_before_anything_is_sent() {
    let served = Served::start("").await;
    let body = and(
        and(
            about_picture("default", &polysight_testkit::picture(image::ImageFormat::Png, 1, 1)),
            "temperature",
            7,
        ),
        "max_tokens",
        9_999_999,
    );
    let reply = served.chat(&body).await;
    let error = reply.error();
    assert_eq!((reply.status, &error["type"]), (400, &json!("invalid_request_error")));
    let violations = error["polysight"]["violations"].as_array().unwrap();
    assert!(violations.len() >= 2, "{error}");
    for violation in violations {
        assert!(error["message"].as_str().unwrap().contains(violation["path"].as_str().unwrap()), "{error}");
    }
    assert!(served.emulator.requests().is_empty());
}

#[tokio::test]
async fn a_picture_for_a_model_without_vision_is_a_400_that_says_so() {
    let served = Served::start("").await;
    let reply = served
        .chat(&about_picture("blind", &polysight_testkit::picture(image::ImageFormat::Png, 32, 32)))
        .await;
    let error = reply.error();
    assert_eq!((reply.status, error["code"].as_str()), (400, Some("image_not_supported")));
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("image_url is only supported by certain models")
            && message.contains("blind takes no pictures"),
        "{message}"
    );
}

#[tokio::test]
async fn an_unknown_model_is_a_404_that_names_the_nearest() {
    let served = Served::start("").await;
    let reply = served.chat(&question("defualt")).await;
    assert_eq!((reply.status, reply.error()["code"].as_str()), (404, Some("model_not_found")));
    assert!(reply.body.contains("did you mean `default`?"), "{reply:?}");
    let reply = served.chat(&question("zzz")).await;
    assert!(reply.body.contains("known: `blind`, `default`"), "{reply:?}");
}

#[tokio::test]
async fn providers_and_models_are_named_where_the_config_allows_it() {
    let more = "[gateway]\nprovider_models = true";
    let served = Served::start(more).await;
    let reply = served.chat(&question("alibaba/qwen3-vl-flash")).await;
    assert_eq!(reply.json()["polysight"]["model"], "qwen3-vl-flash", "{reply:?}");
    assert_eq!(served.chat(&question("nobody/x")).await.status, 404);
    assert_eq!(Served::start("").await.chat(&question("alibaba/qwen3-vl-flash")).await.status, 404);
}
