//! Where these models are served, and how each place departs from the vendor's own service.
//!
//! A deployment is data: what is not promised there is not written, and what cannot be said there is refused before
//! sending. Sources: documentation and sources of each server, and servers that were run; read 2026-11-21.

use polysight_core::{Catalog, Error, ErrorKind, Result};
use polysight_wire::chat::request::FramesShape;

/// A place where the models are served.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// Its name in configuration.
    pub(crate) name: &'static str,
    /// Where it listens if nobody says otherwise; the vendor's own depends on the region.
    pub(crate) base_url: Option<&'static str>,
    /// Whether it serves nobody without a key.
    pub(crate) needs_key: bool,
    /// Its catalogue, as TOML.
    catalog: &'static str,
    /// Whether it is the vendor itself: regions, workspaces, the native protocol, uploads, the vendor's headers, its
    /// spelling of the output limit, and what it refuses beyond the catalogue.
    pub(crate) is_vendor: bool,
    /// How a list of frames is written.
    pub(crate) frames: FramesShape,
    /// Where pixel budgets are written.
    pub(crate) pixels: PixelsForm,
    /// Whether a video's fps stands inside `video_url`.
    pub(crate) fps_inside: bool,
    /// How thinking is switched.
    pub(crate) thinking: ThinkingForm,
    /// The field of a reasoning budget.
    pub(crate) thinking_budget: Option<&'static str>,
}

/// Where pixel budgets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PixelsForm {
    /// Beside each picture.
    Part,
    /// Once for the whole request, in `mm_processor_kwargs`.
    ProcessorKwargs,
}

/// How thinking is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThinkingForm {
    /// `enable_thinking`.
    TopLevel,
    /// `chat_template_kwargs: {"enable_thinking": ..}`.
    TemplateKwargs,
    /// `reasoning_effort`, with `none` for no reasoning.
    Effort,
}

/// The vendor's own service, from which the others depart.
const VENDOR: Deployment = Deployment {
    name: "vendor",
    base_url: None,
    needs_key: true,
    catalog: include_str!("catalog.toml"),
    is_vendor: true,
    frames: FramesShape::VideoArray,
    pixels: PixelsForm::Part,
    fps_inside: false,
    thinking: ThinkingForm::TopLevel,
    thinking_budget: Some("thinking_budget"),
};

/// A server that one runs oneself.
const SELF_HOSTED: Deployment = Deployment {
    needs_key: false,
    is_vendor: false,
    frames: FramesShape::None,
    thinking: ThinkingForm::TemplateKwargs,
    thinking_budget: None,
    ..VENDOR
};

pub(crate) static DEPLOYMENTS: [Deployment; 9] = [
    VENDOR,
    Deployment {
        name: "gateway",
        catalog: include_str!("deployments/gateway.toml"),
        is_vendor: false,
        frames: FramesShape::None,
        ..VENDOR
    },
    Deployment {
        name: "vllm",
        base_url: Some("http://localhost:8000/v1"),
        catalog: concat!(
            include_str!("deployments/vllm.toml"),
            include_str!("deployments/open-weights.toml")
        ),
        frames: FramesShape::JpegDataUri,
        pixels: PixelsForm::ProcessorKwargs,
        thinking_budget: Some("thinking_token_budget"),
        ..SELF_HOSTED
    },
    Deployment {
        name: "sglang",
        base_url: Some("http://localhost:30000/v1"),
        catalog: concat!(
            include_str!("deployments/sglang.toml"),
            include_str!("deployments/open-weights.toml")
        ),
        fps_inside: true,
        ..SELF_HOSTED
    },
    Deployment {
        name: "lmdeploy",
        base_url: Some("http://localhost:23333/v1"),
        catalog: concat!(
            include_str!("deployments/lmdeploy.toml"),
            include_str!("deployments/open-weights.toml")
        ),
        pixels: PixelsForm::ProcessorKwargs,
        ..SELF_HOSTED
    },
    Deployment {
        name: "ollama",
        base_url: Some("http://localhost:11434/v1"),
        catalog: include_str!("deployments/ollama.toml"),
        thinking: ThinkingForm::Effort,
        ..SELF_HOSTED
    },
    Deployment {
        name: "llama-cpp",
        base_url: Some("http://localhost:8080/v1"),
        catalog: include_str!("deployments/llama-cpp.toml"),
        ..SELF_HOSTED
    },
    Deployment {
        name: "transformers",
        base_url: Some("http://localhost:8000/v1"),
        catalog: concat!(
            include_str!("deployments/transformers.toml"),
            include_str!("deployments/open-weights.toml")
        ),
        ..SELF_HOSTED
    },
    // A proxy stands before the vendor as a rule, whose switches it passes on.
    Deployment {
        name: "litellm",
        base_url: Some("http://localhost:4000/v1"),
        catalog: include_str!("deployments/litellm.toml"),
        thinking: ThinkingForm::TopLevel,
        thinking_budget: Some("thinking_budget"),
        ..SELF_HOSTED
    },
];

impl Deployment {
    /// The deployment of a name; without a name the vendor itself.
    pub(crate) fn named(name: Option<&str>) -> Option<&'static Self> {
        let name = name.unwrap_or("vendor");
        DEPLOYMENTS.iter().find(|deployment| deployment.name == name)
    }

    /// The models as they are served there.
    pub(crate) fn catalog(&self) -> Result<Catalog> {
        Catalog::from_toml(self.catalog)
    }
}

/// The deployment that a provider asks for.
pub(crate) fn of_options(provider: &str, name: Option<&str>) -> Result<&'static Deployment> {
    Deployment::named(name).ok_or_else(|| {
        let known: Vec<&str> = DEPLOYMENTS.iter().map(|deployment| deployment.name).collect();
        let message = format!(
            "provider `{provider}`: qwen-vl knows no deployment `{}`; known: {}",
            name.unwrap_or_default(),
            known.join(", ")
        );
        Error::new(ErrorKind::Config, message)
    })
}

#[cfg(test)]
mod tests {
    use polysight_wire::BaseUrl;

    use super::*;

    #[test]
    fn every_deployment_has_a_catalogue_and_a_usable_address() {
        for deployment in &DEPLOYMENTS {
            let catalog = deployment.catalog().unwrap();
            assert_eq!(catalog.vendor(), "qwen-vl", "{}", deployment.name);
            for card in catalog.cards() {
                assert!(card.citation().is_some(), "{}", card.id);
            }
            if let Some(url) = deployment.base_url {
                assert!(url.parse::<BaseUrl>().is_ok(), "{url}");
            }
            assert_eq!(Deployment::named(Some(deployment.name)).unwrap().name, deployment.name);
        }
    }

    #[test]
    fn an_unknown_deployment_is_an_error_that_names_the_known_ones() {
        let text = of_options("platform", Some("tgi")).unwrap_err().to_string();
        assert!(text.contains("`platform`") && text.contains("`tgi`") && text.contains("lmdeploy"), "{text}");
        assert_eq!(of_options("p", None).unwrap().name, "vendor");
    }

    #[test]
    fn the_gateway_has_its_own_prices_and_quotas() {
        let catalog = Deployment::named(Some("gateway")).unwrap().catalog().unwrap();
        let card = catalog.card("Qwen2.5-VL-72B-Instruct");
        let quotas = card.quotas.unwrap();
        assert_eq!((quotas.requests_per_minute, quotas.tokens_per_minute), (Some(120), Some(500_000)));
        assert_eq!((card.prices[0].input, card.prices[0].output), (16.0, 48.0));
        assert_eq!((catalog.cards().len(), card.context), (4, Some(131_072)));
        let image = card.image.limits().unwrap();
        assert_eq!((image.url, image.base64), (Some(true), Some(true)), "its page names both");
    }
}
