//! Where something is in a picture: asked for in the model's own unit, and found in the picture as the caller has it.
//!
//! A model says places in a unit of its own: pixels of the picture after the vendor has scaled it, or a number from 0 to 1000 of
//! each side. [`Locator`] asks by the model's card ([`Grounding`]) and maps what comes back: from the unit to the picture as it
//! was sent, and from there, by whatever was done to make it fit, to the picture as a person sees it, upright.

mod numbers;
mod place;
mod shapes;
mod tags;
mod times;

use std::ops::Deref;

use polysight_core::catalog::Grounding;
use polysight_core::media::Orientation;
use polysight_core::plan::{GroundingFacts, PictureView};
use polysight_core::{ChatRequest, ChatResponse, FinishKind, ResponseFormat, Result, VisionProvider};

pub use place::box_for_prompt;
use place::{Mapper, corners_of_rotated};
use shapes::{Kind, Shape};
pub use times::TimeSpan;

/// How places are asked for.
#[derive(Debug, Clone)]
pub struct Locator {
    what: String,
    points: bool,
}

/// Places in pictures and times in videos, as an answer says them.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Located {
    /// Boxes, in the answer's order.
    pub boxes: Vec<LocatedBox>,
    /// Points, in the answer's order.
    pub points: Vec<LocatedPoint>,
    /// Moments and spans of a video that stand without a place.
    pub times: Vec<TimeSpan>,
    /// The unit in which the model counted.
    pub convention: Grounding,
    /// What could not be read or placed, and why; at most 16 different faults of reading. Empty when all is well.
    pub faults: Vec<String>,
}

/// Places, and the answer in which they stand.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LocatedAnswer {
    /// The places; their fields can be used as if they were its own.
    pub located: Located,
    /// The answer: its text, usage and ids.
    pub response: ChatResponse,
    /// What the caller should know: what the plan noted, and that the answer was cut.
    pub notes: Vec<String>,
}

impl Deref for LocatedAnswer {
    type Target = Located;

    fn deref(&self) -> &Located {
        &self.located
    }
}

/// A box in a picture.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LocatedBox {
    /// What it is, where the model says it; at most 1,024 bytes.
    pub label: Option<String>,
    /// The picture of the request, from 0; `None` where there are several and the answer does not say which, and for a video.
    pub picture: Option<usize>,
    /// How the caller's picture is stored: `rect` is of the picture as it is shown, after that turn.
    pub orientation: Orientation,
    /// Where it is, in pixels of the caller's picture as a person sees it. `None`: it cannot be placed, see
    /// [`Located::faults`].
    pub rect: Option<PixelRect>,
    /// Its four corners, where the model gave four or a turned rectangle.
    pub corners: Option<[PixelPoint; 4]>,
    /// The numbers as the model wrote them.
    pub raw: Vec<f64>,
    /// Whether it reached out of the picture and was cut to it.
    pub clamped: bool,
    /// The moment of a video.
    pub time: Option<TimeSpan>,
}

/// A point in a picture.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LocatedPoint {
    /// What it is, where the model says it; at most 1,024 bytes.
    pub label: Option<String>,
    /// The picture of the request, from 0; `None` where there are several and the answer does not say which, and for a video.
    pub picture: Option<usize>,
    /// How the caller's picture is stored: `at` is of the picture as it is shown, after that turn.
    pub orientation: Orientation,
    /// Where it is, in pixels of the caller's picture as a person sees it. `None`: it cannot be placed, see
    /// [`Located::faults`].
    pub at: Option<PixelPoint>,
    /// The numbers as the model wrote them.
    pub raw: Vec<f64>,
    /// Whether it lay outside of the picture and was brought to its edge.
    pub clamped: bool,
    /// The moment of a video.
    pub time: Option<TimeSpan>,
}

/// A point, in pixels from the top left; not rounded.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct PixelPoint {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
}

impl PixelPoint {
    /// A point.
    #[must_use]
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }
}

/// An upright rectangle, in pixels from the top left; not rounded. Left is never right of right, nor top below bottom.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct PixelRect {
    /// Left edge.
    pub left: f64,
    /// Top edge.
    pub top: f64,
    /// Right edge, outside of the rectangle.
    pub right: f64,
    /// Lower edge, outside of the rectangle.
    pub bottom: f64,
}

impl PixelRect {
    /// The rectangle between two corners, in any order.
    #[must_use]
    pub fn new(x1: f64, y1: f64, x2: f64, y2: f64) -> Self {
        // What is no number stays where it is, so that it is found.
        let ordered = |one, other| if one > other { (other, one) } else { (one, other) };
        let ((left, right), (top, bottom)) = (ordered(x1, x2), ordered(y1, y2));
        Self { left, top, right, bottom }
    }

    /// Left, top, right and bottom as whole pixels.
    #[must_use]
    pub fn rounded(&self) -> [u32; 4] {
        // A conversion from a float stays in range by itself.
        [self.left, self.top, self.right, self.bottom].map(|edge| edge.round() as u32)
    }

    fn around(points: &[PixelPoint]) -> Option<Self> {
        let first = points.first()?;
        let begin = Self::new(first.x, first.y, first.x, first.y);
        Some(points.iter().fold(begin, |rect, point| Self {
            left: rect.left.min(point.x),
            top: rect.top.min(point.y),
            right: rect.right.max(point.x),
            bottom: rect.bottom.max(point.y),
        }))
    }
}

impl Locator {
    /// Asks for a box around each of these things, in words: `the red bicycle`. Empty where the request itself says it.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), points: false }
    }

    /// Whether to ask for points instead of boxes.
    #[must_use]
    pub fn with_points(mut self, points: bool) -> Self {
        self.points = points;
        self
    }

    /// The request, asking for places. The request's own response format is replaced.
    #[must_use]
    pub fn request(&self, request: ChatRequest) -> ChatRequest {
        let (what, points) = (self.what.clone(), self.points);
        request.with_response_format(ResponseFormat::Locate { what, points })
    }

    /// Asks, reads and maps.
    ///
    /// # Errors
    /// As [`VisionProvider::plan`] and [`VisionProvider::send`]. The plan refuses a model that cannot say where something is, a
    /// request without media, and a picture that lies on its side and is not turned before it is sent.
    pub async fn locate<P>(&self, provider: &P, request: ChatRequest) -> Result<LocatedAnswer>
    where
        P: VisionProvider + ?Sized,
    {
        let plan = provider.plan(&self.request(request))?;
        let mut notes = plan.notes.clone();
        let response = provider.send(plan).await?;
        if response.finish.kind == FinishKind::Length {
            notes.push("the answer was cut at the token limit: places may be missing".to_owned());
        }
        Ok(LocatedAnswer { located: Located::of(&response), response, notes })
    }
}

impl Located {
    /// The places in an answer to any request.
    #[must_use]
    pub fn of(response: &ChatResponse) -> Self {
        let unknown = GroundingFacts::default();
        parse_boxes(&response.text, response.grounding.as_deref().unwrap_or(&unknown))
    }
}

/// Reads the places in an answer and maps them; pure, and never fails: what cannot be read or placed is among the
/// [faults](Located::faults), with the numbers kept.
///
/// All forms are read that models of these vendors write: JSON with `bbox_2d`, `point_2d`, `location` and `rotate_rect`, fenced or
/// not, complete or cut off; `<ref>..</ref><box>(..),(..)</box>` and its like with `<|box_start|>`; bare `[..]`, `[[..]]`, `(..)`
/// and `<..>`; `<points x1=".." y1="..">`; `<|LOC_n|>`; times as seconds or as a clock. Reasoning up to a `</think>` is passed
/// over. At most 1 MiB and 10,000 places are read.
///
/// ```
/// # use polysight_core as polysight;
/// # use polysight_tasks as tasks;
/// use polysight::catalog::Grounding;
/// use polysight::plan::{GroundingFacts, PictureView};
/// use tasks::parse_boxes;
///
/// let facts = GroundingFacts::new(Grounding::Relative1000, [PictureView::new((1920, 1080))]);
/// let located = parse_boxes(r#"[{"bbox_2d": [500, 0, 1000, 500], "label": "cat"}]"#, &facts);
/// assert_eq!(located.boxes[0].rect.unwrap().rounded(), [960, 0, 1920, 540]);
/// assert_eq!(located.boxes[0].label.as_deref(), Some("cat"));
/// ```
#[must_use]
pub fn parse_boxes(text: &str, facts: &GroundingFacts) -> Located {
    let shapes::Shapes { shapes, times, faults } = shapes::read(text);
    let mut located = Located { times, faults, convention: facts.convention, ..Located::default() };
    for shape in shapes {
        located.add(shape, facts);
    }
    located
}

impl Located {
    fn add(&mut self, shape: Shape, facts: &GroundingFacts) {
        let (picture, view) = match view_of(&shape, facts) {
            Ok(found) => found,
            Err(fault) => {
                self.fault(fault);
                (None, PictureView::default())
            }
        };
        let mapper = match Mapper::new(facts.convention, &view) {
            Ok(mapper) => Some(mapper),
            Err(fault) => {
                self.fault(fault.to_owned());
                None
            }
        };
        let Shape { kind, numbers, label, time, .. } = shape;
        let points = match kind {
            Kind::Rotated => corners_of_rotated(&numbers),
            _ => numbers.chunks_exact(2).filter_map(pair).collect(),
        };
        let mapped: Option<Vec<_>> =
            mapper.map(|mapper| points.iter().map(|point| mapper.to_picture(*point)).collect());
        let clamped = mapped.iter().flatten().any(|(_, clamped)| *clamped);
        let mapped: Option<Vec<PixelPoint>> =
            mapped.map(|points| points.into_iter().map(|(point, _)| point).collect());
        let (raw, orientation) = (numbers, view.orientation);
        if kind == Kind::Point {
            let at = mapped.and_then(|points| points.first().copied());
            self.points.push(LocatedPoint { label, picture, orientation, at, raw, clamped, time });
            return;
        }
        let rect = mapped.as_deref().and_then(PixelRect::around);
        let corners = mapped.and_then(|points| points.try_into().ok());
        self.boxes.push(LocatedBox { label, picture, orientation, rect, corners, raw, clamped, time });
    }

    fn fault(&mut self, fault: String) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

fn pair(numbers: &[f64]) -> Option<PixelPoint> {
    let [x, y] = numbers else { return None };
    Some(PixelPoint::new(*x, *y))
}

/// The picture in which a place is: the one that the answer names, or the only one; of a video the place of that.
fn view_of(
    shape: &Shape,
    facts: &GroundingFacts,
) -> std::result::Result<(Option<usize>, PictureView), String> {
    let named = shape.picture.and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
    match (facts.pictures.as_slice(), named, facts.videos.as_slice()) {
        ([only], _, []) => Ok((Some(0), *only)),
        ([], _, [video]) => Ok((None, *video)),
        ([], _, _) => Ok((None, PictureView::default())),
        (pictures, Some(index), _) => match pictures.get(index) {
            Some(view) => Ok((Some(index), *view)),
            None => Err("the answer names a picture that the request does not have".to_owned()),
        },
        _ => Err("the answer does not say in which of the pictures a place is".to_owned()),
    }
}
