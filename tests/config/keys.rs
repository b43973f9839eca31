//! Keys in a config: where they may stand, in which forms, and that no value of a variable is ever shown.

use polysight::{ErrorKind, Polysight, Registry, VisionProviderExt};
use polysight_testkit::{MockServer, Reply};

const KEY: &str = "sk-canary2b8d4f6a1c03e5";

/// A config with these lines in its provider, and what variables hold.
fn config(backend: &str, lines: &str) -> polysight::Result<Polysight> {
    let text = format!("[providers.p]\nbackend = \"{backend}\"\n{lines}\n[roles.r]\n");
    Polysight::from_toml(&text)
        .map(|polysight| polysight.with_variables(|name| (name == "KEY").then(|| KEY.to_owned())))
}

fn assert_hidden(shown: &str) {
    let signs: String = shown.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    assert!(!signs.contains("canary") && !signs.contains("2b8d4f6a1c03e5"), "{shown}");
}

#[tokio::test]
async fn the_value_of_a_variable_is_shown_nowhere_whichever_key_it_stands_at() {
    let server = MockServer::with_handler(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        Reply::json(
            404,
            serde_json::json!({"error": {"code": "model_not_found", "message": body}}).to_string(),
        )
    })
    .await;
    let url = server.url("/v1");
    let mut refused = 0;
    for backend in ["zhipu", "qwen-vl", "ernie", "openai"] {
        for line in [
            "base_url = \"${KEY}\"",
            "base_url = \"https://${KEY}\"",
            "base_url = \"https://${KEY}.h.example/v1\"",
            "base_url = \"https://h.example/v1?key=${KEY}\"",
            "base_url = \"https://me:${KEY}@h.example/v1\"",
            "base_url = \"URL/${KEY}\"",
            "deployment = \"${KEY}\"",
            "region = \"${KEY}\"",
            "auth = \"${KEY}\"",
            "protocol = \"${KEY}\"",
            "workspace = \"${KEY} x\"",
            "model = \"${KEY}\"",
            "api_key_file = \"${KEY}\"",
            "api_key_file = \"/none/${KEY}/key\"",
            "proxy = \"${KEY}\"",
            "proxy = \"socks9://${KEY}@h.example\"",
            "headers = { x-key = \"${KEY}\\u0000\" }",
            "headers = { x-key = \"${KEY}\" }",
            "models = [{ id = \"${KEY}\", image = 5 }]",
            "models = [{ id = \"${KEY}\" }]",
            "timeouts = { idle = \"${KEY}\" }",
            "sizes = { max_reply = \"${KEY}\" }",
            "rate_limit = { concurrency = \"${KEY}\" }",
            "api_key = \"${KEY} ${KEY}\"",
        ] {
            let mut lines = line.replace("URL", &url);
            if !lines.contains("api_key") {
                lines += "\napi_key = \"a.b\"";
            }
            if !lines.contains("base_url") {
                lines += &format!("\nbase_url = \"{url}\"");
            }
            let polysight = match config(backend, &lines) {
                Ok(polysight) => polysight,
                Err(error) => {
                    assert_hidden(&format!("{error} {error:?}"));
                    continue;
                }
            };
            assert_hidden(&format!("{polysight:?} {:?}", polysight.notes()));
            match polysight.role("r") {
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.kind(), ErrorKind::Config);
                    assert_hidden(&format!("{error} {error:?}"));
                }
                Ok(role) => {
                    assert_hidden(&format!("{role:?} {:?}", role.provider()));
                    let error = role.ask("What is it?", None::<polysight::Image>).await.unwrap_err();
                    assert_hidden(&format!("{error} {error:?} {:?}", error.attempts()));
                }
            }
        }
    }
    assert!(refused > 40, "{refused} were refused");
}

#[test]
fn a_host_in_a_variable_is_no_key() {
    for (host, taken) in [
        ("gateway", true),
        ("gw01234567.example", true),
        ("inference-server01234:8000", true),
        ("10.0.0.5", true),
        (KEY, false),
        ("0123456789abcdef0123456789abcdef", false),
    ] {
        let text = "[providers.p]\nbackend = \"openai\"\nbase_url = \"http://${HOST}/v1\"\n[roles.r]\n";
        let role = Polysight::from_toml(text).unwrap().with_variables(|_| Some(host.to_owned())).role("r");
        assert_eq!(role.is_ok(), taken, "{host}");
        if let Err(error) = role {
            assert!(
                error.to_string().contains("${HOST} looks like a key, which belongs into api_key"),
                "{error}"
            );
        }
    }
}

#[test]
fn other_forms_of_variables_name_the_one_that_works() {
    for text in ["$KEY", "%KEY%", "$(KEY)", "$env:KEY", "env:KEY", "{{KEY}}"] {
        for key in ["api_key", "base_url", "api_key_file", "model"] {
            let error = config("qwen-vl", &format!("{key} = \"{text}\"")).err().unwrap();
            let fault = format!("config:3: providers.p.{key}: a variable is written `${{KEY}}` here");
            assert!(error.to_string().contains(&fault), "{error}");
        }
    }
}

#[test]
fn key_files_are_read_in_the_forms_that_people_write() {
    let home = tempfile::tempdir().unwrap();
    let read = |name: &str, text: &[u8]| {
        std::fs::write(home.path().join("key"), text).unwrap();
        let folder = home.path().to_str().unwrap().to_owned();
        let text = format!("[providers.p]\nbackend = \"qwen-vl\"\napi_key_file = \"{name}\"\n[roles.r]\n");
        let lookup = move |name: &str| (name == "HOME").then(|| folder.clone());
        Polysight::from_toml(&text).unwrap().with_variables(lookup).role("r").map(drop)
    };
    for text in [
        "sk-canary01",
        "\u{feff}sk-canary01\r\n",
        "\"sk-canary01\"\n",
        "DASHSCOPE_API_KEY=sk-canary01\n",
        "# key\nexport DASHSCOPE_API_KEY='sk-canary01'\n",
    ] {
        read("~/key", text.as_bytes()).unwrap();
    }
    for (name, text, words) in [
        ("~/key", &b"A=sk-canary01\nB=sk-canary02\n"[..], "holds 2 lines: put the key alone into it"),
        ("~/key", b"sk canary01", "white space"),
        ("~/key", b"", "empty"),
        ("~/key", b"\xff\xfes\0k\0", "cannot be read"),
        ("~/none", b"sk-canary01", "cannot be read"),
        ("~other/key", b"sk-canary01", "write the whole path"),
    ] {
        let error = read(name, text).unwrap_err().to_string();
        assert!(
            error.contains("api_key_file ~") && error.contains(words) && !error.contains("canary"),
            "{error}"
        );
    }
}

#[test]
fn foreign_names_of_settings_suggest_ours() {
    for (key, ours) in [
        ("max_completion_tokens", "max_tokens"),
        ("max_output_tokens", "max_tokens"),
        ("maxTokens", "max_tokens"),
        ("topP", "top_p"),
        ("stop_sequences", "stop"),
    ] {
        let text = format!("[providers.p]\nbackend = \"zhipu\"\n[roles.r]\n{key} = 1\n");
        let error = Polysight::from_toml(&text).err().unwrap().to_string();
        assert!(error.contains(&format!("unknown key `{key}`, did you mean `{ours}`?")), "{error}");
    }
}

#[test]
fn what_a_person_typed_is_shown_short_and_without_secrets() {
    let picture = format!("data:image/png;base64,{}", "iVBORw0KGgoAAAANSUhEUg".repeat(900));
    let link = "https://h.example/a.jpg?Expires=1&Signature=canary01";
    for typed in [picture.as_str(), link, &link[8..], "https://me:canary01@h.example/v1", &"x".repeat(9_000)]
    {
        for text in [
            format!("[providers.p]\nbackend = \"{typed}\""),
            format!("[providers.p]\nbackend = \"qwen-vl\"\ndeployment = \"{typed}\""),
            format!("[providers.p]\nbackend = \"qwen-vl\"\nworkspace = \"{typed}\""),
            format!("[providers.p]\nbackend = \"openai\"\ndeployment = \"{typed}\""),
            format!("[providers.p]\nbackend = \"zhipu\"\n\"{typed}\" = 1"),
            format!("[providers.p]\nbackend = \"zhipu\"\nregion = \"{typed}\""),
            format!("[providers.p]\nbackend = \"zhipu\"\nheaders = {{ \"{typed} \" = \"x\" }}"),
            format!("[providers.p]\nbackend = \"zhipu\"\n[roles.r]\nprovider = \"{typed}\""),
            format!("[providers.p]\nbackend = \"zhipu\"\n[roles.r]\nthinking = \"{typed}\""),
            format!("[providers.p]\nbackend = \"zhipu\"\n[roles.r]\nfallback = [\"{typed}\"]"),
        ] {
            let error = Polysight::from_toml_with(&text, Registry::new())
                .err()
                .unwrap_or_else(|| panic!("{}", &text[..80]));
            let shown = error.to_string();
            assert!(shown.len() < 700 && !shown.contains("canary01") && !shown.contains("SUhEUg"), "{shown}");
        }
        let error = Polysight::from_file(typed).unwrap_err().to_string();
        assert!(error.len() < 400 && !error.contains("canary01") && !error.contains("SUhEUg"), "{error}");
    }
}
