//! The vendor's error codes, in the spelling of both protocols.
//!
//! HTTP status alone misleads here: an overdue account is 400, `insufficient_quota` is throttling, and a picture that
//! could not be fetched may be 400 or 500 under the codes of a bad parameter or an engine fault. Source: the vendor's
//! page of error messages, its SDK's registry and recorded replies, read 2026-11-21.

use polysight_core::{Error, ErrorKind, RateLimitScope, RetryAdvice};
use polysight_wire::chat::Failure;
use polysight_wire::classify;

/// What a code means.
struct Code {
    /// In lower case: documents disagree about upper case.
    code: &'static str,
    kind: ErrorKind,
    advice: Advice,
    meaning: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Advice {
    Never,
    Later,
}

const fn code(code: &'static str, kind: ErrorKind, advice: Advice, meaning: &'static str) -> Code {
    Code { code, kind, advice, meaning }
}

use Advice::{Later, Never};
use ErrorKind::{
    Authentication, Billing, ContentRefused, InvalidRequest, MediaFetchFailed, ModelNotFound, Overloaded,
    Permission, RateLimited, Server, Unsupported,
};

/// The native codes, which no other service uses.
const NATIVE: &[Code] = &[
    code("accessdenied", Permission, Never, "the key may not use this model or call"),
    code("accessdenied.unpurchased", Billing, Never, "the service is not activated for this account"),
    code(
        "allocationquota.freetieronly",
        Billing,
        Never,
        "the free tier is used up, and the account allows no other",
    ),
    code("app.accessdenied", Permission, Never, "the workspace may not use this application"),
    code("arrearage", Billing, Never, "the account is overdue: top up, waiting does not help"),
    code("badrequest.emptyinput", InvalidRequest, Never, "the request has no input"),
    code("badrequest.emptymodel", InvalidRequest, Never, "the request names no model"),
    code("badrequest.emptyparameters", InvalidRequest, Never, "the request has no parameters"),
    code("badrequest.illegalinput", InvalidRequest, Never, "the input is malformed"),
    code("badrequest.inputdownloadfailed", MediaFetchFailed, Later, "the vendor could not fetch a medium"),
    code("badrequest.toolarge", InvalidRequest, Never, "a file is too large"),
    code("badrequest.toomany", InvalidRequest, Never, "there are too many files"),
    code("badrequest.unsupportedfileformat", InvalidRequest, Never, "a file has a format that is not taken"),
    code("budgetlimitexceeded", Billing, Never, "the account's budget is used up"),
    code("commoditynotpurchased", Billing, Never, "the service is not activated for this account"),
    code("customroleblocked", ContentRefused, Never, "the account's own content rules refuse this"),
    code(
        "datainspectionfailed",
        ContentRefused,
        Never,
        "input or output was found unfit by the content inspection",
    ),
    code("faqruleblocked", ContentRefused, Never, "a content rule refuses this"),
    code("gatewaytimeout", Server, Later, "the vendor's gateway waited too long"),
    code("internalerror", Server, Later, "internal error"),
    code("internalerror.algo", Server, Later, "the inference failed"),
    code("internalerror.fileupload", Server, Later, "the vendor failed to store a file"),
    code("internalerror.timeout", Server, Later, "the inference took too long"),
    code("internalerror.upload", Server, Later, "the vendor failed to store a result"),
    code("invalidapikey", Authentication, Never, "the key was refused"),
    code("invalidimage.resolution", InvalidRequest, Never, "a picture has a size that is not taken"),
    code("invalidimageformat", InvalidRequest, Never, "a picture has a format that is not taken"),
    code("invalidparameter", InvalidRequest, Never, "a parameter is wrong"),
    code(
        "invalidparameter.datainspection",
        MediaFetchFailed,
        Later,
        "a medium could not be fetched for inspection",
    ),
    code(
        "invalidparameter.notsupportenablethinking",
        InvalidRequest,
        Never,
        "the model's thinking cannot be set so",
    ),
    code("invalidurl", MediaFetchFailed, Never, "a medium's URL is unusable"),
    code("invalidurl.connectionrefused", MediaFetchFailed, Never, "a medium's host refuses the vendor"),
    code("invalidurl.timeout", MediaFetchFailed, Later, "a medium's host is too slow"),
    code("invokepluginfailed", Server, Later, "a plugin failed"),
    code("ipinfringementsuspect", ContentRefused, Never, "the content may belong to somebody else"),
    code("model.accessdenied", Permission, Never, "the workspace may not use this model"),
    code("model.notexist", ModelNotFound, Never, "no such model here"),
    code("modelnotfound", ModelNotFound, Never, "no such model here"),
    code("modelservefailed", Server, Later, "the model's service failed"),
    code("modelservicefailed", Server, Later, "the model's service failed"),
    code("modelservingerror", Overloaded, Later, "the model's service is out of capacity"),
    code("modelunavailable", Overloaded, Later, "the model is not available for the moment"),
    code("not authorized", Authentication, Never, "the key does not belong to this workspace"),
    code("notfound", InvalidRequest, Never, "what is asked for does not exist"),
    code("postpaidbilloverdue", Billing, Never, "a bill is overdue"),
    code("prepaidbilloverdue", Billing, Never, "the prepaid package has ended"),
    code("requesttimeout", Server, Later, "the call met the vendor's time limit: stream the answer"),
    code("responsetimeout", Server, Later, "the inference took too long"),
    code("serviceunavailable", Overloaded, Later, "the service is not available for the moment"),
    code("systemerror", Server, Later, "internal error"),
    code("throttling", RateLimited, Later, "too many requests"),
    code("throttling.allocationquota", RateLimited, Later, "too many tokens a minute"),
    code("throttling.burstrate", RateLimited, Later, "the rate rises too steeply: ramp up more slowly"),
    code("throttling.ratequota", RateLimited, Later, "too many requests a minute"),
    code("throttling.serviceoverloaded", Overloaded, Later, "the model is out of capacity"),
    code("unsupportedoperation", Unsupported, Never, "this cannot be done"),
    code("workspace.accessdenied", Permission, Never, "the key may not use this workspace"),
    code("workspacenotfound", Permission, Never, "no such workspace"),
];

/// The codes of the compatible protocol, some of which mean something else at other services.
const COMPATIBLE: &[Code] = &[
    code("access_denied", Permission, Never, "the key may not use this model or call"),
    code(
        "data_inspection_failed",
        ContentRefused,
        Never,
        "input or output was found unfit by the content inspection",
    ),
    code("insufficient_quota", RateLimited, Later, "too many tokens a minute"),
    code("internal_error", Server, Later, "internal error"),
    code("invalid_api_key", Authentication, Never, "the key was refused"),
    code("invalid_parameter_error", InvalidRequest, Never, "a parameter is wrong"),
    code("invalid_request_error", InvalidRequest, Never, "the request is malformed"),
    code("invalid_value", InvalidRequest, Never, "a value is out of range"),
    code("limit_burst_rate", RateLimited, Later, "the rate rises too steeply: ramp up more slowly"),
    code("limit_requests", RateLimited, Later, "too many requests a minute"),
    code("limitrequests", RateLimited, Later, "too many requests a minute"),
    code("model_not_found", ModelNotFound, Never, "no such model here"),
    code(
        "model_not_supported",
        Unsupported,
        Never,
        "the model is not served over this protocol: use the native one",
    ),
    code("request_timeout", Server, Later, "the call met the vendor's time limit: stream the answer"),
];

/// Whose words an error body is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// The vendor's own.
    Vendor {
        /// What to add when a key is refused.
        key_hint: String,
    },
    /// A gateway's or a server's, which may pass the vendor's native codes on.
    Other,
}

/// Makes an error of what was said: by its code first, by words and HTTP status if the code is in no table.
pub(crate) fn error_of(failure: &Failure<'_>, speaker: &Speaker) -> Error {
    let find = |word: &Option<String>| look_up(word.as_deref()?, speaker);
    // A refused key may be of the class `invalid_request_error` too: then the status says more.
    let by_class = || find(&failure.class).filter(|known| !is_collective(known) || failure.status <= 400);
    let Some(known) = find(&failure.code).or_else(by_class) else {
        return by_words(failure).unwrap_or_else(|| classify(failure));
    };
    if let Some(error) = by_words(failure).filter(|_| is_collective(known)) {
        return error;
    }
    if is_collective(known) && classify(failure).kind() == ErrorKind::ContextTooLong {
        return classify(failure);
    }
    let (kind, advice, meaning) =
        special(known, failure).unwrap_or((known.kind, known.advice, known.meaning));
    let message = match speaker {
        Speaker::Vendor { key_hint } if kind == Authentication => format!("{meaning}: {key_hint}"),
        _ => meaning.to_owned(),
    };
    let error = advised(failure.describe(Error::new(kind, message)), advice);
    match throttle(known.code).filter(|_| advice == Later) {
        Some(throttle) => error.with_rate_limit_scope(throttle),
        None => error,
    }
}

/// Which limit a code is about.
fn throttle(code: &str) -> Option<RateLimitScope> {
    match code {
        "throttling.ratequota" | "limit_requests" | "limitrequests" => Some(RateLimitScope::Requests),
        "throttling.allocationquota" | "insufficient_quota" => Some(RateLimitScope::Tokens),
        "throttling.burstrate" | "limit_burst_rate" => Some(RateLimitScope::Burst),
        "throttling.serviceoverloaded" => Some(RateLimitScope::Model),
        _ => None,
    }
}

/// Finds a code, or the nearest one that it refines: `InternalError.Algo.Decode` is an `InternalError.Algo`.
fn look_up(code: &str, speaker: &Speaker) -> Option<&'static Code> {
    let compatible = if *speaker == Speaker::Other { &[] } else { COMPATIBLE };
    let code = code.trim().to_ascii_lowercase();
    let mut wanted = code.as_str();
    loop {
        let found = NATIVE.iter().chain(compatible).find(|known| known.code == wanted);
        if found.is_some() {
            return found;
        }
        (wanted, _) = wanted.rsplit_once('.')?;
    }
}

/// Codes under which the vendor puts failures of every kind.
fn is_collective(known: &Code) -> bool {
    matches!(known.kind, InvalidRequest | Server)
}

/// Codes whose meaning hangs on the words beside them.
fn special(known: &Code, failure: &Failure<'_>) -> Option<(ErrorKind, Advice, &'static str)> {
    let says = |words: &str| contains(&failure.message, words);
    match known.code {
        "throttling.allocationquota" | "insufficient_quota"
            if ["free allocated quota", "free quota", "free tier"].into_iter().any(says) =>
        {
            Some((Billing, Never, "the free tier is used up"))
        }
        "internalerror.algo" | "invalid_parameter_error" if says("list index out of range") => {
            Some((InvalidRequest, Never, "the last message must be the user's or a tool's"))
        }
        "accessdenied" | "access_denied" if says("asynchronous") => {
            Some((Unsupported, Never, "the model cannot be called asynchronously"))
        }
        _ => None,
    }
}

/// Words by which the vendor tells failures apart that share a code. All of one row must occur.
const WORDS: &[(&[&str], ErrorKind, Advice, &str)] = &[
    (&["failed to download"], MediaFetchFailed, Later, UNREACHABLE),
    (&["download", "timed out"], MediaFetchFailed, Later, UNREACHABLE),
    (
        &["missing content-length of multimodal"],
        MediaFetchFailed,
        Never,
        "a medium's host does not tell its length",
    ),
    (&["wrong content-type of multimodal"], MediaFetchFailed, Never, "a medium's host tells a wrong type"),
    (&["provided url does not appear to be valid"], MediaFetchFailed, Never, "a medium's URL is unusable"),
    (&["range of input length"], ErrorKind::ContextTooLong, Never, ""),
    (
        &["inappropriate content"],
        ContentRefused,
        Never,
        "input or output was found unfit by the content inspection",
    ),
    (&["good standing"], Billing, Never, "the account is overdue: top up, waiting does not help"),
    (&["model not exist"], ModelNotFound, Never, "no such model here"),
    (&["does not exist or you do not have access"], ModelNotFound, Never, "no such model here"),
    (
        &["url error", "check url"],
        ErrorKind::Config,
        Never,
        "this path does not serve the model: check base_url and protocol",
    ),
    (
        &["invalid access token or token expired"],
        Authentication,
        Never,
        "the key belongs to a plan with another base_url",
    ),
    (&["abnormal", "generating json"], Server, Later, "the model lost its way in writing JSON"),
];

const UNREACHABLE: &str = "the vendor could not fetch a medium: is its URL public, with Content-Length and a right type, \
                           and does it answer within seconds?";

fn by_words(failure: &Failure<'_>) -> Option<Error> {
    let row = WORDS.iter().find(|(words, ..)| words.iter().all(|word| contains(&failure.message, word)))?;
    let (_, kind, advice, meaning) = row;
    Some(advised(failure.describe(Error::new(*kind, *meaning)), *advice))
}

fn contains(message: &str, words: &str) -> bool {
    message.to_ascii_lowercase().contains(words)
}

fn advised(error: Error, advice: Advice) -> Error {
    error.with_retry(match advice {
        Never => RetryAdvice::Never,
        Later => RetryAdvice::After(None),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use polysight_wire::ReplyHead;
    use polysight_wire::chat::FailureSource;

    use super::*;

    fn vendor() -> Speaker {
        Speaker::Vendor { key_hint: "keys belong to one region".to_owned() }
    }

    fn said(status: u16, body: &str, speaker: &Speaker) -> Error {
        let head = ReplyHead::new(status, HeaderMap::new());
        error_of(&Failure::read(FailureSource::Status, &head, body.as_bytes()), speaker)
    }

    fn native(status: u16, code: &str, message: &str) -> Error {
        said(status, &format!(r#"{{"code":"{code}","message":"{message}","request_id":"r-1"}}"#), &vendor())
    }

    fn compatible(status: u16, code: &str, message: &str) -> Error {
        let body = format!(
            r#"{{"error":{{"message":"{message}","type":"x","param":null,"code":"{code}"}},"request_id":"r-1"}}"#
        );
        said(status, &body, &vendor())
    }

    #[test]
    fn every_code_is_listed_once_in_order_and_in_lower_case() {
        for table in [NATIVE, COMPATIBLE] {
            assert!(table.windows(2).all(|pair| pair[0].code < pair[1].code));
            assert!(table.iter().all(|known| known.code == known.code.to_lowercase()));
        }
    }

    #[test]
    fn the_status_says_more_than_a_class_that_holds_everything() {
        let classed = |status| {
            let body = r#"{"error":{"message":"x","type":"invalid_request_error","code":"new_code"}}"#;
            said(status, body, &vendor()).kind()
        };
        assert_eq!(classed(200), InvalidRequest);
        assert_eq!(classed(400), InvalidRequest);
        assert_eq!(classed(401), Authentication);
        assert_eq!(classed(429), RateLimited);
    }

    #[test]
    fn both_spellings_of_a_failure_are_the_same_failure() {
        for (status, native_code, compatible_code, kind, retryable) in [
            (400, "InvalidParameter", "invalid_parameter_error", InvalidRequest, false),
            (400, "Arrearage", "Arrearage", Billing, false),
            (400, "DataInspectionFailed", "data_inspection_failed", ContentRefused, false),
            (401, "InvalidApiKey", "invalid_api_key", Authentication, false),
            (403, "AccessDenied", "access_denied", Permission, false),
            (404, "ModelNotFound", "model_not_found", ModelNotFound, false),
            (429, "Throttling.RateQuota", "limit_requests", RateLimited, true),
            (429, "Throttling.RateQuota", "LimitRequests", RateLimited, true),
            (429, "Throttling.BurstRate", "limit_burst_rate", RateLimited, true),
            (429, "Throttling.AllocationQuota", "insufficient_quota", RateLimited, true),
            (500, "InternalError", "internal_error", Server, true),
            (408, "RequestTimeOut", "request_timeout", Server, true),
        ] {
            for error in [native(status, native_code, "x"), compatible(status, compatible_code, "x")] {
                assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{native_code}");
                assert_eq!(error.status(), Some(status));
                assert_eq!(error.request_id(), Some("r-1"));
            }
        }
    }

    #[test]
    fn money_hides_behind_429_and_400() {
        for code in
            ["CommodityNotPurchased", "PrepaidBillOverdue", "PostpaidBillOverdue", "BudgetLimitExceeded"]
        {
            assert_eq!(
                (native(429, code, "x").kind(), native(429, code, "x").is_retryable()),
                (Billing, false)
            );
        }
        assert_eq!(native(403, "AllocationQuota.FreeTierOnly", "x").kind(), Billing);
        let free = "Free allocated quota exceeded.";
        assert_eq!(compatible(429, "insufficient_quota", free).kind(), Billing);
        let tokens = "Allocated quota exceeded, please increase your quota limit.";
        assert!(compatible(429, "insufficient_quota", tokens).is_retryable());
        let standing = "Access denied, please make sure your account is in good standing.";
        assert_eq!(compatible(400, "invalid_parameter_error", standing).kind(), Billing);
    }

    #[test]
    fn media_that_the_vendor_cannot_fetch_are_told_from_bad_parameters() {
        for (status, code, message, retryable) in [
            (400, "InvalidParameter", "Failed to download multimodal content", true),
            (500, "InternalError.Algo", "Missing Content-Length of multimodal url", false),
            (400, "InvalidParameter", "Wrong Content-Type of multimodal url", false),
            (400, "InvalidURL", "x", false),
            (400, "InvalidURL.Timeout", "x", true),
            (400, "InvalidParameter.DataInspection", "Unable to download the media resource", true),
            (400, "BadRequest.InputDownloadFailed", "x", true),
            (400, "InvalidParameter", "The provided URL does not appear to be valid.", false),
        ] {
            let error = native(status, code, message);
            assert_eq!(
                (error.kind(), error.is_retryable()),
                (MediaFetchFailed, retryable),
                "{code} {message}"
            );
        }
        let wrapped = "<400> InternalError.Algo.InvalidParameter: Failed to download multimodal content";
        assert_eq!(compatible(400, "invalid_parameter_error", wrapped).kind(), MediaFetchFailed);
    }

    #[test]
    fn words_tell_failures_apart_that_share_a_code() {
        let kind = |message: &str| native(400, "InvalidParameter", message).kind();
        assert_eq!(kind("Range of input length should be [1, 129024]"), ErrorKind::ContextTooLong);
        assert_eq!(kind("Model not exist."), ModelNotFound);
        assert_eq!(kind("url error, please check url!"), ErrorKind::Config);
        assert_eq!(kind("Range of top_p should be (0.0, 1.0]"), InvalidRequest);
        assert_eq!(kind("Input data may contain inappropriate content."), ContentRefused);
        let asynchronous = "current user api does not support asynchronous calls";
        assert_eq!(native(403, "AccessDenied", asynchronous).kind(), Unsupported);
        let list = native(500, "InternalError.Algo", "list index out of range");
        assert_eq!((list.kind(), list.is_retryable()), (InvalidRequest, false));
        assert!(native(500, "InternalError.Algo", "inference failed").is_retryable());
    }

    #[test]
    fn a_refused_key_tells_of_the_region() {
        let error = compatible(401, "invalid_api_key", "Incorrect API key provided.");
        assert!(error.to_string().contains("keys belong to one region"), "{error}");
    }

    #[test]
    fn a_failed_stream_may_answer_with_an_event_as_its_body() {
        let body = "data: {\"error\":{\"code\":\"limit_requests\",\"message\":\"x\",\"type\":\"limit_requests\"}}\n\n";
        assert_eq!(said(429, body, &vendor()).kind(), RateLimited);
    }

    #[test]
    fn other_servers_keep_their_own_meaning() {
        let body = r#"{"error":{"code":"insufficient_quota","message":"x","type":"insufficient_quota"}}"#;
        assert_eq!(said(429, body, &Speaker::Other).kind(), ErrorKind::QuotaExhausted);
        let body = r#"{"error":{"message":"maximum context length is 4096 tokens","type":"BadRequestError","code":400}}"#;
        assert_eq!(said(400, body, &Speaker::Other).kind(), ErrorKind::ContextTooLong);
        let body = r#"{"object":"error","message":"bad","type":"BadRequestError","code":400}"#;
        assert_eq!(said(400, body, &Speaker::Other).kind(), InvalidRequest);
        assert_eq!(said(401, r#"{"error":"Unauthorized"}"#, &Speaker::Other).kind(), Authentication);
        let body = r#"{"error":{"message":"x","code":"DataInspectionFailed"}}"#;
        assert_eq!(said(400, body, &Speaker::Other).kind(), ContentRefused);
        assert_eq!(said(502, "<html><h1>Bad Gateway</h1></html>", &Speaker::Other).kind(), Server);
        assert_eq!(said(413, "", &vendor()).kind(), InvalidRequest);
    }
}
