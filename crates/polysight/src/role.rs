//! A role: a name that a program asks for, which the config maps to a provider and a model.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use polysight_core::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Plan, ProviderId, ResponseFormat, Result, Sampling,
    Thinking, VisionProvider,
};

/// A name that a program asks for, which the config maps to a provider, a model, and defaults of requests.
///
/// It is a [`VisionProvider`] itself: [`plan`](VisionProvider::plan) fills in what a request leaves open, and what was planned is
/// sent. What the request says wins. Cloning shares the provider.
#[derive(Clone)]
pub struct Role {
    name: Arc<str>,
    provider: Arc<dyn VisionProvider>,
    defaults: Arc<ChatRequest>,
}

impl Role {
    /// Maps a name to a provider. Messages, tools and the request id of `defaults` are ignored.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, provider: Arc<dyn VisionProvider>, defaults: ChatRequest) -> Self {
        Self { name: name.into(), provider, defaults: Arc::new(defaults) }
    }

    /// The role's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The role's model, if it names one; else the provider's own default is used.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.defaults.model.as_deref()
    }

    /// The provider or router behind the role, with the role's layers around it.
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

impl fmt::Debug for Role {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Role({}, {}", self.name, self.provider.id())?;
        match self.model() {
            Some(model) => write!(f, ", {model})"),
            None => f.write_str(")"),
        }
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

#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Role {
    fn id(&self) -> &ProviderId {
        self.provider.id()
    }

    fn catalog(&self) -> &Catalog {
        self.provider.catalog()
    }

    fn plan(&self, request: &ChatRequest) -> Result<Plan> {
        self.provider.plan(&self.complete(request.clone()))
    }

    // The two are written out, so that the future that is boxed already is not boxed once more.
    fn send<'a, 'async_trait>(
        &'a self,
        plan: Plan,
    ) -> Pin<Box<dyn Future<Output = Result<ChatResponse>> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        self.provider.send(plan)
    }

    fn stream<'a, 'async_trait>(
        &'a self,
        plan: Plan,
    ) -> Pin<Box<dyn Future<Output = Result<ChatStream>> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        self.provider.stream(plan)
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
