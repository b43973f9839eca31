//! Answers of a type: asked for by the best means that the model has, read, checked, and asked for once more.

mod error;
mod turn;
mod typed;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use polysight_core::catalog::Money;
use polysight_core::{ChatRequest, ChatResponse, Message, ResponseFormat, Rung, Usage, VisionProvider};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use error::{ExtractError, ExtractFault};

use crate::json::JsonRepair;
use crate::{Schema, spent};

/// How answers of a type are asked for. Cloning is cheap.
///
/// Defaults: one repair turn; the answer is streamed, so that one that loses itself in blanks or digits is cut off. An OCR task
/// is not streamed, and not asked again: it gives what it filled in to plain calls only, and reads pictures alone.
#[derive(Clone)]
pub struct Extractor {
    schema: Schema,
    repair_turns: u32,
    streamed: bool,
    on_field: Option<Arc<ShowField>>,
}

/// Shows a field of an answer that is not complete yet.
type ShowField = dyn Fn(&str, &Value) + Send + Sync;

/// A value that a model gave, and what it took.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Extracted<T> {
    /// The value.
    pub value: T,
    /// The means by which the answer got its form.
    pub rung: Rung,
    /// What was repaired in the JSON of the answer.
    pub repairs: Vec<JsonRepair>,
    /// Every answer, repair turns included, oldest first: usage and ids of each. The last one holds the value.
    pub responses: Vec<ChatResponse>,
}

impl<T> Extracted<T> {
    /// How often the model was asked again with the faults of its answer.
    #[must_use]
    pub fn repair_turns(&self) -> usize {
        self.responses.len().saturating_sub(1)
    }

    /// Tokens of all turns together; `None` where the vendor did not say them for each.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        spent::usage(&self.responses, None)
    }

    /// What all turns cost together; `None` where that of one is unknown, or they have prices in two currencies.
    #[must_use]
    pub fn cost(&self) -> Option<Money> {
        spent::cost(&self.responses, None)
    }

    fn map<U>(self, value: U) -> Extracted<U> {
        let Self { rung, repairs, responses, .. } = self;
        Extracted { value, rung, repairs, responses }
    }
}

impl Extractor {
    /// Asks for values of this schema.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        Self { schema, repair_turns: 1, streamed: true, on_field: None }
    }

    /// Asks for values of a type.
    ///
    /// # Errors
    /// As [`Schema::of`].
    pub fn of<T: JsonSchema>() -> polysight_core::Result<Self> {
        Schema::of::<T>().map(Self::new)
    }

    /// How often the model is asked again with what was wrong, 0 to 8. Each turn is billed.
    #[must_use]
    pub fn with_repair_turns(mut self, turns: u32) -> Self {
        self.repair_turns = turns.min(8);
        self
    }

    /// Whether answers are streamed. One that is not streamed cannot be cut off while it costs money.
    #[must_use]
    pub fn with_streaming(mut self, streamed: bool) -> Self {
        self.streamed = streamed;
        self
    }

    /// Shows each field of the answer's object as soon as it is complete, while the rest still streams. Nothing is checked yet, and a
    /// repair turn shows its fields again: the value that is given in the end is the one that counts.
    #[must_use]
    pub fn with_fields(mut self, show: impl Fn(&str, &Value) + Send + Sync + 'static) -> Self {
        self.on_field = Some(Arc::new(show));
        self
    }

    /// Asks, reads and checks. The request's own response format is replaced.
    ///
    /// # Errors
    /// [`ExtractError`] with every answer that was given.
    pub async fn extract<P>(
        &self,
        provider: &P,
        request: ChatRequest,
    ) -> Result<Extracted<Value>, ExtractError>
    where
        P: VisionProvider + ?Sized,
    {
        let mut request = request.with_response_format(ResponseFormat::Extract {
            name: self.schema.name().to_owned(),
            schema: self.schema.json().clone(),
        });
        let mut responses = Vec::new();
        loop {
            let response = match turn::ask(provider, &request, self.streamed, self.on_field.as_deref()).await
            {
                Ok(response) => response,
                Err(error) => return Err(self.error(ExtractFault::Call(Box::new(error)), responses)),
            };
            let read = turn::read(&response, &self.schema);
            let rung = response.rung.unwrap_or(Rung::Prompt);
            responses.push(response);
            let fault = match read {
                Ok((value, repairs)) => return Ok(Extracted { value, rung, repairs, responses }),
                Err(fault) => fault,
            };
            // An OCR task reads the picture alone, not what was wrong.
            let can_repair = rung != Rung::OcrTask && fault.is_repairable();
            if !can_repair || responses.len() > self.repair_turns as usize {
                return Err(self.error(fault, responses));
            }
            ask_again(&mut request, responses.last(), &fault);
        }
    }

    /// [`extract`](Self::extract), read as a type.
    ///
    /// # Errors
    /// The same; and [`ExtractFault::Schema`] where the type refuses a value that its schema allows.
    pub async fn extract_as<T, P>(
        &self,
        provider: &P,
        request: ChatRequest,
    ) -> Result<Extracted<T>, ExtractError>
    where
        T: DeserializeOwned,
        P: VisionProvider + ?Sized,
    {
        let mut extracted = self.extract(provider, request).await?;
        match serde_path_to_error::deserialize(extracted.value.take()) {
            Ok(value) => Ok(extracted.map(value)),
            Err(error) => Err(self.error(ExtractFault::of_type(&error), extracted.responses)),
        }
    }

    fn error(&self, fault: ExtractFault, responses: Vec<ChatResponse>) -> ExtractError {
        ExtractError::new(fault, responses, self.schema.name())
    }

    /// [`extract`](Self::extract) for each request, at most `concurrent` at once: one result or one error each, in order.
    pub async fn extract_each<P>(
        &self,
        provider: &P,
        requests: impl IntoIterator<Item = ChatRequest>,
        concurrent: NonZeroUsize,
    ) -> Vec<Result<Extracted<Value>, ExtractError>>
    where
        P: VisionProvider + ?Sized,
    {
        let calls = requests.into_iter().map(|request| self.extract(provider, request));
        stream::iter(calls).buffered(concurrent.get()).collect().await
    }

    /// [`extract_each`](Self::extract_each), read as a type.
    pub async fn extract_each_as<T, P>(
        &self,
        provider: &P,
        requests: impl IntoIterator<Item = ChatRequest>,
        concurrent: NonZeroUsize,
    ) -> Vec<Result<Extracted<T>, ExtractError>>
    where
        T: DeserializeOwned,
        P: VisionProvider + ?Sized,
    {
        let calls = requests.into_iter().map(|request| self.extract_as(provider, request));
        stream::iter(calls).buffered(concurrent.get()).collect().await
    }
}

impl fmt::Debug for Extractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Extractor");
        shown.field("schema", &self.schema).field("repair_turns", &self.repair_turns);
        shown.field("streamed", &self.streamed).finish_non_exhaustive()
    }
}

/// Puts the answer and its faults behind the conversation.
fn ask_again(request: &mut ChatRequest, answer: Option<&ChatResponse>, fault: &ExtractFault) {
    let words = format!(
        "This answer cannot be used: {fault}. Answer again with the whole corrected JSON and nothing else."
    );
    let Some(answer) = answer else { return };
    let mut message = answer.to_message();
    message.parts.retain(|part| !matches!(part, polysight_core::Part::Reasoning(_)));
    let calls: Vec<String> = answer.tool_calls.iter().map(|call| call.id.clone()).collect();
    request.messages.push(message);
    if calls.is_empty() {
        request.messages.push(Message::user(words));
        return;
    }
    for id in calls {
        request.messages.push(Message::tool_result(id, words.clone()));
    }
}
