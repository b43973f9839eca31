//! Streams of self-hosted servers and gateways: the forms of an answer, silence, and an early end.

use polysight::{ErrorKind, RetryAdvice, TimeoutPhase};
use polysight_testkit::{Reply, Step};
use serde_json::{Value, json};

use super::{DEPLOYMENTS, Report, SHORT, chat, chunk, delta, events, line, stream, transport};

#[tokio::test]
async fn a_stream_without_an_event_is_no_empty_answer() {
    let transport = transport(|_| {});
    for deployment in DEPLOYMENTS {
        for reply in [
            Reply::events().end(),
            Reply::events().piece("\n\n").end(),
            Reply::events().piece("data: [DONE]\n\n").end(),
        ] {
            let error = stream(deployment, reply, &transport).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
            assert!(
                error.to_string().contains("without a single event") && error.partial().is_none(),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let short_first_byte = transport(|limits| limits.first_byte = SHORT);
    let short_idle = transport(|limits| limits.idle = SHORT);
    let first = ErrorKind::Timeout(TimeoutPhase::FirstByte);
    let mut running = Vec::new();
    for deployment in DEPLOYMENTS {
        let (short_first_byte, short_idle) = (short_first_byte.clone(), short_idle.clone());
        running.push(tokio::spawn(async move {
            let silent = || Reply::nothing().then(Step::Hang);
            assert_eq!(chat(deployment, silent(), &short_first_byte).await.unwrap_err().kind(), first);
            assert_eq!(stream(deployment, silent(), &short_first_byte).await.unwrap_err().kind(), first);
            let head = Reply::events().then(Step::Hang);
            assert_eq!(stream(deployment, head, &short_first_byte).await.unwrap_err().kind(), first);
            let half = events(&[delta(json!({"content": "Hel"}), Value::Null)]).then(Step::Hang);
            let error = stream(deployment, half, &short_idle).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Idle));
            assert_eq!(error.partial().unwrap().text, "Hel");
            assert_eq!(error.retry(), RetryAdvice::Never, "the call may be running, and billed");
        }));
    }
    for task in running {
        task.await.unwrap();
    }
}

/// Forms of the same answer: its chunks, and what must come of them.
fn stream_forms() -> Vec<(&'static str, Vec<Value>, &'static str)> {
    const UNCOUNTED: &str = "`ab` () stop None";
    const COUNTED: &str = "`ab` () stop Some((10, 4))";
    const REASONED: &str = "`ab` (hm) stop None";
    let text = |text: &str| delta(json!({"content": text}), Value::Null);
    let bare = |content: &str| chunk(json!([{"index": 0, "delta": {"content": content}}]));
    let done = || delta(json!({}), json!("stop"));
    let usage =
        |count: u64| json!({"prompt_tokens": 10, "completion_tokens": count, "total_tokens": 10 + count});
    let with_usage = |mut chunk: Value, usage: Value| {
        chunk["usage"] = usage;
        chunk
    };
    let alone = |choices: Value| with_usage(chunk(choices), usage(4));
    let before = |name, first: Value, wanted| (name, vec![first, text("a"), text("b"), done()], wanted);
    let after = |name, mut last: Vec<Value>| {
        let mut chunks = vec![text("a"), text("b")];
        chunks.append(&mut last);
        (name, chunks, COUNTED)
    };
    let first = |fields: Value| delta(fields, Value::Null);
    let finish = |content: &str, reason: Value| delta(json!({"content": content}), reason);
    let nothing = json!([{"index": 0, "delta": null, "finish_reason": null}]);
    let with_message =
        json!([{"index": 0, "delta": {"content": "b"}, "message": null, "finish_reason": "stop"}]);
    let nulls = json!({"role": "assistant", "content": "a", "tool_calls": null, "reasoning_content": null});
    let no_refusal = json!({"role": "assistant", "content": "b", "tool_calls": [], "refusal": null});
    let no_calls = json!({"role": "assistant", "content": "", "tool_calls": null});
    let both_names = json!({"reasoning_content": "hm", "reasoning": "hm", "content": "a"});
    vec![
        ("finish on its own", vec![text("a"), text("b"), done()], UNCOUNTED),
        ("finish on the last text", vec![text("a"), finish("b", json!("stop"))], UNCOUNTED),
        ("finish absent before", vec![bare("a"), bare("b"), done()], UNCOUNTED),
        ("finish empty before", vec![finish("a", json!("")), text("b"), done()], UNCOUNTED),
        ("finish as null in words", vec![finish("a", json!("null")), text("b"), done()], UNCOUNTED),
        after("usage on the finish", vec![with_usage(done(), usage(4))]),
        (
            "usage on every chunk",
            vec![
                with_usage(text("a"), usage(1)),
                with_usage(text("b"), usage(2)),
                with_usage(done(), usage(4)),
            ],
            COUNTED,
        ),
        after("usage after the finish", vec![done(), alone(json!([]))]),
        after(
            "usage after the finish with a choice",
            vec![done(), alone(json!([{"index": 0, "delta": {}}]))],
        ),
        after("usage null, then there", vec![with_usage(done(), Value::Null), alone(json!([]))]),
        before("content null first", first(json!({"role": "assistant", "content": null})), UNCOUNTED),
        before("content empty first", first(json!({"role": "assistant", "content": ""})), UNCOUNTED),
        before("content absent first", first(json!({"role": "assistant"})), UNCOUNTED),
        (
            "role and nulls in every chunk",
            vec![first(nulls), first(no_refusal), delta(no_calls, json!("stop"))],
            UNCOUNTED,
        ),
        (
            "tool calls that are no list",
            vec![
                first(json!({"content": "a", "tool_calls": {}})),
                delta(json!({"content": "b", "tool_calls": ""}), json!("stop")),
            ],
            UNCOUNTED,
        ),
        ("message beside delta", vec![text("a"), chunk(with_message)], UNCOUNTED),
        before("delta null", chunk(nothing), UNCOUNTED),
        before("reasoning", first(json!({"reasoning": "hm"})), REASONED),
        before("reasoning_content", first(json!({"reasoning_content": "hm"})), REASONED),
        before(
            "both names, one null",
            first(json!({"reasoning": "hm", "reasoning_content": null})),
            REASONED,
        ),
        ("both names, the same twice", vec![first(both_names), text("b"), done()], REASONED),
    ]
}

#[tokio::test]
async fn an_answer_is_the_same_in_every_form_of_a_stream() {
    let transport = transport(|_| {});
    let mut report = Report::new("forms of a stream");
    for deployment in DEPLOYMENTS {
        for (case, chunks, wanted) in stream_forms() {
            let marked =
                stream(deployment, events(&chunks).piece("data: [DONE]\n\n").end(), &transport).await;
            report.compare(case, deployment, line(marked), wanted);
            // Some servers close without the mark of the end.
            let closed = stream(deployment, events(&chunks).end(), &transport).await;
            report.compare(&format!("{case}, no mark"), deployment, line(closed), wanted);
        }
    }
    report.close();
}

#[tokio::test]
async fn an_end_without_finish_reason_and_mark_is_an_interruption() {
    let transport = transport(|_| {});
    for deployment in DEPLOYMENTS {
        let half = events(&[delta(json!({"content": "ab"}), Value::Null)]).end();
        let error = stream(deployment, half, &transport).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Interrupted, true));
        assert_eq!(error.partial().unwrap().text, "ab");
    }
}
