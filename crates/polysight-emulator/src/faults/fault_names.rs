//! Names and arguments of faults, as they stand in a header or on a command line.

use std::time::Duration;

use super::{ErrorForm, Fault, JsonBreak};
use crate::codes::status_of;

/// A row of the list of faults.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FaultEntry {
    /// What stands before the `=`.
    pub name: &'static str,
    /// What stands after it, empty where nothing does. `[..]` may be left out.
    pub argument: &'static str,
    /// What happens.
    pub summary: &'static str,
    /// The fault, where it has no argument.
    fault: Option<&'static Fault>,
}

const fn taking(name: &'static str, argument: &'static str, summary: &'static str) -> FaultEntry {
    FaultEntry { name, argument, summary, fault: None }
}

const fn plain(fault: &'static Fault, name: &'static str, summary: &'static str) -> FaultEntry {
    FaultEntry { name, argument: "", summary, fault: Some(fault) }
}

pub(super) const ENTRIES: &[FaultEntry] = &[
    taking("status", "STATUS[:CODE[:TEXT]][|HEADER: VALUE]..", "an error of your own"),
    taking("code", "CODE", "one of the vendor's error codes, with its status and text"),
    plain(&Fault::Html502, "html-502", "HTTP 502 with a page of HTML"),
    plain(&Fault::Empty500, "empty-500", "HTTP 500 with an empty body"),
    plain(&Fault::Html200, "html-200", "HTTP 200 with a page of HTML"),
    taking("error-body-200", "[CODE]", "HTTP 200 with the body of an error, also for streams"),
    taking("flat-error-200", "[CODE]", "HTTP 200 with code and msg at the top level"),
    taking("redirect", "URL", "HTTP 307 to this address"),
    taking("huge-body", "[BYTES]", "a valid body of this length"),
    plain(&Fault::InvalidJson, "invalid-json", "JSON cut in the middle; in a stream, that of one frame"),
    taking("delay", "MS", "waits before the status line"),
    taking("delay-deltas", "MS", "waits before every delta"),
    taking("slow-headers", "MS", "the head line by line, with pauses"),
    plain(&Fault::EndlessHeaders, "endless-headers", "headers without end"),
    plain(&Fault::StallBeforeHead, "stall-before-head", "nothing is sent, the connection stays open"),
    plain(&Fault::StallBeforeFirstDelta, "stall-before-first-delta", "the head, then nothing"),
    taking("stall-between-deltas", "N", "stream: nothing more after N deltas"),
    plain(&Fault::StallAfterLast, "stall-after-last", "stream: everything but [DONE] and the end"),
    plain(&Fault::CloseBeforeHead, "close-before-head", "closed when the request has been read"),
    taking("reset-during-upload", "BYTES", "reset when this much of the request body has been read"),
    plain(&Fault::ResetBeforeHead, "reset-before-head", "reset when the request has been read"),
    plain(&Fault::ResetInHead, "reset-in-head", "reset in the middle of the head"),
    plain(&Fault::ResetAfterHead, "reset-after-head", "reset after the head"),
    taking("reset-in-body", "BYTES", "reset after this much of the body"),
    taking("truncate-after", "BYTES", "closed after this much of the body"),
    plain(&Fault::EofInCharacter, "eof-in-character", "closed in the middle of a character"),
    plain(&Fault::ChunkedCut, "chunked-cut", "closed in the middle of a chunk"),
    taking("wrong-content-length", "DIFFERENCE", "Content-Length too long (positive) or too short"),
    plain(&Fault::GzipPromised, "gzip-promised", "Content-Encoding: gzip, of plain bytes"),
    taking("split-every", "BYTES", "writes of this length"),
    plain(&Fault::NoDone, "no-done", "stream: no [DONE]"),
    plain(&Fault::NoUsage, "no-usage", "no usage"),
    plain(&Fault::NoFinish, "no-finish", "no finish reason"),
    taking("error-frame", "data|event|bare[:N]", "stream: an error after N deltas (2 by default)"),
    plain(&Fault::EmptyStream, "empty-stream", "stream: no events at all"),
    plain(&Fault::GluedFrame, "glued-frame", "stream: a frame cut, and another glued to it"),
    plain(&Fault::DuplicateChunk, "duplicate-chunk", "stream: a delta comes twice"),
    plain(&Fault::AfterDone, "after-done", "stream: a delta after [DONE]"),
    plain(&Fault::UsageFrame, "usage-frame", "stream: usage in a frame of its own, with no choices"),
    plain(&Fault::NullChoices, "null-choices", "stream: a frame whose choices is null"),
    taking("huge-line", "[BYTES]", "stream: a line of this length, at most 256 MiB"),
    plain(&Fault::KeepAliveComments, "keep-alive-comments", "stream: comments before every event"),
    plain(&Fault::EventFields, "event-fields", "stream: event: and id: lines"),
    plain(&Fault::CrLf, "crlf", "stream: lines end with CR LF"),
    plain(&Fault::Cr, "cr", "stream: lines end with CR"),
    plain(&Fault::Bom, "bom", "stream: a byte order mark first"),
    plain(&Fault::NoSpaceAfterColon, "no-space-after-colon", "stream: data: without the space"),
    plain(&Fault::MultiLineData, "multi-line-data", "stream: the JSON of each event on two lines"),
    plain(&Fault::NoFinalBlankLine, "no-final-blank-line", "stream: the last event lacks its empty line"),
    plain(&Fault::InvalidUtf8, "invalid-utf8", "bytes in the text that are not UTF-8"),
    plain(&Fault::UnicodeLineSeparators, "unicode-line-separators", "U+2028, U+0085 and U+2029 in the text"),
    taking("broken-json", JsonBreak::NAMES, "the JSON of the answer is broken as models break it"),
    plain(&Fault::Sensitive, "sensitive", "the answer is withdrawn by the content audit"),
    plain(&Fault::NetworkError, "network-error", "inference fails halfway"),
    taking("finish-reason", "REASON", "the answer ends for this reason"),
    plain(&Fault::EmptyAnswer, "empty-answer", "reasoning, then nothing"),
    plain(&Fault::UnknownEnums, "unknown-enums", "role, type and finish reason of no known value"),
    plain(&Fault::NullsEverywhere, "nulls-everywhere", "every optional field is there and null"),
    plain(&Fault::EmptyChoices, "empty-choices", "no choices"),
    plain(&Fault::ContentList, "content-list", "content is a list of text parts"),
    plain(&Fault::ArgumentsObject, "arguments-object", "arguments of tool calls are objects"),
    plain(&Fault::TaskFails, "task-fails", "an asynchronous task fails"),
    taking("flag", "1|2|3|4", "Qianfan: the safety flag of the answer; 3 and 4 withdraw it halfway"),
];

const MIB: u64 = 1024 * 1024;
const DEFAULT_ERROR: &str = "1305";

/// Longest line that is written, in bytes.
pub(super) const MAX_LINE: u64 = 256 * MIB;

/// The name in a header.
pub(super) fn name(fault: &Fault) -> &'static str {
    fault.into()
}

/// What a fault of this name takes; `None` where there is none of this name.
pub(super) fn argument_wanted(name: &str) -> Option<&'static str> {
    ENTRIES.iter().find(|entry| entry.name == name).map(|entry| entry.argument)
}

/// The argument in a header.
pub(super) fn argument(fault: &Fault) -> Option<String> {
    match fault {
        Fault::Status { status, code, message, headers } => {
            Some(status_argument(*status, code, message, headers))
        }
        Fault::Code(text)
        | Fault::ErrorBody200(text)
        | Fault::FlatError200(text)
        | Fault::RedirectTo(text)
        | Fault::FinishReason(text) => Some(text.clone()),
        Fault::HugeBody(bytes) | Fault::ResetDuringUpload(bytes) => Some(bytes.to_string()),
        Fault::Delay(time) | Fault::DelayDeltas(time) | Fault::SlowHeaders(time) => {
            Some(time.as_millis().to_string())
        }
        Fault::StallBetweenDeltas(count)
        | Fault::ResetInBody(count)
        | Fault::TruncateAfter(count)
        | Fault::SplitEvery(count)
        | Fault::HugeLine(count) => Some(count.to_string()),
        Fault::Flag(flag) => Some(flag.to_string()),
        Fault::BrokenJson(kind) => Some(<&str>::from(kind).to_owned()),
        Fault::WrongContentLength(difference) => Some(difference.to_string()),
        Fault::ErrorFrame { form, after } => Some(format!("{}:{after}", <&str>::from(form))),
        _ => None,
    }
}

fn status_argument(status: u16, code: &str, message: &str, headers: &[(String, String)]) -> String {
    let mut text = format!("{status}:{code}:{message}").trim_end_matches(':').to_owned();
    for (name, value) in headers {
        text.extend(["|", name, ": ", value]);
    }
    text
}

/// Reads `name` or `name=argument`. A fault that takes no argument must not be given one.
pub(super) fn parse(text: &str) -> Option<Fault> {
    let (name, argument) = text.split_once('=').unwrap_or((text, ""));
    let plain = ENTRIES.iter().find(|entry| entry.name == name).and_then(|entry| entry.fault);
    match plain {
        Some(fault) => argument.is_empty().then(|| fault.clone()),
        None => parse_with_argument(name, argument.trim()),
    }
}

fn parse_with_argument(name: &str, argument: &str) -> Option<Fault> {
    let text = || (!argument.is_empty()).then(|| argument.to_owned());
    let time = || argument.parse().ok().map(Duration::from_millis);
    Some(match name {
        "status" => parse_status(argument)?,
        "code" => Fault::Code(known_code(argument)?),
        "error-body-200" => Fault::ErrorBody200(text().unwrap_or_else(|| DEFAULT_ERROR.to_owned())),
        "flat-error-200" => Fault::FlatError200(text().unwrap_or_else(|| DEFAULT_ERROR.to_owned())),
        "redirect" => Fault::RedirectTo(text()?),
        "huge-body" => Fault::HugeBody(or_default(argument, 64 * MIB)?),
        "delay" => Fault::Delay(time()?),
        "delay-deltas" => Fault::DelayDeltas(time()?),
        "slow-headers" => Fault::SlowHeaders(time()?),
        "stall-between-deltas" => Fault::StallBetweenDeltas(argument.parse().ok()?),
        "reset-during-upload" => Fault::ResetDuringUpload(argument.parse().ok()?),
        "reset-in-body" => Fault::ResetInBody(argument.parse().ok()?),
        "truncate-after" => Fault::TruncateAfter(argument.parse().ok()?),
        "wrong-content-length" => Fault::WrongContentLength(argument.parse().ok()?),
        "split-every" => Fault::SplitEvery(argument.parse().ok().filter(|bytes| *bytes > 0)?),
        "error-frame" => parse_error_frame(argument)?,
        "huge-line" => Fault::HugeLine(line_length(argument)?),
        "finish-reason" => Fault::FinishReason(text()?),
        "broken-json" => {
            Fault::BrokenJson(JsonBreak::ALL.into_iter().find(|known| <&str>::from(known) == argument)?)
        }
        "flag" => Fault::Flag(argument.parse().ok().filter(|flag| (1..=4).contains(flag))?),
        _ => return None,
    })
}

/// A code of any vendor.
fn known_code(code: &str) -> Option<String> {
    status_of(code).map(|_| code.to_owned())
}

fn or_default(argument: &str, default: u64) -> Option<u64> {
    if argument.is_empty() { Some(default) } else { argument.parse().ok() }
}

fn line_length(argument: &str) -> Option<usize> {
    usize::try_from(or_default(argument, 16 * MIB).filter(|bytes| *bytes <= MAX_LINE)?).ok()
}

fn parse_status(argument: &str) -> Option<Fault> {
    let mut fields = argument.split('|');
    let mut error = fields.next()?.splitn(3, ':').map(str::trim);
    let status = error.next()?.parse().ok().filter(|status| (200..=599).contains(status))?;
    let (code, message) = (error.next().unwrap_or_default(), error.next().unwrap_or_default());
    let headers = fields.map(|field| {
        let (name, value) = field.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    });
    Some(Fault::Status {
        status,
        code: code.to_owned(),
        message: message.to_owned(),
        headers: headers.collect::<Option<_>>()?,
    })
}

fn parse_error_frame(argument: &str) -> Option<Fault> {
    let (form, after) = argument.split_once(':').unwrap_or((argument, "2"));
    let forms = [ErrorForm::Data, ErrorForm::Event, ErrorForm::BareLine];
    let form = forms.into_iter().find(|known| <&str>::from(known) == form)?;
    Some(Fault::ErrorFrame { form, after: after.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One spelling of every fault that takes an argument.
    const WITH_ARGUMENT: &[&str] = &[
        "status=429:1302:slow down|retry-after: 2|x-should-retry: false",
        "code=1113",
        "error-body-200=1305",
        "flat-error-200=500",
        "redirect=http://127.0.0.1:1/x=y",
        "huge-body=1000",
        "delay=20",
        "delay-deltas=1",
        "slow-headers=5",
        "stall-between-deltas=3",
        "reset-during-upload=10",
        "reset-in-body=0",
        "truncate-after=100",
        "wrong-content-length=-5",
        "split-every=1",
        "error-frame=bare:0",
        "huge-line=100",
        "finish-reason=model_context_window_exceeded",
        "flag=4",
        "broken-json=closed-twice",
    ];

    #[test]
    fn every_fault_reads_back_what_it_prints() {
        let plain: Vec<String> =
            ENTRIES.iter().filter_map(|entry| entry.fault).map(Fault::to_string).collect();
        let spelled = WITH_ARGUMENT.iter().map(|text| (*text).to_owned()).chain(plain);
        let mut names = Vec::new();
        for text in spelled {
            let fault: Fault = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(fault.to_string(), text);
            names.push(name(&fault));
        }
        let listed: Vec<_> = ENTRIES.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        let mut expected = listed;
        expected.sort_unstable();
        assert_eq!(names, expected, "the list and the faults differ");
    }

    #[test]
    fn knows_the_codes_of_every_vendor() {
        for code in ["1305", "Throttling.RateQuota", "insufficient_quota", "rpm_rate_limit_exceeded"] {
            assert!(format!("code={code}").parse::<Fault>().is_ok(), "{code}");
        }
    }

    #[test]
    fn says_what_a_fault_takes() {
        for (text, why) in [
            ("nonsense", "no fault is called \"nonsense\""),
            ("delay=soon", "the fault delay takes \"MS\", not \"soon\""),
            ("bom=1", "the fault bom takes nothing, not \"1\""),
            ("huge-line=99999999999", "at most 268435456"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn refuses_what_is_no_fault() {
        for text in [
            "",
            "nonsense",
            "delay",
            "delay=soon",
            "bom=1",
            "code=9999",
            "flag=5",
            "split-every=0",
            "status=99",
            "error-frame=x",
            "huge-line=268435457",
            "huge-line=99999999999",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
