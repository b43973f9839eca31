//! Refusals: the vendor's own words, and one kind for all vendors.

use std::sync::Arc;

use polysight::{Error, ErrorKind, RoleProvider, VisionProvider, VisionProviderExt};

use super::answers::question;
use super::stage::{Stage, Trouble};

/// Asks both ways and gives both errors.
async fn both(role: &RoleProvider) -> [Error; 2] {
    let plain = role.chat(question("Hello")).await.unwrap_err();
    let streamed = role.stream_collected(question("Hello")).await.unwrap_err();
    [plain, streamed]
}

fn is(error: &Error, kind: ErrorKind, stage: &Stage) {
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.provider(), Some("it"));
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains('\n') && !shown.contains(stage.target.key), "{shown}");
    assert!(!shown.contains(stage.target.wrong_key), "{shown}");
}

pub(super) async fn wrong_key(stage: Arc<Stage>) {
    let role = stage.otherwise(&stage.base_url(), stage.target.wrong_key, "");
    for error in both(&role).await {
        is(&error, ErrorKind::Authentication, &stage);
        assert!(!error.is_retryable());
    }
}

pub(super) async fn unknown_model(stage: Arc<Stage>) {
    let role = stage.text();
    let request = question("Hello").with_model("no-such-model");
    for error in
        [role.chat(request.clone()).await.unwrap_err(), role.stream_collected(request).await.unwrap_err()]
    {
        is(&error, ErrorKind::ModelNotFound, &stage);
        assert!(!error.is_retryable());
    }
}

/// The card is lifted, so that the request goes out and the vendor itself must refuse.
pub(super) async fn too_many_tokens(stage: Arc<Stage>) {
    let id = stage.target.models.text;
    let lifted = format!("[[providers.it.models]]\nid = \"{id}\"\nmax_output = 4_000_000_000");
    let role = stage.otherwise(&stage.base_url(), stage.target.key, &lifted);
    let request = question("Hello").with_max_tokens(3_000_000_000);
    for error in
        [role.chat(request.clone()).await.unwrap_err(), role.stream_collected(request).await.unwrap_err()]
    {
        is(&error, ErrorKind::InvalidRequest, &stage);
        assert!(error.violations().is_empty() && error.status().is_some(), "the vendor says so: {error}");
    }
    assert_eq!(stage.arrived().len(), 2);
}

async fn scripted(stage: &Stage, trouble: Trouble, kind: ErrorKind, retryable: bool) {
    stage.script(trouble);
    stage.script(trouble);
    for error in both(&stage.text()).await {
        is(&error, kind, stage);
        assert_eq!(error.is_retryable(), retryable, "{error:?}");
        let code = error.code().unwrap_or_default();
        assert!(code.eq_ignore_ascii_case(stage.code(trouble)), "{code}");
    }
    assert!(stage.text().chat(question("Hello")).await.is_ok());
}

pub(super) async fn rate_limited(stage: Arc<Stage>) {
    scripted(&stage, Trouble::RateLimited, ErrorKind::RateLimited, true).await;
}

pub(super) async fn overloaded(stage: Arc<Stage>) {
    scripted(&stage, Trouble::Overloaded, ErrorKind::Overloaded, true).await;
}

pub(super) async fn no_balance(stage: Arc<Stage>) {
    scripted(&stage, Trouble::NoBalance, ErrorKind::Billing, false).await;
}

pub(super) async fn content(stage: Arc<Stage>) {
    scripted(&stage, Trouble::Refused, ErrorKind::ContentRefused, false).await;
}

pub(super) async fn failed(stage: Arc<Stage>) {
    scripted(&stage, Trouble::Failed, ErrorKind::Server, true).await;
}

pub(super) async fn withdrawn(stage: Arc<Stage>) {
    stage.script(Trouble::Withdrawn);
    stage.script(Trouble::Withdrawn);
    let [plain, streamed] = both(&stage.text()).await;
    is(&plain, ErrorKind::ContentRefused, &stage);
    is(&streamed, ErrorKind::ContentRefused, &stage);
    assert!(!streamed.partial().unwrap().text.is_empty());
}
