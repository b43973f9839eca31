//! A part that some provider and model play, with defaults for its requests.

use std::sync::Arc;

use async_trait::async_trait;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Plan, ProviderId, ResponseFormat, Result, Sampling,
    Thinking, VisionProvider,
};

/// A part that a provider and a model play: what a program asks for by name, so that a config file can say who it is.
///
/// It is a [`VisionProvider`] itself, and fills in what a request leaves open: model, sampling, limits, tolerance and
/// vendor extras. What the request says wins.
#[derive(Debug, Clone)]
pub struct RoleProvider {
    name: String,
    provider: Arc<dyn VisionProvider>,
    defaults: Arc<ChatRequest>,
}

impl RoleProvider {
    /// Gives a part to a provider. Messages, tools and the request id of `defaults` are ignored.
    #[must_use]
    pub fn new(name: impl Into<String>, provider: Arc<dyn VisionProvider>, defaults: ChatRequest) -> Self {
        Self { name: name.into(), provider, defaults: Arc::new(defaults) }
    }

    /// The role's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model that plays it, if the role names one; else the provider's own default.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.defaults.model.as_deref()
    }

    /// Whoever answers: the provider or route behind it, with the layers that the role has around it.
    #[must_use]
    pub fn provider(&self) -> &Arc<dyn VisionProvider> {
        &self.provider
    }

    /// Fills in what a request leaves open.
    #[must_use]
    pub fn complete(&self, mut request: ChatRequest) -> ChatRequest {
        let defaults = &*self.defaults;
        request.model = request.model.or_else(|| defaults.model.clone());
        request.sampling = completed(request.sampling, defaults.sampling);
        request.max_tokens = request.max_tokens.or(defaults.max_tokens);
        if request.stop.is_empty() {
            request.stop.clone_from(&defaults.stop);
        }
        request.seed = request.seed.or(defaults.seed);
        request.end_user_id = request.end_user_id.or_else(|| defaults.end_user_id.clone());
        if request.thinking == Thinking::Default {
            request.thinking = defaults.thinking;
        }
        if request.response_format == ResponseFormat::Text {
            request.response_format = defaults.response_format.clone();
        }
        request.parallel_tool_calls = request.parallel_tool_calls.or(defaults.parallel_tool_calls);
        request.tolerance = request.tolerance.or(defaults.tolerance);
        request.keep_raw |= defaults.keep_raw;
        for (vendor, fields) in &defaults.extras {
            let own = request.extras.entry(vendor.clone()).or_default();
            for (field, value) in fields {
                own.entry(field.clone()).or_insert_with(|| value.clone());
            }
        }
        request
    }
}

/// Settings of random sampling are filled in one by one; another way of picking tokens is taken whole.
fn completed(own: Sampling, role: Sampling) -> Sampling {
    match (own, role) {
        (Sampling::Default, role) => role,
        (Sampling::Random(own), Sampling::Random(role)) => Sampling::Random(own.or(role)),
        (own, _) => own,
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for RoleProvider {
    fn id(&self) -> &ProviderId {
        self.provider.id()
    }

    fn catalog(&self) -> &Catalog {
        self.provider.catalog()
    }

    fn plan(&self, request: ChatRequest) -> Result<Plan> {
        self.provider.plan(self.complete(request))
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatResponse> {
        self.provider.chat(self.complete(request)).await
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        self.provider.stream(self.complete(request)).await
    }
}

#[cfg(test)]
mod tests {
    use polysight_core::RandomSampling;

    use super::*;

    #[test]
    fn sampling_is_filled_in_setting_by_setting() {
        let role = Sampling::Random(RandomSampling::new().with_temperature(0.2).with_top_k(5));
        let own = Sampling::Random(RandomSampling::new().with_top_p(0.5).with_top_k(7));
        let both = RandomSampling::new().with_temperature(0.2).with_top_p(0.5).with_top_k(7);
        assert_eq!(completed(own, role), Sampling::Random(both));
        assert_eq!(completed(Sampling::Default, role), role);
        assert_eq!(completed(Sampling::Greedy, role), Sampling::Greedy);
        assert_eq!(completed(own, Sampling::Greedy), own);
        assert_eq!(completed(own, Sampling::Default), own);
    }
}
