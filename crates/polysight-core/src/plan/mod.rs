//! Holds a request against a model's limits before a byte is sent.
//!
//! A [`PlanBuilder`] is a request on its way to becoming a [`Plan`]: the core's checks run on it, then the vendor's own, and
//! [`PlanBuilder::finish`] gives either the plan or every violation at once. Nothing here touches the network or a clock.

mod compare;
mod content;
mod findings;
mod media;
mod options;

use std::sync::Arc;

pub use compare::{Candidate, PlanComparison, compare_plans};
pub use findings::{Adjustment, Findings, Tolerance, Violation};

use crate::catalog::{Money, Price, Status};
use crate::{ChatRequest, Error, ModelCard, Result};

/// A request that will be taken as it stands, and what is known about it beforehand.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// The request as it will go out; its model is set.
    pub request: ChatRequest,
    /// The model's card.
    pub card: Arc<ModelCard>,
    /// What was changed, in the order in which it was changed.
    pub adjustments: Vec<Adjustment>,
    /// What the caller should know though nothing is wrong: an unknown or retired model.
    pub notes: Vec<String>,
    /// What it will take, as far as formulas are known.
    pub estimate: Estimate,
    /// Whether a plain call must be streamed and collected, since the model does so only when streaming.
    pub streamed: bool,
}

impl Plan {
    /// The model's id as it will be sent.
    #[must_use]
    pub fn model(&self) -> &str {
        self.request.model.as_deref().unwrap_or_default()
    }
}

/// What a request will take: tokens and money, as far as formulas and prices are known.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Estimate {
    /// Tokens of the text; `None`: unknown.
    pub text_tokens: Option<u64>,
    /// Tokens of the pictures; `None`: unknown.
    pub image_tokens: Option<u64>,
    /// Tokens of the videos; `None`: unknown.
    pub video_tokens: Option<u64>,
    /// Cost of the prompt; `None` when a count or the price is unknown.
    pub input_cost: Option<Money>,
    /// Least that the prompt can cost, from the counts that are known; `None` when none is, or the price is unknown.
    pub min_input_cost: Option<Money>,
    /// Most that prompt and answer together can cost; `None` also without a limit of the answer.
    pub max_cost: Option<Money>,
}

impl Estimate {
    /// Token counts without prices.
    #[must_use]
    pub fn tokens(text: Option<u64>, image: Option<u64>, video: Option<u64>) -> Self {
        Self { text_tokens: text, image_tokens: image, video_tokens: video, ..Self::default() }
    }

    /// Tokens of the whole prompt; `None` when any of its kinds is unknown.
    #[must_use]
    pub fn input_tokens(&self) -> Option<u64> {
        self.text_tokens?.checked_add(self.image_tokens?)?.checked_add(self.video_tokens?)
    }

    /// Tokens of those kinds that are known; `None` when none is.
    #[must_use]
    pub fn known_input_tokens(&self) -> Option<u64> {
        let kinds = [self.text_tokens, self.image_tokens, self.video_tokens];
        let known = kinds.into_iter().flatten().fold(0, u64::saturating_add);
        // A kind that is not in the request is known to be nothing, which tells nothing.
        (self.input_tokens().is_some() || known > 0).then_some(known)
    }

    fn priced(mut self, card: &ModelCard, max_tokens: Option<u32>) -> Self {
        self.min_input_cost = self.known_input_tokens().and_then(|known| {
            let tier = Price::tier(&card.prices, known)?;
            Some(Money::new(&tier.currency, known as f64 * tier.input / 1e6))
        });
        let Some(input) = self.input_tokens() else { return self };
        let Some(tier) = Price::tier(&card.prices, input) else { return self };
        let cost = input as f64 * tier.input / 1e6;
        self.input_cost = Some(Money::new(&tier.currency, cost));
        self.max_cost =
            max_tokens.map(|limit| Money::new(&tier.currency, cost + f64::from(limit) * tier.output / 1e6));
        self
    }
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
    streamed: bool,
}

impl PlanBuilder {
    /// Runs the checks that hold for every vendor; `streaming` says whether the caller wants a stream.
    #[must_use]
    pub fn new(mut request: ChatRequest, card: Arc<ModelCard>, streaming: bool) -> Self {
        let tolerance = request.tolerance.unwrap_or_default();
        let model = request.model.get_or_insert_with(|| card.id.clone()).clone();
        let findings = Findings::new(tolerance, model, Arc::clone(&card));
        let mut draft = Self { request, card, findings, streamed: false };
        draft.note_model();
        content::check(&draft.request, &mut draft.findings);
        media::check(&mut draft.request, &draft.card, &mut draft.findings);
        options::check(&mut draft.request, &draft.card, &mut draft.findings);
        draft.streamed = !streaming && options::must_stream(&draft.request, &draft.card, &mut draft.findings);
        draft
    }

    fn note_model(&mut self) {
        let findings = &mut self.findings;
        if findings.model().is_empty() {
            let fix = "name one in the request or in the role";
            findings.reject("model", "no model is named", "a model id", fix);
        } else if !self.card.known {
            findings.warn([findings.model(), " is not in the catalogue: its limits are not known"].concat());
        }
        match (self.card.status, &self.card.replacement) {
            (Status::Live, _) => {}
            (status, Some(newer)) => {
                findings.warn(format!("{} is {status}: move to {newer}", findings.model()));
            }
            (status, None) => findings.warn(format!("{} is {status}", findings.model())),
        }
    }

    /// Refuses extras that would say again what the request has words of its own for; `reserved` pairs a field of the
    /// vendor's body with those words.
    pub fn refuse_extras(&mut self, vendor: &str, reserved: &[(&str, &str)]) {
        let Some(fields) = self.request.extras.get(vendor) else { return };
        for (field, own) in reserved.iter().filter(|(field, _)| fields.contains_key(*field)) {
            let path = format!("extras.{vendor}.{field}");
            let problem = format!("`{field}` is given as an extra");
            self.findings.reject(path, problem, "other fields only", format!("use the request's own {own}"));
        }
    }

    /// Gives the plan, or every violation at once.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) with the violations in the order in which they were found.
    pub fn finish(self, estimate: Estimate) -> Result<Plan> {
        let Findings { violations, adjustments, notes, .. } = self.findings;
        if !violations.is_empty() {
            return Err(Error::from_violations(violations));
        }
        let estimate = estimate.priced(&self.card, self.request.max_tokens);
        Ok(Plan {
            request: self.request,
            card: self.card,
            adjustments,
            notes,
            estimate,
            streamed: self.streamed,
        })
    }
}
