//! What the layers share that make media ready before they are sent: planning is pure, sending does the work.
//!
//! The request is planned once more with what was made: how long, how large and of which format it is, is known only then.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use polysight_core::media::{PlannedMedia, VideoSource};
use polysight_core::{
    Adjustment, Catalog, ChatRequest, ChatResponse, ChatStream, Error, MediaSource, Message, ModelCard, Part,
    Plan, ProviderId, Result, StreamEvent, Tolerance, Violation, VisionProvider,
};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::target::card_of;

/// One way of making media ready.
#[async_trait]
pub(crate) trait Step: fmt::Debug + Send + Sync + 'static {
    /// The layer's name.
    const NAME: &'static str;

    /// What will be done with a part; `None` where it stays as it is.
    ///
    /// # Errors
    /// What is wrong with it and the way out.
    fn plan(&self, part: &Part, card: &ModelCard) -> std::result::Result<Option<Planned>, Problem>;

    /// Does what the recipe says with the original of a planned part; the part keeps what the caller said of it.
    async fn make(&self, part: &Part, recipe: &str, original: &MediaSource, model: &str) -> Result<Made>;

    /// What is done with a part after the vendor's error; `None` for nothing.
    fn after(&self, _error: &Error, _part: &Part) -> Option<PlannedMedia> {
        None
    }
}

/// What will be done with a part.
pub(crate) struct Planned {
    pub(crate) part: Part,
    /// Empty where the part is the same, and only more is known of it.
    pub(crate) change: String,
    pub(crate) lossless: bool,
}

/// Why nothing can be done with a part.
pub(crate) struct Problem {
    pub(crate) problem: String,
    pub(crate) limit: String,
    pub(crate) fix: String,
}

/// What was done with a part.
pub(crate) struct Made {
    pub(crate) part: Part,
    pub(crate) change: String,
    pub(crate) lossless: bool,
    /// Held until the answer is there: the owner of a temporary file.
    pub(crate) guard: Guard,
}

pub(crate) type Guard = Option<Arc<dyn Any + Send + Sync>>;

/// A layer of one step.
pub(crate) struct Prepare<S> {
    inner: Arc<dyn VisionProvider>,
    step: Arc<S>,
}

impl<S: Step> fmt::Debug for Prepare<S> {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", S::NAME, self.inner)
    }
}

/// A part that this layer makes, at its place.
struct Work {
    message: usize,
    place: usize,
    part: Part,
    media: PlannedMedia,
}

/// A plan whose media are there, and what holds them.
type Ready = (Plan, Vec<Guard>);

impl<S: Step> Prepare<S> {
    pub(crate) fn new(inner: Arc<dyn VisionProvider>, step: S) -> Self {
        Self { inner, step: Arc::new(step) }
    }

    fn plan_with(&self, request: &ChatRequest, card: &ModelCard) -> Result<Plan> {
        let mut changed = request.clone();
        let (mut adjustments, mut violations) = (Vec::new(), Vec::new());
        for (message, place, part) in parts(request) {
            let path = path_of(message, place);
            match self.step.plan(part, card) {
                Ok(None) => {}
                Ok(Some(Planned { part, change, lossless })) => {
                    replace(&mut changed, message, place, part);
                    // A part of which more is known now is no change.
                    if !change.is_empty() {
                        adjustments.push(Adjustment::new(path, change, lossless));
                    }
                }
                Err(Problem { problem, limit, fix }) => {
                    violations.push(Violation::new(path, problem, limit, fix));
                }
            }
        }
        let planned = self.inner.plan(&changed);
        if !violations.is_empty() {
            let inner = planned.as_ref().err().map_or(&[][..], Error::violations);
            let all = violations.into_iter().chain(inner.iter().cloned()).collect();
            return Err(Error::from_violations(all).with_provider(&*self.inner.id().name));
        }
        let mut plan = planned?;
        plan.adjustments.splice(0..0, adjustments);
        Ok(plan)
    }

    /// Makes what was planned here, and plans with it.
    async fn ready(&self, plan: Plan) -> Result<Ready> {
        let works: Vec<Work> = parts(plan.original())
            .filter_map(|(message, place, part)| {
                let media = planned_by::<S>(part)?;
                Some(Work { message, place, part: part.clone(), media })
            })
            .collect();
        if works.is_empty() { Ok((plan, Vec::new())) } else { self.made(plan, works).await }
    }

    async fn made(&self, plan: Plan, works: Vec<Work>) -> Result<Ready> {
        let named = |error: Error| error.with_provider(&*self.inner.id().name);
        let mut request = restored::<S>(plan.original())?;
        let mut made = self.make_all(works, plan.model()).await.map_err(named)?;
        made.sort_by_key(|(message, place, _)| (*message, *place));
        let (mut changes, mut guards) = (Vec::new(), Vec::new());
        for (message, place, Made { part, change, lossless, guard }) in made {
            replace(&mut request, message, place, part);
            changes.push(Adjustment::new(path_of(message, place), change, lossless));
            guards.push(guard);
        }
        let mut next = self.inner.plan(&request)?.with_attempt_log(plan.attempt_log().cloned());
        next.keep_grounding(&plan);
        let known = plan.adjustments.into_iter().chain(changes);
        let mut all: Vec<Adjustment> = known.collect();
        for change in next.adjustments {
            if !all.contains(&change) {
                all.push(change);
            }
        }
        next.adjustments = all;
        Ok((next, guards))
    }

    async fn make_all(&self, works: Vec<Work>, model: &str) -> Result<Vec<(usize, usize, Made)>> {
        let model: Arc<str> = model.into();
        let mut tasks = JoinSet::new();
        for Work { message, place, part, media } in works {
            let (step, model) = (Arc::clone(&self.step), Arc::clone(&model));
            tasks.spawn(async move {
                let recipe = media.recipe().strip_prefix(S::NAME).unwrap_or_default().trim_start();
                let made = step.make(&part, recipe, media.original(), &model).await;
                made.map(|made| (message, place, made))
            });
        }
        let mut all = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let stopped = |error| {
                let message = "the work on a medium was stopped";
                Error::new(polysight_core::ErrorKind::InvalidMedia, message).with_local().with_source(error)
            };
            all.push(done.map_err(stopped)??);
        }
        Ok(all)
    }

    /// What is made after the vendor's error, for a second sending.
    async fn again(&self, error: &Error, plan: &Plan) -> Result<Option<Ready>> {
        if plan.request.tolerance == Some(Tolerance::Strict) {
            return Ok(None);
        }
        let works: Vec<Work> = parts(plan.original())
            .filter_map(|(message, place, part)| {
                let media = self.step.after(error, part)?;
                Some(Work { message, place, part: part.clone(), media })
            })
            .collect();
        if works.is_empty() { Ok(None) } else { self.made(plan.clone(), works).await.map(Some) }
    }

    /// What is to be sent after this error; the error where there is nothing.
    async fn second(&self, error: Error, plan: &Plan, start: Instant) -> Result<(Ready, Error, Instant)> {
        match self.again(&error, plan).await {
            Ok(Some(ready)) => Ok((ready, error, start)),
            Ok(None) => Err(error),
            Err(later) => Err(later.with_earlier_attempts(error.into_attempts(start.elapsed()))),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Step> VisionProvider for Prepare<S> {
    fn id(&self) -> &ProviderId {
        self.inner.id()
    }

    fn catalog(&self) -> &Catalog {
        self.inner.catalog()
    }

    fn plan(&self, request: &ChatRequest) -> Result<Plan> {
        let is_strict = request.tolerance == Some(Tolerance::Strict);
        if is_strict || !request.messages.iter().any(Message::has_media) {
            return self.inner.plan(request);
        }
        match card_of(&*self.inner, request) {
            Some(card) => self.plan_with(request, &card),
            None => self.inner.plan(request),
        }
    }

    async fn send(&self, plan: Plan) -> Result<ChatResponse> {
        let start = Instant::now();
        let (plan, _guards) = self.ready(plan).await?;
        let error = match self.inner.send(plan.clone()).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let ((plan, _guards), error, start) = self.second(error, &plan, start).await?;
        let sent = self.inner.send(plan).await;
        sent.map_err(|later| later.with_earlier_attempts(error.into_attempts(start.elapsed())))
    }

    async fn stream(&self, plan: Plan) -> Result<ChatStream> {
        let start = Instant::now();
        let (plan, guards) = self.ready(plan).await?;
        let error = match self.inner.stream(plan.clone()).await {
            Ok(stream) => return Ok(held(stream, guards)),
            Err(error) => error,
        };
        let ((plan, guards), error, start) = self.second(error, &plan, start).await?;
        match self.inner.stream(plan).await {
            Ok(stream) => Ok(held(stream, guards)),
            Err(later) => Err(later.with_earlier_attempts(error.into_attempts(start.elapsed()))),
        }
    }
}

/// The parts of a request with their places: message and part.
fn parts(request: &ChatRequest) -> impl Iterator<Item = (usize, usize, &Part)> {
    request.messages.iter().enumerate().flat_map(|(message, content)| {
        content.parts.iter().enumerate().map(move |(place, part)| (message, place, part))
    })
}

fn path_of(message: usize, place: usize) -> String {
    format!("messages[{message}].parts[{place}]")
}

fn replace(request: &mut ChatRequest, message: usize, place: usize, part: Part) {
    if let Some(old) = request.messages.get_mut(message).and_then(|message| message.parts.get_mut(place)) {
        *old = part;
    }
}

/// Where the bytes of a medium are; of frames, where those of the first are.
pub(crate) fn source_of(part: &Part) -> Option<&MediaSource> {
    match part {
        Part::Image(image) => Some(image.source()),
        Part::Video(video) => match video.source() {
            VideoSource::Whole(source) => Some(source),
            VideoSource::Frames(frames) => frames.first().map(|frame| frame.source()),
            _ => None,
        },
        _ => None,
    }
}

/// What this layer planned for a part, below what layers inside of it have planned on top.
fn planned_by<S: Step>(part: &Part) -> Option<PlannedMedia> {
    let mut source = source_of(part)?;
    while let MediaSource::Planned(planned) = source {
        if planned.recipe().split(' ').next() == Some(S::NAME) {
            return Some(planned.clone());
        }
        source = planned.original();
    }
    None
}

/// The request before the layers inside of this one planned anything of their own: they plan again.
fn restored<S: Step>(request: &ChatRequest) -> Result<ChatRequest> {
    let mut restored = request.clone();
    for (message, place, part) in parts(request) {
        // What this layer planned is replaced by what it makes.
        if planned_by::<S>(part).is_none()
            && let Some(part) = restored_part(part)?
        {
            replace(&mut restored, message, place, part);
        }
    }
    Ok(restored)
}

/// The part before anything was planned of it; `None` where nothing was.
fn restored_part(part: &Part) -> Result<Option<Part>> {
    let Some(planned) = first_planned(part) else { return Ok(None) };
    let (source, is_of_video) = innermost(planned);
    match part {
        Part::Image(image) => image.with_source(source.clone()).map(|image| Some(Part::Image(image))),
        Part::Video(video) => match video.source() {
            VideoSource::Frames(frames) if !is_of_video => {
                let frames = frames.iter().map(|frame| match frame.source() {
                    MediaSource::Planned(planned) => frame.with_source(innermost(planned).0.clone()),
                    _ => Ok(frame.clone()),
                });
                let frames = frames.collect::<Result<Vec<_>>>()?;
                video.with_frames(frames).map(|video| Some(Part::Video(video)))
            }
            _ => video.with_source(source.clone()).map(|video| Some(Part::Video(video))),
        },
        _ => Ok(None),
    }
}

/// What is planned of a part; of frames, of the first one that is not there yet.
fn first_planned(part: &Part) -> Option<&PlannedMedia> {
    fn planned(source: &MediaSource) -> Option<&PlannedMedia> {
        if let MediaSource::Planned(planned) = source { Some(planned) } else { None }
    }
    match part {
        Part::Video(video) => match video.source() {
            VideoSource::Frames(frames) => frames.iter().find_map(|frame| planned(frame.source())),
            _ => source_of(part).and_then(planned),
        },
        _ => source_of(part).and_then(planned),
    }
}

/// What a planned medium is made from in the end, and whether that is a video which frames are taken of.
fn innermost(planned: &PlannedMedia) -> (&MediaSource, bool) {
    let is_of_video = planned.recipe().starts_with("video ");
    match planned.original() {
        MediaSource::Planned(inner) => {
            let (source, inner_is) = innermost(inner);
            (source, is_of_video || inner_is)
        }
        source => (source, is_of_video),
    }
}

fn held(stream: ChatStream, guards: Vec<Guard>) -> ChatStream {
    if guards.iter().all(Option::is_none) {
        return stream;
    }
    stream.map_stream(|stream| Held { stream, _guards: guards })
}

/// A stream that keeps temporary files until its end: an attempt may be repeated until the first event.
struct Held {
    stream: ChatStream,
    _guards: Vec<Guard>,
}

impl futures_core::Stream for Held {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.stream).poll_next(context)
    }
}

/// Makes a public layer of a step.
macro_rules! forward_layer {
    ($name:ident) => {
        #[async_trait::async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl polysight_core::VisionProvider for $name {
            fn id(&self) -> &polysight_core::ProviderId {
                self.0.id()
            }
            fn catalog(&self) -> &polysight_core::Catalog {
                self.0.catalog()
            }
            fn plan(
                &self,
                request: &polysight_core::ChatRequest,
            ) -> polysight_core::Result<polysight_core::Plan> {
                self.0.plan(request)
            }
            async fn send(
                &self,
                plan: polysight_core::Plan,
            ) -> polysight_core::Result<polysight_core::ChatResponse> {
                self.0.send(plan).await
            }
            async fn stream(
                &self,
                plan: polysight_core::Plan,
            ) -> polysight_core::Result<polysight_core::ChatStream> {
                self.0.stream(plan).await
            }
        }
    };
}
pub(crate) use forward_layer;
