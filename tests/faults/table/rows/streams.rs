//! What stands in a reply: good in an odd form, out of order, damaged, or ended in another way than well.

use ErrorKind::{ContentRefused, ContextTooLong, Interrupted, Protocol, Server};
use polysight::ErrorKind;
use polysight_emulator::{Fault, Surface};

use super::{EVENTS, JSON, UNTYPED, document};
use crate::table::row::{Advice, Ask, Outcome, Row, Text, answer, broken_off, fault, faults, refused};
use crate::table::target::Target;

const OLD_JSON: &str = "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n";
const OLD_EVENTS: &str = "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n";

pub(super) fn good(target: &Target) -> Vec<Row> {
    let mut rows = framings(target);
    rows.extend(contents(target));
    rows.extend(documents(target));
    rows
}

fn no_mark(target: &Target) -> Option<&'static str> {
    target.is_native().then_some("the protocol has no mark of the end")
}

fn usual_form(target: &Target) -> Option<&'static str> {
    target.is_native().then_some("the protocol is always written so")
}

fn framings(target: &Target) -> Vec<Row> {
    let mut rows: Vec<Row> = [
        Fault::CrLf,
        Fault::Cr,
        Fault::Bom,
        Fault::MultiLineData,
        Fault::NoFinalBlankLine,
        Fault::SplitEvery(1),
        Fault::SplitEvery(7),
        Fault::KeepAliveComments,
        Fault::NoUsage,
        Fault::UsageFrame,
        Fault::NullChoices,
        Fault::NullsEverywhere,
    ]
    .map(fault)
    .into();
    rows.extend([Fault::NoDone, Fault::AfterDone].map(|each| fault(each).unless(no_mark(target))));
    rows.extend(
        [Fault::NoSpaceAfterColon, Fault::EventFields].map(|each| fault(each).unless(usual_form(target))),
    );
    let every = [
        Fault::CrLf,
        Fault::Bom,
        Fault::NoSpaceAfterColon,
        Fault::MultiLineData,
        Fault::NoFinalBlankLine,
        Fault::SplitEvery(1),
        Fault::KeepAliveComments,
        Fault::EventFields,
        Fault::UsageFrame,
        Fault::NoDone,
    ];
    rows.extend([
        faults("every good framing at once, bytewise", every),
        faults("CR, bytewise", [Fault::Cr, Fault::SplitEvery(1)]),
        faults("no [DONE] and no blank line at the end", [Fault::NoDone, Fault::NoFinalBlankLine])
            .unless(no_mark(target)),
        faults("no [DONE] and no usage", [Fault::NoDone, Fault::NoUsage]).unless(no_mark(target)),
    ]);
    rows
}

fn contents(target: &Target) -> Vec<Row> {
    let separators = Text::After("a\u{2028}b\u{85}c\u{2029}d ");
    let no_tools = target.tool_model.is_none().then_some("its models call no tools");
    let no_reasoning = target.reasoning_model.is_none().then_some("its models do not reason");
    let is_list = target.is_native().then_some("content is always a list here");
    vec![
        fault(Fault::ContentList).unless(is_list),
        fault(Fault::UnicodeLineSeparators).both(answer(separators)),
        fault(Fault::ArgumentsObject).asking(Ask::Tool).unless(no_tools),
        faults("a tool call with nulls everywhere", [Fault::NullsEverywhere])
            .asking(Ask::Tool)
            .unless(no_tools),
        fault(Fault::EmptyAnswer).both(answer(Text::Nothing)),
        faults("reasoning and no answer", [Fault::EmptyAnswer])
            .asking(Ask::Reasoning)
            .both(answer(Text::Nothing))
            .unless(no_reasoning),
    ]
}

/// A server that streams nothing, though it was asked to, and one that says so only by what it sends.
fn documents(target: &Target) -> Vec<Row> {
    let (reply, stream) = (target.reply("one"), target.stream(&["one"]));
    let (reply, stream) = (reply.as_str(), stream.as_str());
    let (late_reply, late_stream) = (format!("\r\n\n  {reply}"), format!("\n\n{stream}"));
    let rows = [
        document("a document in place of a stream", JSON, reply, JSON, reply),
        document("a document of no type", UNTYPED, reply, UNTYPED, reply),
        document("a stream of no type", UNTYPED, reply, UNTYPED, stream),
        document("white space first", JSON, late_reply, UNTYPED, late_stream),
        document("HTTP/1.0", OLD_JSON, reply, OLD_EVENTS, stream),
    ];
    rows.map(|row| row.both(answer(Text::Exactly("one")))).into()
}

/// Nothing in a chunk tells its place, and so they are taken as they come.
pub(super) fn odd_order(target: &Target) -> Vec<Row> {
    let wire = target.wire;
    let reply = target.reply("onetwo");
    let [one, two] = ["one", "two"].map(|text| wire.delta(text));
    let (finish, usage) = (wire.finish_alone(), wire.usage_alone());
    let stream = |name, frames: &[serde_json::Value], text| {
        let stream = target.frames(frames) + &target.done();
        document(name, JSON, reply.as_str(), EVENTS, stream)
            .plain(answer(Text::Exactly("onetwo")))
            .streamed(answer(Text::Exactly(text)))
    };
    vec![
        fault(Fault::DuplicateChunk).streamed(answer(Text::MiddleTwice)),
        stream("deltas out of order", &[two.clone(), one.clone(), finish.clone()], "twoone"),
        stream("a delta behind the finish", &[one.clone(), finish.clone(), two.clone()], "onetwo"),
        stream("usage before the deltas", &[usage, one.clone(), two.clone(), finish.clone()], "onetwo"),
        stream("the finish twice", &[one, two, finish.clone(), finish], "onetwo"),
    ]
}

pub(super) fn damaged(target: &Target) -> Vec<Row> {
    // The second frame is damaged.
    let before = if target.opens_with_role { Text::Nothing } else { Text::Deltas(1) };
    let damaged = |text: &Text| broken_off(Protocol, Advice::Later).after(text.clone());
    let unread = || broken_off(Protocol, Advice::Never);
    vec![
        fault(Fault::InvalidJson)
            .plain(broken_off(Protocol, Advice::Later).after(Text::UpToCut))
            .streamed(damaged(&before)),
        fault(Fault::GluedFrame).streamed(damaged(&before)),
        fault(Fault::InvalidUtf8).both(answer(Text::Marked)),
        fault(Fault::EmptyChoices).plain(unread()).streamed(broken_off(Interrupted, Advice::Later)),
    ]
}

fn ends(kind: ErrorKind, advice: Advice, text: Text) -> Outcome {
    broken_off(kind, advice).after(text)
}

fn finish(reason: &str) -> Row {
    fault(Fault::FinishReason(reason.to_owned()))
}

pub(super) fn endings(target: &Target) -> Vec<Row> {
    let interrupted = || ends(Interrupted, Advice::Later, Text::Whole);
    let unfinished = target.frames(&target.deltas(&["one"])) + &target.done();
    vec![
        fault(Fault::NoFinish).plain(answer(Text::Whole)).streamed(interrupted()),
        faults("neither finish reason nor [DONE]", [Fault::NoFinish, Fault::NoDone])
            .plain(answer(Text::Whole))
            .streamed(interrupted())
            .unless(no_mark(target)),
        document("[DONE] without finish and usage", JSON, target.reply("one"), EVENTS, unfinished)
            .plain(answer(Text::Exactly("one")))
            .streamed(ends(Interrupted, Advice::Later, Text::Exactly("one")))
            .unless(no_mark(target)),
        fault(Fault::UnknownEnums).both(ends(Interrupted, Advice::Never, Text::Whole)),
        finish("length").both(ends(Interrupted, Advice::Never, Text::Whole)),
        finish("content_filter").both(ends(ContentRefused, Advice::Never, Text::Whole)),
    ]
}

pub(super) fn own_endings(target: &Target) -> Vec<Row> {
    let refusal = |text| ends(ContentRefused, Advice::Never, text);
    let failed = || refused(Server, Advice::Later);
    match target.surface {
        Surface::Zhipu => vec![
            fault(Fault::Sensitive).both(refusal(Text::Half)),
            fault(Fault::NetworkError).both(ends(Interrupted, Advice::Later, Text::Half)),
            finish("model_context_window_exceeded").both(ends(ContextTooLong, Advice::Never, Text::Whole)),
        ],
        // What the inspection or a broken inference ends has no finish: it is an error.
        Surface::DashScopeCompatible | Surface::DashScopeNative => vec![
            fault(Fault::Sensitive)
                .plain(refused(ContentRefused, Advice::Never))
                .streamed(refusal(Text::Half)),
            fault(Fault::NetworkError).plain(failed()).streamed(failed().after(Text::Half)),
        ],
        Surface::Qianfan => vec![
            fault(Fault::Sensitive).both(refusal(Text::Half)),
            fault(Fault::NetworkError).plain(failed()).streamed(failed().after(Text::Half)),
            finish("normal"),
            fault(Fault::Flag(1)),
            fault(Fault::Flag(2)),
            fault(Fault::Flag(3)).both(refusal(Text::Half)),
            fault(Fault::Flag(4)).both(refusal(Text::Half)),
        ],
        _ => Vec::new(),
    }
}
