//! Where these models are served, and what is written there.
//!
//! Sources: the page of a gateway that serves several vendors' models; two pages of proxies before the vendor; vLLM's
//! chat protocol and the open weights' own chat templates; read 2026-11-21.

use http::{HeaderMap, HeaderValue, header};
use polysight_core::plan::PlanBuilder;
use polysight_core::{
    Catalog, ChatRequest, Error, ErrorKind, Estimate, FinishKind, ModelCard, Plan, Result, SafetyLabel,
};
use polysight_wire::chat::request::{self, MessageShape};
use polysight_wire::chat::{CHAT_TEMPLATE_KWARGS, Failure, SafetyFields, ThinkingParam};
use polysight_wire::vendor::{BundledCatalog, ChatDialect, ChatProfile, Deployment, Deployments, Faults};
use polysight_wire::{JsonBody, Mode, ProviderOptions, WireBody};

use crate::extras::{self, VENDOR};
use crate::settings::{self, ZhipuSettings};
use crate::{errors, quirks, tokens};

/// The vendor's wire, as pure functions.
pub type ZhipuDialect = ChatDialect<ZhipuProfile>;

/// What is odd about the vendor, and about the place that serves its models.
#[derive(Debug)]
pub struct ZhipuProfile {
    pub(crate) deployment: &'static Deployment<Wire>,
    /// Whether streams must be asked for usage.
    asks_for_usage: bool,
    language: Option<HeaderValue>,
    strips_box_markers: bool,
}

/// How the wires of the deployments differ.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Name of the end user's id.
    end_user_id: &'static str,
    /// How thinking is switched.
    thinking: ThinkingParam,
}

pub(crate) static CATALOG: BundledCatalog = BundledCatalog::new(include_str!("../catalog/vendor.toml"));
static PROXY_CATALOG: BundledCatalog = BundledCatalog::new(include_str!("../catalog/proxy.toml"));
static GATEWAY_CATALOG: BundledCatalog = BundledCatalog::new(include_str!("../catalog/gateway.toml"));
static VLLM_CATALOG: BundledCatalog = BundledCatalog::new(include_str!("../catalog/vllm.toml"));

/// The vendor's own service, from which the others depart.
const OWN: Deployment<Wire> = Deployment {
    name: "vendor",
    is_vendor: true,
    needs_key: true,
    base_url: None,
    model: Some(crate::DEFAULT_MODEL),
    catalog: &CATALOG,
    wire: Wire { end_user_id: "user_id", thinking: ThinkingParam::Object },
};

/// Another party's plain `/v1` before the vendor.
const PROXY: Deployment<Wire> =
    Deployment { name: "proxy", is_vendor: false, model: None, catalog: &PROXY_CATALOG, ..OWN };

static DEPLOYMENTS: Deployments<Wire> = Deployments::new(
    VENDOR,
    &[
        OWN,
        PROXY,
        Deployment {
            name: "gateway",
            catalog: &GATEWAY_CATALOG,
            wire: Wire { end_user_id: "user", thinking: ThinkingParam::Object },
            ..PROXY
        },
        Deployment {
            name: "vllm",
            needs_key: false,
            base_url: Some("http://localhost:8000/v1"),
            catalog: &VLLM_CATALOG,
            wire: Wire { end_user_id: "user", thinking: ThinkingParam::TemplateKwargs },
            ..PROXY
        },
    ],
);

/// Puts the wire together.
pub(crate) fn dialect(
    options: &ProviderOptions,
    settings: &ZhipuSettings,
    faults: &mut Faults,
) -> Option<ZhipuDialect> {
    let deployment = faults.keep(DEPLOYMENTS.find(options))?;
    faults.keep(deployment.refuse_settings(&settings.of_vendor()));
    let base_url = deployment.base_url(options, || settings.region.base_url());
    let base_url = faults.keep(base_url.and_then(settings::checked_surface));
    let catalog = faults.keep(catalog(options, settings, deployment));
    let language = settings.accept_language().filter(|_| deployment.is_vendor);
    let language = faults.keep(language.map(header_of_language).transpose());
    let (base_url, catalog) = (base_url?, catalog?);
    let profile = ZhipuProfile {
        deployment,
        asks_for_usage: quirks::asks_for_usage(&base_url),
        language: language.flatten(),
        strips_box_markers: settings.strip_box_markers,
    };
    let url = faults.keep(base_url.join("chat/completions"))?;
    let id = deployment.id(options, VENDOR, &base_url);
    Some(ChatDialect::new(id, catalog, deployment.model(options), url, profile))
}

fn catalog(
    options: &ProviderOptions,
    settings: &ZhipuSettings,
    deployment: &Deployment<Wire>,
) -> Result<Catalog> {
    if !deployment.is_vendor {
        return deployment.catalog(options);
    }
    options.catalog(&CATALOG.get()?.clone().in_currency(settings.region.currency()))
}

fn header_of_language(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|error| {
        Error::new(ErrorKind::Config, "language is no value of an Accept-Language header").with_source(error)
    })
}

impl ChatProfile for ZhipuProfile {
    fn check(&self, builder: &mut PlanBuilder) {
        extras::check(builder);
        quirks::check_thinking(builder, self.deployment.wire.thinking);
    }

    fn estimate(&self, request: &ChatRequest, card: &ModelCard) -> Estimate {
        tokens::estimate(request, card)
    }

    fn headers(&self, _: &Plan, _: Mode) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        // The vendor's own SDK asks for JSON even where it wants a stream.
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(language) = &self.language {
            headers.insert(header::ACCEPT_LANGUAGE, language.clone());
        }
        Ok(headers)
    }

    fn body(&self, plan: &Plan, mode: Mode) -> Result<WireBody> {
        let request = &plan.request;
        // Two extras become part of how thinking is written.
        let others: &[&str] = match self.deployment.wire.thinking {
            ThinkingParam::TemplateKwargs => &[extras::CLEAR_THINKING, CHAT_TEMPLATE_KWARGS],
            _ => &[extras::CLEAR_THINKING],
        };
        let replay_reasoning = quirks::clear_thinking(request) == Some(false);
        let shape = MessageShape { replay_reasoning, ..message_shape(plan) };
        JsonBody::object(|root| {
            root.field("model", plan.model());
            root.optional("request_id", request.request_id.as_deref());
            root.optional(self.deployment.wire.end_user_id, request.end_user_id.as_deref());
            request::sampling(root, &request.sampling, plan.card.sampling.greedy);
            root.optional("max_tokens", request.max_tokens);
            request::stop(root, request);
            root.optional("seed", request.seed);
            quirks::write_thinking(root, request, self.deployment.wire.thinking);
            request::response_format(root, request);
            request::tools(root, request);
            request::stream(root, mode, self.asks_for_usage);
            request::extras_except(root, request, VENDOR, others);
            request::messages(root, request, &shape);
        })
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        errors::classify(failure)
    }

    fn finish_kind(&self, raw: &str) -> FinishKind {
        quirks::finish_kind(raw)
    }

    fn safety(&self, fields: &SafetyFields<'_>) -> Vec<SafetyLabel> {
        quirks::safety(fields)
    }

    fn stripped_markers(&self) -> &'static [&'static str] {
        if self.strips_box_markers { quirks::BOX_MARKERS } else { &[] }
    }
}

/// The schema has a string for the content, which may be left out beside tool calls; an empty one was refused with 1214.
/// Source: chat reference, assistant message, 2026-11-21.
fn message_shape(plan: &Plan) -> MessageShape {
    MessageShape { null_content: false, ..MessageShape::of_card(&plan.card, false) }
}

impl ZhipuProfile {
    /// The body of a question to the vendor's counter of tokens.
    pub(crate) fn counted_body(plan: &Plan) -> Result<WireBody> {
        JsonBody::object(|root| {
            root.field("model", plan.model());
            request::tools(root, &plan.request);
            request::messages(root, &plan.request, &message_shape(plan));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_gateway(id: &str) -> (Option<u64>, Option<u64>, f64, f64) {
        let card = GATEWAY_CATALOG.get().unwrap().card(id);
        let price = &card.prices[0];
        (card.context, card.quotas.unwrap().concurrency, price.input, price.output)
    }

    #[test]
    fn every_row_is_well_formed_and_names_its_source_and_day() {
        let catalog = CATALOG.get().unwrap();
        assert_eq!(catalog.cards().len(), 20);
        for card in catalog.cards() {
            assert!(!card.source.is_empty(), "{}", card.id);
            assert_eq!(card.as_of.len(), "2026-11-21".len(), "{}", card.id);
            assert_eq!(card.id, card.id.to_lowercase());
            if let Some(newer) = &card.replacement {
                let newer = catalog.find(newer).unwrap();
                assert_eq!(newer.status, polysight_core::catalog::Status::Live);
            }
        }
        assert_eq!(catalog.card("GLM-4V-Plus").id, "glm-4v-plus", "found in any case");
    }

    #[test]
    fn every_deployment_has_a_catalogue_whose_rows_name_their_source() {
        for deployment in DEPLOYMENTS.all() {
            let catalog = deployment.catalog.get().unwrap();
            assert_eq!(catalog.vendor(), VENDOR, "{}", deployment.name);
            for card in catalog.cards() {
                assert!(card.citation().is_some(), "{}: {}", deployment.name, card.id);
            }
        }
    }

    #[test]
    fn an_unknown_deployment_is_refused_with_the_known_ones() {
        let options = ProviderOptions::new("p").with_deployment("moon");
        let error = DEPLOYMENTS.find(&options).unwrap_err().to_string();
        assert!(error.contains("no deployment `moon`; known: vendor, proxy, gateway, vllm"), "{error}");
    }

    #[test]
    fn the_gateway_counts_requests_in_flight_and_asks_its_own_prices() {
        assert_eq!(of_gateway("GLM-4V-Flash"), (Some(4_096), Some(30), 0.0, 0.0));
        assert_eq!(of_gateway("GLM-4V"), (Some(8_192), Some(30), 50.0, 50.0));
        assert_eq!(of_gateway("GLM-4V-Plus"), (Some(8_192), Some(10), 4.0, 4.0));
        assert_eq!(GATEWAY_CATALOG.get().unwrap().cards().len(), 3);
    }

    #[test]
    fn one_look_shows_every_fault_and_needs_no_key() {
        let options = ProviderOptions::new("p").with_deployment("proxy");
        let settings = ZhipuSettings::new().with_language("a").with_auth(crate::Auth::Jwt);
        let faults = crate::Zhipu::check(&options, &settings);
        let text: Vec<&str> = faults.iter().map(Error::message).collect();
        assert!(text.len() == 2 && text[0].contains("`auth`, `language`"), "{text:?}");
        assert!(text[1].contains("needs a base_url"), "{text:?}");
        assert!(crate::Zhipu::check(&ProviderOptions::new("p"), &ZhipuSettings::new()).is_empty());
    }

    #[test]
    fn an_account_has_one_endpoint_however_it_is_written() {
        let endpoint = |options: &ProviderOptions, region| {
            let settings = ZhipuSettings::new().with_region(region);
            let dialect = Faults::refuse(|faults| dialect(options, &settings, faults)).unwrap();
            polysight_wire::Dialect::id(&dialect).endpoint.to_string()
        };
        let own = ProviderOptions::new("p");
        let written =
            own.clone().with_base_url("https://open.bigmodel.cn/api/coding/paas/v4".parse().unwrap());
        let mainland = endpoint(&own, crate::Region::Mainland);
        assert_eq!(mainland, endpoint(&written, crate::Region::Mainland));
        assert_ne!(mainland, endpoint(&own, crate::Region::International));
    }
}
