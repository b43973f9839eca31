//! What is known of the model that a request will go to.

use std::sync::Arc;

use polysight_core::{ChatRequest, Message, ModelCard, VisionProvider};

/// The card of the request's model; where none is named, the provider knows which it takes.
pub(crate) fn card_of(provider: &dyn VisionProvider, request: &ChatRequest) -> Option<Arc<ModelCard>> {
    match &request.model {
        Some(model) => Some(provider.catalog().card(model)),
        None => {
            let question = ChatRequest::new([Message::user("?")]);
            provider.plan(&question).ok().map(|plan| plan.card)
        }
    }
}
