//! Everything that goes wrong between a client and a vendor, over real sockets: one table for every provider, plain and
//! streamed.
//!
//! `cargo test -p polysight-tests --test faults -- --nocapture` prints it.

mod case;
mod codes;
mod report;
mod retries;
mod row;
mod rows;
mod runner;
mod target;

use case::{call, request};
use polysight_testkit::calls::Way;
use polysight_testkit::{MockServer, Step};
use report::{Line, Table};
use row::{Ask, Limits};
use target::{TARGETS, Target};

/// What a provider cannot meet; the rows say why.
const NOT_OFFERED: [(&str, &str); 19] = [
    ("qwen-vl-native", "error-frame=data:0"),
    ("qwen-vl-native", "error-frame=data:2"),
    ("qwen-vl-native", "no-done"),
    ("qwen-vl-native", "after-done"),
    ("qwen-vl-native", "no-space-after-colon"),
    ("qwen-vl-native", "event-fields"),
    ("qwen-vl-native", "no [DONE] and no blank line at the end"),
    ("qwen-vl-native", "no [DONE] and no usage"),
    ("qwen-vl-native", "content-list"),
    ("qwen-vl-native", "neither finish reason nor [DONE]"),
    ("qwen-vl-native", "[DONE] without finish and usage"),
    ("qwen-vl-native", "stream: fields"),
    ("qwen-vl-native", "stream: no mark of the end"),
    ("qwen-vl-native", "stream: more after the mark of the end"),
    ("qwen-vl-native", "stream: an error as data"),
    ("qwen-vl-native", "stream: the mark of the end without a finish"),
    ("gateway", "arguments-object"),
    ("gateway", "a tool call with nulls everywhere"),
    ("gateway", "reasoning and no answer"),
];

#[test]
fn every_fault_has_the_expected_outcome() {
    let mut lines = Vec::new();
    std::thread::scope(|scope| {
        let running: Vec<_> = TARGETS.iter().map(|target| scope.spawn(|| lines_of(target))).collect();
        lines.extend(running.into_iter().flat_map(|target| target.join().unwrap()));
    });
    let table = Table { providers: TARGETS.len(), common: rows::common(&TARGETS[0]).len(), lines };
    println!("{}", table.to_text());
    let wrong: Vec<String> = table.lines.iter().flat_map(Line::findings).collect();
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

fn lines_of(target: &'static Target) -> Vec<Line> {
    let mut rows = rows::common(target);
    rows.extend(rows::own(target));
    runner::run_all(target, rows).into_iter().map(|result| Line { provider: target.name, result }).collect()
}

#[test]
fn every_provider_has_the_same_rows_and_misses_only_those_that_it_must() {
    let names = |target| rows::common(target).into_iter().map(|row| row.name).collect::<Vec<_>>();
    let mut missed = Vec::new();
    for target in &TARGETS {
        assert_eq!(names(target), names(&TARGETS[0]), "{}", target.name);
        let mut all = names(target);
        all.extend(rows::own(target).into_iter().map(|row| row.name));
        all.sort_unstable();
        let twice = all.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "{}", target.name);
        let rows = rows::common(target).into_iter().chain(rows::own(target));
        missed.extend(rows.filter(|row| row.not_offered.is_some()).map(|row| (target.name, row.name)));
    }
    let missed: Vec<(&str, &str)> = missed.iter().map(|(target, row)| (*target, row.as_str())).collect();
    assert_eq!(missed, NOT_OFFERED);
}

/// A new connection costs a round trip or three, and TLS.
#[tokio::test]
async fn good_replies_leave_the_connection_to_the_next_request() {
    for target in &TARGETS {
        let server = MockServer::start().await;
        let provider = target.provider(&server.url(""), &Limits::default());
        for way in Way::ALL {
            let reply = if way == Way::Plain { rows::kept_plain(target) } else { rows::kept_stream(target) };
            server.play(&[
                Step::ReadRequest,
                Step::Send(reply.clone()),
                Step::ReadRequest,
                Step::Send(reply),
            ]);
            for _ in 0..2 {
                let observed = call(&provider, request(target, Ask::Hello), way, &mut Vec::new()).await;
                assert_eq!((observed.text.as_str(), observed.error.is_none()), ("onetwo", true));
            }
            assert_eq!((server.requests().len(), server.connections()), (2, 1), "{} {way:?}", target.name);
            runner::let_the_close_arrive().await;
        }
    }
}
