//! Functions that the model may call, and the loop that calls them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use polysight_core::catalog::Money;
use polysight_core::{
    Billed, ChatRequest, ChatResponse, Error, ErrorKind, Image, Message, MessageRole, Part, Result,
    StreamCollector, StreamEvent, ToolCall, ToolChoice, ToolDefinition, Usage, VisionProvider,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::{Schema, no_end, spent};

/// How long a handler may take unless a tool says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest text of a result that goes back to the model, in bytes: 256 KiB.
const MAX_RESULT: usize = 256 * 1024;

type Handler = dyn Fn(String) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync;
type ShowEvent = dyn Fn(&StreamEvent) + Send + Sync;
type Outcome = std::result::Result<ToolOutput, ToolError>;

/// A function that the model may call: its name, what it does, and an async handler of typed arguments.
#[derive(Clone)]
pub struct Tool {
    definition: ToolDefinition,
    timeout: Duration,
    handler: Arc<Handler>,
}

/// What a tool gives back to the model.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ToolOutput {
    /// The result as text, JSON if the tool speaks JSON; at most 256 KiB of it are sent.
    pub text: String,
    /// Pictures. Vendors take text alone as a tool's result, so they follow in a message of the user.
    pub images: Vec<Image>,
}

impl ToolOutput {
    /// A result with a picture beside its text.
    #[must_use]
    pub fn with_image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }
}

impl<T: Into<String>> From<T> for ToolOutput {
    fn from(text: T) -> Self {
        Self { text: text.into(), images: Vec::new() }
    }
}

/// Why a tool gave no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum ToolError {
    /// The model gets these words as the result, and goes on.
    Reply(String),
    /// The loop ends.
    Abort(Box<dyn std::error::Error + Send + Sync>),
}

impl ToolError {
    /// An error that ends the loop.
    pub fn abort(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Abort(error.into())
    }
}

impl<E: std::error::Error> From<E> for ToolError {
    /// The model gets the error's words.
    fn from(error: E) -> Self {
        Self::Reply(error.to_string())
    }
}

impl Tool {
    /// A tool whose arguments are of the type `A`. Arguments that do not fit are sent back to the model with what is wrong.
    ///
    /// # Errors
    /// As [`Schema::of`] for the arguments' type.
    pub fn new<A, F, R, O>(name: &str, description: &str, handler: F) -> Result<Self>
    where
        A: JsonSchema + DeserializeOwned + Send + 'static,
        F: Fn(A) -> R + Send + Sync + 'static,
        R: Future<Output = std::result::Result<O, ToolError>> + Send + 'static,
        O: Into<ToolOutput>,
    {
        let schema = Schema::of::<A>()?;
        let definition = ToolDefinition::new(name, description, schema.json().clone());
        let handler = Arc::new(handler);
        let call = move |arguments: String| -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
            let handler = Arc::clone(&handler);
            let arguments = read_arguments::<A>(&arguments, &schema);
            Box::pin(async move { handler(arguments?).await.map(Into::into) })
        };
        Ok(Self { definition, timeout: TIMEOUT, handler: Arc::new(call) })
    }

    /// How long the handler may take; 60 s unless set. The model gets the timeout as the result. A handler that blocks its
    /// thread is left behind in a runtime of several threads; one of a single thread waits for it.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs the handler as a task of its own, so that one that blocks its thread can be left behind; one that panics or takes
    /// too long gives an error for the model.
    async fn call(&self, arguments: String) -> Outcome {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(ToolError::abort(Error::new(ErrorKind::Config, "tools run in a tokio runtime only")));
        }
        let handler = Arc::clone(&self.handler);
        // Dropped with the loop, it ends the task.
        let mut task = JoinSet::new();
        task.spawn(async move { handler(arguments).await });
        match tokio::time::timeout(self.timeout, task.join_next()).await {
            Ok(Some(Ok(outcome))) => outcome,
            Ok(_) => Err(ToolError::Reply("the tool failed".to_owned())),
            Err(_) => Err(ToolError::Reply(format!("the tool took longer than {:?}", self.timeout))),
        }
    }
}

fn read_arguments<A: DeserializeOwned>(text: &str, schema: &Schema) -> std::result::Result<A, ToolError> {
    let refused = |why: String| ToolError::Reply(format!("the arguments cannot be used: {why}"));
    let text = if text.trim().is_empty() { "{}" } else { text };
    let value = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
    let value = schema.check(value).map_err(|faults| refused(list(&faults)))?;
    serde_path_to_error::deserialize(value).map_err(|error| refused(error.to_string()))
}

fn list(faults: &[crate::SchemaFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tool({})", self.definition.name)
    }
}

/// Asks, runs the tools that the model calls, sends their results back, and asks again, until the model answers.
#[derive(Clone)]
pub struct ToolLoop {
    tools: Vec<Tool>,
    max_rounds: u32,
    on_event: Option<Arc<ShowEvent>>,
}

/// An answer, and every round before it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ToolRun {
    /// Every answer of the model, oldest first. The last one is the answer.
    pub responses: Vec<ChatResponse>,
    /// The dialogue, tool results and the answer included, for a next question.
    pub messages: Vec<Message>,
}

impl ToolRun {
    /// The answer.
    #[must_use]
    pub fn text(&self) -> &str {
        self.responses.last().map_or("", |response| &response.text)
    }

    /// Tokens of all rounds together; `None` where the vendor did not say them for each.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        spent::usage(&self.responses, None)
    }

    /// What all rounds cost together; `None` where that of one is unknown, or they have prices in two currencies.
    #[must_use]
    pub fn cost(&self) -> Option<Money> {
        spent::cost(&self.responses, None)
    }
}

/// Why a tool loop gave no answer, with every answer of the model so far: they are billed.
#[derive(Debug)]
#[non_exhaustive]
pub struct ToolLoopError {
    /// What went wrong.
    pub fault: ToolLoopFault,
    /// Every answer of the model before it, oldest first.
    pub responses: Vec<ChatResponse>,
}

/// What ended a tool loop.
#[derive(Debug)]
#[non_exhaustive]
pub enum ToolLoopFault {
    /// A call to the model failed.
    Call(Box<Error>),
    /// A tool aborted the loop.
    Tool {
        /// The tool.
        name: String,
        /// Its error.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The model still called tools after this many rounds.
    TooManyRounds(u32),
}

impl ToolLoopError {
    /// Tokens of all rounds together, a failed call among them; `None` where the vendor did not say them for each.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        spent::usage(&self.responses, self.failed_call())
    }

    /// What all rounds cost together, a failed call among them; `None` where that of one is unknown, or they have prices in two
    /// currencies.
    #[must_use]
    pub fn cost(&self) -> Option<Money> {
        spent::cost(&self.responses, self.failed_call())
    }

    /// Whether it may cost money: likely as soon as the model has answered once, else what the failed call says.
    #[must_use]
    pub fn billed(&self) -> Billed {
        spent::billed(&self.responses, self.failed_call())
    }

    fn failed_call(&self) -> Option<&Error> {
        match &self.fault {
            ToolLoopFault::Call(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for ToolLoopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            ToolLoopFault::Call(error) => error.fmt(f),
            ToolLoopFault::Tool { name, error } => write!(f, "the tool `{name}` failed: {error}"),
            ToolLoopFault::TooManyRounds(rounds) => {
                write!(
                    f,
                    "the model still called tools after {rounds} rounds: allow more, or say when to stop"
                )
            }
        }
    }
}

impl std::error::Error for ToolLoopError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            ToolLoopFault::Call(error) => error.source(),
            ToolLoopFault::Tool { error, .. } => Some(&**error),
            ToolLoopFault::TooManyRounds(_) => None,
        }
    }
}

impl ToolLoop {
    /// A loop over these tools, of at most 8 rounds.
    #[must_use]
    pub fn new(tools: impl IntoIterator<Item = Tool>) -> Self {
        Self { tools: tools.into_iter().collect(), max_rounds: 8, on_event: None }
    }

    /// How often the model may call tools before it must answer, 1 to 64.
    #[must_use]
    pub fn with_max_rounds(mut self, rounds: u32) -> Self {
        self.max_rounds = rounds.clamp(1, 64);
        self
    }

    /// Streams the answers and shows each event as it arrives.
    #[must_use]
    pub fn with_events(mut self, show: impl Fn(&StreamEvent) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(show));
        self
    }

    /// Runs the loop. Parallel calls of one answer run at once. A choice of the request that forces a call holds for the first
    /// round only: it would go on for ever.
    ///
    /// # Errors
    /// [`ToolLoopError`] with every answer so far.
    pub async fn run<P>(
        &self,
        provider: &P,
        mut request: ChatRequest,
    ) -> std::result::Result<ToolRun, ToolLoopError>
    where
        P: VisionProvider + ?Sized,
    {
        request.tools.extend(self.tools.iter().map(|tool| tool.definition.clone()));
        let mut responses = Vec::new();
        for round in 0..=self.max_rounds {
            let response = match self.ask(provider, &request).await {
                Ok(response) => response,
                Err(error) => {
                    return Err(ToolLoopError { fault: ToolLoopFault::Call(Box::new(error)), responses });
                }
            };
            request.messages.push(response.to_message());
            let calls = response.tool_calls.clone();
            responses.push(response);
            if calls.is_empty() {
                return Ok(ToolRun { responses, messages: request.messages.to_vec() });
            }
            // What they gave would not be sent any more.
            if round == self.max_rounds {
                break;
            }
            match self.call_all(&calls).await {
                Ok(results) => results.into_iter().for_each(|message| request.messages.push(message)),
                Err(fault) => return Err(ToolLoopError { fault, responses }),
            }
            request.tool_choice = ToolChoice::Auto;
        }
        Err(ToolLoopError { fault: ToolLoopFault::TooManyRounds(self.max_rounds), responses })
    }

    async fn ask<P>(&self, provider: &P, request: &ChatRequest) -> Result<ChatResponse>
    where
        P: VisionProvider + ?Sized,
    {
        let plan = provider.plan(request)?;
        let Some(show) = &self.on_event else { return provider.send(plan).await };
        let mut stream = provider.stream(plan).await?;
        let mut collected = StreamCollector::new();
        while let Some(event) = stream.next_event().await {
            match event {
                Ok(event) => {
                    show(&event);
                    match event {
                        StreamEvent::End(end) => return Ok(collected.complete(*end)),
                        event => collected.add(event),
                    }
                }
                Err(error) => return Err(collected.interrupted(error)),
            }
        }
        Err(collected.interrupted(no_end()))
    }

    async fn call_all(&self, calls: &[ToolCall]) -> std::result::Result<Vec<Message>, ToolLoopFault> {
        let outcomes = join_all(calls.iter().map(|call| self.call(call))).await;
        let mut messages = Vec::new();
        let mut pictures = Message::new(MessageRole::User);
        for (call, outcome) in calls.iter().zip(outcomes) {
            let output = match outcome {
                Ok(output) => output,
                Err(ToolError::Reply(words)) => ToolOutput::from(format!("error: {words}")),
                Err(ToolError::Abort(error)) => {
                    return Err(ToolLoopFault::Tool { name: call.name.clone(), error });
                }
            };
            messages.push(Message::tool_result(&call.id, bounded(output.text)));
            if !output.images.is_empty() {
                pictures.parts.push(Part::Text(format!("Pictures from the tool `{}`:", call.name)));
                pictures.parts.extend(output.images.into_iter().map(Part::from));
            }
        }
        if !pictures.parts.is_empty() {
            messages.push(pictures);
        }
        Ok(messages)
    }

    async fn call(&self, call: &ToolCall) -> Outcome {
        match self.tools.iter().find(|tool| tool.definition.name == call.name) {
            Some(tool) => tool.call(call.arguments.clone()).await,
            None => Err(ToolError::Reply("there is no such tool".to_owned())),
        }
    }
}

impl fmt::Debug for ToolLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolLoop")
            .field("tools", &self.tools)
            .field("max_rounds", &self.max_rounds)
            .finish_non_exhaustive()
    }
}

fn bounded(mut text: String) -> String {
    if text.len() > MAX_RESULT {
        let end = (0..=MAX_RESULT).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push_str(" [cut]");
    }
    text
}
