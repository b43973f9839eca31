//! The vendor's business codes.
//!
//! HTTP status alone misleads here: no balance (1113), used-up plans (1308 and up) and real throttling (1302, 1305) all
//! arrive as 429. Source: the vendor's error table in its 2026 form, and older forms of it for codes that may still be
//! seen; read 2026-11-21.

use polysight_core::{Error, ErrorKind, RateLimitScope, RetryAdvice};
use polysight_wire::chat::Failure;
use polysight_wire::classify;

/// What a business code means.
struct Code {
    code: u32,
    kind: ErrorKind,
    advice: Advice,
    meaning: &'static str,
}

#[derive(Clone, Copy)]
enum Advice {
    Never,
    Later,
    NewToken,
}

const fn code(code: u32, kind: ErrorKind, advice: Advice, meaning: &'static str) -> Code {
    Code { code, kind, advice, meaning }
}

use Advice::{Later, Never, NewToken};
use ErrorKind::{
    Authentication, Billing, ContentRefused, ContextTooLong, InvalidRequest, ModelNotFound, Overloaded,
    Permission, QuotaExhausted, RateLimited, Server, Unsupported,
};

/// Every code that a table of the vendor lists, in order.
const CODES: &[Code] = &[
    code(500, Server, Later, "internal error"),
    code(1000, Authentication, Never, "the key was refused"),
    code(1001, Authentication, Never, "no key arrived: a proxy may have removed the Authorization header"),
    code(1002, Authentication, Never, "the token is malformed"),
    code(1003, Authentication, NewToken, "the token has expired: check this machine's clock"),
    code(1004, Authentication, Never, "the token's signature is wrong"),
    code(1005, Authentication, Never, "the account's second factor stands in the way"),
    code(1100, Permission, Never, "the account cannot be read or written"),
    code(1110, Permission, Never, "the account is not active"),
    code(1111, Permission, Never, "the account does not exist"),
    code(1112, Permission, Never, "the account is locked"),
    code(1113, Billing, Never, "no balance or package: top up, waiting does not help"),
    code(1120, Server, Later, "the account cannot be reached for the moment"),
    code(1121, Permission, Never, "the account is banned"),
    code(1200, Server, Later, "the call failed"),
    code(1210, InvalidRequest, Never, "a parameter is wrong"),
    code(1211, ModelNotFound, Never, "no such model, or it is retired for this account"),
    code(1212, Unsupported, Never, "the model cannot be called in this way"),
    code(1213, InvalidRequest, Never, "a required field is missing"),
    code(1214, InvalidRequest, Never, "a field is invalid"),
    code(1215, InvalidRequest, Never, "two fields exclude each other"),
    code(1220, Permission, Never, "this key may not use this API"),
    code(1221, Unsupported, Never, "the API is retired"),
    code(1222, Unsupported, Never, "there is no such API"),
    code(1230, Server, Later, "processing failed"),
    code(1231, InvalidRequest, Later, "a request of this request_id is still running: wait, or use a new id"),
    code(1233, InvalidRequest, Never, "no such task, or it belongs to another account"),
    code(1234, Server, Later, "a network error on the vendor's side"),
    code(1261, ContextTooLong, Never, "the prompt is too long"),
    code(1300, ContentRefused, Never, "blocked by policy"),
    code(1301, ContentRefused, Never, "input or output was found unsafe"),
    code(1302, RateLimited, Later, "the account's rate or concurrency limit; windows last minutes"),
    code(1303, RateLimited, Later, "the account's frequency limit"),
    code(1304, QuotaExhausted, Never, "the day's calls are used up"),
    code(1305, Overloaded, Later, "the model is overloaded for everybody; this lasts minutes"),
    code(1308, QuotaExhausted, Never, "the usage window is used up"),
    code(1309, Billing, Never, "the coding plan has expired"),
    code(1310, QuotaExhausted, Never, "the week's or month's limit is used up"),
    code(1311, Permission, Never, "the plan does not include this model"),
    code(1312, Overloaded, Later, "the model is busy"),
    code(1313, RateLimited, Never, "slowed down for unfair use"),
    code(1314, Permission, Never, "the enterprise plan is not valid"),
    code(1315, Permission, Never, "this key works with an enterprise plan only"),
    code(1316, QuotaExhausted, Never, "the 5-hour window is used up, and the balance too"),
    code(1317, QuotaExhausted, Never, "the 7-day window is used up, and the balance too"),
    code(1318, QuotaExhausted, Never, "the sub-account's limit is used up"),
    code(1319, QuotaExhausted, Never, "the sub-account's limit is used up"),
    code(1320, QuotaExhausted, Never, "the company's limit is used up"),
    code(1321, QuotaExhausted, Never, "the company's limit is used up"),
];

/// Words by which the vendor's texts tell failures of code 1210 apart (mainland edition).
const UNREADABLE_PICTURE: &str = "图片输入格式/解析错误";

/// Makes an error of what the vendor said: by its code first, by words and HTTP status if the code is not in the table.
pub(crate) fn error_of(failure: &Failure<'_>) -> Error {
    let number = failure.code.as_deref().and_then(|code| code.trim().parse::<u32>().ok());
    let known = number.and_then(|number| CODES.iter().find(|code| code.code == number));
    let Some(known) = known else { return classify(failure) };
    if known.code == 1210 && failure.message.contains(UNREADABLE_PICTURE) {
        let meaning =
            "a picture could not be fetched or decoded: is its URL public, and not hot-link protected?";
        return failure.describe(Error::new(ErrorKind::MediaFetchFailed, meaning));
    }
    let error = failure.describe(Error::new(known.kind, known.meaning)).with_retry(match known.advice {
        Never => RetryAdvice::Never,
        Later => RetryAdvice::After(None),
        NewToken => RetryAdvice::RefreshCredentials,
    });
    let error = match throttle(known.code) {
        Some(throttle) => error.with_rate_limit_scope(throttle),
        None => error,
    };
    match reset_time(&failure.message).filter(|_| known.kind == QuotaExhausted) {
        Some(when) => error.with_quota_reset(when),
        None => error,
    }
}

/// Which limit a code is about.
fn throttle(code: u32) -> Option<RateLimitScope> {
    match code {
        1302 => Some(RateLimitScope::Account),
        1303 => Some(RateLimitScope::Requests),
        1305 | 1312 => Some(RateLimitScope::Model),
        _ => None,
    }
}

/// The time of day in a text, as `2026-11-21 18:00:00` (Beijing time).
fn reset_time(text: &str) -> Option<&str> {
    const SHAPE: &[u8] = b"dddd-dd-dd dd:dd:dd";
    let bytes = text.as_bytes();
    let start = bytes.windows(SHAPE.len()).position(|window| {
        window.iter().zip(SHAPE).all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        })
    })?;
    text.get(start..start + SHAPE.len())
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

    fn coded(code: u32) -> Error {
        error(429, &format!(r#"{{"error":{{"code":"{code}","message":"x"}}}}"#))
    }

    #[test]
    fn money_and_plans_are_not_throttling_though_all_are_429() {
        assert_eq!((coded(1113).kind(), coded(1113).is_retryable()), (Billing, false));
        assert_eq!((coded(1308).kind(), coded(1308).is_retryable()), (QuotaExhausted, false));
        assert_eq!((coded(1302).kind(), coded(1302).is_retryable()), (RateLimited, true));
        assert_eq!((coded(1305).kind(), coded(1305).is_retryable()), (Overloaded, true));
        assert!(
            [1302, 1305]
                .into_iter()
                .all(|code| coded(code).rate_limit_scope().is_some_and(RateLimitScope::lasts_minutes))
        );
        assert_eq!(coded(1303).rate_limit_scope(), Some(RateLimitScope::Requests));
    }

    #[test]
    fn every_code_of_the_table_is_listed_once_and_in_order() {
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code));
        let retried: Vec<u32> =
            CODES.iter().map(|code| code.code).filter(|code| coded(*code).is_retryable()).collect();
        assert_eq!(retried, [500, 1120, 1200, 1230, 1231, 1234, 1302, 1303, 1305, 1312]);
        assert_eq!(coded(1003).retry(), RetryAdvice::RefreshCredentials);
    }

    #[test]
    fn the_reset_time_of_a_quota_is_found() {
        let body = r#"{"error":{"code":1308,"message":"已达到 5 小时的使用上限。您的限额将在 2026-11-21 18:42:07 重置。"}}"#;
        assert_eq!(error(429, body).quota_reset(), Some("2026-11-21 18:42:07"));
    }

    #[test]
    fn an_unreadable_picture_is_told_from_other_bad_parameters() {
        let body = r#"{"error":{"code":"1210","message":"图片输入格式/解析错误"}}"#;
        assert_eq!(error(400, body).kind(), ErrorKind::MediaFetchFailed);
        let body = r#"{"error":{"code":"1210","message":"max_tokens参数非法：限制数值范围[1,98304]"}}"#;
        assert_eq!(error(400, body).kind(), InvalidRequest);
    }

    #[test]
    fn every_shape_of_body_is_understood() {
        for (status, body, kind) in [
            (401, r#"{"error":{"code":"1000","message":"身份验证失败。"}}"#, Authentication),
            (401, r#"{"error":{"code":1001,"message":"..."}}"#, Authentication),
            (400, r#"{"code":1211,"msg":"..."}"#, ModelNotFound),
            (400, r#"{"code":"1214","message":"..."}"#, InvalidRequest),
            (500, r#"{"error":"text","code":1234}"#, Server),
            (429, r#"{"error":{"code":"9999","message":"new"}}"#, RateLimited),
            (502, "<html><head><title>502 Bad Gateway</title></head></html>", Server),
            (500, "", Server),
            (503, "upstream connect error", Overloaded),
        ] {
            assert_eq!(error(status, body).kind(), kind, "{status} {body}");
        }
        assert!(error(502, "<html><h1>502 Bad Gateway</h1></html>").to_string().ends_with("502 Bad Gateway"));
    }
}
