//! What is promised before anything is sent.

use std::sync::Arc;

use polysight::{ChatRequest, ErrorKind, Message, Tolerance, VisionProvider};

use super::answers::question;
use super::offer::{Need, Offer};
use super::pictures::jpeg;
use super::stage::Stage;

pub(super) async fn refuse_alike(stage: Arc<Stage>) {
    let role = stage.text();
    let broken = [
        ChatRequest::new([]),
        ChatRequest::new([Message::system("Be brief.")]),
        ChatRequest::new([Message::user("")]),
        ChatRequest::new([Message::user("x"), Message::assistant("y").with(jpeg(1)), Message::user("z")]),
        ChatRequest::new([Message::user("x"), Message::tool_result("no such call", "y")]),
        question("Hello").with_max_tokens(0),
        question("Hello").with_stop([""]),
        question("Hello").with_temperature(f64::NAN),
        ChatRequest::new([Message::user("")]).with_max_tokens(0).with_stop([""]),
    ];
    for request in broken {
        let planned = role.plan(request.clone()).unwrap_err();
        assert_eq!(planned.kind(), ErrorKind::InvalidRequest);
        assert!(!planned.violations().is_empty());
        let called = role.chat(request.clone()).await.unwrap_err();
        let streamed = role.stream(request).await.unwrap_err();
        assert_eq!(called.violations(), planned.violations());
        assert_eq!(streamed.violations(), planned.violations());
        assert_eq!((called.to_string(), streamed.to_string()), (planned.to_string(), planned.to_string()));
    }
    assert!(stage.arrived().is_empty(), "nothing was sent");
}

/// An ability that the card denies is a violation where nothing may be changed.
pub(super) async fn denied(stage: Arc<Stage>) {
    for need in Need::ASKED.into_iter().filter(|need| need.offer(&stage) == Offer::No) {
        let request = need.request().with_tolerance(Tolerance::Strict);
        let planned = need.role(&stage).plan(request.clone()).expect_err(&format!("{need:?} is refused"));
        assert_eq!(planned.kind(), ErrorKind::InvalidRequest);
        let called = need.role(&stage).chat(request.clone()).await.unwrap_err();
        assert_eq!(called.violations(), planned.violations(), "{need:?}");
        assert!(need.role(&stage).stream(request).await.is_err());
    }
    assert!(stage.arrived().is_empty(), "nothing was sent");
}

pub(super) async fn unsaid(stage: Arc<Stage>) {
    for need in Need::ASKED.into_iter().filter(|need| need.offer(&stage) == Offer::Unsaid) {
        let plan = need.role(&stage).plan(need.request());
        assert!(plan.is_ok(), "{need:?}: {}", plan.unwrap_err());
    }
}
