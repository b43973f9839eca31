//! The vendor's codes: words since V2, numbers before.
//!
//! Status first, then code: `invalid_model` alone stands for two things. Numbers of V1 are kept since they were seen under
//! HTTP 200 long after. Source: the vendor's V2 error page of 2025-12-23 and a digest of it of 2026-07-29, its V1 error page
//! of 2025-09-05, its SDKs; read 2026-11-21.

use polysight_core::{Error, ErrorKind, RateLimitScope, RetryAdvice};
use polysight_wire::chat::Failure;
use polysight_wire::classify;

/// What a code means.
struct Code {
    code: &'static str,
    kind: ErrorKind,
    advice: Advice,
    meaning: &'static str,
}

#[derive(Clone, Copy)]
enum Advice {
    Never,
    Later,
    NewKey,
}

const fn code(code: &'static str, kind: ErrorKind, advice: Advice, meaning: &'static str) -> Code {
    Code { code, kind, advice, meaning }
}

use Advice::{Later, Never, NewKey};
use ErrorKind::{
    Authentication, Billing, Config, ContentRefused, ContextTooLong, InvalidRequest, MediaFetchFailed,
    ModelNotFound, Overloaded, Permission, QuotaExhausted, RateLimited, Server, Unsupported,
};

/// Every code that a table of the vendor lists, in order. The vendor spells "genration" and "interal" so; digests of its
/// page correct that, and the wire may do either.
const CODES: &[Code] = &[
    // V2
    code("malformed_json", InvalidRequest, Never, "the body is no JSON"),
    code("invalid_messages", InvalidRequest, Never, "the messages are malformed"),
    code("characters_too_long", ContextTooLong, Never, "the prompt has too many characters"),
    code("tokens_too_long", ContextTooLong, Never, "the prompt is too long"),
    code("invalid_argument", InvalidRequest, Never, "a parameter is wrong"),
    code("invalid_plugin_argument", InvalidRequest, Never, "a parameter of a plugin is wrong"),
    code("invalid_image_genration_prompt", InvalidRequest, Never, "the prompt for a new picture is wrong"),
    code("invalid_image_generation_prompt", InvalidRequest, Never, "the prompt for a new picture is wrong"),
    code("invalid_image_genration_refer_image", InvalidRequest, Never, "the reference picture is wrong"),
    code("invalid_image_generation_refer_image", InvalidRequest, Never, "the reference picture is wrong"),
    code("image_url_unsafe", ContentRefused, Never, "a picture was found unsafe"),
    code("no_parameter_permission", Permission, Never, "the account may not use a parameter"),
    code("invalid_appid", Permission, Never, "the key may not act for this appid: check both"),
    code(
        "invalid_iam_token",
        Authentication,
        NewKey,
        "the key was refused, or arrived without the word Bearer",
    ),
    code("system_unsafe", ContentRefused, Never, "the instructions were found unsafe"),
    code("user_setting_unsafe", ContentRefused, Never, "the question was found unsafe"),
    code("functions_unsafe", ContentRefused, Never, "the tools were found unsafe"),
    code("account_overdue", Billing, Never, "the account is overdue: top up, waiting does not help"),
    code("model_offline", ModelNotFound, Never, "the model is retired"),
    code(
        "method_not_supported",
        Config,
        Never,
        "the request did not arrive as a POST: check base_url and proxies",
    ),
    code("rpm_rate_limit_exceeded", RateLimited, Later, "the account's requests a minute"),
    code("tpm_rate_limit_exceeded", RateLimited, Later, "the account's tokens a minute"),
    code("input_tpm_rate_limit_exceeded", RateLimited, Later, "the account's prompt tokens a minute"),
    code("output_tpm_rate_limit_exceeded", RateLimited, Later, "the account's answer tokens a minute"),
    code("offline_batch_reasoning_refused", Overloaded, Later, "no room for batch work now"),
    code("preemptible_rate_limit_exceeded", RateLimited, Later, "the limit of preemptible requests"),
    code("user_rate_limit_exceeded", RateLimited, Later, "the application's requests a second"),
    code("cluster_rate_limit_exceeded", Overloaded, Later, "the vendor's cluster is full"),
    code("cluster_rpm_rate_limit_exceeded", Overloaded, Later, "the vendor's cluster is full"),
    code("cluster_tpm_rate_limit_exceeded", Overloaded, Later, "the vendor's cluster is full"),
    code("internal_error", Server, Later, "internal error"),
    code("dispatch_internal_error", Server, Later, "internal error while dispatching"),
    code("image_genration_interal_error", Server, Later, "internal error while making a picture"),
    code("image_generation_internal_error", Server, Later, "internal error while making a picture"),
    // FastDeploy
    code("model_not_support", ModelNotFound, Never, "the server serves no such model"),
    // V1
    code("1", Server, Later, "unknown error"),
    code("2", Overloaded, Later, "the service is not available for the moment"),
    code("3", Unsupported, Never, "there is no such interface: V1 is retired"),
    code("4", Overloaded, Later, "the vendor's cluster is full"),
    code("6", Permission, Never, "the application may not use this interface"),
    code("13", Authentication, Never, "no service token was made"),
    code("14", Authentication, Never, "the IAM does not know the key: is it one of a V1 application?"),
    code("15", Server, Later, "the application was not found or not made"),
    code("17", QuotaExhausted, Never, "the day's calls are used up, or nothing is paid"),
    code("18", RateLimited, Later, "the application's requests a second"),
    code("19", QuotaExhausted, Never, "the free quota is used up"),
    code("100", Authentication, NewKey, "the access token is malformed"),
    code("110", Authentication, NewKey, "the access token is wrong"),
    code("111", Authentication, NewKey, "the access token has expired"),
    code("336000", Server, Later, "internal error"),
    code("336001", InvalidRequest, Never, "an argument is wrong"),
    code("336002", InvalidRequest, Never, "the body is no JSON"),
    code("336003", InvalidRequest, Never, "a parameter is wrong"),
    code("336004", Permission, Never, "the account may not do this"),
    code("336005", ModelNotFound, Never, "there is no such service"),
    code("336006", InvalidRequest, Never, "the messages are wrong"),
    code("336007", InvalidRequest, Never, "the messages are wrong"),
    code("336100", Overloaded, Later, "the server is busy"),
    code("336101", InvalidRequest, Never, "the call is wrong"),
    code("336102", InvalidRequest, Never, "the call is wrong"),
    code("336104", ContentRefused, Never, "the instructions were found unsafe"),
    code("336105", ContentRefused, Never, "the question was found unsafe"),
    code("336501", RateLimited, Later, "the account's requests a minute"),
    code("336502", RateLimited, Later, "the account's tokens a minute"),
    code("336503", RateLimited, Later, "the limit of preemptible requests"),
];

/// Makes an error of what the vendor said: by its code first, by words and HTTP status if the code is not in the table.
pub(crate) fn error_of(failure: &Failure<'_>) -> Error {
    let given = failure.code.as_deref().map(str::trim).unwrap_or_default();
    if let Some((kind, meaning)) = ambiguous(given, failure) {
        return failure.describe(Error::new(kind, meaning));
    }
    let Some(known) = CODES.iter().find(|code| code.code.eq_ignore_ascii_case(given)) else {
        return unlisted(failure);
    };
    let error = failure.describe(Error::new(known.kind, known.meaning)).with_retry(match known.advice {
        Never => RetryAdvice::Never,
        Later => RetryAdvice::After(None),
        NewKey => RetryAdvice::RefreshCredentials,
    });
    match throttle(known.code) {
        Some(throttle) => error.with_rate_limit_scope(throttle),
        None => error,
    }
}

/// Which of the account's limits a code is about.
fn throttle(code: &str) -> Option<RateLimitScope> {
    match code {
        "rpm_rate_limit_exceeded" | "336501" => Some(RateLimitScope::Requests),
        "tpm_rate_limit_exceeded"
        | "input_tpm_rate_limit_exceeded"
        | "output_tpm_rate_limit_exceeded"
        | "336502" => Some(RateLimitScope::Tokens),
        "user_rate_limit_exceeded" | "18" => Some(RateLimitScope::Burst),
        _ => None,
    }
}

/// Codes that stand for two things.
fn ambiguous(code: &str, failure: &Failure<'_>) -> Option<(ErrorKind, &'static str)> {
    match code {
        "invalid_model" if failure.status == 400 => Some((InvalidRequest, "no model is named")),
        "invalid_model" => Some((ModelNotFound, "no such model, or the key may not use it")),
        "invalid_image_url" if says(failure, &["width", "height", "size", "format"]) => {
            Some((InvalidRequest, "a picture is out of the vendor's limits"))
        }
        "invalid_image_url" => Some((
            MediaFetchFailed,
            "a picture could not be fetched or decoded: is its URL public and short?",
        )),
        _ => None,
    }
}

/// A code that no table lists. Under HTTP 200 only words tell what it is.
fn unlisted(failure: &Failure<'_>) -> Error {
    if failure.status < 300 && says(failure, &["rate limit", "limit reached", "too many requests"]) {
        return failure.describe(Error::new(RateLimited, ""));
    }
    classify(failure)
}

fn says(failure: &Failure<'_>, words: &[&str]) -> bool {
    let message = failure.message.to_ascii_lowercase();
    words.iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use polysight_wire::ReplyHead;
    use polysight_wire::chat::FailureSource;

    use super::*;

    fn error(status: u16, body: &str) -> Error {
        let head = ReplyHead::new(status, HeaderMap::new());
        error_of(&Failure::read(FailureSource::Status, &head, body.as_bytes()))
    }

    fn coded(status: u16, code: &str) -> Error {
        let body =
            format!(r#"{{"error":{{"code":"{code}","message":"x","type":"t"}},"id":"as-a1b2c3d4e5"}}"#);
        error(status, &body)
    }

    #[test]
    fn every_code_is_listed_once() {
        let mut codes: Vec<&str> = CODES.iter().map(|code| code.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CODES.len());
        assert_eq!(coded(429, "Offline_batch_reasoning_refused").kind(), Overloaded);
    }

    #[test]
    fn each_kind_comes_with_its_advice() {
        for (status, code, kind, retryable) in [
            (400, "tokens_too_long", ContextTooLong, false),
            (400, "image_url_unsafe", ContentRefused, false),
            (401, "no_parameter_permission", Permission, false),
            (403, "user_setting_unsafe", ContentRefused, false),
            (403, "account_overdue", Billing, false),
            (403, "model_offline", ModelNotFound, false),
            (405, "method_not_supported", Config, false),
            (429, "rpm_rate_limit_exceeded", RateLimited, true),
            (429, "input_tpm_rate_limit_exceeded", RateLimited, true),
            (429, "cluster_tpm_rate_limit_exceeded", Overloaded, true),
            (500, "internal_error", Server, true),
            (500, "dispatch_internal_error", Server, true),
        ] {
            let error = coded(status, code);
            assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{code}");
            assert_eq!((error.code(), error.request_id()), (Some(code), Some("as-a1b2c3d4e5")));
        }
        assert_eq!(coded(401, "invalid_iam_token").retry(), RetryAdvice::RefreshCredentials);
    }

    #[test]
    fn one_code_for_two_things_is_told_apart() {
        assert_eq!(coded(400, "invalid_model").kind(), InvalidRequest);
        assert_eq!(coded(401, "invalid_model").kind(), ModelNotFound);
        let picture = |words: &str| {
            error(400, &format!(r#"{{"error":{{"code":"invalid_image_url","message":"{words}"}}}}"#)).kind()
        };
        assert_eq!(picture("the Width of the image is not in range"), InvalidRequest);
        assert_eq!(picture("cannot download"), MediaFetchFailed);
    }

    #[test]
    fn numbers_of_the_retired_surface_are_known_in_every_shape() {
        for (body, kind) in [
            (r#"{"error_code":336502,"error_msg":"tpm","id":"as-1"}"#, RateLimited),
            (r#"{"error_code":"111","error_msg":"Access token expired"}"#, Authentication),
            (r#"{"code":336100,"msg":"busy"}"#, Overloaded),
            (r#"{"code":"rpm_rate_limit_exceeded","msg":"Rate limit reached for RPM"}"#, RateLimited),
            (r#"{"code":"77","msg":"Rate limit reached for RPM"}"#, RateLimited),
            (r#"{"error":{"code":null,"message":"odd"}}"#, Server),
        ] {
            assert_eq!(error(200, body).kind(), kind, "{body}");
        }
    }

    #[test]
    fn what_no_table_lists_goes_by_class_and_status() {
        let classed = |status, class: &str| {
            error(status, &format!(r#"{{"error":{{"code":"new_code","message":"x","type":"{class}"}}}}"#))
                .kind()
        };
        assert_eq!(classed(403, "unsafe_request"), ContentRefused);
        assert_eq!(classed(403, "access_denied"), Permission);
        assert_eq!(classed(429, "rate_limit_exceeded"), RateLimited);
        assert_eq!(classed(500, "Internal_error"), Server);
        assert_eq!(error(404, "resource not found").kind(), Config);
        assert_eq!(error(502, "<html><h1>Bad Gateway</h1></html>").kind(), Server);
        assert_eq!(error(503, "").kind(), Overloaded);
    }
}
