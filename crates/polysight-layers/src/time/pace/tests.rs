//! What the guard of slow streams promises, in time that stands still.

use polysight_core::{Billed, ErrorKind, Message, TimeoutPhase};

use super::*;
use crate::fake::{Fake, Play};

const SECOND: Duration = Duration::from_secs(1);

fn asked() -> ChatRequest {
    ChatRequest::new([Message::user("what is it?")])
}

fn no_limits() -> PacePolicy {
    PacePolicy::default().with_first_byte(None).with_idle(None)
}

fn guarded(fake: &Fake, policy: PacePolicy) -> Pace {
    policy.check().unwrap();
    Pace::new(Arc::new(fake.clone()), policy)
}

/// Reads a stream to its end: what came, when it ended, and with which error.
async fn read(fake: &Fake, policy: PacePolicy) -> (String, u64, Option<Error>) {
    let start = tokio::time::Instant::now();
    let outcome = match guarded(fake, policy).stream(asked()).await {
        Ok(stream) => stream.collect_response().await,
        Err(error) => Err(error),
    };
    assert_eq!(fake.in_flight(), 0);
    let seconds = start.elapsed().as_secs();
    match outcome {
        Ok(response) => (response.text, seconds, None),
        Err(error) => (error.partial().map(|p| p.text.clone()).unwrap_or_default(), seconds, Some(error)),
    }
}

#[tokio::test(start_paused = true)]
async fn ends_a_stream_that_never_begins() {
    let policy = || no_limits().with_first_byte(Some(SECOND * 30));
    for play in [Play::Silence, Play::Pieces(vec!["late"], SECOND * 31, None)] {
        let (_, seconds, error) = read(&Fake::new("a", [play]), policy()).await;
        let error = error.unwrap();
        assert_eq!((seconds, error.kind()), (30, ErrorKind::Timeout(TimeoutPhase::FirstByte)));
        assert_eq!(error.billed(), Billed::Likely);
        assert!(error.to_string().contains("a: timeout before the first byte: no piece"), "{error}");
        assert!(error.message().contains("30s"));
    }
    let (text, ..) = read(&Fake::new("a", [Play::Pieces(vec!["x"], SECOND * 29, None)]), policy()).await;
    assert_eq!(text, "x");
}

/// A provider whose reply's head takes a while.
#[derive(Debug)]
struct SlowHead(Fake, Duration);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for SlowHead {
    fn id(&self) -> &ProviderId {
        self.0.id()
    }

    fn catalog(&self) -> &Catalog {
        self.0.catalog()
    }

    fn plan(&self, request: ChatRequest) -> Result<Plan> {
        self.0.plan(request)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatResponse> {
        self.0.chat(request).await
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        tokio::time::sleep(self.1).await;
        self.0.stream(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn the_head_of_the_reply_counts_into_the_wait_for_the_first_byte() {
    for head in [2, 4] {
        let fake = Fake::new("a", [Play::Pieces(vec!["x"], SECOND * 2, None)]);
        let slow = Arc::new(SlowHead(fake, SECOND * head));
        let layer = Pace::new(slow, no_limits().with_first_byte(Some(SECOND * 3)));
        let start = tokio::time::Instant::now();
        let first = async { layer.stream(asked()).await?.with_first_event().await };
        assert_eq!(first.await.unwrap_err().kind(), ErrorKind::Timeout(TimeoutPhase::FirstByte));
        assert_eq!(start.elapsed(), SECOND * 3);
    }
}

#[tokio::test(start_paused = true)]
async fn ends_a_stream_that_falls_silent() {
    let fake = Fake::new("a", [Play::Pieces(vec!["abc", "de"], SECOND * 4, None)]);
    let mut stream =
        guarded(&fake, PacePolicy::default().with_idle(Some(SECOND * 3))).stream(asked()).await.unwrap();
    assert!(stream.next_event().await.unwrap().is_ok(), "before the first piece it does not hold");
    let start = tokio::time::Instant::now();
    let error = stream.next_event().await.unwrap().unwrap_err();
    assert_eq!(start.elapsed(), SECOND * 3);
    assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Idle));
    assert!(error.message().contains("3s") && error.message().contains("3 characters"), "{error}");
    assert_eq!(fake.in_flight(), 0);
    assert!(stream.next_event().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn ends_a_stream_that_trickles_once_the_grace_is_over() {
    let fake = Fake::new("a", [Play::Pieces(vec!["x"; 100], SECOND, None)]);
    let (text, seconds, error) = read(&fake, no_limits().with_min_rate(Some(3.0))).await;
    let error = error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Idle));
    assert_eq!(error.message(), "1.0 characters a second came in the last 20s, and 3 is the least");
    assert_eq!((seconds, text.len()), (21, 21), "the first piece came after a second, the grace is 20");
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_is_just_enough_is_enough() {
    for rate in [0.5, 1.0] {
        let fake = Fake::new("a", [Play::Pieces(vec!["像"; 100], SECOND, None)]);
        let (text, _, error) = read(&fake, no_limits().with_min_rate(Some(rate))).await;
        assert!(error.is_none(), "{rate}: {error:?}");
        assert_eq!(text.chars().count(), 100);
    }
}

#[tokio::test(start_paused = true)]
async fn characters_count_not_bytes() {
    let fake = Fake::new("a", [Play::Pieces(vec!["像"; 100], SECOND, None)]);
    let (_, _, error) = read(&fake, no_limits().with_min_rate(Some(1.5))).await;
    assert!(error.unwrap().message().starts_with("1.0 characters a second"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_ended_by_its_rate_too() {
    let pieces = vec!["twenty characters..."; 3];
    let fake = Fake::new("a", [Play::Pieces(pieces, SECOND * 100, None)]);
    let (text, seconds, error) = read(&fake, no_limits().with_min_rate(Some(0.5))).await;
    assert_eq!((text.len(), seconds), (20, 120));
    assert_eq!(
        error.unwrap().message(),
        "0.0 characters a second came in the last 20s, and 0.5 is the least"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_looks_away_does_not_end_the_stream() {
    let fake = Fake::new("a", [Play::Pieces(vec!["x"; 50], SECOND, None)]);
    let policy =
        no_limits().with_first_byte(Some(SECOND * 2)).with_idle(Some(SECOND * 2)).with_min_rate(Some(0.9));
    let mut stream = guarded(&fake, policy).stream(asked()).await.unwrap();
    let mut events = 0;
    while let Some(event) = stream.next_event().await {
        event.unwrap();
        events += 1;
        tokio::time::sleep(SECOND * 10).await;
    }
    assert_eq!(events, 51);
}

#[tokio::test(start_paused = true)]
async fn leaves_nothing_behind_wherever_it_is_dropped() {
    for cut in 0..40 {
        let fake = Fake::new("a", [Play::Pieces(vec!["a", "b"], SECOND, None)]);
        let layer = guarded(&fake, PacePolicy::default().with_min_rate(Some(1.0)));
        let reading = async { layer.stream(asked()).await.unwrap().collect_response().await };
        let _ = tokio::time::timeout(SECOND * cut / 10, reading).await;
        assert_eq!(fake.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn lives_by_the_clock_it_is_given() {
    let clock = crate::ManualClock::new();
    let fake = Fake::new("a", [Play::Silence]);
    let env = Env::default().with_clock(Arc::new(clock.clone()));
    let layer = guarded(&fake, PacePolicy::default()).with_env(env);
    let call = tokio::spawn(async move { layer.stream(asked()).await.map(drop) });
    while clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(SECOND * 300);
    assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout(TimeoutPhase::FirstByte));
}

#[tokio::test(start_paused = true)]
async fn plain_calls_go_through() {
    let fake = Fake::new("a", [Play::Answer("slow", SECOND * 1_000)]);
    assert_eq!(guarded(&fake, PacePolicy::default()).chat(asked()).await.unwrap().text, "slow");
}

#[test]
fn a_setting_out_of_range_is_named() {
    let policy = PacePolicy::default;
    for (policy, name) in [
        (policy().with_first_byte(Some(Duration::ZERO)), "first_byte"),
        (policy().with_idle(Some(Duration::ZERO)), "idle"),
        (policy().with_min_rate(Some(0.0)), "min_rate"),
        (policy().with_min_rate(Some(f64::NAN)), "min_rate"),
        (policy().with_window(Duration::ZERO), "window"),
    ] {
        assert!(policy.check().unwrap_err().message().contains(name));
    }
    assert!(policy().check().is_ok());
}
