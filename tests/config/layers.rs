//! Layers from a config file, over real sockets: the answer, the provider that it names, the attempts before it.

use std::time::Duration;

use image::ImageFormat;
use polysight::{ChatRequest, ErrorKind, Image, Message, Polysight, TimeoutPhase};
use polysight_emulator::{Emulator, Fault, Surface};
use polysight_testkit::{calls, picture};

const QWEN_KEY: &str = "sk-0123456789abcdef0123456789abcdef";

/// Two vendors at two emulators, and roles with layers.
struct Vendors {
    zhipu: Emulator,
    qwen: Emulator,
}

impl Vendors {
    async fn new() -> Self {
        Self { zhipu: Emulator::start().await.unwrap(), qwen: Emulator::start().await.unwrap() }
    }

    fn polysight(&self, more: &str) -> Polysight {
        self.try_polysight(more).unwrap()
    }

    fn try_polysight(&self, more: &str) -> polysight::Result<Polysight> {
        let (zhipu, qwen) =
            (self.zhipu.base_url(Surface::Zhipu), self.qwen.base_url(Surface::DashScopeCompatible));
        let config = format!(
            r#"
            [providers.zhipu]
            backend = "zhipu"
            base_url = "{zhipu}"
            api_key = "id.secret"

            [providers.alibaba]
            backend = "qwen-vl"
            base_url = "{qwen}"
            api_key = "{QWEN_KEY}"

            [roles.first]
            provider = "zhipu"
            model = "glm-4v-plus"

            [roles.second]
            provider = "alibaba"
            model = "qwen3-vl-plus"
            {more}
            "#
        );
        Polysight::from_toml(&config)
    }
}

fn question() -> ChatRequest {
    ChatRequest::ask("What is it?", [Image::from_bytes(picture(ImageFormat::Png, 32, 24)).unwrap()])
}

fn throttled() -> Fault {
    Fault::Code("1303".to_owned())
}

#[tokio::test]
async fn a_role_retries_and_lists_its_attempts() {
    let vendors = Vendors::new().await;
    let polysight = vendors.polysight(
        r#"
        [roles.steady]
        provider = "zhipu"
        model = "glm-4v-plus"
        retry = { attempts = 3, first_pause = 0.001 }
        "#,
    );
    let role = polysight.role("steady").unwrap();
    vendors.zhipu.script(throttled());
    vendors.zhipu.script(Fault::Html502);
    let answer = calls::plain(&role, question()).await.unwrap();
    let kinds: Vec<ErrorKind> = answer.attempts.iter().map(|attempt| attempt.kind).collect();
    assert_eq!(kinds, [ErrorKind::RateLimited, ErrorKind::Server]);
    assert_eq!(answer.attempts[0].code.as_deref(), Some("1303"));

    for _ in 0..3 {
        vendors.zhipu.script(Fault::Empty500);
    }
    let error = calls::open(&role, question()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::Server, 2));
    assert!(error.to_string().ends_with("[2 tries before it failed too]"), "{error}");
    assert_eq!(vendors.zhipu.load().requests, 6);
}

#[tokio::test]
async fn the_roles_of_a_provider_share_one_retry_budget() {
    let vendors = Vendors::new().await;
    let polysight = vendors.polysight(
        "[defaults]\nretry = { attempts = 2, first_pause = 0 }\n[roles.third]\nprovider = \"zhipu\"\nmodel = \"glm-4v-plus\"\n",
    );
    vendors.zhipu.script(Fault::Empty500);
    vendors.zhipu.script(Fault::Empty500);
    calls::plain(&polysight.role("first").unwrap(), question()).await.unwrap_err();
    let left = |role: &str| format!("{:?}", polysight.role(role).unwrap()).contains("tokens: 495");
    assert_eq!([left("first"), left("third"), left("second")], [true, true, false]);
}

#[tokio::test]
async fn a_fallback_names_the_provider_that_answered_and_those_that_failed() {
    let vendors = Vendors::new().await;
    let polysight = vendors.polysight("[roles.either]\nfallback = [\"first\", \"second\"]");
    let role = polysight.role("either").unwrap();
    vendors.zhipu.script(throttled());
    let answer = calls::plain(&role, question()).await.unwrap();
    assert_eq!((answer.provider.as_str(), answer.model.as_str()), ("alibaba", "qwen3-vl-plus"));
    let [failed] = answer.attempts.as_slice() else { panic!("{:?}", answer.attempts) };
    assert_eq!((failed.provider.as_deref(), failed.kind), (Some("zhipu"), ErrorKind::RateLimited));

    // What the vendor's audit refuses is not shown to the next vendor.
    vendors.zhipu.script(Fault::Code("1301".to_owned()));
    let error = calls::plain(&role, question()).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::ContentRefused, Some("zhipu")));
    assert_eq!(vendors.qwen.load().requests, 1);
}

#[tokio::test]
async fn a_fallback_goes_where_the_request_can_be_taken() {
    let vendors = Vendors::new().await;
    let polysight = vendors.polysight(
        "[roles.blind]\nprovider = \"zhipu\"\nmodel = \"glm-4-plus\"\n[roles.any]\nfallback = [\"blind\", \"second\"]\n",
    );
    let frames = (0..4).map(|_| Image::from_bytes(picture(ImageFormat::Png, 32, 24)).unwrap());
    let video = polysight::Video::from_frames(frames).unwrap();
    let request = ChatRequest::new([Message::user_parts([video.into(), "What moves?".into()])]);
    let answer = calls::plain(&polysight.role("any").unwrap(), request).await.unwrap();
    assert_eq!(answer.provider, "alibaba");
    assert_eq!(vendors.zhipu.load().requests, 0, "what a model cannot see is not sent to it");
}

#[tokio::test]
async fn calls_are_spread_over_keys_and_a_refused_key_rests() {
    let emulator = Emulator::builder().key("good.secret").start().await.unwrap();
    let base_url = emulator.base_url(Surface::Zhipu);
    let config = format!(
        "[providers.zhipu]\nbackend = \"zhipu\"\nbase_url = \"{base_url}\"\nmodel = \"glm-4v-plus\"\n\
         api_keys = [\"bad.secret\", \"good.secret\"]\n[roles.default]\n"
    );
    let role = Polysight::from_toml(&config).unwrap().role("default").unwrap();
    for _ in 0..3 {
        calls::plain(&role, question()).await.unwrap();
    }
    assert_eq!(emulator.load().requests, 4, "the bad key was tried once");
}

#[tokio::test]
async fn a_quota_bounds_what_is_in_flight_for_all_roles_of_a_provider() {
    let vendors = Vendors::new().await;
    let config = r#"
        [providers.narrow]
        backend = "zhipu"
        base_url = "BASE"
        api_key = "id.secret"
        quota = { concurrency = 2 }
        [roles.a]
        provider = "narrow"
        model = "glm-4v-plus"
        [roles.b]
        provider = "narrow"
        model = "glm-4v-plus"
        "#
    .replace("BASE", &vendors.zhipu.base_url(Surface::Zhipu));
    let polysight = vendors.polysight(&config);
    let roles = [polysight.role("a").unwrap(), polysight.role("b").unwrap()];
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..12 {
        let role = roles[number % 2].clone();
        vendors.zhipu.script(Fault::Delay(Duration::from_millis(10)));
        calls.spawn(async move { calls::plain(&role, question()).await.map(|answer| answer.text) });
    }
    for answer in calls.join_all().await {
        answer.unwrap();
    }
    let load = vendors.zhipu.load();
    assert_eq!((load.requests, load.most_in_flight), (12, 2));
}

#[tokio::test]
async fn a_deadline_bounds_the_whole_call_and_lists_the_attempts() {
    let vendors = Vendors::new().await;
    let polysight = vendors.polysight(
        r#"
        [roles.quick]
        provider = "zhipu"
        model = "glm-4v-plus"
        retry = { first_pause = 0.001 }
        deadline = 0.2
        "#,
    );
    vendors.zhipu.script(Fault::Empty500);
    vendors.zhipu.script(Fault::StallBeforeHead);
    let error = calls::plain(&polysight.role("quick").unwrap(), question()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Total));
    assert_eq!(error.attempts().len(), 1, "{error}");
}

#[tokio::test]
async fn an_equal_question_is_answered_from_the_cache() {
    let vendors = Vendors::new().await;
    let polysight = vendors.polysight(
        "[roles.kept]\nprovider = \"zhipu\"\nmodel = \"glm-4v-plus\"\ngreedy = true\ncache = { time_to_live = 60 }\n",
    );
    let first = calls::plain(&polysight.role("kept").unwrap(), question()).await.unwrap();
    let again = calls::streamed(&polysight.role("kept").unwrap(), question()).await.unwrap();
    assert_eq!((again.text.clone(), first.cached, again.cached), (first.text, false, true));
    assert_eq!(vendors.zhipu.load().requests, 1);
}

#[tokio::test]
async fn errors_in_the_settings_of_layers_name_their_place() {
    let vendors = Vendors::new().await;
    let wrong = |more: &str| vendors.try_polysight(more).unwrap_err().to_string();
    for (more, words) in [
        (
            "[roles.a]\nfallback = [\"b\"]\n[roles.b]\nfallback = [\"a\"]",
            "roles.b.fallback: a role falls back on itself: a -> b -> a",
        ),
        (
            "[roles.a]\nfallback = [\"frist\"]",
            "roles.a.fallback: unknown role `frist`, did you mean `first`?",
        ),
        ("[roles.a]\nfallback = []", "roles.a.fallback: a list of roles is wanted"),
        ("[roles.a]\nfallback = [\"first\"]\nmodel = \"x\"", "roles.a: `fallback` names other roles"),
        ("[roles.a]\nfallback = [\"first\"]\nretry = true", "roles.a: `retry` belongs to the roles"),
        ("[roles.a]\nprovider = \"zhipu\"\nroute = { order = \"given\" }", "roles.a: `route` chooses among"),
        (
            "[roles.a]\nprovider = \"zhipu\"\nretry = { atempts = 3 }",
            "roles.a.retry.atempts: unknown key `atempts`, did you mean `attempts`?",
        ),
        ("[roles.a]\nprovider = \"zhipu\"\nretry = { attempts = 0 }", "roles.a.retry: `attempts` is 0"),
        ("[roles.a]\nprovider = \"zhipu\"\nretry = { first_pause = -1 }", "roles.a.retry: "),
        (
            "[roles.a]\nprovider = \"zhipu\"\nretry = 3",
            "roles.a.retry: true, false or a table of settings is wanted",
        ),
        (
            "[roles.a]\nprovider = \"zhipu\"\ndeadline = 0",
            "roles.a.deadline: a number of seconds above 0 is wanted",
        ),
        ("[roles.a]\nfallback = [\"first\"]\nroute = { order = \"cheap\" }", "roles.a.route: "),
        (
            "[roles.a]\nfallback = [\"first\"]\nroute = { move_on = { kinds = { timeoutt = true } } }",
            "no failure is called `timeoutt`",
        ),
        ("[providers.c]\nbackend = \"zhipu\"\nquota = { concurrency = 0 }", "providers.c.quota: "),
    ] {
        let message = wrong(more);
        assert!(message.contains(words), "{more}\n{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[tokio::test]
async fn every_setting_of_a_layer_can_stand_in_a_config() {
    let vendors = Vendors::new().await;
    vendors.polysight(
        r#"
        [defaults]
        retry = true
        trace = { content = false }

        [providers.full]
        backend = "zhipu"
        base_url = "http://127.0.0.1:1"
        api_keys = ["a.b", "c.d"]
        quota = { requests_per_minute = 60, tokens_per_minute = 1000, concurrency = 2, burst = 0.5, assumed_output = 100, max_waiting = 10, max_wait = 5, on_store_failure = "closed" }
        pace = { first_byte = 60, idle = 10.5, min_rate = 2.0, window = 10, grace = 10 }

        [roles.full]
        provider = "full"
        model = "glm-4v-plus"
        retry = { attempts = 4, throttle_attempts = 6, first_pause = 0.5, factor = 1.5, max_pause = 9, jitter = "equal", max_retry_after = 30, throttle_pause = 20, max_throttle_pause = 60, repeat = "no", deadline = 100 }
        hedge = { percentile = 0.9, min_samples = 10, min_delay = 1, max_delay = 5, max_rate = 0.1 }
        cache = { max_bytes = 1000, max_entry_bytes = 100, time_to_live = 60, random = true, urls = true, per_end_user = true }
        deadline = 120

        [roles.many]
        fallback = ["full", { role = "second", weight = 2 }]
        route = { order = "weighted", half_life = 10, failure_pace = 5, move_on = { repeat = "likely", after_refusal = true, kinds = { timeout = true } }, breaker = { failure_rate = 0.4, min_calls = 5, window = 20, consecutive = 3, open_for = 5, max_open = 60, fatal_for = 30 } }

        [roles.plain]
        provider = "zhipu"
        model = "glm-4v-plus"
        retry = false

        [roles.unbroken]
        fallback = ["first", "second"]
        route = { breaker = false }
        "#,
    )
    .role("many")
    .unwrap();
}
