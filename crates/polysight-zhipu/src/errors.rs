//! The vendor's business codes.
//!
//! HTTP status alone misleads here: no balance (1113), used-up plans (1308 and up) and real throttling (1302, 1305) all
//! arrive as 429. Source: the vendor's error table in its 2026 form, and older forms of it for codes that may still be
//! seen; read 2026-11-21.

use polysight_core::{Error, ErrorKind};
use polysight_wire::chat::Failure;
use polysight_wire::code_table;

code_table! {
    /// Every code that a table of the vendor lists, in order.
    static CODES;
    "500" Server later "internal error";
    "1000" Authentication never "the key was refused";
    "1001" Authentication never "no key arrived: a proxy may have removed the Authorization header";
    "1002" Authentication never "the token is malformed";
    "1003" Authentication refresh "the token has expired: check this machine's clock";
    "1004" Authentication never "the token's signature is wrong";
    "1005" Authentication never "the account's second factor stands in the way";
    "1100" Permission never "the account cannot be read or written";
    "1110" Permission never "the account is not active";
    "1111" Permission never "the account does not exist";
    "1112" Permission never "the account is locked";
    "1113" Billing never "no balance or package: top up, waiting does not help";
    "1120" Server later "the account cannot be reached for the moment";
    "1121" Permission never "the account is banned";
    "1200" Server later "the call failed";
    "1210" InvalidRequest never "a parameter is wrong";
    "1211" ModelNotFound never "no such model, or it is retired for this account";
    "1212" Unsupported never "the model cannot be called in this way";
    "1213" InvalidRequest never "a required field is missing";
    "1214" InvalidRequest never "a field is invalid";
    "1215" InvalidRequest never "two fields exclude each other";
    "1220" Permission never "this key may not use this API";
    "1221" Unsupported never "the API is retired";
    "1222" Unsupported never "there is no such API";
    "1230" Server later "processing failed";
    "1231" InvalidRequest later "a request of this request_id is still running: wait, or use a new id";
    "1233" InvalidRequest never "no such task, or it belongs to another account";
    "1234" Server later "a network error on the vendor's side";
    "1261" ContextTooLong never "the prompt is too long";
    "1300" ContentRefused never "blocked by policy";
    "1301" ContentRefused never "input or output was found unsafe";
    "1302" RateLimited later (Account) "the account's rate or concurrency limit; windows last minutes";
    "1303" RateLimited later (Requests) "the account's frequency limit";
    "1304" QuotaExhausted never "the day's calls are used up";
    "1305" Overloaded later (Model) "the model is overloaded for everybody; this lasts minutes";
    "1308" QuotaExhausted never "the usage window is used up";
    "1309" Billing never "the coding plan has expired";
    "1310" QuotaExhausted never "the week's or month's limit is used up";
    "1311" Permission never "the plan does not include this model";
    "1312" Overloaded later (Model) "the model is busy";
    "1313" RateLimited never "slowed down for unfair use";
    "1314" Permission never "the enterprise plan is not valid";
    "1315" Permission never "this key works with an enterprise plan only";
    "1316" QuotaExhausted never "the 5-hour window is used up, and the balance too";
    "1317" QuotaExhausted never "the 7-day window is used up, and the balance too";
    "1318" QuotaExhausted never "the sub-account's limit is used up";
    "1319" QuotaExhausted never "the sub-account's limit is used up";
    "1320" QuotaExhausted never "the company's limit is used up";
    "1321" QuotaExhausted never "the company's limit is used up";
}

/// Words by which the vendor's texts tell failures of code 1210 apart (mainland edition).
const UNREADABLE_PICTURE: &str = "图片输入格式/解析错误";

/// Makes an error of what the vendor said: by its code first, by words and HTTP status if the code is not in the table.
pub(crate) fn classify(failure: &Failure<'_>) -> Error {
    let Some(known) = failure.code.as_deref().and_then(|code| CODES.find(code)) else {
        return polysight_wire::classify(failure);
    };
    if known.code == "1210" && failure.message.contains(UNREADABLE_PICTURE) {
        let meaning =
            "a picture could not be fetched or decoded: is its URL public, and not hot-link protected?";
        return failure.describe(Error::new(ErrorKind::MediaFetchFailed, meaning));
    }
    let error = known.error(failure);
    match reset_time(&failure.message).filter(|_| known.kind == ErrorKind::QuotaExhausted) {
        Some(when) => error.with_quota_reset(when),
        None => error,
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
    use polysight_core::ErrorKind::*;
    use polysight_core::{RateLimitScope, RetryAdvice};
    use polysight_wire::ReplyHead;
    use polysight_wire::chat::FailureSource;

    use super::*;

    fn error(status: u16, body: &str) -> Error {
        let head = ReplyHead::new(status, HeaderMap::new());
        classify(&Failure::read(FailureSource::Status, &head, body.as_bytes()))
    }

    fn coded(code: &str) -> Error {
        error(429, &format!(r#"{{"error":{{"code":"{code}","message":"x"}}}}"#))
    }

    #[test]
    fn money_and_plans_are_not_throttling_though_all_are_429() {
        assert_eq!((coded("1113").kind(), coded("1113").is_retryable()), (Billing, false));
        assert_eq!((coded("1308").kind(), coded("1308").is_retryable()), (QuotaExhausted, false));
        assert_eq!((coded("1302").kind(), coded("1302").is_retryable()), (RateLimited, true));
        assert_eq!((coded("1305").kind(), coded("1305").is_retryable()), (Overloaded, true));
        assert!(
            ["1302", "1305"]
                .into_iter()
                .all(|code| coded(code).rate_limit_scope().is_some_and(RateLimitScope::lasts_minutes))
        );
        assert_eq!(coded("1303").rate_limit_scope(), Some(RateLimitScope::Requests));
    }

    #[test]
    fn every_code_of_the_table_is_listed_once_and_in_order() {
        let numbers: Vec<u32> = CODES.rows().iter().map(|row| row.code.parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next));
        let codes = CODES.rows().iter().map(|row| row.code);
        let retried: Vec<&str> = codes.filter(|code| coded(code).is_retryable()).collect();
        assert_eq!(retried, ["500", "1120", "1200", "1230", "1231", "1234", "1302", "1303", "1305", "1312"]);
        assert_eq!(coded("1003").retry(), RetryAdvice::RefreshCredentials);
    }

    #[test]
    fn the_reset_time_of_a_quota_is_found() {
        let body = r#"{"error":{"code":1308,"message":"已达到 5 小时的使用上限。您的限额将在 2026-11-21 18:42:07 重置。"}}"#;
        assert_eq!(error(429, body).quota_reset(), Some("2026-11-21 18:42:07"));
    }

    #[test]
    fn an_unreadable_picture_is_told_from_other_bad_parameters() {
        let body = r#"{"error":{"code":"1210","message":"图片输入格式/解析错误"}}"#;
        assert_eq!(error(400, body).kind(), MediaFetchFailed);
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
