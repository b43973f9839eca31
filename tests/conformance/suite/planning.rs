//! What is promised before anything is sent.

use std::sync::Arc;

use polysight::{ChatRequest, ErrorKind, Message, Tolerance};
use polysight_testkit::calls;

use super::answers::question;
use super::capability::{Feature, Support};
use super::fixture::Fixture;
use super::pictures::jpeg;

pub(super) async fn refuse_alike(fixture: Arc<Fixture>) {
    let role = fixture.text();
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
        let planned = calls::plan(&role, &request).unwrap_err();
        assert_eq!(planned.kind(), ErrorKind::InvalidRequest);
        assert!(!planned.violations().is_empty());
        let called = calls::plain(&role, request.clone()).await.unwrap_err();
        let streamed = calls::open(&role, request).await.unwrap_err();
        assert_eq!(called.violations(), planned.violations());
        assert_eq!(streamed.violations(), planned.violations());
        assert_eq!((called.to_string(), streamed.to_string()), (planned.to_string(), planned.to_string()));
    }
    assert!(fixture.arrived().is_empty(), "nothing was sent");
}

/// An ability that the card denies is a violation where nothing may be changed.
pub(super) async fn denied(fixture: Arc<Fixture>) {
    for feature in Feature::ASKED.into_iter().filter(|feature| feature.support(&fixture) == Support::No) {
        let request = feature.request().with_tolerance(Tolerance::Strict);
        let planned =
            calls::plan(&feature.role(&fixture), &request).expect_err(&format!("{feature:?} is refused"));
        assert_eq!(planned.kind(), ErrorKind::InvalidRequest);
        let called = calls::plain(&feature.role(&fixture), request.clone()).await.unwrap_err();
        assert_eq!(called.violations(), planned.violations(), "{feature:?}");
        assert!(calls::open(&feature.role(&fixture), request).await.is_err());
    }
    assert!(fixture.arrived().is_empty(), "nothing was sent");
}

pub(super) async fn unknown(fixture: Arc<Fixture>) {
    for feature in Feature::ASKED.into_iter().filter(|feature| feature.support(&fixture) == Support::Unknown)
    {
        let plan = calls::plan(&feature.role(&fixture), &feature.request());
        assert!(plan.is_ok(), "{feature:?}: {}", plan.unwrap_err());
    }
}
