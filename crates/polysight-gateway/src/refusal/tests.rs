use polysight::layers::rate_limit::LOCAL_RATE_LIMIT;
use polysight::{Reaction, RetryAdvice};

use super::*;

fn answer(error: Error) -> (u16, String, Option<String>, Option<String>) {
    let refusal = Refusal::from(error);
    let code = refusal.code().to_owned();
    let response = Response::<Body>::from(refusal);
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), code, header(RETRY_AFTER), header(SHOULD_RETRY))
}

/// The names of all kinds stand in the first column of the core's own table.
#[test]
fn every_kind_of_failure_has_a_status() {
    let table = Reaction::table();
    let mut kinds = 0;
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let name = row.split('`').nth(1).unwrap();
        let kind: ErrorKind = match name {
            "timeout" => ErrorKind::Timeout(polysight::TimeoutPhase::Idle),
            name => serde_json::from_value(name.into()).unwrap(),
        };
        assert_ne!(shape(kind).2, UNLISTED, "{name}");
        kinds += 1;
    }
    assert!(kinds > 20, "{table}");
}

#[test]
fn sdks_are_told_what_to_do() {
    let never = || Some("false".to_owned());
    let billing = answer(Error::new(ErrorKind::Billing, "no money").with_status(429).with_code("1113"));
    assert_eq!(billing, (402, "no_balance".to_owned(), None, never()));
    let wait = Error::new(ErrorKind::RateLimited, "")
        .with_retry(RetryAdvice::After(Some(Duration::from_millis(2_500))));
    assert_eq!(answer(wait), (429, "rate_limit_exceeded".to_owned(), Some("3".to_owned()), None));
    let local = Error::new(ErrorKind::RateLimited, "").with_code(LOCAL_RATE_LIMIT).with_local();
    assert_eq!(answer(local).2, Some("1".to_owned()));
    assert_eq!(answer(Error::new(ErrorKind::QuotaExhausted, "")).3, never());
    assert_eq!(answer(Error::new(ErrorKind::Authentication, "")).0, 502);
    assert_eq!(answer(Error::new(ErrorKind::Interrupted, "")).3, never(), "it may have been paid for");
    assert_eq!(answer(Error::new(ErrorKind::Server, "")).3, None);
}

#[test]
fn violations_are_all_listed_in_the_words_of_the_wire() {
    let violations = vec![
        Violation::new("messages[0].parts[1]", "the picture has 9 MB", "5 MB", "make it smaller"),
        Violation::new("temperature", "it is 3", "[0, 1]", ""),
    ];
    let refusal = Refusal::invalid(violations);
    assert_eq!(refusal.status, 400);
    assert_eq!(
        refusal.body.message,
        "invalid request: messages[0].content[1]: the picture has 9 MB (allowed: 5 MB): make it smaller; \
         temperature: it is 3 (allowed: [0, 1])"
    );
    assert_eq!(refusal.body.param.as_deref(), Some("messages[0].content[1]"));
    let json: JsonValue = serde_json::from_slice(&refusal.json()).unwrap();
    assert_eq!(json["error"]["polysight"]["violations"][1]["path"], "temperature");
}
