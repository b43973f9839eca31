//! The running server and how it is set up.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::auth::Key;
use crate::chat::prepared_answer::{InvalidAnswer, PreparedAnswer, PreparedCall};
use crate::faults::Fault;
use crate::server;
use crate::state::concurrency::Load;
use crate::state::random_faults::RandomFaults;
use crate::state::record::RecordedRequest;
use crate::state::{Settings, State};
use crate::surface::Surface;

/// A running server on loopback. It stops, and cuts all its connections, when it is dropped.
///
/// ```
/// use polysight_emulator::{Emulator, Fault, Surface};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let emulator = Emulator::start().await?;
/// let base_url = emulator.base_url(Surface::Zhipu);
/// assert!(base_url.ends_with("/api/paas/v4"));
///
/// emulator.script(Fault::Code("1302".to_owned())); // the next chat request is refused with a rate limit
/// // ... let the program under test talk to `base_url` ...
/// assert!(emulator.requests().is_empty());
/// emulator.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Emulator {
    address: SocketAddr,
    shared: Shared,
    server: JoinHandle<()>,
}

/// State, hidden from `Debug`: it knows keys.
struct Shared(Arc<State>);

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("..")
    }
}

impl Emulator {
    /// Starts on a free port of 127.0.0.1. Any well-formed key is accepted. Needs a Tokio runtime with I/O and time.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Sets up an emulator before it starts.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder { port: 0, settings: Settings::default(), bad_key: false }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address to configure in a client: the prefix of all paths, without a slash at the end.
    pub fn base_url(&self, surface: Surface) -> String {
        format!("http://{}{}", self.address, surface.prefix())
    }

    /// Puts a fault at the end of the queue. Each chat request, plain, streamed or asynchronous, on any surface, takes one
    /// from the front, whatever becomes of it; a request that names faults in a header takes none.
    pub fn script(&self, fault: Fault) {
        self.shared.0.script(vec![fault]);
    }

    /// Puts several faults for one and the same request at the end of the queue; with no fault at all, a request that goes
    /// well.
    pub fn script_together(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.0.script(faults.into_iter().collect());
    }

    /// Puts an answer at the end of the queue. Each chat request that is answered, plain, streamed or asynchronous, on any
    /// surface, takes one from the front; a request that is refused takes none, so that a retry gets it. With none left,
    /// answers list what arrived. `max_tokens` and `stop` of the request still hold.
    ///
    /// # Errors
    ///
    /// When the answer is longer than 1 MiB, or 10,000 answers or 64 MiB are waiting.
    ///
    /// ```
    /// use polysight_emulator::Emulator;
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let emulator = Emulator::start().await?;
    /// emulator.answer("A red bicycle.")?;
    /// emulator.answer_json(json!({"colour": "red", "wheels": 2}))?;
    /// emulator.answer_call("repaint", json!({"colour": "blue"}))?;
    /// assert_eq!(emulator.queued_answers(), 3);
    /// assert!(emulator.answer_call("repaint", json!("blue")).is_err()); // arguments are an object
    /// # Ok(())
    /// # }
    /// ```
    pub fn answer(&self, text: impl Into<String>) -> Result<(), InvalidAnswer> {
        self.queue(PreparedAnswer { text: text.into(), calls: Vec::new() })
    }

    /// Puts an answer whose text is this JSON at the end of the queue; see [`answer`](Self::answer).
    ///
    /// # Errors
    ///
    /// Those of [`answer`](Self::answer).
    pub fn answer_json(&self, value: Value) -> Result<(), InvalidAnswer> {
        self.answer(value.to_string())
    }

    /// Puts an answer that calls this tool, declared by the request or not, at the end of the queue; see
    /// [`answer`](Self::answer).
    ///
    /// # Errors
    ///
    /// When `arguments` are not a JSON object or `tool` is empty, and those of [`answer`](Self::answer).
    pub fn answer_call(&self, tool: &str, arguments: Value) -> Result<(), InvalidAnswer> {
        self.answer_calls([(tool, arguments)])
    }

    /// Puts an answer with several calls, in this order, at the end of the queue; see [`answer_call`](Self::answer_call).
    ///
    /// # Errors
    ///
    /// Those of [`answer_call`](Self::answer_call).
    pub fn answer_calls<'t>(
        &self,
        calls: impl IntoIterator<Item = (&'t str, Value)>,
    ) -> Result<(), InvalidAnswer> {
        let calls =
            calls.into_iter().map(|(tool, arguments)| PreparedCall::new(tool, &arguments.to_string()));
        self.queue(PreparedAnswer { text: String::new(), calls: calls.collect::<Result<_, _>>()? })
    }

    /// How many prepared answers are waiting.
    pub fn queued_answers(&self) -> usize {
        self.shared.0.answers.len()
    }

    /// Forgets the prepared answers that are waiting.
    pub fn clear_answers(&self) {
        self.shared.0.answers.clear();
    }

    fn queue(&self, answer: PreparedAnswer) -> Result<(), InvalidAnswer> {
        self.shared.0.answers.push(vec![answer.checked()?])
    }

    /// The requests that arrived, oldest first, those for unknown paths included.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.0.requests()
    }

    /// The load since it was started: how many requests, concurrently and within the window, and how many of
    /// them were too many.
    pub fn load(&self) -> Load {
        self.shared.0.concurrency.load()
    }

    /// Forgets the requests that arrived.
    pub fn clear_requests(&self) {
        self.shared.0.clear_requests();
    }

    /// Stops the server and waits until its port is free.
    pub async fn shutdown(mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Settings of an emulator; see [`Emulator::builder`].
#[must_use = "an emulator runs only after `start`"]
pub struct EmulatorBuilder {
    port: u16,
    settings: Settings,
    bad_key: bool,
}

impl EmulatorBuilder {
    /// Listens on this port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Accepts this key, and with it no key that was not given, of whatever vendor. May be called for several. Its form names
    /// the vendor: `id.secret` is Zhipu's, `sk-..` Alibaba's, `bce-v3/../..` Baidu's; the gateway takes all of them. Zhipu's
    /// signed tokens (JWT) are verified only against keys given here.
    pub fn key(self, key: &str) -> Self {
        self.add_key(key, false)
    }

    /// Accepts this key, whose account has no money: models that cost something answer with `1113`, `Arrearage` or
    /// `account_overdue`.
    pub fn key_without_balance(self, key: &str) -> Self {
        self.add_key(key, true)
    }

    fn add_key(mut self, key: &str, without_balance: bool) -> Self {
        match Key::parse(key) {
            Some(mut key) => {
                key.without_balance = without_balance;
                self.settings.keys.push(key);
            }
            None => self.bad_key = true,
        }
        self
    }

    /// Answers in Zhipu's shape of 2024: numeric ids, no `object`, no token details. Off by default.
    pub fn legacy_shape(mut self, legacy: bool) -> Self {
        self.settings.legacy = legacy;
        self
    }

    /// Lets the gateway (`/v1`) serve any model id, one that it does not know with limits that no test meets: for clients of
    /// any OpenAI-compatible server. Off by default.
    pub fn any_model(mut self, any: bool) -> Self {
        self.settings.any_model = any;
        self
    }

    /// Waits this long before every delta of a stream. No pause by default.
    pub fn delta_delay(mut self, pause: Duration) -> Self {
        self.settings.delta_delay = Some(pause);
        self
    }

    /// How many polls of an asynchronous task find it unfinished. 1 by default.
    pub fn async_polls(mut self, polls: u32) -> Self {
        self.settings.async_polls = polls;
        self
    }

    /// Refuses more chat requests at once, with code 1302 or its like. No limit by default.
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.settings.allowed.in_flight = Some(requests);
        self
    }

    /// Refuses more chat requests within any window of this length, with code 1302 or its like. No limit by default. Requests
    /// that are refused count too.
    pub fn max_requests(mut self, requests: usize, window: Duration) -> Self {
        self.settings.allowed.in_window = Some(requests);
        self.settings.allowed.window = window;
        self
    }

    /// Lets a share of the chat requests, 0 to 1, meet one of these faults, each as often as the others and in the same order
    /// in each run of the same seed. The script goes first. None by default.
    pub fn random_faults(mut self, share: f64, seed: u64, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.settings.random_faults =
            Some(Arc::new(RandomFaults::new(share, seed, faults.into_iter().collect())));
        self
    }

    /// Refuses requests that hold this text, as the vendor's content audit does. May be called for several.
    pub fn forbidden_text(mut self, text: impl Into<String>) -> Self {
        self.settings.forbidden.push(text.into());
        self
    }

    /// Holds each key to the quotas of [`models`](crate::models): requests and tokens in any minute, requests at once. Off by
    /// default.
    pub fn quotas(mut self, quotas: bool) -> Self {
        self.settings.quotas = quotas;
        self
    }

    /// Issues Baidu's short-lived keys for signatures with this access key and secret key, and for no other. May be called
    /// for several. Without any there is nothing to verify a signature with: only its shape and time are checked.
    pub fn iam(mut self, access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        self.settings.iam.push((access_key.into(), secret_key.into()));
        self
    }

    /// Ends the life of Baidu's short-lived keys after this time, whatever they say of themselves.
    pub fn iam_keys_live(mut self, time: Duration) -> Self {
        self.settings.iam_life = Some(time);
        self
    }

    /// How long Alibaba's upload tickets and the uploaded files live. 300 s and 48 h by default.
    pub fn uploads_live(mut self, ticket: Duration, file: Duration) -> Self {
        self.settings.upload_life = (ticket, file);
        self
    }

    /// How many requests are kept for [`Emulator::requests`]; older ones are forgotten. 10,000 by default.
    pub fn kept_requests(mut self, requests: usize) -> Self {
        self.settings.kept_requests = requests;
        self
    }

    /// Starts the server on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the port cannot be had, or a key has the form of none of the vendors.
    pub async fn start(self) -> io::Result<Emulator> {
        if self.bad_key {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a key must have the form id.secret, sk-.. or bce-v3/../..",
            ));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(self.settings, address));
        let server = tokio::spawn(server::serve(listener, Arc::clone(&state)));
        Ok(Emulator { address, shared: Shared(state), server })
    }
}

impl fmt::Debug for EmulatorBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EmulatorBuilder").field("port", &self.port).finish_non_exhaustive()
    }
}
