//! Where these models are served, and what is written there.
//!
//! Sources: documentation and sources of each server, and servers that were run; read 2026-11-21.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use polysight_core::plan::{PixelSize, PlanBuilder};
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, Error, ErrorKind, Estimate, Image, ModelCard, Plan, Result,
};
use polysight_wire::chat::request::{self, FramesShape, MessageShape};
use polysight_wire::chat::{ChatStreamDecoder, Failure, ThinkingParam, decode_reply};
use polysight_wire::vendor::{
    BundledCatalog, ChatDialect, ChatProfile, Deployment, Deployments, Faults, override_models,
};
use polysight_wire::{JsonBody, Mode, ProviderOptions, ReplyHead, StreamDecoder, WireBody};
use serde_json::json;
use url::Url;

use crate::errors::{self, ErrorOrigin};
use crate::extras::{self, DATA_INSPECTION, VENDOR};
use crate::native::{self, NativeStreamDecoder};
use crate::settings::{self, Protocol, QwenVlSettings};
use crate::{quirks, tokens, upload};

/// The vendor's wire, as pure functions.
pub type QwenVlDialect = ChatDialect<QwenVlProfile>;

/// What is odd about the vendor, and about the place that serves its models.
#[derive(Debug)]
pub struct QwenVlProfile {
    pub(crate) deployment: &'static Deployment<Wire>,
    protocol: Protocol,
    pub(crate) headers: HeaderMap,
    /// Where uploads are asked for; `None` where there are none.
    pub(crate) uploads: Option<Url>,
    origin: ErrorOrigin,
}

/// How the wires of the deployments differ.
#[derive(Debug)]
pub(crate) struct Wire {
    /// How a list of frames is written.
    pub(crate) frames: FramesShape,
    /// Where pixel budgets are written.
    pub(crate) pixels: PixelsField,
    /// Whether a video's fps stands inside `video_url`.
    fps_inside: bool,
    /// How thinking is switched.
    pub(crate) thinking: ThinkingParam,
    /// The field of a reasoning budget.
    pub(crate) thinking_budget: Option<&'static str>,
}

/// Where pixel budgets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PixelsField {
    /// Beside each picture.
    Part,
    /// Once for the whole request, in `mm_processor_kwargs`.
    ProcessorKwargs,
}

/// A catalogue of the folder, and of the open weights where the server keeps their names.
macro_rules! bundled {
    ($($file:literal),+) => {
        BundledCatalog::new(concat!($(include_str!(concat!("../catalog/", $file, ".toml"))),+))
    };
}

pub(crate) static CATALOG: BundledCatalog = bundled!("vendor");
static GATEWAY_CATALOG: BundledCatalog = bundled!("gateway");
static VLLM_CATALOG: BundledCatalog = bundled!("vllm", "open-weights");
static SGLANG_CATALOG: BundledCatalog = bundled!("sglang", "open-weights");
static LMDEPLOY_CATALOG: BundledCatalog = bundled!("lmdeploy", "open-weights");
static OLLAMA_CATALOG: BundledCatalog = bundled!("ollama");
static LLAMA_CPP_CATALOG: BundledCatalog = bundled!("llama-cpp");
static TRANSFORMERS_CATALOG: BundledCatalog = bundled!("transformers", "open-weights");
static LITELLM_CATALOG: BundledCatalog = bundled!("litellm");

/// The vendor's own service, from which the others depart.
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
    frames: FramesShape::VideoArray,
    pixels: PixelsField::Part,
    fps_inside: false,
    thinking: ThinkingParam::TopLevel,
    thinking_budget: Some("thinking_budget"),
};

/// A server that one runs oneself.
const SELF_HOSTED: Deployment<Wire> =
    Deployment { is_vendor: false, needs_key: false, model: None, wire: SELF_HOSTED_WIRE, ..OWN };

const SELF_HOSTED_WIRE: Wire = Wire {
    frames: FramesShape::None,
    thinking: ThinkingParam::TemplateKwargs,
    thinking_budget: None,
    ..OWN_WIRE
};

pub(crate) static DEPLOYMENTS: Deployments<Wire> = Deployments::new(
    VENDOR,
    &[
        OWN,
        Deployment {
            name: "gateway",
            is_vendor: false,
            model: None,
            catalog: &GATEWAY_CATALOG,
            wire: Wire { frames: FramesShape::None, ..OWN_WIRE },
            ..OWN
        },
        Deployment {
            name: "vllm",
            base_url: Some("http://localhost:8000/v1"),
            catalog: &VLLM_CATALOG,
            wire: Wire {
                frames: FramesShape::JpegDataUri,
                pixels: PixelsField::ProcessorKwargs,
                thinking_budget: Some("thinking_token_budget"),
                ..SELF_HOSTED_WIRE
            },
            ..SELF_HOSTED
        },
        Deployment {
            name: "sglang",
            base_url: Some("http://localhost:30000/v1"),
            catalog: &SGLANG_CATALOG,
            wire: Wire { fps_inside: true, ..SELF_HOSTED_WIRE },
            ..SELF_HOSTED
        },
        Deployment {
            name: "lmdeploy",
            base_url: Some("http://localhost:23333/v1"),
            catalog: &LMDEPLOY_CATALOG,
            wire: Wire { pixels: PixelsField::ProcessorKwargs, ..SELF_HOSTED_WIRE },
            ..SELF_HOSTED
        },
        Deployment {
            name: "ollama",
            base_url: Some("http://localhost:11434/v1"),
            catalog: &OLLAMA_CATALOG,
            wire: Wire { thinking: ThinkingParam::ReasoningEffort, ..SELF_HOSTED_WIRE },
            ..SELF_HOSTED
        },
        Deployment {
            name: "llama-cpp",
            base_url: Some("http://localhost:8080/v1"),
            catalog: &LLAMA_CPP_CATALOG,
            ..SELF_HOSTED
        },
        Deployment {
            name: "transformers",
            base_url: Some("http://localhost:8000/v1"),
            catalog: &TRANSFORMERS_CATALOG,
            ..SELF_HOSTED
        },
        // A proxy stands before the vendor as a rule, whose switches it passes on.
        Deployment {
            name: "litellm",
            base_url: Some("http://localhost:4000/v1"),
            catalog: &LITELLM_CATALOG,
            wire: Wire { frames: FramesShape::None, ..OWN_WIRE },
            ..SELF_HOSTED
        },
    ],
);

/// Puts the wire together.
pub(crate) fn dialect(
    options: &ProviderOptions,
    settings: &QwenVlSettings,
    faults: &mut Faults,
) -> Option<QwenVlDialect> {
    let deployment = faults.keep(DEPLOYMENTS.find(options))?;
    faults.keep(deployment.refuse_settings(&settings.of_vendor()));
    let base_url = deployment.base_url(options, || settings.base_url());
    let base_url = faults.keep(base_url.and_then(|url| settings::checked_surface(url, settings.protocol)));
    let catalog = faults.keep(catalog(options, settings, deployment));
    let headers = faults.keep(headers(settings));
    let (base_url, catalog) = (base_url?, catalog?);
    let url = faults.keep(base_url.join(settings.protocol.path()))?;
    let mut id = deployment.id(options, VENDOR, &base_url);
    if let Some(region) = settings::region_of(&base_url) {
        // Workspaces of a region share the account's limits, whatever host they have.
        id = id.with_endpoint(region.id());
    }
    let profile = QwenVlProfile {
        deployment,
        protocol: settings.protocol,
        headers: headers?,
        uploads: upload::tickets(&base_url, settings.protocol).filter(|_| deployment.is_vendor),
        origin: origin(deployment, options, settings),
    };
    Some(ChatDialect::new(id, catalog, deployment.model(options), url, profile))
}

/// The models as the deployment serves them over one of the vendor's protocols.
fn catalog(
    options: &ProviderOptions,
    settings: &QwenVlSettings,
    deployment: &Deployment<Wire>,
) -> Result<Catalog> {
    let mut catalog = deployment.catalog.get()?.clone();
    if settings.protocol == Protocol::Compatible {
        // Only the native protocol has a limit of frames (vendor's page of visual understanding).
        let limited = |card: &ModelCard| card.video.limits().is_some_and(|video| video.max_frames.is_yes());
        catalog = override_models(&catalog, limited, "video", &json!({"max_frames": false}))?;
        // So has it alone the tasks of OCR models (vendor's page of Qwen-OCR).
        let has_task =
            |card: &ModelCard| card.response_formats.iter().flatten().any(|format| format == "ocr_task");
        catalog = override_models(&catalog, has_task, "response_formats", &json!([]))?;
    }
    if deployment.is_vendor {
        catalog = catalog.in_currency(settings.region.currency());
    }
    options.catalog(&catalog)
}

fn headers(settings: &QwenVlSettings) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(workspace) = &settings.workspace {
        settings::check_workspace(workspace)?;
        let value = HeaderValue::try_from(workspace).map_err(|error| {
            Error::new(ErrorKind::Config, "workspace is no value of a header").with_source(error)
        })?;
        headers.insert("x-dashscope-workspace", value);
    }
    Ok(headers)
}

fn origin(
    deployment: &Deployment<Wire>,
    options: &ProviderOptions,
    settings: &QwenVlSettings,
) -> ErrorOrigin {
    if !deployment.is_vendor {
        return ErrorOrigin::Other;
    }
    let asked = match &options.base_url {
        Some(url) => url.to_string(),
        None => settings.region.id().to_owned(),
    };
    let key_hint =
        format!("a key belongs to one region, and this provider asks {asked}: check region and base_url");
    ErrorOrigin::Vendor { key_hint }
}

impl ChatProfile for QwenVlProfile {
    fn check(&self, builder: &mut PlanBuilder) {
        extras::check(builder, self.deployment, self.protocol);
        quirks::check(builder, self.deployment, self.protocol);
    }

    fn estimate(&self, request: &ChatRequest, card: &ModelCard) -> Estimate {
        tokens::estimate(request, card)
    }

    fn seen_size(&self, request: &ChatRequest, card: &ModelCard, image: &Image) -> Option<PixelSize> {
        tokens::seen_size(request, card, image)
    }

    fn headers(&self, plan: &Plan, mode: Mode) -> Result<HeaderMap> {
        let mut headers = self.headers.clone();
        let accept = match mode {
            Mode::Plain => "application/json",
            Mode::Stream => "text/event-stream",
        };
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let enable = HeaderValue::from_static("enable");
        if self.protocol == Protocol::Native && mode == Mode::Stream {
            headers.insert("x-dashscope-sse", enable.clone());
        }
        if quirks::refers_to_store(&plan.request) {
            headers.insert("x-dashscope-ossresourceresolve", enable);
        }
        let inspection = plan.request.extras.get(VENDOR).and_then(|fields| fields.get(DATA_INSPECTION));
        if let Some(value) = inspection.and_then(extras::inspection_header) {
            headers.insert("x-dashscope-datainspection", value);
        }
        Ok(headers)
    }

    fn body(&self, plan: &Plan, mode: Mode) -> Result<WireBody> {
        match self.protocol {
            Protocol::Compatible => compatible_body(plan, mode, self.deployment),
            Protocol::Native => native::body(plan, mode, self.deployment),
        }
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        errors::classify(failure, &self.origin)
    }

    fn decode(&self, plan: &Plan, head: &ReplyHead, body: &Bytes) -> Result<ChatResponse> {
        let mut response = match self.protocol {
            Protocol::Compatible => decode_reply(self, plan, head, body)?,
            Protocol::Native => native::decode(self, plan, head, body)?,
        };
        if quirks::is_cut_short(head) {
            response.finish = quirks::cut_short();
            return response.into_result(false).map_err(|error| {
                let message = "the vendor's time limit cut the answer short: stream it";
                Error::new(ErrorKind::Interrupted, message)
                    .with_status(head.status)
                    .with_partial(error.partial().cloned())
                    .with_request_id(error.request_id().unwrap_or_default())
            });
        }
        Ok(response)
    }

    fn decoder(self: &Arc<Self>, plan: &Plan, head: &ReplyHead) -> Box<dyn StreamDecoder> {
        match self.protocol {
            Protocol::Compatible => Box::new(ChatStreamDecoder::new(Arc::clone(self), plan, head)),
            Protocol::Native => Box::new(NativeStreamDecoder::new(Arc::clone(self), plan, head)),
        }
    }
}

fn compatible_body(plan: &Plan, mode: Mode, deployment: &Deployment<Wire>) -> Result<WireBody> {
    let request = &plan.request;
    let shape = MessageShape {
        frames: deployment.wire.frames,
        fps_inside: deployment.wire.fps_inside,
        part_hints: deployment.wire.pixels == PixelsField::Part,
        replay_reasoning: quirks::preserves_thinking(request),
        replay_in_tool_loop: deployment.is_vendor,
        ..MessageShape::new()
    };
    let extensions = quirks::extension_fields(request, &plan.card, deployment);
    JsonBody::object(|root| {
        root.field("model", plan.model());
        request::sampling(root, &request.sampling, plan.card.sampling.greedy);
        root.optional(quirks::limit_field(plan.model(), deployment), request.max_tokens);
        request::stop(root, request);
        root.optional("seed", request.seed);
        request::response_format(root, request);
        request::tools(root, request);
        request::stream(root, mode, true);
        request::extras(root, Some(&extensions));
        request::messages(root, request, &shape);
    })
}

#[cfg(test)]
mod tests {
    use polysight_core::catalog::{Status, ThinkingMode};
    use polysight_wire::BaseUrl;

    use super::*;
    use crate::Region;
    use crate::tokens::TokenFormula;

    fn named(name: &str) -> &'static Deployment<Wire> {
        DEPLOYMENTS.find(&ProviderOptions::new("p").with_deployment(name)).unwrap()
    }

    #[test]
    fn every_row_is_well_formed_and_names_its_source_day_and_formula() {
        let catalog = CATALOG.get().unwrap();
        assert_eq!(catalog.cards().len(), 41);
        for card in catalog.cards() {
            assert!(!card.source.is_empty(), "{}", card.id);
            assert_eq!(card.as_of.len(), "2026-11-21".len(), "{}", card.id);
            assert_eq!(card.id, card.id.to_lowercase());
            assert!(TokenFormula::of(card).is_some(), "{}", card.id);
            assert!(card.image.is_yes(), "{}", card.id);
            if let Some(newer) = &card.replacement {
                assert!(catalog.find(newer).is_some_and(|card| card.status == Status::Live));
            }
        }
    }

    #[test]
    fn the_default_model_is_live_and_sees() {
        let card = CATALOG.get().unwrap().find(crate::DEFAULT_MODEL).unwrap();
        assert_eq!(card.status, Status::Live);
        assert!(card.video.is_yes());
        assert_eq!(card.thinking.mode, Some(ThinkingMode::Switchable));
    }

    #[test]
    fn a_limit_of_frames_is_offered_by_the_native_protocol_only() {
        let of = |protocol| {
            let settings = QwenVlSettings::new().with_protocol(protocol);
            catalog(&ProviderOptions::new("p"), &settings, named("vendor")).unwrap()
        };
        let limit = |catalog: &Catalog| catalog.card("qwen3-vl-plus").video.limits().unwrap().max_frames;
        assert!(limit(&of(Protocol::Native)).is_yes());
        let compatible = of(Protocol::Compatible);
        assert!(limit(&compatible).is_no());
        assert_eq!(compatible.card("qwen3-vl-plus-2025-12-19").id, "qwen3-vl-plus");
        assert_eq!(compatible.card("qwen3-vl-plus").image.limits().unwrap().inline_count, Some(250));
    }

    #[test]
    fn every_deployment_has_a_catalogue_and_a_usable_address() {
        for deployment in DEPLOYMENTS.all() {
            let catalog = deployment.catalog.get().unwrap();
            assert_eq!(catalog.vendor(), VENDOR, "{}", deployment.name);
            for card in catalog.cards() {
                assert!(card.citation().is_some(), "{}", card.id);
            }
            if let Some(url) = deployment.base_url {
                assert!(url.parse::<BaseUrl>().is_ok(), "{url}");
            }
            assert_eq!(named(deployment.name).name, deployment.name);
        }
    }

    #[test]
    fn an_unknown_deployment_is_an_error_that_names_the_known_ones() {
        let options = ProviderOptions::new("platform");
        let text = DEPLOYMENTS.find(&options.clone().with_deployment("tgi")).unwrap_err().to_string();
        assert!(
            text.starts_with("platform:") && text.contains("`tgi`") && text.contains("lmdeploy"),
            "{text}"
        );
        assert_eq!(DEPLOYMENTS.find(&options).unwrap().name, "vendor");
    }

    #[test]
    fn the_gateway_has_its_own_prices_and_quotas() {
        let catalog = GATEWAY_CATALOG.get().unwrap();
        let card = catalog.card("Qwen2.5-VL-72B-Instruct");
        let quotas = card.quotas.unwrap();
        assert_eq!((quotas.requests_per_minute, quotas.tokens_per_minute), (Some(120), Some(500_000)));
        assert_eq!((card.prices[0].input, card.prices[0].output), (16.0, 48.0));
        assert_eq!((catalog.cards().len(), card.context), (4, Some(131_072)));
        let image = card.image.limits().unwrap();
        assert_eq!((image.url, image.base64), (Some(true), Some(true)), "its page names both");
    }

    #[test]
    fn an_account_has_one_endpoint_however_it_is_written() {
        let endpoint = |url: Option<&str>, settings: QwenVlSettings| {
            let mut options = ProviderOptions::new("p");
            options.base_url = url.map(|url| url.parse().unwrap());
            let dialect = Faults::refuse(|faults| dialect(&options, &settings, faults)).unwrap();
            polysight_wire::Dialect::id(&dialect).endpoint.to_string()
        };
        let new = QwenVlSettings::new;
        let beijing = endpoint(None, new());
        let written = Some("https://dashscope.aliyuncs.com/api/v1");
        assert_eq!(beijing, endpoint(None, new().with_protocol(Protocol::Native)));
        assert_eq!(beijing, endpoint(written, new().with_protocol(Protocol::Native)));
        assert_eq!(beijing, endpoint(None, new().with_workspace("ws-1")));
        assert_ne!(beijing, endpoint(None, new().with_region(Region::Singapore)));
        assert_eq!(endpoint(Some("http://h.example:81/v1"), new()), "h.example:81");
    }

    #[test]
    fn one_look_shows_every_fault_and_needs_no_key() {
        let faults = |options: &ProviderOptions, settings: QwenVlSettings| {
            let faults = crate::QwenVl::check(options, &settings);
            faults.iter().map(|fault| fault.message().to_owned()).collect::<Vec<_>>()
        };
        let new = QwenVlSettings::new;
        let options = ProviderOptions::new("p");
        assert_eq!(faults(&options, new()), Vec::<String>::new());
        assert_eq!(faults(&options, new().with_region(Region::Tokyo)).len(), 1, "no shared host");
        let gateway = options.with_deployment("gateway");
        let found = faults(&gateway, new().with_workspace("a b").with_region(Region::Tokyo));
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
