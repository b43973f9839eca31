//! From the model's unit to the caller's picture, and back.

use polysight_core::catalog::Grounding;
use polysight_core::media::Orientation;
use polysight_core::plan::{PictureView, PixelSize};
use polysight_core::{Error, ErrorKind, Result};

use super::{PixelPoint, PixelRect};

/// Maps between a model's unit and one picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mapper {
    /// Pixels of the sent picture for each unit.
    to_sent: (f64, f64),
    /// Pixels of the caller's picture for each pixel of the sent one.
    to_shown: (f64, f64),
    shown: PixelSize,
}

impl Mapper {
    /// Says why there is none where something is not known.
    pub(super) fn new(convention: Grounding, view: &PictureView) -> std::result::Result<Self, &'static str> {
        match convention {
            Grounding::Unknown => {
                return Err(
                    "unknown convention: in which unit the model counts is not known, so that numbers are given as \
                            they stand; set `grounding` on its card",
                );
            }
            Grounding::None => return Err("the model cannot say where something is"),
            _ => {}
        }
        let (Some(shown), Some(sent), Some(content)) = (view.shown, view.sent, view.content) else {
            return Err(
                "the size of the picture is not known: send its bytes instead of a URL, or fetch it first",
            );
        };
        if view.sent_orientation != Orientation::Upright {
            return Err(
                "the picture was sent lying on its side, and no vendor says whether it turns it: turn it first",
            );
        }
        let to_sent = match (convention, view.seen) {
            (Grounding::SentPixels, _) => (1.0, 1.0),
            (Grounding::ResizedPixels, Some(seen)) => ratio(sent, seen),
            (Grounding::ResizedPixels, None) => {
                return Err(
                    "the size to which the picture was scaled is not known: no token formula stands on the model's card",
                );
            }
            _ => {
                let whole = convention.full_scale().unwrap_or(1.0);
                (f64::from(sent.0) / whole, f64::from(sent.1) / whole)
            }
        };
        Ok(Self { to_sent, to_shown: ratio(shown, content), shown })
    }

    /// A place in the caller's picture, and whether it had to be brought into it.
    pub(super) fn to_picture(self, point: PixelPoint) -> (PixelPoint, bool) {
        let (x, out_x) = within(point.x * self.to_sent.0 * self.to_shown.0, self.shown.0);
        let (y, out_y) = within(point.y * self.to_sent.1 * self.to_shown.1, self.shown.1);
        (PixelPoint::new(x, y), out_x || out_y)
    }

    fn to_unit(self, point: PixelPoint) -> (f64, f64) {
        let (x, _) = within(point.x, self.shown.0);
        let (y, _) = within(point.y, self.shown.1);
        (x / self.to_shown.0 / self.to_sent.0, y / self.to_shown.1 / self.to_sent.1)
    }
}

fn ratio(to: PixelSize, from: PixelSize) -> (f64, f64) {
    (f64::from(to.0) / f64::from(from.0.max(1)), f64::from(to.1) / f64::from(from.1.max(1)))
}

fn within(value: f64, side: u32) -> (f64, bool) {
    /// What rounding of floats can add.
    const SLACK: f64 = 1e-6;
    let side = f64::from(side);
    (value.clamp(0.0, side), value < -SLACK || value > side + SLACK)
}

/// The corners of a turned rectangle: centre, width, height, and degrees clockwise.
pub(super) fn corners_of_rotated(numbers: &[f64]) -> Vec<PixelPoint> {
    let [x, y, width, height, degrees] = numbers else { return Vec::new() };
    let (sin, cos) = degrees.to_radians().sin_cos();
    let corner = |(along, across): (f64, f64)| {
        let (dx, dy) = (along * width / 2.0, across * height / 2.0);
        PixelPoint::new(x + dx * cos - dy * sin, y + dx * sin + dy * cos)
    };
    [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)].map(corner).to_vec()
}

/// A box of the caller's picture in the model's own unit, to be put into a prompt: `[x1, y1, x2, y2]`. The picture is that of a
/// [plan](polysight_core::Plan::grounding); what reaches out of it is cut to it.
///
/// ```
/// # use polysight_core as polysight;
/// # use polysight_tasks as tasks;
/// use polysight::catalog::Grounding;
/// use polysight::plan::PictureView;
/// use tasks::{box_for_prompt, locate::PixelRect};
///
/// let rect = PixelRect::new(960.0, 0.0, 1920.0, 540.0);
/// let text = box_for_prompt(&rect, &PictureView::new((1920, 1080)), Grounding::Relative1000).unwrap();
/// assert_eq!(text, "[500, 0, 1000, 500]");
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidRequest`] where unit or size are not known, and for numbers that are not finite.
pub fn box_for_prompt(rect: &PixelRect, picture: &PictureView, convention: Grounding) -> Result<String> {
    let refused = |why: &str| Error::new(ErrorKind::InvalidRequest, format!("a box for the prompt: {why}"));
    let mapper = Mapper::new(convention, picture).map_err(refused)?;
    if [rect.left, rect.top, rect.right, rect.bottom].iter().any(|edge| !edge.is_finite()) {
        return Err(refused("its edges are not all finite numbers"));
    }
    let (x1, y1) = mapper.to_unit(PixelPoint::new(rect.left, rect.top));
    let (x2, y2) = mapper.to_unit(PixelPoint::new(rect.right, rect.bottom));
    let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(|edge| edge.round() as u64);
    Ok(format!("[{x1}, {y1}, {x2}, {y2}]"))
}
