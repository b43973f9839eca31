//! The vendor's codes: words since V2, numbers before.
//!
//! Status first, then code: `invalid_model` alone stands for two things. Numbers of V1 are kept since they were seen under
//! HTTP 200 long after. Source: the vendor's V2 error page of 2025-12-23 and a digest of it of 2026-07-29, its V1 error page
//! of 2025-09-05, its SDKs; read 2026-11-21.

use polysight_core::ErrorKind::{InvalidRequest, MediaFetchFailed, ModelNotFound, RateLimited};
use polysight_core::{Error, ErrorKind};
use polysight_wire::chat::Failure;
use polysight_wire::code_table;

code_table! {
    /// Every code that a table of the vendor lists, in order. The vendor spells "genration" and "interal" so; digests of its
    /// page correct that, and the wire may do either.
    static CODES;
    // V2
    "malformed_json" InvalidRequest never "the body is no JSON";
    "invalid_messages" InvalidRequest never "the messages are malformed";
    "characters_too_long" ContextTooLong never "the prompt has too many characters";
    "tokens_too_long" ContextTooLong never "the prompt is too long";
    "invalid_argument" InvalidRequest never "a parameter is wrong";
    "invalid_plugin_argument" InvalidRequest never "a parameter of a plugin is wrong";
    "invalid_image_genration_prompt" InvalidRequest never "the prompt for a new picture is wrong";
    "invalid_image_generation_prompt" InvalidRequest never "the prompt for a new picture is wrong";
    "invalid_image_genration_refer_image" InvalidRequest never "the reference picture is wrong";
    "invalid_image_generation_refer_image" InvalidRequest never "the reference picture is wrong";
    "image_url_unsafe" ContentRefused never "a picture was found unsafe";
    "no_parameter_permission" Permission never "the account may not use a parameter";
    "invalid_appid" Permission never "the key may not act for this appid: check both";
    "invalid_iam_token" Authentication refresh "the key was refused, or arrived without the word Bearer";
    "system_unsafe" ContentRefused never "the instructions were found unsafe";
    "user_setting_unsafe" ContentRefused never "the question was found unsafe";
    "functions_unsafe" ContentRefused never "the tools were found unsafe";
    "account_overdue" Billing never "the account is overdue: top up, waiting does not help";
    "model_offline" ModelNotFound never "the model is retired";
    "method_not_supported" Config never "the request did not arrive as a POST: check base_url and proxies";
    "rpm_rate_limit_exceeded" RateLimited later (Requests) "the account's requests a minute";
    "tpm_rate_limit_exceeded" RateLimited later (Tokens) "the account's tokens a minute";
    "input_tpm_rate_limit_exceeded" RateLimited later (Tokens) "the account's prompt tokens a minute";
    "output_tpm_rate_limit_exceeded" RateLimited later (Tokens) "the account's answer tokens a minute";
    "offline_batch_reasoning_refused" Overloaded later "no room for batch work now";
    "preemptible_rate_limit_exceeded" RateLimited later "the limit of preemptible requests";
    "user_rate_limit_exceeded" RateLimited later (Burst) "the application's requests a second";
    "cluster_rate_limit_exceeded" Overloaded later "the vendor's cluster is full";
    "cluster_rpm_rate_limit_exceeded" Overloaded later "the vendor's cluster is full";
    "cluster_tpm_rate_limit_exceeded" Overloaded later "the vendor's cluster is full";
    "internal_error" Server later "internal error";
    "dispatch_internal_error" Server later "internal error while dispatching";
    "image_genration_interal_error" Server later "internal error while making a picture";
    "image_generation_internal_error" Server later "internal error while making a picture";
    // FastDeploy
    "model_not_support" ModelNotFound never "the server serves no such model";
    // V1
    "1" Server later "unknown error";
    "2" Overloaded later "the service is not available for the moment";
    "3" Unsupported never "there is no such interface: V1 is retired";
    "4" Overloaded later "the vendor's cluster is full";
    "6" Permission never "the application may not use this interface";
    "13" Authentication never "no service token was made";
    "14" Authentication never "the IAM does not know the key: is it one of a V1 application?";
    "15" Server later "the application was not found or not made";
    "17" QuotaExhausted never "the day's calls are used up, or nothing is paid";
    "18" RateLimited later (Burst) "the application's requests a second";
    "19" QuotaExhausted never "the free quota is used up";
    "100" Authentication refresh "the access token is malformed";
    "110" Authentication refresh "the access token is wrong";
    "111" Authentication refresh "the access token has expired";
    "336000" Server later "internal error";
    "336001" InvalidRequest never "an argument is wrong";
    "336002" InvalidRequest never "the body is no JSON";
    "336003" InvalidRequest never "a parameter is wrong";
    "336004" Permission never "the account may not do this";
    "336005" ModelNotFound never "there is no such service";
    "336006" InvalidRequest never "the messages are wrong";
    "336007" InvalidRequest never "the messages are wrong";
    "336100" Overloaded later "the server is busy";
    "336101" InvalidRequest never "the call is wrong";
    "336102" InvalidRequest never "the call is wrong";
    "336104" ContentRefused never "the instructions were found unsafe";
    "336105" ContentRefused never "the question was found unsafe";
    "336501" RateLimited later (Requests) "the account's requests a minute";
    "336502" RateLimited later (Tokens) "the account's tokens a minute";
    "336503" RateLimited later "the limit of preemptible requests";
}

/// Makes an error of what the vendor said: by its code first, by words and HTTP status if the code is not in the table.
pub(crate) fn classify(failure: &Failure<'_>) -> Error {
    let given = failure.code.as_deref().map(str::trim).unwrap_or_default();
    if let Some((kind, meaning)) = ambiguous(given, failure) {
        return failure.describe(Error::new(kind, meaning));
    }
    match CODES.find(given) {
        Some(known) => known.error(failure),
        None => unlisted(failure),
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
    polysight_wire::classify(failure)
}

fn says(failure: &Failure<'_>, words: &[&str]) -> bool {
    let message = failure.message.to_ascii_lowercase();
    words.iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use polysight_core::ErrorKind::*;
    use polysight_core::RetryAdvice;
    use polysight_wire::ReplyHead;
    use polysight_wire::chat::FailureSource;

    use super::*;

    fn error(status: u16, body: &str) -> Error {
        let head = ReplyHead::new(status, HeaderMap::new());
        classify(&Failure::read(FailureSource::Status, &head, body.as_bytes()))
    }

    fn coded(status: u16, code: &str) -> Error {
        let body =
            format!(r#"{{"error":{{"code":"{code}","message":"x","type":"t"}},"id":"as-a1b2c3d4e5"}}"#);
        error(status, &body)
    }

    #[test]
    fn every_code_is_listed_once() {
        let mut codes: Vec<&str> = CODES.rows().iter().map(|row| row.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CODES.rows().len());
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
