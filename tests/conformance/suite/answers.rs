//! Questions in words.

use std::sync::Arc;

use polysight::{
    ChatRequest, ErrorKind, FinishKind, Message, RandomSampling, Sampling, Tolerance, VisionProviderExt,
};
use polysight_testkit::calls::{self, answers, failures};

use super::fixture::{Fixture, Scenario, card};

pub(super) fn question(text: &str) -> ChatRequest {
    ChatRequest::new([Message::user(text)])
}

pub(super) async fn text(fixture: Arc<Fixture>) {
    let role = fixture.text();
    let answer = calls::plain(&role, question("Hello, who are you?")).await.unwrap();
    assert!(answer.text.ends_with("You asked: Hello, who are you?"), "{}", answer.text);
    assert_eq!((answer.finish.kind, answer.provider.as_str()), (FinishKind::Stop, "it"));
    assert_eq!(answer.model.to_lowercase(), role.model().unwrap().to_lowercase());
    assert!(answer.tool_calls.is_empty() && answer.raw.is_none());
}

pub(super) async fn system(fixture: Arc<Fixture>) {
    let request = ChatRequest::new([Message::system("Be brief."), Message::user("Hello")]);
    let answer = calls::plain(&fixture.text(), request).await.unwrap();
    assert!(answer.text.contains("System: instructions of 9 characters."), "{}", answer.text);
}

pub(super) async fn stop(fixture: Arc<Fixture>) {
    let request = question("before ENOUGH after").with_stop(["ENOUGH"]);
    for answer in answers(&fixture.text(), request).await {
        assert!(answer.text.trim_end().ends_with("You asked: before"), "{}", answer.text);
        assert_eq!(answer.finish.kind, FinishKind::Stop);
    }
}

pub(super) async fn callers_limit(fixture: Arc<Fixture>) {
    let request = question("Tell me a long story of a cat and a dog").with_max_tokens(4);
    for answer in answers(&fixture.text(), request).await {
        assert_eq!(answer.finish.kind, FinishKind::Length);
        assert!(!answer.text.is_empty() && !answer.text.contains("cat"), "{}", answer.text);
        assert!(answer.usage.unwrap().output_tokens <= 5);
    }
}

pub(super) async fn vendors_limit(fixture: Arc<Fixture>) {
    fixture.script(Scenario::CutShort);
    fixture.script(Scenario::CutShort);
    for error in failures(&fixture.text(), question("Hello")).await {
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        assert!(error.partial().unwrap().text.contains("Hello"));
        assert!(!error.is_retryable());
    }
}

pub(super) async fn greedy(fixture: Arc<Fixture>) {
    for request in [question("Hello").with_greedy(), question("Hello").with_temperature(0.0)] {
        calls::plain(&fixture.text(), request).await.unwrap();
    }
    let sent = &fixture.arrived()[0].text;
    let forms = [r#""do_sample":false"#, r#""temperature":0"#, r#""top_k":1"#, r#""heat":0"#];
    assert!(forms.iter().any(|form| sent.contains(form)), "{sent}");
}

pub(super) async fn usage(fixture: Arc<Fixture>) {
    let role = fixture.vision();
    let words = calls::plain(&role, question("Hello")).await.unwrap().usage.unwrap();
    assert!(words.input_tokens > 0 && words.output_tokens > 0, "{words:?}");
    assert_eq!(words.total_tokens, words.input_tokens + words.output_tokens);
    let longer = calls::plain(&role, question(&"Hello ".repeat(50))).await.unwrap().usage.unwrap();
    assert!(longer.input_tokens > words.input_tokens && longer.output_tokens > words.output_tokens);
}

pub(super) async fn ids(fixture: Arc<Fixture>) {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let answer = calls::plain(&fixture.text(), question("Hello")).await.unwrap();
        seen.push(answer.meta.request_id.or(answer.meta.id).unwrap());
        let answer = calls::streamed(&fixture.text(), question("Hello")).await.unwrap();
        seen.push(answer.meta.request_id.or(answer.meta.id).unwrap());
    }
    assert!(seen.iter().all(|id| !id.is_empty()));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

pub(super) async fn request_id(fixture: Arc<Fixture>) {
    let role = fixture.text();
    let request = question("Hello").with_request_id("order-4711").with_tolerance(Tolerance::Strict);
    let answers = [
        calls::plain(&role, request.clone()).await.unwrap(),
        calls::streamed(&role, request).await.unwrap(),
        calls::plain(&role, question("Hello")).await.unwrap(),
    ];
    for ((answer, sent), own) in
        answers.iter().zip(fixture.arrived()).zip(["order-4711", "order-4711", "polysight-"])
    {
        assert!(sent.text.contains(own), "{}", sent.text);
        let id = answer.request_id.as_deref().unwrap();
        assert_eq!(id.starts_with(own) && sent.text.contains(id), fixture.target.echoes_ids, "{id}");
    }
}

pub(super) async fn end_user_id(fixture: Arc<Fixture>) {
    let request = question("Hello").with_end_user_id("user-4711").with_tolerance(Tolerance::Strict);
    calls::plain(&fixture.text(), request).await.unwrap();
    assert!(fixture.arrived()[0].text.contains("user-4711"));
}

pub(super) async fn json_object(fixture: Arc<Fixture>) {
    #[derive(serde::Deserialize)]
    struct Facts {
        question: String,
    }
    let format = polysight::ResponseFormat::JsonObject;
    let request = question("Which JSON is it?").with_response_format(format);
    let answer = fixture.vision().chat(request).await.unwrap();
    let facts: Facts = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(facts.question, "Which JSON is it?");
}

pub(super) async fn raw(fixture: Arc<Fixture>) {
    let role = fixture.text();
    let plain = calls::plain(&role, question("Hello").with_raw()).await.unwrap().meta.raw.unwrap();
    assert_eq!(plain.frames().len(), 1);
    assert!(plain.json().unwrap()[0].to_string().contains("You asked: Hello"));
    let streamed = calls::streamed(&role, question("Hello").with_raw()).await.unwrap().meta.raw.unwrap();
    assert!(streamed.frames().len() > 2, "{streamed:?}");
    assert!(streamed.json().is_ok());
    let without = calls::streamed(&role, question("Hello")).await.unwrap();
    assert!(without.raw.is_none() && calls::plain(&role, question("Hello")).await.unwrap().raw.is_none());
}

/// Whatever a target must change, the plan and both kinds of answer tell.
pub(super) async fn adjustments(fixture: Arc<Fixture>) {
    let role = fixture.text();
    let mut request = question("Hello").with_request_id("order-4711").with_tolerance(Tolerance::Lossy);
    let card = card(&role);
    if card.max_output.is_some() {
        request = request.with_max_tokens(u32::MAX);
    }
    if card.sampling.top_k.is_no() {
        let mut random = RandomSampling::default();
        random.top_k = Some(3);
        request = request.with_sampling(Sampling::Random(random));
    }
    let planned = calls::plan(&role, &request).unwrap().adjustments;
    assert!(!planned.is_empty());
    assert_eq!(calls::plain(&role, request.clone()).await.unwrap().adjustments, planned);
    assert_eq!(calls::streamed(&role, request).await.unwrap().adjustments, planned);
    assert!(calls::plain(&role, question("Hello")).await.unwrap().adjustments.is_empty());
}

pub(super) async fn unicode(fixture: Arc<Fixture>) {
    let words = "图里有什么？ 👩‍👩‍👧 e\u{301} \u{2028} \u{2029} \u{85} مرحبا \u{202e}rtl\u{202c} \u{feff} \"\\/ \t 𠮷 \u{10ffff}";
    for answer in answers(&fixture.text(), question(words)).await {
        assert!(answer.text.ends_with(&format!("You asked: {words}")), "{:?}", answer.text);
    }
}

pub(super) async fn empty(fixture: Arc<Fixture>) {
    fixture.script(Scenario::Empty);
    fixture.script(Scenario::Empty);
    for answer in answers(&fixture.text(), question("Hello")).await {
        assert_eq!((answer.text.as_str(), answer.finish.kind), ("", FinishKind::Stop));
    }
}

pub(super) async fn at_once(fixture: Arc<Fixture>) {
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..8 {
        let role = fixture.text();
        calls.spawn(async move {
            let request = question(&format!("Number {number}!"));
            let answer = match number % 2 {
                0 => calls::plain(&role, request).await.unwrap(),
                _ => calls::streamed(&role, request).await.unwrap(),
            };
            assert!(answer.text.ends_with(&format!("Number {number}!")), "{}", answer.text);
        });
    }
    for result in calls.join_all().await {
        result
    }
}
