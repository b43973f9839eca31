use std::time::Duration;

use polysight_core::{
    ChatRequest, Detail, Effort, ErrorKind, Image, JsonValue, Message, RandomSampling, ResponseFormat,
    Sampling, Thinking, Tolerance, ToolCall, ToolChoice, ToolDefinition, Video, VisionProviderExt as _,
};

use super::*;
use crate::call::Reply as _;
use crate::testing::{MockProvider, mock};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0";
const PNG_BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA=";
const SECOND: Duration = Duration::from_secs(1);

fn cache(mock: &MockProvider, policy: CachePolicy) -> Cache {
    Cache::new(Arc::new(mock.clone()), policy)
}

fn anything() -> CachePolicy {
    CachePolicy { random: true, urls: true, ..CachePolicy::default() }
}

fn ask(text: &str) -> ChatRequest {
    ChatRequest::new([Message::user(text)]).with_greedy()
}

fn image() -> Image {
    Image::from_bytes(PNG).unwrap()
}

fn video() -> Video {
    Video::from_bytes(&b"FLV\x01\x05\0\0\0\x09\0\0\0\0"[..]).unwrap()
}

async fn lookup(cache: &Cache, request: &ChatRequest) -> Option<Lookup> {
    cache.lookup_of(&cache.plan(request).unwrap()).await
}

async fn key(cache: &Cache, request: &ChatRequest) -> Key {
    lookup(cache, request).await.unwrap_or_else(|| panic!("not kept: {request:?}")).key
}

fn random(set: impl FnOnce(&mut RandomSampling)) -> ChatRequest {
    let mut random = RandomSampling::default();
    set(&mut random);
    ask("a").with_sampling(Sampling::Random(random))
}

fn tool(name: &str, description: &str, kind: &str) -> ToolDefinition {
    ToolDefinition::new(name, description, serde_json::json!({ "type": kind }))
}

fn schema(name: &str, kind: &str, strict: bool) -> ResponseFormat {
    ResponseFormat::JsonSchema { name: name.to_owned(), schema: serde_json::json!({ "type": kind }), strict }
}

fn with(part: impl Into<polysight_core::Part>) -> ChatRequest {
    ask("a").with_model("unlisted").with_message(Message::user("b").with(part))
}

/// Requests of which each asks for something else; each field of each type stands in at least one of them.
fn different() -> Vec<ChatRequest> {
    let mut all = texts();
    all.extend(options());
    all.extend(media());
    all
}

fn texts() -> Vec<ChatRequest> {
    let call = |id, name, arguments| {
        let message = Message::assistant("").with(ToolCall::new(id, name, arguments));
        ask("a").with_message(message).with_message(Message::tool_result("1", "2"))
    };
    vec![
        ask("a"),
        ask("b"),
        ask("a").with_model("dear"),
        ask("a").with_message(Message::assistant("b")),
        ask("a").with_message(Message::user("b")),
        ChatRequest::new([Message::system("a")]).with_greedy().with_message(Message::user("b")),
        ask("a").with_message(Message::assistant("b").with(polysight_core::Part::Reasoning("c".to_owned()))),
        ask("a").with_message(Message::assistant("b").with("c")),
        call("1", "x", "{}"),
        call("1", "y", "{}"),
        call("1", "x", "[]"),
    ]
}

fn options() -> Vec<ChatRequest> {
    let plain = || ask("a");
    let tooled = |tool| plain().with_tools([tool]);
    let one_tool = || tooled(tool("x", "y", "object"));
    vec![
        random(|_| {}),
        plain().with_sampling(Sampling::Default),
        random(|random| random.temperature = Some(0.5)),
        random(|random| random.temperature = Some(0.6)),
        random(|random| random.top_p = Some(0.5)),
        random(|random| random.top_k = Some(5)),
        random(|random| random.presence_penalty = Some(0.5)),
        random(|random| random.frequency_penalty = Some(0.5)),
        random(|random| random.repetition_penalty = Some(0.5)),
        plain().with_max_tokens(1),
        plain().with_max_tokens(2),
        plain().with_stop(["x"]),
        plain().with_stop(["x", "y"]),
        plain().with_stop(["xy"]),
        plain().with_seed(1),
        plain().with_seed(2),
        plain().with_thinking(Thinking::Off),
        plain().with_thinking(Thinking::On),
        plain().with_thinking(Thinking::Budget(5)),
        plain().with_thinking(Thinking::Budget(6)),
        plain().with_thinking(Thinking::Effort(Effort::Low)),
        plain().with_thinking(Thinking::Effort(Effort::High)),
        plain().with_response_format(ResponseFormat::JsonObject),
        plain().with_response_format(schema("x", "object", true)),
        plain().with_response_format(schema("x", "object", false)),
        plain().with_response_format(schema("x", "string", true)),
        plain().with_response_format(schema("y", "object", true)),
        one_tool(),
        tooled(tool("z", "y", "object")),
        tooled(tool("x", "z", "object")),
        tooled(tool("x", "y", "string")),
        one_tool().with_tool_choice(ToolChoice::None),
        one_tool().with_tool_choice(ToolChoice::Required),
        one_tool().with_tool_choice(ToolChoice::Function("x".to_owned())),
        one_tool().with_parallel_tool_calls(true),
        one_tool().with_parallel_tool_calls(false),
        plain().with_tolerance(Tolerance::Strict),
        plain().with_tolerance(Tolerance::Lossy),
        plain().with_extra("fake", "x", 1),
        plain().with_extra("fake", "x", 2),
        plain().with_extra("fake", "y", 1),
        plain().with_extra("fake", "y", JsonValue::Null),
        plain().with_extra("another", "x", 1),
    ]
}

fn media() -> Vec<ChatRequest> {
    let link = "https://example.com/a.mp4";
    let larger = [PNG, b"more"].concat();
    vec![
        with(image()),
        with(Image::from_bytes(larger).unwrap()),
        ask("a").with_model("unlisted").with_message(Message::user_parts([image().into(), "b".into()])),
        with(image()).with_message(Message::user_parts([image().into()])),
        with(image().with_detail(Detail::Low)),
        with(image().with_detail(Detail::High)),
        with(image().with_min_pixels(5_000)),
        with(image().with_max_pixels(5_000)),
        with(Image::from_url(link).unwrap()),
        with(Image::from_url("https://example.com/b.mp4").unwrap()),
        with(Video::from_url(link).unwrap()),
        with(video()),
        with(video().with_fps(1.0)),
        with(video().with_fps(2.0)),
        with(video().with_max_frames(8)),
        with(video().with_min_pixels(5_000)),
        with(video().with_max_pixels(5_000)),
        with(video().with_total_pixels(5_000)),
        with(Video::from_frames([image()]).unwrap()),
        with(Video::from_frames([image(), image()]).unwrap()),
        with(Video::from_frames([image().with_detail(Detail::Low)]).unwrap()),
    ]
}

#[tokio::test(start_paused = true)]
async fn whatever_shapes_the_answer_makes_another_key() {
    let cache = cache(&mock("a"), anything());
    let mut seen = std::collections::HashMap::new();
    for request in different() {
        let shown = format!("{request:?}");
        if let Some(other) = seen.insert(key(&cache, &request).await, shown.clone()) {
            panic!("one key for two requests:\n{shown}\n{other}");
        }
    }
    assert_eq!(seen.len(), different().len());
}

#[tokio::test(start_paused = true)]
async fn another_provider_is_another_key() {
    let (one, other) = (mock("a"), mock("b"));
    let (one, other) = (cache(&one, anything()), cache(&other, anything()));
    assert_ne!(key(&one, &ask("a")).await, key(&other, &ask("a")).await);
}

#[tokio::test(start_paused = true)]
async fn who_asks_does_not_change_the_key() {
    let shared = cache(&mock("a"), anything());
    assert_eq!(key(&shared, &ask("a")).await, key(&shared, &ask("a").with_model("eye")).await);
    let plain = || ask("a").with_model("hostess");
    let named = |user: &str| plain().with_end_user_id(user);
    for same in [plain().with_request_id("r"), named("u")] {
        assert_eq!(key(&shared, &plain()).await, key(&shared, &same).await, "{same:?}");
    }
    let own = cache(&mock("a"), CachePolicy { per_end_user: true, ..anything() });
    let (one, two) = (key(&own, &named("u")).await, key(&own, &named("v")).await);
    assert!(one != two && one != key(&own, &plain()).await && one == key(&own, &named("u")).await);
}

#[tokio::test(start_paused = true)]
async fn end_users_are_kept_apart_where_the_vendor_does_not_know_them() {
    let own = cache(&mock("a"), CachePolicy { per_end_user: true, ..anything() });
    let named = |user: &str| ask("a").with_end_user_id(user).with_tolerance(Tolerance::Lossy);
    assert!(own.inner.plan(&named("u")).unwrap().request.end_user_id.is_none());
    assert_ne!(key(&own, &named("u")).await, key(&own, &named("v")).await);
}

#[tokio::test(start_paused = true)]
async fn what_one_provider_leaves_out_may_reach_another() {
    let cache = cache(&mock("a"), anything());
    let least =
        |pixels| with(image().with_min_pixels(pixels)).with_model("eye").with_tolerance(Tolerance::Lossy);
    let planned = cache.inner.plan(&least(1)).unwrap();
    assert!(planned.adjustments.iter().any(|adjustment| !adjustment.lossless), "{planned:?}");
    assert_ne!(key(&cache, &least(1)).await, key(&cache, &least(2)).await);
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_its_content_wherever_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [directory.path().join("a.png"), directory.path().join("b.jpg")];
    let mut same = vec![
        image(),
        Image::from_base64(PNG_BASE64).unwrap(),
        Image::from_data_uri(format!("data:image/jpeg;base64,{PNG_BASE64}")).unwrap(),
    ];
    for path in paths {
        std::fs::write(&path, PNG).unwrap();
        same.push(Image::from_file(path).unwrap());
    }
    let cache = cache(&mock("a"), CachePolicy::default());
    let expected = key(&cache, &with(image())).await;
    for image in same {
        assert_eq!(key(&cache, &with(image.clone())).await, expected, "{image:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_picture_is_digested_in_blocks_to_the_same_key() {
    let large: Vec<u8> = [PNG.to_vec(), (0..300_000u32).map(|n| n as u8).collect()].concat();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.png");
    std::fs::write(&path, &large).unwrap();
    let cache = cache(&mock("a"), CachePolicy::default());
    let from_file = key(&cache, &with(Image::from_file(&path).unwrap())).await;
    assert_eq!(key(&cache, &with(Image::from_bytes(large).unwrap())).await, from_file);
}

/// Writes another picture of the same length and modification time to the path.
#[cfg(unix)]
fn replace(path: &std::path::Path, end: &[u8; 1]) -> ChatRequest {
    std::fs::write(path, [PNG, end].concat()).unwrap();
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + 1_000 * SECOND).unwrap();
    with(Image::from_file(path).unwrap())
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn another_picture_of_the_same_path_length_and_modification_time_is_another_picture() {
    for grain in [Duration::ZERO, Keys::new().grain] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.png");
        let mut cache = cache(&mock("a").answer("one").answer("two"), CachePolicy::default());
        cache.keys.grain = grain;
        assert_eq!(cache.chat(replace(&path, b"1")).await.unwrap().text, "one");
        // A file system's change time moves on in steps of some milliseconds.
        std::thread::sleep(Duration::from_millis(30));
        let other = cache.chat(replace(&path, b"2")).await.unwrap();
        assert_eq!((other.text.as_str(), other.cached), ("two", false), "{grain:?}");
    }
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn an_old_file_is_read_once_and_a_fresh_one_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.png");
    let mut cache = cache(&mock("a"), CachePolicy::default());
    let fresh = replace(&path, b"1");
    key(&cache, &fresh).await;
    assert_eq!(cache.keys.remembered_files(), 0);
    cache.keys.grain = Duration::ZERO;
    let first = key(&cache, &fresh).await;
    assert_eq!((key(&cache, &fresh).await, cache.keys.remembered_files()), (first, 1));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changed_since_it_was_opened_is_not_answered_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.png");
    std::fs::write(&path, PNG).unwrap();
    let request = with(Image::from_file(&path).unwrap());
    std::fs::write(&path, [PNG, b"more"].concat()).unwrap();
    let cache = cache(&mock("a"), CachePolicy::default());
    assert!(lookup(&cache, &request).await.is_none(), "the provider reports it");
}

#[tokio::test(start_paused = true)]
async fn answers_an_equal_request_from_memory_and_says_so() {
    let mock = mock("a").answer("first").answer("second");
    let cache = cache(&mock, CachePolicy::default());
    let made = cache.chat(ask("a")).await.unwrap();
    let kept = cache.chat(ask("a").with_request_id("r")).await.unwrap();
    assert_eq!((made.text.as_str(), made.cached), ("first", false));
    assert_eq!((kept.text.as_str(), kept.cached), ("first", true));
    assert_eq!(kept.usage, made.usage, "as the vendor said at the time");
    assert_eq!(cache.chat(ask("b")).await.unwrap().text, "second");
    assert_eq!(mock.call_count(), 2);
    let stats = CacheStats { hits: 1, misses: 2, stored: 2, ..CacheStats::default() };
    assert_eq!(cache.stats(), stats);
}

#[tokio::test(start_paused = true)]
async fn a_kept_answer_lists_what_was_changed_in_this_request() {
    let cache = cache(&mock("a"), CachePolicy::default());
    cache.chat(ask("a")).await.unwrap();
    let changed = Lookup {
        key: key(&cache, &ask("a")).await,
        adjustments: cache.inner.plan(&ask("a")).unwrap().adjustments,
    };
    let mut kept = ChatResponse::clone(&cache.store.get(&changed.key).unwrap());
    kept.attempts = Error::new(ErrorKind::Server, "x").into_attempts(SECOND);
    kept.rate_limits = Some(polysight_core::RateLimits::default());
    let given = cache.replay(&kept, &changed);
    assert!(given.attempts.is_empty() && given.rate_limits.is_none() && given.cached);
    assert_eq!(given.adjustments, changed.adjustments);
}

#[tokio::test(start_paused = true)]
async fn does_not_keep_what_must_be_asked_anew() {
    let link = || Image::from_url("https://example.com/a.jpg").unwrap();
    let frames = || Video::from_frames([link()]).unwrap();
    let plain = || ChatRequest::new([Message::user("a")]);
    for (request, policy) in [
        (plain(), CachePolicy::default()),
        (plain().with_temperature(0.1), CachePolicy::default()),
        (ask("a").with_raw(), anything()),
        (with(link()), CachePolicy::default()),
        (with(frames()), CachePolicy { random: true, ..CachePolicy::default() }),
    ] {
        let mock = mock("a");
        let cache = cache(&mock, policy);
        for _ in 0..2 {
            assert!(!cache.chat(request.clone()).await.unwrap().cached, "{request:?}");
            cache.chat_stream(request.clone()).await.unwrap().collect_response().await.unwrap();
        }
        assert_eq!(mock.call_count(), 4, "{request:?}");
        assert_eq!(cache.stats(), CacheStats { passed: 4, ..CacheStats::default() });
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_what_repeats_itself_and_what_the_policy_allows() {
    let link = Image::from_url("https://example.com/a.jpg").unwrap();
    let plain = || ChatRequest::new([Message::user("a")]);
    for (request, policy) in [
        (plain().with_seed(1), CachePolicy::default()),
        (plain().with_temperature(0.0), CachePolicy::default()),
        (plain(), CachePolicy { random: true, ..CachePolicy::default() }),
        (with(link), CachePolicy { urls: true, ..CachePolicy::default() }),
        (ask("a").with_tools([tool("x", "y", "object")]), CachePolicy::default()),
    ] {
        let cache = cache(&mock("a"), policy);
        cache.chat(request.clone()).await.unwrap();
        assert!(cache.chat(request.clone()).await.unwrap().cached, "{request:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_planned_fails_as_without_a_cache() {
    let mock = mock("a");
    let cache = cache(&mock, CachePolicy::default());
    let error = cache.chat(with(image()).with_model("blind")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!((mock.call_count(), cache.stats()), (0, CacheStats::default()));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_kept() {
    let busy = Error::new(ErrorKind::Overloaded, "busy");
    let mock = mock("a").error(busy).answer("better");
    let cache = cache(&mock, CachePolicy::default());
    assert_eq!(cache.chat(ask("a")).await.unwrap_err().kind(), ErrorKind::Overloaded);
    assert_eq!(cache.chat(ask("a")).await.unwrap().text, "better");
    assert!(cache.flights.is_empty());
}

/// Sends the same so often at once.
async fn crowd(cache: &Arc<Cache>, size: usize) -> Vec<Result<ChatResponse>> {
    let asking = |_| {
        let cache = Arc::clone(cache);
        tokio::spawn(async move { cache.chat(ask("a")).await })
    };
    let mut outcomes = Vec::new();
    for task in (0..size).map(asking).collect::<Vec<_>>() {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[tokio::test(start_paused = true)]
async fn equal_requests_at_once_share_one_call() {
    let mock = mock("a").answer("one").after(SECOND);
    let cache = Arc::new(cache(&mock, CachePolicy::default()));
    let outcomes = crowd(&cache, 10).await;
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap().text == "one"));
    let billed = outcomes.iter().filter(|outcome| !outcome.as_ref().unwrap().cached).count();
    assert_eq!((mock.call_count(), billed), (1, 1));
    let stats = CacheStats { misses: 1, shared: 9, stored: 1, ..CacheStats::default() };
    assert_eq!(cache.stats(), stats);
    assert!(cache.flights.is_empty());
}

#[tokio::test(start_paused = true)]
async fn all_that_wait_for_a_failed_call_get_its_error() {
    let busy = Error::new(ErrorKind::Overloaded, "busy").with_code("1305");
    let mock = mock("a").error(busy).after(SECOND);
    let cache = Arc::new(cache(&mock, CachePolicy::default()));
    for outcome in crowd(&cache, 5).await {
        assert_eq!(outcome.unwrap_err().code(), Some("1305"));
    }
    assert_eq!(mock.call_count(), 1);
    assert!(cache.flights.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_later_request_does_not_get_an_earlier_failure() {
    let busy = Error::new(ErrorKind::Overloaded, "busy");
    let mock = mock("a").error(busy).after(SECOND).answer("better");
    let cache = cache(&mock, CachePolicy::default());
    let mut caller = Box::pin(cache.chat(ask("a")));
    let mut waiter = Box::pin(cache.chat(ask("a")));
    for future in [&mut caller, &mut waiter] {
        assert!(tokio::time::timeout(Duration::ZERO, future).await.is_err());
    }
    assert!(caller.await.is_err());
    assert_eq!(cache.chat(ask("a")).await.unwrap().text, "better");
    assert_eq!(waiter.await.unwrap_err().kind(), ErrorKind::Overloaded);
    assert_eq!(mock.call_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_takes_over_when_the_caller_goes_away() {
    let mock = mock("a").answer("slow").after(3_600 * SECOND).times(300).answer("done");
    let cache = Arc::new(cache(&mock, CachePolicy::default()));
    let asking = |_| {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move { cache.chat(ask("a")).await })
    };
    let mut tasks: Vec<_> = (0..301).map(asking).collect();
    let last = tasks.pop().unwrap();
    for task in tasks {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(mock.in_flight(), 1);
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    assert_eq!(last.await.unwrap().unwrap().text, "done");
    assert_eq!((mock.call_count(), mock.max_in_flight()), (301, 1));
    assert!(cache.flights.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_leaves_nothing_behind() {
    let cache = cache(&mock("a").silence(), CachePolicy::default());
    assert!(tokio::time::timeout(SECOND, cache.chat(ask("a"))).await.is_err());
    assert!(cache.flights.is_empty());
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time_only() {
    let mock = mock("a").answer("old").answer("new");
    // The map has a clock of its own, which does not pause.
    let time_to_live = Duration::from_millis(20);
    let cache = cache(&mock, CachePolicy { time_to_live, ..CachePolicy::default() });
    cache.chat(ask("a")).await.unwrap();
    std::thread::sleep(2 * time_to_live);
    let response = cache.chat(ask("a")).await.unwrap();
    assert_eq!((response.text.as_str(), response.cached), ("new", false));
}

#[tokio::test(start_paused = true)]
async fn a_time_to_live_beyond_all_clocks_is_ten_years() {
    let cache = cache(&mock("a"), CachePolicy { time_to_live: Duration::MAX, ..CachePolicy::default() });
    cache.chat(ask("a")).await.unwrap();
    assert!(cache.chat(ask("a")).await.unwrap().cached);
}

#[tokio::test(start_paused = true)]
async fn memory_stays_within_its_bounds() {
    let policy = CachePolicy { max_bytes: 20_000, max_entry_bytes: 10_000, ..CachePolicy::default() };
    let cache = cache(&mock("a"), policy);
    for number in 0..100 {
        cache.chat(ask(&number.to_string())).await.unwrap();
    }
    assert_eq!(cache.stats().stored, 100);
    let bytes = cache.store.bytes();
    assert!((1..=20_000).contains(&bytes), "{bytes}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_is_not_kept() {
    let long = "long ".repeat(1_000);
    let mock = mock("a").deltas([&long, &long]).times(3);
    let cache = cache(&mock, CachePolicy { max_entry_bytes: 8_000, ..CachePolicy::default() });
    for _ in 0..2 {
        assert_eq!(cache.chat(ask("a")).await.unwrap().text.len(), 10_000);
    }
    let streamed = cache.chat_stream(ask("a")).await.unwrap().collect_response().await.unwrap();
    assert_eq!(streamed.text.len(), 10_000);
    assert_eq!((mock.call_count(), cache.stats().stored), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_handed_on_as_it_comes_and_kept_at_its_end() {
    let mock = mock("a").deltas(["one ", "two"]).after(SECOND);
    let cache = cache(&mock, CachePolicy::default());
    let mut stream = cache.chat_stream(ask("a")).await.unwrap();
    let first = stream.next_event().await.unwrap().unwrap();
    assert!(matches!(first, StreamEvent::Text(text) if text == "one "));
    assert_eq!(cache.stats().stored, 0);
    let rest = stream.collect_response().await.unwrap();
    assert_eq!((rest.text.as_str(), rest.cached), ("two", false));

    let plain = cache.chat(ask("a")).await.unwrap();
    assert_eq!((plain.text.as_str(), plain.cached), ("one two", true));
    let streamed = cache.chat_stream(ask("a")).await.unwrap().collect_response().await.unwrap();
    assert_eq!((streamed.text.as_str(), streamed.cached), ("one two", true));
    assert_eq!(mock.call_count(), 1);
    assert_eq!(cache.stats(), CacheStats { hits: 2, misses: 1, stored: 1, ..CacheStats::default() });
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_or_is_left_is_not_kept() {
    let broken = Error::new(ErrorKind::Interrupted, "broken");
    let mock =
        mock("a").interrupted(["one", "two"], broken).after(SECOND).deltas(["one", "two"]).after(SECOND);
    let cache = cache(&mock, CachePolicy::default());
    let failed = cache.chat_stream(ask("a")).await.unwrap().collect_response().await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Interrupted);
    let mut left = cache.chat_stream(ask("a")).await.unwrap();
    left.next_event().await.unwrap().unwrap();
    drop(left);
    assert_eq!((cache.stats().stored, mock.in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn debug_shows_no_request_and_no_answer() {
    let cache = cache(&mock("a").answer("canary"), CachePolicy::default());
    cache.chat(ask("canary")).await.unwrap();
    assert!(!format!("{cache:?}").contains("canary"));
}

#[tokio::test]
async fn a_stream_of_empty_tool_calls_is_not_collected_for_ever() {
    use polysight_core::{StreamEvent, ToolCallDelta};

    struct Calls(usize);
    impl futures_core::Stream for Calls {
        type Item = Result<StreamEvent>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            let index = self.0;
            self.0 += 1;
            std::task::Poll::Ready(Some(Ok(if index < 2_000 {
                StreamEvent::ToolCall(ToolCallDelta::new(index, None, None, String::new()))
            } else {
                let finish = polysight_core::FinishReason::new(FinishKind::ToolCalls, "");
                StreamEvent::End(Box::new(ResponseMeta::new("a", "m", finish)))
            })))
        }
    }

    let store = Arc::new(Store::new(CachePolicy::default()));
    let stream = ChatStream::new(Calls(0)).observed(Recorder::new([0; 32], Arc::clone(&store)));
    assert_eq!(stream.collect_response().await.unwrap().tool_calls.len(), 2_000);
    assert_eq!(store.counts.stats().stored, 0);
}

#[test]
fn only_answers_with_a_known_end_and_without_a_remark_are_kept() {
    use polysight_core::{FinishReason, SafetyLabel, SafetyRole};
    let ended = |kind| ChatResponse::new("p", "m", FinishReason::new(kind, ""));
    for kind in [FinishKind::Stop, FinishKind::ToolCalls, FinishKind::Length] {
        assert!(is_sound(&ended(kind)), "{kind}");
        let mut remarked = ended(kind);
        remarked.safety = vec![SafetyLabel::new(SafetyRole::User, Some(1))];
        assert!(!is_sound(&remarked), "{kind}");
    }
    for kind in [FinishKind::Other, FinishKind::ContentFilter, FinishKind::Failed, FinishKind::ContextWindow]
    {
        assert!(!is_sound(&ended(kind)), "{kind}");
    }
}
