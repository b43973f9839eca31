use std::time::Duration;

use bytes::Bytes;

use super::*;

const KEY: &str = "0123456789abcdef.canaryFEDCBA9876";

fn filter(secrets: &[&str]) -> SecretFilter {
    let mut filter = SecretFilter::new();
    secrets.iter().for_each(|secret| filter.add(secret));
    filter
}

fn shown(error: &Error) -> String {
    let mut shown = format!("{error} {error:?} {:?} {:?}", error.code(), error.request_id());
    let mut source = error.source();
    while let Some(cause) = source {
        shown = format!("{shown} {cause} {cause:?}");
        source = cause.source();
    }
    shown
}

fn server(words: &str) -> Error {
    Error::new(ErrorKind::Server, words).with_vendor_message(words)
}

fn percent(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn lines(text: &str, length: usize) -> String {
    let lines = text.as_bytes().chunks(length).map(|line| str::from_utf8(line).unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_secret_is_taken_out_of_all_that_is_shown() {
    let words = format!("no such key: {KEY}, see Bearer {KEY}!");
    let earlier = server(&words).with_code(&words).with_request_id(&words).into_attempts(Duration::ZERO);
    let violation = crate::Violation::new(KEY, KEY, KEY, KEY);
    let error = server(&words)
        .with_code(&words)
        .with_request_id(KEY)
        .with_quota_reset(&words)
        .with_violations(vec![violation])
        .with_earlier_attempts(earlier)
        .with_source(Error::new(ErrorKind::Server, "deep").with_source(std::io::Error::other(words)));
    assert!(shown(&error).contains(KEY));
    let error = error.without_secrets(&filter(&[KEY]));
    assert!(!shown(&error).contains("canary"), "{}", shown(&error));
    assert_eq!(error.vendor_message(), Some("no such key: .., see Bearer ..!"));
    assert_eq!(error.source().unwrap().to_string(), "server failure: deep: no such key: .., see Bearer ..!");
    assert!(!error.attempts().iter().any(|attempt| format!("{attempt:?}").contains("canary")));
}

#[test]
fn a_key_is_taken_out_in_every_spelling() {
    let key = "bce-v3/ALTAK-canary9e7c/canary1f3d5b79";
    let base64 = |text: &str| base64_simd::STANDARD.encode_to_string(text);
    let filter = filter(&[key]);
    for spelled in [
        key.replace('/', r"\/"),
        key.replace('/', r"\\/"),
        key.replace('/', r"\u002f"),
        key.replace('/', "&#x2f;"),
        percent(key),
        percent(&percent(key)),
        percent(key).to_lowercase(),
        key.to_uppercase(),
        lines(key, 7),
        lines(key, 20).replace('\n', r"\n"),
        base64(key),
        base64(&format!("x{key}")),
        base64(&format!("xy{key}z")),
        lines(&base64(&format!("api_key:{key}")), 10),
        percent(&base64(key)),
    ] {
        let hidden = filter.hide(&format!("no such key `{spelled}`, code invalid_key"));
        assert!(!hidden.to_lowercase().contains("canary") && hidden.len() < 60, "{spelled}: {hidden}");
        assert!(hidden.starts_with("no such key `") && hidden.ends_with("`, code invalid_key"), "{hidden}");
        let bare: String = hidden.chars().filter(char::is_ascii_alphanumeric).collect();
        assert!(bare.len() < "nosuchkeycodeinvalidkey".len() + 16, "{spelled}: {hidden}");
    }
}

#[test]
fn what_is_secret_of_a_link_is_taken_out_in_every_spelling() {
    let link = "https://me:canaryPASS1@h.example/bot70:AAHcanaryTOKEN0123456789xyz/a.jpg?Expires=1767225600&Signature=canary%2Bsig%3D01";
    let mut filter = SecretFilter::new();
    filter.add_link(&link.parse().unwrap());
    let query = link.split_once('?').unwrap().1;
    for spelled in [
        link.to_owned(),
        link.replace('/', r"\/"),
        link.split_once("://").unwrap().1.to_owned(),
        percent(link),
        query.to_owned(),
        query.replace('&', "&amp;"),
        query.replace('&', r"\u0026"),
        query.replace("%2B", "+").replace("%3D", "="),
        "canary+sig=01".to_owned(),
        lines(link, 30),
    ] {
        let hidden = filter.hide(&format!("cannot fetch {spelled} (404 NotFound)"));
        assert!(!hidden.contains("canary"), "{spelled}: {hidden}");
        assert!(hidden.starts_with("cannot fetch ") && hidden.ends_with(" (404 NotFound)"), "{hidden}");
    }
    assert_eq!(filter.hide("h.example/a.jpg is gone"), "h.example/a.jpg is gone");
    let mut filter = SecretFilter::new();
    filter.add_link(&"https://h.example/a?format=image/jpeg&Signature=topsecret".parse().unwrap());
    assert_eq!(filter.hide("no image/jpeg, no topsecret"), "no image/jpeg, no ..");
}

#[test]
fn a_medium_is_taken_out_in_every_spelling() {
    let bytes: Vec<u8> = (0..3_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let base64 = base64_simd::STANDARD.encode_to_string(&bytes);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.bin");
    std::fs::write(&path, &bytes).unwrap();
    let sources = [
        MediaSource::Bytes(Bytes::from(bytes)),
        MediaSource::File(crate::media::MediaFile::open(path).unwrap()),
    ];
    let piece = &base64[700..800];
    for source in &sources {
        let mut filter = SecretFilter::new();
        filter.add_media(source);
        for spelled in [
            piece.to_owned(),
            piece[..48].to_owned(),
            lines(piece, 76),
            lines(piece, 30).replace('\n', r"\r\n"),
            piece.replace('/', r"\/"),
            percent(piece),
            piece.replace('+', "-").replace('/', "_"),
        ] {
            let hidden = filter.hide(&format!("cannot read '{spelled}' as a picture"));
            assert!(hidden.len() < 48, "{spelled}: {hidden}");
            assert!(hidden.starts_with("cannot read '") && hidden.ends_with("' as a picture"), "{hidden}");
        }
        let id = "request 0123456789abcdef0123456789abcdef";
        assert_eq!(filter.hide(id), id);
    }
}

#[test]
fn a_long_part_of_a_secret_is_one_itself() {
    let error = server("signed with canaryFEDCBA9876 of 0123456789abcdef").without_secrets(&filter(&[KEY]));
    assert_eq!(error.vendor_message(), Some("signed with .. of .."));
}

#[test]
fn a_secret_that_was_cut_off_goes_too() {
    for filling in 560..600 {
        let words =
            format!("{} {KEY}", "x".repeat(20).as_str().to_owned() + &" y".repeat((filling - 20) / 2));
        let error = server(&words).without_secrets(&filter(&[KEY]));
        let left = error.vendor_message().unwrap();
        assert!(!left.contains("01234567"), "{filling}: {left}");
    }
}

#[test]
fn short_words_and_other_texts_stay() {
    let error =
        server("any model").with_source(std::io::Error::other("any")).without_secrets(&filter(&["any"]));
    assert_eq!(
        (error.vendor_message(), error.source().unwrap().to_string()),
        (Some("any model"), "any".into())
    );
    let error = server("a text").with_source(std::io::Error::other("deep")).without_secrets(&filter(&[KEY]));
    assert!(error.source().unwrap().downcast_ref::<std::io::Error>().is_some());
}

#[test]
fn ordinary_words_are_told_from_secrets() {
    for word in ["error", "invalid_request_error", "vision-2026", "qwen3-vl-plus", "Team A", ""] {
        assert!(is_ordinary(word) || word == "{word}");
    }
    for secret in
        ["s3cr3tpass", "canary4e6a8c0f08d2b4e6", "sk-0123456789", "AKIAIOSFODNN7EXAMPLE", "hunterX2a"]
    {
        assert!(!is_ordinary(secret), "{secret}");
    }
}

#[test]
fn sources_are_short() {
    for long in ["x ".repeat(400), "one\ntwo".to_owned(), "x\r".to_owned()] {
        for source in [
            std::io::Error::other(long.clone()),
            std::io::Error::other(server("deep").with_source(std::io::Error::other(long.clone()))),
        ] {
            let error = Error::new(ErrorKind::Server, "").with_source(source);
            let shown = error.source().unwrap().to_string();
            assert!(shown.len() <= 300 && !shown.contains(['\n', '\r']), "{shown}");
        }
    }
    let error = Error::new(ErrorKind::Server, "").with_source(std::io::Error::other("short"));
    assert!(error.source().unwrap().downcast_ref::<std::io::Error>().is_some());
}

#[test]
fn another_kind_keeps_what_the_vendor_said() {
    let error = server("x").with_code("7").reclassified(ErrorKind::InvalidMedia, "it is no picture");
    assert_eq!(error.to_string(), "unusable media (code 7): it is no picture: x");
}
