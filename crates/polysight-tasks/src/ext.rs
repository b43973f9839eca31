//! Comfort on top of extractor and tool loop.

use polysight_core::{ChatRequest, VisionProvider};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::locate::{LocatedAnswer, Locator};
use crate::{ExtractError, ExtractFault, Extracted, Extractor, Tool, ToolLoop, ToolLoopError, ToolRun};

/// Tasks in one step with their defaults, for every [`VisionProvider`].
pub trait TasksExt: VisionProvider {
    /// Asks for a value of a type; an [`Extractor`] has the settings. The request's own response format is replaced.
    ///
    /// # Errors
    /// As [`Extractor::extract_as`]; and as [`Schema::of`](crate::Schema::of) where the type has no schema that can be used.
    fn extract<T: JsonSchema + DeserializeOwned>(
        &self,
        request: ChatRequest,
    ) -> impl Future<Output = Result<Extracted<T>, ExtractError>> + Send {
        async move {
            let extractor = Extractor::of::<T>()
                .map_err(|error| ExtractError::new(ExtractFault::Call(Box::new(error)), Vec::new(), ""))?;
            extractor.extract_as(self, request).await
        }
    }

    /// Asks where something is in the pictures; a [`Locator`] has the settings.
    ///
    /// # Errors
    /// As [`Locator::locate`].
    fn locate(
        &self,
        request: ChatRequest,
        what: &str,
    ) -> impl Future<Output = polysight_core::Result<LocatedAnswer>> + Send {
        let locator = Locator::new(what);
        async move { locator.locate(self, request).await }
    }

    /// Lets the model call functions until it answers, in at most 8 rounds; a [`ToolLoop`] has the settings.
    ///
    /// # Errors
    /// As [`ToolLoop::run`].
    fn run_tools<I>(
        &self,
        request: ChatRequest,
        tools: I,
    ) -> impl Future<Output = Result<ToolRun, ToolLoopError>> + Send
    where
        I: IntoIterator<Item = Tool>,
    {
        let tools = ToolLoop::new(tools);
        async move { tools.run(self, request).await }
    }
}

impl<P: VisionProvider + ?Sized> TasksExt for P {}
