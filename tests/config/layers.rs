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
        retry = { max_attempts = 3, base_delay = 0.001 }
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
    assert!(error.to_string().ends_with("[2 attempts before it failed too]"), "{error}");
    assert_eq!(vendors.zhipu.load().requests, 6);
}

#[tokio::test]
async fn the_roles_of_a_provider_share_one_retry_budget() {
    let vendors = Vendors::new().await;
    let polysight = vendors.polysight(
        "[defaults]\nretry = { max_attempts = 2, base_delay = 0 }\n[roles.third]\nprovider = \"zhipu\"\nmodel = \"glm-4v-plus\"\n",
    );
    let attempts = |vendor: &Emulator, failures: usize| {
        let before = vendor.load().requests;
        (0..failures).for_each(|_| vendor.script(Fault::Empty500));
        move |vendor: &Emulator| vendor.load().requests - before
    };
    // The budget is 500 tokens, and a retry in vain costs 5.
    let first = polysight.role("first").unwrap();
    let sent = attempts(&vendors.zhipu, 200);
    for _ in 0..100 {
        calls::plain(&first, question()).await.unwrap_err();
    }
    assert_eq!(sent(&vendors.zhipu), 200);
    for role in ["first", "third"] {
        let sent = attempts(&vendors.zhipu, 1);
        calls::plain(&polysight.role(role).unwrap(), question()).await.unwrap_err();
        assert_eq!(sent(&vendors.zhipu), 1, "{role}: nothing is left to retry with");
    }
    let sent = attempts(&vendors.qwen, 1);
    calls::plain(&polysight.role("second").unwrap(), question()).await.unwrap();
    assert_eq!(sent(&vendors.qwen), 2, "another provider has a budget of its own");
}

#[tokio::test]
async fn a_fallback_names_the_provider_that_answered_and_those_that_failed() {
    let vendors = Vendors::new().await;
    let polysight =
        vendors.polysight("[defaults]\nretry = false\n[roles.either]\nfallback = [\"first\", \"second\"]");
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
         api_keys = [\"bad.secret\", \"good.secret\"]\n[roles.default]\nretry = false\n"
    );
    let role = Polysight::from_toml(&config).unwrap().role("default").unwrap();
    for _ in 0..3 {
        calls::plain(&role, question()).await.unwrap();
    }
    assert_eq!(emulator.load().requests, 4, "the bad key was tried once");
}

#[tokio::test]
async fn a_rate_limit_bounds_what_is_in_flight_for_all_roles_of_a_provider() {
    let vendors = Vendors::new().await;
    let config = r#"
        [providers.narrow]
        backend = "zhipu"
        base_url = "BASE"
        api_key = "id.secret"
        rate_limit = { concurrency = 2 }
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
        retry = { base_delay = 0.001 }
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
        ("[roles.a]\nfallback = []", "roles.a.fallback: the list is empty: name at least one role"),
        (
            "[roles.a]\nfallback = [\"first\"]\nmodel = \"x\"",
            "roles.a.model: a role with `fallback` has no `model`: it belongs to the roles that are named there",
        ),
        (
            "[roles.a]\nfallback = [\"first\"]\nretry = true",
            "roles.a.retry: a role with `fallback` has no `retry`: it belongs to the roles",
        ),
        (
            "[roles.a]\nprovider = \"zhipu\"\nrouter = { strategy = \"priority\" }",
            "roles.a.router: a router chooses among",
        ),
        (
            "[roles.a]\nprovider = \"zhipu\"\nretry = { max_atempts = 3 }",
            "roles.a.retry.max_atempts: unknown key `max_atempts`, did you mean `max_attempts`?",
        ),
        (
            "[roles.a]\nprovider = \"zhipu\"\nretry = { max_attempts = 0 }",
            "roles.a.retry: `max_attempts` is 0",
        ),
        ("[roles.a]\nprovider = \"zhipu\"\nretry = { base_delay = -1 }", "roles.a.retry.base_delay: `-1`"),
        (
            "[roles.a]\nprovider = \"zhipu\"\nretry = 3",
            "roles.a.retry: `3` is a whole number (allowed: true, false, \"patient\", \"interactive\" or a table",
        ),
        (
            "[roles.a]\nprovider = \"zhipu\"\ndeadline = 0",
            "roles.a.deadline: `0` is not allowed (allowed: a number of seconds above 0",
        ),
        (
            "[roles.a]\nfallback = [\"first\"]\nrouter = { strategy = \"cheap\" }",
            "roles.a.router.strategy: `cheap` is unknown, did you mean `cheapest`? (allowed: `priority`, ",
        ),
        (
            "[roles.a]\nfallback = [\"first\"]\nrouter = { failover = { timeoutt = true } }",
            "roles.a.router.failover: no kind of failure is called `timeoutt`",
        ),
        (
            "[providers.c]\nbackend = \"zhipu\"\nrate_limit = { concurrency = 0 }",
            "providers.c.rate_limit: `concurrency` is",
        ),
    ] {
        let message = wrong(more);
        assert!(message.contains(words), "{more}\n{message}");
        assert!(message.starts_with("configuration: config: 1 fault: config:"), "{message}");
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
        rate_limit = { requests_per_minute = 60, tokens_per_minute = 1000, concurrency = 2, assumed_output = 100, max_waiting = 10, max_wait = 5, on_store_failure = "closed" }
        key_pool = { strategy = "round_robin", cooldown = 5 }
        timeouts = { connect = 5, first_byte = 60, idle = 10.5, min_rate = 2, total = 90, drain_timeout = 3 }

        [roles.full]
        provider = "full"
        model = "glm-4v-plus"
        retry = { max_attempts = 4, base_delay = 0.5, max_delay = 9, multiplier = 1.5, jitter = "equal", max_retry_after = 30, max_billed = "no" }
        cache = { max_bytes = 1000, max_entry_bytes = 100, time_to_live = 60, random = true, urls = true, per_end_user = true }
        deadline = 120

        [roles.many]
        fallback = ["full", { role = "second", weight = 2 }]
        router = { strategy = "weighted", max_billed = "likely", failover = { content_refused = true, timeout = true }, breaker = { consecutive_failures = 3, open_duration = 5, max_open_duration = 60 } }

        [roles.plain]
        provider = "zhipu"
        model = "glm-4v-plus"
        retry = false

        [roles.unbroken]
        fallback = ["first", "second"]
        router = { breaker = false }

        [rate_limit_store]
        url = "redis://127.0.0.1:1"
        prefix = "mine"
        window = 30
        lease_time = 10
        connect_timeout = 0.5
        command_timeout = 0.5
        "#,
    )
    .role("many")
    .unwrap();
}
