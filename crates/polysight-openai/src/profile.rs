//! What is written, where the shape leaves a choice.

use polysight_core::plan::PlanBuilder;
use polysight_core::{Error, ErrorKind, Plan, ProviderId, Result, redact_name};
use polysight_wire::chat::request::{self, MessageShape};
use polysight_wire::chat::{Failure, RESERVED_EXTRAS};
use polysight_wire::vendor::{BundledCatalog, ChatDialect, ChatProfile, Faults};
use polysight_wire::{JsonBody, Mode, ProviderOptions, WireBody};

use crate::errors;
use crate::settings::OpenAiSettings;

/// The vendor's id, under which extras are found.
pub const VENDOR: &str = "openai";

/// The wire as pure functions.
pub type OpenAiDialect = ChatDialect<OpenAiProfile>;

/// The choices of one server.
#[derive(Debug)]
pub struct OpenAiProfile(OpenAiSettings);

static CATALOG: BundledCatalog = BundledCatalog::new(include_str!("../catalog/vendor.toml"));

/// Fields beside those of the shape that a request has fields of its own for.
const RESERVED: [(&str, &str); 5] = [
    ("max_completion_tokens", "max_tokens"),
    ("top_k", "sampling"),
    ("presence_penalty", "sampling"),
    ("frequency_penalty", "sampling"),
    ("user", "end_user_id"),
];

/// Puts the wire together.
pub(crate) fn dialect(
    options: &ProviderOptions,
    settings: &OpenAiSettings,
    faults: &mut Faults,
) -> Option<OpenAiDialect> {
    if let Some(name) = &options.deployment {
        let message = format!(
            "deployment `{}`: openai has none, base_url alone says where the server is",
            redact_name(name)
        );
        faults.add(Error::new(ErrorKind::Config, message));
    }
    let base_url = faults.keep(options.require_base_url(VENDOR));
    let catalog = faults.keep(CATALOG.get().and_then(|own| options.catalog(own)));
    let (base_url, catalog) = (base_url?, catalog?);
    let url = faults.keep(base_url.join("chat/completions"))?;
    let id = ProviderId::new(options.name.as_str(), VENDOR).with_endpoint(options.endpoint(base_url));
    Some(ChatDialect::new(id, catalog, options.model.clone(), url, OpenAiProfile(settings.clone())))
}

impl ChatProfile for OpenAiProfile {
    fn check(&self, builder: &mut PlanBuilder) {
        builder.refuse_extras(VENDOR, &RESERVED_EXTRAS);
        builder.refuse_extras(VENDOR, &RESERVED);
        self.0.thinking.check(builder, false);
    }

    fn body(&self, plan: &Plan, mode: Mode) -> Result<WireBody> {
        let (request, settings) = (&plan.request, &self.0);
        let shape = MessageShape::of_card(&plan.card, settings.data_uri);
        let limit = if settings.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
        let mut fields = request.extras.get(VENDOR).cloned().unwrap_or_default();
        settings.thinking.put(&mut fields, request.thinking);
        JsonBody::object(|root| {
            root.field("model", plan.model());
            root.optional("user", request.end_user_id.as_deref());
            request::sampling(root, &request.sampling, plan.card.sampling.greedy);
            root.optional(limit, request.max_tokens);
            request::stop(root, request);
            root.optional("seed", request.seed);
            request::response_format(root, request);
            request::tools(root, request);
            request::stream(root, mode, settings.stream_usage);
            request::extras(root, Some(&fields));
            request::messages(root, request, &shape);
        })
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        errors::classify(failure)
    }
}
