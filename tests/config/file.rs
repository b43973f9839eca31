//! The config file: what is wrong in it is named, with file, key and the way out.

use polysight::{ErrorKind, Polysight, Registry};

const GOOD: &str = r#"
[providers.zhipu]
backend = "zhipu"
api_key = "${POLYSIGHT_TEST_KEY}"
timeouts = { connect = 3, total = 60.5 }

[defaults]
max_tokens = 100

[roles.default]
provider = "zhipu"
model = "glm-4.6v"
temperature = 0.2

[roles.careful]
model = "glm-5v-turbo"
greedy = true
thinking = "on"
max_tokens = 2000

[roles.careful.zhipu]
tool_stream = true
"#;

fn problem(text: &str) -> String {
    let error = Polysight::from_toml(text).err().unwrap_or_else(|| panic!("this config is taken: {text}"));
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

fn read(text: &str) -> Polysight {
    Polysight::from_toml(text)
        .unwrap()
        .with_variables(|name| (name == "POLYSIGHT_TEST_KEY").then(|| "id.secret\n".to_owned()))
}

#[test]
fn a_good_config_gives_roles_with_their_defaults() {
    let polysight = read(GOOD);
    assert_eq!(polysight.role_names().collect::<Vec<_>>(), ["careful", "default"]);
    let careful = polysight.role("careful").unwrap();
    let request = careful.complete(polysight::ChatRequest::default());
    assert_eq!(request.model.as_deref(), Some("glm-5v-turbo"));
    assert_eq!(request.sampling, polysight::Sampling::Greedy);
    assert_eq!(request.max_tokens, Some(2_000));
    assert_eq!(request.extras["zhipu"]["tool_stream"], true);
    let default =
        polysight.role("default").unwrap().complete(polysight::ChatRequest::default().with_temperature(0.9));
    assert_eq!(default.max_tokens, Some(100), "from [defaults]");
    let polysight::Sampling::Random(random) = default.sampling else { panic!("random") };
    assert_eq!(random.temperature, Some(0.9), "the request wins");
}

#[test]
fn unknown_keys_are_named_with_the_nearest_known_one_all_at_once() {
    let text = problem("[providers.a]\nbackend = \"zhipu\"\napi_kei = \"x\"\nbase_ulr = \"y\"");
    assert!(text.contains("providers.a.api_kei: unknown key `api_kei`, did you mean `api_key`?"), "{text}");
    assert!(text.contains("did you mean `base_url`?"), "{text}");
    assert!(problem("[provider.a]\nbackend = \"zhipu\"").contains("did you mean `providers`?"));
    let text = problem(&GOOD.replace("temperature", "temprature"));
    assert!(text.contains("roles.default.temprature") && text.contains("`temperature`"), "{text}");
    let text = problem(&GOOD.replace("connect", "conect"));
    assert!(text.contains("providers.zhipu.timeouts.conect") && text.contains("`connect`"), "{text}");
}

#[test]
fn an_unknown_backend_is_refused_with_the_nearest_known_one() {
    let text = problem("[providers.a]\nbackend = \"zipu\"");
    assert!(text.contains("did you mean `zhipu`?"), "{text}");
    let text = Polysight::from_toml_with("[providers.a]\nbackend = \"acme\"", Registry::new())
        .unwrap_err()
        .to_string();
    assert!(text.contains("unknown backend `acme`"), "{text}");
}

#[test]
fn roles_must_name_a_provider_that_exists() {
    let text = problem(&GOOD.replace("provider = \"zhipu\"", "provider = \"zhippu\""));
    assert!(text.contains("did you mean `zhipu`?"), "{text}");
    let error = read(GOOD).role("carefull").unwrap_err();
    assert!(error.to_string().contains("did you mean `careful`?"), "{error}");
}

#[test]
fn a_missing_variable_is_named_when_its_provider_is_used() {
    let polysight = Polysight::from_toml(GOOD).unwrap().with_variables(|_| None);
    let error = polysight.role("default").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("providers.zhipu.api_key: the environment variable POLYSIGHT_TEST_KEY"),
        "{error}"
    );
}

#[test]
fn keys_with_line_breaks_inside_are_refused_and_those_at_the_end_trimmed() {
    assert!(read(GOOD).role("default").is_ok());
    let polysight =
        Polysight::from_toml(GOOD).unwrap().with_variables(|_| Some("canary.one\ntwo".to_owned()));
    let error = polysight.role("default").unwrap_err().to_string();
    assert!(error.contains("line break") && !error.contains("canary"), "{error}");
}

#[test]
fn malformed_values_name_their_key() {
    for (bad, part) in [
        (GOOD.replace("0.2", "\"warm\""), "roles.default"),
        (GOOD.replace("[roles.default]", "[roles.default"), "config:10: no valid TOML: "),
        (
            GOOD.replace("greedy = true", "greedy = true\ntemperature = 0.5"),
            "greedy sampling has no temperature",
        ),
        (GOOD.replace("thinking = \"on\"", "thinking = \"hard\""), "thinking"),
        (GOOD.replace("backend = \"zhipu\"", ""), "`backend` is missing"),
        (
            GOOD.replace("backend = \"zhipu\"", "backend = \"zhipu\"\nbase_url = \"open.bigmodel.cn\""),
            "no scheme",
        ),
        (
            GOOD.replace(
                "backend = \"zhipu\"",
                "backend = \"zhipu\"\nheaders = { content-type = \"text/plain\" }",
            ),
            "`content-type` is the transport's own",
        ),
        (GOOD.replace("total = 60.5", "total = -1"), "timeouts.total: `-1`"),
        (
            GOOD.replace("total = 60.5", "total = 0"),
            "timeouts.total: `0` is not allowed (allowed: a number of seconds above 0",
        ),
        (GOOD.replace("backend = \"zhipu\"", "backend = \"zhipu\"\nregion = \"moon\""), "moon"),
        (
            GOOD.replace("backend = \"zhipu\"", "backend = \"zhipu\"\ndeployment = \"moon\""),
            "no deployment `moon`",
        ),
        (
            GOOD.replace("backend = \"zhipu\"", "backend = \"zhipu\"\napi_key_file = \"key\""),
            "exclude each other",
        ),
    ] {
        let text = problem(&bad);
        assert!(text.contains(part) && text.contains(": 1 fault: "), "{text}");
    }
}

#[test]
fn a_key_file_is_read_beside_the_config() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "id.secret\n").unwrap();
    let config = folder.path().join("polysight.toml");
    std::fs::write(&config, "[providers.z]\nbackend = \"zhipu\"\napi_key_file = \"key\"\n[roles.default]\n")
        .unwrap();
    assert!(Polysight::from_file(&config).unwrap().role("default").is_ok());
    std::fs::remove_file(folder.path().join("key")).unwrap();
    let error = Polysight::from_file(&config).unwrap().role("default").unwrap_err().to_string();
    assert!(error.contains("api_key_file") && error.contains("polysight.toml"), "{error}");
    let error = Polysight::from_file(folder.path().join("none.toml")).unwrap_err().to_string();
    assert!(error.contains("none.toml") && error.contains("cannot be read"), "{error}");
}

#[test]
fn own_models_override_the_catalogue() {
    let own =
        "models = [{ id = \"glm-4v-flash\", image = { base64 = true } }, { id = \"mine\", max_output = 7 }]";
    let polysight = read(&GOOD.replace("timeouts", &format!("{own}\ntimeouts")));
    let provider = polysight.provider("zhipu").unwrap();
    let card = provider.catalog().card("glm-4v-flash");
    assert_eq!(card.image.limits().unwrap().base64, Some(true));
    assert_eq!(card.image.limits().unwrap().count, Some(1), "other fields stay");
    assert_eq!(provider.catalog().card("mine").max_output, Some(7));
    let bad = GOOD.replace("timeouts", "models = [{ id = \"x\", imge = true }]\ntimeouts");
    let text = problem(&bad);
    assert!(text.contains("providers.zhipu.models[0]: ") && text.contains("`x`"), "{text}");
    assert!(text.contains("imge"), "{text}");
}

/// The config blocks of a guide.
fn blocks(guide: &str) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(guide);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_config_in_the_guides_is_read() {
    let guides = [
        "README.md",
        "README.zh-CN.md",
        "crates/polysight/README.md",
        "crates/polysight-layers/README.md",
        "crates/polysight-zhipu/README.md",
        "crates/polysight-qwen-vl/README.md",
        "crates/polysight-ernie/README.md",
        "crates/polysight-openai/README.md",
    ];
    let mut read = 0;
    for (guide, block) in
        guides.iter().flat_map(|guide| blocks(guide).into_iter().map(move |block| (guide, block)))
    {
        // A block may show a provider's keys alone.
        if block.contains("[dependencies]") {
            continue;
        }
        Polysight::from_toml(&block).unwrap_or_else(|error| panic!("{guide}: {error}\n{block}"));
        read += 1;
    }
    assert!(read >= 4, "{read} blocks");
}
