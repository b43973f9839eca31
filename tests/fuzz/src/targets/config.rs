//! The config file.

use std::fmt::Write as _;

use polysight::{ChatRequest, Error, ErrorKind, Message, Polysight, Result};

use crate::display::{CANARY, check_one_line, check_secret};
use crate::input::{self, Input};

/// The canary of keys that are no strings.
const DIGITS: &str = "7702166553344551";

/// Any text is a config or an error that names the file and shows no key; so is any table, its keys in any form. What
/// environment variables hold is never shown.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // A file that the text names would be opened.
    if !text.contains("api_key_file") {
        check_text(&text, input::hash(data).is_multiple_of(4));
    }
    check_text(&table(&mut Input::new(data)), true);
}

fn check_text(text: &str, ready: bool) {
    match Polysight::from_toml(text) {
        Err(error) => check_error(&error),
        Ok(polysight) => {
            let polysight =
                polysight.with_variables(|name| (!name.is_empty()).then(|| format!("{CANARY}.{name}")));
            assert!(!format!("{polysight:?}").contains(DIGITS));
            // Each provider sets up its TLS: few are enough.
            if ready {
                check_roles(&polysight);
            }
        }
    }
}

fn check_roles(polysight: &Polysight) {
    for name in polysight.provider_names().take(2) {
        polysight.provider(name).err().iter().for_each(check_error);
    }
    for name in polysight.role_names().take(2) {
        match polysight.role(name) {
            Err(error) => check_error(&error),
            Ok(role) => {
                let request = role.complete(ChatRequest::new([Message::user("?")]));
                let planned: Result<_> = role.provider().plan(&request);
                planned.err().iter().for_each(check_secret);
            }
        }
    }
}

fn check_error(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(names_the_file(error.message()), "names no file: {error}");
    let all = error.to_string();
    for fault in error.violations() {
        let fault = fault.to_string();
        assert!(names_the_file(&fault) && all.contains(&fault), "{fault:?} is not in: {all}");
    }
    check_one_line(error);
    check_secret(error);
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(DIGITS), "shows a key: {shown}");
}

/// Whether a text begins with the name of the file, and with the line if that is known.
fn names_the_file(text: &str) -> bool {
    let rest = text.strip_prefix("config:").unwrap_or_default();
    rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(':').starts_with(' ')
}

/// A config of lines that fit, mostly.
fn table(input: &mut Input<'_>) -> String {
    let mut text = String::new();
    let backend = input.pick(&["zhipu", "qwen-vl", "ernie", "openai", "zipu"]);
    let _ = writeln!(text, "[providers.p]\nbackend = \"{backend}\"");
    for _ in 0..1 + input.below(4) {
        let line = provider_line(input);
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "[roles.default]");
    for _ in 0..input.below(5) {
        let line = role_line(input);
        let _ = writeln!(text, "{line}");
    }
    text
}

fn provider_line(input: &mut Input<'_>) -> String {
    let key = input.pick(&["api_key", "api_key", "api_key", "access_key", "secret_key"]);
    match input.below(12) {
        0..=3 => format!("{key} = {}", secret(input)),
        4 => format!("headers = {{ Authorization = {} }}", secret(input)),
        5 => format!("headers = {}", secret(input)),
        6 => format!(
            "{} = \"http://me:{CANARY}@proxy.example:{}\"",
            input.pick(&["proxy", "base_url"]),
            input.byte()
        ),
        7 => format!(
            "{} = {}",
            input.pick(&[
                "auth",
                "region",
                "deployment",
                "protocol",
                "workspace",
                "appid",
                "iam_url",
                "language"
            ]),
            value(input)
        ),
        8 => layer(
            input,
            &[("rate_limit", &["concurrency", "max_wait", "burst"]), ("key_pool", &["strategy", "cooldown"])],
        ),
        9 => format!("api_keys = [{}, {}]", secret(input), secret(input)),
        10 => format!(
            "timeouts = {{ {} = {} }}",
            input.pick(&["connect", "idle", "total", "drain_timeout", "conect"]),
            value(input)
        ),
        _ => format!(
            "models = [{{ id = {}, {} = {} }}]",
            value(input),
            input.pick(&["context", "image", "sampling"]),
            value(input)
        ),
    }
}

/// A key, written in ways right and wrong.
fn secret(input: &mut Input<'_>) -> String {
    match input.below(14) {
        0 => format!("\"{CANARY}.x\""),
        1 => format!("'{CANARY}'"),
        2 => format!("\"{CANARY}"),
        3 => CANARY.to_owned(),
        4 => format!("[\"{CANARY}\"]"),
        5 => format!("{{ x = \"{CANARY}\" }}"),
        6 => format!("\"{CANARY} {CANARY}\""),
        7 => format!("\"{CANARY}\\n{CANARY}\""),
        8 => format!("\"\"\"\n{CANARY}\"\"\" x"),
        9 => DIGITS.to_owned(),
        10 => format!("{DIGITS}.5"),
        11 => format!("\"{CANARY}\\q\""),
        12 => "\"${FUZZED}\"".to_owned(),
        _ => format!("\"${{FUZZED}}{CANARY}${{\""),
    }
}

fn role_line(input: &mut Input<'_>) -> String {
    const KEYS: [&str; 14] = [
        "provider",
        "model",
        "tolerance",
        "greedy",
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "stop",
        "seed",
        "thinking",
        "response_format",
        "keep_raw",
        "temprature",
    ];
    const LAYERS: [(&str, &[&str]); 3] = [
        ("retry", &["max_attempts", "base_delay", "jitter", "max_billed", "attempts"]),
        ("router", &["strategy", "failover", "breaker"]),
        ("deadline", &["total"]),
    ];
    match input.below(7) {
        0 => "provider = \"p\"".to_owned(),
        1 => format!("zhipu = {{ {} = {} }}", input.pick(&["tool_stream", "x"]), value(input)),
        2 => layer(input, &LAYERS),
        3 => format!("fallback = [{}]", value(input)),
        _ => format!("{} = {}", input.pick(&KEYS), value(input)),
    }
}

/// A layer, switched on or off, named, or with one of its settings.
fn layer(input: &mut Input<'_>, layers: &[(&str, &[&str])]) -> String {
    let (layer, settings) = input.pick(layers);
    match input.below(4) {
        0 => format!("{layer} = {}", input.flag()),
        1 => format!("{layer} = {}", secret(input)),
        2 => format!("{layer} = {}", value(input)),
        _ => format!("{layer} = {{ {} = {} }}", input.pick(settings), value(input)),
    }
}

fn value(input: &mut Input<'_>) -> String {
    match input.below(9) {
        0 => input.flag().to_string(),
        1 => (input.number() as i64).to_string(),
        2 => input.count().to_string(),
        3 => format!("{:?}", input.float()).to_lowercase(),
        4 => "1979-05-27T07:32:00Z".to_owned(),
        5 => format!("[{}]", input.count()),
        6 => "{}".to_owned(),
        // JSON's strings are TOML's, but for one control character.
        _ => serde_json::to_string(&input.text()).expect("text"),
    }
}
