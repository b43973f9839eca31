//! Faults: everything that may go wrong between a client and a vendor, on demand.
//!
//! A fault changes a reply at one of four places, each a module: what the answer says (`completion`), the events
//! of a stream (`sse`), the whole reply (`replacement`), and the bytes on the socket (`delivery`).

pub(crate) mod completion;
pub(crate) mod delivery;
mod fault_names;
pub(crate) mod replacement;
pub(crate) mod sse;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use strum::IntoStaticStr;

pub use crate::chat::broken_json::JsonBreak;
pub use fault_names::FaultEntry;

/// One thing that goes wrong with one request.
///
/// Give it to [`Emulator::script`](crate::Emulator::script), or name it in the request header `x-polysight-fault`, which
/// may be repeated: the faults of one request add up. The name in the header is what `Display` prints; arguments
/// follow a `=`. Durations are in milliseconds there, sizes in bytes.
///
/// ```
/// use polysight_emulator::Fault;
///
/// let fault: Fault = "code=1305".parse()?;
/// assert_eq!(fault, Fault::Code("1305".to_owned()));
/// assert_eq!(fault.to_string(), "code=1305");
/// # Ok::<(), polysight_emulator::UnknownFault>(())
/// ```
///
/// "Stream" faults leave a plain reply as it is.
#[derive(Clone, Debug, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// An error of your own: `status=429:1302:slow down|retry-after: 2`. Code, message and headers may be left out.
    Status {
        /// HTTP status.
        status: u16,
        /// The vendor's code in the body.
        code: String,
        /// The text in the body.
        message: String,
        /// Headers besides the usual ones, such as `Retry-After` in any of its forms.
        headers: Vec<(String, String)>,
    },
    /// One of the vendor's error codes with its status and text.
    Code(String),
    /// HTTP 502 with a page of HTML, as a front server sends it.
    #[strum(serialize = "html-502")]
    Html502,
    /// HTTP 500 with an empty body.
    #[strum(serialize = "empty-500")]
    Empty500,
    /// HTTP 200 with a page of HTML.
    #[strum(serialize = "html-200")]
    Html200,
    /// HTTP 200 with the body of an error, this business code in it; for streams too.
    #[strum(serialize = "error-body-200")]
    ErrorBody200(String),
    /// HTTP 200 with `{"code":..,"msg":..}` at the top level, this code in it.
    #[strum(serialize = "flat-error-200")]
    FlatError200(String),
    /// HTTP 307 to this address.
    #[strum(serialize = "redirect")]
    RedirectTo(String),
    /// A JSON body of this length, most of it white space; a stream of this length, most of it comments.
    HugeBody(u64),
    /// The body is cut in the middle of its JSON but complete as HTTP says; in a stream, one frame is.
    InvalidJson,

    /// Waits before the status line.
    Delay(Duration),
    /// Waits before every delta.
    DelayDeltas(Duration),
    /// Sends the head line by line with this pause between.
    SlowHeaders(Duration),
    /// Headers without end.
    EndlessHeaders,
    /// Sends nothing and keeps the connection open.
    StallBeforeHead,
    /// Sends the head and then nothing (stream: no delta; plain: no body).
    StallBeforeFirstDelta,
    /// Stream: stops for good after this many deltas.
    StallBetweenDeltas(usize),
    /// Stream: everything arrives but `[DONE]` and the end.
    StallAfterLast,
    /// Closes the connection when the request has been read.
    CloseBeforeHead,
    /// Resets the connection when this much of the body has been read.
    ResetDuringUpload(u64),
    /// Resets the connection when the request has been read.
    ResetBeforeHead,
    /// Resets in the middle of the head.
    ResetInHead,
    /// Resets after the head.
    ResetAfterHead,
    /// Resets after this many bytes of the body.
    ResetInBody(usize),
    /// Closes after this many bytes of the body.
    TruncateAfter(usize),
    /// Closes in the middle of a character of more than one byte.
    EofInCharacter,
    /// Sends the body in chunks and closes in the middle of one.
    ChunkedCut,
    /// `Content-Length` differs from the real length by this much; the connection is closed after the body.
    WrongContentLength(i64),
    /// Says `Content-Encoding: gzip` of a body that is not.
    GzipPromised,
    /// Writes this many bytes at a time.
    SplitEvery(usize),

    /// Stream: no `[DONE]`.
    NoDone,
    /// Stream: no usage.
    NoUsage,
    /// Stream: no chunk with a finish reason, but `[DONE]`. Plain: no `finish_reason`.
    NoFinish,
    /// Stream: an error after this many deltas, and nothing after it.
    ErrorFrame {
        /// How the error is framed.
        form: ErrorForm,
        /// Deltas before it.
        after: usize,
    },
    /// Stream: no events at all.
    EmptyStream,
    /// Stream: the second frame is cut in the middle and goes on with a whole frame of another id.
    GluedFrame,
    /// Stream: one delta comes twice.
    DuplicateChunk,
    /// Stream: a delta after `[DONE]`.
    AfterDone,
    /// Stream: usage in a frame of its own, with no choices.
    UsageFrame,
    /// Stream: a frame whose `choices` is null.
    NullChoices,
    /// Stream: a line of this length, at most 256 MiB.
    HugeLine(usize),
    /// Stream: comments before every event.
    KeepAliveComments,
    /// Stream: `event:` and `id:` lines in every event.
    EventFields,
    /// Stream: lines end with CR LF.
    #[strum(serialize = "crlf")]
    CrLf,
    /// Stream: lines end with CR.
    Cr,
    /// Stream: a byte order mark first.
    Bom,
    /// Stream: `data:` without the space.
    NoSpaceAfterColon,
    /// Stream: the JSON of each event on two `data:` lines.
    MultiLineData,
    /// Stream: the last event lacks its empty line.
    NoFinalBlankLine,
    /// Bytes in the text that are not UTF-8.
    #[strum(serialize = "invalid-utf8")]
    InvalidUtf8,
    /// U+2028, U+0085 and U+2029, unescaped, in the text.
    UnicodeLineSeparators,

    /// The JSON of the answer, or of its tool calls, is broken as models break it. Tokens are counted of what is sent, and the
    /// token limit holds.
    BrokenJson(JsonBreak),
    /// The answer is withdrawn by the content audit.
    Sensitive,
    /// Inference fails halfway: `finish_reason` is `network_error`.
    NetworkError,
    /// The answer ends with this `finish_reason`.
    FinishReason(String),
    /// Reasoning, then nothing.
    EmptyAnswer,
    /// Role, type and finish reason have no known value.
    UnknownEnums,
    /// Every optional field is there and null.
    NullsEverywhere,
    /// No choices.
    EmptyChoices,
    /// `content` is a list of text parts.
    ContentList,
    /// `arguments` of tool calls are objects, not strings.
    ArgumentsObject,
    /// An asynchronous task fails.
    TaskFails,
    /// Qianfan: the answer carries this safety flag, 1 to 4. With 3 and 4 it breaks off halfway, to be withdrawn.
    Flag(u8),
}

/// How an error arrives in the middle of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[non_exhaustive]
pub enum ErrorForm {
    /// `data: {"error":..}`.
    Data,
    /// The same after `event: error`.
    Event,
    /// A line of JSON without `data:`.
    #[strum(serialize = "bare")]
    BareLine,
}

impl Fault {
    /// A status with the vendor's code; the text is the vendor's where the code is known.
    pub fn status(status: u16, code: impl Into<String>) -> Self {
        Self::Status { status, code: code.into(), message: String::new(), headers: Vec::new() }
    }

    /// The same fault with one more header, if it is a [`Fault::Status`]; any other fault is returned as it is.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Self::Status { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// All faults: name, argument, and what they do.
    pub fn catalogue() -> &'static [FaultEntry] {
        fault_names::ENTRIES
    }
}

/// A fault that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFault(String);

impl fmt::Display for UnknownFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, argument) = self.0.split_once('=').unwrap_or((&self.0, ""));
        match fault_names::argument_wanted(name.trim()) {
            None => write!(formatter, "no fault is called {name:?}"),
            Some("") => write!(formatter, "the fault {name} takes nothing, not {argument:?}"),
            Some(wanted) => {
                let limit = fault_names::MAX_LINE;
                write!(formatter, "the fault {name} takes {wanted:?}, not {argument:?}")?;
                if name == "huge-line" { write!(formatter, "; at most {limit}") } else { Ok(()) }
            }
        }
    }
}

impl std::error::Error for UnknownFault {}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        fault_names::parse(text.trim()).ok_or_else(|| UnknownFault(text.to_owned()))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match fault_names::argument(self) {
            Some(argument) => write!(formatter, "{}={argument}", fault_names::name(self)),
            None => formatter.write_str(fault_names::name(self)),
        }
    }
}

/// Whether a fault of this kind is among those of a request.
pub(crate) fn find<T>(faults: &[Fault], pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
    faults.iter().find_map(pick)
}

/// The argument of the first fault of one kind.
macro_rules! argument_of {
    ($faults:expr, $variant:ident) => {
        $crate::faults::find($faults, |fault| match fault {
            $crate::faults::Fault::$variant(argument) => Some(argument.clone()),
            _ => None,
        })
    };
}
pub(crate) use argument_of;
