//! Where the vendor's models are served, and what each place wants otherwise: as data.

use polysight_core::{Catalog, Error, ErrorKind, Result};
use polysight_wire::ProviderOptions;

use crate::catalog::{self, catalog};

/// What a place where the models are served wants otherwise than the next one.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// The name in configuration.
    pub(crate) name: &'static str,
    /// Whether this is the vendor itself: its sites, its forms of keys.
    pub(crate) is_vendor: bool,
    /// Whether requests must show a key.
    pub(crate) needs_key: bool,
    /// The model for requests that name none.
    pub(crate) model: Option<&'static str>,
    /// The models.
    pub(crate) catalog: fn() -> Result<&'static Catalog>,
    /// Where the caller's id of a request goes.
    pub(crate) request_id: RequestIdForm,
    /// Name of the factor against repetition.
    pub(crate) repetition: &'static str,
    /// Name of the token limit for models that reason.
    pub(crate) reasoning_limit: &'static str,
    /// How reasoning is switched.
    pub(crate) switch: SwitchForm,
    /// Name of the reasoning budget; the catalogue says which models take one.
    pub(crate) budget: &'static str,
    /// Whether a video's fps stands inside `video_url`.
    pub(crate) fps_inside: bool,
    /// Extras that mean something here, of those that not every place has.
    pub(crate) extras: &'static [&'static str],
}

/// Where the caller's id of a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestIdForm {
    /// Nowhere; the catalogue says so too.
    None,
    /// Into a header.
    Header(&'static str),
    /// Into a field of the body.
    Field(&'static str),
}

/// How reasoning is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SwitchForm {
    /// `enable_thinking` as a field of the body.
    Field,
    /// `enable_thinking` as an argument of the chat template, and with `mode` also the newer
    /// `options.thinking_mode`, which the Thinking weights read.
    Template { mode: bool },
}

/// Extra that asks the vendor's search engine.
pub(crate) const WEB_SEARCH: &str = "web_search";
/// Extra that labels a request in the vendor's logs.
pub(crate) const METADATA: &str = "metadata";
/// Extra that limits reasoning and answer together, beside `max_tokens`.
pub(crate) const MAX_COMPLETION_TOKENS: &str = "max_completion_tokens";
/// Extra that holds arguments of the chat template.
pub(crate) const CHAT_TEMPLATE_KWARGS: &str = "chat_template_kwargs";

/// Extras that a deployment must list to have them.
pub(crate) const PLACED_EXTRAS: [&str; 4] =
    [WEB_SEARCH, METADATA, MAX_COMPLETION_TOKENS, CHAT_TEMPLATE_KWARGS];

/// Qianfan V2. Source: the vendor's chat references, its Python SDK (`Request_id`), its thinking guide.
const VENDOR: Deployment = Deployment {
    name: "vendor",
    is_vendor: true,
    needs_key: true,
    model: Some(crate::DEFAULT_MODEL),
    catalog,
    request_id: RequestIdForm::Header("request_id"),
    repetition: "penalty_score",
    reasoning_limit: MAX_COMPLETION_TOKENS,
    switch: SwitchForm::Field,
    budget: "thinking_budget",
    fps_inside: true,
    extras: &[WEB_SEARCH, METADATA, MAX_COMPLETION_TOKENS],
};

/// A gateway in front of the vendor, which passes fields on and counts by `max_tokens`.
const GATEWAY: Deployment = Deployment {
    name: "gateway",
    is_vendor: false,
    model: Some("ERNIE-4.5-Turbo-32K"),
    catalog: catalog::gateway,
    request_id: RequestIdForm::None,
    reasoning_limit: "max_tokens",
    ..VENDOR
};

/// Open weights on FastDeploy. There `metadata` is an obsolete side door for parameters, top-level `enable_thinking` is
/// dropped in silence, and fps is chosen when the server starts. Source: its request model and documentation.
const FASTDEPLOY: Deployment = Deployment {
    name: "fastdeploy",
    is_vendor: false,
    needs_key: false,
    model: Some("default"),
    catalog: catalog::fastdeploy,
    request_id: RequestIdForm::Field("request_id"),
    repetition: "repetition_penalty",
    reasoning_limit: "max_tokens",
    switch: SwitchForm::Template { mode: true },
    budget: "reasoning_max_tokens",
    fps_inside: false,
    extras: &[CHAT_TEMPLATE_KWARGS],
};

/// Open weights on vLLM, which takes no budget: its catalogue lists none.
const VLLM: Deployment = Deployment {
    name: "vllm",
    model: None,
    catalog: catalog::vllm,
    request_id: RequestIdForm::Header("x-request-id"),
    switch: SwitchForm::Template { mode: false },
    extras: &[METADATA, MAX_COMPLETION_TOKENS, CHAT_TEMPLATE_KWARGS],
    ..FASTDEPLOY
};

static DEPLOYMENTS: [Deployment; 4] = [VENDOR, GATEWAY, FASTDEPLOY, VLLM];

/// The deployment that the options name.
pub(crate) fn find(options: &ProviderOptions) -> Result<&'static Deployment> {
    let name = options.deployment.as_deref().unwrap_or(VENDOR.name);
    DEPLOYMENTS.iter().find(|known| known.name == name).ok_or_else(|| {
        let known: Vec<&str> = DEPLOYMENTS.iter().map(|known| known.name).collect();
        let message = format!(
            "provider `{}`: ernie knows no deployment `{name}`; known: {}",
            options.name,
            known.join(", ")
        );
        Error::new(ErrorKind::Config, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_deployment_is_refused_with_the_known_ones() {
        let options = ProviderOptions::new("p").with_deployment("ollama");
        let error = find(&options).unwrap_err().to_string();
        assert!(error.contains("vendor, gateway, fastdeploy, vllm"), "{error}");
        assert_eq!(find(&ProviderOptions::new("p")).unwrap().name, "vendor");
    }

    #[test]
    fn every_deployment_agrees_with_its_catalogue() {
        for deployment in &DEPLOYMENTS {
            let unknown = (deployment.catalog)().unwrap().card("some-model");
            let takes_ids = deployment.request_id != RequestIdForm::None;
            assert_eq!(unknown.request_id.is_some(), takes_ids, "{}", deployment.name);
        }
    }

    #[test]
    fn lists_of_frames_are_taken_nowhere_not_even_by_unknown_models() {
        for deployment in &DEPLOYMENTS {
            let unknown = (deployment.catalog)().unwrap().card("some-model");
            assert!(unknown.video.limits().is_some_and(|card| card.frames.is_no()), "{}", deployment.name);
        }
    }
}
