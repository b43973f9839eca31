//! Calls of which everything that can be seen is recorded.

use std::sync::atomic::{AtomicUsize, Ordering};

use polysight::{ChatRequest, Error, Image, Message, Tolerance, VisionProvider};
use polysight_testkit::base64;
use polysight_testkit::calls::{self, Way};

use crate::capture::{Sort, note, note_debug, unwrap};
use crate::secret::{PICTURE, PROMPT, SIGNATURE};

/// Where calls go.
pub(crate) struct Caller<'c> {
    pub(crate) provider: &'c dyn VisionProvider,
    /// Whether the server repeats what it is sent: the errors then hold the question, so that it has no secret instructions.
    pub(crate) repeats: bool,
    /// A file that holds the picture.
    pub(crate) file: std::path::PathBuf,
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Calls that were made, all together.
pub(crate) fn calls() -> usize {
    CALLS.load(Ordering::Relaxed)
}

impl Caller<'_> {
    /// A question that was not asked before, with the picture in another form each time.
    pub(crate) fn question(&self) -> ChatRequest {
        let number = CALLS.fetch_add(1, Ordering::Relaxed);
        let encoded = || base64(&PICTURE);
        let image = match number % 4 {
            0 => Image::from_bytes(PICTURE.clone()),
            1 => Image::from_file(&self.file),
            2 => Image::from_base64(encoded()),
            _ => Image::from_data_uri(format!("data:image/png;base64,{}", encoded())),
        };
        let question = Message::user(format!("number {number}: what is it?")).with(image.unwrap());
        let instructions = if self.repeats { "Be short." } else { PROMPT };
        ChatRequest::new([Message::system(instructions), question])
    }

    /// Asks; says whether an answer came.
    pub(crate) async fn call(&self, place: &str, request: ChatRequest, way: Way) -> bool {
        let place = format!("{place}, {way:?}");
        if way == Way::Plain {
            note(Sort::Request, &place, format!("{request:?}"));
            match calls::plan(self.provider, &request) {
                Ok(plan) => note(Sort::Request, &place, format!("{plan:?}")),
                Err(error) => note_error(&place, &error),
            }
        }
        let answer = match way {
            Way::Plain => calls::plain(self.provider, request).await,
            _ => match calls::open(self.provider, request).await {
                Err(error) => Err(error),
                Ok(stream) => {
                    note_debug(Sort::Setting, &place, &stream);
                    if way == Way::Streamed {
                        return self.read(&place, stream).await;
                    }
                    stream.collect_response().await
                }
            },
        };
        match answer {
            Ok(answer) => {
                note_debug(Sort::Answer, &place, &answer);
                note_attempts(&place, &answer.attempts);
                true
            }
            Err(error) => {
                note_error(&place, &error);
                false
            }
        }
    }

    async fn read(&self, place: &str, mut stream: polysight::ChatStream) -> bool {
        let mut good = true;
        while let Some(event) = stream.next_event().await {
            match event {
                Ok(event) => note_debug(Sort::Answer, place, &event),
                Err(error) => {
                    good = false;
                    note_error(place, &error);
                }
            }
        }
        good
    }

    /// Requests that are refused before anything is sent, each for much at once, and what a link may not show.
    pub(crate) async fn refused(&self, place: &str) {
        let link =
            |query: &str| Image::from_url(&format!("https://me:{SIGNATURE}@cdn.example/a.png?{query}"));
        let signed = link(&format!("sign={SIGNATURE}")).unwrap();
        let many = std::iter::repeat_n(Image::from_bytes(PICTURE.clone()).unwrap(), 60);
        // Not sent, since an answer may name the link.
        let signed = ChatRequest::ask("?", [signed]);
        note_debug(Sort::Request, place, &signed);
        match calls::plan(self.provider, &signed) {
            Ok(plan) => note_debug(Sort::Request, place, &plan),
            Err(error) => note_error(place, &error),
        }
        let wrong = [
            ChatRequest::ask(PROMPT, many).with_tolerance(Tolerance::Strict),
            self.question().with_temperature(9.0).with_top_p(-1.0).with_max_tokens(100_000_000),
            self.question().with_stop(vec![PROMPT; 40]).with_tolerance(Tolerance::Strict),
            self.question().with_end_user_id("x\n".repeat(900)),
            self.question().with_request_id("x\n"),
            self.question().with_model(""),
            ChatRequest::default(),
        ];
        for (request, way) in wrong.into_iter().zip(Way::ALL.into_iter().cycle()) {
            self.call(place, request, way).await;
        }
        for bad in [format!("data:image/png;base64,{}*", base64(&PICTURE)), "?".repeat(20)] {
            for error in [Image::from_data_uri(&*bad), Image::from_base64(&*bad), Image::from_url(&bad)] {
                if let Err(error) = error {
                    note_error(place, &error);
                }
            }
        }
    }
}

/// Records all parts of an error, and what a program shows that unwraps it. Its partial answer is an answer.
pub(crate) fn note_error(place: &str, error: &Error) {
    let sort = Sort::Error;
    note(sort, place, error.to_string());
    note_debug(sort, place, error);
    note(sort, place, error.message());
    for part in
        [error.vendor_message(), error.code(), error.request_id(), error.quota_reset(), error.provider()]
    {
        note(sort, place, part.unwrap_or_default());
    }
    for violation in error.violations() {
        note(sort, place, violation.to_string());
        note_debug(sort, place, violation);
    }
    note_debug(sort, place, error.safety());
    note_debug(Sort::Answer, place, &error.partial());
    note_attempts(place, error.attempts());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        note(sort, place, cause.to_string());
        note_debug(sort, place, cause);
        source = cause.source();
    }
    unwrap(error);
}

fn note_attempts(place: &str, attempts: &[polysight::Attempt]) {
    for attempt in attempts {
        note(Sort::Error, place, attempt.to_string());
        note_debug(Sort::Error, place, attempt);
    }
}
