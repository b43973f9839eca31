//! Where these models are served, and what each place wants otherwise: as data.
//!
//! Sources: the page of a gateway that serves several vendors' models; two pages of proxies before the vendor; vLLM's
//! chat protocol and the open weights' own chat templates; read 2026-11-21.

use polysight_core::{Catalog, Error, ErrorKind, Result};
use polysight_wire::ProviderOptions;

/// A place where the models are served.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// Its name in configuration.
    pub(crate) name: &'static str,
    /// Whether it is the vendor itself: its sites, its surfaces, its tokens.
    pub(crate) is_vendor: bool,
    /// Whether it serves nobody without a key.
    pub(crate) needs_key: bool,
    /// Where it listens if nobody says otherwise; the vendor's own depends on the region.
    pub(crate) base_url: Option<&'static str>,
    /// Model for requests that name none.
    pub(crate) model: Option<&'static str>,
    /// Its catalogue, as TOML.
    catalog: &'static str,
    /// Name of the end user's id.
    pub(crate) end_user_id: &'static str,
    /// How thinking is switched.
    pub(crate) thinking: ThinkingForm,
}

/// How thinking is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThinkingForm {
    /// `thinking: {"type": ..}`.
    Object,
    /// `chat_template_kwargs: {"enable_thinking": ..}`.
    TemplateKwargs,
}

/// The vendor's own service, from which the others depart.
const VENDOR: Deployment = Deployment {
    name: "vendor",
    is_vendor: true,
    needs_key: true,
    base_url: None,
    model: Some(crate::DEFAULT_MODEL),
    catalog: include_str!("catalog.toml"),
    end_user_id: "user_id",
    thinking: ThinkingForm::Object,
};

/// A plain `/v1` of somebody else before the vendor.
const PROXY: Deployment = Deployment {
    name: "proxy",
    is_vendor: false,
    model: None,
    catalog: include_str!("deployments/proxy.toml"),
    ..VENDOR
};

static DEPLOYMENTS: [Deployment; 4] = [
    VENDOR,
    PROXY,
    Deployment {
        name: "gateway",
        catalog: include_str!("deployments/gateway.toml"),
        end_user_id: "user",
        ..PROXY
    },
    Deployment {
        name: "vllm",
        needs_key: false,
        base_url: Some("http://localhost:8000/v1"),
        catalog: include_str!("deployments/vllm.toml"),
        end_user_id: "user",
        thinking: ThinkingForm::TemplateKwargs,
        ..PROXY
    },
];

impl Deployment {
    /// The models as they are served there.
    pub(crate) fn catalog(&self) -> Result<Catalog> {
        if self.is_vendor { crate::catalog().cloned() } else { Catalog::from_toml(self.catalog) }
    }
}

/// The deployment that the options name; without a name the vendor itself.
pub(crate) fn find(options: &ProviderOptions) -> Result<&'static Deployment> {
    let name = options.deployment.as_deref().unwrap_or(VENDOR.name);
    DEPLOYMENTS.iter().find(|known| known.name == name).ok_or_else(|| {
        let known: Vec<&str> = DEPLOYMENTS.iter().map(|known| known.name).collect();
        let message = format!(
            "provider `{}`: zhipu knows no deployment `{name}`; known: {}",
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
    fn every_deployment_has_a_catalogue_whose_rows_name_their_source() {
        for deployment in &DEPLOYMENTS {
            let catalog = deployment.catalog().unwrap();
            assert_eq!(catalog.vendor(), "zhipu", "{}", deployment.name);
            for card in catalog.cards() {
                assert!(card.citation().is_some(), "{}: {}", deployment.name, card.id);
            }
        }
    }

    #[test]
    fn an_unknown_deployment_is_refused_with_the_known_ones() {
        let error = find(&ProviderOptions::new("p").with_deployment("moon")).unwrap_err().to_string();
        assert!(error.contains("no deployment `moon`; known: vendor, proxy, gateway, vllm"), "{error}");
    }

    #[test]
    fn the_gateway_counts_requests_in_flight_and_asks_its_own_prices() {
        let gateway = find(&ProviderOptions::new("p").with_deployment("gateway")).unwrap().catalog().unwrap();
        let row = |id: &str| {
            let card = gateway.card(id);
            let price = &card.prices[0];
            (card.context, card.quotas.unwrap().concurrency, price.input, price.output)
        };
        assert_eq!(row("GLM-4V-Flash"), (Some(4_096), Some(30), 0.0, 0.0));
        assert_eq!(row("GLM-4V"), (Some(8_192), Some(30), 50.0, 50.0));
        assert_eq!(row("GLM-4V-Plus"), (Some(8_192), Some(10), 4.0, 4.0));
        assert_eq!(gateway.cards().len(), 3);
    }
}
