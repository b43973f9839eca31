//! Configs with keys where they should not be.

use std::path::Path;

use polysight::Polysight;

use crate::call::note_error;
use crate::capture::{Sort, note, note_debug};
use crate::providers::variable;
use crate::secret::{ACCESS_KEY, ERNIE_KEY, HEADER, PASSWORD, QWEN_KEY, ZHIPU_KEY};

/// Reads each of them and uses what it gives; says how many were refused.
pub(crate) fn read_bad_ones(folder: &Path) -> usize {
    std::fs::write(folder.join("two-lines.key"), format!("{QWEN_KEY}\n{QWEN_KEY}\n")).unwrap();
    std::fs::write(folder.join("binary.key"), [QWEN_KEY.as_bytes(), b"\xff\xfe"].concat()).unwrap();
    let mut refused = 0;
    for (number, table) in tables().into_iter().enumerate() {
        let path = folder.join(format!("bad-{number}.toml"));
        std::fs::write(&path, &table).unwrap();
        let place = format!("bad config {number}");
        let ready = Polysight::from_file(&path).map(|polysight| polysight.with_variables(variable)).and_then(
            |polysight| {
                note_debug(Sort::Setting, &place, &polysight);
                polysight
                    .provider("p")
                    .map(|provider| note(Sort::Setting, &place, format!("{provider:?}")))?;
                let names: Vec<String> = polysight.role_names().map(str::to_owned).collect();
                names.iter().try_for_each(|name| polysight.role(name).map(drop))
            },
        );
        note(Sort::Setting, &place, format!("good: {}", ready.is_ok()));
        if let Err(error) = ready {
            refused += 1;
            note_error(&place, &error);
        }
    }
    refused
}

fn tables() -> Vec<String> {
    let in_provider = |backend: &str, lines: String| {
        format!(
            "[providers.p]\nbackend = \"{backend}\"\n{lines}\n[roles.r]\nprovider = \"p\"\nmodel = \"m\"\n"
        )
    };
    let qwen = |lines: String| in_provider("qwen-vl", lines);
    let of_type = [
        format!("[\"{QWEN_KEY}\"]"),
        format!("{{ key = \"{QWEN_KEY}\" }}"),
        format!("{{ {HEADER} = 1 }}"),
        format!("\"{QWEN_KEY}\\n{QWEN_KEY}\""),
        format!("\"{QWEN_KEY} \\u0000\""),
        format!("\"Bearer {QWEN_KEY}\""),
        format!("\"${{{QWEN_KEY}\""),
        // No quotation marks, or only one.
        QWEN_KEY.to_owned(),
        format!("\"{QWEN_KEY}"),
        format!("\"{QWEN_KEY}\" \"{QWEN_KEY}\""),
        format!("'{QWEN_KEY}'\napi_key = '{QWEN_KEY}'"),
        format!("'{QWEN_KEY}'\napi_keys = ['{QWEN_KEY}']"),
    ];
    let mut tables: Vec<String> = of_type.map(|value| qwen(format!("api_key = {value}"))).to_vec();
    tables.extend(
        [
            format!("api_kee = \"{QWEN_KEY}\""),
            format!("api_keys = \"{QWEN_KEY}\""),
            format!("api_keys = [\"{QWEN_KEY}\", 1]"),
            format!("api_keys = [\"{QWEN_KEY}\", \"{QWEN_KEY} x\"]"),
            format!("headers = \"{HEADER}\""),
            format!("headers = [\"{HEADER}\"]"),
            format!("headers = {{ x-one = \"{HEADER}\\n\" }}"),
            format!("headers = {{ x-one = [\"{HEADER}\"] }}"),
            format!("headers = {{ \"x one\" = \"{HEADER}\" }}"),
            format!("headers = {{ authorization = \"{HEADER}\\u007f\" }}"),
            format!("timeouts = \"{QWEN_KEY}\""),
            format!("timeouts = {{ idle = \"{QWEN_KEY}\" }}"),
            format!("models = \"{QWEN_KEY}\""),
            format!("rate_limit = \"{QWEN_KEY}\""),
            format!("rate_limit = {{ concurrency = \"{QWEN_KEY}\" }}"),
            format!("key_pool = \"{QWEN_KEY}\""),
            // Faults beside a key that is right.
            format!("api_key = \"{QWEN_KEY}\"\nmodel = 5\nbase_url = \"not a url\"\nheaders = {{ x-one = [\"{HEADER}\"] }}"),
            format!("proxy = \"http://me:{PASSWORD}@\""),
            format!("proxy = \"me:{PASSWORD}@host:1\""),
            format!("proxy = \"nonsense://me:{PASSWORD}@host:1\""),
            format!("proxy = \"http://me:{PASSWORD}@127.0.0.1:1\"\napi_key = \"{QWEN_KEY} x\""),
            format!("base_url = \"http://me:{PASSWORD}@host/v1\"\napi_key = \"{QWEN_KEY}\""),
            format!("base_url = \"http://me:{PASSWORD}@ho st/v1\"\napi_key = \"{QWEN_KEY}\""),
            format!("base_url = \"https://host/v1?key={PASSWORD}\"\napi_key = \"{QWEN_KEY}\""),
            format!("base_url = 'me:{PASSWORD}@host/v1'\napi_key = \"{QWEN_KEY}\""),
            "api_key_file = \"two-lines.key\"".to_owned(),
            "api_key_file = \"binary.key\"".to_owned(),
            "api_key_file = \"none.key\"".to_owned(),
            format!("api_key = \"{ACCESS_KEY}\""),
            format!("api_key = \"{ZHIPU_KEY}\""),
            format!("api_key = \"{ERNIE_KEY}\""),
        ]
        .map(qwen),
    );
    let ernie = [
        format!("access_key = \"{ACCESS_KEY}\""),
        format!("auth = \"iam\"\naccess_key = \"{ACCESS_KEY}\""),
        format!("auth = \"iam\"\naccess_key = \"{ERNIE_KEY}\"\nsecret_key = \"{ERNIE_KEY}\""),
        format!("auth = \"iam\"\naccess_key = [\"{ACCESS_KEY}\"]\nsecret_key = 1"),
        format!("auth = \"iam\"\naccess_key = \"{ACCESS_KEY}\"\nsecret_key = \"{ERNIE_KEY}\\n1\""),
        format!(
            "auth = \"iam\"\naccess_key = \"{ACCESS_KEY}\"\nsecret_key = \"{ERNIE_KEY}\"\napi_key = \"{ERNIE_KEY}\""
        ),
        format!("api_key = \"{ACCESS_KEY}\""),
        format!("access_token = \"{ACCESS_KEY}\""),
        format!("client_secret = \"{ERNIE_KEY}\""),
    ];
    tables.extend(ernie.map(|lines| in_provider("ernie", lines)));
    let zhipu = [QWEN_KEY, "canary7f3a9b2c6d01", "canary7f3a9b2c6d01.", ERNIE_KEY];
    tables.extend(zhipu.map(|key| in_provider("zhipu", format!("api_key = \"{key}\"\nauth = \"jwt\""))));
    let openai = [
        // No base URL.
        format!("api_key = \"{QWEN_KEY}\""),
        format!("api_key = \"{QWEN_KEY}\"\nbase_url = \"http://me:{PASSWORD}@host/v1\""),
        format!("api_key = \"{QWEN_KEY}\"\nbase_url = \"http://host/v1\"\nthinking = \"{QWEN_KEY}\""),
    ];
    tables.extend(openai.map(|lines| in_provider("openai", lines)));
    let stores = [
        format!("url = \"redis://:{PASSWORD}@host:none\""),
        format!("url = \"redis://me:{PASSWORD}@127.0.0.1:1/zero\""),
        format!("url = \"nonsense://me:{PASSWORD}@host\""),
        format!("url = [\"redis://:{PASSWORD}@host\"]"),
        format!("url = \"redis://:{PASSWORD}@127.0.0.1:1\"\ncooldown = \"{PASSWORD}\""),
        format!("url = \"redis://:{PASSWORD}@127.0.0.1:1\"\nwindow = \"{PASSWORD}\""),
        format!("uri = \"redis://:{PASSWORD}@host\""),
    ];
    tables.extend(stores.map(|lines| {
        qwen(format!("api_key = \"{QWEN_KEY}\"\nrate_limit = true"))
            + &format!("[rate_limit_store]\n{lines}\n")
    }));
    tables.push(qwen(format!("api_key = \"{QWEN_KEY}\"")) + &format!("retry = \"{QWEN_KEY}\"\n"));
    tables.push(format!("providers = \"{QWEN_KEY}\""));
    tables.push(format!("api_key = \"{QWEN_KEY}\""));
    tables.push(format!("[providers]\np = \"{QWEN_KEY}\""));
    tables
}
