//! Names and arguments of faults, as they stand in a header or on a command line.

use std::time::Duration;

use super::{ErrorForm, Fault};
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
}

const fn entry(name: &'static str, argument: &'static str, summary: &'static str) -> FaultEntry {
    FaultEntry { name, argument, summary }
}

pub(super) const ENTRIES: &[FaultEntry] = &[
    entry("status", "STATUS[:CODE[:TEXT]][|HEADER: VALUE]..", "an error of your own"),
    entry("code", "CODE", "one of the vendor's error codes, with its status and text"),
    entry("html-502", "", "HTTP 502 with a page of HTML"),
    entry("empty-500", "", "HTTP 500 with an empty body"),
    entry("html-200", "", "HTTP 200 with a page of HTML"),
    entry("error-body-200", "[CODE]", "HTTP 200 with the body of an error, also for streams"),
    entry("flat-error-200", "[CODE]", "HTTP 200 with code and msg at the top level"),
    entry("redirect", "URL", "HTTP 307 to this address"),
    entry("huge-body", "[BYTES]", "a valid body of this length"),
    entry("invalid-json", "", "JSON cut in the middle; in a stream, that of one frame"),
    entry("delay", "MS", "waits before the status line"),
    entry("pace", "MS", "waits before every delta"),
    entry("slow-headers", "MS", "the head line by line, with pauses"),
    entry("endless-headers", "", "headers without end"),
    entry("stall-before-head", "", "nothing is sent, the connection stays open"),
    entry("stall-before-first-delta", "", "the head, then nothing"),
    entry("stall-between-deltas", "N", "stream: nothing more after N deltas"),
    entry("stall-after-last", "", "stream: everything but [DONE] and the end"),
    entry("close-before-head", "", "closed when the request has been read"),
    entry("reset-during-upload", "BYTES", "reset when this much of the request body has been read"),
    entry("reset-before-head", "", "reset when the request has been read"),
    entry("reset-in-head", "", "reset in the middle of the head"),
    entry("reset-after-head", "", "reset after the head"),
    entry("reset-in-body", "BYTES", "reset after this much of the body"),
    entry("truncate-after", "BYTES", "closed after this much of the body"),
    entry("eof-in-character", "", "closed in the middle of a character"),
    entry("chunked-cut", "", "closed in the middle of a chunk"),
    entry("wrong-content-length", "DIFFERENCE", "Content-Length too long (positive) or too short"),
    entry("gzip-promised", "", "Content-Encoding: gzip, of plain bytes"),
    entry("split-every", "BYTES", "writes of this length"),
    entry("no-done", "", "stream: no [DONE]"),
    entry("no-usage", "", "no usage"),
    entry("no-finish", "", "no finish reason"),
    entry("error-frame", "data|event|bare[:N]", "stream: an error after N deltas (2 by default)"),
    entry("empty-stream", "", "stream: no events at all"),
    entry("glued-frame", "", "stream: a frame cut, and another glued to it"),
    entry("duplicate-chunk", "", "stream: a delta comes twice"),
    entry("after-done", "", "stream: a delta after [DONE]"),
    entry("usage-frame", "", "stream: usage in a frame of its own, with no choices"),
    entry("null-choices", "", "stream: a frame whose choices is null"),
    entry("huge-line", "[BYTES]", "stream: a line of this length"),
    entry("keep-alive-comments", "", "stream: comments before every event"),
    entry("event-fields", "", "stream: event: and id: lines"),
    entry("crlf", "", "stream: lines end with CR LF"),
    entry("cr", "", "stream: lines end with CR"),
    entry("bom", "", "stream: a byte order mark first"),
    entry("no-space-after-colon", "", "stream: data: without the space"),
    entry("multi-line-data", "", "stream: the JSON of each event on two lines"),
    entry("no-final-blank-line", "", "stream: the last event lacks its empty line"),
    entry("invalid-utf8", "", "bytes in the text that are not UTF-8"),
    entry("unicode-line-separators", "", "U+2028, U+0085 and U+2029 in the text"),
    entry("sensitive", "", "the answer is withdrawn by the content audit"),
    entry("network-error", "", "inference fails halfway"),
    entry("finish-reason", "REASON", "the answer ends for this reason"),
    entry("empty-answer", "", "reasoning, then nothing"),
    entry("unknown-enums", "", "role, type and finish reason that nobody knows"),
    entry("nulls-everywhere", "", "every optional field is there and null"),
    entry("empty-choices", "", "no choices"),
    entry("content-list", "", "content is a list of text parts"),
    entry("arguments-object", "", "arguments of tool calls are objects"),
    entry("task-fails", "", "an asynchronous task fails"),
    entry("flag", "1|2|3|4", "Qianfan: the safety flag of the answer; 3 and 4 withdraw it halfway"),
];

const MIB: u64 = 1024 * 1024;
const DEFAULT_ERROR: &str = "1305";

/// The name in a header.
pub(super) fn name(fault: &Fault) -> &'static str {
    match fault {
        Fault::Status { .. } => "status",
        Fault::Code(_) => "code",
        Fault::Html502 => "html-502",
        Fault::Empty500 => "empty-500",
        Fault::Html200 => "html-200",
        Fault::ErrorBody200(_) => "error-body-200",
        Fault::FlatError200(_) => "flat-error-200",
        Fault::RedirectTo(_) => "redirect",
        Fault::HugeBody(_) => "huge-body",
        Fault::InvalidJson => "invalid-json",
        Fault::Delay(_) => "delay",
        Fault::Pace(_) => "pace",
        Fault::SlowHeaders(_) => "slow-headers",
        Fault::EndlessHeaders => "endless-headers",
        Fault::StallBeforeHead => "stall-before-head",
        Fault::StallBeforeFirstDelta => "stall-before-first-delta",
        Fault::StallBetweenDeltas(_) => "stall-between-deltas",
        Fault::StallAfterLast => "stall-after-last",
        Fault::CloseBeforeHead => "close-before-head",
        Fault::ResetDuringUpload(_) => "reset-during-upload",
        Fault::ResetBeforeHead => "reset-before-head",
        Fault::ResetInHead => "reset-in-head",
        Fault::ResetAfterHead => "reset-after-head",
        Fault::ResetInBody(_) => "reset-in-body",
        Fault::TruncateAfter(_) => "truncate-after",
        Fault::EofInCharacter => "eof-in-character",
        Fault::ChunkedCut => "chunked-cut",
        Fault::WrongContentLength(_) => "wrong-content-length",
        Fault::GzipPromised => "gzip-promised",
        Fault::SplitEvery(_) => "split-every",
        Fault::NoDone => "no-done",
        Fault::NoUsage => "no-usage",
        Fault::NoFinish => "no-finish",
        Fault::ErrorFrame { .. } => "error-frame",
        Fault::EmptyStream => "empty-stream",
        Fault::GluedFrame => "glued-frame",
        Fault::DuplicateChunk => "duplicate-chunk",
        Fault::AfterDone => "after-done",
        Fault::UsageFrame => "usage-frame",
        Fault::NullChoices => "null-choices",
        Fault::HugeLine(_) => "huge-line",
        Fault::KeepAliveComments => "keep-alive-comments",
        Fault::EventFields => "event-fields",
        Fault::CrLf => "crlf",
        Fault::Cr => "cr",
        Fault::Bom => "bom",
        Fault::NoSpaceAfterColon => "no-space-after-colon",
        Fault::MultiLineData => "multi-line-data",
        Fault::NoFinalBlankLine => "no-final-blank-line",
        Fault::InvalidUtf8 => "invalid-utf8",
        Fault::UnicodeLineSeparators => "unicode-line-separators",
        Fault::Sensitive => "sensitive",
        Fault::NetworkError => "network-error",
        Fault::FinishReason(_) => "finish-reason",
        Fault::EmptyAnswer => "empty-answer",
        Fault::UnknownEnums => "unknown-enums",
        Fault::NullsEverywhere => "nulls-everywhere",
        Fault::EmptyChoices => "empty-choices",
        Fault::ContentList => "content-list",
        Fault::ArgumentsObject => "arguments-object",
        Fault::TaskFails => "task-fails",
        Fault::Flag(_) => "flag",
    }
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
        Fault::Delay(time) | Fault::Pace(time) | Fault::SlowHeaders(time) => {
            Some(time.as_millis().to_string())
        }
        Fault::StallBetweenDeltas(count)
        | Fault::ResetInBody(count)
        | Fault::TruncateAfter(count)
        | Fault::SplitEvery(count)
        | Fault::HugeLine(count) => Some(count.to_string()),
        Fault::Flag(flag) => Some(flag.to_string()),
        Fault::WrongContentLength(difference) => Some(difference.to_string()),
        Fault::ErrorFrame { form, after } => Some(format!("{}:{after}", form_name(*form))),
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

/// Reads `name` or `name=argument`.
pub(super) fn parse(text: &str) -> Option<Fault> {
    let (name, argument) = text.split_once('=').unwrap_or((text, ""));
    parse_with_argument(name, argument.trim()).or_else(|| {
        // A fault that takes no argument must not be given one.
        argument.is_empty().then(|| PLAIN.iter().find(|fault| self::name(fault) == name).cloned())?
    })
}

/// The faults without an argument.
const PLAIN: &[Fault] = &[
    Fault::Html502,
    Fault::Empty500,
    Fault::Html200,
    Fault::InvalidJson,
    Fault::EndlessHeaders,
    Fault::StallBeforeHead,
    Fault::StallBeforeFirstDelta,
    Fault::StallAfterLast,
    Fault::CloseBeforeHead,
    Fault::ResetBeforeHead,
    Fault::ResetInHead,
    Fault::ResetAfterHead,
    Fault::EofInCharacter,
    Fault::ChunkedCut,
    Fault::GzipPromised,
    Fault::NoDone,
    Fault::NoUsage,
    Fault::NoFinish,
    Fault::EmptyStream,
    Fault::GluedFrame,
    Fault::DuplicateChunk,
    Fault::AfterDone,
    Fault::UsageFrame,
    Fault::NullChoices,
    Fault::KeepAliveComments,
    Fault::EventFields,
    Fault::CrLf,
    Fault::Cr,
    Fault::Bom,
    Fault::NoSpaceAfterColon,
    Fault::MultiLineData,
    Fault::NoFinalBlankLine,
    Fault::InvalidUtf8,
    Fault::UnicodeLineSeparators,
    Fault::Sensitive,
    Fault::NetworkError,
    Fault::EmptyAnswer,
    Fault::UnknownEnums,
    Fault::NullsEverywhere,
    Fault::EmptyChoices,
    Fault::ContentList,
    Fault::ArgumentsObject,
    Fault::TaskFails,
];

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
        "pace" => Fault::Pace(time()?),
        "slow-headers" => Fault::SlowHeaders(time()?),
        "stall-between-deltas" => Fault::StallBetweenDeltas(argument.parse().ok()?),
        "reset-during-upload" => Fault::ResetDuringUpload(argument.parse().ok()?),
        "reset-in-body" => Fault::ResetInBody(argument.parse().ok()?),
        "truncate-after" => Fault::TruncateAfter(argument.parse().ok()?),
        "wrong-content-length" => Fault::WrongContentLength(argument.parse().ok()?),
        "split-every" => Fault::SplitEvery(argument.parse().ok().filter(|bytes| *bytes > 0)?),
        "error-frame" => parse_error_frame(argument)?,
        "huge-line" => Fault::HugeLine(usize::try_from(or_default(argument, 16 * MIB)?).ok()?),
        "finish-reason" => Fault::FinishReason(text()?),
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
    let form = forms.into_iter().find(|known| form_name(*known) == form)?;
    Some(Fault::ErrorFrame { form, after: after.parse().ok()? })
}

fn form_name(form: ErrorForm) -> &'static str {
    match form {
        ErrorForm::Data => "data",
        ErrorForm::Event => "event",
        ErrorForm::BareLine => "bare",
    }
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
        "pace=1",
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
    ];

    #[test]
    fn every_fault_reads_back_what_it_prints() {
        let plain: Vec<String> = PLAIN.iter().map(Fault::to_string).collect();
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
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
