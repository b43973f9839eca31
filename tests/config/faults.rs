//! Every fault of a config file is named in one error when the file is read, and nothing is sent.

use polysight::{ErrorKind, Polysight};
use polysight_testkit::MockServer;

/// The faults of a config, in the order in which they are named.
fn faults(text: &str) -> Vec<String> {
    let error = Polysight::from_toml(text).err().unwrap_or_else(|| panic!("this config is taken: {text}"));
    assert_eq!(error.kind(), ErrorKind::Config);
    let faults: Vec<String> = error.violations().iter().map(ToString::to_string).collect();
    let all = error.to_string();
    assert!(faults.iter().all(|fault| !fault.contains('\n') && all.contains(fault)), "{all}");
    assert!(!all.contains("canary"), "{all}");
    faults
}

#[tokio::test]
async fn ten_faults_are_named_in_one_error_and_nothing_is_sent() {
    let server = MockServer::start().await;
    let text = r#"
[providers.a]
backend = "zhipu"
base_url = "SERVER"
api_key = "canary.a"
timeouts = { idle = "x" }

[providers.b]
backend = "qwen-vl"
base_url = "SERVER"
model = 5
timeouts = { idle = 0 }

[providers.c]
backend = "zhipu"
region = "nowhere"

[providers.d]
backend = "ernie"
deployment = "nowhere"

[providers.e]
backend = "ernie"
base_url = "not a url"

[providers.f]
backend = "openai"

[providers.g]
backend = "qwen-vl"
base_url = "SERVER"
api_kee = "canary"

[roles.one]
provider = "gg"

[roles.two]
provider = "g"
retry = "sometimes"
"#;
    let found = faults(&text.replace("SERVER", &server.url("/v1")));
    let expected = [
        "config:6: providers.a.timeouts.idle: `x` is a text (allowed: a number of seconds above 0, at most a year)",
        "config:11: providers.b.model: `5` is a whole number (allowed: a text)",
        "config:12: providers.b.timeouts.idle: `0` is not allowed (allowed: a number of seconds above 0, at most a year)",
        "config:16: providers.c.region: `nowhere` is unknown (allowed: `mainland`, `international`)",
        "config:20: providers.d.deployment: ernie has no deployment `nowhere`; known: vendor, gateway, fastdeploy, vllm",
        "config:24: providers.e.base_url: base_url `not a url` has no scheme: write https:// in front",
        "config:26: providers.f: openai needs a base_url, such as https://host.example/v1",
        "config:32: providers.g.api_kee: unknown key `api_kee`, did you mean `api_key`?",
        "config:35: roles.one.provider: unknown provider `gg`, did you mean `g`?",
        "config:39: roles.two.retry: `sometimes` is not allowed (allowed: true, false, \"patient\", \"interactive\" or a table of settings)",
    ];
    assert_eq!(found, expected);
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_fault_hides_no_other_of_its_table() {
    let lines = [
        "model = 5",
        "region = \"nowhere\"",
        "deployment = \"nowhere\"",
        "base_url = \"not a url\"",
        "timeouts = { idle = 0, connect = \"x\" }",
        "rate_limit = { concurrency = 0 }",
        "api_kee = \"canary\"",
    ];
    for backend in ["zhipu", "qwen-vl", "ernie"] {
        let table = |lines: &str| format!("[providers.p]\nbackend = \"{backend}\"\n{lines}\n");
        let problems = |text: &str| -> Vec<String> {
            let shown = faults(&table(text)).into_iter();
            let mut problems: Vec<String> =
                shown.map(|fault| fault.split_once(": ").unwrap().1.to_owned()).collect();
            problems.sort();
            problems
        };
        let mut alone: Vec<String> = lines.iter().flat_map(|line| problems(line)).collect();
        alone.sort();
        assert_eq!(alone.len(), lines.len() + 1, "{alone:?}");
        assert_eq!(problems(&lines.join("\n")), alone, "{backend}");
    }
}
