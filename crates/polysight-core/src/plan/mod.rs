//! Holds a request against a model's limits before a byte is sent.
//!
//! A [`PlanBuilder`] is a request on its way to becoming a [`Plan`]: the core's checks run on it, then the vendor's own, and
//! [`PlanBuilder::finish`] gives either the plan or every violation at once. Nothing here touches the network or a clock.

mod cache_marks;
mod compare;
mod content;
mod count;
mod estimate;
mod findings;
mod format;
mod grounding;
mod limit;
mod media;
mod options;
mod schema_form;
mod text_tokens;

use std::sync::Arc;

pub use compare::{Candidate, PlanComparison, compare_plans};
pub use count::Count;
pub use estimate::{CostRange, Estimate};
pub use findings::{Adjustment, Findings, Tolerance, Violation};
pub use format::Rung;
pub use grounding::{GroundingFacts, PictureView, PixelSize};
pub use limit::{Limit, Quantity};

use crate::catalog::{Money, Status};
use crate::request::image_path;
use crate::{
    Attempt, AttemptLog, Catalog, ChatRequest, Error, ErrorKind, Image, MediaSource, ModelCard, ProviderId,
    ResponseFormat, Result,
};

/// A request that will be taken as it stands, and what is known about it beforehand.
///
/// A plan is a value: it can be shown, kept, compared, and sent more than once. It names the provider that made it, and no
/// other sends it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// The provider that made the plan and will send it.
    pub provider: ProviderId,
    /// The request as it will go out; its model is set.
    pub request: ChatRequest,
    /// The model's card.
    pub card: Arc<ModelCard>,
    /// What was changed, in the order in which it was changed.
    pub adjustments: Vec<Adjustment>,
    /// What the caller should know though nothing is wrong: an unknown or retired model.
    pub notes: Vec<String>,
    /// What it will take: tokens and money, as numbers or bounds.
    pub estimate: Estimate,
    /// Whether the model must be streamed. A plain call is then streamed and collected.
    pub requires_streaming: bool,
    /// By which means the answer gets its form; `None` for text.
    pub rung: Option<Rung>,
    /// What places in an answer refer to; `None` for a request without media.
    pub grounding: Option<Box<GroundingFacts>>,
    tolerance: Tolerance,
    original: ChatRequest,
    routes: Vec<Route>,
    attempt_log: Option<AttemptLog>,
}

/// A router's choice, kept on the plan of its target until the plan is sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Route {
    /// The router that chose, and that must send the plan.
    pub router: ProviderId,
    /// The request as the router got it: what the next target is planned from.
    pub request: ChatRequest,
    /// The target that made the plan, by its place in the router.
    pub target: usize,
    /// The places of the targets to try after it, in this order.
    pub remaining: Vec<usize>,
    /// Plans of other targets that were made to compare them, by place.
    pub alternatives: Vec<(usize, Plan)>,
    /// Targets that were passed over, and why.
    pub attempts: Vec<Attempt>,
}

impl Route {
    /// A router's choice of a target for a request.
    #[must_use]
    pub fn new(router: ProviderId, request: ChatRequest, target: usize) -> Self {
        let (remaining, alternatives, attempts) = Default::default();
        Self { router, request, target, remaining, alternatives, attempts }
    }
}

impl Plan {
    /// The model's id as it will be sent.
    #[must_use]
    pub fn model(&self) -> &str {
        self.request.model.as_deref().unwrap_or_default()
    }

    /// What the plan is compared with others by: the most that the call can cost where the request limits its answer, else the
    /// prompt alone; the least where there is no bound. `None` where the price is unknown.
    #[must_use]
    pub fn comparable_cost(&self) -> Option<Money> {
        let limited = self.request.max_tokens.and(self.estimate.cost.as_ref()).and_then(CostRange::most);
        let prompt = self.estimate.input_cost.as_ref()?;
        let least = || Money::new(&prompt.currency, prompt.at_least);
        Some(limited.or_else(|| prompt.most()).unwrap_or_else(least))
    }

    /// Brings [`grounding`](Self::grounding) up to date with the pictures that go out; `seen` is the size to which the vendor scales
    /// one. For providers, which call it when they plan and once more when they send.
    pub fn update_grounding(&mut self, seen: impl Fn(&Self, &Image) -> Option<PixelSize>) {
        let Some(mut facts) = self.grounding.take() else { return };
        facts.update(&self.request, |image| seen(self, image));
        self.grounding = Some(facts);
    }

    /// Takes from an earlier plan of the same request what it knew of pictures that were put behind a URL since. For layers.
    pub fn keep_grounding(&mut self, before: &Self) {
        if let (Some(facts), Some(before)) = (&mut self.grounding, &before.grounding) {
            facts.keep(before);
        }
    }

    /// The request that the plan was made from, before any change. It shares messages and media with the one that goes out.
    #[must_use]
    pub fn original(&self) -> &ChatRequest {
        &self.original
    }

    /// Whether an answer that a token limit cut is an answer, and no error: where the caller set a limit, and where the caller
    /// checks the answer's form ([`ResponseFormat::Extract`], [`ResponseFormat::Locate`]), so that what was paid is seen.
    #[must_use]
    pub fn accepts_cut(&self) -> bool {
        let is_checked = matches!(
            self.original.response_format,
            ResponseFormat::Extract { .. } | ResponseFormat::Locate { .. }
        );
        self.request.max_tokens.is_some() || is_checked
    }

    /// Checks that a provider made this plan and can send it: no medium is still [planned](MediaSource::Planned).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] that names both providers, or the medium that is not made yet.
    pub fn require_provider(&self, id: &ProviderId) -> Result<()> {
        if self.provider != *id {
            return Err(Self::refuse(&self.provider, id));
        }
        let is_planned = |source: &MediaSource| matches!(source, MediaSource::Planned(_));
        let mut images = self.request.images();
        let image = images.find(|(.., image)| is_planned(image.source()));
        let image = image.map(|(message, part, frame, _)| image_path(message, part, frame));
        let mut videos = self.request.whole_videos();
        let mut video = || videos.find(|(.., source)| is_planned(source));
        match image.or_else(|| video().map(|(message, part, _)| image_path(message, part, None))) {
            None => Ok(()),
            Some(path) => {
                let message = format!(
                    "{path} is planned and not made yet: send the plan by the layer that planned it, which makes it"
                );
                Err(Error::new(ErrorKind::InvalidRequest, message).with_provider(&*id.name))
            }
        }
    }

    fn refuse(made_by: &ProviderId, sent_by: &ProviderId) -> Error {
        let message = format!(
            "the plan was made by provider `{}` ({}) and cannot be sent by `{}` ({}): plan the request with the provider \
             that sends it",
            made_by.name, made_by.vendor, sent_by.name, sent_by.vendor
        );
        Error::new(ErrorKind::InvalidRequest, message).with_provider(&*sent_by.name)
    }

    /// The plan for a plain call: streaming and collecting is recorded as a change where the model demands it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] where the model must be streamed and the tolerance is [`Tolerance::Strict`].
    pub fn into_plain(mut self) -> Result<Self> {
        if !self.requires_streaming {
            return Ok(self);
        }
        if self.tolerance == Tolerance::Strict {
            let violation = Violation {
                path: "thinking".to_owned(),
                problem: format!("{} reasons only when streaming", self.model()),
                limit: "a streamed call".to_owned(),
                fix: "call chat_stream, or switch thinking off".to_owned(),
                source: self.card.citation(),
                limit_value: None,
            };
            return Err(Error::from_violations(vec![violation]).with_provider(&*self.provider.name));
        }
        self.adjustments.push(Adjustment {
            path: "thinking".to_owned(),
            change: "streamed and collected, since the model reasons only when streaming".to_owned(),
            lossless: true,
        });
        Ok(self)
    }

    /// Puts a router's choice on the plan.
    pub fn push_route(&mut self, route: Route) {
        self.routes.push(route);
    }

    /// Takes a router's choice off the plan, which that router then sends to its target.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] where the outermost choice is not this router's: another provider made the plan.
    pub fn pop_route(&mut self, router: &ProviderId) -> Result<Route> {
        match self.routes.pop_if(|route| route.router == *router) {
            Some(route) => Ok(route),
            None => {
                Err(Self::refuse(self.routes.last().map_or(&self.provider, |route| &route.router), router))
            }
        }
    }

    /// Lists the failed attempts of the call in this log as they happen: for a deadline, which cuts a call off from outside.
    #[must_use]
    pub fn with_attempt_log(mut self, log: Option<AttemptLog>) -> Self {
        self.attempt_log = log;
        self
    }

    /// Where failed attempts of the call are listed as they happen; `None` where they are not read.
    #[must_use]
    pub fn attempt_log(&self) -> Option<&AttemptLog> {
        self.attempt_log.as_ref()
    }
}

/// What is said of a model behind its id.
const NOT_KNOWN: &str = " is not in the catalogue: its limits are not known";

/// A model's id as it may be shown: a picture or a link may have been given in its place.
fn shown_model(model: String) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    if model.len() <= 64 && model.bytes().all(is_plain) { model } else { crate::redact_name(&model) }
}

/// A request on its way to becoming a [`Plan`].
#[derive(Debug)]
pub struct PlanBuilder {
    /// The request, changed as far as its tolerance allows.
    pub request: ChatRequest,
    /// The card of its model.
    pub card: Arc<ModelCard>,
    /// What was found and changed so far.
    pub findings: Findings,
    provider: ProviderId,
    original: ChatRequest,
    requires_streaming: bool,
    rung: Option<Rung>,
}

impl PlanBuilder {
    /// Runs the checks that hold for every vendor.
    #[must_use]
    pub fn new(provider: &ProviderId, request: &ChatRequest, card: Arc<ModelCard>) -> Self {
        let original = request.clone();
        let mut request = request.clone();
        let tolerance = request.tolerance.unwrap_or_default();
        let model = request.model.get_or_insert_with(|| card.id.clone()).clone();
        let findings = Findings::new(tolerance, shown_model(model), Arc::clone(&card));
        let provider = provider.clone();
        let mut builder =
            Self { request, card, findings, provider, original, requires_streaming: false, rung: None };
        builder.note_model();
        content::check(&builder.request, &mut builder.findings);
        media::check(&mut builder.request, &builder.card, &mut builder.findings);
        cache_marks::check(&builder.request, &builder.card, &mut builder.findings);
        grounding::check(&mut builder.request, &builder.card, &mut builder.findings);
        builder.rung = format::check(&mut builder.request, &builder.card, &mut builder.findings);
        options::check(&mut builder.request, &builder.card, &mut builder.findings);
        // Last, so that paths of other findings are those of the caller's request.
        content::leave_out_empty_texts(&mut builder.request, &mut builder.findings);
        cache_marks::leave_out(&mut builder.request, &builder.card);
        builder.note_streaming();
        builder
    }

    fn note_streaming(&mut self) {
        self.requires_streaming = options::must_stream(&self.request, &self.card);
        if self.requires_streaming {
            let findings = &mut self.findings;
            let plain = match findings.tolerance() {
                Tolerance::Strict => "a plain call is refused",
                _ => "a plain call is streamed and collected",
            };
            findings.warn(format!("{} reasons only when streaming: {plain}", findings.model()));
        }
    }

    fn note_model(&mut self) {
        let findings = &mut self.findings;
        if findings.model().is_empty() {
            let fix = "name one in the request or in the role";
            findings.reject("model", "no model is named", "a model id", fix);
        } else if !self.card.known {
            findings.warn([findings.model(), NOT_KNOWN].concat());
        }
        match (self.card.status, &self.card.replacement) {
            (Status::Live, _) => {}
            (status, Some(newer)) => {
                findings.warn(format!("{} is {status}: move to {newer}", findings.model()));
            }
            (status, None) => findings.warn(format!("{} is {status}", findings.model())),
        }
    }

    /// Names models of this catalogue where a model that has something is to be chosen, and the known ones nearest to a model
    /// that is not in it.
    pub fn name_models(&mut self, catalog: &Catalog) {
        self.findings.name_models(catalog);
        let near = catalog.nearest(self.request.model.as_deref().unwrap_or_default());
        if self.card.known || near.is_empty() {
            return;
        }
        let unknown = self.findings.notes.iter_mut().find(|note| note.ends_with(NOT_KNOWN));
        if let Some(note) = unknown {
            *note = format!("{note}; the nearest known ones are {}", near.join(", "));
        }
    }

    /// Refuses extras that repeat what the request has fields for; `reserved` pairs a field of the vendor's body with the
    /// request's own.
    pub fn refuse_extras(&mut self, vendor: &str, reserved: &[(&str, &str)]) {
        let Some(fields) = self.request.extras.get(vendor) else { return };
        for (field, own) in reserved.iter().filter(|(field, _)| fields.contains_key(*field)) {
            let path = format!("extras.{vendor}.{field}");
            let problem = format!("`{field}` is given as an extra");
            self.findings.reject(path, problem, "other fields only", format!("use the request's own {own}"));
        }
    }

    /// Refuses prompts that cannot fit into the model's context, however they are counted.
    fn check_context(&mut self, estimate: &Estimate) {
        let least = estimate.certain_input_tokens();
        let Some(context) = self.card.context.filter(|context| least > *context) else { return };
        let findings = &mut self.findings;
        let problem = format!("the prompt takes at least {least} tokens");
        let limit = format!("{context} tokens with the answer for {}", findings.model());
        findings.reject("messages", problem, limit, "shorten it, or ask in several requests");
    }

    /// Gives the plan, or every violation at once. What the estimate leaves open is bounded, and priced by the card.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] with the violations in the order in which they were found.
    pub fn finish(mut self, estimate: Estimate) -> Result<Plan> {
        let estimate = estimate.bounded(&self.request, &self.card);
        self.check_context(&estimate);
        let tolerance = self.findings.tolerance();
        let Findings { violations, adjustments, notes, .. } = self.findings;
        if !violations.is_empty() {
            return Err(Error::from_violations(violations).with_provider(&*self.provider.name));
        }
        let estimate = estimate.priced(&self.request, &self.card);
        let grounding = GroundingFacts::of(&self.request, &self.card);
        Ok(Plan {
            provider: self.provider,
            request: self.request,
            card: self.card,
            adjustments,
            notes,
            estimate,
            requires_streaming: self.requires_streaming,
            rung: self.rung,
            grounding,
            tolerance,
            original: self.original,
            routes: Vec::new(),
            attempt_log: None,
        })
    }
}
