//! Refusals: the vendor's own words, and one kind for all vendors.

use std::sync::Arc;

use polysight::{Error, ErrorKind};
use polysight_testkit::calls::{self, failures};

use super::answers::question;
use super::fixture::{Fixture, Scenario};

fn is(error: &Error, kind: ErrorKind, fixture: &Fixture) {
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.provider(), Some("it"));
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains('\n') && !shown.contains(fixture.target.key), "{shown}");
    assert!(!shown.contains(fixture.target.wrong_key), "{shown}");
}

pub(super) async fn wrong_key(fixture: Arc<Fixture>) {
    let role = fixture.reconfigured(fixture.target.wrong_key, "");
    for error in failures(&role, question("Hello")).await {
        is(&error, ErrorKind::Authentication, &fixture);
        assert!(!error.is_retryable());
    }
}

pub(super) async fn unknown_model(fixture: Arc<Fixture>) {
    let role = fixture.text();
    let request = question("Hello").with_model("no-such-model");
    // A server that takes every model must be scripted, once for each call.
    let script = || {
        if fixture.target.is_openai() {
            fixture.script(Scenario::UnknownModel);
        }
    };
    script();
    let plain = calls::plain(&role, request.clone()).await.unwrap_err();
    script();
    let streamed = calls::streamed(&role, request).await.unwrap_err();
    for error in [plain, streamed] {
        is(&error, ErrorKind::ModelNotFound, &fixture);
        assert!(!error.is_retryable());
    }
}

/// The card is lifted, so that the request goes out and the vendor itself must refuse.
pub(super) async fn too_many_tokens(fixture: Arc<Fixture>) {
    let id = fixture.target.models.text;
    let lifted = match fixture.target.is_openai() {
        true => String::new(), // Its card has no limit.
        false => format!("[[providers.it.models]]\nid = \"{id}\"\nmax_output = 4_000_000_000"),
    };
    let role = fixture.reconfigured(fixture.target.key, &lifted);
    let request = question("Hello").with_max_tokens(3_000_000_000);
    for error in failures(&role, request).await {
        is(&error, ErrorKind::InvalidRequest, &fixture);
        assert!(error.violations().is_empty() && error.status().is_some(), "the vendor says so: {error}");
    }
    assert_eq!(fixture.arrived().len(), 2);
}

async fn scripted(fixture: &Fixture, scenario: Scenario, kind: ErrorKind, retryable: bool) {
    fixture.script(scenario);
    fixture.script(scenario);
    for error in failures(&fixture.text(), question("Hello")).await {
        is(&error, kind, fixture);
        assert_eq!(error.is_retryable(), retryable, "{error:?}");
        let code = error.code().unwrap_or_default();
        assert!(code.eq_ignore_ascii_case(fixture.code(scenario)), "{code}");
    }
    assert!(calls::plain(&fixture.text(), question("Hello")).await.is_ok());
}

pub(super) async fn rate_limited(fixture: Arc<Fixture>) {
    scripted(&fixture, Scenario::RateLimited, ErrorKind::RateLimited, true).await;
}

pub(super) async fn overloaded(fixture: Arc<Fixture>) {
    scripted(&fixture, Scenario::Overloaded, ErrorKind::Overloaded, true).await;
}

pub(super) async fn no_balance(fixture: Arc<Fixture>) {
    scripted(&fixture, Scenario::NoBalance, ErrorKind::Billing, false).await;
}

pub(super) async fn content(fixture: Arc<Fixture>) {
    scripted(&fixture, Scenario::Refused, ErrorKind::ContentRefused, false).await;
}

pub(super) async fn failed(fixture: Arc<Fixture>) {
    scripted(&fixture, Scenario::Failed, ErrorKind::Server, true).await;
}

pub(super) async fn withdrawn(fixture: Arc<Fixture>) {
    fixture.script(Scenario::Withdrawn);
    fixture.script(Scenario::Withdrawn);
    let [plain, streamed] = failures(&fixture.text(), question("Hello")).await;
    is(&plain, ErrorKind::ContentRefused, &fixture);
    is(&streamed, ErrorKind::ContentRefused, &fixture);
    assert!(!streamed.partial().unwrap().text.is_empty());
}
