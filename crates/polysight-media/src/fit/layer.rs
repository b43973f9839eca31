//! The layer that makes pictures fit.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use polysight_core::catalog::ImageCard;
use polysight_core::media::{Orientation, PlannedMedia};
use polysight_core::{
    Adjustment, Catalog, ChatRequest, ChatResponse, ChatStream, Error, ErrorKind, Image, ImageInfo,
    MediaSource, Message, Plan, ProviderId, ResponseFormat, Result, Tolerance, Violation, VisionProvider,
};
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};
use tokio::task::JoinSet;

use super::budget::Budget;
use super::pool::{FitPool, not_fitted};
use super::{Cancel, FitPlan, FitSettings, Fitted, Sides, carry_out, complete, proven};
use crate::target::card_of;

/// When pictures are made to fit.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Display, IntoStaticStr, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Oversize {
    /// Never: what does not fit is a violation.
    Refuse,
    /// Where the request tolerates losses ([`Tolerance::Lossy`]). A picture that lies on its side is turned also where a request asks
    /// for [places](ResponseFormat::Locate) in it, but under [`Tolerance::Strict`].
    #[default]
    Lossy,
    /// Always, but under [`Tolerance::Strict`].
    Fit,
}

impl Oversize {
    fn acts_under(self, tolerance: Tolerance) -> bool {
        match self {
            Self::Refuse => false,
            Self::Lossy => tolerance == Tolerance::Lossy,
            Self::Fit => tolerance != Tolerance::Strict,
        }
    }

    /// Whether pictures that lie on their side are turned: places in them mean nothing else.
    fn turns(self, request: &ChatRequest) -> bool {
        matches!(request.response_format, ResponseFormat::Locate { .. })
            && self != Self::Refuse
            && request.tolerance != Some(Tolerance::Strict)
    }
}

/// Makes the pictures of each request fit the model's limits.
///
/// Planning stays pure: it reads no picture, and the plan says what will be done with each, and why. Sending does it, on
/// threads that may block; the answer says what came out. The place of the layer is outside of retry and inside of a router,
/// so that a picture is fitted once for all attempts, and for each target to its own limits.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_media as media; }
/// use std::sync::Arc;
/// use polysight::VisionProvider;
/// use polysight::media::fit::{Fit, FitSettings, Oversize};
///
/// fn fitting(provider: Arc<dyn VisionProvider>) -> polysight::Result<Fit> {
///     Fit::new(provider, Oversize::Fit, FitSettings::new().with_max_side(2_048))
/// }
/// ```
#[derive(Clone)]
pub struct Fit {
    inner: Arc<dyn VisionProvider>,
    when: Oversize,
    settings: FitSettings,
    pool: FitPool,
}

impl fmt::Debug for Fit {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fit({:?})", self.inner)
    }
}

impl Fit {
    /// Fits the pictures that go to a provider.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a setting out of range.
    pub fn new(inner: Arc<dyn VisionProvider>, when: Oversize, settings: FitSettings) -> Result<Self> {
        settings.check()?;
        Ok(Self { inner, when, settings, pool: FitPool::default() })
    }

    /// Shares what fitting may take with other layers.
    #[must_use]
    pub fn with_pool(mut self, pool: FitPool) -> Self {
        self.pool = pool;
        self
    }

    /// Makes the pictures that were planned here, and says on the plan what came out.
    async fn made(&self, mut plan: Plan) -> Result<Plan> {
        let (mut works, mut others) = (Vec::new(), Vec::new());
        plan.request = plan.request.map_images(|path, image| {
            let (path, image) = (path.to_owned(), image.clone());
            match planned_here(&image) {
                Some(plan) => works.push(Work { path, image, plan, is_proof: false }),
                None => others.push((path, image)),
            }
            Ok(None)
        })?;
        works.extend(self.suspicious(others).await?);
        if works.is_empty() {
            return Ok(plan);
        }
        let provider = plan.provider.name.to_string();
        let mut made = self.make_all(works).await.map_err(|error| error.with_provider(provider))?;
        for (path, fitted) in &made {
            let change = fitted.report.as_ref().map(|report| format!("picture fitted: {report}"));
            let change = change.map(|change| Adjustment::new(path.as_str(), change, false));
            plan.adjustments.extend(change);
        }
        plan.request = plan.request.map_images(|path, _| Ok(made.remove(path).map(|fitted| fitted.image)))?;
        Ok(plan)
    }

    /// Those of the pictures that fit, of these paths, whose ends are missing.
    async fn suspicious(&self, others: Vec<(String, Image)>) -> Result<Vec<Work>> {
        // Without a runtime nothing is sent: the provider below says so.
        if others.is_empty() || tokio::runtime::Handle::try_current().is_err() {
            return Ok(Vec::new());
        }
        let settings = self.settings.clone();
        let look = move || {
            let suspicious = others.into_iter().filter_map(|(path, image)| {
                let plan = complete::suspicion(&image, &settings)?;
                Some(Work { path, image, plan, is_proof: true })
            });
            suspicious.collect()
        };
        tokio::task::spawn_blocking(look).await.map_err(not_fitted)
    }

    async fn make_all(&self, works: Vec<Work>) -> Result<BTreeMap<String, Fitted>> {
        let cancel = CancelOnDrop(Cancel::default());
        let mut tasks = JoinSet::new();
        for Work { path, image, plan, is_proof } in works {
            let (settings, cancel, pool) = (self.settings.clone(), cancel.0.clone(), self.pool.clone());
            tasks.spawn(async move {
                let memory = plan.memory();
                let work = move || match is_proof {
                    true => proven(&image, &plan, &settings, &cancel),
                    false => carry_out(&image, plan, &settings, &cancel),
                };
                pool.run(memory, work).await.map(|fitted| (path, fitted))
            });
        }
        let mut made = BTreeMap::new();
        while let Some(done) = tasks.join_next().await {
            let (path, fitted) = done.map_err(not_fitted)??;
            made.insert(path, fitted);
        }
        Ok(made)
    }
}

/// Stops the work of a call that is given up.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What this layer has to do for a picture, as a text on the plan.
#[derive(Serialize, Deserialize)]
struct Recipe {
    fit: FitPlan,
    settings: FitSettings,
}

/// A picture at its place, and what is planned of it.
struct Work {
    path: String,
    image: Image,
    plan: FitPlan,
    /// Whether it is decoded alone, to find out whether it is cut off.
    is_proof: bool,
}

fn planned_here(image: &Image) -> Option<FitPlan> {
    let MediaSource::Planned(planned) = image.source() else { return None };
    serde_json::from_str::<Recipe>(planned.recipe()).ok().map(|recipe| recipe.fit)
}

/// What a picture is made from, what it will be, and the part of that which is not margin.
type Origin = (ImageInfo, Sides, Sides);

fn origin(image: &Image, made: Option<&Image>) -> Option<Origin> {
    let plan = planned_here(made?)?;
    Some((image.info()?, plan.to, plan.content))
}

/// Says on the plan where the pictures come from, so that places in the answer can be found in them.
fn note_origins(plan: &mut Plan, origins: Vec<Option<Origin>>) {
    let Some(facts) = &mut plan.grounding else { return };
    for (view, origin) in facts.pictures.iter_mut().zip(origins) {
        if let Some((original, sent, content)) = origin {
            *view = view.made_from(original, sent, content);
        }
    }
}

/// Whether it is a picture by itself and no frame of a video.
fn is_picture(path: &str) -> bool {
    !path.contains(".frames[")
}

fn is_upright(image: &Image) -> bool {
    image.info().is_none_or(|info| info.orientation == Orientation::Upright)
}

/// The picture that will be made.
pub(super) fn planned(image: &Image, plan: FitPlan, settings: &FitSettings) -> Result<Image> {
    let (info, max_bytes) = (plan.info(), plan.max_bytes);
    let recipe = Recipe { fit: plan, settings: settings.clone() };
    let recipe = serde_json::to_string(&recipe).map_err(|error| {
        Error::new(ErrorKind::InvalidRequest, "the picture cannot be planned").with_source(error)
    })?;
    Ok(image.planned(PlannedMedia::new(image.source().clone(), max_bytes, recipe), info))
}

/// What planning found out.
#[derive(Default)]
struct Found {
    adjustments: Vec<Adjustment>,
    violations: Vec<Violation>,
    note: Option<String>,
}

impl Found {
    fn replacement(
        &mut self,
        path: &str,
        image: &Image,
        card: &ImageCard,
        settings: &FitSettings,
    ) -> Result<Option<Image>> {
        let plan = match FitPlan::new(image, card, settings) {
            Ok(Some(plan)) => plan,
            Ok(None) => return Ok(None),
            Err(refusal) => {
                let violation = Violation::new(path, refusal.message(), "", "");
                self.violations.push(violation);
                return Ok(None);
            }
        };
        self.adjustments.push(Adjustment::new(path, plan.to_string(), false));
        planned(image, plan, settings).map(Some)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Fit {
    fn id(&self) -> &ProviderId {
        self.inner.id()
    }

    fn catalog(&self) -> &Catalog {
        self.inner.catalog()
    }

    fn plan(&self, request: &ChatRequest) -> Result<Plan> {
        let acts = self.when.acts_under(request.tolerance.unwrap_or_default());
        let turns = self.when.turns(request);
        if !(acts || turns) || !request.messages.iter().any(Message::has_media) {
            return self.inner.plan(request);
        }
        let Some(card) = card_of(&*self.inner, request) else { return self.inner.plan(request) };
        if card.image.is_no() {
            return self.inner.plan(request);
        }
        let unknown = ImageCard::default();
        let limits = card.image.limits().unwrap_or(&unknown);
        let mut found = Found::default();
        let mut origins = Vec::new();
        let fitting = request.clone().map_images(|path, image| {
            if !acts && is_upright(image) {
                origins.extend(is_picture(path).then_some(None));
                return Ok(None);
            }
            let budget = Budget { provider: &*self.inner, card: &card, limits, settings: &self.settings };
            let (settings, note) = budget.applied_to(image);
            found.note = note.or(found.note.take());
            let made = found.replacement(path, image, limits, &settings)?;
            origins.extend(is_picture(path).then(|| origin(image, made.as_ref())));
            Ok(made)
        })?;
        match self.inner.plan(&fitting) {
            Ok(mut plan) => {
                plan.adjustments.splice(0..0, found.adjustments);
                plan.notes.extend(found.note);
                note_origins(&mut plan, origins);
                Ok(plan)
            }
            Err(error) if found.violations.is_empty() || error.violations().is_empty() => Err(error),
            Err(error) => {
                let violations = error.violations().iter().cloned().chain(found.violations).collect();
                Err(error.with_violations(violations))
            }
        }
    }

    async fn send(&self, plan: Plan) -> Result<ChatResponse> {
        self.inner.send(self.made(plan).await?).await
    }

    async fn stream(&self, plan: Plan) -> Result<ChatStream> {
        self.inner.stream(self.made(plan).await?).await
    }
}
