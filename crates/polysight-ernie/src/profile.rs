//! Where the vendor's models are served, and what is written there.

use http::{HeaderMap, HeaderName, HeaderValue};
use polysight_core::plan::PlanBuilder;
use polysight_core::{
    Catalog, ChatRequest, Error, ErrorKind, Estimate, FinishKind, ModelCard, Plan, Result, SafetyLabel,
};
use polysight_wire::chat::request::{self, MessageShape};
use polysight_wire::chat::{CHAT_TEMPLATE_KWARGS, Failure, SafetyFields, ThinkingParam};
use polysight_wire::vendor::{
    BundledCatalog, ChatDialect, ChatProfile, Deployment, Deployments, Faults, override_models,
};
use polysight_wire::{JsonBody, Mode, ProviderOptions, WireBody};
use serde_json::json;

use crate::extras::{self, MAX_COMPLETION_TOKENS, METADATA, VENDOR, WEB_SEARCH};
use crate::settings::{self, ErnieSettings, Region};
use crate::{errors, quirks, tokens};

/// The vendor's wire, as pure functions.
pub type ErnieDialect = ChatDialect<ErnieProfile>;

/// What is odd about the vendor, and about the place that serves its models.
#[derive(Debug)]
pub struct ErnieProfile {
    pub(crate) deployment: &'static Deployment<Wire>,
    appid: Option<HeaderValue>,
    greedy_temperature: f64,
}

/// How the wires of the deployments differ.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Where the caller's id of a request goes.
    pub(crate) request_id: RequestIdField,
    /// Name of the factor against repetition.
    pub(crate) repetition: &'static str,
    /// Name of the token limit for models that reason.
    pub(crate) reasoning_limit: &'static str,
    /// How reasoning is switched.
    pub(crate) thinking: ThinkingParam,
    /// Whether the newer `options.thinking_mode`, which the Thinking weights read, stands beside the switch.
    pub(crate) thinking_mode: bool,
    /// Name of the reasoning budget; the catalogue says which models take one.
    pub(crate) budget: &'static str,
    /// Whether a video's fps stands inside `video_url`.
    fps_inside: bool,
    /// Extras that mean something here, of those that not every place has.
    pub(crate) extras: &'static [&'static str],
}

/// Where the caller's id of a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestIdField {
    /// Nowhere; the catalogue says so too.
    None,
    /// Into a header.
    Header(&'static str),
    /// Into a field of the body.
    Body(&'static str),
}

pub(crate) static CATALOG: BundledCatalog = BundledCatalog::new(include_str!("../catalog/vendor.toml"));
static GATEWAY_CATALOG: BundledCatalog = BundledCatalog::new(include_str!("../catalog/gateway.toml"));
static FASTDEPLOY_CATALOG: BundledCatalog = BundledCatalog::new(include_str!("../catalog/fastdeploy.toml"));
static VLLM_CATALOG: BundledCatalog = BundledCatalog::new(include_str!("../catalog/vllm.toml"));

/// Qianfan V2. Source: the vendor's chat references, its Python SDK (`Request_id`), its thinking guide.
const OWN: Deployment<Wire> = Deployment {
    name: "vendor",
    is_vendor: true,
    needs_key: true,
    base_url: None,
    model: Some(crate::DEFAULT_MODEL),
    catalog: &CATALOG,
    wire: OWN_WIRE,
};

const OWN_WIRE: Wire = Wire {
    request_id: RequestIdField::Header("request_id"),
    repetition: "penalty_score",
    reasoning_limit: MAX_COMPLETION_TOKENS,
    thinking: ThinkingParam::TopLevel,
    thinking_mode: false,
    budget: "thinking_budget",
    fps_inside: true,
    extras: &[WEB_SEARCH, METADATA, MAX_COMPLETION_TOKENS],
};

/// Open weights on FastDeploy. There `metadata` is an obsolete side door for parameters, top-level `enable_thinking` is
/// dropped in silence, and fps is chosen when the server starts. Source: its request model and documentation.
const FASTDEPLOY: Deployment<Wire> = Deployment {
    name: "fastdeploy",
    is_vendor: false,
    needs_key: false,
    base_url: None,
    model: Some("default"),
    catalog: &FASTDEPLOY_CATALOG,
    wire: FASTDEPLOY_WIRE,
};

const FASTDEPLOY_WIRE: Wire = Wire {
    request_id: RequestIdField::Body("request_id"),
    repetition: "repetition_penalty",
    reasoning_limit: "max_tokens",
    thinking: ThinkingParam::TemplateKwargs,
    thinking_mode: true,
    budget: "reasoning_max_tokens",
    fps_inside: false,
    extras: &[CHAT_TEMPLATE_KWARGS],
};

static DEPLOYMENTS: Deployments<Wire> = Deployments::new(
    VENDOR,
    &[
        OWN,
        // In front of the vendor: it passes fields on and counts by `max_tokens`.
        Deployment {
            name: "gateway",
            is_vendor: false,
            model: Some("ERNIE-4.5-Turbo-32K"),
            catalog: &GATEWAY_CATALOG,
            wire: Wire { request_id: RequestIdField::None, reasoning_limit: "max_tokens", ..OWN_WIRE },
            ..OWN
        },
        FASTDEPLOY,
        // Takes no budget: its catalogue lists none.
        Deployment {
            name: "vllm",
            model: None,
            catalog: &VLLM_CATALOG,
            wire: Wire {
                request_id: RequestIdField::Header("x-request-id"),
                thinking_mode: false,
                extras: &[METADATA, MAX_COMPLETION_TOKENS, CHAT_TEMPLATE_KWARGS],
                ..FASTDEPLOY_WIRE
            },
            ..FASTDEPLOY
        },
    ],
);

/// Puts the wire together.
pub(crate) fn dialect(
    options: &ProviderOptions,
    settings: &ErnieSettings,
    faults: &mut Faults,
) -> Option<ErnieDialect> {
    let deployment = faults.keep(DEPLOYMENTS.find(options))?;
    faults.keep(settings.check(deployment));
    let base_url = deployment.base_url(options, || settings.region.base_url());
    let base_url = faults.keep(base_url.and_then(settings::checked_url));
    let catalog = faults.keep(catalog(options, settings.region, deployment));
    let appid = settings.appid.as_deref().map(HeaderValue::from_str).transpose();
    let appid =
        faults.keep(appid.map_err(|error| {
            Error::new(ErrorKind::Config, "appid cannot stand in a header").with_source(error)
        }));
    let greedy_temperature = faults.keep(settings.greedy_temperature());
    let (base_url, catalog) = (base_url?, catalog?);
    let url = faults.keep(base_url.join("chat/completions"))?;
    let id = deployment.id(options, VENDOR, &settings::site(&base_url));
    let profile = ErnieProfile { deployment, appid: appid?, greedy_temperature: greedy_temperature? };
    Some(ChatDialect::new(id, catalog, deployment.model(options), url, profile))
}

/// The prices are the mainland's: other sites list none.
fn catalog(options: &ProviderOptions, region: Region, deployment: &Deployment<Wire>) -> Result<Catalog> {
    if deployment.is_vendor && !region.is_qianfan() {
        return options.catalog(&without_prices(CATALOG.get()?)?);
    }
    deployment.catalog(options)
}

fn without_prices(catalog: &Catalog) -> Result<Catalog> {
    override_models(catalog, |_| true, "prices", &json!([]))
}

impl ChatProfile for ErnieProfile {
    fn check(&self, builder: &mut PlanBuilder) {
        quirks::say_greedy(builder, self.greedy_temperature);
        extras::check(builder, self.deployment);
        if request_id_header(self.deployment, &builder.request).is_err() {
            let limit = "visible ASCII: it goes out as a header";
            builder.findings.reject("request_id", "it holds other characters", limit, "choose another id");
        }
    }

    /// The open weights' arithmetic is public, the cloud's is not.
    fn estimate(&self, request: &ChatRequest, card: &ModelCard) -> Estimate {
        let mut estimate = Estimate::default();
        if card.token_formula.as_deref() == Some(tokens::FORMULA) {
            estimate.image_tokens = tokens::of_images(request);
        }
        estimate
    }

    fn headers(&self, plan: &Plan, _: Mode) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        if let Some(appid) = &self.appid {
            headers.insert("appid", appid.clone());
        }
        headers.extend(request_id_header(self.deployment, &plan.request)?);
        Ok(headers)
    }

    fn body(&self, plan: &Plan, mode: Mode) -> Result<WireBody> {
        let (request, wire) = (&plan.request, &self.deployment.wire);
        let shape = MessageShape { fps_inside: wire.fps_inside, ..MessageShape::new() };
        JsonBody::object(|root| {
            root.field("model", plan.model());
            if let RequestIdField::Body(name) = wire.request_id {
                root.optional(name, request.request_id.as_deref());
            }
            root.optional("user", request.end_user_id.as_deref());
            quirks::write_sampling(root, request.sampling, self.greedy_temperature, wire);
            quirks::write_limit(root, plan, wire);
            request::stop(root, request);
            root.optional("seed", request.seed);
            quirks::write_thinking(root, plan, wire);
            request::response_format(root, request);
            request::tools(root, request);
            request::stream(root, mode, true);
            request::extras_except(root, request, VENDOR, &[CHAT_TEMPLATE_KWARGS]);
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

    fn withdraws(&self, fields: &SafetyFields<'_>) -> bool {
        quirks::withdraws(fields)
    }
}

/// The header that carries the caller's id, where it goes out as one.
fn request_id_header(
    deployment: &Deployment<Wire>,
    request: &ChatRequest,
) -> Result<Option<(HeaderName, HeaderValue)>> {
    let (RequestIdField::Header(name), Some(id)) = (deployment.wire.request_id, &request.request_id) else {
        return Ok(None);
    };
    let value = HeaderValue::from_str(id).map_err(|error| {
        Error::new(ErrorKind::InvalidRequest, "the request id cannot stand in a header").with_source(error)
    })?;
    Ok(Some((HeaderName::from_static(name), value)))
}

#[cfg(test)]
mod tests {
    use polysight_core::catalog::Status;

    use super::*;

    fn of_gateway() -> &'static Catalog {
        GATEWAY_CATALOG.get().unwrap()
    }

    #[test]
    fn every_row_is_well_formed_and_names_its_source_and_day() {
        let counts: Vec<usize> = DEPLOYMENTS
            .all()
            .iter()
            .map(|deployment| {
                let catalog = deployment.catalog.get().unwrap();
                assert_eq!(catalog.vendor(), VENDOR);
                for card in catalog.cards() {
                    assert!(!card.source.is_empty(), "{}", card.id);
                    assert_eq!(card.as_of.len(), "2026-11-21".len(), "{}", card.id);
                    if let Some(newer) = &card.replacement {
                        let newer = catalog.find(newer);
                        assert!(newer.is_some_and(|card| card.status == Status::Live), "{}", card.id);
                    }
                }
                catalog.cards().len()
            })
            .collect();
        assert_eq!(counts, [29, 1, 3, 3]);
    }

    #[test]
    fn the_name_that_lost_its_vl_sees_behind_the_gateway_and_not_at_the_vendor() {
        let own = CATALOG.get().unwrap();
        assert!(of_gateway().card("ERNIE-4.5-Turbo-32K").image.is_yes());
        assert!(of_gateway().card("ernie-4.5-turbo-vl-32k").image.is_yes());
        assert!(own.card("ERNIE-4.5-Turbo-32K").image.is_no());
        let (sold, own) = (of_gateway().card("ERNIE-4.5-Turbo-32K"), own.card("ernie-4.5-turbo-vl-32k"));
        let quota = |quotas: Option<polysight_core::catalog::Quotas>| {
            quotas.map(|quotas| (quotas.requests_per_minute, quotas.tokens_per_minute))
        };
        assert_eq!(quota(sold.quotas), quota(own.quotas));
        assert_eq!(sold.prices[0].input, 4.29);
        assert_eq!(own.prices[0].input, 3.0);
    }

    #[test]
    fn a_site_with_other_prices_lists_none() {
        let own = CATALOG.get().unwrap();
        let stripped = without_prices(own).unwrap();
        assert_eq!(stripped.cards().len(), own.cards().len());
        assert!(stripped.cards().iter().all(|card| card.prices.is_empty()));
        assert_eq!(stripped.card("ernie-4.5-turbo-vl").max_output, Some(16_384));
    }

    #[test]
    fn an_unknown_deployment_is_refused_with_the_known_ones() {
        let options = ProviderOptions::new("p").with_deployment("ollama");
        let error = DEPLOYMENTS.find(&options).unwrap_err().to_string();
        assert!(error.contains("vendor, gateway, fastdeploy, vllm"), "{error}");
        assert_eq!(DEPLOYMENTS.find(&ProviderOptions::new("p")).unwrap().name, "vendor");
    }

    #[test]
    fn every_deployment_agrees_with_its_catalogue() {
        for deployment in DEPLOYMENTS.all() {
            let unknown = deployment.catalog.get().unwrap().card("some-model");
            let takes_ids = deployment.wire.request_id != RequestIdField::None;
            assert_eq!(unknown.request_id.is_some(), takes_ids, "{}", deployment.name);
        }
    }

    #[test]
    fn lists_of_frames_are_taken_nowhere_not_even_by_unknown_models() {
        for deployment in DEPLOYMENTS.all() {
            let unknown = deployment.catalog.get().unwrap().card("some-model");
            assert!(unknown.video.limits().is_some_and(|card| card.frames.is_no()), "{}", deployment.name);
        }
    }

    #[test]
    fn an_account_has_one_endpoint_however_it_is_written() {
        let endpoint = |url: Option<&str>, region| {
            let mut options = ProviderOptions::new("p");
            options.base_url = url.map(|url| url.parse().unwrap());
            let settings = ErnieSettings::new().with_region(region);
            let dialect = Faults::refuse(|faults| dialect(&options, &settings, faults)).unwrap();
            polysight_wire::Dialect::id(&dialect).endpoint.to_string()
        };
        let mainland = endpoint(None, Region::Mainland);
        assert_eq!(mainland, endpoint(None, Region::Beijing));
        assert_eq!(mainland, endpoint(Some("https://qianfan.baidubce.com/v2/"), Region::Mainland));
        assert_ne!(mainland, endpoint(None, Region::International));
        assert_ne!(mainland, endpoint(Some("https://proxy.example/v2/"), Region::Mainland));
    }
}
