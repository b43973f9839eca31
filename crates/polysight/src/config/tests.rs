//! Configs, read: what they give, and what is wrong with them.

use polysight_core::{Error, ErrorKind, Sampling};
use serde::Deserialize;

use super::*;

/// Settings of a vendor for tests.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    region: Region,
    site: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Region {
    #[default]
    North,
    South,
}

/// Two vendors, of which one builds nothing and the other, `map`, takes any setting.
fn backends() -> Backends {
    let mut backends = Backends::default();
    let check = |options: &polysight_wire::ProviderOptions, settings: &Settings| match &settings.site {
        Some(site) if options.deployment.is_none() && site != "known" => {
            vec![Error::new(ErrorKind::Config, format!("no site `{site}`, known: known"))]
        }
        _ => Vec::new(),
    };
    let build = |options: polysight_wire::ProviderOptions, _: Settings| {
        Err(Error::new(ErrorKind::Unsupported, options.name))
    };
    backends.insert("b", Backend::new(check, build));
    let build = |options: polysight_wire::ProviderOptions, _: BTreeMap<String, String>| {
        Err(Error::new(ErrorKind::Unsupported, options.name))
    };
    backends.insert("map", Backend::new(|_, _| Vec::new(), build));
    backends
}

fn read_all(text: &str) -> Result<Config> {
    Config::read(text, Source::text(), &backends())
}

/// Reads what stands below a provider `p`.
fn read(text: &str) -> Result<Config> {
    read_all(&format!("[providers.p]\nbackend = \"b\"\n{text}"))
}

/// The faults of a config, one line each.
pub(crate) fn faults_of(text: &str) -> Vec<String> {
    match read_all(text) {
        Ok(_) => Vec::new(),
        Err(error) => error.violations().iter().map(ToString::to_string).collect(),
    }
}

fn fault(text: &str) -> String {
    let faults = faults_of(&format!("[providers.p]\nbackend = \"b\"\n{text}"));
    let [fault] = faults.as_slice() else { panic!("{text}: {faults:?}") };
    fault.clone()
}

#[test]
fn ten_faults_are_ten_lines() {
    let text = r#"
[providers.a]
backend = "b"
model = 5
region = "nowhere"
base_url = "not a url"
timeouts = { idle = "x", connect = 0, conect = 1 }
quota = true

[providers.c]
backend = "d"

[defaults]
temperature = "warm"

[roles.one]
provider = "aa"
retry = "sometimes"

[roles.two]
fallback = ["two", "three"]
"#;
    let faults = faults_of(text);
    let expected = [
        "config:4: providers.a.model: `5` is a whole number (allowed: a text)",
        "config:5: providers.a.region: `nowhere` is unknown (allowed: `north`, `south`)",
        "config:6: providers.a.base_url: base_url `not a url` has no scheme: write https:// in front",
        "config:7: providers.a.timeouts.conect: unknown key `conect`, did you mean `connect`?",
        "config:7: providers.a.timeouts.connect: `0` is not allowed (allowed: a number of seconds above 0, at most a year)",
        "config:7: providers.a.timeouts.idle: `x` is a text (allowed: a number of seconds above 0, at most a year)",
        "config:8: providers.a.quota: unknown key `quota`, did you mean `rate_limit`?",
        "config:11: providers.c.backend: unknown backend `d`, known: b, map, ernie, openai, qwen-vl, zhipu",
        "config:14: defaults.temperature: `warm` is a text (allowed: a number)",
        "config:17: roles.one.provider: unknown provider `aa`, did you mean `a`?",
        "config:18: roles.one.retry: `sometimes` is not allowed (allowed: true, false, \"patient\", \"interactive\" or a table of settings)",
        "config:21: roles.two.fallback: a role falls back on itself: two -> two",
        "config:21: roles.two.fallback: unknown role `three`, known: one, two",
    ];
    let (mut faults, mut expected) = (faults, expected.map(str::to_owned).to_vec());
    faults.sort();
    expected.sort();
    assert_eq!(faults, expected);
}

#[test]
fn defaults_are_not_for_the_targets_of_a_fallback() {
    let config = read(
        "[defaults]\nretry = \"patient\"\ndeadline = 9\ntemperature = 0.2\nmax_tokens = 5\nb = { x = 1 }\n\
         router = { strategy = \"round_robin\" }\n[roles.warm]\ntemperature = 0.9\n[roles.any]\nfallback = [\"warm\"]",
    )
    .unwrap();
    let any = config.role("any").unwrap();
    assert_eq!((any.defaults.sampling, any.defaults.max_tokens), (Sampling::Default, None));
    assert!(any.defaults.extras.is_empty());
    assert!(any.layers.deadline.is_some());
    let RoleTarget::Roles { router, .. } = &any.target else { panic!("{:?}", any.target) };
    assert_eq!(router.strategy, polysight_layers::Strategy::RoundRobin);
    let warm = config.role("warm").unwrap();
    assert_eq!(warm.layers.retry().unwrap().max_attempts, 8);
    assert!(warm.defaults.max_tokens == Some(5) && warm.defaults.extras["b"]["x"] == 1);
}

#[test]
fn a_role_lays_its_settings_over_those_of_the_defaults() {
    let config = read(
        "[defaults]\nretry = { max_attempts = 5, multiplier = 3 }\n\
         [roles.a]\nretry = { max_attempts = 2 }\n[roles.b]\nretry = false",
    )
    .unwrap();
    let retry = config.role("a").unwrap().layers.retry().unwrap();
    assert_eq!((retry.max_attempts, retry.multiplier), (2, 3.0));
    assert!(config.role("b").unwrap().layers.retry().is_none());
}

#[test]
fn retry_is_on_by_default_and_has_names() {
    let config = read(
        "[roles.a]\n[roles.b]\nretry = true\n[roles.c]\nretry = false\n[roles.d]\nretry = \"interactive\"\n",
    )
    .unwrap();
    let attempts =
        |name| config.role(name).unwrap().layers.retry().map(|retry| (retry.max_attempts, retry.max_billed));
    assert_eq!(attempts("a"), Some((3, polysight_core::Billed::Perhaps)));
    assert_eq!((attempts("b"), attempts("c")), (attempts("a"), None));
    let interactive = config.role("d").unwrap().layers.retry().unwrap();
    assert_eq!(interactive, polysight_layers::RetryPolicy::interactive());
}

#[test]
fn fallbacks_that_meet_again_and_again_are_followed_once() {
    let mut text = String::new();
    for number in 0..60 {
        let next = number + 1;
        text += &format!("[roles.r{number}]\nfallback = [\"r{next}\", \"r{next}\"]\n");
    }
    assert!(read(&format!("{text}[roles.r60]\n")).is_ok());
    let fault = fault(&format!("{text}[roles.r60]\nfallback = [\"r58\"]\n"));
    assert!(fault.contains("r58 -> r59 -> r60 -> r58"), "{fault}");
}

#[test]
fn a_fault_of_the_defaults_is_named_once() {
    let text = "[defaults]\nretry = { max_attempts = 0 }\ntemperature = \"x\"\n[roles.a]\n[roles.b]\n";
    let faults = faults_of(&format!("[providers.p]\nbackend = \"b\"\n{text}"));
    assert!(faults.len() == 2 && faults.iter().all(|fault| fault.contains(": defaults.")), "{faults:?}");
}

#[test]
fn what_is_wrong_is_named_when_the_file_is_read() {
    for (text, words) in [
        ("[defaults]\nfallback = [\"a\"]\n[roles.a]\n", "defaults.fallback: a role cannot"),
        ("[roles.a]\n[roles.c]\nfallback = [{ role = \"a\", weight = -1 }]", "a weight of 0 or more"),
        ("[roles.a]\n[roles.c]\nfallback = []", "the list is empty"),
        (
            "[roles.a]\n[roles.c]\nfallback = [\"a\"]\nretry = true",
            "roles.c.retry: a role with `fallback` has no `retry`",
        ),
        ("[roles.a]\nrouter = {}", "roles.a.router: a router chooses among the roles of `fallback`"),
        ("[roles.a]\nroute = {}", "did you mean `router`?"),
        (
            "[roles.a]\ndeadline = 0",
            "roles.a.deadline: `0` is not allowed (allowed: a number of seconds above 0, or false)",
        ),
        ("[roles.a]\ndeadline = true", "roles.a.deadline: `true`"),
        ("[roles.a]\nthinking = \"hard\"", "roles.a.thinking: `hard` is not allowed (allowed: \"on\""),
        ("[roles.a]\nthinking = -1", "roles.a.thinking: `-1`"),
        ("[roles.a]\ngreedy = true\ntop_p = 0.5", "greedy sampling has no temperature"),
        ("[roles.a]\nresponse_format = \"xml\"", "(allowed: `text`, `json_object`)"),
        ("[roles.a]\nb = 1", "roles.a.b: not a table (allowed: a table)"),
        ("[roles]\na = 1", "roles.a: not a table"),
        ("key_pool = true", "providers.p.key_pool: `true`"),
        ("key_pool = {}", "name them in `api_keys`"),
        ("api_keys = []", "name at least one key"),
        ("api_key = \"a\"\napi_key_file = \"b\"", "exclude each other"),
        ("api_key = \"a\\nb\"", "providers.p.api_key: "),
        ("rate_limit = { concurrency = 0 }", "providers.p.rate_limit: `concurrency`"),
        (
            "rate_limit = { requests = 1 }",
            "providers.p.rate_limit.requests: unknown key `requests`, did you mean `requests_per_minute`?",
        ),
        ("headers = { content-type = \"a\" }", "providers.p.headers: "),
        ("proxy = \"http://\"", "providers.p.proxy: "),
        ("models = [{ id = \"a\" }, { id = \"x\", imge = true }]", "providers.p.models[1]: "),
        (
            "sizes = { max_line = -1 }",
            "providers.p.sizes.max_line: `-1` is not allowed (allowed: a whole number from 0)",
        ),
        ("site = \"moon\"", "providers.p.site: no site `moon`, known: known"),
        ("api_key = \"${KEY\"", "providers.p.api_key: `${` is not closed by `}`"),
        #[cfg(feature = "redis")]
        ("[rate_limit_store]\nurl = \"${URL}\"\nwindoww = 9", "rate_limit_store.windoww: unknown key"),
        #[cfg(feature = "redis")]
        ("[rate_limit_store]\nurl = \"${URL}\"\nwindow = 0", "rate_limit_store: `window` is 0ns"),
        #[cfg(feature = "redis")]
        (
            "[rate_limit_store]\nurl = 7702166553344551",
            "rate_limit_store.url: this is a whole number (allowed: a text)",
        ),
        #[cfg(feature = "redis")]
        ("[rate_limit_store]\nwindow = 9", "rate_limit_store: `url` is missing"),
        #[cfg(not(feature = "redis"))]
        ("[rate_limit_store]\nurl = \"redis://a\"", "enable the cargo feature `redis`"),
        #[cfg(not(feature = "cache"))]
        (
            "[roles.a]\ncache = true",
            "roles.a.cache: this layer is not compiled in: enable the cargo feature `cache`",
        ),
    ] {
        let fault = fault(text);
        assert!(fault.contains(words) && !fault.contains("7702"), "{fault}");
    }
}

#[test]
fn values_that_variables_stand_for_are_not_judged_when_the_file_is_read() {
    let config = read(
        "api_key = \"${KEY}\"\nbase_url = \"${URL}\"\nregion = \"${REGION}\"\nsite = \"${SITE}\"\nproxy = \"${PROXY}\"\n\
         headers = { x-key = \"a${KEY}\" }\ntimeouts = { idle = \"${IDLE}\" }\nmodel = \"$${x}\"",
    )
    .unwrap();
    let lookup: Lookup = std::sync::Arc::new(|name| match name {
        "KEY" => Some("key".to_owned()),
        "URL" => Some("https://h.example/v1".to_owned()),
        "REGION" => Some("south".to_owned()),
        "IDLE" => Some("2.5".to_owned()),
        name => Some(name.to_lowercase()),
    });
    let variables = Variables::new(&lookup);
    let entry = config.provider("p").unwrap();
    let common = entry.config("providers.p", &variables).unwrap();
    assert_eq!(common.limits().idle, std::time::Duration::from_millis(2_500));
    let options = common.options("p").unwrap();
    assert_eq!(options.base_url.unwrap().to_string(), "https://h.example/v1");
    assert_eq!(options.model.as_deref(), Some("${x}"));
    let own: Settings = de::read(entry.own(), "providers.p", Texts::LookedUp(&variables)).unwrap();
    assert!(own.region == Region::South && own.site.as_deref() == Some("site"));
}

#[test]
fn the_value_of_a_variable_is_shown_in_no_fault() {
    let config =
        read("region = \"${REGION}\"\nsite = \"${SITE}\"\ntimeouts = { idle = \"${IDLE}\" }").unwrap();
    let lookup: Lookup = std::sync::Arc::new(|name| Some(format!("canary-{name}")));
    let variables = Variables::new(&lookup);
    let entry = config.provider("p").unwrap();
    let shown = |fault: Fault| config.error(fault.without_values(&variables)).to_string();
    assert_eq!(
        shown(entry.config("providers.p", &variables).err().unwrap()),
        "configuration: config:5: providers.p.timeouts.idle: the value of ${IDLE} is refused \
         (allowed: a number of seconds above 0, at most a year)"
    );
    let error = de::read::<Settings>(entry.own(), "providers.p", Texts::LookedUp(&variables)).err().unwrap();
    assert_eq!(
        shown(error),
        "configuration: config:3: providers.p.region: the value of ${REGION} is refused (allowed: `north`, `south`)"
    );
    variables.expand("${SITE}").unwrap();
    assert_eq!(
        shown(Fault::new("providers.p", "no site `canary-SITE`")),
        "configuration: config: providers.p: no site `${SITE}`"
    );
}

#[test]
fn a_vendor_that_takes_a_map_gets_every_key_that_no_other_setting_has() {
    let text = "[providers.m]\nbackend = \"map\"\nmodel = \"a\"\nx = \"1\"\ny = \"2\"\nrate_limit = true";
    let config = read_all(text).unwrap();
    let entry = config.provider("m").unwrap();
    let own: BTreeMap<String, String> = de::read(entry.own(), "", Texts::Literal).unwrap();
    assert_eq!(
        own.into_iter().collect::<Vec<_>>(),
        [("x".to_owned(), "1".to_owned()), ("y".to_owned(), "2".to_owned())]
    );
    let faults = faults_of("[providers.m]\nbackend = \"map\"\nx = 5");
    assert_eq!(faults, ["config:3: providers.m.x: `5` is a whole number (allowed: a text)"]);
}
