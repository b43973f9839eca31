//! The vendor's error codes, in the spelling of both protocols.
//!
//! HTTP status alone misleads here: an overdue account is 400, `insufficient_quota` is throttling, and a picture that
//! could not be fetched may be 400 or 500 under the codes of a bad parameter or an engine fault. Source: the vendor's
//! page of error messages, its SDK's registry and recorded replies, read 2026-11-21.

use polysight_core::ErrorKind::{
    Authentication, Billing, ContentRefused, InvalidRequest, MediaFetchFailed, ModelNotFound, Server,
    Unsupported,
};
use polysight_core::{Error, ErrorKind, RetryAdvice};
use polysight_wire::chat::Failure;
use polysight_wire::code_table;
use polysight_wire::vendor::Code;

code_table! {
    /// The native codes, which no other service uses, in lower case: documents disagree about upper case.
    static NATIVE;
    "accessdenied" Permission never "the key may not use this model or call";
    "accessdenied.unpurchased" Billing never "the service is not activated for this account";
    "allocationquota.freetieronly" Billing never "the free tier is used up, and the account allows no other";
    "app.accessdenied" Permission never "the workspace may not use this application";
    "arrearage" Billing never "the account is overdue: top up, waiting does not help";
    "badrequest.emptyinput" InvalidRequest never "the request has no input";
    "badrequest.emptymodel" InvalidRequest never "the request names no model";
    "badrequest.emptyparameters" InvalidRequest never "the request has no parameters";
    "badrequest.illegalinput" InvalidRequest never "the input is malformed";
    "badrequest.inputdownloadfailed" MediaFetchFailed later "the vendor could not fetch a medium";
    "badrequest.toolarge" InvalidRequest never "a file is too large";
    "badrequest.toomany" InvalidRequest never "there are too many files";
    "badrequest.unsupportedfileformat" InvalidRequest never "a file has a format that is not taken";
    "budgetlimitexceeded" Billing never "the account's budget is used up";
    "commoditynotpurchased" Billing never "the service is not activated for this account";
    "customroleblocked" ContentRefused never "the account's own content rules refuse this";
    "datainspectionfailed" ContentRefused never "input or output was found unfit by the content inspection";
    "faqruleblocked" ContentRefused never "a content rule refuses this";
    "gatewaytimeout" Server later "the vendor's gateway waited too long";
    "internalerror" Server later "internal error";
    "internalerror.algo" Server later "the inference failed";
    "internalerror.fileupload" Server later "the vendor failed to store a file";
    "internalerror.timeout" Server later "the inference took too long";
    "internalerror.upload" Server later "the vendor failed to store a result";
    "invalidapikey" Authentication never "the key was refused";
    "invalidimage.resolution" InvalidRequest never "a picture has a size that is not taken";
    "invalidimageformat" InvalidRequest never "a picture has a format that is not taken";
    "invalidparameter" InvalidRequest never "a parameter is wrong";
    "invalidparameter.datainspection" MediaFetchFailed later "a medium could not be fetched for inspection";
    "invalidparameter.notsupportenablethinking" InvalidRequest never "the model does not support this setting of thinking";
    "invalidurl" MediaFetchFailed never "a medium's URL is unusable";
    "invalidurl.connectionrefused" MediaFetchFailed never "a medium's host refuses the vendor";
    "invalidurl.timeout" MediaFetchFailed later "a medium's host is too slow";
    "invokepluginfailed" Server later "a plugin failed";
    "ipinfringementsuspect" ContentRefused never "the content may infringe rights of others";
    "model.accessdenied" Permission never "the workspace may not use this model";
    "model.notexist" ModelNotFound never "no such model here";
    "modelnotfound" ModelNotFound never "no such model here";
    "modelservefailed" Server later "the model's service failed";
    "modelservicefailed" Server later "the model's service failed";
    "modelservingerror" Overloaded later "the model's service is out of capacity";
    "modelunavailable" Overloaded later "the model is not available for the moment";
    "not authorized" Authentication never "the key does not belong to this workspace";
    "notfound" InvalidRequest never "what is asked for does not exist";
    "postpaidbilloverdue" Billing never "a bill is overdue";
    "prepaidbilloverdue" Billing never "the prepaid package has ended";
    "requesttimeout" Server later "the call met the vendor's time limit: stream the answer";
    "responsetimeout" Server later "the inference took too long";
    "serviceunavailable" Overloaded later "the service is not available for the moment";
    "systemerror" Server later "internal error";
    "throttling" RateLimited later "too many requests";
    "throttling.allocationquota" RateLimited later (Tokens) "too many tokens a minute";
    "throttling.burstrate" RateLimited later (Burst) "the rate rises too steeply: ramp up more slowly";
    "throttling.ratequota" RateLimited later (Requests) "too many requests a minute";
    "throttling.serviceoverloaded" Overloaded later (Model) "the model is out of capacity";
    "unsupportedoperation" Unsupported never "the operation is not supported";
    "workspace.accessdenied" Permission never "the key may not use this workspace";
    "workspacenotfound" Permission never "no such workspace";
}

code_table! {
    /// The codes of the compatible protocol, some of which mean something else at other services.
    static COMPATIBLE;
    "access_denied" Permission never "the key may not use this model or call";
    "data_inspection_failed" ContentRefused never "input or output was found unfit by the content inspection";
    "insufficient_quota" RateLimited later (Tokens) "too many tokens a minute";
    "internal_error" Server later "internal error";
    "invalid_api_key" Authentication never "the key was refused";
    "invalid_parameter_error" InvalidRequest never "a parameter is wrong";
    "invalid_request_error" InvalidRequest never "the request is malformed";
    "invalid_value" InvalidRequest never "a value is out of range";
    "limit_burst_rate" RateLimited later (Burst) "the rate rises too steeply: ramp up more slowly";
    "limit_requests" RateLimited later (Requests) "too many requests a minute";
    "limitrequests" RateLimited later (Requests) "too many requests a minute";
    "model_not_found" ModelNotFound never "no such model here";
    "model_not_supported" Unsupported never "the model is not served over this protocol: use the native one";
    "request_timeout" Server later "the call met the vendor's time limit: stream the answer";
}

/// Whose words an error body is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ErrorOrigin {
    /// The vendor's own.
    Vendor {
        /// What to add when a key is refused.
        key_hint: String,
    },
    /// A gateway's or a server's, which may pass the vendor's native codes on.
    Other,
}

/// Makes an error of what was said: by its code first, by words and HTTP status if the code is in no table.
pub(crate) fn classify(failure: &Failure<'_>, origin: &ErrorOrigin) -> Error {
    let find = |word: &Option<String>| look_up(word.as_deref()?, origin);
    // A refused key may be of the class `invalid_request_error` too: then the status says more.
    let by_class = || find(&failure.class).filter(|known| !is_collective(known) || failure.status <= 400);
    let Some(known) = find(&failure.code).or_else(by_class) else {
        return by_words(failure).unwrap_or_else(|| polysight_wire::classify(failure));
    };
    if let Some(error) = by_words(failure).filter(|_| is_collective(known)) {
        return error;
    }
    if is_collective(known) && polysight_wire::classify(failure).kind() == ErrorKind::ContextTooLong {
        return polysight_wire::classify(failure);
    }
    let error = match special(known, failure) {
        Some((kind, meaning)) => failure.describe(Error::new(kind, meaning)).with_retry(RetryAdvice::Never),
        None => known.error(failure),
    };
    match origin {
        ErrorOrigin::Vendor { key_hint } if error.kind() == Authentication => {
            let message = format!("{}: {key_hint}", error.message());
            error.reclassified(Authentication, message)
        }
        _ => error,
    }
}

/// Finds a code, or the nearest one that it refines: `InternalError.Algo.Decode` is an `InternalError.Algo`.
fn look_up(code: &str, origin: &ErrorOrigin) -> Option<&'static Code> {
    let compatible = (*origin != ErrorOrigin::Other).then_some(&COMPATIBLE);
    let mut wanted = code.trim();
    loop {
        let found = NATIVE.find(wanted).or_else(|| compatible?.find(wanted));
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
fn special(known: &Code, failure: &Failure<'_>) -> Option<(ErrorKind, &'static str)> {
    let says = |words: &str| contains(&failure.message, words);
    match known.code {
        "throttling.allocationquota" | "insufficient_quota"
            if ["free allocated quota", "free quota", "free tier"].into_iter().any(says) =>
        {
            Some((Billing, "the free tier is used up"))
        }
        "internalerror.algo" | "invalid_parameter_error" if says("list index out of range") => {
            Some((InvalidRequest, "the last message must be the user's or a tool's"))
        }
        "accessdenied" | "access_denied" if says("asynchronous") => {
            Some((Unsupported, "the model cannot be called asynchronously"))
        }
        _ => None,
    }
}

const LATER: RetryAdvice = RetryAdvice::After(None);
const NEVER: RetryAdvice = RetryAdvice::Never;

/// Words by which the vendor tells failures apart that share a code. All of one row must occur.
const WORDS: &[(&[&str], ErrorKind, RetryAdvice, &str)] = &[
    (&["failed to download"], MediaFetchFailed, LATER, UNREACHABLE),
    (&["download", "timed out"], MediaFetchFailed, LATER, UNREACHABLE),
    (
        &["missing content-length of multimodal"],
        MediaFetchFailed,
        NEVER,
        "a medium's host does not tell its length",
    ),
    (&["wrong content-type of multimodal"], MediaFetchFailed, NEVER, "a medium's host tells a wrong type"),
    (&["provided url does not appear to be valid"], MediaFetchFailed, NEVER, "a medium's URL is unusable"),
    (&["range of input length"], ErrorKind::ContextTooLong, NEVER, ""),
    (
        &["inappropriate content"],
        ContentRefused,
        NEVER,
        "input or output was found unfit by the content inspection",
    ),
    (&["good standing"], Billing, NEVER, "the account is overdue: top up, waiting does not help"),
    (&["model not exist"], ModelNotFound, NEVER, "no such model here"),
    (&["does not exist or you do not have access"], ModelNotFound, NEVER, "no such model here"),
    (
        &["url error", "check url"],
        ErrorKind::Config,
        NEVER,
        "this path does not serve the model: check base_url and protocol",
    ),
    (
        &["invalid access token or token expired"],
        Authentication,
        NEVER,
        "the key belongs to a plan with another base_url",
    ),
    (&["abnormal", "generating json"], Server, LATER, "the model lost its way in writing JSON"),
];

const UNREACHABLE: &str = "the vendor could not fetch a medium: is its URL public, with Content-Length and a right type, \
                           and does it answer within seconds?";

fn by_words(failure: &Failure<'_>) -> Option<Error> {
    let row = WORDS.iter().find(|(words, ..)| words.iter().all(|word| contains(&failure.message, word)))?;
    let (_, kind, retry, meaning) = row;
    Some(failure.describe(Error::new(*kind, *meaning)).with_retry(*retry))
}

fn contains(message: &str, words: &str) -> bool {
    message.to_ascii_lowercase().contains(words)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use polysight_core::ErrorKind::{Permission, RateLimited};
    use polysight_wire::ReplyHead;
    use polysight_wire::chat::FailureSource;

    use super::*;

    fn vendor() -> ErrorOrigin {
        ErrorOrigin::Vendor { key_hint: "keys belong to one region".to_owned() }
    }

    fn said(status: u16, body: &str, origin: &ErrorOrigin) -> Error {
        let head = ReplyHead::new(status, HeaderMap::new());
        classify(&Failure::read(FailureSource::Status, &head, body.as_bytes()), origin)
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
        for table in [NATIVE.rows(), COMPATIBLE.rows()] {
            assert!(table.is_sorted_by(|one, next| one.code < next.code));
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
        assert_eq!(said(429, body, &ErrorOrigin::Other).kind(), ErrorKind::QuotaExhausted);
        let body = r#"{"error":{"message":"maximum context length is 4096 tokens","type":"BadRequestError","code":400}}"#;
        assert_eq!(said(400, body, &ErrorOrigin::Other).kind(), ErrorKind::ContextTooLong);
        let body = r#"{"object":"error","message":"bad","type":"BadRequestError","code":400}"#;
        assert_eq!(said(400, body, &ErrorOrigin::Other).kind(), InvalidRequest);
        assert_eq!(said(401, r#"{"error":"Unauthorized"}"#, &ErrorOrigin::Other).kind(), Authentication);
        let body = r#"{"error":{"message":"x","code":"DataInspectionFailed"}}"#;
        assert_eq!(said(400, body, &ErrorOrigin::Other).kind(), ContentRefused);
        assert_eq!(said(502, "<html><h1>Bad Gateway</h1></html>", &ErrorOrigin::Other).kind(), Server);
        assert_eq!(said(413, "", &vendor()).kind(), InvalidRequest);
    }
}
